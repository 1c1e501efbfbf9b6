"""What is suggested for windows and times that cannot be read, and what is said of them (qp.md section 2)."""

from datetime import date

import pytest

from mcp_server.language.reading.suggestions import (
    bound_fault,
    number_or_suggestion,
    recent_fault,
    split_pair,
    suggest_number,
    suggest_time,
    suggest_window,
    time_or_suggestion,
)
from mcp_server.language.values import recent_days

TODAY = date(2026, 7, 15)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("7", "1-7"),
        ("-7", "1-7"),
        ("7d", "1-7"),
        ("P7D", "1-7"),
        ("now-7d", "1-7"),
        ("last 7 days", "1-7"),
        ("In the last seven days", "1-7"),
        ("past week", "1-7"),
        ("2 weeks", "1-14"),
        ("last 7 days including today", "0-7"),
        ("近7天", "1-7"),
        ("近七天", "1-7"),
        ("最近三十天", "1-30"),
        ("过去十五天", "1-15"),
        ("最近两周", "1-14"),
        ("近一个月", "1-30"),
        ("一周内", "1-7"),
        ("近7天（含今天）", "0-7"),
        ("7天前", "7-7"),
        ("3 days ago", "3-3"),
        ("today", "0-1"),
        ("昨天", "1-1"),
        ("前天", "2-2"),
        ("1~7", "1-7"),
        ("1 至 7", "1-7"),
        ("[1, 7]", "1-7"),
        ("7-1", "1-7"),
        ("-7-0", "0-7"),
        ("0-0", "0-1"),
    ],
)
def test_a_window_in_words_is_understood(text: str, window: str) -> None:
    assert suggest_window(text) == window
    assert recent_days(window, TODAY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "a",
        "d",
        "next week",
        "未来7天",
        "last",
        "last week",
        "上周",
        "0",
        "1-36501",
        "last 0 days",
        "7" * 500,
    ],
)
def test_what_is_open_is_not_guessed(text: str) -> None:
    assert suggest_window(text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("7-1", "the nearer day comes first"),
        ("0-0", '"0-0" holds no day'),
        ("1-36501", "at most 36500 days back"),
        ("2026-07-01", "dates go into startTime and endTime"),
        ("2026/7/1 - 2026/7/8", "dates go into startTime and endTime"),
        ("上周", 'startTime "2026-07-06" and endTime "2026-07-12"'),
        ("this week", 'startTime "2026-07-13" and endTime "2026-07-19"'),
        ("上个月", 'startTime "2026-06-01" and endTime "2026-06-30"'),
        ("this month", 'startTime "2026-07-01" and endTime "2026-07-31"'),
        ("去年", 'startTime "2025-01-01" and endTime "2025-12-31"'),
        ("soon", 'recentDay is "A-B"'),
    ],
)
def test_each_fault_of_a_window_is_told_by_itself_and_shortly(text: str, said: str) -> None:
    fault = recent_fault(text, TODAY)
    assert fault is not None
    assert said in fault.why.en
    assert len(fault.why.en) < 130


def test_a_good_window_has_no_fault() -> None:
    assert recent_fault("1-7", TODAY) is None
    assert bound_fault("startTime", "2026-07-01") is None


@pytest.mark.parametrize("day", [date(1, 1, 1), date(9999, 12, 31)])
def test_periods_at_the_ends_of_the_calendar_are_left_alone(day: date) -> None:
    for text in ("last week", "this week", "last month", "this month", "last year"):
        assert recent_fault(text, day)


@pytest.mark.parametrize(
    ("text", "said", "suggestion"),
    [
        ("2026/07/01", "startTime is yyyy-MM-dd", "2026-07-01"),
        ("20260701", "startTime is yyyy-MM-dd", "2026-07-01"),
        ("2026年7月1日 8时30分", "startTime is yyyy-MM-dd", "2026-07-01 08:30:00"),
        ("2026-02-30", "no such day", ""),
        ("2026-07-01 25:00:00", "no such day", ""),
        ("1-7", "days back go into recentDay", ""),
        ("yesterday", "days back go into recentDay", ""),
        ("07/01/2026", "startTime is yyyy-MM-dd", ""),
    ],
)
def test_each_fault_of_a_date_is_told_by_itself(text: str, said: str, suggestion: str) -> None:
    fault = bound_fault("startTime", text)
    assert fault is not None
    assert said in fault.why.en
    assert fault.suggestion == suggestion


def test_a_long_text_is_no_time() -> None:
    assert suggest_time("2026-07-01" * 1000) == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5,000", "5000"),
        ("５", "5"),
        ("five", "5"),
        ("五次", "5"),
        ("十五", "15"),
        ("1万", "10000"),
        ("1.5万", "15000"),
        ("10k", "10000"),
        ("3 times", "3"),
        ("20元", "20"),
        ("+5", "5"),
        ("5", ""),
        ("50%", ""),
        (">5", ""),
        ("a", ""),
        ("many", ""),
        ("", ""),
        ("9" * 500, ""),
    ],
)
def test_a_number_in_words_is_understood(text: str, number: str) -> None:
    assert suggest_number(text) == number


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("1,3", ["1", "3"]),
        ("1-3", ["1", "3"]),
        ("1 至 3", ["1", "3"]),
        ("1万~2万", ["10000", "20000"]),
        ("1-3-5", []),
        ("1", []),
        ("a,b", []),
    ],
)
def test_a_range_in_one_text_is_taken_apart(text: str, pair: list[str]) -> None:
    assert split_pair(text, number_or_suggestion) == pair


def test_a_range_of_dates_in_one_text_is_taken_apart() -> None:
    assert split_pair("2026/7/1 - 2026-07-08", time_or_suggestion) == ["2026-07-01", "2026-07-08"]
    assert split_pair("2026-07-01", time_or_suggestion) == []
