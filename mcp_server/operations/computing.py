"""Computing clusters, and handing their users on."""

from typing import Annotated, Literal

from pydantic import Field

from mcp_server.effect import Effect
from mcp_server.errors import InvalidArguments, NotRefreshable, Problem
from mcp_server.operations.cluster_state import (
    ClusterState,
    cluster_row,
    cluster_state,
    counted,
    named_state,
    next_step,
    sentence,
    standing_note,
)
from mcp_server.operations.definitions import property_problems, user_properties
from mcp_server.operations.kinds import kind_of
from mcp_server.operations.operation import Deps, Params, Result, operation
from mcp_server.operations.params import ClusterRef, DryRun, ProjectId, Properties, WaitSeconds
from mcp_server.platforms.ports import as_it_stands
from mcp_server.qp.either import rows_any
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.uploaded import Uploaded
from mcp_server.text import NOTHING, Text


class RefreshCluster(Params):
    """Arguments of refresh_cluster."""

    cluster: ClusterRef
    wait_seconds: WaitSeconds = 20
    dry_run: DryRun = False
    project_id: ProjectId = ""


_UPLOADED = Text(
    "{name} is an uploaded list of ids; it stays as it was uploaded and is not computed again.",
    "{name} 是上传的 ID 名单，以上传时为准，不会重新计算。",
)
_UPLOAD_AGAIN = Text(
    "To match the list with today's users, call replace_imported_ids with the same ids; to change it, with others.",
    "若要与当前用户重新匹配，请用同样的 ID 调用 replace_imported_ids；若要更换名单，请传入新的 ID。",
)


@operation(title=Text("Refresh a cluster", "刷新分群"), effect=Effect.TRIGGER)
async def refresh_cluster(params: RefreshCluster, deps: Deps) -> ClusterState:
    """Compute a cluster or tag again from today's data and wait for it. If it takes longer than wait_seconds it goes on in
    the background: ask get_refresh_progress. A second refresh joins the running one."""
    project = deps.project(params.project_id)
    found = await deps.segments.get(project, params.cluster)
    if isinstance(found.definition, Uploaded):
        raise NotRefreshable(_UPLOADED.format(name=found.cluster_name), next_step=_UPLOAD_AGAIN)
    if params.dry_run:
        metadata = await deps.segments.metadata(project)
        rows = rows_any(found.definition, metadata)
        cost = Text("about {n} event rows to read", "约需读取 {n} 行事件").format(n=f"{rows:,}")
        said = Text("Would refresh {noun} {name}", "将刷新{noun} {name}").format(
            noun=kind_of(found).noun, name=found.cluster_name
        )
        return ClusterState(
            message=deps.say(sentence(said, cost)),
            next=deps.say(Text("To compute it, call again without dry_run.", "如需计算，去掉 dry_run 再次调用。")),
            cluster=cluster_row(found, deps),
            dry_run=True,
        )
    done = await deps.segments.refresh(found, seconds=params.wait_seconds, on_progress=deps.report)
    said = _ASKED if any(done.unread) else _REFRESHED if done.progress == 100 else named_state(done)
    return cluster_state(done, said, deps)


class GetRefreshProgress(Params):
    """Arguments of get_refresh_progress."""

    cluster: ClusterRef
    wait_seconds: WaitSeconds = 0
    project_id: ProjectId = ""


@operation(title=Text("See how far a refresh is", "查询刷新进度"), effect=Effect.READ)
async def get_refresh_progress(params: GetRefreshProgress, deps: Deps) -> ClusterState:
    """See how far the computation of a cluster or tag is: 100 done, 0-99 running, -1 failed with the reason. Give
    wait_seconds instead of asking again and again."""
    found = await deps.segments.get(deps.project(params.project_id), params.cluster)
    if params.wait_seconds:
        found = await deps.segments.wait(found, seconds=params.wait_seconds, on_progress=deps.report)
    return cluster_state(found, named_state(found), deps)


_ASKED = Text("Started the refresh of {noun} {name} (id {id})", "已开始刷新{noun} {name}（id {id}）")
_REFRESHED = Text("Refreshed {noun} {name} (id {id})", "已刷新{noun} {name}（id {id}）")


class ExportUsers(Params):
    """Arguments of export_users."""

    cluster: ClusterRef
    format: Literal["csv", "parquet"] = "csv"
    properties: Properties = ()
    for_spreadsheet: Annotated[bool, Field(description="CSV for Excel: byte-order mark, formulas defused")] = False
    project_id: ProjectId = ""


_ONLY_CSV = Text("Only a CSV file can be made for spreadsheets.", "仅 CSV 文件可以适配电子表格。")


def _can_be_exported(params: ExportUsers, metadata: Metadata) -> None:
    """Raise InvalidArguments with everything that stands in the way of a file."""
    problems = property_problems(params.properties, metadata)
    if params.for_spreadsheet and params.format != "csv":
        problems.append(Problem("/for_spreadsheet", "argument_value", _ONLY_CSV, "true", suggestion="false"))
    if problems:
        raise InvalidArguments(
            Text("{n} problem(s); no file was written.", "有 {n} 处问题；未写出文件。").format(n=len(problems)),
            next_step=Text("Mend them all and call again.", "请全部修正后重新调用。"),
            problems=problems,
        )


_WROTE = Text("Wrote {users} of {name} to {path}.", "已将 {name} 的 {users}写入 {path}。")
_OFFERED = Text(
    "Wrote {users} of {name}. The file is at {path}: GET it with the same access token.",
    "已导出 {name} 的 {users}。文件位于 {path}，请用同一访问令牌以 GET 方式获取。",
)


class Exported(Result):
    """Answer of export_users."""

    path: str = Field(default="", description="Absolute path of the file")
    url: str = Field(default="", description="Over HTTP, instead of path: GET it with the same token")
    rows: int
    size_bytes: int
    columns: tuple[str, ...]
    cluster_id: str
    refresh_time: str
    fresh: bool


@operation(title=Text("Export the users of a cluster", "导出分群用户"), effect=Effect.READ, hands_out=True)
async def export_users(params: ExportUsers, deps: Deps) -> Exported:
    """Write a cluster's users to a CSV or Parquet file on the server's machine and return its path: #user_id first,
    then a tag's value, then the user properties asked for. User lists never come back into the chat; hand the path on."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    _can_be_exported(params, metadata)
    properties = user_properties(params.properties, metadata)
    found = await deps.segments.get(project, params.cluster)
    made = await deps.segments.export(
        found,
        file_format=params.format,
        properties=properties,
        spreadsheet=params.for_spreadsheet,
        on_progress=deps.report,
    )
    after = await as_it_stands(found, deps.segments.get(project, found.cluster_id))
    url = deps.files.offer(made.path, project) if deps.files else ""
    if not deps.files and deps.exports:
        deps.exports.offer(made.path, project, deps.who.name)
    said = _OFFERED if url else _WROTE
    note = standing_note(after)
    hint = Text("Note: {note}.", "注意：{note}。").format(note=note) if any(note) else NOTHING
    return Exported(
        message=deps.say(said.format(users=counted(made.rows), name=found.cluster_name, path=url or made.path)),
        next=deps.say(next_step(after) if any(after.unread) else hint),
        path="" if url else str(made.path),
        url=url,
        rows=made.rows,
        size_bytes=made.size_bytes,
        columns=made.columns,
        cluster_id=after.cluster_id,
        refresh_time=after.refresh_time,
        fresh=after.fresh,
    )
