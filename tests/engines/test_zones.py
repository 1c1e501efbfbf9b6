"""Local times become the instants that Python's zone data gives, in every hour of the years around clock changes."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import connect
from mcp_server.engines.duckdb.zones import FIRST, LAST, clock
from mcp_server.language.values import instant, local

ZONES = [
    "Asia/Shanghai",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "UTC",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    return connect(tmp_path_factory.mktemp("temp"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def instants(database: duckdb.DuckDBPyConnection, zone: str, years: list[int], times: list[datetime]) -> list[datetime]:
    sql = clock(ZoneInfo(zone), years).to_instant("t", "NULL::INT")
    return [row[0] for row in database.execute(f"SELECT {sql} FROM (SELECT unnest({literal(times)}) AS t)").fetchall()]


def quarters(year: int, zone: str) -> list[datetime]:
    """Noon of every day of a year, and every quarter of an hour of the days around its clock changes."""
    days = [datetime.fromisoformat(f"{year:04}-01-01 12:00:00") + timedelta(days=i) for i in range(365)]
    offsets = [day.replace(tzinfo=ZoneInfo(zone)).utcoffset() for day in days]
    changed = [day for day, before, after in zip(days[1:], offsets, offsets[1:], strict=False) if before != after]
    edges = [days[0], days[-1]]
    return days + [day + timedelta(minutes=15 * i) for day in changed + edges for i in range(-6 * 24, 2 * 24)]


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_of_an_hour_around_clock_changes_agrees_with_zoneinfo(
    database: duckdb.DuckDBPyConnection, zone: str
) -> None:
    for years in ([1941, 1942], [1986], [2010, 2011, 2012], [2018, 2019], [2024], [2037]):
        times = [time for year in years for time in quarters(year, zone)]
        found = instants(database, zone, sorted({time.year for time in times}), times)
        wrong = [(t, a) for t, a in zip(times, found, strict=True) if a != instant(t, ZoneInfo(zone))]
        assert wrong == []


@pytest.mark.parametrize("zone", ZONES)
def test_years_with_gaps_between_them_agree_too(database: duckdb.DuckDBPyConnection, zone: str) -> None:
    years = [2, 1850, 1901, 1945, 1986, 1987, 2010, 2011, 2024, 9998]
    times = [
        datetime.fromisoformat(f"{year:04}-01-01") + timedelta(hours=37 * i)
        for year in years
        for i in range(365 * 24 // 37)
    ]
    assert instants(database, zone, years, times) == [instant(time, ZoneInfo(zone)) for time in times]


def test_a_repeated_time_is_the_first_and_a_skipped_one_moves_forward(database: duckdb.DuckDBPyConnection) -> None:
    times = [at("2024-03-10 02:30:00"), at("2024-11-03 01:30:00")]
    assert instants(database, "America/New_York", [2024], times) == [
        at("2024-03-10 07:30:00"),
        at("2024-11-03 05:30:00"),
    ]


@pytest.mark.parametrize(
    ("zone", "year", "repeated", "skipped"),
    [
        ("Asia/Shanghai", 2024, 0, 0),
        ("Asia/Shanghai", 1988, 4, 4),
        ("America/New_York", 2024, 4, 4),
        ("Europe/London", 2024, 4, 4),
        ("Australia/Lord_Howe", 2024, 2, 2),
        ("America/Sao_Paulo", 2017, 4, 4),
        ("Africa/Casablanca", 2019, 4, 4),
        ("Africa/Casablanca", 2017, 8, 8),
        ("Pacific/Apia", 2011, 4, 4 + 96),
    ],
)
def test_repeated_and_skipped_times_are_counted(
    database: duckdb.DuckDBPyConnection, zone: str, year: int, repeated: int, skipped: int
) -> None:
    """Quarters of an hour of one year that zoneinfo calls ambiguous or imaginary."""
    start = datetime.fromisoformat(f"{year}-01-01")
    asked = clock(ZoneInfo(zone), [year])
    counts = database.execute(
        f"SELECT count(*) FILTER ({asked.repeated('t')}), count(*) FILTER ({asked.skipped('t')}) "
        f"FROM (SELECT {literal(start)} + to_minutes(15 * i) AS t FROM range(365 * 96) r(i))"
    ).fetchone()
    times = [start + timedelta(minutes=15 * i) for i in range(365 * 96)]
    assert counts == (repeated, skipped) == _by_zoneinfo(times, ZoneInfo(zone))


def _by_zoneinfo(times: list[datetime], zone: ZoneInfo) -> tuple[int, int]:
    none = timedelta()
    both = [
        (t.replace(tzinfo=zone).utcoffset() or none, t.replace(tzinfo=zone, fold=1).utcoffset() or none) for t in times
    ]
    return sum(first > second for first, second in both), sum(first < second for first, second in both)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
def test_the_ends_of_the_calendar_stay_inside_it(database: duckdb.DuckDBPyConnection, zone: str) -> None:
    """0001-01-01 and 9999-12-31 stand in many data sets for 'never'; their instants must still be readable by Python."""
    asked = clock(ZoneInfo(zone), [FIRST.year, LAST.year])
    rows = database.execute(
        f"SELECT {asked.to_instant('t', 'o')}, {asked.beyond('t', 'o')} FROM (SELECT * FROM (VALUES "
        f"({literal(FIRST)}, NULL), ({literal(LAST)}, NULL), ({literal(FIRST)}, 840), ({literal(LAST)}, -720), ({literal(FIRST)}, 0), ({literal(LAST)}, 0)"
        ") v(t, o))"
    ).fetchall()
    for moment, _ in rows:
        assert FIRST <= local(moment, ZoneInfo(zone)) <= LAST
    assert [beyond for _, beyond in rows][:2] == [zone == "Asia/Shanghai", zone == "America/New_York"]


def test_an_offset_that_was_written_counts_instead_of_the_zone(database: duckdb.DuckDBPyConnection) -> None:
    asked = clock(ZoneInfo("Asia/Shanghai"), [2024])
    row = database.execute(
        f"SELECT {asked.to_instant('t', 'o')} FROM (SELECT TIMESTAMP '2024-05-01 12:00' AS t, -270 AS o)"
    ).fetchone()
    assert row == (at("2024-05-01 16:30:00"),)


def test_one_offset_needs_no_case_at_all(tmp_path: Path) -> None:
    assert "CASE WHEN t <" not in clock(ZoneInfo("Asia/Shanghai"), [2023, 2024]).to_instant("t", "o")
