"""Operations on clusters and tags: create, show, list, change, delete, restore. (Computing and exporting: `computing.py`.)"""

import logging
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from mcp_server.errors import (
    InvalidArguments,
    InvalidDefinition,
    NameTaken,
    NotOnPlatform,
    Problem,
    QueryFailed,
    Repair,
    VendorDenied,
    VendorRejected,
    VendorUnreadable,
)
from mcp_server.language.definitions import (
    AnyReading,
    Definition,
    compare_definitions,
    explain_definition,
    meaning_hash,
    value_type_of,
)
from mcp_server.language.metadata import Metadata
from mcp_server.language.names import display_name_findings, name_findings, name_from
from mcp_server.language.problems import finding
from mcp_server.language.reading.document import says_nothing
from mcp_server.language.reading.shape import TYPE_NAMES
from mcp_server.language.suggest import nearest
from mcp_server.operations.arguments import (
    CLEAR,
    ClusterName,
    ClusterRef,
    DefinitionArgument,
    DisplayName,
    DryRun,
    Limit,
    Offset,
    ProjectId,
    Remarks,
    Search,
    TagDefinition,
)
from mcp_server.operations.definitions import selects_nobody
from mcp_server.operations.operation import Deps, Effect, Params, Result, operation
from mcp_server.operations.results import (
    ALL_TYPES,
    CLUSTERS,
    DESCRIBED,
    RESULT,
    SAME_WITHOUT_DRY_RUN,
    TAGS,
    USERS_CHANGE,
    ClusterRow,
    ClusterState,
    SegmentKind,
    brief,
    check_kind,
    check_not_uploaded,
    checked,
    cluster_row,
    cluster_state,
    counted,
    dependents,
    dry_run_state,
    dynamic_type,
    filled,
    kind_of,
    members,
    name_as_read,
    named,
    not_of,
    number,
    paged,
    read_definition,
    sentence,
    share,
    type_findings,
)
from mcp_server.platforms.segments import Cluster, ClusterChanges, ClusterDraft, read_after_change
from mcp_server.text import NOTHING, Text, clauses, listed

logger = logging.getLogger(__name__)

SHORT_WAIT = 5.0
"""Seconds that a create or update waits for its first result, so that a quick one is answered at once."""


# Create


class CreateCluster(Params):
    cluster_name: ClusterName = ""
    display_name: DisplayName
    cluster_type: Annotated[
        Literal[
            "cluster_by_static_condition",
            "cluster_by_dynamic_condition",
            "cluster_by_result",
            "cluster_by_static_sql",
            "cluster_by_dynamic_sql",
        ]
        | None,
        BeforeValidator(not_of(TAGS)),
    ] = None
    qp: DefinitionArgument
    remarks: Remarks = ""
    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Create a cluster", "创建分群"), effect=Effect.CREATE)
async def create_cluster(params: CreateCluster, deps: Deps) -> ClusterState:
    """Save a definition as a cluster and compute it. Static: computed now and on refresh; dynamic: also follows each
    new day and new data; result: a fixed list from other clusters. Validate and preview first. The same name and
    definition again returns the existing cluster; with another definition it is refused."""
    return await _create(params, params.qp, CLUSTERS, deps)


class CreateTag(Params):
    cluster_name: ClusterName = ""
    display_name: DisplayName
    cluster_type: Annotated[
        Literal["tag_by_static_condition", "tag_by_dynamic_condition", "tag_by_static_sql", "tag_by_dynamic_sql"]
        | None,
        BeforeValidator(not_of(CLUSTERS)),
    ] = None
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
    return await _create(params, params.tag_qp, TAGS, deps)


_CREATED = Text("Created {noun} {named}", "已创建{noun}{named}")
_EXISTS = Text(
    "{named} exists already as a {noun} with this definition; nothing was created",
    "{noun}{named}已存在且定义相同；未重复创建",
)
_WOULD_CREATE = Text("Would create {noun} {named}", "将创建{noun}{named}")
_NOT_COUNTED = Text("how many users that is can't be counted beforehand", "无法预先统计人数")
_TAKEN = Text(
    "The name {name} is taken by a {noun} with another definition, {named}. Different: {differences}.",
    "名称 {name} 已被另一个定义的{noun}{named}占用。不同之处：{differences}。",
)
_TAKEN_NEXT = Text(
    "Choose another cluster_name, or change the existing {noun} with {update}.",
    "请另取 cluster_name，或用 {update} 修改现有{noun}。",
)
_TYPE_DIFFERS = Text("its type is {type}", "其类型为 {type}")


