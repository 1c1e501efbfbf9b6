"""Names: of clusters and tags (qp.md section 6), and the names that a definition uses."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from mcp_server.errors import Problem
from mcp_server.language.metadata import Property
from mcp_server.language.model import Qp, TagQp
from mcp_server.language.problems import finding
from mcp_server.language.suggest import pinyin

_NOT_ON_A_LINE = ("Cc", "Cs", "Zl", "Zp")
"""Categories of control characters, halves of characters, line and paragraph breaks."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class NameLimits:
    """Longest names, in Unicode code points. The vendor page says 24 and 50; newer deployments allow 80."""

    cluster_name: int = 24
    display_name: int = 50


def name_findings(name: str, limits: NameLimits, path: str = "/cluster_name") -> Iterator[Problem]:
    """What is wrong with a cluster name; the suggestion is a legal name near it, if there is one."""
    most = limits.cluster_name
    if not _NAME.fullmatch(name) or len(name) > most:
        yield finding("name_invalid", path, got=name, suggestion=_legal(name, most), most=most)


def display_name_findings(name: str, limits: NameLimits, path: str = "/display_name") -> Iterator[Problem]:
    """What is wrong with a display name: its length in code points, nothing but blanks, or line breaks and the like."""
    one_line = not any(unicodedata.category(c) in _NOT_ON_A_LINE for c in name)
    if not name.strip() or len(name) > limits.display_name or not one_line:
        suggestion = name[: limits.display_name].strip() if one_line else ""
        yield finding("display_name_invalid", path, got=name, suggestion=suggestion, most=limits.display_name)


def name_from(display_name: str, limits: NameLimits, number: int = 1) -> str:
    """A legal cluster name made from a display name, in pinyin where that is Chinese; the second and later get a suffix."""
    suffix = f"_{number}" if number > 1 else ""
    words = "_".join(re.findall(r"[a-z0-9]+", pinyin(display_name).casefold()))
    words = words if words[:1].isalpha() else f"cluster_{words}"
    return words[: limits.cluster_name - len(suffix)].strip("_") + suffix


def _legal(name: str, most: int) -> str:
    parts = re.findall(r"[A-Za-z0-9]+", name)
    cut = "_".join(parts)[:most].strip("_")
    return cut if _NAME.fullmatch(cut) else ""


# Names in a definition


def names_used(definition: Qp | TagQp) -> Iterator[str]:
    """Every name of an event or a property in a definition by conditions, as often as it is used."""
    for node in _objects(definition.wire()):
        for key in ("eventName", "columnName", "quota"):
            if isinstance(node.get(key), str) and node[key]:
                yield node[key]


def named_clusters(definition: object) -> frozenset[str]:
    """The clusters and tags that a definition as it is stored names, without case.

    Of SQL: those that its check reported; of SQL that may read any of them, none.
    """
    names: set[str] = set()
    for node in _objects(definition):
        if node.get("tableType") == "cluster" and isinstance(node.get("columnName"), str):
            names.add(node["columnName"].casefold())
        if isinstance(node.get("reads"), Mapping):
            names |= {name.casefold() for name in node["reads"].get("clusters", ())}
    return frozenset(names)


def _objects(node: object) -> Iterator[Mapping[str, Any]]:
    """Every object of plain JSON, outer ones first."""
    if isinstance(node, Mapping):
        yield node
        for part in node.values():
            yield from _objects(part)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _objects(part)


def dependency_findings(cluster: Property, own: str, at: str) -> Iterator[Problem]:
    """Why the cluster `own` cannot read this one: it depends on `own` itself, or has no members yet."""
    if own.casefold() in (cluster.name.casefold(), *(name.casefold() for name in cluster.uses)):
        yield finding("cluster_cycle", at, got=cluster.name, name=cluster.name, own=own)
    elif not cluster.ready:
        yield finding("cluster_not_ready", at, got=cluster.name, name=cluster.name)


def reached(name: str, uses: Mapping[str, Set[str]]) -> frozenset[str]:
    """Everything that `name` uses, directly or through others; with itself where there is a cycle."""
    seen: set[str] = set()
    waiting = list(uses.get(name, ()))
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += uses.get(one, ())
    return frozenset(seen)
