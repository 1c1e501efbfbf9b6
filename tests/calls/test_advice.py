"""Warnings and the chart of a task's week."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mcp_server.calls.calendar import Assumptions, advice, calendar, unfinished
from mcp_server.calls.reading import Findings, read_week
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import Week, chart

NOW = datetime(2026, 11, 22, 12)
MONDAY = datetime(2026, 11, 23)


def week(*entries: str) -> Week:
    return read_week(entries, "", Findings())


def task(*entries: str, days: int = 7, redials: int = 0) -> CallSettings:
    return CallSettings(MONDAY, MONDAY + timedelta(days=days), 1, week(*entries).complement(), Redials(redials, 5))


def codes(settings: CallSettings, now: datetime = NOW) -> list[str]:
    return [p.code for p in advice(settings, now)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("09:00-12:00 14:00-20:00", []),
        ("08:59-12:00", ["call_hours"]),
        ("14:00-20:01", ["call_hours"]),
        ("11:00-12:01", ["call_noon"]),
        ("13:59-15:00", ["call_noon"]),
        ("20:00-09:00", ["call_hours"]),
    ],
)
def test_hours_in_which_platforms_do_not_call_are_told(entry: str, expected: list[str]) -> None:
    assert codes(task(entry)) == expected


def test_only_times_that_the_window_reaches_count() -> None:
    assert codes(task("mon 10:00-11:00", "sun 22:00-23:00", days=6)) == []
    assert codes(task("mon 10:00-11:00", "sun 22:00-23:00", days=7)) == ["call_hours"]


def test_redials_above_three_are_told() -> None:
    assert codes(task("10:00-11:00", redials=3)) == []
    assert codes(task("10:00-11:00", redials=4)) == ["call_redials_many"]


def test_an_end_in_the_past_is_told() -> None:
    plan = task("mon 10:00-11:00")
    assert codes(plan, plan.end - timedelta(days=7) + timedelta(hours=10, minutes=59, seconds=59)) == []
    assert codes(plan, MONDAY + timedelta(hours=11)) == ["call_no_time"]
    assert codes(plan, plan.end) == ["call_ends_in_past", "call_no_time"]


def test_a_list_that_is_not_done_is_told_with_what_would_do() -> None:
    plan = replace(task("10:00-11:00"), end=MONDAY + timedelta(days=1))
    found = calendar(plan, 61, Assumptions())
    (one,) = unfinished(found, 2)
    assert (one.code, one.suggestion) == ("call_unfinished", "2")
    assert one.message.en == (
        "In the worst case the list is not finished before the end: 60 of 61 attempts fit. A concurrency of 2 would do."
    )
    assert one.message.zh == "最坏情况下名单在结束前呼不完：61 次呼叫中只能发起 60 次。并发数提高到 2 即可呼完。"
    assert list(unfinished(calendar(plan, 60, Assumptions()), None)) == []


def test_the_week_is_drawn_by_the_hour() -> None:
    said = chart(week("mon-fri 10:00-12:30", "sun 23:00-23:59"))
    assert said.en.splitlines()[:3] == [
        "    0  3  6  9  12 15 18 21",
        "Mon ··········██▒···········",
        "Tue ··········██▒···········",
    ]
    assert said.zh.splitlines()[6:] == [
        "周六 ························",
        "周日 ·······················█",
        "█ 可外呼  ▒ 部分可外呼  · 不外呼（北京时间）",
    ]
