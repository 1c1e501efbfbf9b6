"""A world as the engine sees it: two tables in DuckDB, and metadata."""

from collections.abc import Sequence
from typing import Any

import duckdb

from mcp_server.engine.quoting import identifier
from mcp_server.qp.metadata import Event, Metadata, Property, ValueType
from tests.reading.worlds import Column, World

_TYPES: dict[str, ValueType] = {
    "string": "string",
    "whole": "number",
    "double": "number",
    "decimal": "number",
    "bool": "bool",
    "time": "time",
    "list": "list",
}


def metadata_of(world: World) -> Metadata:
    found = [_property(table, column) for table, columns in world.columns.items() for column in columns]
    events = tuple(Event(name=name) for name in world.names)
    return Metadata(project_id="1", zone=world.zone, today=world.today, events=events, properties=tuple(found))


def _property(table: Any, column: Column) -> Property:
    places = int(column.sql.rstrip(")").split(",")[1]) if column.kind == "decimal" else None
    scale = 0 if column.kind == "whole" else places
    return Property(table=table, name=column.name, type=_TYPES[column.kind], scale=scale)


def fill(connection: duckdb.DuckDBPyConnection, world: World) -> None:
    """Make the tables `users` and `events` anew."""
    number = Column("$row", "whole", "BIGINT")
    _table(connection, "users", world.columns["user"], world.users)
    _table(connection, "events", [*world.columns["event"], number], world.events)


def _table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> None:
    shape = ", ".join(f"{identifier(c.name)} {c.sql}" for c in columns)
    connection.execute(f"CREATE OR REPLACE TABLE {name} ({shape})")
    if rows:
        one = "(" + ", ".join(f"CAST(? AS {c.sql})" for c in columns) + ")"
        values = [row[c.name] for row in rows for c in columns]
        connection.execute(f"INSERT INTO {name} VALUES {', '.join([one] * len(rows))}", values)
