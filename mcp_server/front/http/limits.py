"""How much at once: bytes, calls, open streams; of one caller and of all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from mcp_server.front.http.access import Refused
from mcp_server.text import Text

Kind = Literal["call", "stream"]

_TOO_MANY = Text("You have too many requests under way.", "您同时进行的请求过多。")
_BUSY = Text("The server has too many requests under way.", "服务正在处理的请求过多。")
_LATER = Text("Try again when one of them is answered.", "请在其中某个请求返回后重试。")


@dataclass(frozen=True, slots=True)
class Limits:
    """Most of each. A stream is a connection that waits for what the server may say; it does no work."""

    body: int = 4 << 20
    """Bytes of one message."""
    upload: int = 256 << 20
    """Bytes of one uploaded file."""
    upload_pause: float = 60.0
    """Seconds between two pieces of an upload."""
    calls: int = 128
    calls_each: int = 32
    streams: int = 512
    streams_each: int = 128
    sessions: int = 2000
    """Handshake sessions that are open at once."""
    connections: int = 2048


LIMITS: Final = Limits()
"""The limits of a server that is told nothing else."""


class Doorman:
    """Counts what is under way. Used from one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: Counter[Kind] = Counter()
        self._each: Counter[tuple[Kind, str]] = Counter()

    @property
    def calls(self) -> int:
        """Calls that are under way."""
        return self._all["call"]

    @contextmanager
    def admitted(self, kind: Kind, who: str) -> Iterator[None]:
        """Take one place, or raise Refused: 429 where the caller has too many, 503 where all together have."""
        most, most_each = (
            (self._limits.calls, self._limits.calls_each)
            if kind == "call"
            else (self._limits.streams, self._limits.streams_each)
        )
        if self._each[kind, who] >= most_each:
            raise Refused(429, "too_many_requests", _TOO_MANY, _LATER)
        if self._all[kind] >= most:
            raise Refused(503, "busy", _BUSY, _LATER)
        self._all[kind] += 1
        self._each[kind, who] += 1
        try:
            yield
        finally:
            self._all[kind] -= 1
            self._each[kind, who] -= 1
            if not self._each[kind, who]:
                del self._each[kind, who]
