"""Operations on crowd analysis tasks: create, change, load again, delete, list, report.

The vendor page has one call with four operations (`create`, `time`, `dumpData`, `delete`); here each effect is a tool.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from mcp_server.calls.settings import BEIJING
from mcp_server.errors import InvalidArguments, NameTaken, Problem, Repair, TaskEnded
from mcp_server.language.problems import finding
from mcp_server.language.values import parse_time, show_time, to_project_time
from mcp_server.operations.arguments import DryRun, ProjectId
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, Result, operation
from mcp_server.operations.results import (
    SAME_WITHOUT_DRY_RUN,
    ProblemRow,
    RepairRow,
    counted,
    paged,
    problem_rows,
    repair_rows,
    sentence,
    share,
)
from mcp_server.platforms.tasks import Crowd, CrowdAnalysis, CrowdTask, Drift, Share, State, Validity
from mcp_server.text import NOTHING, Text, same

# Results


OK = 0
"""The `code` of a success. The page shows only the code of an error (99)."""

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


class CrowdTaskState(PartialResult):
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


def _task_row(task: CrowdTask) -> CrowdTaskRow:
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


def _state(task: CrowdTask, message: Text, next_step: Text, deps: Deps, **more: Any) -> CrowdTaskState:
    """An answer about a task; `message` may name it by {id}."""
    return CrowdTaskState(
        message=deps.say(sentence(message.format(id=task.task_id), _about_task(task))),
        next=deps.say(next_step),
        result=_task_row(task),
        code=OK,
        msg="OK",
        success=True,
        request_id=task.request_id,
        **more,
    )


def _dry_run(message: Text, row: CrowdTaskRow, deps: Deps, **more: Any) -> CrowdTaskState:
    next_step = deps.say(SAME_WITHOUT_DRY_RUN)
    return CrowdTaskState(message=deps.say(message), next=next_step, result=row, dry_run=True, **more)


_ABOUT = Text("crowd {name}{users}{period}", "人群 {name}{users}{period}")
_NAMED = Text("{name} (id {id})", "{name}（id {id}）")
_VALID = Text(", {period} Beijing time", "，有效期为北京时间 {period}")
_PERIOD = Text("{start} to {end}", "{start} 至 {end}")


def _about(name: str, crowd_id: str, users_num: int | None, validity: Validity | None) -> Text:
    """Crowd, size and validity as a clause, as far as they are known."""
    users = NOTHING if users_num is None else Text(", {n}", "，{n}").format(n=counted(users_num))
    valid = _VALID.format(period=_period(validity)) if validity else NOTHING
    named = _NAMED.format(name=name, id=crowd_id) if name else same(crowd_id)
    return _ABOUT.format(name=named, users=users, period=valid)


def _about_task(task: CrowdTask) -> Text:
    return _about(task.crowd_name, task.crowd_id, task.users_num, task.validity)


def _period(validity: Validity) -> Text:
    return _PERIOD.format(start=show_time(validity.start), end=show_time(validity.end))


def _with_drift(words: Text, drift: Drift) -> Text:
    """A sentence with the places {joined} and {left}."""
    return words.format(joined=counted(drift.joined), left=counted(drift.left))


# Reading times


class ReadValidity(NamedTuple):
    """The validity of a call, and the repairs made in reading it."""

    validity: Validity
    repairs: tuple[Repair, ...] = ()


_WHOLE_DAY = Text("a date alone is its whole day", "只写日期表示当天全天")
_CONVERTED = Text("converted to Beijing time", "已换算为北京时间")
_FORM = Text("written as yyyy-MM-dd HH:mm:ss", "按 yyyy-MM-dd HH:mm:ss 书写")
_BAD_TIMES = Text("The validity can't be used; nothing was changed.", "有效期不可用；未做任何更改。")
_FIX = Text("Fix it and call again.", "请修正后重新调用。")


def read_validity(start: str, end: str, old: Validity | None = None) -> ReadValidity:
    """Read the times; one that is not given is that of `old`.

    InvalidArguments where one cannot be read or is missing, and where the end is before the start.
    """
    problems: list[Problem] = []
    repairs: list[Repair] = []
    first = old.start if old and not start else _moment(start, "/start_time", last=False, repairs=repairs)
    last = old.end if old and not end else _moment(end, "/end_time", last=True, repairs=repairs)
    for path, text, moment in (("/start_time", start, first), ("/end_time", end, last)):
        if moment is None:
            problems.append(finding("crowd_time_invalid", path, got=text))
    if first is None or last is None:
        raise _invalid(*problems)
    if last < first:
        path = "/end_time" if end else "/start_time"
        raise _invalid(finding("crowd_end_before_start", path, got=end or start, start=show_time(first)))
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


def _invalid(*problems: Problem) -> InvalidArguments:
    return InvalidArguments(_BAD_TIMES, next_step=_FIX, problems=problems)


_NOT_BEGUN = Text("The validity has not begun yet (now: {now}).", "有效期尚未开始（当前时间：{now}）。")


def _notes(crowd: Crowd, validity: Validity | None, now: datetime, deps: Deps) -> tuple[str, ...]:
    """What is worth knowing of a crowd and a validity, though nothing is wrong with them."""
    notes = [crowd.note] if any(crowd.note) else []
    if validity and validity.state(now) == "waiting":
        notes.append(_NOT_BEGUN.format(now=show_time(now)))
    return tuple(deps.say(note) for note in notes)


def _findings(validity: Validity, now: datetime, repairs: Sequence[Repair], deps: Deps) -> dict[str, Any]:
    """Warnings and repairs as fields of an answer: a validity that is over is allowed, and reported."""
    warnings = []
    if validity.state(now) == "ended":
        warnings.append(finding("crowd_validity_over", "/end_time", got=show_time(validity.end), now=show_time(now)))
    return {"warnings": problem_rows(warnings, deps), "repairs": repair_rows(repairs, deps)}


# Arguments that operations share


TaskCrowd = Annotated[str, Field(description="Only on Taobao")]
CrowdId = Annotated[str, Field(description="Cluster id or name")]
Count = Annotated[int, Field(ge=1, le=100)]
Skipped = Annotated[int, Field(ge=0, le=1_000_000)]
BeijingTime = Annotated[str, Field(description="yyyy-MM-dd HH:mm:ss, Beijing time")]

_LOOK = Text("get_crowd_analysis shows what the crowd is like.", "可用 get_crowd_analysis 查看人群画像与活跃情况。")

# Create


class CreateCrowdAnalysis(Params):
    crowd_id: CrowdId
    start_time: BeijingTime
    end_time: BeijingTime
    dry_run: DryRun = False
    project_id: ProjectId = ""


_CREATED = Text("Created crowd analysis task {id}", "已创建人群分析任务 {id}")
_EXISTS = Text("Crowd analysis task {id} exists already; nothing was created", "人群分析任务 {id} 已存在；未重复创建")
_WOULD_CREATE = Text("Would create a crowd analysis task", "将创建人群分析任务")


@operation(title=Text("Create a crowd analysis", "创建人群分析任务"), system="crowds", effect=Effect.CREATE)
async def create_crowd_analysis(params: CreateCrowdAnalysis, deps: Deps) -> CrowdTaskState:
    """Load a cluster's members into a task; analyse them and what they do from start_time to end_time. The same crowd and
    times again return the existing task."""
    project = deps.project(params.project_id)
    validity, repairs = read_validity(params.start_time, params.end_time)
    crowd = await deps.crowds.crowd(project, params.crowd_id)
    now = deps.crowds.now(project)
    findings = _findings(validity, now, repairs, deps)
    existing = await deps.crowds.find(crowd, validity)
    if existing:
        return _state(existing, _EXISTS, _LOOK, deps, **findings, existed=True, dry_run=params.dry_run)
    if params.dry_run:
        row = CrowdTaskRow(
            crowd_id=crowd.crowd_id,
            start_time=show_time(validity.start),
            end_time=show_time(validity.end),
            crowd_name=crowd.name,
            users_num=crowd.users_num,
        )
        message = sentence(_WOULD_CREATE, _about(crowd.name, crowd.crowd_id, crowd.users_num, validity))
        return _dry_run(message, row, deps, notes=_notes(crowd, validity, now, deps), **findings)
    made = await deps.crowds.create(crowd, validity, on_progress=deps.report)
    crowd = await deps.crowds.crowd(project, made.crowd_id)
    return _state(made, _CREATED, _LOOK, deps, **findings, notes=_notes(crowd, validity, now, deps))


# Change


class UpdateCrowdAnalysis(Params):
    task_id: str
    crowd_id: TaskCrowd = ""
    start_time: str = ""
    end_time: str = ""
    dry_run: bool = False
    project_id: ProjectId = ""


_UPDATED = Text("Changed crowd analysis task {id}", "已修改人群分析任务 {id}")
_UNCHANGED = Text(
    "Nothing to change: crowd analysis task {id} is like that already", "无需更改：人群分析任务 {id} 已是如此"
)
_WOULD_UPDATE = Text("Would change crowd analysis task {id}", "将修改人群分析任务 {id}")
_CHANGE = Text("{name}: {old} → {new}", "{name}：{old} → {new}")
_START, _END = Text("start", "开始时间"), Text("end", "结束时间")
_TAKEN = Text("Task {id} is the one of this crowd with these times.", "该人群的这一有效期已有任务 {id}。")
_OTHER_TIMES = Text("Use that task, or choose other times.", "请直接使用该任务，或另选时间。")


@operation(
    title=Text("Change a crowd analysis's validity", "修改人群分析有效期"), system="crowds", effect=Effect.REPLACE
)
async def update_crowd_analysis(params: UpdateCrowdAnalysis, deps: Deps) -> CrowdTaskState:
    """Change a task's start or end (operation time), not its members. An end later than now revives an ended task."""
    project = deps.project(params.project_id)
    task = await deps.crowds.get(project, params.task_id, params.crowd_id)
    old = task.validity
    new, repairs = read_validity(params.start_time, params.end_time, old)
    now = deps.crowds.now(project)
    findings = _findings(new, now, repairs, deps)
    if new == old:
        return _state(task, _UNCHANGED, NOTHING, deps, **findings, dry_run=params.dry_run).as_unchanged()
    if task.state == "ended" and new.state(now) == "ended":
        raise _invalid(finding("crowd_end_not_later", "/end_time", got=show_time(new.end), now=show_time(now)))
    other = await deps.crowds.find(Crowd(task.crowd_id, task.crowd_name, task.project_id), new)
    if other is not None:
        raise NameTaken(_TAKEN.format(id=other.task_id), next_step=_OTHER_TIMES)
    pairs = ((_START, old.start, new.start), (_END, old.end, new.end)) if old else ()
    changes = tuple(
        deps.say(_CHANGE.format(name=name, old=show_time(before), new=show_time(after)))
        for name, before, after in pairs
        if before != after
    )
    if params.dry_run:
        message = sentence(_WOULD_UPDATE.format(id=task.task_id), _period(new))
        tried = _dry_run(message, _task_row(task), deps, changes=changes, **findings)
        return tried.with_basis(task.stamp, new)
    deps.check_unchanged(task.stamp)
    changed = await deps.crowds.update(task, new, on_progress=deps.report)
    return _state(changed, _UPDATED, _LOOK, deps, **findings, changes=changes)


