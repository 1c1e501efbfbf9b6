"""Definitions with something wrong, for hypothesis: valid ones, changed in one to three places.

Every one is still a JSON value. Some changes leave a definition valid; that is meant.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.reading.strategies import (
    CLUSTER_WORDS,
    EVENT_WORDS,
    MEASURES,
    NULL_WORDS,
    NUMBER_WORDS,
    WORDS,
    Json,
    definitions,
)
from tests.reading.worlds import still_world

WORLD = still_world()
Place = tuple[Any, Any]
"""A list or an object, and an index or a key in it."""

KEYS = (
    "events", "event_relation", "filts", "relation", "event_user_relation", "eventName", "comparator", "num", "taPropQuota",
    "analysis", "quota", "recentDay", "startTime", "endTime", "tableType", "columnName", "ftv", "timeUnit", "filterType",
    "specifiedClusterDate", "userTagValueDefs", "tagValue", "tagRemark", "userClusterDef", "userTagConFirstLastEventDef",
    "userTagConFirstLastEvent", "isFirstEvent", "calcPropVo", "isCalc", "property", "userTagConQuotaDef", "userTagConQuotaEvent", "type",
)  # fmt: skip
STRANGE_KEYS = ("Events", "column_name", "columnDesc", "", " num", "specifiedClusterDate ", "num\n", "名称")
LEAF_WORDS = (
    *dict.fromkeys(word for words in WORDS.values() for word in words),
    *NULL_WORDS,
    *EVENT_WORDS,
    *CLUSTER_WORDS,
)
TEXTS = (
    *LEAF_WORDS, *MEASURES, *NUMBER_WORDS, "and", "or", "AND", "event", "user", "cluster", "minute", "day", "COMPOUND", "compound",
    "gte", "TOTAL_TIMES", "SIMPLE", "", " ", "1-7", "1-7\n", "0-0", "7-1", "1-123456", "1 - 7", "１-７", "-1-7", "4", "4\n", "+4", "04", "4.",
    ".5", "1e5", "1E+05", "4,5", "4, 5", "4,5,6", "4,", "NaN", "Infinity", "٤", "2026-07-01", "2026-07-01\n", "2026-7-1", "2026-07-01T10:00:00",
    "2026-07-01 10:00:00", "2026-07-01 10:00", "2026-07-01 10:00:00.000", "0000-00-00", "x" * 2000, "x" * 2001, "1" * 2000, "1" * 2001, "😀" * 2000,
    "[]", "{}", "normal", "2026-07-32", "2026-07-0１",
)  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, True, False, 0, 4, -1.5, 1e308, [], {}, [None], [""], [[]], ["a", 1], [{}], {"a": 1}, {"filts": []}, "and", "",
    {"filterType": "COMPOUND", "filts": []}, {"analysis": "TIMES"}, {"analysis": "SUM"},
    {"columnName": "level", "tableType": "user"}, {"property": {"columnName": "level", "tableType": "user"}},
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn, valid: st.SearchStrategy[Json] | None = None) -> Any:
    """A valid definition, of a cluster where nothing else is given, changed in one to three places."""
    changed: Any = copy.deepcopy(draw(definitions(WORLD) if valid is None else valid))
    for _ in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from(CHANGES))
        changed = change(draw, changed)
    return changed


def places(node: Any) -> Iterator[Place]:
    """Every place in a definition."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from places(node[key])


def _somewhere(draw: st.DrawFn, node: Any, wanted: Callable[[Any], bool] = lambda _: True) -> Place | None:
    found = [(holder, key) for holder, key in places(node) if wanted(holder[key])]
    return draw(st.sampled_from(found)) if found else None


def _drop(draw: st.DrawFn, node: Any) -> Any:
    if place := _somewhere(draw, node):
        del place[0][place[1]]
    return node


def _replace(draw: st.DrawFn, node: Any) -> Any:
    place = _somewhere(draw, node)
    value = copy.deepcopy(draw(st.one_of(st.sampled_from(JUNK), st.sampled_from(TEXTS))))
    if place is None or draw(st.integers(0, 30)) == 30:
        return value
    place[0][place[1]] = value
    return node


def _other_word(draw: st.DrawFn, node: Any) -> Any:
    if place := _somewhere(draw, node, lambda value: isinstance(value, str)):
        place[0][place[1]] = draw(st.sampled_from(TEXTS))
    return node


def _rename(draw: st.DrawFn, node: Any) -> Any:
    place = _somewhere(draw, node)
    if place and isinstance(place[0], dict):
        place[0][draw(st.sampled_from(KEYS + STRANGE_KEYS))] = place[0].pop(place[1])
    return node


def _add_key(draw: st.DrawFn, node: Any) -> Any:
    place = _somewhere(draw, node, lambda value: isinstance(value, dict))
    holder = place[0][place[1]] if place else node
    if isinstance(holder, dict):
        value = draw(st.one_of(st.sampled_from(TEXTS), st.sampled_from(JUNK)))
        holder[draw(st.sampled_from(KEYS + STRANGE_KEYS))] = copy.deepcopy(value)
    return node


def _lengthen(draw: st.DrawFn, node: Any) -> Any:
    if place := _somewhere(draw, node, lambda value: isinstance(value, list) and bool(value)):
        parts: list[Any] = place[0][place[1]]
        times = draw(st.sampled_from((2, 3, 32, 33, 1000, 1001)))
        if times < 1000 or isinstance(parts[0], str):
            place[0][place[1]] = parts[:1] * (times - 1) + parts
    return node


def _nest(draw: st.DrawFn, node: Any) -> Any:
    """Put a filter into one to four groups."""
    place = _somewhere(draw, node, lambda value: isinstance(value, dict) and ("tableType" in value or "filts" in value))
    if place is None:
        return node
    holder, key = place
    for _ in range(draw(st.integers(1, 4))):
        group: Json = {"filterType": "COMPOUND", "filts": [holder[key]]}
        holder[key] = group | draw(st.sampled_from(({}, {"relation": "or"}, {"comparator": "equal"})))
    return node


CHANGES: Sequence[Callable[[st.DrawFn, Any], Any]] = (
    _drop,
    _replace,
    _other_word,
    _other_word,
    _rename,
    _add_key,
    _lengthen,
    _nest,
)
