"""Client of the Taobao Open Platform: its codes, its replies (vendors.md A5 to A7), the methods that are used."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from mcp_server.errors import FenqunError, VendorBusy, VendorDenied, VendorRejected
from mcp_server.platforms import vendor
from mcp_server.platforms.taobao import wire
from mcp_server.platforms.transport import Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import UnreadableReply
from mcp_server.text import Text, clauses, same

NAME = Text("Taobao Open Platform", "淘宝开放平台")

# Codes (vendors.md A6, A7), and the errors that they become


LIMITED = 7
BUSY = frozenset({4, 5, 6, 7, 8, 10})
"""Too many requests, or the service is away for a moment."""
AGAIN = re.compile(
    r"isp\.([\w-]+-service-unavailable|remote-service-(error|timeout)|(top-)?remote-connection-error"
    r"|top-remote-connection-timeout|unknown-error)"
)
"""Sub codes of passing failures behind the platform (vendors.md A6); other `isp.` codes are faults of the request's form."""
DAILY = "accesscontrol.limited-by-app-access-count"
"""The sub code of an app that has used up its calls of the day."""

_DENIED: Mapping[int, Text] = {
    11: Text("The app lacks the permission: apply for the API package, or check the IP allow-list.", "应用缺少权限：请申请该 API 权限包，或检查 IP 白名单。"),
    12: Text("The merchant, or its sub-account, has to authorise this.", "需要商家（或其子账号）授权。"),
    13: Text("The partner has to be given this permission.", "合作伙伴缺少该权限。"),
    24: Text("The signature is missing: that is a bug of this program.", "缺少签名：这是本程序的错误。"),
    25: Text("The signature does not match: check app secret, sign method and the clock.", "签名不符：请检查 App Secret、签名方法与系统时钟。"),
    26: Text("The session is missing: the merchant has to authorise the app.", "缺少 session：需要商家授权该应用。"),
    27: Text("The session is invalid or has expired: the merchant has to authorise the app again, then set FENQUN_TAOBAO_SESSION anew.", "session 无效或已过期：请商家重新授权，然后更新 FENQUN_TAOBAO_SESSION。"),
    28: Text("The app key is missing.", "缺少 App Key。"),
    29: Text("The app key is unknown: production key on a sandbox, or the other way round?", "App Key 无效：是否把正式环境的 key 用在了沙箱，或相反？"),
    30: Text("The time stamp is missing.", "缺少时间戳。"),
    31: Text("The clock of this machine is more than ten minutes off.", "本机时钟偏差超过十分钟。"),
    53: Text("The security level of app or session is too low: the merchant has to authorise the app again, or the app's level has to be raised.", "应用或 session 的安全等级不足：请商家重新授权，或提升应用的安全等级。"),
}  # fmt: skip
"""Advice on credentials that do not allow a request."""

_REFUSED = Text('{name} refused it: "{words}" (code {code}).', "{name}拒绝了该请求：“{words}”（code {code}）。")
_WAIT = Text("Wait {n} seconds, then call again unchanged.", "请等待 {n} 秒，再原样调用。")
_TOMORROW = Text("The app's calls of today are used up; it gets new ones at midnight Beijing time.", "该应用今日的调用次数已用完，北京时间零点后恢复。")  # fmt: skip

_SECONDS = re.compile(r"(\d{1,7}) more second")


def wait_of(sub_code: str, sub_msg: str) -> int | None:
    """Seconds that a ban lasts, one more to be sure; None where no time is given."""
    match = _SECONDS.search(sub_msg)
    return int(match[1]) + 1 if match and sub_code != DAILY else None