# Load again


class ReloadCrowdAnalysis(Params):
    task_id: str
    crowd_id: str = ""
    dry_run: bool = False
    project_id: ProjectId = ""


_RELOADED = Text(
    "Loaded the crowd of task {{id}} again ({joined} joined, {left} left)",
    "已重新加载任务 {{id}} 的人群（新增 {joined}，移出 {left}）",
)
_WOULD_RELOAD = Text(
    "Would load the crowd of task {{id}} again; as it is now, that adds {joined} and removes {left}.",
    "将重新加载任务 {{id}} 的人群；按其现状，将新增 {joined}，移出 {left}。",
)
_RELOADED_UNSEEN = Text("Loaded the crowd of task {id} again", "已重新加载任务 {id} 的人群")
_WOULD_RELOAD_UNSEEN = Text(
    "Would load the crowd of task {id} again; the platform does not report what that changes.",
    "将重新加载任务 {id} 的人群；平台不提供其影响的人数。",
)
_ENDED = Text(
    "Task {id} ended at {end} Beijing time (now: {now}).", "任务 {id} 已于北京时间 {end} 结束（当前时间：{now}）。"
)
_EXTEND = Text(
    "Extend it with update_crowd_analysis (end_time later than now), then reload.",
    "请先用 update_crowd_analysis 延长（end_time 晚于当前时间），再重新加载。",
)


