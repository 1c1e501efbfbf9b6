"""The engine's plan against its floor, in one run: a bare scan of the same columns, and one wide conditional scan.

Prints medians as ratios to the floor; absolute seconds depend on the machine. The data is made here (power-law users,
twelve kinds of events, ninety days); all plans must select the same users.

    python -m benchmarks.plan [millions of events]
"""

import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

from mcp_server.engines.dialect import DUCKDB, Tables
from mcp_server.engines.sql import selection_sql
from mcp_server.language.metadata import Event, Metadata, Property
from mcp_server.language.model import Qp
from mcp_server.plan.compile import compile_definition
from mcp_server.plan.plan import Plan

RUNS = 5
DAYS = 90
NAMES = [f"event_{i}" for i in range(12)]
METADATA = Metadata(
    project_id="1",
    zone="UTC",
    today=date(2024, 4, 1),
    events=tuple(Event(name=n) for n in NAMES),
    properties=(
        Property(table="event", name="amount", type="number"),
        Property(table="event", name="item", type="string"),
        Property(table="user", name="level", type="number", scale=0),
    ),
)

MAKE = """
CREATE TABLE users AS SELECT i::BIGINT AS "#user_id", (hash(i) % 50)::BIGINT AS level FROM range({users}) t(i);
CREATE TABLE events AS
SELECT (pow(random(), 3) * {users})::BIGINT AS "#user_id", 'event_' || (pow(random(), 2) * 12)::INTEGER AS "#event_name",
       TIMESTAMP '2024-01-02' + to_seconds((random() * {days} * 86400)::BIGINT) AS "#event_time",
       round(random() * 100, 2) AS amount, 'item_' || (random() * 50)::INTEGER AS item
FROM range({events}) ORDER BY 2, 3;
"""


def conditions(k: int) -> list[dict[str, object]]:
    """k event conditions of mixed measures and windows."""
    made: list[dict[str, object]] = []
    for i in range(k):
        measure = (
            {"analysis": "TIMES"},
            {"analysis": "SUM", "quota": "amount"},
            {"analysis": "DISTINCT", "quota": "item"},
        )[i % 3]
        made.append(
            {
                "eventName": NAMES[i % len(NAMES)],
                "comparator": "greater",
                "num": ("1", "20", "1")[i % 3],
                "recentDay": f"1-{(7, 30, 60)[i % 3]}",
                "taPropQuota": measure,
            }
        )
    return made


def wide(plan: Plan) -> str:
    """The textbook alternative: one scan, one wide aggregation with a FILTER per condition."""
    tests = []
    for e in plan.events:
        rows = f"\"#event_name\" = '{e.rows.event}' AND \"#event_time\" >= TIMESTAMP '{e.rows.span.start}' AND \"#event_time\" < TIMESTAMP '{e.rows.span.end}'"
        column = f'"{e.measured.column.name}"' if e.measured.column else "*"
        value = {"TIMES": f"count({column})", "SUM": f"round(sum({column})", "DISTINCT": f"count(DISTINCT {column})"}[
            e.measured.word
        ]
        closing = ", 9)" if e.measured.word == "SUM" else ""
        low = getattr(e.measured.test, "low", 0)
        tests.append(f"{value} FILTER ({rows}){closing} > {low}")
    return f'SELECT "#user_id" AS user_id FROM events GROUP BY 1 HAVING {" AND ".join(tests)}'


def floor(plan: Plan) -> str:
    """The rows and columns that any plan has to read."""
    columns = {'"#user_id"', '"#event_name"', '"#event_time"'} | {
        f'"{e.measured.column.name}"' for e in plan.events if e.measured.column
    }
    first = min(e.rows.span.start for e in plan.events if e.rows.span.start)
    names = ", ".join(f"'{e.rows.event}'" for e in plan.events)
    counted = ", ".join(f"count({c})" for c in sorted(columns))
    return f'SELECT {counted} FROM events WHERE "#event_name" IN ({names}) AND "#event_time" >= TIMESTAMP \'{first}\''


def median_seconds(db: duckdb.DuckDBPyConnection, sql: str) -> float:
    taken = []
    for _ in range(RUNS + 1):  # the first one warms up
        began = time.perf_counter()
        db.execute(sql).fetchall()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def measure(db: duckdb.DuckDBPyConnection, k: int) -> str:
    """One line of the table, for k conditions joined by "and"."""
    plan = compile_definition(Qp.model_validate({"events": conditions(k)}), METADATA)
    ours, other = selection_sql(plan, DUCKDB, Tables(users_complete=True)), wide(plan)
    found = [db.execute(f"SELECT count(*), sum(hash(user_id)) FROM ({sql})").fetchone() for sql in (ours, other)]
    if found[0] != found[1] or found[0] is None:
        sys.exit(f"the plans select different users: {found}")
    base, fast, slow = (median_seconds(db, sql) for sql in (floor(plan), ours, other))
    return f"{k:>10} {base * 1000:>9.1f} {fast / base:>13.2f} {slow / base:>18.2f} {found[0][0]:>8}"


def main() -> None:
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        db = duckdb.connect(str(Path(folder) / "data.duckdb"))
        db.execute(MAKE.format(users=int(millions * 1e5), events=int(millions * 1e6), days=DAYS))
        print(f"{millions:g} million events; medians of {RUNS} runs")
        print(f"{'conditions':>10} {'floor ms':>9} {'plan / floor':>13} {'wide scan / floor':>18} {'users':>8}")
        for k in (1, 4, 8, 16):
            print(measure(db, k))


if __name__ == "__main__":
    main()
