"""The calls of Volcengine's voice service that the product uses: its error codes, its replies (vendors.md B3)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mcp_server.errors import FenqunError, NotFound, VendorBusy, VendorDenied, VendorRejected
from mcp_server.platforms.transport import AnswerLost, Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import (
    UnreadableReply,
    answer_of,
    cleaned,
    outcome_unknown,
    question_of,
    quoted,
    read_object,
    readable,
    words,
)
from mcp_server.platforms.volcengine import wire
from mcp_server.platforms.volcengine.wire import VolcengineCredentials
from mcp_server.text import NOTHING, Text

# The error codes of Volcengine's voice service (vendors.md B3), and the errors that they become.


NAME = Text("Volcengine", "火山引擎")

AGAIN = frozenset({"InternalError", "InternalServiceTimeout", "FlowLimitExceeded", "ServiceUnavailable"})
"""Codes after which a request that may be repeated is repeated."""

UNCERTAIN = frozenset({"InternalError", "InternalServiceTimeout"})
"""Of those, the ones after which a change may have happened all the same."""

_DENIED: Mapping[str, Text] = {
    "MissingAuthenticationToken": Text("The credentials are missing.", "缺少凭证。"),
    "MissingSignature": Text("The signature is missing: that is a bug of ours.", "缺少签名：这是本程序的错误。"),
    "InvalidTimestamp": Text("The clock of this machine is off.", "本机时钟不准。"),
    "InvalidAccessKey": Text("The access key is not known: check FENQUN_VOLCENGINE_ACCESS_KEY.", "Access Key 无效：请检查 FENQUN_VOLCENGINE_ACCESS_KEY。"),
    "SignatureDoesNotMatch": Text("The signature does not fit: check the secret key, the region and the clock.", "签名不符：请检查 Secret Key、地域与系统时钟。"),
    "LackPolicy": Text("The account lacks the permission: an administrator grants it in IAM.", "账号缺少权限：请管理员在访问控制中授权。"),
    "AccessDenied": Text("The account may not do this.", "该账号无权执行此操作。"),
    "NoPermission": Text("The account may not do this.", "该账号无权执行此操作。"),
    "NOT_AUTH": Text("The account is not authorised for this.", "该账号未获授权。"),
}  # fmt: skip
"""What to tell the user of credentials that do not reach that far."""

_HELP: Mapping[str, Text] = {
    "OperationDenied": Text("The voice service may not be opened for this account, or the task is in use.", "该账号可能未开通语音服务，或任务正在使用中。"),
    "TaskWrongState": Text("The task's state does not allow this: look at it with get_call_task.", "任务当前状态不允许此操作，请用 get_call_task 查看。"),
    "ErrorRingBackTimes": Text("ring_again_times is out of range (0 to 5).", "ring_again_times 超出范围（0 至 5）。"),
    "ErrorRingBackInterval": Text("ring_again_interval is out of range (5 to 1440 minutes).", "ring_again_interval 超出范围（5 至 1440 分钟）。"),
    "ForbidTimeParseFail": Text("The platform could not read the forbidden times.", "平台无法解析禁呼时段。"),
    "ExceedMaxConcurrency": Text("The concurrency is above what the account may use.", "并发数超过账号上限。"),
    "InternalServiceTimeout": Text("If it stays so, the voice service may not be opened for this account.", "若一直如此，可能是该账号未开通语音服务。"),
    "TaskConcurrencyNotNull": Text("The platform needs the concurrency: give it.", "平台要求提供并发数，请补上 concurrency。"),
}  # fmt: skip
"""What helps, of the codes that the caller can do something about."""

_SAID = Text('{name} refused it: "{words}" ({code}{request}).', "{name}拒绝了该请求：“{words}”（{code}{request}）。")
_NOTHING_CHANGED = Text("Nothing was changed.", "未做任何更改。")
_QUOTED = Text("The words in quotes are the platform's.", "引号内为平台原话。")
_LITTLE = Text("Wait a little, then call again unchanged.", "请稍候，再原样调用。")
_LIST = Text("list_call_tasks shows the tasks that exist.", "可用 list_call_tasks 查看现有任务。")


def fault(code: str, words: str, request_id: str) -> FenqunError:
    """The error for a code; all texts are already safe to show."""
    said = _SAID.format(name=NAME, words=words, code=code, request=f", request id {request_id}" if request_id else "")
    if code == "TaskNotFound":
        return NotFound(said, next_step=_NOTHING_CHANGED.then(_LIST))
    if code in AGAIN:
        return VendorBusy(said, next_step=_NOTHING_CHANGED.then(_LITTLE).then(_HELP.get(code, NOTHING)))
    if code in _DENIED:
        return VendorDenied(said, next_step=_NOTHING_CHANGED.then(_DENIED[code]))
    return VendorRejected(said, next_step=_NOTHING_CHANGED.then(_HELP.get(code, _QUOTED)))


# What comes back from Volcengine: `ResponseMetadata`, perhaps with an error, and `Result` (vendors.md B3).


def error_in(reply: Reply) -> tuple[str, str, str] | None:
    """Code, words and request id of an error; None where there is none. Unreadable where it is no answer of theirs."""
    answer = read_object(reply.body)
    metadata = answer.get("ResponseMetadata")
    if not isinstance(metadata, Mapping):
        raise UnreadableReply
    error = metadata.get("Error")
    if not isinstance(error, Mapping):
        if reply.status >= 400:
            raise UnreadableReply
        return None
    request = words(metadata.get("RequestId")) or reply.headers.get("x-tt-logid", "")
    return words(error.get("Code")), words(error.get("Message")), request


def result_of(reply: Reply, secrets: Sequence[str] = ()) -> Mapping[str, Any]:
    """`Result`, empty where the action has none. Raises the error of the code (also under HTTP 200); Unreadable."""
    error = error_in(reply)
    if error is not None:
        raise fault(*(quoted(part, secrets) for part in error))
    result = read_object(reply.body).get("Result")
    return result if isinstance(result, Mapping) else {}


def request_id_of(reply: Reply, secrets: Sequence[str] = ()) -> str:
    """The id that the vendor's support asks for; "" where there is none."""
    try:
        metadata = read_object(reply.body).get("ResponseMetadata")
    except UnreadableReply:
        metadata = None
    found = words(metadata.get("RequestId")) if isinstance(metadata, Mapping) else ""
    return quoted(found or reply.headers.get("x-tt-logid", ""), secrets)


