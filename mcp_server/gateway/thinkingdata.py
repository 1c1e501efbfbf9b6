"""ThinkingData's Open API as a server: its endpoints (vendor page 用户分群和标签 API; te-api.md sections 8 and 9)."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import anyio
import anyio.to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError
from mcp_server.gateway import thinkingdata_wire as wire
from mcp_server.gateway.base import GatewayParts, Queried, is_whole
from mcp_server.gateway.thinkingdata_wire import Fields, ThinkingDataRefusal, ThinkingDataRequest
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TagQp
from mcp_server.language.values import recent_days
from mcp_server.operations.clusters import (
    create_cluster,
    create_tag,
    delete_cluster,
    get_cluster,
    list_clusters,
    update_cluster,
    update_tag,
)
from mcp_server.operations.computing import get_refresh_progress, refresh_cluster
from mcp_server.operations.imports import ImportedIds, import_ids, replace_imported_ids
from mcp_server.operations.metadata import EventRow, PropertyRow, describe_data
from mcp_server.operations.operation import Operation
from mcp_server.operations.results import (
    ALL_TYPES,
    CLUSTERS,
    TAGS,
    ClusterRow,
    ClusterState,
    SegmentKind,
    read_definition,
)
from mcp_server.web import Stopped, TooLong, into_file

OWNER: Final = 1
"""`userId`: there are no users of the platform here."""
CATALOGS: Final = {"catalog_cluster": CLUSTERS, "catalog_tag": TAGS}

# Clusters and tags by conditions


_BODY: Final = ("projectId", "clusterName", "clusterCatalog", "clusterType", "subConditionTabType", "displayName", "remarks", "qp", "tagQp")  # fmt: skip
_PAGES_OWN_KEY: Final = '"uceCalcuSymbol"'
"""A key that one of the page's examples has where all others have `comparator`."""


async def add(request: ThinkingDataRequest) -> int:
    """`/open/user-cluster-add`; the new id, as in the page's example (its table calls it a number of successes)."""
    body = await request.fields(*_BODY)
    project, name, display_name = body.project(), body.text("clusterName"), body.text("displayName")
    kind, cluster_type = _kind(body)
    definition = await _definition(request, body, kind, project, name)
    create: Operation[Any, ClusterState] = create_tag if kind is TAGS else create_cluster
    made = await request.invoke(
        create,
        cluster_name=name,
        display_name=display_name,
        cluster_type=cluster_type,
        remarks=body.optional("remarks"),
        project_id=project,
        **{kind.root: definition},
    )
    if made.existed or made.cluster is None:
        raise ThinkingDataRefusal(wire.NAME_TAKEN, f"分群名称({name})已存在")
    return int(made.cluster.cluster_id)


async def update(request: ThinkingDataRequest) -> None:
    """`/open/user-cluster-update`: the cluster by id in the query, the project in the body."""
    body = await request.fields(*_BODY)
    await _update(request, body, body.project())


async def update_by_name(request: ThinkingDataRequest) -> None:
    """`/open/user-cluster-update-by-name`: project and name in the query; the body's project must agree."""
    body = await request.fields(*_BODY)
    if body.project() != request.project:
        raise wire.wrong("projectId", "与地址中的 projectId 不一致")
    await _update(request, body, request.project)


async def _update(request: ThinkingDataRequest, body: Fields, project: str) -> None:
    kind, cluster_type = _kind(body)
    row = (await request.invoke(get_cluster, cluster=request.cluster, project_id=project)).cluster
    if row is None or row.cluster_type != cluster_type:
        raise wire.wrong("clusterType", "类型不可修改")
    if body.optional("clusterName") not in ("", row.cluster_name):
        raise wire.wrong("clusterName", "名称不可修改")
    change: Operation[Any, ClusterState] = update_tag if kind is TAGS else update_cluster
    await request.invoke(
        change,
        cluster=row.cluster_id,
        display_name=body.text("displayName"),
        remarks=body.optional("remarks"),
        project_id=project,
        **{kind.root: await _definition(request, body, kind, project, row.cluster_name)},
    )


