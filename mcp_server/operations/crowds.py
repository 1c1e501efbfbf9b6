"""Crowd analysis tasks: create, change, load again, delete, list. (What they found out: crowd_report.py.)

The vendor page has one call with four operations (`create`, `time`, `dumpData`, `delete`); here each effect is a tool.
"""

from typing import Annotated

from pydantic import Field

from mcp_server.effect import Effect
from mcp_server.errors import NameTaken, TaskEnded
from mcp_server.operations.cluster_state import sentence
from mcp_server.operations.crowd_state import (
    CrowdTaskRow,
    CrowdTaskState,
    RawAnswer,
    about,
    done,
    draft_row,
    findings,
    invalid,
    notes,
    period,
    read_validity,
    said_drift,
    task_row,
    validity_warnings,
)
from mcp_server.operations.operation import Deps, Params, PartlyTold, operation
from mcp_server.operations.params import DryRun, ProjectId
from mcp_server.operations.saving import SAME_WITHOUT_DRY_RUN
from mcp_server.platforms.crowd_port import Crowd, CrowdTask, Drift, Validity
from mcp_server.qp.problems import finding
from mcp_server.qp.window import show_time
from mcp_server.text import NOTHING, Text

TaskCrowd = Annotated[str, Field(description="Only on Taobao")]
CrowdId = Annotated[str, Field(description="Cluster id or name")]
Count = Annotated[int, Field(ge=1, le=100)]
Skipped = Annotated[int, Field(ge=0, le=1_000_000)]
BeijingTime = Annotated[str, Field(description="yyyy-MM-dd HH:mm:ss, Beijing time")]

_LOOK = Text("get_crowd_analysis shows what the crowd is like.", "可用 get_crowd_analysis 查看人群画像与活跃情况。")

# create


class CreateCrowdAnalysis(Params):
    """Arguments of create_crowd_analysis."""

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
    told = findings(validity_warnings(validity, now), repairs, deps)
    existing = await deps.crowds.find(crowd, validity)
    if existing:
        return done(existing, _EXISTS, _LOOK, deps, **told, existed=True, dry_run=params.dry_run)
    if params.dry_run:
        what = about(crowd.name, crowd.crowd_id, crowd.users_num, validity)
        return CrowdTaskState(
            message=deps.say(sentence(_WOULD_CREATE, what)),
            next=deps.say(SAME_WITHOUT_DRY_RUN),
            result=draft_row(crowd, validity),
            dry_run=True,
            notes=notes(crowd, validity, now, deps),
            **told,
        )
    made = await deps.crowds.create(crowd, validity, on_progress=deps.report)
    crowd = await deps.crowds.crowd(project, made.crowd_id)
    return done(made, _CREATED, _LOOK, deps, **told, notes=notes(crowd, validity, now, deps))


# change


class UpdateCrowdAnalysis(Params):
    """Arguments of update_crowd_analysis."""

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
    told = findings(validity_warnings(new, now), repairs, deps)
    if new == old:
        return done(task, _UNCHANGED, NOTHING, deps, **told, dry_run=params.dry_run).as_idle()
    if task.state == "ended" and new.state(now) == "ended":
        raise invalid([finding("crowd_end_not_later", "/end_time", got=show_time(new.end), now=show_time(now))])
    await _must_be_free(task, new, deps)
    changes = (
        tuple(
            deps.say(_CHANGE.format(name=name, old=show_time(before), new=show_time(after)))
            for name, before, after in (
                (Text("start", "开始时间"), old.start, new.start),
                (Text("end", "结束时间"), old.end, new.end),
            )
            if before != after
        )
        if old
        else ()
    )
    if params.dry_run:
        return CrowdTaskState(
            message=deps.say(sentence(_WOULD_UPDATE.format(id=task.task_id), period(new))),
            next=deps.say(SAME_WITHOUT_DRY_RUN),
            result=task_row(task),
            dry_run=True,
            changes=changes,
            **told,
        ).resting_on(task.stamp, new)
    deps.still(task.stamp)
    changed = await deps.crowds.update(task, new, on_progress=deps.report)
    return done(changed, _UPDATED, _LOOK, deps, **told, changes=changes)


