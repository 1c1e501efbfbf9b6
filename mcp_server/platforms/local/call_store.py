"""Call tasks in the catalogue: rows in, records out, each write one commit."""

import json
import secrets
import sqlite3
from datetime import datetime

from mcp_server.calls.settings import BEIJING, CallSettings, Redials
from mcp_server.calls.week import Week
from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NotFound
from mcp_server.platforms.call_port import CallPage, CallTask
from mcp_server.platforms.local import rows
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.database import Value
from mcp_server.qp.suggest import nearest_named
from mcp_server.text import NOTHING, Text

MAX_NAMES = 2000
"""Names that are looked through for a suggestion, newest first."""

_NO_TASK = Text("There is no call task {ref} in project {project}.", "项目 {project} 中没有外呼任务{ref}。")
_LIST_THEM = Text("list_call_tasks shows all of them.", "可用 list_call_tasks 查看全部。")
_NEAREST = Text('The nearest name is "{name}".', "最接近的名称是“{name}”。")
_TAKEN = Text('The name "{name}" is in use by call task {id}.', "名称“{name}”已被外呼任务 {id} 占用。")
_CHANGED = Text(
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
            raise NotFound(_NO_TASK.format(ref=rows.quoted(text), project=project_id).then(hint), next_step=_LIST_THEM)
        return found

    def _by_id(self, project_id: str, digits: str) -> CallTask | None:
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return None
        found = self._database.row("SELECT * FROM call_task WHERE project = ? AND id = ?", (project_id, int(digits)))
        return _task(found) if found else None

    def find_name(self, project_id: str, name: str) -> CallTask | None:
        if not rows.storable(project_id, name):
            return None
        found = self._database.row(
            "SELECT * FROM call_task WHERE project = ? AND name_key = ?", (project_id, name.casefold())
        )
        return _task(found) if found else None

    def search(self, project_id: str, words: str, offset: int, limit: int) -> CallPage:
        """Tasks of a project, newest first; `words` is a part of the name, in any case."""
        self._catalog.project(project_id)
        if not rows.storable(words):
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
        if not rows.storable(name):
            raise InvalidArguments(_NOT_TEXT)
        moment = self._catalog.moment()
        columns: dict[str, Value] = {
            "project": project_id, "name": name, "name_key": name.casefold(), "callees": callees, "file": file,
            "source": source, "created_at": moment, "updated_at": moment, "revision": 1, **_columns(settings),
        }  # fmt: skip
        with self._database.write() as db:
            taken = self.find_name(project_id, name)
            if taken is not None:
                raise NameTaken(_TAKEN.format(name=taken.name, id=taken.task_open_id))
            self._catalog.check_files([file])
            statement = f"INSERT INTO call_task ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            made = db.execute(statement, tuple(columns.values())).lastrowid
            return self.find(project_id, str(made))

    def update(self, project_id: str, task_open_id: str, settings: CallSettings, revision: int) -> CallTask:
        """Replace the settings, if the task is still at `revision`."""
        with self._database.write() as db:
            before = self.find(project_id, task_open_id)
            if before.revision != revision:
                raise ChangedMeanwhile(_CHANGED.format(id=before.task_open_id))
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
    return _written(rows.read_time(written).astimezone(BEIJING).replace(tzinfo=None))
