"""The profile of a generation: its events and properties, counted, for `Metadata`.

One grouped scan of the events, one scan for ends and cardinalities, and one narrow scan for each property with top values.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import identifier
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.language.metadata import Event, Property, Table, ValueCount, ValueType
from mcp_server.language.values import local, show_time
from mcp_server.sources.report import refuse
from mcp_server.sources.rows import SourceValues, in_order
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


TOP = 20
"""Values that are listed."""
MOST_EVENTS = 5000
"""Different event names; ten times what the vendor allows. More is a sign of a wrong column."""
_EXACT_UP_TO = 130_000
"""Estimated cardinality up to which it is counted exactly; leaves room for the estimate's error above 100,000."""
_LONGEST_VALUE = 2000
"""Characters; a definition cannot hold longer texts (qp.md section 1), so they are not listed either."""


class DataColumn(NamedTuple):
    """Name and type of a column."""

    name: str
    type: ValueType
    scale: int | None = None

    @property
    def sql(self) -> str:
        return identifier(self.name)


def columns_of(source: SourceValues | None, table: Table) -> list[DataColumn]:
    """Return the columns of a table in their order; without a source it has only the required ones."""
    if source is not None:
        readings = [source.readings[i] for i in in_order(source, table)]
        return [DataColumn(r.name, r.type, r.scale) for r in readings]
    user_id = DataColumn("#user_id", "number", 0)
    return (
        [user_id, DataColumn("#event_name", "string"), DataColumn("#event_time", "time")]
        if table == "event"
        else [user_id]
    )


class _Ends(NamedTuple):
    """The smallest and largest value, and the number of different ones."""

    low: str = ""
    high: str = ""
    distinct: int = 0


def profile_events(
    connection: "DuckDBPyConnection", database: str, columns: Sequence[DataColumn], zone: ZoneInfo, unknown_users: int
) -> tuple[tuple[Event, ...], tuple[Property, ...]]:
    """Return events (by name) and their properties (in column order) of `database`.events."""
    table = f"{database}.events"
    (count,) = one(connection, f'SELECT count(DISTINCT "#event_name") FROM {table}')
    if count > MOST_EVENTS:
        raise refuse(
            Text(
                f"There are {count:,} different event names; at most {MOST_EVENTS:,} are taken.",
                f"事件名共有 {count:,} 种，最多支持 {MOST_EVENTS:,} 种。",
            ),
            Text(
                "Check which column is #event_name (--map event_name=…); what varies belongs in properties.",
                "请检查 #event_name 对应的列（--map event_name=…）；会变化的内容应放进属性。",
            ),
        )
    sql = "".join(f", count({column.sql})" for column in columns)
    grouped = rows(
        connection,
        f'SELECT "#event_name", count(*), count(DISTINCT "#user_id"), min("#event_time"), max("#event_time"){sql} '
        f'FROM {table} GROUP BY "#event_name" ORDER BY "#event_name"',
    )
    users = {row[0]: int(row[2]) for row in grouped}
    if unknown_users:
        users = dict.fromkeys(users, 0) | dict(
            rows(
                connection,
                f'SELECT "#event_name", count(DISTINCT "#user_id") FROM {table} SEMI JOIN {database}.users USING ("#user_id") GROUP BY 1',
            )
        )
    events = tuple(
        Event(name=row[0], count=row[1], users=users[row[0]], first=_time(row[3], zone), last=_time(row[4], zone))
        for row in grouped
    )
    carriers = {c.name: [row for row in grouped if row[5 + i]] for i, c in enumerate(columns)}
    values = {c.name: sum(row[5 + i] for row in grouped) for i, c in enumerate(columns)}
    properties = []
    for p in _properties(connection, table, "event", columns, zone, values):
        total = sum(row[1] for row in carriers[p.name])
        null_share = 1 - values[p.name] / total if total else 1.0
        names = tuple(row[0] for row in carriers[p.name])
        properties.append(p.model_copy(update={"events": names, "null_share": null_share}))
    return events, tuple(properties)


