"""ThinkingData's Open API, one method a call, by id or by name.

By name is preferred, as newer manuals know only that (te-api.md §1); `by_id` is the setting for older deployments.
Every method raises the errors of `codes.py`, VendorUnreachable and, for a question, VendorUnreadable; a change
whose answer was lost or unreadable raises OutcomeUnknown, which names the read that tells.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from mcp_server.platforms.thinkingdata import codes, replies, wire
from mcp_server.platforms.thinkingdata.replies import Counts, ListPage, RemoteCluster
from mcp_server.platforms.transport import AnswerLost, Outgoing, Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import (
    Unreadable,
    answer_of,
    masked,
    outcome_unknown,
    question_of,
    readable,
    unreadable,
)
from mcp_server.text import Text

A = TypeVar("A")
R = TypeVar("R")

PAGE = 100
"""Rows asked for at a time. The vendor's own limit is not known."""
SQL_SECONDS = 300
BUSY_WAIT = 1.0
"""Seconds after an answer that calls come too often; the vendor says no figure."""

_LOOK = Text(
    "Look first: get_cluster {name} shows whether it happened. Then decide whether to repeat it.",
    "请先查看：用 get_cluster 查看 {name}，确认是否已生效，再决定是否重试。",
)
_LOOK_FOR = Text(
    "get_cluster {name} tells whether it is there; create it again only where it is not.",
    "用 get_cluster 查看 {name} 是否已存在；确认不存在后才可重新创建。",
)


@dataclass(frozen=True, slots=True)
class Which:
    """A cluster or tag that exists, as calls name it."""

    project_id: str
    cluster_id: str
    name: str


