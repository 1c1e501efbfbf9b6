"""Operations that compute clusters and tags and export their users."""

from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from mcp_server.errors import NotRefreshable, Problem
from mcp_server.language.definitions import rows_to_read
from mcp_server.language.uploaded import Uploaded
from mcp_server.operations.arguments import ClusterRef, DryRun, ProjectId, Properties, WaitSeconds
from mcp_server.operations.definitions import property_problems, user_properties
from mcp_server.operations.operation import Deps, Effect, Params, Result, operation
from mcp_server.operations.results import (
    DESCRIBED,
    ClusterState,
    cluster_row,
    cluster_state,
    counted,
    filled,
    named,
    next_step,
    refuse,
    sentence,
    state_note,
)
from mcp_server.platforms.segments import read_after_change
from mcp_server.text import NOTHING, Text


class RefreshCluster(Params):
    cluster: ClusterRef
    wait_seconds: WaitSeconds = 20
    dry_run: DryRun = False
    project_id: ProjectId = ""


_UPLOADED = Text(
    "{named} is an uploaded list of ids; it stays as it was uploaded and is not computed again.",
    "{named}是上传的 ID 名单，以上传时为准，不会重新计算。",
)
_UPLOAD_AGAIN = Text(
    "To match the list with today's users, call replace_imported_ids with the same ids; to change it, with others.",
    "若要与当前用户重新匹配，请用同样的 ID 调用 replace_imported_ids；若要更换名单，请传入新的 ID。",
)
_WOULD_REFRESH = Text("Would refresh {noun} {named}", "将刷新{noun}{named}")
_COST = Text("about {n} event rows to read", "约需读取 {n} 行事件")
_TO_COMPUTE = Text("To compute it, call again without dry_run.", "如需计算，去掉 dry_run 再次调用。")
_STARTED = Text("Started the refresh of {noun} {named}", "已开始刷新{noun}{named}")
_REFRESHED = Text("Refreshed {noun} {named}", "已刷新{noun}{named}")


@operation(title=Text("Refresh a cluster", "刷新分群"), effect=Effect.TRIGGER)
async def refresh_cluster(params: RefreshCluster, deps: Deps) -> ClusterState:
    """Compute a cluster or tag again from today's data and wait for it. If it takes longer than wait_seconds it goes on in
    the background: ask get_refresh_progress. A second refresh joins the running one."""
    project = deps.project(params.project_id)
    cluster = await deps.segments.get(project, params.cluster)
    if isinstance(cluster.definition, Uploaded):
        raise NotRefreshable(_UPLOADED.format(named=named(cluster)), next_step=_UPLOAD_AGAIN)
    if params.dry_run:
        rows = rows_to_read(cluster.definition, await deps.segments.metadata(project))
        return ClusterState(
            message=deps.say(sentence(filled(_WOULD_REFRESH, cluster), _COST.format(n=f"{rows:,}"))),
            next=deps.say(_TO_COMPUTE),
            cluster=cluster_row(cluster, deps),
            dry_run=True,
        )
    done = await deps.segments.refresh(cluster, seconds=params.wait_seconds, on_progress=deps.report)
    message = _STARTED if any(done.unread) else _REFRESHED if done.progress == 100 else DESCRIBED
    return cluster_state(done, message, deps)


class GetRefreshProgress(Params):
    cluster: ClusterRef
    wait_seconds: WaitSeconds = 0
    project_id: ProjectId = ""


@operation(title=Text("See how far a refresh is", "查询刷新进度"), effect=Effect.READ)
async def get_refresh_progress(params: GetRefreshProgress, deps: Deps) -> ClusterState:
    """See how far the computation of a cluster or tag is: 100 done, 0-99 running, -1 failed with the reason. Give
    wait_seconds instead of asking again and again."""
    cluster = await deps.segments.get(deps.project(params.project_id), params.cluster)
    if params.wait_seconds:
        cluster = await deps.segments.wait(cluster, seconds=params.wait_seconds, on_progress=deps.report)
    return cluster_state(cluster, DESCRIBED, deps)


class ExportUsers(Params):
    cluster: ClusterRef
    format: Literal["csv", "parquet"] = "csv"
    properties: Properties = ()
    for_spreadsheet: Annotated[bool, Field(description="CSV for Excel: byte-order mark, formulas defused")] = False
    project_id: ProjectId = ""


class Exported(Result):
    path: str = Field(default="", description="Absolute path of the file")
    url: str = Field(default="", description="Over HTTP, instead of path: GET it with the same token")
    resource: str = Field(default="", description="Address for clients that read resources; not for the chat")
    rows: int
    size_bytes: int
    columns: tuple[str, ...]
    cluster_id: str
    refresh_time: str
    fresh: bool


_ONLY_CSV = Text("Only a CSV file can be made for spreadsheets.", "仅 CSV 文件可以适配电子表格。")
_NO_FILE = Text("no file was written", "未写出文件")
_WROTE = Text("Wrote {users} of {named} to {path}.", "已将{named}的 {users}写入 {path}。")
_OFFERED = Text(
    "Wrote {users} of {named}. The file is at {path}: GET it with the same access token.",
    "已导出{named}的 {users}。文件位于 {path}，请用同一访问令牌以 GET 方式获取。",
)
_NOTE = Text("Note: {note}.", "注意：{note}。")


@operation(title=Text("Export the users of a cluster", "导出分群用户"), effect=Effect.READ, hands_out=True)
async def export_users(params: ExportUsers, deps: Deps) -> Exported:
    """Write a cluster's users to a CSV or Parquet file on the server's machine and return its path: #user_id first,
    then a tag's value, then the user properties asked for. User lists never come back into the chat; hand the path on."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    problems = property_problems(params.properties, metadata)
    if params.for_spreadsheet and params.format != "csv":
        problems.append(Problem("/for_spreadsheet", "argument_value", _ONLY_CSV, "true", suggestion="false"))
    refuse(problems, _NO_FILE)
    cluster = await deps.segments.get(project, params.cluster)
    made = await deps.segments.export(
        cluster,
        file_format=params.format,
        properties=user_properties(params.properties, metadata),
        spreadsheet=params.for_spreadsheet,
        on_progress=deps.report,
    )
    after = await read_after_change(cluster, deps.segments.get(project, cluster.cluster_id))
    url = deps.files.offer(made.path, project) if deps.files else ""
    if not deps.files and deps.exports:
        deps.exports.offer(made.path, project, deps.caller.name)
    note = state_note(after)
    hint = _NOTE.format(note=note) if any(note) else NOTHING
    message = _OFFERED if url else _WROTE
    return Exported(
        message=deps.say(message.format(users=counted(made.rows), named=named(cluster), path=url or made.path)),
        next=deps.say(next_step(after) if any(after.unread) else hint),
        path="" if url else str(made.path),
        url=url,
        resource=f"fenqun://exports/{quote(made.path.name, safe='')}" if deps.exports or deps.files else "",
        rows=made.rows,
        size_bytes=made.size_bytes,
        columns=made.columns,
        cluster_id=after.cluster_id,
        refresh_time=after.refresh_time,
        fresh=after.fresh,
    )
