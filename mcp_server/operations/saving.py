"""Creating and changing clusters and tags: the same steps for both."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp_server.errors import (
    InvalidArguments,
    NameTaken,
    NotOnPlatform,
    Problem,
    QueryFailed,
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
from mcp_server.language.names import display_name_findings, name_findings
from mcp_server.language.problems import finding
from mcp_server.language.reading.shape import TYPE_NAMES
from mcp_server.operations.definitions import all_good, share
from mcp_server.operations.operation import Deps
from mcp_server.operations.results import (
    CLUSTERS,
    RESULT,
    USERS_CHANGE,
    ClusterState,
    SegmentKind,
    cluster_row,
    cluster_state,
    counted,
    kind_of,
    must_be,
    not_uploaded,
    number,
    problem_rows,
    read_definition,
    repair_rows,
    sentence,
    type_findings,
    users_of,
)
from mcp_server.platforms.segments import Cluster, ClusterChanges, ClusterDraft, read_after_change
from mcp_server.text import NOTHING, Text, clauses

logger = logging.getLogger(__name__)

SHORT_WAIT = 5.0
"""Seconds that a create or update waits for its first result, so that a quick one is answered at once."""

_CREATED = Text("Created {noun} {name} (id {id})", "已创建{noun} {name}（id {id}）")
_EXISTS = Text(
    "{name} (id {id}) exists already as a {noun} with this definition; nothing was created",
    "{noun} {name}（id {id}）已存在且定义相同；未重复创建",
)
_WOULD_CREATE = Text("Would create {noun} {name}", "将创建{noun} {name}")
_OTHER = Text(
    "The name {name} is taken by a {noun} with another definition (id {id}). Different: {differences}.",
    "名称 {name} 已被另一个定义的{noun}占用（id {id}）。不同之处：{differences}。",
)
_OTHER_NEXT = Text(
    "Choose another cluster_name, or change the existing {noun} with {update}.",
    "请另取 cluster_name，或用 {update} 修改现有{noun}。",
)
_TYPE_DIFFERS = Text("its type is {type}", "其类型为 {type}")
_UNCHANGED = Text(
    "Nothing to change: {noun} {name} (id {id}) is like that already", "无需更改：{noun} {name}（id {id}）已是如此"
)
_UPDATED = Text("Changed {noun} {name} (id {id})", "已修改{noun} {name}（id {id}）")
_WOULD_UPDATE = Text("Would change {noun} {name}", "将修改{noun} {name}")
SAME_WITHOUT_DRY_RUN = Text("If the user agrees, call again without dry_run.", "若用户同意，去掉 dry_run 再次调用。")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be created."""

    kind: SegmentKind
    cluster_name: str
    display_name: str
    cluster_type: str
    raw: object
    remarks: str
    dry_run: bool
    project: str


@dataclass(frozen=True, slots=True)
class ClusterUpdate:
    """What is to be changed; what is empty stays as it is, and remarks of CLEAR are removed."""

    kind: SegmentKind
    cluster: str
    display_name: str
    raw: object
    remarks: str
    dry_run: bool
    project: str

    @property
    def new_remarks(self) -> str | None:
        """The remarks from now on; None where they stay."""
        return "" if self.remarks.strip() == CLEAR else self.remarks or None


CLEAR = "-"
"""As remarks: none any more. An empty text is absent, as everywhere (qp.md section 1)."""


async def create(wish: Wish, deps: Deps) -> ClusterState:
    """Save a definition under a name; the same name with the same definition is what is there already."""
    metadata = await deps.segments.metadata(wish.project)
    reading = await read_definition(wish.raw, metadata, deps, kind=wish.kind, own=wish.cluster_name)
    definition = all_good(
        reading,
        [
            *name_findings(wish.cluster_name, deps.limits),
            *display_name_findings(wish.display_name, deps.limits),
            *type_findings(reading.definition, wish.kind, wish.cluster_type, "/cluster_type"),
        ],
    )
    taken = await deps.segments.find_name(wish.project, wish.cluster_name)
    if taken:
        return _existing(taken, wish, reading, metadata, deps)
    if wish.dry_run:
        return await _would_create(wish, reading, definition, metadata, deps)
    draft = ClusterDraft(wish.cluster_name, wish.display_name, wish.cluster_type, definition, wish.remarks)
    try:
        made = await deps.segments.create(wish.project, draft)
    except NameTaken:  # somebody else was quicker: it is theirs, or it is the same
        return _existing(await deps.segments.get(wish.project, wish.cluster_name), wish, reading, metadata, deps)
    made = await read_after_change(made, deps.segments.wait(made, seconds=SHORT_WAIT, on_progress=deps.report))
    warnings = (*reading.warnings, *await _same_users(made, wish, deps))
    return cluster_state(made, _CREATED, deps, warnings=warnings, repairs=reading.repairs)


