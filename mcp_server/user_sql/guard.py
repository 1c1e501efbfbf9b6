"""The check of SQL that users write, before anything runs: one SELECT, the project's own tables, listed functions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from mcp_server.errors import InvalidDefinition, Problem
from mcp_server.language.problems import blocking, finding, warnings_of
from mcp_server.language.sql import LONGEST, DayRange
from mcp_server.language.suggest import nearest
from mcp_server.text import NOTHING, Text, listed, same
from mcp_server.user_sql.parameters import Template, at, days_of, parameter_problems, place_in, read_template
from mcp_server.user_sql.words import CONSTRUCTS, FUNCTIONS, HINTS, PADDING, PREFIXES, WIDTH_LIMIT, table_names

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token


# Reading SQL into a tree, within bounds of depth and of work.
#
# sqlglot reads what users write; what the engine itself makes of the same text is held against the same lists in
# `sql_engine_tree.py`. Two of sqlglot's habits need bounds: it recurses by nesting, and where it tries one reading
# after another, some texts of forty words take it minutes (measured: joins without a condition and types inside types
# double the work each).


MOST_LEVELS = 32
"""Brackets inside brackets; each costs the parser some thirty calls of Python's stack."""
_STEPS_PER_WORD = 100
_STEPS = 10_000
"""Steps over the words of a text that its reading may take. Ordinary statements take 5 to 15 a word."""


_OPEN = Text("a quote or a comment is left open", "引号或注释没有闭合")

_NO_WORD = Text("the name of a type or a column is written in a way that means nothing", "类型名或列名的写法无法识别")


class NotSql(Exception):
    """The text is no SQL: why, and where (offset)."""

    def __init__(self, why: Text, offset: int | None) -> None:
        super().__init__(why.en)
        self.why = why
        self.offset = offset


class OtherStatement(Exception):
    """A word begins something that is no query, and where (offset)."""

    def __init__(self, word: str, offset: int) -> None:
        super().__init__(word)
        self.word = word
        self.offset = offset


class TooEntangled(Exception):
    """Reading the text would take too deep a stack or too much work."""


def words_of(sql: str) -> "Sequence[Token]":
    """The words of a text, comments left out. Unreadable: a quote or a comment is left open."""
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.errors import TokenError

    try:
        return DuckDB().tokenize(sql)
    except TokenError:
        raise NotSql(_OPEN, None) from None


def levels(words: "Sequence[Token]") -> int:
    """How deep brackets stand inside brackets; an index of an index (`a[1][2]`) counts as a level as well."""
    deepest = now = chained = 0
    before = ""
    for word in words:
        now += (word.text in ("(", "[", "{")) - (word.text in (")", "]", "}"))
        chained += word.text == "[" and before == "]"
        deepest, before = max(deepest, now), word.text
    return max(deepest, chained)


def tree_of(words: "Sequence[Token]", sql: str) -> "exp.Expr":
    """The tree of one statement. Unreadable, Command, TooEntangled: there is none."""
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.errors import ErrorLevel, SqlglotError

    dialect = DuckDB()
    budget = _STEPS + _STEPS_PER_WORD * len(words)

    class Bounded(dialect.parser_class):  # type: ignore[name-defined, misc]  # known when it runs
        """The parser with a counter of its steps; it takes no statement that it does not understand for a command."""

        __slots__ = ("steps",)

        def _advance(self, times: int = 1) -> None:
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps > budget:
                raise TooEntangled
            super()._advance(times)

        def validate_expression(self, expression: "exp.Expr", args: "list[object] | None" = None) -> "exp.Expr":
            # How many arguments a function takes is for the engine to say.
            if isinstance(expression, exp.Func) and expression.key not in CONSTRUCTS:
                return expression
            validated: exp.Expr = super().validate_expression(expression, args)
            return validated

        def _parse_as_command(self, start: "Token") -> "exp.Command":
            raise OtherStatement(start.text.upper(), start.start)

        def _warn_unsupported(self) -> None:
            self.raise_error("Unsupported syntax", self._prev)

    try:
        found: list[exp.Expr | None] = Bounded(dialect=dialect, error_level=ErrorLevel.IMMEDIATE).parse(
            list(words), sql
        )
    except SqlglotError as error:  # also where it takes a part of the text apart once more
        raise NotSql(*_described(error, sql)) from None
    except RecursionError:
        raise TooEntangled from None
    if len(found) != 1 or found[0] is None:
        raise NotSql(same("No statement"), None)
    return found[0]


