"""Valid definitions in the strict form for hypothesis, drawn over a world.

All words, nested groups, windows; values drawn mostly from the data. The words are written out here on
purpose: a test compares them with the vocabulary, so that a word that nobody generates is noticed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.reading import slow
from tests.reading.worlds import CLOCKS, STRINGS, Column, World, worlds

Json = dict[str, Any]

NUMBER_WORDS = ("greater", "less", "equal", "notEqual", "range")
CURRENT_WORDS = ("relativeCurrentBetween", "relativeCurrentBefore")
WORDS = {
    "string": ("equal", "notEqual", "include", "notInclude", "regexMatch", "notRegexMatch"),
    "whole": NUMBER_WORDS,
    "double": NUMBER_WORDS,
    "decimal": NUMBER_WORDS,
    "bool": ("isTrue", "isFalse"),
    "time": (*NUMBER_WORDS, "range", *CURRENT_WORDS, *CURRENT_WORDS),
    "list": ("arrayIncludeItem", "arrayNotIncludeItem", "arrayItemPos", "arrayIsNull", "arrayNotNull"),
}
NULL_WORDS = ("isNull", "notNull")
CLUSTER_WORDS = ("belongToCluster", "notBelongToCluster")
EVENT_WORDS = ("relativeEventBefore", "relativeEventAfter", "relativeEventAbsolute")
MEASURES = ("TIMES", "SUM", "AVG", "MAX", "MIN", "MEDIAN", "DISTINCT")
NUMBERS = ("whole", "double", "decimal")
RECENT = (
    "1-7", "0-7", "0-1", "1-1", "0-6", "2-6", "2-3", "7-7", "0-2", "0-3", "1-2", "0-36500", "1-36500", "01-07", "00-03",
)  # fmt: skip
PATTERNS = (
    "a", "^a", "b$", "a$", "^$", "", ".", "a.b", "a.c", "[ab]+c?", "(?:a|分)", r"\d", r"\s", r"\w$", r"\W", "^.{2,3}$", "x*y",
    "[^a]", r"\.", "(?i)AB", "(?s)a.b", "a|b|c", "^[分群]+$", "😀?$", "[$]", r"\\$", "'", "--",
)  # fmt: skip
"""Patterns that RE2 and Python read alike, but for what `slow.pattern_for_python` spells anew."""

ENDS = (
    "0001-01-01", "0001-01-01 00:00:00", "1900-01-01 12:00:00", "2900-01-01", "9999-12-31", "9999-12-31 23:59:59",
)  # fmt: skip
"""Times far from all data, the ends of the calendar among them."""


@dataclass(frozen=True)
class Case:
    """A world and definitions over it."""

    world: World
    definitions: Sequence[Json]


@st.composite
def cases(draw: st.DrawFn, most: int = 12) -> Case:
    """One world and up to `most` definitions, because the world is what costs."""
    world = draw(worlds())
    size = draw(st.integers(1, most))
    return Case(world, draw(st.lists(definitions(world), min_size=size, max_size=size)))


@st.composite
def definitions(draw: st.DrawFn, world: World) -> Json:
    """A definition with up to three conditions on either side; most are short, so that nothing hides behind another."""
    size, others = draw(st.sampled_from(((1, 0), (0, 1), (1, 0), (2, 0), (0, 2), (1, 1), (3, 1), (1, 2))))
    events = draw(st.lists(event_conditions(world), min_size=size, max_size=size))
    filters = draw(st.lists(filters_of(world, inside=False, depth=3), min_size=others, max_size=others))
    definition: Json = {"events": events} if events or draw(st.booleans()) else {}
    definition |= {"filts": filters} if filters or draw(st.booleans()) else {}
    for key in ("event_relation", "relation", "event_user_relation"):
        definition |= _relation(draw, key)
    return definition


def _relation(draw: st.DrawFn, key: str = "relation") -> Json:
    word = draw(st.sampled_from((None, "and", "or", "or")))
    return {key: word} if word else {}


# --- event conditions ----------------------------------------------------------------------------


@st.composite
def event_conditions(draw: st.DrawFn, world: World) -> Json:
    name = draw(st.sampled_from((*world.names, *world.names, "anyEvent")))
    measure = draw(measures(world))
    word = draw(st.sampled_from(NUMBER_WORDS))
    numbers = _in_order([draw(_measured(world, name, measure)) for _ in range(2 if word == "range" else 1)], exact)
    condition = {"eventName": name, "comparator": word, "num": ",".join(numbers), "taPropQuota": measure}
    condition |= draw(windows(world))
    if draw(st.integers(0, 3)) == 3:
        condition["filts"] = draw(st.lists(filters_of(world, inside=True, depth=3), max_size=3))
        condition |= _relation(draw)
    return condition


@st.composite
def measures(draw: st.DrawFn, world: World) -> Json:
    analysis = draw(st.sampled_from(("TIMES", "TIMES", "TIMES", *MEASURES)))
    if analysis == "TIMES":
        return {"analysis": analysis}
    columns = [c for c in world.columns["event"] if _measurable(analysis, c)]
    return {"analysis": analysis, "quota": draw(st.sampled_from(columns)).name}


def _measurable(analysis: str, column: Column) -> bool:
    """Sums of very large doubles depend on the order of adding, which no rule fixes."""
    if analysis == "DISTINCT":
        return column.kind != "list"
    return column.kind in NUMBERS and not (column.rough and analysis in ("SUM", "AVG"))


@st.composite
def _measured(draw: st.DrawFn, world: World, name: str, measure: Json) -> str:
    """A number to compare a measure with: mostly what some user's rows really measure."""
    if measure["analysis"] in ("TIMES", "DISTINCT") and draw(st.booleans()):
        return draw(st.sampled_from(("1", "0", "2", "1.5", "-1", "2e0", "0.9")))
    named = [e for e in world.events if name in ("anyEvent", e["#event_name"])]
    user = draw(st.sampled_from([e["#user_id"] for e in named] or [0]))
    rows = [e for e in named if e["#user_id"] == user]
    project = slow.Project(world.schema, world.zone, world.today)
    result = slow.measure(measure, rows, project)
    return draw(_near(Decimal(0) if result is None else _decimal(result)))


