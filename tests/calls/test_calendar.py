"""The calendar of a task: its days, its end, and what would be needed to get done."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.calls.calendar import Assumptions, calendar, impossible, lines_needed
from mcp_server.calls.reading import Findings, read_week
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import NEVER, Week
from tests.steps import counted

MOST_STEPS = 1_000_000
"""Callees are counted, not gone through: ten million take a fifth of this."""
MONDAY = datetime(2026, 11, 23)
WORST = Assumptions()


def call_times(*entries: str) -> Week:
    return read_week(entries, "", Findings())


def task(*entries: str, hours: int = 14 * 24, lines: int = 1, redials: int = 0, interval: int = 5) -> CallSettings:
    """A task from Monday midnight on that calls at these times, or always."""
    forbidden = call_times(*entries).complement() if entries else NEVER
    return CallSettings(MONDAY, MONDAY + timedelta(hours=hours), lines, forbidden, Redials(redials, interval))


def test_each_day_has_its_minutes_and_its_attempts() -> None:
    found = calendar(task("mon-sat 10:00-12:00", hours=8 * 24), 130, WORST)
    assert [(d.day, d.minutes, d.possible, d.planned) for d in found.days] == [
        (date(2026, 11, 23), 120, 120, 120),
        (date(2026, 11, 24), 120, 120, 10),
        *((date(2026, 11, 25) + timedelta(days=n), 120, 120, 0) for n in range(4)),
        (date(2026, 11, 30), 120, 120, 0),
    ]
    assert (found.needed, found.finish, found.in_time) == (130, datetime(2026, 11, 24, 10, 10), True)


def test_a_redial_in_forbidden_time_moves_to_its_end() -> None:
    found = calendar(task("10:00-10:10", redials=2, interval=60), 1, WORST)
    assert [(d.day.day, d.planned) for d in found.days if d.planned] == [(23, 1), (24, 1), (25, 1)]
    assert found.finish == datetime(2026, 11, 25, 10, 1)


def test_an_attempt_starts_before_the_end_and_the_last_call_ends_before_it_too() -> None:
    plan = task(hours=1, lines=2)
    assert calendar(plan, 120, WORST).in_time
    assert calendar(plan, 120, WORST).finish == plan.end
    late = calendar(replace(plan, end=plan.end - timedelta(seconds=1)), 120, WORST)
    assert (late.planned, late.finish, late.in_time) == (120, MONDAY + timedelta(hours=1), False)
    assert calendar(plan, 121, WORST).finish is None
    assert calendar(plan, 121, WORST).planned == 120


def test_who_answers_is_not_called_again() -> None:
    plan = task(lines=10, redials=3)
    assert calendar(plan, 1000, WORST).needed == 4000
    assert calendar(plan, 1000, Assumptions(answered=0.5)).needed == 1000 + 500 + 250 + 125
    assert calendar(plan, 1000, Assumptions(answered=1)).needed == 1000


def test_what_is_past_is_over() -> None:
    plan = task("10:00-12:00", hours=48)
    found = calendar(plan, 10, WORST, now=MONDAY + timedelta(hours=11, seconds=30))
    assert [(d.day.day, d.minutes, d.planned) for d in found.days] == [(23, 59, 10), (24, 120, 0)]
    over = calendar(plan, 10, WORST, now=plan.end)
    assert (over.days, over.finish, over.in_time) == ((), None, False)


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    callees=st.integers(1, 80),
    redials=st.integers(0, 3),
    hours=st.integers(1, 40),
    entry=st.sampled_from(["10:00-12:00", "00:30-01:00", "mon 09:00-09:07"]),
)
def test_the_lines_needed_are_the_fewest_that_do(callees: int, redials: int, hours: int, entry: str) -> None:
    plan = task(entry, hours=hours, redials=redials)
    lines = lines_needed(plan, callees, WORST)
    if lines is None:
        assert not calendar(replace(plan, concurrency=callees), callees, WORST).in_time
    else:
        assert calendar(replace(plan, concurrency=lines), callees, WORST).in_time
        assert lines == 1 or not calendar(replace(plan, concurrency=lines - 1), callees, WORST).in_time


@pytest.mark.parametrize(("seconds", "answered", "codes"), [
    (5, 0, []), (4, 0, ["call_seconds"]), (3600, 1, []), (3601, 1.001, ["call_seconds", "call_answer_rate"]), (60, -0.001, ["call_answer_rate"]),
])  # fmt: skip
def test_assumptions_have_limits(seconds: int, answered: float, codes: list[str]) -> None:
    assert [p.code for p in impossible(Assumptions(seconds, answered))] == codes


def test_ten_million_callees_and_a_year_take_a_moment() -> None:
    year = task("mon-sat 09:00-12:00 14:00-20:00", hours=366 * 24, lines=777, redials=5, interval=1440)
    found, steps = counted(lambda: calendar(year, 10_000_000, Assumptions(47, 0.3)))
    assert steps < MOST_STEPS
    assert found.in_time
    assert not found.cut
    assert found.planned == found.needed == 29_411_700
    assert calendar(replace(year, end=year.end + timedelta(seconds=1)), 1, WORST).cut


def test_a_window_that_begins_within_a_minute_is_counted_to_the_second() -> None:
    plan = CallSettings(datetime(2021, 5, 20, 17, 35, 43), datetime(2021, 5, 21, 17, 35, 44), 1)
    found = calendar(plan, 2, WORST)
    assert found.finish == datetime(2021, 5, 20, 17, 37, 43)
    assert [d.minutes for d in found.days] == [384, 1055]
