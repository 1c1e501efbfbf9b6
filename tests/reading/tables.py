"""A world as the engine sees it: two tables in DuckDB, members in Parquet files, and metadata."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from mcp_server.engines.dialect import Tables, identifier, literal
from mcp_server.language.metadata import Event, Metadata, Property, ValueType
from mcp_server.plan.plan import ClusterSource
from tests.reading.worlds import Column, Crowd, World

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
    known = Metadata(project_id="1", zone=world.zone, today=world.today, events=events, properties=tuple(found))
    return known.with_clusters(tuple(map(_cluster, world.crowds)))


def _cluster(crowd: Crowd) -> Property:
    dates = tuple(sorted(day for day in crowd.versions if day))
    if crowd.column is None:
        return Property(table="cluster", name=crowd.name, type="cluster", dates=dates)
    found = _property("cluster", crowd.column)
    return found.model_copy(update={"name": crowd.name, "dates": dates})


def _property(table: Any, column: Column) -> Property:
    places = int(column.sql.rstrip(")").split(",")[1]) if column.kind == "decimal" else None
    scale = 0 if column.kind == "whole" else places
    return Property(table=table, name=column.name, type=_TYPES[column.kind], scale=scale)


def fill(connection: duckdb.DuckDBPyConnection, world: World, folder: Path | None = None) -> None:
    """Make the tables `users` and `events` anew, and, in a folder, the members files of the clusters and tags."""
    number = Column("$row", "whole", "BIGINT")
    _table(connection, "users", world.columns["user"], world.users)
    _table(connection, "events", [*world.columns["event"], number], world.events)
    for place, crowd in enumerate(world.crowds if folder else ()):
        for day, members in crowd.versions.items():
            columns = [Column("user_id", "whole", "BIGINT")]
            columns += [replace(crowd.column, name="value")] if crowd.column else []
            rows = [{"user_id": user, "value": value} for user, value in members.items()]
            _table(connection, "members", columns, rows)
            connection.execute(f"COPY members TO {literal(str(_members(folder, place, day)))} (FORMAT parquet)")


def _members(folder: Path | None, place: int, day: str) -> Path:
    assert folder is not None, "clusters need a folder"
    return folder / f"{place}_{day}.parquet"


def forms_of(world: World, clusters: Sequence[ClusterSource] = (), folder: Path | None = None) -> list[Tables]:
    """What `fill` made, with the members of these clusters in their order.

    Where no event is of an unknown id there is a second form, which says so.
    """
    places = {crowd.name: place for place, crowd in enumerate(world.crowds)}
    paths = [_members(folder, places[source.name], source.day) for source in clusters]
    tables = Tables(members=tuple(f"read_parquet({literal(str(path))})" for path in paths))
    known = {user["#user_id"] for user in world.users}
    complete = all(event["#user_id"] in known for event in world.events)
    return [tables, replace(tables, users_complete=True)] if complete else [tables]


def _table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> None:
    shape = ", ".join(f"{identifier(c.name)} {c.sql}" for c in columns)
    connection.execute(f"CREATE OR REPLACE TABLE {name} ({shape})")
    if rows:
        one = "(" + ", ".join(f"CAST(? AS {c.sql})" for c in columns) + ")"
        values = [row[c.name] for row in rows for c in columns]
        connection.execute(f"INSERT INTO {name} VALUES {', '.join([one] * len(rows))}", values)
