"""Readers of CSV, newline-delimited JSON and Parquet."""

from collections.abc import Iterable, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.engines.dialect import identifier, literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.sources.base import (
    JSON,
    MOST_COLUMNS,
    TEXT,
    FileRows,
    SourceColumn,
    Staged,
    check_names,
    engine_path,
    reading,
)
from mcp_server.sources.files.discovery import Heading, heading, is_utf8, not_utf8, without_bom
from mcp_server.sources.report import FIRST_ROWS, BadRow, refuse
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# CSV into a table of texts: empty is missing, `""` is the empty string, nothing is guessed

_SHOWN = 80


def stage_csv(connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str) -> Staged:
    """Read CSV files, in order, into `table`. Files may hold their columns in different orders or lack some."""
    headings = [heading(path) for path in paths]
    files = [check_names(each.names, str(path)) for path, each in zip(paths, headings, strict=True)]
    union = check_names(list(dict.fromkeys(name for names in files for name in names)), str(paths[0].parent))
    connection.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'c{i} VARCHAR' for i in range(len(union)))})")
    parts: list[FileRows] = []
    unread: list[BadRow] = []
    total = 0
    loaded = 0
    for path, each, names in zip(paths, headings, files, strict=True):
        count = _insert(connection, path, each, table, [union.index(name) for name in names])
        left_out, bad = _left_out(connection, path)
        parts.append(FileRows(str(path), loaded, left_out))
        loaded += count
        total += len(left_out)
        unread += bad[: FIRST_ROWS - len(unread)]
    relation = f'(SELECT rowid AS "$n", FALSE AS "$lost", * FROM {table})'
    return Staged(
        relation, tuple(SourceColumn(name, TEXT) for name in union), tuple(parts), total, tuple(unread), table
    )


_REGULAR = Text(
    "Check that the file is complete, that all lines end alike, and that quotes are doubled inside quoted values.",
    "请检查：文件须完整，换行符须统一，引号内的引号须写成两个。",
)


def _insert(connection: "DuckDBPyConnection", path: Path, each: Heading, table: str, targets: list[int]) -> int:
    """Append one file; return the number of its rows.

    The rows that could not be split are in the table `csv_errors`.
    """
    for leftover in ("csv_errors", "csv_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {leftover}")
    columns = ", ".join(f"'f{i}': 'VARCHAR'" for i in range(len(targets)))
    # With one column, a blank line looks like a missing value; with more, the reader skips it.
    not_blank = " WHERE f0 IS NOT NULL" if len(targets) == 1 else ""
    with reading(str(path), "CSV", _REGULAR):
        inserted = one(
            connection,
            f"INSERT INTO {table} ({', '.join(f'c{i}' for i in targets)}) "
            f"SELECT * FROM read_csv({engine_path(path)}, auto_detect = false, header = true, delim = {literal(each.delimiter)}, "
            f"quote = '\"', escape = '\"', allow_quoted_nulls = false, columns = {{{columns}}}, "
            f"store_rejects = true, rejects_limit = 0, rejects_table = 'csv_errors', rejects_scan = 'csv_scans'){not_blank}",
        )
    return int(inserted[0])


def _left_out(connection: "DuckDBPyConnection", path: Path) -> tuple[tuple[int, ...], list[BadRow]]:
    """Return the numbers of the rows that could not be split, and the rows.

    The reader counts lines; the row number is exact as long as no value before it holds a line break.
    """
    errors = rows(
        connection,
        "SELECT line, any_value(error_type), any_value(csv_line) FROM csv_errors GROUP BY line ORDER BY line",
    )
    for line, kind, text in errors:
        if kind == "INVALID ENCODING":
            raise not_utf8(path)
        if kind == "UNQUOTED VALUE" and "\n" in (text or "").rstrip("\r\n"):
            # Everything up to the next quote, often the rest of the file, is inside this one value: too much to skip.
            raise refuse(
                Text(
                    f"A quote opened in line {line} of {path} is never closed.", f"{path} 第 {line} 行的引号没有闭合。"
                ),
                Text("Fix that line; double quotes inside quoted values.", "请修正该行；引号内的引号须写成两个。"),
            )
    bad = [
        BadRow(file=str(path), row=line - 1, reason="unreadable_row", value=(text or "").strip()[:_SHOWN])
        for line, _, text in errors
    ]
    return tuple(line - 1 for line, _, _ in errors), bad


# Newline-delimited JSON into a table of JSON texts, one column for each key that any object has

_PLACES = 1_000_000
"""More than any object has keys."""


def stage_lines(
    connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str, temp: Path
) -> tuple[FileRows, ...]:
    """Read the objects of newline-delimited files, in order, into `table(json)`; NULL where a line is no object.

    The row id of the table is the load number. Blank lines are skipped and not counted.
    """
    connection.execute(f"CREATE TEMP TABLE {table} (json JSON)")
    parts: list[FileRows] = []
    loaded = 0
    for path in paths:
        source = engine_path(without_bom(path, temp))
        with reading(str(path), "newline-delimited JSON"):
            inserted = one(
                connection,
                f"INSERT INTO {table} SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json END "
                f"FROM read_ndjson_objects({source}, ignore_errors = true)",
            )
        parts.append(FileRows(str(path), loaded))
        (lost,) = one(connection, f"SELECT count(*) FROM {table} WHERE rowid >= {loaded} AND json IS NULL")
        if lost and not is_utf8(path):
            raise not_utf8(path)
        loaded += int(inserted[0])
    return tuple(parts)


