"""Clusters on the local platform: the catalogue says what they are, jobs compute them, the engine answers."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Literal, assert_never

from mcp_server.engines.base import AnyPlan, compile_any
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import ClusterInUse, NotRefreshable, Problem
from mcp_server.language.definitions import Definition, from_json, meaning_hash, to_json, value_type_of
from mcp_server.language.metadata import Metadata
from mcp_server.language.names import named_clusters
from mcp_server.language.reading.check import SqlSeen
from mcp_server.language.sql import Sql
from mcp_server.language.vocabulary import Path
from mcp_server.platforms.local.computing import Tasks, data_file, export_members, exported_columns, same_users
from mcp_server.platforms.local.imports import LocalImports
from mcp_server.platforms.local.known import KnownClusters, fixed, local_time, moves, not_ready, value_property
from mcp_server.platforms.local.queries import Previewer
from mcp_server.platforms.local.task_store import CrowdStore
from mcp_server.platforms.segments import (
    Cluster,
    ClusterChanges,
    ClusterDraft,
    Export,
    IdChanges,
    IdDraft,
    Imported,
    OnProgress,
    Page,
    Preview,
    Undo,
)
from mcp_server.store.catalog import Catalog
from mcp_server.store.files import LocalFiles
from mcp_server.store.records import ClusterRecord, GenerationRecord, JobRecord, VersionRecord
from mcp_server.store.runner import JobControl, JobRunner
from mcp_server.text import NOTHING, Text, listed
from mcp_server.user_sql.guard import CheckedSql
from mcp_server.user_sql.plan import SqlPlan, look_at

_FOLLOWS = Text(
    "{name} is out of date ({why}) and is being brought up to date.", "{name} 已过期（{why}），正在自动更新。"
)
_STALE = Text(
    "{name} is out of date ({why}); refresh_cluster computes it again.",
    "{name} 已过期（{why}）；可用 refresh_cluster 重新计算。",
)
_FAILED = Text(
    "The last computation of {name} failed; its last good members are used. {why}",
    "{name} 上次计算失败，使用的是上一个可用版本的成员。{why}",
)


def not_up_to_date(cluster: Cluster, *, read_only: bool) -> Text:
    """Why the members are not up to date, and what becomes of that; NOTHING where they are."""
    if cluster.progress < 0:
        return _FAILED.format(name=cluster.cluster_name, why=cluster.failure)
    if cluster.fresh:
        return NOTHING
    sentence = _FOLLOWS if moves(cluster.cluster_type) and not read_only else _STALE
    return sentence.format(name=cluster.cluster_name, why=cluster.stale_because)


# The look at SQL: the check, and the engine that binds it to the project's data

MOST_KEPT = 64


class SqlLooker:
    """Looks at SQL (`SqlLook`). Remembers SQL without problems, since a definition is usually sent several times."""

    def __init__(self, catalog: Catalog, engine: Engine) -> None:
        self._catalog = catalog
        self._engine = engine
        self._good: dict[tuple[object, ...], None] = {}

    def __call__(self, definition: Sql, metadata: Metadata, at: Path) -> SqlSeen:
        return look_at(definition, metadata, at, lambda checked: self._bound(checked, metadata))

    def _bound(self, checked: CheckedSql, metadata: Metadata) -> Sequence[Problem]:
        """The problems that the engine reports, in a process of its own, which takes about a quarter of a second."""
        from mcp_server.engines.duckdb.sandbox.run import bind_sql

        generation = self._catalog.generation(metadata.project_id)
        key = (metadata.project_id, generation.number, checked.columns, checked.text(metadata.today))
        if key in self._good:
            return ()
        plan, control = SqlPlan(checked, (), metadata.zone, metadata.today), JobControl(self._catalog.workspace)
        data = data_file(self._catalog, generation)
        problems = bind_sql(plan, data, limits=self._engine.sql_limits, control=control)
        if not problems:
            for old in list(self._good)[: max(0, len(self._good) + 1 - MOST_KEPT)]:
                self._good.pop(old, None)  # worker threads may do so at the same time
            self._good[key] = None
        return problems


# Clusters

COMPARING = Text("Comparing with other clusters", "正在与其他分群比较")
COUNTING = Text("Counting users", "正在统计用户")
COMPUTING = Text("Computing the cluster", "正在计算分群")
MATCHING = Text("Matching ids with users", "正在匹配 ID 与用户")
EXPORTING = Text("Writing the file", "正在写出文件")

_IN_USE = Text("{name} can't be deleted.", "无法删除 {name}。")
_RESTING = Text("It is a condition of {users}.", "{users} 以它为条件。")
_CHANGE_FIRST = Text(
    "First change {users} with update_cluster or update_tag, or delete what can go.",
    "请先用 update_cluster 或 update_tag 修改 {users}，或将其删除。",
)
_HAS_TASKS = Text("Crowd analyses hold its members: {ids}.", "人群分析任务 {ids} 使用其成员。")
_END_TASKS = Text(
    "First delete the tasks {ids} with delete_crowd_analysis.", "请先用 delete_crowd_analysis 删除任务 {ids}。"
)
_FIXED = Text("{name} is a fixed list of users and is not computed again.", "{name} 是固定的用户名单，不会重新计算。")
_MAKE_ANOTHER = Text("Create another one from today's clusters.", "请用当前的分群另建一个。")


class LocalSegments:
    """The segment platform of this machine."""

    name = "local"
    account = ""

    def __init__(
        self,
        catalog: Catalog,
        engine: Engine,
        jobs: JobRunner,
        known: KnownClusters,
        files: LocalFiles,
        *,
        read_only: bool = False,
    ) -> None:
        self._catalog = catalog
        self._known = known
        self._engine = engine
        self._jobs = jobs
        self._files = files
        self._tasks = Tasks(catalog.workspace)
        self._read_only = read_only
        self._imports = LocalImports(catalog, engine, files)
        self.sql_look = SqlLooker(catalog, engine)

    def only_reading(self) -> "LocalSegments":
        reader = copy(self)  # with the same parts: one queue for the engine, one memory of SQL
        reader._read_only = True  # noqa: SLF001 - our own copy
        return reader

    @property
    def tasks(self) -> Tasks:
        """Runs the engine's work of calls, so many at a time; shared by all that use this engine."""
        return self._tasks

    # data

    async def metadata(self, project_id: str) -> Metadata:
        return self._known.metadata(project_id)

    def regex_fault(self, pattern: str) -> str:
        return self._engine.regex_fault(pattern)

    def doubts(self, definition: Definition, root: tuple[str | int, ...]) -> tuple[Problem, ...]:
        return ()

    async def preview(
        self,
        project_id: str,
        definition: Definition,
        *,
        sample: int,
        properties: Sequence[str],
        want_sql: bool,
        on_progress: OnProgress,
    ) -> Preview:
        plan = compile_any(definition, self._known.metadata(project_id))
        if await self._bring_up_to_date(project_id, plan, on_progress):
            plan = compile_any(definition, self._known.metadata(project_id))
        used = self._known.versions(project_id, plan)
        data = data_file(self._catalog, self._catalog.generation(project_id), used)
        columns = ["#user_id", *(p for p in properties if p != "#user_id")]
        metadata = self._known.metadata(project_id)
        value_type = value_type_of(definition, metadata)

        def work(control: JobControl) -> Preview:
            return Previewer(self._engine, metadata, data, sample, columns, want_sql, control).of(plan, value_type)

        preview = await self._tasks.run(work, on_progress, COUNTING)
        parts = map(self._seen, self._known.parts(project_id, plan))
        notes = (not_up_to_date(part, read_only=self._read_only) for part in parts)
        return replace(preview, outdated=tuple(note for note in notes if any(note)))

    async def _bring_up_to_date(self, project_id: str, plan: AnyPlan, on_progress: OnProgress) -> bool:
        """Compute the dynamic clusters first that a plan reads and that are out of date; whether there were any."""
        generation = self._catalog.generation(project_id)
        outdated = [] if self._read_only else self._known.outdated_parts(generation, plan)
        for record in outdated:
            await self.refresh(self._seen(record), seconds=None, on_progress=on_progress)
        return bool(outdated)

    # clusters

    async def get(self, project_id: str, cluster: str) -> Cluster:
        return self._seen(self._catalog.find(project_id, cluster))

    async def find_name(self, project_id: str, cluster_name: str) -> Cluster | None:
        record = self._catalog.find_name(project_id, cluster_name)
        return self._seen(record) if record else None

    async def search(
        self, project_id: str, *, words: str, cluster_types: Sequence[str], offset: int, limit: int
    ) -> Page[Cluster]:
        self._catalog.project(project_id)
        records, total = self._catalog.list_clusters(
            project_id, search=words, cluster_types=cluster_types, offset=offset, limit=limit
        )
        return Page(tuple(map(self._seen, records)), total)

    async def create(self, project_id: str, draft: ClusterDraft) -> Cluster:
        meaning = meaning_hash(draft.definition, self._known.metadata(project_id))
        with self._catalog.database.write() as db:
            made = self._catalog.create_cluster(
                db,
                project_id,
                name=draft.cluster_name,
                display_name=draft.display_name,
                cluster_type=draft.cluster_type,
                definition=to_json(draft.definition),
                definition_hash=meaning,
                remarks=draft.remarks,
                catalog=draft.definition.catalog,
            )
        self._jobs.start_background(made.id)
        return self._seen(made)

    async def update(self, cluster: Cluster, changes: ClusterChanges) -> Cluster:
        new, metadata = changes.definition, self._known.metadata(cluster.project_id)
        meaning = meaning_hash(new, metadata) if new else None
        with self._catalog.database.write() as db:
            changed = self._catalog.update_cluster(
                db,
                int(cluster.cluster_id),
                cluster.revision,
                display_name=changes.display_name,
                remarks=changes.remarks,
                definition=to_json(new) if new else None,
                definition_hash=meaning,
            )
        if meaning and meaning != meaning_hash(cluster.definition, metadata):
            self._jobs.start_background(changed.id)
        return self._seen(changed)

    async def used_by(self, cluster: Cluster) -> tuple[str, ...]:
        return self._known.users_of(self._catalog.cluster(int(cluster.cluster_id)))

    async def check_delete(self, cluster: Cluster) -> None:
        self._unused(self._catalog.cluster(int(cluster.cluster_id)))

    async def delete(self, cluster: Cluster) -> None:
        record = self._catalog.cluster(int(cluster.cluster_id))
        with self._catalog.database.write() as db:
            self._catalog.delete_cluster(db, record.id, cluster.revision)
            self._unused(record)  # where it raises, nothing is deleted

    async def undoable(self, project_id: str, cluster: str) -> Undo:
        change = self._catalog.last_change(project_id, cluster)
        at = local_time(change.at, self._catalog.generation(project_id).metadata)
        return Undo(change.kind, at, self._shown(change.now, None, NOTHING), self._shown(change.before, None, NOTHING))

    async def restore(self, undo: Undo) -> Cluster:
        now = undo.now
        return self._seen(self._catalog.undo(now.project_id, now.cluster_id, now.revision))

    def _unused(self, record: ClusterRecord) -> None:
        """Raise ClusterInUse where others use it."""
        users = listed(self._known.users_of(record))
        tasks = listed(CrowdStore(self._catalog).using(record.id))
        message, step = _IN_USE.format(name=record.name), NOTHING
        if any(users):
            message, step = message.then(_RESTING.format(users=users)), _CHANGE_FIRST.format(users=users)
        if any(tasks):
            message, step = message.then(_HAS_TASKS.format(ids=tasks)), step.then(_END_TASKS.format(ids=tasks))
        if any(step):
            raise ClusterInUse(message, next_step=step)

    # uploaded ids

    @property
    def import_folders(self) -> tuple[FilePath, ...]:
        return self._files.folders

    async def import_ids(self, project_id: str, draft: IdDraft, *, dry_run: bool, on_progress: OnProgress) -> Imported:
        return await self._tasks.run(
            lambda control: self._imports.add(project_id, draft, dry_run=dry_run, seen=self._seen, control=control),
            on_progress,
            MATCHING,
        )

    async def replace_ids(
        self, cluster: Cluster, changes: IdChanges, *, dry_run: bool, on_progress: OnProgress
    ) -> Imported:
        return await self._tasks.run(
            lambda control: self._imports.put(cluster, changes, dry_run=dry_run, seen=self._seen, control=control),
            on_progress,
            MATCHING,
        )

    # computing

    async def refresh(self, cluster: Cluster, *, seconds: float | None, on_progress: OnProgress) -> Cluster:
        if fixed(cluster.cluster_type) and cluster.fresh:
            raise NotRefreshable(_FIXED.format(name=cluster.cluster_name), next_step=_MAKE_ANOTHER)
        job = self._jobs.start_or_join(int(cluster.cluster_id))
        return await self._waited(cluster, job.id, seconds, on_progress)

    async def wait(self, cluster: Cluster, *, seconds: float, on_progress: OnProgress) -> Cluster:
        job = self._jobs.store.latest(int(cluster.cluster_id))
        if job is None:
            return await self.get(cluster.project_id, cluster.cluster_id)
        return await self._waited(cluster, job.id, seconds, on_progress)

    async def _waited(self, cluster: Cluster, job: int, seconds: float | None, on_progress: OnProgress) -> Cluster:
        async def on_percent(percent: int) -> None:
            await on_progress(percent, COMPUTING)

        await self._jobs.wait(job, seconds, on_percent)
        return await self.get(cluster.project_id, cluster.cluster_id)

    async def same_users(self, cluster: Cluster, *, on_progress: OnProgress) -> tuple[str, ...]:
        own = self._catalog.find(cluster.project_id, cluster.cluster_id)
        alike = self._known.as_many_users(own)
        if not alike:
            return ()
        return await self._tasks.run(
            lambda control: same_users(self._engine, self._catalog.workspace, own, alike, control),
            on_progress,
            COMPARING,
        )

    async def export(
        self,
        cluster: Cluster,
        *,
        file_format: Literal["csv", "parquet"],
        properties: Sequence[str],
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> Export:
        if moves(cluster.cluster_type) and not cluster.fresh and not self._read_only:
            cluster = await self.refresh(cluster, seconds=None, on_progress=on_progress)
        record = self._catalog.find(cluster.project_id, cluster.cluster_id)
        version = record.current
        if version is None:
            raise not_ready(cluster.cluster_name, cluster.failure)
        generation = self._catalog.generation(cluster.project_id)
        columns = exported_columns(generation.metadata, properties, value_property(record, generation.metadata))
        stamp = self._catalog.clock().astimezone(generation.metadata.tz).strftime("%Y%m%d_%H%M%S")
        return await self._tasks.run(
            lambda control: export_members(
                self._engine,
                self._files,
                data_file(self._catalog, generation),
                self._catalog.workspace.absolute(version.file),
                name=f"{cluster.cluster_name}_{stamp}",
                columns=columns,
                zone=generation.metadata.zone,
                file_format=file_format,
                spreadsheet=spreadsheet,
                control=control,
            ),
            on_progress,
            EXPORTING,
        )

    # from records to clusters

    def _seen(self, record: ClusterRecord) -> Cluster:
        """The cluster as it is now; a dynamic one that is out of date gets a computation in the background."""
        generation, job = self._catalog.generation(record.project), self._jobs.store.latest(record.id)
        stale = self._known.stale(record, generation)
        follows = any(stale) and moves(record.cluster_type) and not self._read_only
        if follows and (_worth_trying(record, generation, job) or (job and self._part_computed_since(record, job))):
            self._jobs.start_background(record.id)
            job = self._jobs.store.latest(record.id)
        return self._shown(record, job, stale)

    def _part_computed_since(self, record: ClusterRecord, job: JobRecord) -> bool:
        """Whether a job that failed may succeed now: a cluster that it rests on has been computed since."""
        if job.state != "failed":
            return False
        names = named_clusters(json.loads(record.definition))
        parts = (self._catalog.find_name(record.project, name) for name in names)
        jobs = (self._jobs.store.latest(part.id) for part in parts if part)
        return any(other and other.id > job.id and other.state == "done" for other in jobs)

    def _shown(self, record: ClusterRecord, job: JobRecord | None, stale: Text) -> Cluster:
        """The cluster of a record and its last job; `stale` is why it is out of date."""
        generation = self._catalog.generation(record.project)
        current = record.current
        progress, failure = _progress(record, job)
        return Cluster(
            cluster_id=str(record.id),
            cluster_name=record.name,
            display_name=record.display_name,
            cluster_type=record.cluster_type,
            project_id=record.project,
            definition=from_json(record.definition, record.catalog),
            catalog=record.catalog,
            remarks=record.remarks,
            users_num=current.users_num if current else None,
            progress=progress,
            failure=failure,
            refresh_time=local_time(current.computed_at, generation.metadata) if current else "",
            fresh=not any(stale),
            stale_because=stale,
            dropped=_dropped(current),
            created_at=local_time(record.created_at, generation.metadata),
            revision=record.revision,
        )


def _dropped(current: VersionRecord | None) -> Mapping[str, int]:
    """The rows of SQL that a version left out, by reason."""
    counts = current.facts.get("dropped") if current else None
    return {str(name): int(n) for name, n in counts.items()} if isinstance(counts, Mapping) else {}


def _worth_trying(record: ClusterRecord, generation: GenerationRecord, job: JobRecord | None) -> bool:
    """Return False where a computation of the same thing runs already, or has failed already."""
    if job is None:
        return True
    if job.version is not None and (record.current is None or job.version > record.current.number):
        return False  # it ended after the record was read
    now = (record.definition_hash, generation.number, generation.metadata.today)
    same = (job.definition_hash, job.generation, job.local_day) == now
    return not (same and (job.running or job.state == "failed"))


def _progress(record: ClusterRecord, job: JobRecord | None) -> tuple[int, Text]:
    """100 done, 0 to 99 running or never computed, -1 failed with the reason."""
    if job is None:
        return (100 if record.current else 0), NOTHING
    match job.state:
        case "running":
            return job.progress, NOTHING
        case "done":
            return 100, NOTHING
        case "failed" | "interrupted":
            return -1, job.error
        case _:
            assert_never(job.state)
