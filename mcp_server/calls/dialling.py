"""When calls may start, how a list is called through, and what a callee on several lists could get: worked out exactly."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import ALWAYS, DAY, WEEK, Week

# When calls may start: the window of a task without its forbidden times


HORIZON = timedelta(days=366)
"""A calendar ends this long after its beginning."""
MINUTE = 60
_DAY_SECONDS = DAY * MINUTE


@dataclass(frozen=True)
class OpenTime:
    """The stretches in which an attempt may start, from `start` to before `end` (naive, Beijing time)."""

    open_week: Week
    start: datetime
    end: datetime

    @property
    def cut(self) -> bool:
        """True where the window goes on beyond the horizon."""
        return self.end - self.start > HORIZON

    @cached_property
    def base(self) -> datetime:
        """The midnight from which seconds count: a Monday's."""
        midnight = datetime.combine(self.start.date(), datetime.min.time())
        return midnight - timedelta(days=midnight.weekday())

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Stretches [first, end) in seconds from `base`, in order, neither overlapping nor touching."""
        first = self.seconds(self.start)
        last = min(self.seconds(self.end), first + int(HORIZON.total_seconds()))
        spans: list[tuple[int, int]] = []
        for week in range(0, max(last, 0), WEEK * MINUTE):
            for a, b in self.open_week.spans:
                start, end = max(week + a * MINUTE, first), min(week + b * MINUTE, last)
                if start >= end:
                    continue
                if spans and spans[-1][1] == start:
                    spans[-1] = (spans[-1][0], end)
                else:
                    spans.append((start, end))
        return tuple(spans)

    def seconds(self, moment: datetime) -> int:
        return (moment - self.base) // timedelta(seconds=1)

    def moment(self, seconds: int) -> datetime | None:
        """The time of a second; None beyond what a datetime can hold."""
        try:
            return self.base + timedelta(seconds=seconds)
        except OverflowError:
            return None

    def first_from(self, second: int) -> tuple[int, int] | None:
        """The first second at or after this one in which an attempt may start, and the end of its stretch."""
        n = bisect_right(self.spans, second, key=lambda span: span[0]) - 1
        if n >= 0 and second < self.spans[n][1]:
            return second, self.spans[n][1]
        return self.spans[n + 1] if n + 1 < len(self.spans) else None

    @cached_property
    def days(self) -> dict[date, list[tuple[int, int]]]:
        """Each day on which an attempt may start, in order, with its stretches in seconds from `base`."""
        first = self.base.date()
        days: dict[date, list[tuple[int, int]]] = {}
        for start, end in self.spans:
            for day in range(start // _DAY_SECONDS, (end - 1) // _DAY_SECONDS + 1):
                midnight = day * _DAY_SECONDS
                stretch = max(start, midnight), min(end, midnight + _DAY_SECONDS)
                days.setdefault(first + timedelta(days=day), []).append(stretch)
        return days

    def weekly(self) -> Week:
        """The times of the week that the window reaches; of a window of a week or more, all open ones."""
        if self.end - self.start >= timedelta(days=7):
            return ALWAYS.both(self.open_week)
        minutes = [(s // MINUTE, -(-e // MINUTE)) for s, e in self.spans]
        return Week.of((max(a, w) - w, min(b, w + WEEK) - w) for a, b in minutes for w in (0, WEEK))


# How a list is called through, without looking at callees one by one
#
# The rules. A task has `lines` lines. An attempt holds one line for `seconds`, and starts only in open time (one that
# has started may end outside it). A callee whose attempt was not answered is due again `wait` seconds after that
# attempt ended, at most `redials` times; in closed time, as soon as it opens. Who is due first is called first, and
# all are due at the beginning. Of the attempts of each round the share `answered` is answered, spread evenly.
#
# Hence (first due, first called; every attempt takes equally long) all attempts of one round start before any of the
# next, and the number of attempts K(t) that have started by second t follows from itself: the busy lines are K(t) −
# K(t − seconds), and the attempts that have become due are a function of K(t − seconds − wait). Attempts that start
# in the same second are one block; where all lines are busy and the queue is long, blocks repeat every `seconds`, and
# are kept as one `AttemptBlock`.


TEN_THOUSAND = 10_000


@dataclass(frozen=True, slots=True)
class Dialling:
    """What is set and assumed."""

    callees: int
    lines: int
    redials: int = 0
    wait: int = 300
    """Seconds from the end of an attempt to the next one."""
    seconds: int = 60
    """How long an attempt holds a line."""
    answered: float = 0.0
    """Share of attempts that are answered, to four decimals; 0 is the worst case."""

    @property
    def rounds(self) -> tuple[int, ...]:
        """Attempts of each round."""
        unanswered = TEN_THOUSAND - round(self.answered * TEN_THOUSAND)
        sizes = [self.callees]
        for _ in range(self.redials):
            sizes.append(-(-sizes[-1] * unanswered // TEN_THOUSAND))
        return tuple(sizes)


class AttemptBlock(NamedTuple):
    """Attempts: `counts[i]` start at `times[i]` and again after each `step`, `periods` times in all.

    `times` lie within one step of each other, so they are in order.
    """

    times: tuple[int, ...]
    counts: tuple[int, ...]
    periods: int
    step: int

    @property
    def last(self) -> int:
        return self.times[-1] + (self.periods - 1) * self.step

    @property
    def total(self) -> int:
        return sum(self.counts) * self.periods


class Cursor:
    """Counts the attempts of a growing list of blocks up to a moment that only moves forward."""

    def __init__(self, blocks: Sequence[AttemptBlock]) -> None:
        self._blocks = blocks
        self._at = 0
        self._period = 0
        self._item = 0
        self.count = 0

    def advance(self, until: int) -> int:
        """The number of attempts that have started at or before `until`."""
        while self._at < len(self._blocks):
            block = self._blocks[self._at]
            if block.last > until:
                self._inside(block, until)
                break
            self.count += block.total - self._behind(block)
            self._at, self._period, self._item = self._at + 1, 0, 0
        return self.count

    def _behind(self, block: AttemptBlock) -> int:
        return sum(block.counts) * self._period + sum(block.counts[: self._item])

    def _inside(self, block: AttemptBlock, until: int) -> None:
        before = self._behind(block)
        if until >= block.times[0]:
            self._period = (until - block.times[0]) // block.step
            elapsed = until - self._period * block.step
            self._item = sum(time <= elapsed for time in block.times)
        self.count += self._behind(block) - before

    @property
    def next(self) -> int | None:
        """When the first attempt starts that is not counted yet."""
        if self._at == len(self._blocks):
            return None
        block = self._blocks[self._at]
        if self._item == len(block.times):
            return block.times[0] + (self._period + 1) * block.step
        return block.times[self._item] + self._period * block.step

    def rest(self) -> Iterator[tuple[int, int]]:
        """Yield time and count of the attempts that are not counted yet."""
        period, item = self._period, self._item
        for block in self._blocks[self._at :]:
            for p in range(period, block.periods):
                for i in range(item, len(block.times)):
                    yield block.times[i] + p * block.step, block.counts[i]
                item = 0
            period = 0


def dialled(plan: Dialling, open_time: OpenTime) -> list[AttemptBlock]:
    """Return all attempts that start within the open time, in order."""
    return _Run(plan, open_time).blocks


class _Run:
    def __init__(self, plan: Dialling, open_time: OpenTime) -> None:
        self.blocks: list[AttemptBlock] = []
        self._plan = plan
        self._open = open_time
        self._rounds = plan.rounds
        self._needed = sum(self._rounds)
        self._started = 0
        self._ended = Cursor(self.blocks)
        self._released = Cursor(self.blocks)
        self._call_through()

    def _call_through(self) -> None:
        plan, now = self._plan, self._open.first_from(0)
        while now is not None and self._started < self._needed:
            second, closes = now
            free = plan.lines - self._started + self._ended.advance(second - plan.seconds)
            waiting = self._due(self._released.advance(second - plan.seconds - plan.wait)) - self._started
            count = min(free, waiting)
            if count:
                self._start((second,), (count,), 1)
                free, waiting = free - count, waiting - count
            if not free:
                second = self._repeat(second, closes, waiting)
            now = self._next(second, busy=not free)

    def _repeat(self, second: int, closes: int, waiting: int) -> int:
        """Let all lines go on for as many whole rounds as the queue and the open time surely last; return the last second."""
        plan = self._plan
        periods = min(waiting // plan.lines, (closes - 1 - second) // plan.seconds)
        if periods < 1:
            return second
        busy = list(self._ended.rest())
        self._start(tuple(t + plan.seconds for t, _ in busy), tuple(n for _, n in busy), periods)
        return second + periods * plan.seconds

    def _start(self, times: tuple[int, ...], counts: tuple[int, ...], periods: int) -> None:
        self.blocks.append(AttemptBlock(times, counts, periods, self._plan.seconds))
        self._started += sum(counts) * periods

    def _next(self, second: int, *, busy: bool) -> tuple[int, int] | None:
        """When something can change: a line gets free while a callee waits, or a callee becomes due."""
        plan = self._plan
        self._ended.advance(second - plan.seconds)
        released = self._due(self._released.advance(second - plan.seconds - plan.wait))
        if busy and released > self._started:
            moment = self._ended.next
            return None if moment is None else self._open.first_from(max(second, moment + plan.seconds))
        moment = self._released.next
        return None if moment is None else self._open.first_from(max(second, moment + plan.seconds + plan.wait))

    def _due(self, ended: int) -> int:
        """How many attempts have become due, once the first `ended` attempts have ended and waited."""
        due = self._rounds[0]
        for size, following in zip(self._rounds, self._rounds[1:], strict=False):
            due += min(ended, size) * following // size if size else 0
            ended = max(0, ended - size)
        return due


# How often a callee could be tried who is on the lists of several tasks
#
# The worst case of each task: nobody answers, and the callee may be tried at any open minute. The limits are the
# vendor's defaults (vendors.md B4); they hold for a callee, not for a task.


MOST_A_DAY = 10
MOST_AT_ONCE = 3
AT_ONCE = 5 * MINUTE
"""Seconds within which attempts count as being at once."""
MOST_CASES = 20
"""Cases that are kept apart; of more, the worst of all is taken."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A task with the time in which it may still call."""

    settings: CallSettings
    opened: OpenTime


