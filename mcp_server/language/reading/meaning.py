"""Problems and warnings of meaning: a repaired definition compared with the project's data (qp.md sections 2 to 5, 8).

Walks the repaired JSON and not the models, so that a wrong key in one condition does not hide an unknown event in the
next. Reads only what has the right shape; `shape.py` reports the rest.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time, timedelta
from typing import Any, NamedTuple, assert_never

from mcp_server.errors import Problem
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Event, Metadata, Property
from mcp_server.language.model import DAY
from mcp_server.language.names import dependency_findings
from mcp_server.language.problems import finding, shorten
from mcp_server.language.reading.document import LIST_LIMITS, Repaired
from mcp_server.language.reading.shape import ONE_NUMBER, TYPE_NAMES, suggest_num, types_named
from mcp_server.language.reading.suggestions import (
    TURNED,
    bound_fault,
    recent_fault,
    suggest_any_event,
    suggest_number,
    suggest_time,
    suggest_window,
)
from mcp_server.language.suggest import nearest_named, same_value
from mcp_server.language.values import (
    MAX_DAYS_BACK,
    MAX_DIGITS,
    MAX_PLACES,
    Span,
    instant,
    is_too_long,
    local,
    parse_number,
    parse_numbers,
    parse_time,
    recent_days,
    show_time,
    span_between,
    span_of_days,
    tidy_number,
)
from mcp_server.language.vocabulary import Path, Test, bound_side
from mcp_server.text import NOTHING, Text, joined_by, listed

Dict = dict[str, Any]

# The values of one filter (qp.md section 4)

_FULL_PERIODS = (7, 14, 30, 60, 90, 180, 365)
_A_NUMBER = Text(
    f"a number as text, such as 4.5 (at most {MAX_DIGITS} digits, {MAX_PLACES} after the point)",
    f"文本形式的数字，如 4.5（最多 {MAX_DIGITS} 位，小数 {MAX_PLACES} 位）",
)
_NUMBERS_APART = Text("a list with one number in each text", "列表，每个文本一个数字")
_A_TIME = Text("yyyy-MM-dd HH:mm:ss or yyyy-MM-dd", "形如 yyyy-MM-dd HH:mm:ss 或 yyyy-MM-dd 的时间")
_MOVING = Text(
    'a fixed time, yyyy-MM-dd HH:mm:ss or yyyy-MM-dd; for days back use relativeCurrentBetween with two values such as "1", "7"',
    "固定时间，形如 yyyy-MM-dd HH:mm:ss 或 yyyy-MM-dd；若按往前的天数，请用 relativeCurrentBetween，取两个值，如 \"1\"、\"7\"",
)  # fmt: skip
_A_POSITION = Text("a position from 1 up", "从 1 开始的位置")
_DAYS_BACK = Text("whole days back, 0 to 36500", "往前的整天数，0 至 36500")
_DAY_BEFORE = Text(
    'whole days back, 0 to 36500, and a day ahead is no such number; earlier than that day is less with the value "{day}"',
    '往前的整天数（0 至 36500），不能写未来的天数；若要早于那一天，请用 less，取值 "{day}"',
)
_DATE_BEFORE = Text(
    'whole days back, 0 to 36500; earlier than a date is less with the value "{day}"',
    '往前的整天数（0 至 36500）；若要早于某个日期，请用 less，取值 "{day}"',
)
_A_SPAN = Text("a whole number from 0 up (at most 100 years)", "不小于 0 的整数（最长 100 年）")

MOST_LENGTH = 100
"""Characters of a known value that a warning quotes."""
MOST_UNSEEN = 20
"""Values of one filter that no user has and that get a warning each; the others share one."""


class FilterValues(NamedTuple):
    """The values of one filter, of the right number and all text, with what they are compared with."""

    ftv: list[str]
    at: Callable[..., str]
    """The pointer, as sent, to `ftv` or to a value in it."""
    row: words.Comparator
    property: Property
    unit: int
    """Seconds of the `timeUnit`."""
    today: date
    regex_fault: Callable[[str], str]

    def wrong(self, i: int | None, expected: Text, suggestion: str = "") -> Problem:
        """The value at `i`, or of None the list, cannot be read as what it has to be."""
        at, got = (self.at(), self.ftv[0]) if i is None else (self.at(i), self.ftv[i])
        return finding("value_type", at, got=got, expected=expected, suggestion=suggestion,
                       name=self.property.name, type=TYPE_NAMES[self.property.type])  # fmt: skip

    def turned(self, legal: Sequence[Any]) -> Iterator[Problem]:
        """A range whose lower value is above the upper one; `legal` are the values that could be read."""
        if self.row.test is Test.BETWEEN and len(legal) == 2 and legal[0] > legal[1]:
            low, high = self.ftv
            yield finding("range_invalid", self.at(), got=f"{low}, {high}", suggestion=f'["{high}", "{low}"]')


def value_findings(values: FilterValues) -> Iterator[Problem]:
    """Everything wrong with the values of one filter, by what its comparator asks."""
    match values.row.test:
        case Test.ONE_OF | Test.ABOVE | Test.BELOW | Test.BETWEEN:
            if values.property.type == "number":
                return _numbers(values)
            return _times(values) if values.property.type == "time" else _unseen(values)
        case Test.HOLDS | Test.CONTAINS:
            return _unseen(values)
        case Test.MATCHES:
            return _pattern(values)
        case Test.ITEM_AT:
            return _position(values)
        case Test.RECENT:
            return recent_findings("-".join(values.ftv), values.at(), values.today, as_values=True)
        case Test.BEFORE_DAY:
            return _days_back(values)
        case Test.BEFORE_EVENT | Test.AFTER_EVENT | Test.AROUND_EVENT:
            return _span(values)
        case Test.TRUE | Test.MISSING | Test.EMPTY | Test.MEMBER:
            return iter(())
        case unknown:
            assert_never(unknown)


def recent_findings(text: str, at: str, today: date, *, as_values: bool = False) -> Iterator[Problem]:
    """Problems and warnings of a window "A-B" (qp.md section 2), or of one that was sent as two values of a filter."""

    def shown(window: str) -> str:
        return json.dumps(window.split("-")) if window and as_values else window

    fault = recent_fault(text, today, as_values=as_values)
    if fault:
        yield finding("window_invalid", at, got=text, suggestion=shown(fault.suggestion), why=fault.why)
        return
    near, far = (int(n) for n in text.split("-"))
    if near == 0 and far + 1 in _FULL_PERIODS:
        better = f"0-{far + 1}"
        yield finding("recent_day_six", at, got=text, suggestion=shown(better), better=better, days=far, full=far + 1)


def _numbers(values: FilterValues) -> Iterator[Problem]:
    apart = _taken_apart(values)
    if apart:
        yield values.wrong(None, _NUMBERS_APART, apart)
        return
    numbers = [parse_number(text) for text in values.ftv]
    for i, number in enumerate(numbers):
        if number is None:
            yield values.wrong(i, _A_NUMBER, suggest_number(values.ftv[i]))
    yield from values.turned([n for n in numbers if n is not None])


def _taken_apart(values: FilterValues) -> str:
    """Several numbers that were written as one text, as a list; "" where it is not that."""
    if len(values.ftv) != 1 or values.row.test is not Test.ONE_OF or parse_number(values.ftv[0]) is not None:
        return ""
    parts = _parts(values.ftv[0])
    if len(parts) < 2 or tidy_number(values.ftv[0]) or any(parse_number(part) is None for part in parts):
        return ""
    return json.dumps(parts)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split("[,，、;；]", text)]


def _times(values: FilterValues) -> Iterator[Problem]:
    times = [parse_time(text) for text in values.ftv]
    for i, (text, written) in enumerate(zip(values.ftv, times, strict=True)):
        if written is None or not written.plain:
            suggestion = suggest_time(text)
            moving = not suggestion and bool(suggest_window(text))
            yield values.wrong(i, _MOVING if moving else _A_TIME, suggestion)
        elif written.bare_date and values.row.test in (Test.ONE_OF, Test.ABOVE):
            yield finding("bare_date", values.at(i), got=text, meaning=f"{text} 00:00:00")
    yield from values.turned([t.moment for t in times if t is not None and t.plain])


def _unseen(values: FilterValues) -> Iterator[Problem]:
    """Values that no row has, where all values of the property are known."""
    if not values.property.values_known:
        return
    if values.row.test is Test.CONTAINS:
        yield from _unseen_parts(values)
        return
    named = _named(values, _HAS)
    known = {v.value: None for v in values.property.top}
    unseen = [(i, text) for i, text in enumerate(values.ftv) if text not in known]
    parts = _parts(values.ftv[0]) if len(values.ftv) == 1 else []
    if unseen and len(parts) > 1 and all(part in known for part in parts):
        apart = json.dumps(parts, ensure_ascii=False)
        yield finding("value_unseen", values.at(), got=values.ftv[0], expected=apart, suggestion=apart, **named)
        return
    some = listed(shorten(value, MOST_LENGTH) for value in list(known)[:10])
    for i, text in unseen[:MOST_UNSEEN]:
        near = same_value(text, known)
        yield finding("value_unseen", values.at(i), got=text, expected=some, suggestion=near, **named)
    more = unseen[MOST_UNSEEN:]
    if more:
        few = [text for _, text in more[:3]] + ([f"… ({len(more)})"] if len(more) > 3 else [])
        yield finding("value_unseen", values.at(), got=listed(few), expected=some, **named)


_PLAIN_SIGNS = Text(" %, _ and * are plain characters here.", "这里的 %、_、* 是普通字符。")
_LEAVES_OUT_NOBODY = Text(" It leaves out nobody.", "该值没有排除任何用户。")
_HAS = Text("has the value", "取值")
_HOLDS = Text("has a value with", "任何取值包含")


def _named(values: FilterValues, has: Text) -> dict[str, Any]:
    """The words that warnings of unseen values share."""
    hint = _LEAVES_OUT_NOBODY if values.row.negated else NOTHING
    return {"name": values.property.name, "table": words.TABLES[values.property.table], "has": has, "hint": hint}


def _unseen_parts(values: FilterValues) -> Iterator[Problem]:
    """Texts that no value contains."""
    known = [v.value for v in values.property.top]
    for i, text in enumerate(values.ftv[:MOST_UNSEEN]):
        if any(text in value for value in known):
            continue
        named = _named(values, _HOLDS)
        if set("%_*") & set(text):
            named["hint"] = joined_by("", "", [named["hint"], _PLAIN_SIGNS])
        bare = text.strip("%*_ ")
        contained = bare and bare != text and any(bare in value for value in known)
        near = bare if contained else same_value(text, known)
        some = listed(shorten(value, MOST_LENGTH) for value in known[:10])
        yield finding("value_unseen", values.at(i), got=text, expected=some, suggestion=near, **named)


def _pattern(values: FilterValues) -> Iterator[Problem]:
    fault = values.regex_fault(values.ftv[0])
    if fault:
        yield finding("regex_invalid", values.at(0), got=values.ftv[0], detail=fault)


def _position(values: FilterValues) -> Iterator[Problem]:
    if not re.fullmatch("[0-9]{1,9}", values.ftv[0]) or int(values.ftv[0]) < 1:
        yield values.wrong(0, _A_POSITION)


def _days_back(values: FilterValues) -> Iterator[Problem]:
    if not re.fullmatch("[0-9]{1,5}", values.ftv[0]) or int(values.ftv[0]) > MAX_DAYS_BACK:
        ahead = _ahead(values.ftv[0], values.today)
        near, _, far = ("" if any(ahead) else suggest_window(values.ftv[0])).partition("-")
        yield values.wrong(0, ahead if any(ahead) else _DAYS_BACK, far if near in ("1", far) else "")


def _ahead(text: str, today: date) -> Text:
    """How to write a date, or a number of days ahead, in place of days back; NOTHING for anything else."""
    bare = text.strip()
    if suggest_time(bare) or parse_time(bare):
        return _DATE_BEFORE.format(day=shorten(bare))
    if not re.fullmatch("-[0-9]{1,5}", bare) or -int(bare) > MAX_DAYS_BACK:
        return NOTHING
    return _DAY_BEFORE.format(day=today + timedelta(days=-int(bare)))


def _span(values: FilterValues) -> Iterator[Problem]:
    number = parse_number(values.ftv[0])
    if number is None or number < 0 or number != int(number) or number * values.unit > MAX_DAYS_BACK * 86400:
        yield values.wrong(0, _A_SPAN)


# Definitions of clusters


class FilterPlace(NamedTuple):
    """One filter condition, its path, and the event that it belongs to."""

    node: Dict
    path: Path
    event: Event | None
    inside: bool
    """True inside an event condition."""

    @property
    def tables(self) -> tuple[str, ...]:
        return words.TABLES_IN_EVENT if self.inside else words.TABLES_AT_TOP


class Finder:
    """Finds everything of meaning in one repaired definition."""

    def __init__(self, done: Repaired, metadata: Metadata, regex_fault: Callable[[str], str], own: str = "") -> None:
        """`own` is the name of the cluster that the definition is for, which it may not reach."""
        self.done = done
        self.metadata = metadata
        self.regex_fault = regex_fault
        self.own = own
        self.count = 0

    def findings(self) -> list[Problem]:
        """All problems and warnings of meaning, in order."""
        return [*self._qp(self.done.value, ())]

    def _qp(self, root: object, path: Path) -> Iterator[Problem]:
        """Everything about one `qp`."""
        if not isinstance(root, dict):
            return
        self.count = 0
        for i, node in _dicts(root.get("events")):
            yield from self._event(node, (*path, "events", i))
        yield from self._filters(root, path, None, inside=False)
        yield from self._twice(root.get("events"), (*path, "events"))
        yield from self._idle(root, path)
        if self.count > words.MAX_FILTERS:
            yield finding("definition_too_large", self._at(*path), got=self.count, limit=LIST_LIMITS["filts"])

    def _at(self, *path: str | int) -> str:
        return self.done.pointer_to(path)

    def _idle(self, root: Dict, path: Path) -> Iterator[Problem]:
        """An "or" that joins nothing, where events and users are beside each other and are joined by and."""
        sides = {"event_relation": root.get("events"), "relation": root.get("filts")}
        if not all(sides.values()) or root.get("event_user_relation", "and") != "and":
            return
        for key, parts in sides.items():
            if root.get(key) == "or" and isinstance(parts, list) and len(parts) == 1:
                yield finding("relation_idle", self._at(*path, key), got="or")

    # Event conditions

    def _event(self, node: Dict, path: Path) -> Iterator[Problem]:
        event = self._event_of(node)
        yield from self._event_known(node, path)
        measure = node.get("taPropQuota")
        if isinstance(measure, dict):
            yield from self._measure(measure, (*path, "taPropQuota"), event)
        yield from self._num(node, path)
        yield from self._rows(node, path, event)

    def _event_of(self, node: Dict) -> Event | None:
        """The event whose rows count; None for rows of every name, and where it is unknown."""
        name = node.get("eventName")
        return self.metadata.event_by_name.get(name) if isinstance(name, str) else None

    def _event_known(self, node: Dict, path: Path) -> Iterator[Problem]:
        name = node.get("eventName")
        if isinstance(name, str) and name and name != words.ANY_EVENT and self._event_of(node) is None:
            names = {e.name: (e.names.en, e.names.zh) for e in self.metadata.events}
            hint = suggest_any_event(name) or nearest_named(name, names)
            yield finding("event_unknown", self._at(*path, "eventName"), got=name, suggestion=hint)

    def _rows(self, node: Dict, path: Path, event: Event | None) -> Iterator[Problem]:
        """Which rows of an event count: its window and its filters."""
        yield from self._window(node, path, event)
        yield from self._filters(node, path, event, inside=True)

    def _measure(self, measure: Dict, path: Path, event: Event | None) -> Iterator[Problem]:
        row, quota = words.MEASURES.get(str(measure.get("analysis"))), measure.get("quota")
        if row is None or not row.quota_types or not isinstance(quota, str) or not quota:
            return
        known, here = self.metadata.property("event", quota), (*path, "quota")
        if known is None:
            yield self._property_unknown("event", quota, here, inside=False)
        elif known.type not in row.quota_types:
            yield finding("quota_type", self._at(*here), got=quota, expected=types_named(row.quota_types),
                          word=row.word, name=quota, type=TYPE_NAMES[known.type])  # fmt: skip
        else:
            if row.word == "DISTINCT" and known.type == "time":
                yield finding("distinct_instants", self._at(*here), got=quota, name=known.name)
            yield from self._carried(known, event, here)

    def _num(self, node: Dict, path: Path) -> Iterator[Problem]:
        text, word = node.get("num"), node.get("comparator")
        row, bound = words.NUMBER_COMPARATORS.get(str(word)), bound_side(word)
        if not isinstance(text, str) or len(text) > words.MAX_TEXT or not (row or bound):
            return
        at, numbers = self._at(*path, "num"), parse_numbers(text)
        if len(text.split(",")) != (row.values if row else 1):
            if bound and not tidy_number(text):  # for the other words the models report it
                yield finding("num_count", at, got=text, expected=ONE_NUMBER, word=word)
                return
            if not bound:
                return
        if numbers is None:
            too_long = is_too_long(text)
            hint = "" if too_long else suggest_num(text, word)
            yield finding("num_too_long" if too_long else "num_invalid", at, got=text, suggestion=hint)
        elif len(numbers) == 2 and numbers[0] > numbers[1]:
            low, high = text.split(",")
            yield finding("range_invalid", at, got=text, suggestion=f"{high},{low}")
        elif self._counts(node) and any(n != int(n) for n in numbers):
            yield finding("fraction_on_count", at, got=text)

    @staticmethod
    def _counts(node: Dict) -> bool:
        measure = node.get("taPropQuota")
        row = words.MEASURES.get(str(measure.get("analysis"))) if isinstance(measure, dict) else None
        return bool(row and row.counts)

    # Windows

    def _window(self, node: Dict, path: Path, event: Event | None) -> Iterator[Problem]:
        recent, start, end = (node.get(k, "") for k in ("recentDay", "startTime", "endTime"))
        if not all(isinstance(t, str) for t in (recent, start, end)):
            return
        if recent:
            if start or end:
                yield finding("window_both", self._at(*path, "recentDay"), got=recent)
            yield from recent_findings(recent, self._at(*path, "recentDay"), self.metadata.today)
            days = recent_days(recent, self.metadata.today)
            span = span_of_days(days, self.metadata.tz) if days else None
        else:
            faults = [*self._bound(start, (*path, "startTime")), *self._bound(end, (*path, "endTime"))]
            yield from faults
            span = None if faults or not (start or end) else span_between(start, end, self.metadata.tz)
            if span and span.empty:
                yield finding("window_invalid", self._at(*path, "startTime"), got=f"{start} – {end}", why=TURNED)
                return
            if not faults:
                yield from self._midnight(start, end, (*path, "endTime"))
        if span and event:
            yield from self._outside(span, event, path, recent or f"{start} – {end}")

    def _midnight(self, start: str, end: str, path: Path) -> Iterator[Problem]:
        """An end at midnight after a start with a clock: it takes in the whole day, which may not be meant."""
        first, last = parse_time(start), parse_time(end)
        if first is None or last is None or first.bare_date or last.bare_date or last.moment.time() != time.min:
            return
        before = show_time(last.moment - timedelta(seconds=1))
        yield finding("midnight_end", self._at(*path), got=end, last=last.moment.date(), before=before)

    def _bound(self, text: str, path: Path) -> Iterator[Problem]:
        fault = bound_fault(str(path[-1]), text) if text else None
        if fault:
            yield finding("window_invalid", self._at(*path), got=text, suggestion=fault.suggestion, why=fault.why)

    def _outside(self, span: Span, event: Event, path: Path, written: str) -> Iterator[Problem]:
        """A window without any of the event's data."""
        first, last = parse_time(event.first), parse_time(event.last)
        if first is None or last is None:
            return
        low, high = instant(first.moment, self.metadata.tz), instant(last.moment, self.metadata.tz)
        if (span.end is None or span.end > low) and (span.start is None or span.start <= high):
            return
        key = "recentDay" if "-" in written and " – " not in written else "startTime"
        last_second = span.end - timedelta(seconds=1) if span.end else None
        ends = (show_time(local(t, self.metadata.tz)) if t else "…" for t in (span.start, last_second))
        yield finding("window_outside_data", self._at(*path, key), got=written, window=" – ".join(ends),
                      event=event.name, first=event.first, last=event.last)  # fmt: skip

    # Filters

    def _filters(self, node: Dict, path: Path, event: Event | None, *, inside: bool) -> Iterator[Problem]:
        for i, part in _dicts(node.get("filts")):
            here = (*path, "filts", i)
            if "filts" in part:
                yield from self._filters(part, here, event, inside=inside)
            else:
                self.count += 1
                yield from self._condition(FilterPlace(part, here, event, inside))
        yield from self._twice(node.get("filts"), (*path, "filts"))

    def _twice(self, parts: object, path: Path) -> Iterator[Problem]:
        """A condition that is in one list twice: harmless, and probably a mistake."""
        seen: dict[str, Path] = {}
        for i, node in _dicts(parts):
            here, text = (*path, i), repr(sorted((k, repr(v)) for k, v in node.items()))
            if text in seen:
                yield finding("condition_twice", self._at(*here), other=self._at(*seen[text]))
            seen.setdefault(text, here)

    def _condition(self, part: FilterPlace) -> Iterator[Problem]:
        table, name = part.node.get("tableType"), part.node.get("columnName")
        if table is None and isinstance(name, str) and name and not self._holding(part.tables, name):
            table = part.tables[0]  # the name is at fault as well
        if not isinstance(name, str) or not name or not isinstance(table, str) or table not in part.tables:
            return
        known = self.metadata.property(table, name)
        if known is None:
            yield self._property_unknown(table, name, (*part.path, "columnName"), inside=part.inside)
            return
        if table == "event":
            yield from self._carried(known, part.event, (*part.path, "columnName"))
        if table == "cluster":
            yield from self._cluster(part, known)
        row = words.COMPARATORS.get(str(part.node.get("comparator")))
        if row is None:
            return
        if known.type not in row.types:
            yield self._wrong_comparator(part, row, known)
            return
        yield from self._values(part, row, known)

    def _values(self, part: FilterPlace, row: words.Comparator, known: Property) -> Iterator[Problem]:
        ftv = part.node.get("ftv", [])
        if (
            not isinstance(ftv, list)
            or not row.values[0] <= len(ftv) <= row.values[1]
            or not all(isinstance(v, str) for v in ftv)
        ):
            return  # a problem of shape already
        unit = words.TIME_UNITS.get(str(part.node.get("timeUnit")))

        def at(*steps: str | int) -> str:
            return self._at(*part.path, "ftv", *steps)

        seconds = unit.seconds if unit else 1
        values = FilterValues(ftv, at, row, known, seconds, self.metadata.today, self.regex_fault)
        yield from value_findings(values)

    def _wrong_comparator(self, part: FilterPlace, row: words.Comparator, known: Property) -> Problem:
        legal = [r.word for r in words.COMPARATORS.values() if known.type in r.types and r.fits(part.tables)]
        hint = _SAME_IDEA.get((row.test, known.type), ("", ""))[row.negated]
        if known.type == "bool" and row.test is Test.ONE_OF:
            hint = _yes_or_no(part.node.get("ftv"), hint, negated=row.negated)
        return finding("comparator_not_for_type", self._at(*part.path, "comparator"), got=row.word, word=row.word, name=known.name,
                       type=TYPE_NAMES[known.type], expected=listed(legal), suggestion=hint)  # fmt: skip

    def _property_unknown(self, table: str, name: str, path: Path, *, inside: bool) -> Problem:
        if table == "cluster":
            hint = nearest_named(name, self._names("cluster"))
            return finding("cluster_unknown", self._at(*path), got=name, suggestion=hint)
        other = "user" if table == "event" else "event"
        elsewhere = self.metadata.property(other, name)
        if elsewhere is None and not inside and table == "user" and self.metadata.property("cluster", name):
            elsewhere, other = self.metadata.property("cluster", name), "cluster"
        if elsewhere and path[-1] == "columnName" and (inside or other != "event"):
            return finding("property_in_other_table", self._at(*path[:-1], "tableType"), got=table, suggestion=other,
                           name=name, table=words.TABLES[other])  # fmt: skip
        if elsewhere and other == "event":
            return finding("property_of_events", self._at(*path), got=name, name=name)
        if elsewhere and path[-1] == "quota":
            return finding("quota_of_users", self._at(*path), got=name, name=name)
        hint = nearest_named(name, self._names(table))
        return finding("property_unknown", self._at(*path), got=name, table=words.TABLES[table], suggestion=hint)

    def _holding(self, tables: Sequence[str], name: str) -> list[str]:
        return [table for table in tables if self.metadata.property(table, name)]

    def _names(self, table: str) -> dict[str, tuple[str, str]]:
        return {p.name: (p.names.en, p.names.zh) for p in self.metadata.properties_of(table)}

    def _cluster(self, part: FilterPlace, known: Property) -> Iterator[Problem]:
        """A cluster or tag that is named: it has members, does not depend on the definition itself, and has that day."""
        yield from dependency_findings(known, self.own, self._at(*part.path, "columnName"))
        day = part.node.get("specifiedClusterDate")
        if isinstance(day, str) and day not in known.dates and re.fullmatch(DAY, day):
            kept = sorted(known.dates, key=lambda d: (abs(_ordinal(d) - _ordinal(day)), d))
            yield finding("cluster_date_unknown", self._at(*part.path, "specifiedClusterDate"), got=day, name=known.name,
                          expected=listed(known.dates[-10:] or ["–"]), suggestion=kept[0] if kept else "")  # fmt: skip

    def _carried(self, known: Property, event: Event | None, path: Path) -> Iterator[Problem]:
        if event and known.events and event.name not in known.events:
            yield finding("property_not_on_event", self._at(*path), got=known.name, expected=listed(known.events[:5]),
                          event=event.name, name=known.name)  # fmt: skip


