"""What the three vendors' clients share: reading JSON leniently, and quoting a vendor's words safely."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mcp_server.errors import NotFound, OutcomeUnknown, VendorError, VendorUnreachable, VendorUnreadable
from mcp_server.platforms.transport import BUSY, Repeat, Reply
from mcp_server.text import Text

LONGEST_QUOTE = 300
"""Characters of a vendor's words that are passed on."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def quoted(words: object, secrets: Iterable[str] = ()) -> str:
    """A vendor's words as data: on one line, cut, and without what must not be shown."""
    said = _without(_CONTROL.sub(" ", str(words)).strip(), filter(None, secrets))
    return said if len(said) <= LONGEST_QUOTE else said[:LONGEST_QUOTE] + "…"


class UnreadableReply(Exception):
    """An answer that is not in the documented form; whether that is harmless depends on what was asked."""


def read_object(body: bytes) -> Mapping[str, Any]:
    """An answer as a JSON object. Raw line breaks inside texts are let pass (vendors.md A5). Unreadable otherwise."""
    try:
        value = json.loads(body.decode("utf-8-sig"), strict=False)
    except (ValueError, RecursionError):
        raise UnreadableReply from None
    if not isinstance(value, Mapping):
        raise UnreadableReply
    return value


def whole(value: object, default: int = 0) -> int:
    """A whole number that may have come as text; the default where it is none."""
    if isinstance(value, bool):
        return default
    try:
        return int(str(value).strip())
    except ValueError:
        return default


def truth(value: object) -> bool:
    """True, also as text or 1."""
    return str(value).strip().casefold() in ("true", "1")


def words(value: object) -> str:
    """A text; "" for null."""
    return "" if value is None else str(value)


_UNREADABLE = Text(
    "{platform} answered something that is not in its documented form.", "{platform}返回了不符合其文档格式的内容。"
)
_MAYBE = Text(
    "The change was sent to {platform}, but its answer was lost or unreadable: it may have happened.",
    "更改已发往{platform}，但没有收到可读的响应：更改可能已生效。",
)

_OUT_OF_ORDER = Text(
    "{platform} is out of order for the moment (HTTP {status}).", "{platform}暂时无法提供服务（HTTP {status}）。"
)
_LATER = Text("Nothing was changed. Try again later.", "未做任何更改。请稍后重试。")


def unreadable(platform: Text) -> VendorUnreadable:
    """The answer to a question could not be read."""
    return VendorUnreadable(
        _UNREADABLE.format(platform=platform),
        next_step=Text(
            "Nothing was changed. If it stays so, the address may be wrong: `fenqun doctor` looks at it.",
            "未做任何更改。若一直如此，可能是地址有误，可用 `fenqun doctor` 检查。",
        ),
    )


def outcome_unknown(platform: Text, settle: Text) -> OutcomeUnknown:
    """A change may have happened; `settle` names the read that tells."""
    return OutcomeUnknown(_MAYBE.format(platform=platform), next_step=settle)


@contextmanager
def question_of(reply: Reply, platform: Text) -> Iterator[None]:
    """Around reading the answer to a question. VendorUnreachable where it is unreadable and its status says that the
    platform is out of order, VendorUnreadable otherwise."""
    try:
        yield
    except UnreadableReply:
        if reply.status not in BUSY:
            raise unreadable(platform) from None
        said = _OUT_OF_ORDER.format(platform=platform, status=reply.status)
        raise VendorUnreachable(said, next_step=_LATER) from None


async def readable(send: Callable[[], Awaitable[Reply]], repeat: Repeat) -> Reply:
    """The answer to a change. One that nobody can read is asked for once more, where that changes nothing more."""
    reply = await send()
    if repeat is not Repeat.AGAIN:
        return reply
    try:
        read_object(reply.body)
    except UnreadableReply:
        return replace(await send(), doubtful=True)
    return reply


@contextmanager
def answer_of(reply: Reply, platform: Text, settle: Text) -> Iterator[None]:
    """Around reading the answer to a change. OutcomeUnknown where it is unreadable, and where it is a refusal of a
    repetition while an earlier try got no answer: that one may have been carried out."""
    try:
        yield
    except UnreadableReply:
        raise outcome_unknown(platform, settle) from None
    except (VendorError, NotFound):
        if reply.doubtful:
            raise outcome_unknown(platform, settle) from None
        raise


SHORTEST_SECRET = 8
"""Characters; what is shorter is masked in messages only, as it may be a part of many a word."""


def masked(body: bytes, secrets: Iterable[str]) -> bytes:
    """An answer without secrets, should the platform repeat them in the texts that it tells."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            body = body.replace(secret.encode(), b"***")
    return body


MOST_RAW = 20_000
"""Characters of an undocumented answer that are handed on."""
DEEPEST = 30


def cleaned(answer: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """An answer without secrets and control characters; what is nested deeper than any answer should be is left out."""
    found: dict[str, Any] = _plain(answer, tuple(secret for secret in secrets if secret), DEEPEST)
    return found


def handed_on(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer whose form is not documented, as a result may show it: a long one is cut, as a text."""
    said = json.dumps(answer, ensure_ascii=False)
    return answer if len(said) <= MOST_RAW else {"cut": said[:MOST_RAW] + "…"}


def _plain(value: object, secrets: tuple[str, ...], deeper: int) -> Any:
    if isinstance(value, str):
        return _without(_CONTROL.sub(" ", value), secrets)
    if not isinstance(value, Mapping | list):
        return value
    if not deeper:
        return "…"
    if isinstance(value, Mapping):
        return {_plain(str(k), secrets, 1): _plain(part, secrets, deeper - 1) for k, part in value.items()}
    return [_plain(part, secrets, deeper - 1) for part in value]


def _without(said: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        said = said.replace(secret, "***")
    return said
