"""SQL of users as a tree: read within bounds, checked node by node against the allow-lists, and what it reads.

sqlglot reads the text. What the engine itself makes of it is checked against the same lists in the process that runs
it (`engines/duckdb/sandbox/child.py`). sqlglot takes a while to import, so this module is imported where it is used.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ErrorLevel, SqlglotError, TokenError

from mcp_server.language.suggest import nearest
from mcp_server.text import NOTHING, Text, listed, same
from mcp_server.user_sql.words import CONSTRUCTS, FUNCTIONS, HINTS, PADDING, PREFIXES, SESSION_WORDS, WIDTH_LIMIT

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token

# Reading
#
# Three habits of sqlglot need bounds: it recurses by nesting; where it tries one reading after another, some texts of
# forty words take it minutes (measured: joins without a condition and types inside types double the work each); and at
# each function that follows an operand (`x.upper()`) it copies all of that operand (measured: 1,000 of them, 24 s).

_STEPS_PER_TOKEN = 100
_STEPS = 10_000
"""Steps over the tokens of a text that its reading may take. Ordinary statements take 5 to 15 a token."""
_MOST_COPIED = 200_000
"""Functions after an operand times the tokens of the text: what their copies cost at most. Measured: below a second."""
_COPYING = frozenset({"HASH_ARROW", "DHASH_ARROW", "PLACEHOLDER", "DOTCOLON", "DOT"})
"""Types of the tokens after which the parser may copy the operand before them."""
_NAMES = frozenset({"VAR", "IDENTIFIER"})


class NotSql(Exception):
    """The text is no SQL: why, and at which offset."""

    def __init__(self, why: Text, offset: int | None) -> None:
        super().__init__(why.en)
        self.why = why
        self.offset = offset


class OtherStatement(Exception):
    """A word begins something that is no query, and at which offset."""

    def __init__(self, word: str, offset: int) -> None:
        super().__init__(word)
        self.word = word
        self.offset = offset


class TooEntangled(Exception):
    """Reading the text would take too deep a stack or too much work."""


def tokens_of(sql: str) -> "Sequence[Token]":
    """Return the tokens of a text, comments left out. NotSql: a quote or a comment is left open."""
    try:
        return DuckDB().tokenize(sql)
    except TokenError:
        raise NotSql(Text("a quote or a comment is left open", "引号或注释没有闭合"), None) from None


def levels(tokens: "Sequence[Token]") -> int:
    """Return how deep brackets are inside brackets; an index of an index (`a[1][2]`) counts as a level as well."""
    deepest = now = chained = 0
    before = ""
    for token in tokens:
        now += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        chained += token.text == "[" and before == "]"
        deepest, before = max(deepest, now), token.text
    return max(deepest, chained)


def is_entangled(tokens: "Sequence[Token]") -> bool:
    """Whether reading these tokens would copy operands for too long; a name after a dot (`u.city`) copies nothing."""
    kinds = [token.token_type.name for token in tokens] + ["", ""]
    copies = sum(
        kind in _COPYING and not (kind == "DOT" and kinds[i + 1] in _NAMES and kinds[i + 2] != "L_PAREN")
        for i, kind in enumerate(kinds[:-2])
    )
    return copies * len(tokens) > _MOST_COPIED


class _Parser(DuckDB.parser_class):  # type: ignore[misc, valid-type]  # known when it runs
    """The parser with a limit of its steps; it takes no statement that it does not understand for a command."""

    __slots__ = ("steps_left",)

    def _advance(self, times: int = 1) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise TooEntangled
        super()._advance(times)

    def validate_expression(self, expression: exp.Expr, args: list[object] | None = None) -> exp.Expr:
        # The engine checks how many arguments a function takes.
        if isinstance(expression, exp.Func) and expression.key not in CONSTRUCTS:
            return expression
        validated: exp.Expr = super().validate_expression(expression, args)
        return validated

    def _parse_as_command(self, start: "Token") -> exp.Command:
        raise OtherStatement(start.text.upper(), start.start)

    def _warn_unsupported(self) -> None:
        self.raise_error("Unsupported syntax", self._prev)


def tree_of(tokens: "Sequence[Token]", sql: str) -> exp.Expr:
    """Return the tree of one statement. NotSql, OtherStatement, TooEntangled: there is none."""
    parser = _Parser(dialect=DuckDB(), error_level=ErrorLevel.IMMEDIATE)
    parser.steps_left = _STEPS + _STEPS_PER_TOKEN * len(tokens)
    try:
        trees: list[exp.Expr | None] = parser.parse(list(tokens), sql)
    except SqlglotError as error:  # also where it takes a part of the text apart once more
        raise NotSql(*_described(error, sql)) from None
    except RecursionError:
        raise TooEntangled from None
    if len(trees) != 1 or trees[0] is None:
        raise NotSql(same("No statement"), None)
    return trees[0]


_NO_WORD = Text("the name of a type or a column is written in a way that means nothing", "类型名或列名的写法无法识别")
_MESSAGES = {
    "Required keyword": Text("something is missing here", "此处缺少内容"),
    "Invalid expression": Text("this word does not fit here", "此处的词不符合语法"),
    "Unsupported syntax": Text("this is not supported", "不支持此写法"),
    "Expecting )": Text("a closing bracket is missing before this", "此处之前缺少右括号"),
}
"""The parser's own messages, by how they begin."""


