"""Crowd analysis and call tasks in the catalogue. Every call is synchronous and short; one that writes is one commit."""

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from mcp_server.calls.settings import BEIJING, CallSettings, Redials
from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NotFound
from mcp_server.language.suggest import nearest_named
from mcp_server.platforms.tasks import CallTask, Drift, Validity
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import Facts, Value, reader, written
from mcp_server.text import NOTHING, Text, listed

# Crowd analysis tasks

_FROM = (
    "crowd_task t JOIN cluster c ON c.id = t.cluster JOIN version v ON v.cluster = t.cluster AND v.number = t.version"
    " WHERE c.project = ?"
)
_TASKS = (
    'SELECT t.*, t.start_time AS "validity.start", t.end_time AS "validity.end", t.joined AS "reload.joined",'
    f' t.gone AS "reload.left", c.name AS cluster_name, c.project, v.file, v.users_num FROM {_FROM}'
)
_NO_CROWD_TASK = Text(
    "There is no crowd analysis task {ref} in project {project}.", "项目 {project} 中没有人群分析任务{ref}。"
)
_NEWEST = Text("The newest are: {ids}.", "最近创建的有：{ids}。")
_NONE = Text("It has none yet.", "该项目还没有人群分析任务。")
_LIST_CROWDS = Text("list_crowd_analyses shows all of them.", "可用 list_crowd_analyses 查看全部。")
_VALIDITY_TAKEN = Text("Task {id} is the one of this crowd with this validity.", "该人群的这一有效期已有任务 {id}。")
_USE_IT = Text("Use that one, or choose another validity.", "请直接使用该任务，或另选有效期。")
_CROWD_CHANGED = Text(
    "Task {id} was changed by someone else since it was read; nothing was changed. Read it again, then decide.",
    "任务 {id} 在读取之后已被他人修改，未做任何更改。请重新读取后再决定。",
)
_COMPUTED_ANEW = Text(
    "The crowd was computed anew meanwhile; nothing was changed.", "人群在此期间已重新计算，未做任何更改。"
)
_AGAIN = Text("Call again.", "请重新调用。")


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as the catalogue keeps it, with the version whose members it holds."""

    id: int
    project: str
    cluster: int
    cluster_name: str
    version: int
    file: str
    """Relative path of the members."""
    users_num: int
    validity: Validity
    analysis: Facts
    loaded_at: datetime
    reload: Drift | None
    revision: int


_READ_TASK = reader(TaskRecord)


class CrowdStore:
    """The crowd analysis tasks of a workspace."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database

    # -- reading -------------------------------------------------------------------------------------------------

    def task(self, project_id: str, ref: str) -> TaskRecord:
        """The task with this id. NotFound names the newest of the project."""
        self._catalog.project(project_id)
        text = ref.strip()
        task = self._database.record(_READ_TASK, f"{_TASKS} AND t.id = ?", (project_id, records.id_in(text)))
        if task is not None:
            return task
        newest, _ = self.page(project_id, offset=0, limit=5)
        hint = _NEWEST.format(ids=listed(t.id for t in newest)) if newest else _NONE
        raise NotFound(
            _NO_CROWD_TASK.format(ref=records.quoted(text), project=project_id).then(hint), next_step=_LIST_CROWDS
        )

    def same(self, project_id: str, cluster: int, validity: Validity) -> TaskRecord | None:
        """The task of a cluster with exactly this validity."""
        return self._database.record(
            _READ_TASK,
            f"{_TASKS} AND t.cluster = ? AND t.start_time = ? AND t.end_time = ?",
            (project_id, cluster, written(validity.start), written(validity.end)),
        )

    def page(
        self, project_id: str, *, cluster: int | None = None, offset: int, limit: int
    ) -> tuple[tuple[TaskRecord, ...], int]:
        """A slice of the tasks, newest first, and how many there are."""
        where = "" if cluster is None else " AND t.cluster = ?"
        values: list[Value] = [project_id] if cluster is None else [project_id, cluster]
        page = f"{_TASKS}{where} ORDER BY t.id DESC LIMIT ? OFFSET ?"
        tasks = self._database.records(_READ_TASK, page, [*values, limit, offset])
        return tasks, self._database.count(_FROM + where, values)

    def using(self, cluster: int) -> tuple[int, ...]:
        """The tasks that hold members of a cluster."""
        rows = self._database.rows("SELECT id FROM crowd_task WHERE cluster = ? ORDER BY id", (cluster,))
        return tuple(row["id"] for row in rows)

    # -- writing -------------------------------------------------------------------------------------------------

    def add(self, project_id: str, cluster: int, version: int, validity: Validity, analysis: Facts) -> TaskRecord:
        """Save a new task; of two processes that do so, both get the one task. NotFound: the cluster was deleted."""
        with self._database.write() as db:
            self._catalog.cluster(cluster)
            same = self.same(project_id, cluster, validity)
            if same is not None:
                return same
            self._check_kept(cluster, version)
            made = records.insert(
                db,
                "crowd_task",
                cluster=cluster,
                version=version,
                start_time=validity.start,
                end_time=validity.end,
                analysis=analysis,
                loaded_at=self._catalog.moment(),
                revision=1,
            )
            return self.task(project_id, str(made))

    def extend(self, task: TaskRecord, validity: Validity, analysis: Facts) -> TaskRecord:
        """Change the validity. NameTaken where another task of the cluster has it; ChangedMeanwhile."""
        with self._database.write() as db:
            same = self.same(task.project, task.cluster, validity)
            if same is not None and same.id != task.id:
                raise NameTaken(_VALIDITY_TAKEN.format(id=same.id), next_step=_USE_IT)
            return self._change(db, task, start_time=validity.start, end_time=validity.end, analysis=analysis)

    def reload(self, task: TaskRecord, version: int, drift: Drift, analysis: Facts) -> TaskRecord:
        """Hold another version's members. ChangedMeanwhile."""
        changed = {"joined": drift.joined, "gone": drift.left, "loaded_at": self._catalog.moment()}
        with self._database.write() as db:
            self._check_kept(task.cluster, version)
            return self._change(db, task, version=version, analysis=analysis, **changed)

    def keep_analysis(self, task: TaskRecord, analysis: Facts) -> TaskRecord:
        """Keep an analysis that was worked out anew, unless the task has changed meanwhile."""
        with self._database.write() as db:
            records.update(db, "crowd_task", "id = ? AND revision = ?", (task.id, task.revision), analysis=analysis)
        return replace(task, analysis=analysis)

    def delete(self, task_id: int, project_id: str, revision: int) -> None:
        """Remove a task, if it still is as the caller read it."""
        with self._database.write() as db:
            self._check_revision(project_id, task_id, revision)
            db.execute("DELETE FROM crowd_task WHERE id = ?", (task_id,))

    def _change(self, db: sqlite3.Connection, task: TaskRecord, **columns: object) -> TaskRecord:
        self._check_revision(task.project, task.id, task.revision)
        records.update(db, "crowd_task", "id = ?", (task.id,), **columns, revision=task.revision + 1)
        return self.task(task.project, str(task.id))

    def _check_kept(self, cluster: int, version: int) -> None:
        """A version that no row names yet may be swept away while it is analysed, if that takes very long."""
        if self._catalog.version(cluster, version) is None:
            raise ChangedMeanwhile(_COMPUTED_ANEW, next_step=_AGAIN)

    def _check_revision(self, project_id: str, task_id: int, revision: int) -> None:
        if self.task(project_id, str(task_id)).revision != revision:
            raise ChangedMeanwhile(_CROWD_CHANGED.format(id=task_id))


