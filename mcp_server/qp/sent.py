"""A definition as it was sent: JSON, where each part stood, and what was changed while reading it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from mcp_server.errors import Repair
from mcp_server.qp.problems import pointer, shorten
from mcp_server.text import Text

ABSENT = object()
"""Stands for "nothing there" before or after a change."""

MAX_NESTING = 64
"""Deeper input is not walked at all; no definition comes near."""


class Place(NamedTuple):
    """Where a part stands: in the rewritten definition, and in what was sent."""

    now: tuple[str | int, ...]
    sent: tuple[str | int, ...]

    def to(self, key: str | int, sent: str | int | None = None) -> "Place":
        return Place((*self.now, key), (*self.sent, key if sent is None else sent))

    def within(self, key: str | int) -> "Place":
        """A part that did not exist apart in what was sent: a lone value that became a list."""
        return Place((*self.now, key), self.sent)


@dataclass
class Repaired:
    """The rewritten definition, what was changed, and where each part stood."""

    value: Any = None
    repairs: list[Repair] = field(default_factory=list)
    moved: dict[tuple[str | int, ...], tuple[str | int, ...]] = field(default_factory=dict)

    def as_sent(self, path: tuple[str | int, ...]) -> str:
        """The JSON Pointer, in the arguments as they were sent, of a part of the rewritten definition."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.moved:
                return pointer((*self.moved[path[:length]], *path[length:]))
        return pointer(path)

    def note(self, place: Place, before: object, after: object, reason: Text) -> None:
        """Remember a change; one that goes on from the change before it is told as one."""
        step = Repair(pointer(place.sent), _shown(before), _shown(after), reason)
        last = self.repairs[-1] if self.repairs else None
        if last and last.path == step.path and last.after == step.before:
            both = Text(f"{last.reason.en}; {reason.en}", f"{last.reason.zh}；{reason.zh}")
            self.repairs[-1] = Repair(step.path, last.before, step.after, both)
        else:
            self.repairs.append(step)
        if place.now != place.sent:
            self.moved[place.now] = place.sent


def too_deep(raw: object) -> bool:
    """True where nesting goes beyond anything that could be a definition. Does not recurse."""
    level = [raw]
    for _ in range(MAX_NESTING):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    if isinstance(node, Mapping):
        return node.values()
    return node if isinstance(node, list) else ()


def from_json(text: str) -> object:
    """JSON text as a value, numbers with a fraction exact. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _shown(value: object) -> str:
    """A value as JSON, cut short; nothing for what is not there."""
    return "" if value is ABSENT else shorten(json.dumps(value, ensure_ascii=False, default=str))


def as_wire_text(value: object) -> str | None:
    """A number or bool as the text that the wire wants; None for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None
