"""Client of ThinkingData's Open API: its return codes, its replies read leniently, lost answers, one method per request.

By name is preferred, as newer manuals know only that (te-api.md §1); `by_id` is the setting for older deployments.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from mcp_server.errors import (
    FenqunError,
    NotFound,
    OutcomeUnknown,
    VendorBusy,
    VendorDenied,
    VendorError,
    VendorRejected,
)
from mcp_server.platforms import vendor
from mcp_server.platforms.segments import Cluster, Page
from mcp_server.platforms.thinkingdata import wire
from mcp_server.platforms.transport import Outgoing, Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import UnreadableReply
from mcp_server.text import Text

NAME = Text("ThinkingData", "数数平台")

# Return codes (te-api.md §8), and the errors that they become
#
# HTTP is 200 for errors too; only `return_code` 0 is success. The vendor's full table is not public: an unknown code
# is a refusal, with the vendor's words quoted.


SUCCESS = 0
TOO_FREQUENT = -1005
EMPTY_PARAMETER = -1008
"""The page's own example: the token is empty."""
WRONG_ITEM = -1999

_OF_THE_TOKEN = re.compile(r"(?ai)(?<!\w)token(?!\w)")
"""In the message of a refusal that is about the token: the page has only the code of a missing one (-1008)."""

_REFUSED = Text(
    '{name} refused it: "{words}" (return_code {code}).', "{name}拒绝了该请求：“{words}”（return_code {code}）。"
)
_TOKEN = Text(
    "Tell the user: the token (FENQUN_THINKINGDATA_TOKEN) is missing, wrong or replaced by a newer one.",
    "请告知用户：token（FENQUN_THINKINGDATA_TOKEN）缺失、有误或已被新 token 取代。",
)
_READ_FIRST = Text(
    "The words in quotes are the platform's; read the current state before trying something else.",
    "引号内为平台原话；请先查看当前状态，再尝试其他做法。",
)


def refusal(code: int, words: str) -> FenqunError:
    """Return the error for a return code; `words` are the vendor's, already safe to show."""
    message = _REFUSED.format(name=NAME, words=words, code=code)
    if code == TOO_FREQUENT:
        return VendorBusy(message, next_step=vendor.NOTHING_CHANGED.then(vendor.WAIT_A_LITTLE))
    if _OF_THE_TOKEN.search(words):
        return VendorDenied(message, next_step=vendor.NOTHING_CHANGED.then(_TOKEN))
    return VendorRejected(message, next_step=vendor.NOTHING_CHANGED.then(_READ_FIRST))


# Replies, read leniently: a number may be a text, a field may be missing
#
# Shapes are those of the vendor's page 用户分群和标签 API where no other source is given.


Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteCluster:
    """A cluster or tag as the platform returns it. What a request does not return is empty."""

    cluster_id: str
    name: str
    cluster_type: str
    display_name: str = ""
    catalog: str = "catalog_cluster"
    project_id: str = ""
    progress: int = 0
    """100 done, 0 to 99 running, -1 failed."""
    refresh_time: str = ""
    users_num: int | None = None
    remarks: str = ""
    main_column: str = ""
    """Of uploaded ids: the property that they are values of."""
    value_type: str = ""
    """Of a tag, by the vendor's name; only the list has it."""
    definition: Raw = field(default_factory=dict)
    """`userClusterDef` or `userTagDef`, as it came; only the detail request has it."""


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """The counters of an import."""

    cluster_id: str
    uploaded: int
    users: int
    unmatched: int
    without_value: int


def data_of(body: bytes, secrets: Sequence[str] = ()) -> Any:
    """Return `data` of a successful answer. UnreadableReply without an envelope; the error of the code where it is not 0."""
    envelope = vendor.read_object(body)
    if "return_code" not in envelope:
        raise UnreadableReply
    code = vendor.number_of(envelope["return_code"], default=-1)
    if code != SUCCESS:
        raise refusal(code, vendor.quoted(vendor.text_of(envelope.get("return_message")), secrets))
    return envelope.get("data")


