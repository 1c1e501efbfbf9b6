"""One question to DuckDB, on a connection of its own.

The connection that `duckdb.sql` and `duckdb.execute` use belongs to the process: an answer that one test leaves
unread there fails the next test, and nobody closes it.
"""

from collections.abc import Sequence
from typing import Any

import duckdb


def rows_of(query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """All rows of the answer."""
    with duckdb.connect(config={"threads": 1}) as db:
        return db.execute(query, list(values)).fetchall()
