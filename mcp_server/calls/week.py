"""Times of the week: which minutes on which weekdays, in Beijing time; read from text, drawn as a chart."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mcp_server.calls.problems import finding
from mcp_server.errors import Problem, Repair
from mcp_server.language.suggest import nearest
from mcp_server.text import Text, clauses, listed

# Times of the week: which minutes, on which weekdays, in Beijing time.
#
# A `Week` is a set of minutes, counted from Monday 00:00; China has one time zone and no clock changes, so every week
# is the same. The numbers that the vendor gives to weekdays stand only in `vendor_times.py`.


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
        """The minutes that at least one of the spans holds."""
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


def on_days(weekdays: Iterable[int], start: int, end: int) -> Iterable[Span]:
    """The same time on several weekdays. An end not after the start is on the next day; after Sunday comes Monday."""
    for weekday in weekdays:
        first = weekday * DAY
        if end > start:
            yield first + start, first + end
        else:
            yield first + start, first + DAY
            following = (first + DAY) % WEEK
            yield following, following + end


def clock(minute: int) -> str:
    """A minute of a day, 0 to 1440, as `HH:MM`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def grouped(week: Week) -> tuple[tuple[tuple[int, ...], tuple[Span, ...]], ...]:
    """Weekdays with the same times together, each day with its times once; days without any are left out."""
    groups: dict[tuple[Span, ...], list[int]] = {}
    for weekday in range(7):
        spans = week.of_day(weekday)
        if spans:
            groups.setdefault(spans, []).append(weekday)
    return tuple((tuple(days), spans) for spans, days in groups.items())


def written(week: Week) -> tuple[str, ...]:
    """The week as a caller writes it: `mon-sat 10:00-12:00`, `sun 09:00-10:00`. Reading that gives the same week,
    but for an end at 23:59, which means through midnight."""
    return tuple(
        f"{_runs_written(days)} {','.join(f'{clock(a)}-{clock(b)}' for a, b in spans)}" for days, spans in grouped(week)
    )


def _runs_written(days: tuple[int, ...]) -> str:
    runs = [[WEEKDAYS[d] for d in run] for run in _runs(days)]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs)


def in_words(week: Week) -> Text:
    """`Mon–Sat 10:00-12:00; Sun 09:00-10:00`."""
    if week == ALWAYS:
        return _ALWAYS
    parts = [
        Text(f"{named.en} {times}", f"{named.zh} {times}")
        for days, spans in grouped(week)
        for named, times in [(_days_in_words(days), " ".join(f"{clock(a)}-{clock(b)}" for a, b in spans))]
    ]
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


# An item of the vendor's `ForbidTimeList`, where somebody hands it on as it stands on the vendor's page.


NUMBERS: Final = {0: 2, 1: 3, 2: 4, 3: 5, 4: 6, 5: 7, 6: 1}
"""Weekdays (0 = Monday) by the vendor's numbers: 1 = Sunday … 7 = Saturday. (ISO and other vendors number otherwise.)"""
DAYS: Final = {number: day for day, number in NUMBERS.items()}


def in_our_words(text: str) -> str:
    """`{"Weekdays":[3],"Times":["10:00-11:00"]}` as `tue 10:00-11:00`; "" where it is no such item.

    Its keys say whose numbers these are, so that they have one reading. Days left out are every day.
    """
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(item, dict) or not item.get("Times") or item.keys() - {"Weekdays", "Times"}:
        return ""
    numbers, times = item.get("Weekdays") or [], item["Times"]
    if not isinstance(numbers, list) or not isinstance(times, list) or not all(isinstance(t, str) for t in times):
        return ""
    if not all(type(number) is int and number in DAYS for number in numbers):
        return ""
    days = ",".join(WEEKDAYS[day] for day in sorted(DAYS[number] for number in numbers))
    return f"{days} {','.join(times)}".strip()


# Reading times of the week as people write them: `mon-sat 10:00-12:00`, `sun`, `12:00-14:00,20:00-09:00`.
#
# An entry is any weekdays and ranges of times, in any order, parted by blanks or commas. Weekdays alone are whole
# days, times alone are every day.