def is_busy(body: bytes) -> bool:
    """Whether the platform asks to wait. (HTTP is 200 all the same.)"""
    try:
        return vendor.number_of(vendor.read_object(body).get("return_code")) == TOO_FREQUENT
    except UnreadableReply:
        return False


def cluster_in(data: object) -> RemoteCluster:
    """Return the cluster of the detail request, or a row of the list. UnreadableReply where it has no id or no name."""
    if (
        not isinstance(data, Mapping)
        or not vendor.text_of(data.get("id"))
        or not vendor.text_of(data.get("clusterName"))
    ):
        raise UnreadableReply
    cluster_type = vendor.text_of(data.get("clusterType"))
    tag = cluster_type.startswith("tag_") or vendor.text_of(data.get("clusterCatalog")) == "catalog_tag"
    return RemoteCluster(
        cluster_id=vendor.text_of(data["id"]),
        name=vendor.text_of(data["clusterName"]),
        cluster_type=cluster_type,
        display_name=vendor.text_of(data.get("displayName")),
        catalog="catalog_tag" if tag else "catalog_cluster",
        project_id=vendor.text_of(data.get("projectId")),
        progress=vendor.number_of(data.get("progress")),
        refresh_time=vendor.text_of(data.get("refreshTime")),
        users_num=vendor.number_of(data["usersNum"]) if data.get("usersNum") is not None else None,
        remarks=vendor.text_of(data.get("remarks")),
        main_column=vendor.text_of(data.get("mainColumnName")),
        value_type=vendor.text_of(data.get("selectType")),
        definition=_definition(data.get("userTagDef" if tag else "userClusterDef")),
    )


