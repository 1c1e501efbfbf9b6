"""Both readings of qp.md, the slow one and the engine's, on clocks that jump and at the ends of the calendar (section 2)."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.reading import slow
from tests.reading.building import SHANGHAI, TODAY, chosen, condition, event, times, user

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("zone", "day", "begin", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), "2026-03-08 05:00", 23),
        ("America/New_York", date(2026, 11, 1), "2026-11-01 04:00", 25),
        ("Europe/London", date(2026, 3, 29), "2026-03-29 00:00", 23),
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04 03:00", 23),  # begins at 01:00
        ("America/Havana", date(2026, 11, 1), "2026-11-01 04:00", 25),  # midnight twice
        ("America/St_Johns", date(2010, 11, 7), "2010-11-07 02:30", 25),  # back into the day before, a minute past
        ("America/Toronto", date(1919, 3, 31), "1919-03-31 04:30", 23.5),  # 23:30 becomes 00:30
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30 10:00", 0),  # a day that never was
    ],
)
def test_a_day_runs_from_its_first_instant_to_that_of_the_next(zone: str, day: date, begin: str, hours: float) -> None:
    midnight = (day - date(1970, 1, 1)).days * slow.DAY
    start, end = slow.day_start(midnight, zone), slow.day_start(midnight + slow.DAY, zone)
    assert start == slow.micros(datetime.fromisoformat(begin))
    assert (end - start) / slow.SECOND / 3600 == hours
    moments = [start - 1, start, end - 1, end]
    people = [user(n, seen=_utc(moment)) for n, moment in enumerate(moments)]
    yesterday = {"filts": [condition("seen", "relativeCurrentBetween", "1", "1")]}
    inside = {n for n, moment in enumerate(moments) if start <= moment < end}
    assert chosen(yesterday, (), people, zone, day + timedelta(days=1)) == inside


def _utc(micros: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=micros)


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-11-01 01:30", "2026-11-01 05:30"),  # repeated: the first
        ("2026-03-08 02:30", "2026-03-08 07:30"),  # skipped: moved forward, shown as 03:30
        ("2026-07-01 12:00", "2026-07-01 16:00"),
    ],
)
def test_local_times_in_new_york_become_instants(local: str, utc: str) -> None:
    shown = slow.micros(datetime.fromisoformat(local))
    assert slow.instant(shown, "America/New_York") == slow.micros(datetime.fromisoformat(utc))
    people = [user(1, seen=datetime.fromisoformat(utc)), user(2, seen=datetime.fromisoformat(utc) + timedelta(hours=1))]
    assert chosen({"filts": [condition("seen", "equal", f"{local}:00")]}, (), people, NEW_YORK) == {1}


@pytest.mark.parametrize(
    ("zone", "word", "ftv", "expected"),
    [
        (SHANGHAI, "less", ["0001-01-01"], False),  # before the first instant that a time can be
        (SHANGHAI, "greater", ["0001-01-01"], True),
        (SHANGHAI, "equal", ["0001-01-01"], False),
        (SHANGHAI, "notEqual", ["0001-01-01"], True),
        (SHANGHAI, "range", ["0001-01-01", "0001-01-01 00:00:00"], False),
        (NEW_YORK, "less", ["9999-12-31 23:59:59"], True),
        (NEW_YORK, "greater", ["9999-12-31 23:59:59"], False),  # after the last one
        (NEW_YORK, "range", ["2026-01-01", "9999-12-31 23:59:59"], True),
        (NEW_YORK, "range", ["2026-01-01", "9999-12-31"], True),
        (NEW_YORK, "range", ["9999-12-31", "9999-12-31"], False),
    ],
)
def test_the_ends_of_the_calendar_compare_like_any_time(zone: str, word: str, ftv: list[str], expected: bool) -> None:
    people = [user(seen=datetime(2026, 7, 1))]
    assert chosen({"filts": [condition("seen", word, *ftv)]}, (), people, zone) == ({1} if expected else set())


@pytest.mark.parametrize(
    ("zone", "window", "expected"),
    [
        (SHANGHAI, {"startTime": "0001-01-01"}, True),
        (SHANGHAI, {"endTime": "0001-01-01"}, False),
        (SHANGHAI, {"endTime": "0001-01-01 00:00:01"}, False),
        (NEW_YORK, {"startTime": "9999-12-31 23:59:59"}, False),
        (NEW_YORK, {"endTime": "9999-12-31 23:59:59"}, True),
        ("UTC", {"endTime": "9999-12-31 23:59:59"}, True),
        ("UTC", {"endTime": "9999-12-31"}, True),
    ],
)
def test_the_ends_of_the_calendar_bound_a_window_like_any_time(
    zone: str, window: dict[str, Any], expected: bool
) -> None:
    found = chosen({"events": [times(**window)]}, [event()], None, zone, TODAY)
    assert found == ({1} if expected else set())
