"""Whole request bodies of the vendor's page: a definition with the cluster's names around it.

People paste them from the page, from scripts and from what the server reads back, so they are opened here and
the definition inside is read as any other. JSON text with a missing or a spare comma (the page has one such
example) is repaired and the repair reported.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_server.errors import Problem, Repair
from mcp_server.language.definitions import Definition
from mcp_server.language.model import TAG, Qp, TagQp, keys_of
from mcp_server.language.problems import finding, pointer
from mcp_server.language.reading.check import is_sql
from mcp_server.language.reading.document import from_json, has_any
from mcp_server.language.suggest import nearest
from mcp_server.language.vocabulary import MAX_CHARACTERS, Path
from mcp_server.text import Text, listed

INSIDE = {"qp": False, "userClusterDef": False, "tagQp": True, "userTagDef": True}
"""Keys that hold a definition, as it is written and as the server reads it back, and whether it is a tag's."""

FIELDS = ("projectId", "clusterName", "clusterCatalog", "clusterType", "subConditionTabType", "displayName", "remarks")
"""Keys of a body beside the definition (vendor page, 添加条件分群或标签)."""

READ_BACK = frozenset({
    "id", "userId", "userName", "usersNum", "progress", "refreshTime", "refreshDelay", "status", "selectType",
    "historyDataStatus", "mainColumnName", "uploadFileName",
})  # fmt: skip
"""Keys that the server adds when it reads a cluster back; they are no part of the definition."""

_REPLY = frozenset({"data", "return_code", "return_message"})
"""Keys of a whole reply of the server; the cluster is in `data`."""

_FORM_IN_TYPE = re.compile(r"_[a-z]+$")
MOST_COMMAS = 10
_COMMA_ADDED = Text("a comma was missing in line {line}", "第 {line} 行缺少逗号")
_COMMA_TAKEN = Text("a comma was too many in line {line}", "第 {line} 行多了一个逗号")


@dataclass(frozen=True, slots=True)
class OpenedBody:
    """The definition in a body, its path, and what is around it."""

    definition: object
    root: Path
    is_tag: bool
    around: Path = ()
    """The path of the keys beside the definition."""
    fields: Mapping[str, str] = field(default_factory=dict)
    repairs: tuple[Repair, ...] = ()
    problems: tuple[Problem, ...] = ()


def open_body(raw: object, root: Path) -> OpenedBody:
    """Open a body; a bare definition is returned as it is."""
    value, repairs = _parsed(raw, root)
    if not isinstance(value, Mapping):
        return OpenedBody(raw, root, is_tag=False)
    value, root = _without_envelope(value, root)
    if is_sql(value):
        return _sql_body(value, root, repairs)
    inside = [key for key in INSIDE if key in value]
    is_tag = has_any(value, keys_of(TagQp))
    if not inside or is_tag or has_any(value, keys_of(Qp)):
        return OpenedBody(value if repairs else raw, root, is_tag, repairs=repairs)
    key, *others = inside
    problems = [finding("body_two_definitions", pointer((*root, k)), got=k, expected=key) for k in others]
    problems += _unknown((k for k in value if k not in (*FIELDS, *READ_BACK, *INSIDE)), root)
    return OpenedBody(value[key], (*root, key), INSIDE[key], root, _fields(value), repairs, tuple(problems))


def _sql_body(value: Mapping[Any, Any], root: Path, repairs: tuple[Repair, ...]) -> OpenedBody:
    """SQL with a cluster's names beside it; the vendor has no such body, so its types decide whether it is a tag's."""
    definition = {key: part for key, part in value.items() if key not in (*FIELDS, *READ_BACK)}
    fields = _fields(value)
    is_tag = fields.get("clusterCatalog") == TAG or fields.get("clusterType", "").startswith("tag_")
    return OpenedBody(definition, root, is_tag, root, fields, repairs)


def _fields(value: Mapping[Any, Any]) -> dict[str, str]:
    return {k: str(value[k]) for k in FIELDS if value.get(k) not in (None, "")}


def _without_envelope(value: Mapping[Any, Any], root: Path) -> tuple[Mapping[Any, Any], Path]:
    """The cluster inside a whole reply, and its path."""
    inner = value.get("data")
    if set(value) <= _REPLY and isinstance(inner, Mapping) and any(key in inner for key in INSIDE):
        return inner, (*root, "data")
    return value, root


