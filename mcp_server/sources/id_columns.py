"""The column of a file that holds the ids: of a workbook, of a file with a header, of an export of our own."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from mcp_server.engines.base import Progress
from mcp_server.errors import LoadRefused
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest
from mcp_server.sources.files.opening import FilePlace, Opener, Wanted
from mcp_server.sources.ids import CHUNK, PATH, IdFile, private_copy, records
from mcp_server.sources.report import refuse_ids
from mcp_server.text import Text

COLUMN: Final = "/column"
USER_ID: Final = Property(table="user", name="#user_id", type="number", scale=0)
"""What an export without other ids names people by."""
_OWN: Final = ("#account_id", "#distinct_id")
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_VALUES: Final = ("tag_value", "value", "标签值", "值")
_NO_BOOK: Final = Text("a workbook that cannot be opened, or a ZIP archive", "无法打开的工作簿，或 ZIP 压缩包")
_MOST_HEADER: Final = 1 << 16
"""Characters of a first line that may be a header."""


@dataclass(frozen=True, slots=True)
class ChosenIds:
    """The ids alone, and the property that they are values of."""

    file: IdFile
    target: Property
    header: bool = False
    """The file has named columns; the line of names is not among the ids."""


def chosen_ids(
    source: IO[bytes],
    size: int,
    target: Property,
    column: str,
    metadata: Metadata,
    *,
    tag: bool,
    temp: Callable[[str], Path],
    control: Progress,
) -> ChosenIds:
    """Copy the ids of an opened file: of the column that `column` names, else of the one that is named as the property.

    An export of this product names people by `#account_id`, `#distinct_id` or, where it has neither, `#user_id`: those
    are taken in this order where the property itself is not among its columns. Without a header the first column has the
    ids. InvalidArguments where there is no such column.
    """
    start = source.read(8)
    source.seek(0)
    if start.startswith(_WORKBOOKS):
        copy = temp(".xlsx")
        with copy.open("wb") as raw:
            while chunk := source.read(CHUNK):
                raw.write(chunk)
        text = _sheet(copy, [column, target.name], temp)
        with text.open("rb") as cells:
            file = private_copy(cells, text.stat().st_size, temp, control)
        file = _named(file, "spreadsheet")
    else:
        file = private_copy(source, size, temp, control)
    names = _header(file.path)
    at, own = _place(names, target, column, metadata)
    if at is None:
        if target.name == USER_ID.name:
            raise refuse_ids(
                [
                    finding(
                        "main_column_type",
                        "/main_column_name",
                        got=target.name,
                        suggestion="#account_id",
                        name=target.name,
                    )
                ]
            )
        return ChosenIds(file, target)
    beside = _value_column(names, at) if tag else None
    return ChosenIds(_column(file, at, beside, temp, control), own, header=True)


def _sheet(book: Path, wanted: Sequence[str], temp: Callable[[str], Path]) -> Path:
    """The sheet of a workbook that has a column of one of these names, else the first one, as CSV with its header."""
    try:
        places = Opener(temp(".book")).open(book, Wanted())
    except LoadRefused as error:
        raise refuse_ids([finding("ids_not_text", PATH, expected=_NO_BOOK)]) from error
    keys = [name.casefold() for name in wanted if name]

    def fits(place: FilePlace) -> bool:
        return any(name.casefold() in keys for name in place.names)

    place = next(filter(fits, places), places[0])
    out = temp(".csv")
    with out.open("w", encoding="utf-8", newline="") as target, place.text.open(encoding="utf-8", newline="") as rows:
        if place.header:
            csv.writer(target, lineterminator="\n").writerow(place.names)
        while chunk := rows.read(CHUNK):
            target.write(chunk)
    place.text.unlink(missing_ok=True)
    return out


def _named(file: IdFile, encoding: str) -> IdFile:
    return IdFile(file.path, encoding, file.content_hash, file.quoted, file.odd_blanks)


def _header(path: Path) -> list[str]:
    """The cells of the first row; empty where it is too long to be one of names."""
    with path.open(encoding="utf-8", newline="") as text:
        lines = iter([line for line in (text.readline(_MOST_HEADER) for _ in range(3)) if line.strip()])
        try:
            return [cell.strip() for cell in next(csv.reader(lines), [])]
        except csv.Error:
            return []


def _place(names: Sequence[str], target: Property, column: str, metadata: Metadata) -> tuple[int | None, Property]:
    """Where the ids are, and of which property; None where the first row names nothing."""
    keys = [name.casefold() for name in names]
    if column:
        if column.strip().casefold() not in keys:
            close = nearest(column, list(names))
            raise refuse_ids([finding("ids_column", COLUMN, got=column, suggestion=close)])
        at = keys.index(column.strip().casefold())
        return at, target
    for name in (target.name, target.names.en, target.names.zh):
        if name and name.casefold() in keys:
            return keys.index(name.casefold()), target
    for name in _OWN:
        known = metadata.property("user", name)
        if name in keys and known is not None:
            return keys.index(name), known
    return (keys.index(USER_ID.name), USER_ID) if USER_ID.name in keys else (None, target)


def _value_column(names: Sequence[str], at: int) -> int | None:
    """The column of a tag's values: the one that is named so, else the one after the ids, else the first other one."""
    named = next((i for i, name in enumerate(names) if name.casefold() in _VALUES and i != at), None)
    if named is not None:
        return named
    return at + 1 if at + 1 < len(names) else next((i for i in range(len(names)) if i != at), None)


def _column(file: IdFile, at: int, beside: int | None, temp: Callable[[str], Path], control: Progress) -> IdFile:
    """Write one column again, of a tag with its values, without the header."""
    out = temp(".csv")
    with file.path.open(encoding="utf-8", newline="") as source, out.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        first = True
        for _, _, row in records(source):
            if not any(row):
                continue
            if first:
                first = False
                continue
            cells = [row[at] if at < len(row) else ""]
            if beside is not None:
                cells.append(row[beside] if beside < len(row) else "")
            if any(cells):
                writer.writerow(cells)
    with out.open("rb") as read:
        again = private_copy(read, out.stat().st_size, temp, control)
    return _named(again, file.encoding)
