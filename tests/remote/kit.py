"""A process whose crowd and call tasks are remote: they are those of a gateway over another workspace."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mcp_server.app import App, build, connect
from mcp_server.credentials import read_credentials
from mcp_server.platforms.segments import OnProgress
from mcp_server.platforms.transport import Policy
from mcp_server.settings import Settings
from mcp_server.store.files import LocalFiles
from mcp_server.store.workspace import Workspace
from mcp_server.text import Language
from tests.gateway.kit import KEYS
from tests.operations.desk import Desk

QUICK = Policy(connect=5, read=10, attempts=3, first_wait=0.0, per_second=10_000)


class RemoteDesk(Desk):
    """Each call has an event loop of its own here, so connections end with it."""

    async def asked(self, name: str, arguments: Mapping[str, object], report: OnProgress | None = None) -> Any:
        try:
            return await super().asked(name, arguments, report)
        finally:
            await self.app.deps.disconnect()

    def speaking_remote(self, language: Language) -> "RemoteDesk":
        return RemoteDesk(self.app, language)


@contextmanager
def remote_desk(root: Path, environment: Mapping[str, str]) -> Iterator[RemoteDesk]:
    """A process with these variables, on a workspace of its own; it waits for nothing between attempts."""
    made = build(Settings(workspace=root, threads=1))
    remote = connect(read_credentials(environment), LocalFiles(Workspace(root)), str, policy=QUICK)
    deps = replace(
        made.deps,
        crowds=remote.crowds or made.deps.crowds,
        calls=remote.calls or made.deps.calls,
        disconnect=remote.close,
    )
    try:
        yield RemoteDesk(replace(made, deps=deps))
    finally:
        made.close()


@contextmanager
def from_afar(root: Path, url: str, now: datetime, **more: str) -> Iterator[App]:
    """A process on an empty workspace whose three systems are remote; its clock does not move. `more` variables by their names."""
    given = variables(url) | {"FENQUN_THINKINGDATA_URL": url, "FENQUN_THINKINGDATA_TOKEN": KEYS.token} | more
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcp_server.platforms.thinkingdata.segments.FIRST_PAUSE", 0.05)
        patch.setattr("mcp_server.app.connect", partial(connect, clock=lambda: now, policy=QUICK))
        made = build(Settings(workspace=root, threads=1, remote=read_credentials(given)))
        try:
            yield made
        finally:
            made.close()


def variables(url: str, **values: str) -> dict[str, str]:
    """What makes Taobao and Volcengine remote; `values` by the end of the name."""
    given = {
        "TAOBAO_APP_KEY": "12345678",
        "TAOBAO_APP_SECRET": "test-app-secret",
        "TAOBAO_SESSION": "test-session",
        "TAOBAO_URL": url,
        "VOLCENGINE_ACCESS_KEY": "FQAKtest",
        "VOLCENGINE_SECRET_KEY": "test-secret-key",
        "VOLCENGINE_URL": url,
    } | values
    return {f"FENQUN_{name}": value for name, value in given.items()}


def plain_environment() -> dict[str, str]:
    """The environment without any setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FENQUN_")}
