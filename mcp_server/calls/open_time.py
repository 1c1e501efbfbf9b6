"""When calls may start: the window of a task less its forbidden times, as stretches of seconds."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from mcp_server.calls.week import ALWAYS, DAY, WEEK, Week

HORIZON = timedelta(days=366)
"""A calendar looks no further than this from its beginning."""
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
        """The midnight at which seconds begin to count: a Monday's."""
        midnight = datetime.combine(self.start.date(), datetime.min.time())
        return midnight - timedelta(days=midnight.weekday())

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Stretches [first, end) in seconds from `base`, in order, neither overlapping nor touching."""
        first = self.seconds(self.start)
        last = min(self.seconds(self.end), first + int(HORIZON.total_seconds()))
        found: list[tuple[int, int]] = []
        for week in range(0, max(last, 0), WEEK * MINUTE):
            for a, b in self.open_week.spans:
                start, end = max(week + a * MINUTE, first), min(week + b * MINUTE, last)
                if start >= end:
                    continue
                if found and found[-1][1] == start:
                    found[-1] = (found[-1][0], end)
                else:
                    found.append((start, end))
        return tuple(found)

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _ in self.spans]

    def seconds(self, moment: datetime) -> int:
        return (moment - self.base) // timedelta(seconds=1)

    def moment(self, seconds: int) -> datetime | None:
        """The time of a second; None beyond the calendar."""
        try:
            return self.base + timedelta(seconds=seconds)
        except OverflowError:
            return None

    def first_from(self, second: int) -> tuple[int, int] | None:
        """The first second at or after this one in which an attempt may start, and the end of its stretch."""
        n = bisect_right(self._starts, second) - 1
        if n >= 0 and second < self.spans[n][1]:
            return second, self.spans[n][1]
        return self.spans[n + 1] if n + 1 < len(self.spans) else None

    def days(self) -> tuple[tuple[date, tuple[tuple[int, int], ...]], ...]:
        """Each day on which an attempt may start, with its stretches in seconds from `base`."""
        found: dict[int, list[tuple[int, int]]] = {}
        for start, end in self.spans:
            for day in range(start // _DAY_SECONDS, (end - 1) // _DAY_SECONDS + 1):
                midnight = day * _DAY_SECONDS
                found.setdefault(day, []).append((max(start, midnight), min(end, midnight + _DAY_SECONDS)))
        first = self.base.date()
        return tuple((first + timedelta(days=day), tuple(spans)) for day, spans in sorted(found.items()))

    def of_day(self, day: date) -> tuple[tuple[int, int], ...]:
        """The stretches of one day, in seconds from its midnight."""
        midnight = (day - self.base.date()).days * _DAY_SECONDS
        n = max(0, bisect_left(self._starts, midnight) - 1)
        found = []
        while n < len(self.spans) and self.spans[n][0] < midnight + _DAY_SECONDS:
            start, end = self.spans[n]
            cut = (max(start - midnight, 0), min(end - midnight, _DAY_SECONDS))
            found += [cut] if cut[0] < cut[1] else []
            n += 1
        return tuple(found)

    def weekly(self) -> Week:
        """The times of the week that the window really reaches; of a window of a week or more, all of them."""
        if self.end - self.start >= timedelta(days=7):
            return ALWAYS.both(self.open_week)
        minutes = [(s // MINUTE, -(-e // MINUTE)) for s, e in self.spans]
        here = [(max(a, w) - w, min(b, w + WEEK) - w) for a, b in minutes for w in (0, WEEK)]
        return Week.of(here)
