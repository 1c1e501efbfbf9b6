"""What can be done with a definition whichever of the two it is: a cluster's (qp) or a tag's (tagQp)."""

import json
from collections.abc import Iterator
from dataclasses import replace

from mcp_server.errors import Problem
from mcp_server.qp.check import Path, Reading, RegexFault, TagReading, read, read_tag
from mcp_server.qp.compare import compare, compare_tags
from mcp_server.qp.explain import Explanation, explain
from mcp_server.qp.explain_tag import explain_tag
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import Qp, meaning_hash, normalised
from mcp_server.qp.problems import finding, pointer
from mcp_server.qp.tags import Definition, TagQp, tag_meaning_hash
from mcp_server.text import Text

CLUSTER, TAG = "catalog_cluster", "catalog_tag"
"""The vendor's names of the two."""

AnyReading = Reading | TagReading


def read_any(
    raw: object,
    metadata: Metadata,
    *,
    catalog: str,
    root: Path,
    regex_fault: RegexFault | None = None,
    own: str = "",
) -> AnyReading:
    """Read a definition of a cluster or of a tag, as `check.read` and `check.read_tag` do."""
    reading: AnyReading
    if catalog == TAG:
        reading = read_tag(raw, metadata, root=root, regex_fault=regex_fault, own=own)
    else:
        reading = read(raw, metadata, root=root, regex_fault=regex_fault, own=own)
    return replace(reading, warnings=(*reading.warnings, *_same_meaning(reading, metadata, root, own)))


def _same_meaning(reading: AnyReading, metadata: Metadata, root: Path, own: str) -> Iterator[Problem]:
    """Clusters or tags that mean the same already; another one is hardly ever wanted."""
    if reading.definition is None:
        return
    meaning, is_cluster = hash_any(reading.definition), isinstance(reading.definition, Qp)
    for known in metadata.properties_of("cluster"):
        alike = known.meaning == meaning and (known.type == "cluster") is is_cluster
        if alike and known.name.casefold() != own.casefold():
            yield finding("same_meaning", pointer(root), name=known.name)


def explain_any(definition: Definition, metadata: Metadata) -> Explanation:
    return explain(definition, metadata) if isinstance(definition, Qp) else explain_tag(definition, metadata)


def compare_any(old: Definition, new: Definition, metadata: Metadata) -> tuple[Text, ...]:
    """What changes from one definition to another of the same kind, in words."""
    if isinstance(old, Qp) and isinstance(new, Qp):
        return compare(old, new, metadata)
    if isinstance(old, TagQp) and isinstance(new, TagQp):
        return compare_tags(old, new, metadata)
    raise ValueError("a cluster and a tag are not compared")


def hash_any(definition: Definition) -> str:
    """The hash of a definition's meaning."""
    return meaning_hash(definition) if isinstance(definition, Qp) else tag_meaning_hash(definition)


def written(definition: Definition) -> str:
    """The documented form as JSON text, as it is kept."""
    return json.dumps(normalised(definition), ensure_ascii=False, separators=(",", ":"))


def from_written(text: str, catalog: str) -> Definition:
    """A definition that was kept by `written`."""
    return (TagQp if catalog == TAG else Qp).model_validate(json.loads(text))
