"""What changes between two definitions, in words."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest

from mcp_server.language.compare import compare_qp, exclusive
from mcp_server.language.metadata import Event, Metadata, Names, Property
from mcp_server.language.model import Qp, qp_hash

METADATA = Metadata(
    project_id="1",
    today=date(1998, 7, 1),
    events=(Event(name="purchase", names=Names(en="Purchase", zh="购买")), Event(name="login")),
    properties=(
        Property(table="event", name="amount", type="number", names=Names(en="Amount", zh="金额")),
        Property(table="user", name="level", type="number", names=Names(en="Level", zh="等级")),
        Property(table="user", name="city", type="string"),
    ),
)


def event(comparator: str = "greater", num: str = "4", name: str = "purchase", **more: Any) -> dict[str, Any]:
    return {"eventName": name, "comparator": comparator, "num": num, "taPropQuota": {"analysis": "TIMES"}} | more


def having(name: str, comparator: str, *ftv: str, table: str = "user") -> dict[str, Any]:
    return {"tableType": table, "columnName": name, "comparator": comparator, "ftv": list(ftv)}


def group(relation: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"filterType": "COMPOUND", "relation": relation, "filts": list(parts)}


def english(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [t.en for t in compare_qp(Qp.model_validate(old), Qp.model_validate(new), METADATA)]


def chinese(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [t.zh for t in compare_qp(Qp.model_validate(old), Qp.model_validate(new), METADATA)]


LEVEL, CITY, VIP = having("level", "greater", "3"), having("city", "equal", "a"), having("vip", "isTrue")


def test_the_same_meaning_has_no_difference() -> None:
    old = {"events": [event(), event(name="login")], "filts": [LEVEL], "relation": "or"}
    new = {"events": [event(name="login"), event()], "filts": [LEVEL, LEVEL], "event_relation": "and"}

    assert english(old, new) == []


def test_the_order_of_values_is_no_difference_beside_one() -> None:
    old = {"filts": [having("city", "equal", "a", "b"), LEVEL]}
    new = {"filts": [having("city", "equal", "b", "a", "b")]}

    assert english(old, new) == ["removed: the user's `level` (Level) is above 3"]
    assert english(old, old | {"filts": [LEVEL, having("city", "equal", "b", "a")]}) == []


def test_a_condition_given_twice_is_named_once() -> None:
    assert english({"filts": [LEVEL, CITY, CITY]}, {"filts": [LEVEL]}) == ['removed: the user\'s `city` is "a"']


def test_a_condition_that_reads_the_same_is_no_difference() -> None:
    old, new = {"events": [event("less", "1")]}, {"events": [event("equal", "0")]}

    assert english(old, new) == chinese(old, new) == []
    assert english({"filts": [group("or", LEVEL)]}, {"filts": [LEVEL]}) == []


def test_only_the_changed_part_of_a_condition_is_named() -> None:
    old, new = {"events": [event(recentDay="1-7")]}, {"events": [event(recentDay="0-7")]}

    assert english(old, new) == [
        "changed, `purchase` (Purchase): “from 1998-06-24 to 1998-06-30 (the past 7 days, without today)” "
        "becomes “from 1998-06-25 to 1998-07-01 (the past 7 days, with today)”"
    ]
    assert chinese(old, new) == [
        "修改条件（`purchase`（购买））：由“1998-06-24 至 1998-06-30（过去 7 天，不含今天）”"
        "改为“1998-06-25 至 1998-07-01（过去 7 天，含今天）”"
    ]


def test_the_number_and_the_filters_are_parts_of_their_own() -> None:
    old = {"events": [event()]}
    new = {"events": [event(num="5", filts=[having("amount", "greater", "10", table="event")])]}

    assert english(old, new) == [
        "changed, `purchase` (Purchase): “did `purchase` (Purchase) more than 4 times (5 or more)” "
        "becomes “did `purchase` (Purchase) more than 5 times (6 or more)”",
        "changed, `purchase` (Purchase): “counting every such event” "
        "becomes “counting only events where `amount` (Amount) is above 10”",
    ]
    assert chinese(old, new)[1] == (
        "修改条件（`purchase`（购买））：由“统计所有该事件”改为“只统计满足【`amount`（金额）大于 10】的事件”"
    )


def test_of_two_conditions_on_one_event_the_whole_sentence_is_said() -> None:
    old = {"events": [event(), event("less", "9", recentDay="1-7")]}
    new = {"events": [event(num="5"), event("less", "9", recentDay="1-7")]}

    assert english(old, new) == [
        "changed, `purchase` (Purchase): “did `purchase` (Purchase) more than 4 times (5 or more) at any time (future events included)” "
        "becomes “did `purchase` (Purchase) more than 5 times (6 or more) at any time (future events included)”"
    ]


def test_added_and_removed_conditions_are_told_from_changed_ones() -> None:
    old = {"events": [event()], "filts": [LEVEL, CITY]}
    new = {"filts": [having("level", "less", "9"), VIP]}

    assert english(old, new) == [
        "removed: did `purchase` (Purchase) more than 4 times (5 or more) at any time (future events included)",
        "changed, the user's `level` (Level): “the user's `level` (Level) is above 3” becomes “the user's `level` (Level) is below 9”",
        'removed: the user\'s `city` is "a"',
        "added: the user's `vip` is true",
    ]
    assert chinese(old, new)[1:] == [
        "修改条件（用户的 `level`（等级））：由“用户的 `level`（等级）大于 3”改为“用户的 `level`（等级）小于 9”",
        '删除条件：用户的 `city` 等于 "a"',
        "新增条件：用户的 `vip` 为真",
    ]


def test_the_condition_with_the_same_comparator_is_the_counterpart() -> None:
    old = {"filts": [having("level", "less", "9"), having("level", "greater", "3")]}
    new = {"filts": [having("level", "greater", "4"), having("level", "less", "8")]}

    assert english(old, new) == [
        "changed, the user's `level` (Level): “the user's `level` (Level) is below 9” becomes “the user's `level` (Level) is below 8”",
        "changed, the user's `level` (Level): “the user's `level` (Level) is above 3” becomes “the user's `level` (Level) is above 4”",
    ]


def test_a_changed_group_is_said_as_a_group() -> None:
    old, new = {"filts": [group("or", LEVEL, CITY), VIP]}, {"filts": [VIP, group("and", CITY, LEVEL)]}

    assert english(old, new) == [
        "changed, a group of conditions: “any of [the user's `level` (Level) is above 3; the user's `city` is \"a\"]” "
        "becomes “all of [the user's `city` is \"a\"; the user's `level` (Level) is above 3]”"
    ]


def test_the_group_on_the_same_properties_is_the_counterpart() -> None:
    old = {"filts": [group("or", LEVEL, CITY), group("or", CITY, VIP)]}
    new = {"filts": [group("and", CITY, VIP), group("and", LEVEL, CITY)]}

    first, second = english(old, new)
    assert "`level`" in first.partition("becomes")[0]
    assert "`level`" in first.partition("becomes")[2]
    assert "`level`" not in second


def test_a_group_on_other_properties_is_a_changed_group_too() -> None:
    old, new = {"filts": [group("or", LEVEL, CITY)]}, {"filts": [group("or", LEVEL, VIP)]}

    assert [text[:32] for text in english(old, new)] == ["changed, a group of conditions: "]


def test_changed_joins_are_named_by_what_they_join() -> None:
    old = {"events": [event(), event(name="login")], "filts": [LEVEL, CITY]}
    new = old | {"event_relation": "or", "relation": "or", "event_user_relation": "or"}

    assert english(old, new) == [
        "the event conditions are joined by “or”, no longer by “and”",
        "the user conditions are joined by “or”, no longer by “and”",
        "the event conditions and the user conditions are joined by “or”, no longer by “and”",
    ]
    assert chinese(old, new) == [
        "事件条件之间由“且”改为“或”",
        "用户条件之间由“且”改为“或”",
        "事件条件与用户条件之间由“且”改为“或”",
    ]


def test_a_join_that_is_new_is_said_and_one_that_joins_nothing_is_not() -> None:
    one, two = {"filts": [LEVEL], "relation": "or"}, {"filts": [LEVEL, CITY], "relation": "or"}

    assert english(one, two) == ['added: the user\'s `city` is "a"', "the user conditions are joined by “or”"]
    assert english(two, one) == ['removed: the user\'s `city` is "a"']


def test_a_join_of_one_side_alone_is_not_said() -> None:
    assert english({"filts": [LEVEL]}, {"filts": [LEVEL, CITY], "event_user_relation": "or"}) == [
        'added: the user\'s `city` is "a"',
        "the user conditions are joined by “and”",
    ]


def test_definitions_of_different_meaning_always_differ_in_words() -> None:
    definitions: list[dict[str, Any]] = [
        {"events": [event(**window)], "filts": filts} | joins
        for window in ({"recentDay": "1-7"}, {"startTime": "1998-06-24", "endTime": "1998-06-30"})
        for filts in (
            [],
            [LEVEL],
            [LEVEL, CITY],
            [group("or", LEVEL, CITY)],
            [group("and", LEVEL, group("or", CITY, VIP))],
        )
        for joins in ({}, {"relation": "or"}, {"event_user_relation": "or"})
    ]
    hashes = [qp_hash(Qp.model_validate(d)) for d in definitions]

    assert len(set(hashes)) == 20
    for (i, old), (j, new) in permutations(enumerate(definitions), 2):
        assert bool(english(old, new)) == (hashes[i] != hashes[j])


@pytest.mark.parametrize(
    ("filts", "expected"),
    [
        ([("equal", ["a"]), ("equal", ["b"])], ("/filts/0", "/filts/1")),
        ([("equal", ["a", "b"]), ("equal", ["b"])], None),
        ([("equal", ["3"]), ("equal", ["3.0"])], None),
        ([("greater", ["4"]), ("less", ["2"])], ("/filts/0", "/filts/1")),
        ([("greater", ["4"]), ("less", ["4.5"])], None),
        ([("equal", ["4"]), ("greater", ["4"])], ("/filts/0", "/filts/1")),
        ([("isNull", []), ("notEqual", ["a"])], ("/filts/0", "/filts/1")),
        ([("isNull", []), ("arrayIsNull", [])], None),
    ],
)
def test_two_conditions_that_exclude_each_other_are_found(
    filts: list[tuple[str, list[str]]], expected: tuple[str, str] | None
) -> None:
    parts = [{"tableType": "user", "columnName": "x", "comparator": word, "ftv": ftv} for word, ftv in filts]
    assert exclusive(Qp.model_validate({"filts": parts})) == expected
    assert exclusive(Qp.model_validate({"filts": parts, "relation": "or"})) is None
