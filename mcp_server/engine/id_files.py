"""From an opened file of ids to a private copy that is plain UTF-8, and what stands in it (qp.md section 7).

Nothing is guessed twice: a byte-order mark says the encoding; without one, zero bytes in every other place say UTF-16,
strict UTF-8 says UTF-8, and the rest is GB18030 (which holds GBK) or refused.
"""

import codecs
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from mcp_server.engine.report import refuse_ids
from mcp_server.errors import Interrupted
from mcp_server.qp.problems import finding
from mcp_server.text import Text

CHUNK: Final = 1 << 20
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BINARY: Final = {
    b"PK\x03\x04": Text("an Excel workbook or a ZIP archive", "Excel 工作簿或 ZIP 压缩包"),
    b"\xd0\xcf\x11\xe0": Text("an old Excel workbook", "旧版 Excel 工作簿"),
    b"PAR1": Text("a Parquet file", "Parquet 文件"),
    b"\x1f\x8b": Text("a gzip archive", "gzip 压缩文件"),
    b"%PDF": Text("a PDF document", "PDF 文档"),
}
"""How files begin that people take for CSV."""
_ODD = (b"\t", b"\r\r")


class Steering(Protocol):
    """The part of a control that a copy needs."""

    @property
    def interrupted(self) -> bool: ...

    def report(self, percent: float) -> None: ...


@dataclass(frozen=True, slots=True)
class IdFile:
    """The private copy, and what its bytes tell."""

    path: Path
    encoding: str
    """`utf-8`, `utf-8-bom`, `utf-16-le`, `utf-16-be` or `gbk`."""
    content_hash: str
    """Of the text as UTF-8 without a byte-order mark: the same in every encoding."""
    quoted: bool
    """A quotation mark stands in it."""
    odd_blanks: bool
    """It may hold blanks other than the space, which cost more to strip."""


def private_copy(source: IO[bytes], size: int, temp: Callable[[str], Path], control: Steering) -> IdFile:
    """Copy an opened file of ids as UTF-8. `temp` gives paths for the copy; progress counts to 100.

    Raises InvalidArguments for what is no text, Interrupted, and OSError where the disk is full.
    """
    start = source.read(CHUNK)
    _refuse_binary(start)
    encoding = _marked(start)
    if not encoding:
        try:
            return _written(_as_utf8(_chunks(source, size, control)), "utf-8", temp(".csv"))
        except UnicodeDecodeError:
            encoding = "gbk"
    codec = "gb18030" if encoding == "gbk" else encoding.removesuffix("-bom")
    skip = len(_UTF8_MARK) if encoding == "utf-8-bom" else 2 if _has_utf16_mark(start) else 0
    return _written(_decoded(_chunks(source, size, control, skip), codec), encoding, temp(".csv"))


def _refuse_binary(start: bytes) -> None:
    for mark, what in _BINARY.items():
        if start.startswith(mark):
            raise refuse_ids([finding("ids_not_text", "/path", expected=what)])


def _marked(start: bytes) -> str:
    """The encoding that the first bytes show for sure; "" where they do not."""
    if start.startswith(_UTF8_MARK):
        return "utf-8-bom"
    if _has_utf16_mark(start):
        return "utf-16-le" if start.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    pairs = len(start) // 2
    odd, even = start[1 : 2 * pairs : 2].count(0), start[0 : 2 * pairs : 2].count(0)
    if pairs and max(odd, even) > 0.4 * pairs and not min(odd, even):
        return "utf-16-le" if odd else "utf-16-be"
    return ""


def _has_utf16_mark(start: bytes) -> bool:
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _chunks(source: IO[bytes], size: int, control: Steering, skip: int = 0) -> Iterator[bytes]:
    """The file from `skip` on, with progress."""
    source.seek(skip)
    done = skip
    while chunk := source.read(CHUNK):
        if control.interrupted:
            raise Interrupted(_STOPPED)
        yield chunk
        done += len(chunk)
        control.report(100 * min(1.0, done / max(size, 1)))


_STOPPED = Text("The import was stopped; nothing was saved.", "导入已中止；未保存任何内容。")


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes as they are; UnicodeDecodeError once they are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in chunks:
        decoder.decode(chunk)
        yield chunk
    decoder.decode(b"", final=True)


def _decoded(chunks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """The text as UTF-8. InvalidArguments with the line where it is not in this encoding."""
    decoder = codecs.getincrementaldecoder(codec)()
    lines = 1
    last = b""
    try:
        for chunk in chunks:
            last = chunk
            text = decoder.decode(chunk)
            lines += text.count("\n")
            yield text.encode()
        last = b""
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        lines += last[: max(error.start, 0)].count(b"\n") if codec in ("gb18030", "utf-8") else 0
        raise refuse_ids([finding("ids_encoding", "/path", line=lines)]) from None


def _written(chunks: Iterator[bytes], encoding: str, path: Path) -> IdFile:
    digest = hashlib.sha256()
    quoted = odd = False
    with path.open("wb") as copy:
        for chunk in chunks:
            copy.write(chunk)
            digest.update(chunk)
            quoted = quoted or b'"' in chunk
            odd = odd or not chunk.isascii() or any(mark in chunk for mark in _ODD)
    return IdFile(path, encoding, digest.hexdigest()[:32], quoted, odd)
