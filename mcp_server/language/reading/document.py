"""A definition as it was sent: JSON, the place of each part, what repairs changed, and limits of size."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from mcp_server.errors import Problem, Repair
from mcp_server.language import vocabulary as words
from mcp_server.language.model import Keys
from mcp_server.language.problems import finding, pointer, shorten
from mcp_server.language.vocabulary import Path
from mcp_server.text import Text, listed

ABSENT = object()
"""Nothing, before or after a change."""
MAX_NESTING = 64
"""Deeper input is not walked at all; no definition comes near."""


class Place(NamedTuple):
    """The path of a part in the repaired definition, and in the arguments as they were sent."""

    path: Path
    sent: Path

    def to(self, key: str | int, sent: str | int | None = None) -> "Place":
        return Place((*self.path, key), (*self.sent, key if sent is None else sent))

    def within(self, key: str | int) -> "Place":
        """A part that was not apart in what was sent: a lone value that became a list."""
        return Place((*self.path, key), self.sent)


@dataclass
class Repaired:
    """The repaired definition, what was changed, and where each part was."""

    value: Any = None
    repairs: list[Repair] = field(default_factory=list)
    moved: dict[Path, Path] = field(default_factory=dict)

    def pointer_to(self, path: Path) -> str:
        """The JSON Pointer, in the arguments as they were sent, to a part of the repaired definition."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.moved:
                return pointer((*self.moved[path[:length]], *path[length:]))
        return pointer(path)

    def note(self, place: Place, before: object, after: object, reason: Text) -> None:
        """Remember a change; one that goes on from the change before it is reported as one."""
        step = Repair(pointer(place.sent), _shown(before), _shown(after), reason)
        last = self.repairs[-1] if self.repairs else None
        if last and last.path == step.path and last.after == step.before:
            both = Text(f"{last.reason.en}; {reason.en}", f"{last.reason.zh}；{reason.zh}")
            self.repairs[-1] = Repair(step.path, last.before, step.after, both)
        else:
            self.repairs.append(step)
        if place.path != place.sent:
            self.moved[place.path] = place.sent


