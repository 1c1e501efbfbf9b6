"""Clusters and tags by conditions: add, detail, update, delete, refresh, progress."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from mcp_server.gateway.thinkingdata.answers import (
    NAME_TAKEN,
    NOTHING,
    WRONG_DEFINITION,
    Refusal,
    empty,
    wrong,
)
from mcp_server.gateway.thinkingdata.asked import SYSTEM, Asked, Fields
from mcp_server.operations.cluster_state import ClusterRow, ClusterState
from mcp_server.operations.clusters import create_cluster, delete_cluster, get_cluster, update_cluster
from mcp_server.operations.computing import get_refresh_progress, refresh_cluster
from mcp_server.operations.findings import read_definition
from mcp_server.operations.kinds import ALL_TYPES, CLUSTERS, TAGS, Kind
from mcp_server.operations.operation import Operation
from mcp_server.operations.tags import create_tag, update_tag
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.tags import TagQp
from mcp_server.qp.window import Days, recent_days

OWNER: Final = 1
"""`userId`: there are no users of the platform here."""

_BODY: Final = ("projectId", "clusterName", "clusterCatalog", "clusterType", "subConditionTabType", "displayName", "remarks", "qp", "tagQp")  # fmt: skip
_PAGES_OWN_KEY: Final = '"uceCalcuSymbol"'
"""A key that one of the page's examples has where all others say `comparator`."""


async def add(asked: Asked) -> int:
    """`/open/user-cluster-add`; the new id, as in the page's example (its table calls it a number of successes)."""
    body = await asked.fields(*_BODY)
    project, name, shown = body.project(), body.text("clusterName"), body.text("displayName")
    kind, cluster_type = _kind(body)
    definition = await _definition(asked, body, kind, project, name)
    make: Operation[Any, ClusterState] = create_tag if kind is TAGS else create_cluster
    made = await asked.ask(
        make,
        cluster_name=name,
        display_name=shown,
        cluster_type=cluster_type,
        remarks=body.text("remarks", needed=False),
        project_id=project,
        **{kind.root: definition},
    )
    if made.existed or made.cluster is None:
        raise Refusal(NAME_TAKEN, f"分群名称({name})已存在")
    return int(made.cluster.cluster_id)


async def update(asked: Asked) -> object:
    """`/open/user-cluster-update`: the cluster by id in the query, the project in the body."""
    body = await asked.fields(*_BODY)
    return await _update(asked, body, body.project())


async def update_by_name(asked: Asked) -> object:
    """`/open/user-cluster-update-by-name`: project and name in the query; the body's project must agree."""
    body = await asked.fields(*_BODY)
    if body.project() != asked.project:
        raise wrong("projectId", "与地址中的 projectId 不一致")
    return await _update(asked, body, asked.project)


async def _update(asked: Asked, body: Fields, project: str) -> object:
    kind, cluster_type = _kind(body)
    row = (await asked.ask(get_cluster, cluster=asked.cluster, project_id=project)).cluster
    if row is None or row.cluster_type != cluster_type:
        raise wrong("clusterType", "类型不可修改")
    if body.text("clusterName", needed=False) not in ("", row.cluster_name):
        raise wrong("clusterName", "名称不可修改")
    change: Operation[Any, ClusterState] = update_tag if kind is TAGS else update_cluster
    await asked.ask(
        change,
        cluster=row.cluster_id,
        display_name=body.text("displayName"),
        remarks=body.text("remarks", needed=False),
        project_id=project,
        **{kind.root: await _definition(asked, body, kind, project, row.cluster_name)},
    )
    return NOTHING


async def detail(asked: Asked) -> object:
    """`/open/user-cluster-detail`, with the fields of the page's example."""
    project = asked.project
    state = await asked.ask(get_cluster, cluster=asked.cluster, project_id=project)
    metadata = await asked.house.deps.segments.metadata(project)
    assert state.cluster is not None  # noqa: S101 - get_cluster always names one
    row = state.cluster
    found: dict[str, Any] = {
        "clusterName": row.cluster_name,
        "clusterType": row.cluster_type,
        "displayName": row.display_name,
        "id": int(row.cluster_id),
        "progress": row.progress,
        "projectId": int(project),
        "refreshTime": row.refresh_time,
        "userId": OWNER,
        "usersNum": row.users_num or 0,
    }
    if row.cluster_type.endswith("_by_import"):  # no example on the page
        return found | {"mainColumnName": state.definition.get("mainColumnName", "")}
    key = "userTagDef" if row.cluster_type in TAGS.types else "userClusterDef"
    return found | {key: _with_days(state.definition, _day(row, metadata))}


