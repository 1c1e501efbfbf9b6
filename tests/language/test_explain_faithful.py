"""Definitions of different meaning never read the same, in either language."""

import copy
import re
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import combinations, permutations, product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_server.language import vocabulary as words
from mcp_server.language.explain import explain_qp
from mcp_server.language.metadata import Event, Metadata, Names, Property
from mcp_server.language.model import Qp
from tests.language.meanings import Raw, collisions, meaning
from tests.reading.strategies import Case, cases
from tests.reading.tables import metadata_of

METADATA = Metadata(
    project_id="1",
    today=date(2024, 3, 1),
    events=(
        Event(name="pay", names=Names(en="Pay", zh="付费")),
        Event(name="login", names=Names(en="pay", zh="付费")),
        Event(name="any event", names=Names(zh="任意事件")),
        Event(name="odd", names=Names(en="Pay` (Pay)", zh="付费`（付费）")),
    ),
    properties=(
        Property(table="event", name="amount", type="number", names=Names(en="Amount", zh="金额")),
        Property(table="event", name="price", type="number", names=Names(en="Amount", zh="金额")),
        Property(table="event", name="level", type="string"),
        Property(table="event", name="note", type="string"),
        Property(table="event", name="due", type="time"),
        Property(table="user", name="level", type="number", names=Names(en="Level", zh="等级")),
        Property(table="user", name="city", type="string"),
        Property(table="user", name="note", type="string"),
        Property(table="user", name="born", type="time"),
        Property(table="user", name="vip", type="bool"),
        Property(table="user", name="tags", type="list"),
        Property(table="cluster", name="whales", type="cluster", names=Names(en="Big", zh="大户")),
        Property(table="cluster", name="big", type="cluster", names=Names(en="Big", zh="大户")),
        Property(table="cluster", name="level", type="string", names=Names(en="Level", zh="等级")),
        Property(table="cluster", name="spent", type="number"),
        Property(table="cluster", name="seen", type="time"),
        Property(table="cluster", name="vip", type="bool"),
    ),
)

HOSTILE = (
    "pay", "Pay", "pay ", "pay` (Pay)", "`pay`", "pay\\", "pay\\`", "付费", "`pay`（付费）", "any event", "任意事件", "a; (2) b",
    "a]; [b", "a】；【b", "a\nb", "a\\nb", "a\u200bb", "ab", "é", "e\u0301", "{a}", '"', "",
)  # fmt: skip
VALUES: tuple[tuple[str, ...], ...] = (
    *((value,) for value in HOSTILE),
    ("a", "b"), ("a", "c"), ("a", "b", "c"), ('a" or "b',), ('a", "b',), ('a"、"b',), ("a\\", "b"), ('a\\", "b',), ("a, b",),
    ('a", "b', "c"), ("a", 'b", "c'), ('a"、"b', "c"), ("a", 'b"、"c'),
    tuple(f"v{i}" for i in range(20)), tuple(f"v{i}" for i in range(21)), tuple(f"v{i}" for i in range(25)),
    (*(f"v{i}" for i in range(24)), "v99"), (*(f"v{i}" for i in range(24)), "v23"),
)  # fmt: skip
NUMBERS = (
    *((word, number) for word in ("greater", "less", "equal", "notEqual") for number in ("-1", "0", "1", "2", "2.5", "4", "40")),
    *(("range", ends) for ends in ("0,5", "1,5", "5,5", "4.5,5", "-5,5", "0,0", "0,0.5", "1.2,1.8", "1e3,2e3")),
    *(("range", ends) for ends in ("5,9000000000000000", "-9000000000000000,5", "-9000000000000000,9000000000000000")),
    ("greater", "9007199254740993"), ("greater", "9007199254740992"),
)  # fmt: skip
MEASURES = (
    {"analysis": "TIMES"},
    *(
        {"analysis": word, "quota": q}
        for word in words.MEASURES
        if word != "TIMES"
        for q in ("amount", "price", "odd name`")
    ),
)
WINDOWS: tuple[Raw, ...] = (
    {},
    *({"recentDay": days} for days in ("0-1", "0-2", "0-7", "1-1", "1-2", "1-7", "2-2", "7-7", "2-7", "0-0", "7-1")),
    {"startTime": "2024-02-23"}, {"startTime": "2024-02-23 00:00:01"}, {"endTime": "2024-02-29"}, {"endTime": "2024-02-29 23:59:59"},
    {"startTime": "2024-02-23", "endTime": "2024-02-29"}, {"startTime": "2024-02-23", "endTime": "2024-02-29 23:59:59"},
    {"startTime": "2024-02-29", "endTime": "2024-02-29"}, {"startTime": "2024-02-29", "endTime": "2024-02-29 12:00:00"},
    {"startTime": "2024-02-23 08:00:00", "endTime": "2024-02-29"}, {"startTime": "2024-02-30"},
)  # fmt: skip


