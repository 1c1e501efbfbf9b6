"""The Taobao Open Platform's router as a server (document 101617; vendors.md part A)."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, assert_never
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.calls.settings import BEIJING
from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError
from mcp_server.gateway import base
from mcp_server.gateway.base import GatewayParts, NotJson
from mcp_server.operations.clusters import list_clusters
from mcp_server.operations.crowds import (
    CrowdTaskRow,
    CrowdTaskState,
    create_crowd_analysis,
    delete_crowd_analysis,
    get_crowd_analysis,
    list_crowd_analyses,
    reload_crowd_analysis,
    update_crowd_analysis,
)
from mcp_server.operations.operation import Operation, Result
from mcp_server.operations.results import CLUSTERS
from mcp_server.platforms.taobao import wire
from mcp_server.platforms.taobao.wire import TaskOperation
from mcp_server.web import Stopped, TooLong, whole

SYSTEM: Final = "taobao"
PATH: Final = "/router/rest"

# Answers: JSON or XML, `error_response` for what the platform refuses (vendors.md A5, A6)


MESSAGES: Final[Mapping[int, str]] = {
    9: "Http Action Not Allowed",
    21: "Missing Method",
    22: "Invalid Method",
    23: "Invalid Format",
    24: "Missing Signature",
    25: "Invalid Signature",
    26: "Missing Session",
    27: "Invalid Session",
    28: "Missing App Key",
    29: "Invalid App Key",
    30: "Missing Timestamp",
    31: "Invalid Timestamp",
    32: "Missing Version",
    33: "Invalid Version",
    40: "Missing Required Arguments",
    41: "Invalid Arguments",
    50: "Remote service error",
}
"""The codes that are answered here, with the platform's messages."""


class TaobaoRefusal(Exception):
    """An `error_response`."""

    def __init__(self, code: int, sub_code: str = "", sub_msg: str = "") -> None:
        super().__init__(code)
        self.code, self.sub_code, self.sub_msg = code, sub_code, sub_msg


def missing(name: str) -> TaobaoRefusal:
    """A business parameter that is needed."""
    return TaobaoRefusal(40, f"isv.missing-parameter:{name}", f"缺少参数：{name}")


def invalid(name: str, why: str = "") -> TaobaoRefusal:
    """A business parameter that is not as it has to be."""
    return TaobaoRefusal(41, f"isv.invalid-parameter:{name}", f"非法参数：{name}" + (f"（{why}）" if why else ""))


def failed(sub_code: str, sub_msg: str) -> TaobaoRefusal:
    """What the service behind the platform refuses. (The page's example: isv.invalid-parameter, 非法参数.)"""
    return TaobaoRefusal(50, sub_code, sub_msg)


def answered(method: str, content: Mapping[str, Any], *, xml: bool, simplify: bool) -> Response:
    """A success: under the method's root, or with `simplify` (JSON only) without it."""
    root = method.removeprefix("taobao.").replace(".", "_") + "_response"
    fields = {**content, "request_id": secrets.token_hex(6)}
    return _xml(root, fields) if xml else _json(_simplified(fields) if simplify else {root: fields})


def refused(refusal: TaobaoRefusal, *, xml: bool) -> Response:
    """A refusal; HTTP 200, as the SDKs expect."""
    error: dict[str, Any] = {"code": refusal.code, "msg": MESSAGES[refusal.code]}
    if refusal.sub_code:
        error |= {"sub_code": refusal.sub_code, "sub_msg": refusal.sub_msg}
    error["request_id"] = secrets.token_hex(6)
    return _xml("error_response", error) if xml else _json({"error_response": error})


def _json(value: Mapping[str, Any]) -> Response:
    return Response(base.compact(value), media_type="text/javascript;charset=UTF-8")


def _simplified(value: Any) -> Any:
    """Lists without the name of their items (vendors.md A5)."""
    if not isinstance(value, Mapping):
        return value
    fields = {}
    for name, inner in value.items():
        only = next(iter(inner.values())) if isinstance(inner, Mapping) and len(inner) == 1 else None
        fields[name] = only if isinstance(only, list) else _simplified(inner)
    return fields


def _xml(root: str, value: Mapping[str, Any]) -> Response:
    text = f'<?xml version="1.0" encoding="utf-8" ?><{root}>{_elements(value)}</{root}>'
    return Response(text.encode("utf-8", "replace"), media_type="text/xml;charset=UTF-8")


