"""Call tasks on the local platform: it keeps them and computes their calendars, and never makes a call.

Of a list of callees it keeps the hashes (`engines/duckdb/members.py`), so that a callee on several lists is noticed; the
callees themselves stay in the user table, or are not kept.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio.to_thread

from mcp_server.calls.calendar import open_time
from mcp_server.calls.dialling import MOST_A_DAY, MOST_AT_ONCE, Timed, loads
from mcp_server.calls.settings import BEIJING, CallSettings
from mcp_server.calls.volcengine import update_body
from mcp_server.engines.base import DataFile
from mcp_server.engines.dialect import Tables
from mcp_server.engines.duckdb import members as sql
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.platforms.local.computing import Tasks, data_file
from mcp_server.platforms.local.known import not_ready
from mcp_server.platforms.local.task_store import CallStore
from mcp_server.platforms.segments import Cluster, OnProgress, Page
from mcp_server.platforms.tasks import CallDraft, CalleeCount, Callees, CallEntry, CallTask, Often, Updated
from mcp_server.store.catalog import Catalog
from mcp_server.store.runner import JobControl
from mcp_server.text import Text

_COUNTING = Text("Counting callees", "正在统计被叫")
_WRITING = Text("Keeping the list", "正在保存名单")
_PARQUET = "FORMAT parquet, COMPRESSION zstd"


class LocalCalls:
    """The call platform of this machine."""

    name = "local"
    account = ""
    reads = True
    creates = True
    update_body = staticmethod(update_body)
    """In the form of the vendor whose call tasks these are like."""

    def __init__(self, catalog: Catalog, engine: Engine) -> None:
        self._catalog = catalog
        self._engine = engine
        self._store = CallStore(catalog)
        self._tasks = Tasks(catalog.workspace)

    def now(self) -> datetime:
        return self._catalog.clock().astimezone(BEIJING).replace(tzinfo=None, microsecond=0)

    async def get(self, project_id: str, task_open_id: str) -> CallTask:
        return self._store.find(project_id, task_open_id)

    async def entry(self, project_id: str, task_open_id: str) -> CallEntry | None:
        return self._store.find(project_id, task_open_id).entry

    async def find_name(self, project_id: str, name: str) -> CallTask | None:
        return self._store.find_name(project_id, name)

    async def search(self, project_id: str, *, words: str, offset: int, limit: int) -> Page[CallEntry]:
        tasks, total = self._store.search(project_id, words, offset, limit)
        return Page(tuple(task.entry for task in tasks), total)

    async def update(
        self, project_id: str, task_open_id: str, settings: CallSettings, *, recall: bool, revision: int
    ) -> Updated:
        if not recall:
            before = self._store.find(project_id, task_open_id)
            settings = replace(settings, redials=before.settings.redials)
        return Updated(self._store.update(project_id, task_open_id, settings, revision))

    # lists

    async def count(self, project_id: str, callees: Callees, *, on_progress: OnProgress) -> CalleeCount:
        if callees.cluster is None:
            hashes = self._hashes(callees)
            digest = hashlib.sha256(",".join(map(str, hashes)).encode()).hexdigest()
            return CalleeCount(len(hashes), len(callees.ids), 0, f"ids {digest}")
        members = self._members(callees.cluster)
        entries, having, distinct = await self._row(
            project_id, lambda tables: sql.counts_of_cluster(tables, members, callees.callee_property), on_progress
        )
        source = f"cluster {callees.cluster.cluster_id} {callees.callee_property}"
        return CalleeCount(distinct, entries, entries - having, source)

    async def create(self, project_id: str, draft: CallDraft, *, on_progress: OnProgress) -> CallTask:
        self._store.make_key()
        counted = await self.count(project_id, draft.callees, on_progress=on_progress)
        callees, file = await self._tasks.run(
            lambda control: self._kept(project_id, draft.callees, control), on_progress, _WRITING
        )
        return self._store.create(project_id, draft.name, draft.settings, callees, file, counted.source)

    def _kept(self, project_id: str, callees: Callees, control: JobControl) -> tuple[int, str]:
        """Write the hashes of a list into the workspace; return their number and the file. In a worker thread."""
        workspace = self._catalog.workspace
        temp, final = control.temp_path(".parquet"), workspace.result_path(workspace.members, "callees", ".parquet")
        count = self._engine.copy(
            self._data(project_id), lambda tables: self._list(tables, callees), temp, _PARQUET, control
        )
        workspace.publish(temp, final)
        return count, workspace.relative(final)

    def _list(self, tables: Tables, whom: CallTask | Callees) -> str:
        """The hashes of a list, as a query."""
        if isinstance(whom, CallTask):
            return sql.of_file(self._catalog.workspace.absolute(self._store.file_of(whom)))
        if whom.cluster is None:
            return sql.of_list(self._hashes(whom))
        return sql.of_cluster(tables, self._members(whom.cluster), whom.callee_property, self._store.key())

    def _hashes(self, callees: Callees) -> list[int]:
        key = self._store.key()
        return sorted({sql.hashed(value, key) for value in callees.ids})

    def _members(self, cluster: Cluster) -> Path:
        current = self._catalog.find(cluster.project_id, cluster.cluster_id).current
        if current is None:
            raise not_ready(cluster.cluster_name, cluster.failure)
        return self._catalog.workspace.absolute(current.file)

    async def _row(self, project_id: str, query: Callable[[Tables], str], on_progress: OnProgress) -> tuple[Any, ...]:
        """Return the one row of a query."""

        def work(control: JobControl) -> tuple[Any, ...]:
            return self._engine.look(
                self._data(project_id), lambda own, tables: own.execute(query(tables)).fetchone() or (), control
            )

        return await self._tasks.run(work, on_progress, _COUNTING)

    def _data(self, project_id: str) -> DataFile:
        return data_file(self._catalog, self._catalog.generation(project_id))

    # callees that several tasks share

    async def often(
        self,
        project_id: str,
        whom: CallTask | Callees,
        settings: CallSettings,
        *,
        projects: frozenset[str] | None,
        on_progress: OnProgress,
    ) -> Often:
        now = self.now()
        own = whom.task_open_id if isinstance(whom, CallTask) else ""
        others = self._store.others(own, settings, now, projects)
        timed = [Timed(task.settings, open_time(task.settings, now)) for task, _ in others]
        load = await anyio.to_thread.run_sync(loads, Timed(settings, open_time(settings, now)), timed)
        if load.harmless:
            return Often()
        files = [self._catalog.workspace.absolute(file) for _, file in others]

        def query(tables: Tables) -> str:
            lists = [self._list(tables, whom), *map(sql.of_file, files)]
            return sql.often(lists, load.days, load.at_once, (MOST_A_DAY, MOST_AT_ONCE))

        return Often(*map(int, await self._row(project_id, query, on_progress)))
