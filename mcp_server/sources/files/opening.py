"""From a path to a table that the engine can read: packing, encoding, format, sheet, separator, header, end."""

import codecs
import csv
import gzip
import json
import os
import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from glob import glob
from pathlib import Path
from typing import Any
from unicodedata import category

from mcp_server.language.suggest import nearest
from mcp_server.sources.base import engine_path
from mcp_server.sources.files.encodings import decodes, encoding_of, refuse_encoding
from mcp_server.sources.forms import BLANKS
from mcp_server.sources.mapping import Format
from mcp_server.sources.report import refuse
from mcp_server.text import Text, listed

SEPARATORS = (",", "\t", ";", "|", "\x01")
_HEAD = 256 * 1024
_CHUNK = 1 << 20
_MOST_FILES = 20_000
_FEW = 2
"""Values beside a list of objects, such as a total, that an answer of a service may have."""
_LARGEST_BOOK = 200 * 1024 * 1024
"""Bytes of a workbook; reading one takes about eleven times as much memory."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Where one table is, and how it is written."""

    path: Path
    format: Format
    text: Path
    """What is read: the file itself, or a copy as UTF-8, unpacked, with the table alone."""
    encoding: str = ""
    separator: str = ""
    escape: str = ""
    sheet: str = ""
    header: int = 1
    skip: int = 0
    """Lines of `text` above the first row or the header."""
    has_header: bool = True
    names: tuple[str, ...] = ()
    """The names in the header; of a table without one `column1` and so on."""
    until: str = ""
    records: str = ""
    tracking: bool = False
    folders: tuple[tuple[str, str], ...] = ()
    """Names and values in the folders of the path: `dt=2026-11-29`."""
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a mapping or an option says of a place; empty: it is worked out."""

    encoding: str = ""
    separator: str = ""
    escape: str | None = None
    sheet: str = ""
    header: int | None = None
    names: tuple[str, ...] = ()
    until: str | None = None
    records: str | None = None


# Files.


_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def files_of(pattern: str, base: Path | None = None) -> list[Path]:
    """The files that a path, a pattern or a folder names, in order (numbers in names count as numbers)."""
    if any(category(letter) in ("Cc", "Cs") for letter in pattern):
        escaped = ascii(pattern)
        raise refuse(Text(f"{escaped} cannot be a path.", f"{escaped} 不是可用的路径。"))
    if _ADDRESS.match(pattern):
        raise refuse(
            Text(
                f"{pattern} is an address; files of this machine are loaded.",
                f"{pattern} 是网络地址；只能加载本机文件。",
            ),
            Text(
                "Download it first (curl -O, aws s3 cp) and name the file.",
                "请先下载（curl -O、aws s3 cp），再给出文件路径。",
            ),
        )
    expanded = os.path.expanduser(pattern)  # noqa: PTH111 - a glob is not a path
    if base is not None and not os.path.exists(expanded) and not Path(expanded).is_absolute():  # noqa: PTH110 - the same
        expanded = str(base / expanded)
    whole = Path(expanded)
    found: list[Path]
    if whole.is_file():
        return [whole]
    if whole.is_dir():
        inside = [Path(folder) / name for folder, _, names in os.walk(whole) for name in names]
        shown = [path for path in inside if not any(p[0] in "._" for p in path.relative_to(whole).parts)]
        found = [path for path in shown if path.suffix.lower() in (".parquet", ".pq")] or shown
    else:
        found = [Path(name) for name in glob(expanded, recursive=True) if os.path.isfile(name)]  # noqa: PTH113, PTH207 - the same
    if not found:
        if whole.is_dir():
            raise refuse(Text(f"There is no file in the folder {pattern}.", f"文件夹 {pattern} 中没有文件。"))
        raise refuse(Text(f"There is no file {pattern}.", f"找不到文件 {pattern}。"), _nearest_file(whole))
    if len(found) > _MOST_FILES:
        raise refuse(Text(f"{pattern} names {len(found):,} files.", f"{pattern} 匹配到 {len(found):,} 个文件。"))
    return sorted(found, key=by_numbers)


def by_numbers(path: Path) -> list[tuple[int, str]]:
    """A key by which `log_2` comes before `log_10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", str(path))]


def pattern_of(name: str) -> str:
    """A pattern that tomorrow's file of the same kind matches: dates, counters and ids as stars."""
    stem, dot, ending = name.partition(".")
    starred = re.sub(
        r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4,}){1,4}|[0-9]{4}[-_.]?[0-9]{2}[-_.]?[0-9]{2}(?:[-_T ]?[0-9]+)*(?:[-_:][0-9]+)*|[0-9]{6,}|(?<=[_-])[0-9]+$",
        "*",
        stem,
    )
    ending = re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-[0-9]+)?(?:_[0-9]+)?", "*", ending)
    starred = re.sub(r"\*(?:[ _-]?\*)+", "*", starred + dot + ending)
    return (
        starred
        if re.search(r"[^\W\d_]", starred.split(".")[0].replace("*", ""))
        else (name if "*" not in starred else starred)
    )


def _nearest_file(path: Path) -> Text:
    try:
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError:
        names = []
    close = nearest(path.name, names)
    if not close:
        return Text("Check the path.", "请检查路径。")
    return Text(f"Did you mean {path.parent / close}?", f"是否指 {path.parent / close}？")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of the operating system and of unpackers into an error that names the file."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise refuse(
            Text(f"{path} cannot be read: {error}.", f"{path} 无法读取：{error}。"),
            Text("Check the file and its permissions.", "请检查文件是否完整、是否有读取权限。"),
        ) from None


# One file.


class Opener:
    """Opens files for one load; copies go to a folder of its own."""

    def __init__(self, temp: Path) -> None:
        self._temp = temp
        self._copies = 0

    def copy(self, ending: str) -> Path:
        """A new path for a copy."""
        self._temp.mkdir(parents=True, exist_ok=True)
        self._copies += 1
        return self._temp / f"opened-{os.getpid()}-{id(self)}-{self._copies}{ending}"

    def open(self, path: Path, wanted: Wanted) -> list[FilePlace]:
        """The tables of a file: one, of a workbook one for each sheet that can be seen and holds a table."""
        with readable(path):
            with path.open("rb") as file:
                start = file.read(8)
            if not start:
                raise refuse(Text(f"{path} is empty.", f"{path} 是空文件。"))
            folders = tuple(_folders(path))
            if start[:4] == b"PAR1":
                return [FilePlace(path, "parquet", path, folders=folders)]
            _check_ending(path, start)
            if start[:4] == b"PK\x03\x04" or start == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
                return [replace(place, folders=folders) for place in self._book(path, wanted)]
            unpacked = self._unpacked(path, start)
            return [replace(place, folders=folders) for place in self._text(path, unpacked, wanted)]

    def _unpacked(self, path: Path, start: bytes) -> Path:
        if start[:2] == b"\x1f\x8b":
            target = self.copy(".txt")
            with gzip.open(path, "rb") as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, _CHUNK)
            return target
        if start[:4] == b"\x28\xb5\x2f\xfd":
            return self._zst(path)
        if start[:3] == b"BZh" or start[:6] == b"\xfd7zXZ\x00":
            raise refuse(
                Text(f"{path} is packed in a way that is not read.", f"{path} 的压缩格式不受支持。"),
                Text("Unpack it first; gz and zst are read.", "请先解压；支持 gz 和 zst。"),
            )
        return path

    def _zst(self, path: Path) -> Path:
        """Unpack with the engine: bytes as Latin-1 lines, written back as they were."""
        import duckdb

        target = self.copy(".txt")
        with closing(duckdb.connect()) as engine, target.open("wb") as plain:
            try:
                found = engine.execute(
                    f"SELECT line FROM read_csv({engine_path(path)}, auto_detect = false, header = false, delim = '\x02', quote = '', escape = '', "
                    "compression = 'zstd', encoding = 'latin-1', columns = {'line': 'VARCHAR'}, max_line_size = 67108864, parallel = false)"
                )
                while lines := found.fetchmany(10_000):
                    plain.writelines((line or "").encode("latin-1") + b"\n" for (line,) in lines)
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise refuse(
                    Text(f"{path} cannot be unpacked: {reason}.", f"{path} 无法解压：{reason}。"),
                    Text("Unpack it first (zstd -d).", "请先解压（zstd -d）。"),
                ) from None
        return target

    def _text(self, path: Path, raw: Path, wanted: Wanted) -> list[FilePlace]:
        encoding = wanted.encoding or encoding_of(raw, path)
        text = raw if encoding in ("utf-8", "utf-8-sig") else self._as_utf8(path, raw, encoding)
        if wanted.encoding in ("utf-8", "utf-8-sig") and not decodes(raw, "utf-8"):
            refuse_encoding(path, wanted.encoding)
        head, whole = _head(text)
        first = next((line for line in head.splitlines() if line.strip()), "")
        if not first:
            raise refuse(Text(f"{path} holds no line.", f"{path} 中没有内容。"))
        place = FilePlace(path, "csv", text, encoding=encoding)
        if first.lstrip()[0] in "{[" and (found := self._json(place, first, wanted)):
            return [found]
        return [self._csv(place, head, whole=whole, wanted=wanted)]

    def _as_utf8(self, path: Path, raw: Path, encoding: str) -> Path:
        target = self.copy(".txt")
        try:
            decoder = codecs.getincrementaldecoder(encoding)("strict")
        except LookupError:
            raise refuse(
                Text(f"{encoding!r} is no encoding.", f"{encoding!r} 不是编码名称。"),
                Text(
                    "Use utf-8, gb18030, big5, utf-16, cp1252 or another name that Python knows.",
                    "可用 utf-8、gb18030、big5、utf-16、cp1252 等名称。",
                ),
            ) from None
        with raw.open("rb") as source, target.open("wb") as plain:
            try:
                while chunk := source.read(_CHUNK):
                    plain.write(decoder.decode(chunk).encode())
                plain.write(decoder.decode(b"", final=True).encode())
            except UnicodeDecodeError:
                refuse_encoding(path, encoding)
        return target

    # JSON.

    def _json(self, place: FilePlace, first: str, wanted: Wanted) -> FilePlace | None:
        line = _object(first)
        if isinstance(line, dict) and (wanted.records in (None, "")) and not _only_line(place.text):
            return replace(
                place,
                format="tracking log" if _tracks(place.text) else "json lines",
                text=self._without_bom(place.text),
                tracking=_tracks(place.text),
            )
        if isinstance(line, dict) and wanted.records in (None, "") and not _is_document(line):
            return replace(
                place,
                format="tracking log" if "#type" in line else "json lines",
                text=self._without_bom(place.text),
                tracking="#type" in line,
            )
        try:
            with place.text.open(encoding="utf-8-sig") as file:
                document = json.load(file)
        except (ValueError, RecursionError) as error:
            if first.lstrip()[0] == "[":
                return None
            if _json_lines_likely(place.text):
                return replace(place, format="json lines", text=self._without_bom(place.text))
            raise refuse(
                Text(
                    f"{place.path} is neither one JSON document nor one object a line: {error}.",
                    f"{place.path} 既不是一个 JSON 文档，也不是每行一个对象：{error}。",
                ),
                Text("Check that the file is complete.", "请检查文件是否完整。"),
            ) from None
        records = wanted.records if wanted.records is not None else _records(document)
        rows = document
        for step in filter(None, records.split(".")):
            rows = rows.get(step) if isinstance(rows, dict) else None
        if not isinstance(rows, list):
            raise refuse(
                Text(
                    f"{place.path} has no list of objects{f' at {records}' if records else ''}.",
                    f"{place.path} 中没有对象列表{f'（{records}）' if records else ''}。",
                ),
                Text(
                    'Name where it is: records = "data.items" in the mapping.',
                    '请在映射中写明其位置：records = "data.items"。',
                ),
            )
        target = self.copy(".ndjson")
        with target.open("w", encoding="utf-8", errors="surrogatepass") as plain:
            for row in rows:
                plain.write(json.dumps(row, ensure_ascii=True) + "\n")
        tracking = bool(rows) and isinstance(rows[0], dict) and "#type" in rows[0]
        return replace(
            place, format="tracking log" if tracking else "json", text=target, records=records, tracking=tracking
        )

    def _without_bom(self, text: Path) -> Path:
        with text.open("rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                return text
            target = self.copy(".ndjson")
            with target.open("wb") as plain:
                shutil.copyfileobj(file, plain, _CHUNK)
        return target

    # Tables in text.

    def _csv(self, place: FilePlace, head: str, *, whole: bool, wanted: Wanted) -> FilePlace:
        lines = head.splitlines(keepends=True)
        if not whole and len(lines) > 1:
            lines.pop()
        skip = 0
        named = re.fullmatch(r"(?i)sep=(.)\s*", lines[0])
        separator = wanted.separator or (named[1] if named else "")
        skip = 1 if named else 0
        records = {mark: _records_of(lines[skip:], mark) for mark in ([separator] if separator else SEPARATORS)}
        separator = separator or max(SEPARATORS, key=lambda mark: _regularity(records[mark]))
        escape = wanted.escape if wanted.escape is not None else _escape(lines, separator)
        table = records[separator]
        if escape:
            table = [(n, line.rstrip("\r\n").split(separator)) for n, line in enumerate(lines[skip:], 1)]
        if not table:
            raise refuse(Text(f"{place.path} has no header line.", f"{place.path} 没有表头行。"))
        if sum(line.count('"') for line in lines[skip:]) % 2 and len(table) == 1 and not escape:
            raise refuse(
                Text(
                    f"A quote in the header of {place.path} is never closed.", f"{place.path} 的表头中有未闭合的引号。"
                ),
                Text("Fix the line of the names.", "请修正列名所在行。"),
            )
        at = _heading([cells for _, cells in table])
        found = table[at][0] + skip if at is not None else 0
        number = wanted.header if wanted.header is not None else found
        first = next((i for i, (n, _) in enumerate(table) if n + skip >= max(number, 1)), 0)
        cells = table[first][1]
        if number:
            names = tuple(name.strip(BLANKS) for name in cells)
            begin = (table[first - 1][0] + skip) if first else skip
        else:
            names = wanted.names or tuple(f"column{i}" for i in range(1, len(cells) + 1))
            begin = skip
        width = Counter(len(c) for _, c in table[first:]).most_common(1)[0][0]
        until = wanted.until if wanted.until is not None else _end(place.text, separator, width)
        text = place.text
        if until:
            text, begin = self._cut(text, begin, until, header=bool(number)), 0
        return replace(
            place,
            separator=separator,
            escape=escape,
            header=number,
            skip=begin,
            has_header=bool(number),
            names=names,
            until=until,
            text=text,
        )

    def _cut(self, text: Path, skip: int, until: str, *, header: bool) -> Path:
        target = self.copy(".csv")
        with (
            text.open(encoding="utf-8-sig", newline="") as source,
            target.open("w", encoding="utf-8", newline="") as plain,
        ):
            for number, line in enumerate(source):
                if number < skip:
                    continue
                if number > skip + int(header) - 1 and line.lstrip("\"'` ").startswith(until):
                    break
                plain.write(line)
        return target

    def one_line_end(self, text: Path) -> Path:
        """A copy in which all lines end in LF."""
        target = self.copy(".csv")
        with text.open(encoding="utf-8-sig") as source, target.open("w", encoding="utf-8", newline="\n") as plain:
            shutil.copyfileobj(source, plain, _CHUNK)
        return target

    # Workbooks.

    def _book(self, path: Path, wanted: Wanted) -> list[FilePlace]:
        import python_calamine as calamine

        if path.stat().st_size > _LARGEST_BOOK:
            raise refuse(
                Text(
                    f"{path} is too large for a workbook ({path.stat().st_size >> 20} MB).",
                    f"{path} 作为工作簿过大（{path.stat().st_size >> 20} MB）。",
                ),
                Text("Save the sheet as CSV and load that.", "请将工作表另存为 CSV 再加载。"),
            )
        try:
            book = calamine.CalamineWorkbook.from_path(str(path))
        except (calamine.CalamineError, OSError, ValueError) as error:
            raise _no_book(path, error) from None
        seen = [m.name for m in book.sheets_metadata if m.visible == calamine.SheetVisibleEnum.Visible] or list(
            book.sheet_names
        )
        if wanted.sheet:
            if wanted.sheet not in book.sheet_names:
                names = listed(book.sheet_names)
                raise refuse(
                    Text(f"{path} has no sheet {wanted.sheet!r}.", f"{path} 没有工作表 {wanted.sheet!r}。"),
                    Text(f"The sheets are: {names.en}.", f"现有工作表：{names.zh}。"),
                )
            seen = [wanted.sheet]
        places = [found for name in seen if (found := self._sheet(path, book, name, wanted))]
        if not places:
            raise refuse(Text(f"No sheet of {path} holds a table.", f"{path} 的工作表中没有表格。"))
        return places

    def _sheet(self, path: Path, book: Any, name: str, wanted: Wanted) -> FilePlace | None:
        rows = [[_cell(value) for value in row] for row in book.get_sheet_by_name(name).iter_rows()]
        filled = Counter(n for row in rows if (n := sum(1 for cell in row if cell)) > 1)
        if not filled and not wanted.sheet:
            return None
        usual = max(filled, default=1)
        header = wanted.header
        if header is None:
            header = next(
                (
                    i
                    for i, row in enumerate(rows, 1)
                    if sum(1 for c in row if c) * 2 >= usual and _names_something([c for c in row if c])
                ),
                0,
            )
        body = rows[header:] if header else rows
        width = max((len(row) for row in rows), default=0)
        heading = rows[header - 1] if header else [f"column{i}" for i in range(1, width + 1)]
        names = tuple(cell.strip(BLANKS) for cell in heading)
        until = (
            wanted.until
            if wanted.until is not None
            else next((row[0] for row in body[-5:] if row and row[0] and _TOTALS.match(row[0])), "")
        )
        target = self.copy(".csv")
        with target.open("w", encoding="utf-8", newline="") as plain:
            out = csv.writer(plain, lineterminator="\n")
            for row in body:
                if until and row and row[0].startswith(until):
                    break
                if any(row):
                    out.writerow([*row, *[""] * (width - len(row))])
        errors = _error_cells(path, name)
        notes = (
            (
                Text(
                    f"{errors:,} cells of sheet {name} hold an error such as #N/A; they count as missing",
                    f"工作表 {name} 有 {errors:,} 个单元格为 #N/A 等错误，按无值处理",
                ),
            )
            if errors
            else ()
        )
        return FilePlace(
            path,
            "spreadsheet",
            target,
            separator=",",
            sheet=name,
            header=header,
            has_header=False,
            names=wanted.names if not header and wanted.names else names,
            until=until,
            notes=notes,
        )


