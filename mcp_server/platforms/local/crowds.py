"""Crowd analysis tasks on the local platform: a crowd is a cluster, its loaded members are one of the cluster's versions.

The version stays for as long as a task names it, so the members of a task are fixed until it is reloaded, however the
cluster changes. The analysis is kept with the task and made again once the data, the day or the validity is another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any, Literal

from mcp_server.calls.settings import BEIJING
from mcp_server.engines.base import DataFile, StageControl
from mcp_server.engines.duckdb.crowd import (
    FEWEST,
    VALUES_EACH,
    CrowdFindings,
    Group,
    Stretches,
    analyse,
    analysed_properties,
    changes,
)
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import InvalidArguments
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import TAG
from mcp_server.language.problems import shorten
from mcp_server.language.values import after, day_start, instant, local, show_time
from mcp_server.platforms.local.computing import data_file, shown_value
from mcp_server.platforms.local.known import moves, not_ready
from mcp_server.platforms.local.segments import LocalSegments, not_up_to_date
from mcp_server.platforms.local.task_store import CrowdStore, TaskRecord
from mcp_server.platforms.segments import OnProgress
from mcp_server.platforms.tasks import (
    ActivityPeriod,
    Crowd,
    CrowdAnalysis,
    CrowdTask,
    CrowdTaskPage,
    Drift,
    Share,
    Validity,
    other_crowd,
)
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import Facts, GenerationRecord, VersionRecord
from mcp_server.store.runner import JobControl
from mcp_server.text import Text, same

# The days or weeks of a validity in which activity is counted: as far as there is data, and not too many

MOST = 14
"""Days, or weeks, that are shown; of a longer time the last ones."""
_WEEK = 7
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ActivityDays:
    """The stretches of a validity, as days of the project and as instants."""

    unit: Literal["day", "week"]
    days: tuple[date, ...]
    """The first day of each."""
    left_out: int
    """Earlier ones, which count only for the whole."""
    instants: Stretches


def data_days(metadata: Metadata) -> tuple[date, date] | None:
    """First and last day on which there are events; None where there are no events."""
    firsts, lasts = [e.first[:10] for e in metadata.events if e.first], [e.last[:10] for e in metadata.events if e.last]
    if not firsts or not lasts:
        return None
    return date.fromisoformat(min(firsts)), date.fromisoformat(max(lasts))


def calendar(validity: Validity, metadata: Metadata) -> ActivityDays | None:
    """Single days up to `MOST` of them, else weeks from the first day on; None where there is no data in the validity.

    Days in the future, or that the data does not reach, are not days without activity: they are left out.
    """
    data, zone = data_days(metadata), metadata.tz
    if data is None:
        return None
    start, end = instant(validity.start, BEIJING), instant(validity.end, BEIJING)
    first = max(local(start, zone).date(), data[0])
    last = min(local(end, zone).date(), data[1], metadata.today)
    if first > last:
        return None
    count = (last - first).days + 1
    unit: Literal["day", "week"] = "day" if count <= MOST else "week"
    length = 1 if unit == "day" else _WEEK
    begins = tuple(first + timedelta(days=n) for n in range(0, count, length))
    shown = begins[-MOST:]
    close = after(last, zone)
    stop = end + _SECOND if close is None else min(end + _SECOND, close)
    stretches = Stretches(start, tuple(day_start(day, zone) for day in shown), stop)
    return ActivityDays(unit, shown, len(begins) - len(shown), stretches)


# An analysis: its values chosen and put into words, as plain JSON for the catalogue

MOST_SHARES = 20
"""Values that one analysis shows, of all properties."""
MOST_CHARACTERS = 40
"""Characters of a value that are shown."""

_NO_VALUE = Text("(no value)", "（无值）")
_NUMBERS = (
    Text("up to {up_to}", "不超过 {up_to}"),
    Text("over {above}, up to {up_to}", "大于 {above}，不超过 {up_to}"),
    Text("over {above}", "大于 {above}"),
)
_TIMES = (
    Text("until {up_to}", "不晚于 {up_to}"),
    Text("after {above}, until {up_to}", "晚于 {above}，不晚于 {up_to}"),
    Text("after {above}", "晚于 {above}"),
)


def facts(findings: CrowdFindings, calendar: ActivityDays | None, metadata: Metadata) -> Facts:
    """Return the findings as they are kept."""
    shown = _most_unlike(findings)
    data = data_days(metadata)
    return {
        "users": findings.users,
        "all_users": findings.all_users,
        "shares": [
            [each.name, *_value_text(each, group, metadata), group.users, group.all_users]
            for each, groups in shown
            for group in groups
        ],
        "properties_left_out": len(findings.groups) - len(shown),
        "unit": calendar.unit if calendar else "day",
        "activity": [[str(day), *findings.activity.get(n, (0, 0))] for n, day in enumerate(calendar.days)]
        if calendar
        else [],
        "stretches_left_out": calendar.left_out if calendar else 0,
        "whole": list(findings.activity.get(-2, (0, 0))),
        "data": [str(day) for day in data] if data else ["", ""],
    }


def analysis(kept: Any, zone: str, reload: Drift | None, since: Drift | None) -> CrowdAnalysis:
    """Read what is kept."""
    return CrowdAnalysis(
        users=kept["users"],
        all_users=kept["all_users"],
        shares=tuple(Share(name, Text(en, zh), users, everybody) for name, en, zh, users, everybody in kept["shares"]),
        properties_left_out=kept["properties_left_out"],
        unit=kept["unit"],
        activity=tuple(ActivityPeriod(*row) for row in kept["activity"]),
        stretches_left_out=kept["stretches_left_out"],
        events=kept["whole"][0],
        active_users=kept["whole"][1],
        data_from=kept["data"][0],
        data_to=kept["data"][1],
        zone=zone,
        fewest=FEWEST,
        most_values=VALUES_EACH,
        last_reload=reload,
        since=since,
    )


def _most_unlike(findings: CrowdFindings) -> list[tuple[Property, Sequence[Group]]]:
    """The properties in which the crowd differs most from everybody, as many as have room."""

    def distance(entry: tuple[Property, Sequence[Group]]) -> float:
        return max(abs(g.users / findings.users - g.all_users / findings.all_users) for g in entry[1])

    entries = sorted((entry for entry in findings.groups if entry[1]), key=distance, reverse=True)
    sizes = accumulate(len(groups) for _, groups in entries)
    return [entry for entry, size in zip(entries, sizes, strict=True) if size <= MOST_SHARES]


def _value_text(each: Property, group: Group, metadata: Metadata) -> Text:
    if group.value is not None:
        return same(_value(group.value, metadata))
    if group.above is None and group.up_to is None:
        return _NO_VALUE
    ends = {
        "above": "" if group.above is None else _value(group.above, metadata),
        "up_to": "" if group.up_to is None else _value(group.up_to, metadata),
    }
    first, middle, last = _TIMES if each.type == "time" else _NUMBERS
    text = first if group.above is None else last if group.up_to is None else middle
    return text.format(**ends)


def _value(value: object, metadata: Metadata) -> str:
    """A value as text; in quotes where it is empty, or begins or ends with blanks."""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    text = shown_value(value, metadata.tz)
    if isinstance(value, datetime) and text.endswith(" 00:00:00"):
        return text[:10]
    return shorten(text, MOST_CHARACTERS) if text == text.strip() and text else f'"{shorten(text, MOST_CHARACTERS)}"'


# Tasks

ANALYSING = Text("Analysing the crowd", "正在分析人群")
COMPARING = Text("Comparing the members", "正在比较成员")

_IS_TAG = Text("{name} is a tag; a crowd is a cluster.", "{name} 是标签；人群须为分群。")
_MAKE_CLUSTER = Text(
    "Create a cluster with the tag's value as its condition, and analyse that.",
    "请以该标签的取值为条件创建分群，再对其分析。",
)


class LocalCrowds:
    """The platform of crowd analysis tasks of this machine."""

    name = "local"
    account = ""

    def __init__(self, catalog: Catalog, engine: Engine, segments: LocalSegments, *, read_only: bool = False) -> None:
        self._catalog = catalog
        self._engine = engine
        self._segments = segments
        self._store = CrowdStore(catalog)
        self._read_only = read_only

    def only_reading(self) -> "LocalCrowds":
        return LocalCrowds(self._catalog, self._engine, self._segments.only_reading(), read_only=True)

    # reading

    def now(self, project_id: str) -> datetime:
        metadata = self._catalog.metadata(project_id)
        if metadata.as_of is not None:
            return local(day_start(metadata.as_of, metadata.tz), BEIJING)
        return self._catalog.clock().astimezone(BEIJING).replace(tzinfo=None, microsecond=0)

    async def crowd(self, project_id: str, crowd: str) -> Crowd:
        cluster = await self._segments.get(project_id, crowd)
        if cluster.catalog == TAG:
            raise InvalidArguments(_IS_TAG.format(name=cluster.cluster_name), next_step=_MAKE_CLUSTER)
        if cluster.users_num is None and not moves(cluster.cluster_type):
            raise not_ready(cluster.cluster_name, cluster.failure)
        note = not_up_to_date(cluster, read_only=self._read_only)
        return Crowd(cluster.cluster_id, cluster.cluster_name, project_id, cluster.users_num, note)

    async def get(self, project_id: str, task_id: str, crowd_id: str = "") -> CrowdTask:
        record = self._store.task(project_id, task_id)
        if crowd_id and self._catalog.find(project_id, crowd_id).id != record.cluster:
            raise other_crowd(task_id, str(record.cluster), crowd_id)
        return self._task(record)

    async def find(self, crowd: Crowd, validity: Validity) -> CrowdTask | None:
        record = self._store.same(crowd.project_id, int(crowd.crowd_id), validity)
        return self._task(record) if record else None

    async def search(self, project_id: str, *, crowd_id: str, offset: int, limit: int) -> CrowdTaskPage:
        self._catalog.project(project_id)
        cluster = self._catalog.find(project_id, crowd_id).id if crowd_id else None
        records, total = self._store.page(project_id, cluster=cluster, offset=offset, limit=limit)
        return CrowdTaskPage(tuple(map(self._task, records)), total)

    def _task(self, record: TaskRecord) -> CrowdTask:
        return CrowdTask(
            task_id=str(record.id),
            crowd_id=str(record.cluster),
            crowd_name=record.cluster_name,
            project_id=record.project,
            validity=record.validity,
            state=record.validity.state(self.now(record.project)),
            users_num=record.users_num,
            loaded_at=show_time(record.loaded_at.astimezone(BEIJING).replace(tzinfo=None, microsecond=0)),
            revision=record.revision,
        )

    # changes

    async def create(self, crowd: Crowd, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        version = await self._members(crowd.project_id, crowd.crowd_id, on_progress)
        kept = await self._analysed(crowd.project_id, version.file, validity, on_progress)
        return self._task(self._store.add(crowd.project_id, version.cluster, version.number, validity, kept))

    async def update(self, task: CrowdTask, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        record = self._as_read(task)
        kept = await self._analysed(record.project, record.file, validity, on_progress)
        return self._task(self._store.extend(record, validity, kept))

    async def drift(self, task: CrowdTask, *, on_progress: OnProgress) -> Drift:
        record = self._as_read(task)
        current = self._catalog.cluster(record.cluster).current
        return await self._drift(record, current, on_progress) if current else Drift(0, 0)

    async def reload(self, task: CrowdTask, *, on_progress: OnProgress) -> tuple[CrowdTask, Drift]:
        record = self._as_read(task)
        version = await self._members(record.project, task.crowd_id, on_progress)
        drift = await self._drift(record, version, on_progress)
        kept = await self._analysed(record.project, version.file, record.validity, on_progress)
        return self._task(self._store.reload(record, version.number, drift, kept)), drift

    async def delete(self, task: CrowdTask) -> CrowdTask:
        self._store.delete(int(task.task_id), task.project_id, task.revision)
        return task

    def _as_read(self, task: CrowdTask) -> TaskRecord:
        """Its record, to be changed only if it still is as the caller read it."""
        return replace(self._store.task(task.project_id, task.task_id), revision=task.revision)

    async def _members(self, project_id: str, crowd_id: str, on_progress: OnProgress) -> VersionRecord:
        """The crowd's current version; a dynamic cluster that is out of date is computed first."""
        cluster = await self._segments.get(project_id, crowd_id)
        if moves(cluster.cluster_type) and not cluster.fresh:
            cluster = await self._segments.refresh(cluster, seconds=None, on_progress=on_progress)
        current = self._catalog.find(project_id, crowd_id).current
        if current is None:
            raise not_ready(cluster.cluster_name, cluster.failure)
        return current

    # analysis

    async def analysis(self, task: CrowdTask, *, on_progress: OnProgress) -> CrowdAnalysis:
        record = self._as_read(task)
        generation = self._catalog.generation(record.project)
        kept = record.analysis
        if any(kept.get(key) != value for key, value in _made_from(generation).items()):
            kept = await self._analysed(record.project, record.file, record.validity, on_progress)
            if not self._read_only:
                self._store.keep_analysis(record, kept)
        current = self._catalog.cluster(record.cluster).current
        since = await self._drift(record, current, on_progress) if current else None
        return analysis(kept, generation.metadata.zone, record.reload, since)

    async def _analysed(self, project_id: str, file: str, validity: Validity, on_progress: OnProgress) -> Facts:
        """Analyse the members in a file of the workspace."""
        generation = self._catalog.generation(project_id)
        metadata = generation.metadata
        days = calendar(validity, metadata)
        properties = analysed_properties(metadata.properties)

        def work(control: JobControl) -> Facts:
            stages = StageControl(control)
            instants = days.instants if days else None
            findings = self._engine.look(
                self._data(generation, file), lambda own, t: analyse(own, t, properties, instants, stages), stages
            )
            return {**facts(findings, days, metadata), **_made_from(generation)}

        return await self._segments.tasks.run(work, on_progress, ANALYSING)

    async def _drift(self, record: TaskRecord, version: VersionRecord, on_progress: OnProgress) -> Drift:
        """From the loaded members to those of a version of the cluster."""
        if version.number == record.version:
            return Drift(0, 0)
        data = self._data(self._catalog.generation(record.project), record.file, version.file)
        joined, left = await self._segments.tasks.run(
            lambda control: self._engine.look(data, changes, control), on_progress, COMPARING
        )
        return Drift(joined, left)

    def _data(self, generation: GenerationRecord, *files: str) -> DataFile:
        data = data_file(self._catalog, generation)
        return DataFile(data.path, data.users_complete, tuple(map(self._catalog.workspace.absolute, files)))


def _made_from(generation: GenerationRecord) -> Facts:
    """What an analysis is made from, besides the members and the validity."""
    return {"generation": generation.number, "today": str(generation.metadata.today)}
