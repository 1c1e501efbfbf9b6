"""The settings of a call task: what a caller asks for, and the vendor's form of it (vendors.md B6)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from mcp_server.calls.problems import finding
from mcp_server.calls.week import (
    DAY,
    DAYS,
    NEVER,
    NUMBERS,
    Span,
    TimeFindings,
    Week,
    clock,
    grouped,
    on_days,
    read_range,
    read_week,
)
from mcp_server.errors import Problem, Repair
from mcp_server.text import NOTHING, Text, listed, same

# What a call task is set to, and reading what a caller wants it to be (vendors.md B6).


BEIJING = timezone(timedelta(hours=8))
"""GMT+8 in every year: the zone of call tasks and crowd analyses, whatever the project's is. (The zone data of Shanghai knows
summer times of earlier years, the vendors do not.)"""
MOST_CONCURRENCY = 1_000_000
"""Only keeps numbers within reason; the real ceiling is that of the account."""
FEWEST_MINUTES, MOST_MINUTES = 5, 1440
MOST_REDIALS = 5
USUAL_INTERVAL = 5
"""Of the vendor, where none is given."""

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2})(:\d{2})?(\.\d{1,9})?\s?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII | re.IGNORECASE
)
_DAY_BEGINS, _DAY_ENDS = "00:00:00", "23:59:59"
_FIRST, _LAST = Text("beginning", "零点"), Text("end", "结束时")
_CONVERTED = Text("converted to Beijing time", "已换算为北京时间")
_COMPLETED = Text("written as yyyy-MM-dd HH:mm:ss", "改写为 yyyy-MM-dd HH:mm:ss")


@dataclass(frozen=True, slots=True)
class Redials:
    """How often a callee that did not answer is tried again, and after how many minutes."""

    times: int = 0
    interval: int = USUAL_INTERVAL


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Everything that UpdateTask sets. Times are naive, in Beijing time, to the second."""

    start: datetime
    end: datetime
    concurrency: int
    forbidden: Week = NEVER
    """Times of the week at which no attempt may start."""
    redials: Redials | None = Redials()
    """None: as they are, on a platform that does not tell."""


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """What a caller has said; what is empty or None was left out."""

    start_time: str = ""
    end_time: str = ""
    concurrency: int | None = None
    ring_again_times: int | None = None
    ring_again_interval: int | None = None
    forbid_times: Sequence[str] | None = None
    call_times: Sequence[str] | None = None
    recall: bool | None = None

    @property
    def redials(self) -> bool:
        """True where a redial setting was given."""
        return self.ring_again_times is not None or self.ring_again_interval is not None


@dataclass(frozen=True, slots=True)
class SettingsReading:
    """What was wanted, complete; `settings` is None where there are problems."""

    settings: CallSettings | None
    recall: bool
    """Whether the redials are sent (vendors.md B6)."""
    problems: tuple[Problem, ...] = ()
    repairs: tuple[Repair, ...] = ()


def read_wanted(
    wanted: SettingsRequest, before: CallSettings | None = None, *, blind: Text = NOTHING
) -> SettingsReading:
    """The complete settings: what is wanted, else what was there before, else the vendor's defaults.

    `blind` names a platform that does not tell what is there: everything that it would replace has to be given.
    """
    found = TimeFindings()
    if any(blind):
        _demand(wanted, blind, found)
    start, end = _window(wanted, before, found, blind=any(blind))
    concurrency = wanted.concurrency if wanted.concurrency is not None else before.concurrency if before else None
    if concurrency is not None and not 1 <= concurrency <= MOST_CONCURRENCY:
        close = str(min(max(concurrency, 1), MOST_CONCURRENCY))
        found.problems.append(
            finding("call_concurrency", "/concurrency", got=concurrency, suggestion=close, most=MOST_CONCURRENCY)
        )
    forbidden = _forbidden(wanted, before.forbidden if before else NEVER, found)
    redials = _redials(wanted, before.redials if before else None, found, blind=any(blind))
    recall = wanted.redials or bool(wanted.recall)
    if start is None or end is None or concurrency is None or found.problems:
        return SettingsReading(None, recall, tuple(found.problems), tuple(found.repairs))
    return SettingsReading(CallSettings(start, end, concurrency, forbidden, redials), recall, (), tuple(found.repairs))


def _demand(wanted: SettingsRequest, platform: Text, found: TimeFindings) -> None:
    missing = [
        name
        for name, given in (
            ("start_time", wanted.start_time),
            ("end_time", wanted.end_time),
            ("concurrency", wanted.concurrency is not None),
            ("forbid_times", wanted.forbid_times is not None or wanted.call_times is not None),
            ("ring_again_times", wanted.ring_again_interval is None or wanted.ring_again_times is not None),
        )
        if not given
    ]
    found.problems += [finding("call_field_missing", f"/{name}", platform=platform, expected=name) for name in missing]