def asks_again(reply: Reply) -> bool:
    """Whether the answer is one after which the same may be sent again."""
    try:
        error = error_in(reply)
    except UnreadableReply:
        return False
    return error is not None and error[0] in AGAIN


def is_uncertain(reply: Reply) -> bool:
    """Whether the answer leaves open if a change has happened."""
    error = error_in(reply)
    return error is not None and error[0] in UNCERTAIN


# The calls of Volcengine's voice service that the product uses.
#
# UpdateTask states absolute values, so it may be repeated. It is not a patch: start, end and concurrency are restated
# each time, and no documented call reads concurrency and forbidden times back (vendors.md B6).


_LOOK = Text(
    "Send it again unchanged: it states what shall be, so a second time changes nothing more. list_call_tasks shows start and end.",
    "可原样重新发送：它声明的是最终状态，重复发送不会产生更多更改。list_call_tasks 可查看起止时间。",
)


class VolcengineApi:
    """The calls of one account."""

    def __init__(
        self, transport: Transport, keys: VolcengineCredentials, region: str, clock: Callable[[], datetime]
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._region = region
        self._clock = clock

    async def update(self, body: Mapping[str, Any]) -> str:
        """UpdateTask; the request id. OutcomeUnknown, the codes' errors."""
        try:
            reply = await readable(lambda: self._send(wire.UPDATE, body, Repeat.AGAIN), Repeat.AGAIN)
        except AnswerLost:
            raise outcome_unknown(NAME, _LOOK) from None
        with answer_of(reply, NAME, _LOOK):
            if is_uncertain(reply):
                raise UnreadableReply
            result_of(reply, self._secrets)
        return request_id_of(reply, self._secrets)

    async def tasks(self, keyword: str, limit: int, offset: int) -> Mapping[str, Any]:
        """QueryTaskList: `Records` and `Total`, as they came, without secrets. The codes of `State` are not documented."""
        body = {"Limit": limit, "Offset": offset} | ({"Keyword": keyword} if keyword else {})
        reply = await self._send(wire.LIST, body, Repeat.READ)
        with question_of(reply, NAME):
            return cleaned(result_of(reply, self._secrets), self._secrets)

    async def _send(self, action: str, body: Mapping[str, Any], repeat: Repeat) -> Reply:
        def wait(reply: Reply) -> float | None:
            said = by_status(reply)
            return 0.0 if said is None and asks_again(reply) else said

        host = self._transport.authority
        return await self._transport.send(
            lambda: wire.post(action, body, host, self._keys, self._region, self._clock()), repeat, wait
        )

    @property
    def _secrets(self) -> tuple[str, ...]:
        return self._keys.secret_key, self._keys.session_token
