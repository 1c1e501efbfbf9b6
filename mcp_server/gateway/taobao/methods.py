"""The methods that are served. Of the last three the vendor publishes no answers: their shapes are invented."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from mcp_server.errors import FenqunError
from mcp_server.gateway.house import House, told
from mcp_server.gateway.strict import NotJson, is_whole, read_object, unknown
from mcp_server.gateway.taobao.answers import failed, invalid, missing
from mcp_server.gateway.taobao.verified import SYSTEM
from mcp_server.operations.clusters import list_clusters
from mcp_server.operations.crowd_report import get_crowd_analysis
from mcp_server.operations.crowd_state import CrowdTaskRow, CrowdTaskState
from mcp_server.operations.crowds import (
    create_crowd_analysis,
    delete_crowd_analysis,
    list_crowd_analyses,
    reload_crowd_analysis,
    update_crowd_analysis,
)
from mcp_server.operations.kinds import CLUSTERS
from mcp_server.operations.operation import Operation, Result
from mcp_server.platforms.taobao import wire

R = TypeVar("R", bound=Result)

OPERATIONS: Final = ("create", "delete", "dumpData", "time")
MOST: Final = 100
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_FAILED: Final = 99
"""The page's own code for a system error (系统异常)."""
_CODES: Final[Mapping[str, int]] = {
    "not_found": 1001, "task_ended": 1002, "name_taken": 1003, "not_computed": 1004, "changed_meanwhile": 1005,
    "read_only": 1006, "not_allowed": 1006, "no_project": 1007, "no_data": 1007,
}  # fmt: skip
"""Codes of a result that is no success: invented."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One verified call."""

    house: House
    business: Mapping[str, str]

    async def ask(self, operation: Operation[Any, R], **arguments: object) -> R:
        """Call an operation as the app."""
        return await self.house.ask(SYSTEM, operation, arguments)

    def number(self, name: str) -> str:
        """A whole number that is needed."""
        said = self.business.get(name, "").strip()
        if not said:
            raise missing(name)
        if not _NUMBER.fullmatch(said):
            raise invalid(name)
        return said


@dataclass(frozen=True, slots=True)
class Task:
    """`task_dto`."""

    crowd_id: str
    start_time: str
    end_time: str
    task_id: str


async def update(asked: Asked) -> dict[str, Any]:
    """`taobao.opencrm.crowdanalysis.update` with its four operations."""
    operation = asked.business.get("operation", "")
    if not operation:
        raise missing("operation")
    if operation not in OPERATIONS:
        raise invalid("operation")
    task = _task(asked.business.get("task_dto", ""))
    if operation != "create" and not task.task_id:
        raise missing("task_id")
    try:
        done = await _done(asked, operation, task)
    except FenqunError as error:
        return {"result": _failure(error, asked.house)}
    if done.result is None:
        raise failed("isp.unknown-error", "系统异常")
    return {"result": {"result": _dto(done.result), "code": 0, "msg": "OK", "success": True}}


async def _done(asked: Asked, operation: str, task: Task) -> CrowdTaskState:
    if operation == "create":
        times = {"start_time": task.start_time, "end_time": task.end_time}
        return await asked.ask(create_crowd_analysis, crowd_id=task.crowd_id, **times)
    deps = asked.house.known(SYSTEM)
    found = await deps.crowds.get(deps.project(""), task.task_id)
    if found.crowd_id != task.crowd_id:
        raise invalid("crowd_id", "与任务的人群不一致")
    if operation == "time":
        times = {"start_time": task.start_time, "end_time": task.end_time}
        return await asked.ask(update_crowd_analysis, task_id=task.task_id, **times)
    act: Operation[Any, CrowdTaskState] = delete_crowd_analysis if operation == "delete" else reload_crowd_analysis
    return await asked.ask(act, task_id=task.task_id)


def _failure(error: FenqunError, house: House) -> dict[str, Any]:
    """What the service did not do: wrong parameters as the page's example has them, else `success` false."""
    if error.code == "invalid_arguments":
        raise failed("isv.invalid-parameter", told(error, house.deps)) from error
    code = _CODES.get(error.code, _FAILED)
    said = "系统异常" if code == _FAILED else told(error, house.deps)
    return {"code": code, "msg": said, "success": False}