def having(name: str, comparator: str, *ftv: str, table: str = "user", **more: Any) -> Raw:
    return {"tableType": table, "columnName": name, "comparator": comparator, "ftv": list(ftv)} | more


def group(relation: str, *parts: Raw) -> Raw:
    return {"filterType": "COMPOUND", "relation": relation, "filts": list(parts)}


def conditions() -> Iterator[Raw]:
    """Filters on the user that differ in one thing each."""
    for values in VALUES:
        for word in ("equal", "notEqual", "include", "notInclude"):
            yield having("city", word, *values)
        yield having("tags", "arrayIncludeItem", *values)
        yield having("tags", "arrayNotIncludeItem", *values)
    for text in HOSTILE:
        yield having("city", "regexMatch", text)
        yield having("city", "notRegexMatch", text)
        yield having("tags", "arrayItemPos", "1", text)
        if text:
            yield having(text, "isNull")
    for word, ends in (*NUMBERS, ("equal", "1, 2"), ("equal", "1,2")):
        yield having("level", word, *(ends.split(",") if word == "range" else [ends]))
    yield from times()
    for column in ("level", "city", "born", "vip", "tags", "LEVELS"):
        yield from (
            having(column, word) for word in ("isNull", "notNull", "isTrue", "isFalse", "arrayIsNull", "arrayNotNull")
        )
    yield from groups()
    yield from clusters()


def clusters() -> Iterator[Raw]:
    """Conditions on clusters and on the values of tags, of now and of two days."""
    days: tuple[Raw, ...] = ({}, {"specifiedClusterDate": "2024-02-28"}, {"specifiedClusterDate": "2024-02-29"})
    for name, day in product(("whales", "big", "gone", *filter(None, HOSTILE)), days):
        for word in ("belongToCluster", "notBelongToCluster", "isNull", "notNull"):
            yield having(name, word, table="cluster", **day)
    for day in days:
        for word, values in product(("equal", "notEqual", "include", "notInclude"), VALUES):
            yield having("level", word, *values, table="cluster", **day)
        for word, ends in NUMBERS:
            yield having("spent", word, *(ends.split(",") if word == "range" else [ends]), table="cluster", **day)
        for column, word in product(("level", "spent", "seen", "vip"), ("isNull", "notNull", "isTrue", "isFalse")):
            yield having(column, word, table="cluster", **day)
        yield from (part | {"tableType": "cluster", "columnName": "seen"} | day for part in times())


def times() -> Iterator[Raw]:
    moments = (
        "2024-02-29",
        "2024-02-29 00:00:01",
        "2024-02-29 00:00:00.001",
        "2024-02-30",
        "9999-12-31 23:59:59",
        "9999-12-31",
    )
    for moment in moments:
        yield from (having("born", word, moment) for word in ("equal", "notEqual", "greater", "less"))
        yield having("born", "range", "2024-01-01", moment)
        yield having("born", "range", "0001-01-01 00:00:00", moment)
        yield having("born", "range", moment, "9999-12-31 23:59:59")
    yield having("born", "range", "2024-01-01", "2024-02-29 00:00:00")
    for near, far in ((0, 1), (0, 7), (1, 7), (7, 7), (1, 1), (7, 0)):
        yield having("born", "relativeCurrentBetween", str(near), str(far))
    yield from (having("born", "relativeCurrentBefore", days) for days in ("0", "1", "7", "8", "99999", "x"))


