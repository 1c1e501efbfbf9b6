"""An account whose answers go wrong by plan, and processes that act on it over connections that they keep."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
from anyio import Event
from anyio.from_thread import BlockingPortal

from mcp_server.app import build, connect
from mcp_server.credentials import VENDORS, read_credentials
from mcp_server.operations.operation import ConsentPolicy
from mcp_server.platforms.thinkingdata import wire
from mcp_server.settings import Settings
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import KEYS, Station
from tests.operations.desk import PATIENCE, Desk
from tests.remote.kit import QUICK, variables

FAULTS = {
    "dropped": Fault(Kind.DROP),
    "dropped before": Fault(Kind.DROP, acts=False),
    "status": Fault(Kind.STATUS),
    "cut": Fault(Kind.TRUNCATED),
    "page": Fault(Kind.NOT_JSON),
    "throttled": Fault(Kind.THROTTLED),
    "delayed": Fault(Kind.DELAY),
    "late": Fault(Kind.DELAY, acts=False),
}
"""What can go wrong with an answer. `delayed`: longer than the client waits; `late`: and it is carried out only then."""
CHANGES = frozenset({
    wire.ADD, wire.UPDATE_BY_NAME, wire.DELETE_BY_NAME, wire.REFRESH_BY_NAME, wire.IMPORT_ADD, wire.IMPORT_MODIFY_BY_NAME, "/router/rest", "/",
})  # fmt: skip
"""Paths of requests that change something; the last two also take questions."""
SECRETS = (KEYS.token, KEYS.app_secret, KEYS.session, KEYS.secret_key)


@dataclass
class Afar(Desk):
    """A process that lives in a loop of its own and keeps its connections from call to call."""

    loop: BlockingPortal = field(kw_only=True)
    line: "Line" = field(kw_only=True)

    def __call__(self, name: str, **arguments: object) -> Any:
        return self.loop.call(self.asked, name, arguments)


@dataclass
class Requests:
    """Requests, and how many of them went to CHANGES."""

    paths: list[str] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return sum(path in CHANGES for path in self.paths)

    @property
    def change(self) -> bool:
        """Whether the last one may be a change."""
        return self.paths[-1] in CHANGES


Choose = Callable[[Requests], Fault | None]
"""The fault of a request: the last one of these. Asked on both ends of the line, so it keeps no state."""


LITTLE = 0.02
"""Seconds that a client waits for a delayed answer."""


@dataclass
class Line:
    """The line between a process and the account. A client that waits for a delayed answer loses its patience, but not
    before the account has carried out what it carries out at once."""

    choose: Choose = lambda _: None
    sent: Requests = field(default_factory=Requests)
    limits: list[dict[str, float]] = field(default_factory=list)
    """Of delayed requests, how long their clients wait."""

    async def __call__(self, request: httpx.Request) -> None:
        self.sent.paths.append(request.url.path)
        fault = self.choose(self.sent)
        if fault is not None and fault.kind is Kind.DELAY:
            self.limits.append(request.extensions["timeout"])
            if not fault.acts:
                self.hurry()

    def hurry(self) -> None:
        for limits in self.limits:
            limits["read"] = LITTLE

    @contextmanager
    def plan(self, account: Station, choose: Choose) -> Iterator[Requests]:
        """Let requests go wrong as `choose` decides; at the end what was delayed is over."""
        seen, held = Requests(), threading.Semaphore(0)
        release, waiting = account.portal.call(Event), 0

        def take(path: str) -> Fault | None:
            nonlocal waiting
            seen.paths.append(path)
            fault = choose(seen)
            if fault is None or fault.kind is not Kind.DELAY:
                return fault
            waiting += 1
            return replace(fault, until=release.wait, acted=acted)

        def acted() -> None:
            self.hurry()
            held.release()

        self.choose, self.sent = choose, Requests()
        self.limits.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(account.faults, "take", take)
            try:
                yield seen
            finally:
                self.choose = lambda _: None
                account.portal.call(release.set)
                for _ in range(waiting):
                    assert held.acquire(timeout=PATIENCE)


@contextmanager
def afar(account: Station, loop: BlockingPortal, root: Path) -> Iterator[Afar]:
    """A process whose three systems are the account's; it waits for nothing and asks no person."""
    given = variables(account.url) | {"FENQUN_THINKINGDATA_URL": account.url, "FENQUN_THINKINGDATA_TOKEN": KEYS.token}
    line = Line()
    with pytest.MonkeyPatch.context() as patch, stamina.set_testing(True, attempts=QUICK.attempts, cap=True):
        patch.setattr("mcp_server.app.connect", partial(connect, policy=QUICK))
        patch.setattr("mcp_server.operations.clusters.SHORT_WAIT", 0.0)
        patch.setattr(httpx, "AsyncClient", partial(httpx.AsyncClient, event_hooks={"request": [line]}))
        made = build(Settings(workspace=root, threads=1, remote=read_credentials(given)))
        deps = replace(
            made.deps, consent=ConsentPolicy("never", frozenset({"local", *(vendor.name for vendor in VENDORS)}))
        )
        yield Afar(replace(made, deps=deps), loop=loop, line=line)
        loop.call(made.deps.disconnect)
        made.close()
