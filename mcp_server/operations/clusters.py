"""Clusters: create, read, change, delete."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from mcp_server.effect import Effect
from mcp_server.errors import InvalidArguments, NameTaken
from mcp_server.operations.cluster_state import (
    ClusterRow,
    ClusterState,
    cluster_row,
    cluster_state,
    counted,
    members,
    sentence,
)
from mcp_server.operations.definitions import all_good, share
from mcp_server.operations.findings import problem_rows, read_definition, repair_rows
from mcp_server.operations.operation import Deps, Params, Result, operation
from mcp_server.operations.params import (
    ClusterRef,
    Definition,
    DryRun,
    Limit,
    Offset,
    ProjectId,
    Search,
)
from mcp_server.platforms.ports import Cluster, ClusterChanges, ClusterDraft
from mcp_server.qp.check import Reading
from mcp_server.qp.compare import compare
from mcp_server.qp.explain import explain
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import Qp, meaning_hash, normalised
from mcp_server.qp.names import display_name_findings, name_findings
from mcp_server.qp.problems import finding
from mcp_server.qp.suggest import nearest
from mcp_server.text import NOTHING, Text

CONDITION_TYPES = ("cluster_by_static_condition", "cluster_by_dynamic_condition")
SHORT_WAIT = 5.0
"""Seconds that a create or update waits for its first result, so that a quick one is answered at once."""


# create


class CreateCluster(Params):
    """Arguments of create_cluster."""

    cluster_name: Annotated[str, Field(description="Letter, then letters, digits, _; at most 24")]
    display_name: Annotated[str, Field(description="At most 50 characters, any language")]
    cluster_type: Literal["cluster_by_static_condition", "cluster_by_dynamic_condition"]
    qp: Definition
    remarks: str = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Create a cluster", "创建分群"), effect=Effect.CREATE)
async def create_cluster(params: CreateCluster, deps: Deps) -> ClusterState:
    """Save a definition as a cluster and compute it. Static: computed now and on refresh; dynamic: also follows each
    new day and new data. Validate and preview first. Calling again with the same name and definition returns the
    existing cluster; the same name with another definition is refused."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    reading = await read_definition(params.qp, metadata, deps)
    definition = all_good(
        reading,
        [*name_findings(params.cluster_name, deps.limits), *display_name_findings(params.display_name, deps.limits)],
    )
    taken = await deps.segments.find_name(project, params.cluster_name)
    if taken:
        return _existing(taken, params, reading, metadata, deps)
    if params.dry_run:
        return await _would_create(params, reading, definition, metadata, deps)
    draft = ClusterDraft(params.cluster_name, params.display_name, params.cluster_type, definition, params.remarks)
    try:
        made = await deps.segments.create(project, draft)
    except NameTaken:  # somebody else was quicker: it is theirs, or it is the same
        return _existing(await deps.segments.get(project, params.cluster_name), params, reading, metadata, deps)
    made = await deps.segments.wait(made, seconds=SHORT_WAIT, on_progress=deps.report)
    return cluster_state(made, _CREATED, deps, warnings=reading.warnings, repairs=reading.repairs)


_CREATED = Text("Created cluster {name} (id {id})", "已创建分群 {name}（id {id}）")
_EXISTS = Text(
    "Cluster {name} (id {id}) exists already with this definition; nothing was created",
    "分群 {name}（id {id}）已存在且定义相同；未重复创建",
)
_WOULD_CREATE = Text("Would create cluster {name}", "将创建分群 {name}")
_OTHER = Text(
    "The name {name} is taken by a cluster with another definition (id {id}). Different: {differences}.",
    "名称 {name} 已被另一个定义的分群占用（id {id}）。不同之处：{differences}。",
)
_OTHER_NEXT = Text(
    "Choose another cluster_name, or change the existing cluster with update_cluster.",
    "请另取 cluster_name，或用 update_cluster 修改现有分群。",
)
_TYPE_DIFFERS = Text("its type is {type}", "其类型为 {type}")


def _existing(taken: Cluster, params: CreateCluster, reading: Reading, metadata: Metadata, deps: Deps) -> ClusterState:
    """The cluster that has the name already, if it is the one that was asked for. NameTaken otherwise."""
    differences = list(compare(taken.definition, reading.must(), metadata))
    if taken.cluster_type != params.cluster_type:
        differences.insert(0, _TYPE_DIFFERS.format(type=taken.cluster_type))
    if differences:
        said = _OTHER.format(name=taken.cluster_name, id=taken.cluster_id, differences=_in_a_row(differences))
        raise NameTaken(said, next_step=_OTHER_NEXT)
    return cluster_state(
        taken,
        _EXISTS,
        deps,
        warnings=reading.warnings,
        repairs=reading.repairs,
        existed=True,
        dry_run=params.dry_run,
    )


