"""Undoing the last update or deletion of a cluster or tag."""

from mcp_server.effect import Effect
from mcp_server.errors import InvalidDefinition
from mcp_server.operations.cluster_state import (
    USERS_CHANGE,
    ClusterState,
    cluster_row,
    cluster_state,
    counted,
    number,
    sentence,
)
from mcp_server.operations.findings import read_definition
from mcp_server.operations.kinds import kind_of
from mcp_server.operations.operation import Deps, Params, operation
from mcp_server.operations.params import ClusterRef, DryRun, ProjectId
from mcp_server.operations.saving import SAME_WITHOUT_DRY_RUN, changes_between
from mcp_server.platforms.ports import Undo
from mcp_server.text import NOTHING, Text

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
    deps.still(undo.now.stamp)
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
    ).resting_on(undo.now.stamp, *changes)


async def _no_loop(undo: Undo, deps: Deps) -> None:
    """What it rested on may rest on it by now. Other problems of an old definition are no reason not to give it back."""
    metadata = await deps.segments.metadata(undo.now.project_id)
    reading = await read_definition(
        undo.before.definition.wire(), metadata, deps, kind=kind_of(undo.before), own=undo.before.cluster_name
    )
    loops = [p for p in reading.problems if p.code == "cluster_cycle"]
    if loops:
        raise InvalidDefinition(_LOOP.format(name=undo.now.cluster_name), problems=loops)
