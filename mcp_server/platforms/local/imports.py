"""Uploaded ids on the local platform: taken into the workspace, matched by the engine, saved in one commit.

Nothing is saved before the users are known, so what is cancelled, fails or is killed leaves nothing but temporary
files, which the next sweep removes.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mcp_server.engines.base import StageControl
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, Problem
from mcp_server.language.definitions import to_json
from mcp_server.language.metadata import Property
from mcp_server.language.model import TAG
from mcp_server.language.problems import finding, shorten
from mcp_server.language.uploaded import MAIN_TYPES, Uploaded, compare_uploads, upload_hash
from mcp_server.platforms.local.computing import data_file
from mcp_server.platforms.local.known import update_tool
from mcp_server.platforms.segments import Cluster, IdChanges, IdDraft, IdSource, Imported
from mcp_server.sources.id_columns import USER_ID, chosen_ids
from mcp_server.sources.ids import (
    PATH,
    IdCounts,
    IdFile,
    IdTarget,
    about_a_skipped_header,
    about_the_file,
    header_names,
    match_ids,
)
from mcp_server.sources.report import refuse_ids
from mcp_server.store.catalog import Catalog
from mcp_server.store.files import LocalFiles
from mcp_server.store.jobs import Published, add_version
from mcp_server.store.records import ClusterRecord, GenerationRecord
from mcp_server.store.runner import JobControl
from mcp_server.store.workspace import explained
from mcp_server.text import NOTHING, Text

_COLUMN = "/main_column_name"
_ELSEWHERE = Text(" They are values of {other}.", "这些值属于 {other}。")
_SHOWN = {"tab": Text("a tab", "制表符")}


def import_findings(counts: IdCounts, file: IdFile, definition: Uploaded, wanted: str) -> Iterator[Problem]:
    """Yield the warnings about a file of ids, then those about the users that it matches.

    `wanted` is the property that the caller named; the header of the file may have named another one.
    """
    column, tag = definition.main_column, definition.catalog == TAG
    yield from about_the_file(
        file.encoding, counts.swallowed, counts.more_columns, tag=tag, valueless=tag and counts.no_value == counts.rows
    )
    if counts.conflicts:
        yield finding("ids_values_differ", PATH, n=f"{counts.conflicts:,}")
    if counts.header:
        yield about_a_skipped_header(counts.header)
    if column.casefold() != wanted.casefold():
        yield finding("ids_column_taken", _COLUMN, got=column, wanted=wanted)
    for change, n in counts.nearly:
        how = _HOW.get(change) or _AS_VALUES.format(other=change)
        suggestion = "" if change in _HOW else change
        yield finding("ids_nearly", PATH, suggestion=suggestion, n=f"{n:,}", all=f"{counts.looked_at:,}", how=how)
    for mark, n in counts.delimiters:
        yield finding(
            "ids_delimiter", PATH, got=mark, n=f"{n:,}", mark=_SHOWN.get(mark, Text(f'"{mark}"', f"“{mark}”"))
        )
    example, shortened = counts.rounded
    if shortened:
        yield finding("ids_rounded", PATH, got=example, n=f"{shortened:,}")
    if counts.zero_bytes:
        yield finding("ids_zero_bytes", PATH, n=f"{counts.zero_bytes:,}")
    matched_ids = counts.distinct - counts.unmatched_ids
    if not counts.matched_users:
        hint = _ELSEWHERE.format(other=counts.elsewhere) if counts.elsewhere else NOTHING
        yield finding("ids_no_match", _COLUMN, got=column, suggestion=counts.elsewhere, column=column, hint=hint)
    elif counts.matched_users > matched_ids:
        users = f"{counts.matched_users:,}"
        yield finding("ids_shared", _COLUMN, got=column, n=f"{matched_ids:,}", users=users)


_HOW = {
    "change zeros": Text("with leading zeros added or taken off", "补上或去掉前导零后"),
    "change code": Text("with the country code 86 added or taken off", "补上或去掉国家代码 86 后"),
    "change case": Text("in another letter case", "改变大小写后"),
    "change blanks": Text("without blanks, hyphens and brackets", "去掉空格、连字符和括号后"),
}
_AS_VALUES = Text("as values of {other}", "作为 {other} 的取值")
COPIED: Final = 10
"""Percent of the progress that the copy of a file is."""
_GENERATED = re.compile(r"cohort_[0-9]{8}_[0-9]{6}(_[0-9]+)?")
_MOST_COMPARED: Final = 10_000
MOST_PROBED: Final = 20
"""Properties in which ids are looked for that match no user."""

_OTHER = Text(
    "The name {name} is taken by a {noun} of other users (id {id}).",
    "名称 {name} 已被用户不同的{noun}占用（id {id}）。",
)
_OTHER_NEXT = Text(
    "Leave cluster_name out or choose another one; to put these ids in its place, call replace_imported_ids.",
    "请不填 cluster_name 或另取名称；若要用这些 ID 取代它，请调用 replace_imported_ids。",
)
_NOT_UPLOADED = Text("{name} was not made from uploaded ids.", "{name} 不是由上传的 ID 创建的。")
_ITS_TOOL = Text(
    "Change it with {update}, or import the ids under another name.",
    "请用 {update} 修改它，或将这些 ID 导入为另一个名称。",
)
_CHANGED = Text(
    "{name} changed while the ids were read; nothing was saved.", "读取 ID 期间 {name} 发生了变化；未保存任何内容。"
)
_AGAIN = Text("Look at it with get_cluster, then call again.", "请用 get_cluster 查看后重新调用。")


@dataclass(frozen=True, slots=True)
class _Matched:
    """Ids that were read and matched with the users, before anything is saved."""

    counts: IdCounts
    file: IdFile
    members: Path
    definition: Uploaded
    generation: GenerationRecord
    seconds: float
    wanted: str
    """The property that the caller named."""


class LocalImports:
    """Reads, matches and saves uploaded ids. Its methods block: call them in a worker thread."""

    def __init__(self, catalog: Catalog, engine: Engine, files: LocalFiles) -> None:
        self._files = files
        self._catalog = catalog
        self._engine = engine
        self._workspace = catalog.workspace

    def add(
        self,
        project_id: str,
        draft: IdDraft,
        *,
        dry_run: bool,
        seen: Callable[[ClusterRecord], Cluster],
        control: JobControl,
    ) -> Imported:
        """Make a cluster or tag of ids (`SegmentPlatform.import_ids`); `seen` makes a cluster of a record."""
        matched = self._matched(project_id, draft.source, draft.main_column, draft.catalog, control)
        known = self._existing(project_id, draft, matched.definition)
        if known is None and dry_run:
            return _imported(matched, draft.cluster_name or self._free_name(project_id, matched), None)
        existed = known is not None
        if known is None:
            known, existed = self._save(matched, lambda db: self._created(db, project_id, draft, matched))
        return replace(_imported(matched, known.name, seen(known)), existed=existed)

    def put(
        self,
        cluster: Cluster,
        changes: IdChanges,
        *,
        dry_run: bool,
        seen: Callable[[ClusterRecord], Cluster],
        control: JobControl,
    ) -> Imported:
        """Put other ids in place of those of a cluster or tag (`SegmentPlatform.replace_ids`)."""
        old = uploaded(cluster)
        column = changes.main_column or old.main_column
        matched = self._matched(cluster.project_id, changes.source, column, cluster.catalog, control)
        changed = None
        if not dry_run:
            changed = seen(self._save(matched, lambda db: self._replaced(db, cluster, changes, matched))[0])
        differences = compare_uploads(old, matched.definition)
        return replace(_imported(matched, cluster.cluster_name, changed), changes=differences)

    # reading and matching

    def _matched(self, project_id: str, source: IdSource, column: str, catalog: str, control: JobControl) -> _Matched:
        began = time.perf_counter()
        generation = self._catalog.generation(project_id)
        opened = self._files.open_ids(source.path, source.ids, tag=catalog == TAG)
        wanted = USER_ID if column == USER_ID.name else _property(generation, column)
        with opened.file, explained(self._workspace.root):
            chosen = chosen_ids(
                opened.file,
                opened.size,
                wanted,
                source.column,
                generation.metadata,
                tag=catalog == TAG,
                temp=control.temp_path,
                control=StageControl(control, 0, COPIED),
            )
        file, headers = chosen.file, header_names(column, generation.metadata)
        target = IdTarget(chosen.target, tag=catalog == TAG, headers=frozenset() if chosen.header else headers)
        counts, members = match_ids(
            self._engine,
            data_file(self._catalog, generation),
            file,
            target,
            others=_others(generation, target.column),
            temp=control.temp_path,
            control=StageControl(control, COPIED, 99),
        )
        sizes = (counts.rows, counts.unmatched, counts.no_value)
        definition = Uploaded(catalog, target.column.name, file.content_hash, *sizes, opened.name)
        return _Matched(counts, file, members, definition, generation, time.perf_counter() - began, column)

    # saving

    def _existing(self, project_id: str, draft: IdDraft, definition: Uploaded) -> ClusterRecord | None:
        """The cluster that these ids are already. NameTaken where something else has the name.

        Without a name it is one with a generated name and the same display name: a call that is repeated, because its
        answer was lost, makes no second one.
        """
        meaning = upload_hash(definition)
        if draft.cluster_name:
            known = self._catalog.find_name(project_id, draft.cluster_name)
            if known is not None and known.definition_hash != meaning:
                noun = Text("tag", "标签") if known.catalog == TAG else Text("cluster", "分群")
                raise NameTaken(_OTHER.format(name=known.name, noun=noun, id=known.id), next_step=_OTHER_NEXT)
            return known
        types = [import_type(draft.catalog)]
        for record in self._catalog.list_clusters(project_id, cluster_types=types, limit=_MOST_COMPARED)[0]:
            same = record.definition_hash == meaning and record.display_name == draft.display_name
            if same and _GENERATED.fullmatch(record.name):
                return record
        return None

    def _free_name(self, project_id: str, matched: _Matched) -> str:
        moment = self._catalog.clock().astimezone(matched.generation.metadata.tz)
        return self._catalog.free_name(project_id, moment.strftime("cohort_%Y%m%d_%H%M%S"))

    def _created(
        self, db: sqlite3.Connection, project_id: str, draft: IdDraft, matched: _Matched
    ) -> tuple[ClusterRecord, bool]:
        """The new cluster; or the one that another process has made meanwhile, and True."""
        known = self._existing(project_id, draft, matched.definition)
        if known is not None:
            return known, True
        made = self._catalog.create_cluster(
            db,
            project_id,
            name=draft.cluster_name or self._free_name(project_id, matched),
            display_name=draft.display_name,
            cluster_type=import_type(draft.catalog),
            definition=to_json(matched.definition),
            definition_hash=upload_hash(matched.definition),
            remarks=draft.remarks,
            catalog=draft.catalog,
        )
        return made, False

    def _replaced(
        self, db: sqlite3.Connection, cluster: Cluster, changes: IdChanges, matched: _Matched
    ) -> tuple[ClusterRecord, bool]:
        try:
            changed = self._catalog.update_cluster(
                db,
                int(cluster.cluster_id),
                cluster.revision,
                display_name=changes.display_name,
                remarks=changes.remarks,
                definition=to_json(matched.definition),
                definition_hash=upload_hash(matched.definition),
            )
        except ChangedMeanwhile as error:
            raise ChangedMeanwhile(_CHANGED.format(name=cluster.cluster_name), next_step=_AGAIN) from error
        return changed, False

    def _save(
        self, matched: _Matched, change: Callable[[sqlite3.Connection], tuple[ClusterRecord, bool]]
    ) -> tuple[ClusterRecord, bool]:
        """Change a cluster and make the members its version, in one commit.

        Where `change` returns True the cluster exists already: then, and where this fails, the members are removed.
        """
        final = self._workspace.result_path(self._workspace.members, "uploaded", ".parquet")
        self._workspace.publish(matched.members, final)
        facts = {"value_type": "string", "value_scale": None} if matched.definition.catalog == TAG else {}
        result = Published(self._workspace.relative(final), matched.counts.users, matched.seconds, facts)
        data, named = matched.generation, False
        try:
            with self._catalog.database.write() as db:
                record, existed = change(db)
                if not existed:
                    made = (data.number, record.definition_hash, data.metadata.today)
                    add_version(self._catalog, db, record.id, result, *made)
                    record = self._catalog.cluster(record.id)
            named = not existed
        finally:
            if not named:
                with suppress(OSError):
                    final.unlink(missing_ok=True)
        return record, existed


def import_type(catalog: str) -> str:
    """The vendor's `clusterType` of uploaded ids."""
    return "tag_by_import" if catalog == TAG else "cluster_by_import"


