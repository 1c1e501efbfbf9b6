"""Times of the week: what people write, how it is read, what the vendor gets."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.calls.reading import MOST_RANGES, Findings, read_week
from mcp_server.calls.volcengine import forbid_time_list, week_of
from mcp_server.calls.week import ALWAYS, DAY, NEVER, WEEK, Week, in_words, written

STEADY = settings(max_examples=50, derandomize=True, database=None, deadline=None)
WEEKS = st.lists(st.tuples(st.integers(0, WEEK - 1), st.integers(1, 2 * DAY)), max_size=6).map(
    lambda found: Week.of((a, min(a + n, WEEK)) for a, n in found)
)


def read(*entries: str) -> Week:
    """The week that these entries name, without any fault."""
    found = Findings()
    week = read_week(entries, "/call_times", found)
    assert found.problems == []
    return week


def fault(*entries: str) -> tuple[str, str, str]:
    """Path, code and suggestion of the one problem."""
    found = Findings()
    read_week(entries, "/call_times", found)
    (one,) = found.problems
    return one.path, one.code, one.suggestion


def minutes(week: Week) -> set[int]:
    return {m for a, b in week.spans for m in range(a, b)}


def at(day: int, start: str, end: str) -> tuple[int, int]:
    return tuple(day * DAY + int(t[:2]) * 60 + int(t[3:]) for t in (start, end))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("entries", "spans"),
    [
        (["mon 10:00-12:00"], [at(0, "10:00", "12:00")]),
        (["sun"], [at(6, "00:00", "24:00")]),
        (["sat,sun"], [at(5, "00:00", "24:00"), at(6, "00:00", "24:00")]),
        (["sun-tue 09:00-10:00"], [at(d, "09:00", "10:00") for d in (6, 0, 1)]),
        (["sat 20:00-09:00"], [at(5, "20:00", "24:00"), at(6, "00:00", "09:00")]),
        (["sun 20:00-09:00"], [at(6, "20:00", "24:00"), at(0, "00:00", "09:00")]),
        (["tue 22:00-23:59"], [at(1, "22:00", "24:00")]),
        (["tue 22:00-24:00"], [at(1, "22:00", "24:00")]),
        (["tue 22:00-00:00"], [at(1, "22:00", "24:00")]),
        (["tue 22:00-23:58"], [at(1, "22:00", "23:58")]),
        (["wed 09:00-10:00 14:00-15:00"], [at(2, "09:00", "10:00"), at(2, "14:00", "15:00")]),
        (["12:00-14:00"], [at(d, "12:00", "14:00") for d in range(7)]),
    ],
)
def test_entries_name_minutes_of_the_week(entries: list[str], spans: list[tuple[int, int]]) -> None:
    assert minutes(read(*entries)) == minutes(Week.of(spans))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Monday 9:00-12:00", "mon 09:00-12:00"),
        ("周一至周五 10：00－12：00", "mon-fri 10:00-12:00"),
        ("星期天", "sun"),
        ("礼拜六 10:00 到 11:00", "sat 10:00-11:00"),
        ("MON – SAT 10:00–12:00", "mon-sat 10:00-12:00"),
    ],
)
def test_what_can_mean_only_one_thing_is_read_and_reported(said: str, meant: str) -> None:
    found = Findings()
    assert read_week([said], "/forbid_times", found) == read(meant)
    ((path, before, after),) = [(r.path, r.before, r.after) for r in found.repairs]
    assert (path, before, after) == ("/forbid_times/0", said, meant)


def test_what_is_written_as_it_should_be_is_no_repair() -> None:
    found = Findings()
    read_week(["mon-sat 10:00-12:00", "sun, 09:00-10:00"], "/x", found)
    assert found.repairs == []


@pytest.mark.parametrize(
    ("entry", "code", "suggestion"),
    [
        ("1 10:00-11:00", "call_weekday_unknown", "sun 10:00-11:00"),
        ("7", "call_weekday_unknown", "sat"),
        ("weekend", "call_weekday_unknown", "sat-sun"),
        ("工作日 10:00-12:00", "call_weekday_unknown", "mon-fri 10:00-12:00"),
        ("mno 10:00-11:00", "call_weekday_unknown", "mon 10:00-11:00"),
        ("mon-wed-fri", "call_weekday_unknown", "mon,wed,fri"),
        ("whenever", "call_weekday_unknown", ""),
        ("10:00", "call_range_invalid", ""),
        ("周一至周六 10点到12点", "call_range_invalid", "周一-周六 10:00-12:00"),
        ("mon 10am-2pm", "call_range_invalid", "mon 10:00-14:00"),
        ("12am-12pm", "call_range_invalid", "00:00-12:00"),
        ("9-18", "call_range_invalid", "09:00-18:00"),
        ("9-25", "call_range_invalid", ""),
        ("8", "call_range_invalid", ""),
        ("10:60-11:00", "call_range_invalid", ""),
        ("10:00-24:01", "call_range_invalid", ""),
        ("24:00-25:00", "call_range_invalid", ""),
        ("mon 10:00-10:00", "call_range_empty", "mon 00:00-23:59"),
        ("00:00-00:00", "call_range_empty", "00:00-23:59"),
        ("", "call_entry_empty", ""),
        (" , ", "call_entry_empty", ""),
    ],
)
def test_what_cannot_be_read_is_a_problem_at_its_place(entry: str, code: str, suggestion: str) -> None:
    path, found, near = fault("mon", entry)
    assert (path, found) == ("/call_times/1", code)
    assert near == suggestion


def test_a_list_has_its_limit() -> None:
    assert read(*["12:00-13:00"] * (MOST_RANGES * 2 // 3)) == read("12:00-13:00")
    assert fault(*["12:00-13:00"] * MOST_RANGES)[1] == "call_too_many_times"


@STEADY
@given(week=WEEKS)
def test_complement_writing_and_the_wire_lose_nothing(week: Week) -> None:
    assert minutes(week.complement()) == set(range(WEEK)) - minutes(week)
    assert week.complement().complement() == week
    assert read(*written(week)) == rounded(week)
    sent = forbid_time_list(week)
    assert all(a < b for item in sent for t in item["Times"] for a, b in [t.split("-")] if b != "23:59")
    assert week_of(json.loads(json.dumps(sent))) == rounded(week)


def rounded(week: Week) -> Week:
    """An end at 23:59 means through midnight, so what really ends there goes on for a minute."""
    return Week.of((a, b + (b % DAY == DAY - 1)) for a, b in week.spans)


def test_the_vendor_counts_from_sunday_and_gets_no_range_over_midnight() -> None:
    assert forbid_time_list(read("sun 10:00-11:00")) == [{"Weekdays": [1], "Times": ["10:00-11:00"]}]
    assert forbid_time_list(read("tue 10:00-11:00")) == [{"Weekdays": [3], "Times": ["10:00-11:00"]}]
    assert forbid_time_list(read("sat 20:00-09:00")) == [
        {"Weekdays": [7], "Times": ["20:00-23:59"]},
        {"Weekdays": [1], "Times": ["00:00-09:00"]},
    ]
    every_day: list[dict[str, Any]] = [{"Times": ["12:00-14:00"]}]
    assert week_of(every_day) == read("12:00-14:00")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ('{"Times":["10:00-11:00"],"Weekdays":[3]}', "tue 10:00-11:00"),
        ('{"Weekdays": [1, 7], "Times": ["00:00-09:00", "20:00-23:59"]}', "sat,sun 00:00-09:00,20:00-23:59"),
        ('{"Times": ["20:00-09:00"]}', "20:00-09:00"),
        (' {"Weekdays": [], "Times": ["20:00-09:00"]}', "20:00-09:00"),
    ],
)
def test_an_item_of_the_vendor_is_read_with_the_numbers_of_the_vendor(item: str, words: str) -> None:
    found = Findings()
    assert read_week([item], "/forbid_times", found) == read(words)
    assert [(r.path, r.before, r.after) for r in found.repairs] == [("/forbid_times/0", item, words)]
    assert week_of([json.loads(item)]) == read(words)


@pytest.mark.parametrize(
    "item",
    [
        '{"Weekdays": [0], "Times": ["10:00-11:00"]}',
        '{"Weekdays": [8], "Times": ["10:00-11:00"]}',
        '{"Weekdays": [true], "Times": ["10:00-11:00"]}',
        '{"Weekdays": 3, "Times": ["10:00-11:00"]}',
        '{"Weekdays": [3], "Times": "10:00-11:00"}',
        '{"Weekdays": [3], "Times": []}',
        '{"Weekdays": [3], "Times": [10]}',
        '{"Weekdays": [3]}',
        '{"weekdays": [3], "Times": ["10:00-11:00"]}',
        '{"Weekdays": [3], "BeginTime": "10:00", "EndTime": "11:00"}',
        '{"Weekdays": [3',
    ],
)
def test_what_only_looks_like_an_item_of_the_vendor_is_a_problem_without_a_guess(item: str) -> None:
    found = Findings()
    assert read_week([item], "/forbid_times", found) == NEVER
    assert [(p.code, p.suggestion) for p in found.problems] == [("call_weekday_unknown", "")]


@pytest.mark.parametrize(("weekdays", "times"), [([8], ["10:00-11:00"]), ([1, 0], ["10:00-11:00"]), ([1], ["10-11"])])
def test_a_list_with_other_numbers_or_times_is_none_of_the_vendor(weekdays: list[int], times: list[str]) -> None:
    assert week_of([{"Weekdays": weekdays, "Times": times}]) is None


def test_a_week_is_told_in_both_languages() -> None:
    week = read("mon-sat 10:00-12:00", "sun,wed 20:00-21:00")
    assert in_words(week).en == "Mon, Tue, Thu–Sat 10:00-12:00; Wed 10:00-12:00 20:00-21:00; Sun 20:00-21:00"
    assert in_words(week).zh == "周一、周二、周四至周六 10:00-12:00；周三 10:00-12:00 20:00-21:00；周日 20:00-21:00"
    assert in_words(ALWAYS) == ("at any time", "不限时段")
    assert in_words(NEVER) == ("at no time", "任何时间都不外呼")