def _described(error: Exception, sql: str) -> tuple[Text, int | None]:
    """What the parser says and where it belongs; its columns count to the end of a word."""
    found = getattr(error, "errors", None)
    if not found:
        return _NO_WORD, None
    line, column, said = found[0].get("line") or 1, found[0].get("col") or 1, found[0].get("description") or ""
    before = sum(len(text) + 1 for text in sql.split("\n")[: line - 1])
    known = next((text for start, text in _SAID.items() if said.startswith(start)), None)
    return known or same(said), max(before + column - len(found[0].get("highlight") or ""), 0)


_SAID = {
    "Required keyword": Text("something is missing here", "此处缺少内容"),
    "Invalid expression": Text("this word does not fit here", "此处的词不符合语法"),
    "Unsupported syntax": Text("this is not supported", "不支持此写法"),
    "Expecting )": Text("a closing bracket is missing before this", "此处之前缺少右括号"),
}
"""The parser's own words, by how they begin."""


# Every node of a parsed statement against the allow-lists of `sql_words.py`.


_KEYWORDS = {"historicaldata": "AT", "lock": "FOR UPDATE"}
_SESSION = frozenset(
    {"current_catalog", "current_database", "current_role", "current_schema", "current_time", "session_user"}
)
"""Words that are functions without brackets to the engine and columns to the parser."""
_PARAMETERS = frozenset({"placeholder", "parameter", "sessionparameter", "positionalcolumn"})


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not allowed: the code of its problem, and where it stands."""

    code: str
    offset: int | None
    got: str
    expected: Text = NOTHING
    suggestion: str = ""
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), compare=False)


def walk(root: "exp.Expr", text: str, tables: Collection[str]) -> Iterator[Violation]:
    """Everything in a statement that is not allowed; `tables` are the tables of the project."""
    from sqlglot import exp

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
            yield Violation("sql_function_refused", offset_of(node), node.name.lower(), values={"hint": NOTHING})
        elif isinstance(node, exp.Func):
            if not (isinstance(node.parent, exp.Table) and node.arg_key == "this"):
                yield from _of_function(node, text)
        elif node.key not in CONSTRUCTS:
            yield Violation("sql_construct_refused", offset_of(node), _KEYWORDS.get(node.key, node.key.upper()))


def count_tables(root: "exp.Expr") -> int:
    """Mentions of tables in a statement."""
    from sqlglot import exp

    return sum(1 for _ in root.find_all(exp.Table))


def unwrapped(root: "exp.Expr") -> "exp.Expr":
    """The statement inside brackets around all of it."""
    from sqlglot import exp

    while isinstance(root, exp.Subquery | exp.Paren) and not root.args.get("with_"):
        root = root.this
    return root


def offset_of(node: "exp.Expr") -> int | None:
    """Where a node begins: the first of its words that knows its place."""
    return min((n.meta["start"] for n in node.walk() if "start" in n.meta), default=None)


def is_own_table(table: "exp.Table", names: Collection[str]) -> bool:
    """Whether a table is one of these tables of the project, and not a name given by WITH."""
    written = (table.catalog.lower(), table.db.lower())
    name = table.name.lower()
    return name in names and written in PREFIXES and not (written == ("", "") and name in _named_before(table))


def _of_table(table: "exp.Table", text: str, tables: Collection[str]) -> Iterator[Violation]:
    from sqlglot import exp

    known = listed(sorted(tables))
    if isinstance(table.this, exp.Func):
        yield Violation("sql_table_function", offset_of(table), _written(table.this, text), known)
        return
    plain = isinstance(table.this, exp.Identifier)
    given = _named_before(table)
    if plain and (is_own_table(table, tables) or (not table.db and table.name.lower() in given)):
        return
    written = ".".join(part for part in (table.catalog, table.db, table.name) if part)
    close = nearest(written, [*tables, *given]) if plain else ""
    yield Violation("sql_table_unknown", offset_of(table), written, known, close)


def _named_before(node: "exp.Expr") -> set[str]:
    """Names given by WITH that a table reference at this node can mean, in lower case.

    A name counts after its own definition only: `WITH x AS (SELECT … FROM x)` reads a table x inside, and outside of the
    statement that gives it the name means nothing.
    """
    from sqlglot import exp

    names: set[str] = set()
    while (parent := node.parent) is not None:
        if isinstance(parent, exp.With):
            for cte in parent.expressions:
                if cte is node:
                    break
                names.add(cte.alias.lower())
            node = parent.parent or parent  # its own WITH is not asked again
            continue
        given = parent.args.get("with_")
        if given is not None:
            names.update(cte.alias.lower() for cte in given.expressions)
        node = parent
    return names


def _of_function(node: "exp.Func", text: str) -> Iterator[Violation]:
    name = _written(node, text)
    if name in PADDING:
        if not _is_small(node):
            yield Violation("sql_function_size", offset_of(node), name, values={"limit": f"{WIDTH_LIMIT:,}"})
        return
    if "start" in node.meta or node.key == "anonymous":
        allowed = name in FUNCTIONS
    else:  # a form of its own, such as CAST(x AS y), or a function whose place the parser does not keep
        allowed = node.key in CONSTRUCTS or any(n.lower() in FUNCTIONS for n in node.sql_names())
    if not allowed:
        yield _refused_function(node, name)


def _refused_function(node: "exp.Func", name: str) -> Violation:
    hint = HINTS.get(name)
    if hint is None:
        close = nearest(name, sorted(FUNCTIONS), least=0.85)
        return Violation("sql_function_refused", offset_of(node), name, suggestion=close, values={"hint": NOTHING})
    return Violation("sql_function_refused", offset_of(node), name, values={"hint": Text(f" {hint.en}", hint.zh)})


def _is_session_word(column: "exp.Column") -> bool:
    return not column.table and not column.this.args.get("quoted") and column.name.lower() in _SESSION


def _written(node: "exp.Func", text: str) -> str:
    """The name of a function as it was written, in lower case."""
    if node.key == "anonymous":
        return str(node.name).lower()
    if "start" in node.meta:
        return text[node.meta["start"] : node.meta["end"] + 1].strip('"').lower()
    return node.sql_names()[0].lower()


def _is_small(node: "exp.Func") -> bool:
    """Whether a padding has a constant width within the limit; written as a method (`x.lpad(…)`) it never has."""
    from sqlglot import exp

    width = node.args.get("expression")
    return (
        isinstance(node, exp.Pad)
        and isinstance(width, exp.Literal)
        and not width.is_string
        and str(width.this).isdecimal()
        and int(width.this) <= WIDTH_LIMIT
    )


def result_columns(root: "exp.Expr") -> list[tuple[str, int | None]] | None:
    """Names ("" where it has none) and places of the columns of the result; None where a star hides them."""
    from sqlglot import exp

    node = unwrapped(root)
    while isinstance(node, exp.SetOperation):
        node = unwrapped(node.this)
    if not isinstance(node, exp.Select) or any(p.is_star for p in node.expressions):
        return None
    return [(_name_of(p), offset_of(p)) for p in node.expressions]


def _name_of(projection: "exp.Expr") -> str:
    from sqlglot import exp

    return str(projection.alias_or_name) if isinstance(projection, exp.Alias | exp.Column) else ""


# What a checked statement reads: events without a filter on their day, and clusters by name.


_OUTER = frozenset({"RIGHT", "FULL"})


def lacks_part_date(root: "exp.Expr", table: str) -> Iterator[tuple[int | None, str]]:
    """Readings of the event table whose own SELECT has no condition on `"$part_date"`: place and table as written."""
    from sqlglot import exp

    for found in root.find_all(exp.Table):
        if is_own_table(found, {table}) and not any(
            _mentions(condition, "$part_date", found) for condition in _conditions(found)
        ):
            yield offset_of(found), found.name


def clusters_named(root: "exp.Expr", table: str) -> tuple[frozenset[str] | None, int | None]:
    """The clusters that a statement reads, where each reading of the table compares `cluster_name` with texts.

    None (and the place) where a reading does not, so that every cluster may be read.
    """
    from sqlglot import exp

    names: set[str] = set()
    for found in root.find_all(exp.Table):
        if not is_own_table(found, {table}):
            continue
        sets = [s for c in _conditions(found) for term in _terms(c) if (s := _compared(term, found)) is not None]
        if not sets:
            return None, offset_of(found)
        names.update(*sets)
    return frozenset(names), None


def tables_named(root: "exp.Expr", tables: Collection[str]) -> tuple[str, ...]:
    """Those of the project's tables that a statement reads, sorted."""
    from sqlglot import exp

    return tuple(sorted({t.name.lower() for t in root.find_all(exp.Table) if is_own_table(t, tables)}))


