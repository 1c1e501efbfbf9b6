"""Clusters: create, read, change, delete."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator

from mcp_server.effect import Effect
from mcp_server.errors import InvalidArguments
from mcp_server.operations.cluster_state import (
    ClusterRow,
    ClusterState,
    cluster_row,
    cluster_state,
    members,
    named_state,
    sentence,
)
from mcp_server.operations.kinds import ALL_TYPES, CLUSTERS, TAGS, kind_of, not_of
from mcp_server.operations.operation import Deps, Params, Result, operation
from mcp_server.operations.params import (
    ClusterName,
    ClusterRef,
    Definition,
    DisplayName,
    DryRun,
    Limit,
    Offset,
    ProjectId,
    Remarks,
    Search,
)
from mcp_server.operations.saving import SAME_WITHOUT_DRY_RUN, Change, Wish, create, update
from mcp_server.operations.tag_values import brief
from mcp_server.qp.either import explain_any
from mcp_server.qp.problems import finding
from mcp_server.qp.suggest import nearest
from mcp_server.text import NOTHING, Text, listed

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
    qp: Definition
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
        explanation=deps.say(explain_any(found.definition, metadata).summary),
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
    qp: Definition = None
    remarks: Remarks = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Change a cluster", "修改分群"), effect=Effect.REPLACE)
async def update_cluster(params: UpdateCluster, deps: Deps) -> ClusterState:
    """Change a cluster's display name, remarks ("-" removes them) or definition; what is left out stays as it is. A new
    definition replaces the old one and is computed at once. Use dry_run first and show the user what changes, in words
    and in size. The name and the type can't change."""
    return await update(
        Change(
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
        ).resting_on(found.stamp)
    deps.still(found.stamp)
    await deps.segments.delete(found)
    gone = Text("Deleted {noun} {name} (id {id}).", "已删除{noun} {name}（id {id}）。").format(
        noun=kind_of(found).noun, name=found.cluster_name, id=found.cluster_id
    )
    return ClusterState(message=deps.say(gone))


_FOR_GOOD = Text("The platform keeps nothing of it: this can't be undone.", "平台不会保留它，此操作无法撤销。")
_WOULD_DELETE = Text("Would delete {noun} {name} (id {id})", "将删除{noun} {name}（id {id}）")