async def _create(params: CreateCluster | CreateTag, raw: object, kind: SegmentKind, deps: Deps) -> ClusterState:
    """Save a definition under a name; where the name has the same definition already, return what is there."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    reading = await read_definition(raw, metadata, deps, kind=kind, own=params.cluster_name)
    definition = checked(
        reading,
        [
            *(name_findings(params.cluster_name, deps.limits) if params.cluster_name else ()),
            *display_name_findings(params.display_name, deps.limits),
            *type_findings(reading.definition, kind, params.cluster_type or "", "/cluster_type"),
        ],
    )
    params, repairs = await _completed(params, definition, metadata, kind, deps)
    reading = reading.within((), repairs)
    taken = await deps.segments.find_name(project, params.cluster_name)
    if taken:
        return _existing(taken, params, reading, metadata, deps)
    if params.dry_run:
        size = await _size(definition, project, deps)
        name = name_as_read(params.display_name, params.cluster_name)
        return dry_run_state(
            _WOULD_CREATE.format(noun=kind.noun, named=name),
            _NOT_COUNTED if size is None else _with_share(size, metadata),
            deps,
            warnings=[*reading.warnings, *_empty(size, definition, metadata)],
            repairs=reading.repairs,
            explanation=deps.say(explain_definition(definition, metadata).summary),
            users_num_after=size,
        )
    draft = ClusterDraft(
        params.cluster_name, params.display_name, params.cluster_type or "", definition, params.remarks
    )
    try:
        made = await deps.segments.create(project, draft)
    except NameTaken:  # another caller was quicker: its definition is another one, or the same
        return _existing(await deps.segments.get(project, params.cluster_name), params, reading, metadata, deps)
    made = await read_after_change(made, deps.segments.wait(made, seconds=SHORT_WAIT, on_progress=deps.report))
    warnings = [*reading.warnings, *_empty(made.users_num if made.fresh else None, definition, metadata)]
    warnings += await _same_users(made, deps) if kind is CLUSTERS and made.users_num else []
    return cluster_state(made, _CREATED, deps, warnings=warnings, repairs=reading.repairs)


_FROM_DISPLAY_NAME = Text("made from the display name", "由显示名称生成")
_FROM_DEFINITION = Text("left out; dynamic, by the form of the definition", "未填；按定义的形式取动态类型")
_MOST_SUFFIXES = 100


async def _completed(
    params: CreateCluster | CreateTag, definition: Definition, metadata: Metadata, kind: SegmentKind, deps: Deps
) -> tuple[CreateCluster | CreateTag, list[Repair]]:
    """The arguments with the name and the type where they were left out, and what was filled in.

    A name that is taken gets a suffix, unless what has it is the same: then a repeated call returns that.
    """
    filled_in: dict[str, str] = {}
    repairs = []
    cluster_type = params.cluster_type or dynamic_type(definition, kind)
    if not params.cluster_type:
        filled_in["cluster_type"] = cluster_type
        repairs.append(Repair("/cluster_type", "", cluster_type, _FROM_DEFINITION))
    if not params.cluster_name:
        for number in range(1, _MOST_SUFFIXES):
            name = name_from(params.display_name, deps.limits, number)
            taken = await deps.segments.find_name(deps.project(params.project_id), name)
            if taken is None or (
                taken.cluster_type == cluster_type
                and taken.display_name == params.display_name
                and not list(compare_definitions(taken.definition, definition, metadata))
            ):
                break
        filled_in["cluster_name"] = name
        repairs.append(Repair("/cluster_name", "", name, _FROM_DISPLAY_NAME))
    return params.model_copy(update=filled_in), repairs


def _existing(
    taken: Cluster, params: CreateCluster | CreateTag, reading: AnyReading, metadata: Metadata, deps: Deps
) -> ClusterState:
    """The cluster or tag that has the name, if it is the same. NameTaken otherwise."""
    kind = kind_of(taken)
    differences = []
    if taken.cluster_type != params.cluster_type:
        differences.append(_TYPE_DIFFERS.format(type=taken.cluster_type))
    if params.cluster_type in kind.types:
        differences += compare_definitions(taken.definition, reading.must(), metadata)
    if differences:
        raise NameTaken(
            filled(_TAKEN, taken, name=params.cluster_name, differences=clauses(differences)),
            next_step=_TAKEN_NEXT.format(noun=kind.noun, update=kind.update),
        )
    read: dict[str, Any] = {"warnings": reading.warnings, "repairs": reading.repairs}
    return cluster_state(taken, _EXISTS, deps, **read, existed=True, dry_run=params.dry_run)


def _empty(size: int | None, definition: Definition, metadata: Metadata) -> list[Problem]:
    """A warning where nobody is selected."""
    return [selects_nobody(definition, metadata)] if size == 0 else []


async def _same_users(made: Cluster, deps: Deps) -> list[Problem]:
    """A warning for each cluster that holds the same users as a new one that is computed already."""
    if not made.fresh:
        return []
    try:
        names = await deps.segments.same_users(made, on_progress=deps.report)
    except QueryFailed:  # the cluster is made; a file that is removed meanwhile must not turn that into a failure
        logger.warning("cluster %s could not be compared with others", made.cluster_id, exc_info=True)
        return []
    return [finding("same_users", "/qp", name=name) for name in names]


async def _size(definition: Definition, project: str, deps: Deps) -> int | None:
    """How many users it selects; None where a remote platform can't count that, or not for this account: it can be
    saved all the same."""
    try:
        preview = await deps.segments.preview(
            project, definition, sample=0, properties=(), want_sql=False, on_progress=deps.report
        )
    except (NotOnPlatform, VendorDenied, VendorRejected, VendorUnreadable):
        return None
    return preview.users_num


def _with_share(size: int, metadata: Metadata) -> Text:
    users = counted(size)
    if metadata.users is None:
        return users
    return Text("{users} ({share})", "{users}（{share}）").format(users=users, share=share(size, metadata.users))


# Show and list


class GetCluster(Params):
    cluster: ClusterRef
    project_id: ProjectId = ""


@operation(title=Text("Show a cluster", "查看分群"), effect=Effect.READ)
async def get_cluster(params: GetCluster, deps: Deps) -> ClusterState:
    """Show one cluster or tag: its definition in wire form and in words, its size, progress and freshness."""
    project = deps.project(params.project_id)
    cluster = await deps.segments.get(project, params.cluster)
    metadata = await deps.segments.metadata(project)
    return cluster_state(
        cluster,
        DESCRIBED,
        deps,
        definition=cluster.definition.wire(),
        explanation=deps.say(explain_definition(cluster.definition, metadata).summary),
    )


class ListClusters(Params):
    search: Search = ""
    cluster_types: tuple[str, ...] = ()
    limit: Limit = 20
    offset: Offset = 0
    project_id: ProjectId = ""


class ClusterList(Result):
    clusters: tuple[ClusterRow, ...] = ()
    total: int
    left_out: int = 0


_COUNT = Text("{n} cluster(s) and tag(s).", "共 {n} 个分群和标签。")
_CREATE_ONE = Text("Create one with create_cluster or create_tag.", "可用 create_cluster 或 create_tag 创建。")
_NONE_FITS = Text("None fits, of {n} cluster(s) and tag(s).", "没有相符的；共有 {n} 个分群和标签。")
_WIDER = Text("Use other words, or leave search out to list all.", "请换其他词，或不带 search 列出全部。")
_UNKNOWN_TYPES = Text("Unknown types.", "未知的类型。")
_FIX_TYPES = Text("Fix them, or leave cluster_types out.", "请修正，或不带 cluster_types。")


@operation(title=Text("List clusters", "列出分群"), effect=Effect.READ)
async def list_clusters(params: ListClusters, deps: Deps) -> ClusterList:
    """List the project's clusters and tags, newest first; search looks into names, display names and remarks."""
    unknown = [
        finding(
            "cluster_type_unknown",
            f"/cluster_types/{i}",
            got=name,
            expected=listed(ALL_TYPES),
            suggestion=nearest(name, ALL_TYPES),
        )
        for i, name in enumerate(params.cluster_types)
        if name not in ALL_TYPES
    ]
    if unknown:
        raise InvalidArguments(_UNKNOWN_TYPES, next_step=_FIX_TYPES, problems=unknown)
    page = await deps.segments.search(
        deps.project(params.project_id),
        words=params.search,
        cluster_types=params.cluster_types,
        offset=params.offset,
        limit=params.limit,
    )
    if not page.total and (params.search or params.cluster_types):
        every = await deps.segments.search(
            deps.project(params.project_id), words="", cluster_types=(), offset=0, limit=1
        )
        if every.total:
            return ClusterList(message=deps.say(_NONE_FITS.format(n=every.total)), next=deps.say(_WIDER), total=0)
    message, left = paged(_COUNT.format(n=page.total), page.total, len(page.items), params.offset, params.limit)
    return ClusterList(
        message=deps.say(message),
        next=deps.say(NOTHING if page.total else _CREATE_ONE),
        clusters=tuple(cluster_row(replace(c, remarks=brief(c.remarks)), deps) for c in page.items),
        total=page.total,
        left_out=left,
    )