def too_deep(raw: object) -> bool:
    """True where nesting goes beyond anything that could be a definition. Does not recurse."""
    level = [raw]
    for _ in range(MAX_NESTING):
        level = [child for node in level for _, child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[tuple[str | int, object]]:
    """The parts of an object or a list with their keys or positions."""
    if isinstance(node, Mapping):
        return ((str(key), value) for key, value in node.items())
    return enumerate(node) if isinstance(node, list) else ()


def is_absent(value: object) -> bool:
    """Whether a part that may be left out is left out: null or empty (qp.md section 1). Zero and false are values."""
    return value is None or (isinstance(value, str | Mapping | list | tuple) and not value)


def says_nothing(raw: object) -> bool:
    """Whether a definition, also as JSON text, is absent or holds nothing but absent keys."""
    if isinstance(raw, str) and raw.lstrip()[:1] in ("{", "["):
        try:
            raw = from_json(raw)
        except ValueError:
            return False
    return is_absent(raw) or (isinstance(raw, Mapping) and all(is_absent(part) for part in raw.values()))


def from_json(text: str) -> object:
    """JSON text as a value, numbers with a fraction exact. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _shown(value: object) -> str:
    """A value as JSON, cut short; "" where there is none."""
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


# Sizes

MAX_KEYS = 100
"""Most keys in one object; the largest legal one has 9."""
MAX_UNREAD_TEXT = 10 * words.MAX_TEXT
"""Longest text that is looked at, unless it may be JSON."""

LIST_LIMITS = {
    "events": Text("{n} event conditions", "{n} 个事件条件").format(n=words.MAX_EVENTS),
    "filts": Text("{n} filters", "{n} 个筛选条件").format(n=words.MAX_FILTERS),
    words.VALUES: Text("{n} values of a tag", "{n} 个标签值").format(n=words.MAX_VALUES),
}
VALUES_LIMIT = Text("{n} values", "{n} 个值").format(n=words.MANY)
_KEYS = Text("{n} keys in one object", "每个对象 {n} 个键").format(n=MAX_KEYS)
_OBJECTS = Text("{n} conditions and groups in all", "共 {n} 个条件和嵌套组")
LEVELS_LIMIT = Text("{n} levels of groups", "{n} 层嵌套组").format(n=words.MAX_DEPTH)
TEXT_LIMIT = Text("{n} characters", "{n} 个字符").format(n=words.MAX_TEXT)
_CHARACTERS = Text("{n} characters in all", "共 {n} 个字符").format(n=f"{words.MAX_CHARACTERS:,}")


def oversized(raw: object, root: Path, *, most_objects: int) -> Problem | None:
    """The first limit that a definition passes by far; None where it can be read. Does not recurse.

    Reading takes up to 0.3 ms for each object, so that a hundred thousand of them would hold a worker for half a minute.
    What is only a little too large is read, so that all its problems come at once.
    """
    waiting: list[tuple[object, Path]] = [(raw, root)]
    objects = characters = 0
    while waiting:
        node, at = waiting.pop()
        objects += isinstance(node, Mapping)
        characters += len(node) if isinstance(node, str) else 0
        limit = _passed_alone(node, at)
        if limit:
            return finding("definition_too_large", pointer(at), limit=limit)
        if objects > most_objects:
            return finding("definition_too_large", pointer(root), limit=_OBJECTS.format(n=f"{most_objects:,}"))
        if characters > words.MAX_CHARACTERS:
            return finding("definition_too_large", pointer(root), limit=_CHARACTERS)
        waiting += ((child, (*at, key)) for key, child in _children(node))
    return None


def _passed_alone(node: object, at: Path) -> Text | None:
    """The limit that one text, list or object passes, its parts left aside."""
    if isinstance(node, str):
        return TEXT_LIMIT if len(node) > MAX_UNREAD_TEXT and node.lstrip()[:1] not in ("{", "[") else None
    if isinstance(node, list):
        return LIST_LIMITS.get(str(at[-1]), VALUES_LIMIT) if len(node) > words.MANY else None
    if not isinstance(node, Mapping):
        return None
    if len(node) > MAX_KEYS:
        return _KEYS
    return TEXT_LIMIT if any(len(str(key)) > words.MAX_TEXT for key in node) else None


def unreadable(raw: object, root: Path) -> Problem | None:
    """Why a value is not walked at all: nested without end, no object, not Unicode."""
    path = pointer(root)
    if too_deep(raw):
        return finding("definition_too_large", path, limit=LEVELS_LIMIT)
    if not isinstance(raw, Mapping):
        return finding("type_wrong", path, got=raw, expected=Text("an object", "对象"))
    for text, at in _texts(raw, root):
        if _SURROGATE.search(text):
            return finding("text_invalid", pointer(at))
    return None


_SURROGATE = re.compile("[\ud800-\udfff]")


def _texts(node: object, at: Path) -> Iterator[tuple[str, Path]]:
    """Every text in the input, keys too. The depth was checked before."""
    if isinstance(node, str):
        yield node, at
    for key, child in _children(node):
        if isinstance(key, str):
            yield key, at
        yield from _texts(child, (*at, key))


# Definitions in the wrong place

WRAPPERS = ("qp", "tagQp", "tag_qp", "userClusterDef", "userTagDef", "definition")
"""Keys that people put around a definition once more."""
MOST_SUGGESTED = 500
"""Characters; a longer definition is not repeated as a suggestion."""


def elsewhere(raw: Mapping[Any, object], root: Path, keys: Keys, other: Keys, code: str) -> Problem | None:
    """Why an object without any of `keys` is no definition: it is of the `other` kind (`code`), or one level too deep.

    None where it is neither; the unknown keys are then reported one by one.
    """
    if has_any(raw, other):
        return finding(code, pointer(root), got=listed(raw), expected=" / ".join(keys))
    for key in WRAPPERS:
        inner = _object(raw.get(key))
        if has_any(inner, other) and not has_any(inner, keys):
            return elsewhere(inner, (*root, key), keys, other, code)
        if has_any(inner, keys):
            return _in_its_place("definition_wrapped", raw, root, key, inner)
    for holder, key in (("events", "eventName"), ("filts", "columnName")):
        if holder in keys and key in raw:
            return _in_its_place("condition_bare", raw, root, holder, {holder: [raw]})
    return None


def _in_its_place(code: str, raw: Mapping[Any, object], root: Path, key: str, right: object) -> Problem:
    text = json.dumps(right, ensure_ascii=False, default=str)
    suggestion = text if len(text) <= MOST_SUGGESTED else ""
    return finding(code, pointer(root), got=listed(raw), suggestion=suggestion, key=key)


def has_any(raw: Mapping[Any, object], keys: Iterable[str]) -> bool:
    """Whether an object has one of these keys, in any spelling that is read."""
    return bool({str(key).strip().casefold() for key in raw} & {key.casefold() for key in keys})


def _object(value: object) -> Mapping[Any, object]:
    """An object, also as JSON text; an empty one for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = from_json(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}
