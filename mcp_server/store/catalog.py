"""The catalogue: projects, generations of data, clusters with their versions, and what undoes their last change."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NoData, NoProject, NotFound, QueryFailed
from mcp_server.language.metadata import Metadata
from mcp_server.language.suggest import nearest_named
from mcp_server.store import records
from mcp_server.store.database import Database, Value
from mcp_server.store.records import (
    ClusterChange,
    ClusterPage,
    ClusterRecord,
    GenerationRecord,
    NewCluster,
    ProjectRecord,
    VersionRecord,
)
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text, listed, same

# What a cluster was before its last update or deletion, kept so that it can be undone.


Kind = Literal["update", "delete"]

_NOTHING = Text(
    "{name} has nothing to undo: it was not changed in the last 30 days, its last change was undone already, or something "
    "else was changed after it.",
    "{name} 没有可撤销的改动：最近 30 天内没有改动、上次改动已被撤销，或之后又有其他改动。",
)
_RESTORE_TAKEN = Text(
    "The name {name} is in use again, by id {id}, so id {old} can't be restored; nothing was changed.",
    "名称 {name} 已被 id {id} 使用，因此无法恢复 id {old}，未做任何更改。",
)
_FREE_IT = Text("Delete that one first, if the user wants the old one.", "如用户需要旧的那个，请先删除现有的。")
CHANGED = Text("{name} was changed since; nothing was changed.", "{name} 此后已有改动，未做任何更改。")


@dataclass(frozen=True, slots=True)
class Undoable:
    """The last change of a cluster, not yet undone."""

    change: int
    kind: Kind
    at: datetime
    now: ClusterRecord
    """As it stands, or stood when it was deleted."""
    before: ClusterRecord
    """As it was, with the members that it had."""


def remember(db: sqlite3.Connection, before: ClusterRecord, kind: Kind, moment: str) -> None:
    """Keep what a change is about to replace. Inside its transaction."""
    db.execute(
        "INSERT INTO cluster_change (cluster, kind, revision, at, display_name, remarks, definition, definition_hash,"
        " definition_changed_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            before.id,
            kind,
            before.revision + 1,
            moment,
            before.display_name,
            before.remarks,
            before.definition,
            before.definition_hash,
            records.write_time(before.definition_changed_at),
            before.current.number if before.current else None,
        ),
    )


def last_change(catalog: "Catalog", project: str, ref: str) -> Undoable:
    """The last change of the cluster that has this id or name, else of the one last deleted under it. NotFound."""
    text = ref.strip()
    try:
        now, kind = catalog.find(project, text), "update"
    except NotFound:
        deleted = _deleted(catalog, project, text)
        if deleted is None:
            raise
        now, kind = deleted, "delete"
    found = catalog.database.row(
        "SELECT * FROM cluster_change WHERE cluster = ? AND kind = ? AND revision = ?", (now.id, kind, now.revision)
    )
    if found is None:
        raise NotFound(_NOTHING.format(name=now.name))
    same_meaning = found["definition_hash"] == now.definition_hash
    version = found["version"]
    before = replace(
        now,
        display_name=found["display_name"],
        remarks=found["remarks"],
        definition=found["definition"],
        definition_hash=found["definition_hash"],
        definition_changed_at=records.read_time(found["definition_changed_at"]),
        current=now.current if same_meaning or version is None else catalog.version(now.id, version),
    )
    return Undoable(found["id"], found["kind"], records.read_time(found["at"]), now, before)


def _deleted(catalog: "Catalog", project: str, text: str) -> ClusterRecord | None:
    """The cluster that was deleted last under this id or name and can be had again."""
    if not records.storable(project, text):
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
    found = catalog.database.row(
        f"{records.DELETED} AND c.project = ? AND (c.id = ? OR c.name_key = ?) AND EXISTS (SELECT 1 FROM cluster_change h"
        " WHERE h.cluster = c.id AND h.kind = 'delete' AND h.revision = c.revision) ORDER BY c.deleted_at DESC LIMIT 1",
        (project, number, text.casefold()),
    )
    return records.cluster(found) if found else None


def check_name(catalog: "Catalog", undo: Undoable) -> None:
    """NameTaken where another cluster has the name by now."""
    taken = catalog.find_name(undo.now.project, undo.now.name)
    if taken is not None and taken.id != undo.now.id:
        raise NameTaken(_RESTORE_TAKEN.format(name=taken.name, id=taken.id, old=undo.now.id), next_step=_FREE_IT)


def undo_change(catalog: "Catalog", undo: Undoable) -> ClusterRecord:
    """Give back what was, under the same id. ChangedMeanwhile where something was changed since `undo` was read."""
    before, moment = undo.before, catalog.moment()
    with catalog.database.write() as db:
        check_name(catalog, undo)
        restored = db.execute(
            "UPDATE cluster SET display_name = ?, remarks = ?, words = ?, definition = ?, definition_hash = ?,"
            " definition_changed_at = ?, version = ?, deleted_at = NULL, updated_at = ?, revision = revision + 1"
            " WHERE id = ? AND revision = ?",
            (
                before.display_name,
                before.remarks,
                records.search_words(before.name, before.display_name, before.remarks),
                before.definition,
                before.definition_hash,
                records.write_time(before.definition_changed_at),
                before.current.number if before.current else None,
                moment,
                before.id,
                undo.now.revision,
            ),
        )
        if not restored.rowcount:
            raise ChangedMeanwhile(CHANGED.format(name=before.name))
        db.execute("UPDATE job SET stop = 'restored' WHERE cluster = ? AND state = 'running'", (before.id,))
        db.execute("DELETE FROM cluster_change WHERE id = ?", (undo.change,))
        return catalog.cluster(before.id)


def forget(db: sqlite3.Connection, before: str, project: str = "") -> None:
    """What was changed or deleted before this moment, in one project or in all, can't be undone any more. Inside a transaction."""
    bound: tuple[str, ...] = (before, project, project)
    of_project = "(? = '' OR cluster IN (SELECT id FROM cluster WHERE project = ?))"
    db.execute(f"DELETE FROM cluster_change WHERE at < ? AND {of_project}", bound)
    gone = (
        "deleted_at IS NOT NULL AND deleted_at < ? AND NOT EXISTS (SELECT 1 FROM job WHERE job.cluster = cluster.id"
        " AND job.state = 'running') AND NOT EXISTS (SELECT 1 FROM crowd_task t WHERE t.cluster = cluster.id)"
        " AND (? = '' OR project = ?)"
    )
    # The row stays, so that ids in the log and in old answers never come to mean something else.
    db.execute(f"UPDATE cluster SET version = NULL, definition = '{{}}', words = '', remarks = '' WHERE {gone}", bound)
    db.execute(f"DELETE FROM version WHERE cluster IN (SELECT id FROM cluster WHERE {gone})", bound)


