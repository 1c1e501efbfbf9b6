"""What tolerated input is rewritten to, and that every change is reported (qp.md section 1)."""

import json

import pytest

from mcp_server.language.reading.check import read_qp
from tests.language.projects import GAME, event, user


def repaired(raw: object) -> dict[str, object]:
    """The normalised form of input that must be readable, and repaired."""
    reading = read_qp(raw, GAME)
    assert reading.problems == ()
    assert reading.repairs
    return reading.normalised


def test_a_definition_in_the_documented_form_is_left_alone():
    raw = {"events": [event()], "filts": [user("Level", "greater", "3")], "relation": "and"}
    reading = read_qp(raw, GAME)
    assert reading.normalised == raw
    assert reading.repairs == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (event(num=4), event()),
        (event(num=4.5), event(num="4.5")),
        (event(num=" 4 "), event()),
        (event(comparator="range", num=[2, 5]), event(comparator="range", num="2,5")),
        (event(comparator="range", num="2, 5"), event(comparator="range", num="2,5")),
        (event(comparator="Greater"), event()),
        (event(comparator="gt"), event()),
        (event(comparator="lt"), event(comparator="less")),
        (event(comparator="eq"), event(comparator="equal")),
        (event(comparator="ne"), event(comparator="notEqual")),
        (event(comparator="between", num="2,5"), event(comparator="range", num="2,5")),
        (event(comparator="gte", num="5"), event()),
        (event(comparator="gte", num="4.5"), event(num="4.5")),
        (event(comparator="lte", num="5"), event(comparator="less", num="6")),
        (event(taPropQuota={"analysis": "times"}), event()),
        (event(taPropQuota={"analysis": "TOTAL_TIMES"}), event()),
        (event(taPropQuota={"analysis": "count"}), event()),
        (event(taPropQuota=None), event()),
        (event(taPropQuota={}), event()),
        (event(taPropQuota='{"analysis": "TIMES"}'), event()),
        (event(taPropQuota={"analysis": "TIMES", "quota": ""}), event()),
        (event(taPropQuota={"analysis": "TIMES", "analysisDesc": "次数"}), event()),
        (event(recentDay=" 1-7 "), event()),
        (event(eventName=" purchase "), event()),
        (event(eventDesc="购买"), event()),
        (event(startTime="", endTime=None), event()),
        (
            event(comparator="gte", num="5", taPropQuota={"analysis": "SUM", "quota": "AMOUNT"}),
            event(comparator="range", num="5,9000000000000000", taPropQuota={"analysis": "SUM", "quota": "amount"}),
        ),
        (
            event(recentDay=None, startTime="2024-06-01T00:00:00Z", endTime="2024-06-02"),
            event(recentDay=None, startTime="2024-06-01 08:00:00", endTime="2024-06-02"),
        ),
    ],
)
def test_an_event_condition_is_rewritten(changed: dict[str, object], expected: dict[str, object]):
    assert repaired({"events": [changed]}) == {"events": [expected]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (user("Level", "equal", 3, 4), user("Level", "equal", "3", "4")),
        (user("level", "equal", "3"), user("Level", "equal", "3")),
        (user("Level", "equal", " 3"), user("Level", "equal", "3")),
        ({**user("Level", "equal"), "ftv": "3"}, user("Level", "equal", "3")),
        ({**user("Level", "equal"), "ftv": "[3, 4]"}, user("Level", "equal", "3", "4")),
        ({**user("Level", "equal", "3"), "tableType": "USER"}, user("Level", "equal", "3")),
        ({**user("Level", "equal", "3"), "filterType": "SIMPLE", "timeUnit": ""}, user("Level", "equal", "3")),
        ({**user("Level", "equal", "3"), "columnDesc": "等级", "selectType": "number"}, user("Level", "equal", "3")),
        (user("Level", "in", "3"), user("Level", "equal", "3")),
        (user("Level", "notIn", "3"), user("Level", "notEqual", "3")),
        (user("Level", "gte", "3"), user("Level", "range", "3", "9000000000000000")),
        (user("Level", "lte", "3"), user("Level", "range", "-9000000000000000", "3")),
        (user("Level", "isNotNull"), user("Level", "notNull")),
        (user("city", "contains", "上"), user("city", "include", "上")),
        (user("city", "regex", "^上"), user("city", "regexMatch", "^上")),
        (user("tags", "contains", "a"), user("tags", "arrayIncludeItem", "a")),
        (user("tags", "notContains", "a"), user("tags", "arrayNotIncludeItem", "a")),
        (user("vip", "equal", "true"), user("vip", "isTrue")),
        (user("vip", "equal", False), user("vip", "isFalse")),
        (user("registered", "gte", "2024-01-01"), user("registered", "range", "2024-01-01", "9999-12-31 23:59:59")),
        (user("registered", "less", "2024-01-01T00:00:00+00:00"), user("registered", "less", "2024-01-01 08:00:00")),
        (
            user("registered", "less", "2024-01-01 00:00:00.250+08:00"),
            user("registered", "less", "2024-01-01 00:00:00.250"),
        ),
    ],
)
def test_a_filter_is_rewritten(changed: dict[str, object], expected: dict[str, object]):
    assert repaired({"filts": [changed]}) == {"filts": [expected]}


def test_blanks_in_text_values_are_values():
    raw = {"filts": [user("city", "equal", "  ", "", " 上海")]}
    assert read_qp(raw, GAME).normalised == raw


def test_a_definition_sent_as_text_is_parsed_with_its_numbers_exact():
    text = json.dumps({"filts": [user("score", "equal", 0)]}).replace("[0]", "[12345678901234567.25]")
    assert repaired(text) == {"filts": [user("score", "equal", "12345678901234567.25")]}


def test_a_lone_part_becomes_a_list():
    assert repaired({"events": event(), "filts": user("Level", "equal", "3")}) == {
        "events": [event()],
        "filts": [user("Level", "equal", "3")],
    }


def test_the_older_key_of_the_vendor_page_is_read():
    old = event(comparator=None) | {"uceCalcuSymbol": "greater"}
    assert repaired({"events": [old]}) == {"events": [event()]}


def test_paths_point_into_what_was_sent():
    reading = read_qp({"Events": {"eventName": "purchase", "uceCalcuSymbol": "gt", "num": "x"}}, GAME)
    assert {r.path for r in reading.repairs} >= {"/qp/Events", "/qp/Events/uceCalcuSymbol"}
    assert [(p.code, p.path) for p in reading.problems] == [("num_invalid", "/qp/Events/num")]


def test_two_spellings_of_one_key_are_not_merged():
    reading = read_qp({"events": [{**event(), "Num": "9"}]}, GAME)
    assert [(p.code, p.path) for p in reading.problems] == [("key_unknown", "/qp/events/0/Num")]
