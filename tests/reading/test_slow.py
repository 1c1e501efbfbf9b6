"""Both readings of qp.md, the slow one and the engine's, against examples worked out by hand: windows, event conditions, joins."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.reading.building import chosen, condition, does, event, group, measured, times, user

# --- windows (section 2) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        ("1-7", "2026-07-08", "2026-07-14"),  # seven days without today
        ("1-1", "2026-07-14", "2026-07-14"),  # yesterday
        ("8-14", "2026-07-01", "2026-07-07"),  # the week before the last seven days
        ("0-1", "2026-07-15", "2026-07-15"),  # today only
        ("0-7", "2026-07-09", "2026-07-15"),  # seven days with today
        ("0-6", "2026-07-10", "2026-07-15"),  # six days with today
    ],
)
def test_recent_days_are_whole_days_of_the_project(window: str, first: str, last: str) -> None:
    wanted = times(recentDay=window)
    begin, end = datetime.fromisoformat(first), datetime.fromisoformat(last) + timedelta(days=1)
    moment = timedelta(microseconds=1)
    assert [does(wanted, event(at=str(at))) for at in (begin - moment, begin, end - moment, end)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        # the page's example: an end at midnight includes that whole day
        ({"startTime": "2020-01-03 00:00:00", "endTime": "2020-01-09 00:00:00"}, "2020-01-09 23:59:59", "2020-01-10"),
        ({"endTime": "2020-01-09"}, "2020-01-09 23:59:59.999999", "2020-01-10"),
        # any other end includes its whole second
        ({"endTime": "2020-01-09 10:00:00"}, "2020-01-09 10:00:00.999999", "2020-01-09 10:00:01"),
        ({"startTime": "2020-01-03"}, "2020-01-03", "2020-01-02 23:59:59.999999"),
        ({"startTime": "2020-01-03 08:00:00"}, "2099-01-01", "2020-01-03 07:59:59"),
    ],
)
def test_both_ends_of_dates_are_included(window: dict[str, str], inside: str, outside: str) -> None:
    assert does(times(**window), event(at=inside))
    assert not does(times(**window), event(at=outside))


def test_recent_day_wins_over_dates() -> None:
    wanted = times(recentDay="1-7", startTime="2020-01-03", endTime="2020-01-09")
    assert does(wanted, event(at="2026-07-14"))
    assert not does(wanted, event(at="2020-01-05"))


def test_no_window_is_all_time_and_the_future() -> None:
    assert does(times("equal", "2"), event(at="1990-01-01"), event(at="2090-01-01"))


# --- event conditions (section 3) ----------------------------------------------------------------


def test_greater_and_less_are_strict_and_range_is_not() -> None:
    four = [event()] * 4
    holds = {
        (word, num): does(times(word, num), *four)
        for word, num in [("greater", "4"), ("greater", "3"), ("less", "4"), ("less", "5"), ("range", "4,9")]
    }
    assert holds == {
        ("greater", "4"): False,
        ("greater", "3"): True,
        ("less", "4"): False,
        ("less", "5"): True,
        ("range", "4,9"): True,
    }
    assert does(times("range", "1,4"), *four)
    assert does(times("less", "4.5"), *four)
    assert not does(times("notEqual", "4e0"), *four)


def test_times_of_a_user_without_rows_is_zero() -> None:
    for wanted in (times("less", "1"), times("equal", "0"), times("range", "0,3"), times("notEqual", "2")):
        assert does(wanted)
        assert does(wanted, event("login"))
    assert not does(times("greater", "0"))


def test_other_measures_of_a_user_without_rows_are_undefined() -> None:
    for analysis in ("SUM", "AVG", "MAX", "MIN", "MEDIAN", "DISTINCT"):
        assert not does(measured(analysis, "count", "less", "1"))
        assert not does(measured(analysis, "count", "notEqual", "1"))


def test_rows_without_any_value_count_as_zero_different_ones_and_sum_to_nothing() -> None:
    assert does(measured("DISTINCT", "item", "equal", "0"), event(item=None))
    for analysis in ("SUM", "AVG", "MAX", "MIN", "MEDIAN"):
        assert not does(measured(analysis, "count", "less", "1"), event(count=None))


def test_measures_pass_over_missing_values() -> None:
    rows = [event(count=n) for n in (1, None, 2, 5, 2)]
    for analysis, num in [
        ("SUM", "10"),
        ("AVG", "2.5"),
        ("MAX", "5"),
        ("MIN", "1"),
        ("MEDIAN", "2"),
        ("DISTINCT", "3"),
    ]:
        assert does(measured(analysis, "count", "equal", num), *rows)
    assert does(times("equal", "5"), *rows)


def test_the_median_of_an_even_count_is_the_mean_of_the_middle_two() -> None:
    assert does(measured("MEDIAN", "count", "equal", "2.5"), *[event(count=n) for n in (9, 2, 3, 1)])


def test_the_sum_of_doubles_is_rounded_to_nine_places() -> None:
    assert does(measured("SUM", "amount", "equal", "0.3"), event(amount=0.1), event(amount=0.2))
    thirds = [event(amount=1.0), event(amount=0.0), event(amount=0.0)]
    assert does(measured("AVG", "amount", "equal", "0.333333333"), *thirds)
    assert not does(measured("MAX", "amount", "equal", "0.333333333"), event(amount=1 / 3))


def test_averages_of_whole_numbers_and_decimals_are_exact() -> None:
    thirds = [event(count=n, price=Decimal(n)) for n in (1, 0, 0)]
    for quota in ("count", "price"):
        assert not does(measured("AVG", quota, "equal", "0.333333333333333333"), *thirds)
        assert does(measured("AVG", quota, "greater", "0.333333333333333333"), *thirds)
        assert does(measured("AVG", quota, "less", "0.333333333333333334"), *thirds)


def test_identical_rows_all_count() -> None:
    same = event(count=7)
    assert does(times("equal", "3"), same, same, same)
    assert does(measured("SUM", "count", "equal", "21"), same, same, same)


def test_any_event_takes_rows_of_every_name_and_names_are_exact() -> None:
    rows = [event("pay"), event("Pay"), event("login")]
    assert does(times("equal", "3", "anyEvent"), *rows)
    assert does(times("equal", "1", "pay"), *rows)
    assert does(measured("DISTINCT", "#event_name", "equal", "3", name="anyEvent"), *rows)


def test_events_of_unknown_ids_select_nobody() -> None:
    assert chosen({"events": [times()]}, [event(number=2), event(number=3)], [user(1), user(2)]) == {2}


def test_an_events_filter_sees_its_own_row_and_its_user() -> None:
    rows = [event(level="3", item="cap"), event(level="3"), event(level="4", item="cap")]
    by_event = [condition("level", "equal", "3", table="event"), condition("item", "notNull", table="event")]
    assert does(times("equal", "1", filts=by_event), *rows)
    assert does(times("equal", "3", filts=by_event, relation="or"), *rows)
    both = [condition("level", "equal", "3", table="event"), condition("level", "equal", "8")]
    people = [user(1, level=8), user(2, level=9)]
    events = [*rows, *(row | {"#user_id": 2} for row in rows)]
    assert chosen({"events": [times("equal", "2", filts=both)]}, events, people) == {1}


# --- joins and groups (section 1) ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("relations", "expected"),
    [
        ({}, set()),
        ({"event_relation": "or", "relation": "or"}, {1, 3}),
        ({"event_user_relation": "or"}, {2, 4}),
        ({"event_relation": "or", "event_user_relation": "or"}, {1, 2, 3, 4}),
        ({"relation": "or", "event_user_relation": "or"}, {1, 2, 3, 4}),
    ],
)
def test_each_side_is_joined_by_its_relation_then_both(relations: dict[str, str], expected: set[int]) -> None:
    people = [user(1, level=8), user(2, level=8, name="a"), user(3, name="a"), user(4), user(5)]
    sides = {
        "events": [times(), times(name="login")],
        "filts": [condition("level", "equal", "8"), condition("name", "equal", "a")],
    }
    events = [event("pay", number=1), event("login", number=3), event("pay", number=4), event("login", number=4)]
    assert chosen(sides | relations, events, people) == expected


def test_a_side_without_a_condition_is_left_out() -> None:
    people = [user(1, level=1), user(2, level=2)]
    for relation in ("and", "or"):
        only = {"events": [], "filts": [condition("level", "equal", "2")], "event_user_relation": relation}
        assert chosen(only, [event()], people) == {2}
        only = {"events": [times()], "filts": [], "event_user_relation": relation}
        assert chosen(only, [event()], people) == {1}


def test_a_definition_may_hold_more_conditions_than_a_mask_has_bits() -> None:
    people = [user(n, level=n) for n in (1, 2, 3)]
    never = [times("greater", str(n)) for n in range(10, 41)]
    unlike = [condition("level", "equal", str(n)) for n in range(100, 150)]
    last = {"events": [*never, times("equal", "1")], "filts": [*unlike, condition("level", "equal", "2")]}
    anything = {"event_relation": "or", "relation": "or", "event_user_relation": "or"}
    assert chosen(last | anything, [event()], people) == {1, 2}
    seldom = [times("less", str(n)) for n in range(10, 41)]
    other = [condition("level", "notEqual", str(n)) for n in range(100, 150)]
    last = {"events": [*seldom, times("less", "1")], "filts": [*other, condition("level", "notEqual", "2")]}
    assert chosen(last, [event()], people) == {3}


def test_groups_nest() -> None:
    people = [user(n, level=n, name="abc"[n - 1]) for n in (1, 2, 3)]
    inner = group("and", condition("level", "equal", "2"), condition("name", "equal", "b"))
    outer = group("or", condition("level", "equal", "1"), inner)
    assert chosen({"filts": [outer]}, users=people) == {1, 2}
    assert chosen({"filts": [outer, condition("name", "notEqual", "a")]}, users=people) == {2}
