"""What jobs run: the members of a cluster, from its definition, the data and the clusters it rests on."""

import json
from collections.abc import Sequence

from mcp_server.engine.compile import compile_definition
from mcp_server.engine.duck import DataFile, Engine
from mcp_server.engine.plan import Plan
from mcp_server.errors import InvalidDefinition
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.jobs import Compute, Computed
from mcp_server.platforms.local.known import KnownClusters, moves
from mcp_server.platforms.local.records import ClusterRecord, GenerationRecord, JobRecord, VersionRecord
from mcp_server.qp.check import read
from mcp_server.text import Text

_OUTDATED = Text(
    "The definition does not fit the data any more: {problem} (at {path}) Change it with update_cluster.",
    "定义与现有数据不再相符：{problem}（位于 {path}）请用 update_cluster 修改。",
)


def computing(catalog: Catalog, engine: Engine, known: KnownClusters) -> Compute:
    """What a job runs: the members of a cluster, as its definition and data were when the job was asked for."""

    def compute(job: JobRecord, control: Control) -> Computed:
        cluster = catalog.cluster(job.cluster)
        project = cluster.project
        generation = catalog.generation_numbered(project, job.generation, job.local_day) or catalog.generation(project)
        clusters = known.metadata(project).properties_of("cluster")
        metadata = generation.metadata.with_clusters(tuple(clusters))
        # Data and other clusters may have changed since the definition was saved: its names are checked again.
        reading = read(json.loads(job.definition), metadata, root=(), regex_fault=engine.regex_fault, own=cluster.name)
        if reading.problems:
            raise InvalidDefinition(
                _OUTDATED.format(problem=reading.problems[0].message, path=reading.problems[0].path)
            )
        plan = compile_definition(reading.must(), metadata)
        for record in parts_of(catalog, project, plan):
            if moves(record.cluster_type) and any(known.stale(record, generation)):
                control.need(record.id)
        used = versions_of(catalog, known, project, plan)
        out = control.temp_path(".parquet")
        users_num = engine.write_members(data_file(catalog, generation, used), plan, out, control)
        return Computed(
            users_num, out, {"uses": {s.name: v.number for s, v in zip(plan.clusters, used, strict=True) if not s.day}}
        )

    return compute


def parts_of(catalog: Catalog, project: str, plan: Plan) -> list[ClusterRecord]:
    """The clusters that a plan reads in their current version."""
    return [catalog.find(project, source.name) for source in plan.clusters if not source.day]


def versions_of(catalog: Catalog, known: KnownClusters, project: str, plan: Plan) -> tuple[VersionRecord, ...]:
    """The versions that a plan reads, in the order of its clusters. NotComputed where one has none."""
    return tuple(known.version(catalog.find(project, source.name), source.day) for source in plan.clusters)


def data_file(catalog: Catalog, generation: GenerationRecord, used: Sequence[VersionRecord] = ()) -> DataFile:
    """The file of a generation and those of cluster versions, as the engine takes them."""
    unknown = generation.facts.get("unknown_user_rows", 1)
    members = tuple(catalog.workspace.absolute(version.file) for version in used)
    return DataFile(catalog.workspace.absolute(generation.parts[0]), unknown == 0, members)
