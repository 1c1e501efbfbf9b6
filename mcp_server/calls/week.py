"""Times of the week: which minutes on which weekdays, in Beijing time; written as text, in words and as a chart.

A `Week` is a set of minutes, counted from Monday 00:00. China has one time zone and no clock changes, so every week is
the same.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mcp_server.text import Text, clauses, joined_by, listed

DAY = 1440
"""Minutes of a day."""
WEEK = 7 * DAY
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = (
    Text("Mon", "周一"), Text("Tue", "周二"), Text("Wed", "周三"), Text("Thu", "周四"),
    Text("Fri", "周五"), Text("Sat", "周六"), Text("Sun", "周日"),
)  # fmt: skip

Span = tuple[int, int]
"""Minutes from the first to before the second."""

RANGE = re.compile(r"(\d{1,2})[:：](\d{2})-(\d{1,2})[:：](\d{2})", re.ASCII)

_EVERY_DAY = Text("every day", "每天")
_NEVER = Text("at no time", "任何时间都不外呼")
_ALWAYS = Text("at any time", "不限时段")
_FROM_TO = Text("{first}–{last}", "{first}至{last}")


@dataclass(frozen=True, slots=True)
class Week:
    """A set of minutes of the week: sorted spans in 0 to 10080 that neither overlap nor touch."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> "Week":
        """Return the minutes that are in at least one of the spans."""
        joined: list[Span] = []
        for start, end in sorted(s for s in spans if s[0] < s[1]):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return cls(tuple(joined))

    def complement(self) -> "Week":
        """All other minutes."""
        edges = [0, *(minute for span in self.spans for minute in span), WEEK]
        return Week.of(zip(edges[::2], edges[1::2], strict=True))

    def both(self, other: "Week") -> "Week":
        """The minutes that are in this one and in the other."""
        return Week.of((max(a, c), min(b, d)) for a, b in self.spans for c, d in other.spans)

    def of_day(self, weekday: int) -> tuple[Span, ...]:
        """The minutes of one weekday (0 = Monday), counted from its midnight, 0 to 1440."""
        first = weekday * DAY
        cut = ((max(a - first, 0), min(b - first, DAY)) for a, b in self.spans)
        return tuple(span for span in cut if span[0] < span[1])

    @property
    def minutes(self) -> int:
        return sum(end - start for start, end in self.spans)


NEVER = Week()
ALWAYS = Week(((0, WEEK),))


def on_days(weekdays: Iterable[int], start: int, end: int) -> Iterator[Span]:
    """Yield the same time on several weekdays. An end not after the start is on the next day; after Sunday comes Monday."""
    for weekday in weekdays:
        first = weekday * DAY
        if end > start:
            yield first + start, first + end
        else:
            yield first + start, first + DAY
            following = (first + DAY) % WEEK
            yield following, following + end


def read_range(text: str) -> Span | None:
    """Read `HH:MM-HH:MM`: start and end in minutes of a day, the end 1 to 1440; an end not after the start is on the next day.

    An end at 23:59 means through midnight. None where it is no range, or an empty one.
    """
    match = RANGE.fullmatch(text)
    hours = [int(part) for part in match.groups()] if match else []
    if not hours or hours[1] > 59 or hours[3] > 59 or hours[0] > 23:
        return None
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if end > DAY or (start == end and end != DAY - 1):
        return None
    return start, DAY if end in (0, DAY - 1) else end


def clock(minute: int) -> str:
    """A minute of a day, 0 to 1440, as `HH:MM`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def grouped(week: Week) -> tuple[tuple[tuple[int, ...], tuple[Span, ...]], ...]:
    """Group weekdays with the same times, each day with its times once; days without any are left out."""
    groups: dict[tuple[Span, ...], list[int]] = {}
    for weekday in range(7):
        spans = week.of_day(weekday)
        if spans:
            groups.setdefault(spans, []).append(weekday)
    return tuple((tuple(days), spans) for spans, days in groups.items())


def written(week: Week) -> tuple[str, ...]:
    """The week as a caller writes it: `mon-sat 10:00-12:00`, `sun 09:00-10:00`. Reading that gives the same week,
    but for an end at 23:59, which means through midnight."""
    entries = []
    for days, spans in grouped(week):
        runs = [[WEEKDAYS[day] for day in run] for run in _runs(days)]
        names = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs)
        entries.append(f"{names} {','.join(f'{clock(a)}-{clock(b)}' for a, b in spans)}")
    return tuple(entries)


def in_words(week: Week) -> Text:
    """The week as a person reads it: `Mon–Sat 10:00-12:00; Sun 09:00-10:00`."""
    if week == ALWAYS:
        return _ALWAYS
    parts = []
    for days, spans in grouped(week):
        names, times = _days_in_words(days), " ".join(f"{clock(a)}-{clock(b)}" for a, b in spans)
        parts.append(Text(f"{names.en} {times}", f"{names.zh} {times}"))
    return clauses(parts) if parts else _NEVER


def _days_in_words(days: tuple[int, ...]) -> Text:
    if len(days) == 7:
        return _EVERY_DAY
    return listed([
        _FROM_TO.format(first=DAY_NAMES[run[0]], last=DAY_NAMES[run[-1]])
        if len(run) > 2
        else listed([DAY_NAMES[d] for d in run])
        for run in _runs(days)
    ])  # fmt: skip


def _runs(days: tuple[int, ...]) -> list[list[int]]:
    """Days that follow each other, together."""
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


# The chart: a row a day, a column an hour


FULL, PART, CLOSED = "█", "▒", "·"
_LEGEND = Text(
    f"{FULL} calls may start  {PART} part of the hour  {CLOSED} none (Beijing time)",
    f"{FULL} 可外呼  {PART} 部分可外呼  {CLOSED} 不外呼（北京时间）",
)


def chart(week: Week) -> Text:
    """Draw the times at which calls may start: eight lines and a legend, for a fixed-width font."""
    hours = "".join(f"{hour:<3}" for hour in range(0, 24, 3)).rstrip()
    lines = [Text(" " * 4 + hours, " " * 5 + hours)]
    for day, name in enumerate(DAY_NAMES):
        row = "".join(_cell(week, day, hour * 60) for hour in range(24))
        lines.append(Text(f"{name.en} {row}", f"{name.zh} {row}"))
    return joined_by("\n", "\n", [*lines, _LEGEND])


def _cell(week: Week, day: int, start: int) -> str:
    minutes = sum(max(0, min(b, start + 60) - max(a, start)) for a, b in week.of_day(day))
    return FULL if minutes == 60 else PART if minutes else CLOSED