MOST_RANGES = 100
"""Ranges of times in one argument."""

_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES: Mapping[str, str] = {
    **{name: name for name in WEEKDAYS},
    **dict(zip(_FULL, WEEKDAYS, strict=True)),
    **{name + "s": day for name, day in zip(_FULL, WEEKDAYS, strict=True)},
    **{
        before + c: day
        for before in ("周", "星期", "礼拜")
        for row in ("一二三四五六日", "一二三四五六天")
        for c, day in zip(row, WEEKDAYS, strict=True)
    },
}
"""Every name of a weekday that can mean only one day."""

_LIKELY: Mapping[str, str] = {
    **dict(zip("1234567", ("sun", "mon", "tue", "wed", "thu", "fri", "sat"), strict=True)),
    **dict.fromkeys(("weekend", "weekends", "周末"), "sat-sun"),
    **dict.fromkeys(("weekday", "weekdays", "workday", "workdays", "工作日"), "mon-fri"),
    **dict.fromkeys(("daily", "everyday", "每天", "每日"), "mon-sun"),
}
"""What may be meant by words that are not taken, because they are read in more than one way."""

_DASH = re.compile(r"\s*[-–—－~～至到]\s*")
_PART = re.compile(r"[\s,，、;；]+")
_DIGIT = re.compile(r"\d", re.ASCII)
_RANGE = re.compile(r"(\d{1,2})[:：](\d{2})-(\d{1,2})[:：](\d{2})", re.ASCII)
_HOURS = re.compile(r"(\d{1,2})(:\d{2})?(?:点|时|h)?(am|pm)?-(\d{1,2})(:\d{2})?(?:点|时|h)?(am|pm)?", re.ASCII)
"""Ranges that are understood well enough to suggest what was meant."""
_SPELT = Text("read so", "按此理解")
_VENDORS = Text("the vendor's form, in which 1 is Sunday", "服务商的写法，其中 1 表示周日")


@dataclass
class TimeFindings:
    """What a reader met on its way."""

    problems: list[Problem] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)


def read_week(entries: Sequence[str], path: str, found: TimeFindings) -> Week:
    """The minutes that the entries name. A range over midnight is split there, its second half on the next day.

    What cannot be read becomes a problem in `found`, and what was spelt otherwise a repair.
    """
    if sum(1 + entry.count(":") for entry in entries) > 2 * MOST_RANGES:
        found.problems.append(finding("call_too_many_times", path, limit=MOST_RANGES))
        return NEVER
    return Week.of(span for n, entry in enumerate(entries) for span in _entry(entry, f"{path}/{n}", found))


def _entry(text: str, path: str, found: TimeFindings) -> Iterator[Span]:
    vendors = in_our_words(text) if text.lstrip().startswith("{") else ""
    if vendors:
        found.repairs.append(Repair(path, text, vendors, _VENDORS))
        text = vendors
    words = [word for word in _PART.split(_DASH.sub("-", text)) if word]
    days: list[int] = []
    ranges: list[Span] = []
    spelt: list[str] = []
    for word in words:
        timed = _DIGIT.match(word) is not None and word not in _LIKELY
        named = "" if timed else _named(word)
        span = read_range(word) if timed else None
        if not named and span is None:
            found.problems.append(_fault(text, word, path, timed=timed))
            return
        if span:
            ranges.append(span)
        days += _days(named)
        spelt.append(named or _clocks(word))
    if not words:
        found.problems.append(finding("call_entry_empty", path, got=text))
    elif spelt != words and not vendors:
        found.repairs.append(Repair(path, text, " ".join(spelt), _SPELT))
    for start, end in (ranges or [(0, DAY)]) if words else ():
        yield from on_days(sorted(set(days)) if days else range(7), start, end)


def _named(word: str) -> str:
    """A weekday or a run of them in our words, such as `mon-sat`; "" where it is none."""
    parts = [_NAMES.get(part.casefold().rstrip("."), "") for part in word.split("-")]
    return "-".join(parts) if all(parts) and len(parts) <= 2 else ""


