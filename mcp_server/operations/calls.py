"""Operations on outbound call tasks: what they are set to, whom and when they call, and changing that."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from pydantic import Field

from mcp_server.calls.calendar import (
    Assumptions,
    Calendar,
    CallDay,
    advice,
    calendar,
    impossible,
    lines_needed,
    open_time,
    unfinished,
)
from mcp_server.calls.dialling import HORIZON
from mcp_server.calls.problems import finding
from mcp_server.calls.reading import SettingsReading, SettingsRequest, read_settings
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import WEEKDAYS, chart, in_words, written
from mcp_server.errors import (
    InvalidArguments,
    NameTaken,
    NotFound,
    NotOnPlatform,
    Problem,
    Repair,
    VendorDenied,
    VendorRejected,
    VendorUnreadable,
)
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TAG
from mcp_server.language.names import display_name_findings
from mcp_server.language.problems import shorten
from mcp_server.language.reading.shape import TYPE_NAMES
from mcp_server.language.suggest import nearest_named
from mcp_server.operations.arguments import DryRun, EmptyIsAbsent, ObjectsAsText, ProjectId
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, Result, operation
from mcp_server.operations.results import SAME_WITHOUT_DRY_RUN, ProblemRow, RepairRow, named, problem_rows, repair_rows
from mcp_server.platforms.segments import Cluster, name_of
from mcp_server.platforms.tasks import CallDraft, CalleeCount, Callees, CallEntry, CallTask, Often
from mcp_server.text import NOTHING, Text, clauses, same

# Who a call task calls: reading that from the arguments, and what is worth saying about it.


MOST_IDS = 200
"""Ids in an argument; longer lists get cut in a chat."""
WAIT_SECONDS = 60.0
"""How long a computation of the cluster that runs just now is waited for."""

_IS_TAG = Text(
    "{named} is a tag: everybody with any value of it would be called.", "{named}是标签，会呼叫所有有标签值的用户。"
)
_MAKE_CLUSTER = Text(
    "Create a cluster with the tag's value as its condition, and call that.",
    "请以该标签的取值为条件创建分群，再外呼该分群。",
)
_EMPTY = Text("the cluster has no members", "该分群没有成员")
_NO_VALUES = Text("none of its {users} users has a value in {name}", "{users} 名用户的 {name} 都没有值")


async def list_of(
    cluster: str, callee_property: str, ids: Sequence[str], project: str, deps: Deps
) -> tuple[Callees, list[Problem]]:
    """The list that the arguments name, and what is wrong with it."""
    if bool(cluster) == bool(ids) or bool(cluster) != bool(callee_property):
        path = "/callee_property" if bool(cluster) != bool(ids) else "/cluster"
        return Callees(), [finding("call_callees_one_of", path)]
    if ids:
        return Callees(ids=tuple(ids)), _id_problems(ids)
    metadata = await deps.segments.metadata(project)
    name, problems = _property(callee_property, metadata)
    found = await deps.segments.get(project, cluster)
    if found.catalog == TAG:
        raise InvalidArguments(_IS_TAG.format(named=named(found)), next_step=_MAKE_CLUSTER)
    if 0 <= found.progress < 100:
        found = await deps.segments.wait(found, seconds=WAIT_SECONDS, on_progress=deps.report)
    return Callees(found, name), problems


def _id_problems(ids: Sequence[str]) -> list[Problem]:
    if len(ids) > MOST_IDS:
        return [finding("call_ids_too_many", "/ids", got=len(ids), limit=MOST_IDS)]
    return [finding("call_id_blank", f"/ids/{n}") for n, one in enumerate(ids) if not one.strip()]


def _property(name: str, metadata: Metadata) -> tuple[str, list[Problem]]:
    """The property as it is declared."""
    found = metadata.property("user", name)
    texts = {p.name: (p.names.en, p.names.zh) for p in metadata.properties_of("user") if p.type == "string"}
    close = nearest_named(name, texts)
    if found is None:
        return name, [finding("call_property_unknown", "/callee_property", got=name, suggestion=close)]
    if found.type != "string":
        kind = TYPE_NAMES[found.type]
        wrong = finding(
            "call_property_not_text", "/callee_property", got=name, suggestion=close, name=found.name, type=kind
        )
        return name, [wrong]
    return found.name, []


def callee_warnings(callees: Callees, counted: CalleeCount) -> list[Problem]:
    """What to know about the list. InvalidArguments where there is nobody on it."""
    name = callees.callee_property
    if not counted.callees:
        why = _NO_VALUES.format(users=f"{counted.entries:,}", name=name) if counted.entries else _EMPTY
        path = "/callee_property" if counted.entries else "/cluster"
        problem = finding("call_nobody", path, why=why)
        raise InvalidArguments(
            problem.message,
            next_step=Text("Choose another property or cluster.", "请换一个属性或分群。"),
            problems=[problem],
        )
    found = [finding("call_consent", "")]
    if counted.without:
        users = f"{counted.entries:,}"
        found.append(
            finding("call_without_callee", "/callee_property", count=f"{counted.without:,}", users=users, name=name)
        )
    if counted.repeated:
        path = "/ids" if callees.ids else "/callee_property"
        found.append(finding("call_same_callee", path, count=f"{counted.repeated:,}"))
    return found + (_stale(callees.cluster) if callees.cluster else [])


def _stale(cluster: Cluster) -> list[Problem]:
    if cluster.progress < 0:
        return [finding("call_cluster_failed", "/cluster", why=cluster.failure)]
    return [] if cluster.fresh else [finding("call_cluster_old", "/cluster", why=cluster.stale_because)]


# How a call task is told: its settings, its calendar, and what changes.


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


class CallTaskState(PartialResult):
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
class Workload:
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
) -> Workload:
    """The calendar from now on and what is worth a second look; in a worker thread, as long lists take a moment."""
    found, lines = await anyio.to_thread.run_sync(partial(_calendar, settings, callees or 0, assumed, now))
    warnings = [*advice(settings, now), *unfinished(found, lines), *_too_often(often)]
    return Workload(settings, callees, assumed, now, found, tuple(warnings))


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
    work: Workload,
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
        sent=deps.calls.update_body(row.task_open_id, settings, recall=bool(recall)) if sends and row else {},
        **more,
    )


def _summary(work: Workload) -> Text:
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


# Outbound call tasks: what they are set to, when they call, and changing that.


TaskRef = Annotated[str, Field(min_length=1)]
Moment = Annotated[str, Field(description="yyyy-MM-dd HH:mm:ss, Beijing")]
CallTimes = Annotated[
    tuple[str, ...] | None,
    ObjectsAsText(),  # items of the vendor's ForbidTimeList
    EmptyIsAbsent(),
    Field(description='When to call: "mon-sat 10:00-12:00", "sun", "09:00-20:00"'),
]
ForbidTimes = Annotated[
    tuple[str, ...] | None, ObjectsAsText(), EmptyIsAbsent(), Field(description='Or when not to; ["-"] clears')
]


class UpdateCallTask(Params):
    """Arguments of update_call_task."""

    task_open_id: TaskRef
    start_time: Moment = ""
    end_time: str = ""
    concurrency: int | None = None
    call_times: CallTimes = None
    forbid_times: ForbidTimes = None
    ring_again_times: int | None = None
    ring_again_interval: int | None = None
    recall: Annotated[bool | None, Field(description="Leave out")] = None
    call_seconds: int = 60
    answer_rate: float = 0
    dry_run: DryRun = False
    project_id: ProjectId = ""


_UNCHANGED = Text("Nothing to change: call task {name} is like that already.", "无需更改：外呼任务 {name}已是如此。")
_WOULD_UPDATE = Text("Would change call task {name}.", "将修改外呼任务 {name}。")
_UPDATED = Text("Changed call task {name}.", "已修改外呼任务 {name}。")


@operation(title=Text("Change a call task", "修改外呼任务"), system="calls", effect=Effect.REPLACE)
async def update_call_task(params: UpdateCallTask, deps: Deps) -> CallTaskState:
    """Change an outbound call task; give only what changes. Use dry_run first and show the user before → after, the
    warnings and the calendar: when calls can start, and when the list is done at the latest, assuming call_seconds and
    answer_rate (0: the worst case)."""
    if not deps.calls.reads:
        return await _update_unseen(params, deps)
    project, calls = deps.project(params.project_id), deps.calls
    before = await calls.get(project, params.task_open_id)
    reading = read_settings(_wanted(params), before.settings)
    settings = _complete(reading, impossible(_assumed(params)))
    often = await _often(project, before, settings, deps)
    work = await worked_out(settings, before.callees, _assumed(params), calls.now(), often)
    warnings = [] if before.settings == settings else [finding("call_consent", "")]
    told: dict[str, Any] = {"repairs": reading.repairs, "warnings": warnings, "recall": reading.recall}
    named, row = _named(before.entry), call_row(replace(before, settings=settings).entry, work.now)
    if settings == before.settings and not reading.recall:
        told["recall"] = None
        return call_state(_UNCHANGED.format(name=named), row, work, deps, dry_run=params.dry_run, **told).as_unchanged()
    told["changes"] = changes_between(before.settings, settings)
    if params.dry_run:
        said = _WOULD_UPDATE.format(name=named)
        tried = call_state(said, row, work, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **told)
        return tried.with_basis(before.revision, tried.sent)
    deps.check_unchanged(str(before.revision))
    done = await calls.update(
        project, before.task_open_id, settings, recall=reading.recall, revision=before.revision
    )  # fmt: skip
    row = call_row(done.task.entry, work.now) if done.task else row
    return call_state(_UPDATED.format(name=named), row, work, deps, next_step=LOCAL_ONLY, **told)


async def _update_unseen(params: UpdateCallTask, deps: Deps) -> CallTaskState:
    """The same on a platform that does not tell what a task is set to: everything is stated anew."""
    project, calls = deps.project(params.project_id), deps.calls
    reading = read_settings(_wanted(params), opaque=name_of(calls.name))
    settings = _complete(reading, impossible(_assumed(params)))
    seen = await _listed(project, params.task_open_id, deps)
    task = replace(seen or CallEntry(params.task_open_id), start=settings.start, end=settings.end, settings=settings)
    work = await worked_out(settings, task.callees, _assumed(params), calls.now(), Often())
    told: dict[str, Any] = {"repairs": reading.repairs, "warnings": [finding("call_consent", "")]}
    told |= {"recall": reading.recall, "changes": changes_unseen(seen, settings)}
    named, row = _named(task), call_row(task, work.now)
    stamp = f"{task.task_open_id} {seen and (seen.start, seen.end)}"
    if params.dry_run:
        said = _WOULD_UPDATE.format(name=named)
        tried = call_state(said, row, work, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **told)
        return tried.with_basis(stamp, tried.sent)
    deps.check_unchanged(stamp)
    done = await calls.update(project, task.task_open_id, settings, recall=reading.recall, revision=0)
    said = _UPDATED.format(name=named)
    return call_state(said, row, work, deps, request_id=done.request_id, **told)


async def _listed(project: str, task_open_id: str, deps: Deps) -> CallEntry | None:
    """What the platform's list tells of a task; None also where the account may not read the list."""
    try:
        return await deps.calls.entry(project, task_open_id)
    except (VendorRejected, VendorDenied, VendorUnreadable):
        return None


