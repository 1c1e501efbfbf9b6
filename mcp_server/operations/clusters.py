"""Operations on clusters and tags: create, read, change, compute, export, delete, restore."""

from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from mcp_server.errors import InvalidArguments, InvalidDefinition, NotRefreshable, Problem
from mcp_server.language.definitions import explain_definition, rows_to_read
from mcp_server.language.metadata import Metadata
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest
from mcp_server.language.uploaded import Uploaded
from mcp_server.operations.arguments import (
    ClusterName,
    ClusterRef,
    DefinitionArgument,
    DisplayName,
    DryRun,
    Limit,
    Offset,
    ProjectId,
    Properties,
    Remarks,
    Search,
    TagDefinition,
    WaitSeconds,
)
from mcp_server.operations.definitions import brief, property_problems, user_properties
from mcp_server.operations.operation import Deps, Effect, Params, Result, operation
from mcp_server.operations.results import (
    ALL_TYPES,
    CLUSTERS,
    TAGS,
    USERS_CHANGE,
    ClusterRow,
    ClusterState,
    cluster_row,
    cluster_state,
    counted,
    kind_of,
    members,
    named_state,
    next_step,
    not_of,
    number,
    read_definition,
    sentence,
    standing_note,
)
from mcp_server.operations.saving import SAME_WITHOUT_DRY_RUN, ClusterUpdate, Wish, changes_between, create, update
from mcp_server.platforms.segments import Undo, read_after_change
from mcp_server.text import NOTHING, Text, listed

# Clusters: create, read, change, delete.


# create


class CreateCluster(Params):
    """Arguments of create_cluster."""

    cluster_name: ClusterName
    display_name: DisplayName
    cluster_type: Annotated[
        Literal[
            "cluster_by_static_condition",
            "cluster_by_dynamic_condition",
            "cluster_by_result",
            "cluster_by_static_sql",
            "cluster_by_dynamic_sql",
        ],
        BeforeValidator(not_of(TAGS)),
    ]
    qp: DefinitionArgument
    remarks: Remarks = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Create a cluster", "创建分群"), effect=Effect.CREATE)
async def create_cluster(params: CreateCluster, deps: Deps) -> ClusterState:
    """Save a definition as a cluster and compute it. Static: computed now and on refresh; dynamic: also follows each
    new day and new data; result: a fixed list from other clusters. Validate and preview first. The same name and
    definition again returns the existing cluster; with another definition it is refused."""
    return await create(
        Wish(
            CLUSTERS,
            params.cluster_name,
            params.display_name,
            params.cluster_type,
            params.qp,
            params.remarks,
            params.dry_run,
            deps.project(params.project_id),
        ),
        deps,
    )


# read


class GetCluster(Params):
    """Arguments of get_cluster."""

    cluster: ClusterRef
    project_id: ProjectId = ""


@operation(title=Text("Show a cluster", "查看分群"), effect=Effect.READ)
async def get_cluster(params: GetCluster, deps: Deps) -> ClusterState:
    """Show one cluster or tag: its definition in wire form and in words, its size, progress and freshness."""
    project = deps.project(params.project_id)
    found = await deps.segments.get(project, params.cluster)
    metadata = await deps.segments.metadata(project)
    return cluster_state(
        found,
        named_state(found),
        deps,
        definition=found.definition.wire(),
        explanation=deps.say(explain_definition(found.definition, metadata).summary),
    )


class ListClusters(Params):
    """Arguments of list_clusters."""

    search: Search = ""
    cluster_types: tuple[str, ...] = ()
    limit: Limit = 20
    offset: Offset = 0
    project_id: ProjectId = ""


class ClusterList(Result):
    """Answer of list_clusters."""

    clusters: tuple[ClusterRow, ...] = ()
    total: int
    left_out: int = 0


@operation(title=Text("List clusters", "列出分群"), effect=Effect.READ)
async def list_clusters(params: ListClusters, deps: Deps) -> ClusterList:
    """List the project's clusters and tags, newest first; search looks into names, display names and remarks."""
    _known_types(params.cluster_types)
    page = await deps.segments.search(
        deps.project(params.project_id),
        words=params.search,
        cluster_types=params.cluster_types,
        offset=params.offset,
        limit=params.limit,
    )
    left = max(0, page.total - params.offset - len(page.items))
    more = Text(" {left} more: offset {next}.", "另有 {left} 个：offset {next}。").format(
        left=left, next=params.offset + params.limit
    )
    return ClusterList(
        message=deps.say(
            Text("{n} cluster(s) and tag(s).{more}", "共 {n} 个分群和标签。{more}").format(
                n=page.total, more=more if left else NOTHING
            )
        ),
        next=deps.say(
            NOTHING
            if page.total
            else Text("Create one with create_cluster or create_tag.", "可用 create_cluster 或 create_tag 创建。")
        ),
        clusters=tuple(cluster_row(replace(c, remarks=brief(c.remarks)), deps) for c in page.items),
        total=page.total,
        left_out=left,
    )


