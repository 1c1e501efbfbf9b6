"""What jobs run: the members of a cluster, from its definition, the data and the clusters it rests on."""

import json
from collections.abc import Mapping, Sequence

from mcp_server.engine.compile_tag import compile_any
from mcp_server.engine.duck import DataFile, Engine
from mcp_server.engine.plan import Plan, TagPlan
from mcp_server.errors import InvalidDefinition
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.jobs import Compute, Computed
from mcp_server.platforms.local.known import KnownClusters, moves
from mcp_server.platforms.local.records import ClusterRecord, GenerationRecord, JobRecord, VersionRecord
from mcp_server.qp.either import TAG, read_any
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.tags import Definition, TagQp, tag_value_type
from mcp_server.text import Text

_OUTDATED = Text(
    "The definition does not fit the data any more, at {path}: {got}. {problem} Change it with {update}.",
    "定义与现有数据不再相符，位于 {path}：{got}。{problem}请用 {update} 修改。",
)


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
        if isinstance(plan, Plan):
            users_num = engine.write_members(data, plan, out, control)
        else:
            users_num = engine.write_values(data, plan, out, control)
        uses = {s.name: v.number for s, v in zip(plan.clusters, used, strict=True) if not s.day}
        return Computed(users_num, out, {"uses": uses, **_value_facts(definition, generation.metadata)})

    def planned(
        job: JobRecord, cluster: ClusterRecord, generation: GenerationRecord
    ) -> tuple[Definition, Plan | TagPlan]:
        """Data and other clusters may have changed since the definition was saved: its names are checked again."""
        clusters = known.metadata(cluster.project).properties_of("cluster")
        metadata = generation.metadata.with_clusters(tuple(clusters))
        reading = read_any(
            json.loads(job.definition), metadata, catalog=cluster.catalog, root=(), regex_fault=engine.regex_fault, own=cluster.name
        )  # fmt: skip
        if reading.problems:
            first, update = reading.problems[0], "update_tag" if cluster.catalog == TAG else "update_cluster"
            raise InvalidDefinition(
                _OUTDATED.format(path=first.path, got=first.got or "–", problem=first.message, update=update)
            )
        return reading.must(), compile_any(reading.must(), metadata)

    def brought_up_to_date(project: str, plan: Plan | TagPlan, generation: GenerationRecord, control: Control) -> bool:
        """Compute first what the plan reads and what moved on since; whether there was any."""
        old = [r for r in parts_of(catalog, project, plan) if moves(r.cluster_type) and any(known.stale(r, generation))]
        for record in old:
            control.need(record.id)
        return bool(old)

    return compute


def _value_facts(definition: Definition, metadata: Metadata) -> Mapping[str, object]:
    """The type of the values that a version holds, whatever becomes of the definition later."""
    if not isinstance(definition, TagQp):
        return {}
    value_type, scale = tag_value_type(definition, metadata)
    return {"value_type": value_type, "value_scale": scale}


def parts_of(catalog: Catalog, project: str, plan: Plan | TagPlan) -> list[ClusterRecord]:
    """The clusters that a plan reads in their current version."""
    return [catalog.find(project, source.name) for source in plan.clusters if not source.day]


def versions_of(
    catalog: Catalog, known: KnownClusters, project: str, plan: Plan | TagPlan
) -> tuple[VersionRecord, ...]:
    """The versions that a plan reads, in the order of its clusters. NotComputed where one has none."""
    return tuple(known.version(catalog.find(project, source.name), source.day) for source in plan.clusters)


def data_file(catalog: Catalog, generation: GenerationRecord, used: Sequence[VersionRecord] = ()) -> DataFile:
    """The file of a generation and those of cluster versions, as the engine takes them."""
    unknown = generation.facts.get("unknown_user_rows", 1)
    members = tuple(catalog.workspace.absolute(version.file) for version in used)
    return DataFile(catalog.workspace.absolute(generation.parts[0]), unknown == 0, members)
