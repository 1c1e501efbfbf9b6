"""Problems and warnings, with their paths and suggestions (qp.md section 8)."""

from collections.abc import Mapping

import pytest

from mcp_server.language.metadata import Property
from mcp_server.language.model import Qp
from mcp_server.language.reading.check import Reading, read_qp
from tests.language.projects import GAME, event, user


def found(raw: object) -> list[tuple[str, str, str]]:
    """(code, path, suggestion) of every problem."""
    reading = read_qp(raw, GAME, regex_fault=lambda pattern: "no look-ahead" if "(?=" in pattern else "")
    return [(p.code, p.path.removeprefix("/qp"), p.suggestion) for p in reading.problems]


def warned(raw: object) -> list[tuple[str, str, str]]:
    """(code, path, suggestion) of every warning of a definition without problems."""
    reading: Reading[Qp] = read_qp(raw, GAME)
    assert reading.problems == ()
    return [(p.code, p.path.removeprefix("/qp"), p.suggestion) for p in reading.warnings]


EVENT = "/events/0"
FILTER = "/filts/0"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"eventName": "purchas"}, ("event_unknown", f"{EVENT}/eventName", "purchase")),
        ({"eventName": "购买"}, ("event_unknown", f"{EVENT}/eventName", "purchase")),
        ({"eventName": "qqqq"}, ("event_unknown", f"{EVENT}/eventName", "")),
        ({"eventName": ""}, ("name_empty", f"{EVENT}/eventName", "")),
        ({"comparator": "isNotNull"}, ("comparator_unknown", f"{EVENT}/comparator", "")),
        ({"comparator": "great"}, ("comparator_unknown", f"{EVENT}/comparator", "greater")),
        ({"num": "three"}, ("num_invalid", f"{EVENT}/num", "3")),
        ({"num": "1,000"}, ("num_invalid", f"{EVENT}/num", "1000")),
        ({"num": "05"}, ("num_invalid", f"{EVENT}/num", "5")),
        ({"num": "1e99"}, ("num_too_long", f"{EVENT}/num", "")),
        ({"num": None}, ("key_missing", f"{EVENT}/num", "")),
        ({"comparator": "range", "num": "5,2"}, ("range_invalid", f"{EVENT}/num", "2,5")),
        ({"comparator": "range", "num": "5"}, ("num_count", f"{EVENT}/num", "")),
        ({"recentDay": "last 7 days"}, ("window_invalid", f"{EVENT}/recentDay", "1-7")),
        ({"recentDay": "最近30天"}, ("window_invalid", f"{EVENT}/recentDay", "1-30")),
        ({"recentDay": "7-1"}, ("window_invalid", f"{EVENT}/recentDay", "1-7")),
        ({"recentDay": "0-0"}, ("window_invalid", f"{EVENT}/recentDay", "0-1")),
        ({"recentDay": "1-36501"}, ("window_invalid", f"{EVENT}/recentDay", "")),
        ({"recentDay": None, "startTime": "2024-02-30"}, ("window_invalid", f"{EVENT}/startTime", "")),
        (
            {"recentDay": None, "startTime": "2024-03-01", "endTime": "2024-02-01"},
            ("window_invalid", f"{EVENT}/startTime", ""),
        ),
        ({"taPropQuota": {"analysis": "MODE"}}, ("analysis_unknown", f"{EVENT}/taPropQuota/analysis", "")),
        (
            {"taPropQuota": {"analysis": "PER_CAPITA_NUM"}},
            ("analysis_not_per_user", f"{EVENT}/taPropQuota/analysis", "TIMES"),
        ),
        ({"taPropQuota": {"analysis": "SUM"}}, ("quota_missing", f"{EVENT}/taPropQuota/quota", "")),
        (
            {"taPropQuota": {"analysis": "TIMES", "quota": "amount"}},
            ("quota_unexpected", f"{EVENT}/taPropQuota/quota", ""),
        ),
        (
            {"taPropQuota": {"analysis": "SUM", "quota": "item"}},
            ("quota_type", f"{EVENT}/taPropQuota/quota", ""),
        ),
        (
            {"taPropQuota": {"analysis": "SUM", "quota": "amout"}},
            ("property_unknown", f"{EVENT}/taPropQuota/quota", "amount"),
        ),
        ({"taPropQuota": 5}, ("type_wrong", f"{EVENT}/taPropQuota", "")),
        ({"relation": "xor"}, ("relation_unknown", f"{EVENT}/relation", "")),
        ({"event_relation": "or"}, ("key_unknown", f"{EVENT}/event_relation", "relation")),
        (
            {"filts": [{"tableType": "event", "columnName": "city", "comparator": "equal", "ftv": ["x"]}]},
            ("property_in_other_table", f"{EVENT}/filts/0/tableType", "user"),
        ),
    ],
)
def test_a_fault_of_an_event_condition_is_named(changes: Mapping[str, object], expected: tuple[str, str, str]):
    assert expected in found({"events": [event(**changes)]})


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (user("citty", "equal", "x"), ("property_unknown", f"{FILTER}/columnName", "city")),
        (user("城市", "equal", "x"), ("property_unknown", f"{FILTER}/columnName", "city")),
        (user("amount", "equal", "1"), ("property_of_events", f"{FILTER}/columnName", "")),
        (
            {"tableType": "event", "columnName": "amount", "comparator": "less", "ftv": ["1"]},
            ("property_of_events", f"{FILTER}/tableType", ""),
        ),
        (user("Level", "include", "3"), ("comparator_not_for_type", f"{FILTER}/comparator", "equal")),
        (user("tags", "equal", "a"), ("comparator_not_for_type", f"{FILTER}/comparator", "arrayIncludeItem")),
        (user("Level", "equal"), ("ftv_count", f"{FILTER}/ftv", "")),
        (user("Level", "range", "1"), ("ftv_count", f"{FILTER}/ftv", "")),
        (user("city", "isNull", "x"), ("ftv_count", f"{FILTER}/ftv", "[]")),
        (user("city", "equal", None), ("ftv_null", f"{FILTER}/ftv/0", "")),
        (user("Level", "equal", "three"), ("value_type", f"{FILTER}/ftv/0", "3")),
        (user("Level", "equal", "1,000"), ("value_type", f"{FILTER}/ftv/0", "1000")),
        (user("Level", "range", "5", "2"), ("range_invalid", f"{FILTER}/ftv", '["2", "5"]')),
        (user("registered", "less", "yesterday"), ("value_type", f"{FILTER}/ftv/0", "")),
        (
            user("registered", "range", "2024-02-01", "2024-01-01"),
            ("range_invalid", f"{FILTER}/ftv", '["2024-01-01", "2024-02-01"]'),
        ),
        (user("registered", "relativeCurrentBetween", "7", "1"), ("window_invalid", f"{FILTER}/ftv", '["1", "7"]')),
        (user("registered", "relativeCurrentBefore", "x"), ("value_type", f"{FILTER}/ftv/0", "")),
        (user("tags", "arrayItemPos", "0", "a"), ("value_type", f"{FILTER}/ftv/0", "")),
        (user("city", "regexMatch", "(?=a)"), ("regex_invalid", f"{FILTER}/ftv/0", "")),
        ({**user("city", "equal", "x"), "timeUnit": "day"}, ("time_unit_unexpected", f"{FILTER}/timeUnit", "")),
        ({**user("city", "equal", "x"), "operator": "is"}, ("key_unknown", f"{FILTER}/operator", "")),
        ({**user("city", "equal", "x"), "relation": "and"}, ("group_mixed", f"{FILTER}/relation", "")),
        ({"filterType": "COMPOUND", "filts": []}, ("group_empty", f"{FILTER}/filts", "")),
        (
            {"filterType": "NESTED", "filts": [user("city", "isNull")]},
            ("filter_type_unknown", f"{FILTER}/filterType", "COMPOUND"),
        ),
        (
            {**user("registered", "relativeEventBefore", "1"), "timeUnit": "day"},
            ("comparator_only_in_event", f"{FILTER}/comparator", ""),
        ),
        ({**user("city", "equal", "x"), "tableType": "device"}, ("table_unknown", f"{FILTER}/tableType", "user")),
        ("city = 'x'", ("type_wrong", FILTER, "")),
    ],
)
def test_a_fault_of_a_filter_is_named(part: object, expected: tuple[str, str, str]):
    assert expected in found({"filts": [part]})


