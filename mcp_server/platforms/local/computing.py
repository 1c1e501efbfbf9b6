"""Engine work of the local platform: jobs that compute clusters, tasks that belong to one call, exports."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread

from mcp_server.engines.base import AnyPlan, DataFile, compile_any, followed
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.engines.duckdb.members import members_query
from mcp_server.errors import InvalidDefinition, NotComputed
from mcp_server.language.definitions import Definition, from_json, parse_definition, value_type_of
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.values import local, plain, show_time
from mcp_server.platforms.local.known import KnownClusters, update_tool
from mcp_server.platforms.segments import Export, OnProgress
from mcp_server.store.catalog import Catalog
from mcp_server.store.files import LocalFiles
from mcp_server.store.records import ClusterRecord, GenerationRecord, JobRecord, VersionRecord
from mcp_server.store.runner import Compute, Computed, JobControl
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text
from mcp_server.user_sql.plan import look_at

# Engine work that belongs to one call (what outlives a call, and several calls share, are jobs)

T = TypeVar("T")
SHOW_SECONDS = 0.1
AT_ONCE = 2
"""Calls that may use the engine at the same time; more would only share the same cores (docs/decisions.md)."""


class Tasks:
    """Runs the engine's work of calls in worker threads, with progress; it stops when the call is cancelled."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._slots: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[JobControl], T], on_progress: OnProgress, message: Text) -> T:
        """Run `work` in a thread; what it raises is raised here. Cancelling the call interrupts its query."""
        self._slots = self._slots or anyio.CapacityLimiter(AT_ONCE)
        control = JobControl(self._workspace)
        outcome: list[T] = []
        failure: list[Exception] = []

        def attempt() -> None:
            try:
                outcome.append(work(control))
            except Exception as error:  # noqa: BLE001 - carried over to the caller, outside the task group
                failure.append(error)
            finally:
                control.clear()

        async with anyio.create_task_group() as group:
            group.start_soon(self._show, control, on_progress, message)
            try:
                await anyio.to_thread.run_sync(attempt, abandon_on_cancel=True, limiter=self._slots)
            except anyio.get_cancelled_exc_class():
                control.interrupt("unwanted")
                raise
            group.cancel_scope.cancel()
        if failure:
            raise failure[0]
        return outcome[0]

    async def _show(self, control: JobControl, on_progress: OnProgress, message: Text) -> None:
        shown = 0
        while True:
            await anyio.sleep(SHOW_SECONDS)
            if control.percent > shown:
                shown = control.percent
                await on_progress(shown, message)


# What jobs run: the members of a cluster, from its definition, the data and the clusters that it uses

MOST_COMPARED = 20
"""Clusters of one size that a new one is compared with; few projects have so many."""
_OUTDATED = Text(
    "The definition does not fit the data any more, at {path}: {got}. {problem} Change it with {update}.",
    "定义与现有数据不再相符，位于 {path}：{got}。{problem}请用 {update} 修改。",
)
_CHANGE_IT = Text("Change it with {update}.", "请用 {update} 修改。")
_PART_FAILED = Text(
    "It rests on {name}, which can't be computed. Fix {name} first: {why}",
    "其依赖的 {name} 无法计算，请先修正 {name}：{why}",
)


def computing(catalog: Catalog, engine: Engine, known: KnownClusters) -> Compute:
    """Return what a job runs: it computes the members of a cluster or the values of a tag, of the job's definition and data."""

    def compute(job: JobRecord, control: JobControl) -> Computed:
        cluster = catalog.cluster(job.cluster)
        project = cluster.project
        generation = catalog.generation_numbered(project, job.generation, job.local_day) or catalog.generation(project)
        definition, plan = planned(job, cluster, generation)
        outdated = known.outdated_parts(generation, plan)
        for record in outdated:
            needed = control.need(record.id)
            if needed.state == "failed":
                raise NotComputed(_PART_FAILED.format(name=record.name, why=needed.error))
        if outdated:
            definition, plan = planned(job, cluster, generation)  # a tag's values may be of another type now
        used = known.versions(project, plan)
        out = control.temp_path(".parquet")
        data = data_file(catalog, generation, used)
        try:
            done = engine.write(data, plan, out, control)
        except InvalidDefinition as error:  # SQL whose result does not fit: only running it shows that
            # With its first problem in the message: that is what is kept of a job.
            message = error.problems[0].message if error.problems else error.message
            step = _CHANGE_IT.format(update=update_tool(cluster.catalog))
            raise InvalidDefinition(message, next_step=step, problems=error.problems) from error
        uses = {s.name: v.number for s, v in zip(plan.clusters, used, strict=True) if s in followed(plan)}
        facts: dict[str, object] = {"uses": uses, "dropped": done.dropped}
        value_type = done.value_type or value_type_of(definition, generation.metadata)
        if value_type:  # kept with the version: the definition may change later
            facts["value_type"], facts["value_scale"] = value_type
        return Computed(done.users_num, out, facts)

    def planned(job: JobRecord, cluster: ClusterRecord, generation: GenerationRecord) -> tuple[Definition, AnyPlan]:
        """Data and other clusters may have changed since the definition was saved: its names are checked again."""
        clusters = known.metadata(cluster.project).properties_of("cluster")
        metadata = generation.metadata.with_clusters(tuple(clusters))
        reading = parse_definition(
            from_json(job.definition, cluster.catalog).wire(),
            metadata,
            catalog=cluster.catalog,
            root=(),
            regex_fault=engine.regex_fault,
            sql_look=look_at,
            own=cluster.name,
        )
        if reading.problems:
            first, update = reading.problems[0], update_tool(cluster.catalog)
            raise InvalidDefinition(
                _OUTDATED.format(path=first.path, got=first.got or "–", problem=first.message, update=update)
            )
        return reading.must(), compile_any(reading.must(), metadata)

    return compute