_YES = frozenset({"true", "yes", "y", "1", "t", "on", "是", "真", "对"})
_NO = frozenset({"false", "no", "n", "0", "f", "off", "否", "假", "不是"})


def _yes_or_no(ftv: object, otherwise: str, *, negated: bool) -> str:
    """`isTrue` or `isFalse` by the one word that a bool was compared with; "" where that is open."""
    if not isinstance(ftv, list) or not ftv:
        return otherwise
    given = {str(value).strip().casefold() for value in ftv}
    if given <= _YES or given <= _NO:
        return "isTrue" if (given <= _YES) is not negated else "isFalse"
    return ""


def _ordinal(day: str) -> int:
    """A day as a number, also where the calendar does not have it."""
    year, month, of_month = map(int, day.split("-"))
    return year * 372 + month * 31 + of_month


_SAME_IDEA: dict[tuple[Test, str], tuple[str, str]] = {
    (Test.ONE_OF, "list"): ("arrayIncludeItem", "arrayNotIncludeItem"),
    (Test.CONTAINS, "list"): ("arrayIncludeItem", "arrayNotIncludeItem"),
    (Test.HOLDS, "string"): ("include", "notInclude"),
    (Test.EMPTY, "string"): ("isNull", "notNull"),
    (Test.EMPTY, "number"): ("isNull", "notNull"),
    (Test.EMPTY, "time"): ("isNull", "notNull"),
    (Test.EMPTY, "bool"): ("isNull", "notNull"),
    (Test.ONE_OF, "bool"): ("isTrue", "isFalse"),
    (Test.CONTAINS, "number"): ("equal", "notEqual"),
    (Test.ONE_OF, "cluster"): ("belongToCluster", "notBelongToCluster"),
    (Test.MISSING, "cluster"): ("notBelongToCluster", "belongToCluster"),
    (Test.TRUE, "cluster"): ("belongToCluster", "notBelongToCluster"),
    (Test.MEMBER, "string"): ("notNull", "isNull"),
    (Test.MEMBER, "number"): ("notNull", "isNull"),
    (Test.MEMBER, "time"): ("notNull", "isNull"),
}
"""The word of another type with the same idea: (positive, negated)."""


