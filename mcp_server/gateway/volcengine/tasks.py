"""UpdateTask and QueryTaskList, strictly typed (vendors.md B5, B6)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from mcp_server.calls.times import Findings
from mcp_server.calls.week import written
from mcp_server.calls.wire import week_of
from mcp_server.errors import FenqunError, NotFound
from mcp_server.gateway.house import House, told
from mcp_server.gateway.strict import is_whole, unknown
from mcp_server.gateway.volcengine.answers import Refusal, invalid, missing
from mcp_server.gateway.volcengine.verified import SYSTEM
from mcp_server.operations.calls import list_call_tasks, update_call_task

FEWEST_MINUTES, MOST_MINUTES, MOST_REDIALS = 5, 1440, 5
MOST: Final = 100
STATES: Final = {"waiting": 0, "active": 1, "ended": 2}
"""`State` of QueryTaskList. The vendor's codes are not published: invented."""

_FIELDS: Final = (
    "TaskOpenId", "StartTime", "EndTime", "Concurrency", "RingAgainTimes", "RingAgainInterval", "ForbidTimeList", "Recall",
)  # fmt: skip
_RANGE: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


async def update(body: Mapping[str, Any], house: House) -> None:
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
            raise Refusal("TaskNotFound", "The task does not exist.")
        await house.ask(SYSTEM, update_call_task, arguments)
    except NotFound:
        raise Refusal("TaskNotFound", "The task does not exist.") from None


async def query(body: Mapping[str, Any], house: House) -> dict[str, Any]:
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


def refusal_of(error: FenqunError, house: House) -> Refusal:
    """An error of an operation in the vendor's form."""
    first = error.problems[0].code if error.problems else ""
    if error.code in ("read_only", "not_allowed"):
        return Refusal("AccessDenied", told(error, house.deps))
    if error.code == "invalid_arguments":
        return Refusal(_OF_PROBLEMS.get(first, "InvalidParameter"), told(error, house.deps))
    if error.code == "changed_meanwhile":
        return Refusal("OperationDenied", told(error, house.deps))
    if error.code in ("no_data", "no_project"):
        return Refusal("ResourceNotFound", told(error, house.deps))
    if error.retryable:
        return Refusal("ServiceUnavailable", told(error, house.deps))
    return Refusal("InternalError", told(error, house.deps))


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
        raise Refusal("ErrorRingBackTimes", f"RingAgainTimes is at most {MOST_REDIALS}.")
    if not FEWEST_MINUTES <= interval <= MOST_MINUTES:
        raise Refusal("ErrorRingBackInterval", f"RingAgainInterval is {FEWEST_MINUTES} to {MOST_MINUTES} minutes.")
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
            raise Refusal("ForbidTimeParseFail", "Weekdays are 1 (Sunday) to 7 (Saturday).")
        if not isinstance(times, list) or not times or not all(isinstance(t, str) and _in_order(t) for t in times):
            raise Refusal("ForbidTimeParseFail", "Times are HH:MM-HH:MM within a day.")
    found = Findings()
    week = week_of(value, found)
    if found.problems:
        raise Refusal("ForbidTimeParseFail", "The forbidden times can't be parsed.")
    return list(written(week))


def _in_order(said: str) -> bool:
    return bool(_RANGE.fullmatch(said)) and said[:5] < said[6:]