def _task(said: str) -> Task:
    """The struct: the three fields that the page calls necessary, and the task."""
    if not said.strip():
        raise missing("task_dto")
    try:
        found = read_object(said.encode("utf-8", "surrogatepass"))
    except NotJson:
        raise invalid("task_dto", "不是 JSON 对象") from None
    stray = unknown(found, "start_time", "end_time", "crowd_id", "task_id")
    if stray:
        raise invalid(stray[:50])
    return Task(
        _id(found, "crowd_id"),
        _time(found, "start_time"),
        _time(found, "end_time"),
        _id(found, "task_id", needed=False),
    )


def _id(found: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = found.get(name)
    if value is None:
        if needed:
            raise missing(name)
        return ""
    if not (is_whole(value) or isinstance(value, str)) or not _NUMBER.fullmatch(str(value)):
        raise invalid(name)
    return str(value)


def _time(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise missing(name)
    return _moment(value, name)


def _moment(value: object, name: str) -> str:
    try:
        if isinstance(value, str) and str(datetime.strptime(value, "%Y-%m-%d %H:%M:%S")) == value:  # noqa: DTZ007 - local
            return value
    except ValueError:
        pass
    raise invalid(name, "yyyy-MM-dd HH:mm:ss")


def _dto(row: CrowdTaskRow) -> dict[str, Any]:
    return {
        "end_time": row.end_time,
        "start_time": row.start_time,
        "crowd_id": int(row.crowd_id),
        "task_id": int(row.task_id),
    }


# answers whose shapes are invented


async def query(asked: Asked) -> dict[str, Any]:
    """The tasks of a crowd."""
    crowd = asked.number("crowd_id")
    rows: list[CrowdTaskRow] = []
    while True:
        page = await asked.ask(list_crowd_analyses, crowd_id=crowd, limit=MOST, offset=len(rows))
        rows += page.tasks
        if not page.left_out or not page.tasks:
            break
    tasks = [
        _dto(row) | {"crowd_name": row.crowd_name, "state": row.state, "users_num": row.users_num or 0} for row in rows
    ]
    return {"result": {"tasks": {"crowd_analysis_task_dto": tasks}, "total": len(tasks)}}


async def report(asked: Asked) -> dict[str, Any]:
    """What a task found out over its validity: the fields of get_crowd_analysis."""
    task = asked.number("task_id")
    given = {name: _moment(asked.business[name], name) for name in ("start_time", "end_time") if name in asked.business}
    found = await asked.ask(get_crowd_analysis, task_id=task)
    for name, said in given.items():
        if said != getattr(found.result, name):
            raise invalid(name, "仅支持任务的有效期")
    return {"result": found.model_dump(mode="json", exclude_defaults=True, exclude={"message", "next"})}


async def crowds(asked: Asked) -> dict[str, Any]:
    """The crowds, by words in their names."""
    page = int(asked.number("page")) if "page" in asked.business else 1
    size = int(asked.number("page_size")) if "page_size" in asked.business else 20
    if size > MOST or page > MOST * MOST:
        raise invalid("page_size", f"1–{MOST}")
    found = await asked.ask(
        list_clusters,
        search=asked.business.get("crowd_name", ""),
        cluster_types=CLUSTERS.types,
        limit=size,
        offset=(page - 1) * size,
    )
    rows = [
        {"crowd_id": int(r.cluster_id), "crowd_name": r.cluster_name, "users_num": r.users_num or 0}
        for r in found.clusters
    ]
    return {"result": {"crowds": {"crowd_dto": rows}, "total": found.total}}


@dataclass(frozen=True, slots=True)
class Method:
    """A method and the business parameters that it knows."""

    serve: Callable[[Asked], Awaitable[dict[str, Any]]]
    names: tuple[str, ...]


METHODS: Final[Mapping[str, Method]] = {
    wire.UPDATE: Method(update, ("task_dto", "operation")),
    wire.QUERY: Method(query, ("crowd_id",)),
    wire.REPORT: Method(report, ("task_id", "start_time", "end_time")),
    wire.CROWDS: Method(crowds, ("crowd_name", "page", "page_size")),
}