def _known_types(types: tuple[str, ...]) -> None:
    wrong = [(i, t) for i, t in enumerate(types) if t not in ALL_TYPES]
    if not wrong:
        return
    expected = listed(ALL_TYPES)
    raise InvalidArguments(
        Text("Unknown types.", "未知的类型。"),
        next_step=Text("Mend them, or leave cluster_types out.", "请修正，或不带 cluster_types。"),
        problems=[
            finding(
                "cluster_type_unknown",
                f"/cluster_types/{i}",
                got=t,
                expected=expected,
                suggestion=nearest(t, ALL_TYPES),
            )
            for i, t in wrong
        ],
    )


# change


class UpdateCluster(Params):
    """Arguments of update_cluster."""

    cluster: ClusterRef
    display_name: str = ""
    qp: DefinitionArgument = None
    remarks: Remarks = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Change a cluster", "修改分群"), effect=Effect.REPLACE)
async def update_cluster(params: UpdateCluster, deps: Deps) -> ClusterState:
    """Change a cluster's display name, remarks ("-" removes them) or definition; what is left out stays as it is. A new
    definition replaces the old one and is computed at once. Use dry_run first and show the user what changes, in words
    and in size. The name and the type can't change."""
    return await update(
        ClusterUpdate(
            CLUSTERS,
            params.cluster,
            params.display_name,
            params.qp,
            params.remarks,
            params.dry_run,
            deps.project(params.project_id),
        ),
        deps,
    )


class DeleteCluster(Params):
    """Arguments of delete_cluster."""

    cluster: ClusterRef
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Delete a cluster", "删除分群"), effect=Effect.DELETE)
async def delete_cluster(params: DeleteCluster, deps: Deps) -> ClusterState:
    """Delete a cluster or tag, its members and its definition. Ask the user first, naming it and its size."""
    found = await deps.segments.get(deps.project(params.project_id), params.cluster)
    if params.dry_run:
        await deps.segments.check_delete(found)
        said = _WOULD_DELETE.format(noun=kind_of(found).noun, name=found.cluster_name, id=found.cluster_id)
        return ClusterState(
            message=deps.say(
                sentence(said, members(found)).then(_FOR_GOOD if deps.segments.name != "local" else NOTHING)
            ),
            next=deps.say(SAME_WITHOUT_DRY_RUN),
            cluster=cluster_row(found, deps),
            dry_run=True,
        ).with_basis(found.stamp)
    deps.check_unchanged(found.stamp)
    await deps.segments.delete(found)
    gone = Text("Deleted {noun} {name} (id {id}).", "已删除{noun} {name}（id {id}）。").format(
        noun=kind_of(found).noun, name=found.cluster_name, id=found.cluster_id
    )
    return ClusterState(message=deps.say(gone))


_FOR_GOOD = Text("The platform keeps nothing of it: this can't be undone.", "平台不会保留它，此操作无法撤销。")
_WOULD_DELETE = Text("Would delete {noun} {name} (id {id})", "将删除{noun} {name}（id {id}）")


# Tags: create and change. Everything else of theirs is served by the tools of clusters.


class CreateTag(Params):
    """Arguments of create_tag."""

    cluster_name: ClusterName
    display_name: DisplayName
    cluster_type: Annotated[
        Literal["tag_by_static_condition", "tag_by_dynamic_condition", "tag_by_static_sql", "tag_by_dynamic_sql"],
        BeforeValidator(not_of(CLUSTERS)),
    ]
    tag_qp: TagDefinition
    remarks: Remarks = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Create a tag", "创建标签"), effect=Effect.CREATE)
async def create_tag(params: CreateTag, deps: Deps) -> ClusterState:
    """Save a definition that gives each user at most one value, and compute it: custom values, a property of the
    first or last event, or a measure. A tag can then be a condition by its value. Names are shared with clusters,
    types work as there; a dynamic tag keeps one version per day. get, list, refresh, export and delete it with the
    tools for clusters."""
    return await create(
        Wish(
            kind=TAGS,
            cluster_name=params.cluster_name,
            display_name=params.display_name,
            cluster_type=params.cluster_type,
            raw=params.tag_qp,
            remarks=params.remarks,
            dry_run=params.dry_run,
            project=deps.project(params.project_id),
        ),
        deps,
    )


