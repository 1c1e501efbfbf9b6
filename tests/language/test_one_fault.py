"""One fault draws one problem, also where a word can only be read beside others (qp.md section 1)."""

import json
from typing import Any

import pytest

from mcp_server.language.metadata import Property
from mcp_server.language.reading.check import read_qp, read_tag
from tests.language.projects import GAME, event, user


def found(raw: object) -> list[tuple[str, str, str]]:
    """(code, path, suggestion) of every problem."""
    return [(p.code, p.path.removeprefix("/qp"), p.suggestion) for p in read_qp(raw, GAME).problems]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num": "three"}, ("num_invalid", "/events/0/num", "3")),
        ({"num": "5,000"}, ("num_invalid", "/events/0/num", "5000")),
        ({"num": "1e99"}, ("num_too_long", "/events/0/num", "")),
        ({"num": "5,6"}, ("num_count", "/events/0/num", "")),
        ({"num": None}, ("key_missing", "/events/0/num", "")),
        ({"num": {}}, ("type_wrong", "/events/0/num", "")),
        ({"taPropQuota": {"analysis": "MODE"}}, ("analysis_unknown", "/events/0/taPropQuota/analysis", "")),
        ({"taPropQuota": 5}, ("type_wrong", "/events/0/taPropQuota", "")),
    ],
)
def test_at_least_is_not_to_blame_for_what_stands_beside_it(
    changes: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert found({"events": [event(comparator="gte", **changes)]}) == [expected]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (user("citty", "contains", "x"), ("property_unknown", "/filts/0/columnName", "city")),
        (user("levl", ">=", "3"), ("property_unknown", "/filts/0/columnName", "Level")),
        (user("Level", ">=", "three"), ("value_type", "/filts/0/ftv/0", "3")),
        (user("Level", ">=", "1", "2"), ("ftv_count", "/filts/0/ftv", "")),
        (user("Level", ">=", None), ("ftv_null", "/filts/0/ftv/0", "")),
        (user("city", ">=", "a"), ("comparator_not_for_type", "/filts/0/comparator", "")),
        (user("Level", "contains", "3"), ("comparator_not_for_type", "/filts/0/comparator", "equal")),
        (user("Level", "notContains", "3"), ("comparator_not_for_type", "/filts/0/comparator", "notEqual")),
        ({"tableType": "user", "comparator": "gte", "ftv": ["1"]}, ("key_missing", "/filts/0/columnName", "")),
        ({**user("Level", "gte", "1"), "tableType": "device"}, ("table_unknown", "/filts/0/tableType", "user")),
        ({**user("Level", "gte"), "ftv": {}}, ("type_wrong", "/filts/0/ftv", "")),
    ],
)
def test_a_word_that_needs_a_property_is_not_to_blame_for_it(part: object, expected: tuple[str, str, str]) -> None:
    assert found({"filts": [part]}) == [expected]


def test_a_number_of_days_becomes_text_before_it_is_refused() -> None:
    reading = read_qp({"events": [event(recentDay=7)]}, GAME)
    assert [(p.code, p.suggestion) for p in reading.problems] == [("window_invalid", "1-7")]
    assert [(r.path, r.before, r.after) for r in reading.repairs] == [("/qp/events/0/recentDay", "7", '"7"')]


GOOD = {"filts": [user("city", "isNull")]}


@pytest.mark.parametrize(
    "raw", [{"qp": GOOD}, {"qp": json.dumps(GOOD)}, {"definition": GOOD}, {"clusterName": "a", "qp": GOOD}]
)
def test_a_definition_a_level_too_deep_is_to_be_sent_by_itself(raw: object) -> None:
    (problem,) = read_qp(raw, GAME).problems
    assert (problem.code, problem.path) == ("definition_wrapped", "/qp")
    assert json.loads(problem.suggestion) == GOOD


def test_a_long_definition_is_not_repeated_as_a_suggestion() -> None:
    (problem,) = read_qp({"qp": {"filts": [user("city", "equal", "x" * 500)]}}, GAME).problems
    assert (problem.code, problem.suggestion) == ("definition_wrapped", "")


def test_the_other_kind_is_named_at_any_depth() -> None:
    tag = {"userTagValueDefs": [{"tagValue": "a", "userClusterDef": GOOD}]}
    assert [(p.code, p.path) for p in read_qp({"tagQp": tag}, GAME).problems] == [("tag_given", "/qp/tagQp")]
    assert [(p.code, p.path) for p in read_tag({"qp": GOOD}, GAME).problems] == [("cluster_given", "/tag_qp/qp")]
    assert [p.code for p in read_tag({"tagQp": tag}, GAME).problems] == ["definition_wrapped"]


@pytest.mark.parametrize(("word", "repaired"), [("TRUE", "isTrue"), (True, "isTrue"), ("False", "isFalse")])
def test_a_yes_or_no_is_read_in_any_letter_case(word: object, repaired: str) -> None:
    assert read_qp({"filts": [user("vip", "equal", word)]}, GAME).normalised == {"filts": [user("vip", repaired)]}


def test_a_synonym_is_told_from_another_spelling() -> None:
    def reason(word: str) -> str:
        (made,) = read_qp({"filts": [user("Level", word, "3")]}, GAME).repairs
        return made.reason.en

    assert reason("GREATER") == "the documented spelling"
    assert reason("gt") == reason(">") == "the documented word with the same meaning"


def test_a_circle_names_the_cluster_as_it_is_written() -> None:
    other = Property(table="cluster", name="Whales", type="cluster", uses=("big_fish",))
    metadata = GAME.with_clusters((other,))
    part = {"tableType": "cluster", "columnName": "whales", "comparator": "belongToCluster", "ftv": []}
    (problem,) = read_qp({"filts": [part]}, metadata, own="Big_Fish").problems
    assert problem.code == "cluster_cycle"
    assert "Big_Fish" in problem.message.en
    assert "Big_Fish" in problem.message.zh


def test_a_misspelt_key_is_not_missing_as_well() -> None:
    raw = {"events": [{"event": "purchase", "op": ">", "value": 4, "recent_day": "1-7"}]}
    assert found(raw) == [
        ("key_unknown", "/events/0/event", "eventName"),
        ("key_unknown", "/events/0/op", "comparator"),
        ("key_unknown", "/events/0/value", "num"),
        ("key_unknown", "/events/0/recent_day", "recentDay"),
    ]


@pytest.mark.parametrize("word", ["ge", "greater_than_or_equal", "大于等于", "至少", "≥"])
def test_a_word_for_at_least_is_never_answered_with_more_than(word: str) -> None:
    assert found({"events": [event(comparator=word)]}) == [("comparator_unknown", "/events/0/comparator", "gte")]
    assert found({"filts": [user("Level", word, "3")]}) == [("comparator_unknown", "/filts/0/comparator", "gte")]
    assert read_qp({"filts": [user("Level", "gte", "3")]}, GAME).problems == ()


def test_an_or_that_joins_nothing_is_a_warning() -> None:
    def warned(**more: Any) -> list[tuple[str, str]]:
        reading = read_qp({"events": [event()], "filts": [user("Level", "isNull")], **more}, GAME)
        assert reading.problems == ()
        return [(w.code, w.path) for w in reading.warnings]

    assert warned(relation="or") == [("relation_idle", "/qp/relation")]
    assert warned(event_relation="or") == [("relation_idle", "/qp/event_relation")]
    assert warned() == warned(event_user_relation="or") == warned(relation="or", event_user_relation="or") == []
    assert warned(relation="or", filts=[user("Level", "isNull"), user("city", "isNull")]) == []
