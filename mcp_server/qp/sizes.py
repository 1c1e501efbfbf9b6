"""Definitions that are refused unread because of their size.

Reading takes up to 0.3 ms for each object, so that a hundred thousand of them would hold a worker for half a minute.
Counting stops at the first limit that is passed, long before that. The limits are in `vocabulary.py`; what is
only a little too large is read, so that all its problems come at once.
"""

from collections.abc import Iterable, Mapping

from mcp_server.errors import Problem
from mcp_server.qp import vocabulary as words
from mcp_server.qp.keys import VALUES, Path
from mcp_server.qp.problems import finding, pointer
from mcp_server.qp.tags import MAX_VALUES
from mcp_server.text import Text

MAX_KEYS = 100
"""Most keys in one object; the largest legal one has 9."""
MAX_UNREAD_TEXT = 10 * words.MAX_TEXT
"""Longest text that is looked at, unless it may be JSON."""

_LISTS = {
    "events": Text("{n} event conditions", "{n} 个事件条件").format(n=words.MAX_EVENTS),
    "filts": Text("{n} filters", "{n} 个筛选条件").format(n=words.MAX_FILTERS),
    VALUES: Text("{n} values of a tag", "{n} 个标签值").format(n=MAX_VALUES),
}
_ENTRIES = Text("{n} values", "{n} 个值").format(n=words.MANY)
_KEYS = Text("{n} keys in one object", "每个对象 {n} 个键").format(n=MAX_KEYS)
_OBJECTS = Text("{n} conditions and groups in all", "共 {n} 个条件和嵌套组")
_TEXT = Text("{n} characters", "{n} 个字符").format(n=words.MAX_TEXT)
_CHARACTERS = Text("{n} characters in all", "共 {n} 个字符").format(n=f"{words.MAX_CHARACTERS:,}")


def oversized(raw: object, root: Path, *, most_objects: int) -> Problem | None:
    """The first limit that a definition passes by far; None where it can be read. Does not recurse."""
    waiting: list[tuple[object, Path]] = [(raw, root)]
    objects = characters = 0
    while waiting:
        node, at = waiting.pop()
        objects += isinstance(node, Mapping)
        characters += len(node) if isinstance(node, str) else 0
        limit = _by_itself(node, at)
        if limit:
            return _too_large(at, limit)
        if objects > most_objects:
            return _too_large(root, _OBJECTS.format(n=f"{most_objects:,}"))
        if characters > words.MAX_CHARACTERS:
            return _too_large(root, _CHARACTERS)
        waiting += ((child, (*at, key)) for key, child in _children(node))
    return None


def _by_itself(node: object, at: Path) -> Text | None:
    """The limit that one text, list or object passes without what is in it."""
    if isinstance(node, str):
        return _TEXT if len(node) > MAX_UNREAD_TEXT and node.lstrip()[:1] not in ("{", "[") else None
    if isinstance(node, list):
        return _LISTS.get(str(at[-1]), _ENTRIES) if len(node) > words.MANY else None
    if not isinstance(node, Mapping):
        return None
    if len(node) > MAX_KEYS:
        return _KEYS
    return _TEXT if any(len(str(key)) > words.MAX_TEXT for key in node) else None


def _children(node: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(node, Mapping):
        return ((str(key), value) for key, value in node.items())
    return enumerate(node) if isinstance(node, list) else ()


def _too_large(at: Path, limit: Text) -> Problem:
    return finding("definition_too_large", pointer(at), limit=limit)