def test_everything_wrong_is_named_at_once():
    raw = {
        "events": [event(eventName="purchas", num="x", colour=1), event(recentDay="soon")],
        "filts": [user("citty", "equal", "x"), user("Level", "equal", "x")],
        "event_user_relation": "nand",
    }
    codes = [code for code, _, _ in found(raw)]
    assert sorted(codes) == sorted(
        [
            "event_unknown",
            "num_invalid",
            "key_unknown",
            "window_invalid",
            "property_unknown",
            "value_type",
            "relation_unknown",
        ]
    )


@pytest.mark.parametrize("raw", [{}, {"events": []}, {"events": [], "filts": []}])
def test_a_definition_without_a_condition_is_refused(raw: object):
    assert found(raw) == [("definition_empty", "", "")]


@pytest.mark.parametrize("raw", ["{events", "[1, 2", 5, None, [], True, "null", '"text"'])
def test_what_is_no_object_is_one_problem(raw: object):
    assert [code for code, _, _ in found(raw)] in (["json_invalid"], ["type_wrong"])


def test_endless_nesting_is_one_problem():
    raw: dict[str, object] = {}
    for _ in range(5000):
        raw = {"filts": [raw]}
    assert found(raw) == [("definition_too_large", "", "")]


def test_limits_hold_at_their_edge():
    part = user("city", "isNull")
    for _ in range(3):
        part = {"filterType": "COMPOUND", "filts": [part]}
    assert found({"filts": [part]}) == []
    assert ("definition_too_large", "/filts", "") in found({"filts": [{"filterType": "COMPOUND", "filts": [part]}]})
    assert found({"events": [event(num=str(i)) for i in range(32)]}) == []
    assert ("definition_too_large", "/events", "") in found({"events": [event(num=str(i)) for i in range(33)]})
    many = [user("Level", "equal", str(i)) for i in range(200)]
    assert found({"filts": many}) == []
    assert ("definition_too_large", "", "") in found({"filts": [*many, user("Level", "equal", "201")]})
    assert found({"filts": [user("city", "equal", *map(str, range(1000)))]}) == []
    assert ("definition_too_large", "/filts/0/ftv", "") in found(
        {"filts": [user("city", "equal", *map(str, range(1001)))]}
    )
    assert found({"filts": [user("city", "equal", "字" * 2000)]}) == []
    assert ("definition_too_large", "/filts/0/ftv/0", "") in found({"filts": [user("city", "equal", "字" * 2001)]})


