"""Problems and warnings of meaning: what a definition says, held against the project's data (qp.md sections 2 to 4, 8)."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from mcp_server.errors import Problem
from mcp_server.qp import vocabulary as words
from mcp_server.qp.fault import TYPE_NAMES, types_named
from mcp_server.qp.likely import TURNED, bound_fault
from mcp_server.qp.meant import any_event_meant
from mcp_server.qp.metadata import Event, Metadata, Property
from mcp_server.qp.model import DAY
from mcp_server.qp.numbers import is_too_long, parse_numbers, tidy_number
from mcp_server.qp.problems import finding
from mcp_server.qp.references import rests_on
from mcp_server.qp.sent import Repaired
from mcp_server.qp.shape_values import ONE_NUMBER, likely_num
from mcp_server.qp.suggest import nearest_named
from mcp_server.qp.synonyms import bound_side
from mcp_server.qp.values import Values, recent_findings, value_findings
from mcp_server.qp.window import Span, instant, local, parse_time, recent_days, show_time, span_between, span_of_days
from mcp_server.text import Text, listed

Path = tuple[str | int, ...]
Dict = dict[str, Any]


class Part(NamedTuple):
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
                yield from self._condition(Part(part, here, event, inside))
        yield from self._twice(node.get("filts"), (*path, "filts"))

    def _twice(self, parts: object, path: Path) -> Iterator[Problem]:
        """A condition that stands twice in one list: harmless, and hardly ever meant."""
        seen: dict[str, Path] = {}
        for i, node in dicts(parts):
            here, text = (*path, i), repr(sorted((k, repr(v)) for k, v in node.items()))
            if text in seen:
                yield finding("condition_twice", self._at(*here), other=self._at(*seen[text]))
            seen.setdefault(text, here)

    def _condition(self, part: Part) -> Iterator[Problem]:
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

    def _values(self, part: Part, row: words.Comparator, found: Property) -> Iterator[Problem]:
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
            Values(ftv, at, row, found, unit[0] if unit else 1, self.metadata.today, self.regex_fault)
        )

    def _wrong_comparator(self, part: Part, row: words.Comparator, found: Property) -> Problem:
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

    def _cluster(self, part: Part, found: Property) -> Iterator[Problem]:
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
