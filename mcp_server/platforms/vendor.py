"""What the vendors' clients share: reading JSON leniently, quoting a vendor's words safely, answers that are lost or unreadable."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mcp_server.errors import NotFound, OutcomeUnknown, VendorError, VendorUnreachable, VendorUnreadable
from mcp_server.platforms.transport import BUSY, AnswerLost, Repeat, Reply
from mcp_server.text import Text

NOTHING_CHANGED = Text("Nothing was changed.", "未做任何更改。")
WORDS_QUOTED = Text("The words in quotes are the platform's.", "引号内为平台原话。")
WAIT_A_LITTLE = Text("Wait a little, then call again unchanged.", "请稍候，再原样调用。")

# Reading JSON leniently


class UnreadableReply(Exception):
    """An answer that is not in the documented form; whether that is harmless depends on the request."""


def read_object(body: bytes) -> Mapping[str, Any]:
    """Read an answer as a JSON object. Raw line breaks inside texts are accepted (vendors.md A5). UnreadableReply."""
    try:
        value = json.loads(body.decode("utf-8-sig"), strict=False)
    except (ValueError, RecursionError):
        raise UnreadableReply from None
    if not isinstance(value, Mapping):
        raise UnreadableReply
    return value


def number_of(value: object, default: int = 0) -> int:
    """Return a whole number that may have come as text; the default where it is none."""
    if isinstance(value, bool):
        return default
    try:
        return int(str(value).strip())
    except ValueError:
        return default


def truth_of(value: object) -> bool:
    """Whether it is true, also as text or 1."""
    return str(value).strip().casefold() in ("true", "1")


def text_of(value: object) -> str:
    """Return a text; "" for null."""
    return "" if value is None else str(value)


# Quoting a vendor's words safely


LONGEST_QUOTE = 300
"""Characters of a vendor's words that are passed on."""
SHORTEST_SECRET = 8
"""Characters; what is shorter is masked in messages only, as it may be a part of many a word."""
MOST_RAW = 20_000
"""Characters of an undocumented answer that are passed on."""
DEEPEST = 30

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def quoted(words: object, secrets: Iterable[str] = ()) -> str:
    """Return a vendor's words as data: on one line, cut, and without secrets."""
    text = _masked(_CONTROL.sub(" ", str(words)).strip(), filter(None, secrets))
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"


def masked(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return an answer without secrets, should the platform repeat them in its texts."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            body = body.replace(secret.encode(), b"***")
    return body


def cleaned(answer: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """Return an answer without secrets and control characters; what is nested too deep is left out."""
    result: dict[str, Any] = _cleaned(answer, tuple(secret for secret in secrets if secret), DEEPEST)
    return result


def shortened(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer of undocumented form as a result may show it: a long one is cut, as a text."""
    text = json.dumps(answer, ensure_ascii=False)
    return answer if len(text) <= MOST_RAW else {"cut": text[:MOST_RAW] + "…"}


def _cleaned(value: object, secrets: tuple[str, ...], deeper: int) -> Any:
    if isinstance(value, str):
        return _masked(_CONTROL.sub(" ", value), secrets)
    if not isinstance(value, Mapping | list):
        return value
    if not deeper:
        return "…"
    if isinstance(value, Mapping):
        return {_cleaned(str(k), secrets, 1): _cleaned(part, secrets, deeper - 1) for k, part in value.items()}
    return [_cleaned(part, secrets, deeper - 1) for part in value]


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


# Answers that are lost or unreadable


def unreadable(platform: Text) -> VendorUnreadable:
    """The error for an answer to a question that could not be read."""
    return VendorUnreadable(
        Text(
            "{platform} answered something that is not in its documented form.",
            "{platform}返回了不符合其文档格式的内容。",
        ).format(platform=platform),
        next_step=Text(
            "Nothing was changed. If it stays so, the address may be wrong: `fenqun doctor` checks it.",
            "未做任何更改。若一直如此，可能是地址有误，可用 `fenqun doctor` 检查。",
        ),
    )


def outcome_unknown(platform: Text, settle: Text) -> OutcomeUnknown:
    """The error for a change that may have happened; `settle` names the read that shows it."""
    message = Text(
        "The change was sent to {platform}, but its answer was lost or unreadable: it may have happened.",
        "更改已发往{platform}，但没有收到可读的响应：更改可能已生效。",
    )
    return OutcomeUnknown(message.format(platform=platform), next_step=settle)


@contextmanager
def answer_to_question(reply: Reply, platform: Text) -> Iterator[None]:
    """Wrap the reading of an answer to a question. VendorUnreachable where it is unreadable and its status shows that the
    platform is out of order, VendorUnreadable otherwise."""
    try:
        yield
    except UnreadableReply:
        if reply.status not in BUSY:
            raise unreadable(platform) from None
        message = Text(
            "{platform} is out of order for the moment (HTTP {status}).",
            "{platform}暂时无法提供服务（HTTP {status}）。",
        )
        raise VendorUnreachable(
            message.format(platform=platform, status=reply.status),
            next_step=Text("Nothing was changed. Try again later.", "未做任何更改。请稍后重试。"),
        ) from None


async def send_change(send: Callable[[], Awaitable[Reply]], repeat: Repeat, platform: Text, settle: Text) -> Reply:
    """Return the answer to a change; an unreadable one is asked for once more, where that changes nothing more.

    OutcomeUnknown where the answer was lost."""
    try:
        reply = await send()
        if repeat is Repeat.AGAIN:
            try:
                read_object(reply.body)
            except UnreadableReply:
                reply = replace(await send(), doubtful=True)
    except AnswerLost:
        raise outcome_unknown(platform, settle) from None
    return reply


@contextmanager
def answer_to_change(reply: Reply, platform: Text, settle: Text) -> Iterator[None]:
    """Wrap the reading of an answer to a change. OutcomeUnknown where it is unreadable, and where it is a refusal of a
    repetition while an earlier try got no answer: that one may have been carried out."""
    try:
        yield
    except UnreadableReply:
        raise outcome_unknown(platform, settle) from None
    except (VendorError, NotFound):
        if reply.doubtful:
            raise outcome_unknown(platform, settle) from None
        raise