def test_broken_unicode_is_named():
    assert found({"filts": [user("city", "equal", "\ud800")]}) == [("text_invalid", "/filts/0/ftv/0", "")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"events": [event(recentDay="0-6")]}, ("recent_day_six", "/events/0/recentDay", "0-7")),
        ({"events": [event(startTime="2024-06-01")]}, ("window_both", "/events/0/recentDay", "")),
        ({"events": [event(recentDay="400-500")]}, ("window_outside_data", "/events/0/recentDay", "")),
        (
            {"events": [event(recentDay=None, startTime="2025-01-01")]},
            ("window_outside_data", "/events/0/startTime", ""),
        ),
        ({"events": [event(num="4.5")]}, ("fraction_on_count", "/events/0/num", "")),
        (
            {"events": [event(eventName="login", taPropQuota={"analysis": "SUM", "quota": "amount"})]},
            ("property_not_on_event", "/events/0/taPropQuota/quota", ""),
        ),
        ({"filts": [user("city", "equal", "beijing")]}, ("value_unseen", "/filts/0/ftv/0", "Beijing")),
        ({"filts": [user("registered", "greater", "2024-01-01")]}, ("bare_date", "/filts/0/ftv/0", "")),
        ({"filts": [user("vip", "isTrue"), user("vip", "isTrue")]}, ("condition_twice", "/filts/1", "")),
        ({"events": [event(), event()]}, ("condition_twice", "/events/1", "")),
    ],
)
def test_a_warning_does_not_block(raw: object, expected: tuple[str, str, str]):
    assert expected in warned(raw)


@pytest.mark.parametrize("window", ["1-7", "0-7", "1-1", "8-14", "0-5", "0-30"])
def test_usual_windows_draw_no_warning(window: str):
    assert warned({"events": [event(recentDay=window)]}) == []


def test_messages_exist_in_both_languages_and_quote_the_input_cut():
    reading = read_qp({"events": [event(num="x" * 5000)]}, GAME)
    problem = reading.problems[0]
    assert len(problem.got) < 300
    assert problem.message.en != problem.message.zh


def test_clusters_that_come_later_are_found_and_those_that_went_are_not() -> None:
    before = GAME.with_clusters((Property(table="cluster", name="old", type="cluster"),))
    assert before.property("cluster", "old")
    after = before.with_clusters((Property(table="cluster", name="new", type="cluster"),))
    assert after.property("cluster", "new")
    assert after.property("cluster", "old") is None
    assert after.property("user", "city") == GAME.property("user", "city")