def same_users(
    engine: Engine, workspace: Workspace, own: ClusterRecord, others: Sequence[ClusterRecord], control: JobControl
) -> tuple[str, ...]:
    """Those of some equally large clusters that hold the same users; only the first MOST_COMPARED are compared."""
    same = []
    for other in others[:MOST_COMPARED]:
        if own.current and other.current:
            one, two = workspace.absolute(own.current.file), workspace.absolute(other.current.file)
            same += [other.name] if engine.same_members(one, two, control) else []
    return tuple(same)


def data_file(catalog: Catalog, generation: GenerationRecord, used: Sequence[VersionRecord] = ()) -> DataFile:
    """The file of a generation and those of cluster versions, as the engine takes them."""
    unknown = generation.facts.get("unknown_user_rows", 1)
    members = tuple(catalog.workspace.absolute(version.file) for version in used)
    return DataFile(catalog.workspace.absolute(generation.parts[0]), unknown == 0, members)


# Exports: the members of a cluster as a file, in the workspace's `exports/` folder

_OPTIONS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}
USER_ID = Property(table="user", name="#user_id", type="number", scale=0)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHUNK = 1 << 20


def exported_columns(
    metadata: Metadata, properties: Sequence[str], value: Property | None = None
) -> tuple[Property, ...]:
    """The columns of an export: `#user_id`, a tag's value, then the properties asked for (which the caller has checked).

    The value is named like the tag, or `tag_value` where a property of that name is asked for too.
    """
    named = [metadata.property("user", name) for name in properties if name != USER_ID.name]
    columns = dict.fromkeys(p for p in named if p is not None)
    if value is None:
        return (USER_ID, *columns)
    if value.name.casefold() in {p.name.casefold() for p in columns}:
        value = value.model_copy(update={"name": "tag_value"})
    return (USER_ID, value, *columns)


def export_members(
    engine: Engine,
    files: LocalFiles,
    data: DataFile,
    members: Path,
    *,
    name: str,
    columns: Sequence[Property],
    zone: str,
    file_format: Literal["csv", "parquet"],
    spreadsheet: bool,
    control: JobControl,
) -> Export:
    """Write the users of a members file with some of their properties; the export appears whole or not at all.

    CSV: UTF-8, header row, times in the project's local time, lists as JSON. For spreadsheets it begins with a
    byte-order mark, and a text that a spreadsheet would run as a formula is written with a leading apostrophe.
    """
    as_text = file_format == "csv"
    temp = control.temp_path(f".{file_format}")
    rows = engine.copy(
        data,
        lambda tables: members_query(tables, members, columns, zone, as_text=as_text, defused=spreadsheet and as_text),
        temp,
        _OPTIONS[file_format],
        control,
    )
    if spreadsheet and as_text:
        temp = _marked(temp, control.temp_path(".csv"))
    final = files.keep_export(temp, name, file_format)
    return Export(final, rows, final.stat().st_size, tuple(c.name for c in columns))


def _marked(source: Path, target: Path) -> Path:
    """A copy that begins with a byte-order mark, which spreadsheets need to read UTF-8."""
    with source.open("rb") as old, target.open("wb") as new:
        new.write(BYTE_ORDER_MARK)
        while chunk := old.read(_CHUNK):
            new.write(chunk)
    return target


def shown_value(value: object, zone: ZoneInfo) -> str:
    """A value of a user as text: times in local time, lists as JSON, numbers as written."""
    if isinstance(value, datetime):
        return show_time(local(value, zone))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