# Change


class UpdateCluster(Params):
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
    return await _update(params, params.qp, CLUSTERS, deps)


class UpdateTag(Params):
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
    return await _update(params, params.tag_qp, TAGS, deps)


_UNCHANGED = Text("Nothing to change: {noun} {named} is like that already", "无需更改：{noun}{named}已是如此")
_UPDATED = Text("Changed {noun} {named}", "已修改{noun}{named}")
_WOULD_UPDATE = Text("Would change {noun} {named}", "将修改{noun}{named}")
_CHANGE = Text("{what}: {old} → {new}", "{what}：{old} → {new}")
_OTHER_VALUES = Text(
    " Its values change from {old} to {new}: conditions that read them otherwise will fail.",
    "标签值将由{old}变为{new}，不适用于新类型的条件会失败。",
)
_FITS_NO_MORE = Text("unknown (the old definition does not fit the data any more)", "未知（旧定义与现有数据不再相符）")
_BAD_DISPLAY_NAME = Text("The display name can't be used; nothing was changed.", "显示名称不可用；未做任何更改。")
_CHOOSE_ANOTHER = Text("Choose another one and call again.", "请换一个后重新调用。")


async def _update(params: UpdateCluster | UpdateTag, raw: object, kind: SegmentKind, deps: Deps) -> ClusterState:
    """Change what is given; a dry run only reports what becomes different."""
    project = deps.project(params.project_id)
    cluster = await deps.segments.get(project, params.cluster)
    check_kind(cluster, kind)
    metadata = await deps.segments.metadata(project)
    reading = None
    if raw is not None and not (says_nothing(raw) and (params.display_name or params.remarks)):
        check_not_uploaded(cluster)
        reading = await read_definition(raw, metadata, deps, kind=kind, own=cluster.cluster_name)
    definition = _new_definition(params.display_name, reading, cluster, deps)
    display_name = params.display_name or None
    remarks = "" if params.remarks.strip() == CLEAR else params.remarks or None
    changes = _changes(cluster, definition, display_name, remarks, metadata, deps)
    read: dict[str, Any] = {}
    if reading and definition:
        warnings = [*reading.warnings, *await _dependents(cluster, definition, metadata, deps)]
        read = {"warnings": warnings, "repairs": reading.repairs}
    if not changes:
        return cluster_state(cluster, _UNCHANGED, deps, **read, dry_run=params.dry_run).as_unchanged()
    if params.dry_run:
        size, before, after = NOTHING, None, None
        if deps.counting and definition and not _same_meaning(cluster, definition, metadata):
            before, shown = await _size_now(cluster, metadata, deps)
            after = await _size(definition, project, deps)
            size = USERS_CHANGE.format(before=shown, after=number(after))
            read["warnings"] = [*read["warnings"], *_empty(after, definition, metadata)]
        state = dry_run_state(
            filled(_WOULD_UPDATE, cluster),
            size,
            deps,
            cluster=cluster,
            changes=changes,
            **read,
            users_num_before=before,
            users_num_after=after,
        )
        return state.with_basis(cluster.stamp, *changes)
    deps.check_unchanged(cluster.stamp)
    done = await deps.segments.update(cluster, ClusterChanges(display_name, definition, remarks))
    wait = 0.0 if definition is None else SHORT_WAIT
    done = await read_after_change(done, deps.segments.wait(done, seconds=wait, on_progress=deps.report))
    state = cluster_state(done, _UPDATED, deps, **read, changes=changes, users_num_before=cluster.users_num)
    return _without_age(state) if definition is None and done.progress == 100 and not any(done.unread) else state


