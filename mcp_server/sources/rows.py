"""The rows of a source: cells read as values, rows that cannot be loaded, and the others as tables of a generation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import ROW, identifier, literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.engines.duckdb.zones import FIRST, LAST, Clock, clock, years_of
from mcp_server.language.metadata import Table
from mcp_server.sources.base import Staged
from mcp_server.sources.columns import ColumnReading
from mcp_server.sources.naming import REQUIRED
from mcp_server.sources.report import FIRST_ROWS, REASONS, BadRow, BadRows
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# Values: each cell read once, times still as the clock readings that were written


@dataclass(frozen=True, slots=True)
class SourceValues:
    """A source that has been read. Of reading number i the relation has

    * `v{i}`: the value; a time within the calendar, so that no arithmetic on it can overflow;
    * `o{i}`: of a time, the offset it was written with in minutes, NULL meaning local;
    * `x{i}`: true where a time lies beyond the calendar, or a number is NaN or infinite;
    * `w{i}`: of a system column, the cell where it cannot be read.
    """

    relation: str
    """Has `"$n"` and `"$lost"` as well."""
    readings: tuple[ColumnReading, ...]
    notes: tuple[tuple[str, Text], ...] = ()
    """Notes on columns: name and text."""

    def position(self, name: str) -> int:
        """Return the number of a system column that is there."""
        return next(i for i, reading in enumerate(self.readings) if reading.name == name)


@dataclass(frozen=True, slots=True)
class Oddities:
    """Counts of values that were changed when they were read."""

    not_a_number: dict[str, int] = field(default_factory=dict)
    """Property to number of NaN and infinite values."""
    repeated: int = 0
    skipped: int = 0
    beyond: int = 0

    def of(self, table: Table) -> "Oddities":
        """Return the same with the table before each property's name."""
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
    readings: Sequence[ColumnReading],
    name: str,
    *,
    copy: bool,
    keep: Sequence[str] = (),
    notes: Sequence[tuple[str, Text]] = (),
) -> SourceValues:
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
    return SourceValues(name, tuple(readings), tuple(notes))


def set_clock(
    connection: "DuckDBPyConnection", relation: str, readings: Sequence[ColumnReading], zone: ZoneInfo
) -> tuple[Clock, Oddities]:
    """Return the clock for the times of good rows (a relation as `SourceValues` describes), and the odd ones among their values."""
    times = [i for i, reading in enumerate(readings) if reading.type == "time" and reading.east != "0"]
    local = [f"CASE WHEN o{i} IS NULL THEN v{i} END" for i in times]
    zoned = clock(zone, years_of(connection, relation, local))
    return zoned, _count_oddities(connection, relation, readings, zoned)


def instant_of(i: int, reading: ColumnReading, zoned: Clock) -> str:
    """Return SQL over `SourceValues`: value number i as it is kept, a time as an instant."""
    return zoned.to_instant(f"v{i}", f"o{i}") if reading.type == "time" else f"v{i}"


def _count_oddities(
    connection: "DuckDBPyConnection", relation: str, readings: Sequence[ColumnReading], zoned: Clock
) -> Oddities:
    """Scan the columns that can have odd values, once."""
    numbers = [i for i, reading in enumerate(readings) if reading.not_a_number]
    times = [i for i, reading in enumerate(readings) if reading.type == "time"]
    conditions = [f"x{i}" for i in numbers]
    for i in times:
        conditions += [
            f"o{i} IS NULL AND {zoned.repeated(f'v{i}')}",
            f"o{i} IS NULL AND {zoned.skipped(f'v{i}')}",
            f"x{i} OR {zoned.beyond(f'v{i}', f'o{i}')}",
        ]
    if not conditions:
        return Oddities()
    counts = one(connection, f"SELECT {', '.join(f'count(*) FILTER ({c})' for c in conditions)} FROM {relation}")
    of_times = counts[len(numbers) :]
    return Oddities(
        {readings[i].name: n for i, n in zip(numbers, counts, strict=False) if n},
        repeated=sum(of_times[0::3]),
        skipped=sum(of_times[1::3]),
        beyond=sum(of_times[2::3]),
    )


# From columns as they were written to properties with a type


# Rows that cannot be loaded: counted by reason, the first ones shown one by one

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Check:
    """One reason against a row."""

    reason: str
    condition: str
    shown: str = "NULL"
    """SQL of the value to show of the row."""


