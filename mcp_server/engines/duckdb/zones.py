"""Local times and instants inside DuckDB, by the offsets of Python's zone data (qp.md section 2).

The engine's own zone tables are not used: they have their own age, and their own answer for hours that a clock change
repeats or skips. Here a repeated time is the first of the two, and a skipped one is moved forward by the gap.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.language.values import instant, local

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST = datetime.min  # noqa: DTZ901 - naive like all times of the engine
LAST = datetime.max  # noqa: DTZ901 - the same
"""The calendar that can be written: years 1 to 9999."""

_DAY = timedelta(days=1)
_MOST_YEARS = 300
"""Years between first and last time up to which every year between them is looked up; beyond, only those that occur."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A clock change: the offsets before and from the local time `threshold` on, in seconds east of UTC."""

    threshold: datetime
    before: int
    after: int
    real: bool = True
    """False where it only bridges years that the clock does not cover."""

    @property
    def gap(self) -> tuple[datetime, datetime]:
        """Local times that do not exist (clock put forward) or exist twice (put back), half-open."""
        return self.threshold - timedelta(seconds=abs(self.after - self.before)), self.threshold

    @property
    def moment(self) -> datetime:
        """Its instant; the threshold is the local time that ends the gap or the repetition."""
        return self.threshold - timedelta(seconds=max(self.before, self.after))


@dataclass(frozen=True)
class Clock:
    """How one zone's local times become instants, and back, in certain years."""

    zone: ZoneInfo
    first_offset: int
    changes: tuple[ClockChange, ...]

    @cached_property
    def limits(self) -> tuple[datetime, datetime]:
        """The first and last instant that can be written both in UTC and as local time."""
        return instant(FIRST, self.zone), instant(LAST, self.zone)

    @cached_property
    def local_limits(self) -> tuple[datetime, datetime]:
        """The same two as local times."""
        first, last = self.limits
        return local(first, self.zone), local(last, self.zone)

    def to_instant(self, column: str, east: str) -> str:
        """Return SQL of the instant of a TIMESTAMP that was written with an offset of `east` minutes; NULL means local.

        `column` is a plain column within the calendar; what leaves the calendar on the way becomes its first or last instant.
        """
        first, last = map(literal, self.limits)
        of_local = f"{column} - to_seconds({self._offset(column, [c.threshold for c in self.changes])})"
        moment = f"CASE WHEN {east} IS NULL THEN {of_local} ELSE {column} - to_minutes({east}) END"
        # `least` and `greatest` ignore NULL, so a missing time would become the first of all.
        return f"CASE WHEN {column} IS NOT NULL THEN least(greatest({moment}, {first}), {last}) END"

    def to_local(self, instant: str) -> str:
        """Return SQL of the local time of a column of instants."""
        return f"({instant} + to_seconds({self._offset(instant, [c.moment for c in self.changes])}))"

    def beyond(self, column: str, east: str) -> str:
        """Return a SQL condition: `to_instant` moves this time, since it leaves the calendar."""
        low, high = map(literal, self.local_limits)
        first, last = map(literal, self.limits)
        return (
            f"CASE WHEN {east} IS NULL THEN {column} NOT BETWEEN {low} AND {high} "
            f"ELSE {column} - to_minutes({east}) NOT BETWEEN {first} AND {last} END"
        )

    def repeated(self, column: str) -> str:
        """Return a SQL condition: this local time exists twice."""
        return _within(column, [c.gap for c in self.changes if c.real and c.after < c.before])

    def skipped(self, column: str) -> str:
        """Return a SQL condition: this local time does not exist."""
        return _within(column, [c.gap for c in self.changes if c.real and c.after > c.before])

    def _offset(self, column: str, changes: Sequence[datetime]) -> str:
        return search_tree(column, changes, [self.first_offset, *(c.after for c in self.changes)])