# Call tasks

MAX_NAMES = 2000
"""Names that are looked through for a suggestion, newest first."""

_NO_CALL_TASK = Text("There is no call task {ref} in project {project}.", "项目 {project} 中没有外呼任务{ref}。")
_LIST_CALLS = Text("list_call_tasks shows all of them.", "可用 list_call_tasks 查看全部。")
_NEAREST = Text('The nearest name is "{name}".', "最接近的名称是“{name}”。")
_CALL_NAME_TAKEN = Text('The name "{name}" is in use by call task {id}.', "名称“{name}”已被外呼任务 {id} 占用。")
_CALL_CHANGED = Text(
    "Call task {id} was changed by someone else since it was read; nothing was changed. Read it again, then decide.",
    "外呼任务 {id} 在读取之后已被他人修改，未做任何更改。请重新读取后再决定。",
)
_NOT_TEXT = Text("The name holds half of a character, which can't be kept.", "名称中含有不完整的字符，无法保存。")


def _beijing(column: str) -> Callable[[sqlite3.Row], str]:
    return lambda row: str(written(datetime.fromisoformat(row[column]).astimezone(BEIJING).replace(tzinfo=None)))


_CALLS = (
    'SELECT t.*, CAST(t.id AS TEXT) AS task_open_id, start_time AS "settings.start", end_time AS "settings.end",'
    ' concurrency AS "settings.concurrency", forbidden AS "settings.forbidden.spans", ring_again_times AS'
    ' "settings.redials.times", ring_again_interval AS "settings.redials.interval" FROM call_task t'
)
_READ_CALL = reader(CallTask, created_at=_beijing("created_at"), updated_at=_beijing("updated_at"))