def _without_age(state: ClusterState) -> ClusterState:
    """The same without the advice to refresh, which a rename or an undo has nothing to do with; `fresh` shows the age."""
    return state.model_copy(update={"next": ""})


def _new_definition(display_name: str, reading: AnyReading | None, cluster: Cluster, deps: Deps) -> Definition | None:
    """The new definition, if one is given; raises where it, its type or the display name has problems."""
    problems = [*display_name_findings(display_name, deps.limits)] if display_name else []
    if reading is not None:
        kind = kind_of(cluster)
        problems += type_findings(reading.definition, kind, cluster.cluster_type, f"/{kind.root}")
        return checked(reading, problems)
    if problems:
        raise InvalidArguments(_BAD_DISPLAY_NAME, next_step=_CHOOSE_ANOTHER, problems=problems)
    return None


def _changes(
    now: Cluster,
    definition: Definition | None,
    display_name: str | None,
    remarks: str | None,
    metadata: Metadata,
    deps: Deps,
) -> tuple[str, ...]:
    """What becomes different, in words; None stays as it is."""
    changes = list(compare_definitions(now.definition, definition, metadata)) if definition else []
    for what, old, new in (
        (Text("display name", "显示名称"), now.display_name, display_name),
        (Text("remarks", "备注"), now.remarks, remarks),
    ):
        if new is not None and new != old:
            changes.append(_CHANGE.format(what=what, old=old or "–", new=new or "–"))
    return tuple(map(deps.say, changes))


