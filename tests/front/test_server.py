"""What a connected client gets, over both revisions of the protocol that clients speak."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp_types import CallToolResult, TextContent

from mcp_server import __version__
from mcp_server.errors import NotFound, Problem
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import FenqunServer, serving
from mcp_server.front.mcp.tools import tool_document
from mcp_server.operations.arguments import ClusterRef, DefinitionArgument, DryRun, Limit
from mcp_server.operations.operation import Deps, Effect, Operation, Params, Result, operation
from mcp_server.operations.registry import OPERATIONS as REGISTERED
from mcp_server.text import Language, Text
from tests.answers import error_data
from tests.ledgers import bare

MODES = ("legacy", "auto")
NOWHERE = SimpleNamespace(name="nowhere")


class Look(Params):
    qp: DefinitionArgument = None
    limit: Limit = 20


class Found(Result):
    definition: dict[str, Any]
    limit: int


@operation(title=Text("Find data", "查找数据"), effect=Effect.READ)
async def describe_data(params: Look, deps: Deps) -> Found:
    """Find events and properties.

    Names are exact.
    """
    return Found(message=deps.say(Text("found", "已找到")), definition=params.qp or {}, limit=params.limit)


class Which(Params):
    cluster: ClusterRef
    dry_run: DryRun = False


@operation(title=Text("Delete a cluster", "删除分群"), effect=Effect.DELETE, idempotent=False)
async def delete_cluster(params: Which, deps: Deps) -> Result:
    """Delete a cluster."""
    raise NotFound(
        Text("There is no such cluster.", "没有这个分群。"),
        next_step=Text("Use list_clusters.", "可用 list_clusters 查看。"),
        problems=[Problem("/cluster", "cluster_unknown", Text("unknown", "不存在"), params.cluster, suggestion="vip")],
    )


@operation(title=Text("Refresh", "刷新"), effect=Effect.TRIGGER)
async def refresh_cluster(params: Params, deps: Deps) -> Result:
    """Refresh."""
    for percent in (-5, 0, 0.4, 30, 30.2, 10, 99.8, 100, 100, 250):
        await deps.report(percent, Text("computing", "计算中"))
    return Result(message="done")


@operation(title=Text("Break", "出错"), effect=Effect.CREATE)
async def broken(params: Params, deps: Deps) -> Result:
    """Break."""
    raise KeyError("inside knowledge")


class Exported(Result):
    path: str


@operation(title=Text("Export", "导出"), effect=Effect.READ)
async def export_users(params: Params, deps: Deps) -> Exported:
    """Export."""
    return Exported(message="written", path=str(Path.cwd() / "members.csv"))


@operation(title=Text("Odd", "异常"), effect=Effect.READ)
async def unrenderable(params: Params, deps: Deps) -> Result:
    """Answer something that is no result."""
    return cast(Result, object())


OPERATIONS: tuple[Operation[Any, Any], ...] = (
    describe_data,
    delete_cluster,
    refresh_cluster,
    broken,
    export_users,
    unrenderable,
)


def made(
    language: Language = "en", *, read_only: bool = False, operations: tuple[Operation[Any, Any], ...] = OPERATIONS
) -> FenqunServer:
    return serving(Handler(operations, replace(bare(), language=language, read_only=read_only)))


@asynccontextmanager
async def connected(mode: str, server: FenqunServer | None = None) -> AsyncIterator[Client]:
    async with Client(server or made(), mode=mode) as client:
        yield client


def in_each_mode(check: Callable[[str], Awaitable[None]]) -> None:
    for mode in MODES:
        anyio.run(check, mode)


def said(result: CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


def test_tools_arrive_exactly_as_documented_and_in_order() -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            tools = (await client.list_tools()).tools
        received = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
        assert received == [tool_document(o) for o in OPERATIONS]

    in_each_mode(check)


def test_a_tool_says_what_it_is_and_what_it_does_to_the_world() -> None:
    document = tool_document(describe_data)
    assert document["title"] == "Find data · 查找数据"
    assert document["description"] == "Find events and properties.\n\nNames are exact."
    assert document["_meta"] == {"anthropic/alwaysLoad": True}
    reading = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    deleting = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": False}
    assert document["annotations"] == reading | {"title": "Find data"}
    assert tool_document(delete_cluster)["annotations"] == deleting | {"title": delete_cluster.title.en}
    assert "_meta" not in tool_document(delete_cluster)
    writing = reading | {"readOnlyHint": False, "destructiveHint": True, "title": refresh_cluster.title.en}
    assert tool_document(refresh_cluster)["annotations"] == writing


def test_each_published_tool_has_what_directories_of_connectors_ask_for() -> None:
    for each in REGISTERED:
        document = tool_document(each)
        hints = document["annotations"]
        assert hints["title"] == each.title.en
        assert len(document["name"]) <= 64
        assert hints["readOnlyHint"] is not each.effect.writes
        assert hints["destructiveHint"] is each.effect.writes


def test_a_call_answers_with_text_and_with_valid_structured_content() -> None:
    async def check(mode: str) -> None:
        async with connected(mode, made("zh")) as client:
            result = await client.call_tool("describe_data", {"qp": {"a": [1]}, "limit": "5"})
        assert not result.is_error
        assert result.structured_content == {"message": "已找到", "definition": {"a": [1]}, "limit": 5}
        Draft202012Validator(tool_document(describe_data)["outputSchema"]).validate(result.structured_content)
        assert said(result) == "已找到\nlimit: 5\ndefinition:\n  a: 1"

    in_each_mode(check)


def test_unknown_arguments_are_refused_with_the_nearest_name() -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            result = await client.call_tool("describe_data", {"limits": 5})
        assert result.is_error
        (problem,) = error_data(result)["problems"]
        assert (problem["path"], problem["code"], problem["suggestion"]) == ("/limits", "argument_unknown", "limit")
        assert (
            '/limits: This tool has no such argument. It takes: qp, limit. (argument_unknown; got "5"; suggestion limit)'
            in said(result)
        )

    in_each_mode(check)


def test_an_error_of_the_house_is_a_tool_error_that_says_what_to_do() -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            result = await client.call_tool("delete_cluster", {"cluster": 7})
        assert result.is_error
        assert said(result).split("\n") == [
            "There is no such cluster.",
            '/cluster: unknown (cluster_unknown; got "7"; suggestion vip)',
            "Next: Use list_clusters.",
            "code: not_found; retryable: false",
        ]

    in_each_mode(check)


def test_an_unknown_tool_names_the_nearest() -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            result = await client.call_tool("describe_datas", {})
        assert result.is_error
        assert error_data(result)["code"] == "unknown_tool"
        assert "Did you mean describe_data?" in said(result)

    in_each_mode(check)


@pytest.mark.parametrize("tool", ["broken", "unrenderable"])
def test_a_bug_gives_an_incident_id_and_no_detail(tool: str, caplog: pytest.LogCaptureFixture) -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            result = await client.call_tool(tool, {})
        assert result.is_error
        assert "incident" in said(result)
        assert "knowledge" not in said(result)
        assert "Error" not in said(result)

    with caplog.at_level(logging.ERROR, logger="fenqun"):
        in_each_mode(check)
    assert len(caplog.records) == len(MODES)


def test_a_read_only_server_lists_all_tools_and_refuses_writes() -> None:
    async def check(mode: str) -> None:
        async with connected(mode, made(read_only=True)) as client:
            assert len((await client.list_tools()).tools) == len(OPERATIONS)
            refused = await client.call_tool("delete_cluster", {"cluster": "x"})
            assert (await client.call_tool("describe_data", {})).is_error is False
        assert error_data(refused)["code"] == "read_only"

    in_each_mode(check)


def test_progress_grows_and_says_only_what_is_new() -> None:
    async def check(mode: str) -> None:
        seen: list[tuple[float, float | None, str | None]] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            seen.append((progress, total, message))

        async with connected(mode) as client:
            result = await client.call_tool("refresh_cluster", {}, progress_callback=note)
            await client.call_tool("refresh_cluster", {})
        assert said(result) == "done"
        assert seen == [(percent, 100, "computing") for percent in (0, 30, 99.8, 100)]

    in_each_mode(check)


def test_a_file_comes_without_a_link_and_with_a_complete_text() -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            result = await client.call_tool("export_users", {})
        path = Path.cwd() / "members.csv"
        assert str(path) in said(result)
        assert [block.type for block in result.content] == ["text"]

    in_each_mode(check)


def test_cancelling_a_call_reaches_the_operation() -> None:
    async def check(mode: str) -> None:
        started, ended = anyio.Event(), anyio.Event()

        @operation(title=Text("Wait", "等待"), effect=Effect.READ)
        async def wait(params: Params, deps: Deps) -> Result:
            """Wait."""
            started.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

        async with connected(mode, made(operations=(wait,))) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "wait", {})
            await started.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()

    in_each_mode(check)


def test_the_server_introduces_itself() -> None:
    async def check(mode: str) -> None:
        async with connected(mode, made("zh", read_only=True)) as client:
            assert client.server_info.name == "fenqun"
            assert client.server_info.version == __version__
            words = client.instructions
        assert words is not None
        assert len(words) <= 2000
        assert "read-only" in words
        assert "describe_data" in words

    in_each_mode(check)


def test_instructions_name_the_tools_in_the_order_of_the_work() -> None:
    words = made().instructions or ""
    order = [
        "describe_data",
        "validate_definition",
        "preview_definition",
        "create_cluster",
        "refresh_cluster",
        "export_users",
    ]
    places = [words.index(name) for name in order]
    assert places == sorted(places)
    assert "read-only" not in words


def test_modern_http_finds_the_input_schema_of_a_tool() -> None:
    server = made()
    assert server._tool_input_schema("describe_data") == tool_document(describe_data)["inputSchema"]
    assert server._tool_input_schema("nope") is None


@pytest.mark.parametrize(
    "arguments", [{"qp": "\x00"}, {"limit": "9" * 5000}, {"x" * 5000: "\u202e"}, {"limit": [[[[1]]]]}]
)
def test_hostile_arguments_are_answered(arguments: dict[str, Any]) -> None:
    async def check(mode: str) -> None:
        async with connected(mode) as client:
            result = await client.call_tool("describe_data", arguments)
        assert result.is_error
        json.dumps(error_data(result)).encode()

    in_each_mode(check)
