"""What a change of published schemas means for those who call us: added, compatible or breaking."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from mcp_server.language.problems import shorten

Kind = Literal["added", "compatible", "breaking"]
Side = Literal["input", "output"]
Schema = Mapping[str, Any]

_WORDS = frozenset({"description", "title", "default", "examples", "$schema", "$comment"})
_UPPER = frozenset({"maximum", "maxLength", "maxItems", "exclusiveMaximum"})
_LOWER = frozenset({"minimum", "minLength", "minItems", "exclusiveMinimum"})
_MAPS = ("properties", "$defs")
_PARTS = ("items", "additionalProperties")


class SchemaChange(NamedTuple):
    """One difference, where it is and what it means."""

    kind: Kind
    where: str
    what: str


def tool_changes(name: str, before: Schema, after: Schema) -> Iterator[SchemaChange]:
    """How a tool's document changed. Its effect (the annotations) is part of the contract."""
    for key in sorted({*before, *after} - {"inputSchema", "outputSchema"}):
        if before.get(key) != after.get(key):
            yield SchemaChange(
                "breaking" if key in ("annotations", "name") else "compatible", f"{name}/{key}", "changed"
            )
    yield from schema_changes(f"{name}/input", before.get("inputSchema", {}), after.get("inputSchema", {}), "input")
    yield from schema_changes(f"{name}/output", before.get("outputSchema", {}), after.get("outputSchema", {}), "output")


def schema_changes(where: str, before: Any, after: Any, side: Side) -> Iterator[SchemaChange]:
    """How a schema changed for those who send it (`input`) or receive it (`output`)."""
    if before == after:
        return
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield SchemaChange("breaking", where, _shown(before, after))
        return
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        if key in _MAPS:
            yield from _members(where, was or {}, now or {}, side)
        elif key in _PARTS and was is not None and now is not None:
            yield from schema_changes(f"{where}/{key}", was, now, side)
        elif key == "required":
            yield from _required(where, was or [], now or [], side)
        elif key == "enum" and was is not None and now is not None:
            yield from _enum(where, was, now, side)
        else:
            yield SchemaChange(_weight(key, was, now, side), f"{where}/{key}", _shown(was, now))


def _members(where: str, was: Mapping[str, Any], now: Mapping[str, Any], side: Side) -> Iterator[SchemaChange]:
    for name in [*was, *(name for name in now if name not in was)]:
        if name not in now:
            yield SchemaChange("breaking", f"{where}/{name}", "removed")
        elif name not in was:
            yield SchemaChange("added", f"{where}/{name}", "added")
        else:
            yield from schema_changes(f"{where}/{name}", was[name], now[name], side)


def _required(where: str, was: list[str], now: list[str], side: Side) -> Iterator[SchemaChange]:
    more: Kind = "breaking" if side == "input" else "compatible"
    less: Kind = "compatible" if side == "input" else "breaking"
    yield from (SchemaChange(more, f"{where}/{name}", "now required") for name in now if name not in was)
    yield from (SchemaChange(less, f"{where}/{name}", "no longer required") for name in was if name not in now)


def _enum(where: str, was: list[Any], now: list[Any], side: Side) -> Iterator[SchemaChange]:
    lost: Kind = "breaking" if side == "input" else "compatible"
    yield from (SchemaChange("added", f"{where}/enum", f"new value {word}") for word in now if word not in was)
    yield from (SchemaChange(lost, f"{where}/enum", f"value {word} removed") for word in was if word not in now)
    if sorted(map(str, was)) == sorted(map(str, now)):
        yield SchemaChange("compatible", f"{where}/enum", "another order")


def _shown(was: Any, now: Any) -> str:
    return f"{shorten(was, 100)} -> {shorten(now, 100)}"


def _weight(key: str, was: Any, now: Any, side: Side) -> Kind:
    """A keyword that is not understood here counts as breaking: somebody should look."""
    if key in _WORDS:
        return "compatible"
    if key in _UPPER | _LOWER:
        looser = now is None or (was is not None and (now > was if key in _UPPER else now < was))
        return "compatible" if looser == (side == "input") else "breaking"
    return "breaking"
