"""The real client over HTTP, on both generations of the protocol; several clients and processes on one workspace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from mcp_server.app import build
from mcp_server.front.http.app import GateSettings, application
from mcp_server.front.mcp.tools import tool_document
from mcp_server.operations.operation import Deps, Effect, Params, Result, operation
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from mcp_server.text import Text
from tests import small
from tests.http.http_kit import House, Web, served

MODES = ("legacy", "auto")


@asynccontextmanager
async def connected(web: Web, mode: str) -> AsyncIterator[Client]:
    async with create_mcp_http_client(headers=web.headers) as http:
        transport = streamable_http_client(web.url + "/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:  # type: ignore[arg-type]
            yield client


@pytest.mark.parametrize("mode", MODES)
def test_the_whole_job_over_http(guarded: Web, mode: str) -> None:
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async def check() -> None:
        async with connected(guarded, mode) as client:
            tools = [
                t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await client.list_tools()).tools
            ]
            assert tools == [tool_document(o) for o in OPERATIONS]
            name = f"job_{mode}"
            kind = "cluster_by_static_condition"
            wish = {"cluster_name": name, "display_name": name, "cluster_type": kind, "qp": small.BUYERS}
            assert not (await client.call_tool("create_cluster", wish)).is_error
            done = await client.call_tool("refresh_cluster", {"cluster": name}, progress_callback=note)
            assert done.structured_content is not None
            assert done.structured_content["cluster"]["users_num"] == 2
            made = await client.call_tool("export_users", {"cluster": name})
            assert made.structured_content is not None
            assert [block.type for block in made.content] == ["text"]
            (read,) = (await client.read_resource(made.structured_content["resource"])).contents
            assert read.mime_type == "text/csv"
            assert read.text.count("\n") == made.structured_content["rows"] + 1

    anyio.run(check)
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_clients_at_once_get_their_own_answers_and_names(house: House, tokens: dict[str, str]) -> None:
    @operation(title=Text("Who", "谁"), effect=Effect.READ)
    async def who_am_i(params: Params, deps: Deps) -> Result:
        """Who."""
        who = deps.caller
        await anyio.lowlevel.checkpoint()
        return Result(message=f"{who.name} {who.known} {deps.project('')} {bool(who.client)}")

    async def check() -> None:
        from mcp_server.app import _static

        settings = GateSettings(verify=_static(house.app.tokens))
        gate = application([who_am_i], house.app.deps, house.app.handed, settings, alive=house.app.alive)
        said: dict[tuple[str, str], set[str]] = {}

        async def ask(url: str, name: str, mode: str) -> None:
            async with connected(Web(url, None, tokens[name]), mode) as client:  # type: ignore[arg-type]
                for _ in range(2):
                    result = await client.call_tool("who_am_i", {})
                    said.setdefault((name, mode), set()).add(str(result.structured_content))

        async with served(gate) as url, anyio.create_task_group() as group:
            for name in ("reader", "seven"):
                for mode in MODES:
                    group.start_soon(ask, url, name, mode)
        for (name, _), answers in said.items():
            assert answers == {str({"message": f"{name} token {'7' if name == 'seven' else '1'} True"})}
        assert len(said) == 4

    anyio.run(check)


def test_a_second_process_and_clients_over_http_work_on_one_workspace(guarded: Web, house: House) -> None:
    other = build(Settings(workspace=house.app.settings.workspace, threads=2))
    try:
        with House(other, house.portal).serving() as second:
            made = guarded.call(
                "create_cluster", cluster_name="shared", display_name="x",
                cluster_type="cluster_by_static_condition", qp=small.BUYERS,
            )  # fmt: skip
            seen = second.call("refresh_cluster", cluster="shared")
            assert seen["cluster"]["cluster_id"] == made["cluster"]["cluster_id"]
            assert second.call("export_users", cluster="shared")["rows"] == 2
            asked = second.call("delete_cluster", cluster="shared")
            assert asked["status"] == "waiting_for_approval", (
                "nobody can be asked on this connection, so a person has to approve"
            )
            assert guarded.call("get_cluster", cluster="shared")["cluster"]["users_num"] == 2
    finally:
        other.close()


def test_what_differs_by_caller_is_not_cached_for_all(guarded: Web) -> None:
    for method, more in (("tools/list", {}), ("resources/read", {"uri": "fenqun://events/buy"})):
        result: dict[str, Any] = guarded.asked(method, *more.values(), **more).json()["result"]
        assert result.get("cacheScope", "private") == "private"