async def _often(project: str, whom: CallTask | Callees, settings: CallSettings, deps: Deps) -> Often:
    """What other tasks add for the callees of this one, as far as the caller may know of them."""
    return await deps.calls.often(
        project, whom, settings, projects=deps.pinned_caller().projects, on_progress=deps.report
    )


def _wanted(params: "UpdateCallTask | CreateCallTask") -> SettingsRequest:
    return SettingsRequest(
        start_time=params.start_time,
        end_time=params.end_time,
        concurrency=params.concurrency,
        ring_again_times=params.ring_again_times,
        ring_again_interval=params.ring_again_interval,
        forbid_times=params.forbid_times,
        call_times=params.call_times,
        recall=params.recall if isinstance(params, UpdateCallTask) else None,
    )


def _assumed(params: "UpdateCallTask | CreateCallTask") -> Assumptions:
    return Assumptions(params.call_seconds, params.answer_rate)


def _complete(reading: SettingsReading, others: list[Problem] | None = None) -> CallSettings:
    """The settings. InvalidArguments with every problem, these others first."""
    problems = [*(others or ()), *reading.problems]
    if reading.settings is None or problems:
        raise InvalidArguments(
            Text("{n} problem(s); nothing was changed.", "有 {n} 处问题；未做任何更改。").format(n=len(problems)),
            next_step=Text("Fix them all and call again.", "请全部修正后重新调用。"),
            problems=problems,
            repairs=reading.repairs,
        )
    return reading.settings


