"""The calls of the Taobao Open Platform that the product uses: its codes, its replies (vendors.md A5 to A7)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mcp_server.errors import FenqunError, VendorBusy, VendorDenied, VendorRejected
from mcp_server.platforms.taobao import wire
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
    truth,
    whole,
    words,
)
from mcp_server.text import NOTHING, Text, clauses

# The codes of the Taobao Open Platform (vendors.md A6, A7), and the errors that they become.


NAME = Text("Taobao Open Platform", "淘宝开放平台")

LIMITED = 7
BUSY = frozenset({4, 5, 6, 7, 8, 10})
"""Too many calls, or the service is away for a moment."""
AGAIN = re.compile(
    r"isp\.([\w-]+-service-unavailable|remote-service-(error|timeout)|(top-)?remote-connection-error"
    r"|top-remote-connection-timeout|unknown-error)"
)
"""Sub codes of failures behind the platform that pass (vendors.md A6); other `isp.` codes are faults of a form."""
DAILY = "accesscontrol.limited-by-app-access-count"
"""The sub code of an app that has spent its calls of the day."""

_DENIED: Mapping[int, Text] = {
    11: Text("The app lacks the permission: apply for the API package, or check the IP allow-list.", "应用缺少权限：请申请该 API 权限包，或检查 IP 白名单。"),
    12: Text("The merchant, or its sub-account, has to authorise this.", "需要商家（或其子账号）授权。"),
    13: Text("The partner has to be given this permission.", "合作伙伴缺少该权限。"),
    24: Text("The signature is missing: that is a bug of ours.", "缺少签名：这是本程序的错误。"),
    25: Text("The signature does not fit: check app secret, sign method and the clock.", "签名不符：请检查 App Secret、签名方法与系统时钟。"),
    26: Text("The session is missing: the merchant has to authorise the app.", "缺少 session：需要商家授权该应用。"),
    27: Text("The session is invalid or has expired: the merchant has to authorise the app again, then set FENQUN_TAOBAO_SESSION anew.", "session 无效或已过期：请商家重新授权，然后更新 FENQUN_TAOBAO_SESSION。"),
    28: Text("The app key is missing.", "缺少 App Key。"),
    29: Text("The app key is not known here: production key on a sandbox, or the other way round?", "App Key 无效：是否把正式环境的 key 用在了沙箱，或相反？"),
    30: Text("The time stamp is missing.", "缺少时间戳。"),
    31: Text("The clock of this machine is more than ten minutes off.", "本机时钟偏差超过十分钟。"),
    53: Text("The security level of app or session is too low: the merchant has to authorise the app again, or the app's level has to be raised.", "应用或 session 的安全等级不足：请商家重新授权，或提升应用的安全等级。"),
}  # fmt: skip
"""What to tell the user of credentials that do not reach that far."""

_SAID = Text('{name} refused it: "{words}" (code {code}).', "{name}拒绝了该请求：“{words}”（code {code}）。")
_NOTHING_CHANGED = Text("Nothing was changed.", "未做任何更改。")
_REFUSED = Text("The words in quotes are the platform's.", "引号内为平台原话。")
_WAIT = Text("Wait {n} seconds, then call again unchanged.", "请等待 {n} 秒，再原样调用。")
_TOMORROW = Text("The app's calls of today are spent: they are free again at midnight Beijing time.", "该应用今日的调用次数已用完，北京时间零点后恢复。")  # fmt: skip
_LITTLE = Text("Wait a little, then call again unchanged.", "请稍候，再原样调用。")

_SECONDS = re.compile(r"(\d{1,7}) more second")


def wait_of(sub_code: str, sub_msg: str) -> int | None:
    """Seconds that a ban lasts, one more to be sure; None where it doesn't say."""
    found = _SECONDS.search(sub_msg)
    return int(found[1]) + 1 if found and sub_code != DAILY else None


def fault(code: int, words: str, sub_code: str = "", sub_msg: str = "", request_id: str = "") -> FenqunError:
    """The error for a platform's refusal; all texts are already safe to show."""
    told = clauses(part for part in (words, sub_code, sub_msg) if part)
    shown = f"{code}, request_id {request_id}" if request_id else str(code)
    said = _SAID.format(name=NAME, words=told, code=shown)
    if code in BUSY:
        return VendorBusy(said, next_step=_NOTHING_CHANGED.then(_patience(code, sub_code, sub_msg)))
    if code in _DENIED:
        return VendorDenied(said, next_step=_NOTHING_CHANGED.then(_DENIED[code]))
    return VendorRejected(said, next_step=_NOTHING_CHANGED.then(_REFUSED))


def refused(code: str, words: str, request_id: str) -> VendorRejected:
    """The error for a call that was taken and not carried out (`success` is false); all texts are safe to show."""
    shown = f"{code}, request_id {request_id}" if request_id else code
    said = _SAID.format(name=NAME, words=words, code=shown)
    return VendorRejected(said, next_step=_NOTHING_CHANGED.then(_REFUSED))


def _patience(code: int, sub_code: str, sub_msg: str) -> Text:
    seconds = wait_of(sub_code, sub_msg)
    if seconds is not None:
        return _WAIT.format(n=seconds)
    return _TOMORROW if code == LIMITED and sub_code in (DAILY, "") else _LITTLE if code in BUSY else NOTHING


