"""The clusters and tags of a project as definitions see them: named like properties, with the clusters that they use."""

import json
from collections.abc import Mapping
from datetime import datetime

from mcp_server.engines.base import AnyPlan, followed
from mcp_server.errors import NotComputed
from mcp_server.language.definitions import from_json, value_type_of
from mcp_server.language.metadata import Metadata, Names, Property
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.names import named_clusters, reached
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import ClusterRecord, GenerationRecord, VersionRecord
from mcp_server.text import NOTHING, Text

_NEW_DEFINITION = Text("the definition changed after the last computation", "上次计算之后定义有改动")
_NEW_DATA = Text("the data was loaded again after the last computation", "上次计算之后重新加载了数据")
_NEW_DAY = Text("a new day began since the last computation", "上次计算之后已进入新的一天")
_NEW_PART = Text(
    "{name}, which it rests on, changed after the last computation", "其依赖的 {name} 在上次计算之后有变化"
)
NEVER = Text("no computation of it has finished yet", "尚未完成过计算")
_NOT_READY = Text("{name} has no members yet: {why}", "{name} 还没有成员：{why}")
_REFRESH_FIRST = Text("Call refresh_cluster first.", "请先调用 refresh_cluster。")

_ALIKE = (
    "version v JOIN cluster c ON c.id = v.cluster JOIN version n ON n.cluster = c.id AND n.number = c.version"
    " AND json_extract(v.facts, '$.value_type') IS json_extract(n.facts, '$.value_type')"
)
"""Versions whose values, if they have any, are of the type that the current version holds."""


def moves(cluster_type: str) -> bool:
    """Whether a cluster or tag is dynamic: it follows the day and the data by itself."""
    return "_dynamic_" in cluster_type


def fixed(cluster_type: str) -> bool:
    """Whether a cluster is a list of users that is kept as it was made."""
    return cluster_type == "cluster_by_result" or cluster_type.endswith("_by_import")


def update_tool(catalog: str) -> str:
    """The tool that changes the definition of a cluster or tag."""
    return "update_tag" if catalog == TAG else "update_cluster"


def local_time(moment: datetime, metadata: Metadata) -> str:
    return moment.astimezone(metadata.tz).strftime("%Y-%m-%d %H:%M:%S")


def not_ready(name: str, why: Text) -> NotComputed:
    """Return the error for a cluster that has no good version."""
    return NotComputed(_NOT_READY.format(name=name, why=why if any(why) else NEVER), next_step=_REFRESH_FIRST)