def keys(connection: "DuckDBPyConnection", json: str, relation: str, order: str) -> list[str]:
    """Return the keys of all objects that the expression `json` gives over a relation, in order of first appearance.

    `order` is a whole number of the row by which the rows are ordered.
    """
    keys_of = rows(
        connection,
        "SELECT key FROM (SELECT unnest(keys) AS key, unnest(range(len(keys))) AS place, n "
        f"FROM (SELECT json_keys({json}) AS keys, {order} AS n FROM {relation})) "
        f"GROUP BY key ORDER BY min(n * {_PLACES} + place) LIMIT {MOST_COLUMNS + 1}",
    )
    return [row[0] for row in keys_of]


def spread(json: str, names: Sequence[str]) -> str:
    """Return an expression that parses an object once and gives a struct of JSON texts, one field for each key."""
    if not names:
        return "NULL"  # the engine has no empty struct
    return f"json_transform({json}, {literal(dumps(dict.fromkeys(names, 'JSON')))})"


def fields(struct: str, names: Iterable[str]) -> list[str]:
    """Return the fields of a struct, by name."""
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
    return Staged(table, tuple(SourceColumn(name, JSON) for name in clean), parts, table=table)


# Parquet files as one relation; they are read in place, not copied

_TAKEN = frozenset({"file_row_number", "file_index", "filename"})
"""Names of the engine's columns for where a row comes from."""


def stage_parquet(connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str) -> Staged:
    """Make a view `table` over Parquet files. Files may hold their columns in different orders or lack some."""
    source = f"read_parquet([{', '.join(map(engine_path, paths))}], union_by_name = true, hive_partitioning = false)"
    source_name = str(paths[0]) if len(paths) == 1 else str(paths[0].parent)
    with reading(source_name, "Parquet"):
        kinds = [_columns(connection, path) for path in paths]
        described = rows(connection, f"DESCRIBE SELECT * FROM {source}")
        counts = [
            int(one(connection, f"SELECT num_rows FROM parquet_file_metadata({engine_path(path)})")[0])
            for path in paths
        ]
    check_names(list(dict.fromkeys(name for file in kinds for name in file)), source_name)
    names = [row[0] for row in described]
    clean = check_names(names, source_name)
    firsts = [sum(counts[:i]) for i in range(len(counts))]
    offsets = f"list_extract({firsts}, CAST(file_index AS BIGINT) + 1)" if len(paths) > 1 else "0"
    columns = "".join(f", {identifier(name)} AS c{i}" for i, name in enumerate(names))
    connection.execute(
        f'CREATE TEMP VIEW {table} AS SELECT CAST(file_row_number + {offsets} AS BIGINT) AS "$n", FALSE AS "$lost"{columns} FROM {source}'
    )
    return Staged(
        table,
        tuple(SourceColumn(name, row[1]) for name, row in zip(clean, described, strict=True)),
        tuple(FileRows(str(path), first) for path, first in zip(paths, firsts, strict=True)),
        notes=_changing(kinds, {row[0]: row[1] for row in described}),
    )


def _columns(connection: "DuckDBPyConnection", path: Path) -> dict[str, str]:
    """Return names and types of one file's own columns, without those inside a struct or a list."""
    nodes = rows(connection, f"SELECT name, num_children, duckdb_type FROM parquet_schema({engine_path(path)})")
    columns: list[tuple[str, str]] = []
    below = 0
    for name, children, kind in nodes[1:]:
        if below == 0:
            columns.append((name, kind or "nested"))
        else:
            below -= 1
        below += children or 0
    names = check_names([name for name, _ in columns], str(path))
    for name in names:
        if name.casefold() in _TAKEN:
            raise refuse(
                Text(
                    f"A column of {path} is called {name!r}, a name that the engine needs.",
                    f"{path} 有一列名为 {name!r}，引擎需使用该名称。",
                ),
                Text("Rename the column.", "请重命名该列。"),
            )
    return dict(columns)


def _changing(files: list[dict[str, str]], result: dict[str, str]) -> tuple[tuple[str, Text], ...]:
    """Return notes on the columns whose type differs between the files."""
    notes: list[tuple[str, Text]] = []
    for name, kind in result.items():
        kinds = sorted({_family(file[name]) for file in files if name in file})
        if len(kinds) > 1:
            words = " / ".join(kinds)
            note = Text(
                f"its type differs between the files ({words}); read as {kind}",
                f"各文件中的类型不一致（{words}），按 {kind} 读取",
            )
            notes.append((name, note))
    return tuple(notes)


def _family(kind: str) -> str:
    """Return the name under which a type is compared: types that hold each other's values exactly count as one."""
    return "integer" if kind.endswith("INT") or kind == "INTEGER" else kind.split("(", maxsplit=1)[0].lower()
