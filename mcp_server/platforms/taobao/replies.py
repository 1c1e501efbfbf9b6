"""What comes back from the Taobao Open Platform (vendors.md A5): two levels of failure, and lenient types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp_server.platforms.taobao import codes
from mcp_server.platforms.vendor import Unreadable, quoted, read_object, truth, whole, words

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
        raise codes.fault(
            whole(error.get("code"), default=-1),
            quoted(words(error.get("msg")), secrets),
            quoted(words(error.get("sub_code")), secrets),
            quoted(words(error.get("sub_msg")), secrets),
            quoted(words(error.get("request_id")), secrets),
        )
    inner = answer.get(root_key(method), answer)
    if not isinstance(inner, Mapping) or not inner:
        raise Unreadable
    return inner


def is_uncertain(body: bytes) -> bool:
    """Whether the failure is one behind the platform (`isp.…`), after which a change may have happened all the same."""
    try:
        error = read_object(body).get("error_response")
    except Unreadable:
        return False
    return isinstance(error, Mapping) and words(error.get("sub_code")).startswith("isp.")


def outcome_of(body: bytes, method: str, secrets: Sequence[str] = ()) -> Outcome:
    """The result of the call; `success` may be false although the platform took it.

    Raises the error of an `error_response`; Unreadable, also where a failure leaves open what happened.
    """
    if is_uncertain(body):
        raise Unreadable
    content = content_of(body, method, secrets)
    result = content.get("result")
    if not isinstance(result, Mapping) or "success" not in result:
        raise Unreadable
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
    except Unreadable:
        return None
    if not isinstance(error, Mapping):
        return None
    sub_code = words(error.get("sub_code"))
    if codes.AGAIN.fullmatch(sub_code):
        return 0
    if whole(error.get("code"), default=-1) not in codes.BUSY:
        return None
    seconds = codes.wait_of(sub_code, words(error.get("sub_msg")))
    if seconds is None and whole(error.get("code")) == codes.LIMITED:
        return None  # until midnight: nothing to wait for here
    return seconds or 0
