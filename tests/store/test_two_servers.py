"""Two servers on one workspace, as the desktop client starts them: real processes, spoken to by a real client."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import duckdb
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters

from mcp_server.platforms.local.loading import load
from mcp_server.store.catalog import Catalog
from mcp_server.store.workspace import Workspace
from tests import small
from tests.people import says_yes

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class Server:
    """One server in a process of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of a call that succeeds."""
        result = await self._client.call_tool(tool, arguments)
        assert not result.is_error, result.structured_content
        assert result.structured_content is not None
        return dict(result.structured_content)


@asynccontextmanager
async def started(workspace: Path) -> AsyncIterator[Server]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FENQUN_")}
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "serve", "--workspace", str(workspace)],
        cwd=ROOT,
        env={**clean, "PYTHONPATH": str(ROOT), "FENQUN_THREADS": "1"},
    )
    async with Client(command, elicitation_callback=says_yes) as client:
        yield Server(client)


@dataclass
class Pair:
    """Two servers on one workspace."""

    workspace: Path
    one: Server
    other: Server
    _portal: BlockingPortal

    def play(self, story: Callable[[Server, Server], Awaitable[None]]) -> None:
        """Run a story on both, in the event loop that their connections live in."""

        async def limited() -> None:
            with anyio.fail_after(PATIENCE):
                await story(self.one, self.other)

        self._portal.call(limited)

    def jobs(self, state: str = "") -> list[tuple[int, str]]:
        """Cluster and owner of every job there ever was, oldest first; only those in this state."""
        home = Workspace.open(self.workspace)
        catalog = Catalog(home)
        try:
            found = catalog.database.rows("SELECT cluster, owner, state FROM job ORDER BY id")
            return [(r["cluster"], r["owner"]) for r in found if state in ("", r["state"])]
        finally:
            catalog.close()
            home.close()


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The two servers that all tests here talk to: starting them is what takes time."""
    workspace = tmp_path_factory.mktemp("workspace")

    @asynccontextmanager
    async def both() -> AsyncIterator[tuple[Server, Server]]:
        async with started(workspace) as one, started(workspace) as other:
            yield one, other

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(both()) as (one, other):
        yield Pair(workspace, one, other, portal)


@pytest.fixture
def pair(connected: Pair, tmp_path: Path) -> Pair:
    """Both servers, with two buyers in the data and no cluster."""
    load_buyers(connected.workspace, tmp_path, 2)

    async def clear(one: Server, _other: Server) -> None:
        for row in (await one("list_clusters", limit=100)).get("clusters", ()):
            await one("delete_cluster", cluster=row["cluster_id"])

    connected.play(clear)
    return connected


def load_buyers(workspace: Path, folder: Path, count: int) -> None:
    """What `fenqun load` does: players 1 to `count` bought twice, one more has bought once; of levels 11, 12 and so on."""
    everybody = range(1, count + 2)
    events, users = folder / "events.csv", folder / "users.csv"
    bought = [f"{user},buy,2026-07-0{day} 12:00:00" for user in everybody for day in (1, 2)][:-1]
    events.write_text("\n".join(["#user_id,#event_name,#event_time", *bought, ""]), encoding="utf-8")
    users.write_text("\n".join(["#user_id,level", *(f"{n},{n + 10}" for n in everybody), ""]), encoding="utf-8")
    load(
        workspace,
        "1",
        events=str(events),
        users=str(users),
        columns={},
        as_of="2026-07-04",
        on_progress=lambda _percent, _doing: None,
    )


def load_without_end(workspace: Path) -> None:
    """Replace the data by more events than any machine counts in a test: a view, so it takes no space."""
    home = Workspace.open(workspace)
    catalog = Catalog(home)
    temp, final = home.temp_path(".duckdb"), home.result_path(home.data, "project_1", ".duckdb")
    with duckdb.connect(str(temp)) as db:
        db.execute('CREATE TABLE users AS SELECT i::BIGINT AS "#user_id", 1 AS level FROM range(1, 5) t(i)')
        db.execute("CREATE TABLE ids (kind VARCHAR, value VARCHAR, user_id BIGINT)")
        db.execute(
            """CREATE VIEW events AS SELECT i % 4 + 1 AS "#user_id", 'buy' AS "#event_name",
               TIMESTAMP '2026-07-01 04:00:00' AS "#event_time" FROM range(100000000000) t(i)"""
        )
    home.publish(temp, final)
    catalog.publish_generation(catalog.metadata("1"), [home.relative(final)], {"unknown_user_rows": 0})
    catalog.close()
    home.close()


