"""Outbound call tasks: what they are set to, when they call, and changing that."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from mcp_server.calls.calendar import Assumptions, impossible
from mcp_server.calls.problems import finding
from mcp_server.calls.settings import CallSettings, Reading, Wanted, read_wanted
from mcp_server.effect import Effect
from mcp_server.errors import (
    InvalidArguments,
    NameTaken,
    NotFound,
    NotOnPlatform,
    Problem,
    VendorDenied,
    VendorRejected,
    VendorUnreadable,
)
from mcp_server.operations.call_list import callee_warnings, list_of
from mcp_server.operations.call_state import (
    LOCAL_ONLY,
    CallTaskRow,
    CallTaskState,
    call_row,
    call_state,
    changes_between,
    changes_unseen,
    worked_out,
)
from mcp_server.operations.operation import Deps, Params, PartlyTold, operation
from mcp_server.operations.params import DryRun, ObjectsAsText, ProjectId
from mcp_server.operations.saving import SAME_WITHOUT_DRY_RUN
from mcp_server.platforms.call_port import CallDraft, CalleeCount, Callees, CallEntry, CallTask, Often
from mcp_server.platforms.ports import name_of
from mcp_server.qp.names import display_name_findings
from mcp_server.qp.problems import shorten
from mcp_server.text import NOTHING, Text, clauses, same

TaskRef = Annotated[str, Field(min_length=1)]
Moment = Annotated[str, Field(description="yyyy-MM-dd HH:mm:ss, Beijing")]
CallTimes = Annotated[
    tuple[str, ...] | None,
    ObjectsAsText(),  # items of the vendor's ForbidTimeList
    Field(description='When to call: "mon-sat 10:00-12:00", "sun", "09:00-20:00"'),
]
ForbidTimes = Annotated[tuple[str, ...] | None, ObjectsAsText(), Field(description="Or when not to; [] clears")]


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
    reading = read_wanted(_wanted(params), before.settings)
    settings = _complete(reading, impossible(_assumed(params)))
    often = await _often(project, before, settings, deps)
    work = await worked_out(settings, before.callees, _assumed(params), calls.now(), often)
    warnings = [] if before.settings == settings else [finding("call_consent", "")]
    told: dict[str, Any] = {"repairs": reading.repairs, "warnings": warnings, "recall": reading.recall}
    named, row = _named(before.entry), call_row(replace(before, settings=settings).entry, work.now)
    if settings == before.settings and not reading.recall:
        told["recall"] = None
        return call_state(_UNCHANGED.format(name=named), row, work, deps, dry_run=params.dry_run, **told).as_idle()
    told["changes"] = changes_between(before.settings, settings)
    if params.dry_run:
        said = _WOULD_UPDATE.format(name=named)
        tried = call_state(said, row, work, deps, next_step=SAME_WITHOUT_DRY_RUN, dry_run=True, **told)
        return tried.resting_on(before.revision, tried.sent)
    deps.still(str(before.revision))
    done = await calls.update(
        project, before.task_open_id, settings, recall=reading.recall, revision=before.revision
    )  # fmt: skip
    row = call_row(done.task.entry, work.now) if done.task else row
    return call_state(_UPDATED.format(name=named), row, work, deps, next_step=LOCAL_ONLY, **told)


async def _update_unseen(params: UpdateCallTask, deps: Deps) -> CallTaskState:
    """The same on a platform that does not tell what a task is set to: everything is stated anew."""
    project, calls = deps.project(params.project_id), deps.calls
    reading = read_wanted(_wanted(params), blind=name_of(calls.name))
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
        return tried.resting_on(stamp, tried.sent)
    deps.still(stamp)
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
    return await deps.calls.often(project, whom, settings, projects=deps.within().projects, on_progress=deps.report)


def _wanted(params: "UpdateCallTask | CreateCallTask") -> Wanted:
    return Wanted(
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


def _complete(reading: Reading, others: list[Problem] | None = None) -> CallSettings:
    """The settings. InvalidArguments with every problem, these others first."""
    problems = [*(others or ()), *reading.problems]
    if reading.settings is None or problems:
        raise InvalidArguments(
            Text("{n} problem(s); nothing was changed.", "有 {n} 处问题；未做任何更改。").format(n=len(problems)),
            next_step=Text("Mend them all and call again.", "请全部修正后重新调用。"),
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


class CallTaskList(PartlyTold):
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
    reading = read_wanted(_wanted(params))
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
