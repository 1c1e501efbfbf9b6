"""Volcengine's voice service as a server, version 2022-01-01 (vendors.md part B)."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.calls.settings import FEWEST_MINUTES, MOST_MINUTES, MOST_REDIALS
from mcp_server.calls.volcengine import week_of
from mcp_server.calls.week import written
from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError, NotFound
from mcp_server.gateway import base
from mcp_server.gateway.base import GatewayParts, NotJson
from mcp_server.operations.calls import list_call_tasks, update_call_task
from mcp_server.platforms.volcengine import wire
from mcp_server.platforms.volcengine.wire import LIST, UPDATE
from mcp_server.web import Stopped, TooLong, whole

SYSTEM: Final = "volcengine"
VERSION: Final = "2022-01-01"
SERVICE: Final = "vms"
REGION: Final = "cn-north-1"
"""Of an answer to a request that names none."""

# Answers: `ResponseMetadata`, with an error or without (vendors.md B3)


CODES: Final[Mapping[str, tuple[int, int]]] = {
    "MissingParameter": (100002, 400), "MissingAuthenticationToken": (100003, 401), "MissingRequestInfo": (100004, 400),
    "MissingSignature": (100005, 401), "InvalidTimestamp": (100006, 400), "ServiceNotFound": (100007, 404),
    "InvalidActionOrVersion": (100008, 404), "InvalidAccessKey": (100009, 401), "SignatureDoesNotMatch": (100010, 401),
    "AccessDenied": (100013, 403), "InternalError": (100014, 500), "ServiceUnavailable": (0, 503),
}  # fmt: skip
"""Number and HTTP status of the codes that have them; the codes of call tasks have no known number and status 400."""


class VolcengineRefusal(Exception):
    """An error in the vendor's form."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def missing(name: str) -> VolcengineRefusal:
    """The page's words."""
    return VolcengineRefusal("MissingParameter", f"The required parameter {name} is missing.")


def invalid(name: str, why: str = "") -> VolcengineRefusal:
    """The page's words."""
    return VolcengineRefusal(
        "InvalidParameter", f"The specified parameter {name} is invalid." + (f" {why}" if why else "")
    )


@dataclass(frozen=True, slots=True)
class About:
    """What an answer repeats of its request."""

    action: str
    version: str
    region: str
    now: datetime

    def answer(self, status: int = 200, result: Mapping[str, Any] | None = None, **more: object) -> Response:
        """The answer; an action without results has no `Result`."""
        metadata = {
            "RequestId": self.now.strftime("%Y%m%d%H%M%S") + secrets.token_hex(10).upper(),
            "Action": self.action,
            "Version": self.version,
            "Service": SERVICE,
            "Region": self.region,
        }
        value = {"ResponseMetadata": metadata | more} | ({} if result is None else {"Result": result})
        return Response(base.compact(value), status, media_type="application/json; charset=utf-8")

    def refusal(self, refusal: VolcengineRefusal) -> Response:
        """A refusal with its HTTP status."""
        number, status = CODES.get(refusal.code, (0, 400))
        error: dict[str, Any] = {"CodeN": number} if number else {}
        return self.answer(status, Error=error | {"Code": refusal.code, "Message": refusal.message})


# Signature V4, verified (vendors.md B2)


