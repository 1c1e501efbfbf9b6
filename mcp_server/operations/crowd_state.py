"""How a crowd analysis task is told, and how its times are read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from mcp_server.calls.settings import BEIJING
from mcp_server.errors import InvalidArguments, Problem, Repair
from mcp_server.operations.cluster_state import counted, sentence
from mcp_server.operations.findings import ProblemRow, RepairRow, problem_rows, repair_rows
from mcp_server.operations.operation import Deps, PartlyTold, Result
from mcp_server.platforms.crowd_port import Crowd, CrowdTask, Drift, State, Validity
from mcp_server.qp.problems import finding
from mcp_server.qp.window import parse_time, show_time, to_project_time
from mcp_server.text import NOTHING, Text, same

OK = 0
"""`code` of what succeeded. The page shows only the code of an error (99)."""


RawAnswer = Annotated[dict[str, Any] | None, Field(description="The platform's answer as it came")]


class CrowdTaskRow(Result.Row):
    """A task: the page's fields first; times are Beijing time."""

    task_id: str = ""
    crowd_id: str
    start_time: str = ""
    end_time: str = ""
    crowd_name: str = ""
    state: str = Field("", description="waiting, running or ended")
    users_num: int | None = Field(None, description="Members loaded")
    loaded_time: str = ""


class CrowdTaskState(PartlyTold):
    """Answer of everything that ends with one task."""

    result: CrowdTaskRow | None = None
    code: int | None = None
    msg: str | None = None
    success: bool | None = None
    dry_run: bool = False
    existed: bool = Field(False, description="True where the task was there already")
    joined: int | None = Field(None, description="Users that a reload adds")
    left: int | None = Field(None, description="Users that a reload removes")
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()
    repairs: tuple[RepairRow, ...] = ()
    request_id: str = ""


def task_row(task: CrowdTask) -> CrowdTaskRow:
    return CrowdTaskRow(
        task_id=task.task_id,
        crowd_id=task.crowd_id,
        start_time=show_time(task.validity.start) if task.validity else "",
        end_time=show_time(task.validity.end) if task.validity else "",
        crowd_name=task.crowd_name,
        state=task.state or "",
        users_num=task.users_num,
        loaded_time=task.loaded_at,
    )


def draft_row(crowd: Crowd, validity: Validity) -> CrowdTaskRow:
    """A task that is not there yet."""
    return CrowdTaskRow(
        crowd_id=crowd.crowd_id,
        start_time=show_time(validity.start),
        end_time=show_time(validity.end),
        crowd_name=crowd.name,
        users_num=crowd.users_num,
    )


def done(task: CrowdTask, said: Text, next_step: Text, deps: Deps, **more: Any) -> CrowdTaskState:
    """An answer about a task as it stands; `said` may name it by {id}."""
    named = said.format(id=task.task_id)
    return CrowdTaskState(
        message=deps.say(sentence(named, about(task.crowd_name, task.crowd_id, task.users_num, task.validity))),
        next=deps.say(next_step),
        result=task_row(task),
        code=OK,
        msg="OK",
        success=True,
        request_id=task.request_id,
        **more,
    )


_ABOUT = Text("crowd {name}{users}{period}", "人群 {name}{users}{period}")
_NAMED = Text("{name} (id {id})", "{name}（id {id}）")
_VALID = Text(", {period} Beijing time", "，有效期为北京时间 {period}")
_PERIOD = Text("{start} to {end}", "{start} 至 {end}")
STATES: dict[State, Text] = {
    "waiting": Text("not begun", "未开始"),
    "running": Text("running", "进行中"),
    "ended": Text("ended", "已结束"),
}


def about(name: str, crowd_id: str, users_num: int | None, validity: Validity | None) -> Text:
    """Crowd, size and validity as a clause, as far as they are known."""
    users = NOTHING if users_num is None else Text(", {n}", "，{n}").format(n=counted(users_num))
    valid = _VALID.format(period=period(validity)) if validity else NOTHING
    named = _NAMED.format(name=name, id=crowd_id) if name else same(crowd_id)
    return _ABOUT.format(name=named, users=users, period=valid)


