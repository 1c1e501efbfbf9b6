"""Completions: names that exist, for what a person is typing into a prompt or an address."""

from collections.abc import Iterable, Sequence

from mcp_types import Completion, PromptReference, ResourceTemplateReference

from mcp_server.front.prompts import LANGUAGE
from mcp_server.front.resources import BY_TEMPLATE
from mcp_server.operations.calling import call
from mcp_server.operations.clusters import list_clusters
from mcp_server.operations.operation import Deps
from mcp_server.operations.searching import search
from mcp_server.qp.metadata import Event, Property

MOST = 100
"""The protocol's own limit of one answer."""

Reference = PromptReference | ResourceTemplateReference


async def complete(reference: Reference, argument: str, typed: str, deps: Deps) -> Completion:
    """What the argument may become: names that begin with what was typed, then others that match it."""
    kind = BY_TEMPLATE.get(reference.uri) if isinstance(reference, ResourceTemplateReference) else None
    if kind is not None and argument == "name":
        return _answer(await _names(kind.folder, typed, deps))
    if isinstance(reference, PromptReference) and argument == "cluster":
        return _answer(await _names("clusters", typed, deps))
    if isinstance(reference, PromptReference) and argument == LANGUAGE:
        return _answer([one for one in ("en", "zh") if one.startswith(typed.strip())])
    return _answer(())


async def _names(folder: str, typed: str, deps: Deps) -> Sequence[str]:
    """Names of one kind that match, in either language, best first."""
    if folder == "clusters":
        found = await call(list_clusters, {"search": typed[:200], "limit": MOST}, deps)
        return [cluster.cluster_name for cluster in found.clusters]
    metadata = await deps.segments.metadata(deps.project(""))
    kind = Event if folder == "events" else Property
    start = typed.strip().casefold()
    # A search wants a word; what is typed may be its first letter.
    begin = [hit for hit in search(metadata, "") if hit.found.name.casefold().startswith(start)]
    return [hit.found.name for hit in (*begin, *search(metadata, typed[:200])) if isinstance(hit.found, kind)]


def _answer(names: Iterable[str]) -> Completion:
    unique = list(dict.fromkeys(names))
    return Completion(values=unique[:MOST], total=len(unique), has_more=len(unique) > MOST)
