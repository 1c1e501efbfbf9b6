"""The list of clusters and tags, and the project's events and properties."""

from typing import Any, Final

from mcp_server.gateway.strict import is_whole, unknown
from mcp_server.gateway.thinkingdata.answers import wrong
from mcp_server.gateway.thinkingdata.asked import SYSTEM, Asked, Fields
from mcp_server.gateway.thinkingdata.clusters import OWNER
from mcp_server.operations.cluster_state import ClusterRow
from mcp_server.operations.clusters import list_clusters
from mcp_server.operations.kinds import CLUSTERS, TAGS
from mcp_server.operations.metadata import EventRow, PropertyRow, describe_data
from mcp_server.qp.metadata import Metadata

MOST: Final = 100
"""Rows of one page. (The vendor's limit is not known.)"""
USUAL: Final = 10
"""Rows of a page that says nothing. (As in the page's example.)"""
_SELECT_TYPES: Final = {"time": "datetime", "list": "array"}
"""Types by the vendor's names in his data format, where they differ from ours."""


async def clusters(asked: Asked) -> object:
    """`/open/user-cluster-list`: `clusterName` is searched for in names and display names."""
    body = await asked.fields("projectId", "clusterCatalog", "clusterTypes", "clusterName", "pagerHeader")
    project, words = body.project(), body.text("clusterName", needed=False).casefold()
    number, size = _page(body)
    rows: list[ClusterRow] = []
    while True:
        page = await asked.ask(
            list_clusters, project_id=project, search=words, cluster_types=_types(body), limit=MOST, offset=len(rows)
        )
        rows += page.clusters
        if len(rows) >= page.total or not page.clusters:
            break
    hits = [r for r in rows if words in r.cluster_name.casefold() or words in r.display_name.casefold()]
    metadata = await asked.house.deps.segments.metadata(project)
    shown = hits[(number - 1) * size : number * size]
    return {
        "pagerResult": {"pageNum": number, "pageSize": size, "totalNum": len(hits)},
        "userClusters": [_row(row, project, metadata) for row in shown],
    }


def _types(body: Fields) -> tuple[str, ...]:
    catalog, types = body.text("clusterCatalog"), body.texts("clusterTypes")
    kinds = {"catalog_cluster": CLUSTERS, "catalog_tag": TAGS}
    if catalog not in kinds:
        raise wrong("clusterCatalog", catalog[:50])
    stray = next((one for one in types if one not in kinds[catalog].types), "")
    if stray:
        raise wrong("clusterTypes", stray[:50])
    return types


def _page(body: Fields) -> tuple[int, int]:
    if "pagerHeader" not in body:
        return 1, USUAL
    header = body.inner("pagerHeader")
    stray = unknown(header, "pageNum", "pageSize")
    if stray:
        raise wrong(stray[:50], "未知字段")
    number, size = header.get("pageNum", 1), header.get("pageSize", USUAL)
    if not is_whole(number) or not 1 <= number <= 1_000_000:
        raise wrong("pageNum")
    if not is_whole(size) or not 1 <= size <= MOST:
        raise wrong("pageSize", f"1–{MOST}")
    return number, size


def _row(row: ClusterRow, project: str, metadata: Metadata) -> dict[str, Any]:
    is_tag = row.cluster_type in TAGS.types
    known = metadata.property("cluster", row.cluster_name)
    kind = known.type if is_tag and known else "string"
    return {
        "clusterCatalog": "catalog_tag" if is_tag else "catalog_cluster",
        "clusterName": row.cluster_name,
        "clusterType": row.cluster_type,
        "displayName": row.display_name,
        "historyDataStatus": int("_dynamic_" in row.cluster_type),
        "id": int(row.cluster_id),
        "mainColumnName": "",
        "progress": row.progress,
        "projectId": int(project),
        "refreshDelay": 0,
        "refreshTime": row.refresh_time,
        "remarks": row.remarks,
        "selectType": _SELECT_TYPES.get(kind, kind),
        "status": 1,
        "uploadFileName": "",
        "userId": OWNER,
        "userName": SYSTEM,
        "usersNum": row.users_num or 0,
    }


# the data (the vendor publishes no shape of these two: invented)


async def events(asked: Asked) -> object:
    """`/open/list-event-meta`. Shape invented: `eventName`, `eventDesc`, `remark`."""
    found = await _described(asked)
    return [
        {"eventName": r.event, "eventDesc": r.display_name, "remark": r.remark}
        for r in found
        if isinstance(r, EventRow)
    ]


async def properties(asked: Asked) -> object:
    """`/open/list-props`. Shape invented: `columnName`, `columnDesc`, `selectType`, `tableType`, `remark`."""
    table = asked.query["tableType"]
    if table not in ("event", "user"):
        raise wrong("tableType", table[:50])
    event = asked.query.get("eventName", "")
    if event and table != "event":
        raise wrong("eventName")
    found = await _described(asked, event)
    return [
        {
            "columnName": r.property,
            "columnDesc": r.display_name,
            "selectType": _SELECT_TYPES.get(r.type, r.type),
            "tableType": r.table,
            "remark": r.remark,
        }
        for r in found
        if isinstance(r, PropertyRow) and r.table == table
    ]


async def _described(asked: Asked, event: str = "") -> list[EventRow | PropertyRow]:
    rows: list[EventRow | PropertyRow] = []
    while True:
        page = await asked.ask(describe_data, project_id=asked.project, event=event, limit=MOST, offset=len(rows))
        rows += [*page.events, *page.properties]
        if page.left_out == 0:
            return rows
