"""Rows that cannot be loaded: found, counted by reason, and told one by one for the first few."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one, rows
from mcp_server.engine.report import FIRST_ROWS, REASONS, BadRow, BadRows
from mcp_server.engine.staging import Staged
from mcp_server.engine.values import Values
from mcp_server.qp.metadata import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Check:
    """One reason against a row."""

    reason: str
    condition: str
    shown: str = "NULL"
    """SQL of what to show of the row."""


def find_bad_rows(connection: "DuckDBPyConnection", staged: Staged, values: Values, table: Table) -> BadRows:
    """Fill the temporary table `bad_event` or `bad_user` (`"$n"`, `reason`, `shown`) and tell what is in it."""
    no_bad_rows(connection, table)
    add_bad_rows(connection, table, first_that_holds(_checks(values, table), values.relation))
    if table == "user":
        _add_duplicates(connection, values)
    return account(connection, staged, table, values.relation)


def first_that_holds(checks: Sequence[Check], relation: str) -> str:
    """A SELECT of `"$n"`, the first reason against each row or NULL, and what to show of it."""
    reason = " ".join(f"WHEN {check.condition} THEN '{check.reason}'" for check in checks)
    shown = " ".join(f"WHEN {check.condition} THEN {check.shown}" for check in checks)
    return f'SELECT "$n", CASE {reason} END, CASE {shown} END FROM {relation}'


def no_bad_rows(connection: "DuckDBPyConnection", table: Table) -> None:
    """An empty table for the bad rows of one source."""
    connection.execute(f'CREATE TEMP TABLE bad_{table} ("$n" BIGINT, reason VARCHAR, shown VARCHAR)')


def add_bad_rows(connection: "DuckDBPyConnection", table: Table, select: str) -> None:
    """Note the rows of a SELECT (`"$n"`, `reason`, `shown`) whose reason is not NULL."""
    connection.execute(
        f"INSERT INTO bad_{table} SELECT n, reason, left(shown, {_SHOWN}) FROM ({select}) AS found(n, reason, shown) WHERE reason IS NOT NULL"
    )


def good_rows(connection: "DuckDBPyConnection", relation: str, table: Table) -> str:
    """A relation without the rows that are noted as bad."""
    if not one(connection, f"SELECT count(*) FROM bad_{table}")[0]:
        return relation
    return f'(SELECT * FROM {relation} WHERE "$n" NOT IN (SELECT "$n" FROM bad_{table}))'


def account(connection: "DuckDBPyConnection", staged: Staged, table: Table, relation: str) -> BadRows:
    """What the table of bad rows holds, together with the rows that the reader itself had to leave out.

    `relation` has all rows that the reader did not leave out.
    """
    bad = f"bad_{table}"
    counts = {reason: int(n) for reason, n in rows(connection, f"SELECT reason, count(*) FROM {bad} GROUP BY reason")}
    if staged.unread:
        counts["unreadable_row"] = counts.get("unreadable_row", 0) + staged.unread
    first = [
        BadRow(file=file, row=row, reason=reason, value=shown or "")
        for n, reason, shown in rows(
            connection, f'SELECT "$n", reason, shown FROM {bad} ORDER BY "$n" LIMIT {FIRST_ROWS}'
        )
        for file, row in [staged.place(n)]
    ]
    order = {part.file: i for i, part in enumerate(staged.parts)}
    first = sorted([*first, *staged.first_unread], key=lambda bad_row: (order[bad_row.file], bad_row.row))[:FIRST_ROWS]
    total = int(one(connection, f"SELECT count(*) FROM {relation}")[0]) + staged.unread
    return BadRows(table=table, rows=total, counts={r: counts[r] for r in REASONS if r in counts}, first=tuple(first))


def _checks(values: Values, table: Table) -> list[Check]:
    user = values.position("#user_id")
    checks = [
        Check("unreadable_row", '"$lost"'),
        Check("unreadable_user_id", f"w{user} IS NOT NULL", f"w{user}"),
        Check("missing_user_id", f"v{user} IS NULL"),
    ]
    if table == "event":
        name, time = values.position("#event_name"), values.position("#event_time")
        checks.append(Check("missing_event_name", f"coalesce(v{name}, '') = ''"))
        if values.readings[time].written:
            checks.append(Check("unreadable_event_time", f"w{time} IS NOT NULL", f"w{time}"))
        checks.append(Check("missing_event_time", f"v{time} IS NULL"))
    return checks


def _add_duplicates(connection: "DuckDBPyConnection", values: Values) -> None:
    """Of the rows with one `#user_id` the first is kept, the others are bad."""
    user = values.position("#user_id")
    good = f'(SELECT "$n" AS n, v{user} AS user_id FROM {good_rows(connection, values.relation, "user")})'
    total, distinct = one(connection, f"SELECT count(*), count(DISTINCT user_id) FROM {good}")
    if total == distinct:
        return
    turns = f"SELECT n, user_id, row_number() OVER (PARTITION BY user_id ORDER BY n) AS turn FROM {good}"
    add_bad_rows(
        connection, "user", f"SELECT n, 'duplicate_user', CAST(user_id AS VARCHAR) FROM ({turns}) WHERE turn > 1"
    )