def _same_meaning(cluster: Cluster, definition: Definition, metadata: Metadata) -> bool:
    return meaning_hash(definition, metadata) == meaning_hash(cluster.definition, metadata)


async def _dependents(cluster: Cluster, new: Definition, metadata: Metadata, deps: Deps) -> list[Problem]:
    """A warning where others depend on what gets another meaning, the more so where its values get another type."""
    if _same_meaning(cluster, new, metadata):
        return []
    old_type, new_type = (value_type_of(one, metadata) for one in (cluster.definition, new))
    hint = NOTHING
    if old_type and new_type and old_type[0] != new_type[0]:
        hint = _OTHER_VALUES.format(old=TYPE_NAMES[old_type[0]], new=TYPE_NAMES[new_type[0]])
    return await dependents(cluster, f"/{kind_of(cluster).root}", deps, hint)


async def _size_now(cluster: Cluster, metadata: Metadata, deps: Deps) -> tuple[int | None, Text]:
    """What the saved definition selects now, of a fixed list its users, also in words."""
    if cluster.cluster_type == RESULT:
        return cluster.users_num, number(cluster.users_num)
    saved = cluster.definition.wire()
    reading = await read_definition(saved, metadata, deps, kind=kind_of(cluster), own=cluster.cluster_name)
    if reading.definition is None:
        return None, _FITS_NO_MORE
    size = await _size(reading.definition, cluster.project_id, deps)
    return size, number(size)


# Delete and restore


class DeleteCluster(Params):
    cluster: ClusterRef
    dry_run: DryRun = False
    project_id: ProjectId = ""


