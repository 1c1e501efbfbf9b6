"""From a tag's plan to one SQL statement: one SELECT of (user_id, value), each user at most once, no value null."""

from mcp_server.engine.dialect import SHOWN, Dialect, Tables
from mcp_server.engine.emit import MaskWriter
from mcp_server.engine.emit_rows import RowWriter
from mcp_server.engine.plan import EventRows, MeasureTag, TagPlan, TakenTag, ValuesTag


def tag_sql(plan: TagPlan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """The users of the user table that a tag reaches, with their values (qp.md section 5).

    Values are VARCHAR for a tag of values, the property's own type for first and last; counts are BIGINT, exact
    columns stay exact (a median has one place more), everything else is a DOUBLE rounded to 9 places.
    """
    if isinstance(plan, ValuesTag):
        return _values(plan, dialect, tables)
    writer = RowWriter(dialect, tables)
    return _taken(plan, writer) if isinstance(plan, TakenTag) else _measured(plan, writer)


def _values(plan: ValuesTag, dialect: Dialect, tables: Tables) -> str:
    """The bits of all definitions at once; of those that select a user, the first gives the value."""
    writer = MaskWriter(plan.plan, dialect, tables)
    cases = " ".join(f"WHEN {writer.tree(tree)} THEN {dialect.literal(text)}" for text, tree in plan.values)
    return writer.selected(f"user_id, CASE {cases} END AS value")


def _taken(plan: TakenTag, writer: RowWriter) -> str:
    """The value of one row per user, the first or last by time and load number; a missing value in it is no value."""
    time, row = (f"e.{writer.dialect.identifier(name)}" for name in ("#event_time", "$row"))
    turn = writer.dialect.call("turn", time=time, row=row)
    value = writer.dialect.call("first" if plan.first else "last", column=writer.column(plan.column), turn=turn)
    return _grouped(value, plan.rows, writer, with_user=plan.column.table == "user")


def _measured(plan: MeasureTag, writer: RowWriter) -> str:
    """A measure per user; one without any value is no value."""
    return _grouped(_measure(plan, writer), plan.rows, writer, with_user=False)


def _grouped(value: str, rows: EventRows, writer: RowWriter, *, with_user: bool) -> str:
    """One group per user of the user table."""
    user_id = f"e.{writer.user_id}"
    inner = [
        f"SELECT {user_id} AS user_id, {value} AS value",
        *_known_rows(rows, writer, with_user=with_user),
        f"GROUP BY {user_id}",
    ]
    lines = "\n".join("  " + line for line in inner)
    return f"SELECT user_id, value\nFROM (\n{lines}\n) AS valued\nWHERE value IS NOT NULL"


def _known_rows(rows: EventRows, writer: RowWriter, *, with_user: bool) -> list[str]:
    """The rows of users of the user table."""
    lines = writer.from_rows(rows, with_user=with_user)
    if writer.tables.users_complete:
        return lines
    joint = "  AND" if any(line.startswith("WHERE ") for line in lines) else "WHERE"
    return [*lines, f"{joint} {writer.known_user(f'e.{writer.user_id}')}"]


def _measure(plan: MeasureTag, writer: RowWriter) -> str:
    call = writer.dialect.call
    column = writer.column(plan.column) if plan.column else ""
    if plan.word == "AVG":
        return call("rounded", value=call("AVG", column=column))
    value = writer.measure(plan.word, column, plan.scale)
    if plan.scale is None or plan.word not in ("SUM", "MEDIAN"):
        return value
    exact = call("exact", value=value) if plan.scale == 0 else value
    return exact if plan.word == "SUM" else call("half", value=exact, scale=plan.scale + 1)
