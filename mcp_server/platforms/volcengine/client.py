"""Client of Volcengine's voice service: its error codes, its replies (vendors.md B3), the actions that are used."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mcp_server.errors import FenqunError, NotFound, VendorBusy, VendorDenied, VendorRejected
from mcp_server.platforms import vendor
from mcp_server.platforms.transport import Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import UnreadableReply
from mcp_server.platforms.volcengine import wire
from mcp_server.platforms.volcengine.wire import VolcengineCredentials
from mcp_server.text import NOTHING, Text

NAME = Text("Volcengine", "火山引擎")

# Error codes (vendors.md B3), and the errors that they become


AGAIN = frozenset({"InternalError", "InternalServiceTimeout", "FlowLimitExceeded", "ServiceUnavailable"})
"""Codes after which a request that may be repeated is repeated."""

UNCERTAIN = frozenset({"InternalError", "InternalServiceTimeout"})
"""Of those, the ones after which a change may have happened all the same."""

_DENIED: Mapping[str, Text] = {
    "MissingAuthenticationToken": Text("The credentials are missing.", "缺少凭证。"),
    "MissingSignature": Text("The signature is missing: that is a bug of this program.", "缺少签名：这是本程序的错误。"),
    "InvalidTimestamp": Text("The clock of this machine is off.", "本机时钟不准。"),
    "InvalidAccessKey": Text("The access key is not known: check FENQUN_VOLCENGINE_ACCESS_KEY.", "Access Key 无效：请检查 FENQUN_VOLCENGINE_ACCESS_KEY。"),
    "SignatureDoesNotMatch": Text("The signature does not match: check the secret key, the region and the clock.", "签名不符：请检查 Secret Key、地域与系统时钟。"),
    "LackPolicy": Text("The account lacks the permission: an administrator grants it in IAM.", "账号缺少权限：请管理员在访问控制中授权。"),
    "AccessDenied": Text("The account may not do this.", "该账号无权执行此操作。"),
    "NoPermission": Text("The account may not do this.", "该账号无权执行此操作。"),
    "NOT_AUTH": Text("The account is not authorised for this.", "该账号未获授权。"),
}  # fmt: skip
"""Advice on credentials that do not allow a request."""

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
"""Advice on the codes that the caller can do something about."""

_REFUSED = Text('{name} refused it: "{words}" ({code}{request}).', "{name}拒绝了该请求：“{words}”（{code}{request}）。")
_LIST = Text("list_call_tasks shows the tasks that exist.", "可用 list_call_tasks 查看现有任务。")


def refusal(code: str, words: str, request_id: str) -> FenqunError:
    """Return the error for a code; all texts are already safe to show."""
    request = f", request id {request_id}" if request_id else ""
    message = _REFUSED.format(name=NAME, words=words, code=code, request=request)
    if code == "TaskNotFound":
        return NotFound(message, next_step=vendor.NOTHING_CHANGED.then(_LIST))
    if code in AGAIN:
        return VendorBusy(
            message, next_step=vendor.NOTHING_CHANGED.then(vendor.WAIT_A_LITTLE).then(_HELP.get(code, NOTHING))
        )
    if code in _DENIED:
        return VendorDenied(message, next_step=vendor.NOTHING_CHANGED.then(_DENIED[code]))
    return VendorRejected(message, next_step=vendor.NOTHING_CHANGED.then(_HELP.get(code, vendor.WORDS_QUOTED)))


# Replies: `ResponseMetadata`, perhaps with an error, and `Result` (vendors.md B3)


def error_in(reply: Reply) -> tuple[str, str, str] | None:
    """Return code, words and request id of an error; None where there is none. UnreadableReply where it is no answer of
    theirs."""
    metadata = vendor.read_object(reply.body).get("ResponseMetadata")
    if not isinstance(metadata, Mapping):
        raise UnreadableReply
    error = metadata.get("Error")
    if not isinstance(error, Mapping):
        if reply.status >= 400:
            raise UnreadableReply
        return None
    return vendor.text_of(error.get("Code")), vendor.text_of(error.get("Message")), _request_id(metadata, reply)


def result_of(reply: Reply, secrets: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return `Result`, empty where the action has none. The error of the code (also under HTTP 200); UnreadableReply."""
    error = error_in(reply)
    if error is not None:
        raise refusal(*(vendor.quoted(part, secrets) for part in error))
    result = vendor.read_object(reply.body).get("Result")
    return result if isinstance(result, Mapping) else {}


def request_id_of(reply: Reply, secrets: Sequence[str] = ()) -> str:
    """Return the id that the vendor's support asks for; "" where there is none."""
    try:
        metadata = vendor.read_object(reply.body).get("ResponseMetadata")
    except UnreadableReply:
        metadata = None
    return vendor.quoted(_request_id(metadata if isinstance(metadata, Mapping) else {}, reply), secrets)


def _request_id(metadata: Mapping[str, Any], reply: Reply) -> str:
    return vendor.text_of(metadata.get("RequestId")) or reply.headers.get("x-tt-logid", "")


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


# Actions
#
# UpdateTask states absolute values, so it may be repeated. It is not a patch: start, end and concurrency are restated
# each time, and no documented action returns concurrency and forbidden times (vendors.md B6).


_LOOK = Text(
    "Send it again unchanged: it states the final values, so a second time changes nothing more. list_call_tasks shows start and end.",
    "可原样重新发送：它声明的是最终状态，重复发送不会产生更多更改。list_call_tasks 可查看起止时间。",
)


class VolcengineApi:
    """The actions, for one account."""

    def __init__(
        self, transport: Transport, keys: VolcengineCredentials, region: str, clock: Callable[[], datetime]
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._region = region
        self._clock = clock
        self._secrets = (keys.secret_key, keys.session_token)

    async def update(self, body: Mapping[str, Any]) -> str:
        """UpdateTask; the request id. OutcomeUnknown, the errors of the codes."""
        reply = await vendor.send_change(lambda: self._send(wire.UPDATE, body, Repeat.AGAIN), Repeat.AGAIN, NAME, _LOOK)
        with vendor.answer_to_change(reply, NAME, _LOOK):
            if is_uncertain(reply):
                raise UnreadableReply
            result_of(reply, self._secrets)
        return request_id_of(reply, self._secrets)

    async def tasks(self, keyword: str, limit: int, offset: int) -> Mapping[str, Any]:
        """QueryTaskList: `Records` and `Total`, as they came, without secrets. The codes of `State` are not documented."""
        body = {"Limit": limit, "Offset": offset} | ({"Keyword": keyword} if keyword else {})
        reply = await self._send(wire.LIST, body, Repeat.READ)
        with vendor.answer_to_question(reply, NAME):
            return vendor.cleaned(result_of(reply, self._secrets), self._secrets)

    async def _send(self, action: str, body: Mapping[str, Any], repeat: Repeat) -> Reply:
        def wait(reply: Reply) -> float | None:
            seconds = by_status(reply)
            return 0.0 if seconds is None and asks_again(reply) else seconds

        host = self._transport.authority
        return await self._transport.send(
            lambda: wire.post(action, body, host, self._keys, self._region, self._clock()), repeat, wait
        )