def _cell(value: Any) -> str:
    """A cell as text: whole numbers without a fraction, times as ISO."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        hours, rest = divmod(round(value.total_seconds()), 3600)
        return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
    return str(value).strip(BLANKS)


def _no_book(path: Path, error: Exception) -> Exception:
    if zipfile.is_zipfile(path) and "Password" not in type(error).__name__:
        return refuse(
            Text(f"{path} is a zip file, and no workbook: {error}.", f"{path} 是 zip 文件，不是工作簿：{error}。"),
            Text("Unpack it and name the files in it.", "请先解压，再给出其中的文件。"),
        )
    return refuse(
        Text(f"{path} cannot be read as a workbook: {error}.", f"{path} 无法按工作簿读取：{error}。"),
        Text(
            "Open it in the spreadsheet program and save it anew, without a password.",
            "请用表格软件打开并重新保存（不要设密码）。",
        ),
    )


def _error_cells(path: Path, sheet: str) -> int:
    """How many cells of an .xlsx sheet hold an error: readers give them as empty."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as book:
        names = book.namelist()
        if "xl/workbook.xml" not in names:
            return 0
        listing = book.read("xl/workbook.xml").decode("utf-8", "replace")
        ids = {m[1]: m[2] for m in re.finditer(r'<(?:\w+:)?sheet [^>]*?name="([^"]*)"[^>]*?r:id="([^"]*)"', listing)}
        links = (
            book.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
            if "xl/_rels/workbook.xml.rels" in names
            else ""
        )
        targets = {}
        for link in re.findall(r"<Relationship [^>]*>", links):
            key, target = re.search(r'Id="([^"]*)"', link), re.search(r'Target="([^"]*)"', link)
            if key and target:
                targets[key[1]] = target[1]
        name = "xl/" + targets.get(ids.get(sheet, ""), "").removeprefix("/xl/")
        if name not in names:
            return 0
        count, tail = 0, b""
        with book.open(name) as file:
            while chunk := file.read(_CHUNK):
                count += (tail + chunk).count(b't="e"')
                tail = chunk[-4:]
                count -= tail.count(b't="e"')
        return count