async def delete(asked: Asked) -> object:
    """Delete it; the body is empty."""
    await asked.no_body()
    await asked.ask(delete_cluster, cluster=asked.cluster, project_id=asked.project)
    return NOTHING


async def refresh(asked: Asked) -> object:
    """Start its computation; the answer does not wait for it."""
    await asked.no_body()
    await asked.ask(refresh_cluster, cluster=asked.cluster, project_id=asked.project, wait_seconds=0)
    return NOTHING


async def progress(asked: Asked) -> object:
    """How far it is, 0 to 100; -1 failed."""
    found = await asked.ask(get_refresh_progress, cluster=asked.cluster, project_id=asked.project)
    return {"progress": found.cluster.progress if found.cluster else 0}


# what a body says


def _kind(body: Fields) -> tuple[Kind, str]:
    """What it is, by its type; the catalogue has to agree where it is given."""
    cluster_type = body.text("clusterType")
    if cluster_type not in ALL_TYPES:
        raise wrong("clusterType", cluster_type[:50])
    if not cluster_type.endswith(("_condition", "_result")):
        raise wrong("clusterType", "该类型的定义格式未公开")
    kind = TAGS if cluster_type in TAGS.types else CLUSTERS
    catalog = body.text("clusterCatalog", needed=False)
    if catalog not in ("", "catalog_tag" if kind is TAGS else "catalog_cluster"):
        raise wrong("clusterCatalog", catalog[:50])
    return kind, cluster_type


async def _definition(asked: Asked, body: Fields, kind: Kind, project: str, own: str) -> dict[str, Any]:
    """The definition, in the documented form: what a reader would mend is refused, but for the page's own slip."""
    key, other = ("tagQp", "qp") if kind is TAGS else ("qp", "tagQp")
    if other in body:
        raise wrong(other, "与 clusterType 不符")
    definition = body.inner(key)
    if "sql" in definition:
        raise wrong(key, "该类型的定义格式未公开")
    deps = asked.house.known(SYSTEM)
    metadata = await deps.segments.metadata(project)
    reading = await read_definition(definition, metadata, deps, kind=kind, own=own, root=(key,))
    mended = [r for r in reading.repairs if r.before != _PAGES_OWN_KEY]
    if mended and not reading.problems:
        said = "; ".join(f"{r.path}: {r.before} → {r.after} ({deps.say(r.reason)})" for r in mended[:3])
        raise Refusal(WRONG_DEFINITION, said)
    tab = body.text("subConditionTabType", needed=False)
    made = reading.definition
    if kind is TAGS and not tab:
        raise empty("subConditionTabType")
    if tab and made is not None and tab != (made.kind if isinstance(made, TagQp) else ""):
        raise wrong("subConditionTabType", tab[:50])
    return definition


# what an answer says


def _day(row: ClusterRow, metadata: Metadata) -> date:
    """The day on which windows were worked out last."""
    if metadata.as_of is None and row.refresh_time:
        return date.fromisoformat(row.refresh_time[:10])
    return metadata.today


def _with_days(part: Any, today: date) -> Any:
    """A definition with the first and the last day of every `recentDay` beside it, as the page's example has them."""
    if isinstance(part, list):
        return [_with_days(one, today) for one in part]
    if not isinstance(part, Mapping):
        return part
    found = {key: _with_days(value, today) for key, value in part.items()}
    days = recent_days(str(part["recentDay"]), today) if part.get("recentDay") else None
    return found | _ends(days) if days else found


def _ends(days: Days) -> dict[str, str]:
    return {"startTime": f"{days.first} 00:00:00", "endTime": f"{days.last} 00:00:00"}