def _named(task: CallEntry) -> Text:
    if not task.name:
        return same(task.task_open_id)
    return Text("{name} (id {id})", "{name}（id {id}）").format(name=task.name, id=task.task_open_id)


class GetCallTask(Params):
    """Arguments of get_call_task."""

    task_open_id: TaskRef
    project_id: ProjectId = ""


_STANDS = Text("Call task {name}.", "外呼任务 {name}。")
_UNTOLD = Text(
    "The platform tells no more: concurrency, redials and forbidden times can only be stated anew, with update_call_task.",
    "平台仅提供以上信息：并发数、重呼和禁呼时段无法读取，只能用 update_call_task 重新给出。",
)
_NOT_LISTED = Text(
    "The platform's list has no call task with the id or name \"{ref}\", or can't be read.",
    "平台的任务列表中没有 id 或名称为“{ref}”的外呼任务，或列表无法读取。",
)
_SEE_LIST = Text("list_call_tasks shows the list.", "可用 list_call_tasks 查看列表。")


@operation(title=Text("Show a call task", "查看外呼任务"), system="calls", effect=Effect.READ)
async def get_call_task(params: GetCallTask, deps: Deps) -> CallTaskState:
    """Show a call task by id or name: settings, calendar from now on, warnings."""
    project, calls = deps.project(params.project_id), deps.calls
    if not calls.reads:
        seen = await calls.entry(project, params.task_open_id)
        if seen is None:
            raise NotFound(_NOT_LISTED.format(ref=shorten(params.task_open_id)), next_step=_SEE_LIST)
        said = deps.say(_STANDS.format(name=_named(seen)))
        return CallTaskState(message=said, next=deps.say(_UNTOLD), task=call_row(seen, calls.now()))
    found = await calls.get(project, params.task_open_id)
    often = await _often(project, found, found.settings, deps)
    work = await worked_out(found.settings, found.callees, Assumptions(), calls.now(), often)
    return call_state(_STANDS.format(name=_named(found.entry)), call_row(found.entry, work.now), work, deps)


