"""Each operation stands in one place, and everything that shows it is in step."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import instructions, serving
from mcp_server.front.mcp.tools import ENTRY_TOOLS, tool_document
from mcp_server.operations.operation import Deps
from mcp_server.operations.registry import OPERATIONS
from tests.house.source import ROOT, modules
from tools.generate import Checkout

MOST_TOOLS = 38
MOST_DESCRIPTION = 1024
MOST_NAME = 40
NAMES = [o.name for o in OPERATIONS]


def test_every_operation_is_registered_once_and_no_other_is_written() -> None:
    written = [
        node.name
        for m in modules()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.AsyncFunctionDef) and any("operation(" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert sorted(written) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES) <= MOST_TOOLS


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_is_named_and_described_for_a_model(name: str) -> None:
    o = OPERATIONS[NAMES.index(name)]
    assert re.fullmatch("[a-z]+(_[a-z]+)+", name)
    assert len(name) <= MOST_NAME
    assert 40 <= len(o.description) <= MOST_DESCRIPTION
    assert o.title.en
    assert re.search("[\u4e00-\u9fff]", o.title.zh)


def _nameless(schema: Any, path: str = "") -> Iterator[str]:
    """The objects without properties and the lists without items, whose content some clients drop."""
    if isinstance(schema, list):
        for part in schema:
            yield from _nameless(part, path)
    if isinstance(schema, dict):
        kind = schema.get("type")
        if (kind == "object" and path and not schema.get("properties")) or (kind == "array" and "items" not in schema):
            yield path
        for key, part in schema.items():
            yield from _nameless(part, f"{path}/{key}")


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_plain_and_valid(name: str) -> None:
    document = tool_document(OPERATIONS[NAMES.index(name)])
    for side in ("inputSchema", "outputSchema"):
        schema = document[side]
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf", "$defs", "$ref"} & set(schema)
        assert '"$ref"' not in json.dumps(schema)
        assert '"null"' not in json.dumps(schema)
    assert document["outputSchema"]["additionalProperties"] is False
    assert "additionalProperties" not in json.dumps(document["inputSchema"])
    assert not list(_nameless(document["inputSchema"]))


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_has_one_name_that_models_know(name: str) -> None:
    params, result = OPERATIONS[NAMES.index(name)].params, OPERATIONS[NAMES.index(name)].result
    for model in (params, result):
        assert model.model_config.get("extra") == "forbid"
        assert all(re.fullmatch("[a-z]+(_[a-z]+)*", field) for field in model.model_fields)
        assert all(field.alias is None for field in model.model_fields.values())


def test_what_writes_can_be_tried_first() -> None:
    changing = [o for o in OPERATIONS if o.effect.writes]
    assert all("dry_run" in o.params.model_fields for o in changing)


def test_generated_files_are_in_step() -> None:
    assert Checkout(ROOT).check() == [], "run: python -m mcp_server schemas --write"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_connected_client_receives_what_the_files_say(mode: str) -> None:
    async def received() -> list[object]:
        async with Client(
            serving(Handler(OPERATIONS, Deps(segments=None, crowds=None, calls=None))), mode=mode
        ) as client:  # type: ignore[arg-type]
            tools = (await client.list_tools()).tools
        return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]

    files = [json.loads((ROOT / "tool_schemas" / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES]
    assert anyio.run(received) == files


def test_instructions_name_every_tool_and_no_other() -> None:
    words = instructions(read_only=True, language="zh")
    assert len(words) <= 2000
    verbs = {name.partition("_")[0] for name in NAMES}
    named = {w for w in re.findall(r"[a-z]+(?:_[a-z]+)+", words) if w.partition("_")[0] in verbs}
    assert named == set(NAMES)
    assert set(ENTRY_TOOLS) <= set(NAMES)
