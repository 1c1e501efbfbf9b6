"""The careful reading of a file of ids that holds quotation marks: slower than the engine's, exact about lines.

The engine splits such a file as long as every quote is closed and no value goes over several lines. Where that is not so,
this reading says in which line it goes wrong, and how many lines a value has swallowed.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_server.engine.id_files import Steering
from mcp_server.engine.report import refuse_ids
from mcp_server.errors import Interrupted
from mcp_server.qp.problems import finding
from mcp_server.text import Text

COLUMNS: Final = 3
"""Id, value, and whatever comes after them, which is only counted."""
_LOOK_EVERY: Final = 20_000


@dataclass(frozen=True, slots=True)
class Swallowed:
    """Values that go over several lines: where the first begins, and how many lines all of them take in."""

    first: int = 0
    lines: int = 0


def rewritten(path: Path, out: Path, control: Steering) -> Swallowed:
    """Write the rows again with every value between quotes, three to a line. InvalidArguments at a quote that does not fit."""
    found = Swallowed()
    with path.open(encoding="utf-8", newline="") as source, out.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number, (begins, ends, row) in enumerate(records(source)):
            if number % _LOOK_EVERY == 0 and control.interrupted:
                raise Interrupted(Text("The import was stopped; nothing was saved.", "导入已中止；未保存任何内容。"))
            if any(row):
                writer.writerow((row + [""] * COLUMNS)[:COLUMNS])
            if any("\n" in value or "\r" in value for value in row):
                found = Swallowed(found.first or begins, found.lines + ends - begins + 1)
    return found


def records(source: Iterator[str]) -> Iterator[tuple[int, int, list[str]]]:
    """First line, last line and values of every record."""
    reader = csv.reader(source, strict=True)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise refuse_ids([finding("ids_quote", "/path", line=begins)]) from None
        yield begins, reader.line_num, row
        begins = reader.line_num + 1