class Api:
    """The calls of one deployment."""

    def __init__(self, transport: Transport, token: str, *, by_id: bool = False) -> None:
        self._transport = transport
        self._token = token
        self._by_id = by_id

    # questions

    async def detail(self, project_id: str, *, cluster_id: str = "", name: str = "") -> RemoteCluster:
        """One cluster with its definition. VendorRejected where there is none (the vendor's code for it is not public)."""
        data = await self._ask(
            wire.get(wire.DETAIL, self._token, projectId=project_id, clusterId=cluster_id, clusterName=name)
        )
        return self._read(replies.cluster_in, data)

    async def page(self, project_id: str, catalog: str, types: tuple[str, ...], words: str, number: int) -> ListPage:
        """One page (from 1) of the clusters or tags of these types; `words` are searched for in names."""
        body = wire.list_body(project_id, catalog, types, words, number, PAGE)
        return self._read(replies.page_in, await self._ask(wire.post(wire.LIST, self._token, body)))

    async def progress(self, which: Which) -> int:
        """How far its computation is: 0 to 100, -1 failed."""
        address, named = self._named(which, wire.PROGRESS, wire.PROGRESS_BY_NAME)
        return self._read(replies.progress_in, await self._ask(wire.get(address, self._token, **named)))

    async def events(self, project_id: str) -> Any:
        """The project's events, in a shape that the vendor does not document."""
        return await self._ask(wire.get(wire.EVENTS, self._token, projectId=project_id))

    async def properties(self, project_id: str, table: str) -> Any:
        """The properties of a table (`event` or `user`), in a shape that the vendor does not document."""
        return await self._ask(wire.get(wire.PROPERTIES, self._token, projectId=project_id, tableType=table))

    async def query(self, statement: str) -> tuple[tuple[str, ...], Iterator[list[Any]]]:
        """Headers and rows of a read-only statement, for small results."""
        reply = await self._send(wire.sql(statement, self._token, SQL_SECONDS), Repeat.READ)
        with question_of(reply, codes.NAME):
            return replies.rows_in(reply.body, (self._token,))

    async def rows(self, statement: str) -> list[list[Any]]:
        """The rows of such a statement, all of them read."""
        _, rows = await self.query(statement)
        return self._read(list, rows)

    def download(self, statement: str) -> AsyncIterator[bytes]:
        """The answer to a statement piece by piece, for results of any size."""
        return self._transport.download(lambda: wire.sql(statement, self._token, SQL_SECONDS))

    # changes

    async def add(self, body: Mapping[str, Any]) -> str:
        """Create a cluster or tag; its id. Never sent twice."""
        settle = _LOOK_FOR.format(name=body["clusterName"])
        return await self._change(wire.post(wire.ADD, self._token, body), Repeat.ONCE, settle, replies.new_id_in)

    async def update(self, which: Which, body: Mapping[str, Any]) -> None:
        """Replace definition and display name."""
        address, named = self._named(which, wire.UPDATE, wire.UPDATE_BY_NAME)
        if self._by_id:
            del named["projectId"]  # the page's address by id has none: it stands in the body
        await self._change(wire.post(address, self._token, body, **named), Repeat.AGAIN, _look_at(which))

    async def delete(self, which: Which) -> None:
        """Delete it. Sent once: a second time would be refused, as if the first had failed."""
        address, named = self._named(which, wire.DELETE, wire.DELETE_BY_NAME)
        await self._change(wire.post(address, self._token, None, **named), Repeat.ONCE, _look_at(which))

    async def refresh(self, which: Which) -> None:
        """Start its computation."""
        address, named = self._named(which, wire.REFRESH, wire.REFRESH_BY_NAME)
        await self._change(wire.post(address, self._token, None, **named), Repeat.AGAIN, _look_at(which))

    async def import_add(self, file: Path, project_id: str, named: Mapping[str, str]) -> Counts:
        """Create a cluster or tag from a file of ids, streamed; `named` are the page's query parameters."""
        out = self._upload(wire.IMPORT_ADD, file, {"projectId": project_id, **named})
        settle = _LOOK_FOR.format(name=named["clusterName"])
        counts = await self._change(out, Repeat.ONCE, settle, replies.counts_in)
        if counts is None:
            raise outcome_unknown(codes.NAME, settle)
        return counts

    async def import_modify(self, which: Which, file: Path, named: Mapping[str, str]) -> Counts | None:
        """Replace an id list. None where the platform tells no counters."""
        address, own = self._named(which, wire.IMPORT_MODIFY, wire.IMPORT_MODIFY_BY_NAME)
        out = self._upload(address, file, {**own, **named})
        return await self._change(out, Repeat.AGAIN, _look_at(which), replies.counts_in)

    # how

    def _named(self, which: Which, by_id: str, by_name: str) -> tuple[str, dict[str, str]]:
        """The address of a call and the parameters that name a cluster."""
        if self._by_id:
            return by_id, {"projectId": which.project_id, "clusterId": which.cluster_id}
        return by_name, {"projectId": which.project_id, "clusterName": which.name}

    def _upload(self, address: str, file: Path, named: Mapping[str, str]) -> Outgoing:
        return Outgoing("POST", wire.path(address, self._token, **named), wire.CSV, file)

    async def _send(self, out: Outgoing, repeat: Repeat) -> Reply:
        def wait(reply: Reply) -> float | None:
            return BUSY_WAIT if replies.is_busy(reply.body) else by_status(reply)

        reply = await self._transport.send(lambda: out, repeat, wait)
        return replace(reply, body=masked(reply.body, (self._token,)))

    async def _ask(self, out: Outgoing) -> Any:
        reply = await self._send(out, Repeat.READ)
        with question_of(reply, codes.NAME):
            return replies.data_of(reply.body, (self._token,))

    async def _change(
        self, out: Outgoing, repeat: Repeat, settle: Text, read: Callable[[Any], R] = lambda data: data
    ) -> R:
        """Send a change and read its answer; `settle` names the read that tells what became of it."""
        try:
            reply = await readable(lambda: self._send(out, repeat), repeat)
        except AnswerLost:
            raise outcome_unknown(codes.NAME, settle) from None
        with answer_of(reply, codes.NAME, settle):
            return read(replies.data_of(reply.body, (self._token,)))

    def _read(self, read: Callable[[A], R], answer: A) -> R:
        """Read the answer to a question."""
        try:
            return read(answer)
        except Unreadable:
            raise unreadable(codes.NAME) from None


def _look_at(which: Which) -> Text:
    return _LOOK.format(name=which.name)