@operation(title=Text("Load a crowd again", "重新加载人群"), system="crowds", effect=Effect.REPLACE)
async def reload_crowd_analysis(params: ReloadCrowdAnalysis, deps: Deps) -> CrowdTaskState:
    """Replace a task's members by those of the crowd now (operation dumpData)."""
    project = deps.project(params.project_id)
    task = await deps.crowds.get(project, params.task_id, params.crowd_id)
    now = deps.crowds.now(project)
    if task.validity and task.state == "ended":
        end = show_time(task.validity.end)
        raise TaskEnded(_ENDED.format(id=task.task_id, end=end, now=show_time(now)), next_step=_EXTEND)
    crowd = await deps.crowds.crowd(project, task.crowd_id)
    if params.dry_run:
        drift = await deps.crowds.drift(task, on_progress=deps.report)
        message = _with_drift(_WOULD_RELOAD, drift) if drift else _WOULD_RELOAD_UNSEEN
        more = {"notes": _notes(crowd, task.validity, now, deps), **_counts(drift)}
        tried = _dry_run(message.format(id=task.task_id), _task_row(task), deps, **more)
        return tried.with_basis(task.stamp, drift)
    deps.check_unchanged(task.stamp)
    loaded, drift = await deps.crowds.reload(task, on_progress=deps.report)
    crowd = await deps.crowds.crowd(project, task.crowd_id)
    message = _with_drift(_RELOADED, drift) if drift else _RELOADED_UNSEEN
    more = {"notes": _notes(crowd, task.validity, now, deps), **_counts(drift)}
    return _state(loaded, message, _LOOK, deps, **more)