def refusal(code: int, words: str, sub_code: str = "", sub_msg: str = "", request_id: str = "") -> FenqunError:
    """Return the error for an `error_response`; all texts are already safe to show."""
    message = _message(str(code), clauses(part for part in (words, sub_code, sub_msg) if part), request_id)
    if code in BUSY:
        seconds = wait_of(sub_code, sub_msg)
        spent = code == LIMITED and sub_code in (DAILY, "")
        advice = _WAIT.format(n=seconds) if seconds is not None else _TOMORROW if spent else vendor.WAIT_A_LITTLE
        return VendorBusy(message, next_step=vendor.NOTHING_CHANGED.then(advice))
    if code in _DENIED:
        return VendorDenied(message, next_step=vendor.NOTHING_CHANGED.then(_DENIED[code]))
    return VendorRejected(message, next_step=vendor.NOTHING_CHANGED.then(vendor.WORDS_QUOTED))


def unsuccessful(outcome: "Outcome") -> VendorRejected:
    """Return the error for a request that was accepted and not carried out (`success` is false)."""
    message = _message(outcome.code, same(outcome.msg), outcome.request_id)
    return VendorRejected(message, next_step=vendor.NOTHING_CHANGED.then(vendor.WORDS_QUOTED))


def _message(code: str, words: Text, request_id: str) -> Text:
    return _REFUSED.format(name=NAME, words=words, code=f"{code}, request_id {request_id}" if request_id else code)


# Replies (vendors.md A5): two levels of failure, and lenient types


Raw = Mapping[str, Any]
MOST_DIGITS = 18
"""Of an id: the vendor calls ids numbers (vendors.md), and so many digits always fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of `crowdanalysis.update`, as on its page."""

    success: bool
    code: str
    msg: str
    task: Mapping[str, str] = field(default_factory=dict)
    """task_id, crowd_id, start_time, end_time; those that came."""
    request_id: str = ""


def is_number(text: str) -> bool:
    """Whether it is an id of this platform."""
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def root_key(method: str) -> str:
    """Return the key of an answer's root: the method without `taobao.`, dots as underscores."""
    return method.removeprefix("taobao.").replace(".", "_") + "_response"


def content_of(body: bytes, method: str, secrets: Sequence[str] = ()) -> Raw:
    """Return what is under the root, with or without `simplify`. The error of an `error_response`; UnreadableReply."""
    error = error_in(body)
    if error is not None:
        texts = (
            vendor.quoted(vendor.text_of(error.get(key)), secrets)
            for key in ("msg", "sub_code", "sub_msg", "request_id")
        )
        raise refusal(vendor.number_of(error.get("code"), default=-1), *texts)
    answer = vendor.read_object(body)
    inner = answer.get(root_key(method), answer)
    if not isinstance(inner, Mapping) or not inner:
        raise UnreadableReply
    return inner


def error_in(body: bytes) -> Raw | None:
    """Return the `error_response`; None where there is none."""
    try:
        error = vendor.read_object(body).get("error_response")
    except UnreadableReply:
        return None
    return error if isinstance(error, Mapping) else None


def is_uncertain(body: bytes) -> bool:
    """Whether the failure is one behind the platform (`isp.…`), after which a change may have happened all the same."""
    return vendor.text_of((error_in(body) or {}).get("sub_code")).startswith("isp.")


def outcome_of(body: bytes, method: str, secrets: Sequence[str] = ()) -> Outcome:
    """Return the result of a change; `success` may be false although the platform accepted the request.

    The error of an `error_response`; UnreadableReply, also where a failure leaves open what happened.
    """
    if is_uncertain(body):
        raise UnreadableReply
    content = content_of(body, method, secrets)
    result = content.get("result")
    if not isinstance(result, Mapping) or "success" not in result:
        raise UnreadableReply
    inner = result.get("result")
    task = inner if isinstance(inner, Mapping) else {}
    fields = ("task_id", "crowd_id", "start_time", "end_time")
    return Outcome(
        success=vendor.truth_of(result["success"]),
        code=vendor.quoted(vendor.text_of(result.get("code")), secrets),
        msg=vendor.quoted(vendor.text_of(result.get("msg")), secrets),
        task={
            name: vendor.quoted(vendor.text_of(task[name]), secrets) for name in fields if task.get(name) is not None
        },
        request_id=vendor.quoted(vendor.text_of(content.get("request_id")), secrets),
    )


