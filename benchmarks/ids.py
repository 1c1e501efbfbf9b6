"""An import of uploaded ids against one hand-written statement that reads, matches and counts; both in one run.

Prints medians and their ratio; absolute seconds depend on the machine. The data is made here: half as many users as ids,
ids of 18 bytes, one in ten unknown, some twice. The import also copies the file, checks its encoding and writes the
users to a file; both must count the same.

    python -m benchmarks.ids [millions of ids]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import duckdb

from mcp_server.engines.base import DataFile
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.language.metadata import Property
from mcp_server.sources.ids import IdTarget, match_ids, private_copy

RUNS = 3
MOST = 1.3
"""The import may take this many times as long."""
ACCOUNT = Property(table="user", name="#account_id", type="string")

USERS = """CREATE TABLE users AS SELECT i::BIGINT AS "#user_id",
'acc_' || lpad((i * 2654435761 % 100000000000000)::VARCHAR, 14, '0') AS "#account_id" FROM range({users}) t(i)"""
EVENTS = 'CREATE TABLE events AS SELECT 0::BIGINT AS "#user_id" LIMIT 0'
IDS = """COPY (SELECT CASE WHEN hash(i) % 10 = 0 THEN 'unk_' || lpad(i::VARCHAR, 14, '0')
ELSE 'acc_' || lpad(((hash(i * 7 + 1) % {users})::BIGINT * 2654435761 % 100000000000000)::VARCHAR, 14, '0') END
FROM range({ids}) t(i)) TO '{path}' (FORMAT csv, HEADER false)"""
BY_HAND = """WITH r AS (SELECT trim(id) AS id FROM read_csv('{path}', header = false, auto_detect = false, columns = {{'id': 'VARCHAR'}},
  delim = ',', quote = '"', escape = '"')), g AS (SELECT id, count(*) AS n FROM r WHERE id <> '' GROUP BY id),
m AS (SELECT g.n, u."#user_id" AS uid FROM g LEFT JOIN data.users AS u ON u."#account_id" = g.id)
SELECT sum(n)::BIGINT, count(uid), sum(n) FILTER (uid IS NULL)::BIGINT FROM m"""


class Silent:
    """A control that nobody watches."""

    interrupted = False

    def report(self, percent: float) -> None: ...

    def on_interrupt(self, callback: Callable[[], None]) -> None: ...


def by_hand(data: Path, ids: Path) -> tuple[int, ...]:
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        db.execute(f"ATTACH '{data}' AS data (READ_ONLY)")
        row: tuple[int, ...] = db.execute(BY_HAND.format(path=ids)).fetchone() or ()
        return row


def imported(data: Path, ids: Path, folder: Path) -> tuple[int, ...]:
    numbers = count()
    engine = Engine(folder / "spill")
    try:
        with ids.open("rb") as source:
            copy = private_copy(source, ids.stat().st_size, lambda e: folder / f"copy{next(numbers)}{e}", Silent())
        found, _ = match_ids(
            engine,
            DataFile(data, users_complete=True),
            copy,
            IdTarget(ACCOUNT, tag=False),
            others=(),
            temp=lambda e: folder / f"temp{next(numbers)}{e}",
            control=Silent(),
        )
    finally:
        engine.close()
    return found.rows, found.users, found.unmatched


def main(millions: float) -> int:
    ids = int(millions * 1_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, file = folder / "data.duckdb", folder / "ids.csv"
        with duckdb.connect(str(data)) as db:
            db.execute("SET enable_progress_bar = false")
            for statement in (USERS, EVENTS, IDS):
                db.execute(statement.format(users=ids // 2, ids=ids, path=file))
        times: dict[str, list[float]] = {"by hand": [], "import": []}
        for _ in range(RUNS):
            began = time.perf_counter()
            expected = by_hand(data, file)
            between = time.perf_counter()
            found = imported(data, file, folder)
            times["by hand"].append(between - began)
            times["import"].append(time.perf_counter() - between)
            if found != expected:
                sys.exit(f"the counts differ: {expected} by hand, {found} by the import")
            for left in folder.glob("*[0-9].*"):
                left.unlink()
    medians = {kind: statistics.median(taken) for kind, taken in times.items()}
    for kind, seconds in medians.items():
        print(f"{kind:<8} {seconds:6.2f} s  {ids / seconds / 1e6:5.2f} million ids a second")
    ratio = medians["import"] / medians["by hand"]
    print(f"ratio    {ratio:6.2f}    (at most {MOST})")
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