def profile_users(
    connection: "DuckDBPyConnection", database: str, columns: Sequence[DataColumn], zone: ZoneInfo
) -> tuple[Property, ...]:
    """Return properties (in column order) of `database`.users."""
    table = f"{database}.users"
    counted = one(connection, f"SELECT count(*){''.join(f', count({column.sql})' for column in columns)} FROM {table}")
    values = {column.name: int(n) for column, n in zip(columns, counted[1:], strict=True)}
    properties = _properties(connection, table, "user", columns, zone, values)
    total = int(counted[0])
    return tuple(p.model_copy(update={"null_share": 1 - values[p.name] / total if total else 1.0}) for p in properties)


def _properties(
    connection: "DuckDBPyConnection",
    table: str,
    of: Table,
    columns: Sequence[DataColumn],
    zone: ZoneInfo,
    values: Mapping[str, int],
) -> list[Property]:
    ends = _ends(connection, table, [c for c in columns if values[c.name]], zone)
    properties: list[Property] = []
    for column in columns:
        end = ends.get(column.name, _Ends())
        top, distinct = _top(connection, table, column, end.distinct) if values[column.name] else ((), 0)
        properties.append(
            Property(table=of, **column._asdict(), distinct=distinct, top=top, low=end.low, high=end.high)
        )
    return properties


def _ends(
    connection: "DuckDBPyConnection", table: str, columns: Sequence[DataColumn], zone: ZoneInfo
) -> dict[str, _Ends]:
    """Return ends and cardinality of the columns that have any; small cardinalities are counted exactly."""
    plain = [c for c in columns if c.type in ("number", "time", "string")]
    if not plain:
        return {}
    sql = ", ".join(
        f"approx_count_distinct({c.sql}), " + ("NULL, NULL" if c.type == "string" else f"min({c.sql}), max({c.sql})")
        for c in plain
    )
    row = one(connection, f"SELECT {sql} FROM {table}")
    estimates = {c.name: int(row[3 * i]) for i, c in enumerate(plain)}
    # Strings are counted with their top values.
    few = [c for c in plain if c.type != "string" and estimates[c.name] <= _EXACT_UP_TO]
    if few:
        exact = one(connection, f"SELECT {', '.join(f'count(DISTINCT {c.sql})' for c in few)} FROM {table}")
        estimates |= {c.name: int(n) for c, n in zip(few, exact, strict=True)}
    return {
        c.name: _Ends(_shown(row[3 * i + 1], zone), _shown(row[3 * i + 2], zone), estimates[c.name])
        for i, c in enumerate(plain)
    }


def _top(
    connection: "DuckDBPyConnection", table: str, column: DataColumn, estimate: int
) -> tuple[tuple[ValueCount, ...], int]:
    """Return the most frequent values, most frequent first and then by value, and the number of different ones."""
    if column.type in ("number", "time"):
        return (), estimate
    value = f"unnest(list_distinct({column.sql}))" if column.type == "list" else f"CAST({column.sql} AS VARCHAR)"
    groups = f"SELECT value, count(*) AS n FROM (SELECT {value} AS value FROM {table}) WHERE value IS NOT NULL GROUP BY value"
    total = str(estimate) if estimate > _EXACT_UP_TO else "count(*) OVER ()"
    top = rows(
        connection,
        f"SELECT value, n, total FROM (SELECT value, n, {total} AS total FROM ({groups})) "
        f"WHERE length(value) <= {_LONGEST_VALUE} ORDER BY n DESC, value LIMIT {TOP}",
    )
    return tuple(ValueCount(value, n) for value, n, _ in top), top[0][2] if top else estimate


def _time(moment: datetime | None, zone: ZoneInfo) -> str:
    return show_time(local(moment, zone)) if moment is not None else ""


def _shown(value: object, zone: ZoneInfo) -> str:
    """Return a number as JSON writes it, a time as local time."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _time(value, zone)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return repr(value).removesuffix(".0")
