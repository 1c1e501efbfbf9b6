"""Published schemas are plain enough for every client."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from mcp_server.language import schema as language
from mcp_server.operations.arguments import (
    DefinitionArgument,
    FullDefinition,
    Limit,
    ProjectId,
    input_schema,
    output_schema,
)
from mcp_server.operations.operation import Deps, Effect, Params, Result, operation
from mcp_server.text import Text


class Part(BaseModel):
    """Words for readers of the code."""

    title: str
    note: str | None = None


class Wanted(Params):
    """Words for readers of the code."""

    title: str
    qp: DefinitionArgument
    limit: Limit = 20
    offset: int = 0
    names: tuple[str, ...] = ()
    part: Part = Field(default=Part(title="x"), description="One part")
    parts: list[Part] = Field(default_factory=list)
    maybe: int | None = None
    project_id: ProjectId = ""
    dry_run: bool = False


class Given(Result):
    users_num: int | None = None
    parts: tuple[Part, ...]
    counts: dict[str, int] = Field(default_factory=dict)


@operation(title=Text("x", "x"), effect=Effect.READ)
async def example(params: Wanted, deps: Deps) -> Given:
    """Example."""
    raise NotImplementedError


@operation(title=Text("x", "x"), effect=Effect.READ)
async def nothing_needed(params: Params, deps: Deps) -> Result:
    """Example."""
    raise NotImplementedError


def words_in(schema: object) -> set[str]:
    if isinstance(schema, dict):
        return set(schema).union(*map(words_in, schema.values()))
    return set().union(*map(words_in, schema)) if isinstance(schema, list) else set()


def test_an_input_schema_has_no_references_titles_nulls_or_empty_defaults() -> None:
    schema = input_schema(example)
    Draft202012Validator.check_schema(schema)
    part = {
        "properties": {"title": {"type": "string"}, "note": {"type": "string"}},
        "required": ["title"],
        "type": "object",
    }
    assert schema["properties"]["parts"] == {"items": part, "type": "array"}
    assert schema["properties"]["part"] == {**part, "description": "One part", "default": {"title": "x", "note": None}}
    assert schema["properties"]["maybe"] == {"type": "integer"}
    assert schema["properties"]["limit"]["default"] == 20
    assert schema["properties"]["offset"] == {"type": "integer", "default": 0}
    assert schema["properties"]["dry_run"] == {"type": "boolean"}
    assert schema["properties"]["names"] == {"items": {"type": "string"}, "type": "array"}
    assert schema["required"] == ["title", "qp"]
    assert "additionalProperties" not in schema
    assert list(schema["properties"]) == list(Wanted.model_fields)
    assert not words_in(schema) & {"$defs", "$ref", "anyOf"}


def test_a_property_may_be_called_title() -> None:
    assert input_schema(example)["properties"]["title"] == {"type": "string"}


def test_an_output_schema_refuses_unknown_keys_at_every_depth() -> None:
    schema = output_schema(example)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["parts"]["items"]["additionalProperties"] is False
    assert schema["properties"]["counts"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert schema["properties"]["users_num"] == {"type": "integer"}
    assert schema["required"] == ["message", "parts"]


def test_an_operation_without_arguments_takes_an_empty_object() -> None:
    assert input_schema(nothing_needed) == {"type": "object", "properties": {}}


def test_a_definition_is_described_by_the_language_itself() -> None:
    class Full(Params):
        qp: FullDefinition

    assert input_schema(example)["properties"]["qp"] == language.brief_qp()
    full = operation(title=Text("x", "x"), effect=Effect.READ)(_taking(Full))
    assert input_schema(full)["properties"]["qp"] == language.full_qp()


def _taking(params: type[Params]) -> Any:
    async def run(params: Any, deps: Deps) -> Result:
        """Example."""
        raise NotImplementedError

    run.__annotations__["params"] = params
    return run


class Nested(BaseModel):
    inner: "list[Nested]" = []


class Recursive(Params):
    nested: Nested


class Nullable(Params):
    maybe: int | None


@pytest.mark.parametrize(("params", "why"), [(Recursive, "contains itself"), (Nullable, "may be null")])
def test_what_clients_mishandle_is_refused_when_it_is_published(params: type[Params], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        input_schema(operation(title=Text("x", "x"), effect=Effect.READ)(_taking(params)))
