"""Reading times of the week as people write them: `mon-sat 10:00-12:00`, `sun`, `12:00-14:00,20:00-09:00`.

An entry is any weekdays and ranges of times, in any order, parted by blanks or commas. Weekdays alone are whole days,
times alone are every day.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mcp_server.calls.problems import finding
from mcp_server.calls.vendor_times import in_our_words
from mcp_server.calls.week import DAY, NEVER, WEEKDAYS, Span, Week, on_days
from mcp_server.errors import Problem, Repair
from mcp_server.qp.suggest import nearest
from mcp_server.text import Text, listed

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
class Findings:
    """What a reader met on its way."""

    problems: list[Problem] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)


def read_week(entries: Sequence[str], path: str, found: Findings) -> Week:
    """The minutes that the entries name. A range over midnight is split there, its second half on the next day.

    What cannot be read becomes a problem in `found`, and what was spelt otherwise a repair.
    """
    if sum(1 + entry.count(":") for entry in entries) > 2 * MOST_RANGES:
        found.problems.append(finding("call_too_many_times", path, limit=MOST_RANGES))
        return NEVER
    return Week.of(span for n, entry in enumerate(entries) for span in _entry(entry, f"{path}/{n}", found))


def _entry(text: str, path: str, found: Findings) -> Iterator[Span]:
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
