"""Ids as ThinkingData takes them: raw CSV without a header, one id a line, of a tag id and value, CRLF line ends (te-api.md 6b)."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from mcp_server.engine.id_files import private_copy
from mcp_server.engine.id_findings import PATH, about_the_file
from mcp_server.engine.id_matching import BLANKS
from mcp_server.engine.id_rows import Swallowed, records
from mcp_server.engine.report import refuse_ids
from mcp_server.errors import Problem
from mcp_server.platforms.here_port import Source
from mcp_server.qp.problems import finding

LONGEST: Final = 2000
"""Characters of an id or value; the vendor's texts hold 2 KB."""


class VendorFile(NamedTuple):
    """The file as it is sent, and what was read."""

    path: Path
    rows: int
    no_value: int
    encoding: str
    name: str
    first: str
    """The first id."""
    findings: tuple[Problem, ...]


@dataclass(slots=True)
class _Seen:
    """What the rows of a file are like, counted while they are read."""

    rows: int = 0
    no_value: int = 0
    more_columns: int = 0
    first: str = ""
    swallowed: Swallowed = field(default_factory=Swallowed)


class _Unseen:
    """Reading a file of ids is quick beside sending it: it shows no progress and is not stopped."""

    interrupted = False

    def report(self, percent: float) -> None:
        pass


def vendor_file(source: Source, temp: Callable[[str], Path], *, tag: bool) -> VendorFile:
    """Write the file that is sent. Blocks: call it in a worker thread. InvalidArguments where it can't be read as ids.

    Blanks around ids and empty lines are dropped (qp.md section 7); a value of a tag stays as it is.
    """
    made: list[Path] = []

    def kept(suffix: str) -> Path:
        made.append(temp(suffix))
        return made[-1]

    try:
        with source.file:
            read = private_copy(source.file, source.size, kept, _Unseen())
        out = temp(".csv")
        try:
            seen = _written(read.path, out, tag=tag)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        valueless = tag and seen.no_value == seen.rows
        found = about_the_file(read.encoding, seen.swallowed, seen.more_columns, tag=tag, valueless=valueless)
        return VendorFile(out, seen.rows, seen.no_value, read.encoding, source.name, seen.first, tuple(found))
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _written(source: Path, out: Path, *, tag: bool) -> _Seen:
    seen = _Seen()
    with (
        source.open(encoding="utf-8", newline="") as file,
        out.open("w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, lineterminator="\r\n")
        for begins, ends, row in records(file):
            if max(map(len, row), default=0) > LONGEST:
                raise refuse_ids([finding("ids_quote", PATH, line=begins)])
            if any("\n" in cell or "\r" in cell for cell in row):
                seen.swallowed = Swallowed(seen.swallowed.first or begins, seen.swallowed.lines + ends - begins + 1)
            kept = _kept(row, seen, tag=tag)
            if kept:
                writer.writerow(kept)
    if not seen.rows:
        raise refuse_ids([finding("ids_empty", PATH)])
    return seen


def _kept(row: list[str], seen: _Seen, *, tag: bool) -> list[str]:
    """The id, of a tag with its value; nothing where the row holds neither. What stands behind them is counted."""
    first, value, more = (*row, "", "", "")[:3]
    key = first.strip(BLANKS)
    seen.more_columns += bool(more if tag else value)
    if not key and not (tag and value):
        return []
    seen.first = seen.first or key
    seen.rows += 1
    seen.no_value += tag and not value
    return [key, value] if tag else [key]
