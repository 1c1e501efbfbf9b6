"""Every node of a parsed statement against the allow-lists of `sql_words.py`."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mcp_server.engine.sql_words import CONSTRUCTS, FUNCTIONS, HINTS, PADDING, PREFIXES, WIDTH_LIMIT
from mcp_server.qp.suggest import nearest
from mcp_server.text import NOTHING, Text, listed

if TYPE_CHECKING:
    from sqlglot import exp

_KEYWORDS = {"historicaldata": "AT", "lock": "FOR UPDATE"}
_SESSION = frozenset(
    {"current_catalog", "current_database", "current_role", "current_schema", "current_time", "session_user"}
)
"""Words that are functions without brackets to the engine and columns to the parser."""
_PARAMETERS = frozenset({"placeholder", "parameter", "sessionparameter", "positionalcolumn"})


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is not allowed: the code of its problem, and where it stands."""

    code: str
    offset: int | None
    got: str
    expected: Text = NOTHING
    suggestion: str = ""
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), compare=False)


def walk(root: "exp.Expr", text: str, tables: Collection[str]) -> Iterator[Found]:
    """Everything in a statement that is not allowed; `tables` are the tables of the project."""
    from sqlglot import exp

    top = unwrapped(root)
    if not isinstance(top, exp.Select | exp.SetOperation):
        yield Found("sql_not_select", offset_of(top), top.key.upper())
        return
    for node in root.walk():
        if isinstance(node, exp.Table):
            yield from _of_table(node, text, tables)
        elif isinstance(node, exp.With) and node.recursive:
            yield Found("sql_recursive", offset_of(node), "WITH RECURSIVE")
        elif node.key in _PARAMETERS:
            yield Found("sql_parameter_refused", offset_of(node), f"${node.name}" if node.name else "?")
        elif isinstance(node, exp.Column) and _is_session_word(node):
            yield Found("sql_function_refused", offset_of(node), node.name.lower(), values={"hint": NOTHING})
        elif isinstance(node, exp.Func):
            if not (isinstance(node.parent, exp.Table) and node.arg_key == "this"):
                yield from _of_function(node, text)
        elif node.key not in CONSTRUCTS:
            yield Found("sql_construct_refused", offset_of(node), _KEYWORDS.get(node.key, node.key.upper()))


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


def _of_table(table: "exp.Table", text: str, tables: Collection[str]) -> Iterator[Found]:
    from sqlglot import exp

    known = listed(sorted(tables))
    if isinstance(table.this, exp.Func):
        yield Found("sql_table_function", offset_of(table), _written(table.this, text), known)
        return
    plain = isinstance(table.this, exp.Identifier)
    given = _named_before(table)
    if plain and (is_own_table(table, tables) or (not table.db and table.name.lower() in given)):
        return
    written = ".".join(part for part in (table.catalog, table.db, table.name) if part)
    close = nearest(written, [*tables, *given]) if plain else ""
    yield Found("sql_table_unknown", offset_of(table), written, known, close)


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


def _of_function(node: "exp.Func", text: str) -> Iterator[Found]:
    name = _written(node, text)
    if name in PADDING:
        if not _is_small(node):
            yield Found("sql_function_size", offset_of(node), name, values={"limit": f"{WIDTH_LIMIT:,}"})
        return
    if "start" in node.meta or node.key == "anonymous":
        allowed = name in FUNCTIONS
    else:  # a form of its own, such as CAST(x AS y), or a function whose place the parser does not keep
        allowed = node.key in CONSTRUCTS or any(n.lower() in FUNCTIONS for n in node.sql_names())
    if not allowed:
        yield _refused_function(node, name)


def _refused_function(node: "exp.Func", name: str) -> Found:
    hint = HINTS.get(name)
    if hint is None:
        close = nearest(name, sorted(FUNCTIONS), least=0.85)
        return Found("sql_function_refused", offset_of(node), name, suggestion=close, values={"hint": NOTHING})
    return Found("sql_function_refused", offset_of(node), name, values={"hint": Text(f" {hint.en}", hint.zh)})


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
