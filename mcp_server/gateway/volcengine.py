"""Volcengine's voice service as a server, version 2022-01-01 (vendors.md part B)."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.calls.settings import week_of
from mcp_server.calls.week import TimeFindings, written
from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError, NotFound
from mcp_server.gateway.base import WHO, GatewayParts, NotJson, is_whole, read_object, same, told, unknown
from mcp_server.operations.calls import list_call_tasks, update_call_task
from mcp_server.platforms.volcengine import wire
from mcp_server.platforms.volcengine.wire import LIST, UPDATE
from mcp_server.web import Stopped, TooLong, whole

# `ResponseMetadata`, with an error or without (vendors.md B3).


VERSION: Final = "2022-01-01"
SERVICE: Final = "vms"

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
    """What an answer says of its request."""

    action: str
    version: str
    region: str
    now: datetime

    def metadata(self) -> dict[str, Any]:
        request = self.now.strftime("%Y%m%d%H%M%S") + secrets.token_hex(10).upper()
        return {
            "RequestId": request,
            "Action": self.action,
            "Version": self.version,
            "Service": SERVICE,
            "Region": self.region,
        }


def answered(about: About, result: Mapping[str, Any] | None) -> Response:
    """A success; an action without results has no `Result`."""
    return _json({"ResponseMetadata": about.metadata()} | ({} if result is None else {"Result": result}), 200)


def refused(about: About, refusal: VolcengineRefusal) -> Response:
    """A refusal with its HTTP status."""
    number, status = CODES.get(refusal.code, (0, 400))
    error: dict[str, Any] = {"CodeN": number} if number else {}
    error |= {"Code": refusal.code, "Message": refusal.message}
    return _json({"ResponseMetadata": about.metadata() | {"Error": error}}, status)


def _json(value: Mapping[str, Any], status: int) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json; charset=utf-8")


# Signature V4, verified (vendors.md B2).


SYSTEM: Final = "volcengine"
VALID: Final = timedelta(minutes=15)
_AUTHORIZATION: Final = re.compile(
    r"HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9_-]+)/request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the Authorization header says."""

    access_key: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str


def claim_of(request: Request) -> Claim:
    """The claim of a request. Refusal where there is none."""
    said = request.headers.getlist("authorization")
    if not said:
        raise VolcengineRefusal("MissingAuthenticationToken", "The request has no Authorization header.")
    found = _AUTHORIZATION.fullmatch(said[0].strip()) if len(said) == 1 else None
    if found is None:
        raise VolcengineRefusal("MissingSignature", "The Authorization header holds no signature.")
    key, day, region, service, signed, signature = found.groups()
    return Claim(key, day, region, service, tuple(signed.split(";")), signature)


def verify(request: Request, claim: Claim, body: bytes, house: GatewayParts) -> None:
    """Refusal unless the request is of these credentials, of now, and unchanged."""
    if claim.service != SERVICE:
        raise VolcengineRefusal("ServiceNotFound", f"The service {claim.service} does not exist.")
    if not same(claim.access_key, house.keys.access_key):
        raise VolcengineRefusal("InvalidAccessKey", "The access key is invalid.")
    _of_now(request, claim, house)
    sent = request.headers.get("x-content-sha256")
    if sent is not None and not same(sent, wire.body_hash(body)):
        raise _mismatch()
    if not {"host", "x-date"} <= set(claim.signed) or any(name not in request.headers for name in claim.signed):
        raise _mismatch()
    if request.headers.get("x-security-token"):  # credentials of the gateway are not temporary
        raise VolcengineRefusal("InvalidAccessKey", "The security token is invalid.")
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    seen = wire.RequestToSign(request.method, request.url.path, tuple(query), dict(request.headers), body)
    made = wire.signature(seen, claim.signed, house.keys.secret_key, wire.CredentialScope(claim.region, claim.service))
    if not same(claim.signature, made):
        raise _mismatch()
    request.scope[WHO] = SYSTEM