def _described(error: Exception, sql: str) -> tuple[Text, int | None]:
    """Return the parser's message and its offset; the parser's columns count to the end of a word."""
    errors = getattr(error, "errors", None)
    if not errors:
        return _NO_WORD, None
    line, column, message = errors[0].get("line") or 1, errors[0].get("col") or 1, errors[0].get("description") or ""
    before = sum(len(text) + 1 for text in sql.split("\n")[: line - 1])
    known = next((text for start, text in _MESSAGES.items() if message.startswith(start)), None)
    return known or same(message), max(before + column - len(errors[0].get("highlight") or ""), 0)


# What is allowed

_KEYWORDS = {"historicaldata": "AT", "lock": "FOR UPDATE"}
_QUALIFY = Text("A column of this name is written with its table: {name}.", "若为列名，请带上表名：{name}。")
_PARAMETERS = frozenset({"placeholder", "parameter", "sessionparameter", "positionalcolumn"})


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not allowed: the code of its problem, its offset, and what it is about."""

    code: str
    offset: int | None
    got: str
    expected: Text = NOTHING
    suggestion: str = ""
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), compare=False)


def violations(root: exp.Expr, text: str, tables: Collection[str]) -> Iterator[Violation]:
    """Yield everything in a statement that is not allowed; `tables` are the tables of the project."""
    top = unwrapped(root)
    if not isinstance(top, exp.Select | exp.SetOperation):
        yield Violation("sql_not_select", offset_of(top), top.key.upper())
        return
    for node in root.walk():
        if isinstance(node, exp.Table):
            yield from _of_table(node, text, tables)
        elif isinstance(node, exp.With) and node.recursive:
            yield Violation("sql_recursive", offset_of(node), "WITH RECURSIVE")
        elif node.key in _PARAMETERS:
            yield Violation("sql_parameter_refused", offset_of(node), f"${node.name}" if node.name else "?")
        elif isinstance(node, exp.Column) and _is_session_word(node):
            name = node.name.lower()
            hint = HINTS.get(name, NOTHING).then(_QUALIFY.format(name=f't."{name}"'))
            values = {"hint": Text(f" {hint.en}", hint.zh)}
            yield Violation("sql_function_refused", offset_of(node), name, values=values)
        elif isinstance(node, exp.Func):
            if not (isinstance(node.parent, exp.Table) and node.arg_key == "this"):
                yield from _of_function(node, text)
        elif node.key not in CONSTRUCTS:
            yield Violation("sql_construct_refused", offset_of(node), _KEYWORDS.get(node.key, node.key.upper()))


def unwrapped(root: exp.Expr) -> exp.Expr:
    """Return the statement inside brackets around all of it."""
    while isinstance(root, exp.Subquery | exp.Paren) and not root.args.get("with_"):
        root = root.this
    return root


def offset_of(node: exp.Expr) -> int | None:
    """Return where a node begins: the first of its words that knows its place."""
    return min((n.meta["start"] for n in node.walk() if "start" in n.meta), default=None)


def is_own_table(table: exp.Table, names: Collection[str]) -> bool:
    """Whether a table is one of these tables of the project, and not a name given by WITH."""
    prefix, name = (table.catalog.lower(), table.db.lower()), table.name.lower()
    return name in names and prefix in PREFIXES and not (prefix == ("", "") and name in _given_names(table))


def _of_table(table: exp.Table, text: str, tables: Collection[str]) -> Iterator[Violation]:
    known = listed(sorted(tables))
    if isinstance(table.this, exp.Func):
        yield Violation("sql_table_function", offset_of(table), _written(table.this, text), known)
        return
    plain = isinstance(table.this, exp.Identifier)
    given = _given_names(table)
    if plain and (is_own_table(table, tables) or (not table.db and table.name.lower() in given)):
        return
    written = ".".join(part for part in (table.catalog, table.db, table.name) if part)
    close = nearest(written, [*tables, *given]) if plain else ""
    yield Violation("sql_table_unknown", offset_of(table), written, known, close)


def _given_names(node: exp.Expr) -> set[str]:
    """Return the names given by WITH that a table reference at this node can mean, in lower case.

    A name counts after its own definition only: `WITH x AS (SELECT … FROM x)` reads a table x inside, and outside of the
    statement that gives it the name means nothing.
    """
    names: set[str] = set()
    while (parent := node.parent) is not None:
        if isinstance(parent, exp.With):
            for cte in parent.expressions:
                if cte is node:
                    break
                names.add(cte.alias.lower())
            node = parent.parent or parent  # its own WITH is not read again
            continue
        given = parent.args.get("with_")
        if given is not None:
            names.update(cte.alias.lower() for cte in given.expressions)
        node = parent
    return names


def _of_function(node: exp.Func, text: str) -> Iterator[Violation]:
    name = _written(node, text)
    if name in PADDING:
        if not _is_small(node):
            yield Violation("sql_function_size", offset_of(node), name, values={"limit": f"{WIDTH_LIMIT:,}"})
        return
    if "start" in node.meta or node.key == "anonymous":
        allowed = name in FUNCTIONS
    else:  # a form of its own, such as CAST(x AS y), or a function whose place the parser does not keep
        allowed = node.key in CONSTRUCTS or any(n.lower() in FUNCTIONS for n in node.sql_names())
    if allowed:
        return
    hint = HINTS.get(name)
    close = nearest(name, sorted(FUNCTIONS), least=0.85) if hint is None else ""
    values = {"hint": NOTHING if hint is None else Text(f" {hint.en}", hint.zh)}
    yield Violation("sql_function_refused", offset_of(node), name, suggestion=close, values=values)


def _is_session_word(column: exp.Column) -> bool:
    """Whether the engine may take a column for a function: with its table before it, it is a column for sure."""
    return not column.table and column.name.lower() in SESSION_WORDS


def _written(node: exp.Func, text: str) -> str:
    """Return the name of a function as it was written, in lower case."""
    if node.key == "anonymous":
        return str(node.name).lower()
    if "start" in node.meta:
        return text[node.meta["start"] : node.meta["end"] + 1].strip('"').lower()
    return node.sql_names()[0].lower()


def _is_small(node: exp.Func) -> bool:
    """Whether a padding has a constant width within the limit; written as a method (`x.lpad(…)`) it never has."""
    width = node.args.get("expression")
    return (
        isinstance(node, exp.Pad)
        and isinstance(width, exp.Literal)
        and not width.is_string
        and str(width.this).isdecimal()
        and int(width.this) <= WIDTH_LIMIT
    )


# What a statement returns and reads

_OUTER = frozenset({"RIGHT", "FULL"})


def result_columns(root: exp.Expr) -> list[tuple[str, int | None]] | None:
    """Return names ("" where it has none) and offsets of the columns of the result; None where a star hides them."""
    node = unwrapped(root)
    while isinstance(node, exp.SetOperation):
        node = unwrapped(node.this)
    if not isinstance(node, exp.Select) or any(p.is_star for p in node.expressions):
        return None
    named = (exp.Alias, exp.Column)
    return [(str(p.alias_or_name) if isinstance(p, named) else "", offset_of(p)) for p in node.expressions]


def count_tables(root: exp.Expr) -> int:
    """Return how often tables are mentioned in a statement."""
    return sum(1 for _ in root.find_all(exp.Table))


def tables_named(root: exp.Expr, tables: Collection[str]) -> tuple[str, ...]:
    """Return those of the project's tables that a statement reads, sorted."""
    return tuple(sorted({t.name.lower() for t in root.find_all(exp.Table) if is_own_table(t, tables)}))