VALID: Final = timedelta(minutes=15)
_AUTHORIZATION: Final = re.compile(
    r"HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9_-]+)/request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


class Claim(NamedTuple):
    """What the Authorization header claims."""

    access_key: str
    day: str
    region: str
    service: str
    signed: str
    """Names of headers, separated by semicolons."""
    signature: str


def claim_of(request: Request) -> Claim:
    """Return the claim of a request. Refusal where there is none."""
    headers = request.headers.getlist("authorization")
    if not headers:
        raise VolcengineRefusal("MissingAuthenticationToken", "The request has no Authorization header.")
    match = _AUTHORIZATION.fullmatch(headers[0].strip()) if len(headers) == 1 else None
    if match is None:
        raise VolcengineRefusal("MissingSignature", "The Authorization header holds no signature.")
    return Claim(*match.groups())


def verify(request: Request, claim: Claim, body: bytes, parts: GatewayParts) -> None:
    """Refuse a request unless it is signed with our credentials, just now, and unchanged."""
    mismatch = VolcengineRefusal("SignatureDoesNotMatch", "The signature does not match.")
    if claim.service != SERVICE:
        raise VolcengineRefusal("ServiceNotFound", f"The service {claim.service} does not exist.")
    if not base.same_secret(claim.access_key, parts.keys.access_key):
        raise VolcengineRefusal("InvalidAccessKey", "The access key is invalid.")
    _check_date(request, claim, parts)
    body_hash = request.headers.get("x-content-sha256")
    if body_hash is not None and not base.same_secret(body_hash, wire.body_hash(body)):
        raise mismatch
    signed = claim.signed.split(";")
    if not {"host", "x-date"} <= set(signed) or any(name not in request.headers for name in signed):
        raise mismatch
    if request.headers.get("x-security-token"):  # credentials of the gateway are not temporary
        raise VolcengineRefusal("InvalidAccessKey", "The security token is invalid.")
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    seen = wire.RequestToSign(request.method, request.url.path, tuple(query), dict(request.headers), body)
    made = wire.signature(seen, signed, parts.keys.secret_key, wire.CredentialScope(claim.region, claim.service))
    if not base.same_secret(claim.signature, made):
        raise mismatch
    request.scope[base.CALLER] = SYSTEM


def _check_date(request: Request, claim: Claim, parts: GatewayParts) -> None:
    text = request.headers.get("x-date", "")
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise VolcengineRefusal("InvalidTimestamp", "X-Date is missing or not YYYYMMDDTHHMMSSZ.") from None
    if abs(parts.clock() - moment) > VALID or text[:8] != claim.day:
        raise VolcengineRefusal("InvalidTimestamp", "The request has expired.")


# UpdateTask and QueryTaskList, strictly typed (vendors.md B5, B6)


MOST: Final = 100
STATES: Final = {"waiting": 0, "active": 1, "ended": 2}
"""`State` of QueryTaskList. The vendor's codes are not published: invented."""

_FIELDS: Final = (
    "TaskOpenId", "StartTime", "EndTime", "Concurrency", "RingAgainTimes", "RingAgainInterval", "ForbidTimeList", "Recall",
)  # fmt: skip
_RANGE: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


async def update(body: Mapping[str, Any], parts: GatewayParts) -> None:
    """UpdateTask: restates what it names; left out, `Recall` is true and `RingAgainTimes` 0, as on the page."""
    _check_keys(body, *_FIELDS)
    task_id = _text(body, "TaskOpenId")
    arguments: dict[str, object] = {
        "task_open_id": task_id,
        "start_time": _time(body, "StartTime"),
        "end_time": _time(body, "EndTime"),
        "concurrency": _whole(body, "Concurrency"),
        **_redials(body),
    }
    if "ForbidTimeList" in body:
        arguments["forbid_times"] = _forbidden(body["ForbidTimeList"])
    deps = parts.deps_of(SYSTEM)
    no_task = VolcengineRefusal("TaskNotFound", "The task does not exist.")
    try:
        task = await deps.calls.get(deps.project(""), task_id)
        if task.task_open_id != task_id:  # a name is no id here
            raise no_task
        await parts.invoke(SYSTEM, update_call_task, arguments)
    except NotFound:
        raise no_task from None


async def query_tasks(body: Mapping[str, Any], parts: GatewayParts) -> dict[str, Any]:
    """QueryTaskList, by words in names. Other filters of the vendor's are not served."""
    _check_keys(body, "Keyword", "Limit", "Offset")
    keyword = body.get("Keyword", "")
    if not isinstance(keyword, str):
        raise invalid("Keyword")
    limit, offset = _whole(body, "Limit", 10), _whole(body, "Offset", 0)
    if not 1 <= limit <= MOST:
        raise invalid("Limit")
    page = await parts.invoke(SYSTEM, list_call_tasks, {"search": keyword, "limit": limit, "offset": offset})
    records = [
        {
            "TaskOpenId": row.task_open_id, "Name": row.name, "Resource": "", "ResourceType": 0, "ResourceName": "",
            "State": STATES[row.state], "StartTime": row.start_time, "EndTime": row.end_time, "ListNum": row.callees or 0,
            "CalledNum": 0, "ThroughNum": 0, "ThroughRate": "0", "FinishRate": "0",
        }
        for row in page.tasks
    ]  # fmt: skip
    return {"Records": records, "Total": page.total}


def refusal_of(error: FenqunError, parts: GatewayParts) -> VolcengineRefusal:
    """An error of an operation in the vendor's form."""
    match error.code:
        case "read_only" | "not_allowed":
            code = "AccessDenied"
        case "invalid_arguments":
            too_many = bool(error.problems) and error.problems[0].code == "call_too_many_times"
            code = "ForbidTimeParseFail" if too_many else "InvalidParameter"
        case "changed_meanwhile":
            code = "OperationDenied"
        case "no_data" | "no_project":
            code = "ResourceNotFound"
        case _:
            code = "ServiceUnavailable" if error.retryable else "InternalError"
    return VolcengineRefusal(code, parts.line(error))


def _check_keys(body: Mapping[str, Any], *names: str) -> None:
    stray = base.unknown_key(body, *names)
    if stray is not None:
        raise invalid(stray)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise missing(name)
    if not isinstance(value, str):
        raise invalid(name)
    return value


def _whole(body: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = body.get(name, default)
    if value is None:
        raise missing(name)
    if not base.is_whole(value) or not 0 <= value < 1 << 31:
        raise invalid(name)
    return int(value)


def _time(body: Mapping[str, Any], name: str) -> str:
    text = _text(body, name)
    if base.read_time(text) is None:
        raise invalid(name, "yyyy-MM-dd HH:mm:ss")
    return text


def _redials(body: Mapping[str, Any]) -> dict[str, object]:
    times, interval = _whole(body, "RingAgainTimes", 0), _whole(body, "RingAgainInterval", FEWEST_MINUTES)
    if times > MOST_REDIALS:
        raise VolcengineRefusal("ErrorRingBackTimes", f"RingAgainTimes is at most {MOST_REDIALS}.")
    if not FEWEST_MINUTES <= interval <= MOST_MINUTES:
        raise VolcengineRefusal(
            "ErrorRingBackInterval", f"RingAgainInterval is {FEWEST_MINUTES} to {MOST_MINUTES} minutes."
        )
    recall = body.get("Recall", True)
    if not isinstance(recall, bool):
        raise invalid("Recall")
    return {"ring_again_times": times, "ring_again_interval": interval} if recall else {}


def _forbidden(value: object) -> list[str]:
    """The forbidden times as the operation reads them. A range over midnight is not documented, so it is refused."""
    if not isinstance(value, list):
        raise invalid("ForbidTimeList")
    for item in value:
        if not isinstance(item, dict) or base.unknown_key(item, "Times", "Weekdays") is not None:
            raise invalid("ForbidTimeList")
        days, times = item.get("Weekdays", []), item.get("Times")
        if not isinstance(days, list) or not all(base.is_whole(day) and 1 <= day <= 7 for day in days):
            raise VolcengineRefusal("ForbidTimeParseFail", "Weekdays are 1 (Sunday) to 7 (Saturday).")
        if not isinstance(times, list) or not times or not all(isinstance(t, str) and _in_order(t) for t in times):
            raise VolcengineRefusal("ForbidTimeParseFail", "Times are HH:MM-HH:MM within a day.")
    week = week_of(value)
    if week is None:
        raise VolcengineRefusal("ForbidTimeParseFail", "The forbidden times can't be parsed.")
    return list(written(week))


def _in_order(text: str) -> bool:
    return bool(_RANGE.fullmatch(text)) and text[:5] < text[6:]


# The one route: the query names the action


def routes(parts: GatewayParts) -> list[Route]:
    """Return the route over these parts."""

    async def act(request: Request) -> Response:
        query = request.query_params
        about = About(query.get("Action", ""), query.get("Version", ""), REGION, parts.clock())
        try:
            claim = claim_of(request)
            about = replace(about, region=claim.region)
            try:
                body = await whole(request, parts.limits.body)
            except (TooLong, Stopped):
                raise invalid("body") from None
            verify(request, claim, body, parts)
            return about.answer(result=await _result(request, body, parts))
        except VolcengineRefusal as refusal:
            return about.refusal(refusal)
        except FenqunError as error:
            return about.refusal(refusal_of(error, parts))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            return about.refusal(refusal_of(internal_error("/"), parts))

    return [Route("/", act, methods=["POST"])]


async def _result(request: Request, body: bytes, parts: GatewayParts) -> dict[str, Any] | None:
    query = request.query_params.multi_items()
    names = dict(query)
    if not names.get("Action"):
        raise VolcengineRefusal("MissingAction", "The request is missing an action.")
    if names["Action"] not in (UPDATE, LIST) or names.get("Version") != VERSION:
        raise VolcengineRefusal("InvalidActionOrVersion", "The action or its version does not exist.")
    if sorted(name for name, _ in query) != ["Action", "Version"]:
        raise invalid("query")
    if base.media_type(request) != "application/json":
        raise invalid("Content-Type")
    try:
        fields = base.read_object(body)
    except NotJson:
        raise invalid("body") from None
    if names["Action"] == LIST:
        return await query_tasks(fields, parts)
    await update(fields, parts)
    return None
