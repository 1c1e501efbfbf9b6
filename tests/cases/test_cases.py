"""Every case goes through all of the code, and comes out as its files say; together they use every word."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pytest

from mcp_server.language import vocabulary as words
from tests.cases.data import METADATA, WORLD
from tests.cases.running import CASES, Outcome, definition, is_tag, names, project, run
from tests.reading import slow, slow_tags


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with project() as made:
        yield made


@pytest.mark.parametrize("name", names())
def test_a_case_comes_out_as_its_files_say(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    sent_value = definition(name)
    outcome = run(sent_value, connection)
    written = {path.name: path.read_text(encoding="utf-8") for path in (CASES / name).iterdir()}
    sent = written.pop("definition.json")
    assert sent.endswith("\n")
    same = json.loads(written.pop("same.json")) if "sql" in sent_value else outcome.normalised
    assert written == outcome.files()
    _agrees_with_the_slow_reading(same, outcome)


def _agrees_with_the_slow_reading(same: Mapping[str, Any], outcome: Outcome) -> None:
    data = (same, WORLD.users, WORLD.events, WORLD.schema, WORLD.zone, WORLD.today, WORLD.clusters)
    if isinstance(outcome.found, list):
        assert outcome.found == sorted(slow.select(*data)), "the second reading of qp.md selects others"
        return
    expected = slow_tags.tag_values(*data)
    found = {user: slow_tags.exact(value) for user, value in outcome.found.items()}
    assert found == expected, "the second reading of qp.md gives others"
    assert {user: type(value) for user, value in found.items()} == {u: type(v) for u, v in expected.items()}


def _parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a definition."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _parts(child)


ALL = [part for name in names() for part in _parts(definition(name))]
"""Every object of every case, as it was sent."""
_EVENTS = [part for part in ALL if "eventName" in part and "taPropQuota" in part]
_FILTERS = [part for part in ALL if "columnName" in part and "comparator" in part]
_TAGS = [sent for name in names() if is_tag(sent := definition(name))]
_TAKEN = [part for tag in _TAGS for part in _parts(tag) if "isFirstEvent" in part]
_METRICS = [part for tag in _TAGS for part in _parts(tag) if "analysis" in part and "eventName" in part]


def test_there_are_forty_cases_and_hardly_two_select_the_same() -> None:
    chosen = [path.read_text(encoding="utf-8") for path in CASES.glob("*/users.json")]
    assert len(chosen) >= 40
    assert len(set(chosen)) >= 0.6 * len(chosen)
    assert sum(text.strip() in ("[]", str([u["#user_id"] for u in WORLD.users])) for text in chosen) <= 2


@pytest.mark.parametrize("word", words.COMPARATORS)
def test_every_comparator_has_a_case_for_each_of_its_types(word: str) -> None:
    used = {METADATA.property(f["tableType"], f["columnName"]) for f in _FILTERS if f["comparator"] == word}
    assert {found.type for found in used if found} >= words.COMPARATORS[word].types


@pytest.mark.parametrize("word", [*words.NUMBER_COMPARATORS, "gte", "lte"])
def test_every_comparison_of_a_measure_has_a_case(word: str) -> None:
    assert any(e["comparator"] == word for e in _EVENTS)


@pytest.mark.parametrize("word", words.MEASURES)
def test_every_measure_has_a_case_for_each_type_of_its_property(word: str) -> None:
    used = [e["taPropQuota"] for e in _EVENTS if e["taPropQuota"]["analysis"] == word]
    assert used
    found = {METADATA.property("event", m["quota"]) for m in used if "quota" in m}
    assert {p.type for p in found if p} == words.MEASURES[word].quota_types


@pytest.mark.parametrize("word", words.RELATIONS)
@pytest.mark.parametrize("key", ["event_relation", "event_user_relation", "top", "event", "group"])
def test_every_relation_has_a_case_in_every_place(word: str, key: str) -> None:
    places = {
        "event_relation": [p.get("event_relation") for p in ALL],
        "event_user_relation": [p.get("event_user_relation") for p in ALL],
        "top": [definition(name).get("relation") for name in names()],
        "event": [e.get("relation") for e in _EVENTS],
        "group": [p.get("relation") for p in ALL if p.get("filterType") == words.GROUP],
    }
    assert word in places[key]


@pytest.mark.parametrize("word", words.TIME_UNITS)
def test_every_unit_of_time_has_a_case(word: str) -> None:
    assert any(f.get("timeUnit") == word for f in _FILTERS)


@pytest.mark.parametrize("word", words.TABLES)
def test_every_table_has_a_case(word: str) -> None:
    assert any(f["tableType"] == word for f in _FILTERS)


def test_versions_and_values_of_clusters_have_a_case() -> None:
    named = [(f["columnName"], "specifiedClusterDate" in f) for f in _FILTERS if f["tableType"] == "cluster"]
    assert {("whales", True), ("whales", False), ("tier", True), ("tier", False)} <= set(named)
    assert {"string", "number", "time", "cluster"} == {
        p.type for n, _ in named if (p := METADATA.property("cluster", n))
    }


@pytest.mark.parametrize("table", words.TABLES_IN_EVENT)
def test_every_table_has_a_case_inside_an_event(table: str) -> None:
    assert any(f["tableType"] == table for e in _EVENTS for f in _parts(e) if "columnName" in f)


def test_rows_of_any_name_and_every_kind_of_window_have_a_case() -> None:
    assert any(e["eventName"] == words.ANY_EVENT for e in _EVENTS)
    windows = {tuple(k for k in ("recentDay", "startTime", "endTime") if k in e) for e in _EVENTS}
    assert windows >= {("recentDay",), ("startTime", "endTime"), ("startTime",), ("endTime",), ()}


def test_every_tag_case_gives_other_values() -> None:
    given = [path.read_text(encoding="utf-8") for path in CASES.glob("*/values.json")]
    assert len(given) == len(set(given)) == len(_TAGS) >= 40


@pytest.mark.parametrize("first", [True, False])
def test_every_type_that_a_tag_can_take_has_a_case(first: bool) -> None:
    taken = [part["calcPropVo"]["property"] for part in _TAKEN if part["isFirstEvent"] == first]
    assert {part["tableType"] for part in taken} >= ({"user", "event"} if first else {"event"})
    found = {METADATA.property(part["tableType"], part["columnName"]) for part in taken}
    assert {p.type for p in found if p} >= {"string", "number", "time"} | ({"bool"} if first else set())


@pytest.mark.parametrize("word", words.MEASURES)
def test_every_measure_of_a_tag_has_a_case_for_each_type_of_its_property(word: str) -> None:
    used = [part for part in _METRICS if part["analysis"] == word]
    assert used
    found = {METADATA.property("event", part["quota"]) for part in used if "quota" in part}
    assert {p.type for p in found if p} == words.MEASURES[word].quota_types


@pytest.mark.parametrize("word", ["SUM", "AVG", "MEDIAN"])
def test_what_is_computed_of_a_number_has_a_case_for_each_kind_of_it(word: str) -> None:
    found = [METADATA.property("event", part["quota"]) for part in _METRICS if part["analysis"] == word]
    assert {p.scale for p in found if p} == {0, 2, None}


def test_values_overlap_in_both_orders_and_tags_have_every_kind_of_window() -> None:
    one, other = (definition(n)["userTagValueDefs"] for n in ("values_first_that_fits", "values_in_the_other_order"))
    assert one == other[::-1]
    windows = {tuple(k for k in ("recentDay", "startTime", "endTime") if k in part) for part in (*_TAKEN, *_METRICS)}
    assert windows >= {("recentDay",), ("startTime", "endTime"), ("startTime",), ("endTime",), ()}
