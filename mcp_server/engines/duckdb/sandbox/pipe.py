"""What passes between the process that runs SQL and the one that started it.

One request goes in as a line of JSON. Frames come out: a kind, a length, and that many bytes. The whole result passes
here; the process that runs SQL opens no file for writing.
"""

import json
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any, Literal

Kind = Literal["progress", "findings", "rows", "done", "failed"]
_KINDS: dict[Kind, bytes] = {"progress": b"p", "findings": b"f", "rows": b"r", "done": b"d", "failed": b"x"}
_NAMES: dict[bytes, Kind] = {code: kind for kind, code in _KINDS.items()}
_HEAD = struct.Struct(">cI")
_LONGEST = 256 * 1024 * 1024
"""A frame longer than this is a sign that the other side is broken."""


Finding = dict[str, Any]
"""A problem on its way out, as JSON: its code and what it is about."""


class Broken(Exception):
    """What arrives is no frame."""


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """What the process is to run, on what, and within which limits."""

    sql: str
    columns: int
    project_id: str
    zone: str
    today: str
    """yyyy-MM-dd."""
    data: str
    """Path of the data file."""
    clusters: list[tuple[str, str]]
    """Names and files of the clusters and tags that can be read."""
    only_bind: bool
    seconds: float
    memory: int
    rows: int
    threads: int

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "SqlRequest":
        fields = json.loads(line)
        fields["clusters"] = [(name, path) for name, path in fields["clusters"]]
        return cls(**fields)


class Outlet:
    """The end that writes frames; safe from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, kind: Kind, payload: bytes) -> None:
        """Write one frame."""
        frame = memoryview(_HEAD.pack(_KINDS[kind], len(payload)) + payload)
        with self._lock:
            while frame:
                frame = frame[os.write(self._descriptor, frame) :]

    def send_json(self, kind: Kind, value: object) -> None:
        """Write one frame of JSON."""
        self.send(kind, json.dumps(value).encode())


def frames(source: IO[bytes]) -> Iterator[tuple[Kind, bytes]]:
    """Yield the frames that arrive, until the other side ends. Broken: something else arrives, or half a frame."""
    while head := source.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise Broken("half a frame")
        code, length = _HEAD.unpack(head)
        if code not in _NAMES or length > _LONGEST:
            raise Broken("not a frame")
        payload = source.read(length)
        if len(payload) < length:
            raise Broken("half a frame")
        yield _NAMES[code], payload
