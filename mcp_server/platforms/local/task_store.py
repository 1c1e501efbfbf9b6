"""Crowd analysis and call tasks in the catalogue: rows in, records out, each write one commit."""

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mcp_server.calls.settings import BEIJING, CallSettings, Redials
from mcp_server.calls.week import Week
from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NotFound
from mcp_server.language.suggest import nearest_named
from mcp_server.language.window import show_time
from mcp_server.platforms.tasks import CallPage, CallTask, Drift, Validity
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.database import Value
from mcp_server.store.records import Facts
from mcp_server.text import NOTHING, Text, listed

# Crowd analysis tasks in the catalogue. Every call is synchronous and short; one that writes is one commit.


_TASKS = (
    "SELECT t.*, c.name, c.project, v.file, v.users_num FROM crowd_task t JOIN cluster c ON c.id = t.cluster"
    " JOIN version v ON v.cluster = t.cluster AND v.number = t.version WHERE c.project = ?"
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


class CrowdStore:
    """The tasks of a workspace."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database

    # -- reading -------------------------------------------------------------------------------------------------

    def task(self, project_id: str, ref: str) -> TaskRecord:
        """The task with this id. NotFound names the newest of the project."""
        text = ref.strip()
        if text.isascii() and text.isdigit() and len(text) <= 18:
            found = self._database.row(f"{_TASKS} AND t.id = ?", (project_id, int(text)))
            if found is not None:
                return _record(found)
        self._catalog.project(project_id)
        newest, _ = self.page(project_id, offset=0, limit=5)
        hint = _NEWEST.format(ids=listed(t.id for t in newest)) if newest else _NONE
        raise NotFound(
            _NO_CROWD_TASK.format(ref=records.quoted(text), project=project_id).then(hint), next_step=_LIST_CROWDS
        )

    def same(self, project_id: str, cluster: int, validity: Validity) -> TaskRecord | None:
        """The task of a cluster with exactly this validity."""
        found = self._database.row(
            f"{_TASKS} AND t.cluster = ? AND t.start_time = ? AND t.end_time = ?",
            (project_id, cluster, *_times(validity)),
        )
        return _record(found) if found else None

    def page(
        self, project_id: str, *, cluster: int | None = None, offset: int, limit: int
    ) -> tuple[tuple[TaskRecord, ...], int]:
        """A slice of the tasks, newest first, and how many there are."""
        where = "" if cluster is None else " AND t.cluster = ?"
        values: list[Value] = [project_id] if cluster is None else [project_id, cluster]
        counted = self._database.row(f"SELECT count(*) AS n FROM ({_TASKS}{where})", values)
        found = self._database.rows(f"{_TASKS}{where} ORDER BY t.id DESC LIMIT ? OFFSET ?", [*values, limit, offset])
        return tuple(map(_record, found)), counted["n"] if counted else 0

    def using(self, cluster: int) -> tuple[int, ...]:
        """The tasks that hold members of a cluster."""
        found = self._database.rows("SELECT id FROM crowd_task WHERE cluster = ? ORDER BY id", (cluster,))
        return tuple(row["id"] for row in found)

    # -- writing -------------------------------------------------------------------------------------------------

    def add(self, project_id: str, cluster: int, version: int, validity: Validity, analysis: Facts) -> TaskRecord:
        """Save a new task; the one that is there already where somebody was quicker. NotFound: the cluster was deleted."""
        with self._database.write() as db:
            self._catalog.cluster(cluster)
            there = self.same(project_id, cluster, validity)
            if there is not None:
                return there
            self._still_kept(cluster, version)
            made = db.execute(
                "INSERT INTO crowd_task (cluster, version, start_time, end_time, analysis, loaded_at, revision)"
                " VALUES (?, ?, ?, ?, ?, ?, 1)",
                (cluster, version, *_times(validity), records.write_facts(analysis), self._catalog.moment()),
            )
            return self.task(project_id, str(made.lastrowid))

    def extend(self, task: TaskRecord, validity: Validity, analysis: Facts) -> TaskRecord:
        """Change the validity. NameTaken where another task of the cluster has it; ChangedMeanwhile."""
        start, end = _times(validity)
        with self._database.write() as db:
            there = self.same(task.project, task.cluster, validity)
            if there is not None and there.id != task.id:
                raise NameTaken(_VALIDITY_TAKEN.format(id=there.id), next_step=_USE_IT)
            return self._change(
                db, task, {"start_time": start, "end_time": end, "analysis": records.write_facts(analysis)}
            )

    def reload(self, task: TaskRecord, version: int, drift: Drift, analysis: Facts) -> TaskRecord:
        """Hold another version's members. ChangedMeanwhile."""
        changes: Mapping[str, Value] = {
            "version": version,
            "analysis": records.write_facts(analysis),
            "loaded_at": self._catalog.moment(),
            "joined": drift.joined,
            "gone": drift.left,
        }
        with self._database.write() as db:
            self._still_kept(task.cluster, version)
            return self._change(db, task, changes)

    def keep_analysis(self, task: TaskRecord, analysis: Facts) -> TaskRecord:
        """Keep an analysis that was worked out anew, unless the task has changed meanwhile."""
        with self._database.write() as db:
            db.execute(
                "UPDATE crowd_task SET analysis = ? WHERE id = ? AND revision = ?",
                (records.write_facts(analysis), task.id, task.revision),
            )
        return replace(task, analysis=analysis)

    def delete(self, task_id: int, project_id: str, revision: int) -> None:
        """Remove a task, if it still is as the caller read it."""
        with self._database.write() as db:
            self._as_seen(project_id, task_id, revision)
            db.execute("DELETE FROM crowd_task WHERE id = ?", (task_id,))

    def _change(self, db: sqlite3.Connection, task: TaskRecord, changes: Mapping[str, Value]) -> TaskRecord:
        self._as_seen(task.project, task.id, task.revision)
        columns = ", ".join(f"{name} = ?" for name in changes)
        values: Sequence[Value] = (*changes.values(), task.id)
        db.execute(f"UPDATE crowd_task SET {columns}, revision = revision + 1 WHERE id = ?", values)
        return self.task(task.project, str(task.id))

    def _still_kept(self, cluster: int, version: int) -> None:
        """A version that nobody names yet may be swept away while it is analysed, if that takes very long."""
        if self._catalog.version(cluster, version) is None:
            raise ChangedMeanwhile(_COMPUTED_ANEW, next_step=_AGAIN)

    def _as_seen(self, project_id: str, task_id: int, revision: int) -> None:
        if self.task(project_id, str(task_id)).revision != revision:
            raise ChangedMeanwhile(_CROWD_CHANGED.format(id=task_id), next_step=NOTHING)


def _times(validity: Validity) -> tuple[str, str]:
    return show_time(validity.start), show_time(validity.end)


def _record(row: sqlite3.Row) -> TaskRecord:
    return TaskRecord(
        id=row["id"],
        project=row["project"],
        cluster=row["cluster"],
        cluster_name=row["name"],
        version=row["version"],
        file=row["file"],
        users_num=row["users_num"],
        validity=Validity(datetime.fromisoformat(row["start_time"]), datetime.fromisoformat(row["end_time"])),
        analysis=json.loads(row["analysis"]),
        loaded_at=records.read_time(row["loaded_at"]),
        reload=None if row["joined"] is None else Drift(row["joined"], row["gone"]),
        revision=row["revision"],
    )


# Call tasks in the catalogue: rows in, records out, each write one commit.


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


class CallStore:
    """The call tasks of a workspace."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database

    def key(self) -> str:
        """The workspace's key for hashing callees; "" as long as no list was kept."""
        found = self._database.row("SELECT key FROM callee_key")
        return str(found["key"]) if found else ""

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
        found = self._by_id(project_id, text) or self.find_name(project_id, text)
        if found is None:
            names = self._database.rows(
                "SELECT name FROM call_task WHERE project = ? ORDER BY id DESC LIMIT ?", (project_id, MAX_NAMES)
            )
            near = nearest_named(text, {row["name"]: () for row in names})
            hint = _NEAREST.format(name=near) if near else NOTHING
            raise NotFound(
                _NO_CALL_TASK.format(ref=records.quoted(text), project=project_id).then(hint), next_step=_LIST_CALLS
            )
        return found

    def _by_id(self, project_id: str, digits: str) -> CallTask | None:
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return None
        found = self._database.row("SELECT * FROM call_task WHERE project = ? AND id = ?", (project_id, int(digits)))
        return _task(found) if found else None

    def find_name(self, project_id: str, name: str) -> CallTask | None:
        if not records.storable(project_id, name):
            return None
        found = self._database.row(
            "SELECT * FROM call_task WHERE project = ? AND name_key = ?", (project_id, name.casefold())
        )
        return _task(found) if found else None

    def search(self, project_id: str, words: str, offset: int, limit: int) -> CallPage:
        """Tasks of a project, newest first; `words` is a part of the name, in any case."""
        self._catalog.project(project_id)
        if not records.storable(words):
            return CallPage((), 0)
        where, values = "project = ?", [project_id]
        if words:
            where, values = f"{where} AND instr(name_key, ?) > 0", [*values, words.casefold()]
        counted = self._database.row(f"SELECT count(*) AS n FROM call_task WHERE {where}", values)
        page: list[Value] = [*values, limit, offset]
        found = self._database.rows(f"SELECT * FROM call_task WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?", page)
        return CallPage(tuple(_task(row).entry for row in found), counted["n"] if counted else 0)

    def others(
        self, own: str, settings: CallSettings, now: datetime, projects: frozenset[str] | None
    ) -> tuple[tuple[CallTask, str], ...]:
        """The other tasks of these projects (None: of all) whose windows meet this one's after `now`; with their lists."""
        found = self._database.rows(
            "SELECT * FROM call_task WHERE CAST(id AS TEXT) <> ? AND end_time > ? AND start_time < ? AND callees > 0",
            (own, _written(max(now, settings.start)), _written(settings.end)),
        )
        return tuple((_task(row), str(row["file"])) for row in found if projects is None or row["project"] in projects)

    def file_of(self, task: CallTask) -> str:
        """The list of a task, relative to the workspace."""
        found = self._database.row("SELECT file FROM call_task WHERE id = ?", (int(task.task_open_id),))
        return str(found["file"]) if found else ""

    def create(
        self, project_id: str, name: str, settings: CallSettings, callees: int, file: str, source: str
    ) -> CallTask:
        """Keep a task. NameTaken where the project has one of this name in any case."""
        if not records.storable(name):
            raise InvalidArguments(_NOT_TEXT)
        moment = self._catalog.moment()
        columns: dict[str, Value] = {
            "project": project_id, "name": name, "name_key": name.casefold(), "callees": callees, "file": file,
            "source": source, "created_at": moment, "updated_at": moment, "revision": 1, **_columns(settings),
        }  # fmt: skip
        with self._database.write() as db:
            taken = self.find_name(project_id, name)
            if taken is not None:
                raise NameTaken(_CALL_NAME_TAKEN.format(name=taken.name, id=taken.task_open_id))
            self._catalog.check_files([file])
            statement = f"INSERT INTO call_task ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            made = db.execute(statement, tuple(columns.values())).lastrowid
            return self.find(project_id, str(made))

    def update(self, project_id: str, task_open_id: str, settings: CallSettings, revision: int) -> CallTask:
        """Replace the settings, if the task is still at `revision`."""
        with self._database.write() as db:
            before = self.find(project_id, task_open_id)
            if before.revision != revision:
                raise ChangedMeanwhile(_CALL_CHANGED.format(id=before.task_open_id))
            columns = {**_columns(settings), "updated_at": self._catalog.moment(), "revision": revision + 1}
            sets = ", ".join(f"{name} = ?" for name in columns)
            db.execute(f"UPDATE call_task SET {sets} WHERE id = ?", (*columns.values(), int(before.task_open_id)))
            return self.find(project_id, before.task_open_id)


def _columns(settings: CallSettings) -> dict[str, Value]:
    redials = settings.redials or Redials()
    return {
        "start_time": _written(settings.start),
        "end_time": _written(settings.end),
        "concurrency": settings.concurrency,
        "forbidden": json.dumps(settings.forbidden.spans),
        "ring_again_times": redials.times,
        "ring_again_interval": redials.interval,
    }


def _written(moment: datetime) -> str:
    """A Beijing time as text whose order is the order of time."""
    return moment.replace(microsecond=0).isoformat(sep=" ")


def _task(row: sqlite3.Row) -> CallTask:
    return CallTask(
        task_open_id=str(row["id"]),
        name=row["name"],
        settings=CallSettings(
            datetime.fromisoformat(row["start_time"]),
            datetime.fromisoformat(row["end_time"]),
            row["concurrency"],
            Week(tuple((a, b) for a, b in json.loads(row["forbidden"]))),
            Redials(row["ring_again_times"], row["ring_again_interval"]),
        ),
        callees=row["callees"],
        source=row["source"],
        created_at=_beijing(row["created_at"]),
        updated_at=_beijing(row["updated_at"]),
        revision=row["revision"],
    )


def _beijing(written: str) -> str:
    return _written(records.read_time(written).astimezone(BEIJING).replace(tzinfo=None))