async def _must_be_free(task: CrowdTask, validity: Validity, deps: Deps) -> None:
    """NameTaken where the crowd has another task with this validity."""
    other = await deps.crowds.find(Crowd(task.crowd_id, task.crowd_name, task.project_id), validity)
    if other is not None:
        raise NameTaken(_TAKEN.format(id=other.task_id), next_step=_OTHER_TIMES)


# load again


class ReloadCrowdAnalysis(Params):
    """Arguments of reload_crowd_analysis."""

    task_id: str
    crowd_id: str = ""
    dry_run: bool = False
    project_id: ProjectId = ""


_RELOADED = Text(
    "Loaded the crowd of task {{id}} again ({joined} joined, {left} left)",
    "已重新加载任务 {{id}} 的人群（新增 {joined}，移出 {left}）",
)
_WOULD_RELOAD = Text(
    "Would load the crowd of task {id} again; as it stands now, that adds {joined} and removes {left}.",
    "将重新加载任务 {id} 的人群；按其现状，将新增 {joined}，移出 {left}。",
)
_RELOADED_UNSEEN = Text("Loaded the crowd of task {id} again", "已重新加载任务 {id} 的人群")
_WOULD_RELOAD_UNSEEN = Text(
    "Would load the crowd of task {id} again; the platform does not tell what that changes.",
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
        return CrowdTaskState(
            message=deps.say(
                said_drift(drift, _WOULD_RELOAD.format(id=task.task_id, joined="{joined}", left="{left}"))
                if drift
                else _WOULD_RELOAD_UNSEEN.format(id=task.task_id)
            ),
            next=deps.say(SAME_WITHOUT_DRY_RUN),
            result=task_row(task),
            dry_run=True,
            notes=notes(crowd, task.validity, now, deps),
            **_counts(drift),
        ).resting_on(task.stamp, drift)
    deps.still(task.stamp)
    loaded, drift = await deps.crowds.reload(task, on_progress=deps.report)
    crowd = await deps.crowds.crowd(project, task.crowd_id)
    return done(
        loaded,
        said_drift(drift, _RELOADED) if drift else _RELOADED_UNSEEN,
        _LOOK,
        deps,
        notes=notes(crowd, task.validity, now, deps),
        **_counts(drift),
    )


def _counts(drift: Drift | None) -> dict[str, int]:
    return {"joined": drift.joined, "left": drift.left} if drift else {}


# delete


class DeleteCrowdAnalysis(Params):
    """Arguments of delete_crowd_analysis."""

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
        what = about(task.crowd_name, task.crowd_id, task.users_num, task.validity)
        return CrowdTaskState(
            message=deps.say(sentence(_WOULD_DELETE.format(id=task.task_id), what)),
            next=deps.say(SAME_WITHOUT_DRY_RUN),
            result=task_row(task),
            dry_run=True,
        ).resting_on(task.stamp)
    deps.still(task.stamp)
    deleted = await deps.crowds.delete(task)
    return done(deleted, _DELETED, NOTHING, deps)


# list


class ListCrowdAnalyses(Params):
    """Arguments of list_crowd_analyses."""

    crowd_id: str = ""
    limit: Count = 20
    offset: Skipped = 0
    project_id: ProjectId = ""


class CrowdTaskList(PartlyTold):
    """Answer of list_crowd_analyses."""

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
    left = max(0, page.total - params.offset - len(page.items))
    more = _MORE.format(left=left, next=params.offset + params.limit) if left else NOTHING
    return CrowdTaskList(
        message=deps.say(page.note if any(page.note) else _TASKS.format(n=page.total, more=more)),
        next=deps.say(NOTHING if page.total or page.raw is not None else _CREATE_ONE),
        tasks=tuple(map(task_row, page.items)),
        total=page.total,
        left_out=left,
        raw=page.raw,
    )


_TASKS = Text("{n} crowd analysis task(s).{more}", "共 {n} 个人群分析任务。{more}")
_MORE = Text(" {left} more: offset {next}.", "另有 {left} 个：offset {next}。")
_CREATE_ONE = Text("Create one with create_crowd_analysis.", "可用 create_crowd_analysis 创建。")
