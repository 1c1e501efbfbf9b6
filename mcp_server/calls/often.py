"""How often one callee could be tried, where several tasks have him on their lists.

The worst case of each task: nobody answers, and the callee may be tried at any open minute. The limits are the
vendor's defaults (vendors.md B4); they hold for a callee, not for a task.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from mcp_server.calls.open_time import MINUTE, OpenTime
from mcp_server.calls.settings import CallSettings, Redials

MOST_A_DAY = 10
MOST_AT_ONCE = 3
AT_ONCE = 5 * MINUTE
"""Seconds within which attempts count as being at once."""
MOST_CASES = 20
"""Cases that are told apart; of more, the worst of all is taken."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A task with the time in which it may still call."""

    settings: CallSettings
    opened: OpenTime


@dataclass(frozen=True, slots=True)
class Loads:
    """What a callee could get from his own task (first) and each of the others, if he is on their lists too."""

    days: tuple[tuple[int, ...], ...] = ()
    """For each kind of day on which the limit could be passed: attempts that each task can make."""
    at_once: tuple[tuple[int, ...], ...] = ()
    """For each set of tasks that may call within the same five minutes, more than allowed: 1 for each of them."""

    @property
    def harmless(self) -> bool:
        return not self.days and not self.at_once


def loads(own: Timed, others: Sequence[Timed]) -> Loads:
    """What could become too much for a callee of `own` that others share."""
    tasks = [own, *others]
    days = own.opened.days() if others else ()
    kinds = {tuple(most_on(task, day) for task in tasks) for day, _ in days}
    heavy = [kind for kind in kinds if sum(kind) > MOST_A_DAY]
    together = {
        tuple(int(n == 0 or n - 1 in crowd) for n in range(len(tasks)))
        for crowd in _together(own.opened, [task.opened for task in others])
        if len(crowd) + 1 > MOST_AT_ONCE
    }
    return Loads(_worst(heavy), _worst(together))


def most_on(task: Timed, day: date) -> int:
    """The most attempts that one callee can get from a task on a day: as early as possible, then after each interval."""
    redials = task.settings.redials or Redials()
    count, due = 0, 0
    for start, end in task.opened.of_day(day):
        due = max(due, start)
        while due < end and count <= redials.times:
            count, due = count + 1, due + redials.interval * MINUTE
    return count


def _together(own: OpenTime, others: Sequence[OpenTime]) -> Iterable[frozenset[int]]:
    """Which others may call within the same five minutes as the task, as sets that came up."""
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
    """The cases without those that another one covers."""
    found = sorted(set(cases), key=sum, reverse=True)
    kept: list[tuple[int, ...]] = []
    for case in found:
        if not any(all(a <= b for a, b in zip(case, other, strict=True)) for other in kept):
            kept.append(case)
        if len(kept) > MOST_CASES:
            return (tuple(map(max, *found)),)
    return tuple(kept)