class ListCallTasks(Params):
    """Arguments of list_call_tasks."""

    search: str = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    project_id: ProjectId = ""


class CallTaskList(PartialResult):
    """Answer of list_call_tasks."""

    tasks: tuple[CallTaskRow, ...] = ()
    total: int
    left_out: int = 0


_LISTED = Text("{n} call task(s).", "共 {n} 个外呼任务。")
_MORE = Text("{left} more: offset {next}.", "另有 {left} 个：offset {next}。")
_NONE = Text("create_call_task makes one.", "可用 create_call_task 新建。")


@operation(title=Text("List call tasks", "列出外呼任务"), system="calls", effect=Effect.READ)
async def list_call_tasks(params: ListCallTasks, deps: Deps) -> CallTaskList:
    """List outbound call tasks, newest first; search looks into names."""
    project, calls = deps.project(params.project_id), deps.calls
    page = await calls.search(project, words=params.search, offset=params.offset, limit=params.limit)
    left = max(0, page.total - params.offset - len(page.items))
    said = _LISTED.format(n=page.total)
    more = _MORE.format(left=left, next=params.offset + params.limit)
    return CallTaskList(
        message=deps.say(said.then(more) if left else said),
        next=deps.say(_NONE if not page.total and calls.creates else NOTHING),
        tasks=tuple(call_row(task, calls.now()) for task in page.items),
        total=page.total,
        left_out=left,
    )


