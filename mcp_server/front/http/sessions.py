"""Visits of people who have shown an approval token: kept in this process, short, and bound to one browser's cookie."""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

SECONDS: Final = 1800.0
"""How long one visit lasts."""
MOST: Final = 1000
"""Visits at once; the oldest gives way."""


@dataclass(frozen=True, slots=True)
class Session:
    """One visit."""

    credential: str
    """Of the token that was shown; whether it still lives is asked at each request."""
    ends: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Stands in every form that this visit is shown, and in no cookie."""

    def wrote(self, csrf: str) -> bool:
        """Whether a form was shown to this visit."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "surrogatepass"))


class Sessions:
    """The visits of one server."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._open: dict[str, Session] = {}

    def begin(self, credential: str) -> str:
        """A new visit; what its cookie holds."""
        now = self._clock()
        self._open = {name: visit for name, visit in self._open.items() if visit.ends > now}
        while len(self._open) >= self._most:
            del self._open[next(iter(self._open))]
        name = secrets.token_urlsafe(32)
        self._open[name] = Session(credential, now + SECONDS)
        return name

    def find(self, name: str) -> Session | None:
        """The visit of a cookie; None for one that is over or never was. (256 random bits: nothing to time.)"""
        found = self._open.get(name)
        return found if found is not None and found.ends > self._clock() else None

    def end(self, name: str) -> None:
        self._open.pop(name, None)
