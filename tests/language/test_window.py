"""Days, windows and instants (qp.md section 2)."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from mcp_server.language.values import Days, instant, parse_time, recent_days, span_between, span_of_days
from mcp_server.language.values import local as local_time

SHANGHAI, NEW_YORK, SAO_PAULO = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York"), ZoneInfo("America/Sao_Paulo")


@pytest.mark.parametrize(
    ("text", "today", "first", "last"),
    [
        ("1-7", date(2020, 1, 10), date(2020, 1, 3), date(2020, 1, 9)),  # the vendor page's own example
        ("1-1", date(2020, 1, 10), date(2020, 1, 9), date(2020, 1, 9)),
        ("8-14", date(2020, 1, 15), date(2020, 1, 1), date(2020, 1, 7)),
        ("0-1", date(2020, 1, 10), date(2020, 1, 10), date(2020, 1, 10)),
        ("0-7", date(2020, 1, 10), date(2020, 1, 4), date(2020, 1, 10)),
        ("0-6", date(2020, 1, 10), date(2020, 1, 5), date(2020, 1, 10)),
        ("114-115", date(2022, 1, 27), date(2021, 10, 4), date(2021, 10, 5)),
        ("01-07", date(2020, 1, 10), date(2020, 1, 3), date(2020, 1, 9)),
        ("1-36500", date(2024, 7, 1), date(1924, 7, 26), date(2024, 6, 30)),
    ],
)
def test_recent_days_counts_back_from_today(text: str, today: date, first: date, last: date):
    assert recent_days(text, today) == Days(first, last)


@pytest.mark.parametrize("text", ["", "7", "7-1", "0-0", "1-36501", "1 - 7", "-1-7", "1-7-9", "一-七", "1-7\n", "١-٧"])
def test_what_is_no_window_is_none(text: str):
    assert recent_days(text, date(2024, 7, 1)) is None


def test_a_day_is_as_long_as_its_clock_makes_it():
    spring = span_of_days(Days(date(2024, 3, 10), date(2024, 3, 10)), NEW_YORK)
    autumn = span_of_days(Days(date(2024, 11, 3), date(2024, 11, 3)), NEW_YORK)
    assert [(s.end - s.start).total_seconds() / 3600 for s in (spring, autumn) if s.start and s.end] == [23, 25]


def test_a_day_without_a_midnight_begins_with_its_first_instant():
    span = span_of_days(Days(date(2018, 11, 4), date(2018, 11, 4)), SAO_PAULO)  # 00:00 was skipped
    assert span.start == datetime(2018, 11, 4, 3)
    assert instant(datetime(2018, 11, 3, 23, 59, 59), SAO_PAULO) == datetime(2018, 11, 4, 2, 59, 59)


def test_a_skipped_midnight_gives_way_to_the_clock_change_itself():
    toronto = ZoneInfo("America/Toronto")  # 1919-03-30 23:30 became 00:30
    span = span_of_days(Days(date(1919, 3, 31), date(1919, 3, 31)), toronto)
    assert span.start == datetime(1919, 3, 31, 4, 30)
    assert span_of_days(Days(date(1919, 3, 30), date(1919, 3, 30)), toronto).end == span.start


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        (datetime(2024, 7, 1), datetime(2024, 6, 30, 16)),
        (datetime(1, 1, 1), datetime.min),  # before the first instant that can be held
    ],
)
def test_a_local_time_is_an_instant(local: datetime, utc: datetime):
    assert instant(local, SHANGHAI) == utc


def test_a_repeated_hour_is_the_first_and_a_skipped_one_moves_forward():
    assert instant(datetime(2024, 11, 3, 1, 30), NEW_YORK) == datetime(2024, 11, 3, 5, 30)
    assert instant(datetime(2024, 3, 10, 2, 30), NEW_YORK) == datetime(2024, 3, 10, 7, 30)


@pytest.mark.parametrize(
    ("start", "end", "low", "high"),
    [
        ("2020-01-03 00:00:00", "2020-01-09 00:00:00", datetime(2020, 1, 2, 16), datetime(2020, 1, 9, 16)),
        ("2020-01-03", "2020-01-09", datetime(2020, 1, 2, 16), datetime(2020, 1, 9, 16)),
        ("2020-01-03 10:00:00", "2020-01-03 10:00:00", datetime(2020, 1, 3, 2), datetime(2020, 1, 3, 2, 0, 1)),
        ("", "2020-01-09", None, datetime(2020, 1, 9, 16)),
        ("2020-01-03", "", datetime(2020, 1, 2, 16), None),
        ("", "", None, None),
        ("0001-01-01", "9999-12-31", datetime.min, None),
        ("0001-01-01", "9999-12-31 23:59:59", datetime.min, datetime(9999, 12, 31, 16)),
    ],
)
def test_dates_include_both_ends(start: str, end: str, low: datetime | None, high: datetime | None):
    span = span_between(start, end, SHANGHAI)
    assert (span.start, span.end) == (low, high)


@pytest.mark.parametrize(
    "text",
    ["2024-1-5", "2024-02-30", "2024-01-01 24:00:00", "2024-01-01 10:00", "2024/01/01", "2024-01-01+08:00", "now", ""],
)
def test_what_is_no_time_is_none(text: str):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("2024-01-01", True),
        ("2024-01-01 10:00:00", True),
        ("2024-01-01 10:00:00.250", True),
        ("2024-01-01 10:00:00.25", False),
        ("2024-01-01T10:00:00", False),
        ("2024-01-01T10:00:00Z", False),
        ("2024-01-01 10:00:00-05:30", False),
    ],
)
def test_only_the_documented_forms_are_plain(text: str, plain: bool):
    written = parse_time(text)
    assert written is not None
    assert written.plain is plain


def test_the_ends_of_the_calendar_never_open_the_wrong_side():
    late = span_between("9999-12-31 23:59:59", "", NEW_YORK)
    assert late.start == datetime.max
    assert span_between("", "9999-12-31 23:59:59", ZoneInfo("UTC")).end is None
    assert instant(datetime.min, SHANGHAI) == datetime.min
    assert local_time(datetime.max, SHANGHAI) == datetime.max
