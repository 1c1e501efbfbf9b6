"""The tables that SQL of users sees: the project's data under the vendor's names, in a connection that is closed off.

Times are stored as instants and shown as local time of the project, as on the vendor's platform. Local time comes from
Python's zone data as everywhere else, so a day of `"$part_date"` is the day of every window (qp.md section 2).
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import ROW, identifier, literal
from mcp_server.engines.duckdb.connection import WHOLE_TYPES, columns_of, connect, parquet
from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest
from mcp_server.engines.duckdb.zones import Clock, clock, years_of
from mcp_server.engines.trino import macros_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


DATA = "project_data"
"""Name under which the data file is attached, read-only."""
_HOME = "hive.ta"
_RESULT_COLUMNS = (
    'cluster_name VARCHAR, "#user_id" BIGINT, tag_value VARCHAR, tag_value_num DOUBLE, tag_value_tm TIMESTAMP'
)


def open_project(request: SqlRequest) -> "DuckDBPyConnection":
    """Open a connection that shows the project's tables and can do nothing else.

    The data file is attached read-only; clusters are copied in while files can still be opened; then external access is
    switched off, the configuration is locked, and a read-only transaction begins. duckdb.Error: a file can't be read.
    """
    connection = connect(None, threads=request.threads, memory_limit=f"{request.memory}B", keep_order=False)
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
    moment = times.to_local('"#event_time"')
    extra = [f'CAST(CAST({moment} AS DATE) AS VARCHAR) AS "$part_date"', '"#event_name" AS "$part_event"']
    connection.execute(f"CREATE VIEW {identifier(f'v_event_{name}')} AS {_select(connection, 'events', times, extra)}")
    table = identifier(f"user_result_cluster_{name}")
    connection.execute(f"CREATE TABLE {table} ({_RESULT_COLUMNS})")
    for cluster, path in [] if request.only_bind else request.clusters:
        connection.execute(f"INSERT INTO {table} {_members(connection, cluster, path, zone)}")


def _select(connection: "DuckDBPyConnection", table: str, times: Clock, extra: Sequence[str]) -> str:
    """Return all columns of a table, times as local time, without the load number of rows."""
    shown = [
        f"{times.to_local(identifier(column))} AS {identifier(column)}" if kind == "TIMESTAMP" else identifier(column)
        for column, kind in columns_of(connection, f"{DATA}.{table}").items()
        if column not in (ROW, "$part_date", "$part_event")
    ]
    return f"SELECT {', '.join([*shown, *extra])} FROM {DATA}.{table}"


def _members(connection: "DuckDBPyConnection", cluster: str, path: str, zone: ZoneInfo) -> str:
    """Return the members of a cluster or tag as rows of `user_result_cluster`; a value also by its own type."""
    source = parquet(Path(path))
    kind = columns_of(connection, source).get("value", "")
    shown = ["NULL", "NULL", "NULL"]
    if kind == "TIMESTAMP":
        value = clock(zone, years_of(connection, source, ["value"])).to_local("value")
        shown = [f"strftime({value}, '%Y-%m-%d %H:%M:%S')", "NULL", value]
    elif kind:
        number = kind in WHOLE_TYPES | {"FLOAT", "DOUBLE"} or kind.startswith("DECIMAL")
        shown = ["CAST(value AS VARCHAR)", "value" if number else "NULL", "NULL"]
    return f"SELECT {literal(cluster)}, user_id, {', '.join(shown)} FROM {source}"


def _clock(connection: "DuckDBPyConnection", zone: ZoneInfo) -> Clock:
    """Return the zone's clock in all years that the data has."""
    years: set[int] = set()
    for table in ("events", "users"):
        relation = f"{DATA}.{table}"
        times = [identifier(name) for name, kind in columns_of(connection, relation).items() if kind == "TIMESTAMP"]
        years |= years_of(connection, relation, times)
    return clock(zone, years)