def _of_now(request: Request, claim: Claim, house: GatewayParts) -> None:
    said = request.headers.get("x-date", "")
    try:
        moment = datetime.strptime(said, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise VolcengineRefusal("InvalidTimestamp", "X-Date is missing or not YYYYMMDDTHHMMSSZ.") from None
    if abs(house.clock() - moment) > VALID or said[:8] != claim.day:
        raise VolcengineRefusal("InvalidTimestamp", "The request has expired.")


def _mismatch() -> VolcengineRefusal:
    return VolcengineRefusal("SignatureDoesNotMatch", "The signature does not match.")


# UpdateTask and QueryTaskList, strictly typed (vendors.md B5, B6).


FEWEST_MINUTES, MOST_MINUTES, MOST_REDIALS = 5, 1440, 5
MOST: Final = 100
STATES: Final = {"waiting": 0, "active": 1, "ended": 2}
"""`State` of QueryTaskList. The vendor's codes are not published: invented."""

_FIELDS: Final = (
    "TaskOpenId", "StartTime", "EndTime", "Concurrency", "RingAgainTimes", "RingAgainInterval", "ForbidTimeList", "Recall",
)  # fmt: skip
_RANGE: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


async def update(body: Mapping[str, Any], house: GatewayParts) -> None:
    """UpdateTask: restates what it names; left out, `Recall` is true and `RingAgainTimes` 0, as the page says."""
    stray = unknown(body, *_FIELDS)
    if stray:
        raise invalid(stray[:50])
    task = _text(body, "TaskOpenId")
    arguments: dict[str, object] = {
        "task_open_id": task,
        "start_time": _moment(body, "StartTime"),
        "end_time": _moment(body, "EndTime"),
        "concurrency": _whole(body, "Concurrency"),
        **_redials(body),
    }
    if "ForbidTimeList" in body:
        arguments["forbid_times"] = _forbidden(body["ForbidTimeList"])
    deps = house.known(SYSTEM)
    try:
        found = await deps.calls.get(deps.project(""), task)
        if found.task_open_id != task:  # a name is no id here
            raise VolcengineRefusal("TaskNotFound", "The task does not exist.")
        await house.ask(SYSTEM, update_call_task, arguments)
    except NotFound:
        raise VolcengineRefusal("TaskNotFound", "The task does not exist.") from None


async def query_tasks(body: Mapping[str, Any], house: GatewayParts) -> dict[str, Any]:
    """QueryTaskList, by words in names. Other filters of the vendor's are not served."""
    stray = unknown(body, "Keyword", "Limit", "Offset")
    if stray:
        raise invalid(stray[:50])
    keyword = body.get("Keyword", "")
    if not isinstance(keyword, str):
        raise invalid("Keyword")
    limit, offset = _whole(body, "Limit", 10), _whole(body, "Offset", 0)
    if not 1 <= limit <= MOST:
        raise invalid("Limit")
    found = await house.ask(SYSTEM, list_call_tasks, {"search": keyword, "limit": limit, "offset": offset})
    records = [
        {
            "TaskOpenId": row.task_open_id, "Name": row.name, "Resource": "", "ResourceType": 0, "ResourceName": "",
            "State": STATES[row.state], "StartTime": row.start_time, "EndTime": row.end_time, "ListNum": row.callees or 0,
            "CalledNum": 0, "ThroughNum": 0, "ThroughRate": "0", "FinishRate": "0",
        }
        for row in found.tasks
    ]  # fmt: skip
    return {"Records": records, "Total": found.total}


def refusal_of(error: FenqunError, house: GatewayParts) -> VolcengineRefusal:
    """An error of an operation in the vendor's form."""
    first = error.problems[0].code if error.problems else ""
    if error.code in ("read_only", "not_allowed"):
        return VolcengineRefusal("AccessDenied", told(error, house.deps))
    if error.code == "invalid_arguments":
        return VolcengineRefusal(_OF_PROBLEMS.get(first, "InvalidParameter"), told(error, house.deps))
    if error.code == "changed_meanwhile":
        return VolcengineRefusal("OperationDenied", told(error, house.deps))
    if error.code in ("no_data", "no_project"):
        return VolcengineRefusal("ResourceNotFound", told(error, house.deps))
    if error.retryable:
        return VolcengineRefusal("ServiceUnavailable", told(error, house.deps))
    return VolcengineRefusal("InternalError", told(error, house.deps))


_OF_PROBLEMS: Final = {"call_too_many_times": "ForbidTimeParseFail"}


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise missing(name)
    if not isinstance(value, str):
        raise invalid(name)
    return value


def _whole(body: Mapping[str, Any], name: str, usual: int | None = None) -> int:
    value = body.get(name, usual)
    if value is None:
        raise missing(name)
    if not isinstance(value, int) or not is_whole(value) or not 0 <= value < 1 << 31:
        raise invalid(name)
    return value


def _moment(body: Mapping[str, Any], name: str) -> str:
    said = _text(body, name)
    try:
        if str(datetime.strptime(said, "%Y-%m-%d %H:%M:%S")) == said:  # noqa: DTZ007 - Beijing's, as the vendor's
            return said
    except ValueError:
        pass
    raise invalid(name, "yyyy-MM-dd HH:mm:ss")


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
        if not isinstance(item, dict) or unknown(item, "Times", "Weekdays"):
            raise invalid("ForbidTimeList")
        days, times = item.get("Weekdays", []), item.get("Times")
        if not isinstance(days, list) or not all(is_whole(day) and 1 <= day <= 7 for day in days):
            raise VolcengineRefusal("ForbidTimeParseFail", "Weekdays are 1 (Sunday) to 7 (Saturday).")
        if not isinstance(times, list) or not times or not all(isinstance(t, str) and _in_order(t) for t in times):
            raise VolcengineRefusal("ForbidTimeParseFail", "Times are HH:MM-HH:MM within a day.")
    found = TimeFindings()
    week = week_of(value, found)
    if found.problems:
        raise VolcengineRefusal("ForbidTimeParseFail", "The forbidden times can't be parsed.")
    return list(written(week))


def _in_order(said: str) -> bool:
    return bool(_RANGE.fullmatch(said)) and said[:5] < said[6:]


# The one address: which action is meant stands in the query.


REGION = "cn-north-1"
"""Of an answer to a request that names none."""


def routes(house: GatewayParts) -> list[Route]:
    """The route over these parts."""

    async def act(request: Request) -> Response:
        query = request.query_params
        about = About(query.get("Action", ""), query.get("Version", ""), REGION, house.clock())
        try:
            claim = claim_of(request)
            about = About(about.action, about.version, claim.region, about.now)
            body = await _body(request, house)
            verify(request, claim, body, house)
            return answered(about, await _result(request, body, house))
        except VolcengineRefusal as refusal:
            return refused(about, refusal)
        except FenqunError as error:
            return refused(about, refusal_of(error, house))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            return refused(about, refusal_of(internal_error("/"), house))

    return [Route("/", act, methods=["POST"])]


async def _body(request: Request, house: GatewayParts) -> bytes:
    try:
        return await whole(request, house.limits.body)
    except (TooLong, Stopped):
        raise invalid("body") from None


async def _result(request: Request, body: bytes, house: GatewayParts) -> dict[str, Any] | None:
    query = request.query_params.multi_items()
    names = dict(query)
    if not names.get("Action"):
        raise VolcengineRefusal("MissingAction", "The request is missing an action.")
    if names["Action"] not in (UPDATE, LIST) or names.get("Version") != VERSION:
        raise VolcengineRefusal("InvalidActionOrVersion", "The action or its version does not exist.")
    if sorted(name for name, _ in query) != ["Action", "Version"]:
        raise invalid("query")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise invalid("Content-Type")
    try:
        fields = read_object(body)
    except NotJson:
        raise invalid("body") from None
    if names["Action"] == LIST:
        return await query_tasks(fields, house)
    await update(fields, house)
    return None
