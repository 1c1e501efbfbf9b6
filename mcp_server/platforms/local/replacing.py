"""What a load puts in the place of what: sizes, days, and the events and properties that go."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mcp_server.language.metadata import Metadata
from mcp_server.platforms.data import Replacement, Size
from mcp_server.store import records
from mcp_server.store.catalog import Catalog

SHRINKS = 0.9
"""Data that has less than this share of the rows or users it had is asked about."""


def size_of(metadata: Metadata) -> Size:
    """Return how much data there is, and its first and last day."""
    firsts, lasts = [e.first[:10] for e in metadata.events if e.first], [e.last[:10] for e in metadata.events if e.last]
    return Size(metadata.rows or 0, metadata.users or 0, min(firsts, default=""), max(lasts, default=""))


def replacement(catalog: Catalog, old: Metadata | None, new: Metadata) -> Replacement:
    """Compare the data of a project with what would replace it; `old` is None where there is none."""
    after = size_of(new)
    if old is None:
        return Replacement(None, after)
    before = size_of(old)
    events = tuple(e.name for e in old.events if e.name not in new.event_by_name)
    properties = tuple(
        f"{p.table} {p.name}"
        for p in old.properties
        if p.table in ("event", "user") and new.property(p.table, p.name) is None
    )
    named = clusters_by_event(catalog, old.project_id)
    return Replacement(
        before,
        after,
        events,
        properties,
        tuple((event, named[event]) for event in events if event in named),
        shrinks=after.rows < before.rows * SHRINKS or after.users < before.users * SHRINKS,
        apart=bool(before.first and after.first) and (after.first > before.last or after.last < before.first),
    )


def clusters_by_event(catalog: Catalog, project_id: str) -> dict[str, tuple[str, ...]]:
    """Return the clusters and tags of a project whose definitions name an event, by event."""
    select = f"{records.CLUSTER} AND c.project = ? ORDER BY c.id"
    found: dict[str, tuple[str, ...]] = {}
    for cluster in catalog.database.records(records.cluster, select, (project_id,)):
        for event in dict.fromkeys(_events(json.loads(cluster.definition))):
            found[event] = (*found.get(event, ()), cluster.name)
    return found


def _events(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "eventName" and isinstance(value, str):
                yield value
            else:
                yield from _events(value)
    elif isinstance(part, list):
        for each in part:
            yield from _events(each)
