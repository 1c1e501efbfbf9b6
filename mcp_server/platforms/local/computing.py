"""Engine work of the local platform: jobs that compute clusters, tasks that belong to one call, exports."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread

from mcp_server.engines.base import AnyPlan, DataFile, Written, compile_any, followed
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.engines.duckdb.members import members_query
from mcp_server.errors import InvalidDefinition
from mcp_server.language.definitions import Definition, from_json, parse_definition, value_type_of
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import TAG
from mcp_server.language.numbers import plain
from mcp_server.language.window import local, show_time
from mcp_server.platforms.local.known import KnownClusters, moves
from mcp_server.platforms.segments import Export, OnProgress
from mcp_server.store.catalog import Catalog
from mcp_server.store.files import LocalFiles
from mcp_server.store.records import ClusterRecord, GenerationRecord, JobRecord, VersionRecord
from mcp_server.store.runner import Compute, Computed, JobControl
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text
from mcp_server.user_sql.plan import look_at

# Engine work that belongs to one call: run in a thread, with progress, stopped when the call is cancelled.
#
# (Computations that outlive a call, and that several calls share, are jobs: see `jobs.py`.)


T = TypeVar("T")
SHOW_SECONDS = 0.1
AT_ONCE = 2
"""Calls that may use the engine at the same time; more would only share the same cores (docs/decisions.md)."""


class Tasks:
    """Runs the engine's work of calls in worker threads."""

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


# What jobs run: the members of a cluster, from its definition, the data and the clusters it rests on.


MOST_COMPARED = 20
"""Clusters of one size that a new one is compared with; few projects have so many."""
_OUTDATED = Text(
    "The definition does not fit the data any more, at {path}: {got}. {problem} Change it with {update}.",
    "定义与现有数据不再相符，位于 {path}：{got}。{problem}请用 {update} 修改。",
)
_CHANGE_IT = Text("Change it with {update}.", "请用 {update} 修改。")


def computing(catalog: Catalog, engine: Engine, known: KnownClusters) -> Compute:
    """What a job runs: the members of a cluster or the values of a tag, as definition and data were when it was asked for."""

    def compute(job: JobRecord, control: JobControl) -> Computed:
        cluster = catalog.cluster(job.cluster)
        project = cluster.project
        generation = catalog.generation_numbered(project, job.generation, job.local_day) or catalog.generation(project)
        definition, plan = planned(job, cluster, generation)
        if brought_up_to_date(project, plan, generation, control):
            definition, plan = planned(job, cluster, generation)  # a tag's values may be of another type now
        used = versions_of(catalog, known, project, plan)
        out = control.temp_path(".parquet")
        data = data_file(catalog, generation, used)
        try:
            done = engine.write(data, plan, out, control)
        except InvalidDefinition as error:  # SQL whose result does not fit: only running it shows that
            raise _unfit(error, cluster) from error
        uses = {s.name: v.number for s, v in zip(plan.clusters, used, strict=True) if s in followed(plan)}
        facts = {"uses": uses, "dropped": done.dropped, **_value_facts(definition, generation.metadata, done)}
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
            first, update = reading.problems[0], _update_of(cluster)
            raise InvalidDefinition(
                _OUTDATED.format(path=first.path, got=first.got or "–", problem=first.message, update=update)
            )
        return reading.must(), compile_any(reading.must(), metadata)

    def brought_up_to_date(project: str, plan: AnyPlan, generation: GenerationRecord, control: JobControl) -> bool:
        """Compute first what the plan reads and what moved on since; whether there was any."""
        old = [r for r in parts_of(catalog, project, plan) if moves(r.cluster_type) and any(known.stale(r, generation))]
        for record in old:
            control.need(record.id)
        return bool(old)

    return compute


def _unfit(error: InvalidDefinition, cluster: ClusterRecord) -> InvalidDefinition:
    """The error with its first problem in its message: that is what is kept of a job."""
    said = error.problems[0].message if error.problems else error.message
    return InvalidDefinition(said, next_step=_CHANGE_IT.format(update=_update_of(cluster)), problems=error.problems)


def _update_of(cluster: ClusterRecord) -> str:
    return "update_tag" if cluster.catalog == TAG else "update_cluster"


def _value_facts(definition: Definition, metadata: Metadata, done: Written) -> Mapping[str, object]:
    """The type of the values that a version holds, whatever becomes of the definition later."""
    told = done.value_type or value_type_of(definition, metadata)
    return {"value_type": told[0], "value_scale": told[1]} if told else {}


def parts_of(catalog: Catalog, project: str, plan: AnyPlan) -> list[ClusterRecord]:
    """The clusters that a plan follows: it reads their current version."""
    return [catalog.find(project, source.name) for source in followed(plan)]


def versions_of(catalog: Catalog, known: KnownClusters, project: str, plan: AnyPlan) -> tuple[VersionRecord, ...]:
    """The versions that a plan reads, in the order of its clusters. NotComputed where one has none."""
    return tuple(known.version(catalog.find(project, source.name), source.day) for source in plan.clusters)


def same_users(
    engine: Engine, workspace: Workspace, own: ClusterRecord, others: Sequence[ClusterRecord], control: JobControl
) -> tuple[str, ...]:
    """Those of some equally large clusters that hold the same users; looks at the first MOST_COMPARED of them."""
    found = []
    for other in others[:MOST_COMPARED]:
        if own.current and other.current:
            one, two = workspace.absolute(own.current.file), workspace.absolute(other.current.file)
            found += [other.name] if engine.same_members(one, two, control) else []
    return tuple(found)


def data_file(catalog: Catalog, generation: GenerationRecord, used: Sequence[VersionRecord] = ()) -> DataFile:
    """The file of a generation and those of cluster versions, as the engine takes them."""
    unknown = generation.facts.get("unknown_user_rows", 1)
    members = tuple(catalog.workspace.absolute(version.file) for version in used)
    return DataFile(catalog.workspace.absolute(generation.parts[0]), unknown == 0, members)


# Writing the members of a cluster to a file, in the workspace's `exports/` folder.


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
    found = [metadata.property("user", name) for name in properties if name != USER_ID.name]
    columns = dict.fromkeys(p for p in found if p is not None)
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
