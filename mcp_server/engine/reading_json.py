"""Newline-delimited JSON into a table of JSON texts, one column for each key that any object has."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one, rows
from mcp_server.engine.files import is_utf8, not_utf8, without_bom
from mcp_server.engine.quoting import literal
from mcp_server.engine.report import refuse
from mcp_server.engine.staging import JSON, MOST_COLUMNS, Column, Part, Staged, check_names, engine_path, reading
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


_PLACES = 1_000_000
"""More than any object has keys."""


def stage_lines(connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str, temp: Path) -> tuple[Part, ...]:
    """Read the objects of newline-delimited files, in order, into `table(json)`; NULL where a line is no object.

    The row id of the table is the load number. Blank lines are passed over and not counted.
    """
    connection.execute(f"CREATE TEMP TABLE {table} (json JSON)")
    parts: list[Part] = []
    loaded = 0
    for path in paths:
        source = engine_path(without_bom(path, temp))
        with reading(str(path), "newline-delimited JSON"):
            done = one(
                connection,
                f"INSERT INTO {table} SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json END "
                f"FROM read_ndjson_objects({source}, ignore_errors = true)",
            )
        parts.append(Part(str(path), loaded))
        if int(done[0]) and _has_null(connection, table, loaded) and not is_utf8(path):
            raise not_utf8(path)
        loaded += int(done[0])
    return tuple(parts)


def _has_null(connection: "DuckDBPyConnection", table: str, since: int) -> bool:
    return bool(one(connection, f"SELECT count(*) FROM {table} WHERE rowid >= {since} AND json IS NULL")[0])


def keys(connection: "DuckDBPyConnection", json: str, relation: str, order: str) -> list[str]:
    """The keys of all objects that the expression `json` gives over a relation, in order of first appearance.

    `order` is a whole number of the row by which rows come first or later.
    """
    found = rows(
        connection,
        "SELECT key FROM (SELECT unnest(keys) AS key, unnest(range(len(keys))) AS place, n "
        f"FROM (SELECT json_keys({json}) AS keys, {order} AS n FROM {relation})) "
        f"GROUP BY key ORDER BY min(n * {_PLACES} + place) LIMIT {MOST_COLUMNS + 1}",
    )
    return [row[0] for row in found]


def spread(json: str, names: Sequence[str]) -> str:
    """One expression that parses an object once and gives a struct of JSON texts, one field for each key."""
    if not names:
        return "NULL"  # the engine knows no empty struct
    shape = "{" + ", ".join(f'{_json_string(name)}: "JSON"' for name in names) + "}"
    return f"json_transform({json}, {literal(shape)})"


def _json_string(text: str) -> str:
    import json

    return json.dumps(text)


def fields(struct: str, names: Iterable[str]) -> list[str]:
    """The fields of a struct, by name."""
    return [f"struct_extract({struct}, {literal(name)})" for name in names]


def stage_json(connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str, temp: Path) -> Staged:
    """Read newline-delimited JSON files, in order, into `table`."""
    parts = stage_lines(connection, paths, f"{table}_lines", temp)
    names = keys(connection, "json", f"{table}_lines", "rowid")
    if not names:
        raise refuse(
            Text(f"No line of {paths[0]} is a JSON object.", f"{paths[0]} 中没有一行是 JSON 对象。"),
            Text("Write one object on each line.", "请每行写一个对象。"),
        )
    clean = check_names(names, str(paths[0]) if len(paths) == 1 else str(paths[0].parent))
    columns = "".join(f", {sql} AS c{i}" for i, sql in enumerate(fields("object", names)))
    connection.execute(
        f'CREATE TEMP TABLE {table} AS SELECT "$n", "$lost"{columns} FROM '
        f'(SELECT rowid AS "$n", json IS NULL AS "$lost", {spread("json", names)} AS object FROM {table}_lines)'
    )
    connection.execute(f"DROP TABLE {table}_lines")
    return Staged(table, tuple(Column(name, JSON) for name in clean), parts, table=table)
