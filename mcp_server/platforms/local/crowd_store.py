"""Crowd analysis tasks in the catalogue. Every call is synchronous and short; one that writes is one commit."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mcp_server.errors import ChangedMeanwhile, NameTaken, NotFound
from mcp_server.platforms.crowd_port import Drift, Validity
from mcp_server.platforms.local import rows
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.database import Value
from mcp_server.platforms.local.records import Facts
from mcp_server.qp.window import show_time
from mcp_server.text import NOTHING, Text, listed

_TASKS = (
    "SELECT t.*, c.name, c.project, v.file, v.users_num FROM crowd_task t JOIN cluster c ON c.id = t.cluster"
    " JOIN version v ON v.cluster = t.cluster AND v.number = t.version WHERE c.project = ?"
)
_NO_TASK = Text(
    "There is no crowd analysis task {ref} in project {project}.", "项目 {project} 中没有人群分析任务{ref}。"
)
_NEWEST = Text("The newest are: {ids}.", "最近创建的有：{ids}。")
_NONE = Text("It has none yet.", "该项目还没有人群分析任务。")
_LIST_THEM = Text("list_crowd_analyses shows all of them.", "可用 list_crowd_analyses 查看全部。")
_TAKEN = Text("Task {id} is the one of this crowd with this validity.", "该人群的这一有效期已有任务 {id}。")
_USE_IT = Text("Use that one, or choose another validity.", "请直接使用该任务，或另选有效期。")
_CHANGED = Text(
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
        raise NotFound(_NO_TASK.format(ref=rows.quoted(text), project=project_id).then(hint), next_step=_LIST_THEM)

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
                (cluster, version, *_times(validity), rows.write_facts(analysis), self._catalog.moment()),
            )
            return self.task(project_id, str(made.lastrowid))

    def extend(self, task: TaskRecord, validity: Validity, analysis: Facts) -> TaskRecord:
        """Change the validity. NameTaken where another task of the cluster has it; ChangedMeanwhile."""
        start, end = _times(validity)
        with self._database.write() as db:
            there = self.same(task.project, task.cluster, validity)
            if there is not None and there.id != task.id:
                raise NameTaken(_TAKEN.format(id=there.id), next_step=_USE_IT)
            return self._change(
                db, task, {"start_time": start, "end_time": end, "analysis": rows.write_facts(analysis)}
            )

    def reload(self, task: TaskRecord, version: int, drift: Drift, analysis: Facts) -> TaskRecord:
        """Hold another version's members. ChangedMeanwhile."""
        changes: Mapping[str, Value] = {
            "version": version,
            "analysis": rows.write_facts(analysis),
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
                (rows.write_facts(analysis), task.id, task.revision),
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
            raise ChangedMeanwhile(_CHANGED.format(id=task_id), next_step=NOTHING)


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
        loaded_at=rows.read_time(row["loaded_at"]),
        reload=None if row["joined"] is None else Drift(row["joined"], row["gone"]),
        revision=row["revision"],
    )