async def detail(request: ThinkingDataRequest) -> dict[str, Any]:
    """`/open/user-cluster-detail`, with the fields of the page's example."""
    project = request.project
    state = await request.invoke(get_cluster, cluster=request.cluster, project_id=project)
    metadata = await request.parts.deps.segments.metadata(project)
    assert state.cluster is not None  # noqa: S101 - get_cluster always names one
    row = state.cluster
    fields = _fields(row, project)
    if row.cluster_type.endswith("_by_import"):  # no example on the page
        return fields | {"mainColumnName": state.definition.get("mainColumnName", "")}
    key = "userTagDef" if row.cluster_type in TAGS.types else "userClusterDef"
    computed = date.fromisoformat(row.refresh_time[:10]) if metadata.as_of is None and row.refresh_time else None
    return fields | {key: _with_days(state.definition, computed or metadata.today)}


def _fields(row: ClusterRow, project: str) -> dict[str, Any]:
    """The fields that detail and list share."""
    return {
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


def _with_days(part: Any, today: date) -> Any:
    """A definition with the first and the last day of every `recentDay` beside it, as the page's example has them."""
    if isinstance(part, list):
        return [_with_days(item, today) for item in part]
    if not isinstance(part, Mapping):
        return part
    fields = {key: _with_days(value, today) for key, value in part.items()}
    days = recent_days(str(part["recentDay"]), today) if part.get("recentDay") else None
    ends = {"startTime": f"{days.first} 00:00:00", "endTime": f"{days.last} 00:00:00"} if days else {}
    return fields | ends


async def delete(request: ThinkingDataRequest) -> None:
    """Delete it; the body is empty."""
    await request.no_body()
    await request.invoke(delete_cluster, cluster=request.cluster, project_id=request.project)


async def refresh(request: ThinkingDataRequest) -> None:
    """Start its computation; the answer does not wait for it."""
    await request.no_body()
    await request.invoke(refresh_cluster, cluster=request.cluster, project_id=request.project, wait_seconds=0)


async def progress(request: ThinkingDataRequest) -> dict[str, int]:
    """How far its computation is, 0 to 100; -1 failed."""
    state = await request.invoke(get_refresh_progress, cluster=request.cluster, project_id=request.project)
    return {"progress": state.cluster.progress if state.cluster else 0}


def _kind(body: Fields) -> tuple[SegmentKind, str]:
    """Cluster or tag, by its type; the catalogue has to agree where it is given."""
    cluster_type = body.text("clusterType")
    if cluster_type not in ALL_TYPES:
        raise wire.wrong("clusterType", cluster_type[:50])
    if not cluster_type.endswith(("_condition", "_result")):
        raise wire.wrong("clusterType", "该类型的定义格式未公开")
    kind = TAGS if cluster_type in TAGS.types else CLUSTERS
    catalog = body.optional("clusterCatalog")
    if catalog and CATALOGS.get(catalog) is not kind:
        raise wire.wrong("clusterCatalog", catalog[:50])
    return kind, cluster_type


async def _definition(
    request: ThinkingDataRequest, body: Fields, kind: SegmentKind, project: str, own: str
) -> dict[str, Any]:
    """The definition, in the documented form: what a reader would repair is refused, but for the page's own slip."""
    key, other = ("tagQp", "qp") if kind is TAGS else ("qp", "tagQp")
    if other in body:
        raise wire.wrong(other, "与 clusterType 不符")
    raw = body.inner(key)
    if "sql" in raw:
        raise wire.wrong(key, "该类型的定义格式未公开")
    deps = request.parts.deps_of(wire.SYSTEM)
    reading = await read_definition(raw, await deps.segments.metadata(project), deps, kind=kind, own=own, root=(key,))
    repairs = [repair for repair in reading.repairs if repair.before != _PAGES_OWN_KEY]
    if repairs and not reading.problems:
        lines = (f"{r.path}: {r.before} → {r.after} ({deps.say(r.reason)})" for r in repairs[:3])
        raise ThinkingDataRefusal(wire.WRONG_DEFINITION, "; ".join(lines))
    tab = body.optional("subConditionTabType")
    definition = reading.definition
    if kind is TAGS and not tab:
        raise wire.empty("subConditionTabType")
    if tab and definition is not None and tab != (definition.kind if isinstance(definition, TagQp) else ""):
        raise wire.wrong("subConditionTabType", tab[:50])
    return raw


# Uploaded ids: the body is the file, streamed under a limit


async def import_add(request: ThinkingDataRequest) -> dict[str, int]:
    """`/open/import-id-cluster-add`."""
    query = request.query
    catalog = query.get("clusterCatalog", "")
    if catalog and catalog not in CATALOGS:
        raise wire.wrong("clusterCatalog", catalog[:50])
    made = await _with_file(
        request,
        import_ids,
        display_name=query["displayName"],
        main_column_name=query["mainColumnName"],
        catalog="tag" if catalog == "catalog_tag" else "cluster",
        cluster_name=query.get("clusterName", ""),
        remarks=query.get("remarks", ""),
    )
    if made.existed and query.get("clusterName"):  # without a name, the same ids are the cluster that was made of them
        raise ThinkingDataRefusal(wire.NAME_TAKEN, f"分群名称({query['clusterName']})已存在")
    return _counts(made)


async def import_modify(request: ThinkingDataRequest) -> dict[str, int]:
    """`/open/import-id-cluster-modify`, by id or name: the counters of the page's trace (its table has "")."""
    query = request.query
    done = await _with_file(
        request,
        replace_imported_ids,
        cluster=request.cluster,
        display_name=query.get("displayName", ""),
        main_column_name=query.get("mainColumnName", ""),
        remarks=query.get("remarks", ""),
    )
    return _counts(done)


async def _with_file(
    request: ThinkingDataRequest, operation: Operation[Any, ImportedIds], **arguments: str
) -> ImportedIds:
    """Invoke an operation with the body as its file, which is gone afterwards."""
    parts, project = request.parts, request.project
    store = parts.store
    request.check_media_type("text/csv")
    if parts.deps.read_only:  # before a file is taken
        return await request.invoke(operation, path="-", project_id=project, **arguments)
    await parts.deps.segments.metadata(project)
    temp = store.temp_path()
    try:
        size = await into_file(request.http, temp, min(parts.limits.upload, store.room(project)))
        if not size:
            raise wire.empty("body")
        upload = await anyio.to_thread.run_sync(store.take, temp, project, ".csv", wire.SYSTEM)
    except TooLong:
        raise ThinkingDataRefusal(wire.TOO_LONG, "文件过大") from None
    except Stopped:
        raise wire.wrong("body", "传输中断") from None
    finally:
        temp.unlink(missing_ok=True)
    try:
        return await request.invoke(operation, path=str(upload.path), project_id=project, **arguments)
    finally:
        with anyio.CancelScope(shield=True):  # also where the caller has gone
            await anyio.to_thread.run_sync(store.drop, upload)


def _counts(done: ImportedIds) -> dict[str, int]:
    return {
        "clusterId": int(done.cluster.cluster_id) if done.cluster else 0,
        "tagValueNullNum": done.tag_value_null_num,
        "unmatchedNum": done.unmatched_num or 0,
        "uploadNum": done.upload_num,
        "userNum": done.user_num or 0,
    }


# The list of clusters and tags


MOST: Final = 100
"""Rows of one page. (The vendor's limit is not known.)"""
DEFAULT_SIZE: Final = 10
"""Rows of a page of no given size, as in the page's example."""
_SELECT_TYPES: Final = {"time": "datetime", "list": "array"}
"""Types by the vendor's names in its data format, where they differ from ours."""


async def clusters(request: ThinkingDataRequest) -> dict[str, Any]:
    """`/open/user-cluster-list`: `clusterName` is searched for in names and display names."""
    body = await request.fields("projectId", "clusterCatalog", "clusterTypes", "clusterName", "pagerHeader")
    project, words = body.project(), body.optional("clusterName").casefold()
    (page_number, size), types = _page(body), _types(body)
    rows: list[ClusterRow] = []
    while True:
        page = await request.invoke(
            list_clusters, project_id=project, search=words, cluster_types=types, limit=MOST, offset=len(rows)
        )
        rows += page.clusters
        if len(rows) >= page.total or not page.clusters:
            break
    matches = [r for r in rows if words in r.cluster_name.casefold() or words in r.display_name.casefold()]
    metadata = await request.parts.deps.segments.metadata(project)
    shown = matches[(page_number - 1) * size : page_number * size]
    return {
        "pagerResult": {"pageNum": page_number, "pageSize": size, "totalNum": len(matches)},
        "userClusters": [_row(row, project, metadata) for row in shown],
    }


def _types(body: Fields) -> tuple[str, ...]:
    catalog, types = body.text("clusterCatalog"), body.texts("clusterTypes")
    if catalog not in CATALOGS:
        raise wire.wrong("clusterCatalog", catalog[:50])
    for cluster_type in types:
        if cluster_type not in CATALOGS[catalog].types:
            raise wire.wrong("clusterTypes", cluster_type[:50])
    return types


def _page(body: Fields) -> tuple[int, int]:
    """Number and size of the page that is asked for."""
    header = body.inner("pagerHeader") if "pagerHeader" in body else {}
    wire.check_keys(header, ("pageNum", "pageSize"), "未知字段")
    page_number, size = header.get("pageNum", 1), header.get("pageSize", DEFAULT_SIZE)
    if not is_whole(page_number) or not 1 <= page_number <= 1_000_000:
        raise wire.wrong("pageNum")
    if not is_whole(size) or not 1 <= size <= MOST:
        raise wire.wrong("pageSize", f"1–{MOST}")
    return page_number, size


def _row(row: ClusterRow, project: str, metadata: Metadata) -> dict[str, Any]:
    """A row of the list, its keys in order as on the page."""
    is_tag = row.cluster_type in TAGS.types
    known = metadata.property("cluster", row.cluster_name)
    value_type = known.type if is_tag and known else "string"
    fields = _fields(row, project) | {
        "clusterCatalog": "catalog_tag" if is_tag else "catalog_cluster",
        "historyDataStatus": int("_dynamic_" in row.cluster_type),
        "mainColumnName": "",
        "refreshDelay": 0,
        "remarks": row.remarks,
        "selectType": _SELECT_TYPES.get(value_type, value_type),
        "status": 1,
        "uploadFileName": "",
        "userName": wire.SYSTEM,
    }
    return dict(sorted(fields.items()))


# Events and properties (the vendor publishes no shape of these two: invented)


async def events(request: ThinkingDataRequest) -> list[dict[str, str]]:
    """`/open/list-event-meta`."""
    return [
        {"eventName": row.event, "eventDesc": row.display_name, "remark": row.remark}
        for row in await _described(request)
        if isinstance(row, EventRow)
    ]


async def properties(request: ThinkingDataRequest) -> list[dict[str, str]]:
    """`/open/list-props`, of the table `event` or `user`."""
    table = request.query["tableType"]
    if table not in ("event", "user"):
        raise wire.wrong("tableType", table[:50])
    event = request.query.get("eventName", "")
    if event and table != "event":
        raise wire.wrong("eventName")
    return [
        {
            "columnName": row.property,
            "columnDesc": row.display_name,
            "selectType": _SELECT_TYPES.get(row.type, row.type),
            "tableType": row.table,
            "remark": row.remark,
        }
        for row in await _described(request, event)
        if isinstance(row, PropertyRow) and row.table == table
    ]


async def _described(request: ThinkingDataRequest, event: str = "") -> list[EventRow | PropertyRow]:
    rows: list[EventRow | PropertyRow] = []
    while True:
        page = await request.invoke(
            describe_data, project_id=request.project, event=event, limit=MOST, offset=len(rows)
        )
        rows += [*page.events, *page.properties]
        if page.left_out == 0:
            return rows


# SQL: one SELECT over the project's tables, its rows as lines


_TABLE: Final = re.compile(r"(?:v_event|v_user|user_result_cluster)_([1-9][0-9]{0,17})\b", re.IGNORECASE)
_CHUNK: Final = 64 * 1024


async def sql(request: ThinkingDataRequest) -> Response:
    """`/querySql`: form fields `sql`, `format` (only json is served) and `timeoutSeconds`."""
    form = await request.form("sql", "format", "timeoutSeconds")
    if form.get("format", "json") != "json":
        raise wire.wrong("format", "仅支持 json")
    seconds = float(wire.number(form["timeoutSeconds"], "timeoutSeconds")) if form.get("timeoutSeconds") else None
    table = _TABLE.search(form["sql"])
    project = table[1] if table else ""
    try:
        rows = await request.invoke(request.parts.query, sql=form["sql"], seconds=seconds, project_id=project)
    except FenqunError as error:
        if error.code != "invalid_definition":
            raise
        raise ThinkingDataRefusal(wire.SQL_REFUSED, request.parts.line(error)) from error
    return StreamingResponse(
        _lines(rows), media_type=wire.MEDIA, background=BackgroundTask(rows.path.unlink, missing_ok=True)
    )


async def _lines(rows: Queried) -> AsyncIterator[bytes]:
    yield wire.envelope({"headers": list(rows.headers)}) + b"\n"
    async with await anyio.open_file(rows.path, "rb") as file:
        while chunk := await file.read(_CHUNK):
            yield chunk


# The routes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address: what its query must and may hold besides the token."""

    method: str
    path: str
    handle: Callable[[ThinkingDataRequest], Awaitable[object]]
    needed: Sequence[str] = ()
    optional: Sequence[str] = ()


_ID = ("projectId", "clusterId")
_NAME = ("projectId", "clusterName")
_IMPORT = ("displayName", "mainColumnName", "remarks")

ENDPOINTS = (
    Endpoint("POST", "/open/user-cluster-add", add),
    Endpoint("GET", "/open/user-cluster-detail", detail, ("projectId",), ("clusterId", "clusterName")),
    Endpoint("POST", "/open/user-cluster-update", update, ("clusterId",)),
    Endpoint("POST", "/open/user-cluster-update-by-name", update_by_name, _NAME),
    Endpoint("POST", "/open/user-cluster-delete", delete, _ID),
    Endpoint("POST", "/open/delete-user-cluster-by-name", delete, _NAME),
    Endpoint("POST", "/open/user-cluster-list", clusters),
    Endpoint("POST", "/open/user-cluster-refresh", refresh, _ID),
    Endpoint("POST", "/open/user-cluster-refresh-by-name", refresh, _NAME),
    Endpoint("GET", "/open/user-cluster-refresh-progress", progress, _ID),
    Endpoint("GET", "/open/user-cluster-refresh-progress-by-name", progress, _NAME),
    Endpoint("POST", "/open/import-id-cluster-add", import_add, ("projectId", "displayName", "mainColumnName"), ("clusterCatalog", "clusterName", "remarks")),
    Endpoint("POST", "/open/import-id-cluster-modify", import_modify, _ID, _IMPORT),
    Endpoint("POST", "/open/import-id-cluster-modify-by-name", import_modify, _NAME, _IMPORT),
    Endpoint("GET", "/open/list-event-meta", events, ("projectId",)),
    Endpoint("GET", "/open/list-props", properties, ("projectId", "tableType"), ("eventName",)),
    Endpoint("POST", "/querySql", sql),
)  # fmt: skip


def routes(parts: GatewayParts) -> list[Route]:
    """Return the routes over these parts."""
    return [Route(endpoint.path, _handler(endpoint, parts), methods=[endpoint.method]) for endpoint in ENDPOINTS]


def _handler(endpoint: Endpoint, parts: GatewayParts) -> Callable[[Request], Awaitable[Response]]:
    async def handle(http: Request) -> Response:
        try:
            answer = await endpoint.handle(wire.verified(http, parts, endpoint.needed, endpoint.optional))
            return answer if isinstance(answer, Response) else Response(wire.envelope(answer), media_type=wire.MEDIA)
        except ThinkingDataRefusal as refusal:
            return wire.refused(refusal)
        except FenqunError as error:
            return wire.refused(_refusal(error, parts))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            return wire.refused(_refusal(internal_error(endpoint.path), parts))

    return handle


def _refusal(error: FenqunError, parts: GatewayParts) -> ThinkingDataRefusal:
    """An error of an operation in the vendor's form."""
    return ThinkingDataRefusal(wire.OF_ERRORS.get(error.code, wire.SERVER_ERROR), parts.line(error))
