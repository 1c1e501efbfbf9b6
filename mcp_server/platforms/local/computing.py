"""What jobs run: the members of a cluster, from its definition, the data and the clusters it rests on."""

from collections.abc import Mapping, Sequence

from mcp_server.engine.answering import AnyPlan, Written, compile_any, followed, write
from mcp_server.engine.duck import DataFile, Engine
from mcp_server.engine.sql_plan import look_at
from mcp_server.errors import InvalidDefinition
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.jobs import Compute, Computed
from mcp_server.platforms.local.known import KnownClusters, moves
from mcp_server.platforms.local.records import ClusterRecord, GenerationRecord, JobRecord, VersionRecord
from mcp_server.platforms.local.workspace import Workspace
from mcp_server.qp.definition import Definition
from mcp_server.qp.either import from_written, read_any, value_type_any
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.text import Text

MOST_COMPARED = 20
"""Clusters of one size that a new one is compared with; few projects have so many."""
_OUTDATED = Text(
    "The definition does not fit the data any more, at {path}: {got}. {problem} Change it with {update}.",
    "定义与现有数据不再相符，位于 {path}：{got}。{problem}请用 {update} 修改。",
)
_CHANGE_IT = Text("Change it with {update}.", "请用 {update} 修改。")


def computing(catalog: Catalog, engine: Engine, known: KnownClusters) -> Compute:
    """What a job runs: the members of a cluster or the values of a tag, as definition and data were when it was asked for."""

    def compute(job: JobRecord, control: Control) -> Computed:
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
            done = write(engine, data, plan, out, control)
        except InvalidDefinition as error:  # SQL whose result does not fit: only running it shows that
            raise _unfit(error, cluster) from error
        uses = {s.name: v.number for s, v in zip(plan.clusters, used, strict=True) if s in followed(plan)}
        facts = {"uses": uses, "dropped": done.dropped, **_value_facts(definition, generation.metadata, done)}
        return Computed(done.users_num, out, facts)

    def planned(job: JobRecord, cluster: ClusterRecord, generation: GenerationRecord) -> tuple[Definition, AnyPlan]:
        """Data and other clusters may have changed since the definition was saved: its names are checked again."""
        clusters = known.metadata(cluster.project).properties_of("cluster")
        metadata = generation.metadata.with_clusters(tuple(clusters))
        reading = read_any(
            from_written(job.definition, cluster.catalog).wire(),
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

    def brought_up_to_date(project: str, plan: AnyPlan, generation: GenerationRecord, control: Control) -> bool:
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
    told = done.value_type or value_type_any(definition, metadata)
    return {"value_type": told[0], "value_scale": told[1]} if told else {}


def parts_of(catalog: Catalog, project: str, plan: AnyPlan) -> list[ClusterRecord]:
    """The clusters that a plan follows: it reads their current version."""
    return [catalog.find(project, source.name) for source in followed(plan)]


def versions_of(catalog: Catalog, known: KnownClusters, project: str, plan: AnyPlan) -> tuple[VersionRecord, ...]:
    """The versions that a plan reads, in the order of its clusters. NotComputed where one has none."""
    return tuple(known.version(catalog.find(project, source.name), source.day) for source in plan.clusters)


def same_users(
    engine: Engine, workspace: Workspace, own: ClusterRecord, others: Sequence[ClusterRecord], control: Control
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
