"""Which clusters and tags a definition names, and which it reaches through them."""

from collections.abc import Iterator, Mapping, Set
from typing import Any


def named_clusters(definition: object) -> frozenset[str]:
    """The clusters and tags that a definition in wire form names, as they are written, without case."""
    return frozenset(_named(definition))


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("tableType") == "cluster" and isinstance(node.get("columnName"), str):
            yield node["columnName"].casefold()
        for part in node.values():
            yield from _named(part)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _named(part)


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