# Details.


_TOTALS = re.compile(r"(?i)(合计|总计|小计|汇总|总交易|总笔数|grand total|totals?\b|summe\b|sum\b)")
_DATA = re.compile(
    r"[+-]?[0-9][0-9.,:/ T-]*[0-9]|[0-9]|[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)?%?|\d{4}-\d\d-\d\d.*|(?i:true|false|null)"
)


def _names_something(cells: Sequence[str]) -> bool:
    return (
        len(cells) > 0
        and not any(_DATA.fullmatch(cell.strip(BLANKS)) for cell in cells)
        and len(set(cells)) == len(cells)
    )


def _records_of(lines: Sequence[str], mark: str) -> list[tuple[int, list[str]]]:
    """The records of some lines with the number of the last line of each; blank ones are passed over."""
    reader = csv.reader(lines, delimiter=mark)
    found: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for cells in reader:
            if any(cell.strip(BLANKS) for cell in cells):
                found.append((start, cells))
            start = reader.line_num + 1
            if len(found) > 500:
                break
    except csv.Error:
        pass
    return found


def _regularity(table: list[tuple[int, list[str]]]) -> tuple[float, int]:
    widths = Counter(len(cells) for _, cells in table)
    widths.pop(1, None)
    if not widths:
        return (0.0, 0)
    width, n = widths.most_common(1)[0]
    first = len(table[0][1])
    return (n / len(table) if first != width else max(n / len(table), 0.5) + 0.2, width)