# What comes back from the Taobao Open Platform (vendors.md A5): two levels of failure, and lenient types.


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


def is_number(said: str) -> bool:
    """Whether it is an id of this platform."""
    return said.isascii() and said.isdigit() and len(said) <= MOST_DIGITS


def root_key(method: str) -> str:
    """The key of an answer's root: the method without `taobao.`, dots as underscores."""
    return method.removeprefix("taobao.").replace(".", "_") + "_response"


def content_of(body: bytes, method: str, secrets: Sequence[str] = ()) -> Raw:
    """What stands under the root, with or without `simplify`. Raises the error of an `error_response`; Unreadable."""
    answer = read_object(body)
    error = answer.get("error_response")
    if isinstance(error, Mapping):
        raise fault(
            whole(error.get("code"), default=-1),
            quoted(words(error.get("msg")), secrets),
            quoted(words(error.get("sub_code")), secrets),
            quoted(words(error.get("sub_msg")), secrets),
            quoted(words(error.get("request_id")), secrets),
        )
    inner = answer.get(root_key(method), answer)
    if not isinstance(inner, Mapping) or not inner:
        raise UnreadableReply
    return inner


def is_uncertain(body: bytes) -> bool:
    """Whether the failure is one behind the platform (`isp.…`), after which a change may have happened all the same."""
    try:
        error = read_object(body).get("error_response")
    except UnreadableReply:
        return False
    return isinstance(error, Mapping) and words(error.get("sub_code")).startswith("isp.")


def outcome_of(body: bytes, method: str, secrets: Sequence[str] = ()) -> Outcome:
    """The result of the call; `success` may be false although the platform took it.

    Raises the error of an `error_response`; Unreadable, also where a failure leaves open what happened.
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
        success=truth(result["success"]),
        code=quoted(words(result.get("code")), secrets),
        msg=quoted(words(result.get("msg")), secrets),
        task={name: quoted(words(task[name]), secrets) for name in fields if task.get(name) is not None},
        request_id=quoted(words(content.get("request_id")), secrets),
    )


def wait_in(body: bytes) -> int | None:
    """Seconds after which the same may be asked again, 0 where that is left to us; None where the answer stands."""
    try:
        error = read_object(body).get("error_response")
    except UnreadableReply:
        return None
    if not isinstance(error, Mapping):
        return None
    sub_code = words(error.get("sub_code"))
    if AGAIN.fullmatch(sub_code):
        return 0
    if whole(error.get("code"), default=-1) not in BUSY:
        return None
    seconds = wait_of(sub_code, words(error.get("sub_msg")))
    if seconds is None and whole(error.get("code")) == LIMITED:
        return None  # until midnight: nothing to wait for here
    return seconds or 0


# The calls of the Taobao Open Platform that the product uses.
#
# `crowdanalysis.update` is one call with four operations; which of them may be repeated is said here: a create would
# make a second task, the others state what shall be. The answers of the three questions are not documented: they are
# handed on as they came, without secrets.


REPEATS: Mapping[str, Repeat] = {
    "create": Repeat.ONCE,
    "delete": Repeat.ONCE,
    "dumpData": Repeat.AGAIN,
    "time": Repeat.AGAIN,
}
"""The operations of `crowdanalysis.update`."""

_LOOK = Text(
    "Look first: list_crowd_analyses with crowd_id {crowd} shows what stands. Then decide whether to repeat it.",
    "请先查看：用 list_crowd_analyses（crowd_id 设为 {crowd}）查看现状，再决定是否重试。",
)


class TaobaoApi:
    """The calls of one app for one merchant."""

    def __init__(self, transport: Transport, keys: wire.TaobaoCredentials, clock: Callable[[], datetime]) -> None:
        self._transport = transport
        self._keys = keys
        self._clock = clock

    async def update(self, operation: str, task: Mapping[str, object]) -> Outcome:
        """Create, delete, reload (`dumpData`) or change the validity (`time`) of a task. OutcomeUnknown, the codes' errors."""
        business, repeat = {"task_dto": task, "operation": operation}, REPEATS[operation]
        settle = _LOOK.format(crowd=task["crowd_id"])
        try:
            reply = await readable(lambda: self._send(wire.UPDATE, business, repeat), repeat)
        except AnswerLost:
            raise outcome_unknown(NAME, settle) from None
        with answer_of(reply, NAME, settle):
            outcome = outcome_of(reply.body, wire.UPDATE, self._secrets)
            unnamed = operation == "create" and not is_number(outcome.task.get("task_id", ""))
            # A refusal of a repetition tells nothing of an earlier try that got no answer.
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
        with question_of(reply, NAME):
            return cleaned(content_of(reply.body, method, self._secrets), self._secrets)

    async def _send(self, method: str, business: Mapping[str, object], repeat: Repeat) -> Reply:
        uncertain: list[bool] = []  # of each answer; what it leaves open, a refusal of the next try does not settle

        def wait(reply: Reply) -> float | None:
            uncertain.append(is_uncertain(reply.body))
            seconds = wait_in(reply.body)
            return by_status(reply) if seconds is None else seconds

        reply = await self._transport.send(lambda: wire.post(method, business, self._keys, self._clock()), repeat, wait)
        return replace(reply, doubtful=reply.doubtful or any(uncertain[:-1]))

    @property
    def _secrets(self) -> tuple[str, ...]:
        return self._keys.app_secret, self._keys.session
