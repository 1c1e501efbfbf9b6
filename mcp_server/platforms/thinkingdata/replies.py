"""What comes back from ThinkingData, read leniently: a number may be a text, a field may be missing.

Shapes are those of the vendor's page 用户分群和标签 API where nothing else is said.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp_server.platforms.thinkingdata import codes
from mcp_server.platforms.vendor import Unreadable, quoted, read_object, whole, words

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteCluster:
    """A cluster or tag as the platform tells it. What a call doesn't tell is empty."""

    cluster_id: str
    name: str
    cluster_type: str
    display_name: str = ""
    catalog: str = "catalog_cluster"
    project_id: str = ""
    progress: int = 0
    """100 done, 0 to 99 running, -1 failed."""
    refresh_time: str = ""
    users_num: int | None = None
    remarks: str = ""
    main_column: str = ""
    """Of uploaded ids: the property that they are values of."""
    value_type: str = ""
    """Of a tag, by the vendor's name; only the list tells it."""
    definition: Raw = field(default_factory=dict)
    """`userClusterDef` or `userTagDef`, as it came; only the detail call has it."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list."""

    items: tuple[RemoteCluster, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters of an import."""

    cluster_id: str
    uploaded: int
    users: int
    unmatched: int
    without_value: int


def data_of(body: bytes, secrets: Sequence[str] = ()) -> Any:
    """`data` of a successful answer. Unreadable without an envelope; the error of the code where it is not 0."""
    return data_in(read_object(body), secrets)


def data_in(envelope: Raw, secrets: Sequence[str] = ()) -> Any:
    """The same of an envelope that is already read."""
    if "return_code" not in envelope:
        raise Unreadable
    code = whole(envelope["return_code"], default=-1)
    if code != codes.SUCCESS:
        raise codes.fault(code, quoted(words(envelope.get("return_message")), secrets))
    return envelope.get("data")


def is_busy(body: bytes) -> bool:
    """Whether an answer asks for patience. (HTTP is 200 all the same.)"""
    try:
        return whole(read_object(body).get("return_code")) == codes.TOO_FREQUENT
    except Unreadable:
        return False


def cluster_in(data: object) -> RemoteCluster:
    """The cluster of the detail call, or a row of the list. Unreadable where it has no id or no name."""
    if not isinstance(data, Mapping) or not words(data.get("id")) or not words(data.get("clusterName")):
        raise Unreadable
    cluster_type = words(data.get("clusterType"))
    tag = cluster_type.startswith("tag_") or words(data.get("clusterCatalog")) == "catalog_tag"
    definition = data.get("userTagDef") if tag else data.get("userClusterDef")
    return RemoteCluster(
        cluster_id=words(data["id"]),
        name=words(data["clusterName"]),
        cluster_type=cluster_type,
        display_name=words(data.get("displayName")),
        catalog="catalog_tag" if tag else "catalog_cluster",
        project_id=words(data.get("projectId")),
        progress=whole(data.get("progress")),
        refresh_time=words(data.get("refreshTime")),
        users_num=whole(data["usersNum"]) if data.get("usersNum") is not None else None,
        remarks=words(data.get("remarks")),
        main_column=words(data.get("mainColumnName")),
        value_type=words(data.get("selectType")),
        definition=_definition(definition),
    )


def _definition(value: object) -> Raw:
    """A definition; some deployments send it as JSON text."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def page_in(data: object) -> ListPage:
    """A page of the list call."""
    if not isinstance(data, Mapping):
        raise Unreadable
    rows = data.get("userClusters") or ()
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise Unreadable
    pager = data.get("pagerResult")
    total = whole(pager.get("totalNum"), default=len(rows)) if isinstance(pager, Mapping) else len(rows)
    return ListPage(tuple(cluster_in(row) for row in rows), total)


def new_id_in(data: object) -> str:
    """The id of a new cluster. (The page's table calls it a number of successes; its example is the id, te-api.md §1.)"""
    if isinstance(data, bool) or not words(data).strip().isdigit():
        raise Unreadable
    return words(data).strip()


def counts_in(data: object) -> Counts | None:
    """The counters of an import; None where the platform gives none (the page's table for modify says "")."""
    if not isinstance(data, Mapping):
        return None
    return Counts(
        cluster_id=words(data.get("clusterId")),
        uploaded=whole(data.get("uploadNum")),
        users=whole(data.get("userNum")),
        unmatched=whole(data.get("unmatchedNum")),
        without_value=whole(data.get("tagValueNullNum")),
    )


def progress_in(data: object) -> int:
    """0 to 100, -1 failed."""
    if not isinstance(data, Mapping) or "progress" not in data:
        raise Unreadable
    return whole(data["progress"])


def rows_in(body: bytes, secrets: Sequence[str] = ()) -> tuple[tuple[str, ...], Iterator[list[Any]]]:
    """Headers and rows of a query (`format=json`): the first line is the envelope, each other one a row."""
    first, _, rest = body.partition(b"\n")
    data = data_of(first, secrets)
    headers = data.get("headers") if isinstance(data, Mapping) else None
    if not isinstance(headers, Sequence) or isinstance(headers, str):
        raise Unreadable
    return tuple(map(words, headers)), _rows(rest)


def _rows(lines: bytes) -> Iterator[list[Any]]:
    for line in lines.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=str)  # digits as they came: a float would change them
        except (ValueError, RecursionError):
            raise Unreadable from None
        if not isinstance(row, list):
            raise Unreadable
        yield row
