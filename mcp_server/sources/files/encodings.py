"""The encoding of a text file, decided by strict decoding over all of its bytes."""

import codecs
import re
from pathlib import Path

from mcp_server.sources.report import refuse
from mcp_server.text import Text

_HEAD = 256 * 1024
_CHUNK = 1 << 20


_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def encoding_of(raw: Path, shown: Path) -> str:
    """The encoding of a text file: by its mark, by zero bytes, else the first in which all of its bytes are characters."""
    with raw.open("rb") as file:
        start = file.read(_HEAD)
    for mark, name in _BOMS:
        if start.startswith(mark):
            return "utf-8" if name == "utf-8-sig" else name
    if b"\0" in start[:4096]:
        even, odd = start[0:4096:2].count(0), start[1:4096:2].count(0)
        name = "utf-16-le" if odd > even else "utf-16-be"
        if decodes(raw, name):
            return name
    if decodes(raw, "utf-8"):
        return "utf-8"
    for name in _by_likeness(raw):
        if decodes(raw, name):
            return name
    raise refuse(
        Text(f"{shown} is text in no encoding that is known.", f"无法识别 {shown} 的文本编码。"),
        Text(
            "Name it with --encoding, or save the file as UTF-8 (in Excel: 'CSV UTF-8').",
            "请用 --encoding 指明，或另存为 UTF-8（Excel 中选择“CSV UTF-8”）。",
        ),
    )


def decodes(raw: Path, encoding: str) -> bool:
    """Whether all bytes of a file are characters of an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        with raw.open("rb") as file:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _by_likeness(raw: Path) -> list[str]:
    """Encodings of bytes that are not UTF-8, the most likely first."""
    high = bytearray()
    lone = pairs = 0
    with raw.open("rb") as file:
        while (chunk := file.read(_CHUNK)) and len(high) < _CHUNK:
            for run in re.findall(rb"[\x80-\xff][\x40-\xff]*", chunk):
                tops = sum(byte >= 0x80 for byte in run)
                lone += tops == 1 and not run[-1] >= 0x80 and True
                pairs += tops > 1
                high += run + b"\n"
    if lone > pairs:
        return ["cp1252", "gb18030", "big5", "latin-1"]
    scores = {
        name: _common(bytes(high), name, low, top) for name, low, top in (("gb18030", 0xB0, 0xD7), ("big5", 0xA4, 0xC6))
    }
    return [*sorted(scores, key=lambda name: -scores[name]), "shift_jis", "euc_kr", "cp1252"]


def _common(data: bytes, encoding: str, low: int, top: int) -> float:
    """The share of characters that are among the common ones of an encoding."""
    text = data.decode(encoding, "replace")
    characters = [letter for letter in text if ord(letter) > 0x7F]
    common = 0
    for letter in characters:
        try:
            written = letter.encode(encoding)
        except UnicodeEncodeError:
            continue
        common += len(written) == 2 and low <= written[0] <= top
    return common / len(characters) if characters else 0.0


def refuse_encoding(path: Path, encoding: str) -> None:
    """LoadRefused for a file that is not in the encoding that was named."""
    raise refuse(
        Text(f"{path} is not {encoding} text.", f"{path} 不是 {encoding} 文本。"),
        Text("Leave --encoding out to have it worked out.", "可不写 --encoding，由程序判断。"),
    )
