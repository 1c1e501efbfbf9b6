"""What two definitions have in common when they mean the same, and pairs that only read the same."""

import copy
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from mcp_server.language import vocabulary
from mcp_server.language.explain import explain_qp, explain_tag
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import Qp, TagQp, keys_of, qp_hash, tag_hash
from mcp_server.text import Text

Raw = dict[str, Any]


def meaning(raw: Raw, metadata: Metadata) -> str:
    """The meaning, where the hashes of meaning also tell apart what qp.md says is the same."""
    shortest = copy.deepcopy(raw)
    if not is_tag(raw):
        return qp_hash(Qp.model_validate(_plain(shortest, metadata)))
    for value in shortest.get(vocabulary.VALUES, []):
        _plain(value["userClusterDef"], metadata)
    for holder, key in (
        (vocabulary.FIRST_LAST, vocabulary.FIRST_LAST_EVENT),
        (vocabulary.QUOTA, vocabulary.QUOTA_EVENT),
    ):
        if holder in shortest:
            _plain_rows(shortest[holder][key], metadata)
    return tag_hash(TagQp.model_validate(shortest))


def is_tag(raw: Raw) -> bool:
    return any(key in raw for key in keys_of(TagQp))


def explained(raw: Raw, metadata: Metadata) -> Text:
    """A definition in the strict form, in words."""
    if is_tag(raw):
        return explain_tag(TagQp.model_validate(raw), metadata).summary
    return explain_qp(Qp.model_validate(raw), metadata).summary


def _plain(qp: Raw, metadata: Metadata) -> Raw:
    for event in qp.get("events", []):
        _plain_event(event, metadata)
    if "filts" in qp:
        qp["filts"] = [_plain_filter(f, metadata) for f in qp["filts"]]
    return qp


def _plain_event(event: Raw, metadata: Metadata) -> None:
    """A count of nothing is "never" in whatever way it is written; windows have one spelling."""
    low, high = ([*map(Decimal, event["num"].split(","))] * 2)[:2]
    never = {"less": 0 < low <= 1, "equal": low == 0, "range": low <= 0 <= high < 1}
    if event["taPropQuota"]["analysis"] == "TIMES" and never.get(event["comparator"]):
        event |= {"comparator": "equal", "num": "0"}
    _plain_rows(event, metadata)


def _plain_rows(event: Raw, metadata: Metadata) -> None:
    if event.get("recentDay"):
        event["recentDay"] = "-".join(map(_plain_days, event["recentDay"].split("-")))
    event |= {key: _plain_time(event[key]) for key in ("startTime", "endTime") if event.get(key)}
    if "filts" in event:
        event["filts"] = [_plain_filter(f, metadata) for f in event["filts"]]


def _plain_filter(part: Raw, metadata: Metadata) -> Raw:
    """A group of one is what it holds; a time has one spelling, but for the upper end of a range."""
    if "filts" in part:
        inner = [_plain_filter(f, metadata) for f in part["filts"]]
        return inner[0] if len(inner) == 1 else part | {"filts": inner}
    known = metadata.property(part["tableType"], part["columnName"])
    if known is None or known.type != "time" or "ftv" not in part:
        return part
    plain = _plain_days if part["comparator"].startswith("relative") else _plain_time
    ftv = [plain(v) for v in part["ftv"]]
    if part["comparator"] == "range" and len(part["ftv"][1]) == len("2024-01-01"):
        ftv[1] = part["ftv"][1]
    return part | {"ftv": ftv}


def _plain_days(text: str) -> str:
    return str(int(text)) if text.isdecimal() else text


def _plain_time(text: str) -> str:
    return (f"{text} 00:00:00" if len(text) == len("2024-01-01") else text).removesuffix(".000")[:23]


def collisions(raws: Iterable[Raw], metadata: Metadata) -> list[tuple[Raw, Raw, str]]:
    """Pairs of different meaning that read the same in a language."""
    seen: tuple[dict[str, tuple[str, Raw]], ...] = ({}, {})
    found = []
    for raw in raws:
        mine = meaning(raw, metadata)
        for text, known in zip(explained(raw, metadata), seen, strict=True):
            other = known.setdefault(text, (mine, raw))
            if other[0] != mine:
                found.append((raw, other[1], text))
    return found
