"""From the rows of users' SQL to members: what the columns may be, what is dropped and counted, how members are sent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import LARGE_TYPES, WHOLE_TYPES, columns_of, one
from mcp_server.engines.duckdb.sandbox.pipe import Finding, SqlRequest
from mcp_server.engines.duckdb.sandbox.views import DATA
from mcp_server.engines.duckdb.zones import FIRST, LAST, clock, years_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


LONGEST_VALUE = 2000
"""Characters of a tag's value: what a definition can compare with (qp.md section 1)."""
_WHOLE = WHOLE_TYPES | LARGE_TYPES
_TEXT = frozenset({"VARCHAR", "UUID", '"NULL"', "NULL", "JSON"})
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
_INSTANT = "TIMESTAMP WITH TIME ZONE"
_UTC = "timezone('UTC', value)"
_DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")
_LINES = {1: 20_000, 2: 2_000}
"""Lines of one chunk on their way out, by the number of columns."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement returns."""

    names: tuple[str, ...]
    types: tuple[str, ...]

    def findings(self, columns: int) -> Iterator[Finding]:
        """Yield what does not fit a cluster (one column) or a tag (two); a query (0) may return anything."""
        if not columns:
            return
        if len(self.names) != columns:
            yield {"code": "sql_columns", "got": len(self.names)}
            return
        if self.names[0].casefold() != "#user_id":
            yield {"code": "sql_id_column", "got": self.names[0]}
        if self.types[0] not in _WHOLE | {'"NULL"', "NULL"}:
            yield {"code": "sql_id_type", "got": self.types[0]}
        if columns > 1 and not (self.value_type() or self.types[1] in _TIMES | {_INSTANT}):
            yield {"code": "sql_value_type", "got": self.types[1]}

    def value_type(self) -> str:
        """Return the type in which the value is kept, other than a time; "" for a type that no value has."""
        kind = self.types[1]
        if kind in _WHOLE:
            return "BIGINT"
        if kind in ("FLOAT", "DOUBLE"):
            return "DOUBLE"
        if kind in _TEXT or kind.startswith("ENUM("):
            return "VARCHAR"
        return kind if kind == "BOOLEAN" or _DECIMAL.fullmatch(kind) else ""


def shape_of(connection: "DuckDBPyConnection", sql: str) -> Shape:
    """Return names and types of the columns; the statement is bound, not run. duckdb.Error: it cannot be."""
    description = connection.execute(f"SELECT * FROM (\n{sql}\n) LIMIT 0").description or []
    return Shape(tuple(str(column[0]) for column in description), tuple(str(column[1]) for column in description))


def collect(connection: "DuckDBPyConnection", request: SqlRequest, shape: Shape) -> None:
    """Run the statement into a temporary table, at most one row more than allowed."""
    names = "user_id, value" if request.columns > 1 else "user_id"
    shown = f"user_id, {_kept(shape)} AS value" if request.columns > 1 else "user_id"
    connection.execute(
        f"CREATE TEMP TABLE collected AS SELECT {shown} FROM (\n{request.sql}\n) AS statement({names}) LIMIT {request.rows + 1}"
    )


def _kept(shape: Shape) -> str:
    """Return SQL of the value as it is kept; NaN and infinities are no values. Times are still local."""
    kind = shape.types[1]
    if kind == _INSTANT:
        return f"CASE WHEN isfinite(value) THEN {_within(_UTC)} END"
    if kind in _TIMES:
        return f"CASE WHEN isfinite(value) THEN {_within('CAST(value AS TIMESTAMP)')} END"
    if shape.value_type() == "DOUBLE":
        return "CASE WHEN isfinite(value) THEN CAST(value AS DOUBLE) END"
    return f"CAST(value AS {shape.value_type()})"


def _within(moment: str) -> str:
    return f"least(greatest({moment}, {literal(FIRST)}), {literal(LAST)})"


def reduce(connection: "DuckDBPyConnection", request: SqlRequest, shape: Shape) -> tuple[dict[str, int], list[Finding]]:
    """Make the members from what was collected; return the counts of what was dropped, and what is wrong with values.

    Every collected row is counted once: without an id, without a value, an id that no user has, a further row of a user.
    """
    tag = request.columns > 1
    value = _instants(connection, request, shape) if tag else "NULL"
    connection.execute(
        f"CREATE TEMP TABLE members AS SELECT CAST(user_id AS BIGINT) AS user_id, count(*) AS n, "
        f"min({value}) AS value, max({value}) AS other "
        f'FROM collected SEMI JOIN {DATA}.users AS u ON user_id = u."#user_id" {"WHERE value IS NOT NULL" if tag else ""} GROUP BY 1'
    )
    missing = "count(*) FILTER (user_id IS NOT NULL AND value IS NULL)" if tag else "0"
    total, null_ids, null_values = one(
        connection, f"SELECT count(*), count(*) FILTER (user_id IS NULL), {missing} FROM collected"
    )
    users, known = one(connection, "SELECT count(*), coalesce(sum(n), 0) FROM members")
    counts = {
        "rows": int(total),
        "users_num": int(users),
        "null_ids": int(null_ids),
        "null_values": int(null_values),
        "unknown_ids": int(total - null_ids - null_values - known),
        "repeated_ids": int(known - users),
    }
    return counts, list(_value_findings(connection)) if tag else []


def _instants(connection: "DuckDBPyConnection", request: SqlRequest, shape: Shape) -> str:
    """Return SQL of the value; a local time as an instant, as times are stored (qp.md section 2)."""
    if shape.types[1] not in _TIMES:
        return "value"
    years = years_of(connection, "collected", ["value"])
    return clock(ZoneInfo(request.zone), years).to_instant("value", "NULL")


def _value_findings(connection: "DuckDBPyConnection") -> Iterator[Finding]:
    count, example = one(
        connection,
        "SELECT count(*), min_by(user_id || ': ' || left(CAST(value AS VARCHAR), 50) || ', ' || left(CAST(other AS VARCHAR), 50), user_id) "
        "FROM members WHERE value <> other",
    )
    if count:
        yield {"code": "sql_two_values", "got": example, "count": int(count)}
    (longest,) = one(connection, "SELECT max(length(CAST(value AS VARCHAR))) FROM members")
    if longest is not None and longest > LONGEST_VALUE:
        yield {"code": "sql_value_long", "got": int(longest), "limit": LONGEST_VALUE}


def kept_type(connection: "DuckDBPyConnection") -> str:
    """Return the type of the members' values."""
    return columns_of(connection, "members")["value"]


def chunks(connection: "DuckDBPyConnection", columns: int) -> Iterator[bytes]:
    """Yield the members as lines: the id, and after a comma the value's text in base64 (so that no value breaks a line)."""
    line = "CAST(user_id AS VARCHAR)"
    if columns > 1:
        line += " || ',' || to_base64(encode(CAST(value AS VARCHAR)))"
    cursor = connection.execute(
        f"SELECT string_agg({line}, chr(10)) || chr(10) FROM members GROUP BY rowid // {_LINES[columns]}"
    )
    while row := cursor.fetchone():
        yield str(row[0]).encode("ascii")
