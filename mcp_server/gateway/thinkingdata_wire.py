"""ThinkingData's wire format as a server speaks it: return codes, the envelope, requests read strictly.

HTTP is 200 whatever happened; `return_code` says what. The vendor publishes three codes that concern us (te-api.md
section 8). All others below are invented: clients have to take any unknown negative code for an error.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from mcp_server.gateway import base
from mcp_server.gateway.base import GatewayParts, NotJson
from mcp_server.language.bodies import read_json
from mcp_server.operations.operation import Operation, Result
from mcp_server.platforms.thinkingdata.client import EMPTY_PARAMETER, SUCCESS, TOO_FREQUENT, WRONG_ITEM
from mcp_server.web import Stopped, TooLong, whole

SYSTEM: Final = "thinkingdata"

# Answers


# Invented codes.
WRONG_TOKEN: Final = -1901
WRONG_PARAMETER: Final = -1902
NAME_TAKEN: Final = -1903
WRONG_DEFINITION: Final = -1904
IN_USE: Final = -1905
WRONG_STATE: Final = -1906
READ_ONLY: Final = -1907
SQL_REFUSED: Final = -1908
TOO_LONG: Final = -1909
SERVER_ERROR: Final = -1910

OF_ERRORS: Final[Mapping[str, int]] = {
    "invalid_arguments": WRONG_PARAMETER,
    "load_refused": WRONG_PARAMETER,
    "invalid_definition": WRONG_DEFINITION,
    "not_found": WRONG_ITEM,
    "no_project": WRONG_ITEM,
    "no_data": WRONG_ITEM,
    "name_taken": NAME_TAKEN,
    "cluster_in_use": IN_USE,
    "not_refreshable": WRONG_STATE,
    "not_computed": WRONG_STATE,
    "changed_meanwhile": WRONG_STATE,
    "read_only": READ_ONLY,
    "not_allowed": READ_ONLY,
    "query_failed": SQL_REFUSED,
    "workspace_busy": TOO_FREQUENT,
}
"""The code of each error of ours; SERVER_ERROR for any other."""

MEDIA: Final = "application/json;charset=utf-8"
"""As in the page's trace."""


class ThinkingDataRefusal(Exception):
    """An answer that is no success."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def empty(name: str) -> ThinkingDataRefusal:
    """The page's own error: a parameter that is needed is missing or empty."""
    return ThinkingDataRefusal(EMPTY_PARAMETER, f"参数({name})为空")


def wrong(name: str, why: str = "") -> ThinkingDataRefusal:
    """A parameter that is not as it has to be. (Invented words.)"""
    return ThinkingDataRefusal(WRONG_PARAMETER, f"参数({name})错误" + (f": {why}" if why else ""))


def envelope(data: Any = None, code: int = SUCCESS, message: str = "success") -> bytes:
    """The envelope on one line; without `data` where there is none."""
    fields = {} if data is None else {"data": data}
    return base.compact(fields | {"return_code": code, "return_message": message})


def refused(refusal: ThinkingDataRefusal) -> Response:
    return Response(envelope(None, refusal.code, refusal.message), media_type=MEDIA)


# Requests