def _in_a_row(differences: Sequence[Text]) -> Text:
    """Clauses that hold commas of their own."""
    return Text("; ".join(d.en for d in differences), "；".join(d.zh for d in differences))


async def _would_create(
    params: CreateCluster, reading: Reading, definition: Qp, metadata: Metadata, deps: Deps
) -> ClusterState:
    size = await _size(definition, deps.project(params.project_id), deps)
    return ClusterState(
        message=deps.say(sentence(_WOULD_CREATE.format(name=params.cluster_name), _shared(size, metadata))),
        next=deps.say(_SAME_WITHOUT_DRY_RUN),
        dry_run=True,
        warnings=problem_rows(reading.warnings, deps),
        repairs=repair_rows(reading.repairs, deps),
        explanation=deps.say(explain(definition, metadata).summary),
        users_num_after=size,
    )


def _shared(size: int, metadata: Metadata) -> Text:
    return Text("{users} ({share})", "{users}（{share}）").format(
        users=counted(size), share=share(size, metadata.users)
    )


async def _size(definition: Qp, project: str, deps: Deps) -> int:
    seen = await deps.segments.preview(
        project, definition, sample=0, properties=(), want_sql=False, on_progress=deps.report
    )
    return seen.users_num


# read


class GetCluster(Params):
    """Arguments of get_cluster."""

    cluster: ClusterRef
    project_id: ProjectId = ""


@operation(title=Text("Show a cluster", "查看分群"), effect=Effect.READ)
async def get_cluster(params: GetCluster, deps: Deps) -> ClusterState:
    """Show one cluster: its definition in wire form and in words, its size, progress and freshness."""
    project = deps.project(params.project_id)
    found = await deps.segments.get(project, params.cluster)
    metadata = await deps.segments.metadata(project)
    return cluster_state(
        found,
        Text("Cluster {name} (id {id})", "分群 {name}（id {id}）"),
        deps,
        definition=normalised(found.definition),
        explanation=deps.say(explain(found.definition, metadata).summary),
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
    """List the project's clusters, newest first; search looks into names, display names and remarks."""
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
            Text("{n} cluster(s).{more}", "共 {n} 个分群。{more}").format(n=page.total, more=more if left else NOTHING)
        ),
        next=deps.say(NOTHING if page.total else Text("Create one with create_cluster.", "可用 create_cluster 创建。")),
        clusters=tuple(cluster_row(c, deps) for c in page.items),
        total=page.total,
        left_out=left,
    )


def _known_types(types: tuple[str, ...]) -> None:
    expected = ", ".join(CONDITION_TYPES)
    problems = [
        finding(
            "cluster_type_unknown",
            f"/cluster_types/{i}",
            got=t,
            expected=expected,
            suggestion=nearest(t, CONDITION_TYPES),
        )
        for i, t in enumerate(types)
        if t not in CONDITION_TYPES
    ]
    if problems:
        raise InvalidArguments(
            Text("Unknown cluster types.", "未知的分群类型。"),
            next_step=Text("Mend them, or leave cluster_types out.", "请修正，或不带 cluster_types。"),
            problems=problems,
        )


# change


class UpdateCluster(Params):
    """Arguments of update_cluster."""

    cluster: ClusterRef
    display_name: str = ""
    qp: Definition = None
    remarks: str = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Change a cluster", "修改分群"), effect=Effect.REPLACE)
async def update_cluster(params: UpdateCluster, deps: Deps) -> ClusterState:
    """Change a cluster's display name, remarks or definition; what is left out stays as it is. A new definition
    replaces the old one and is computed at once. Use dry_run first and show the user what changes, in words and in
    size. The name and the type can't change."""
    project = deps.project(params.project_id)
    found = await deps.segments.get(project, params.cluster)
    metadata = await deps.segments.metadata(project)
    reading = await read_definition(params.qp, metadata, deps) if params.qp is not None else None
    definition = _checked_update(params, reading, deps)
    changes = _changes(found, params, definition, metadata)
    read: dict[str, Any] = {"warnings": reading.warnings, "repairs": reading.repairs} if reading else {}
    if not changes:
        return cluster_state(found, _UNCHANGED, deps, **read, dry_run=params.dry_run)
    said = tuple(deps.say(change) for change in changes)
    if params.dry_run:
        return await _would_update(found, reading, metadata, said, deps)
    done = await deps.segments.update(
        found, ClusterChanges(params.display_name or None, definition, params.remarks or None)
    )
    if definition is not None:
        done = await deps.segments.wait(done, seconds=SHORT_WAIT, on_progress=deps.report)
    return cluster_state(
        done,
        _UPDATED,
        deps,
        **read,
        changes=said,
        users_num_before=found.users_num,
    )