@dataclass(frozen=True, slots=True)
class Loads:
    """What a callee could get from one task (first) and each of the others, if their lists have the callee too."""

    days: tuple[tuple[int, ...], ...] = ()
    """For each kind of day on which the limit could be passed: attempts that each task can make."""
    at_once: tuple[tuple[int, ...], ...] = ()
    """For each set of tasks that may call within the same five minutes, more than allowed: 1 for each of them."""

    @property
    def harmless(self) -> bool:
        return not self.days and not self.at_once


def loads(own: Timed, others: Sequence[Timed]) -> Loads:
    """Return what could be too much for a callee of `own` that is on lists of others."""
    tasks = [own, *others]
    kinds = {tuple(most_on(task, day) for task in tasks) for day in own.opened.days} if others else set()
    heavy = [kind for kind in kinds if sum(kind) > MOST_A_DAY]
    together = {
        tuple(int(n == 0 or n - 1 in crowd) for n in range(len(tasks)))
        for crowd in _together(own.opened, [task.opened for task in others])
        if len(crowd) + 1 > MOST_AT_ONCE
    }
    return Loads(_worst(heavy), _worst(together))


def most_on(task: Timed, day: date) -> int:
    """Return the most attempts that one callee can get from a task on a day: as early as possible, then after each interval."""
    redials = task.settings.redials or Redials()
    count = due = 0
    for start, end in task.opened.days.get(day, ()):
        due = max(due, start)
        while due < end and count <= redials.times:
            count, due = count + 1, due + redials.interval * MINUTE
    return count


