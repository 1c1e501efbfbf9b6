"""What a typical session costs a model: the calls and the results of the demo's story, counted.

The baseline stands beside that of the tools (tests/house/budget.json).
"""

import io
import json
from contextlib import redirect_stdout
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult

from mcp_server import demo
from mcp_server.app import build
from mcp_server.demo import script
from mcp_server.demo.script import Conversation, asked_in_sight
from mcp_server.platforms.local.loading import load
from mcp_server.settings import Settings
from mcp_server.terminal import Screen
from tests.house.test_budget import BASELINE, GROWTH, tokens

LONGEST = 5000
"""Tokens of one answer: beyond that it has to be paged or put into a file."""


class Listening(Client):
    """A client that keeps what was called and what came back."""

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None, **more: Any) -> CallToolResult:
        result = await super().call_tool(name, arguments, **more)
        self.__dict__.setdefault("heard", []).append((name, arguments, result))
        return result


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, Any], CallToolResult]]:
    """The calls of one telling of the story, with their results."""
    settings = Settings(workspace=tmp_path_factory.mktemp("session") / "demo", threads=2)
    load(
        settings.workspace,
        "1",
        events=str(demo.DATA / "events.parquet"),
        users=str(demo.DATA / "users.parquet"),
        columns={},
        as_of=script.AS_OF,
        metadata=str(demo.DATA / "metadata.json"),
        on_progress=lambda *_: None,
    )
    app = build(settings)
    screen = Screen("en")

    async def told() -> list[tuple[str, dict[str, Any], CallToolResult]]:
        async with Listening(app.server(), elicitation_callback=partial(asked_in_sight, screen)) as client:
            await script.play(Conversation(client, settings, screen))
            return list(client.__dict__["heard"])

    try:
        with redirect_stdout(io.StringIO()):
            return anyio.run(told)
    finally:
        app.close()


def words(result: CallToolResult) -> str:
    return "".join(block.text for block in result.content if block.type == "text")


def test_a_typical_session_stays_within_its_budget(heard: list[Any]) -> None:
    calls = sum(tokens(arguments) for _, arguments, _ in heard)
    results = sum(tokens(words(result)) for _, _, result in heard)
    now, baseline = {"calls": calls, "results": results}, json.loads(BASELINE.read_text(encoding="utf-8"))["session"]
    grown = {side: count for side, count in now.items() if count > baseline[side] * GROWTH}
    assert grown == {}, f"more than 5 % over the baseline; if that is meant, put {now} into budget.json"


def test_no_answer_of_it_is_long_in_either_form(heard: list[Any]) -> None:
    longest = max(
        (max(tokens(words(result)), tokens(result.structured_content or {})), name) for name, _, result in heard
    )
    assert longest[0] < LONGEST / 2, longest