def _counts(drift: Drift | None) -> dict[str, Any]:
    return {"joined": drift.joined, "left": drift.left} if drift else {}


# Delete


class DeleteCrowdAnalysis(Params):
    task_id: str
    crowd_id: str = ""
    dry_run: bool = False
    project_id: ProjectId = ""


_DELETED = Text("Deleted crowd analysis task {id}", "已删除人群分析任务 {id}")
_WOULD_DELETE = Text("Would delete crowd analysis task {id}", "将删除人群分析任务 {id}")


@operation(title=Text("Delete a crowd analysis", "删除人群分析任务"), system="crowds", effect=Effect.DELETE)
async def delete_crowd_analysis(params: DeleteCrowdAnalysis, deps: Deps) -> CrowdTaskState:
    """Delete a task, not its cluster. Ask the user first."""
    task = await deps.crowds.get(deps.project(params.project_id), params.task_id, params.crowd_id)
    if params.dry_run:
        message = sentence(_WOULD_DELETE.format(id=task.task_id), _about_task(task))
        return _dry_run(message, _task_row(task), deps).with_basis(task.stamp)
    deps.check_unchanged(task.stamp)
    return _state(await deps.crowds.delete(task), _DELETED, NOTHING, deps)


# List


class ListCrowdAnalyses(Params):
    crowd_id: str = ""
    limit: Count = 20
    offset: Skipped = 0
    project_id: ProjectId = ""


class CrowdTaskList(PartialResult):
    tasks: tuple[CrowdTaskRow, ...] = ()
    total: int
    left_out: int = 0
    raw: RawAnswer = None


@operation(title=Text("List crowd analyses", "列出人群分析任务"), system="crowds", effect=Effect.READ)
async def list_crowd_analyses(params: ListCrowdAnalyses, deps: Deps) -> CrowdTaskList:
    """List crowd analysis tasks, newest first."""
    page = await deps.crowds.search(
        deps.project(params.project_id), crowd_id=params.crowd_id, offset=params.offset, limit=params.limit
    )
    message, left = paged(_COUNT.format(n=page.total), page.total, len(page.items), params.offset, params.limit)
    return CrowdTaskList(
        message=deps.say(page.note if any(page.note) else message),
        next=deps.say(NOTHING if page.total or page.raw is not None else _CREATE_ONE),
        tasks=tuple(map(_task_row, page.items)),
        total=page.total,
        left_out=left,
        raw=page.raw,
    )


