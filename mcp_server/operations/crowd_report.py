"""What a crowd analysis task found out, told briefly: a chat has no room for more than what stands out."""

from collections.abc import Iterator

from pydantic import Field

from mcp_server.effect import Effect
from mcp_server.operations.cluster_state import counted, sentence
from mcp_server.operations.crowd_state import OK, STATES, CrowdTaskRow, RawAnswer, about, said_drift, task_row
from mcp_server.operations.definitions import share
from mcp_server.operations.operation import Deps, Params, PartlyTold, Result, operation
from mcp_server.operations.params import ProjectId
from mcp_server.platforms.crowd_port import CrowdAnalysis, CrowdTask, Raw, Share
from mcp_server.text import NOTHING, Text, same

BEIJING_ZONES = ("", "Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "PRC")


class GetCrowdAnalysis(Params):
    """Arguments of get_crowd_analysis."""

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


class CrowdReport(PartlyTold):
    """Answer of get_crowd_analysis."""

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
    found = await deps.crowds.analysis(task, on_progress=deps.report)
    if found.raw is not None:
        return _as_it_came(task, found.raw, deps)
    crowd = await deps.crowds.crowd(task.project_id, task.crowd_id)
    since = found.since
    return CrowdReport(
        message=deps.say(_message(task, found)),
        next=deps.say(_next(task, found)),
        result=task_row(task),
        code=OK,
        msg="OK",
        success=True,
        all_users=found.all_users,
        profile=tuple(_share_row(one, found, deps) for one in found.shares),
        unit=found.unit if found.activity else "",
        activity=tuple(ActivityRow(day=s.day, events=s.events, active_users=s.active_users) for s in found.activity),
        activity_left_out=found.stretches_left_out,
        events=found.events,
        active_users=found.active_users,
        joined=since.joined if since else None,
        left=since.left if since else None,
        notes=tuple(deps.say(note) for note in (*_notes(task, found), crowd.note) if any(note)),
    )


_RAW = Text(
    "The platform's report stands under raw as it came: its form is not documented.",
    "平台的报告原样放在 raw 中：其格式没有公开文档。",
)


def _as_it_came(task: CrowdTask, raw: Raw, deps: Deps) -> CrowdReport:
    named = _TASK.format(id=task.task_id, state=STATES[task.state]) if task.state else same(task.task_id)
    said = sentence(named, about(task.crowd_name, task.crowd_id, task.users_num, task.validity))
    return CrowdReport(
        message=deps.say(said.then(_RAW)), result=task_row(task), code=OK, msg="OK", success=True, raw=dict(raw)
    )


def _share_row(one: Share, found: CrowdAnalysis, deps: Deps) -> ShareRow:
    own, everybody = one.users / found.users, one.all_users / found.all_users
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
    "No data lies in the validity (the data: {first} to {last}).", "有效期内没有数据（数据范围：{first} 至 {last}）。"
)
_NO_EVENTS = Text("There are no events.", "没有事件数据。")


def _message(task: CrowdTask, found: CrowdAnalysis) -> Text:
    named = _TASK.format(id=task.task_id, state=STATES[task.state]) if task.state else same(task.task_id)
    first = sentence(named, about(task.crowd_name, task.crowd_id, task.users_num, task.validity))
    size = _OF_ALL.format(share=share(found.users, found.all_users), all=f"{found.all_users:,}")
    return first.then(size).then(_activity(found))


def _activity(found: CrowdAnalysis) -> Text:
    if found.activity:
        return _ACTIVE.format(
            active=counted(found.active_users),
            share=share(found.active_users, found.users),
            events=Text("1 event" if found.events == 1 else f"{found.events:,} events", f"{found.events:,} 次事件"),
        )
    return _NO_DATA.format(first=found.data_from, last=found.data_to) if found.data_from else _NO_EVENTS


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


def _notes(task: CrowdTask, found: CrowdAnalysis) -> Iterator[Text]:
    """What has to be known to read the numbers rightly."""
    if task.users_num is not None and task.users_num > found.users:
        yield _GONE.format(n=counted(task.users_num - found.users))
    if found.fewest:
        yield (_FOLDED if found.shares else _TOO_FEW).format(fewest=found.fewest, most=found.most_values)
    if found.shares and found.properties_left_out:
        yield _PROPERTIES.format(n=found.properties_left_out)
    if found.activity:
        yield from _about_days(task, found)
    if found.last_reload:
        yield said_drift(found.last_reload, _LAST_RELOAD)
    if found.since and (found.since.joined or found.since.left):
        yield said_drift(found.since, _SINCE)


def _about_days(task: CrowdTask, found: CrowdAnalysis) -> Iterator[Text]:
    if found.unit == "week":
        yield _WEEKS
    if found.stretches_left_out:
        yield _EARLIER.format(n=found.stretches_left_out)
    if found.zone not in BEIJING_ZONES:
        yield _ZONE.format(zone=found.zone)
    if task.validity and found.data_to < task.validity.end.date().isoformat():
        yield _DATA_ENDS.format(day=found.data_to)


_RELOAD = Text("reload_crowd_analysis loads the crowd as it is now.", "可用 reload_crowd_analysis 加载人群的现状。")


def _next(task: CrowdTask, found: CrowdAnalysis) -> Text:
    changed = found.since and (found.since.joined or found.since.left)
    return _RELOAD if changed and task.state != "ended" else NOTHING