class CallStore:
    """The call tasks of a workspace."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database

    def key(self) -> str:
        """The workspace's key for hashing callees; "" as long as no list was kept."""
        row = self._database.row("SELECT key FROM callee_key")
        return str(row["key"]) if row else ""

    def make_key(self) -> None:
        """Have a key from now on; the first one stays."""
        if not self.key():
            with self._database.write() as db:
                db.execute(
                    "INSERT INTO callee_key (key) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM callee_key)",
                    (secrets.token_hex(16),),
                )

    def find(self, project_id: str, ref: str) -> CallTask:
        """The task with this id, or this name in any case. NotFound names the nearest."""
        self._catalog.project(project_id)
        text = ref.strip()
        by_id = f"{_CALLS} WHERE project = ? AND id = ?"
        task = self._database.record(_READ_CALL, by_id, (project_id, records.id_in(text)))
        task = task or self.find_name(project_id, text)
        if task is None:
            names = self._database.rows(
                "SELECT name FROM call_task WHERE project = ? ORDER BY id DESC LIMIT ?", (project_id, MAX_NAMES)
            )
            near = nearest_named(text, {row["name"]: () for row in names})
            hint = _NEAREST.format(name=near) if near else NOTHING
            raise NotFound(
                _NO_CALL_TASK.format(ref=records.quoted(text), project=project_id).then(hint), next_step=_LIST_CALLS
            )
        return task

    def find_name(self, project_id: str, name: str) -> CallTask | None:
        """The task of this name, in any case."""
        if not records.storable(project_id, name):
            return None
        by_name = f"{_CALLS} WHERE project = ? AND name_key = ?"
        return self._database.record(_READ_CALL, by_name, (project_id, name.casefold()))

    def search(self, project_id: str, words: str, offset: int, limit: int) -> tuple[tuple[CallTask, ...], int]:
        """A slice of the tasks, newest first, and how many there are; `words` is a part of the name, in any case."""
        self._catalog.project(project_id)
        if not records.storable(words):
            return (), 0
        where, values = "project = ? AND instr(name_key, ?) > 0", (project_id, words.casefold())
        page = f"{_CALLS} WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?"
        tasks = self._database.records(_READ_CALL, page, (*values, limit, offset))
        return tasks, self._database.count(f"call_task WHERE {where}", values)

    def others(
        self, own: str, settings: CallSettings, now: datetime, projects: frozenset[str] | None
    ) -> tuple[tuple[CallTask, str], ...]:
        """The other tasks of these projects (None: of all) whose windows meet this one's after `now`; with their lists."""
        rows = self._database.rows(
            f"{_CALLS} WHERE task_open_id <> ? AND end_time > ? AND start_time < ? AND callees > 0",
            (own, written(max(now, settings.start)), written(settings.end)),
        )
        return tuple((_READ_CALL(row), row["file"]) for row in rows if projects is None or row["project"] in projects)

    def file_of(self, task: CallTask) -> str:
        """The list of a task, relative to the workspace."""
        row = self._database.row("SELECT file FROM call_task WHERE id = ?", (int(task.task_open_id),))
        return str(row["file"]) if row else ""

    def create(
        self, project_id: str, name: str, settings: CallSettings, callees: int, file: str, source: str
    ) -> CallTask:
        """Keep a task. NameTaken where the project has one of this name in any case."""
        if not records.storable(name):
            raise InvalidArguments(_NOT_TEXT)
        moment = self._catalog.moment()
        with self._database.write() as db:
            taken = self.find_name(project_id, name)
            if taken is not None:
                raise NameTaken(_CALL_NAME_TAKEN.format(name=taken.name, id=taken.task_open_id))
            self._catalog.check_files([file])
            made = records.insert(
                db,
                "call_task",
                project=project_id,
                name=name,
                name_key=name.casefold(),
                callees=callees,
                file=file,
                source=source,
                created_at=moment,
                updated_at=moment,
                revision=1,
                **_columns(settings),
            )
            return self.find(project_id, str(made))

    def update(self, project_id: str, task_open_id: str, settings: CallSettings, revision: int) -> CallTask:
        """Replace the settings, if the task is still at `revision`."""
        with self._database.write() as db:
            before = self.find(project_id, task_open_id)
            if before.revision != revision:
                raise ChangedMeanwhile(_CALL_CHANGED.format(id=before.task_open_id))
            columns = {**_columns(settings), "updated_at": self._catalog.moment(), "revision": revision + 1}
            records.update(db, "call_task", "id = ?", (int(before.task_open_id),), **columns)
            return self.find(project_id, before.task_open_id)


def _columns(settings: CallSettings) -> dict[str, object]:
    redials = settings.redials or Redials()
    return {
        "start_time": settings.start,
        "end_time": settings.end,
        "concurrency": settings.concurrency,
        "forbidden": settings.forbidden.spans,
        "ring_again_times": redials.times,
        "ring_again_interval": redials.interval,
    }