def _heading(table: list[list[str]]) -> int | None:
    """Which of the first records names the columns; None where the first one is data."""
    filled = [cell.strip(BLANKS) for cell in table[0] if cell.strip(BLANKS)]
    width = Counter(len(cells) for cells in table).most_common(1)[0][0]
    if len(table[0]) * 2 > width:
        if len(table) > 1 and any(_DATA.fullmatch(cell) for cell in filled):
            return None
        return 0
    for i, cells in enumerate(table[:50]):
        if len(cells) == width:
            return i if _names_something([c for c in cells if c.strip(BLANKS)]) else None
    return 0


def _escape(lines: Sequence[str], separator: str) -> str:
    """A backslash where fields are escaped with it and never quoted, as MySQL writes them."""
    if separator != "\t":
        return ""
    body = "".join(lines)
    quoted = re.search(r'(^|\t)"', body, re.MULTILINE)
    return "\\" if re.search(r"\\[nt0\\N]", body) and not quoted else ""


def _end(text: Path, separator: str, width: int) -> str:
    """With what the first line below the table begins; empty where the table ends with the file."""
    size = text.stat().st_size
    with text.open("rb") as file:
        file.seek(max(0, size - 16 * 1024))
        tail = file.read().decode("utf-8", "replace").splitlines()
    until = ""
    for line in reversed([line for line in tail[-20:] if line.strip()]):
        cells = next(csv.reader([line], delimiter=separator), [""])
        first = cells[0].strip(BLANKS + "`'\"")
        if match := _TOTALS.match(first):
            until = first if len(cells) > 1 else match[0]
        elif first.startswith("#") and len(cells) * 2 < width:
            until = "#"
        elif not until and len(cells) == width and line.lstrip().startswith("`") and width < 3:
            continue
        elif until:
            break
        elif len(cells) >= width:
            # A line of values below a line of names of totals looks like a row; only the names tell.
            continue
        else:
            continue
    return until


