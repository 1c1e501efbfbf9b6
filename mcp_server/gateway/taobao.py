"""The Taobao Open Platform's router as a server (document 101617; vendors.md part A)."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, get_args
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.calls.settings import BEIJING
from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError
from mcp_server.gateway.base import WHO, GatewayParts, NotJson, is_whole, read_object, same, told, unknown
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
from mcp_server.platforms.taobao.wire import SignMethod, sign
from mcp_server.web import Stopped, TooLong, whole

# Answers of the router: JSON or XML, `error_response` for what the platform refuses (vendors.md A5, A6).


WORDS: Final[Mapping[int, str]] = {
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
"""The codes that are answered here, in the platform's words."""


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


def answered(method: str, content: Mapping[str, Any], *, xml: bool, simple: bool) -> Response:
    """A success: under the method's root, or with `simplify` (JSON only) without it."""
    root = method.removeprefix("taobao.").replace(".", "_") + "_response"
    whole = {**content, "request_id": _request_id()}
    if xml:
        return _xml(root, whole)
    return _json(_simple(whole) if simple else {root: whole})


def refused(refusal: TaobaoRefusal, *, xml: bool) -> Response:
    """A refusal; HTTP 200, as the SDKs expect."""
    error: dict[str, Any] = {"code": refusal.code, "msg": WORDS.get(refusal.code, "Remote service error")}
    if refusal.sub_code:
        error |= {"sub_code": refusal.sub_code, "sub_msg": refusal.sub_msg}
    error["request_id"] = _request_id()
    return _xml("error_response", error) if xml else _json({"error_response": error})


def _request_id() -> str:
    return secrets.token_hex(6)


def _json(value: Mapping[str, Any]) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), media_type="text/javascript;charset=UTF-8")


def _simple(value: Any) -> Any:
    """Lists without the name of their items (vendors.md A5)."""
    if not isinstance(value, Mapping):
        return value
    found = {}
    for name, inner in value.items():
        only = next(iter(inner.values())) if isinstance(inner, Mapping) and len(inner) == 1 else None
        found[name] = only if isinstance(only, list) else _simple(inner)
    return found


def _xml(root: str, value: Mapping[str, Any]) -> Response:
    text = f'<?xml version="1.0" encoding="utf-8" ?><{root}>{_elements(value)}</{root}>'
    return Response(text.encode("utf-8", "replace"), media_type="text/xml;charset=UTF-8")