def _definition(value: object) -> Raw:
    """A definition; some deployments send it as JSON text."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def page_in(data: object) -> Page[RemoteCluster]:
    """Return a page of the list."""
    if not isinstance(data, Mapping):
        raise UnreadableReply
    rows = data.get("userClusters") or ()
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise UnreadableReply
    pager = data.get("pagerResult")
    total = vendor.number_of(pager.get("totalNum"), default=len(rows)) if isinstance(pager, Mapping) else len(rows)
    return Page(tuple(cluster_in(row) for row in rows), total)


def new_id_in(data: object) -> str:
    """Return the id of a new cluster. (The page's table calls it a number of successes; its example is the id, te-api.md §1.)"""
    if isinstance(data, bool) or not vendor.text_of(data).strip().isdigit():
        raise UnreadableReply
    return vendor.text_of(data).strip()


def counts_in(data: object) -> ImportCounts | None:
    """Return the counters of an import; None where the platform gives none (the page's table for modify has "")."""
    if not isinstance(data, Mapping):
        return None
    return ImportCounts(
        cluster_id=vendor.text_of(data.get("clusterId")),
        uploaded=vendor.number_of(data.get("uploadNum")),
        users=vendor.number_of(data.get("userNum")),
        unmatched=vendor.number_of(data.get("unmatchedNum")),
        without_value=vendor.number_of(data.get("tagValueNullNum")),
    )


def progress_in(data: object) -> int:
    """Return how far a computation is: 0 to 100, -1 failed."""
    if not isinstance(data, Mapping) or "progress" not in data:
        raise UnreadableReply
    return vendor.number_of(data["progress"])


def rows_in(body: bytes, secrets: Sequence[str] = ()) -> list[list[Any]]:
    """Return the rows of a query (`format=json`): the first line is the envelope, each other one a row."""
    first, *lines = body.split(b"\n")
    data = data_of(first, secrets)
    headers = data.get("headers") if isinstance(data, Mapping) else None
    if not isinstance(headers, Sequence) or isinstance(headers, str):
        raise UnreadableReply
    return [row_in(line, len(headers)) for line in lines if line.strip()]


def row_in(line: bytes, width: int) -> list[Any]:
    """Return a row of a query, of this width, its digits as they came: a float would change them."""
    try:
        row = json.loads(line, parse_float=str)
    except (ValueError, RecursionError):
        raise UnreadableReply from None
    if not isinstance(row, list) or len(row) != width:
        raise UnreadableReply
    return row


# Changes whose answer was lost: unknown until a read shows what happened. No failure of these reads may say that
# nothing was changed.


T = TypeVar("T")


@contextmanager
def settling(doubt: OutcomeUnknown) -> Iterator[None]:
    """Wrap the reads that show what became of a change whose answer was lost: where they fail, raise the doubt again."""
    try:
        yield
    except (VendorError, NotFound):
        raise doubt from None


async def made_once(send: Callable[[], Awaitable[T]], find: Callable[[], Awaitable[T | None]]) -> T:
    """Create what has a unique name. Where the answer is lost, look for it, and send once more only what is not there.

    Names are unique, so a first request that arrives late makes the second one fail instead of doubling it.
    """
    try:
        return await send()
    except OutcomeUnknown as lost:
        doubt = lost
    with settling(doubt):
        made = await find()
    if made is not None:
        return made
    try:
        return await send()
    except VendorError as error:
        with settling(doubt):
            made = await find()
        if made is not None:
            return made
        if isinstance(error, VendorRejected):
            raise
        raise doubt from None  # the first request may still arrive


# The API
#
# Every method raises the errors of the return codes, VendorUnreachable and, for a question, VendorUnreadable; a change
# whose answer was lost or unreadable raises OutcomeUnknown, which names the read that shows what happened.


PAGE = 100
"""Rows asked for at a time. The vendor's own limit is not known."""
SQL_SECONDS = 300
BUSY_WAIT = 1.0
"""Seconds to wait after TOO_FREQUENT; the vendor names none."""

_LOOK = Text(
    "Look first: get_cluster {name} shows whether it happened. Then decide whether to repeat it.",
    "请先查看：用 get_cluster 查看 {name}，确认是否已生效，再决定是否重试。",
)
_LOOK_FOR = Text(
    "get_cluster {name} shows whether it is there; create it again only where it is not.",
    "用 get_cluster 查看 {name} 是否已存在；确认不存在后才可重新创建。",
)


@dataclass(frozen=True, slots=True)
class Which:
    """A cluster or tag that exists, as requests name it."""

    project_id: str
    cluster_id: str
    name: str

    @classmethod
    def of(cls, cluster: Cluster) -> "Which":
        return cls(cluster.project_id, cluster.cluster_id, cluster.cluster_name)


class ThinkingDataApi:
    """The requests of one deployment."""

    def __init__(self, transport: Transport, token: str, *, by_id: bool = False) -> None:
        self._transport = transport
        self._token = token
        self._by_id = by_id

    # questions

    async def detail(self, project_id: str, *, cluster_id: str = "", name: str = "") -> RemoteCluster:
        """Return one cluster with its definition. VendorRejected where there is none (the code for that is not public)."""
        out = wire.get(wire.DETAIL, self._token, projectId=project_id, clusterId=cluster_id, clusterName=name)
        return await self._ask(out, cluster_in)

    async def page(
        self, project_id: str, catalog: str, types: tuple[str, ...], words: str, number: int
    ) -> Page[RemoteCluster]:
        """Return one page (from 1) of the clusters or tags of these types; `words` are searched for in names."""
        body = wire.list_body(project_id, catalog, types, words, number, PAGE)
        return await self._ask(wire.post(wire.LIST, self._token, body), page_in)

    async def progress(self, which: Which) -> int:
        """Return how far its computation is: 0 to 100, -1 failed."""
        address, named = self._named(which, wire.PROGRESS, wire.PROGRESS_BY_NAME)
        return await self._ask(wire.get(address, self._token, **named), progress_in)

    async def events(self, project_id: str) -> Any:
        """The project's events, in a shape that the vendor does not document."""
        return await self._ask(wire.get(wire.EVENTS, self._token, projectId=project_id))

    async def properties(self, project_id: str, table: str) -> Any:
        """The properties of a table (`event` or `user`), in a shape that the vendor does not document."""
        return await self._ask(wire.get(wire.PROPERTIES, self._token, projectId=project_id, tableType=table))

    async def rows(self, statement: str) -> list[list[Any]]:
        """Return the rows of a read-only statement, for small results."""
        reply = await self._send(wire.sql(statement, self._token, SQL_SECONDS), Repeat.READ)
        with vendor.answer_to_question(reply, NAME):
            return rows_in(reply.body, (self._token,))

    def download(self, statement: str) -> AsyncIterator[bytes]:
        """Yield the answer to a statement piece by piece, for results of any size."""
        return self._transport.download(lambda: wire.sql(statement, self._token, SQL_SECONDS))

    # changes

    async def add(self, body: Mapping[str, Any]) -> str:
        """Create a cluster or tag; return its id. Never sent twice."""
        settle = _LOOK_FOR.format(name=body["clusterName"])
        return await self._change(wire.post(wire.ADD, self._token, body), Repeat.ONCE, settle, new_id_in)

    async def update(self, which: Which, body: Mapping[str, Any]) -> None:
        """Replace definition and display name."""
        address, named = self._named(which, wire.UPDATE, wire.UPDATE_BY_NAME)
        if self._by_id:
            del named["projectId"]  # the page's address by id has none: it is in the body
        await self._change(wire.post(address, self._token, body, **named), Repeat.AGAIN, _look_at(which))

    async def delete(self, which: Which) -> None:
        """Delete it. Sent once: a second time would be refused, as if the first had failed."""
        address, named = self._named(which, wire.DELETE, wire.DELETE_BY_NAME)
        await self._change(wire.post(address, self._token, None, **named), Repeat.ONCE, _look_at(which))

    async def refresh(self, which: Which) -> None:
        """Start its computation."""
        address, named = self._named(which, wire.REFRESH, wire.REFRESH_BY_NAME)
        await self._change(wire.post(address, self._token, None, **named), Repeat.AGAIN, _look_at(which))

    async def import_add(self, file: Path, project_id: str, named: Mapping[str, str]) -> ImportCounts:
        """Create a cluster or tag from a file of ids, streamed; `named` are the page's query parameters."""
        out = self._upload(wire.IMPORT_ADD, file, {"projectId": project_id, **named})
        settle = _LOOK_FOR.format(name=named["clusterName"])
        counts = await self._change(out, Repeat.ONCE, settle, counts_in)
        if counts is None:
            raise vendor.outcome_unknown(NAME, settle)
        return counts

    async def import_modify(self, which: Which, file: Path, named: Mapping[str, str]) -> ImportCounts | None:
        """Replace an id list. None where the platform returns no counters."""
        address, own = self._named(which, wire.IMPORT_MODIFY, wire.IMPORT_MODIFY_BY_NAME)
        out = self._upload(address, file, {**own, **named})
        return await self._change(out, Repeat.AGAIN, _look_at(which), counts_in)

    def _named(self, which: Which, by_id: str, by_name: str) -> tuple[str, dict[str, str]]:
        """The address of a request and the parameters that name a cluster."""
        if self._by_id:
            return by_id, {"projectId": which.project_id, "clusterId": which.cluster_id}
        return by_name, {"projectId": which.project_id, "clusterName": which.name}

    def _upload(self, address: str, file: Path, named: Mapping[str, str]) -> Outgoing:
        return Outgoing("POST", wire.path(address, self._token, **named), wire.CSV, file)

    async def _send(self, out: Outgoing, repeat: Repeat) -> Reply:
        def wait(reply: Reply) -> float | None:
            return BUSY_WAIT if is_busy(reply.body) else by_status(reply)

        reply = await self._transport.send(lambda: out, repeat, wait)
        return replace(reply, body=vendor.masked(reply.body, (self._token,)))

    async def _ask(self, out: Outgoing, read: Callable[[Any], T] = lambda data: data) -> T:
        """Send a question and read its answer."""
        reply = await self._send(out, Repeat.READ)
        with vendor.answer_to_question(reply, NAME):
            return read(data_of(reply.body, (self._token,)))

    async def _change(
        self, out: Outgoing, repeat: Repeat, settle: Text, read: Callable[[Any], T] = lambda data: data
    ) -> T:
        """Send a change and read its answer; `settle` names the read that shows what became of it."""
        reply = await vendor.send_change(lambda: self._send(out, repeat), repeat, NAME, settle)
        with vendor.answer_to_change(reply, NAME, settle):
            return read(data_of(reply.body, (self._token,)))


def _look_at(which: Which) -> Text:
    return _LOOK.format(name=which.name)