def columns_named(root: "exp.Expr") -> tuple[str, ...]:
    """The names of columns in a statement, in the order in which they stand; `*` where it takes all of a table."""
    from sqlglot import exp

    found = [(offset_of(c) or 0, c.name) for c in root.find_all(exp.Column) if c.name]
    stars = root.find_all(exp.Star)
    found += [
        (offset_of(s) or 0, "*") for s in stars if not isinstance(s.find_ancestor(exp.Count, exp.Query), exp.Count)
    ]
    return tuple(dict.fromkeys(name for _, name in sorted(found, key=lambda one: one[0])))


def _conditions(table: "exp.Table") -> Iterator["exp.Expr"]:
    """Conditions that every row taken from this table must pass: WHERE of its SELECT, and ON of its own join."""
    from sqlglot import exp

    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if where is not None:
        yield where.this
    join = table.parent
    if isinstance(join, exp.Join) and join.args.get("on") is not None and join.side not in _OUTER:
        yield join.args["on"]


def _mentions(condition: "exp.Expr", column: str, table: "exp.Table") -> bool:
    from sqlglot import exp

    nodes = condition.walk(prune=lambda n: isinstance(n, exp.Query))
    return any(isinstance(n, exp.Column) and n.name.lower() == column and _may_be_of(n, table) for n in nodes)


