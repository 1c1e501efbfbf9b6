"""ThinkingData's Open API as a server (vendor page 用户分群和标签 API; te-api.md sections 8 and 9)."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError
from mcp_server.gateway.base import WHO, GatewayParts, NotJson, Queried, is_whole, read_object, same, told, unknown
from mcp_server.language.bodies import mended
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TagQp
from mcp_server.language.window import Days, recent_days
from mcp_server.operations.clusters import (
    create_cluster,
    create_tag,
    delete_cluster,
    get_cluster,
    get_refresh_progress,
    list_clusters,
    refresh_cluster,
    update_cluster,
    update_tag,
)
from mcp_server.operations.imports import ImportedIds, import_ids, replace_imported_ids
from mcp_server.operations.metadata import EventRow, PropertyRow, describe_data
from mcp_server.operations.operation import Deps, Operation, Result
from mcp_server.operations.results import (
    ALL_TYPES,
    CLUSTERS,
    TAGS,
    ClusterRow,
    ClusterState,
    SegmentKind,
    read_definition,
)
from mcp_server.platforms.thinkingdata.client import EMPTY_PARAMETER, SUCCESS, TOO_FREQUENT, WRONG_ITEM
from mcp_server.web import Stopped, TooLong, into_file, whole

# ThinkingData's envelope: HTTP 200 whatever happened, `return_code` says what.
#
# The vendor publishes three codes that concern us (te-api.md section 8). All others below are invented; clients have
# to take any unknown negative code for an error.


# Invented codes.
WRONG_TOKEN: Final = -1901
WRONG_PARAMETER: Final = -1902
NAME_TAKEN: Final = -1903
WRONG_DEFINITION: Final = -1904
IN_USE: Final = -1905
WRONG_STATE: Final = -1906
READ_ONLY: Final = -1907
SQL_REFUSED: Final = -1908
TOO_LONG: Final = -1909
SERVER_ERROR: Final = -1910

OF_ERRORS: Final[Mapping[str, int]] = {
    "invalid_arguments": WRONG_PARAMETER,
    "load_refused": WRONG_PARAMETER,
    "invalid_definition": WRONG_DEFINITION,
    "not_found": WRONG_ITEM,
    "no_project": WRONG_ITEM,
    "no_data": WRONG_ITEM,
    "name_taken": NAME_TAKEN,
    "cluster_in_use": IN_USE,
    "not_refreshable": WRONG_STATE,
    "not_computed": WRONG_STATE,
    "changed_meanwhile": WRONG_STATE,
    "read_only": READ_ONLY,
    "not_allowed": READ_ONLY,
    "query_failed": SQL_REFUSED,
    "workspace_busy": TOO_FREQUENT,
}
"""The code of each error of ours; SERVER_ERROR for any other."""

MEDIA: Final = "application/json;charset=utf-8"
"""As in the page's trace."""


class ThinkingDataRefusal(Exception):
    """An answer that is no success."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Nothing:
    """The envelope has no `data`."""


NOTHING: Final = Nothing()


def empty(name: str) -> ThinkingDataRefusal:
    """The page's own error: a parameter that is needed is missing or empty."""
    return ThinkingDataRefusal(EMPTY_PARAMETER, f"参数({name})为空")


def wrong(name: str, why: str = "") -> ThinkingDataRefusal:
    """A parameter that is not as it has to be. (Invented words.)"""
    return ThinkingDataRefusal(WRONG_PARAMETER, f"参数({name})错误" + (f": {why}" if why else ""))


def refusal_of(error: FenqunError, deps: Deps) -> ThinkingDataRefusal:
    """An error of an operation in the vendor's form."""
    return ThinkingDataRefusal(OF_ERRORS.get(error.code, SERVER_ERROR), told(error, deps))


def written(data: Any, code: int = SUCCESS, message: str = "success") -> bytes:
    """The envelope on one line."""
    fields = {} if data is NOTHING else {"data": data}
    return json.dumps(
        fields | {"return_code": code, "return_message": message}, ensure_ascii=False, separators=(",", ":")
    ).encode("utf-8", "replace")


def answered(data: Any) -> Response:
    """A success."""
    return Response(written(data), media_type=MEDIA)


def refused(refusal: ThinkingDataRefusal) -> Response:
    """A refusal."""
    return Response(written(NOTHING, refusal.code, refusal.message), media_type=MEDIA)


# What a caller sent, read strictly: every parameter known, of its type, not empty where it is needed.


R = TypeVar("R", bound=Result)

