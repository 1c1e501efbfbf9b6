"""Tags: create and change. Everything else of theirs is served by the tools of clusters."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from mcp_server.effect import Effect
from mcp_server.operations.cluster_state import ClusterState
from mcp_server.operations.kinds import CLUSTERS, TAGS, not_of
from mcp_server.operations.operation import Deps, Params, operation
from mcp_server.operations.params import ClusterName, ClusterRef, DisplayName, DryRun, ProjectId, Remarks, TagDefinition
from mcp_server.operations.saving import Change, Wish, create, update
from mcp_server.text import Text


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
        Change(
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