def _window(
    wanted: SettingsRequest, before: CallSettings | None, found: TimeFindings, *, blind: bool
) -> tuple[datetime | None, datetime | None]:
    """Start and end; None where one is missing or cannot be read."""
    needed = before is None and not blind
    start = _moment(wanted.start_time, "/start_time", _DAY_BEGINS, found, needed=needed)
    end = _moment(wanted.end_time, "/end_time", _DAY_ENDS, found, needed=needed)
    if before:
        start = start if wanted.start_time else before.start
        end = end if wanted.end_time else before.end
    if start and end and end <= start:
        path = "/end_time" if wanted.end_time else "/start_time"
        got = wanted.end_time or wanted.start_time
        found.problems.append(finding("call_end_not_after_start", path, got=got, expected=same(start)))
    return start, end


def _moment(text: str, path: str, clock: str, found: TimeFindings, *, needed: bool) -> datetime | None:
    """A time in Beijing; None where none was given or it cannot be read."""
    if not text and not needed:
        return None
    match = _TIME.fullmatch(text.strip())
    day, minutes, seconds, _, offset = match.groups() if match else ("",) * 5
    if day and not minutes:
        found.problems.append(_day_alone(text, day, path, clock))
        return None
    try:
        moment = datetime.fromisoformat(f"{day} {minutes}{seconds or ':00'}") if minutes else None
        if moment and offset:
            aware = moment.replace(tzinfo=_zone(offset))
            moment = aware.astimezone(BEIJING).replace(tzinfo=None)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        found.problems.append(finding("call_time_invalid", path, got=text))
    elif str(moment) != text:
        found.repairs.append(Repair(path, text, str(moment), _CONVERTED if offset else _COMPLETED))
    return moment


def _day_alone(text: str, day: str, path: str, clock: str) -> Problem:
    """The vendor's page has full times only, and a call too early or too late reaches people: so nothing is filled in."""
    try:
        date.fromisoformat(day)
    except ValueError:
        return finding("call_time_invalid", path, got=text)
    end = _LAST if clock == _DAY_ENDS else _FIRST
    return finding("call_time_no_clock", path, got=text, suggestion=f"{day} {clock}", end=end)


def _zone(offset: str) -> timezone:
    if offset in "Zz":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if minutes > 59:
        raise ValueError(offset)
    return timezone((-1 if offset[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def _forbidden(wanted: SettingsRequest, before: Week, found: TimeFindings) -> Week:
    if wanted.forbid_times is not None and wanted.call_times is not None:
        found.problems.append(finding("call_both_times", "/call_times"))
    if wanted.call_times is not None:
        if not wanted.call_times:
            found.problems.append(finding("call_never", "/call_times", got="[]"))
        return read_week(wanted.call_times, "/call_times", found).complement()
    if wanted.forbid_times is not None:
        return read_week(wanted.forbid_times, "/forbid_times", found)
    return before


def _redials(wanted: SettingsRequest, before: Redials | None, found: TimeFindings, *, blind: bool) -> Redials | None:
    times, interval = wanted.ring_again_times, wanted.ring_again_interval
    if (wanted.recall is False and wanted.redials) or (wanted.recall and blind and not wanted.redials):
        found.problems.append(
            finding("call_recall_contradicts", "/recall", got=wanted.recall, suggestion=str(not wanted.recall).lower())
        )
    if times is not None and not 0 <= times <= MOST_REDIALS:
        close = str(min(max(times, 0), MOST_REDIALS))
        found.problems.append(finding("call_redial_times", "/ring_again_times", got=times, suggestion=close))
    if interval is not None and not FEWEST_MINUTES <= interval <= MOST_MINUTES:
        close = str(min(max(interval, FEWEST_MINUTES), MOST_MINUTES))
        found.problems.append(finding("call_redial_interval", "/ring_again_interval", got=interval, suggestion=close))
    if blind and not wanted.redials:
        return None
    known = before or Redials()
    return Redials(known.times if times is None else times, known.interval if interval is None else interval)


# The vendor's form of call settings (page of UpdateTask, vendors.md B6).


def forbid_time_list(forbidden: Week) -> list[dict[str, Any]]:
    """`ForbidTimeList`: every day with its number, no range over midnight, the end of a day written 23:59."""
    return [
        {"Weekdays": sorted(NUMBERS[d] for d in days), "Times": [f"{clock(a)}-{_end(b)}" for a, b in spans]}
        for days, spans in grouped(forbidden)
    ]


def _end(minute: int) -> str:
    return "23:59" if minute == DAY else clock(minute)


def week_of(forbid_times: Sequence[Mapping[str, Any]], found: TimeFindings, path: str = "/ForbidTimeList") -> Week:
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
