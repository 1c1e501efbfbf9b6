"""The published JSON Schemas (2020-12) of an operation's arguments and of its result.

Made from the pydantic models, in the plainest form that every client understands: one object at the root
without combinators, no references, no generated titles, no `null` (an optional key is simply absent), and
no defaults that say nothing. Property order is the order of the models: what matters first stands first.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

from mcp_server.operations.operation import Operation

Schema = dict[str, Any]

_COMBINATORS = ("anyOf", "oneOf", "allOf")
_MAPS = ("properties", "patternProperties")
_LISTS = (*_COMBINATORS, "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "contains", "propertyNames")


def input_schema(operation: Operation[Any, Any]) -> Schema:
    """What the operation takes; treat it as read-only, it is made once."""
    model: type[BaseModel] = operation.params
    return _published(model, "validation")


def output_schema(operation: Operation[Any, Any]) -> Schema:
    """What the operation answers; treat it as read-only, it is made once, for all operations of one result."""
    model: type[BaseModel] = operation.result
    return _published(model, "serialization")


@cache
def _published(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> Schema:
    raw = model.model_json_schema(mode=mode)
    plain = _plain(raw, raw.get("$defs", {}), (), close=mode == "serialization")
    combined = [word for word in _COMBINATORS if word in plain]
    if combined or plain.get("type") != "object":
        raise ValueError(f"{model.__name__}: the root of a tool schema is one plain object, without {combined}")
    return {
        "type": "object",
        "properties": plain.get("properties", {}),
        **({"required": plain["required"]} if plain.get("required") else {}),
        "additionalProperties": False,
    }


def _plain(schema: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...], *, close: bool) -> Schema:
    """One schema with everything below it, rewritten; `close` refuses unknown keys in every object."""
    schema = _resolved(schema, definitions, inside, close=close)

    def below(part: Schema) -> Schema:
        return _plain(part, definitions, inside, close=close)

    out: Schema = {}
    for key, value in schema.items():
        if key == "$defs" or (key == "title" and isinstance(value, str)) or (key == "default" and _empty(value)):
            continue
        if key in _MAPS:
            out[key] = {name: below(part) for name, part in value.items()}
        elif key in _LISTS:
            out[key] = [below(part) for part in value if part.get("type") != "null"]
        elif key in _SINGLE and isinstance(value, dict):
            out[key] = below(value)
        else:
            out[key] = value
    _refuse_required_nulls(schema)
    for word in _COMBINATORS:
        if len(out.get(word, ())) == 1:
            out = {**out.pop(word)[0], **out}
    if close and "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def _resolved(schema: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...], *, close: bool) -> Schema:
    """The schema with its reference, if it is one, put in place. A class docstring is for readers of the code."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rsplit("/", 1)[-1]
    if name in inside:
        raise ValueError(f"{name} contains itself; a published schema has no references")
    target = _plain(definitions[name], definitions, (*inside, name), close=close)
    target.pop("description", None)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _refuse_required_nulls(schema: Schema) -> None:
    for name in schema.get("required", ()):
        if {"type": "null"} in schema.get("properties", {}).get(name, {}).get("anyOf", ()):
            raise ValueError(f"{name} is required and may be null; make it optional, absent means nothing")


def _empty(value: object) -> bool:
    """A default that says no more than leaving the key out does. Zero is a number and does say something."""
    return value is None or value is False or value in ("", [], {})