def _elements(value: Any) -> str:
    if isinstance(value, Mapping):
        named = (
            (name, one) for name, inner in value.items() for one in (inner if isinstance(inner, list) else [inner])
        )
        return "".join(f"<{name}>{_elements(one)}</{name}>" for name, one in named)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape("".join(c for c in str(value) if c >= " " or c in "\t\n"))


# What is checked before a request counts: its parameters, its time, its signature, its session (vendors.md A2, A3)


COMMON: Final = frozenset({
    "method", "app_key", "session", "timestamp", "v", "sign_method", "sign", "format", "simplify", "partner_id",
    "target_app_key",
})  # fmt: skip
OFF: Final = timedelta(minutes=10)
"""How far a request's time may be from ours."""
_EPOCH: Final = re.compile(r"[0-9]{13}")


async def parameters(http: Request, parts: GatewayParts) -> list[tuple[str, str]]:
    """All parameters, from the query and, of a POST, from the form in its body."""
    pairs = http.query_params.multi_items()
    if http.method != "POST":
        return pairs
    try:
        body = await whole(http, parts.limits.body)
        if body and base.media_type(http) != base.FORM:
            raise invalid("Content-Type", base.FORM)
        return pairs + parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100)
    except (TooLong, Stopped, ValueError):
        raise invalid("body") from None


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name. Refusal where one is given twice."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise invalid(name[:50], "重复")
        values[name] = value
    return values


def verify(given: Mapping[str, str], http: Request, parts: GatewayParts) -> None:
    """Refuse, in the platform's codes, unless everything that all methods have in common is right."""
    for name, code in (("method", 21), ("app_key", 28), ("timestamp", 30), ("v", 32), ("sign", 24)):
        if not given.get(name, "").strip():
            raise TaobaoRefusal(code)
    if not base.same_secret(given["app_key"], parts.keys.app_key):
        raise TaobaoRefusal(29)
    if given["v"] != "2.0":
        raise TaobaoRefusal(33)
    moment = _moment(given["timestamp"])
    if moment is None or abs(parts.clock() - moment) > OFF:
        raise TaobaoRefusal(31)
    if not _signed(given, parts.keys.app_secret):
        raise TaobaoRefusal(25)
    if not given.get("session"):
        raise TaobaoRefusal(26)
    if not base.same_secret(given["session"], parts.keys.session):
        raise TaobaoRefusal(27)
    http.scope[base.CALLER] = SYSTEM


def _moment(text: str) -> datetime | None:
    """A time in GMT+8, or milliseconds since 1970, as the official Python SDKs send it."""
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    moment = base.read_time(text)
    return moment.replace(tzinfo=BEIJING) if moment else None


def _signed(given: Mapping[str, str], secret: str) -> bool:
    """Whether the signature is the secret's. Blank parameters take no part in it, or with their bare names: the
    vendor's own SDKs differ (vendors.md A3)."""
    method = next((one for one in wire.SIGN_METHODS if one == given.get("sign_method", "")), None)
    if method is None:
        return False
    names = sorted((name for name in given if name != "sign"), key=lambda name: name.encode())
    text = "".join(name + given[name] for name in names).encode("utf-8", "surrogatepass")
    legal = wire.sign(given, secret, method), wire.signature(text, secret.encode(), method)
    return any(base.same_secret(given["sign"].upper(), one) for one in legal)


# `taobao.opencrm.crowdanalysis.update`


R = TypeVar("R", bound=Result)

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_SYSTEM_ERROR: Final = 99
"""The page's own code (系统异常)."""
_CODES: Final[Mapping[str, int]] = {
    "not_found": 1001, "task_ended": 1002, "name_taken": 1003, "not_computed": 1004, "changed_meanwhile": 1005,
    "read_only": 1006, "not_allowed": 1006, "no_project": 1007, "no_data": 1007,
}  # fmt: skip
"""Codes of a result that is no success: invented."""


