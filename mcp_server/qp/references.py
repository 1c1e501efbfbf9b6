"""Which clusters and tags a definition names, and which it reaches through them."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from mcp_server.errors import Problem
from mcp_server.qp.metadata import Property
from mcp_server.qp.problems import finding


def named_clusters(definition: object) -> frozenset[str]:
    """The clusters and tags that a definition as it is kept names, without case.

    Of SQL: those that its check found; of SQL that may read any of them, none.
    """
    return frozenset(_named(definition))


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("tableType") == "cluster" and isinstance(node.get("columnName"), str):
            yield node["columnName"].casefold()
        for part in node.values():
            yield from _named(part)
        reads = node.get("reads")
        if isinstance(reads, Mapping):
            yield from map(str.casefold, reads.get("clusters", ()))
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _named(part)


def rests_on(found: Property, own: str, at: str) -> Iterator[Problem]:
    """Why the cluster `own` cannot read this one: it rests on `own` itself, or has no members yet."""
    if own.casefold() in (found.name.casefold(), *(name.casefold() for name in found.uses)):
        yield finding("cluster_cycle", at, got=found.name, name=found.name, own=own)
    elif not found.ready:
        yield finding("cluster_not_ready", at, got=found.name, name=found.name)


def reached(name: str, uses: Mapping[str, Set[str]]) -> frozenset[str]:
    """Everything that `name` uses, directly or through others; itself among it where there is a cycle."""
    seen: set[str] = set()
    waiting = list(uses.get(name, ()))
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += uses.get(one, ())
    return frozenset(seen)
