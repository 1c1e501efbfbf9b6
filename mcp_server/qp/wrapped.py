"""A definition in the wrong place: of the other kind, with another object around it, or without the one it needs."""

import json
from collections.abc import Mapping
from typing import Any

from mcp_server.errors import Problem
from mcp_server.qp.keys import Keys, Path
from mcp_server.qp.problems import finding, pointer
from mcp_server.qp.sent import from_json
from mcp_server.text import listed

WRAPPERS = ("qp", "tagQp", "tag_qp", "userClusterDef", "userTagDef", "definition")
"""Keys that people put around a definition once more."""
MOST_SUGGESTED = 500
"""Characters; a longer definition is not repeated as a suggestion."""


def elsewhere(raw: Mapping[Any, object], root: Path, keys: Keys, other: Keys, code: str) -> Problem | None:
    """Why an object without any of `keys` is no definition: it is of the `other` kind (`code`), or stands too deep.

    None where it is neither; the keys that are unknown are then told one by one.
    """
    if has_any(raw, other):
        return finding(code, pointer(root), got=listed(raw), expected=" / ".join(keys))
    for key in WRAPPERS:
        inner = _object(raw.get(key))
        if has_any(inner, other) and not has_any(inner, keys):
            return elsewhere(inner, (*root, key), keys, other, code)
        if has_any(inner, keys):
            text = json.dumps(inner, ensure_ascii=False, default=str)
            suggestion = text if len(text) <= MOST_SUGGESTED else ""
            return finding("definition_wrapped", pointer(root), got=listed(raw), suggestion=suggestion, key=key)
    return _bare(raw, root, keys)


def _bare(raw: Mapping[Any, object], root: Path, keys: Keys) -> Problem | None:
    """One condition by itself, without the list that it belongs into."""
    for holder, key in (("events", "eventName"), ("filts", "columnName")):
        if holder in keys and key in raw:
            text = json.dumps({holder: [raw]}, ensure_ascii=False, default=str)
            suggestion = text if len(text) <= MOST_SUGGESTED else ""
            return finding("condition_bare", pointer(root), got=listed(raw), suggestion=suggestion, key=holder)
    return None


def has_any(raw: Mapping[Any, object], keys: Keys) -> bool:
    """Whether one of these keys was sent, in any spelling that is read."""
    return bool({str(key).strip().casefold() for key in raw} & {key.casefold() for key in keys})


def _object(value: object) -> Mapping[Any, object]:
    """An object, also as JSON text; an empty one for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = from_json(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}
