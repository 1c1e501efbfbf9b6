"""JSON as a strict server takes it: objects without repeated keys, numbers that are numbers."""

import json
from collections.abc import Mapping
from typing import Any


class NotJson(Exception):
    """The text is no JSON object; says why."""


def read_object(body: bytes) -> dict[str, Any]:
    """The object. NotJson where it is none, names a key twice, holds NaN, or nests too deep."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise NotJson("nested too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None
    if not isinstance(value, dict):
        raise NotJson("not an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("a key stands twice")
    return found


def _no_constant(name: str) -> object:
    raise NotJson(f"{name} is no number")


def is_whole(value: object) -> bool:
    """A JSON number without a fraction; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def unknown(given: Mapping[str, object], *names: str) -> str:
    """The first key that is not among these names; "" where there is none."""
    return next((key for key in given if key not in names), "")