async def _same_users(made: Cluster, wish: Wish, deps: Deps) -> list[Problem]:
    """A warning for each cluster that holds the same users as a new one that is computed already."""
    if wish.kind is not CLUSTERS or not made.fresh:
        return []
    try:
        names = await deps.segments.same_users(made, on_progress=deps.report)
    except QueryFailed:  # the cluster is made; a file that is swept meanwhile must not make that a failure
        logger.warning("cluster %s could not be compared with others", made.cluster_id, exc_info=True)
        return []
    return [finding("same_users", f"/{wish.kind.root}", name=name) for name in names]


def _existing(taken: Cluster, wish: Wish, reading: AnyReading, metadata: Metadata, deps: Deps) -> ClusterState:
    """What has the name already, if it is what was asked for. NameTaken otherwise."""
    kind = kind_of(taken)
    differences = [_TYPE_DIFFERS.format(type=taken.cluster_type)] if taken.cluster_type != wish.cluster_type else []
    if kind is wish.kind:
        differences += compare_definitions(taken.definition, reading.must(), metadata)
    if differences:
        named = {"noun": kind.noun, "name": taken.cluster_name, "id": taken.cluster_id}
        next_step = _OTHER_NEXT.format(noun=kind.noun, update=kind.update)
        raise NameTaken(_OTHER.format(**named, differences=clauses(differences)), next_step=next_step)
    read: dict[str, Any] = {"warnings": reading.warnings, "repairs": reading.repairs}
    return cluster_state(taken, _EXISTS, deps, **read, existed=True, dry_run=wish.dry_run)


async def _would_create(
    wish: Wish, reading: AnyReading, definition: Definition, metadata: Metadata, deps: Deps
) -> ClusterState:
    size = await _size(definition, wish.project, deps)
    would = _WOULD_CREATE.format(noun=wish.kind.noun, name=wish.cluster_name)
    return ClusterState(
        message=deps.say(sentence(would, _NOT_COUNTED if size is None else _shared(size, metadata))),
        next=deps.say(SAME_WITHOUT_DRY_RUN),
        dry_run=True,
        warnings=problem_rows(reading.warnings, deps),
        repairs=repair_rows(reading.repairs, deps),
        explanation=deps.say(explain_definition(definition, metadata).summary),
        users_num_after=size,
    )


_NOT_COUNTED = Text("how many users that is can't be counted beforehand", "无法预先统计人数")


async def _size(definition: Definition, project: str, deps: Deps) -> int | None:
    """How many users it selects; None where a remote platform can't tell that, or not to this account: it can be saved
    all the same."""
    try:
        seen = await deps.segments.preview(
            project, definition, sample=0, properties=(), want_sql=False, on_progress=deps.report
        )
    except (NotOnPlatform, VendorDenied, VendorRejected, VendorUnreadable):
        return None
    return seen.users_num


def _shared(size: int, metadata: Metadata) -> Text:
    if metadata.users is None:
        return counted(size)
    return Text("{users} ({share})", "{users}（{share}）").format(
        users=counted(size), share=share(size, metadata.users)
    )


async def update(change: ClusterUpdate, deps: Deps) -> ClusterState:
    """Change what is given, after saying (or, tried first, only saying) what becomes different."""
    found = await deps.segments.get(change.project, change.cluster)
    must_be(change.kind, found)
    metadata = await deps.segments.metadata(change.project)
    reading = None
    if change.raw is not None:
        not_uploaded(found)
        reading = await read_definition(change.raw, metadata, deps, kind=change.kind, own=found.cluster_name)
    definition = _checked(change, reading, deps, found)
    changes = _changes(found, change, definition, metadata)
    users = await _users(found, definition, metadata, deps) if definition else []
    read: dict[str, Any] = {"warnings": [*reading.warnings, *users], "repairs": reading.repairs} if reading else {}
    if not changes:
        return cluster_state(found, _UNCHANGED, deps, **read, dry_run=change.dry_run).as_unchanged()
    said = tuple(deps.say(one) for one in changes)
    if change.dry_run:
        return await _would_update(found, reading, users, metadata, said, deps)
    deps.check_unchanged(found.stamp)
    done = await deps.segments.update(
        found, ClusterChanges(change.display_name or None, definition, change.new_remarks)
    )
    wait = 0.0 if definition is None else SHORT_WAIT
    done = await read_after_change(done, deps.segments.wait(done, seconds=wait, on_progress=deps.report))
    return cluster_state(
        done,
        _UPDATED,
        deps,
        **read,
        changes=said,
        users_num_before=found.users_num,
    )