def uploaded(cluster: Cluster) -> Uploaded:
    """The definition of an uploaded cluster or tag. InvalidArguments where it is none."""
    if isinstance(cluster.definition, Uploaded):
        return cluster.definition
    step = _ITS_TOOL.format(update=update_tool(cluster.catalog))
    raise InvalidArguments(_NOT_UPLOADED.format(name=cluster.cluster_name), next_step=step)


def _imported(matched: _Matched, name: str, cluster: Cluster | None) -> Imported:
    counts = matched.counts
    return Imported(
        cluster=cluster,
        cluster_name=name,
        existed=False,
        upload_num=counts.rows,
        user_num=counts.users,
        unmatched_num=counts.unmatched,
        tag_value_null_num=counts.no_value,
        duplicates=counts.rows - counts.distinct,
        unmatched=tuple(shorten(one, 100) for one in counts.examples),
        encoding=matched.file.encoding,
        warnings=tuple(import_findings(counts, matched.file, matched.definition, matched.wanted)),
    )


def _property(generation: GenerationRecord, name: str) -> Property:
    """The main column. InvalidArguments where the data no longer has it."""
    column = generation.metadata.property("user", name)
    if column is None or column.type not in MAIN_TYPES:
        table = Text("user property", "用户属性")
        raise refuse_ids([finding("property_unknown", _COLUMN, got=name, table=table)])
    return column


def _others(generation: GenerationRecord, column: Property) -> tuple[Property, ...]:
    """Properties that may hold ids: with as many values as users, nearly."""
    metadata = generation.metadata
    like_ids = [
        p for p in metadata.properties_of("user") if p.type in MAIN_TYPES and p.name not in (column.name, "#user_id")
    ]
    return tuple(sorted(like_ids, key=lambda p: -p.distinct)[:MOST_PROBED])