R = TypeVar("R", bound=Result)
T = TypeVar("T")

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class ThinkingDataRequest:
    """A verified request: its query without the token."""

    http: Request
    parts: GatewayParts
    query: Mapping[str, str]

    async def invoke(self, operation: Operation[Any, R], **arguments: object) -> R:
        """Invoke an operation as the holder of the token."""
        return await self.parts.invoke(SYSTEM, operation, arguments)

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
        text = self.query[given[0]]
        if given == ["clusterId"]:
            return number(text, "clusterId")
        name = text.strip()  # the page's own addresses have a blank there
        if not name or name.isdigit():
            raise wrong("clusterName")
        return name

    def check_media_type(self, expected: str) -> None:
        if base.media_type(self.http) != expected:
            raise wrong("Content-Type", expected)

    async def fields(self, *names: str) -> "Fields":
        """The JSON object of the body, which may have these fields."""
        self.check_media_type("application/json")
        fields = _parsed(await self.body())
        check_keys(fields, names, "未知字段")
        return Fields(fields)

    async def form(self, *names: str) -> dict[str, str]:
        """The form in the body, which may have these fields, each once; the first one is needed."""
        self.check_media_type(base.FORM)
        try:
            pairs = parse_qsl((await self.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=20)
        except ValueError:
            raise wrong("body") from None
        form = dict(pairs)
        check_keys(form, names, "未知参数")
        if len(form) != len(pairs):
            raise wrong(names[0], "重复")
        if not form.get(names[0], "").strip():
            raise empty(names[0])
        return form

    async def body(self) -> bytes:
        """The body in memory."""
        try:
            return await whole(self.http, self.parts.limits.body)
        except TooLong:
            raise ThinkingDataRefusal(TOO_LONG, "请求体过大") from None
        except Stopped:
            raise wrong("body", "传输中断") from None

    async def no_body(self) -> None:
        """Refuse a body: the page knows none here."""
        if await self.body():
            raise wrong("body", "应为空")


def _parsed(body: bytes) -> dict[str, Any]:
    """The object; one with a comma too few or too many is taken, since one of the page's own examples is."""
    if not body.strip():
        raise empty("body")
    try:
        return base.read_object(body)
    except NotJson as error:
        fixed = read_json(body.decode("utf-8", "replace"))
        if not isinstance(fixed, dict):
            raise wrong("body", str(error)) from None
        return fixed


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a body."""

    values: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        return self._value(name, str, "应为字符串")

    def optional(self, name: str) -> str:
        """A text; "" where it is missing."""
        return "" if self.values.get(name) in (None, "") else self.text(name)

    def project(self) -> str:
        """`projectId`: a number in every example of the page, a String in its table."""
        value = self.values.get("projectId")
        return number(str(value) if base.is_whole(value) else self._value("projectId", str, "应为整数"), "projectId")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts with at least one in it."""
        values = self._value(name, list, "应为字符串数组")
        if not all(isinstance(value, str) for value in values):
            raise wrong(name, "应为字符串数组")
        return tuple(values)

    def inner(self, name: str) -> dict[str, Any]:
        """An object with at least one key."""
        return self._value(name, dict, "应为对象")

    def _value(self, name: str, kind: type[T], expected: str) -> T:
        value = self.values.get(name)
        if value is None or value == kind():
            raise empty(name)
        if not isinstance(value, kind):
            raise wrong(name, expected)
        return value


def number(text: str, name: str) -> str:
    """A whole number from 1, as text."""
    if not _NUMBER.fullmatch(text):
        raise wrong(name, "应为整数")
    return text


def check_keys(given: Mapping[str, object], names: Sequence[str], why: str) -> None:
    """Refuse a key that is not among these names."""
    stray = base.unknown_key(given, *names)
    if stray is not None:
        raise wrong(stray, why)


def verified(http: Request, parts: GatewayParts, needed: Sequence[str], optional: Sequence[str]) -> ThinkingDataRequest:
    """Return the request, if its token is right, and its query has what is needed, nothing unknown and nothing twice."""
    pairs = http.query_params.multi_items()
    query = dict(pairs)
    token = query.pop("token", "")
    if not token:
        raise empty("token")
    if not base.same_secret(token, parts.keys.token):
        raise ThinkingDataRefusal(WRONG_TOKEN, "token 无效")
    http.scope[base.CALLER] = SYSTEM
    if len(pairs) != len(query) + 1:
        raise wrong(next(name for name, _ in pairs if sum(n == name for n, _ in pairs) > 1)[:50], "重复")
    for name in needed:
        if not query.get(name, "").strip():
            raise empty(name)
    check_keys(query, (*needed, *optional), "未知参数")
    return ThinkingDataRequest(http, parts, query)
