"""A second reading of qp.md, slow and plain: what a definition selects, straight from the wire form.

It shares nothing with `mcp_server`, so that one mistake cannot hide in both: no SQL, its own numbers (exact
fractions, or floats for double columns), its own clock (instants as whole microseconds since 1970 UTC,
worked out from the offsets that `zoneinfo` knows: `clock.py`). Each rule names its section of qp.md.

Expected is a definition in the strict form, already checked; rows are plain dicts. A row holds `#user_id`,
and, of an event, `#event_name`, `#event_time` (naive UTC) and `$row`; further keys are properties.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from tests.reading.clock import DAY, SECOND, day_start, days_ago, instant, micros, read_time

Kind = Literal["string", "whole", "double", "decimal", "bool", "time", "list"]
Schema = Mapping[str, Mapping[str, Kind]]
"""By table ("event", "user") and property, system properties included."""
Row = Mapping[str, Any]
Part = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """A cluster, or, where it has a kind of values, a tag."""

    kind: Kind | None
    versions: Mapping[str, Set[int] | Mapping[int, Any]]
    """The members, or of a tag the users that it reaches and their values: of a local day, or ("") of now."""


Clusters = Mapping[str, Cluster]


@dataclass(frozen=True)
class Project:
    """What a definition is read against."""

    schema: Schema
    zone: str
    today: date
    clusters: Clusters = field(default_factory=dict)

    def property(self, table: str, name: str) -> tuple[str, Kind]:
        """The declared spelling and the kind of a property."""
        return _named(name, self.schema[table])

    def cluster(self, name: str) -> Cluster:
        return _named(name, self.clusters)[1]


Found = TypeVar("Found")


def _named(name: str, known: Mapping[str, Found]) -> tuple[str, Found]:
    """What has this name; names ignore case (section 4)."""
    for declared, found in known.items():
        if declared.casefold() == name.casefold():
            return declared, found
    raise KeyError(name)


@dataclass(frozen=True)
class Person:
    """One row of the user table and all events of that id."""

    user: Row
    events: Sequence[Row]


def select(
    definition: Part,
    users: Sequence[Row],
    events: Sequence[Row],
    schema: Schema,
    zone: str,
    today: date,
    clusters: Clusters = MappingProxyType({}),
) -> set[int]:
    """The ids of the users that the definition selects; only people in the user table (section 3)."""
    project = Project(schema, zone, today, clusters)
    return {p.user["#user_id"] for p in people(users, events) if is_member(definition, p, project)}


def people(users: Sequence[Row], events: Sequence[Row]) -> list[Person]:
    return [Person(user, [e for e in events if e["#user_id"] == user["#user_id"]]) for user in users]


def is_member(definition: Part, person: Person, project: Project) -> bool:
    """Section 1: each side joined by its relation, then both; a side without a condition is left out."""
    sides = []
    if definition.get("events"):
        done = [event_condition(part, person, project) for part in definition["events"]]
        sides.append(_join(definition.get("event_relation", "and"), done))
    if definition.get("filts"):
        sides.append(_all_filters(definition, _Reader(person.user, None, project)))
    if not sides:
        raise ValueError("a definition without a condition")
    return _join(definition.get("event_user_relation", "and"), sides)


def _join(relation: str, results: Sequence[bool]) -> bool:
    return {"and": all, "or": any}[relation](results)


# --- event conditions (section 3) ----------------------------------------------------------------


def event_condition(condition: Part, person: Person, project: Project) -> bool:
    """Does the measure of this user's matching rows compare with `num`?"""
    result = measure(condition["taPropQuota"], matching(condition, person, project), project)
    if result is None:
        return False
    numbers = condition["num"].split(",")
    if isinstance(result, float):
        return _compare(condition["comparator"], result, [float(text) for text in numbers])
    return _compare(condition["comparator"], result, [exact(text) for text in numbers])


def matching(condition: Part, person: Person, project: Project) -> list[Row]:
    """The user's events of that name, in the window, that pass the filters."""
    rows = []
    for event in person.events:
        if condition["eventName"] not in ("anyEvent", event["#event_name"]):
            continue
        if not _in_window(condition, event["#event_time"], project):
            continue
        if condition.get("filts") and not _all_filters(condition, _Reader(person.user, event, project)):
            continue
        rows.append(event)
    return rows


