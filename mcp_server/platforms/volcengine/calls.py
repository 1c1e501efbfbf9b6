"""Call tasks on Volcengine's voice service (vendors.md B5, B6).

The service shows of a task its name, window, state and progress (QueryTaskList), and nothing else of its settings;
tasks and their lists are made in its console. An update therefore states everything that it replaces.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from mcp_server.calls.settings import BEIJING, CallSettings
from mcp_server.calls.volcengine import update_body
from mcp_server.errors import InvalidArguments, NotOnPlatform
from mcp_server.platforms.segments import OnProgress, Page
from mcp_server.platforms.tasks import CallDraft, CalleeCount, Callees, CallEntry, CallTask, Often, Updated
from mcp_server.platforms.vendor import number_of, quoted, text_of, unreadable
from mcp_server.platforms.volcengine.client import NAME, VolcengineApi
from mcp_server.text import Text, listed

PAGE = 100
"""Tasks that are asked for at a time."""
MOST_SEARCHED = 500
"""Tasks among which one is looked for, where the keyword has no match."""

_ONLY_CONSOLE = Text(
    "{platform} does not do this over its interface: tasks and their lists are made in its console.",
    "{platform}的接口不支持此操作：任务及其名单需在其控制台中创建。",
)
_GO_THERE = Text(
    "Make the task in the console, then give its TaskOpenId to update_call_task.",
    "请在控制台创建任务，再把 TaskOpenId 交给 update_call_task。",
)
_SEVERAL = Text('{n} call tasks are named "{name}".', "有 {n} 个外呼任务名为“{name}”。")
_WHICH = Text("Name it by its id: {ids}.", "请用 id 指明：{ids}。")


class VolcengineCalls:
    """The call tasks of an account (`platforms.tasks.CallPlatform`)."""

    name = "volcengine"
    reads = False
    creates = False
    update_body = staticmethod(update_body)

    def __init__(self, api: VolcengineApi, account: str, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock
        self.account = account
        """Host and access key, as far as they may be shown."""

    def now(self) -> datetime:
        return self._clock().astimezone(BEIJING).replace(tzinfo=None, microsecond=0)

    async def entry(self, project_id: str, task_open_id: str) -> CallEntry | None:
        """Return the task of this id or name, from the list of tasks; None where it is not on it."""
        matches = await self._matches(task_open_id)
        if len(matches) > 1:
            raise InvalidArguments(
                _SEVERAL.format(n=len(matches), name=quoted(task_open_id)),
                next_step=_WHICH.format(ids=listed(one.task_open_id for one in matches)),
            )
        return matches[0] if matches else None

    async def search(self, project_id: str, *, words: str, offset: int, limit: int) -> Page[CallEntry]:
        result = await self._api.tasks(words, limit, offset)
        records = result.get("Records")
        if records is not None and not isinstance(records, list):
            raise unreadable(NAME)
        items = tuple(_entries(records or []))
        return Page(items, max(number_of(result.get("Total")), offset + len(items) if items else 0))

    async def update(
        self, project_id: str, task_open_id: str, settings: CallSettings, *, recall: bool, revision: int
    ) -> Updated:
        return Updated(request_id=await self._api.update(update_body(task_open_id, settings, recall=recall)))

    async def often(
        self,
        project_id: str,
        whom: CallTask | Callees,
        settings: CallSettings,
        *,
        projects: frozenset[str] | None,
        on_progress: OnProgress,
    ) -> Often:
        """Return nothing: the service does not show who is on a list."""
        return Often()

    # not over the interface

    async def get(self, project_id: str, task_open_id: str) -> CallTask:
        _refuse()

    async def find_name(self, project_id: str, name: str) -> CallTask | None:
        _refuse()

    async def count(self, project_id: str, callees: Callees, *, on_progress: OnProgress) -> CalleeCount:
        _refuse()

    async def create(self, project_id: str, draft: CallDraft, *, on_progress: OnProgress) -> CallTask:
        _refuse()

    async def _matches(self, ref: str) -> list[CallEntry]:
        """The task of this id, else those of this name.

        Whether the list's keyword looks into ids is not documented, so the first tasks of the list are searched too.
        """
        page = await self.search("", words=ref, offset=0, limit=PAGE)
        matches = _named(page.items, ref)
        offset = 0
        while not matches and offset < MOST_SEARCHED:
            page = await self.search("", words="", offset=offset, limit=PAGE)
            matches = _named(page.items, ref)
            offset = offset + PAGE if len(page.items) == PAGE else MOST_SEARCHED
        return matches


def _named(entries: Sequence[CallEntry], ref: str) -> list[CallEntry]:
    by_id = [one for one in entries if one.task_open_id == ref]
    return by_id or [one for one in entries if one.name.casefold() == ref.casefold()]


def _refuse() -> NoReturn:
    raise NotOnPlatform(_ONLY_CONSOLE.format(platform=NAME), next_step=_GO_THERE)


def _entries(records: list[Any]) -> Iterator[CallEntry]:
    """Lines of QueryTaskList; the numbers of `State` are not documented, so they stay as they came."""
    for record in records:
        if isinstance(record, Mapping) and record.get("TaskOpenId") is not None:
            yield CallEntry(
                task_open_id=quoted(text_of(record["TaskOpenId"])),
                name=quoted(text_of(record.get("Name"))),
                start=_moment(record.get("StartTime")),
                end=_moment(record.get("EndTime")),
                callees=_count(record.get("ListNum")),
                state=quoted(text_of(record.get("State"))),
                called=_count(record.get("CalledNum")),
                connected=_count(record.get("ThroughNum")),
            )


def _count(value: object) -> int | None:
    number = number_of(value, default=-1)
    return number if number >= 0 else None


def _moment(value: object) -> datetime | None:
    """A time as on the page, Beijing time (B6); None where it is not one."""
    try:
        moment = datetime.fromisoformat(text_of(value).strip())
    except ValueError:
        return None
    moment = moment.astimezone(BEIJING) if moment.tzinfo else moment
    return moment.replace(tzinfo=None, microsecond=0)
