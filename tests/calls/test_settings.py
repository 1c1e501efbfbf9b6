"""Settings of a call task: every limit on both sides, what is left out, and what the vendor gets."""

from datetime import datetime
from typing import Any

import pytest

from mcp_server.calls.reading import Findings, SettingsReading, SettingsRequest, read_settings, read_week
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.volcengine import update_body, week_of
from mcp_server.calls.week import NEVER, Week
from mcp_server.text import NOTHING, Text, same

START, END = "2026-11-23 09:00:00", "2026-11-30 20:00:00"


def forbidden(*entries: str) -> Week:
    return read_week(entries, "", Findings())


BEFORE = CallSettings(
    datetime(2026, 11, 23, 9), datetime(2026, 11, 30, 20), 5, forbidden("sun", "20:00-09:00"), Redials(2, 15)
)


def codes(reading: SettingsReading) -> list[tuple[str, str, str]]:
    return [(p.path, p.code, p.suggestion) for p in reading.problems]


def changed(**wanted: Any) -> CallSettings:
    """What becomes of BEFORE."""
    reading = read_settings(SettingsRequest(**wanted), BEFORE)
    assert reading.settings is not None, codes(reading)
    return reading.settings


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("ring_again_interval", 5, (4, "call_redial_interval", "5")),
        ("ring_again_interval", 1440, (1441, "call_redial_interval", "1440")),
        ("ring_again_times", 0, (-1, "call_redial_times", "0")),
        ("ring_again_times", 5, (6, "call_redial_times", "5")),
        ("concurrency", 1, (0, "call_concurrency", "1")),
        ("concurrency", 1_000_000, (1_000_001, "call_concurrency", "1000000")),
    ],
)
def test_each_limit_has_two_sides(field: str, good: int, bad: tuple[int, str, str]) -> None:
    assert changed(**{field: good})
    value, code, suggestion = bad
    assert codes(read_settings(SettingsRequest(**{field: value}), BEFORE)) == [(f"/{field}", code, suggestion)]


def test_the_end_is_after_the_start() -> None:
    assert changed(end_time="2026-11-23 09:00:01").end == datetime(2026, 11, 23, 9, 0, 1)
    late = read_settings(SettingsRequest(end_time="2026-11-23 09:00:00"), BEFORE)
    assert codes(late) == [("/end_time", "call_end_not_after_start", "")]
    assert codes(read_settings(SettingsRequest(start_time=END), BEFORE)) == [
        ("/start_time", "call_end_not_after_start", "")
    ]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-11-23T01:30:00Z", "2026-11-23 09:30:00"),
        ("2026-11-22 20:30:00-05:00", "2026-11-23 09:30:00"),
        ("2026-11-23T09:30:00+0800", "2026-11-23 09:30:00"),
        ("2026-11-23 09:30", "2026-11-23 09:30:00"),
        ("2026-11-23T09:30:00.250", "2026-11-23 09:30:00"),
    ],
)
def test_a_time_becomes_beijing_time_and_that_is_said(said: str, meant: str) -> None:
    reading = read_settings(SettingsRequest(start_time=said), BEFORE)
    assert reading.settings is not None
    assert str(reading.settings.start) == meant
    assert [(r.path, r.before, r.after) for r in reading.repairs] == [("/start_time", said, meant)]


@pytest.mark.parametrize(
    ("said", "suggestion"),
    [
        ("tomorrow", ""),
        ("2026-02-30", ""),
        ("2026-02-30 10:00:00", ""),
        ("2026-11-23 10:00:00+25:00", ""),
        ("0001-01-01 00:00:00+14:00", ""),
    ],
)
def test_what_is_no_time_is_a_problem(said: str, suggestion: str) -> None:
    reading = read_settings(SettingsRequest(start_time=said), BEFORE)
    assert codes(reading) == [("/start_time", "call_time_invalid", suggestion)]


def test_a_date_alone_is_refused_and_told_how_it_is_written() -> None:
    reading = read_settings(SettingsRequest(start_time="2026-11-23", end_time=" 2026-11-24"), BEFORE)
    assert reading.settings is None
    assert reading.repairs == ()
    assert codes(reading) == [
        ("/start_time", "call_time_no_clock", "2026-11-23 00:00:00"),
        ("/end_time", "call_time_no_clock", "2026-11-24 23:59:59"),
    ]
    start, end = (problem.message for problem in reading.problems)
    assert start.en.startswith('"2026-11-23" is a date without a time of day')
    assert 'for the beginning of that day in Beijing write "2026-11-23 00:00:00"' in start.en
    assert 'for the end of that day in Beijing write "2026-11-24 23:59:59"' in end.en
    assert "如指当天结束时（北京时间），请写“2026-11-24 23:59:59”" in end.zh


def test_one_fault_is_one_problem() -> None:
    reading = read_settings(SettingsRequest(start_time="soon", end_time="2020-01-01 00:00:00"), BEFORE)
    assert codes(reading) == [("/start_time", "call_time_invalid", "")]