_UNCHANGED = Text(
    "Nothing to change: cluster {name} (id {id}) is like that already", "无需更改：分群 {name}（id {id}）已是如此"
)
_UPDATED = Text("Changed cluster {name} (id {id})", "已修改分群 {name}（id {id}）")
_WOULD_UPDATE = Text("Would change cluster {name}", "将修改分群 {name}")
_SAME_WITHOUT_DRY_RUN = Text("If the user agrees, call again without dry_run.", "若用户同意，去掉 dry_run 再次调用。")


def _checked_update(params: UpdateCluster, reading: Reading | None, deps: Deps) -> Qp | None:
    found = [*display_name_findings(params.display_name, deps.limits)] if params.display_name else []
    if reading is not None:
        return all_good(reading, found)
    if found:
        raise InvalidArguments(
            Text("The display name can't be used; nothing was changed.", "显示名称不可用；未做任何更改。"),
            next_step=Text("Choose another one and call again.", "请换一个后重新调用。"),
            problems=found,
        )
    return None


def _changes(found: Cluster, params: UpdateCluster, definition: Qp | None, metadata: Metadata) -> list[Text]:
    """What an update changes, in words."""
    changes = list(compare(found.definition, definition, metadata)) if definition else []
    for name, old, new in (
        (Text("display name", "显示名称"), found.display_name, params.display_name),
        (Text("remarks", "备注"), found.remarks, params.remarks),
    ):
        if new and new != old:
            changes.append(
                Text("{name}: {old} → {new}", "{name}：{old} → {new}").format(name=name, old=old or "–", new=new)
            )
    return changes


async def _would_update(
    found: Cluster, reading: Reading | None, metadata: Metadata, changes: tuple[str, ...], deps: Deps
) -> ClusterState:
    sized, before, after = NOTHING, None, None
    if reading and meaning_hash(reading.must()) != meaning_hash(found.definition):
        before = await _size_now(found, metadata, deps)
        after = await _size(reading.must(), found.project_id, deps)
        sized = Text("users: {before} → {after}", "人数：{before} → {after}").format(
            before=_FITS_NO_MORE if before is None else f"{before:,}", after=f"{after:,}"
        )
    return ClusterState(
        message=deps.say(sentence(_WOULD_UPDATE.format(name=found.cluster_name), sized)),
        next=deps.say(_SAME_WITHOUT_DRY_RUN),
        cluster=cluster_row(found, deps),
        dry_run=True,
        changes=changes,
        warnings=problem_rows(reading.warnings if reading else (), deps),
        repairs=repair_rows(reading.repairs if reading else (), deps),
        users_num_before=before,
        users_num_after=after,
    )


_FITS_NO_MORE = Text("unknown (the old definition does not fit the data any more)", "未知（旧定义与现有数据不再相符）")


async def _size_now(found: Cluster, metadata: Metadata, deps: Deps) -> int | None:
    """What the saved definition selects now; None where the data no longer has what it names."""
    reading = await read_definition(normalised(found.definition), metadata, deps)
    return await _size(reading.definition, found.project_id, deps) if reading.definition else None


class DeleteCluster(Params):
    """Arguments of delete_cluster."""

    cluster: ClusterRef
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Delete a cluster", "删除分群"), effect=Effect.DELETE)
async def delete_cluster(params: DeleteCluster, deps: Deps) -> ClusterState:
    """Delete a cluster, its members and its definition. Ask the user first, naming the cluster and its size."""
    found = await deps.segments.get(deps.project(params.project_id), params.cluster)
    if params.dry_run:
        said = _WOULD_DELETE.format(name=found.cluster_name, id=found.cluster_id)
        return ClusterState(
            message=deps.say(sentence(said, members(found))),
            next=deps.say(_SAME_WITHOUT_DRY_RUN),
            cluster=cluster_row(found, deps),
            dry_run=True,
        )
    await deps.segments.delete(found)
    gone = Text("Deleted cluster {name} (id {id}).", "已删除分群 {name}（id {id}）。").format(
        name=found.cluster_name, id=found.cluster_id
    )
    return ClusterState(message=deps.say(gone))


_WOULD_DELETE = Text("Would delete cluster {name} (id {id})", "将删除分群 {name}（id {id}）")
