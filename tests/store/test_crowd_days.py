"""The days and weeks of a validity: how many are told, in which zone, and only where there is data."""

from datetime import date, datetime, timedelta

import pytest

from mcp_server.language.metadata import Event, Metadata
from mcp_server.platforms.local.crowds import MOST, calendar
from mcp_server.platforms.tasks import Validity

FIRST = date(2026, 1, 1)


def metadata(
    *, last: date = date(2027, 12, 31), today: date = date(2027, 12, 31), zone: str = "Asia/Shanghai"
) -> Metadata:
    events = (
        Event(name="a", first="2026-01-01 10:00:00", last="2026-01-02 10:00:00"),
        Event(name="b", first="2026-01-05 10:00:00", last=f"{last} 10:00:00"),
        Event(name="never"),
    )
    return Metadata(project_id="1", zone=zone, today=today, events=events)


def days(count: int) -> Validity:
    """So many whole days in Beijing from the first of the data on."""
    start = datetime.combine(FIRST, datetime.min.time())
    return Validity(start, start + timedelta(days=count, seconds=-1))


@pytest.mark.parametrize(
    ("count", "unit", "told", "left_out"),
    [
        (1, "day", 1, 0),
        (MOST, "day", 14, 0),
        (MOST + 1, "week", 3, 0),
        (7 * MOST, "week", 14, 0),
        (7 * MOST + 1, "week", 14, 1),
        (400, "week", 14, 44),
    ],
)
def test_days_become_weeks_and_weeks_are_cut(count: int, unit: str, told: int, left_out: int) -> None:
    found = calendar(days(count), metadata())
    assert found is not None
    assert (found.unit, len(found.days), found.left_out) == (unit, told, left_out)
    length = 1 if unit == "day" else 7
    assert found.days[0] == FIRST + timedelta(days=7 * left_out)
    assert [b - a for a, b in zip(found.days, found.days[1:], strict=False)] == [timedelta(days=length)] * (told - 1)
    assert found.instants.start == datetime(2025, 12, 31, 16)
    assert found.instants.end == datetime(2025, 12, 31, 16) + timedelta(days=count)


def test_a_last_second_at_midnight_opens_a_day() -> None:
    start = datetime(2026, 1, 1)
    found = calendar(Validity(start, datetime(2026, 1, 2)), metadata())
    assert found is not None
    assert found.days == (date(2026, 1, 1), date(2026, 1, 2))
    assert found.instants.end == datetime(2026, 1, 1, 16, 0, 1)


def test_only_days_that_have_come_and_that_the_data_reaches_are_told() -> None:
    year = Validity(datetime(2025, 1, 1), datetime(2026, 12, 31))
    for known in (metadata(last=date(2026, 1, 3)), metadata(today=date(2026, 1, 3))):
        found = calendar(year, known)
        assert found is not None
        assert found.days == (date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3))
        assert found.instants.end == datetime(2026, 1, 3, 16)


@pytest.mark.parametrize(
    ("end", "some"), [("2025-12-31 23:59:59", False), ("2026-01-01 00:00:00", True)], ids=["before", "at"]
)
def test_a_validity_before_the_data_has_no_days(end: str, some: bool) -> None:
    assert (calendar(Validity(datetime(2025, 1, 1), datetime.fromisoformat(end)), metadata()) is not None) is some


@pytest.mark.parametrize(("start", "some"), [("2026-01-03 23:59:59", True), ("2026-01-04 00:00:00", False)])
def test_a_validity_after_the_data_has_no_days(start: str, some: bool) -> None:
    found = calendar(Validity(datetime.fromisoformat(start), datetime(2026, 2, 1)), metadata(last=date(2026, 1, 3)))
    assert (found is not None) is some


def test_without_events_there_are_no_days() -> None:
    empty = Metadata(project_id="1", today=FIRST, events=(Event(name="never"),))
    assert calendar(days(3), empty) is None


def test_days_begin_at_midnight_of_the_project_also_when_the_clock_changes() -> None:
    beijing = Validity(
        datetime(2026, 3, 7, 13), datetime(2026, 3, 9, 12, 0, 0)
    )  # 7 March 00:00 to 9 March 00:00 in New York
    found = calendar(beijing, metadata(zone="America/New_York"))
    assert found is not None
    assert found.days == (date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9))
    assert found.instants.begins == (datetime(2026, 3, 7, 5), datetime(2026, 3, 8, 5), datetime(2026, 3, 9, 4))


def test_the_ends_of_the_calendar_are_no_obstacle() -> None:
    assert calendar(Validity(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)), metadata()) is not None