def test_a_new_task_has_a_window() -> None:
    reading = read_settings(SettingsRequest(concurrency=1))
    assert codes(reading) == [("/start_time", "call_time_invalid", ""), ("/end_time", "call_time_invalid", "")]


def test_what_is_left_out_stays_and_an_empty_list_clears() -> None:
    assert changed() == BEFORE
    assert changed(forbid_times=["-"]).forbidden == NEVER
    assert changed(concurrency=9) == CallSettings(BEFORE.start, BEFORE.end, 9, BEFORE.forbidden, BEFORE.redials)
    assert changed(ring_again_times=3).redials == Redials(3, 15)
    assert changed(ring_again_interval=30).redials == Redials(2, 30)


def test_call_times_are_the_opposite_of_forbidden_ones_and_only_one_of_them_is_given() -> None:
    people = changed(call_times=["mon-sat 10:00-12:00"])
    assert people.forbidden == forbidden("sun", "mon-sat 00:00-10:00 12:00-23:59")
    both = read_settings(SettingsRequest(call_times=["mon"], forbid_times=["sun"]), BEFORE)
    assert codes(both) == [("/call_times", "call_both_times", "")]
    assert codes(read_settings(SettingsRequest(call_times=[]), BEFORE)) == [("/call_times", "call_never", "")]


def body(before: CallSettings | None = BEFORE, opaque: Text = NOTHING, **wanted: Any) -> dict[str, Any]:
    reading = read_settings(SettingsRequest(**wanted), before, opaque=opaque)
    assert reading.settings is not None, codes(reading)
    return update_body("123", reading.settings, recall=reading.recall)


def test_redials_are_sent_only_when_given() -> None:
    assert body(concurrency=3) == {
        "TaskOpenId": "123",
        "StartTime": START,
        "EndTime": END,
        "Concurrency": 3,
        "ForbidTimeList": [
            {"Weekdays": [2, 3, 4, 5, 6, 7], "Times": ["00:00-09:00", "20:00-23:59"]},
            {"Weekdays": [1], "Times": ["00:00-23:59"]},
        ],
        "Recall": False,
    }
    redials = ("Recall", "RingAgainTimes", "RingAgainInterval")
    assert [body(ring_again_times=0)[key] for key in redials] == [True, 0, 15]
    assert [body(ring_again_interval=20)[key] for key in redials] == [True, 2, 20]
    assert [body(recall=True)[key] for key in redials] == [True, 2, 15]
    assert body(recall=False)["Recall"] is False


def test_recall_may_not_contradict() -> None:
    contradiction = [("/recall", "call_recall_contradicts", "true")]
    assert codes(read_settings(SettingsRequest(recall=False, ring_again_times=1), BEFORE)) == contradiction
    assert codes(read_settings(SettingsRequest(recall=False, ring_again_interval=5), BEFORE)) == contradiction
    opaque = SettingsRequest(start_time=START, end_time=END, concurrency=1, forbid_times=["-"], recall=True)
    assert codes(read_settings(opaque, opaque=same("Volcengine"))) == [("/recall", "call_recall_contradicts", "false")]


def test_a_platform_that_does_not_tell_is_given_everything() -> None:
    missing = read_settings(SettingsRequest(ring_again_interval=10), opaque=same("Volcengine"))
    assert [path for path, code, _ in codes(missing) if code == "call_field_missing"] == [
        "/start_time", "/end_time", "/concurrency", "/forbid_times", "/ring_again_times",
    ]  # fmt: skip
    complete = {"start_time": START, "end_time": END, "concurrency": 1, "forbid_times": ["-"]}
    assert body(None, same("Volcengine"), **complete)["Recall"] is False
    assert "RingAgainTimes" not in body(None, same("Volcengine"), **complete)
    redialled = body(None, same("Volcengine"), **complete, ring_again_times=1)
    assert (redialled["Recall"], redialled["RingAgainTimes"], redialled["RingAgainInterval"]) == (True, 1, 5)


def test_the_example_of_the_vendors_page_is_sent_as_it_stands_there() -> None:
    page: dict[str, Any] = {
        "TaskOpenId": "123",
        "Concurrency": 1,
        "ForbidTimeList": [{"Weekdays": [1], "Times": ["10:00-11:00"]}],
        "RingAgainTimes": 1,
        "RingAgainInterval": 5,
        "EndTime": "2021-05-21 17:35:44",
        "StartTime": "2021-05-20 17:35:43",
    }
    wanted: dict[str, Any] = {
        "start_time": page["StartTime"],
        "end_time": page["EndTime"],
        "concurrency": 1,
        "forbid_times": ["sun 10:00-11:00"],
        "ring_again_times": 1,
        "ring_again_interval": 5,
    }
    assert body(None, same("Volcengine"), **wanted) == {**page, "Recall": True}
    assert week_of(page["ForbidTimeList"]) == forbidden("sun 10:00-11:00")