def search_tree(column: str, begins: Sequence[datetime], values: Sequence[int]) -> str:
    """Return SQL of the value of the stretch of time that `column` is in: values[n] from begins[n - 1] on, as nested CASEs."""
    if not begins:
        return str(values[0])
    middle = len(begins) // 2
    before = search_tree(column, begins[:middle], values[: middle + 1])
    after = search_tree(column, begins[middle + 1 :], values[middle + 1 :])
    return f"CASE WHEN {column} < {literal(begins[middle])} THEN {before} ELSE {after} END"


def years_of(connection: "DuckDBPyConnection", relation: str, columns: Sequence[str]) -> set[int]:
    """Return the years in which columns of times have values, and the years beside them (which they are in elsewhere)."""
    if not columns:
        return set()
    ends = one(connection, f"SELECT {', '.join(f'year(min({c})), year(max({c}))' for c in columns)} FROM {relation}")
    years: set[int] = set()
    for column, low, high in zip(columns, ends[::2], ends[1::2], strict=True):
        if low is None:
            continue
        if high - low < _MOST_YEARS:
            years.update(range(low - 1, high + 2))
        else:
            occurring = rows(connection, f"SELECT DISTINCT year({column}) FROM {relation} WHERE {column} IS NOT NULL")
            years.update(year + step for (year,) in occurring for step in (-1, 0, 1))
    return years


def clock(zone: ZoneInfo, years: Iterable[int]) -> Clock:
    """Return the clock of a zone for local times in these years (those outside the calendar become its ends)."""
    runs = _runs(sorted({min(max(year, FIRST.year), LAST.year) for year in years}) or [LAST.year])
    start = offset = _offset_at(runs[0][0], zone)
    changes: list[ClockChange] = []
    for begin, end in runs:
        if (now := _offset_at(begin, zone)) != offset:
            # Years without data lie between: one change bridges what happened in them.
            changes.append(_change(begin, offset, now, real=False))
        for at, before, after in _changes_between(begin, end, zone):
            changes.append(_change(at, before, after))
        offset = _offset_at(end, zone)
    return Clock(zone, start, tuple(changes))


def _runs(years: list[int]) -> list[tuple[datetime, datetime]]:
    """Return stretches of instants that hold these local years, with two days to spare at both ends; touching ones joined."""
    stretches: list[tuple[datetime, datetime]] = []
    for year in years:
        begin = datetime(year, 1, 1) - 2 * _DAY if year > FIRST.year else FIRST + _DAY  # noqa: DTZ001 - readings
        end = datetime(year + 1, 1, 1) + 2 * _DAY if year < LAST.year else LAST - _DAY  # noqa: DTZ001 - readings
        if stretches and begin <= stretches[-1][1]:
            begin = stretches.pop()[0]
        stretches.append((begin, end))
    return stretches


def _changes_between(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, int, int]]:
    """Yield the instants of clock changes with the offsets before and after, looked for day by day and then by halving."""
    low, before = begin, _offset_at(begin, zone)
    while low < end:
        high = min(low + _DAY, end)
        after = _offset_at(high, zone)
        if after != before:
            yield _first_with(low, high, after, zone), before, after
        low, before = high, after


def _first_with(low: datetime, high: datetime, offset: int, zone: ZoneInfo) -> datetime:
    """Return the first whole second after `low` with the offset that `high` has."""
    seconds = range(int((high - low).total_seconds()))
    return low + timedelta(
        seconds=bisect_left(seconds, True, key=lambda s: _offset_at(low + timedelta(seconds=s), zone) == offset)
    )


def _offset_at(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


def _change(at: datetime, before: int, after: int, *, real: bool = True) -> ClockChange:
    return ClockChange(at + timedelta(seconds=max(before, after)), before, after, real)


def _within(column: str, stretches: list[tuple[datetime, datetime]]) -> str:
    """Return a SQL condition: the time lies in one of these half-open stretches."""
    tests = " OR ".join(f"({column} >= {literal(low)} AND {column} < {literal(high)})" for low, high in stretches)
    return f"({tests})" if tests else "FALSE"
