"""What a checked statement reads: events without a filter on their day, and clusters by name."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from mcp_server.engine.sql_walk import is_own_table, offset_of

if TYPE_CHECKING:
    from sqlglot import exp

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
