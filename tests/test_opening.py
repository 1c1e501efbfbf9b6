"""A server over stdio is there before its parts are: it lists at once, and puts them together for the first call."""

import asyncio
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ResourceTemplateReference, TextContent

from mcp_server.errors import ConfigurationError
from mcp_server.front.mcp import server as face
from mcp_server.front.mcp.server import FOLDER, published_tools
from mcp_server.front.mcp.tools import tool_document
from mcp_server.opening import Opening
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings, read_settings
from tests import small

ROOT = Path(__file__).parents[1]


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Opening]:
    made = Opening(Settings(small.make(tmp_path / "workspace"), threads=1, language="zh"))
    yield made
    made.close()


def parts(opening: Opening) -> object:
    return opening._app


def text(result: CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


def break_catalogue(workspace: Path, version: int) -> None:
    """As a newer release would leave it, or put it right again."""
    with sqlite3.connect(workspace / "catalog.sqlite") as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


def test_what_is_published_is_what_the_operations_say() -> None:
    assert published_tools() == [tool_document(o) for o in OPERATIONS]


def test_an_installed_copy_has_the_published_tools_beside_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {FOLDER: f"mcp_server/{FOLDER}"}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_whoever_only_looks_waits_for_nothing(opening: Opening, mode: str) -> None:
    async def look() -> None:
        async with Client(opening.server(), mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == [o.name for o in OPERATIONS]
            assert (await client.list_prompts()).prompts
            assert (await client.list_resources()).resources
            assert (await client.list_resource_templates()).resource_templates
            assert parts(opening) is None
            assert not (await client.call_tool("list_clusters", {})).is_error
        assert parts(opening) is not None

    anyio.run(look)


def test_calls_that_come_together_put_the_parts_together_once(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_server import app

    made: list[object] = []
    build = app.build
    monkeypatch.setattr(app, "build", lambda *given: made.append(given) or build(*given))

    async def together() -> list[Any]:
        async with Client(opening.server()) as client:
            return await asyncio.gather(*(client.call_tool("list_clusters", {}) for _ in range(5)))

    assert [r.is_error for r in asyncio.run(together())] == [False] * 5
    assert len(made) == 1


def test_the_parts_are_loaded_once_the_list_is_out(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "_BEFORE_LOADING", 0)

    async def listed() -> None:
        server = opening.server()
        async with anyio.create_task_group() as group:
            group.start_soon(server.warm)
            await anyio.lowlevel.checkpoint()
            assert parts(opening) is None
            await server.list_tools()
        assert parts(opening) is not None

    anyio.run(listed)


def test_a_workspace_that_breaks_after_the_start_is_told_by_the_calls_until_it_is_mended(
    tmp_path: Path, opening: Opening
) -> None:
    async def calls() -> tuple[CallToolResult, CallToolResult]:
        async with Client(opening.server()) as client:
            with sqlite3.connect(tmp_path / "workspace" / "catalog.sqlite") as db:
                known = db.execute("PRAGMA user_version").fetchone()[0]
            db.close()
            break_catalogue(tmp_path / "workspace", known + 1)
            broken = await client.call_tool("list_clusters", {})
            break_catalogue(tmp_path / "workspace", known)
            return broken, await client.call_tool("list_clusters", {})

    broken, mended = anyio.run(calls)
    assert broken.is_error
    assert "更新版本的 fenqun" in text(broken)
    assert not mended.is_error


def test_parts_that_cannot_be_put_together_end_no_connection(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret detail")

    async def asked() -> None:
        server = opening.server()
        async with anyio.create_task_group() as group, Client(server) as client:
            await client.list_tools()
            group.start_soon(server.warm)
            called = await client.call_tool("list_clusters", {})
            assert called.is_error
            assert "服务内部出错" in text(called)
            assert "secret" not in text(called)
            with pytest.raises(MCPError, match="服务内部出错"):
                await client.read_resource("fenqun://events/login")
            typed = {"name": "name", "value": "l"}
            reference = ResourceTemplateReference(type="ref/resource", uri="fenqun://events/{name}")
            assert (await client.complete(reference, typed)).completion.values == []

    monkeypatch.setattr("mcp_server.app.build", broken)
    anyio.run(asked)
    assert "a secret detail" in caplog.text


def test_a_workspace_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    workspace = small.make(tmp_path / "workspace")
    break_catalogue(workspace, 9999)
    opening = Opening(Settings(workspace))
    with pytest.raises(ConfigurationError, match="newer version"):
        opening.server()
    opening.close()
    assert not list((workspace / "locks").glob("owner-*"))


def test_an_illegal_account_is_told_at_the_start(tmp_path: Path) -> None:
    given = {"FENQUN_TAOBAO_APP_KEY": "1", "FENQUN_TAOBAO_APP_SECRET": "s", "FENQUN_TAOBAO_SESSION": "s", "FENQUN_TAOBAO_SIGN_METHOD": "rot13"}  # fmt: skip
    opening = Opening(read_settings(given | {"FENQUN_WORKSPACE": str(tmp_path)}))
    with pytest.raises(ConfigurationError, match="SIGN_METHOD"):
        opening.server()
    opening.close()


def test_where_tokens_are_taken_the_tools_that_are_listed_take_them(tmp_path: Path) -> None:
    opening = Opening(Settings(tmp_path, consent="token"))
    tools = {tool.name: tool for tool in anyio.run(opening.server().list_tools)}
    opening.close()
    takes = {name for name, tool in tools.items() if "consent_token" in tool.input_schema["properties"]}
    assert takes == {o.name for o in OPERATIONS if o.effect.destroys}


def test_closing_what_was_never_needed_lets_go_of_the_workspace(tmp_path: Path) -> None:
    opening = Opening(Settings(tmp_path))
    assert list((tmp_path / "locks").glob("owner-*"))
    opening.server()
    opening.close()
    opening.close()
    assert not list((tmp_path / "locks").glob("owner-*"))