# The catalogue: projects, generations of data, clusters and their versions.
#
# Every call is synchronous and short, so that it can run inline in an event loop. A call that writes is one commit:
# after a crash it has happened wholly or not at all. (Jobs are in `job_store.py`, on the same database.)


Clock = Callable[[], datetime]
"""Gives the present moment as an aware datetime."""

MAX_NAMES = 2000
"""Names that are looked through for a suggestion, newest first."""

_NO_DATA = Text(
    "Project {project} has no data yet. Load some first: fenqun load --users FILE --events FILE --project {project}",
    "项目 {project} 还没有数据。请先加载：fenqun load --users FILE --events FILE --project {project}",
)
_NO_PROJECT = Text("There is no project {project} here. There are: {known}.", "没有项目 {project}。现有项目：{known}。")
_NO_CLUSTER = Text("There is no cluster or tag {ref} in project {project}.", "项目 {project} 中没有分群或标签{ref}。")
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


def _now() -> datetime:
    return datetime.now(UTC)


def _seen_from(generation: GenerationRecord, today: date | None) -> GenerationRecord:
    if today is None or generation.metadata.today == today:
        return generation
    return replace(generation, metadata=generation.metadata.model_copy(update={"today": today}))


class Catalog:
    """What a workspace knows. One per process; any thread may call it."""

    def __init__(self, workspace: Workspace, *, clock: Clock = _now) -> None:
        """Open or make the catalogue. ConfigurationError where it is not ours, or of a newer schema."""
        self.workspace = workspace
        self.clock = clock
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
        return tuple(map(records.project, self.database.rows("SELECT * FROM project ORDER BY id")))

    def find_project(self, project_id: str) -> ProjectRecord | None:
        """The project, or None where nothing was ever loaded into it."""
        if not records.storable(project_id):
            return None
        found = self.database.row("SELECT * FROM project WHERE id = ?", (project_id,))
        return records.project(found) if found else None

    def project(self, project_id: str) -> ProjectRecord:
        """The project. NoProject names those there are; NoData where there is none at all."""
        found = self.find_project(project_id)
        if found is not None:
            return found
        known = [same(p.id) for p in self.projects()]
        if known:
            raise NoProject(_NO_PROJECT.format(project=records.shown(project_id), known=listed(known)))
        raise NoData(_NO_DATA.format(project=records.shown(project_id)))

    def today(self, project: ProjectRecord) -> date:
        """The project's current date: its as-of date, or today in its zone (qp.md section 2)."""
        return project.as_of or self.clock().astimezone(ZoneInfo(project.zone)).date()

    def generation(self, project_id: str) -> GenerationRecord:
        """The current data of a project; its metadata carries the `today` of this moment."""
        return self.generation_of(self.project(project_id))

    def generation_of(self, project: ProjectRecord) -> GenerationRecord:
        """The data of a project as its record names it."""
        key = (project.id, project.generation)
        found = self._generations.get(key)
        if found is None:
            found = self.generation_numbered(*key)
            if found is None:
                raise NoData(_NO_DATA.format(project=project.id))
        seen = _seen_from(found, self.today(project))
        if self._generations.get(key) is not seen:
            self._generations = {**{k: v for k, v in self._generations.items() if k[0] != project.id}, key: seen}
        return seen

    def generation_numbered(self, project_id: str, number: int, today: date | None = None) -> GenerationRecord | None:
        """One generation, seen from the day `today` (None: from the day of its load); None where it was swept away."""
        found = self.database.row("SELECT * FROM generation WHERE project = ? AND number = ?", (project_id, number))
        return _seen_from(records.generation(found), today) if found else None

    def metadata(self, project_id: str) -> Metadata:
        """What the project's definitions may name; the same object until data or day change."""
        return self.generation(project_id).metadata

    def publish_generation(
        self, metadata: Metadata, parts: Sequence[str], facts: Mapping[str, object] | None = None
    ) -> GenerationRecord:
        """Make published files the current data of `metadata.project_id`, with its zone and as-of date.

        `parts` are relative paths. Clusters stay; whether they are stale follows from the generation number.
        """
        project_id, as_of = metadata.project_id, metadata.as_of.isoformat() if metadata.as_of else None
        with self.database.write() as db:
            self.check_files(parts)
            found = db.execute("SELECT generation FROM project WHERE id = ?", (project_id,)).fetchone()
            number = found["generation"] + 1 if found else 1
            db.execute(
                "INSERT INTO project (id, zone, as_of, generation) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET zone = excluded.zone, as_of = excluded.as_of, generation = excluded.generation",
                (project_id, metadata.zone, as_of, number),
            )
            db.execute(
                "INSERT INTO generation (project, number, parts, metadata, facts, loaded_at) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    project_id,
                    number,
                    json.dumps(list(parts)),
                    metadata.model_dump_json(),
                    records.write_facts(facts),
                    self.moment(),
                ),
            )
        return self.generation(project_id)

    def check_files(self, files: Sequence[str]) -> None:
        """Refuse to name a file that is not there. Inside a write transaction, since sweeping takes the same lock."""
        for file in files:
            if not self.workspace.absolute(file).is_file():
                raise QueryFailed(_FILE_GONE.format(file=file))

    # -- reading clusters ------------------------------------------------------------------------------------

    def cluster(self, cluster_id: int) -> ClusterRecord:
        """The cluster or tag with this id, in whatever project. NotFound, also where it was deleted."""
        found = self.database.row(f"{records.CLUSTER} AND c.id = ?", (cluster_id,))
        if found is None:
            raise NotFound(_NO_ID.format(ref=cluster_id), next_step=_LIST_THEM)
        return records.cluster(found)

    def find(self, project_id: str, ref: str | int) -> ClusterRecord:
        """The cluster or tag that `ref` names: an id, or a name in any case. NotFound names the nearest.

        A name begins with a letter (qp.md section 6), so digits are always an id.
        """
        text = str(ref).strip()
        found = self._by_id(project_id, text) if text.isascii() and text.isdigit() else self.find_name(project_id, text)
        if found is None:
            raise self._not_found(self.project(project_id), text)
        return found

    def find_name(self, project_id: str, name: str) -> ClusterRecord | None:
        """The cluster or tag of this name, in any case."""
        if not records.storable(project_id, name):
            return None
        found = self.database.row(
            f"{records.CLUSTER} AND c.project = ? AND c.name_key = ?", (project_id, name.casefold())
        )
        return records.cluster(found) if found else None

    def _by_id(self, project_id: str, digits: str) -> ClusterRecord | None:
        if len(digits) > 18:  # beyond SQLite's integers
            return None
        found = self.database.row(f"{records.CLUSTER} AND c.project = ? AND c.id = ?", (project_id, int(digits)))
        return records.cluster(found) if found else None

    def _not_found(self, project: ProjectRecord, ref: str) -> NotFound:
        found = self.database.rows(
            "SELECT name, display_name FROM cluster WHERE project = ? AND deleted_at IS NULL ORDER BY id DESC LIMIT ?",
            (project.id, MAX_NAMES),
        )
        names: dict[str, list[str]] = {r["name"]: [r["display_name"]] for r in found}
        near = nearest_named(ref, names)
        if near:
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
    ) -> ClusterPage:
        """Clusters and tags of a project, newest first.

        `search` is a part of the name, display name or remarks, in any case. No types and no catalog: all of them.
        """
        if not records.storable(project_id, search, catalog, *cluster_types):
            return ClusterPage((), 0)
        where, values = " AND c.project = ?", [project_id]
        if search:
            where, values = f"{where} AND instr(c.words, ?) > 0", [*values, search.casefold()]
        if cluster_types:
            where += f" AND c.cluster_type IN ({','.join('?' * len(cluster_types))})"
            values += cluster_types
        if catalog:
            where, values = f"{where} AND c.catalog = ?", [*values, catalog]
        counted = self.database.row(f"SELECT count(*) AS n FROM cluster c WHERE c.deleted_at IS NULL{where}", values)
        page: list[Value] = [*values, limit, offset]
        found = self.database.rows(f"{records.CLUSTER}{where} ORDER BY c.id DESC LIMIT ? OFFSET ?", page)
        return ClusterPage(tuple(map(records.cluster, found)), counted["n"] if counted else 0)

    def version(self, cluster_id: int, number: int) -> VersionRecord | None:
        """One version of a cluster, or None where it was never made or was swept away."""
        found = self.database.row("SELECT * FROM version WHERE cluster = ? AND number = ?", (cluster_id, number))
        return records.version(found) if found else None

    def versions(self, cluster_id: int) -> tuple[VersionRecord, ...]:
        """The versions that are kept, newest first."""
        found = self.database.rows("SELECT * FROM version WHERE cluster = ? ORDER BY number DESC", (cluster_id,))
        return tuple(map(records.version, found))

    # -- writing clusters ------------------------------------------------------------------------------------

    def create_cluster(self, project_id: str, draft: NewCluster) -> ClusterRecord:
        """Save a new cluster or tag. NameTaken where the name is in use in any case, with a free one."""
        self.project(project_id)
        with self.database.write() as db:
            return self.insert_cluster(db, project_id, draft)

    def insert_cluster(self, db: sqlite3.Connection, project_id: str, draft: NewCluster) -> ClusterRecord:
        """The same inside a transaction of the caller's."""
        if not records.storable(draft.name, draft.display_name, draft.remarks, draft.definition):
            raise InvalidArguments(_NOT_TEXT)
        taken = self.find_name(project_id, draft.name)
        if taken is not None:
            hint = _CHOOSE.format(free=self.free_name(project_id, draft.name))
            raise NameTaken(_TAKEN.format(name=taken.name, id=taken.id, display=taken.display_name), next_step=hint)
        moment = self.moment()
        columns: dict[str, Value] = {
            "project": project_id,
            "name": draft.name,
            "name_key": draft.name.casefold(),
            "display_name": draft.display_name,
            "catalog": draft.catalog,
            "cluster_type": draft.cluster_type,
            "remarks": draft.remarks,
            "words": records.search_words(draft.name, draft.display_name, draft.remarks),
            "definition": draft.definition,
            "definition_hash": draft.definition_hash,
            "definition_changed_at": moment,
            "created_at": moment,
            "updated_at": moment,
            "revision": 1,
        }
        statement = f"INSERT INTO cluster ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        made = db.execute(statement, tuple(columns.values())).lastrowid
        return self.cluster(int(made or 0))

    def free_name(self, project_id: str, name: str, *, longest: int = 24) -> str:
        """This name if it is free, else the first free one of name_2, name_3, …, cut to `longest` characters."""
        wanted, count = name[:longest], 1
        while self.find_name(project_id, wanted) is not None:
            count += 1
            suffix = f"_{count}"
            wanted = name[: longest - len(suffix)] + suffix
        return wanted

    def update_cluster(self, cluster_id: int, revision: int, change: ClusterChange) -> ClusterRecord:
        """Change what `change` holds, if the cluster still is as the caller read it (`revision`).

        ChangedMeanwhile where it is not. A change that changes nothing leaves the revision as it is.
        """
        with self.database.write() as db:
            return self.change_cluster(db, cluster_id, revision, change)

    def change_cluster(
        self, db: sqlite3.Connection, cluster_id: int, revision: int, change: ClusterChange
    ) -> ClusterRecord:
        """The same inside a transaction of the caller's."""
        if not records.storable(change.display_name or "", change.remarks or "", change.definition or ""):
            raise InvalidArguments(_NOT_TEXT)
        before = self._as_seen(cluster_id, revision)
        after = replace(
            before,
            display_name=before.display_name if change.display_name is None else change.display_name,
            remarks=before.remarks if change.remarks is None else change.remarks,
            definition=before.definition if change.definition is None else change.definition,
            definition_hash=before.definition_hash if change.definition_hash is None else change.definition_hash,
        )
        if after == before:
            return before
        self._write_change(db, before, after)
        return self.cluster(cluster_id)

    def _write_change(self, db: sqlite3.Connection, before: ClusterRecord, after: ClusterRecord) -> None:
        moment = self.moment()
        remember(db, before, "update", moment)
        other_meaning = after.definition_hash != before.definition_hash
        db.execute(
            "UPDATE cluster SET display_name = ?, remarks = ?, words = ?, definition = ?, definition_hash = ?,"
            " definition_changed_at = ?, updated_at = ?, revision = revision + 1 WHERE id = ?",
            (
                after.display_name,
                after.remarks,
                records.search_words(after.name, after.display_name, after.remarks),
                after.definition,
                after.definition_hash,
                moment if other_meaning else records.write_time(before.definition_changed_at),
                moment,
                after.id,
            ),
        )

    def delete_cluster(self, cluster_id: int, revision: int, allowed: Callable[[], None] = lambda: None) -> None:
        """Delete it, if it still is as the caller read it, and if `allowed`, asked inside the transaction, does not raise. Its jobs are asked to stop; its name is free at once.

        The row and its versions stay in the file, unseen, so that a deletion can be undone (`undoing.py`).
        """
        with self.database.write() as db:
            before = self._as_seen(cluster_id, revision)
            allowed()
            moment = self.moment()
            remember(db, before, "delete", moment)
            db.execute(
                "UPDATE cluster SET deleted_at = ?, updated_at = ?, revision = revision + 1 WHERE id = ?",
                (moment, moment, cluster_id),
            )
            db.execute("UPDATE job SET stop = 'deleted' WHERE cluster = ? AND state = 'running'", (cluster_id,))

    def _as_seen(self, cluster_id: int, revision: int) -> ClusterRecord:
        found = self.cluster(cluster_id)
        if found.revision != revision:
            raise ChangedMeanwhile(_CHANGED.format(name=found.name, seen=revision, now=found.revision))
        return found
