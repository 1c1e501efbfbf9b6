"""What is worth a second look in the settings of a call task: warnings, never changes (vendors.md C)."""

from collections.abc import Iterator
from datetime import datetime

from mcp_server.calls.calendar import Calendar, open_time
from mcp_server.calls.problems import finding
from mcp_server.calls.settings import CallSettings
from mcp_server.calls.week import DAY, Week
from mcp_server.errors import Problem
from mcp_server.text import Text

USUAL_REDIALS = 3
"""More than one source of the vendor knows (vendors.md B6)."""
_HOUR = 60
NIGHT = Week.of((d * DAY + a, d * DAY + b) for d in range(7) for a, b in ((0, 9 * _HOUR), (20 * _HOUR, DAY)))
"""Outside the hours in which platforms call."""
NOON = Week.of((d * DAY + 12 * _HOUR, d * DAY + 14 * _HOUR) for d in range(7))

_MORE_LINES = Text("A concurrency of {lines} would do.", "并发数提高到 {lines} 即可呼完。")
_MORE_TIME = Text(
    "More lines alone do not help: it needs more time or fewer redials.",
    "仅提高并发数不够：需要更长的时间或更少的重呼。",
)


def advice(settings: CallSettings, now: datetime) -> Iterator[Problem]:
    """Warnings about a task's window, times and redials. `now` is the time in Beijing."""
    if settings.redials and settings.redials.times > USUAL_REDIALS:
        yield finding("call_redials_many", "/ring_again_times", got=settings.redials.times)
    if settings.end <= now:
        yield finding("call_ends_in_past", "/end_time", got=settings.end, now=now.strftime("%Y-%m-%d %H:%M"))
    opened = open_time(settings, now)
    if not opened.spans:
        yield finding("call_no_time", "/forbid_times" if settings.end > now else "/end_time")
    reached = opened.weekly()
    if reached.both(NIGHT).minutes:
        yield finding("call_hours", "/call_times")
    if reached.both(NOON).minutes:
        yield finding("call_noon", "/call_times")


def unfinished(found: Calendar, lines: int | None) -> Iterator[Problem]:
    """A list that does not get done; `lines`: the concurrency that would do, if any."""
    if found.in_time or found.cut or not found.days:  # without any time, that is what is said
        return
    remedy = _MORE_LINES.format(lines=lines) if lines else _MORE_TIME
    yield finding(
        "call_unfinished",
        "/concurrency",
        suggestion=str(lines or ""),
        planned=f"{found.planned:,}",
        needed=f"{found.needed:,}",
        remedy=remedy,
    )
