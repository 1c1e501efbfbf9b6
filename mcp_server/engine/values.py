"""The rows of a source as values: each cell read once, times still as the clock readings that were written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engine.connection import one, rows
from mcp_server.engine.quoting import literal
from mcp_server.engine.reading import Reading
from mcp_server.engine.zones import FIRST, LAST, Clock, clock
from mcp_server.qp.metadata import Table
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST_YEARS = 300
"""Years between first and last time up to which every year between them is looked up; beyond, only those that occur."""


@dataclass(frozen=True, slots=True)
class Values:
    """A source that has been read. Of reading number i the relation has

    * `v{i}`: the value; a time within the calendar, so that no arithmetic on it can overflow;
    * `o{i}`: of a time, the offset it was written with in minutes, NULL meaning local;
    * `x{i}`: true where a time lies beyond the calendar, or a number is NaN or infinite;
    * `w{i}`: of a system column, what stands there where it cannot be read.
    """

    relation: str
    """Has `"$n"` and `"$lost"` as well."""
    readings: tuple[Reading, ...]
    notes: tuple[tuple[str, Text], ...] = ()
    """What is worth knowing of columns: name and text."""

    def position(self, name: str) -> int:
        """Number of a system column that is known to be there."""
        return next(i for i, reading in enumerate(self.readings) if reading.name == name)


@dataclass(frozen=True, slots=True)
class Oddities:
    """Values that were not taken as they stand, counted."""

    not_a_number: dict[str, int] = field(default_factory=dict)
    """Property to number of NaN and infinite values."""
    repeated: int = 0
    skipped: int = 0
    beyond: int = 0

    def of(self, table: Table) -> "Oddities":
        """The same with the table before each property's name."""
        return replace(self, not_a_number={f"{table}.{name}": n for name, n in self.not_a_number.items()})

    def __add__(self, other: "Oddities") -> "Oddities":
        return Oddities(
            self.not_a_number | other.not_a_number,
            self.repeated + other.repeated,
            self.skipped + other.skipped,
            self.beyond + other.beyond,
        )


def read_values(
    connection: "DuckDBPyConnection",
    relation: str,
    readings: Sequence[Reading],
    name: str,
    *,
    copy: bool,
    keep: Sequence[str] = (),
    notes: Sequence[tuple[str, Text]] = (),
) -> Values:
    """Read every cell of a relation into the table `name`, or, without `copy`, into a view of that name.

    A copy pays where reading a cell is work (texts). Columns named in `keep` are passed through.
    """
    cells: list[str] = ['"$n"', '"$lost"', *keep]
    replaced: list[str] = []
    added: list[str] = []
    for i, reading in enumerate(readings):
        cells.append(f"{reading.value} AS v{i}")
        if reading.type == "time":
            inside = f"CASE WHEN v{i} < {literal(FIRST)} THEN {literal(FIRST)} WHEN v{i} > {literal(LAST)} THEN {literal(LAST)} ELSE v{i} END"
            cells.append(f"CAST({reading.east or 'NULL'} AS BIGINT) AS o{i}")
            replaced.append(f"{inside} AS v{i}")
            added.append(f"v{i} <> {inside} AS x{i}")
        if reading.not_a_number:
            cells.append(f"{reading.not_a_number} AS x{i}")
        if reading.written:
            cells.append(f"{reading.written} AS w{i}")
            replaced.append(f"CASE WHEN v{i} IS NULL THEN w{i} END AS w{i}")
    selected = ", ".join([f"* REPLACE ({', '.join(replaced)})" if replaced else "*", *added])
    connection.execute(
        f"CREATE TEMP {'TABLE' if copy else 'VIEW'} {name} AS SELECT {selected} FROM (SELECT {', '.join(cells)} FROM {relation})"
    )
    return Values(name, tuple(readings), tuple(notes))


def set_clock(
    connection: "DuckDBPyConnection", relation: str, readings: Sequence[Reading], zone: ZoneInfo
) -> tuple[Clock, Oddities]:
    """The clock for the times of good rows (a relation as `Values` describes), and what was odd among their values."""
    asked = clock(zone, _years(connection, relation, readings))
    return asked, _count_oddities(connection, relation, readings, asked)


def instant_of(i: int, reading: Reading, asked: Clock) -> str:
    """SQL over `Values`: value number i as it is kept, a time as an instant."""
    return asked.to_instant(f"v{i}", f"o{i}") if reading.type == "time" else f"v{i}"


def _years(connection: "DuckDBPyConnection", relation: str, readings: Sequence[Reading]) -> set[int]:
    """The local years in which a source has times without an offset."""
    wanted = [i for i, reading in enumerate(readings) if reading.type == "time" and reading.east != "0"]
    if not wanted:
        return set()
    ends = ", ".join(f"min(v{i}) FILTER (o{i} IS NULL), max(v{i}) FILTER (o{i} IS NULL)" for i in wanted)
    found = one(connection, f"SELECT {ends} FROM {relation}")
    years: set[int] = set()
    for position, i in enumerate(wanted):
        low, high = found[2 * position : 2 * position + 2]
        if low is None:
            continue
        if high.year - low.year < _MOST_YEARS:
            years.update(range(low.year, high.year + 1))
        else:
            years.update(
                row[0]
                for row in rows(
                    connection, f"SELECT DISTINCT year(v{i}) FROM {relation} WHERE v{i} IS NOT NULL AND o{i} IS NULL"
                )
            )
    return years


def _count_oddities(
    connection: "DuckDBPyConnection", relation: str, readings: Sequence[Reading], asked: Clock
) -> Oddities:
    """One scan over the columns where something odd can stand."""
    numbers = [i for i, reading in enumerate(readings) if reading.not_a_number]
    times = [i for i, reading in enumerate(readings) if reading.type == "time"]
    conditions = [f"x{i}" for i in numbers]
    for i in times:
        conditions += [
            f"o{i} IS NULL AND {asked.repeated(f'v{i}')}",
            f"o{i} IS NULL AND {asked.skipped(f'v{i}')}",
            f"x{i} OR {asked.beyond(f'v{i}', f'o{i}')}",
        ]
    if not conditions:
        return Oddities()
    counts = [
        int(n)
        for n in one(connection, f"SELECT {', '.join(f'count(*) FILTER ({c})' for c in conditions)} FROM {relation}")
    ]
    of_times = counts[len(numbers) :]
    return Oddities(
        {readings[i].name: n for i, n in zip(numbers, counts, strict=False) if n},
        repeated=sum(of_times[0::3]),
        skipped=sum(of_times[1::3]),
        beyond=sum(of_times[2::3]),
    )