_OTHER_VALUES = Text(
    " Its values change from {old} to {new}: conditions that read them otherwise will fail.",
    "标签值将由{old}变为{new}，不适用于新类型的条件会失败。",
)


async def _users(found: Cluster, new: Definition, metadata: Metadata, deps: Deps) -> list[Problem]:
    """A warning where others rest on what gets another meaning, the more so where its values get another type."""
    if meaning_hash(new, metadata) == meaning_hash(found.definition, metadata):
        return []
    types = [value_type_of(one, metadata) for one in (found.definition, new)]
    hint = NOTHING
    if types[0] and types[1] and types[0][0] != types[1][0]:
        hint = _OTHER_VALUES.format(old=TYPE_NAMES[types[0][0]], new=TYPE_NAMES[types[1][0]])
    return await users_of(found, f"/{kind_of(found).root}", deps, hint)


def _checked(change: ClusterUpdate, reading: AnyReading | None, deps: Deps, found: Cluster) -> Definition | None:
    problems = [*display_name_findings(change.display_name, deps.limits)] if change.display_name else []
    if reading is not None:
        return all_good(
            reading,
            [*problems, *type_findings(reading.definition, change.kind, found.cluster_type, f"/{change.kind.root}")],
        )
    if problems:
        raise InvalidArguments(
            Text("The display name can't be used; nothing was changed.", "显示名称不可用；未做任何更改。"),
            next_step=Text("Choose another one and call again.", "请换一个后重新调用。"),
            problems=problems,
        )
    return None


def _changes(found: Cluster, change: ClusterUpdate, definition: Definition | None, metadata: Metadata) -> list[Text]:
    """What an update changes, in words."""
    return _told_changes(found, definition, change.display_name or None, change.new_remarks, metadata)


def changes_between(now: Cluster, then: Cluster, metadata: Metadata) -> list[Text]:
    """What becomes different where one state of a cluster gives way to another, in words."""
    return _told_changes(now, then.definition, then.display_name, then.remarks, metadata)


def _told_changes(
    found: Cluster, definition: Definition | None, display_name: str | None, remarks: str | None, metadata: Metadata
) -> list[Text]:
    changes = list(compare_definitions(found.definition, definition, metadata)) if definition else []
    parts: tuple[tuple[Text, str, str | None], ...] = (
        (Text("display name", "显示名称"), found.display_name, display_name),
        (Text("remarks", "备注"), found.remarks, remarks),
    )
    for name, old, new in parts:
        if new is not None and new != old:
            changes.append(
                Text("{name}: {old} → {new}", "{name}：{old} → {new}").format(name=name, old=old or "–", new=new or "–")
            )
    return changes


async def _would_update(
    found: Cluster,
    reading: AnyReading | None,
    users: Sequence[Problem],
    metadata: Metadata,
    changes: tuple[str, ...],
    deps: Deps,
) -> ClusterState:
    sized, before, after = NOTHING, None, None
    if deps.counting and reading and meaning_hash(reading.must(), metadata) != meaning_hash(found.definition, metadata):
        before, said_before = await _size_now(found, metadata, deps)
        after = await _size(reading.must(), found.project_id, deps)
        sized = USERS_CHANGE.format(before=said_before, after=number(after))
    would = _WOULD_UPDATE.format(noun=kind_of(found).noun, name=found.cluster_name)
    return ClusterState(
        message=deps.say(sentence(would, sized)),
        next=deps.say(SAME_WITHOUT_DRY_RUN),
        cluster=cluster_row(found, deps),
        dry_run=True,
        changes=changes,
        warnings=problem_rows([*(reading.warnings if reading else ()), *users], deps),
        repairs=repair_rows(reading.repairs if reading else (), deps),
        users_num_before=before,
        users_num_after=after,
    ).with_basis(found.stamp, *changes)


_FITS_NO_MORE = Text("unknown (the old definition does not fit the data any more)", "未知（旧定义与现有数据不再相符）")


async def _size_now(found: Cluster, metadata: Metadata, deps: Deps) -> tuple[int | None, Text]:
    """What the saved definition selects now, of a fixed list its users, also in words."""
    if found.cluster_type == RESULT:
        return found.users_num, number(found.users_num)
    saved = found.definition.wire()
    reading = await read_definition(saved, metadata, deps, kind=kind_of(found), own=found.cluster_name)
    if reading.definition is None:
        return None, _FITS_NO_MORE
    size = await _size(reading.definition, found.project_id, deps)
    return size, number(size)