@st.composite
def windows(draw: st.DrawFn, world: World) -> Json:
    kind = draw(
        st.sampled_from(("none", "none", "none", "none", "none", "recent", "recent", "dates", "start", "end", "both"))
    )
    window = {"recentDay": draw(st.sampled_from(RECENT))} if kind in ("recent", "both") else {}
    if kind in ("dates", "both"):
        start, end = _in_order([draw(_window_times(world)) for _ in range(2)], _day_first)
        window |= {"startTime": start, "endTime": end}
    elif kind in ("start", "end"):
        window[f"{kind}Time"] = draw(st.one_of(_window_times(world), _odd_times(world)))
    return window


def _window_times(world: World) -> st.SearchStrategy[str]:
    return time_texts(world).map(lambda text: text[:19])


def _day_first(text: str) -> str:
    return text if len(text) > 10 else f"{text} 00:00:00"


def _odd_times(world: World) -> st.SearchStrategy[str]:
    """Times in the small hours of a day on which the clock does something, and the ends of the calendar."""
    days = [str(day) for zone, day in CLOCKS if zone == world.zone] + [str(world.today - timedelta(days=1))]
    clocks = ("", " 00:00:00", " 00:30:00", " 01:30:00", " 02:30:00", " 23:30:00")
    near = st.builds(str.__add__, st.sampled_from(days), st.sampled_from(clocks))
    return st.one_of(near, near, near, st.sampled_from(ENDS))


# --- filters -------------------------------------------------------------------------------------


@st.composite
def filters_of(draw: st.DrawFn, world: World, *, inside: bool, depth: int) -> Json:
    """A condition, or a group of up to three, `depth` groups deep at most."""
    if depth and draw(st.integers(0, 4)) == 4:
        parts = st.lists(filters_of(world, inside=inside, depth=depth - 1), min_size=1, max_size=3)
        return {"filterType": "COMPOUND", **_relation(draw), "filts": draw(parts)}
    if not inside and world.crowds and draw(st.booleans()):
        return draw(crowd_conditions(world))
    table = draw(st.sampled_from(("event", "event", "user"))) if inside else "user"
    times = [column for column in world.columns[table] if column.kind == "time"]
    column = draw(st.sampled_from([*world.columns[table], *times]))
    legal = WORDS[column.kind] * 3 + NULL_WORDS
    word = draw(st.sampled_from(legal + EVENT_WORDS * 7 if inside and column.kind == "time" else legal))
    condition: Json = {"tableType": table, "columnName": column.name, "comparator": word}
    if word in EVENT_WORDS:
        return condition | draw(_spans(world, column))
    values = draw(_values(world, column, word))
    if values or draw(st.booleans()):
        condition["ftv"] = values
    return condition


@st.composite
def crowd_conditions(draw: st.DrawFn, world: World) -> Json:
    """A condition on a cluster or on the value of a tag; of now, or of a day of which there is a version."""
    crowd = draw(st.sampled_from(world.crowds))
    word = draw(st.sampled_from(WORDS[crowd.column.kind] * 3 + NULL_WORDS if crowd.column else CLUSTER_WORDS))
    condition: Json = {"tableType": "cluster", "columnName": crowd.name, "comparator": word}
    values = draw(_values(world, crowd.column, word)) if crowd.column else []
    if values or draw(st.booleans()):
        condition["ftv"] = values
    if day := draw(st.sampled_from(list(crowd.versions))):
        condition["specifiedClusterDate"] = day
    return condition


