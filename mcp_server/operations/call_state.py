"""How a call task is told: its settings, its calendar, and what changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import anyio.to_thread
from pydantic import Field

from mcp_server.calls.advice import advice, unfinished
from mcp_server.calls.calendar import Assumptions, Calendar, CallDay, calendar, lines_needed, open_time
from mcp_server.calls.chart import chart
from mcp_server.calls.open_time import HORIZON
from mcp_server.calls.problems import finding
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import WEEKDAYS, in_words, written
from mcp_server.calls.wire import update_body
from mcp_server.errors import Problem, Repair
from mcp_server.operations.findings import ProblemRow, RepairRow, problem_rows, repair_rows
from mcp_server.operations.operation import Deps, PartlyTold, Result
from mcp_server.platforms.call_port import CallEntry, Often
from mcp_server.text import NOTHING, Text

MOST_DAYS = 10
"""Days of a calendar that a result lists."""


class CallTaskRow(Result.Row):
    """A call task as it stands."""

    task_open_id: str
    name: str = ""
    state: str = Field("", description="waiting, active or ended: now before, in or after its window")
    platform_state: str = Field("", description="The platform's own code")
    start_time: str = ""
    end_time: str = ""
    concurrency: int | None = None
    ring_again_times: int | None = None
    ring_again_interval: int | None = None
    callees: int | None = None
    called: int | None = None
    connected: int | None = None


class DayRow(Result.Row):
    """A day on which calls may start."""

    date: str
    weekday: str
    open: str
    minutes: int
    possible: int = Field(description="Attempts that all lines can start")
    planned: int = Field(description="Attempts of this list")


class CallTaskState(PartlyTold):
    """Answer of everything that ends with one call task."""

    task: CallTaskRow | None = None
    dry_run: bool = False
    existed: bool = False
    changes: tuple[str, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()
    repairs: tuple[RepairRow, ...] = ()
    call_times: tuple[str, ...] = ()
    forbid_times: tuple[str, ...] = ()
    attempts: int | None = Field(None, description="In all, at most")
    finish: str = Field("", description="Latest end of the last call; absent: not all attempts fit")
    in_time: bool | None = None
    days: tuple[DayRow, ...] = ()
    more_days: int = 0
    chart: str = ""
    sent: dict[str, Any] = Field({}, description="UpdateTask's body in the vendor's form")
    request_id: str = ""


_WINDOW = Text("Calls may start from {start} to {end}, {week}.", "可外呼时间：{start} 至 {end}，{week}。")
_LIST_DONE = Text(
    "{callees}, {attempts} at most; the last call ends at {finish} at the latest ({assumed}).",
    "{callees}，最多 {attempts}；最晚 {finish} 呼完（{assumed}）。",
)
_LIST_NOT_DONE = Text(
    "{callees}, {attempts} at most, of which {planned} can start in time ({assumed}).",
    "{callees}，最多 {attempts}，其中 {planned} 次来得及发起（{assumed}）。",
)
_ASSUMED = Text("{seconds} s per attempt, {answered} answered", "按每次 {seconds} 秒、接通率 {answered} 计")
_CUT = Text("Worked out for the next {days} days only.", "只推算了 {days} 天。")
_BEIJING = Text("Times are Beijing time.", "时间均为北京时间。")
LOCAL_ONLY = Text(
    "The local platform only keeps the task; it calls nobody.", "本地平台只保存任务，不会真正外呼。"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What was worked out for settings and a list."""

    settings: CallSettings
    callees: int | None
    """None where the platform does not tell."""
    assumed: Assumptions
    now: datetime
    found: Calendar
    warnings: tuple[Problem, ...] = field(default=())


async def worked_out(
    settings: CallSettings, callees: int | None, assumed: Assumptions, now: datetime, often: Often
) -> Work:
    """The calendar from now on and what is worth a second look; in a worker thread, as long lists take a moment."""
    found, lines = await anyio.to_thread.run_sync(partial(_calendar, settings, callees or 0, assumed, now))
    warnings = [*advice(settings, now), *unfinished(found, lines), *_too_often(often)]
    return Work(settings, callees, assumed, now, found, tuple(warnings))


def _calendar(settings: CallSettings, callees: int, assumed: Assumptions, now: datetime) -> tuple[Calendar, int | None]:
    found = calendar(settings, callees, assumed, now)
    done = found.in_time or found.cut or not found.days
    return found, None if done else lines_needed(settings, callees, assumed, now)


def _too_often(often: Often) -> list[Problem]:
    found = []
    if often.a_day:
        found.append(finding("call_often_a_day", "", count=f"{often.a_day:,}", most=often.most_a_day))
    if often.at_once:
        found.append(finding("call_often_at_once", "", count=f"{often.at_once:,}", most=often.most_at_once))
    return found


def call_row(task: CallEntry, now: datetime) -> CallTaskRow:
    """A task as a line of a list."""
    redials = task.settings.redials if task.settings else None
    return CallTaskRow(
        task_open_id=task.task_open_id,
        name=task.name,
        state=_state(task, now),
        platform_state=task.state,
        start_time=str(task.start or ""),
        end_time=str(task.end or ""),
        concurrency=task.settings.concurrency if task.settings else None,
        ring_again_times=redials.times if redials else None,
        ring_again_interval=redials.interval if redials else None,
        callees=task.callees,
        called=task.called,
        connected=task.connected,
    )


