"""Make the bundled CDNOW files from the published table. Run once; the results are committed.

    python -m tools.build_cdnow Lifetimes-0.11.3-py3-none-any.whl     (or the path of CDNOW_master.txt)

Checks the totals that the literature gives before anything is written. See mcp_server/demo/SOURCE.md.
"""

import csv
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import connect

HERE = Path(__file__).resolve().parents[1] / "mcp_server" / "demo"
MEMBER = "lifetimes/datasets/CDNOW_master.txt"

PURCHASES = 69_659
CUSTOMERS = 23_570
TOTAL = Decimal("2500315.63")


class Purchase(NamedTuple):
    """One line of the table."""

    customer: str
    """Customer number as it is written: five digits with leading zeros."""
    day: date
    quantity: int
    """Number of CDs."""
    amount: Decimal
    """Dollars, two decimals on every line."""


def read(path: Path) -> list[Purchase]:
    """All purchases, in the order of the table."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            text = wheel.read(MEMBER).decode("ascii")
    else:
        text = path.read_text(encoding="ascii")
    return list(_parse(text.splitlines()[1:]))


def _parse(lines: list[str]) -> Iterator[Purchase]:
    for line in lines:
        customer, day, quantity, amount = line.split()
        purchase = Purchase(customer, date.fromisoformat(day), int(quantity), Decimal(amount))
        if len(customer) != 5 or purchase.amount.as_tuple().exponent != -2:
            raise SystemExit(f"not a line of CDNOW_master.txt: {line!r}")
        yield purchase


def check(purchases: list[Purchase]) -> None:
    """Stop where the totals are not the published ones."""
    found = (len(purchases), len({p.customer for p in purchases}), sum(p.amount for p in purchases))
    if found != (PURCHASES, CUSTOMERS, TOTAL):
        raise SystemExit(f"expected {PURCHASES} purchases of {CUSTOMERS} customers, {TOTAL} dollars; found {found}")


def write(purchases: list[Purchase], folder: Path) -> None:
    """events.parquet in the order of the table, users.parquet by customer number."""
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "purchases.csv"
        with table.open("w", encoding="ascii", newline="") as file:
            csv.writer(file).writerows((p.customer, p.day, p.quantity, p.amount) for p in purchases)
        database = connect(Path(name), threads=1)
        columns = "{'customer': 'VARCHAR', 'day': 'DATE', 'quantity': 'INTEGER', 'amount': 'DECIMAL(10, 2)'}"
        database.execute(
            f"CREATE TABLE p AS SELECT * FROM read_csv({literal(str(table))}, header = false, columns = {columns})"
        )
        for file_name, select in (("events.parquet", EVENTS), ("users.parquet", USERS)):
            target = literal(str(folder / file_name))
            database.execute(f"COPY ({select}) TO {target} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)")
        database.close()


EVENTS = """
SELECT CAST(customer AS BIGINT) AS "#user_id", 'purchase' AS "#event_name", day AS "#event_time", quantity, amount
FROM p ORDER BY rowid"""
USERS = """
SELECT CAST(customer AS BIGINT) AS "#user_id", customer AS "#account_id",
  min(day) AS first_purchase, max(day) AS last_purchase, CAST(count(*) AS INTEGER) AS purchases,
  CAST(sum(quantity) AS INTEGER) AS total_quantity, CAST(sum(amount) AS DECIMAL(10, 2)) AS total_amount
FROM p GROUP BY customer ORDER BY customer"""


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    purchases = read(Path(sys.argv[1]))
    check(purchases)
    write(purchases, HERE)
    print(f"{len(purchases):,} purchases written to {HERE}")


if __name__ == "__main__":
    main()