class KnownClusters:
    """The clusters of each project as metadata, made again only when one of them has changed."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, tuple[object, Metadata]] = {}

    def metadata(self, project_id: str) -> Metadata:
        """The project's metadata with its clusters and tags."""
        project = self._catalog.project(project_id)
        generation = self._catalog.generation_of(project)
        state = (generation.number, generation.metadata.today, project.changes)
        known = self._known.get(project_id)
        if known is None or known[0] != state:
            known = (state, generation.metadata.with_clusters(self._properties(project_id, generation)))
            self._known[project_id] = known
        return known[1]

    def users_of(self, record: ClusterRecord) -> tuple[str, ...]:
        """The clusters and tags whose definitions name this one."""
        name = record.name.casefold()
        return tuple(c.name for c in self._clusters(record.project) if name in named_clusters(json.loads(c.definition)))

    def as_many_users(self, record: ClusterRecord) -> tuple[ClusterRecord, ...]:
        """Clusters of another meaning with as many users (and some) in their last good version, newest first."""
        size = record.current.users_num if record.current and record.catalog == CLUSTER else 0
        return tuple(
            c
            for c in reversed(self._clusters(record.project) if size else ())
            if c.current and c.current.users_num == size and c.catalog == CLUSTER
            and c.id != record.id and c.definition_hash != record.definition_hash
        )  # fmt: skip

    def parts(self, project_id: str, plan: AnyPlan) -> list[ClusterRecord]:
        """The clusters that a plan follows: it reads their current version."""
        return [self._catalog.find(project_id, source.name) for source in followed(plan)]

    def outdated_parts(self, generation: GenerationRecord, plan: AnyPlan) -> list[ClusterRecord]:
        """The dynamic clusters that a plan follows and that are out of date."""
        parts = self.parts(generation.project, plan)
        return [part for part in parts if moves(part.cluster_type) and any(self.stale(part, generation))]

    def versions(self, project_id: str, plan: AnyPlan) -> tuple[VersionRecord, ...]:
        """The versions that a plan reads, in the order of its clusters. NotComputed where one has none."""
        return tuple(self.version(self._catalog.find(project_id, each.name), each.day) for each in plan.clusters)

    def version(self, record: ClusterRecord, day: str = "") -> VersionRecord:
        """The current version, or the last one of a local day that can be read like it. NotComputed where there is none."""
        version = record.current
        if day:
            select = f"SELECT v.* FROM {_ALIKE} WHERE c.id = ? AND v.local_day = ? ORDER BY v.number DESC LIMIT 1"
            version = self._catalog.database.record(records.version, select, (record.id, day))
        if version is None:
            raise not_ready(record.name, NOTHING)
        return version

    def stale(self, record: ClusterRecord, generation: GenerationRecord) -> Text:
        """Why a computation would no longer give the last version; NOTHING where it would."""
        current = record.current
        if current is None:
            return NEVER
        if current.definition_hash != record.definition_hash:
            return _NEW_DEFINITION
        if fixed(record.cluster_type):
            return NOTHING
        if current.generation != generation.number:
            return _NEW_DATA
        if moves(record.cluster_type) and current.local_day != generation.metadata.today:
            return _NEW_DAY
        return self._stale_part(record, generation, current)

    def _stale_part(self, record: ClusterRecord, generation: GenerationRecord, current: VersionRecord) -> Text:
        """The clusters that it uses: the versions that it read must still be current, and those of dynamic ones fresh."""
        uses = current.facts.get("uses", {})
        for name, number in uses.items() if isinstance(uses, Mapping) else ():
            part = self._catalog.find_name(record.project, name)
            changed = part is None or part.current is None or part.current.number != number
            if changed or (part and moves(part.cluster_type) and any(self.stale(part, generation))):
                return _NEW_PART.format(name=name)
        return NOTHING

    def _properties(self, project_id: str, generation: GenerationRecord) -> tuple[Property, ...]:
        clusters = self._clusters(project_id)
        uses = {c.name.casefold(): named_clusters(json.loads(c.definition)) for c in clusters}
        names = {c.name.casefold(): c.name for c in clusters}
        days = self._kept_days(project_id)

        def of(record: ClusterRecord) -> Property:
            value = value_property(record, generation.metadata)
            return Property(
                table="cluster",
                name=record.name,
                type=value.type if value else "cluster",
                scale=value.scale if value else None,
                names=Names(en=record.display_name, zh=record.display_name),
                ready=record.current is not None,
                meaning=record.definition_hash,
                uses=tuple(sorted(names.get(name, name) for name in reached(record.name.casefold(), uses))),
                dates=days.get(record.id, ()),
            )

        return tuple(map(of, clusters))

    def _clusters(self, project_id: str) -> tuple[ClusterRecord, ...]:
        select = f"{records.CLUSTER} AND c.project = ? ORDER BY c.id"
        return self._catalog.database.records(records.cluster, select, (project_id,))

    def _kept_days(self, project_id: str) -> dict[int, tuple[str, ...]]:
        """The local days of which versions are kept that can be read like the current one, by cluster, oldest first."""
        rows = self._catalog.database.rows(
            f"SELECT DISTINCT v.cluster, v.local_day FROM {_ALIKE}"
            " WHERE c.project = ? AND c.deleted_at IS NULL ORDER BY v.local_day",
            (project_id,),
        )
        days: dict[int, tuple[str, ...]] = {}
        for row in rows:
            days[row["cluster"]] = (*days.get(row["cluster"], ()), row["local_day"])
        return days


def value_property(record: ClusterRecord, metadata: Metadata) -> Property | None:
    """The values of a tag as a property, of the type that its current version holds; None of a cluster."""
    if record.catalog != TAG:
        return None
    facts = record.current.facts if record.current else {}
    value_type, scale = facts.get("value_type"), facts.get("value_scale")
    if value_type is None:
        defined = value_type_of(from_json(record.definition, record.catalog), metadata)
        value_type, scale = defined or ("string", None)
    return Property.model_validate({"table": "cluster", "name": record.name, "type": value_type, "scale": scale})
