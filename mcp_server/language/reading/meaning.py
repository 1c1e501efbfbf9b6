"""Problems and warnings of meaning: a definition held against the project's data (qp.md sections 2 to 5, 8)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from mcp_server.errors import Problem
from mcp_server.language import vocabulary
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Event, Metadata, Property
from mcp_server.language.model import DAY
from mcp_server.language.names import rests_on
from mcp_server.language.numbers import MAX_DIGITS, MAX_PLACES, is_too_long, parse_number, parse_numbers, tidy_number
from mcp_server.language.problems import finding, shorten
from mcp_server.language.reading.document import Repaired
from mcp_server.language.reading.shape import ONE_NUMBER, TYPE_NAMES, likely_num, types_named
from mcp_server.language.reading.suggestions import (
    TURNED,
    any_event_meant,
    bound_fault,
    likely_number,
    likely_time,
    likely_window,
    recent_fault,
)
from mcp_server.language.suggest import nearest, nearest_named
from mcp_server.language.vocabulary import Path, bound_side
from mcp_server.language.window import (
    MAX_DAYS_BACK,
    Span,
    instant,
    local,
    parse_time,
    recent_days,
    show_time,
    span_between,
    span_of_days,
)
from mcp_server.text import Text, listed

# Problems and warnings of the values of one filter, by what its comparator asks (qp.md section 4).


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


class FilterValues(NamedTuple):
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


def value_findings(values: FilterValues) -> Iterator[Problem]:
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


def _numbers(values: FilterValues) -> Iterator[Problem]:
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


def _taken_apart(values: FilterValues) -> str:
    """Several numbers that were written as one text, as a list; "" where it is not that."""
    if len(values.ftv) != 1 or values.row.test is not words.Test.ONE_OF or parse_number(values.ftv[0]) is not None:
        return ""
    parts = [part.strip() for part in re.split("[,，、;；]", values.ftv[0])]
    if len(parts) < 2 or tidy_number(values.ftv[0]) or any(parse_number(part) is None for part in parts):
        return ""
    return json.dumps(parts)


def _times(values: FilterValues) -> Iterator[Problem]:
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


def _turned(values: FilterValues) -> Problem:
    low, high = values.ftv
    return finding("range_invalid", values.at(), got=f"{low}, {high}", suggestion=f'["{high}", "{low}"]')


MOST_LENGTH = 100
"""Characters of a value that is named as one there is."""
MOST_UNSEEN = 20
"""Values of one filter that no user has and that are each told by themselves; the others are told together."""


def _unseen(values: FilterValues) -> Iterator[Problem]:
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


def _pattern(values: FilterValues) -> Iterator[Problem]:
    fault = values.regex_fault(values.ftv[0])
    if fault:
        yield finding("regex_invalid", values.at(0), got=values.ftv[0], detail=fault)


def _position(values: FilterValues) -> Iterator[Problem]:
    if not re.fullmatch("[0-9]{1,9}", values.ftv[0]) or int(values.ftv[0]) < 1:
        yield values.wrong(0, _A_POSITION)


def _recent(values: FilterValues) -> Iterator[Problem]:
    yield from recent_findings("-".join(values.ftv), values.at(), values.today, as_values=True)


def _days_back(values: FilterValues) -> Iterator[Problem]:
    if not re.fullmatch("[0-9]{1,5}", values.ftv[0]) or int(values.ftv[0]) > MAX_DAYS_BACK:
        near, _, far = likely_window(values.ftv[0]).partition("-")
        yield values.wrong(0, _DAYS_BACK, far if near in ("1", far) else "")


def _span(values: FilterValues) -> Iterator[Problem]:
    number = parse_number(values.ftv[0])
    if number is None or number < 0 or number != int(number) or number * values.unit > MAX_DAYS_BACK * 86400:
        yield values.wrong(0, _A_SPAN)


def _nothing(_values: FilterValues) -> Iterator[Problem]:
    return iter(())


_Check = Callable[[FilterValues], Iterator[Problem]]

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


# Problems and warnings of meaning: what a definition says, held against the project's data (qp.md sections 2 to 4,
# 8).


Dict = dict[str, Any]


class FilterPlace(NamedTuple):
    """One filter condition, where it stands, and the event it stands in."""

    node: Dict
    path: Path
    event: Event | None
    inside: bool
    """True inside an event condition."""


class Finder:
    """Finds everything of meaning in one repaired definition. Reads only what has the right shape."""

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
        for i, node in dicts(root.get("events")):
            yield from self._event(node, (*path, "events", i))
        yield from self._filters(root, path, None, inside=False)
        yield from self._twice(root.get("events"), (*path, "events"))
        yield from self._idle(root, path)
        if self.count > words.MAX_FILTERS:
            limit = Text("{n} filters", "{n} 个筛选条件").format(n=words.MAX_FILTERS)
            yield finding("definition_too_large", self._at(*path), got=self.count, limit=limit)

    def _at(self, *path: str | int) -> str:
        return self.done.as_sent(path)

    def _idle(self, root: Dict, path: Path) -> Iterator[Problem]:
        """An "or" that joins nothing, where events and users stand beside each other and are joined by and."""
        sides = {"event_relation": root.get("events"), "relation": root.get("filts")}
        if not all(sides.values()) or root.get("event_user_relation", "and") != "and":
            return
        for key, parts in sides.items():
            if root.get(key) == "or" and isinstance(parts, list) and len(parts) == 1:
                yield finding("relation_idle", self._at(*path, key), got="or")

    # event conditions

    def _event(self, node: Dict, path: Path) -> Iterator[Problem]:
        event = self._event_of(node)
        yield from self._event_known(node, path)
        measure = node.get("taPropQuota")
        if isinstance(measure, dict):
            yield from self._measure(measure, (*path, "taPropQuota"), event)
        yield from self._num(node, path)
        yield from self._rows(node, path, event)

    def _event_of(self, node: Dict) -> Event | None:
        """The event whose rows are meant; None for rows of every name, and where it is unknown."""
        name = node.get("eventName")
        return self.metadata.event_by_name.get(name) if isinstance(name, str) else None

    def _event_known(self, node: Dict, path: Path) -> Iterator[Problem]:
        name = node.get("eventName")
        if isinstance(name, str) and name and name != words.ANY_EVENT and self._event_of(node) is None:
            names = {e.name: (e.names.en, e.names.zh) for e in self.metadata.events}
            at = self._at(*path, "eventName")
            yield finding("event_unknown", at, got=name, suggestion=any_event_meant(name) or nearest_named(name, names))

    def _rows(self, node: Dict, path: Path, event: Event | None) -> Iterator[Problem]:
        """Which rows of an event count: its window and its filters."""
        yield from self._window(node, path, event)
        yield from self._filters(node, path, event, inside=True)

    def _measure(self, measure: Dict, path: Path, event: Event | None) -> Iterator[Problem]:
        row, quota = words.MEASURES.get(str(measure.get("analysis"))), measure.get("quota")
        if row is None or not row.quota_types or not isinstance(quota, str) or not quota:
            return
        found = self.metadata.property("event", quota)
        if found is None:
            yield self._property_unknown("event", quota, (*path, "quota"), inside=False)
        elif found.type not in row.quota_types:
            expected = types_named(row.quota_types)
            kind = TYPE_NAMES[found.type]
            yield finding(
                "quota_type",
                self._at(*path, "quota"),
                got=quota,
                expected=expected,
                word=row.word,
                name=quota,
                type=kind,
            )
        else:
            yield from self._carried(found, event, (*path, "quota"))

    def _num(self, node: Dict, path: Path) -> Iterator[Problem]:
        text, word = node.get("num"), node.get("comparator")
        row, bound = words.NUMBER_COMPARATORS.get(str(word)), bound_side(word)
        if not isinstance(text, str) or len(text) > words.MAX_TEXT or not (row or bound):
            return
        at, numbers = self._at(*path, "num"), parse_numbers(text)
        if len(text.split(",")) != (row.values if row else 1):
            if bound and not tidy_number(text):  # of the other words the models say it
                yield finding("num_count", at, got=text, expected=ONE_NUMBER, word=word)
                return
            if not bound:
                return
        if numbers is None:
            code = "num_too_long" if is_too_long(text) else "num_invalid"
            yield finding(code, at, got=text, suggestion="" if code == "num_too_long" else likely_num(text, node))
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

    # windows

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
            faults = [*self._written(start, (*path, "startTime")), *self._written(end, (*path, "endTime"))]
            yield from faults
            span = None if faults or not (start or end) else span_between(start, end, self.metadata.tz)
            if span and span.empty:
                got = f"{start} – {end}"
                yield finding("window_invalid", self._at(*path, "startTime"), got=got, why=TURNED.why)
                return
        if span and event:
            yield from self._outside(span, event, path, recent or f"{start} – {end}")

    def _written(self, text: str, path: Path) -> list[Problem]:
        fault = bound_fault(str(path[-1]), text) if text else None
        at = self._at(*path)
        return [finding("window_invalid", at, got=text, suggestion=fault.suggestion, why=fault.why)] if fault else []

    def _outside(self, span: Span, event: Event, path: Path, written: str) -> Iterator[Problem]:
        first, last = parse_time(event.first), parse_time(event.last)
        if first is None or last is None:
            return
        low, high = instant(first.moment, self.metadata.tz), instant(last.moment, self.metadata.tz)
        early = span.end is not None and low is not None and span.end <= low
        late = span.start is not None and high is not None and span.start > high
        if early or late:
            key = "recentDay" if "-" in written and " – " not in written else "startTime"
            yield finding("window_outside_data", self._at(*path, key), got=written, window=self._dates(span),
                          event=event.name, first=event.first, last=event.last)  # fmt: skip

    def _dates(self, span: Span) -> str:
        """A span of whole seconds with its last second, as people read it."""
        last = span.end - timedelta(seconds=1) if span.end else None
        ends = (show_time(local(t, self.metadata.tz)) if t else "…" for t in (span.start, last))
        return " – ".join(ends)

    # filters

    def _filters(self, node: Dict, path: Path, event: Event | None, *, inside: bool) -> Iterator[Problem]:
        for i, part in dicts(node.get("filts")):
            here = (*path, "filts", i)
            if "filts" in part:
                yield from self._filters(part, here, event, inside=inside)
            else:
                self.count += 1
                yield from self._condition(FilterPlace(part, here, event, inside))
        yield from self._twice(node.get("filts"), (*path, "filts"))

    def _twice(self, parts: object, path: Path) -> Iterator[Problem]:
        """A condition that stands twice in one list: harmless, and hardly ever meant."""
        seen: dict[str, Path] = {}
        for i, node in dicts(parts):
            here, text = (*path, i), repr(sorted((k, repr(v)) for k, v in node.items()))
            if text in seen:
                yield finding("condition_twice", self._at(*here), other=self._at(*seen[text]))
            seen.setdefault(text, here)

    def _condition(self, part: FilterPlace) -> Iterator[Problem]:
        table, name = part.node.get("tableType"), part.node.get("columnName")
        legal = words.TABLES_IN_EVENT if part.inside else words.TABLES_AT_TOP
        if not isinstance(name, str) or not name or not isinstance(table, str) or table not in legal:
            return
        found = self.metadata.property(table, name)
        if found is None:
            yield self._property_unknown(table, name, (*part.path, "columnName"), inside=part.inside)
            return
        if table == "event":
            yield from self._carried(found, part.event, (*part.path, "columnName"))
        if table == "cluster":
            yield from self._cluster(part, found)
        row = words.COMPARATORS.get(str(part.node.get("comparator")))
        if row is None:
            return
        if found.type not in row.types:
            yield self._wrong_comparator(part, row, found)
            return
        yield from self._values(part, row, found)

    def _values(self, part: FilterPlace, row: words.Comparator, found: Property) -> Iterator[Problem]:
        ftv = part.node.get("ftv", [])
        if (
            not isinstance(ftv, list)
            or not row.values[0] <= len(ftv) <= row.values[1]
            or not all(isinstance(v, str) for v in ftv)
        ):
            return  # a problem of shape already
        path, unit = (*part.path, "ftv"), words.TIME_UNITS.get(str(part.node.get("timeUnit")))

        def at(*steps: str | int) -> str:
            return self._at(*path, *steps)

        yield from value_findings(
            FilterValues(ftv, at, row, found, unit[0] if unit else 1, self.metadata.today, self.regex_fault)
        )

    def _wrong_comparator(self, part: FilterPlace, row: words.Comparator, found: Property) -> Problem:
        tables = words.TABLES_IN_EVENT if part.inside else words.TABLES_AT_TOP
        legal = [r.word for r in words.COMPARATORS.values() if found.type in r.types and r.fits(tables)]
        hint = _SAME_IDEA.get((row.test, found.type), ("", ""))[row.negated]
        if found.type == "bool" and row.test is words.Test.ONE_OF:
            hint = _yes_or_no(part.node.get("ftv"), hint, negated=row.negated)
        return finding("comparator_not_for_type", self._at(*part.path, "comparator"), got=row.word, word=row.word, name=found.name,
                       type=TYPE_NAMES[found.type], expected=listed(legal), suggestion=hint)  # fmt: skip

    def _property_unknown(self, table: str, name: str, path: Path, *, inside: bool) -> Problem:
        if table == "cluster":
            known = {p.name: (p.names.en, p.names.zh) for p in self.metadata.properties_of("cluster")}
            return finding("cluster_unknown", self._at(*path), got=name, suggestion=nearest_named(name, known))
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
        names = {p.name: (p.names.en, p.names.zh) for p in self.metadata.properties_of(table)}
        return finding(
            "property_unknown",
            self._at(*path),
            got=name,
            table=words.TABLES[table],
            suggestion=nearest_named(name, names),
        )

    def _cluster(self, part: FilterPlace, found: Property) -> Iterator[Problem]:
        """A cluster or tag that is named: it has members, does not rest on the definition itself, and has that day."""
        at = self._at(*part.path, "columnName")
        yield from rests_on(found, self.own, at)
        day = part.node.get("specifiedClusterDate")
        if isinstance(day, str) and day not in found.dates and re.fullmatch(DAY, day):
            kept = sorted(found.dates, key=lambda d: (abs(_ordinal(d) - _ordinal(day)), d))
            yield finding("cluster_date_unknown", self._at(*part.path, "specifiedClusterDate"), got=day, name=found.name,
                          expected=listed(found.dates[-10:] or ["–"]), suggestion=kept[0] if kept else "")  # fmt: skip

    def _carried(self, found: Property, event: Event | None, path: Path) -> Iterator[Problem]:
        if event and found.events and event.name not in found.events:
            shown = listed(found.events[:5])
            yield finding(
                "property_not_on_event",
                self._at(*path),
                got=found.name,
                expected=shown,
                event=event.name,
                name=found.name,
            )


_YES = frozenset({"true", "yes", "y", "1", "t", "on", "是", "真", "对"})
_NO = frozenset({"false", "no", "n", "0", "f", "off", "否", "假", "不是"})


def _yes_or_no(ftv: object, otherwise: str, *, negated: bool) -> str:
    """`isTrue` or `isFalse` by the one word that a bool was compared with; "" where that is open."""
    if not isinstance(ftv, list) or not ftv:
        return otherwise
    said = {str(value).strip().casefold() for value in ftv}
    if said <= _YES or said <= _NO:
        return "isTrue" if (said <= _YES) is not negated else "isFalse"
    return ""


def _ordinal(day: str) -> int:
    """A day as a number, also where the calendar does not have it."""
    year, month, of_month = map(int, day.split("-"))
    return year * 372 + month * 31 + of_month


_SAME_IDEA: dict[tuple[words.Test, str], tuple[str, str]] = {
    (words.Test.ONE_OF, "list"): ("arrayIncludeItem", "arrayNotIncludeItem"),
    (words.Test.CONTAINS, "list"): ("arrayIncludeItem", "arrayNotIncludeItem"),
    (words.Test.HOLDS, "string"): ("include", "notInclude"),
    (words.Test.EMPTY, "string"): ("isNull", "notNull"),
    (words.Test.EMPTY, "number"): ("isNull", "notNull"),
    (words.Test.EMPTY, "time"): ("isNull", "notNull"),
    (words.Test.EMPTY, "bool"): ("isNull", "notNull"),
    (words.Test.ONE_OF, "bool"): ("isTrue", "isFalse"),
    (words.Test.CONTAINS, "number"): ("equal", "notEqual"),
    (words.Test.ONE_OF, "cluster"): ("belongToCluster", "notBelongToCluster"),
    (words.Test.MISSING, "cluster"): ("notBelongToCluster", "belongToCluster"),
    (words.Test.TRUE, "cluster"): ("belongToCluster", "notBelongToCluster"),
    (words.Test.MEMBER, "string"): ("notNull", "isNull"),
    (words.Test.MEMBER, "number"): ("notNull", "isNull"),
    (words.Test.MEMBER, "time"): ("notNull", "isNull"),
}
"""The word of another type with the same idea: (positive, negated)."""


def dicts(parts: object) -> Iterator[tuple[int, Dict]]:
    """The objects of a list, with their positions."""
    for i, node in enumerate(parts if isinstance(parts, list) else ()):
        if isinstance(node, dict):
            yield i, node


# Problems and warnings of a tag's meaning: as `meaning.py`, for what only tags have (qp.md section 5).


class TagFinder(Finder):
    """Finds everything of meaning in one repaired definition of a tag."""

    def findings(self) -> list[Problem]:
        """All problems and warnings of meaning, in order."""
        root = self.done.value if isinstance(self.done.value, dict) else {}
        return [*self._tag_values(root), *self._first_last(root), *self._metric(root)]

    def _tag_values(self, root: Dict) -> Iterator[Problem]:
        seen: dict[str, Path] = {}
        conditions = []
        for i, node in dicts(root.get(vocabulary.VALUES)):
            here, value = (vocabulary.VALUES, i, "tagValue"), node.get("tagValue")
            if isinstance(value, str) and value in seen:
                yield finding("tag_value_twice", self._at(*here), got=value, other=self._at(*seen[value]))
            elif isinstance(value, str):
                seen[value] = here
            yield from self._qp(node.get("userClusterDef"), (vocabulary.VALUES, i, "userClusterDef"))
            conditions.append({"userClusterDef": node.get("userClusterDef", i)})
        yield from self._twice(conditions, (vocabulary.VALUES,))

    def _first_last(self, root: Dict) -> Iterator[Problem]:
        path = (vocabulary.FIRST_LAST, vocabulary.FIRST_LAST_EVENT)
        node = _inner(root, path)
        if node is None:
            return
        yield from self._event_known(node, path)
        yield from self._taken(node, path)
        yield from self._rows(node, path, self._event_of(node))

    def _taken(self, event: Dict, path: Path) -> Iterator[Problem]:
        """The property whose value becomes the tag's: one that is known, and holds a single value."""
        inner = ("calcPropVo", "property")
        node = _inner(event, inner) or {}
        table, name = node.get("tableType"), node.get("columnName")
        if table not in words.TABLES_IN_EVENT or not isinstance(name, str) or not name:
            return
        here = (*path, *inner, "columnName")
        found = self.metadata.property(table, name)
        if found is None:
            yield self._property_unknown(table, name, here, inside=True)
        elif found.type == "list":
            yield finding("tag_property_list", self._at(*here), got=found.name, name=found.name)
        elif table == "event":
            yield from self._carried(found, self._event_of(event), here)

    def _metric(self, root: Dict) -> Iterator[Problem]:
        path = (vocabulary.QUOTA, vocabulary.QUOTA_EVENT)
        node = _inner(root, path)
        if node is None:
            return
        event = self._event_of(node)
        yield from self._event_known(node, path)
        yield from self._measure(node, path, event)
        yield from self._rows(node, path, event)


def _inner(node: object, path: tuple[str, ...]) -> Dict | None:
    """The object at a path; None where there is none."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None
