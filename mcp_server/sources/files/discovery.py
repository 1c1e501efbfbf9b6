"""The files of a load: matched, their format and heading read before anything goes into the engine."""

import codecs
import csv
import glob
import gzip
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import IO, Literal, cast
from unicodedata import category

from mcp_server.errors import LoadRefused
from mcp_server.language.suggest import nearest
from mcp_server.sources.report import refuse
from mcp_server.text import NOTHING, Text

Format = Literal["parquet", "csv", "ndjson"]

_BY_ENDING: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "ndjson",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
}
_DELIMITERS = (",", "\t", ";", "|")
_BOM = b"\xef\xbb\xbf"
_LONGEST_FIRST_LINE = 16 * 1024 * 1024
_PEEK = 64 * 1024

_FORMATS = Text(
    "Give Parquet, CSV or newline-delimited JSON (.parquet, .csv, .tsv, .json, .jsonl, .ndjson; the text formats also as .gz).",
    "支持 Parquet、CSV 和逐行 JSON（.parquet、.csv、.tsv、.json、.jsonl、.ndjson，文本格式可用 .gz 压缩）。",
)


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files of one format, in the order in which their rows count."""

    paths: tuple[Path, ...]
    format: Format
    tracking: bool = False
    """True for newline-delimited JSON in the vendor's tracking format: the first object of the first file has `#type`."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The first line of a CSV file."""

    delimiter: str
    names: tuple[str, ...]


def find(pattern: str) -> SourceFiles:
    """Return the files that a path or a glob names, sorted by path; LoadRefused where there is none or their format is unclear."""
    if any(category(letter) in ("Cc", "Cs") for letter in pattern):
        shown = ascii(pattern)
        raise refuse(Text(f"{shown} cannot be a path.", f"{shown} 不是可用的路径。"))
    paths = _match(pattern)
    formats = {_format(path): path for path in reversed(paths)}
    if len(formats) > 1:
        names = " + ".join(sorted(f"{path.name} ({kind})" for kind, path in formats.items()))
        raise refuse(
            Text(
                f"The files of {pattern} have different formats: {names}.", f"{pattern} 匹配到的文件格式不一：{names}。"
            ),
            Text("Narrow the pattern to one format.", "请缩小通配范围，只匹配一种格式。"),
        )
    kind = next(iter(formats))
    return SourceFiles(tuple(paths), kind, kind == "ndjson" and _is_tracking(paths[0]))


def _match(pattern: str) -> list[Path]:
    expanded = os.path.expanduser(pattern)  # noqa: PTH111 - a glob is not a path
    if os.path.isdir(expanded):  # noqa: PTH112 - the same
        raise refuse(
            Text(f"{pattern} is a folder.", f"{pattern} 是文件夹。"),
            Text(
                "Name the files in it, for example with a glob: folder/*.parquet.",
                "请写明其中的文件，例如用通配符：folder/*.parquet。",
            ),
        )
    if os.path.isfile(expanded):  # noqa: PTH113 - a file with brackets in its name is not a glob
        return [Path(expanded)]
    paths = sorted(Path(name) for name in glob.glob(expanded, recursive=True) if os.path.isfile(name))  # noqa: PTH113, PTH207 - the same
    if not paths:
        raise refuse(Text(f"There is no file {pattern}.", f"找不到文件 {pattern}。"), _nearest_file(Path(expanded)))
    return paths


def _nearest_file(path: Path) -> Text:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
    except OSError:
        names = []
    close = nearest(path.name, names)
    if not close:
        return Text("Check the path.", "请检查路径。")
    return Text(f"Did you mean {path.parent / close}?", f"是否指 {path.parent / close}？")


