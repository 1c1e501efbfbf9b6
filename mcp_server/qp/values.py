"""Problems and warnings of the values of one filter, by what its comparator asks (qp.md section 4)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from mcp_server.errors import Problem
from mcp_server.qp import vocabulary as words
from mcp_server.qp.fault import TYPE_NAMES
from mcp_server.qp.likely import likely_number, likely_time, likely_window, recent_fault
from mcp_server.qp.metadata import Property
from mcp_server.qp.numbers import MAX_DIGITS, MAX_PLACES, parse_number, tidy_number
from mcp_server.qp.problems import finding, shorten
from mcp_server.qp.suggest import nearest
from mcp_server.qp.window import MAX_DAYS_BACK, parse_time
from mcp_server.text import Text, listed

_FULL_PERIODS = (7, 14, 30, 60, 90, 180, 365)
_A_NUMBER = Text(
    f"a number as text, such as 4.5 (at most {MAX_DIGITS} digits, {MAX_PLACES} after the point)",
    f"文本形式的数字，如 4.5（最多 {MAX_DIGITS} 位，小数 {MAX_PLACES} 位）",
)
_A_TIME = Text("yyyy-MM-dd HH:mm:ss or yyyy-MM-dd", "形如 yyyy-MM-dd HH:mm:ss 或 yyyy-MM-dd 的时间")
_MOVING = Text(
    'a fixed time, yyyy-MM-dd HH:mm:ss or yyyy-MM-dd; for days back use relativeCurrentBetween with two values such as "1", "7"',
    "固定时间，形如 yyyy-MM-dd HH:mm:ss 或 yyyy-MM-dd；若按往前的天数，请用 relativeCurrentBetween，取两个值，如 \"1\"、\"7\"",
)  # fmt: skip
_A_POSITION = Text("a position from 1 up", "从 1 开始的位置")
_DAYS_BACK = Text("whole days back, 0 to 36500", "往前的整天数，0 至 36500")
_A_SPAN = Text("a whole number from 0 up (at most 100 years)", "不小于 0 的整数（最长 100 年）")


class Values(NamedTuple):
    """The values of one filter, of the right number and all text, with what they are held against."""

    ftv: list[str]
    at: Callable[..., str]
    """The pointer, as sent, of `ftv` or of a value in it."""
    row: words.Comparator
    found: Property
    unit: int
    """Seconds of the `timeUnit`."""
    today: date
    regex_fault: Callable[[str], str]

    def wrong(self, i: int, expected: Text, suggestion: str = "") -> Problem:
        """The value at `i` cannot be read as what it has to be."""
        kind = TYPE_NAMES[self.found.type]
        return finding("value_type", self.at(i), got=self.ftv[i], expected=expected, suggestion=suggestion,
                       name=self.found.name, type=kind)  # fmt: skip


def value_findings(values: Values) -> Iterator[Problem]:
    """Everything wrong with the values of one filter."""
    check = _BY_TEST.get(values.row.test) or _BY_TYPE.get(values.found.type)
    if check:
        yield from check(values)
    elif values.row.test in (words.Test.ONE_OF, words.Test.HOLDS):
        yield from _unseen(values)


def recent_findings(text: str, at: str, today: date, *, as_values: bool = False) -> Iterator[Problem]:
    """Problems and warnings of a window "A-B" (qp.md section 2), or of one that was sent as two values of a filter."""
    shown = _as_two if as_values else str
    fault = recent_fault(text, today, as_values=as_values)
    if fault:
        yield finding("window_invalid", at, got=text, suggestion=shown(fault.suggestion), why=fault.why)
        return
    near, far = (int(n) for n in text.split("-"))
    if near == 0 and far + 1 in _FULL_PERIODS:
        better = f"0-{far + 1}"
        yield finding("recent_day_six", at, got=text, suggestion=shown(better), better=better, days=far, full=far + 1)


def _as_two(window: str) -> str:
    """A window as the list of its two ends."""
    return json.dumps(window.split("-")) if window else ""


def _numbers(values: Values) -> Iterator[Problem]:
    numbers = [parse_number(text) for text in values.ftv]
    apart = _taken_apart(values)
    if apart:
        yield finding("value_type", values.at(), got=values.ftv[0], expected=_NUMBERS_APART, suggestion=apart,
                      name=values.found.name, type=TYPE_NAMES["number"])  # fmt: skip
        return
    for i, number in enumerate(numbers):
        if number is None:
            yield values.wrong(i, _A_NUMBER, likely_number(values.ftv[i]))
    good = [n for n in numbers if n is not None]
    if values.row.test is words.Test.BETWEEN and len(good) == 2 and good[0] > good[1]:
        yield _turned(values)


_NUMBERS_APART = Text("a list with one number in each text", "列表，每个文本一个数字")


def _taken_apart(values: Values) -> str:
    """Several numbers that were written as one text, as a list; "" where it is not that."""
    if len(values.ftv) != 1 or values.row.test is not words.Test.ONE_OF or parse_number(values.ftv[0]) is not None:
        return ""
    parts = [part.strip() for part in re.split("[,，、;；]", values.ftv[0])]
    if len(parts) < 2 or tidy_number(values.ftv[0]) or any(parse_number(part) is None for part in parts):
        return ""
    return json.dumps(parts)


def _times(values: Values) -> Iterator[Problem]:
    times = [parse_time(text) for text in values.ftv]
    for i, written in enumerate(times):
        if written is None or not written.plain:
            likely = likely_time(values.ftv[i])
            moving = not likely and bool(likely_window(values.ftv[i]))
            yield values.wrong(i, _MOVING if moving else _A_TIME, likely)
        elif written.bare_date and values.row.test in (words.Test.ONE_OF, words.Test.ABOVE):
            yield finding("bare_date", values.at(i), got=values.ftv[i], meaning=f"{values.ftv[i]} 00:00:00")
    good = [t.moment for t in times if t is not None and t.plain]
    if values.row.test is words.Test.BETWEEN and len(good) == 2 and good[0] > good[1]:
        yield _turned(values)


def _turned(values: Values) -> Problem:
    low, high = values.ftv
    return finding("range_invalid", values.at(), got=f"{low}, {high}", suggestion=f'["{high}", "{low}"]')


MOST_LENGTH = 100
"""Characters of a value that is named as one there is."""
MOST_UNSEEN = 20
"""Values of one filter that no user has and that are each told by themselves; the others are told together."""


def _unseen(values: Values) -> Iterator[Problem]:
    if not values.found.values_known:
        return
    known = {v.value: None for v in values.found.top}
    unseen = [(i, text) for i, text in enumerate(values.ftv) if text not in known]
    parts = [part.strip() for part in re.split("[,，、;；]", values.ftv[0])] if len(values.ftv) == 1 else []
    if unseen and len(parts) > 1 and all(part in known for part in parts):
        apart = json.dumps(parts, ensure_ascii=False)
        yield finding("value_unseen", values.at(), got=values.ftv[0], expected=apart, suggestion=apart,
                      name=values.found.name, table=words.TABLES[values.found.table])  # fmt: skip
        return
    name, table = values.found.name, words.TABLES[values.found.table]
    some = listed(shorten(value, MOST_LENGTH) for value in list(known)[:10])
    for i, text in unseen[:MOST_UNSEEN]:
        near = nearest(text, known, least=0.5)
        yield finding("value_unseen", values.at(i), got=text, expected=some, suggestion=near, name=name, table=table)
    more = unseen[MOST_UNSEEN:]
    if more:
        few = [text for _, text in more[:3]] + ([f"… ({len(more)})"] if len(more) > 3 else [])
        yield finding("value_unseen", values.at(), got=listed(few), expected=some, name=name, table=table)


def _pattern(values: Values) -> Iterator[Problem]:
    fault = values.regex_fault(values.ftv[0])
    if fault:
        yield finding("regex_invalid", values.at(0), got=values.ftv[0], detail=fault)


def _position(values: Values) -> Iterator[Problem]:
    if not re.fullmatch("[0-9]{1,9}", values.ftv[0]) or int(values.ftv[0]) < 1:
        yield values.wrong(0, _A_POSITION)


def _recent(values: Values) -> Iterator[Problem]:
    yield from recent_findings("-".join(values.ftv), values.at(), values.today, as_values=True)


def _days_back(values: Values) -> Iterator[Problem]:
    if not re.fullmatch("[0-9]{1,5}", values.ftv[0]) or int(values.ftv[0]) > MAX_DAYS_BACK:
        near, _, far = likely_window(values.ftv[0]).partition("-")
        yield values.wrong(0, _DAYS_BACK, far if near in ("1", far) else "")


def _span(values: Values) -> Iterator[Problem]:
    number = parse_number(values.ftv[0])
    if number is None or number < 0 or number != int(number) or number * values.unit > MAX_DAYS_BACK * 86400:
        yield values.wrong(0, _A_SPAN)


def _nothing(_values: Values) -> Iterator[Problem]:
    return iter(())


_Check = Callable[[Values], Iterator[Problem]]

_BY_TEST: Mapping[words.Test, _Check] = {
    words.Test.MISSING: _nothing,
    words.Test.MEMBER: _nothing,
    words.Test.MATCHES: _pattern,
    words.Test.ITEM_AT: _position,
    words.Test.RECENT: _recent,
    words.Test.BEFORE_DAY: _days_back,
    words.Test.NEAR_EVENT: _span,
}
_BY_TYPE: Mapping[str, _Check] = {"number": _numbers, "time": _times}
