"""Building blocks of JSON Schema (2020-12), as the definition language needs them."""

from collections.abc import Iterable
from typing import Any

from mcp_server.qp import vocabulary as words

Schema = dict[str, Any]


def object_of(properties: Schema, required: Iterable[str] = ()) -> Schema:
    """An object with these keys and no others."""
    needed = list(required)
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed | ({"required": needed} if needed else {})


def list_of(items: Schema, description: str, **limits: int) -> Schema:
    """A list of parts of one kind."""
    return {"type": "array", "description": description, "items": items} | limits


def string(description: str = "", **limits: int) -> Schema:
    """Any text within limits."""
    return {"type": "string"} | ({"description": description} if description else {}) | limits


def name(description: str) -> Schema:
    """The name of something: a text that is not empty."""
    return string(description, minLength=1, maxLength=words.MAX_TEXT)


def one_of(values: Iterable[str], description: str) -> Schema:
    """One of the words of a table."""
    return {"type": "string", "description": description, "enum": list(values)}


def relation(description: str) -> Schema:
    """How parts are joined."""
    return one_of(words.RELATIONS, f"{description} Absent: and.")


def exact(pattern: str, description: str = "") -> Schema:
    """A text that matches as a whole.

    In Python `$` stands before a last line break too, in ECMA it does not; so line breaks are ruled out by
    a second pattern, which every validator reads alike.
    """
    return string(description) | {"pattern": f"^(?:{pattern})$", "not": {"pattern": "\\n"}}


def when(key: str, values: list[str], then: Schema, otherwise: Schema | None = None) -> Schema:
    """What holds besides where a key has one of these values, and what otherwise."""
    rule = {"if": {"required": [key], "properties": {key: {"enum": values}}}, "then": then}
    return rule | ({"else": otherwise} if otherwise else {})


def nonempty(key: str) -> Schema:
    """A list that is there and not empty."""
    return {"required": [key], "properties": {key: {"minItems": 1}}}


def ref(name: str) -> Schema:
    """A part that is defined once."""
    return {"$ref": f"#/$defs/{name}"}