def _head(text: Path) -> tuple[str, bool]:
    with text.open("rb") as file:
        start = file.read(_HEAD)
        whole = not file.read(1)
    return start.removeprefix(codecs.BOM_UTF8).decode("utf-8", "ignore"), whole


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _only_line(text: Path) -> bool:
    with text.open(encoding="utf-8-sig", errors="replace") as file:
        filled = (line for line in file if line.strip())
        next(filled, "")
        return not next(filled, "")


def _is_document(line: dict[str, Any]) -> bool:
    """Whether an object alone in a file is an answer of some service around a list of objects, rather than one record."""
    plain = [key for key, value in line.items() if not isinstance(value, dict | list)]
    return len(plain) <= _FEW and not any(key.startswith("#") for key in line) and bool(_records(line))


def _tracks(text: Path) -> bool:
    """Whether one of the first objects has `#type`, as the lines of the vendor's SDKs do."""
    with text.open(encoding="utf-8-sig", errors="replace") as file:
        for _ in range(20):
            line = _object(file.readline(_CHUNK) or "")
            if isinstance(line, dict):
                return "#type" in line
    return False


def _json_lines_likely(text: Path) -> bool:
    with text.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line for _ in range(50) if (line := file.readline(_CHUNK)).strip()]
    return sum(isinstance(_object(line), dict) for line in lines) * 2 >= len(lines) > 0


