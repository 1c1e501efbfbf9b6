"""Clusters and tags on ThinkingData (`platforms.segments.SegmentPlatform`), put together from its parts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import anyio

from mcp_server.credentials import Credentials
from mcp_server.errors import (
    ConfigurationError,
    InvalidArguments,
    NotOnPlatform,
    NotRefreshable,
    OutcomeUnknown,
    Problem,
)
from mcp_server.language.definitions import Definition, meaning_hash, unverified
from mcp_server.language.metadata import Metadata
from mcp_server.language.problems import finding, pointer, shorten
from mcp_server.language.reading.check import SqlSeen
from mcp_server.language.sql import Sql
from mcp_server.language.vocabulary import Path as At
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
    read_after_change,
)
from mcp_server.platforms.thinkingdata import queries
from mcp_server.platforms.thinkingdata.client import RemoteCluster, ThinkingDataApi, Which, settling
from mcp_server.platforms.thinkingdata.listing import Listing, cluster_of
from mcp_server.platforms.thinkingdata.metadata import MetadataReader
from mcp_server.platforms.thinkingdata.queries import RemoteExport
from mcp_server.platforms.thinkingdata.saving import RemoteSaving, Words
from mcp_server.platforms.thinkingdata.uploads import RemoteImports
from mcp_server.platforms.transport import Transport
from mcp_server.store.files import LocalFiles
from mcp_server.text import Text

# Waiting for computations, with growing pauses between requests
#
# A computation is done where progress is 100 and the time of the last refresh has moved since it was started, or
# where it was seen running (te-api.md section 10). Where neither happens for a while, the cluster is taken as it is,
# and not called fresh.


COMPUTING = Text("ThinkingData is computing", "数数平台正在计算")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two requests; each pause is half as long again as the one before."""
START_SECONDS = 10.0
"""How long a computation may take to begin."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Started:
    """A computation that this process has started."""

    before: str
    """The time of the refresh before it."""
    ran: bool = False
    """It was seen running."""


class Computations:
    """The computations that this process has started and not seen end."""

    def __init__(self, api: ThinkingDataApi, listing: Listing, sleep: Sleep) -> None:
        self._api = api
        self._listing = listing
        self._sleep = sleep
        self._started: dict[tuple[str, str], _Started] = {}

    def started(self, project_id: str, cluster_id: str, before: str) -> None:
        """Note that one was started; `before` is the time of the refresh before it."""
        self._started[project_id, cluster_id] = _Started(before)

    def pending(self, project_id: str, remote: RemoteCluster) -> bool:
        """Whether one was started and has not been seen to end."""
        started = self._started.get((project_id, remote.cluster_id))
        if started is None:
            return False
        if 0 <= remote.progress < 100:
            started.ran = True
            return True
        if remote.progress < 0 or started.ran or remote.refresh_time != started.before:
            del self._started[project_id, remote.cluster_id]
            return False
        return True

    async def wait(
        self, project_id: str, cluster_id: str, seconds: float | None, on_progress: OnProgress
    ) -> RemoteCluster:
        """Return the cluster once its computation has ended, or the time is over."""
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            remote = await self._listing.detail(project_id, cluster_id)
            pending = self.pending(project_id, remote)
            if not pending and not 0 <= remote.progress < 100:
                return remote
            await on_progress(max(0, remote.progress) if remote.progress < 100 else 0, COMPUTING)
            started = self._started.get((project_id, cluster_id))
            begun = started is None or started.ran or remote.progress < 100
            patience = seconds if begun else min(START_SECONDS, START_SECONDS if seconds is None else seconds)
            if patience is not None and waited + pause > patience:
                return remote
            await self._sleep(pause)
            started = self._started.get((project_id, cluster_id))
            if started is not None and not started.ran:  # a short one must not be missed between two long pauses
                progress = await self._api.progress(Which(project_id, cluster_id, remote.name))
                started.ran = 0 <= progress < 100
            waited, pause = waited + pause, min(pause * 1.5, LONGEST_PAUSE)


# The platform


ZONE = "Asia/Shanghai"
"""The zone of the projects: no documented request returns it."""

_FIXED = Text("{name} is a fixed list of users and is not computed again.", "{name} 是固定的用户名单，不会重新计算。")
_MAKE_ANOTHER = Text("Create another one.", "请另建一个。")
_NO_UNDO = Text(
    "ThinkingData keeps no earlier state of clusters, so nothing can be undone there.",
    "数数平台不保留分群的历史定义，无法撤销。",
)
_SET_AGAIN = Text("Set it again with the update or create tool.", "请用修改或创建工具重新设置。")
_ONLY_CSV = Text("Members of a cluster on ThinkingData are written as CSV only.", "数数平台的分群用户仅可导出为 CSV。")
_SAY_CSV = Text("Call again with format csv.", "请将 format 设为 csv 后重新调用。")
_BAD_PROJECT = Text(
    "{project} is no project of ThinkingData: those are numbers.", "{project} 不是数数平台的项目：项目 ID 为数字。"
)
_GIVE_NUMBER = Text("Give the number as project_id.", "请将 project_id 设为数字。")
_BAD_WORDS = Text(
    "FENQUN_THINKINGDATA_UNVERIFIED_WORDS must be warn or refuse.",
    "FENQUN_THINKINGDATA_UNVERIFIED_WORDS 应为 warn 或 refuse。",
)
_BAD_SWITCH = Text("FENQUN_THINKINGDATA_{name} must be 1 or 0.", "FENQUN_THINKINGDATA_{name} 应为 1 或 0。")
_CORRECT = Text("Correct it, or leave it out.", "请改正，或不设置。")


def _no_sql(_: Sql, __: Metadata, at: At) -> SqlSeen:
    """Refuse any SQL."""
    return SqlSeen((finding("sql_not_here", pointer((*at, "sql"))),))


class ThinkingDataSegments:
    """The segment platform of one ThinkingData deployment. Close it at the end."""

    name = "thinkingdata"

    def __init__(
        self,
        transport: Transport,
        token: str,
        files: LocalFiles,
        regex_fault: Callable[[str], str],
        *,
        words: Words = "warn",
        by_id: bool = False,
        zone: str = ZONE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Sleep = anyio.sleep,
    ) -> None:
        api = ThinkingDataApi(transport, token, by_id=by_id)
        self.transport = transport
        self.sql_look = _no_sql
        self._api = api
        self._files = files
        self.regex_fault = regex_fault
        self._words = words
        self._clock, self._zone = clock, ZoneInfo(zone)
        self._listing = Listing(api)
        self._metadata = MetadataReader(api, self._listing, zone=zone, clock=clock)
        self._computations = Computations(api, self._listing, sleep)
        self._saving = RemoteSaving(api, self._listing, self._metadata, words)
        self._imports = RemoteImports(api, self._listing, files, self._now, self._row)
        self._export = RemoteExport(api, files, (token,))

    def _now(self) -> datetime:
        return self._clock().astimezone(self._zone)

    @property
    def account(self) -> str:
        return self.transport.authority

    def only_reading(self) -> "ThinkingDataSegments":
        return self  # reading starts no computation

    async def close(self) -> None:
        """Let go of the connections."""
        await self.transport.close()

    async def query(self, project_id: str) -> None:
        """Run the smallest query over a project, to see whether its tables may be queried. The errors of the API."""
        await self._api.rows(queries.least(_project(project_id)))

    # data

    async def metadata(self, project_id: str) -> Metadata:
        return await self._metadata.of(_project(project_id))

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
        metadata = await self.metadata(project_id)
        return await queries.preview(
            self._api,
            definition,
            metadata,
            sample=sample,
            properties=properties,
            want_sql=want_sql,
            on_progress=on_progress,
        )

    def doubts(self, definition: Definition, root: At) -> tuple[Problem, ...]:
        code = "word_refused" if self._words == "refuse" else "word_unverified"
        return tuple(
            finding(code, pointer((*root, *path)), got=word, mark=mark) for path, word, mark in unverified(definition)
        )

    # clusters

    async def get(self, project_id: str, cluster: str) -> Cluster:
        return await self._full(project_id, await self._listing.detail(_project(project_id), cluster))

    async def find_name(self, project_id: str, cluster_name: str) -> Cluster | None:
        row = await self._listing.named(_project(project_id), cluster_name)
        return await self._full(project_id, await self._listing.full(project_id, row)) if row else None

    async def search(
        self, project_id: str, *, words: str, cluster_types: Sequence[str], offset: int, limit: int
    ) -> Page[Cluster]:
        searched, types = words.casefold(), set(cluster_types)
        rows = [
            row
            for row in await self._listing.all(_project(project_id))
            if (not types or row.cluster_type in types)
            and any(searched in text.casefold() for text in (row.name, row.display_name, row.remarks))
        ]
        page = rows[offset : offset + limit]
        return Page(tuple(self._row(project_id, row) for row in page), len(rows))

    async def create(self, project_id: str, draft: ClusterDraft) -> Cluster:
        cluster_id = await self._saving.create(_project(project_id), draft)
        return Cluster(
            cluster_id=cluster_id,
            cluster_name=draft.cluster_name,
            display_name=draft.display_name,
            cluster_type=draft.cluster_type,
            project_id=project_id,
            definition=draft.definition,
            catalog=draft.definition.catalog,
            remarks=draft.remarks,
        )

    async def update(self, cluster: Cluster, changes: ClusterChanges) -> Cluster:
        metadata = await self.metadata(cluster.project_id)
        new = changes.definition or cluster.definition
        changed = meaning_hash(new, metadata) != meaning_hash(cluster.definition, metadata)
        await self._saving.update(cluster, changes)
        if changed:
            self._computations.started(cluster.project_id, cluster.cluster_id, cluster.refresh_time)
        return replace(
            cluster,
            display_name=changes.display_name or cluster.display_name,
            definition=new,
            remarks=cluster.remarks if changes.remarks is None else changes.remarks,
            progress=0 if changed else cluster.progress,
            fresh=cluster.fresh and not changed,
        )

    async def used_by(self, cluster: Cluster) -> tuple[str, ...]:
        return ()  # only the detail request returns definitions, and only one at a time

    async def check_delete(self, cluster: Cluster) -> None:
        """Check nothing: the platform decides when it deletes."""

    async def delete(self, cluster: Cluster) -> None:
        await self._saving.delete(cluster)

    async def undoable(self, project_id: str, cluster: str) -> Undo:
        raise NotOnPlatform(_NO_UNDO, next_step=_SET_AGAIN)

    async def restore(self, undo: Undo) -> Cluster:
        raise NotOnPlatform(_NO_UNDO, next_step=_SET_AGAIN)

    # uploaded ids

    @property
    def import_folders(self) -> tuple[Path, ...]:
        return self._files.folders

    async def import_ids(self, project_id: str, draft: IdDraft, *, dry_run: bool, on_progress: OnProgress) -> Imported:
        metadata = await self.metadata(project_id)
        return await self._imports.add(draft, metadata, dry_run=dry_run, on_progress=on_progress)

    async def replace_ids(
        self, cluster: Cluster, changes: IdChanges, *, dry_run: bool, on_progress: OnProgress
    ) -> Imported:
        metadata = await self.metadata(cluster.project_id)
        return await self._imports.put(cluster, changes, metadata, dry_run=dry_run, on_progress=on_progress)

    # computing

    async def refresh(self, cluster: Cluster, *, seconds: float | None, on_progress: OnProgress) -> Cluster:
        if cluster.cluster_type.endswith(("_import", "_result")):
            raise NotRefreshable(_FIXED.format(name=cluster.cluster_name), next_step=_MAKE_ANOTHER)
        if 0 <= cluster.progress < 100:  # join the one that runs
            return await self._waited(cluster, seconds, on_progress)
        which = Which.of(cluster)
        try:
            await self._api.refresh(which)
        except OutcomeUnknown as doubt:
            with settling(doubt):
                progress = await self._api.progress(which)
            if not 0 <= progress < 100:
                raise
        self._computations.started(cluster.project_id, cluster.cluster_id, cluster.refresh_time)
        self._listing.forget(cluster.project_id)
        return await read_after_change(replace(cluster, progress=0), self._waited(cluster, seconds, on_progress))

    async def wait(self, cluster: Cluster, *, seconds: float, on_progress: OnProgress) -> Cluster:
        return await self._waited(cluster, seconds, on_progress)

    async def _waited(self, cluster: Cluster, seconds: float | None, on_progress: OnProgress) -> Cluster:
        """The cluster then, with the definition that is known: reading it takes further requests."""
        project = cluster.project_id
        remote = await self._computations.wait(project, cluster.cluster_id, seconds, on_progress)
        return replace(self._row(project, remote), definition=cluster.definition)

    async def same_users(self, cluster: Cluster, *, on_progress: OnProgress) -> tuple[str, ...]:
        return ()  # it would read the members of every cluster of that size

    async def export(
        self,
        cluster: Cluster,
        *,
        file_format: Literal["csv", "parquet"],
        properties: Sequence[str],
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> Export:
        if file_format != "csv":
            raise NotOnPlatform(_ONLY_CSV, next_step=_SAY_CSV)
        stem = f"{cluster.cluster_name}_{self._now():%Y%m%d_%H%M%S}"
        metadata = await self.metadata(cluster.project_id)
        return await self._export.write(
            cluster, properties, stem, metadata, spreadsheet=spreadsheet, on_progress=on_progress
        )

    # records

    async def _full(self, project_id: str, remote: RemoteCluster) -> Cluster:
        metadata = await self.metadata(project_id)
        return cluster_of(remote, project_id, metadata, pending=self._computations.pending(project_id, remote))

    def _row(self, project_id: str, remote: RemoteCluster) -> Cluster:
        """Without its definition, which only the detail request returns, and only the project's metadata explains."""
        return cluster_of(remote, project_id, None, pending=self._computations.pending(project_id, remote))


def _project(project_id: str) -> str:
    if not (project_id.isascii() and project_id.isdigit()):
        raise InvalidArguments(_BAD_PROJECT.format(project=shorten(project_id, 40)), next_step=_GIVE_NUMBER)
    return project_id


def thinkingdata_segments(
    credentials: Credentials,
    transport: Transport,
    files: LocalFiles,
    regex_fault: Callable[[str], str],
    clock: Callable[[], datetime],
) -> ThinkingDataSegments:
    """Return the platform for these credentials; nothing is sent yet. ConfigurationError where a setting is not legal."""
    for key in ("allow_http", "by_id"):
        if credentials[key] not in ("", "0", "1"):
            raise ConfigurationError(_BAD_SWITCH.format(name=key.upper()), next_step=_CORRECT)
    setting = credentials["unverified_words"].casefold()
    if setting not in ("", "warn", "refuse"):
        raise ConfigurationError(_BAD_WORDS, next_step=_CORRECT)
    words: Words = "refuse" if setting == "refuse" else "warn"
    by_id = credentials["by_id"] == "1"
    token = credentials.secret("token")
    return ThinkingDataSegments(transport, token, files, regex_fault, words=words, by_id=by_id, clock=clock)