def first_that_holds(checks: Sequence[Check], relation: str) -> str:
    """Return a SELECT of `"$n"`, the first reason against each row or NULL, and the value to show of it."""
    reason = " ".join(f"WHEN {check.condition} THEN '{check.reason}'" for check in checks)
    shown = " ".join(f"WHEN {check.condition} THEN {check.shown}" for check in checks)
    return f'SELECT "$n", CASE {reason} END, CASE {shown} END FROM {relation}'


def no_bad_rows(connection: "DuckDBPyConnection", table: Table) -> None:
    """Make an empty table for the bad rows of one source."""
    connection.execute(f'CREATE TEMP TABLE bad_{table} ("$n" BIGINT, reason VARCHAR, shown VARCHAR)')


def add_bad_rows(connection: "DuckDBPyConnection", table: Table, select: str) -> None:
    """Note the rows of a SELECT (`"$n"`, `reason`, `shown`) whose reason is not NULL."""
    connection.execute(
        f"INSERT INTO bad_{table} SELECT n, reason, left(shown, {_SHOWN}) FROM ({select}) AS found(n, reason, shown) WHERE reason IS NOT NULL"
    )


def good_rows(connection: "DuckDBPyConnection", relation: str, table: Table) -> str:
    """Return a relation without the rows that are noted as bad."""
    if not one(connection, f"SELECT count(*) FROM bad_{table}")[0]:
        return relation
    return f'(SELECT * FROM {relation} WHERE "$n" NOT IN (SELECT "$n" FROM bad_{table}))'


def account(connection: "DuckDBPyConnection", staged: Staged, table: Table, relation: str) -> BadRows:
    """Return what the table of bad rows holds, together with the rows that the reader itself had to leave out.

    `relation` has all rows that the reader did not leave out.
    """
    bad = f"bad_{table}"
    counts = {reason: int(n) for reason, n in rows(connection, f"SELECT reason, count(*) FROM {bad} GROUP BY reason")}
    for reason, count in staged.unread:
        counts[reason] = counts.get(reason, 0) + count
    first = [
        BadRow(file=file, row=row, reason=reason, value=shown or "")
        for n, reason, shown in rows(
            connection, f'SELECT "$n", reason, shown FROM {bad} ORDER BY "$n" LIMIT {FIRST_ROWS}'
        )
        for file, row in [staged.place(n)]
    ]
    order = {part.file: i for i, part in enumerate(staged.parts)}
    first = sorted([*first, *staged.first_unread], key=lambda bad_row: (order[bad_row.file], bad_row.row))[:FIRST_ROWS]
    total = int(one(connection, f"SELECT count(*) FROM {relation}")[0]) + sum(count for _, count in staged.unread)
    return BadRows(table=table, rows=total, counts={r: counts[r] for r in REASONS if r in counts}, first=tuple(first))


# The tables of one generation, with their rows in physical order

OUT = "generation"
"""Name under which the file that is being built is attached."""


def in_order(values: SourceValues, table: Table) -> list[int]:
    """Return the positions of the columns as the table has them: the required ones first, the others as in the files."""
    first = [values.position(name) for name in REQUIRED[table]]
    return [*first, *(i for i in range(len(values.readings)) if i not in first)]


def write(connection: "DuckDBPyConnection", values: SourceValues, table: Table, zone: ZoneInfo) -> Oddities:
    """Make the table `events` or `users` of the generation from the good rows of a source."""
    good = good_rows(connection, values.relation, table)
    zoned, oddities = set_clock(connection, good, values.readings, zone)
    columns = [
        f"{instant_of(i, values.readings[i], zoned)} AS {identifier(values.readings[i].name)}"
        for i in in_order(values, table)
    ]
    if table == "event":
        columns.append(f'"$n" AS {identifier(ROW)}')
    order = '"#event_name", "#event_time", "$row"' if table == "event" else '"#user_id"'
    connection.execute(f"CREATE TABLE {OUT}.{table}s AS SELECT {', '.join(columns)} FROM {good} ORDER BY {order}")
    return oddities


def write_no_events(connection: "DuckDBPyConnection") -> None:
    """Make an empty table of events, where only users are loaded."""
    connection.execute(
        f'CREATE TABLE {OUT}.events ("#user_id" BIGINT, "#event_name" VARCHAR, "#event_time" TIMESTAMP, {identifier(ROW)} BIGINT)'
    )


def write_users_of_events(connection: "DuckDBPyConnection") -> None:
    """Make users without properties: the ids that the events have."""
    connection.execute(f'CREATE TABLE {OUT}.users AS SELECT DISTINCT "#user_id" FROM {OUT}.events ORDER BY "#user_id"')
