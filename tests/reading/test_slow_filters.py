"""Both readings of qp.md, the slow one and the engine's, against examples worked out by hand: filters (section 4)."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.reading import slow
from tests.reading.building import TODAY, chosen, condition, does, event, has, times, user

# --- filters (section 4) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "word", "ftv"),
    [
        ("name", "notEqual", ["a"]),
        ("name", "notInclude", ["a"]),
        ("name", "notRegexMatch", ["a"]),
        ("tags", "arrayNotIncludeItem", ["a"]),
        ("tags", "arrayNotNull", []),
        ("vip", "isFalse", []),
        ("level", "less", ["9"]),
        ("name", "notNull", []),
    ],
)
def test_a_missing_value_matches_nothing(name: str, word: str, ftv: list[str]) -> None:
    assert not has(None, name, word, *ftv)


def test_a_missing_value_matches_the_null_words() -> None:
    assert has(None, "name", "isNull")
    assert has(None, "tags", "isNull")
    assert has(None, "tags", "arrayIsNull")
    assert not has("", "name", "isNull")
    assert has("", "name", "notNull")


@pytest.mark.parametrize(
    ("value", "word", "ftv", "expected"),
    [
        ("a", "equal", ["b", "a"], True),
        ("A", "equal", ["a"], False),
        ("\u00e9", "equal", ["e\u0301"], False),
        ("a", "notEqual", ["b", "a"], False),
        ("", "equal", [""], True),
        ("50% off", "include", ["0%"], True),
        ("50 off", "include", ["0%"], False),
        ("a_b", "include", ["x", "_"], True),
        ("Cap", "include", ["cap"], False),
        ("Cap", "include", [""], True),
        ("Cap", "notInclude", ["x", "ap"], False),
        ("it's", "include", ["'"], True),
        ('say "hi"', "notInclude", ["''"], True),
    ],
)
def test_strings_compare_exactly(value: str, word: str, ftv: list[str], expected: bool) -> None:
    assert has(value, "name", word, *ftv) is expected


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("xxabcxx", "abc", True),
        ("ABC", "abc", False),
        ("a\nb", "a.b", False),
        ("a\nb", "a$", False),
        ("a\n", "a$", False),
        ("a", "^a$", True),
        ("b\na", "^a", False),
        ("\u0663", r"^\d$", False),
        ("\u00e9", r"\w", False),
        ("\u3000", r"\s", False),
        ("\v", r"\s", False),
        ("$", "[$]", True),
        ("a$", r"a\$", True),
        ("", "", True),
    ],
)
def test_patterns_are_found_anywhere_by_the_rules_of_re2(value: str, pattern: str, expected: bool) -> None:
    assert has(value, "name", "regexMatch", pattern) is expected
    assert has(value, "name", "notRegexMatch", pattern) is not expected


@pytest.mark.parametrize(
    ("value", "word", "ftv", "expected"),
    [
        (3, "equal", ["3.0"], True),
        (3, "equal", ["30e-1", "7"], True),
        (2, "equal", ["2.5"], False),
        (2, "less", ["2.5"], True),
        (9007199254740993, "equal", ["9007199254740992"], False),
        (9007199254740993, "greater", ["9007199254740992"], True),
        (3, "greater", ["3"], False),
        (3, "range", ["3", "3"], True),
        (3, "range", ["3.01", "4"], False),
        (-12, "notEqual", ["-12"], False),
    ],
)
def test_whole_numbers_compare_exactly(value: int, word: str, ftv: list[str], expected: bool) -> None:
    assert has(value, "level", word, *ftv) is expected


def test_doubles_compare_as_doubles_and_decimals_exactly() -> None:
    wanted = [condition("amount", "equal", "0.100000000000000006", table="event")]
    assert does(times(filts=wanted), event(amount=0.1))
    wanted = [condition("price", "equal", "0.100000000000000006", table="event")]
    assert not does(times(filts=wanted), event(price=Decimal("0.1")))
    wanted = [condition("price", "equal", "1e-1", table="event")]
    assert does(times(filts=wanted), event(price=Decimal("0.1")))


def test_bools_have_their_own_words() -> None:
    assert has(True, "vip", "isTrue")
    assert has(False, "vip", "isFalse")
    assert not has(False, "vip", "isTrue")


@pytest.mark.parametrize(
    ("value", "word", "ftv", "expected"),
    [
        (["a", "b"], "arrayIncludeItem", ["b", "z"], True),
        (["ab"], "arrayIncludeItem", ["a"], False),
        ([None], "arrayIncludeItem", [""], False),
        (["a", None], "arrayNotIncludeItem", ["b"], True),
        ([], "arrayNotIncludeItem", ["b"], True),
        (["a", "b"], "arrayItemPos", ["2", "b"], True),
        (["a", "b"], "arrayItemPos", ["1", "b"], False),
        (["a", "b"], "arrayItemPos", ["3", "b"], False),
        ([None], "arrayItemPos", ["1", ""], False),
        ([], "arrayIsNull", [], True),
        ([None], "arrayIsNull", [], False),
        ([None], "arrayNotNull", [], True),
        ([], "notNull", [], True),
        ([], "isNull", [], False),
    ],
)
def test_lists_hold_exact_items(value: list[str | None], word: str, ftv: list[str], expected: bool) -> None:
    assert has(value, "tags", word, *ftv) is expected


@pytest.mark.parametrize(
    ("local", "word", "ftv", "expected"),
    [
        ("2026-07-01 12:00:00", "equal", ["2026-07-01 12:00:00"], True),
        ("2026-07-01 12:00:00.5", "equal", ["2026-07-01 12:00:00"], False),
        ("2026-07-01 12:00:00.5", "equal", ["2026-07-01 12:00:00.500"], True),
        ("2026-07-01 00:00:00", "equal", ["2026-07-01"], True),
        ("2026-07-01 00:00:01", "equal", ["2026-07-01"], False),
        ("2026-07-01 00:00:01", "greater", ["2026-07-01"], True),
        ("2026-07-01 23:59:59.9", "range", ["2026-06-01", "2026-07-01"], True),
        ("2026-07-02 00:00:00", "range", ["2026-06-01", "2026-07-01"], False),
        ("2026-07-01 00:00:01", "range", ["2026-06-01", "2026-07-01 00:00:00"], False),
        ("2026-07-01 12:00:00.5", "range", ["2026-06-01", "2026-07-01 12:00:00"], False),
        ("9999-01-01", "range", ["2026-06-01", "9999-12-31 23:59:59"], True),
        ("2026-07-14 23:59:59", "relativeCurrentBetween", ["1", "7"], True),
        ("2026-07-15 00:00:00", "relativeCurrentBetween", ["1", "7"], False),
        ("2026-07-09 00:00:00", "relativeCurrentBetween", ["0", "7"], True),
        ("2026-07-08 23:59:59", "relativeCurrentBetween", ["0", "7"], False),
        ("2026-07-11 23:59:59", "relativeCurrentBefore", ["3"], True),
        ("2026-07-12 00:00:00", "relativeCurrentBefore", ["3"], False),
    ],
)
def test_times_compare_exactly(local: str, word: str, ftv: list[str], expected: bool) -> None:
    value = datetime.fromisoformat(local) - timedelta(hours=8)
    assert has(value, "seen", word, *ftv) is expected


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (-61, set()),
        (-60, {"Before", "Absolute"}),
        (0, {"Before", "After", "Absolute"}),
        (60, {"After", "Absolute"}),
        (61, set()),
    ],
)
def test_times_near_the_event_include_both_ends(minutes: int, words: set[str]) -> None:
    row = event()
    due = row["#event_time"] + timedelta(minutes=minutes)
    found = set()
    for word in ("Before", "After", "Absolute"):
        near = condition("due", f"relativeEvent{word}", "1", table="event", timeUnit="hour")
        found |= {word} if does(times(filts=[near]), row | {"due": due}) else set()
    assert found == words


def test_a_time_of_the_user_may_lie_near_the_event() -> None:
    row = event()
    near = condition("seen", "relativeEventBefore", "1", timeUnit="day")
    people = [user(1, seen=row["#event_time"] - timedelta(days=1)), user(2, seen=row["#event_time"])]
    people.append(user(3, seen=row["#event_time"] - timedelta(days=1, microseconds=1)))
    events = [row, row | {"#user_id": 2}, row | {"#user_id": 3}]
    assert chosen({"events": [times(filts=[near])]}, events, people) == {1, 2}


def test_the_table_decides_where_both_have_the_name() -> None:
    row, people = event(level="8"), [user(level=8)]
    in_event = [condition("level", "equal", "8", table="event")]
    of_user = [condition("level", "equal", "8.0")]
    assert does(times(filts=in_event), row)
    assert chosen({"events": [times(filts=of_user)]}, [row], people) == {1}
    assert chosen({"filts": of_user}, users=people) == {1}
    assert chosen({"filts": [condition("#user_id", "equal", "1")]}) == {1}


def test_property_names_ignore_case() -> None:
    schema: slow.Schema = {"event": {}, "user": {"Level": "whole"}}
    assert slow.Project(schema, "UTC", TODAY).property("user", "LEVEL") == ("Level", "whole")