def measure(wanted: Part, rows: Sequence[Row], project: Project) -> Fraction | float | None:
    """The measure, exact or (of doubles) a float; None where it is undefined."""
    analysis = wanted["analysis"]
    if analysis == "TIMES":
        return Fraction(len(rows))
    if not rows:
        return None
    name, kind = project.property("event", wanted["quota"])
    values = [row[name] for row in rows if row[name] is not None]
    if analysis == "DISTINCT":
        return Fraction(len(set(values)))
    if not values:
        return None
    result = AGGREGATES[analysis]([Fraction(value) for value in values])
    if kind != "double":
        return result
    # Of doubles, what is computed is rounded; what is picked (the largest, the smallest) stays as it is.
    return float(result if analysis in ("MAX", "MIN") else round(result, 9))


def _average(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def _median(values: Sequence[Fraction]) -> Fraction:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


AGGREGATES: Mapping[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "SUM": lambda values: sum(values, Fraction(0)),
    "AVG": _average,
    "MAX": max,
    "MIN": min,
    "MEDIAN": _median,
}


def _in_window(condition: Part, event_time: datetime, project: Project) -> bool:
    """Section 2: `recentDay` wins over dates; without either all time, the future included."""
    moment = micros(event_time)
    if condition.get("recentDay"):
        near, far = (int(text) for text in condition["recentDay"].split("-"))
        return _in_recent_days(moment, near, far, project)
    if condition.get("startTime") and moment < _instant_of(condition["startTime"], project.zone):
        return False
    if not condition.get("endTime"):
        return True
    day, clock, _ = read_time(condition["endTime"])
    if clock == 0:
        return moment < day_start(day + DAY, project.zone)
    return moment < _instant_of(condition["endTime"], project.zone) + SECOND


def _in_recent_days(moment: int, near: int, far: int, project: Project) -> bool:
    """Days back, both whole; a near end of 0 means `far` days that end today (section 2)."""
    oldest = far - 1 if near == 0 else far
    begin = day_start(days_ago(oldest, project.today), project.zone)
    end = day_start(days_ago(near, project.today) + DAY, project.zone)
    return begin <= moment < end


# --- filters (section 4) -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """Where a filter finds its values: the user, and inside an event condition one event."""

    user: Row
    event: Row | None
    project: Project


def _all_filters(holder: Part, reader: _Reader) -> bool:
    return _join(holder.get("relation", "and"), [_passes(part, reader) for part in holder["filts"]])


def _passes(part: Part, reader: _Reader) -> bool:
    if part.get("filterType") == "COMPOUND":
        return _all_filters(part, reader)
    if part["tableType"] == "cluster":
        return _of_cluster(part, reader)
    row = reader.user if part["tableType"] == "user" else reader.event
    assert row is not None, "an event property outside an event"
    name, kind = reader.project.property(part["tableType"], part["columnName"])
    return _value_passes(row[name], part, _Context(kind, reader))


def _of_cluster(part: Part, reader: _Reader) -> bool:
    """Membership, which is never missing; or the value of a tag, which a user that it does not reach has not."""
    assert reader.event is None, "a cluster inside an event"
    cluster = reader.project.cluster(part["columnName"])
    version = cluster.versions[part.get("specifiedClusterDate", "")]
    user = reader.user["#user_id"]
    if isinstance(version, Mapping):
        assert cluster.kind is not None, "values of a cluster"
        return _value_passes(version.get(user), part, _Context(cluster.kind, reader))
    return (user in version) is {"belongToCluster": True, "notBelongToCluster": False}[part["comparator"]]


def _value_passes(value: Any, part: Part, context: "_Context") -> bool:
    word = part["comparator"]
    # A missing value matches nothing but these two, also under the negative words.
    if value is None:
        return word in ("isNull", "arrayIsNull")
    if word in ("isNull", "notNull"):
        return word == "notNull"
    test = {"string": _string, "bool": _bool, "list": _list, "time": _time}.get(context.kind, _number)
    return test(value, part, context)


@dataclass(frozen=True)
class _Context:
    kind: Kind
    reader: _Reader


def _string(value: str, part: Part, _: _Context) -> bool:
    texts = part.get("ftv", [])
    match part["comparator"]:
        case "equal":
            return value in texts
        case "notEqual":
            return value not in texts
        case "include":
            return any(text in value for text in texts)
        case "notInclude":
            return not any(text in value for text in texts)
        case "regexMatch":
            return re.search(pattern_for_python(texts[0]), value, re.ASCII) is not None
        case "notRegexMatch":
            return re.search(pattern_for_python(texts[0]), value, re.ASCII) is None
    raise ValueError(part)


def pattern_for_python(pattern: str) -> str:
    """An RE2 pattern in Python's spelling: `$` is the very end, and a vertical tab is no `\\s`."""
    pieces, inside = [], False
    for piece in re.findall(r"\\.|.", pattern, re.DOTALL):
        if piece == "$" and not inside:
            pieces.append(r"\Z")
        elif piece in (r"\s", r"\S"):
            blanks = r"\t\n\f\r "
            pieces.append(blanks if inside else f"[{'^' if piece == chr(92) + 'S' else ''}{blanks}]")
        else:
            inside = piece == "[" or (inside and piece != "]")
            pieces.append(piece)
    return "".join(pieces)


def _bool(value: bool, part: Part, _: _Context) -> bool:
    return value is {"isTrue": True, "isFalse": False}[part["comparator"]]


def _list(value: Sequence[str | None], part: Part, _: _Context) -> bool:
    """Items are compared as exact strings; a null item equals none of them."""
    texts = part.get("ftv", [])
    match part["comparator"]:
        case "arrayIncludeItem":
            return any(item in texts for item in value)
        case "arrayNotIncludeItem":
            return not any(item in texts for item in value)
        case "arrayItemPos":
            position = int(texts[0])
            return position <= len(value) and value[position - 1] == texts[1]
        case "arrayIsNull":
            return len(value) == 0
        case "arrayNotNull":
            return len(value) > 0
    raise ValueError(part)


def _number(value: int | float | Decimal, part: Part, context: _Context) -> bool:
    """Whole numbers and decimals compare exactly, doubles as doubles."""
    if context.kind == "double":
        return _compare(part["comparator"], float(value), [float(text) for text in part["ftv"]])
    return _compare(part["comparator"], Fraction(value), [exact(text) for text in part["ftv"]])


def _time(value: datetime, part: Part, context: _Context) -> bool:
    moment, project, texts = micros(value), context.reader.project, part.get("ftv", [])
    word = part["comparator"]
    if word == "relativeCurrentBetween":
        return _in_recent_days(moment, int(texts[0]), int(texts[1]), project)
    if word == "relativeCurrentBefore":
        return moment < day_start(days_ago(int(texts[0]), project.today), project.zone)
    if word.startswith("relativeEvent"):
        assert context.reader.event is not None, "relative to an event outside of one"
        span = int(texts[0]) * {"minute": 60, "hour": 3600, "day": 86_400}[part["timeUnit"]] * SECOND
        return _near(word, moment, micros(context.reader.event["#event_time"]), span)
    if word == "range":
        day, _, bare = read_time(texts[1])
        if bare:  # the upper end of a range takes in its day
            end = day_start(day + DAY, project.zone)
            return _instant_of(texts[0], project.zone) <= moment < end
    return _compare(word, moment, [_instant_of(text, project.zone) for text in texts])


def _near(word: str, moment: int, event: int, span: int) -> bool:
    before = event - span <= moment <= event
    after = event <= moment <= event + span
    sides = {"relativeEventBefore": before, "relativeEventAfter": after, "relativeEventAbsolute": before or after}
    return sides[word]


def _compare(word: str, value: Any, others: Sequence[Any]) -> bool:
    match word:
        case "equal":
            return value in others
        case "notEqual":
            return value not in others
        case "greater":
            return bool(value > others[0])
        case "less":
            return bool(value < others[0])
        case "range":
            return bool(others[0] <= value <= others[1])
    raise ValueError(word)


def exact(text: str) -> Fraction:
    """A JSON number as text, exactly."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, places = mantissa.partition(".")
    power = int(exponent or "0") - len(places)
    return Fraction(int(whole + places)) * Fraction(10) ** power


def _instant_of(text: str, zone: str) -> int:
    day, clock, _ = read_time(text)
    return instant(day + clock, zone)
