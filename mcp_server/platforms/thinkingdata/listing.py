"""The clusters and tags of a project: all of them, for a while, or one by its exact name; in the records of this program."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio

from mcp_server.errors import NotFound, VendorRejected
from mcp_server.language.definitions import Definition, PlatformDefinition, parse_definition
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.problems import shorten
from mcp_server.language.suggest import nearest
from mcp_server.language.uploaded import Uploaded
from mcp_server.platforms.segments import Cluster
from mcp_server.platforms.thinkingdata.client import RemoteCluster, ThinkingDataApi
from mcp_server.text import NOTHING, Text

# One as a record


_FAILED = Text(
    "ThinkingData shows that it failed, and not why; its own page of the cluster may show more.",
    "数数平台只说明计算失败，未给出原因；可在平台的分群页面查看。",
)
_RUNNING = Text("it is being computed", "正在计算")
_NOT_SEEN = Text(
    "ThinkingData has not shown a computation after the last change", "数数平台尚未表明在上次改动后重新计算过"
)


def cluster_of(remote: RemoteCluster, project_id: str, metadata: Metadata | None, *, pending: bool = False) -> Cluster:
    """Return a cluster of the list, or, with metadata, of the detail request with its definition.

    `pending`: it was changed or refreshed, and its time of refresh has not moved since.
    """
    done = remote.progress == 100
    fresh = done and not pending
    return Cluster(
        cluster_id=remote.cluster_id,
        cluster_name=remote.name,
        display_name=remote.display_name,
        cluster_type=remote.cluster_type,
        project_id=project_id,
        definition=_definition(remote, metadata),
        catalog=remote.catalog,
        remarks=remote.remarks,
        users_num=remote.users_num if done or remote.users_num else None,
        progress=remote.progress,
        failure=_FAILED if remote.progress < 0 else NOTHING,
        refresh_time=remote.refresh_time,
        fresh=fresh,
        stale_because=NOTHING if fresh else _NOT_SEEN if done else _RUNNING,
        revision=_revision(remote),
    )


def is_import(cluster_type: str) -> bool:
    return cluster_type.endswith("_import")


def _definition(remote: RemoteCluster, metadata: Metadata | None) -> Definition:
    """What it is defined by; in the platform's own form where that can't be read."""
    if is_import(remote.cluster_type):
        return Uploaded(remote.catalog, remote.main_column, "", 0, 0)
    if metadata is not None and remote.definition and not remote.cluster_type.endswith("_sql"):
        raw = _without_days(remote.definition)
        reading = parse_definition(raw, metadata, catalog=remote.catalog, root=("qp",), own=remote.name)
        if reading.definition is not None:
            return reading.definition
    return PlatformDefinition(remote.catalog, remote.definition)


def _without_days(part: Any) -> Any:
    """A definition without the dates that the server adds beside every `recentDay` (page, 分群或标签详情查询)."""
    if isinstance(part, list):
        return [_without_days(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    added = ("startTime", "endTime") if part.get("recentDay") else ()
    return {key: _without_days(value) for key, value in part.items() if key not in added}


def _revision(remote: RemoteCluster) -> int:
    """A number that is another one after any change of what a person made."""
    parts = [remote.display_name, remote.remarks, _without_days(remote.definition)]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


# The list


TYPES = {
    CLUSTER: (
        "cluster_by_dynamic_condition",
        "cluster_by_static_condition",
        "cluster_by_result",
        "cluster_by_import",
        "cluster_by_dynamic_sql",
        "cluster_by_static_sql",
    ),
    TAG: (
        "tag_by_dynamic_condition",
        "tag_by_static_condition",
        "tag_by_import",
        "tag_by_dynamic_sql",
        "tag_by_static_sql",
    ),
}
"""`clusterTypes` of each catalogue, which the list requires (vendor page)."""
SECONDS = 30.0
"""How long a list is kept for reading; what is about to be changed is always asked for anew."""
MOST_PAGES = 200

_NONE = Text(
    "There is no cluster or tag {ref} in project {project} on ThinkingData.",
    "数数平台的项目 {project} 中没有分群或标签 {ref}。",
)
_NEAR = Text("Did you mean {near}?", "是否指 {near}？")
_LIST = Text("list_clusters shows those that exist.", "可用 list_clusters 查看现有分群和标签。")


class Listing:
    """The lists of one deployment's projects."""

    def __init__(self, api: ThinkingDataApi) -> None:
        self._api = api
        self._seen: dict[str, tuple[float, tuple[RemoteCluster, ...]]] = {}

    async def all(self, project_id: str) -> tuple[RemoteCluster, ...]:
        """Return every cluster and tag, newest first."""
        known = self._seen.get(project_id)
        if known is None or anyio.current_time() - known[0] > SECONDS:
            rows = [row for catalog in TYPES for row in await self._pages(project_id, catalog, "")]
            known = (
                anyio.current_time(),
                tuple(
                    sorted(
                        rows, key=lambda row: (-int(row.cluster_id) if row.cluster_id.isdigit() else 0, row.cluster_id)
                    )
                ),
            )
            self._seen[project_id] = known
        return known[1]

    def forget(self, project_id: str) -> None:
        """Read the list again at the next request, as something was changed."""
        self._seen.pop(project_id, None)

    async def named(self, project_id: str, name: str, *, catalog: str = "") -> RemoteCluster | None:
        """Return the one of exactly this name, in any case, of this or of both catalogues, as it is now.

        (The request itself looks for parts of names.)
        """
        for searched in [catalog] if catalog else TYPES:
            for row in await self._pages(project_id, searched, name):
                if row.name.casefold() == name.strip().casefold():
                    return row
        return None

    async def detail(self, project_id: str, ref: str) -> RemoteCluster:
        """Return one by id or by name, with its definition. NotFound names the nearest."""
        ref = ref.strip()
        if not (ref.isascii() and ref.isdigit()):
            row = await self.named(project_id, ref)
            if row is None:
                raise await self._none(project_id, ref)
            return await self.full(project_id, row)
        try:
            detail = await self._api.detail(project_id, cluster_id=ref)
        except VendorRejected:  # the code for "no such cluster" is not public
            self.forget(project_id)
            if all(row.cluster_id != ref for row in await self.all(project_id)):
                raise await self._none(project_id, ref) from None
            raise
        row = await self.named(project_id, detail.name, catalog=detail.catalog if detail.cluster_type else "")
        return _joined(detail, row) if row and row.cluster_id == detail.cluster_id else detail

    async def full(self, project_id: str, row: RemoteCluster) -> RemoteCluster:
        """Return a row of the list with what only the detail request returns."""
        return _joined(await self._api.detail(project_id, cluster_id=row.cluster_id), row)

    async def _pages(self, project_id: str, catalog: str, words: str) -> list[RemoteCluster]:
        rows: list[RemoteCluster] = []
        for number in range(1, MOST_PAGES + 1):
            page = await self._api.page(project_id, catalog, TYPES[catalog], words, number)
            rows += page.items
            if not page.items or len(rows) >= page.total:
                break
        return list(
            {row.cluster_id: row for row in rows}.values()
        )  # without those that moved to the next page meanwhile

    async def _none(self, project_id: str, ref: str) -> NotFound:
        near = nearest(ref, [row.name for row in await self.all(project_id)])
        hint = _NEAR.format(near=near) if near else NOTHING
        return NotFound(_NONE.format(ref=shorten(ref, 80), project=project_id).then(hint), next_step=_LIST)


def _joined(detail: RemoteCluster, row: RemoteCluster) -> RemoteCluster:
    """The detail request's answer, with what only the list has."""
    return replace(
        detail,
        catalog=row.catalog,
        remarks=row.remarks or detail.remarks,
        main_column=detail.main_column or row.main_column,
        value_type=row.value_type,
    )
