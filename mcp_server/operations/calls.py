"""Operations on outbound call tasks: create, list, show, change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from mcp_server.operations.results import (
    SAME_WITHOUT_DRY_RUN,
    ProblemRow,
    RepairRow,
    named,
    paged,
    problem_rows,
    refuse,
    repair_rows,
)
from mcp_server.platforms.segments import name_of
from mcp_server.platforms.tasks import CallDraft, CalleeCount, Callees, CallEntry, CallTask, Often
from mcp_server.text import NOTHING, Text, clauses, same

# The list of callees


MOST_IDS = 200
"""Ids in an argument; longer lists get cut in a chat."""
WAIT_SECONDS = 60.0
"""How long to wait for a computation of the cluster that is running."""

_IS_TAG = Text(
    "{named} is a tag: everybody with any value of it would be called.", "{named}是标签，会呼叫所有有标签值的用户。"
)
_MAKE_CLUSTER = Text(
    "Create a cluster with the tag's value as its condition, and call that.",
    "请以该标签的取值为条件创建分群，再外呼该分群。",
)
_CHOOSE_ANOTHER = Text("Choose another property or cluster.", "请换一个属性或分群。")
_EMPTY = Text("the cluster has no members", "该分群没有成员")
_NO_VALUES = Text("none of its {users} users has a value in {name}", "{users} 名用户的 {name} 都没有值")


async def _callees(params: "CreateCallTask", project: str, deps: Deps) -> tuple[Callees, list[Problem]]:
    """The list that the arguments name, and its problems."""
    cluster, ids = bool(params.cluster), params.ids
    if cluster == bool(ids) or cluster != bool(params.callee_property):
        path = "/callee_property" if cluster != bool(ids) else "/cluster"
        return Callees(), [finding("call_callees_one_of", path)]
    if len(ids) > MOST_IDS:
        return Callees(ids=ids), [finding("call_ids_too_many", "/ids", got=len(ids), limit=MOST_IDS)]
    if ids:
        return Callees(ids=ids), [finding("call_id_blank", f"/ids/{n}") for n, one in enumerate(ids) if not one.strip()]
    metadata = await deps.segments.metadata(project)
    source = await deps.segments.get(project, params.cluster)
    if source.catalog == TAG:
        raise InvalidArguments(_IS_TAG.format(named=named(source)), next_step=_MAKE_CLUSTER)
    if 0 <= source.progress < 100:
        source = await deps.segments.wait(source, seconds=WAIT_SECONDS, on_progress=deps.report)
    name, problems = _property(params.callee_property, metadata)
    return Callees(source, name), problems


def _property(name: str, metadata: Metadata) -> tuple[str, list[Problem]]:
    """The property as it is declared, and its problems."""
    declared = metadata.property("user", name)
    if declared is not None and declared.type == "string":
        return declared.name, []
    texts = {p.name: (p.names.en, p.names.zh) for p in metadata.properties_of("user") if p.type == "string"}
    about: dict[str, Any] = {"got": name, "suggestion": nearest_named(name, texts)}
    if declared is None:
        return name, [finding("call_property_unknown", "/callee_property", **about)]
    about |= {"name": declared.name, "type": TYPE_NAMES[declared.type]}
    return name, [finding("call_property_not_text", "/callee_property", **about)]


def _callee_warnings(callees: Callees, count: CalleeCount) -> list[Problem]:
    """What to know about the list. InvalidArguments where there is nobody on it."""
    name, users = callees.callee_property, f"{count.entries:,}"
    if not count.callees:
        why = _NO_VALUES.format(users=users, name=name) if count.entries else _EMPTY
        problem = finding("call_nobody", "/callee_property" if count.entries else "/cluster", why=why)
        raise InvalidArguments(problem.message, next_step=_CHOOSE_ANOTHER, problems=[problem])
    warnings = [finding("call_consent", "")]
    if count.without:
        values = {"count": f"{count.without:,}", "users": users, "name": name}
        warnings.append(finding("call_without_callee", "/callee_property", **values))
    if count.repeated:
        path = "/ids" if callees.ids else "/callee_property"
        warnings.append(finding("call_same_callee", path, count=f"{count.repeated:,}"))
    cluster = callees.cluster
    if cluster and cluster.progress < 0:
        warnings.append(finding("call_cluster_failed", "/cluster", why=cluster.failure))
    elif cluster and not cluster.fresh:
        warnings.append(finding("call_cluster_old", "/cluster", why=cluster.stale_because))
    return warnings


# Results: settings, calendar, changes


MOST_DAYS = 10
"""Days of a calendar that a result lists."""


class CallTaskRow(Result.Row):
    """A call task in its present state."""

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
_LOCAL_ONLY = Text("The local platform only keeps the task; it calls nobody.", "本地平台只保存任务，不会真正外呼。")


@dataclass(frozen=True, slots=True)
class _Forecast:
    """The calendar of settings and a list, from now on."""

    settings: CallSettings
    callees: int | None
    """None where the platform does not report it."""
    assumed: Assumptions
    now: datetime
    calendar: Calendar
    warnings: tuple[Problem, ...]


async def _forecast(
    project: str,
    list_of: CallTask | Callees | None,
    settings: CallSettings,
    callees: int | None,
    assumed: Assumptions,
    deps: Deps,
) -> _Forecast:
    """Work out the calendar and its warnings, in a worker thread: long lists take a moment.

    `list_of`: the callees to look for in other tasks that the caller may know of; None where they are unknown.
    """
    often, now = Often(), deps.calls.now()
    if list_of is not None:
        projects = deps.pinned_caller().projects
        often = await deps.calls.often(project, list_of, settings, projects=projects, on_progress=deps.report)

    def worked_out() -> tuple[Calendar, int | None]:
        days = calendar(settings, callees or 0, assumed, now)
        done = days.in_time or days.cut or not days.days
        return days, None if done else lines_needed(settings, callees or 0, assumed, now)

    days, lines = await anyio.to_thread.run_sync(worked_out)
    warnings = [*advice(settings, now), *unfinished(days, lines)]
    if often.a_day:
        warnings.append(finding("call_often_a_day", "", count=f"{often.a_day:,}", most=often.most_a_day))
    if often.at_once:
        warnings.append(finding("call_often_at_once", "", count=f"{often.at_once:,}", most=often.most_at_once))
    return _Forecast(settings, callees, assumed, now, days, tuple(warnings))


def call_row(task: CallEntry, now: datetime) -> CallTaskRow:
    """A task as a line of a list."""
    redials = task.settings.redials if task.settings else None
    state = ""
    if task.start is not None and task.end is not None:
        state = "waiting" if now < task.start else "active" if now < task.end else "ended"
    return CallTaskRow(
        task_open_id=task.task_open_id,
        name=task.name,
        state=state,
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


def _call_state(
    message: Text,
    row: CallTaskRow | None,
    forecast: _Forecast,
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
    settings, all_days = forecast.settings, forecast.calendar
    days, has_list = all_days.days[:MOST_DAYS], bool(forecast.callees)
    sends = recall is not None and row is not None
    return CallTaskState(
        message=deps.say(message.then(_summary(forecast, kept=recall is False))),
        next=deps.say(next_step),
        task=row,
        changes=tuple(deps.say(one) for one in changes),
        warnings=problem_rows([*warnings, *forecast.warnings], deps),
        repairs=repair_rows(repairs, deps),
        call_times=written(settings.forbidden.complement()),
        forbid_times=written(settings.forbidden),
        attempts=all_days.needed if has_list else None,
        finish=str(all_days.finish or "") if has_list else "",
        in_time=all_days.in_time if has_list else None,
        days=tuple(_day_row(day) for day in days),
        more_days=len(all_days.days) - len(days),
        chart=deps.say(chart(open_time(settings, forecast.now).weekly())) if days else "",
        sent=deps.calls.update_body(row.task_open_id, settings, recall=bool(recall)) if sends and row else {},
        **more,
    )


_REDIALLED = Text(
    "Up to {times} redial(s), {interval} minutes after an attempt.", "最多重呼 {times} 次，间隔 {interval} 分钟。"
)
_REDIALLED_AS_BEFORE = Text(
    "The redials stay as they are: up to {times}, {interval} minutes after an attempt.",
    "重呼保持不变：最多 {times} 次，间隔 {interval} 分钟。",
)


def _summary(forecast: _Forecast, *, kept: bool) -> Text:
    """When calls may start, how often they are repeated, and how far the list gets; `kept`: an update leaves the redials."""
    settings, days, callees = forecast.settings, forecast.calendar, forecast.callees
    summary = _WINDOW.format(start=settings.start, end=settings.end, week=in_words(settings.forbidden.complement()))
    if callees:
        assumed = _ASSUMED.format(seconds=forecast.assumed.seconds, answered=f"{forecast.assumed.answered:.4g}")
        attempts = days.needed
        counts = {
            "callees": Text("1 callee" if callees == 1 else f"{callees:,} callees", f"被叫 {callees:,} 个"),
            "attempts": Text("1 attempt" if attempts == 1 else f"{attempts:,} attempts", f"{attempts:,} 次呼叫"),
            "assumed": assumed,
        }
        if days.finish:
            summary = summary.then(_LIST_DONE.format(finish=days.finish, **counts))
        else:
            summary = summary.then(_LIST_NOT_DONE.format(planned=f"{days.planned:,}", **counts))
    redials = settings.redials
    if redials and redials.times:
        words = _REDIALLED_AS_BEFORE if kept else _REDIALLED
        summary = summary.then(words.format(times=redials.times, interval=redials.interval))
    summary = summary.then(_BEIJING)
    return summary.then(_CUT.format(days=HORIZON.days)) if days.cut else summary


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
_REPLACED = Text(
    "{name}: {new} (what it is now can't be read; it is replaced)", "{name}：{new}（现有设置无法读取，将被覆盖）"
)
_KEPT = Text(
    "redials: they stay as they are (Recall is sent as false)", "重呼：保持现有设置不变（Recall 以 false 发送）"
)
_START, _END = Text("start", "开始时间"), Text("end", "结束时间")
_CONCURRENCY, _REDIALS = Text("concurrency", "并发数"), Text("redials", "重呼")
_CALL_TIMES = Text("call times", "可外呼时间")


def _changes(old: CallSettings, new: CallSettings) -> list[Text]:
    """What becomes different, in words."""
    pairs = (
        (_START, old.start, new.start),
        (_END, old.end, new.end),
        (_CONCURRENCY, old.concurrency, new.concurrency),
        (_REDIALS, _redials(old.redials), _redials(new.redials)),
        (_CALL_TIMES, _times(old), _times(new)),
    )
    return [_CHANGE.format(name=name, old=before, new=after) for name, before, after in pairs if before != after]


def _changes_unseen(old: CallEntry | None, new: CallSettings) -> list[Text]:
    """The same where the platform reports the window at most."""
    changes = []
    for name, before, after in ((_START, old and old.start, new.start), (_END, old and old.end, new.end)):
        if before is None:
            changes.append(_REPLACED.format(name=name, new=after))
        elif before != after:
            changes.append(_CHANGE.format(name=name, old=before, new=after))
    changes.append(_REPLACED.format(name=_CONCURRENCY, new=new.concurrency))
    changes.append(_REPLACED.format(name=_CALL_TIMES, new=_times(new)))
    changes.append(_REPLACED.format(name=_REDIALS, new=_redials(new.redials)) if new.redials else _KEPT)
    return changes


def _redials(redials: Redials | None) -> Text:
    times = Text("{times}, after {interval} min", "{times} 次，间隔 {interval} 分钟")
    return times.format(times=redials.times, interval=redials.interval) if redials else NOTHING


def _times(settings: CallSettings) -> Text:
    return in_words(settings.forbidden.complement())


# Arguments that operations share


TaskRef = Annotated[str, Field(min_length=1)]
Moment = Annotated[str, Field(description="yyyy-MM-dd HH:mm:ss, Beijing")]
CallTimes = Annotated[
    tuple[str, ...] | None,
    EmptyIsAbsent(),
    ObjectsAsText(),  # items of the vendor's ForbidTimeList
    Field(description='When to call: "mon-sat 10:00-12:00", "sun", "09:00-20:00"'),
]
ForbidTimes = Annotated[
    tuple[str, ...] | None, ObjectsAsText(), EmptyIsAbsent(), Field(description='Or when not to; ["-"] clears')
]


RedialInterval = Annotated[int | None, Field(description="Minutes, 5 to 1440")]


def _request(params: "UpdateCallTask | CreateCallTask") -> SettingsRequest:
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


def _complete(reading: SettingsReading, problems: Sequence[Problem]) -> CallSettings:
    """The settings. InvalidArguments with every problem, these first."""
    refuse([*problems, *reading.problems], repairs=reading.repairs)
    assert reading.settings is not None  # noqa: S101 - a reading without settings has problems
    return reading.settings


def _named(task: CallEntry) -> Text:
    if not task.name:
        return same(task.task_open_id)
    return Text("{name} (id {id})", "{name}（id {id}）").format(name=task.name, id=task.task_open_id)


# Create


class CreateCallTask(Params):
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
    ring_again_interval: RedialInterval = None
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
_TAKEN = Text(
    "The name {name} is taken by another call task: {differences}.",
    "名称 {name}已被另一个外呼任务占用：{differences}。",
)
_TAKEN_NEXT = Text("Choose another name, or use update_call_task.", "请换一个名称，或用 update_call_task 修改。")
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
    reading, assumed = read_settings(_request(params)), Assumptions(params.call_seconds, params.answer_rate)
    callees, problems = await _callees(params, project, deps)
    names = [
        finding("call_name_invalid", "/task_name", got=params.task_name, suggestion=p.suggestion, most=deps.limits.display_name)
        for p in display_name_findings(params.task_name, deps.limits)
    ]  # fmt: skip
    settings = _complete(reading, [*names, *problems, *impossible(assumed)])
    count = await calls.count(project, callees, on_progress=deps.report)
    read: dict[str, Any] = {"repairs": reading.repairs, "warnings": _callee_warnings(callees, count)}
    taken = await calls.find_name(project, params.task_name)
    forecast = await _forecast(project, taken or callees, settings, count.callees, assumed, deps)
    if taken:
        differences = _changes(taken.settings, settings)
        if taken.source != count.source:
            differences.append(_OTHER_LIST)
        if differences:
            message = _TAKEN.format(name=_named(taken.entry), differences=clauses(differences))
            raise NameTaken(message, next_step=_TAKEN_NEXT)
        message, row = _EXISTS.format(name=_named(taken.entry)), call_row(taken.entry, forecast.now)
        return _call_state(message, row, forecast, deps, existed=True, dry_run=params.dry_run, **read)
    if params.dry_run:
        message = _WOULD_CREATE.format(name=params.task_name)
        return _call_state(message, None, forecast, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **read)
    made = await calls.create(project, CallDraft(params.task_name, settings, callees), on_progress=deps.report)
    message, row = _CREATED.format(name=_named(made.entry)), call_row(made.entry, forecast.now)
    return _call_state(message, row, forecast, deps, next_step=_LOCAL_ONLY, **read)


# List and show


class ListCallTasks(Params):
    search: str = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    project_id: ProjectId = ""


class CallTaskList(PartialResult):
    tasks: tuple[CallTaskRow, ...] = ()
    total: int
    left_out: int = 0


_COUNT = Text("{n} call task(s).", "共 {n} 个外呼任务。")
_NONE = Text("create_call_task makes one.", "可用 create_call_task 新建。")


@operation(title=Text("List call tasks", "列出外呼任务"), system="calls", effect=Effect.READ)
async def list_call_tasks(params: ListCallTasks, deps: Deps) -> CallTaskList:
    """List outbound call tasks, newest first; search looks into names."""
    project, calls = deps.project(params.project_id), deps.calls
    page = await calls.search(project, words=params.search, offset=params.offset, limit=params.limit)
    count = _COUNT.format(n=page.total)
    message, left = paged(count, page.total, len(page.items), params.offset, params.limit)
    return CallTaskList(
        message=deps.say(message),
        next=deps.say(_NONE if not page.total and calls.creates else NOTHING),
        tasks=tuple(call_row(task, calls.now()) for task in page.items),
        total=page.total,
        left_out=left,
    )


class GetCallTask(Params):
    task_open_id: TaskRef
    project_id: ProjectId = ""


_SHOWN = Text("Call task {name}.", "外呼任务 {name}。")
_WINDOW_ONLY = Text(
    "The platform reports no more: concurrency, redials and forbidden times can only be set anew, with update_call_task.",
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
        entry = await calls.entry(project, params.task_open_id)
        if entry is None:
            raise NotFound(_NOT_LISTED.format(ref=shorten(params.task_open_id)), next_step=_SEE_LIST)
        message = deps.say(_SHOWN.format(name=_named(entry)))
        return CallTaskState(message=message, next=deps.say(_WINDOW_ONLY), task=call_row(entry, calls.now()))
    task = await calls.get(project, params.task_open_id)
    forecast = await _forecast(project, task, task.settings, task.callees, Assumptions(), deps)
    return _call_state(_SHOWN.format(name=_named(task.entry)), call_row(task.entry, forecast.now), forecast, deps)


# Change


class UpdateCallTask(Params):
    task_open_id: TaskRef
    start_time: Moment = ""
    end_time: str = ""
    concurrency: int | None = None
    call_times: CallTimes = None
    forbid_times: ForbidTimes = None
    ring_again_times: int | None = None
    ring_again_interval: RedialInterval = None
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
    assumed = Assumptions(params.call_seconds, params.answer_rate)
    reading = read_settings(_request(params), before.settings)
    settings = _complete(reading, impossible(assumed))
    forecast = await _forecast(project, before, settings, before.callees, assumed, deps)
    name, row = _named(before.entry), call_row(replace(before, settings=settings).entry, forecast.now)
    if settings == before.settings and not reading.recall:
        message = _UNCHANGED.format(name=name)
        unchanged = _call_state(message, row, forecast, deps, dry_run=params.dry_run, repairs=reading.repairs)
        return unchanged.as_unchanged()
    more: dict[str, Any] = {
        "repairs": reading.repairs,
        "warnings": [] if before.settings == settings else [finding("call_consent", "")],
        "recall": reading.recall,
        "changes": _changes(before.settings, settings),
    }
    if params.dry_run:
        message = _WOULD_UPDATE.format(name=name)
        tried = _call_state(message, row, forecast, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **more)
        return tried.with_basis(before.revision, tried.sent)
    deps.check_unchanged(str(before.revision))
    done = await calls.update(
        project, before.task_open_id, settings, recall=reading.recall, revision=before.revision
    )  # fmt: skip
    row = call_row(done.task.entry, forecast.now) if done.task else row
    return _call_state(_UPDATED.format(name=name), row, forecast, deps, next_step=_LOCAL_ONLY, **more)


async def _update_unseen(params: UpdateCallTask, deps: Deps) -> CallTaskState:
    """The same on a platform that does not report the settings of a task: all of them are set anew."""
    project, calls = deps.project(params.project_id), deps.calls
    assumed = Assumptions(params.call_seconds, params.answer_rate)
    reading = read_settings(_request(params), opaque=name_of(calls.name))
    settings = _complete(reading, impossible(assumed))
    try:
        entry = await calls.entry(project, params.task_open_id)
    except (VendorRejected, VendorDenied, VendorUnreadable):  # the account may not read the list
        entry = None
    task = replace(entry or CallEntry(params.task_open_id), start=settings.start, end=settings.end, settings=settings)
    forecast = await _forecast(project, None, settings, task.callees, assumed, deps)
    more: dict[str, Any] = {
        "repairs": reading.repairs,
        "warnings": [finding("call_consent", "")],
        "recall": reading.recall,
        "changes": _changes_unseen(entry, settings),
    }
    name, row = _named(task), call_row(task, forecast.now)
    stamp = f"{task.task_open_id} {entry and (entry.start, entry.end)}"
    if params.dry_run:
        message = _WOULD_UPDATE.format(name=name)
        tried = _call_state(message, row, forecast, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **more)
        return tried.with_basis(stamp, tried.sent)
    deps.check_unchanged(stamp)
    done = await calls.update(project, task.task_open_id, settings, recall=reading.recall, revision=0)
    message = _UPDATED.format(name=name)
    return _call_state(message, row, forecast, deps, request_id=done.request_id, **more)
