"""CSV into a table of texts: empty is missing, `""` is the empty string, nothing is guessed."""

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one, rows
from mcp_server.engine.files import Heading, heading, not_utf8
from mcp_server.engine.quoting import literal
from mcp_server.engine.report import FIRST_ROWS, BadRow, refuse
from mcp_server.engine.staging import TEXT, Column, Part, Staged, check_names, engine_path, reading
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SHOWN = 80


def stage_csv(connection: "DuckDBPyConnection", paths: tuple[Path, ...], table: str) -> Staged:
    """Read CSV files, in order, into `table`. Files may hold their columns in different orders or lack some."""
    headings = [heading(path) for path in paths]
    files = [check_names(each.names, str(path)) for path, each in zip(paths, headings, strict=True)]
    union = check_names(list(dict.fromkeys(name for names in files for name in names)), str(paths[0].parent))
    connection.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'c{i} VARCHAR' for i in range(len(union)))})")
    parts: list[Part] = []
    unread: list[BadRow] = []
    total = 0
    loaded = 0
    for path, each, names in zip(paths, headings, files, strict=True):
        count = _insert(connection, path, each, table, [union.index(name) for name in names])
        left_out, bad = _left_out(connection, path)
        parts.append(Part(str(path), loaded, left_out))
        loaded += count
        total += len(left_out)
        unread += bad[: FIRST_ROWS - len(unread)]
    relation = f'(SELECT rowid AS "$n", FALSE AS "$lost", * FROM {table})'
    return Staged(relation, tuple(Column(name, TEXT) for name in union), tuple(parts), total, tuple(unread), table)


_REGULAR = Text(
    "Check that the file is complete, that all lines end alike, and that quotes are doubled inside quoted values.",
    "请检查：文件须完整，换行符须统一，引号内的引号须写成两个。",
)


def _insert(connection: "DuckDBPyConnection", path: Path, each: Heading, table: str, targets: list[int]) -> int:
    """Append one file; the number of rows that went in."""
    for leftover in ("csv_errors", "csv_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {leftover}")
    columns = ", ".join(f"'f{i}': 'VARCHAR'" for i in range(len(targets)))
    # With one column, a blank line looks like a missing value; with more, the reader passes it over itself.
    not_blank = " WHERE f0 IS NOT NULL" if len(targets) == 1 else ""
    with reading(str(path), "CSV", _REGULAR):
        done = one(
            connection,
            f"INSERT INTO {table} ({', '.join(f'c{i}' for i in targets)}) "
            f"SELECT * FROM read_csv({engine_path(path)}, auto_detect = false, header = true, delim = {literal(each.delimiter)}, "
            f"quote = '\"', escape = '\"', allow_quoted_nulls = false, columns = {{{columns}}}, "
            f"store_rejects = true, rejects_limit = 0, rejects_table = 'csv_errors', rejects_scan = 'csv_scans'){not_blank}",
        )
    return int(done[0])


def _left_out(connection: "DuckDBPyConnection", path: Path) -> tuple[tuple[int, ...], list[BadRow]]:
    """Numbers of the rows that could not be split, and the first of them.

    The reader counts lines; the row number is exact as long as no value before it holds a line break.
    """
    found = rows(
        connection,
        "SELECT line, any_value(error_type), any_value(csv_line) FROM csv_errors GROUP BY line ORDER BY line",
    )
    for line, kind, text in found:
        if kind == "INVALID ENCODING":
            raise not_utf8(path)
        if kind == "UNQUOTED VALUE" and "\n" in (text or "").rstrip("\r\n"):
            # Everything up to the next quote, often the rest of the file, is inside this one value: too much to skip.
            raise refuse(
                Text(
                    f"A quote opened in line {line} of {path} is never closed.", f"{path} 第 {line} 行的引号没有闭合。"
                ),
                Text("Mend that line; double quotes inside quoted values.", "请修正该行；引号内的引号须写成两个。"),
            )
    bad = [
        BadRow(file=str(path), row=line - 1, reason="unreadable_row", value=(text or "").strip()[:_SHOWN])
        for line, _, text in found
    ]
    return tuple(line - 1 for line, _, _ in found), bad
