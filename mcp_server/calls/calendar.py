"""The call calendar: when calls can happen, day by day, whether the list gets done, and what warrants a warning."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from mcp_server.calls.dialling import MINUTE, Cursor, Dialling, OpenTime, dialled
from mcp_server.calls.problems import finding
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import DAY, Week
from mcp_server.errors import Problem
from mcp_server.text import Text

BEYOND_ANY_LIST = 10**15
"""So many callees that no line ever waits for one: what the open time can take."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not known beforehand."""

    seconds: int = 60
    """How long an attempt holds a line."""
    answered: float = 0.0
    """Share of attempts that are answered; 0 is the worst case: every redial is used."""


FEWEST_SECONDS, MOST_SECONDS = 5, 3600


def impossible(assumed: Assumptions) -> list[Problem]:
    """Return the problems of assumptions that fit no call."""
    seconds, answered, problems = assumed.seconds, assumed.answered, []
    if not FEWEST_SECONDS <= seconds <= MOST_SECONDS:
        nearest = str(min(max(seconds, FEWEST_SECONDS), MOST_SECONDS))
        problems.append(finding("call_seconds", "/call_seconds", got=seconds, suggestion=nearest))
    if not 0 <= answered <= 1:
        nearest = str(min(max(answered, 0), 1))
        problems.append(finding("call_answer_rate", "/answer_rate", got=answered, suggestion=nearest))
    return problems


@dataclass(frozen=True, slots=True)
class CallDay:
    """One day on which calls may start."""

    day: date
    spans: tuple[tuple[int, int], ...]
    """Open stretches in seconds from midnight."""
    possible: int
    """Attempts that all lines together can start, if the list is endless."""
    planned: int
    """Attempts that the list needs and that start on this day."""

    @property
    def minutes(self) -> int:
        """Whole minutes in which an attempt may start."""
        return sum(end - start for start, end in self.spans) // MINUTE


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of a task, and how far the list gets."""

    days: tuple[CallDay, ...]
    needed: int
    """Attempts in all, in the worst case that the assumptions allow."""
    finish: datetime | None
    """The end of the last call; None where not all attempts start before the end of the window."""
    in_time: bool
    """True where the last call ends before the window does."""
    cut: bool
    """True where the window goes on beyond the horizon."""

    @property
    def planned(self) -> int:
        return sum(day.planned for day in self.days)

    @property
    def possible(self) -> int:
        return sum(day.possible for day in self.days)


def open_time(settings: CallSettings, now: datetime | None = None) -> OpenTime:
    """Return when attempts of a task may start; from `now` on, where that is later than its start."""
    start = settings.start if now is None else max(settings.start, now.replace(microsecond=0))
    return OpenTime(settings.forbidden.complement(), start, max(start, settings.end))


def calendar(settings: CallSettings, callees: int, assumed: Assumptions, now: datetime | None = None) -> Calendar:
    """Work out the calendar for a list of this size, nobody on which has been called yet."""
    opened = open_time(settings, now)
    plan = _dialling(settings, callees, assumed)
    blocks = dialled(plan, opened)
    done, most = Cursor(blocks), Cursor(dialled(replace(plan, callees=BEYOND_ANY_LIST, redials=0), opened))
    days, planned, possible = [], 0, 0
    for day, spans in opened.days.items():
        last, midnight = spans[-1][1] - 1, spans[0][0] - spans[0][0] % (24 * 60 * MINUTE)
        before = planned, possible
        planned, possible = done.advance(last), most.advance(last)
        cut = tuple((a - midnight, b - midnight) for a, b in spans)
        days.append(CallDay(day, cut, possible=possible - before[1], planned=planned - before[0]))
    needed = sum(plan.rounds)
    ended = blocks[-1].last + plan.seconds if blocks and planned == needed else None
    return Calendar(
        tuple(days),
        needed,
        finish=None if ended is None else opened.moment(ended),
        in_time=needed == 0 or (ended is not None and ended <= opened.seconds(settings.end)),
        cut=opened.cut,
    )


def lines_needed(settings: CallSettings, callees: int, assumed: Assumptions, now: datetime | None = None) -> int | None:
    """Return the least concurrency at which the list is finished in time; None where not even a line for each callee helps.

    More lines never finish later, so it is found by halving.
    """
    opened = open_time(settings, now)
    end = opened.seconds(settings.end)

    def enough(lines: int) -> bool:
        plan = _dialling(replace(settings, concurrency=lines), callees, assumed)
        blocks = dialled(plan, opened)
        return sum(b.total for b in blocks) == sum(plan.rounds) and blocks[-1].last + plan.seconds <= end

    if callees < 1 or not enough(callees):
        return None
    low, high = 0, callees
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _dialling(settings: CallSettings, callees: int, assumed: Assumptions) -> Dialling:
    redials = settings.redials or Redials()
    wait = redials.interval * MINUTE
    return Dialling(callees, settings.concurrency, redials.times, wait, assumed.seconds, assumed.answered)


# Warnings about the settings of a call task (vendors.md C)


USUAL_REDIALS = 3
"""One source of the vendor has this limit, another a higher one (vendors.md B6)."""
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
    """Yield warnings about a task's window, times and redials. `now` is the time in Beijing."""
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


def unfinished(worked_out: Calendar, lines: int | None) -> Iterator[Problem]:
    """Yield a warning about a list that does not get done; `lines`: the concurrency that would do, if any."""
    if worked_out.in_time or worked_out.cut or not worked_out.days:  # `advice` warns where no time is left at all
        return
    remedy = _MORE_LINES.format(lines=lines) if lines else _MORE_TIME
    yield finding(
        "call_unfinished",
        "/concurrency",
        suggestion=str(lines or ""),
        planned=f"{worked_out.planned:,}",
        needed=f"{worked_out.needed:,}",
        remedy=remedy,
    )