def _may_be_of(column: "exp.Column", table: "exp.Table") -> bool:
    return not column.table or column.table.lower() in (table.alias.lower(), table.name.lower())


def _terms(condition: "exp.Expr") -> Iterator["exp.Expr"]:
    """The parts of a condition that are joined by AND."""
    from sqlglot import exp

    waiting = [condition]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.And):
            waiting += [node.this, node.expression]
        elif isinstance(node, exp.Paren):
            waiting.append(node.this)
        else:
            yield node


def _compared(term: "exp.Expr", table: "exp.Table") -> set[str] | None:
    """The texts in `cluster_name = 'a'` or `cluster_name IN ('a', 'b')`; None for any other condition."""
    from sqlglot import exp

    if isinstance(term, exp.EQ):
        column, values = term.this, [term.expression]
        if isinstance(column, exp.Literal):
            column, values = term.expression, [term.this]
    elif isinstance(term, exp.In) and term.expressions:
        column, values = term.this, list(term.expressions)
    else:
        return None
    if not (isinstance(column, exp.Column) and column.name.lower() == "cluster_name" and _may_be_of(column, table)):
        return None
    if not all(isinstance(v, exp.Literal) and v.is_string for v in values):
        return None
    return {str(v.this) for v in values}


# The check of SQL that users write, before anything runs: one SELECT, the project's own tables, listed functions.
#
# The text is read into a tree and every node of it is held against the allow-lists of `sql_words.py`; what is not on
# them is refused by name, with its place. This is the layer that explains. The layers that hold without it are in
# `sql_child.py`: the engine's own tree of the same text, a connection that can neither write nor open files, and a
# process that is killed at its limits (docs/sql-clusters.md).


