"""The tables of one generation, with their rows in physical order."""

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engine.checking import good_rows
from mcp_server.engine.naming import REQUIRED, ROW
from mcp_server.engine.quoting import identifier
from mcp_server.engine.values import Oddities, Values, instant_of, set_clock
from mcp_server.qp.metadata import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OUT = "generation"
"""Name under which the file that is being built is attached."""


def in_order(values: Values, table: Table) -> list[int]:
    """The positions of the columns as the table has them: the required ones first, the others as in the files."""
    first = [values.position(name) for name in REQUIRED[table]]
    return [*first, *(i for i in range(len(values.readings)) if i not in first)]


def write(connection: "DuckDBPyConnection", values: Values, table: Table, zone: ZoneInfo) -> Oddities:
    """Make the table `events` or `users` of the generation from the good rows of a source."""
    good = good_rows(connection, values.relation, table)
    asked, oddities = set_clock(connection, good, values.readings, zone)
    columns = [
        f"{instant_of(i, values.readings[i], asked)} AS {identifier(values.readings[i].name)}"
        for i in in_order(values, table)
    ]
    if table == "event":
        columns.append(f'"$n" AS {identifier(ROW)}')
    order = '"#event_name", "#event_time", "$row"' if table == "event" else '"#user_id"'
    connection.execute(f"CREATE TABLE {OUT}.{table}s AS SELECT {', '.join(columns)} FROM {good} ORDER BY {order}")
    return oddities


def write_no_events(connection: "DuckDBPyConnection") -> None:
    """An empty table of events, where only users are loaded."""
    connection.execute(
        f'CREATE TABLE {OUT}.events ("#user_id" BIGINT, "#event_name" VARCHAR, "#event_time" TIMESTAMP, {identifier(ROW)} BIGINT)'
    )


def write_users_of_events(connection: "DuckDBPyConnection") -> None:
    """Users without properties: the ids that the events have."""
    connection.execute(f'CREATE TABLE {OUT}.users AS SELECT DISTINCT "#user_id" FROM {OUT}.events ORDER BY "#user_id"')
