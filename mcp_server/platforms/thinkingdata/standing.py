"""How a cluster on ThinkingData stands, in the house's form."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mcp_server.platforms.ports import Cluster
from mcp_server.platforms.thinkingdata.replies import RemoteCluster
from mcp_server.qp.definition import Definition
from mcp_server.qp.either import read_any
from mcp_server.qp.foreign import Foreign
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.uploaded import Uploaded
from mcp_server.text import NOTHING, Text

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
        read = read_any(_without_days(found.definition), metadata, catalog=found.catalog, root=("qp",), own=found.name)
        if read.definition is not None:
            return read.definition
    return Foreign(found.catalog, found.definition)


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
