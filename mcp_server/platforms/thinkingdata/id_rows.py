"""Ids as ThinkingData takes them: raw CSV without a header, one id a line, of a tag id and value, CRLF line ends (te-api.md 6b)."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from mcp_server.engine.id_files import private_copy
from mcp_server.engine.report import refuse_ids
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
            rows, no_value = _written(read.path, out, tag=tag)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        return VendorFile(out, rows, no_value, read.encoding, source.name)
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _written(source: Path, out: Path, *, tag: bool) -> tuple[int, int]:
    """Rows, and those without a value."""
    rows = no_value = 0
    with out.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\r\n")
        for row in _rows(source, tag=tag):
            writer.writerow(row)
            rows += 1
            no_value += tag and not row[-1]
    if not rows:
        raise refuse_ids([finding("ids_empty", "/path")])
    return rows, no_value


def _rows(path: Path, *, tag: bool) -> Iterator[list[str]]:
    """The id, of a tag with its value, of every line that holds one."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                raise refuse_ids([finding("ids_quote", "/path", line=reader.line_num)]) from None
            key = row[0].strip() if row else ""
            if max(map(len, row), default=0) > LONGEST:
                raise refuse_ids([finding("ids_quote", "/path", line=reader.line_num)])
            if key or (tag and len(row) > 1 and row[1]):
                yield [key, row[1] if len(row) > 1 else ""] if tag else [key]