def _dicts(parts: object) -> Iterator[tuple[int, Dict]]:
    """The objects of a list, with their positions."""
    for i, node in enumerate(parts if isinstance(parts, list) else ()):
        if isinstance(node, dict):
            yield i, node


# Definitions of tags (qp.md section 5)


class TagFinder(Finder):
    """Finds everything of meaning in one repaired definition of a tag."""

    def findings(self) -> list[Problem]:
        """All problems and warnings of meaning, in order."""
        root = self.done.value if isinstance(self.done.value, dict) else {}
        return [*self._tag_values(root), *self._selection(root)]

    def _tag_values(self, root: Dict) -> Iterator[Problem]:
        seen: dict[str, Path] = {}
        conditions = []
        for i, node in _dicts(root.get(words.VALUES)):
            here, value = (words.VALUES, i, "tagValue"), node.get("tagValue")
            if isinstance(value, str) and value in seen:
                yield finding("tag_value_twice", self._at(*here), got=value, other=self._at(*seen[value]))
            elif isinstance(value, str):
                seen[value] = here
            yield from self._qp(node.get("userClusterDef"), (words.VALUES, i, "userClusterDef"))
            conditions.append({"userClusterDef": node.get("userClusterDef", i)})
        yield from self._twice(conditions, (words.VALUES,))

    def _selection(self, root: Dict) -> Iterator[Problem]:
        """The events that the values are taken from, and what is taken of them."""
        for path, check in (
            ((words.FIRST_LAST, words.FIRST_LAST_EVENT), self._taken),
            ((words.QUOTA, words.QUOTA_EVENT), self._measure),
        ):
            node = _inner(root, path)
            if node is not None:
                event = self._event_of(node)
                yield from self._event_known(node, path)
                yield from check(node, path, event)
                yield from self._rows(node, path, event)

    def _taken(self, selection: Dict, path: Path, event: Event | None) -> Iterator[Problem]:
        """The property whose value becomes the tag's: one that is known, and holds a single value."""
        inner = ("calcPropVo", "property")
        node = _inner(selection, inner) or {}
        table, name = node.get("tableType"), node.get("columnName")
        if table not in words.TABLES_IN_EVENT or not isinstance(name, str) or not name:
            return
        here = (*path, *inner, "columnName")
        known = self.metadata.property(table, name)
        if known is None:
            yield self._property_unknown(table, name, here, inside=True)
        elif known.type == "list":
            yield finding("tag_property_list", self._at(*here), got=known.name, name=known.name)
        elif table == "event":
            yield from self._carried(known, event, here)


def _inner(node: object, path: tuple[str, ...]) -> Dict | None:
    """The object at a path; None where there is none."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None