def wait_in(body: bytes) -> int | None:
    """Seconds after which the same may be sent again, 0 where none are given; None where the answer is final."""
    error = error_in(body) or {}
    sub_code, code = vendor.text_of(error.get("sub_code")), vendor.number_of(error.get("code"), default=-1)
    if AGAIN.fullmatch(sub_code):
        return 0
    if code not in BUSY:
        return None
    seconds = wait_of(sub_code, vendor.text_of(error.get("sub_msg")))
    if seconds is None and code == LIMITED:
        return None  # until midnight: too long to wait
    return seconds or 0


# Methods
#
# `crowdanalysis.update` is one method with four operations, which differ in whether they may be repeated: a create
# would make a second task, the others state the final values. The answers of the three questions are not documented:
# they are passed on as they came, without secrets.


def repeat_of(operation: wire.TaskOperation) -> Repeat:
    match operation:
        case "create" | "delete":
            return Repeat.ONCE
        case "dumpData" | "time":
            return Repeat.AGAIN
        case _:
            assert_never(operation)


_LOOK = Text(
    "Look first: list_crowd_analyses with crowd_id {crowd} shows the current state. Then decide whether to repeat it.",
    "请先查看：用 list_crowd_analyses（crowd_id 设为 {crowd}）查看现状，再决定是否重试。",
)


class TaobaoApi:
    """The methods, for one app and one merchant."""

    def __init__(self, transport: Transport, keys: wire.TaobaoCredentials, clock: Callable[[], datetime]) -> None:
        self._transport = transport
        self._keys = keys
        self._clock = clock
        self._secrets = (keys.app_secret, keys.session)

    async def update(self, operation: wire.TaskOperation, task: Mapping[str, object]) -> Outcome:
        """Create, delete, reload or change the validity of a task. OutcomeUnknown, the errors of the codes."""
        business, repeat = {"task_dto": task, "operation": operation}, repeat_of(operation)
        settle = _LOOK.format(crowd=task["crowd_id"])
        reply = await vendor.send_change(lambda: self._send(wire.UPDATE, business, repeat), repeat, NAME, settle)
        with vendor.answer_to_change(reply, NAME, settle):
            outcome = outcome_of(reply.body, wire.UPDATE, self._secrets)
            unnamed = operation == "create" and not is_number(outcome.task.get("task_id", ""))
            # a refusal of a repetition shows nothing of an earlier try that got no answer
            uncertain = unnamed if outcome.success else reply.doubtful
            if uncertain:
                raise UnreadableReply
        return outcome

    async def query(self, crowd_id: str) -> Mapping[str, Any]:
        """The tasks of a crowd, as they came."""
        return await self._ask(wire.QUERY, {"crowd_id": crowd_id})

    async def report(self, task_id: str, start_time: str, end_time: str) -> Mapping[str, Any]:
        """The analysis of a task, as it came."""
        return await self._ask(wire.REPORT, {"task_id": task_id, "start_time": start_time, "end_time": end_time})

    async def crowds(self, crowd_name: str, page: int, size: int) -> Mapping[str, Any]:
        """The merchant's crowds, as they came."""
        return await self._ask(wire.CROWDS, {"crowd_name": crowd_name, "page": page, "page_size": size})

    async def _ask(self, method: str, business: Mapping[str, object]) -> Mapping[str, Any]:
        reply = await self._send(method, business, Repeat.READ)
        with vendor.answer_to_question(reply, NAME):
            return vendor.cleaned(content_of(reply.body, method, self._secrets), self._secrets)

    async def _send(self, method: str, business: Mapping[str, object], repeat: Repeat) -> Reply:
        uncertain: list[bool] = []  # of each answer; a refusal of the next try does not settle it

        def wait(reply: Reply) -> float | None:
            uncertain.append(is_uncertain(reply.body))
            seconds = wait_in(reply.body)
            return by_status(reply) if seconds is None else seconds

        reply = await self._transport.send(lambda: wire.post(method, business, self._keys, self._clock()), repeat, wait)
        return replace(reply, doubtful=reply.doubtful or any(uncertain[:-1]))