MOST_PROBLEMS = 20
MOST_TABLES = 100
"""Mentions of tables; more than that is no query that a person wrote."""
_STARTS = frozenset({"SELECT", "WITH", "FROM", "(", "VALUES"})
_RESULT: Mapping[int, Text] = {
    1: Text('one column, "#user_id"', '一列 "#user_id"'),
    2: Text('two columns, "#user_id" and the value', '两列，即 "#user_id" 和标签值'),
}


@dataclass(frozen=True, slots=True)
class CheckedSql:
    """SQL that passed the check; `text` gives what may run."""

    sql: str
    """As it was written."""
    project_id: str
    columns: Literal[0, 1, 2]
    """1: a cluster, `#user_id`. 2: a tag, `#user_id` and the value. 0: a query, any columns."""
    clusters: frozenset[str] | None
    """Clusters and tags that it reads by name, exactly as written; None where it may read any of them."""
    parameters: Mapping[str, DayRange]
    tables: tuple[str, ...]
    """The project's tables that it reads, by their short names in lower case."""
    columns_read: tuple[str, ...]
    """Every name of a column in it, of tables or not; `*` where it takes all of them."""
    warnings: tuple[Problem, ...]
    path: str
    """JSON Pointer of the SQL, for findings while it runs."""
    _template: Template = field(repr=False)

    def text(self, today: date) -> str:
        """The statement for a day of the project, without a semicolon, parameters filled in."""
        days = {name: days_of(value, today) for name, value in self.parameters.items()}
        return self._template.filled({name: found for name, found in days.items() if found})


def check_sql(
    sql: str,
    project_id: str,
    *,
    columns: Literal[0, 1, 2],
    parameters: Mapping[str, DayRange] | None = None,
    path: str = "/sql",
    parameters_path: str = "/parameters",
) -> CheckedSql:
    """Check SQL of a cluster (`columns=1`), a tag (`columns=2`) or a query (`columns=0`) of a project (qp.md section 5).

    InvalidDefinition carries all that is wrong with it, each with its place. What only the engine knows (columns, types)
    is found by `sql_run.bind_sql`.
    """
    given = dict(parameters or {})
    problems = list(_unfit(sql, path))
    if problems:
        raise _refused(problems)
    template, problems = read_template(sql, path)
    problems += parameter_problems(template.names, given, parameters_path)
    check = _Check(project_id, columns, path, template)
    problems += check.run()
    if blocking(problems):
        raise _refused(problems)
    return CheckedSql(
        sql,
        project_id,
        columns,
        check.clusters,
        given,
        check.tables,
        check.columns_read,
        tuple(warnings_of(problems)),
        path,
        check.statement,
    )


def _refused(problems: Sequence[Problem]) -> InvalidDefinition:
    return InvalidDefinition(
        Text("The SQL has problems; nothing was run.", "SQL 有问题，没有执行任何语句。"),
        next_step=Text("Mend them and call again.", "请修正后重新调用。"),
        problems=blocking(problems)[:MOST_PROBLEMS] + warnings_of(problems),
    )


def _unfit(sql: str, path: str) -> Iterator[Problem]:
    """What is wrong with the text as a text. DuckDB 1.5 ends a statement at NUL, so control characters are refused."""
    if not sql.strip():
        yield finding("sql_empty", path)
    elif len(sql) > LONGEST:
        yield finding("sql_too_long", path, got=f"{len(sql):,}", limit=f"{LONGEST:,}")
    for offset, character in enumerate(sql[:LONGEST]):
        if (character < " " and character not in "\t\n\r") or "\ud800" <= character <= "\udfff":
            detail = Text(f"it holds the character U+{ord(character):04X}", f"含有字符 U+{ord(character):04X}")
            yield at(finding("sql_invalid", path, detail=detail), place_in(sql, offset))
            break