def _records(document: Any, prefix: str = "", depth: int = 0) -> str:
    """The path of the longest list of objects in a document."""
    best = ("", -1)

    def look(value: Any, path: str, depth: int) -> None:
        nonlocal best
        if isinstance(value, list):
            if (not value or isinstance(value[0], dict)) and len(value) > best[1] and (path or depth == 0):
                best = (path, len(value))
        elif isinstance(value, dict) and depth < 4:
            for key, each in value.items():
                look(each, f"{path}.{key}" if path else key, depth + 1)

    look(document, prefix, depth)
    return best[0]


_BY_ENDING = {
    ".parquet": ("Parquet", (b"PAR1",)),
    ".pq": ("Parquet", (b"PAR1",)),
    ".xlsx": ("a workbook", (b"PK\x03\x04",)),
    ".ods": ("a workbook", (b"PK\x03\x04",)),
    ".gz": ("gzip", (b"\x1f\x8b",)),
    ".zst": ("Zstandard", (b"\x28\xb5\x2f\xfd",)),
}


def _check_ending(path: Path, start: bytes) -> None:
    """LoadRefused where a file begins otherwise than its ending says: it is damaged."""
    name, marks = _BY_ENDING.get(path.suffix.lower(), ("", ()))
    if marks and not start.startswith(marks):
        zh = "工作簿" if name == "a workbook" else name
        raise refuse(
            Text(
                f"{path} cannot be read as {name}: it does not begin like one.",
                f"{path} 无法按 {zh} 读取：文件开头不符。",
            ),
            Text("Check that the file is complete and undamaged.", "请检查文件是否完整、未损坏。"),
        )


def _folders(path: Path) -> Iterator[tuple[str, str]]:
    for part in path.parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            yield name, value
