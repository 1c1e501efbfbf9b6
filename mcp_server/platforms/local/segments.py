"""Clusters on the local platform: the catalogue says what they are, jobs compute them, the engine answers."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from mcp_server.engine.compile import compile_definition
from mcp_server.engine.duck import DataFile, Engine
from mcp_server.engine.emit import DUCKDB, selection_sql
from mcp_server.errors import InvalidDefinition, NotComputed
from mcp_server.platforms.local import records
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.export import export_members, exported_columns, shown_value
from mcp_server.platforms.local.jobs import Compute, Computed, JobRunner
from mcp_server.platforms.local.records import ClusterRecord, GenerationRecord, JobRecord
from mcp_server.platforms.local.tasks import Tasks
from mcp_server.platforms.ports import (
    Cluster,
    ClusterChanges,
    ClusterDraft,
    Export,
    OnProgress,
    Page,
    Preview,
    Step,
)
from mcp_server.qp.check import read
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import Qp, meaning_hash, normalised
from mcp_server.text import NOTHING, Text

COUNTING = Text("Counting users", "正在统计用户")
COMPUTING = Text("Computing the cluster", "正在计算分群")
EXPORTING = Text("Writing the file", "正在写出文件")

_NEW_DEFINITION = Text("the definition changed after the last computation", "上次计算之后定义有改动")
_NEW_DATA = Text("the data was loaded again after the last computation", "上次计算之后重新加载了数据")
_NEW_DAY = Text("a new day began since the last computation", "上次计算之后已进入新的一天")
_OUTDATED = Text(
    "The definition does not fit the data any more, at {path}: {got}. {problem} Change it with update_cluster.",
    "定义与现有数据不再相符，位于 {path}：{got}。{problem}请用 update_cluster 修改。",
)
_NEVER = Text("no computation of it has finished yet", "尚未完成过计算")


def computing(catalog: Catalog, engine: Engine) -> Compute:
    """What a job runs: the members of a cluster, as its definition and data were when the job was asked for."""

    def compute(job: JobRecord, control: Control) -> Computed:
        project = catalog.cluster(job.cluster).project
        generation = catalog.generation_numbered(project, job.generation, job.local_day)
        generation = generation or catalog.generation(project)
        # The data may have been replaced since the definition was saved: its names are checked again.
        reading = read(json.loads(job.definition), generation.metadata, root=(), regex_fault=engine.regex_fault)
        if reading.problems:
            found = reading.problems[0]
            raise InvalidDefinition(_OUTDATED.format(path=found.path, got=found.got or "–", problem=found.message))
        plan = compile_definition(reading.must(), generation.metadata)
        out = control.temp_path(".parquet")
        users_num = engine.write_members(data_file(catalog, generation), plan, out, control)
        return Computed(users_num, out)

    return compute


def data_file(catalog: Catalog, generation: GenerationRecord) -> DataFile:
    """The file of a generation, as the engine takes it."""
    unknown = generation.facts.get("unknown_user_rows", 1)
    return DataFile(catalog.workspace.absolute(generation.parts[0]), users_complete=unknown == 0)


class LocalSegments:
    """The segment platform of this machine (`platforms.ports.SegmentPlatform`)."""

    name = "local"

    def __init__(self, catalog: Catalog, engine: Engine, jobs: JobRunner, *, read_only: bool = False) -> None:
        self._catalog = catalog
        self._engine = engine
        self._jobs = jobs
        self._tasks = Tasks(catalog.workspace)
        self._read_only = read_only

    # data

    async def metadata(self, project_id: str) -> Metadata:
        return self._catalog.metadata(project_id)

    def regex_fault(self, pattern: str) -> str:
        return self._engine.regex_fault(pattern)

    async def preview(
        self,
        project_id: str,
        definition: Qp,
        *,
        sample: int,
        properties: Sequence[str],
        want_sql: bool,
        on_progress: OnProgress,
    ) -> Preview:
        generation = self._catalog.generation(project_id)
        metadata, data = generation.metadata, data_file(self._catalog, generation)
        plan = compile_definition(definition, metadata)
        columns = ["#user_id", *(p for p in properties if p != "#user_id")]
        counts, rows = await self._tasks.run(
            lambda control: self._engine.preview(data, plan, sample=sample, columns=columns, control=control),
            on_progress,
            COUNTING,
        )
        return Preview(
            users_num=counts.selected,
            all_users=metadata.users,
            funnel=tuple(Step(s.path, alone, left) for s, (alone, left) in zip(plan.funnel, counts.steps, strict=True)),
            sample=tuple(
                {c: shown_value(v, metadata.tz) for c, v in zip(columns, row, strict=True) if v is not None}
                for row in rows
            ),
            sql=selection_sql(plan, DUCKDB) if want_sql else "",
        )

    # clusters

    async def get(self, project_id: str, cluster: str) -> Cluster:
        return self._seen([self._catalog.find(project_id, cluster)])[0]

    async def find_name(self, project_id: str, cluster_name: str) -> Cluster | None:
        found = self._catalog.find_name(project_id, cluster_name)
        return self._seen([found])[0] if found else None

    async def search(
        self, project_id: str, *, words: str, cluster_types: Sequence[str], offset: int, limit: int
    ) -> Page:
        self._catalog.project(project_id)
        page = self._catalog.list_clusters(
            project_id, search=words, cluster_types=cluster_types, offset=offset, limit=limit
        )
        return Page(tuple(self._seen(page.clusters)), page.total)

    async def create(self, project_id: str, draft: ClusterDraft) -> Cluster:
        made = self._catalog.create_cluster(
            project_id,
            records.ClusterDraft(
                name=draft.cluster_name,
                display_name=draft.display_name,
                cluster_type=draft.cluster_type,
                definition=_text_of(draft.definition),
                definition_hash=meaning_hash(draft.definition),
                remarks=draft.remarks,
            ),
        )
        self._jobs.start_background(made.id)
        return self._seen([made])[0]

    async def update(self, cluster: Cluster, changes: ClusterChanges) -> Cluster:
        new = changes.definition
        changed = self._catalog.update_cluster(
            int(cluster.cluster_id),
            cluster.revision,
            records.ClusterChange(
                display_name=changes.display_name,
                remarks=changes.remarks,
                definition=_text_of(new) if new else None,
                definition_hash=meaning_hash(new) if new else None,
            ),
        )
        if new and meaning_hash(new) != meaning_hash(cluster.definition):
            self._jobs.start_background(changed.id)
        return self._seen([changed])[0]

    async def delete(self, cluster: Cluster) -> None:
        self._catalog.delete_cluster(int(cluster.cluster_id), cluster.revision)

    # computing

    async def refresh(self, cluster: Cluster, *, seconds: float, on_progress: OnProgress) -> Cluster:
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

    async def export(
        self,
        cluster: Cluster,
        *,
        file_format: Literal["csv", "parquet"],
        properties: Sequence[str],
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> Export:
        if _moves(cluster.cluster_type) and not cluster.fresh and not self._read_only:
            job = self._jobs.start_or_join(int(cluster.cluster_id))
            cluster = await self._waited(cluster, job.id, None, on_progress)
        version = self._catalog.find(cluster.project_id, cluster.cluster_id).current
        if version is None:
            raise NotComputed(
                Text("{name} has no members yet: {why}", "{name} 还没有成员：{why}").format(
                    name=cluster.cluster_name, why=cluster.failure if any(cluster.failure) else _NEVER
                ),
                next_step=Text("Call refresh_cluster first.", "请先调用 refresh_cluster。"),
            )
        generation = self._catalog.generation(cluster.project_id)
        columns = exported_columns(generation.metadata, properties)
        return await self._tasks.run(
            lambda control: export_members(
                self._engine,
                self._catalog.workspace,
                data_file(self._catalog, generation),
                version,
                name=f"{cluster.cluster_name}_{self._stamp(generation.metadata.tz)}",
                columns=columns,
                zone=generation.metadata.zone,
                file_format=file_format,
                spreadsheet=spreadsheet,
                control=control,
            ),
            on_progress,
            EXPORTING,
        )

    def _stamp(self, zone: ZoneInfo) -> str:
        return self._catalog.clock().astimezone(zone).strftime("%Y%m%d_%H%M%S")

    # how a cluster stands

    def _seen(self, found: Sequence[ClusterRecord]) -> list[Cluster]:
        """Clusters as they stand now; dynamic ones that are out of date get a computation in the background."""
        jobs = self._jobs.store.latest_of([c.id for c in found])
        return [self._one(record, jobs.get(record.id)) for record in found]

    def _one(self, record: ClusterRecord, job: JobRecord | None) -> Cluster:
        generation = self._catalog.generation(record.project)
        stale = _stale(record, generation)
        if (
            any(stale)
            and _moves(record.cluster_type)
            and not self._read_only
            and _worth_trying(record, generation, job)
        ):
            self._jobs.start_background(record.id)
            job = self._jobs.store.latest(record.id)
        current = record.current
        progress, failure = _progress(record, job)
        return Cluster(
            cluster_id=str(record.id),
            cluster_name=record.name,
            display_name=record.display_name,
            cluster_type=record.cluster_type,
            project_id=record.project,
            definition=Qp.model_validate(json.loads(record.definition)),
            remarks=record.remarks,
            users_num=current.users_num if current else None,
            progress=progress,
            failure=failure,
            refresh_time=_local(current.computed_at, generation.metadata) if current else "",
            fresh=not any(stale),
            stale_because=stale,
            created_at=_local(record.created_at, generation.metadata),
            revision=record.revision,
        )


def _text_of(definition: Qp) -> str:
    return json.dumps(normalised(definition), ensure_ascii=False, separators=(",", ":"))


def _local(moment: datetime, metadata: Metadata) -> str:
    return moment.astimezone(metadata.tz).strftime("%Y-%m-%d %H:%M:%S")


def _moves(cluster_type: str) -> bool:
    """True for a dynamic cluster: it follows the day and the data by itself."""
    return "_dynamic_" in cluster_type


def _stale(record: ClusterRecord, generation: GenerationRecord) -> Text:
    """Why the last version no longer is what a computation would find now; NOTHING where it is."""
    current = record.current
    if current is None:
        return _NEVER
    if current.definition_hash != record.definition_hash:
        return _NEW_DEFINITION
    if current.generation != generation.number:
        return _NEW_DATA
    if _moves(record.cluster_type) and current.local_day != generation.metadata.today:
        return _NEW_DAY
    return NOTHING


def _worth_trying(record: ClusterRecord, generation: GenerationRecord, job: JobRecord | None) -> bool:
    """False where a computation of the same thing runs already, or has failed already."""
    if job is None:
        return True
    asked: tuple[Any, ...] = (record.definition_hash, generation.number, generation.metadata.today)
    same = (job.definition_hash, job.generation, job.local_day) == asked
    return not (same and (job.running or job.state == "failed"))


def _progress(record: ClusterRecord, job: JobRecord | None) -> tuple[int, Text]:
    """100 done, 0 to 99 running or never computed, -1 failed with the reason."""
    if job is None:
        return (100 if record.current else 0), NOTHING
    if job.running:
        return job.progress, NOTHING
    if job.state == "done":
        return 100, NOTHING
    return -1, job.error
