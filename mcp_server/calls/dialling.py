"""How a list is called through, worked out exactly, without looking at callees one by one.

The rules. A task has `lines` lines. An attempt holds one line for `seconds`, and starts only in open time (one that
has started may end outside it). A callee whose attempt was not answered is due again `wait` seconds after that
attempt ended, at most `redials` times; in closed time, he is due when it opens. Who is due first is called first, and
all are due at the beginning. Of the attempts of each round the share `answered` is answered, spread evenly.

Hence (first due, first called; every attempt takes equally long) all attempts of one round start before any of
the next, and the number of attempts K(t) that have started by second t follows from itself: the busy lines are
K(t) − K(t − seconds), and the attempts that have become due are a function of K(t − seconds − wait). Attempts that
start in the same second are one block; where all lines are busy and the queue is long, whole stretches of blocks
repeat every `seconds`, and are written down as one `Stretch`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mcp_server.calls.open_time import OpenTime

TEN_THOUSAND = 10_000


@dataclass(frozen=True, slots=True)
class Dialling:
    """What is assumed and set."""

    callees: int
    lines: int
    redials: int = 0
    wait: int = 300
    """Seconds from the end of an attempt to the next one."""
    seconds: int = 60
    """How long an attempt holds a line."""
    answered: float = 0.0
    """Share of attempts that are answered; 0 is the worst case. To four decimals."""

    @property
    def rounds(self) -> tuple[int, ...]:
        """Attempts of each round."""
        unanswered = TEN_THOUSAND - round(self.answered * TEN_THOUSAND)
        sizes = [self.callees]
        for _ in range(self.redials):
            sizes.append(-(-sizes[-1] * unanswered // TEN_THOUSAND))
        return tuple(sizes)


class Stretch(NamedTuple):
    """Blocks of attempts: `counts[i]` start at `times[i]` and again after each `step`, `periods` times in all.

    `times` lie within one step of each other, so the blocks are in order of time.
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
    """Counts the attempts of a growing list of stretches up to a moment that only moves on."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._stretches = stretches
        self._at = 0
        self._period = 0
        self._item = 0
        self.count = 0

    def advance(self, until: int) -> int:
        """The number of attempts that have started at or before `until`."""
        while self._at < len(self._stretches):
            stretch = self._stretches[self._at]
            if stretch.last > until:
                self._inside(stretch, until)
                break
            self.count += stretch.total - self._behind(stretch)
            self._at, self._period, self._item = self._at + 1, 0, 0
        return self.count

    def _behind(self, stretch: Stretch) -> int:
        return sum(stretch.counts) * self._period + sum(stretch.counts[: self._item])

    def _inside(self, stretch: Stretch, until: int) -> None:
        before = self._behind(stretch)
        if until >= stretch.times[0]:
            self._period = (until - stretch.times[0]) // stretch.step
            elapsed = until - self._period * stretch.step
            self._item = sum(time <= elapsed for time in stretch.times)
        self.count += self._behind(stretch) - before

    @property
    def next(self) -> int | None:
        """When the first block starts that is not counted yet."""
        if self._at == len(self._stretches):
            return None
        stretch = self._stretches[self._at]
        if self._item == len(stretch.times):
            return stretch.times[0] + (self._period + 1) * stretch.step
        return stretch.times[self._item] + self._period * stretch.step

    def rest(self) -> Iterator[tuple[int, int]]:
        """The blocks that are not counted yet."""
        period, item = self._period, self._item
        for stretch in self._stretches[self._at :]:
            for p in range(period, stretch.periods):
                for i in range(item, len(stretch.times)):
                    yield stretch.times[i] + p * stretch.step, stretch.counts[i]
                item = 0
            period = 0


def dialled(plan: Dialling, open_time: OpenTime) -> list[Stretch]:
    """All attempts that start within the open time, in order."""
    return _Run(plan, open_time).stretches


class _Run:
    def __init__(self, plan: Dialling, open_time: OpenTime) -> None:
        self.stretches: list[Stretch] = []
        self._plan = plan
        self._open = open_time
        self._rounds = plan.rounds
        self._needed = sum(self._rounds)
        self._started = 0
        self._ended = Cursor(self.stretches)
        self._released = Cursor(self.stretches)
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
        """Let all lines go on for as many whole rounds as the queue and the open time surely last; the last second."""
        plan = self._plan
        periods = min(waiting // plan.lines, (closes - 1 - second) // plan.seconds)
        if periods < 1:
            return second
        busy = list(self._ended.rest())
        self._start(tuple(t + plan.seconds for t, _ in busy), tuple(n for _, n in busy), periods)
        return second + periods * plan.seconds

    def _start(self, times: tuple[int, ...], counts: tuple[int, ...], periods: int) -> None:
        self.stretches.append(Stretch(times, counts, periods, self._plan.seconds))
        self._started += sum(counts) * periods

    def _next(self, second: int, *, busy: bool) -> tuple[int, int] | None:
        """When something can change: a line gets free while somebody waits, or somebody becomes due."""
        plan = self._plan
        self._ended.advance(second - plan.seconds)
        released = self._due(self._released.advance(second - plan.seconds - plan.wait))
        if busy and released > self._started:
            moment = self._ended.next
            return None if moment is None else self._open.first_from(max(second, moment + plan.seconds))
        moment = self._released.next
        return None if moment is None else self._open.first_from(max(second, moment + plan.seconds + plan.wait))

    def _due(self, ended: int) -> int:
        """How many attempts are or were due, once the first `ended` attempts have ended and waited."""
        due = self._rounds[0]
        for size, following in zip(self._rounds, self._rounds[1:], strict=False):
            due += min(ended, size) * following // size if size else 0
            ended = max(0, ended - size)
        return due
