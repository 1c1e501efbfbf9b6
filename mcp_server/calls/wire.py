"""The vendor's form of call settings (page of UpdateTask, vendors.md B6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcp_server.calls.problems import finding
from mcp_server.calls.settings import CallSettings
from mcp_server.calls.times import Findings, read_range
from mcp_server.calls.vendor_times import DAYS, NUMBERS
from mcp_server.calls.week import DAY, Span, Week, clock, grouped, on_days
from mcp_server.text import listed


def forbid_time_list(forbidden: Week) -> list[dict[str, Any]]:
    """`ForbidTimeList`: every day with its number, no range over midnight, the end of a day written 23:59."""
    return [
        {"Weekdays": sorted(NUMBERS[d] for d in days), "Times": [f"{clock(a)}-{_end(b)}" for a, b in spans]}
        for days, spans in grouped(forbidden)
    ]


def _end(minute: int) -> str:
    return "23:59" if minute == DAY else clock(minute)


def week_of(forbid_times: Sequence[Mapping[str, Any]], found: Findings, path: str = "/ForbidTimeList") -> Week:
    """The times that a `ForbidTimeList` names; `Weekdays` left out is every day. Problems go into `found`."""
    spans: list[Span] = []
    for n, item in enumerate(forbid_times):
        numbers, times = item.get("Weekdays") or list(DAYS), item.get("Times") or ()
        unknown = [number for number in numbers if number not in DAYS]
        ranges = [(text, read_range(text)) for text in times]
        legal = listed(sorted(DAYS))
        found.problems += [
            finding("call_weekday_unknown", f"{path}/{n}/Weekdays", got=number, word=number, expected=legal)
            for number in unknown
        ]
        found.problems += [
            finding("call_range_invalid", f"{path}/{n}/Times", got=text, word=text) for text, span in ranges if not span
        ]
        for _, span in ranges:
            spans += on_days([DAYS[number] for number in numbers if number in DAYS], *span) if span else ()
    return Week.of(spans)


def update_body(task_open_id: str, settings: CallSettings, *, recall: bool) -> dict[str, Any]:
    """The body of UpdateTask. Redials go with it only where they were given: without them, the vendor's
    `Recall: true` would probably switch redialling off, as `RingAgainTimes` is 0 by default (vendors.md B6)."""
    body: dict[str, Any] = {
        "TaskOpenId": task_open_id,
        "StartTime": str(settings.start),
        "EndTime": str(settings.end),
        "Concurrency": settings.concurrency,
        "ForbidTimeList": forbid_time_list(settings.forbidden),
        "Recall": recall and settings.redials is not None,
    }
    if recall and settings.redials is not None:
        body |= {"RingAgainTimes": settings.redials.times, "RingAgainInterval": settings.redials.interval}
    return body