@dataclass(slots=True)
class _Check:
    """One run over one text; problems are collected in the order of their places."""

    project_id: str
    columns: Literal[0, 1, 2]
    path: str
    statement: Template
    clusters: frozenset[str] | None = frozenset()
    tables: tuple[str, ...] = ()
    columns_read: tuple[str, ...] = ()

    def run(self) -> list[Problem]:
        text = self.statement.filled({})
        try:
            words = words_of(text)
            ends = [word.start for word in words if word.token_type.name == "SEMICOLON"]
            body = [word for word in words if word.start < min(ends, default=len(text))]
            if early := list(self._shape(words, ends, body)):
                return early
            root = tree_of(body, text)
        except NotSql as error:
            return [self._problem("sql_invalid", error.offset, detail=error.why)]
        except OtherStatement as error:
            return [self._problem("sql_construct_refused", error.offset, got=error.word)]
        except TooEntangled:
            return [self._problem("sql_too_deep", limit=MOST_LEVELS)]
        problems = self._of_tree(root, text)
        self.statement = self.statement.cut(min(ends, default=len(text)))
        return problems

    def _shape(self, words: "Sequence[Token]", ends: list[int], body: "Sequence[Token]") -> Iterator[Problem]:
        """What the words alone show: how many statements, of which kind, how deep."""
        if not body:
            yield self._problem("sql_empty")
            return
        if more := next((word for word in words[len(body) :] if word.start not in ends), None):
            yield self._problem("sql_several", more.start, got=more.text)
        if body[0].text.upper() not in _STARTS:
            yield self._problem("sql_not_select", body[0].start, got=body[0].text.upper())
        elif levels(body) > MOST_LEVELS:
            yield self._problem("sql_too_deep", limit=MOST_LEVELS)

    def _of_tree(self, root: "exp.Expr", text: str) -> list[Problem]:
        tables = table_names(self.project_id)
        if count_tables(root) > MOST_TABLES:
            return [self._problem("sql_too_deep", limit=MOST_LEVELS)]
        found = sorted(
            islice(walk(root, text, tables), MOST_PROBLEMS), key=lambda f: len(text) if f.offset is None else f.offset
        )
        problems = [self._of(f) for f in dict.fromkeys(found)]
        if not problems:
            problems += self._of_result(root)
            problems += self._of_data(root)
        return problems

    def _of(self, found: Violation) -> Problem:
        return self._problem(
            found.code,
            found.offset,
            got=found.got,
            expected=found.expected,
            suggestion=found.suggestion,
            **found.values,
        )

    def _of_result(self, root: "exp.Expr") -> Iterator[Problem]:
        """The columns of the result, where the text alone tells them."""
        columns = result_columns(root)
        if columns is None or not self.columns:
            return
        if len(columns) != self.columns:
            yield self._problem(
                "sql_columns", columns[0][1] if columns else None, got=len(columns), expected=_RESULT[self.columns]
            )
        elif columns[0][0].casefold() != "#user_id":
            yield self._problem("sql_id_column", columns[0][1], got=columns[0][0], suggestion='AS "#user_id"')

    def _of_data(self, root: "exp.Expr") -> Iterator[Problem]:
        """Warnings about the reading of events and clusters; notes the tables, columns and clusters that are named."""
        self.tables, self.columns_read = tables_named(root, table_names(self.project_id)), columns_named(root)
        for offset, written in lacks_part_date(root, f"v_event_{self.project_id}".lower()):
            yield self._problem("sql_no_part_date", offset, got=written)
        results = f"user_result_cluster_{self.project_id}".lower()
        self.clusters, unclear = clusters_named(root, results)
        if self.clusters is None:
            yield self._problem("sql_all_clusters", unclear, got=results)

    def _problem(
        self,
        code: str,
        offset: int | None = None,
        *,
        got: object = "",
        expected: object = "",
        suggestion: str = "",
        **values: object,
    ) -> Problem:
        problem = finding(code, self.path, got=got, expected=expected, suggestion=suggestion, **values)
        return problem if offset is None else at(problem, self.statement.place(offset))


def result_words(columns: int) -> Text:
    """What the result of such SQL has, in words."""
    return _RESULT[columns]