@dataclass(frozen=True, slots=True)
class TaobaoRequest:
    """The business parameters of a verified request."""

    parts: GatewayParts
    business: Mapping[str, str]

    async def invoke(self, operation: Operation[Any, R], **arguments: object) -> R:
        """Invoke an operation as the app."""
        return await self.parts.invoke(SYSTEM, operation, arguments)

    def number(self, name: str) -> str:
        """A whole number that is needed."""
        text = self.business.get(name, "").strip()
        if not text:
            raise missing(name)
        if not _NUMBER.fullmatch(text):
            raise invalid(name)
        return text


@dataclass(frozen=True, slots=True)
class Task:
    """`task_dto`."""

    crowd_id: str
    start_time: str
    end_time: str
    task_id: str


async def update(request: TaobaoRequest) -> dict[str, Any]:
    """The method's four operations."""
    name = request.business.get("operation", "")
    if not name:
        raise missing("operation")
    operation = next((one for one in wire.TASK_OPERATIONS if one == name), None)
    if operation is None:
        raise invalid("operation")
    task = _task(request.business.get("task_dto", ""))
    if operation != "create" and not task.task_id:
        raise missing("task_id")
    try:
        done = await _done(request, operation, task)
    except FenqunError as error:
        line = request.parts.line(error)
        if error.code == "invalid_arguments":  # as in the page's example; any other has `success` false
            raise failed("isv.invalid-parameter", line) from error
        code = _CODES.get(error.code, _SYSTEM_ERROR)
        return {"result": {"code": code, "msg": "系统异常" if code == _SYSTEM_ERROR else line, "success": False}}
    if done.result is None:
        raise failed("isp.unknown-error", "系统异常")
    return {"result": {"result": _dto(done.result), "code": 0, "msg": "OK", "success": True}}


async def _done(request: TaobaoRequest, operation: TaskOperation, task: Task) -> CrowdTaskState:
    times = {"start_time": task.start_time, "end_time": task.end_time}
    if operation != "create":
        deps = request.parts.deps_of(SYSTEM)
        known = await deps.crowds.get(deps.project(""), task.task_id)
        if known.crowd_id != task.crowd_id:
            raise invalid("crowd_id", "与任务的人群不一致")
    match operation:
        case "create":
            return await request.invoke(create_crowd_analysis, crowd_id=task.crowd_id, **times)
        case "time":
            return await request.invoke(update_crowd_analysis, task_id=task.task_id, **times)
        case "dumpData":
            return await request.invoke(reload_crowd_analysis, task_id=task.task_id)
        case "delete":
            return await request.invoke(delete_crowd_analysis, task_id=task.task_id)
        case _:
            assert_never(operation)


def _task(text: str) -> Task:
    """The struct: the three fields that the page calls necessary, and the task."""
    if not text.strip():
        raise missing("task_dto")
    try:
        fields = base.read_object(text.encode("utf-8", "surrogatepass"))
    except NotJson:
        raise invalid("task_dto", "不是 JSON 对象") from None
    stray = base.unknown_key(fields, "start_time", "end_time", "crowd_id", "task_id")
    if stray is not None:
        raise invalid(stray)
    return Task(
        _id(fields.get("crowd_id"), "crowd_id"),
        _time(fields.get("start_time"), "start_time"),
        _time(fields.get("end_time"), "end_time"),
        "" if fields.get("task_id") is None else _id(fields["task_id"], "task_id"),
    )


def _id(value: object, name: str) -> str:
    if value is None:
        raise missing(name)
    if not (base.is_whole(value) or isinstance(value, str)) or not _NUMBER.fullmatch(str(value)):
        raise invalid(name)
    return str(value)


def _time(value: object, name: str) -> str:
    if value is None:
        raise missing(name)
    if not isinstance(value, str) or base.read_time(value) is None:
        raise invalid(name, "yyyy-MM-dd HH:mm:ss")
    return value


def _dto(row: CrowdTaskRow) -> dict[str, Any]:
    return {
        "end_time": row.end_time,
        "start_time": row.start_time,
        "crowd_id": int(row.crowd_id),
        "task_id": int(row.task_id),
    }


# The other methods: the vendor publishes no answers of them, so their shapes are invented


MOST: Final = 100
"""Rows of one page."""