class CreateCallTask(Params):
    """Arguments of create_call_task."""

    task_name: str
    cluster: str = ""
    callee_property: Annotated[str, Field(description="Text user property to call")] = ""
    ids: Annotated[tuple[str, ...], Field(description="Or whom to call; at most 200")] = ()
    start_time: Moment
    end_time: str
    concurrency: int = 1
    call_times: CallTimes = None
    forbid_times: ForbidTimes = None
    ring_again_times: int | None = None
    ring_again_interval: int | None = None
    call_seconds: int = 60
    answer_rate: float = 0
    dry_run: DryRun = False
    project_id: ProjectId = ""


_WOULD_CREATE = Text("Would create call task {name}.", "将新建外呼任务 {name}。")
_CREATED = Text("Created call task {name}.", "已新建外呼任务 {name}。")
_EXISTS = Text(
    "Call task {name} exists already with this list and these settings; nothing was created.",
    "外呼任务 {name}已存在，名单与设置均相同；未重复创建。",
)
_OTHER = Text(
    "The name {name} is taken by another call task: {differences}.",
    "名称 {name}已被另一个外呼任务占用：{differences}。",
)
_OTHER_NEXT = Text("Choose another name, or use update_call_task.", "请换一个名称，或用 update_call_task 修改。")
_OTHER_LIST = Text("its list is another one", "名单不同")
_IN_CONSOLE = Text("Call tasks are not created on {platform} from here.", "不能从这里在{platform}上新建外呼任务。")
_CREATE_THERE = Text(
    "Create it in the platform's console, then give its TaskOpenId to update_call_task.",
    "请在该平台的控制台新建，再把 TaskOpenId 交给 update_call_task。",
)


@operation(title=Text("Create a call task", "新建外呼任务"), system="calls", effect=Effect.CREATE)
async def create_call_task(params: CreateCallTask, deps: Deps) -> CallTaskState:
    """Make an outbound call task from a cluster or ids (kept locally, nobody is called). Options as in
    update_call_task; dry_run first."""
    project, calls = deps.project(params.project_id), deps.calls
    if not calls.creates:
        raise NotOnPlatform(_IN_CONSOLE.format(platform=name_of(calls.name)), next_step=_CREATE_THERE)
    reading = read_settings(_wanted(params))
    callees, problems = await list_of(params.cluster, params.callee_property, params.ids, project, deps)
    settings = _complete(reading, [*_name_problems(params.task_name, deps), *problems, *impossible(_assumed(params))])
    counted = await calls.count(project, callees, on_progress=deps.report)
    warnings = callee_warnings(callees, counted)
    taken = await calls.find_name(project, params.task_name)
    often = await _often(project, taken or callees, settings, deps)
    work = await worked_out(settings, counted.callees, _assumed(params), calls.now(), often)
    told: dict[str, Any] = {"repairs": reading.repairs, "warnings": warnings}
    if taken:
        _must_be_same(taken, counted, settings)
        said = _EXISTS.format(name=_named(taken.entry))
        return call_state(
            said, call_row(taken.entry, work.now), work, deps, existed=True, dry_run=params.dry_run, **told
        )
    if params.dry_run:
        said = _WOULD_CREATE.format(name=params.task_name)
        return call_state(said, None, work, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **told)
    draft = CallDraft(params.task_name, settings, callees)
    made = await calls.create(project, draft, on_progress=deps.report)
    said = _CREATED.format(name=_named(made.entry))
    return call_state(said, call_row(made.entry, work.now), work, deps, next_step=LOCAL_ONLY, **told)


def _name_problems(name: str, deps: Deps) -> list[Problem]:
    return [
        finding("call_name_invalid", "/task_name", got=name, suggestion=p.suggestion, most=deps.limits.display_name)
        for p in display_name_findings(name, deps.limits)
    ]


def _must_be_same(taken: CallTask, counted: CalleeCount, settings: CallSettings) -> None:
    """NameTaken where the task of this name is another one."""
    differences = changes_between(taken.settings, settings)
    if taken.source != counted.source:
        differences.append(_OTHER_LIST)
    if differences:
        raise NameTaken(
            _OTHER.format(name=_named(taken.entry), differences=clauses(differences)), next_step=_OTHER_NEXT
        )