def columns_named(root: exp.Expr) -> tuple[str, ...]:
    """Return the names of columns in a statement, in their order; `*` where it takes all of a table."""
    named = [(offset_of(c) or 0, c.name) for c in root.find_all(exp.Column) if c.name]
    stars = (s for s in root.find_all(exp.Star) if not isinstance(s.find_ancestor(exp.Count, exp.Query), exp.Count))
    named += [(offset_of(s) or 0, "*") for s in stars]
    return tuple(dict.fromkeys(name for _, name in sorted(named, key=lambda pair: pair[0])))


def lacks_part_date(root: exp.Expr, table: str) -> Iterator[tuple[int | None, str]]:
    """Yield the readings of the event table whose own SELECT has no condition on `"$part_date"`: offset and table as written."""
    known: dict[int, set[str]] = {}  # by condition: many readings may share a long one

    def has_part_date(condition: exp.Expr, reading: exp.Table) -> bool:
        if id(condition) not in known:
            known[id(condition)] = _qualifiers(condition, "$part_date")
        return not known[id(condition)].isdisjoint(_qualifiers_of(reading))

    for reading in root.find_all(exp.Table):
        if is_own_table(reading, {table}) and not any(has_part_date(c, reading) for c in _conditions(reading)):
            yield offset_of(reading), reading.name


