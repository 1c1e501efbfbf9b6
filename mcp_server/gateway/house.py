"""What the three formats share: the operations behind them, the credentials, the clock, and how faults are told."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from mcp_server.errors import FenqunError
from mcp_server.gateway.keys import Keys
from mcp_server.gateway.querying import Queried, QuerySql
from mcp_server.operations.calling import call
from mcp_server.operations.consenting import Consenting
from mcp_server.operations.identity import Identity
from mcp_server.operations.operation import Deps, Operation, Result

R = TypeVar("R", bound=Result)

WHO: Final = "fenqun.gateway.who"
"""Where a verified caller's name stands in the ASGI scope, for the access log."""
MOST_FAULTS: Final = 3
"""Problems of an error that an answer quotes."""


class Upload(Protocol):
    """A file that was taken."""

    @property
    def handle(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def size_bytes(self) -> int: ...


U = TypeVar("U", bound=Upload)


class Store(Protocol[U]):
    """Where uploads lie while they are read; the local platform's `HandedFiles`."""

    def room(self, project_id: str) -> int: ...
    def temp_path(self) -> Path: ...
    def take(self, temp: Path, project_id: str, suffix: str, by: str) -> U: ...
    def drop(self, upload: U) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes."""

    body: int = 4 << 20
    upload: int = 256 << 20


@dataclass(frozen=True, slots=True)
class House:
    """What the handlers work with."""

    deps: Deps
    keys: Keys
    clock: Callable[[], datetime]
    query: Operation[QuerySql, Queried]
    store: Store[Any]
    limits: Limits = field(default_factory=Limits)

    def known(self, system: str) -> Deps:
        """The parts for a caller that has proved this system's credentials. He is a program with credentials of his
        own, so nobody is asked (docs/decisions.md)."""
        deps = replace(self.deps, consenting=Consenting("never"))
        return deps.seen_by(Identity(system, "gateway"))

    async def ask(self, system: str, operation: Operation[Any, R], arguments: Mapping[str, object]) -> R:
        """Call an operation as this system's caller. FenqunError."""
        return await call(operation, arguments, self.known(system))


def same(said: str, secret: str) -> bool:
    """Whether two texts are the same, in a time that does not tell how far they are."""
    return hmac.compare_digest(said.encode("utf-8", "surrogatepass"), secret.encode())


def told(error: FenqunError, deps: Deps) -> str:
    """An error as one line: its message, and its first problems with their places."""
    parts = [deps.say(error.message)]
    for problem in error.problems[:MOST_FAULTS]:
        got = f" ({problem.got})" if problem.got else ""
        parts.append(f"{problem.path}{got}: {deps.say(problem.message)}")
    return " ".join(parts)