def _unknown(keys: Iterable[object], root: Path) -> Iterable[Problem]:
    legal = (*FIELDS, *INSIDE)
    for key in map(str, keys):
        close = nearest(key, legal)
        yield finding("key_unknown", pointer((*root, key)), got=key, expected=listed(legal), suggestion=close)


def other_project(body: OpenedBody, project_id: str) -> tuple[Problem, ...]:
    """A warning where the body names another project than the one whose data it is checked against."""
    named = body.fields.get("projectId", project_id)
    if named == project_id:
        return ()
    at = pointer((*body.around, "projectId"))
    return (finding("body_other_project", at, got=named, expected=project_id),)


def body_of(definition: Definition, fields: Mapping[str, str], project_id: str) -> dict[str, Any]:
    """The body that creates this definition on the vendor's platform; names that are not known are left out.

    Empty where the vendor publishes none for this form of definitions.
    """
    if not definition.body_key:
        return {}
    head = {
        "projectId": int(project_id),
        "clusterName": fields.get("clusterName"),
        "clusterCatalog": definition.catalog,
        "clusterType": fields.get("clusterType"),
        "subConditionTabType": definition.kind if isinstance(definition, TagQp) else None,
        "displayName": fields.get("displayName"),
    }
    return {key: value for key, value in head.items() if value is not None} | {definition.body_key: definition.wire()}


def contradictions(body: OpenedBody, definition: Definition) -> Iterable[Problem]:
    """Problems for keys of the body that do not fit the definition inside it."""
    fitting = {
        "clusterCatalog": definition.catalog,
        "subConditionTabType": definition.kind if isinstance(definition, TagQp) else "",
        "clusterType": _fitting(body.fields.get("clusterType", ""), definition),
    }
    for key, value in fitting.items():
        if key in body.fields and body.fields[key] != value:
            at = pointer((*body.around, key))
            yield finding("body_contradiction", at, got=body.fields[key], expected=value or "–", suggestion=value)


def _fitting(cluster_type: str, definition: Definition) -> str:
    """The type nearest to this one that fits the definition."""
    ends = definition.types_end
    other, own = ("cluster_by_", "tag_by_") if definition.catalog == TAG else ("tag_by_", "cluster_by_")
    fitting = cluster_type.replace(other, own)
    return fitting if fitting.endswith(ends) else _FORM_IN_TYPE.sub(ends[0], fitting)


# JSON text


def read_json(text: str) -> object:
    """JSON text as a value, commas repaired; the text itself where it stays unreadable."""
    return _parsed(text, ())[0]


def _parsed(raw: object, root: Path) -> tuple[object, tuple[Repair, ...]]:
    """JSON text as a value, commas repaired; anything else, and text that stays unreadable, as it is."""
    if not isinstance(raw, str) or len(raw) > MAX_CHARACTERS:
        return raw, ()
    text = raw
    repairs: list[Repair] = []
    for _ in range(MOST_COMMAS + 1):
        try:
            return from_json(text), tuple(repairs)
        except json.JSONDecodeError as error:
            changed = _with_comma(text, error.pos) or _without_comma(text, error.pos)
            if changed is None:
                return raw, ()
            text, reason, at = changed
            before, after = ("", ",") if reason is _COMMA_ADDED else (",", "")
            line = text.count("\n", 0, at) + 1
            repairs.append(Repair(pointer(root), before, after, reason.format(line=line)))
        except ValueError:
            return raw, ()
    return raw, ()


def _with_comma(text: str, at: int) -> tuple[str, Text, int] | None:
    """The text with the comma between two values, where the parser expected one."""
    before = text[:at].rstrip()
    if before[-1:] not in ('"', "}", "]", "e", "l", *"0123456789") or text[at : at + 1] not in ('"', "{", "["):
        return None
    return f"{before},{text[len(before) :]}", _COMMA_ADDED, len(before) - 1


def _without_comma(text: str, at: int) -> tuple[str, Text, int] | None:
    """The text without the comma before a closing bracket. (Newer parsers point at the comma, older ones behind it.)"""
    comma = at if text[at : at + 1] == "," else len(text[:at].rstrip()) - 1
    closes = text[comma + 1 :].lstrip()[:1] in ("}", "]")
    if comma < 0 or text[comma] != "," or not closes:
        return None
    return text[:comma] + text[comma + 1 :], _COMMA_TAKEN, comma
