"""The tables that SQL of users sees: the project's data under the vendor's names, in a connection that is closed off.

Times are stored as instants and shown as local time of the project, as on the vendor's platform. Local time comes from
Python's zone data as everywhere else, so a day of `"$part_date"` is the day of every window (qp.md section 2).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import identifier, literal
from mcp_server.engines.duckdb.connection import one, rows, silence
from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest
from mcp_server.engines.trino import macros_sql
from mcp_server.engines.zones import Clock, ClockChange, clock

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


DATA = "project_data"
"""Name under which the data file is attached, read-only."""
_ROW = "$row"  # `naming.ROW`, whose imports would double the start of the process
_HOME = "hive.ta"
_MOST_YEARS = 300
_RESULT_COLUMNS = (
    'cluster_name VARCHAR, "#user_id" BIGINT, tag_value VARCHAR, tag_value_num DOUBLE, tag_value_tm TIMESTAMP'
)
_WHOLE_OR_REAL = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")


def open_project(request: SqlRequest) -> "DuckDBPyConnection":
    """A connection that shows the project's tables and can do nothing else.

    The data file is attached read-only; clusters are copied in while files can still be opened; then external access is
    switched off, the configuration is locked, and a read-only transaction begins. duckdb.Error: a file can't be read.
    """
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": str(request.threads),
            "memory_limit": f"{request.memory}B",
            "temp_directory": "",
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    silence(connection)
    connection.execute(f"SET TimeZone = {literal(request.zone)}")
    connection.execute(f"ATTACH {literal(request.data)} AS {DATA} (READ_ONLY)")
    connection.execute(f"ATTACH ':memory:' AS hive; CREATE SCHEMA {_HOME}; USE {_HOME}")
    _show(connection, request)
    for setting in ("enable_external_access = false", "lock_configuration = true"):
        connection.execute(f"SET {setting}")
    connection.execute("BEGIN TRANSACTION READ ONLY")
    return connection


def _show(connection: "DuckDBPyConnection", request: SqlRequest) -> None:
    zone = ZoneInfo(request.zone)
    times = _clock(connection, zone)
    day = literal(date.fromisoformat(request.today))
    connection.execute(f"CREATE MACRO today() AS {day}; CREATE MACRO current_date() AS {day}; {macros_sql()}")
    name = request.project_id
    connection.execute(f"CREATE VIEW {identifier(f'v_user_{name}')} AS {_select(connection, 'users', times, [])}")
    moment = local_sql('"#event_time"', times)
    extra = [f'CAST(CAST({moment} AS DATE) AS VARCHAR) AS "$part_date"', '"#event_name" AS "$part_event"']
    connection.execute(f"CREATE VIEW {identifier(f'v_event_{name}')} AS {_select(connection, 'events', times, extra)}")
    table = identifier(f"user_result_cluster_{name}")
    connection.execute(f"CREATE TABLE {table} ({_RESULT_COLUMNS})")
    for cluster, path in [] if request.only_bind else request.clusters:
        connection.execute(f"INSERT INTO {table} {_members(connection, cluster, path, zone)}")


def _select(connection: "DuckDBPyConnection", table: str, times: Clock, extra: Sequence[str]) -> str:
    """All columns of a table, times as local time, without the load number of rows."""
    shown = [
        f"{local_sql(identifier(column), times)} AS {identifier(column)}" if kind == "TIMESTAMP" else identifier(column)
        for column, kind in _columns(connection, f"{DATA}.{table}")
        if column not in (_ROW, "$part_date", "$part_event")
    ]
    return f"SELECT {', '.join([*shown, *extra])} FROM {DATA}.{table}"


def _columns(connection: "DuckDBPyConnection", relation: str) -> list[tuple[str, str]]:
    return [(str(row[0]), str(row[1])) for row in rows(connection, f"DESCRIBE FROM {relation}")]


def _members(connection: "DuckDBPyConnection", cluster: str, path: str, zone: ZoneInfo) -> str:
    """The members of a cluster or tag as rows of `user_result_cluster`; a value also by its own type."""
    source = f"read_parquet({literal(path)})"
    kind = dict(_columns(connection, source)).get("value", "")
    value = "value"
    if kind == "TIMESTAMP":
        value = local_sql("value", clock(zone, years_of(connection, source, ["value"])))
    texts = f"strftime({value}, '%Y-%m-%d %H:%M:%S')" if kind == "TIMESTAMP" else f"CAST({value} AS VARCHAR)"
    number = value if kind.startswith(_WHOLE_OR_REAL) else "NULL"
    moment = value if kind == "TIMESTAMP" else "NULL"
    shown = (texts, number, moment) if kind else ("NULL", "NULL", "NULL")
    return f"SELECT {literal(cluster)}, user_id, {', '.join(shown)} FROM {source}"


# -- local time -----------------------------------------------------------------------------------------------------------


def _clock(connection: "DuckDBPyConnection", zone: ZoneInfo) -> Clock:
    """The zone's clock in all years that the data has."""
    years: set[int] = set()
    for table in ("events", "users"):
        relation = f"{DATA}.{table}"
        times = [identifier(name) for name, kind in _columns(connection, relation) if kind == "TIMESTAMP"]
        years |= years_of(connection, relation, times)
    return clock(zone, years)


def years_of(connection: "DuckDBPyConnection", relation: str, columns: Sequence[str]) -> set[int]:
    """The years (UTC) in which columns of instants have values; all between first and last unless those are far apart."""
    if not columns:
        return set()
    ends = one(connection, f"SELECT {', '.join(f'year(min({c})), year(max({c}))' for c in columns)} FROM {relation}")
    years: set[int] = set()
    for i, column in enumerate(columns):
        low, high = ends[2 * i : 2 * i + 2]
        if low is None:
            continue
        if high - low < _MOST_YEARS:
            years.update(range(low - 1, high + 2))
        else:
            found = rows(connection, f"SELECT DISTINCT year({column}) FROM {relation} WHERE {column} IS NOT NULL")
            years.update(year + step for (year,) in found for step in (-1, 0, 1))
    return years


def local_sql(instant: str, times: Clock) -> str:
    """SQL: the local time of a column of instants."""
    return f"({instant} + to_seconds({_offset(instant, times.first_offset, times.changes)}))"


def _offset(instant: str, first: int, changes: Sequence[ClockChange]) -> str:
    """Seconds east of UTC at an instant, as a search tree of CASEs."""
    if not changes:
        return str(first)
    middle = len(changes) // 2
    change = changes[middle]
    return (
        f"CASE WHEN {instant} < {literal(_moment(change))} THEN {_offset(instant, first, changes[:middle])} "
        f"ELSE {_offset(instant, change.after, changes[middle + 1 :])} END"
    )


def _moment(change: ClockChange) -> datetime:
    """The instant of a clock change; its threshold is the local time that ends the gap or the repetition."""
    return change.threshold - timedelta(seconds=max(change.before, change.after))
