"""The words that the vendor does not document are found wherever a definition may hold them."""

from typing import Any

import pytest

from mcp_server.language import vocabulary as words
from mcp_server.language.definitions import unverified
from mcp_server.language.model import Qp, TagQp
from mcp_server.language.schema import EXAMPLE, TAG_EXAMPLES
from mcp_server.language.uploaded import Uploaded


def event(**more: Any) -> dict[str, Any]:
    return {"eventName": "pay", "comparator": "greater", "num": "1", "taPropQuota": {"analysis": "TIMES"}} | more


def leaf(word: str, **more: Any) -> dict[str, Any]:
    row = words.COMPARATORS[word]
    table = {"tableType": "cluster"} if row.of_cluster else {"tableType": "user"}
    values = {"ftv": ["1"] * row.values[0], "columnName": "x", "comparator": word}
    return table | values | ({"timeUnit": "day"} if row.in_event else {}) | more


def found(definition: Any) -> list[tuple[str, str]]:
    return [("/".join(map(str, path)), word) for path, word, _ in unverified(definition)]


def test_the_vendors_own_examples_have_none() -> None:
    assert found(Qp.model_validate(EXAMPLE)) == []
    assert [found(TagQp.model_validate(tag)) for tag in TAG_EXAMPLES] == [[]] * len(TAG_EXAMPLES)
    assert found(Uploaded("catalog_cluster", "#account_id", "", 0, 0)) == []


@pytest.mark.parametrize("word", words.COMPARATORS)
def test_a_comparator_is_found_by_its_mark(word: str) -> None:
    row = words.COMPARATORS[word]
    made = Qp.model_validate({"events": [event(filts=[leaf(word)])]} if row.in_event else {"filts": [leaf(word)]})
    at = "events/0/filts/0" if row.in_event else "filts/0"
    expected = [(f"{at}/tableType", "cluster")] if row.of_cluster else []
    expected += [(f"{at}/comparator", word)] if row.mark != "D" else []
    assert found(made) == expected


@pytest.mark.parametrize("word", words.NUMBER_COMPARATORS)
def test_a_comparison_of_a_measure_is_found_by_its_mark(word: str) -> None:
    row = words.NUMBER_COMPARATORS[word]
    made = Qp.model_validate({"events": [event(comparator=word, num=",".join(["1"] * row.values))]})
    assert found(made) == ([("events/0/comparator", word)] if row.mark != "D" else [])


@pytest.mark.parametrize("word", words.MEASURES)
def test_a_measure_is_found_by_its_mark_in_clusters_and_tags(word: str) -> None:
    row = words.MEASURES[word]
    quota = {"analysis": word} | ({"quota": "x"} if row.quota_types else {})
    marked = row.mark != "D"
    assert found(Qp.model_validate({"events": [event(taPropQuota=quota)]})) == (
        [("events/0/taPropQuota/analysis", word)] if marked else []
    )
    tag = TagQp.model_validate({"userTagConQuotaDef": {"userTagConQuotaEvent": {"eventName": "pay"} | quota}})
    at = "userTagConQuotaDef/userTagConQuotaEvent/analysis"
    assert found(tag) == ([(at, word)] if marked else [])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"eventName": "anyEvent"}, [("eventName", "anyEvent")]),
        ({"recentDay": "0-1"}, []),
        ({"recentDay": "0-7"}, [("recentDay", "0-7")]),
        ({"recentDay": "1-7"}, []),
        ({"startTime": "2026-01-01"}, [("startTime", "startTime")]),
        ({"startTime": "2026-01-01", "endTime": "2026-01-02"}, []),
        ({"recentDay": "1-7", "startTime": "2026-01-01"}, []),
    ],
)
def test_windows_and_names_are_looked_at(more: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(Qp.model_validate({"events": [event(**more)]})) == [(f"events/0/{at}", w) for at, w in expected]


def test_groups_and_dates_of_clusters_are_found_at_their_places() -> None:
    inner = leaf("belongToCluster", specifiedClusterDate="2026-01-01")
    values = [{"tagValue": "a", "userClusterDef": {"filts": [{"filterType": "COMPOUND", "filts": [inner]}]}}]
    at = "userTagValueDefs/0/userClusterDef/filts/0"
    assert found(TagQp.model_validate({"userTagValueDefs": values})) == [
        (f"{at}/filterType", "COMPOUND"),
        (f"{at}/filts/0/tableType", "cluster"),
        (f"{at}/filts/0/comparator", "belongToCluster"),
        (f"{at}/filts/0/specifiedClusterDate", "specifiedClusterDate"),
    ]