async def query(request: TaobaoRequest) -> dict[str, Any]:
    """The tasks of a crowd."""
    crowd = request.number("crowd_id")
    rows: list[CrowdTaskRow] = []
    while True:
        page = await request.invoke(list_crowd_analyses, crowd_id=crowd, limit=MOST, offset=len(rows))
        rows += page.tasks
        if not page.left_out or not page.tasks:
            break
    tasks = [
        _dto(row) | {"crowd_name": row.crowd_name, "state": row.state, "users_num": row.users_num or 0} for row in rows
    ]
    return {"result": {"tasks": {"crowd_analysis_task_dto": tasks}, "total": len(tasks)}}


async def report(request: TaobaoRequest) -> dict[str, Any]:
    """What a task shows over its validity: the fields of get_crowd_analysis."""
    task = request.number("task_id")
    given = {
        name: _time(request.business[name], name) for name in ("start_time", "end_time") if name in request.business
    }
    state = await request.invoke(get_crowd_analysis, task_id=task)
    for name, text in given.items():
        if text != getattr(state.result, name):
            raise invalid(name, "仅支持任务的有效期")
    return {"result": state.model_dump(mode="json", exclude_defaults=True, exclude={"message", "next"})}


async def crowds(request: TaobaoRequest) -> dict[str, Any]:
    """The crowds, by words in their names."""
    page_number = int(request.number("page")) if "page" in request.business else 1
    size = int(request.number("page_size")) if "page_size" in request.business else 20
    if size > MOST or page_number > MOST * MOST:
        raise invalid("page_size", f"1–{MOST}")
    page = await request.invoke(
        list_clusters,
        search=request.business.get("crowd_name", ""),
        cluster_types=CLUSTERS.types,
        limit=size,
        offset=(page_number - 1) * size,
    )
    rows = [
        {"crowd_id": int(row.cluster_id), "crowd_name": row.cluster_name, "users_num": row.users_num or 0}
        for row in page.clusters
    ]
    return {"result": {"crowds": {"crowd_dto": rows}, "total": page.total}}


# The one route: a parameter names the method


@dataclass(frozen=True, slots=True)
class Method:
    """A method and the business parameters that it knows."""

    handle: Callable[[TaobaoRequest], Awaitable[dict[str, Any]]]
    names: tuple[str, ...]


METHODS: Final[Mapping[str, Method]] = {
    wire.UPDATE: Method(update, ("task_dto", "operation")),
    wire.QUERY: Method(query, ("crowd_id",)),
    wire.REPORT: Method(report, ("task_id", "start_time", "end_time")),
    wire.CROWDS: Method(crowds, ("crowd_name", "page", "page_size")),
}
_ALLOWED: Final = ("GET", "POST")
_REFUSED: Final = (
    "invalid_arguments", "not_found", "not_computed", "no_project", "no_data", "read_only", "not_allowed"
)  # fmt: skip
"""Errors whose cause is in the request."""


def routes(parts: GatewayParts) -> list[Route]:
    """Return the route over these parts."""

    async def handle(http: Request) -> Response:
        pairs = http.query_params.multi_items()
        try:
            pairs = await parameters(http, parts)
            return await _answer(once(pairs), http, parts)
        except TaobaoRefusal as error:
            refusal = error
        except FenqunError as error:
            sub_code = "isv.invalid-parameter" if error.code in _REFUSED else "isp.unknown-error"
            refusal = failed(sub_code, parts.line(error))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            refusal = failed("isp.unknown-error", parts.line(internal_error(PATH)))
        return refused(refusal, xml=_is_xml(dict(pairs)))

    return [Route(PATH, handle, methods=[*_ALLOWED, "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])]


async def _answer(given: dict[str, str], http: Request, parts: GatewayParts) -> Response:
    if http.method not in _ALLOWED:
        raise TaobaoRefusal(9)
    verify(given, http, parts)
    if given.get("format", "xml") not in ("xml", "json"):
        raise TaobaoRefusal(23)
    method = METHODS.get(given["method"])
    if method is None:
        raise TaobaoRefusal(22)
    business = {name: value for name, value in given.items() if name not in COMMON}
    stray = base.unknown_key(business, *method.names)
    if stray is not None:
        raise invalid(stray, "未知参数")
    content = await method.handle(TaobaoRequest(parts, business))
    return answered(given["method"], content, xml=_is_xml(given), simplify=given.get("simplify") == "true")


def _is_xml(given: dict[str, str]) -> bool:
    """XML is the vendor's default."""
    return given.get("format", "xml") != "json"