class UpdateTag(Params):
    """Arguments of update_tag."""

    cluster: ClusterRef
    display_name: str = ""
    tag_qp: TagDefinition = None
    remarks: Remarks = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Change a tag", "修改标签"), effect=Effect.REPLACE)
async def update_tag(params: UpdateTag, deps: Deps) -> ClusterState:
    """Change a tag's display name, remarks or definition, as update_cluster does for a cluster: use dry_run first and
    show the user what changes."""
    return await update(
        ClusterUpdate(
            kind=TAGS,
            cluster=params.cluster,
            display_name=params.display_name,
            raw=params.tag_qp,
            remarks=params.remarks,
            dry_run=params.dry_run,
            project=deps.project(params.project_id),
        ),
        deps,
    )


# Computing clusters, and handing their users on.


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
        rows = rows_to_read(found.definition, metadata)
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
    resource: str = Field(default="", description="Address for clients that read resources; not for the chat")
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
    after = await read_after_change(found, deps.segments.get(project, found.cluster_id))
    url = deps.files.offer(made.path, project) if deps.files else ""
    if not deps.files and deps.exports:
        deps.exports.offer(made.path, project, deps.caller.name)
    said = _OFFERED if url else _WROTE
    note = standing_note(after)
    hint = Text("Note: {note}.", "注意：{note}。").format(note=note) if any(note) else NOTHING
    return Exported(
        message=deps.say(said.format(users=counted(made.rows), name=found.cluster_name, path=url or made.path)),
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


# Undoing the last update or deletion of a cluster or tag.


_WOULD_UNDELETE = Text(
    "Would restore {noun} {name} (id {id}), deleted at {at}", "将恢复{noun} {name}（id {id}，删除于 {at}）"
)
_WOULD_REVERT = Text(
    "Would restore {noun} {name} (id {id}) as it was before its change at {at}",
    "将把{noun} {name}（id {id}）恢复到 {at} 修改之前",
)
_RESTORED = Text("Restored {noun} {name} (id {id})", "已恢复{noun} {name}（id {id}）")
_LOOP = Text(
    "{name} can't be restored: by now it would rest on itself. Nothing was changed.",
    "无法恢复 {name}：恢复后它将依赖于自身。未做任何更改。",
)


class RestoreCluster(Params):
    """Arguments of restore_cluster."""

    cluster: ClusterRef
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Undo a change or deletion", "撤销修改或删除"), effect=Effect.REPLACE, idempotent=False)
async def restore_cluster(params: RestoreCluster, deps: Deps) -> ClusterState:
    """Undo the last update or delete of a cluster or tag: same id, members as before; for 30 days."""
    project = deps.project(params.project_id)
    undo = await deps.segments.undoable(project, params.cluster)
    await _no_loop(undo, deps)
    metadata = await deps.segments.metadata(project)
    changes = () if undo.kind == "delete" else tuple(map(deps.say, changes_between(undo.now, undo.before, metadata)))
    if params.dry_run:
        return _would_restore(undo, changes, deps)
    deps.check_unchanged(undo.now.stamp)
    done = await deps.segments.restore(undo)
    before = None if undo.kind == "delete" else undo.now.users_num
    return cluster_state(done, _RESTORED, deps, changes=changes, users_num_before=before)


def _would_restore(undo: Undo, changes: tuple[str, ...], deps: Deps) -> ClusterState:
    old, new = undo.now.users_num, undo.before.users_num
    deleted = undo.kind == "delete"
    named = {"noun": kind_of(undo.now).noun, "name": undo.now.cluster_name, "id": undo.now.cluster_id, "at": undo.at}
    if deleted:
        sized = NOTHING if new is None else counted(new)
    else:
        sized = USERS_CHANGE.format(before=number(old), after=number(new)) if old != new else NOTHING
    return ClusterState(
        message=deps.say(sentence((_WOULD_UNDELETE if deleted else _WOULD_REVERT).format(**named), sized)),
        next=deps.say(SAME_WITHOUT_DRY_RUN),
        cluster=cluster_row(undo.before, deps),
        dry_run=True,
        changes=changes,
        users_num_before=None if deleted else old,
        users_num_after=new,
    ).with_basis(undo.now.stamp, *changes)


async def _no_loop(undo: Undo, deps: Deps) -> None:
    """What it rested on may rest on it by now. Other problems of an old definition are no reason not to give it back."""
    metadata = await deps.segments.metadata(undo.now.project_id)
    reading = await read_definition(
        undo.before.definition.wire(), metadata, deps, kind=kind_of(undo.before), own=undo.before.cluster_name
    )
    loops = [p for p in reading.problems if p.code == "cluster_cycle"]
    if loops:
        raise InvalidDefinition(_LOOP.format(name=undo.now.cluster_name), problems=loops)
