"""What every source gives: rows in the engine, with their columns as they were written and where each row came from.

CSV becomes a table of texts, newline-delimited JSON a table of JSON texts, Parquet stays in its files and keeps its
types. What the columns mean is decided afterwards, in `columns.py`.
"""

import glob
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp_server.engines.dialect import literal
from mcp_server.sources.report import BadRow, refuse
from mcp_server.text import Text

TEXT = "text"
JSON = "json"
"""Kinds of a column whose type its values decide; any other kind but the next is one of the engine's types."""
INSTANT = "instant"
"""A TIMESTAMP that is an instant already."""

MOST_COLUMNS = 2000
"""Columns of one table; ten times what the vendor allows. More is a sign of keys that are really values."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of a source; in the staged relation column number i is `c{i}`."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of one file."""

    file: str
    first: int
    """Load number of its first row."""
    left_out: tuple[int, ...] = ()
    """Numbers (from 1, rising) of the rows that the reader could not split into columns; they have no load number."""

    def row_number(self, load_number: int) -> int:
        """Return the number of a row in this file, from 1, the left-out ones counted."""
        number = load_number - self.first + 1
        for gap in self.left_out:
            if gap > number:
                break
            number += 1
        return number


@dataclass(frozen=True, slots=True)
class Staged:
    """The rows of one source.

    `relation` is a table or view with `"$n"` (load number, from 0 in file order), `"$lost"` (true where the row itself
    could not be read) and `c0`, `c1`, … in the order of `columns`.
    """

    relation: str
    columns: tuple[SourceColumn, ...]
    parts: tuple[FileRows, ...]
    unread: tuple[tuple[str, int], ...] = ()
    """Rows that never got a load number: reason and count."""
    first_unread: tuple[BadRow, ...] = ()
    table: str = ""
    """The temporary table behind the relation, which may be dropped when its values have been read."""
    notes: tuple[tuple[str, Text], ...] = ()
    """Notes of the reader on columns: name and text."""

    def place(self, load_number: int) -> tuple[str, int]:
        """Return file and row number of a load number."""
        part = self.parts[bisect_right([p.first for p in self.parts], load_number) - 1]
        return part.file, part.row_number(load_number)


def engine_path(path: Path) -> str:
    """Write a path as a literal in which brackets and stars are no pattern."""
    return literal(glob.escape(str(path)))


_CHECK_FILE = Text("Check that the file is complete and undamaged.", "请检查文件是否完整、未损坏。")


@contextmanager
def reading(source: str, format_name: str, next_step: Text = _CHECK_FILE) -> Iterator[None]:
    """Turn the engine's error about a file into one that names it; a stop or a lack of memory passes through."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise refuse(
            Text(
                f"{source} cannot be read as {format_name}: {first}.", f"{source} 无法按 {format_name} 读取：{first}。"
            ),
            next_step,
        ) from None