def _spans(world: World, column: Column) -> st.SearchStrategy[Json]:
    """A span around the event: mostly exactly as long as some event lies from some value."""
    found = [("0", "minute"), ("1", "hour"), ("1", "day"), ("36500", "day")]
    for moment in dict.fromkeys(e["#event_time"] for e in world.events):
        for value in column.values:
            found += _in_units(abs(moment - value))
    return st.sampled_from(found).map(lambda span: {"ftv": [span[0]], "timeUnit": span[1]})


def _in_units(length: timedelta) -> Iterator[tuple[str, str]]:
    """A length of time in every unit in which it is whole."""
    for unit in ("minute", "hour", "day"):
        count, rest = divmod(length, timedelta(**{f"{unit}s": 1}))
        if not rest and length.days < 36500:
            yield str(count), unit


def _values(world: World, column: Column, word: str) -> st.SearchStrategy[list[str]]:
    """The `ftv` of a word."""
    if word in ("isNull", "notNull", "isTrue", "isFalse", "arrayIsNull", "arrayNotNull"):
        return st.just([])
    if word == "relativeCurrentBetween":
        return st.sampled_from(RECENT[:12]).map(lambda window: window.split("-"))
    if word == "relativeCurrentBefore":
        return st.sampled_from(("0", "1", "7", "8", "36500")).map(lambda days: [days])
    if word == "arrayItemPos":
        return st.tuples(st.sampled_from(("1", "2", "3", "4")), _texts(column)).map(list)
    texts = _texts_of(world, column, word)
    if word == "range":
        key = exact if column.kind in NUMBERS else _day_first
        return st.tuples(texts, texts).map(lambda pair: _in_order(list(pair), key))
    return st.lists(texts, min_size=1, max_size=1 if word in ("greater", "less") or "egex" in word else 3)


def _texts_of(world: World, column: Column, word: str) -> st.SearchStrategy[str]:
    if column.kind in NUMBERS:
        return st.sampled_from(column.values).flatmap(lambda value: _near(_decimal(value)))
    if column.kind == "time":
        near = time_texts(world, column.values)
        return st.one_of(near, near, near, _odd_times(world))
    if "egex" in word:
        return st.one_of(st.sampled_from(PATTERNS), _texts(column).map(_as_pattern))
    return _pieces(column) if "nclude" in word and column.kind == "string" else _texts(column)


def _texts(column: Column) -> st.SearchStrategy[str]:
    """Values of a string property, or items of a list; now and then something else."""
    held = [v for value in column.values for v in (value if isinstance(value, list) else [value]) if v is not None]
    known = [text for text in held if isinstance(text, str)] or ["a"]
    return st.one_of(st.sampled_from(known), st.sampled_from(known), st.sampled_from(STRINGS))


@st.composite
def _pieces(draw: st.DrawFn, column: Column) -> str:
    """A piece of a text."""
    text = draw(_texts(column))
    start = draw(st.integers(0, len(text)))
    return text[start : start + draw(st.integers(0, 3))]


def _as_pattern(text: str) -> str:
    """A pattern that finds this very text; a NUL is a matter of its own."""
    return "^" + re.sub(r"([][\\.^$|?*+(){}])", r"\\\1", text.replace("\x00", "")) + "$"


@st.composite
def time_texts(draw: st.DrawFn, world: World, values: Sequence[datetime] = ()) -> str:
    """A time at or near a moment in the data, as the project's clocks show it."""
    known = (*values, *(e["#event_time"] for e in world.events), datetime.combine(world.today, time(12)))
    moment = draw(st.sampled_from(known)).replace(tzinfo=UTC).astimezone(ZoneInfo(world.zone)).replace(tzinfo=None)
    form = draw(st.sampled_from(("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d 00:00:00", "ms")))
    if form == "ms":
        return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"
    return moment.strftime(form)


# --- numbers as text -----------------------------------------------------------------------------


WIDE = Context(prec=100)


def exact(text: str) -> Fraction:
    return slow.exact(text)


def _in_order(texts: list[str], key: Callable[[str], Any]) -> list[str]:
    return sorted(texts, key=key)


def _decimal(value: float | Decimal | Fraction) -> Decimal:
    """A number with at most 17 places and 38 digits before them; a definition can hold one place more."""
    if isinstance(value, Fraction):
        value = WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    limit = Decimal(10) ** 37
    return max(-limit, min(limit, number)).quantize(Decimal("1e-17"), context=WIDE)


@st.composite
def _near(draw: st.DrawFn, number: Decimal) -> str:
    """This number or one beside it, in one of its spellings."""
    step = draw(st.sampled_from(("0", "0", "0", "1", "-1", "0.5", "1e-9", "-1e-17")))
    text = f"{WIDE.add(number, Decimal(step)):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    spelling = draw(st.sampled_from(("plain", "plain", "places", "exponent")))
    if spelling == "places":
        return text + ("0" if "." in text else ".0")
    return text + ("e0" if spelling == "exponent" else "")
