"""A gateway on a loopback port in a thread, the page's two projects under it, and callers that speak to it."""

import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import duckdb
import httpx
import pytest
from anyio.from_thread import BlockingPortal

from mcp_server.app import App, build
from mcp_server.gateway.base import GatewayKeys, GatewayLimits
from mcp_server.language.metadata import Event, Metadata, Property
from mcp_server.platforms.taobao import wire as taobao
from mcp_server.platforms.taobao.client import TaobaoApi
from mcp_server.platforms.thinkingdata.client import ThinkingDataApi as TaApi
from mcp_server.platforms.transport import Policy, Transport
from mcp_server.platforms.volcengine.client import VolcengineApi as VolcApi
from mcp_server.platforms.volcengine.wire import VolcengineCredentials as VolcKeys
from mcp_server.settings import GatewaySettings, Settings
from mcp_server.store.catalog import Catalog
from mcp_server.store.workspace import Workspace
from mcp_server.web import Tls, address_of, bound, server_of
from tests.gateway.faults import Faults, FaultyGateway

sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # else httpcore looks for it on the disk at each request
PAGE = Path(__file__).parents[1] / "operations" / "vendor_page"
TODAY = date(2020, 1, 10)
"""The day of the page's detail example."""
KEYS = GatewayKeys(
    token="test-token-1",
    app_key="12345678",
    app_secret="test-app-secret",
    session="test-session",
    access_key="FQAKtest",
    secret_key="test-secret-key",
)
LIMITS = GatewayLimits(body=200_000, upload=10_000)
QUICK = Policy(connect=5, read=10, attempts=3, first_wait=0.0, per_second=10_000)
PROJECT = "102"

_USERS = """CREATE TABLE users AS FROM (VALUES
  (1::BIGINT, 3::BIGINT, 'j77639', '+861'), (2, 5, 'h84497', '+862'), (3, 3, 'g119426', NULL), (4, 1, 'e154284', '+864'), (5, 3, 'f175355', '+865')
) t("#user_id", user_level, "#account_id", phone)"""
_EVENTS = """CREATE TABLE events AS SELECT row_number() OVER () - 1 AS "$row", * FROM (
  SELECT 1::BIGINT AS "#user_id", 'consume_item' AS "#event_name", TIMESTAMP '2020-01-05 04:00:00' AS "#event_time",
    NULL AS "#os", NULL::BIGINT AS "#vp@test_num", NULL AS activity_reward FROM range(5)
  UNION ALL FROM (VALUES
    (2::BIGINT, 'player_register', TIMESTAMP '2020-01-04 04:00:00', NULL, NULL::BIGINT, NULL),
    (2, 'fight_success', TIMESTAMP '2020-01-04 05:00:00', NULL, NULL, NULL),
    (1, 'pay', TIMESTAMP '2020-01-10 04:00:00', 'android', 7, NULL),
    (2, 'activity_attend', TIMESTAMP '2020-01-10 05:00:00', 'android', NULL, 'coin')))"""
_EVENT_NAMES = tuple(
    Event(name=name, count=1, users=1, first="2020-01-04 12:00:00", last="2020-01-10 13:00:00")
    for name in ("consume_item", "player_register", "fight_success", "pay", "activity_attend")
)
_PROPERTIES = (
    Property(table="user", name="user_level", type="number", scale=0, distinct=3),
    Property(table="user", name="#account_id", type="string", distinct=5),
    Property(table="user", name="phone", type="string", distinct=4),
    Property(table="event", name="#os", type="string", events=("pay", "activity_attend")),
    Property(table="event", name="#vp@test_num", type="number", scale=0, events=("pay",)),
    Property(table="event", name="activity_reward", type="string", events=("activity_attend",)),
)


def make(root: Path) -> Path:
    """Fill a workspace with the projects 2 and 102 of the page; its folder."""
    workspace = Workspace.open(root)
    catalog = Catalog(workspace)
    for project in ("2", PROJECT):
        temp, final = (
            workspace.temp_path(".duckdb"),
            workspace.result_path(workspace.data, f"project_{project}", ".duckdb"),
        )
        with duckdb.connect(str(temp)) as connection:
            connection.execute(_USERS)
            connection.execute(_EVENTS)
        workspace.publish(temp, final)
        metadata = Metadata(
            project_id=project, today=TODAY, as_of=TODAY, users=5, rows=9, events=_EVENT_NAMES, properties=_PROPERTIES
        )
        catalog.publish_generation(metadata, [workspace.relative(final)], {"unknown_user_rows": 0})
    catalog.close()
    workspace.close()
    return root


def needed(present: object, what: str) -> None:
    """Skip a test whose tool is not here; where everything has to run (`ALL_TESTS`, set in .ci/run), fail instead."""
    if not present:
        assert not os.environ.get("ALL_TESTS"), f"{what} is not installed"
        pytest.skip(f"{what} is not installed")