SYSTEM: Final = "thinkingdata"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class ThinkingDataRequest:
    """One verified request: its query without the token."""

    request: Request
    house: GatewayParts
    query: Mapping[str, str]

    async def ask(self, operation: Operation[Any, R], **arguments: object) -> R:
        """Call an operation as the holder of the token."""
        return await self.house.ask(SYSTEM, operation, arguments)

    @property
    def project(self) -> str:
        """The project of the query."""
        return number(self.query["projectId"], "projectId")

    @property
    def cluster(self) -> str:
        """The cluster that the query names, by exactly one of id and name."""
        given = [name for name in ("clusterId", "clusterName") if self.query.get(name)]
        if not given:
            raise empty("clusterId")
        if len(given) > 1:
            raise wrong("clusterName", "clusterId 与 clusterName 只能给一个")
        said = self.query[given[0]]
        if given == ["clusterId"]:
            return number(said, "clusterId")
        name = said.strip()  # the page's own addresses have a blank there
        if not name or name.isdigit():
            raise wrong("clusterName")
        return name

    async def fields(self, *names: str) -> "Fields":
        """The JSON object of the body, which may have these fields."""
        if self.request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise wrong("Content-Type", "application/json")
        found = _parsed(await self.body())
        stray = unknown(found, *names)
        if stray:
            raise wrong(stray[:50], "未知字段")
        return Fields(found)

    async def body(self) -> bytes:
        """The body in memory."""
        try:
            return await whole(self.request, self.house.limits.body)
        except TooLong:
            raise ThinkingDataRefusal(TOO_LONG, "请求体过大") from None
        except Stopped:
            raise wrong("body", "传输中断") from None

    async def no_body(self) -> None:
        """The page knows no body here."""
        if await self.body():
            raise wrong("body", "应为空")