async def until(happened: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    while not happened():  # noqa: ASYNC110 - another process does it, without an event
        await anyio.sleep(0.01)


def creation(name: str, cluster_type: str = "cluster_by_dynamic_condition") -> dict[str, object]:
    return {"cluster_name": name, "display_name": "买家", "cluster_type": cluster_type, "qp": small.BUYERS}


def text_of(exported: dict[str, Any]) -> str:
    return Path(exported["path"]).read_text(encoding="utf-8")


def test_what_one_server_creates_the_other_sees_refreshes_and_exports(pair: Pair) -> None:
    before = len(pair.jobs())

    async def story(one: Server, other: Server) -> None:
        assert (await one("list_clusters"))["total"] == (await other("list_clusters"))["total"] == 0
        made = await one("create_cluster", **creation("buyers"))
        (seen,) = (await other("list_clusters"))["clusters"]
        assert seen == made["cluster"]
        again = await other("create_cluster", **creation("Buyers"))
        assert again["existed"]
        assert (await other("refresh_cluster", cluster="buyers"))["cluster"]["users_num"] == 2
        exported = await other("export_users", cluster="buyers", properties=["level"])
        assert text_of(exported) == '"#user_id",level\n1,11\n2,12\n'
        await one("delete_cluster", cluster="buyers")
        assert (await other("list_clusters"))["total"] == 0

    pair.play(story)
    (first, by_one), (second, by_other) = pair.jobs()[before:]
    assert first == second
    assert by_one != by_other


def test_both_create_the_same_at_once_and_get_the_same(pair: Pair) -> None:
    found: list[dict[str, Any]] = []

    async def story(one: Server, other: Server) -> None:
        async def create(server: Server, name: str) -> None:
            found.append(await server("create_cluster", **creation(name)))

        async with anyio.create_task_group() as group:
            for n in range(5):
                group.start_soon(create, one, f"c{n}")
                group.start_soon(create, other, f"C{n}")

    pair.play(story)
    assert len({f["cluster"]["cluster_id"] for f in found}) == 5
    assert sorted(f.get("existed", False) for f in found) == [False] * 5 + [True] * 5


def test_a_job_of_one_server_is_joined_by_the_other_which_can_wait_for_it_and_end_it(pair: Pair) -> None:
    async def story(one: Server, other: Server) -> None:
        await one("create_cluster", **creation("buyers", "cluster_by_static_condition"))
        load_without_end(pair.workspace)
        begun = await one("refresh_cluster", cluster="buyers", wait_seconds=0)
        joined = await other("refresh_cluster", cluster="buyers", wait_seconds=0.2)
        waited = await other("get_refresh_progress", cluster="buyers", wait_seconds=0.2)
        for found in (begun, joined, waited):
            assert 0 <= found["cluster"]["progress"] < 100
            assert found["cluster"]["users_num"] == 2
        ((_, owner),) = pair.jobs("running")
        assert owner == pair.jobs()[-1][1]
        await other("delete_cluster", cluster="buyers")
        await until(lambda: not pair.jobs("running"))

    pair.play(story)


def test_data_loaded_while_both_run_is_seen_by_both(pair: Pair, tmp_path: Path) -> None:
    async def story(one: Server, other: Server) -> None:
        await one("create_cluster", **creation("moving"))
        await one("create_cluster", **creation("still", "cluster_by_static_condition"))
        assert (await other("preview_definition", qp=small.BUYERS))["users_num"] == 2
        await anyio.to_thread.run_sync(load_buyers, pair.workspace, tmp_path, 3)
        for server in (one, other):
            described = await server("describe_data")
            assert (described["users"], described["event_rows"]) == (4, 7)
            assert (await server("preview_definition", qp=small.BUYERS))["users_num"] == 3
            still = (await server("get_cluster", cluster="still"))["cluster"]
            assert (still["users_num"], still["fresh"]) == (2, False)
        exported = await other("export_users", cluster="moving")
        assert (exported["rows"], exported["fresh"]) == (3, True)
        assert (await one("get_cluster", cluster="moving"))["cluster"]["fresh"]

    pair.play(story)


def test_a_job_of_a_server_that_ended_reads_as_interrupted_and_can_be_done_again(pair: Pair, tmp_path: Path) -> None:
    async def story(one: Server, _other: Server) -> None:
        async with started(pair.workspace) as third:
            await third("create_cluster", **creation("buyers", "cluster_by_static_condition"))
            load_without_end(pair.workspace)
            await third("refresh_cluster", cluster="buyers", wait_seconds=0)
            assert len(pair.jobs("running")) == 1
        left = (await one("get_cluster", cluster="buyers"))["cluster"]
        assert (left["progress"], left["users_num"]) == (-1, 2)
        assert "interrupted" in left["note"]
        await anyio.to_thread.run_sync(load_buyers, pair.workspace, tmp_path, 3)
        done = (await one("refresh_cluster", cluster="buyers"))["cluster"]
        assert (done["progress"], done["users_num"], done["fresh"]) == (100, 3, True)

    pair.play(story)