def _state(task: CallEntry, now: datetime) -> str:
    if task.start is None or task.end is None:
        return ""
    if now < task.start:
        return "waiting"
    return "active" if now < task.end else "ended"


def call_state(
    said: Text,
    row: CallTaskRow | None,
    work: Work,
    deps: Deps,
    *,
    next_step: Text = NOTHING,
    changes: Sequence[Text] = (),
    warnings: Sequence[Problem] = (),
    repairs: Sequence[Repair] = (),
    recall: bool | None = None,
    **more: Any,
) -> CallTaskState:
    """An answer about a task; `recall`: whether redials are sent, None where nothing is."""
    settings, found = work.settings, work.found
    days = found.days[:MOST_DAYS]
    sends = recall is not None and row is not None
    return CallTaskState(
        message=deps.say(said.then(_summary(work))),
        next=deps.say(next_step),
        task=row,
        changes=tuple(deps.say(one) for one in changes),
        warnings=problem_rows([*warnings, *work.warnings], deps),
        repairs=repair_rows(repairs, deps),
        call_times=written(settings.forbidden.complement()),
        forbid_times=written(settings.forbidden),
        attempts=found.needed if work.callees else None,
        finish=str(found.finish or "") if work.callees else "",
        in_time=found.in_time if work.callees else None,
        days=tuple(_day_row(day) for day in days),
        more_days=len(found.days) - len(days),
        chart=deps.say(chart(open_time(settings, work.now).weekly())) if days else "",
        sent=update_body(row.task_open_id, settings, recall=bool(recall)) if sends and row else {},
        **more,
    )


def _summary(work: Work) -> Text:
    """When calls may start, and how far the list gets."""
    settings, found = work.settings, work.found
    said = _WINDOW.format(start=settings.start, end=settings.end, week=in_words(settings.forbidden.complement()))
    if work.callees:
        assumed = _ASSUMED.format(seconds=work.assumed.seconds, answered=f"{work.assumed.answered:.4g}")
        told = {"callees": _callees(work.callees), "attempts": _attempts(found.needed), "assumed": assumed}
        done = _LIST_DONE.format(finish=found.finish, **told)
        said = said.then(done if found.finish else _LIST_NOT_DONE.format(planned=f"{found.planned:,}", **told))
    said = said.then(_BEIJING)
    return said.then(_CUT.format(days=HORIZON.days)) if found.cut else said


def _callees(n: int) -> Text:
    return Text("1 callee" if n == 1 else f"{n:,} callees", f"被叫 {n:,} 个")


def _attempts(n: int) -> Text:
    return Text("1 attempt" if n == 1 else f"{n:,} attempts", f"{n:,} 次呼叫")


def _day_row(day: CallDay) -> DayRow:
    return DayRow(
        date=str(day.day),
        weekday=WEEKDAYS[day.day.weekday()],
        open=" ".join(f"{_clock(a)}-{_clock(b)}" for a, b in day.spans),
        minutes=day.minutes,
        possible=day.possible,
        planned=day.planned,
    )


def _clock(second: int) -> str:
    minutes, rest = divmod(second, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")


_CHANGE = Text("{name}: {old} → {new}", "{name}：{old} → {new}")
_START, _END = Text("start", "开始时间"), Text("end", "结束时间")
_REDIALS = Text("{times}, after {interval} min", "{times} 次，间隔 {interval} 分钟")


def changes_between(old: CallSettings, new: CallSettings) -> list[Text]:
    """What becomes different, in words."""
    pairs = (
        (_START, old.start, new.start),
        (_END, old.end, new.end),
        (Text("concurrency", "并发数"), old.concurrency, new.concurrency),
        (Text("redials", "重呼"), _redials(old.redials), _redials(new.redials)),
        (Text("call times", "可外呼时间"), _open(old), _open(new)),
    )
    return [_CHANGE.format(name=name, old=before, new=after) for name, before, after in pairs if before != after]


_REPLACED = Text(
    "{what}: {new} (what it is now can't be read; it is replaced)", "{what}：{new}（现有设置无法读取，将被覆盖）"
)
_KEPT = Text(
    "redials: they stay as they are (Recall is sent as false)", "重呼：保持现有设置不变（Recall 以 false 发送）"
)


def changes_unseen(old: CallEntry | None, new: CallSettings) -> list[Text]:
    """The same where the platform tells the window at most."""
    said = []
    for name, before, after in (
        (_START, old and old.start, new.start),
        (_END, old and old.end, new.end),
    ):
        if before is None:
            said.append(_REPLACED.format(what=name, new=after))
        elif before != after:
            said.append(_CHANGE.format(name=name, old=before, new=after))
    said.append(_REPLACED.format(what=Text("concurrency", "并发数"), new=new.concurrency))
    said.append(_REPLACED.format(what=Text("call times", "可外呼时间"), new=_open(new)))
    redials = Text("redials", "重呼")
    said.append(_REPLACED.format(what=redials, new=_redials(new.redials)) if new.redials else _KEPT)
    return said


def _redials(redials: Redials | None) -> Text:
    return _REDIALS.format(times=redials.times, interval=redials.interval) if redials else NOTHING


def _open(settings: CallSettings) -> Text:
    return in_words(settings.forbidden.complement())
