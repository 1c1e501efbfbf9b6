"""The call calendar: when calls can happen, day by day, and whether the list gets done."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from mcp_server.calls.dialling import Cursor, Dialling, dialled
from mcp_server.calls.open_time import MINUTE, OpenTime
from mcp_server.calls.problems import finding
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.errors import Problem

BEYOND_ANY_LIST = 10**15
"""So many callees that lines never wait: what the open time can take."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What nobody can know beforehand."""

    seconds: int = 60
    """How long an attempt holds a line."""
    answered: float = 0.0
    """Share of attempts that are answered; 0 is the worst case: every redial is used."""


FEWEST_SECONDS, MOST_SECONDS = 5, 3600


def impossible(assumed: Assumptions) -> list[Problem]:
    """Assumptions that no call fits."""
    seconds, answered, found = assumed.seconds, assumed.answered, []
    if not FEWEST_SECONDS <= seconds <= MOST_SECONDS:
        close = str(min(max(seconds, FEWEST_SECONDS), MOST_SECONDS))
        found.append(finding("call_seconds", "/call_seconds", got=seconds, suggestion=close))
    if not 0 <= answered <= 1:
        close = str(min(max(answered, 0), 1))
        found.append(finding("call_answer_rate", "/answer_rate", got=answered, suggestion=close))
    return found


@dataclass(frozen=True, slots=True)
class CallDay:
    """One day on which calls may start."""

    day: date
    spans: tuple[tuple[int, int], ...]
    """Open stretches in seconds from midnight."""
    possible: int
    """Attempts that all lines together can start, if the list never ends."""
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
    """True where the window goes on beyond what was worked out."""

    @property
    def planned(self) -> int:
        return sum(day.planned for day in self.days)

    @property
    def possible(self) -> int:
        return sum(day.possible for day in self.days)


def open_time(settings: CallSettings, now: datetime | None = None) -> OpenTime:
    """When attempts of a task may start; from `now` on, where that is later than its start."""
    start = settings.start if now is None else max(settings.start, now.replace(microsecond=0))
    return OpenTime(settings.forbidden.complement(), start, max(start, settings.end))


def calendar(settings: CallSettings, callees: int, assumed: Assumptions, now: datetime | None = None) -> Calendar:
    """Work it out for a list of this size. Nobody on it has been called yet, as far as this knows."""
    opened = open_time(settings, now)
    plan = _dialling(settings, callees, assumed)
    stretches = dialled(plan, opened)
    done, most = Cursor(stretches), Cursor(dialled(replace(plan, callees=BEYOND_ANY_LIST, redials=0), opened))
    days, planned, possible = [], 0, 0
    for day, spans in opened.days():
        last, midnight = spans[-1][1] - 1, spans[0][0] - spans[0][0] % (24 * 60 * MINUTE)
        before = planned, possible
        planned, possible = done.advance(last), most.advance(last)
        cut = tuple((a - midnight, b - midnight) for a, b in spans)
        days.append(CallDay(day, cut, possible - before[1], planned - before[0]))
    needed = sum(plan.rounds)
    ended = stretches[-1].last + plan.seconds if stretches and planned == needed else None
    return Calendar(
        tuple(days),
        needed,
        finish=None if ended is None else opened.moment(ended),
        in_time=needed == 0 or (ended is not None and ended <= opened.seconds(settings.end)),
        cut=opened.cut,
    )


def lines_needed(settings: CallSettings, callees: int, assumed: Assumptions, now: datetime | None = None) -> int | None:
    """The least concurrency at which the list is finished in time; None where not even a line for each callee helps.

    More lines never finish later, so halving finds it.
    """
    opened = open_time(settings, now)
    end = opened.seconds(settings.end)

    def enough(lines: int) -> bool:
        plan = _dialling(replace(settings, concurrency=lines), callees, assumed)
        found = dialled(plan, opened)
        return sum(s.total for s in found) == sum(plan.rounds) and found[-1].last + plan.seconds <= end

    if callees < 1 or not enough(callees):
        return None
    low, high = 0, callees
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _dialling(settings: CallSettings, callees: int, assumed: Assumptions) -> Dialling:
    redials = settings.redials or Redials()
    return Dialling(
        callees,
        settings.concurrency,
        redials.times,
        redials.interval * MINUTE,
        assumed.seconds,
        assumed.answered,
    )
