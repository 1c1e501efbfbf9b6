"""Local times to instants inside the engine, by offsets that Python's zone data gives (qp.md section 2).

The engine's own zone tables are not asked: they have their own age, and their own answer for hours that a clock change
repeats or skips. Here a repeated time is the first of the two, and a skipped one is moved forward by the gap.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import literal
from mcp_server.language.window import instant, local

FIRST = datetime.min  # noqa: DTZ901 - naive like all times of the engine
LAST = datetime.max  # noqa: DTZ901 - the same
"""The calendar that can be written: years 1 to 9999."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A clock change: from the local time `threshold` on, `after` counts; before it, `before`. Seconds east of UTC."""

    threshold: datetime
    before: int
    after: int
    real: bool = True
    """False where it only bridges years that nobody asked for."""

    @property
    def gap(self) -> tuple[datetime, datetime]:
        """Local times that do not exist (clock put forward) or exist twice (put back), half-open."""
        return self.threshold - timedelta(seconds=abs(self.after - self.before)), self.threshold


@dataclass(frozen=True)
class Clock:
    """How one zone's local times become instants, in the years that were asked for."""

    zone: ZoneInfo
    first_offset: int
    changes: tuple[ClockChange, ...]

    @cached_property
    def limits(self) -> tuple[datetime, datetime]:
        """First and last instant that can be written both in UTC and as local time."""
        return instant(FIRST, self.zone), instant(LAST, self.zone)

    @cached_property
    def local_limits(self) -> tuple[datetime, datetime]:
        """The same two as local times."""
        first, last = self.limits
        return local(first, self.zone), local(last, self.zone)

    def to_instant(self, column: str, east: str) -> str:
        """SQL: the instant of a TIMESTAMP `column` that was written with an offset of `east` minutes, NULL meaning local.

        `column` is a plain column within the calendar; what leaves the calendar on the way becomes its first or last instant.
        """
        first, last = map(literal, self.limits)
        of_local = f"{column} - to_seconds({self._offset(column, 0, len(self.changes))})"
        moment = f"CASE WHEN {east} IS NULL THEN {of_local} ELSE {column} - to_minutes({east}) END"
        # `least` and `greatest` pass over NULL, so a missing time would become the first of all.
        return f"CASE WHEN {column} IS NOT NULL THEN least(greatest({moment}, {first}), {last}) END"

    def beyond(self, column: str, east: str) -> str:
        """SQL condition: `to_instant` moves this time, since it leaves the calendar."""
        low, high = map(literal, self.local_limits)
        first, last = map(literal, self.limits)
        return (
            f"CASE WHEN {east} IS NULL THEN {column} NOT BETWEEN {low} AND {high} "
            f"ELSE {column} - to_minutes({east}) NOT BETWEEN {first} AND {last} END"
        )

    def repeated(self, column: str) -> str:
        """SQL condition: this local time exists twice."""
        return _within(column, [c.gap for c in self.changes if c.real and c.after < c.before])

    def skipped(self, column: str) -> str:
        """SQL condition: this local time does not exist."""
        return _within(column, [c.gap for c in self.changes if c.real and c.after > c.before])

    def _offset(self, column: str, low: int, high: int) -> str:
        """The offset as a search tree of CASEs over changes[low:high]."""
        if low == high:
            return str(self.changes[low - 1].after if low else self.first_offset)
        middle = (low + high) // 2
        return (
            f"CASE WHEN {column} < {literal(self.changes[middle].threshold)} "
            f"THEN {self._offset(column, low, middle)} ELSE {self._offset(column, middle + 1, high)} END"
        )


def clock(zone: ZoneInfo, years: Iterable[int]) -> Clock:
    """The clock of a zone for local times in the given years (others are cut off to the calendar)."""
    runs = _runs(sorted({min(max(year, FIRST.year), LAST.year) for year in years}) or [LAST.year])
    start = offset = _offset_at(runs[0][0], zone)
    changes: list[ClockChange] = []
    for begin, end in runs:
        if (now := _offset_at(begin, zone)) != offset:
            # Years without data lie between; what happened in them is bridged at once.
            changes.append(_change(begin, offset, now, real=False))
        for at, before, after in _changes_between(begin, end, zone):
            changes.append(_change(at, before, after))
        offset = _offset_at(end, zone)
    return Clock(zone, start, tuple(changes))


def _runs(years: list[int]) -> list[tuple[datetime, datetime]]:
    """Stretches of instants that hold these local years, with two days to spare at both ends; touching ones joined."""
    stretches: list[tuple[datetime, datetime]] = []
    for year in years:
        begin = datetime(year, 1, 1) - 2 * _DAY if year > FIRST.year else FIRST + _DAY  # noqa: DTZ001 - readings
        end = datetime(year + 1, 1, 1) + 2 * _DAY if year < LAST.year else LAST - _DAY  # noqa: DTZ001 - readings
        if stretches and begin <= stretches[-1][1]:
            begin = stretches.pop()[0]
        stretches.append((begin, end))
    return stretches


def _changes_between(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, int, int]]:
    """Instants of clock changes with the offsets before and after, found day by day and then by halving."""
    low, before = begin, _offset_at(begin, zone)
    while low < end:
        high = min(low + _DAY, end)
        after = _offset_at(high, zone)
        if after != before:
            yield _first_with(low, high, after, zone), before, after
        low, before = high, after


def _first_with(low: datetime, high: datetime, offset: int, zone: ZoneInfo) -> datetime:
    """The first whole second after `low` that has the offset which `high` has."""
    seconds = int((high - low).total_seconds())
    return low + timedelta(
        seconds=bisect_left(range(seconds), True, key=lambda s: _offset_at(low + timedelta(seconds=s), zone) == offset)
    )


def _offset_at(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


def _change(at: datetime, before: int, after: int, *, real: bool = True) -> ClockChange:
    return ClockChange(at + timedelta(seconds=max(before, after)), before, after, real)


def _within(column: str, stretches: list[tuple[datetime, datetime]]) -> str:
    """SQL condition: the time lies in one of these half-open stretches."""
    found = " OR ".join(f"({column} >= {literal(low)} AND {column} < {literal(high)})" for low, high in stretches)
    return f"({found})" if found else "FALSE"