def groups() -> Iterator[Raw]:
    a, b, c, d = (
        having("vip", "isTrue"),
        having("level", "greater", "3"),
        having("city", "equal", "x"),
        having("tags", "notNull"),
    )
    for outer in ("and", "or"):
        inner = "or" if outer == "and" else "and"
        yield group(outer, a, b)
        yield group(outer, a, b, c)
        yield group(outer, a, group(inner, b, c))
        yield group(outer, a, group(inner, b, c), d)
        yield group(outer, a, group(inner, b, c, d))
        yield group(outer, group(inner, a, b), c, d)
        yield group(outer, group(inner, a, b, c), d)
        yield group(outer, a, group(inner, b, group(outer, c, d)))
        yield group(outer, a, group(inner, group(outer, b, c), d))
        yield group(outer, group(inner, a, b), c)
        yield group(outer, group(inner, a, b), group(inner, b, c))


def near_event() -> Iterator[Raw]:
    for word in ("relativeEventBefore", "relativeEventAfter", "relativeEventAbsolute"):
        for amount, unit in product(("0", "1", "24", "60"), words.TIME_UNITS):
            for table, column in (("user", "born"), ("event", "due")):
                yield having(column, word, amount, table=table, timeUnit=unit)


def events() -> Iterator[Raw]:
    """Event conditions that differ from one in one thing or in two."""
    base: Raw = {"eventName": "pay", "comparator": "greater", "num": "4", "taPropQuota": {"analysis": "TIMES"}}
    inside = [having("note", "equal", *v, table=t) for t in ("event", "user") for v in VALUES[:30:3]]
    axes: list[list[Raw]] = [
        [{"eventName": name} for name in (*filter(None, HOSTILE), "anyEvent", "login", "odd")],
        [{"comparator": word, "num": number} for word, number in NUMBERS],
        [{"taPropQuota": measure} for measure in MEASURES],
        list(WINDOWS),
        [{"filts": [f]} for f in (*inside, *near_event())]
        + [{"filts": list(pair), "relation": r} for pair in combinations(inside[:5], 2) for r in ("and", "or")],
    ]
    for axis in axes:
        yield from (base | change for change in axis)
    for first, second in combinations(axes, 2):
        yield from (base | a | b for a in first[::2] for b in second[::2])


def definitions() -> Iterator[Raw]:
    """A few thousand definitions, each close to many others."""
    yield from ({"events": [event]} for event in events())
    yield from ({"filts": [condition]} for condition in conditions())
    some = list(events())[:40:13]
    users = list(conditions())[:60:17]
    for how_events, how_users, how_both in product(("and", "or"), repeat=3):
        joins = {"event_relation": how_events, "relation": how_users, "event_user_relation": how_both}
        for n in range(len(some) + 1):
            for m in range(len(users) + 1):
                if n + m:
                    yield {"events": some[:n], "filts": users[:m]} | joins


def test_thousands_of_near_definitions_never_read_the_same() -> None:
    raws = list(definitions())

    assert len({meaning(raw, METADATA) for raw in raws}) > 3000
    assert collisions(raws, METADATA) == []


def test_never_reads_the_same_however_it_is_written() -> None:
    base: Raw = {"eventName": "pay", "taPropQuota": {"analysis": "TIMES"}}
    ways = (("less", "1"), ("equal", "0"), ("range", "0,0"), ("less", "0.5"))
    texts = {
        explain_qp(Qp.model_validate({"events": [base | {"comparator": c, "num": n}]}), METADATA).summary
        for c, n in ways
    }

    assert len(texts) == 1


def test_each_condition_is_a_part_and_stands_in_the_summary() -> None:
    for raw in definitions():
        explanation = explain_qp(Qp.model_validate(raw), METADATA)
        bodies = [p.text for p in explanation.parts if p.path]
        assert all(b.en in explanation.summary.en and b.zh in explanation.summary.zh for b in bodies)
        assert len(bodies) == len(raw.get("events", [])) + len(raw.get("filts", []))


