"""What a caller sent, read strictly: every parameter known, of its type, not empty where it is needed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlette.requests import Request

from mcp_server.gateway.house import WHO, House, same
from mcp_server.gateway.strict import NotJson, is_whole, read_object, unknown
from mcp_server.gateway.thinkingdata.answers import TOO_LONG, WRONG_TOKEN, Refusal, empty, wrong
from mcp_server.operations.operation import Operation, Result
from mcp_server.qp.bodies import mended
from mcp_server.web.bodies import Stopped, TooLong, whole

R = TypeVar("R", bound=Result)

SYSTEM: Final = "thinkingdata"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One verified request: its query without the token."""

    request: Request
    house: House
    query: Mapping[str, str]

    async def ask(self, operation: Operation[Any, R], **arguments: object) -> R:
        """Call an operation as the holder of the token."""
        return await self.house.ask(SYSTEM, operation, arguments)

    @property
    def project(self) -> str:
        """The project of the query."""
        return number(self.query["projectId"], "projectId")

    @property
    def cluster(self) -> str:
        """The cluster that the query names, by exactly one of id and name."""
        given = [name for name in ("clusterId", "clusterName") if self.query.get(name)]
        if not given:
            raise empty("clusterId")
        if len(given) > 1:
            raise wrong("clusterName", "clusterId 与 clusterName 只能给一个")
        said = self.query[given[0]]
        if given == ["clusterId"]:
            return number(said, "clusterId")
        name = said.strip()  # the page's own addresses have a blank there
        if not name or name.isdigit():
            raise wrong("clusterName")
        return name

    async def fields(self, *names: str) -> "Fields":
        """The JSON object of the body, which may have these fields."""
        if self.request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise wrong("Content-Type", "application/json")
        found = _parsed(await self.body())
        stray = unknown(found, *names)
        if stray:
            raise wrong(stray[:50], "未知字段")
        return Fields(found)

    async def body(self) -> bytes:
        """The body in memory."""
        try:
            return await whole(self.request, self.house.limits.body)
        except TooLong:
            raise Refusal(TOO_LONG, "请求体过大") from None
        except Stopped:
            raise wrong("body", "传输中断") from None

    async def no_body(self) -> None:
        """The page knows no body here."""
        if await self.body():
            raise wrong("body", "应为空")


def _parsed(body: bytes) -> dict[str, Any]:
    """The object; one with a comma too few or too many is taken, since one of the page's own examples is."""
    if not body.strip():
        raise empty("body")
    try:
        return read_object(body)
    except NotJson as error:
        found = mended(body.decode("utf-8", "replace"))
        if not isinstance(found, dict):
            raise wrong("body", str(error)) from None
        return found


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a body."""

    values: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, *, needed: bool = True) -> str:
        """A text; "" where an optional one is missing."""
        value = self.values.get(name)
        if value is None or value == "":
            if needed:
                raise empty(name)
            return ""
        if not isinstance(value, str):
            raise wrong(name, "应为字符串")
        return value

    def project(self) -> str:
        """`projectId`: a number in every example of the page, a String in its table."""
        value = self.values.get("projectId")
        if value is None or value == "":
            raise empty("projectId")
        if not (is_whole(value) or isinstance(value, str)):
            raise wrong("projectId", "应为整数")
        return number(str(value), "projectId")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts with at least one in it."""
        value = self.values.get(name)
        if value is None or value == []:
            raise empty(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise wrong(name, "应为字符串数组")
        return tuple(value)

    def inner(self, name: str) -> dict[str, Any]:
        """An object."""
        value = self.values.get(name)
        if value is None or value == {}:
            raise empty(name)
        if not isinstance(value, dict):
            raise wrong(name, "应为对象")
        return value


def number(said: str, name: str) -> str:
    """A whole number from 1, as text."""
    if not _NUMBER.fullmatch(said):
        raise wrong(name, "应为整数")
    return said


def verified(request: Request, house: House) -> dict[str, str]:
    """The query without the token, which is the right one. Each parameter stands there once."""
    pairs = request.query_params.multi_items()
    found = dict(pairs)
    token = found.pop("token", "")
    if not token:
        raise empty("token")
    if not same(token, house.keys.token):
        raise Refusal(WRONG_TOKEN, "token 无效")
    request.scope[WHO] = SYSTEM
    if len(pairs) != len(found) + 1:
        raise wrong(next(name for name, _ in pairs if sum(n == name for n, _ in pairs) > 1)[:50], "重复")
    return found


def checked(query: Mapping[str, str], needed: Sequence[str], optional: Sequence[str]) -> Mapping[str, str]:
    """The query, if it has what is needed and nothing unknown."""
    for name in needed:
        if not query.get(name, "").strip():
            raise empty(name)
    stray = unknown(query, *needed, *optional)
    if stray:
        raise wrong(stray[:50], "未知参数")
    return query
