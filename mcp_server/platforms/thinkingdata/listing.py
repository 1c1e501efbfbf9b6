"""The clusters and tags of a project as the list call gives them, and how each is shown here."""

import hashlib
import json
from collections.abc import Mapping, Sequence
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

# How a cluster on ThinkingData stands, in the house's form.


_FAILED = Text(
    "ThinkingData says that it failed, and not why; its own page of the cluster may tell.",
    "数数平台只说明计算失败，未给出原因；可在平台的分群页面查看。",
)
_RUNNING = Text("it is being computed", "正在计算")
_AS_BEFORE = Text(
    "ThinkingData has not said that it computed it after the last change", "数数平台尚未表明在上次改动后重新计算过"
)


def standing(found: RemoteCluster, project_id: str, metadata: Metadata | None, *, pending: bool = False) -> Cluster:
    """A cluster of the list, or, with metadata, of the detail call with its definition.

    `pending`: it was changed or refreshed, and its time of refresh has not moved since.
    """
    done = found.progress == 100
    return Cluster(
        cluster_id=found.cluster_id,
        cluster_name=found.name,
        display_name=found.display_name,
        cluster_type=found.cluster_type,
        project_id=project_id,
        definition=_definition(found, metadata),
        catalog=found.catalog,
        remarks=found.remarks,
        users_num=found.users_num if done or found.users_num else None,
        progress=found.progress,
        failure=_FAILED if found.progress < 0 else NOTHING,
        refresh_time=found.refresh_time,
        fresh=done and not pending,
        stale_because=NOTHING if done and not pending else _AS_BEFORE if done else _RUNNING,
        revision=_revision(found),
    )


def is_import(cluster_type: str) -> bool:
    return cluster_type.endswith("_import")


def _definition(found: RemoteCluster, metadata: Metadata | None) -> Definition:
    """What it is defined by; in the platform's own form where that can't be read."""
    if is_import(found.cluster_type):
        return Uploaded(found.catalog, found.main_column, "", 0, 0)
    if metadata is not None and found.definition and not found.cluster_type.endswith("_sql"):
        read = parse_definition(
            _without_days(found.definition), metadata, catalog=found.catalog, root=("qp",), own=found.name
        )
        if read.definition is not None:
            return read.definition
    return PlatformDefinition(found.catalog, found.definition)


def _without_days(part: Any) -> Any:
    """A definition without the dates that the server adds beside every `recentDay` (page, 分群或标签详情查询)."""
    if isinstance(part, list):
        return [_without_days(one) for one in part]
    if not isinstance(part, Mapping):
        return part
    added = ("startTime", "endTime") if part.get("recentDay") else ()
    return {key: _without_days(value) for key, value in part.items() if key not in added}


def _revision(found: RemoteCluster) -> int:
    """A number that is another one after any change of what a person made."""
    parts = [found.display_name, found.remarks, _without_days(found.definition)]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


# The clusters and tags of a project as the list call gives them: all of them, for a while, or one by its exact name.


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
"""`clusterTypes` of each catalogue, which the list call requires (vendor page)."""
SECONDS = 30.0
"""How long a list is good for a look; what is about to be changed is always asked for anew."""
MOST_PAGES = 200

_NONE = Text(
    "There is no cluster or tag {ref} in project {project} on ThinkingData.",
    "数数平台的项目 {project} 中没有分群或标签 {ref}。",
)
_NEAR = Text("Did you mean {near}?", "是否指 {near}？")
_LIST = Text("list_clusters shows what there is.", "可用 list_clusters 查看现有分群和标签。")


class Listing:
    """The lists of one deployment's projects."""

    def __init__(self, api: ThinkingDataApi) -> None:
        self._api = api
        self._seen: dict[str, tuple[float, tuple[RemoteCluster, ...]]] = {}

    async def all(self, project_id: str) -> tuple[RemoteCluster, ...]:
        """Every cluster and tag, newest first."""
        known = self._seen.get(project_id)
        if known is None or anyio.current_time() - known[0] > SECONDS:
            rows = [row for catalog in TYPES for row in await self._pages(project_id, catalog, "")]
            known = (anyio.current_time(), tuple(sorted(rows, key=_age)))
            self._seen[project_id] = known
        return known[1]

    def forget(self, project_id: str) -> None:
        """Something was changed: the next look asks again."""
        self._seen.pop(project_id, None)

    async def named(self, project_id: str, name: str, *, catalog: str = "") -> RemoteCluster | None:
        """The one of exactly this name, in any case, of this or of both catalogues; asked for now.

        (The call itself looks for parts of names.)
        """
        for one in [catalog] if catalog else TYPES:
            for row in await self._pages(project_id, one, name):
                if row.name.casefold() == name.strip().casefold():
                    return row
        return None

    async def detail(self, project_id: str, ref: str) -> RemoteCluster:
        """What is known of one, by id or by name, its definition with it. NotFound names the nearest."""
        ref = ref.strip()
        if not (ref.isascii() and ref.isdigit()):
            row = await self.named(project_id, ref)
            if row is None:
                raise await self._none(project_id, ref)
            return await self.full(project_id, row)
        try:
            found = await self._api.detail(project_id, cluster_id=ref)
        except VendorRejected:  # the code for "no such cluster" is not public
            self.forget(project_id)
            if all(row.cluster_id != ref for row in await self.all(project_id)):
                raise await self._none(project_id, ref) from None
            raise
        row = await self.named(project_id, found.name, catalog=found.catalog if found.cluster_type else "")
        return _joined(found, row) if row and row.cluster_id == found.cluster_id else found

    async def full(self, project_id: str, row: RemoteCluster) -> RemoteCluster:
        """A row of the list with what only the detail call tells."""
        return _joined(await self._api.detail(project_id, cluster_id=row.cluster_id), row)

    async def _pages(self, project_id: str, catalog: str, words: str) -> list[RemoteCluster]:
        rows: list[RemoteCluster] = []
        for number in range(1, MOST_PAGES + 1):
            page = await self._api.page(project_id, catalog, TYPES[catalog], words, number)
            rows += page.items
            if not page.items or len(rows) >= page.total:
                break
        return list({row.cluster_id: row for row in rows}.values())  # one that moved to the next page meanwhile

    async def _none(self, project_id: str, ref: str) -> NotFound:
        near = nearest(ref, _names(await self.all(project_id)))
        hint = _NEAR.format(near=near) if near else NOTHING
        return NotFound(_NONE.format(ref=shorten(ref, 80), project=project_id).then(hint), next_step=_LIST)


def _names(rows: Sequence[RemoteCluster]) -> list[str]:
    return [row.name for row in rows]


def _age(row: RemoteCluster) -> tuple[int, str]:
    return (-int(row.cluster_id) if row.cluster_id.isdigit() else 0, row.cluster_id)


def _joined(detail: RemoteCluster, row: RemoteCluster) -> RemoteCluster:
    """The detail call's answer, with what only the list tells."""
    return replace(
        detail,
        catalog=row.catalog,
        remarks=row.remarks or detail.remarks,
        main_column=detail.main_column or row.main_column,
        value_type=row.value_type,
    )