def _format(path: Path) -> Format:
    with _readable(path), path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise refuse(Text(f"{path} is empty.", f"{path} 是空文件。"))
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] == ".gz":
        endings.pop()
    kind = _BY_ENDING.get(endings[-1]) if endings else None
    if start == b"PAR1" and kind != "parquet":
        return "parquet"
    if kind is None:
        raise refuse(Text(f"The format of {path} is not known.", f"无法识别 {path} 的格式。"), _FORMATS)
    return kind


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors of the operating system and the unpacker into one that names the file."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise refuse(
            Text(f"{path} cannot be read: {error}.", f"{path} 无法读取：{error}。"),
            Text("Check the file and its permissions.", "请检查文件是否完整、是否有读取权限。"),
        ) from None


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file's content, unpacked where its name ends in .gz."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def heading(path: Path) -> Heading:
    """Read column names and delimiter of a CSV file; the delimiter is the one that splits the first line most often."""
    with _readable(path):
        line = _first_record(path)
    if sum(part.count('"') for part in line) % 2:
        raise refuse(
            Text(f"A quote in the header of {path} is never closed.", f"{path} 的表头中有未闭合的引号。"), _HEADER
        )
    try:
        choices = [Heading(mark, tuple(next(csv.reader(line, delimiter=mark), ()))) for mark in _DELIMITERS]
    except csv.Error:
        choices = []
    best = max(choices, key=lambda choice: len(choice.names), default=None)
    if best is None or not any(name.strip() for name in best.names):
        raise refuse(Text(f"{path} has no header line.", f"{path} 没有表头行。"), _HEADER)
    return best


_HEADER = Text("The first line of a CSV file names its columns.", "CSV 文件的第一行须是列名。")


def _first_record(path: Path) -> list[str]:
    """Read the lines of the header: more than one where a quoted name holds a line break."""
    try:
        with open_bytes(path) as file, TextIOWrapper(cast("BufferedReader", file), "utf-8-sig", newline="") as text:
            lines: list[str] = []
            for line in text:
                lines.append(line)
                if sum(part.count('"') for part in lines) % 2 == 0 or len(lines) > 100:
                    break
            return lines
    except UnicodeDecodeError:
        raise not_utf8(path) from None


def not_utf8(path: Path) -> LoadRefused:
    """Return the error for a text file in another encoding, with what it probably is."""
    guess = NOTHING
    with _readable(path), open_bytes(path) as file:
        start = file.read(_PEEK)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        guess = Text("It looks like UTF-16.", "看起来是 UTF-16。")
    elif _is_gbk(start):
        guess = Text("It may be GBK.", "可能是 GBK。")
    return refuse(
        Text(f"{path} is not UTF-8 text.", f"{path} 不是 UTF-8 文本。").then(guess),
        Text(
            "Save it as UTF-8 (in Excel: 'CSV UTF-8') and load again.",
            "请另存为 UTF-8（Excel 中选择“CSV UTF-8”）后重新加载。",
        ),
    )


def _is_gbk(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("gb18030")().decode(start)  # the last character may be cut in two
    except UnicodeDecodeError:
        return False
    return True


def is_utf8(path: Path) -> bool:
    """Whether the whole file is valid UTF-8; reads all of it, so use it only when a row could not be read."""
    try:
        with open_bytes(path) as file, TextIOWrapper(cast("BufferedReader", file), "utf-8", newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def without_bom(path: Path, temp: Path) -> Path:
    """Return the file itself, or a copy without its byte-order mark (which the engine's JSON reader cannot read)."""
    with _readable(path), open_bytes(path) as file:
        if file.read(len(_BOM)) != _BOM:
            return path
        temp.mkdir(parents=True, exist_ok=True)
        copy = temp / f"without-bom-{abs(hash(path))}.ndjson"
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target, 1 << 20)
    return copy


def _is_tracking(path: Path) -> bool:
    """Whether the first object has `#type`. LoadRefused for an array, or a document over many lines."""
    line = _first_line(path)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        first = None
        if line.strip() in ("{", "["):
            raise _not_ndjson(path) from None
    if isinstance(first, list):
        raise _not_ndjson(path)
    return isinstance(first, dict) and "#type" in first


def _first_line(path: Path) -> str:
    with _readable(path), open_bytes(path) as file:
        while line := file.readline(_LONGEST_FIRST_LINE):
            text = line.removeprefix(_BOM).strip()
            if text:
                return text.decode("utf-8", "replace")
    raise refuse(Text(f"{path} is empty.", f"{path} 是空文件。"))


def _not_ndjson(path: Path) -> LoadRefused:
    return refuse(
        Text(f"{path} is JSON, but not one object to a line.", f"{path} 是 JSON，但不是每行一个对象。"),
        Text(
            "Write it newline-delimited, for example with `jq -c '.[]'`.",
            "请改为逐行 JSON，例如用 `jq -c '.[]'` 转换。",
        ),
    )
