"""Volcengine's form of call settings (page of UpdateTask, vendors.md B6): weekdays by number, the body of an update.

It is here and not under `platforms/` because callers see it too: results show the body, and arguments may hold items of
`ForbidTimeList` as they are on the vendor's page.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp_server.calls.settings import CallSettings
from mcp_server.calls.week import DAY, WEEKDAYS, Span, Week, clock, grouped, on_days, read_range

NUMBERS: Final = {0: 2, 1: 3, 2: 4, 3: 5, 4: 6, 5: 7, 6: 1}
"""The vendor's numbers of weekdays (0 = Monday): 1 = Sunday … 7 = Saturday. (ISO and other vendors number otherwise.)"""
DAYS: Final = {number: day for day, number in NUMBERS.items()}


def update_body(task_open_id: str, settings: CallSettings, *, recall: bool) -> dict[str, Any]:
    """The body of UpdateTask. Redials go with it only where they were given: without them, the vendor's
    `Recall: true` would probably switch redialling off, as `RingAgainTimes` is 0 by default (vendors.md B6)."""
    redials = settings.redials if recall else None
    body: dict[str, Any] = {
        "TaskOpenId": task_open_id,
        "StartTime": str(settings.start),
        "EndTime": str(settings.end),
        "Concurrency": settings.concurrency,
        "ForbidTimeList": forbid_time_list(settings.forbidden),
        "Recall": redials is not None,
    }
    return body | ({"RingAgainTimes": redials.times, "RingAgainInterval": redials.interval} if redials else {})


def forbid_time_list(forbidden: Week) -> list[dict[str, Any]]:
    """`ForbidTimeList`: every day with its number, no range over midnight, the end of a day written 23:59."""
    return [
        {
            "Weekdays": sorted(NUMBERS[day] for day in days),
            "Times": [f"{clock(a)}-{'23:59' if b == DAY else clock(b)}" for a, b in spans],
        }
        for days, spans in grouped(forbidden)
    ]


def week_of(items: Sequence[Mapping[str, Any]]) -> Week | None:
    """The times that a `ForbidTimeList` names; `Weekdays` left out is every day. None where one is no weekday or no range."""
    spans: list[Span] = []
    for item in items:
        numbers, ranges = item.get("Weekdays") or list(DAYS), [read_range(text) for text in item.get("Times") or ()]
        if not all(number in DAYS for number in numbers):
            return None
        for time in ranges:
            if time is None:
                return None
            spans += on_days([DAYS[number] for number in numbers], *time)
    return Week.of(spans)


def as_entry(text: str) -> str:
    """Return the JSON of an item, `{"Weekdays":[3],"Times":["10:00-11:00"]}`, as a caller writes it: `tue 10:00-11:00`.
    "" where it is no such item.

    Its keys show whose numbers these are, so that they have one reading. Days left out are every day.
    """
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(item, dict) or not item.get("Times") or item.keys() - {"Weekdays", "Times"}:
        return ""
    numbers, times = item.get("Weekdays") or [], item["Times"]
    if not isinstance(numbers, list) or not isinstance(times, list) or not all(isinstance(t, str) for t in times):
        return ""
    if not all(type(number) is int and number in DAYS for number in numbers):
        return ""
    days = ",".join(WEEKDAYS[day] for day in sorted(DAYS[number] for number in numbers))
    return f"{days} {','.join(times)}".strip()