def _together(own: OpenTime, others: Sequence[OpenTime]) -> Iterable[frozenset[int]]:
    """Return the sets of others that may call within the same five minutes as the task."""
    if len(others) < MOST_AT_ONCE:
        return ()
    edges: list[tuple[int, int, int]] = []
    for n, task in enumerate([own, *others]):
        shift = own.seconds(task.base)  # each counts seconds from a Monday of its own
        for start, end in task.spans:
            edges += [(start + shift - AT_ONCE + 1, 1, n - 1), (end + shift, 0, n - 1)]
    seen, now, calling = set[frozenset[int]](), set[int](), False
    for _, begins, n in sorted(edges):
        if n < 0:
            calling = bool(begins)
        elif begins:
            now.add(n)
        else:
            now.discard(n)
        if calling and begins:
            seen.add(frozenset(now))
    return seen


def _worst(cases: Iterable[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Return the cases without those that another one covers."""
    by_size = sorted(set(cases), key=sum, reverse=True)
    kept: list[tuple[int, ...]] = []
    for case in by_size:
        if not any(all(a <= b for a, b in zip(case, other, strict=True)) for other in kept):
            kept.append(case)
        if len(kept) > MOST_CASES:
            return (tuple(map(max, *by_size)),)
    return tuple(kept)
