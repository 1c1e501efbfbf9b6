"""Parquet files as one relation; they are not copied, only looked at."""

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one, rows
from mcp_server.engine.quoting import identifier
from mcp_server.engine.report import refuse
from mcp_server.engine.staging import Column, Part, Staged, check_names, engine_path, reading
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TAKEN = frozenset({"file_row_number", "file_index", "filename"})
"""Names by which the engine tells where a row comes from."""


def stage_parquet(connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str) -> Staged:
    """A view `table` over Parquet files. Files may hold their columns in different orders or lack some."""
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
        tuple(Column(name, row[1]) for name, row in zip(clean, described, strict=True)),
        tuple(Part(str(path), first) for path, first in zip(paths, firsts, strict=True)),
        notes=_changing(kinds, {row[0]: row[1] for row in described}),
    )


def _columns(connection: "DuckDBPyConnection", path: Path) -> dict[str, str]:
    """Names and types of one file's own columns; those inside a struct or a list are passed over."""
    nodes = rows(connection, f"SELECT name, num_children, duckdb_type FROM parquet_schema({engine_path(path)})")
    found: list[tuple[str, str]] = []
    below = 0
    for name, children, kind in nodes[1:]:
        if below == 0:
            found.append((name, kind or "nested"))
        else:
            below -= 1
        below += children or 0
    names = check_names([name for name, _ in found], str(path))
    for name in names:
        if name.casefold() in _TAKEN:
            raise refuse(
                Text(
                    f"A column of {path} is called {name!r}, a name that the engine needs.",
                    f"{path} 有一列名为 {name!r}，引擎需使用该名称。",
                ),
                Text("Rename the column.", "请重命名该列。"),
            )
    return dict(found)


def _changing(files: list[dict[str, str]], result: dict[str, str]) -> tuple[tuple[str, Text], ...]:
    """Columns whose type differs between the files, with what is made of them."""
    notes: list[tuple[str, Text]] = []
    for name, kind in result.items():
        kinds = sorted({_family(file[name]) for file in files if name in file})
        if len(kinds) > 1:
            words = " / ".join(kinds)
            notes.append(
                (
                    name,
                    Text(
                        f"its type differs between the files ({words}); read as {kind}",
                        f"各文件中的类型不一致（{words}），按 {kind} 读取",
                    ),
                )
            )
    return tuple(notes)


def _family(kind: str) -> str:
    """Types that hold each other's values exactly count as one."""
    return "integer" if kind.endswith("INT") or kind == "INTEGER" else kind.split("(", maxsplit=1)[0].lower()