def period(validity: Validity) -> Text:
    return _PERIOD.format(start=show_time(validity.start), end=show_time(validity.end))


def said_drift(drift: Drift, words: Text) -> Text:
    """A sentence with the places {joined} and {left}."""
    return words.format(joined=counted(drift.joined), left=counted(drift.left))


# reading times


class ReadValidity(NamedTuple):
    """The validity of a call, and what was read otherwise than it was sent."""

    validity: Validity
    repairs: tuple[Repair, ...] = ()


_WHOLE_DAY = Text("a date alone is its whole day", "只写日期表示当天全天")
_CONVERTED = Text("converted to Beijing time", "已换算为北京时间")
_FORM = Text("written as yyyy-MM-dd HH:mm:ss", "按 yyyy-MM-dd HH:mm:ss 书写")
_BAD_TIMES = Text("The validity can't be used; nothing was changed.", "有效期不可用；未做任何更改。")
_MEND = Text("Mend it and call again.", "请修正后重新调用。")


def read_validity(start: str, end: str, old: Validity | None = None) -> ReadValidity:
    """The times as they were sent; one that was not is that of `old`.

    InvalidArguments where one cannot be read or is missing, and where the end lies before the start.
    """
    problems: list[Problem] = []
    repairs: list[Repair] = []
    first = old.start if old and not start else _moment(start, "/start_time", last=False, repairs=repairs)
    last = old.end if old and not end else _moment(end, "/end_time", last=True, repairs=repairs)
    for path, text, moment in (("/start_time", start, first), ("/end_time", end, last)):
        if moment is None:
            problems.append(finding("crowd_time_invalid", path, got=text))
    if first is None or last is None:
        raise invalid(problems)
    if last < first:
        path = "/end_time" if end else "/start_time"
        raise invalid([finding("crowd_end_before_start", path, got=end or start, start=show_time(first))])
    return ReadValidity(Validity(first, last), tuple(repairs))


def _moment(text: str, path: str, *, last: bool, repairs: list[Repair]) -> datetime | None:
    written = parse_time(text.strip())
    moment = to_project_time(written, BEIJING) if written else None
    if written is None or moment is None:
        return None
    moment = moment.replace(microsecond=0)
    if written.bare_date and last:
        moment = moment.replace(hour=23, minute=59, second=59)
    shown = show_time(moment)
    if shown != text:
        reason = _WHOLE_DAY if written.bare_date else _CONVERTED if written.offset is not None else _FORM
        repairs.append(Repair(path, text, shown, reason))
    return moment


def invalid(problems: Sequence[Problem]) -> InvalidArguments:
    """The error for times that cannot be used."""
    return InvalidArguments(_BAD_TIMES, next_step=_MEND, problems=problems)


def validity_warnings(validity: Validity, now: datetime) -> list[Problem]:
    """A validity that is over is allowed, and said."""
    if validity.state(now) != "ended":
        return []
    return [finding("crowd_validity_over", "/end_time", got=show_time(validity.end), now=show_time(now))]


_NOT_BEGUN = Text("The validity has not begun yet (now: {now}).", "有效期尚未开始（当前时间：{now}）。")


def notes(crowd: Crowd, validity: Validity | None, now: datetime, deps: Deps) -> tuple[str, ...]:
    """What is worth knowing of a crowd and a validity, though nothing is wrong with them."""
    said = [crowd.note] if any(crowd.note) else []
    if validity and validity.state(now) == "waiting":
        said.append(_NOT_BEGUN.format(now=show_time(now)))
    return tuple(deps.say(one) for one in said)


def findings(warnings: Sequence[Problem], repairs: Sequence[Repair], deps: Deps) -> dict[str, Any]:
    """Both as fields of an answer."""
    return {"warnings": problem_rows(warnings, deps), "repairs": repair_rows(repairs, deps)}