_COUNT = Text("{n} crowd analysis task(s).", "共 {n} 个人群分析任务。")
_CREATE_ONE = Text("Create one with create_crowd_analysis.", "可用 create_crowd_analysis 创建。")


# Report: what is most unlike everybody; a chat has no room for more


BEIJING_ZONES = ("", "Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "PRC")


class GetCrowdAnalysis(Params):
    task_id: str
    crowd_id: str = ""
    project_id: ProjectId = ""


class ShareRow(Result.Row):
    """A value of a property among the crowd."""

    property: str
    value: str
    users: int
    share: float = Field(description="Of the crowd, 0 to 1")
    all_share: float = Field(description="Of all users")
    lift: float = Field(description="share / all_share")


class ActivityRow(Result.Row):
    """A day, or the week that begins with it."""

    day: str
    events: int
    active_users: int


class CrowdReport(PartialResult):
    result: CrowdTaskRow
    code: int
    msg: str
    success: bool
    all_users: int | None = None
    profile: tuple[ShareRow, ...] = ()
    unit: str = Field("", description="Of activity: day or week")
    activity: tuple[ActivityRow, ...] = ()
    activity_left_out: int = 0
    events: int | None = Field(None, description="In all of the validity")
    active_users: int | None = None
    joined: int | None = Field(None, description="Since loaded")
    left: int | None = Field(None, description="Since loaded")
    notes: tuple[str, ...] = ()
    raw: RawAnswer = None


@operation(title=Text("Show a crowd analysis", "查看人群分析"), system="crowds", effect=Effect.READ)
async def get_crowd_analysis(params: GetCrowdAnalysis, deps: Deps) -> CrowdReport:
    """Show a task's crowd: profile against all users, activity by day or week, change since it was loaded."""
    task = await deps.crowds.get(deps.project(params.project_id), params.task_id, params.crowd_id)
    analysis = await deps.crowds.analysis(task, on_progress=deps.report)
    title = _TASK.format(id=task.task_id, state=_state_name(task.state)) if task.state else same(task.task_id)
    head = sentence(title, _about_task(task))
    base: dict[str, Any] = {"result": _task_row(task), "code": OK, "msg": "OK", "success": True}
    if analysis.raw is not None:
        return CrowdReport(message=deps.say(head.then(_RAW)), **base, raw=dict(analysis.raw))
    crowd = await deps.crowds.crowd(task.project_id, task.crowd_id)
    since = analysis.since
    size = _OF_ALL.format(share=share(analysis.users, analysis.all_users), all=f"{analysis.all_users:,}")
    return CrowdReport(
        message=deps.say(head.then(size).then(_activity(analysis))),
        next=deps.say(_RELOAD if since and (since.joined or since.left) and task.state != "ended" else NOTHING),
        **base,
        all_users=analysis.all_users,
        profile=tuple(_share_row(one, analysis, deps) for one in analysis.shares),
        unit=analysis.unit if analysis.activity else "",
        activity=tuple(ActivityRow(day=s.day, events=s.events, active_users=s.active_users) for s in analysis.activity),
        activity_left_out=analysis.stretches_left_out,
        events=analysis.events,
        active_users=analysis.active_users,
        joined=since.joined if since else None,
        left=since.left if since else None,
        notes=tuple(deps.say(note) for note in (*_report_notes(task, analysis), crowd.note) if any(note)),
    )


_RAW = Text(
    "The platform's report is under raw as it came: its form is not documented.",
    "平台的报告原样放在 raw 中：其格式没有公开文档。",
)
_RELOAD = Text("reload_crowd_analysis loads the crowd as it is now.", "可用 reload_crowd_analysis 加载人群的现状。")


def _state_name(state: State) -> Text:
    match state:
        case "waiting":
            return Text("not begun", "未开始")
        case "running":
            return Text("running", "进行中")
        case "ended":
            return Text("ended", "已结束")


def _share_row(one: Share, analysis: CrowdAnalysis, deps: Deps) -> ShareRow:
    own, everybody = one.users / analysis.users, one.all_users / analysis.all_users
    return ShareRow(
        property=one.property,
        value=deps.say(one.value),
        users=one.users,
        share=round(own, 3),
        all_share=round(everybody, 3),
        lift=round(own / everybody, 2),
    )


_TASK = Text("Crowd analysis task {id} ({state})", "人群分析任务 {id}（{state}）")
_OF_ALL = Text("The crowd is {share} of all {all} users.", "该人群占全部 {all} 名用户的 {share}。")
_ACTIVE = Text(
    "In the validity {active} ({share}) had {events}.",
    "有效期内有 {active}（{share}）活跃，共 {events}。",
)
_NO_DATA = Text(
    "There is no data in the validity (the data: {first} to {last}).",
    "有效期内没有数据（数据范围：{first} 至 {last}）。",
)
_NO_EVENTS = Text("There are no events.", "没有事件数据。")


def _activity(analysis: CrowdAnalysis) -> Text:
    if not analysis.activity:
        dates = {"first": analysis.data_from, "last": analysis.data_to}
        return _NO_DATA.format(**dates) if analysis.data_from else _NO_EVENTS
    events = analysis.events
    return _ACTIVE.format(
        active=counted(analysis.active_users),
        share=share(analysis.active_users, analysis.users),
        events=Text("1 event" if events == 1 else f"{events:,} events", f"{events:,} 次事件"),
    )


_GONE = Text(
    "{n} of the loaded members are not in the current data and are not counted here.",
    "已加载的成员中有 {n}不在当前数据中，此处不计。",
)
_FOLDED = Text(
    "At most {most} values per property are listed, the most frequent of the crowd; values that fewer than {fewest} of the crowd have are never shown.",
    "每个属性最多列出人群中最常见的 {most} 个取值；人群中不足 {fewest} 人具有的取值一概不显示。",
)
_TOO_FEW = Text(
    "No values are shown: fewer than {fewest} of the crowd share one.",
    "未显示任何取值：人群中具有相同取值的均不足 {fewest} 人。",
)
_PROPERTIES = Text(
    "Properties left out, less unlike everybody or with rare values only: {n}.",
    "另有 {n} 个属性因差异较小或取值过于稀少而未列出。",
)
_EARLIER = Text(
    "Earlier weeks that are not listed, but are in the totals: {n}.", "更早的 {n} 周未逐一列出，但已计入合计。"
)
_WEEKS = Text(
    "Weeks are seven days from the day named; the last may be shorter.",
    "每周为自所列日期起的 7 天，最后一周可能不足 7 天。",
)
_ZONE = Text(
    "Days are those of {zone}, the times of the task Beijing time.", "日期按 {zone} 划分，任务时间为北京时间。"
)
_DATA_ENDS = Text("The data ends on {day}.", "数据截至 {day}。")
_LAST_RELOAD = Text("The last reload added {joined} and removed {left}.", "上次重新加载新增 {joined}，移出 {left}。")
_SINCE = Text(
    "Since it was loaded, the crowd has gained {joined} and lost {left}.",
    "加载之后，人群新增 {joined}，移出 {left}。",
)


def _report_notes(task: CrowdTask, analysis: CrowdAnalysis) -> Iterator[Text]:
    """What one has to know to read the numbers rightly."""
    if task.users_num is not None and task.users_num > analysis.users:
        yield _GONE.format(n=counted(task.users_num - analysis.users))
    if analysis.fewest:
        yield (_FOLDED if analysis.shares else _TOO_FEW).format(fewest=analysis.fewest, most=analysis.most_values)
    if analysis.shares and analysis.properties_left_out:
        yield _PROPERTIES.format(n=analysis.properties_left_out)
    if analysis.activity:
        yield from _day_notes(task, analysis)
    if analysis.last_reload:
        yield _with_drift(_LAST_RELOAD, analysis.last_reload)
    if analysis.since and (analysis.since.joined or analysis.since.left):
        yield _with_drift(_SINCE, analysis.since)


def _day_notes(task: CrowdTask, analysis: CrowdAnalysis) -> Iterator[Text]:
    if analysis.unit == "week":
        yield _WEEKS
    if analysis.stretches_left_out:
        yield _EARLIER.format(n=analysis.stretches_left_out)
    if analysis.zone not in BEIJING_ZONES:
        yield _ZONE.format(zone=analysis.zone)
    if task.validity and analysis.data_to < task.validity.end.date().isoformat():
        yield _DATA_ENDS.format(day=analysis.data_to)
