"""Crowd analysis tasks on the Taobao Open Platform (vendors.md A9, A10).

The platform knows tasks only by their crowd, and the forms of its answers to questions are not published: what looks
like a task of the documented form is read as one, and the whole answer is passed on beside it. A create is sent once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mcp_server.calls.settings import BEIJING
from mcp_server.errors import InvalidArguments, NotFound, VendorDenied, VendorRejected, VendorUnreadable
from mcp_server.language.problems import finding, shorten
from mcp_server.language.values import show_time
from mcp_server.platforms.segments import OnProgress
from mcp_server.platforms.taobao.client import Outcome, TaobaoApi, is_number, unsuccessful
from mcp_server.platforms.taobao.wire import TaskOperation
from mcp_server.platforms.tasks import Crowd, CrowdAnalysis, CrowdTask, CrowdTaskPage, Drift, Raw, Validity, other_crowd
from mcp_server.platforms.vendor import quoted, shortened, text_of
from mcp_server.text import Text, listed

CROWDS = 100
"""Crowds among which one is searched by its name."""

_CROWDS = Text(
    "Tasks are listed for one crowd: give crowd_id. The merchant's crowds are under raw, as the platform returns them.",
    "任务需按人群列出：请给出 crowd_id。商家的人群列表原样放在 raw 中。",
)
_NO_CROWD = Text(
    'No crowd of the merchant is named "{name}", as far as its list can be read.',
    "在可读的人群列表中，没有名为“{name}”的人群。",
)
_BY_ID = Text(
    "Give the crowd's id; list_crowd_analyses without crowd_id shows the crowds.",
    "请给出人群的 id；不带 crowd_id 调用 list_crowd_analyses 可查看人群列表。",
)
_NO_TASK = Text(
    "Crowd {crowd} has no analysis task {id}; it has: {ids}.", "人群 {crowd} 没有分析任务 {id}；现有任务：{ids}。"
)
_THE_ID = Text("Give one of these, or another crowd_id.", "请改用其中之一，或换一个 crowd_id。")
_NEEDED = Text("crowd_id is missing; nothing was done.", "缺少 crowd_id，未执行任何操作。")
_NUMBERS = Text("An id is not one of this platform; nothing was done.", "id 不是该平台的 id，未执行任何操作。")
_FIX = Text("Fix it and call again.", "请修正后重新调用。")


class TaobaoCrowds:
    """The crowd analysis tasks of a merchant (`platforms.tasks.CrowdPlatform`)."""

    name = "taobao"

    def __init__(self, api: TaobaoApi, account: str, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock
        self.account = account
        """Host and app key."""

    def only_reading(self) -> "TaobaoCrowds":
        return self

    def now(self, project_id: str) -> datetime:
        return self._clock().astimezone(BEIJING).replace(tzinfo=None, microsecond=0)

    # questions

    async def crowd(self, project_id: str, crowd: str) -> Crowd:
        """An id is not checked; a name is looked up in the list of crowds."""
        if is_number(crowd):
            return Crowd(crowd, "", project_id)
        answer = await self._api.crowds(crowd, 1, CROWDS)
        matches = {(crowd_id, name) for crowd_id, name in _named(answer) if name.casefold() == crowd.casefold()}
        if len(matches) != 1:
            raise NotFound(_NO_CROWD.format(name=shorten(crowd)), next_step=_BY_ID)
        crowd_id, name = matches.pop()
        return Crowd(crowd_id, name, project_id)

    async def get(self, project_id: str, task_id: str, crowd_id: str = "") -> CrowdTask:
        if not crowd_id:
            raise InvalidArguments(_NEEDED, next_step=_FIX, problems=[finding("crowd_id_needed", "/crowd_id")])
        if not is_number(task_id):
            problem = finding("crowd_id_not_number", "/task_id", got=task_id)
            raise InvalidArguments(_NUMBERS, next_step=_FIX, problems=[problem])
        crowd = await self.crowd(project_id, crowd_id)
        tasks = await self._readable(crowd)
        for task in tasks:
            if task.task_id == task_id:
                if task.crowd_id != crowd.crowd_id:
                    raise other_crowd(task_id, task.crowd_id, crowd_id)
                return task
        if tasks:
            ids = listed(task.task_id for task in tasks)
            raise NotFound(_NO_TASK.format(crowd=crowd.crowd_id, id=task_id, ids=ids), next_step=_THE_ID)
        return CrowdTask(task_id, crowd.crowd_id, crowd.name, project_id, None, None)

    async def find(self, crowd: Crowd, validity: Validity) -> CrowdTask | None:
        tasks = await self._readable(crowd)
        return next((task for task in tasks if task.validity == validity), None)

    async def search(self, project_id: str, *, crowd_id: str, offset: int, limit: int) -> CrowdTaskPage:
        if not crowd_id:
            raw = await self._api.crowds("", offset // limit + 1, limit)
            return CrowdTaskPage((), 0, shortened(raw), _CROWDS)
        crowd = await self.crowd(project_id, crowd_id)
        raw = await self._api.query(crowd.crowd_id)
        tasks = sorted(self._tasks(raw, crowd), key=lambda task: int(task.task_id), reverse=True)
        return CrowdTaskPage(tuple(tasks[offset : offset + limit]), len(tasks), shortened(raw))

    async def _readable(self, crowd: Crowd) -> list[CrowdTask]:
        """The crowd's tasks as far as they can be read; none where the app may not ask, or in an unknown form."""
        try:
            return list(self._tasks(await self._api.query(crowd.crowd_id), crowd))
        except (VendorDenied, VendorRejected, VendorUnreadable):
            return []

    def _tasks(self, raw: Raw, crowd: Crowd) -> Iterator[CrowdTask]:
        seen = set()
        for part in _objects(raw):
            task_id = text_of(part.get("task_id"))
            if is_number(task_id) and task_id not in seen:
                seen.add(task_id)
                crowd_id = text_of(part.get("crowd_id")) or crowd.crowd_id
                yield self._task(task_id, replace(crowd, crowd_id=crowd_id), _validity(part))

    def _task(self, task_id: str, crowd: Crowd, validity: Validity | None, request_id: str = "") -> CrowdTask:
        state = validity.state(self.now(crowd.project_id)) if validity else None
        return CrowdTask(task_id, crowd.crowd_id, crowd.name, crowd.project_id, validity, state, request_id=request_id)

    # changes

    async def create(self, crowd: Crowd, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        """Sent once. OutcomeUnknown where the answer was lost, or does not say which task was made."""
        outcome = await self._change("create", {"crowd_id": int(crowd.crowd_id), **_times(validity)})
        return self._after(outcome.task["task_id"], crowd, validity, outcome)

    async def update(self, task: CrowdTask, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        return await self._changed("time", task, validity)

    async def drift(self, task: CrowdTask, *, on_progress: OnProgress) -> Drift | None:
        return None

    async def reload(self, task: CrowdTask, *, on_progress: OnProgress) -> tuple[CrowdTask, Drift | None]:
        return await self._changed("dumpData", task, task.validity), None

    async def delete(self, task: CrowdTask) -> CrowdTask:
        return await self._changed("delete", task, task.validity)

    async def analysis(self, task: CrowdTask, *, on_progress: OnProgress) -> CrowdAnalysis:
        times = _times(task.validity)
        raw = await self._api.report(task.task_id, times.get("start_time", ""), times.get("end_time", ""))
        return CrowdAnalysis(0, 0, raw=shortened(raw))

    async def _changed(self, operation: TaskOperation, task: CrowdTask, validity: Validity | None) -> CrowdTask:
        """Change a task that exists; the request states all that is known of it, as the page requires three fields."""
        dto = {"task_id": int(task.task_id), "crowd_id": int(task.crowd_id), **_times(validity)}
        crowd = Crowd(task.crowd_id, task.crowd_name, task.project_id)
        return self._after(task.task_id, crowd, validity, await self._change(operation, dto))

    async def _change(self, operation: TaskOperation, dto: Mapping[str, object]) -> Outcome:
        outcome = await self._api.update(operation, dto)
        if not outcome.success:
            raise unsuccessful(outcome)
        return outcome

    def _after(self, task_id: str, crowd: Crowd, validity: Validity | None, outcome: Outcome) -> CrowdTask:
        """The task as the platform returns it after a change, else as it was asked for."""
        return self._task(task_id, crowd, _validity(outcome.task) or validity, outcome.request_id)


def _times(validity: Validity | None) -> dict[str, str]:
    return {"start_time": show_time(validity.start), "end_time": show_time(validity.end)} if validity else {}


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield all objects in an answer, outer ones first."""
    if isinstance(value, Mapping):
        yield value
        for part in value.values():
            yield from _objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part)


def _named(raw: Raw) -> Iterator[tuple[str, str]]:
    """Yield id and name of everything in an answer that looks like a crowd."""
    for part in _objects(raw):
        crowd_id = text_of(part.get("crowd_id", part.get("id")))
        name = text_of(part.get("crowd_name", part.get("name")))
        if is_number(crowd_id) and name:
            yield crowd_id, quoted(name)


def _validity(part: Mapping[str, Any]) -> Validity | None:
    """`start_time` and `end_time`, if both are times."""
    try:
        start, end = (
            datetime.fromisoformat(text_of(part.get(key)).strip()).replace(tzinfo=None, microsecond=0)
            for key in ("start_time", "end_time")
        )
    except ValueError:
        return None
    return Validity(start, end)