def clusters_named(root: exp.Expr, table: str) -> tuple[frozenset[str] | None, int | None]:
    """Return the clusters that a statement reads, where each reading of the table compares `cluster_name` with texts.

    None (and the offset) where a reading does not, so that every cluster may be read.
    """
    names: set[str] = set()
    known: dict[int, list[tuple[str, set[str]]]] = {}  # by condition: many readings may share a long one
    for reading in root.find_all(exp.Table):
        if not is_own_table(reading, {table}):
            continue
        texts: list[set[str]] = []
        for condition in _conditions(reading):
            if id(condition) not in known:
                known[id(condition)] = [c for term in _terms(condition) if (c := _compared(term)) is not None]
            texts += [values for qualifier, values in known[id(condition)] if qualifier in _qualifiers_of(reading)]
        if not texts:
            return None, offset_of(reading)
        names.update(*texts)
    return frozenset(names), None


def _conditions(table: exp.Table) -> Iterator[exp.Expr]:
    """Yield conditions that every row taken from this table must pass: WHERE of its SELECT, and ON of its own join."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if where is not None:
        yield where.this
    join = table.parent
    if isinstance(join, exp.Join) and join.args.get("on") is not None and join.side not in _OUTER:
        yield join.args["on"]


def _qualifiers(condition: exp.Expr, column: str) -> set[str]:
    """Return the tables that are written before a column in a condition, in lower case; "" where it has none."""
    nodes = condition.walk(prune=lambda n: isinstance(n, exp.Query))
    return {n.table.lower() for n in nodes if isinstance(n, exp.Column) and n.name.lower() == column}


def _qualifiers_of(table: exp.Table) -> frozenset[str]:
    """Return what may be written before a column of a table."""
    return frozenset({"", table.alias.lower(), table.name.lower()})


def _terms(condition: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the parts of a condition that are joined by AND."""
    waiting = [condition]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.And):
            waiting += [node.this, node.expression]
        elif isinstance(node, exp.Paren):
            waiting.append(node.this)
        else:
            yield node


def _compared(term: exp.Expr) -> tuple[str, set[str]] | None:
    """Return the qualifier and the texts of `x.cluster_name = 'a'` or `cluster_name IN ('a', 'b')`; None for any other."""
    if isinstance(term, exp.EQ):
        column, values = term.this, [term.expression]
        if isinstance(column, exp.Literal):
            column, values = term.expression, [term.this]
    elif isinstance(term, exp.In) and term.expressions:
        column, values = term.this, list(term.expressions)
    else:
        return None
    if not (isinstance(column, exp.Column) and column.name.lower() == "cluster_name"):
        return None
    if not all(isinstance(v, exp.Literal) and v.is_string for v in values):
        return None
    return column.table.lower(), {str(v.this) for v in values}