def _days(named: str) -> list[int]:
    """The days of a run; after Sunday comes Monday."""
    if not named:
        return []
    first, _, last = named.partition("-")
    start = WEEKDAYS.index(first)
    length = (WEEKDAYS.index(last) - start) % 7 if last else 0
    return [(start + n) % 7 for n in range(length + 1)]


def read_range(word: str) -> Span | None:
    """Start and end of `HH:MM-HH:MM` in minutes of a day, the end 1 to 1440; an end not after the start is on the next day.

    An end at 23:59 means through midnight. None where it is no range, or an empty one.
    """
    match = _RANGE.fullmatch(word)
    hours = [int(part) for part in match.groups()] if match else []
    if not hours or hours[1] > 59 or hours[3] > 59 or hours[0] > 23:
        return None
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if end > DAY or (start == end and end != DAY - 1):
        return None
    return start, DAY if end in (0, DAY - 1) else end


def _clocks(word: str) -> str:
    """A range as it is written: two digits each."""
    match = _RANGE.fullmatch(word)
    return "{:0>2}:{}-{:0>2}:{}".format(*match.groups()) if match else word


def _fault(text: str, word: str, path: str, *, timed: bool) -> Problem:
    """What is wrong with a word, and the entry as it may have been meant."""
    if timed:
        match = _RANGE.fullmatch(word)
        empty = match is not None and match[1].zfill(2) + match[2] == match[3].zfill(2) + match[4]
        near, code = ("00:00-23:59", "call_range_empty") if empty else (_hours(word), "call_range_invalid")
    else:
        parts = [_likely(part) for part in word.casefold().split("-")]
        runs = len(parts) > 2 or any("-" in part for part in parts)
        near, code = ("," if runs else "-").join(parts) if all(parts) else "", "call_weekday_unknown"
    suggestion = (
        _DASH.sub("-", text).replace(word, near, 1).strip() if near and not text.lstrip().startswith("{") else ""
    )
    return finding(code, path, got=text, suggestion=suggestion, expected=listed(WEEKDAYS), word=word)


def _hours(word: str) -> str:
    """`10-12`, `10点-12点` or `10am-2pm` as a range; "" where that is none."""
    match = _HOURS.fullmatch(word.casefold().replace("：", ":"))
    if not match:
        return ""
    ends = []
    for hour, minutes, half in (match.groups()[:3], match.groups()[3:]):
        full = int(hour) if not half else int(hour) % 12 + 12 * (half == "pm")
        ends.append(f"{full:02}{minutes or ':00'}")
    written = "-".join(ends)
    return written if written != word and read_range(written) else ""


def _likely(word: str) -> str:
    known = _NAMES.get(word) or _LIKELY.get(word)
    return known or nearest(word, WEEKDAYS) or _NAMES.get(nearest(word, _NAMES), "")


# The times of the week at which calls may happen, drawn with characters: a row a day, a column an hour.


FULL, PART, CLOSED = "█", "▒", "·"
_LEGEND = Text(
    f"{FULL} calls may start  {PART} part of the hour  {CLOSED} none (Beijing time)",
    f"{FULL} 可外呼  {PART} 部分可外呼  {CLOSED} 不外呼（北京时间）",
)
_HOUR_MARKS = "".join(f"{hour:<3}" for hour in range(0, 24, 3))


def chart(week: Week) -> Text:
    """Eight lines and a legend, in a fixed-width font."""
    rows = [_row(week, day) for day in range(7)]
    return Text(
        "\n".join(
            ["    " + _HOUR_MARKS.rstrip(), *(f"{DAY_NAMES[d].en} {row}" for d, row in enumerate(rows)), _LEGEND.en]
        ),
        "\n".join(
            ["     " + _HOUR_MARKS.rstrip(), *(f"{DAY_NAMES[d].zh} {row}" for d, row in enumerate(rows)), _LEGEND.zh]
        ),
    )


def _row(week: Week, day: int) -> str:
    return "".join(_cell(week, day, hour * 60) for hour in range(24))


def _cell(week: Week, day: int, start: int) -> str:
    minutes = sum(max(0, min(b, start + 60) - max(a, start)) for a, b in week.of_day(day))
    return FULL if minutes == 60 else PART if minutes else CLOSED
