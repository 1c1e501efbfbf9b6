"""A second real data set: many columns, missing ids and values, a clock change, a table of its own for the users."""

from dataclasses import replace
from pathlib import Path

import pytest

from mcp_server.sources.loading import LoadOptions, Sources
from tests.sources.loads import Loaded, load, refused

FOLDER = Path(__file__).parent / "nycflights13"
NEW_YORK = LoadOptions("1", "America/New_York")


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    sources = Sources(str(FOLDER / "flights.parquet"), str(FOLDER / "planes.parquet"))
    return load(tmp_path_factory.mktemp("flights"), sources, NEW_YORK)


def test_flights_and_planes_are_counted(flights: Loaded) -> None:
    """28,834 flights left New York's airports in March 2013, or should have; 240 of them have no tail number."""
    metadata = flights.built.metadata
    assert (metadata.rows, metadata.users) == (28_834 - 240, 3_322)
    assert [(e.name, e.count, e.first, e.last) for e in metadata.events] == [
        ("cancelled", 621, "2013-03-01 09:00:00", "2013-03-31 16:27:00"),
        ("departed", 27_973, "2013-03-01 05:00:00", "2013-03-31 23:59:00"),
    ]


def test_the_scheduled_time_is_the_local_time_of_the_event(flights: Loaded) -> None:
    """`sched_dep_time` is local (hhmm); the month has a clock change on the 10th."""
    rows = flights.rows(
        "SELECT count(*) FROM events WHERE sched_dep_time <> date_part('hour', local) * 100 + date_part('minute', local)"
        .replace("local", "(\"#event_time\" - to_hours(CASE WHEN \"#event_time\" < TIMESTAMP '2013-03-10 07:00' THEN 5 ELSE 4 END))")
    )  # fmt: skip
    assert rows == [(0,)]


def test_values_that_no_cancelled_flight_has_are_known_as_such(flights: Loaded) -> None:
    assert flights.property("dep_delay").events == ("departed",)
    assert flights.property("carrier").events == ("cancelled", "departed")
    assert flights.property("arr_delay").null_share == pytest.approx(71 / 27_973)
    assert flights.property("origin").top == (("EWR", 10_368), ("JFK", 9_603), ("LGA", 8_623))


def test_planes_have_tail_numbers_as_accounts_and_gaps(flights: Loaded) -> None:
    assert flights.rows('SELECT count(DISTINCT "#account_id"), count(speed), count(year) FROM users') == [
        (3_322, 23, 3_252)
    ]
    assert flights.property("manufacturer", "user").distinct == 35


def test_flights_of_planes_that_no_registry_has_are_counted(flights: Loaded) -> None:
    known = flights.rows('SELECT count(*) FROM events WHERE "#user_id" IN (SELECT "#user_id" FROM users)')[0][0]
    assert flights.built.report.unknown_user_rows == 28_594 - known == 4_350


def test_flights_without_a_tail_number_stop_the_load_or_are_skipped(tmp_path: Path, flights: Loaded) -> None:
    sources = Sources(str(FOLDER / "flights*.parquet"), str(FOLDER / "planes.parquet"))
    error = refused(tmp_path, sources, NEW_YORK)
    assert "240 of 28,834 rows" in error.message.en
    assert {problem.code for problem in error.problems} == {"missing_user_id"}
    loaded = load(tmp_path, sources, replace(NEW_YORK, skip_bad_rows=True))
    assert loaded.built.report.skipped[0].counts == {"missing_user_id": 240}
    assert loaded.built.metadata == flights.built.metadata