def _parsed(body: bytes) -> dict[str, Any]:
    """The object; one with a comma too few or too many is taken, since one of the page's own examples is."""
    if not body.strip():
        raise empty("body")
    try:
        return read_object(body)
    except NotJson as error:
        found = mended(body.decode("utf-8", "replace"))
        if not isinstance(found, dict):
            raise wrong("body", str(error)) from None
        return found


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a body."""

    values: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, *, needed: bool = True) -> str:
        """A text; "" where an optional one is missing."""
        value = self.values.get(name)
        if value is None or value == "":
            if needed:
                raise empty(name)
            return ""
        if not isinstance(value, str):
            raise wrong(name, "应为字符串")
        return value

    def project(self) -> str:
        """`projectId`: a number in every example of the page, a String in its table."""
        value = self.values.get("projectId")
        if value is None or value == "":
            raise empty("projectId")
        if not (is_whole(value) or isinstance(value, str)):
            raise wrong("projectId", "应为整数")
        return number(str(value), "projectId")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts with at least one in it."""
        value = self.values.get(name)
        if value is None or value == []:
            raise empty(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise wrong(name, "应为字符串数组")
        return tuple(value)

    def inner(self, name: str) -> dict[str, Any]:
        """An object."""
        value = self.values.get(name)
        if value is None or value == {}:
            raise empty(name)
        if not isinstance(value, dict):
            raise wrong(name, "应为对象")
        return value


def number(said: str, name: str) -> str:
    """A whole number from 1, as text."""
    if not _NUMBER.fullmatch(said):
        raise wrong(name, "应为整数")
    return said


def verified(request: Request, house: GatewayParts) -> dict[str, str]:
    """The query without the token, which is the right one. Each parameter stands there once."""
    pairs = request.query_params.multi_items()
    found = dict(pairs)
    token = found.pop("token", "")
    if not token:
        raise empty("token")
    if not same(token, house.keys.token):
        raise ThinkingDataRefusal(WRONG_TOKEN, "token 无效")
    request.scope[WHO] = SYSTEM
    if len(pairs) != len(found) + 1:
        raise wrong(next(name for name, _ in pairs if sum(n == name for n, _ in pairs) > 1)[:50], "重复")
    return found


def checked(query: Mapping[str, str], needed: Sequence[str], optional: Sequence[str]) -> Mapping[str, str]:
    """The query, if it has what is needed and nothing unknown."""
    for name in needed:
        if not query.get(name, "").strip():
            raise empty(name)
    stray = unknown(query, *needed, *optional)
    if stray:
        raise wrong(stray[:50], "未知参数")
    return query


# Clusters and tags by conditions: add, detail, update, delete, refresh, progress.


OWNER: Final = 1
"""`userId`: there are no users of the platform here."""

_BODY: Final = ("projectId", "clusterName", "clusterCatalog", "clusterType", "subConditionTabType", "displayName", "remarks", "qp", "tagQp")  # fmt: skip
_PAGES_OWN_KEY: Final = '"uceCalcuSymbol"'
"""A key that one of the page's examples has where all others say `comparator`."""


async def add(asked: ThinkingDataRequest) -> int:
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
        raise ThinkingDataRefusal(NAME_TAKEN, f"分群名称({name})已存在")
    return int(made.cluster.cluster_id)


async def update(asked: ThinkingDataRequest) -> object:
    """`/open/user-cluster-update`: the cluster by id in the query, the project in the body."""
    body = await asked.fields(*_BODY)
    return await _update(asked, body, body.project())


async def update_by_name(asked: ThinkingDataRequest) -> object:
    """`/open/user-cluster-update-by-name`: project and name in the query; the body's project must agree."""
    body = await asked.fields(*_BODY)
    if body.project() != asked.project:
        raise wrong("projectId", "与地址中的 projectId 不一致")
    return await _update(asked, body, asked.project)


async def _update(asked: ThinkingDataRequest, body: Fields, project: str) -> object:
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


async def detail(asked: ThinkingDataRequest) -> object:
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


async def delete(asked: ThinkingDataRequest) -> object:
    """Delete it; the body is empty."""
    await asked.no_body()
    await asked.ask(delete_cluster, cluster=asked.cluster, project_id=asked.project)
    return NOTHING


async def refresh(asked: ThinkingDataRequest) -> object:
    """Start its computation; the answer does not wait for it."""
    await asked.no_body()
    await asked.ask(refresh_cluster, cluster=asked.cluster, project_id=asked.project, wait_seconds=0)
    return NOTHING


async def progress(asked: ThinkingDataRequest) -> object:
    """How far it is, 0 to 100; -1 failed."""
    found = await asked.ask(get_refresh_progress, cluster=asked.cluster, project_id=asked.project)
    return {"progress": found.cluster.progress if found.cluster else 0}


# what a body says


def _kind(body: Fields) -> tuple[SegmentKind, str]:
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


async def _definition(
    asked: ThinkingDataRequest, body: Fields, kind: SegmentKind, project: str, own: str
) -> dict[str, Any]:
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
        raise ThinkingDataRefusal(WRONG_DEFINITION, said)
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


# Uploaded ids: the body is the file, streamed under a limit.


_CATALOGS = {"": "cluster", "catalog_cluster": "cluster", "catalog_tag": "tag"}


async def add_upload(asked: ThinkingDataRequest) -> object:
    """`/open/import-id-cluster-add`."""
    query = asked.query
    catalog = query.get("clusterCatalog", "")
    if catalog not in _CATALOGS:
        raise wrong("clusterCatalog", catalog[:50])
    made = await _with_file(
        asked,
        import_ids,
        display_name=query["displayName"],
        main_column_name=query["mainColumnName"],
        catalog=_CATALOGS[catalog],
        cluster_name=query.get("clusterName", ""),
        remarks=query.get("remarks", ""),
    )
    if made.existed and query.get("clusterName"):  # without a name, the same ids are the cluster that was made of them
        raise ThinkingDataRefusal(NAME_TAKEN, f"分群名称({query['clusterName']})已存在")
    return _counts(made)


async def modify(asked: ThinkingDataRequest) -> object:
    """`/open/import-id-cluster-modify` and its twin by name: the counters of the page's trace (its table says "")."""
    query = asked.query
    done = await _with_file(
        asked,
        replace_imported_ids,
        cluster=asked.cluster,
        display_name=query.get("displayName", ""),
        main_column_name=query.get("mainColumnName", ""),
        remarks=query.get("remarks", ""),
    )
    return _counts(done)


async def _with_file(asked: ThinkingDataRequest, operation: Any, **arguments: str) -> ImportedIds:
    """Call an operation with the body as its file, which is gone afterwards."""
    request, house, project = asked.request, asked.house, asked.project
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise wrong("Content-Type", "text/csv")
    if house.deps.read_only:  # before a file is taken
        return await asked.ask(operation, path="-", project_id=project, **arguments)
    await house.deps.segments.metadata(project)
    temp = house.store.temp_path()
    try:
        size = await into_file(request, temp, min(house.limits.upload, house.store.room(project)))
        if not size:
            raise empty("body")
        taken = await anyio.to_thread.run_sync(house.store.take, temp, project, ".csv", SYSTEM)
    except TooLong:
        raise ThinkingDataRefusal(TOO_LONG, "文件过大") from None
    except Stopped:
        raise wrong("body", "传输中断") from None
    finally:
        temp.unlink(missing_ok=True)
    try:
        return await asked.ask(operation, path=str(taken.path), project_id=project, **arguments)
    finally:
        with anyio.CancelScope(shield=True):  # also where the caller has gone
            await anyio.to_thread.run_sync(house.store.drop, taken)


def _counts(done: ImportedIds) -> dict[str, int]:
    return {
        "clusterId": int(done.cluster.cluster_id) if done.cluster else 0,
        "tagValueNullNum": done.tag_value_null_num,
        "unmatchedNum": done.unmatched_num or 0,
        "uploadNum": done.upload_num,
        "userNum": done.user_num or 0,
    }


# The list of clusters and tags, and the project's events and properties.


MOST: Final = 100
"""Rows of one page. (The vendor's limit is not known.)"""
USUAL: Final = 10
"""Rows of a page that says nothing. (As in the page's example.)"""
_SELECT_TYPES: Final = {"time": "datetime", "list": "array"}
"""Types by the vendor's names in his data format, where they differ from ours."""


async def clusters(asked: ThinkingDataRequest) -> object:
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


async def events(asked: ThinkingDataRequest) -> object:
    """`/open/list-event-meta`. Shape invented: `eventName`, `eventDesc`, `remark`."""
    found = await _described(asked)
    return [
        {"eventName": r.event, "eventDesc": r.display_name, "remark": r.remark}
        for r in found
        if isinstance(r, EventRow)
    ]


async def properties(asked: ThinkingDataRequest) -> object:
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


async def _described(asked: ThinkingDataRequest, event: str = "") -> list[EventRow | PropertyRow]:
    rows: list[EventRow | PropertyRow] = []
    while True:
        page = await asked.ask(describe_data, project_id=asked.project, event=event, limit=MOST, offset=len(rows))
        rows += [*page.events, *page.properties]
        if page.left_out == 0:
            return rows


# `/querySql`: one SELECT over the project's tables, its rows as lines.


FORM: Final = "application/x-www-form-urlencoded"
_TABLE: Final = re.compile(r"(?:v_event|v_user|user_result_cluster)_([1-9][0-9]{0,17})\b", re.IGNORECASE)
_PIECE: Final = 64 * 1024


async def sql(asked: ThinkingDataRequest) -> Response:
    """Form fields `sql`, `format` (only json is served) and `timeoutSeconds`."""
    form = await _form(asked)
    statement = form["sql"]
    if form.get("format", "json") != "json":
        raise wrong("format", "仅支持 json")
    seconds = float(number(form["timeoutSeconds"], "timeoutSeconds")) if form.get("timeoutSeconds") else None
    named = _TABLE.search(statement)
    project = named[1] if named else ""
    try:
        rows = await asked.ask(asked.house.query, sql=statement, seconds=seconds, project_id=project)
    except FenqunError as error:
        code = OF_ERRORS.get(error.code, SERVER_ERROR)
        known = error.code in ("invalid_definition", "query_failed")
        raise ThinkingDataRefusal(SQL_REFUSED if known else code, told(error, asked.house.deps)) from error
    return StreamingResponse(
        _lines(rows), media_type=MEDIA, background=BackgroundTask(rows.path.unlink, missing_ok=True)
    )


async def _form(asked: ThinkingDataRequest) -> dict[str, str]:
    if asked.request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise wrong("Content-Type", FORM)
    try:
        pairs = parse_qsl((await asked.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise wrong("body") from None
    form = dict(pairs)
    stray = unknown(form, "sql", "format", "timeoutSeconds")
    if stray:
        raise wrong(stray[:50], "未知参数")
    if len(form) != len(pairs):
        raise wrong("sql", "重复")
    if not form.get("sql", "").strip():
        raise empty("sql")
    return form


async def _lines(rows: Queried) -> AsyncIterator[bytes]:
    yield written({"headers": list(rows.headers)}) + b"\n"
    async with await anyio.open_file(rows.path, "rb") as file:
        while piece := await file.read(_PIECE):
            yield piece


# The addresses of ThinkingData's Open API.


Handle = Callable[[ThinkingDataRequest], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: what its query must and may hold besides the token."""

    method: str
    path: str
    handle: Handle
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
    Endpoint("POST", "/open/import-id-cluster-add", add_upload, ("projectId", "displayName", "mainColumnName"), ("clusterCatalog", "clusterName", "remarks")),
    Endpoint("POST", "/open/import-id-cluster-modify", modify, _ID, _IMPORT),
    Endpoint("POST", "/open/import-id-cluster-modify-by-name", modify, _NAME, _IMPORT),
    Endpoint("GET", "/open/list-event-meta", events, ("projectId",)),
    Endpoint("GET", "/open/list-props", properties, ("projectId", "tableType"), ("eventName",)),
    Endpoint("POST", "/querySql", sql),
)  # fmt: skip


def routes(house: GatewayParts) -> list[Route]:
    """The routes over these parts."""
    return [Route(one.path, _route(one, house), methods=[one.method]) for one in ENDPOINTS]


def _route(endpoint: Endpoint, house: GatewayParts) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            found = checked(verified(request, house), endpoint.needed, endpoint.optional)
            answer = await endpoint.handle(ThinkingDataRequest(request, house, found))
            return answer if isinstance(answer, Response) else answered(answer)
        except ThinkingDataRefusal as refusal:
            return refused(refusal)
        except FenqunError as error:
            return refused(refusal_of(error, house.deps))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            return refused(refusal_of(internal_error(endpoint.path), house.deps))

    return handle