def test_a_negated_word_says_so_for_one_value_and_for_several() -> None:
    said = [t for row in words.COMPARATORS.values() if row.negated for t in (row.text, row.many_text) if t]

    assert len(said) > 8
    assert [t for t in said if not re.search("not|none|false|has a value|with items", t.en)] == []
    assert [t for t in said if not re.search("不|假|有值|非空", t.zh)] == []


# Text made of the marks that our own sentences are made of
_MARKS = st.text(st.sampled_from('`"\\[]()（）【】；、，,; ab1{}\n'), max_size=5)
_NAMES = st.one_of(st.sampled_from(["pay", "login", "anyEvent"]), _MARKS.filter(bool))
_LEAVES = st.builds(
    lambda table, name, word, ftv: having(name, word, *ftv, table=table),
    st.just("user"),
    st.one_of(st.sampled_from(["city", "level", "tags", "born"]), _MARKS.filter(bool)),
    st.sampled_from(["equal", "notEqual", "include", "notInclude"]),
    st.lists(_MARKS, min_size=1, max_size=3),
)
_FILTERS = st.recursive(
    _LEAVES, lambda inner: st.builds(group, st.sampled_from(["and", "or"]), inner, inner), max_leaves=3
)
_EVENTS = st.builds(
    lambda name, number, window, filts, relation: (
        {
            "eventName": name,
            "comparator": number[0],
            "num": number[1],
            "taPropQuota": {"analysis": "TIMES"},
            "relation": relation,
        }
        | window
        | {"filts": filts}
    ),
    _NAMES,
    st.sampled_from(NUMBERS),
    st.sampled_from(WINDOWS),
    st.lists(_FILTERS, max_size=2),
    st.sampled_from(["and", "or"]),
)
_DEFINITIONS = st.fixed_dictionaries(
    {"events": st.lists(_EVENTS, max_size=2), "filts": st.lists(_FILTERS, max_size=2)},
    optional={k: st.sampled_from(["and", "or"]) for k in ("event_relation", "relation", "event_user_relation")},
).filter(lambda d: bool(d["events"] or d["filts"]))


def _mutated(raw: Raw, choose: Any) -> Raw:
    """The definition with one of its texts changed, or one of its relations."""
    changed = copy.deepcopy(raw)
    places = list(_places(changed))
    holder, key = choose(st.sampled_from(places))
    if isinstance(holder, dict) and key.endswith("relation"):
        holder[key] = "or" if holder[key] == "and" else "and"
    else:
        holder[key] = choose(_MARKS.filter(bool))
    return changed


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            yield from _places(value)
        elif isinstance(key, int) or key in ("eventName", "columnName") or key.endswith("relation"):
            yield node, key


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_one_change_anywhere_is_seen(data: st.DataObject) -> None:
    raw = data.draw(_DEFINITIONS)
    others = [_mutated(raw, data.draw) for _ in range(3)]

    assert collisions([raw, *others], METADATA) == []


def _crossed(raws: Sequence[Raw]) -> Iterator[Raw]:
    """Definitions with one thing taken from another one, next to those they were made of."""
    yield from raws
    for one, other in permutations(raws, 2):
        yield from (one | {key: other[key]} for key in other if other[key])
        if one.get("events") and other.get("events"):
            event, donor = one["events"][0], other["events"][0]
            for keys in (
                ("eventName",),
                ("comparator", "num"),
                ("recentDay",),
                ("startTime", "endTime"),
                ("filts",),
                ("relation",),
            ):
                kept = {k: v for k, v in event.items() if k not in keys}
                yield one | {"events": [kept | {k: donor[k] for k in keys if k in donor}, *one["events"][1:]]}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(most=5))
def test_generated_definitions_and_their_crossings_never_read_the_same(case: Case) -> None:
    assert collisions(_crossed(case.definitions), metadata_of(case.world)) == []