_FOR_GOOD = Text("The platform keeps nothing of it: this can't be undone.", "平台不会保留它，此操作无法撤销。")
_WOULD_DELETE = Text("Would delete {noun} {named}", "将删除{noun}{named}")
_DELETED = Text("Deleted {noun} {named}.", "已删除{noun}{named}。")


@operation(title=Text("Delete a cluster", "删除分群"), effect=Effect.DELETE)
async def delete_cluster(params: DeleteCluster, deps: Deps) -> ClusterState:
    """Delete a cluster or tag, its members and its definition. Ask the user first, naming it and its size."""
    cluster = await deps.segments.get(deps.project(params.project_id), params.cluster)
    if params.dry_run:
        await deps.segments.check_delete(cluster)
        would = sentence(filled(_WOULD_DELETE, cluster), members(cluster))
        return ClusterState(
            message=deps.say(would.then(_FOR_GOOD if deps.segments.name != "local" else NOTHING)),
            next=deps.say(SAME_WITHOUT_DRY_RUN),
            cluster=cluster_row(cluster, deps),
            dry_run=True,
        ).with_basis(cluster.stamp)
    deps.check_unchanged(cluster.stamp)
    await deps.segments.delete(cluster)
    return ClusterState(message=deps.say(filled(_DELETED, cluster)))


class RestoreCluster(Params):
    cluster: ClusterRef
    dry_run: DryRun = False
    project_id: ProjectId = ""


_WOULD_UNDELETE = Text("Would restore {noun} {named}, deleted at {at}", "将恢复{noun}{named}（删除于 {at}）")
_WOULD_REVERT = Text(
    "Would restore {noun} {named} as it was before its change at {at}", "将把{noun}{named}恢复到 {at} 修改之前"
)
_RESTORED = Text("Restored {noun} {named}", "已恢复{noun}{named}")
_CYCLE = Text(
    "{named} can't be restored: by now it would depend on itself. Nothing was changed.",
    "无法恢复{named}：恢复后它将依赖于自身。未做任何更改。",
)


@operation(title=Text("Undo a change or deletion", "撤销修改或删除"), effect=Effect.REPLACE, idempotent=False)
async def restore_cluster(params: RestoreCluster, deps: Deps) -> ClusterState:
    """Undo the last update or delete of a cluster or tag: same id, members as before; for 30 days."""
    project = deps.project(params.project_id)
    undo = await deps.segments.undoable(project, params.cluster)
    now, before = undo.now, undo.before
    metadata = await deps.segments.metadata(project)
    await _check_no_cycle(before, now, metadata, deps)
    deleted = undo.kind == "delete"
    changes: tuple[str, ...] = ()
    if not deleted:
        changes = _changes(now, before.definition, before.display_name, before.remarks, metadata, deps)
    if params.dry_run:
        size = NOTHING
        if deleted and before.users_num is not None:
            size = counted(before.users_num)
        elif not deleted and now.users_num != before.users_num:
            size = USERS_CHANGE.format(before=number(now.users_num), after=number(before.users_num))
        return dry_run_state(
            filled(_WOULD_UNDELETE if deleted else _WOULD_REVERT, now, at=undo.at),
            size,
            deps,
            cluster=before,
            changes=changes,
            users_num_before=None if deleted else now.users_num,
            users_num_after=before.users_num,
        ).with_basis(now.stamp, *changes)
    deps.check_unchanged(now.stamp)
    done = await deps.segments.restore(undo)
    state = cluster_state(done, _RESTORED, deps, changes=changes, users_num_before=None if deleted else now.users_num)
    return _without_age(state) if done.progress == 100 and not any(done.unread) else state


async def _check_no_cycle(before: Cluster, now: Cluster, metadata: Metadata, deps: Deps) -> None:
    """Raise InvalidDefinition where clusters in the old definition depend on it by now.

    Other problems of an old definition are no reason not to restore it.
    """
    reading = await read_definition(
        before.definition.wire(), metadata, deps, kind=kind_of(before), own=before.cluster_name
    )
    cycles = [p for p in reading.problems if p.code == "cluster_cycle"]
    if cycles:
        raise InvalidDefinition(_CYCLE.format(named=named(now)), problems=cycles)
