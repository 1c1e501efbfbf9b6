"""The catalogue: projects, generations of data, clusters with their versions, and what undoes their last change.

Every call is synchronous and short, so that it can run inline in an event loop. What changes a cluster runs inside a
transaction of the caller's (`Database.write`), which is one commit: after a crash it has happened wholly or not at all.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NoData, NoProject, NotFound, QueryFailed
from mcp_server.language.metadata import Metadata
from mcp_server.language.suggest import nearest_named
from mcp_server.store import records
from mcp_server.store.database import Database
from mcp_server.store.records import ClusterRecord, GenerationRecord, ProjectRecord, Value, VersionRecord
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text, listed, same

Clock = Callable[[], datetime]
"""Gives the present moment as an aware datetime."""

UNDO_DAYS = 7
"""Days that the data before a load is kept, unless a setting says otherwise."""
MAX_WORDS = 20
"""Words of a search that count."""
MAX_NAMES = 2000
"""Names that are looked through for a suggestion, newest first."""

_NO_DATA = Text(
    "Project {project} has no data yet.",
    "项目 {project} 还没有数据。",
)
_LOAD_FIRST = Text(
    'Ask the user for a file of their own (Excel, CSV, JSON, Parquet): put into {folder}, look_at_file and load_file take it. Or the demo data: load_file with files ["demo"] (in a terminal: fenqun load --demo).',
    '请让用户提供自己的文件（Excel、CSV、JSON 或 Parquet）：放入 {folder} 后，用 look_at_file 查看、load_file 加载。也可使用演示数据：以 files ["demo"] 调用 load_file（终端中为 fenqun load --demo）。',
)
"""What to do on a first start, in a conversation: the one place that names how data is loaded."""
_OTHER_DATA = Text(
    "Other data was loaded into this project meanwhile; nothing was replaced.",
    "期间该项目加载了其他数据，未替换任何内容。",
)
_LOAD_AGAIN = Text("Look at it, then load again.", "请查看后再加载。")
_NO_LOAD_TO_UNDO = Text(
    "Project {project} has no load that could be undone: the data before it is kept for {days} days.",
    "项目 {project} 没有可撤销的加载：加载前的数据保留 {days} 天。",
)
_LOAD_OLD_FILES = Text("Load the earlier files again.", "请重新加载之前的文件。")
_NO_PROJECT = Text("There is no project {project} here. There are: {known}.", "没有项目 {project}。现有项目：{known}。")
_NAME_OR_LOAD = Text("Name one of these; or load data into it.", "请指明其中之一，或为其加载数据。")
_NO_CLUSTER = Text("There is no cluster or tag {ref} in project {project}.", "项目 {project} 中没有分群或标签{ref}。")
_SEVERAL = Text(
    "{count} clusters and tags have the display name {ref}: {names}.",
    "有 {count} 个分群或标签的显示名称是{ref}：{names}。",
)
_NAME_ONE = Text("Use the name or the id of the one that is meant.", "请改用其中一个的名称或 id。")
_GONE = Text(
    "{ref} was deleted (id {id}); restore_cluster brings it back.",
    "{ref}已被删除（id {id}），可用 restore_cluster 恢复。",
)
_NO_ID = Text("There is no cluster or tag with the id {ref}.", "没有 id 为 {ref} 的分群或标签。")
_NEAREST = Text('The nearest name is "{name}".', "最接近的名称是“{name}”。")
_NEWEST = Text("The newest are: {names}.", "最近创建的有：{names}。")
_NONE_YET = Text("It has none yet.", "该项目尚未创建任何分群或标签。")
_LIST_THEM = Text("list_clusters shows all of them.", "可用 list_clusters 查看全部。")
_TAKEN = Text(
    'The name "{name}" is in use: it is id {id}, "{display}". Names ignore case, and clusters and tags share them.',
    "名称“{name}”已被占用：id {id}，“{display}”。名称不区分大小写，分群与标签不能重名。",
)
_CHOOSE = Text(
    'Choose another name, for example "{free}", or change the existing one.',
    "请换一个名称，例如“{free}”，或修改已有的那个。",
)
_CHANGED = Text(
    '"{name}" was changed by someone else since it was read (revision {seen}, now {now}); nothing was changed. Read it again, then decide.',
    "“{name}”在读取之后已被他人修改（读取时修订号 {seen}，现为 {now}），未做任何更改。请重新读取后再决定。",
)
_NOT_TEXT = Text(
    "The name, the remarks or the definition hold half of a character (a lone surrogate), which can't be kept. Remove it.",
    "名称、备注或定义中含有不完整的字符（单独的代理码位），无法保存。请将其删除。",
)
_FILE_GONE = Text(
    "The file {file} is gone from the workspace, so its result was not saved. Run it again.",
    "工作区中的文件 {file} 已不存在，结果未保存。请重新运行。",
)
_NOTHING_TO_UNDO = Text(
    "{name} has nothing to undo: it was not changed in the last 30 days, its last change was undone already, or something "
    "else was changed after it.",
    "{name} 没有可撤销的改动：最近 30 天内没有改动、上次改动已被撤销，或之后又有其他改动。",
)
_NAME_IN_USE_AGAIN = Text(
    "The name {name} is in use again, by id {id}, so id {old} can't be restored; nothing was changed.",
    "名称 {name} 已被 id {id} 使用，因此无法恢复 id {old}，未做任何更改。",
)
_FREE_IT = Text("Delete that one first, if the user wants the old one.", "如用户需要旧的那个，请先删除现有的。")
_CHANGED_SINCE = Text("{name} was changed since; nothing was changed.", "{name} 此后已有改动，未做任何更改。")


@dataclass(frozen=True, slots=True)
class Undoable:
    """The last change of a cluster, not yet undone."""

    change: int
    kind: Literal["update", "delete"]
    at: datetime
    now: ClusterRecord
    """As it is, or was when it was deleted."""
    before: ClusterRecord
    """As it was before, with the members that it had."""


def _now() -> datetime:
    return datetime.now(UTC)


def _seen_from(generation: GenerationRecord, today: date | None) -> GenerationRecord:
    if today is None or generation.metadata.today == today:
        return generation
    return replace(generation, metadata=generation.metadata.model_copy(update={"today": today}))


def _state(cluster: ClusterRecord) -> dict[str, object]:
    """The columns of a cluster that an update changes and an undo restores."""
    names = ("display_name", "remarks", "definition", "definition_hash", "definition_changed_at")
    return {name: getattr(cluster, name) for name in names}


class Catalog:
    """What a workspace knows. One per process; any thread may call it."""

    def __init__(self, workspace: Workspace, *, clock: Clock = _now, undo_days: int = UNDO_DAYS) -> None:
        """Open or make the catalogue. ConfigurationError where it is not ours, or of another schema version."""
        self.workspace = workspace
        self.clock = clock
        self.undo_days = undo_days
        self.database = Database(workspace)
        self._generations: dict[tuple[str, int], GenerationRecord] = {}  # immutable rows, so never outdated

    def close(self) -> None:
        """Close the connections. Call it last: jobs end before, the workspace closes after."""
        self.database.close()

    def moment(self) -> str:
        """The present as the catalogue writes it."""
        return records.write_time(self.clock())

    # -- projects and their data -----------------------------------------------------------------------------

    def projects(self) -> tuple[ProjectRecord, ...]:
        """All projects, sorted by id."""
        return self.database.records(records.project, "SELECT * FROM project ORDER BY id")

    def find_project(self, project_id: str) -> ProjectRecord | None:
        """Return the project, or None where nothing was ever loaded into it."""
        if not records.storable(project_id):
            return None
        return self.database.record(records.project, "SELECT * FROM project WHERE id = ?", (project_id,))

    def project(self, project_id: str) -> ProjectRecord:
        """Return the project. NoProject names those there are; NoData where there is none at all."""
        known = self.find_project(project_id)
        if known is not None:
            return known
        names = [same(p.id) for p in self.projects()]
        if names:
            message = _NO_PROJECT.format(project=records.shown(project_id), known=listed(names))
            raise NoProject(message, next_step=_NAME_OR_LOAD.then(self._load_first()))
        raise self._no_data(project_id)

    def _no_data(self, project: str) -> NoData:
        return NoData(_NO_DATA.format(project=records.shown(project)), next_step=self._load_first())

    def _load_first(self) -> Text:
        return _LOAD_FIRST.format(folder=self.workspace.imports)

    def today(self, project: ProjectRecord) -> date:
        """The project's current date: its as-of date, or today in its zone (qp.md section 2)."""
        return project.as_of or self.clock().astimezone(ZoneInfo(project.zone)).date()

    def generation(self, project_id: str) -> GenerationRecord:
        """The current data of a project; its metadata carries the `today` of this moment."""
        return self.generation_of(self.project(project_id))

    def generation_of(self, project: ProjectRecord) -> GenerationRecord:
        """The data that a project's record names."""
        key = (project.id, project.generation)
        known = self._generations.get(key) or self.generation_numbered(*key)
        if known is None:
            raise self._no_data(project.id)
        seen = _seen_from(known, self.today(project))
        if self._generations.get(key) is not seen:
            self._generations = {**{k: v for k, v in self._generations.items() if k[0] != project.id}, key: seen}
        return seen

    def generation_numbered(self, project_id: str, number: int, today: date | None = None) -> GenerationRecord | None:
        """One generation, seen from the day `today` (None: from the day of its load); None where it was swept away."""
        read = self.database.record(
            records.generation, "SELECT * FROM generation WHERE project = ? AND number = ?", (project_id, number)
        )
        return _seen_from(read, today) if read else None

    def metadata(self, project_id: str) -> Metadata:
        """What the project's definitions may name; the same object until data or day change."""
        return self.generation(project_id).metadata

    def publish_generation(
        self,
        metadata: Metadata,
        parts: Sequence[str],
        facts: Mapping[str, object] | None = None,
        *,
        instead_of: int | None = None,
    ) -> GenerationRecord:
        """Make published files the current data of `metadata.project_id`, with its zone and as-of date.

        `parts` are relative paths. Clusters stay; whether they are stale follows from the generation number.
        ChangedMeanwhile where the current generation is not number `instead_of` (0: none; None: whichever).
        """
        project_id, as_of = metadata.project_id, records.written(metadata.as_of)
        with self.database.write() as db:
            self.check_files(parts)
            known = self.find_project(project_id)
            if instead_of is not None and instead_of != (known.generation if known else 0):
                raise ChangedMeanwhile(_OTHER_DATA, next_step=_LOAD_AGAIN)
            number = known.generation + 1 if known else 1
            db.execute(
                "INSERT INTO project (id, zone, as_of, generation) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET zone = excluded.zone, as_of = excluded.as_of, generation = excluded.generation",
                (project_id, metadata.zone, as_of, number),
            )
            records.insert(
                db,
                "generation",
                project=project_id,
                number=number,
                parts=list(parts),
                metadata=metadata,
                facts=facts or {},
                loaded_at=self.moment(),
            )
        return self.generation(project_id)

    def generation_before(self, project_id: str) -> GenerationRecord:
        """The data of a project before its last load. NotFound where it is kept no more, or there was none."""
        current = self.generation(project_id)
        before = self.generation_numbered(project_id, current.number - 1)
        if before is None or self.clock() - current.loaded_at > timedelta(days=self.undo_days):
            raise NotFound(_NO_LOAD_TO_UNDO.format(project=project_id, days=self.undo_days), next_step=_LOAD_OLD_FILES)
        return before

    def undo_load(self, project_id: str, number: int) -> GenerationRecord:
        """Make the data before the last load, which is number `number`, current again, under a new number.

        NotFound; ChangedMeanwhile where that is no longer the last load. Undoing twice gives the later data back.
        """
        before = self.generation_before(project_id)
        facts = {**before.facts, "loaded_at": records.write_time(before.data_at)}
        return self.publish_generation(before.metadata, before.parts, facts, instead_of=number)

    def check_files(self, files: Sequence[str]) -> None:
        """Refuse to name a file that is not there. Inside a write transaction, since sweeping takes the same lock."""
        for file in files:
            if not self.workspace.absolute(file).is_file():
                raise QueryFailed(_FILE_GONE.format(file=file))

    # -- reading clusters ------------------------------------------------------------------------------------

    def cluster(self, cluster_id: int) -> ClusterRecord:
        """The cluster or tag with this id, in whatever project. NotFound, also where it was deleted."""
        known = self.database.record(records.cluster, f"{records.CLUSTER} AND c.id = ?", (cluster_id,))
        if known is None:
            raise NotFound(_NO_ID.format(ref=cluster_id), next_step=_LIST_THEM)
        return known

    def find(self, project_id: str, ref: str | int) -> ClusterRecord:
        """The cluster or tag that `ref` names: an id, a name in any case, or a display name that only one has.

        NotFound names the nearest, and all that have the same display name.

        A name begins with a letter (qp.md section 6), so digits are always an id.
        """
        text = str(ref).strip()
        if text.isascii() and text.isdigit():
            values = (project_id, records.id_in(text))
            known = self.database.record(records.cluster, f"{records.CLUSTER} AND c.project = ? AND c.id = ?", values)
        else:
            known = self.find_name(project_id, text) or self._displayed(project_id, text)
        if known is None:
            raise self._not_found(self.project(project_id), text)
        return known

    def _displayed(self, project_id: str, name: str) -> ClusterRecord | None:
        """The cluster or tag of this display name; None where none has it. NotFound names them where several have it."""
        if not name or not records.storable(project_id, name):
            return None
        where = f"{records.CLUSTER} AND c.project = ? AND c.display_name = ? ORDER BY c.id DESC LIMIT {MAX_NAMES}"
        same_name = self.database.records(records.cluster, where, (project_id, name))
        if len(same_name) > 1:
            names = listed(f"{c.name} (id {c.id})" for c in same_name)
            raise NotFound(
                _SEVERAL.format(ref=records.quoted(name), count=len(same_name), names=names), next_step=_NAME_ONE
            )
        return same_name[0] if same_name else None

    def find_name(self, project_id: str, name: str) -> ClusterRecord | None:
        """The cluster or tag of this name, in any case."""
        if not records.storable(project_id, name):
            return None
        values = (project_id, name.casefold())
        return self.database.record(records.cluster, f"{records.CLUSTER} AND c.project = ? AND c.name_key = ?", values)

    def _not_found(self, project: ProjectRecord, ref: str) -> NotFound:
        newest = self.database.rows(
            "SELECT name, display_name FROM cluster WHERE project = ? AND deleted_at IS NULL ORDER BY id DESC LIMIT ?",
            (project.id, MAX_NAMES),
        )
        names: dict[str, list[str]] = {r["name"]: [r["display_name"]] for r in newest}
        near = nearest_named(ref, names)
        deleted = self._deleted(project.id, ref)
        if deleted is not None:
            hint = _GONE.format(ref=records.quoted(deleted.name), id=deleted.id)
        elif near:
            hint = _NEAREST.format(name=near)
        elif names:
            hint = _NEWEST.format(names=listed(list(names)[:5]))
        else:
            hint = _NONE_YET
        return NotFound(
            _NO_CLUSTER.format(ref=records.quoted(ref), project=project.id).then(hint), next_step=_LIST_THEM
        )

    def list_clusters(
        self,
        project_id: str,
        *,
        search: str = "",
        cluster_types: Sequence[str] = (),
        catalog: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[ClusterRecord, ...], int]:
        """A slice of the clusters and tags of a project, newest first, and the number of all that match.

        `search` is a part of the name, display name or remarks, in any case; of several words those that most are in first. No types and no catalog: all of them.
        """
        if not records.storable(project_id, search, catalog, *cluster_types):
            return (), 0
        where: str = " AND c.project = ?"
        values: list[Value] = [project_id]
        fits, parts = "", list[str]()
        if search:
            whole = search.casefold().strip()
            parts = list(dict.fromkeys([whole, *whole.split()]))[:MAX_WORDS]
            fits = " + ".join("(instr(c.words, ?) > 0)" for _ in parts)
            where, values = f"{where} AND ({fits}) > 0", [*values, *parts]
        if cluster_types:
            where += f" AND c.cluster_type IN ({','.join('?' * len(cluster_types))})"
            values += cluster_types
        if catalog:
            where, values = f"{where} AND c.catalog = ?", [*values, catalog]
        total = self.database.count(f"cluster c WHERE c.deleted_at IS NULL{where}", values)
        rank = f"({fits}) DESC, " if fits else ""
        page = f"{records.CLUSTER}{where} ORDER BY {rank}c.id DESC LIMIT ? OFFSET ?"
        return self.database.records(records.cluster, page, [*values, *parts, limit, offset]), total

    def version(self, cluster_id: int, number: int) -> VersionRecord | None:
        """One version of a cluster, or None where it was never made or was swept away."""
        return self.database.record(
            records.version, "SELECT * FROM version WHERE cluster = ? AND number = ?", (cluster_id, number)
        )

    def versions(self, cluster_id: int) -> tuple[VersionRecord, ...]:
        """The versions that are kept, newest first."""
        return self.database.records(
            records.version, "SELECT * FROM version WHERE cluster = ? ORDER BY number DESC", (cluster_id,)
        )

    # -- changing clusters, inside a transaction of the caller's ---------------------------------------------

    def create_cluster(
        self,
        db: sqlite3.Connection,
        project_id: str,
        *,
        name: str,
        display_name: str,
        cluster_type: str,
        definition: str,
        definition_hash: str,
        remarks: str = "",
        catalog: str = "catalog_cluster",
    ) -> ClusterRecord:
        """Save a new cluster or tag; its definition is normalised JSON.

        NameTaken where the name is in use in any case; it proposes a free one.
        """
        self.project(project_id)
        if not records.storable(name, display_name, remarks, definition):
            raise InvalidArguments(_NOT_TEXT)
        taken = self.find_name(project_id, name)
        if taken is not None:
            hint = _CHOOSE.format(free=self.free_name(project_id, name))
            raise NameTaken(_TAKEN.format(name=taken.name, id=taken.id, display=taken.display_name), next_step=hint)
        moment = self.moment()
        made = records.insert(
            db,
            "cluster",
            project=project_id,
            name=name,
            name_key=name.casefold(),
            display_name=display_name,
            catalog=catalog,
            cluster_type=cluster_type,
            remarks=remarks,
            words=records.search_words(name, display_name, remarks),
            definition=definition,
            definition_hash=definition_hash,
            definition_changed_at=moment,
            created_at=moment,
            updated_at=moment,
            revision=1,
        )
        return self.cluster(made)

    def free_name(self, project_id: str, name: str, *, longest: int = 24) -> str:
        """This name if it is free, else the first free one of name_2, name_3, …, cut to `longest` characters."""
        free, count = name[:longest], 1
        while self.find_name(project_id, free) is not None:
            count += 1
            suffix = f"_{count}"
            free = name[: longest - len(suffix)] + suffix
        return free

    def update_cluster(
        self,
        db: sqlite3.Connection,
        cluster_id: int,
        revision: int,
        *,
        display_name: str | None = None,
        remarks: str | None = None,
        definition: str | None = None,
        definition_hash: str | None = None,
    ) -> ClusterRecord:
        """Change what is given, if the cluster still is as the caller read it (`revision`). A definition has its hash.

        ChangedMeanwhile where it is not. A change that changes nothing leaves the revision as it is.
        """
        if not records.storable(display_name or "", remarks or "", definition or ""):
            raise InvalidArguments(_NOT_TEXT)
        before = self._at_revision(cluster_id, revision)
        after = replace(
            before,
            display_name=before.display_name if display_name is None else display_name,
            remarks=before.remarks if remarks is None else remarks,
            definition=before.definition if definition is None else definition,
            definition_hash=before.definition_hash if definition_hash is None else definition_hash,
        )
        if after == before:
            return before
        now = self.clock()
        if after.definition_hash != before.definition_hash:
            after = replace(after, definition_changed_at=now)
        self._remember(db, before, "update")
        self._write(db, before, now, **_state(after), words=_words(after))
        return self.cluster(cluster_id)

    def delete_cluster(self, db: sqlite3.Connection, cluster_id: int, revision: int) -> None:
        """Delete it, if it still is as the caller read it. Its jobs are asked to stop; its name is free at once.

        The row and its versions stay in the file, unseen, so that a deletion can be undone.
        """
        before, now = self._at_revision(cluster_id, revision), self.clock()
        self._remember(db, before, "delete")
        self._write(db, before, now, deleted_at=now)
        db.execute("UPDATE job SET stop = 'deleted' WHERE cluster = ? AND state = 'running'", (cluster_id,))

    def _at_revision(self, cluster_id: int, revision: int) -> ClusterRecord:
        known = self.cluster(cluster_id)
        if known.revision != revision:
            raise ChangedMeanwhile(_CHANGED.format(name=known.name, seen=revision, now=known.revision))
        return known

    def _write(self, db: sqlite3.Connection, before: ClusterRecord, now: datetime, **columns: object) -> None:
        revision = before.revision + 1
        records.update(db, "cluster", "id = ?", (before.id,), **columns, updated_at=now, revision=revision)

    # -- undoing the last change -----------------------------------------------------------------------------

    def _remember(self, db: sqlite3.Connection, before: ClusterRecord, kind: str) -> None:
        """Keep what a change is about to replace."""
        records.insert(
            db,
            "cluster_change",
            cluster=before.id,
            kind=kind,
            revision=before.revision + 1,
            at=self.moment(),
            version=before.current.number if before.current else None,
            **_state(before),
        )

    def last_change(self, project_id: str, ref: str) -> Undoable:
        """The last change of the cluster that has this id or name, else of the one last deleted under it.

        NotFound where there is none; NameTaken where another cluster has the name by now.
        """
        text = ref.strip()
        try:
            now, kind = self.find(project_id, text), "update"
        except NotFound:
            deleted = self._deleted(project_id, text)
            if deleted is None:
                raise
            now, kind = deleted, "delete"
        row = self.database.row(
            "SELECT * FROM cluster_change WHERE cluster = ? AND kind = ? AND revision = ?", (now.id, kind, now.revision)
        )
        if row is None:
            raise NotFound(_NOTHING_TO_UNDO.format(name=now.name))
        taken = self.find_name(project_id, now.name)
        if taken is not None and taken.id != now.id:
            words = _NAME_IN_USE_AGAIN.format(name=taken.name, id=taken.id, old=now.id)
            raise NameTaken(words, next_step=_FREE_IT)
        same_meaning, version = row["definition_hash"] == now.definition_hash, row["version"]
        before = replace(
            now,
            display_name=row["display_name"],
            remarks=row["remarks"],
            definition=row["definition"],
            definition_hash=row["definition_hash"],
            definition_changed_at=datetime.fromisoformat(row["definition_changed_at"]),
            current=now.current if same_meaning or version is None else self.version(now.id, version),
        )
        return Undoable(row["id"], row["kind"], datetime.fromisoformat(row["at"]), now, before)

    def _deleted(self, project_id: str, text: str) -> ClusterRecord | None:
        """The cluster that was deleted last under this id or name and can be restored."""
        if not records.storable(project_id, text):
            return None
        return self.database.record(
            records.cluster,
            f"{records.DELETED} AND c.project = ? AND (c.id = ? OR c.name_key = ? OR c.display_name = ?) AND EXISTS (SELECT 1 FROM cluster_change h"
            " WHERE h.cluster = c.id AND h.kind = 'delete' AND h.revision = c.revision) ORDER BY c.deleted_at DESC LIMIT 1",
            (project_id, records.id_in(text), text.casefold(), text),
        )

    def undo(self, project_id: str, ref: str, revision: int) -> ClusterRecord:
        """Undo the last change, in a transaction of its own, under the same id; the cluster as it is then.

        NotFound, NameTaken; ChangedMeanwhile where the cluster is no longer at `revision`.
        """
        with self.database.write() as db:
            undo = self.last_change(project_id, ref)
            before = undo.before
            if undo.now.revision != revision:
                raise ChangedMeanwhile(_CHANGED_SINCE.format(name=before.name))
            version = before.current.number if before.current else None
            columns = {**_state(before), "words": _words(before), "version": version, "deleted_at": None}
            self._write(db, undo.now, self.clock(), **columns)
            db.execute("UPDATE job SET stop = 'restored' WHERE cluster = ? AND state = 'running'", (before.id,))
            db.execute("DELETE FROM cluster_change WHERE id = ?", (undo.change,))
            return self.cluster(before.id)


def _words(cluster: ClusterRecord) -> str:
    return records.search_words(cluster.name, cluster.display_name, cluster.remarks)