def module(name: str, package: str) -> Any:
    """A module of a package that only tests use."""
    needed(find_spec(name.partition(".")[0]), package)
    return import_module(name)


def page(name: str) -> str:
    """An example of the vendor's page, as it is there."""
    return (PAGE / f"{name}.json").read_text(encoding="utf-8")


EXAMPLE: dict[str, Any] = json.loads(page("add_cluster"))
"""The page's condition cluster."""


@dataclass
class Clock:
    """The gateway's clock, which a test moves."""

    moment: datetime | None = None

    def __call__(self) -> datetime:
        return self.moment or datetime.now(UTC)


@asynccontextmanager
async def _served(app: App, settings: GatewaySettings, clock: Clock, faults: Faults) -> AsyncIterator[str]:
    listening = bound("127.0.0.1", 0)
    gateway = FaultyGateway(app.gateway(settings, KEYS, clock=clock, limits=LIMITS), faults)
    server = server_of(gateway, 64, tls=Tls(*settings.tls) if settings.tls else None)
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listening])
        try:
            yield address_of(listening, "https" if settings.tls else "http")
        finally:
            server.should_exit = True


@dataclass
class Station:
    """One gateway, and short ways to speak to it."""

    app: App
    url: str
    client: httpx.Client
    faults: Faults
    portal: BlockingPortal
    """The loop that the gateway runs in."""
    clock: Clock = field(default_factory=Clock)

    # ThinkingData, raw

    def get(self, path: str, **query: object) -> dict[str, Any]:
        return self._envelope(self.client.get(self.url + path, params={"token": KEYS.token, **query}))

    def post(self, path: str, body: object = None, **query: object) -> dict[str, Any]:
        """A body that is text is sent as it is; another one as JSON; None is no body."""
        content = body if isinstance(body, str | bytes) else b"" if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        params = {"token": KEYS.token, **query}
        return self._envelope(self.client.post(self.url + path, content=content, params=params, headers=headers))

    def upload(self, path: str, content: bytes, **query: object) -> dict[str, Any]:
        params = {"token": KEYS.token, **query}
        headers = {"Content-Type": "text/csv"}
        return self._envelope(self.client.post(self.url + path, content=content, params=params, headers=headers))

    def query(self, sql: str, **form: str) -> httpx.Response:
        params = {"token": KEYS.token}
        return self.client.post(f"{self.url}/querySql", params=params, data={"sql": sql, **form})

    @staticmethod
    def _envelope(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json;charset=utf-8"
        return dict(answer.json())

    # our own clients

    def with_ta(self, use: Any, *, by_id: bool = False) -> Any:
        """What a coroutine function makes of our client for ThinkingData."""
        return self._used(lambda t: TaApi(t, KEYS.token, by_id=by_id), use)

    def with_taobao(self, use: Any, **keys: Any) -> Any:
        """The same for Taobao."""
        known = replace(taobao.TaobaoCredentials(KEYS.app_key, KEYS.app_secret, KEYS.session), **keys)
        return self._used(lambda t: TaobaoApi(t, known, self.clock), use)

    def with_volc(self, use: Any, **keys: Any) -> Any:
        """The same for Volcengine."""
        known = replace(VolcKeys(KEYS.access_key, KEYS.secret_key), **keys)
        return self._used(lambda t: VolcApi(t, known, "cn-north-1", self.clock), use)

    def _used(self, make_api: Any, use: Any) -> Any:
        async def run() -> Any:
            transport = Transport(self.url, QUICK)
            try:
                return await use(make_api(transport))
            finally:
                await transport.close()

        return anyio.run(run)

    # below it

    def call(self, tool: str, **arguments: object) -> Any:
        """An operation beside the gateway, as its own user."""
        from mcp_server.consent.invoke import find, invoke
        from mcp_server.operations.operation import ConsentPolicy
        from mcp_server.operations.registry import OPERATIONS

        deps = replace(self.app.deps, consent=ConsentPolicy("never"))
        return anyio.run(invoke, find(OPERATIONS, tool), arguments, deps)


@contextmanager
def station(
    root: Path,
    portal: BlockingPortal,
    *,
    tls: tuple[str, str] | None = None,
    project: str = PROJECT,
    **settings: Any,
) -> Iterator[Station]:
    """A gateway over a workspace, with its own process parts."""
    app = build(Settings(workspace=root, threads=2, project_id=project, **settings))
    faults, clock = Faults(), Clock()
    door = GatewaySettings(names=(*GatewaySettings().names, "ta2"), tls=tls)
    trusted = ssl.create_default_context(cafile=tls[0]) if tls else True
    with ExitStack() as stack:
        stack.callback(app.close)
        url = stack.enter_context(portal.wrap_async_context_manager(_served(app, door, clock, faults)))
        client = stack.enter_context(httpx.Client(timeout=20, trust_env=False, verify=trusted))
        yield Station(app, url, client, faults, portal, clock)