def _elements(value: Mapping[str, Any]) -> str:
    parts = []
    for name, inner in value.items():
        parts += [f"<{name}>{_text(one)}</{name}>" for one in (inner if isinstance(inner, list) else [inner])]
    return "".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _elements(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape("".join(c for c in str(value) if c >= " " or c in "\t\n"))


# What is looked at before a call counts: its parameters, its time, its signature, its session (vendors.md A2, A3).


SYSTEM: Final = "taobao"
FORM: Final = "application/x-www-form-urlencoded"
COMMON: Final = frozenset({
    "method", "app_key", "session", "timestamp", "v", "sign_method", "sign", "format", "simplify", "partner_id",
    "target_app_key",
})  # fmt: skip
OFF: Final = timedelta(minutes=10)
_EPOCH: Final = re.compile(r"[0-9]{13}")


@dataclass(frozen=True, slots=True)
class Call:
    """One verified call: its method and its business parameters."""

    method: str
    business: Mapping[str, str]


async def parameters(request: Request, house: GatewayParts) -> list[tuple[str, str]]:
    """All parameters, from the query and, of a POST, from the form in its body."""
    form = await _form(request, house) if request.method == "POST" else []
    return [*request.query_params.multi_items(), *form]


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name; each stands there once."""
    for number, (name, _) in enumerate(pairs):
        if any(name == other for other, _ in pairs[:number]):
            raise invalid(name[:50], "重复")
    return dict(pairs)


async def _form(request: Request, house: GatewayParts) -> list[tuple[str, str]]:
    try:
        body = await whole(request, house.limits.body)
        if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise invalid("Content-Type", FORM)
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100)
    except (TooLong, Stopped, ValueError):
        raise invalid("body") from None


def verified(found: Mapping[str, str], request: Request, house: GatewayParts) -> Call:
    """The call, if everything about it is right. Refusal in the platform's codes otherwise."""
    for name, code in (("method", 21), ("app_key", 28), ("timestamp", 30), ("v", 32), ("sign", 24)):
        if not found.get(name, "").strip():
            raise TaobaoRefusal(code)
    if not same(found["app_key"], house.keys.app_key):
        raise TaobaoRefusal(29)
    if found["v"] != "2.0":
        raise TaobaoRefusal(33)
    moment = _moment(found["timestamp"])
    if moment is None or abs(house.clock() - moment) > OFF:
        raise TaobaoRefusal(31)
    if not _signed(found, house.keys.app_secret):
        raise TaobaoRefusal(25)
    if not found.get("session"):
        raise TaobaoRefusal(26)
    if not same(found["session"], house.keys.session):
        raise TaobaoRefusal(27)
    request.scope[WHO] = SYSTEM
    return Call(found["method"], {name: value for name, value in found.items() if name not in COMMON})


def _moment(said: str) -> datetime | None:
    """`yyyy-MM-dd HH:mm:ss` in GMT+8, or milliseconds since 1970, as the official Python SDKs send it."""
    if _EPOCH.fullmatch(said):
        return datetime.fromtimestamp(int(said) / 1000, UTC)
    try:
        moment = datetime.strptime(said, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - GMT+8, as the vendor's
    except ValueError:
        return None
    return moment.replace(tzinfo=BEIJING) if str(moment) == said else None


def _signed(found: Mapping[str, str], secret: str) -> bool:
    """Whether the signature is the secret's. Blank parameters take no part in it, or with their bare names: the
    vendor's own SDKs differ (vendors.md A3)."""
    said = found["sign"].upper()
    method = next((one for one in get_args(SignMethod) if one == found.get("sign_method", "")), None)
    if method is None:
        return False
    fits = same(said, sign(found, secret, method))
    return same(said, _bare(found, secret, method)) or fits


def _bare(found: Mapping[str, str], secret: str, method: SignMethod) -> str:
    names = sorted((name for name in found if name != "sign"), key=lambda name: name.encode())
    text, key = "".join(name + found[name] for name in names).encode("utf-8", "surrogatepass"), secret.encode()
    if method == "md5":
        return hashlib.md5(key + text + key, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key, text, hashlib.md5 if method == "hmac" else hashlib.sha256).hexdigest().upper()


# The methods that are served. Of the last three the vendor publishes no answers: their shapes are invented.


R = TypeVar("R", bound=Result)

OPERATIONS: Final = ("create", "delete", "dumpData", "time")
MOST: Final = 100
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_FAILED: Final = 99
"""The page's own code for a system error (系统异常)."""
_CODES: Final[Mapping[str, int]] = {
    "not_found": 1001, "task_ended": 1002, "name_taken": 1003, "not_computed": 1004, "changed_meanwhile": 1005,
    "read_only": 1006, "not_allowed": 1006, "no_project": 1007, "no_data": 1007,
}  # fmt: skip
"""Codes of a result that is no success: invented."""


@dataclass(frozen=True, slots=True)
class TaobaoRequest:
    """One verified call."""

    house: GatewayParts
    business: Mapping[str, str]

    async def ask(self, operation: Operation[Any, R], **arguments: object) -> R:
        """Call an operation as the app."""
        return await self.house.ask(SYSTEM, operation, arguments)

    def number(self, name: str) -> str:
        """A whole number that is needed."""
        said = self.business.get(name, "").strip()
        if not said:
            raise missing(name)
        if not _NUMBER.fullmatch(said):
            raise invalid(name)
        return said


@dataclass(frozen=True, slots=True)
class Task:
    """`task_dto`."""

    crowd_id: str
    start_time: str
    end_time: str
    task_id: str


async def update(asked: TaobaoRequest) -> dict[str, Any]:
    """`taobao.opencrm.crowdanalysis.update` with its four operations."""
    operation = asked.business.get("operation", "")
    if not operation:
        raise missing("operation")
    if operation not in OPERATIONS:
        raise invalid("operation")
    task = _task(asked.business.get("task_dto", ""))
    if operation != "create" and not task.task_id:
        raise missing("task_id")
    try:
        done = await _done(asked, operation, task)
    except FenqunError as error:
        return {"result": _failure(error, asked.house)}
    if done.result is None:
        raise failed("isp.unknown-error", "系统异常")
    return {"result": {"result": _dto(done.result), "code": 0, "msg": "OK", "success": True}}


async def _done(asked: TaobaoRequest, operation: str, task: Task) -> CrowdTaskState:
    if operation == "create":
        times = {"start_time": task.start_time, "end_time": task.end_time}
        return await asked.ask(create_crowd_analysis, crowd_id=task.crowd_id, **times)
    deps = asked.house.known(SYSTEM)
    found = await deps.crowds.get(deps.project(""), task.task_id)
    if found.crowd_id != task.crowd_id:
        raise invalid("crowd_id", "与任务的人群不一致")
    if operation == "time":
        times = {"start_time": task.start_time, "end_time": task.end_time}
        return await asked.ask(update_crowd_analysis, task_id=task.task_id, **times)
    act: Operation[Any, CrowdTaskState] = delete_crowd_analysis if operation == "delete" else reload_crowd_analysis
    return await asked.ask(act, task_id=task.task_id)


def _failure(error: FenqunError, house: GatewayParts) -> dict[str, Any]:
    """What the service did not do: wrong parameters as the page's example has them, else `success` false."""
    if error.code == "invalid_arguments":
        raise failed("isv.invalid-parameter", told(error, house.deps)) from error
    code = _CODES.get(error.code, _FAILED)
    said = "系统异常" if code == _FAILED else told(error, house.deps)
    return {"code": code, "msg": said, "success": False}


def _task(said: str) -> Task:
    """The struct: the three fields that the page calls necessary, and the task."""
    if not said.strip():
        raise missing("task_dto")
    try:
        found = read_object(said.encode("utf-8", "surrogatepass"))
    except NotJson:
        raise invalid("task_dto", "不是 JSON 对象") from None
    stray = unknown(found, "start_time", "end_time", "crowd_id", "task_id")
    if stray:
        raise invalid(stray[:50])
    return Task(
        _id(found, "crowd_id"),
        _time(found, "start_time"),
        _time(found, "end_time"),
        _id(found, "task_id", needed=False),
    )


def _id(found: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = found.get(name)
    if value is None:
        if needed:
            raise missing(name)
        return ""
    if not (is_whole(value) or isinstance(value, str)) or not _NUMBER.fullmatch(str(value)):
        raise invalid(name)
    return str(value)


def _time(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise missing(name)
    return _time_text(value, name)


def _time_text(value: object, name: str) -> str:
    try:
        if isinstance(value, str) and str(datetime.strptime(value, "%Y-%m-%d %H:%M:%S")) == value:  # noqa: DTZ007 - local
            return value
    except ValueError:
        pass
    raise invalid(name, "yyyy-MM-dd HH:mm:ss")


def _dto(row: CrowdTaskRow) -> dict[str, Any]:
    return {
        "end_time": row.end_time,
        "start_time": row.start_time,
        "crowd_id": int(row.crowd_id),
        "task_id": int(row.task_id),
    }


# answers whose shapes are invented


async def query(asked: TaobaoRequest) -> dict[str, Any]:
    """The tasks of a crowd."""
    crowd = asked.number("crowd_id")
    rows: list[CrowdTaskRow] = []
    while True:
        page = await asked.ask(list_crowd_analyses, crowd_id=crowd, limit=MOST, offset=len(rows))
        rows += page.tasks
        if not page.left_out or not page.tasks:
            break
    tasks = [
        _dto(row) | {"crowd_name": row.crowd_name, "state": row.state, "users_num": row.users_num or 0} for row in rows
    ]
    return {"result": {"tasks": {"crowd_analysis_task_dto": tasks}, "total": len(tasks)}}


async def report(asked: TaobaoRequest) -> dict[str, Any]:
    """What a task found out over its validity: the fields of get_crowd_analysis."""
    task = asked.number("task_id")
    given = {
        name: _time_text(asked.business[name], name) for name in ("start_time", "end_time") if name in asked.business
    }
    found = await asked.ask(get_crowd_analysis, task_id=task)
    for name, said in given.items():
        if said != getattr(found.result, name):
            raise invalid(name, "仅支持任务的有效期")
    return {"result": found.model_dump(mode="json", exclude_defaults=True, exclude={"message", "next"})}


async def crowds(asked: TaobaoRequest) -> dict[str, Any]:
    """The crowds, by words in their names."""
    page = int(asked.number("page")) if "page" in asked.business else 1
    size = int(asked.number("page_size")) if "page_size" in asked.business else 20
    if size > MOST or page > MOST * MOST:
        raise invalid("page_size", f"1–{MOST}")
    found = await asked.ask(
        list_clusters,
        search=asked.business.get("crowd_name", ""),
        cluster_types=CLUSTERS.types,
        limit=size,
        offset=(page - 1) * size,
    )
    rows = [
        {"crowd_id": int(r.cluster_id), "crowd_name": r.cluster_name, "users_num": r.users_num or 0}
        for r in found.clusters
    ]
    return {"result": {"crowds": {"crowd_dto": rows}, "total": found.total}}


@dataclass(frozen=True, slots=True)
class Method:
    """A method and the business parameters that it knows."""

    serve: Callable[[TaobaoRequest], Awaitable[dict[str, Any]]]
    names: tuple[str, ...]


METHODS: Final[Mapping[str, Method]] = {
    wire.UPDATE: Method(update, ("task_dto", "operation")),
    wire.QUERY: Method(query, ("crowd_id",)),
    wire.REPORT: Method(report, ("task_id", "start_time", "end_time")),
    wire.CROWDS: Method(crowds, ("crowd_name", "page", "page_size")),
}


# The one address of the router.


PATH = "/router/rest"
_SERVED = ("GET", "POST")
_CALLERS = ("invalid_arguments", "not_found", "not_computed", "no_project", "no_data", "read_only", "not_allowed")


def routes(house: GatewayParts) -> list[Route]:
    """The route over these parts."""

    async def rest(request: Request) -> Response:
        pairs = request.query_params.multi_items()
        try:
            pairs = await parameters(request, house)
            return await _answer(once(pairs), request, house)
        except TaobaoRefusal as refusal:
            return refused(refusal, xml=_is_xml(dict(pairs)))
        except FenqunError as error:
            code = "isv.invalid-parameter" if error.code in _CALLERS else "isp.unknown-error"
            return refused(failed(code, told(error, house.deps)), xml=_is_xml(dict(pairs)))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            said = told(internal_error(PATH), house.deps)
            return refused(failed("isp.unknown-error", said), xml=_is_xml(dict(pairs)))

    return [Route(PATH, rest, methods=[*_SERVED, "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])]


async def _answer(found: dict[str, str], request: Request, house: GatewayParts) -> Response:
    if request.method not in _SERVED:
        raise TaobaoRefusal(9)
    call = verified(found, request, house)
    if found.get("format", "xml") not in ("xml", "json"):
        raise TaobaoRefusal(23)
    method = METHODS.get(call.method)
    if method is None:
        raise TaobaoRefusal(22)
    stray = unknown(call.business, *method.names)
    if stray:
        raise invalid(stray[:50], "未知参数")
    content = await method.serve(TaobaoRequest(house, call.business))
    return answered(call.method, content, xml=_is_xml(found), simple=found.get("simplify") == "true")


def _is_xml(found: dict[str, str]) -> bool:
    """The vendor's default."""
    return found.get("format", "xml") != "json"
