"""Who is who in the tracking format: the `#user_id` of accounts and visitors.

* A line that has `#user_id` is that user's.
* Else `#account_id` decides; else `#distinct_id`, by the first account that it is seen with anywhere in the data, or by
  itself where there is none.
* An account or visitor takes the `#user_id` that some line gives it; else the one it had in an earlier load; an account
  that is new takes over the one its visitor had, where no other account has that; else the next free number.

First and earlier are by event time, then by file order, so one set of files always gives the same ids.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one
from mcp_server.engine.quoting import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_COLUMNS = "kind VARCHAR, value VARCHAR, user_id BIGINT"
_HIGHEST_COUNTED = 2**62
"""Numbers above this are passed over when the next free one is looked for, so that counting on cannot overflow."""


def earlier_ids(connection: "DuckDBPyConnection", previous: Path | None) -> None:
    """The temporary table `ids`: those that the previous generation gave, or none."""
    if previous is None:
        connection.execute(f"CREATE TEMP TABLE ids ({_COLUMNS})")
        return
    connection.execute(f"ATTACH {literal(str(previous))} AS previous (READ_ONLY)")
    connection.execute("CREATE TEMP TABLE ids AS SELECT kind, value, user_id FROM previous.ids")
    connection.execute("DETACH previous")


def assign(connection: "DuckDBPyConnection", lines: str) -> None:
    """Give every line of `lines` its user, in the temporary table `owners(n, user_id)`, and bring `ids` up to date.

    `lines` has `n`, `seq` (rank by time), `given` (`#user_id` or NULL), `account` and `visitor` (NULL where missing).
    """
    connection.execute(
        "CREATE TEMP TABLE bound AS SELECT visitor, arg_min(account, seq) AS account, min(seq) AS seq "
        f"FROM {lines} WHERE visitor IS NOT NULL AND account IS NOT NULL GROUP BY visitor"
    )
    connection.execute(
        "CREATE TEMP TABLE keyed AS SELECT n, l.seq, given, visitor, coalesce(l.account, b.account) AS account, "
        "CASE WHEN coalesce(l.account, b.account) IS NOT NULL THEN 'account' WHEN visitor IS NOT NULL THEN 'distinct' END AS kind, "
        f"coalesce(l.account, b.account, visitor) AS value FROM {lines} l LEFT JOIN bound b USING (visitor)"
    )
    _resolve(connection)
    connection.execute(
        "CREATE TEMP TABLE owners AS SELECT n, coalesce(given, r.user_id) AS user_id FROM keyed k "
        "LEFT JOIN resolved r ON r.kind = k.kind AND r.value = k.value"
    )
    _remember(connection)


def _resolve(connection: "DuckDBPyConnection") -> None:
    """The temporary table `resolved(kind, value, user_id)`: every account and every visitor without one."""
    connection.execute(
        # Ids that a visitor had before it was seen with an account, and that no other account has.
        "CREATE TEMP TABLE inherited AS SELECT account, user_id FROM ("
        "  SELECT b.account, i.user_id, row_number() OVER (PARTITION BY b.account ORDER BY b.seq) AS turn_of_account,"
        "         row_number() OVER (PARTITION BY i.user_id ORDER BY b.seq) AS turn_of_id"
        "  FROM bound b JOIN ids i ON i.kind = 'distinct' AND i.value = b.visitor"
        "  WHERE i.user_id NOT IN (SELECT user_id FROM ids WHERE kind = 'account')"
        ") WHERE turn_of_account = 1 AND turn_of_id = 1"
    )
    connection.execute(
        "CREATE TEMP TABLE resolved AS SELECT k.kind, k.value, k.seq, coalesce(k.given, i.user_id, h.user_id) AS user_id FROM ("
        "  SELECT kind, value, min(seq) AS seq, arg_min(given, seq) FILTER (given IS NOT NULL) AS given"
        "  FROM keyed WHERE kind IS NOT NULL GROUP BY kind, value"
        ") k LEFT JOIN ids i ON i.kind = k.kind AND i.value = k.value"
        " LEFT JOIN inherited h ON k.kind = 'account' AND h.account = k.value"
    )
    highest = one(
        connection,
        "SELECT coalesce(max(user_id), 0) FROM (SELECT given AS user_id FROM keyed UNION ALL SELECT user_id FROM ids) "
        f"WHERE user_id BETWEEN 0 AND {_HIGHEST_COUNTED}",
    )[0]
    connection.execute(
        f"UPDATE resolved SET user_id = {highest} + turn FROM "
        "(SELECT kind, value, row_number() OVER (ORDER BY seq, kind, value) AS turn FROM resolved WHERE user_id IS NULL) free "
        "WHERE resolved.kind = free.kind AND resolved.value = free.value"
    )


def _remember(connection: "DuckDBPyConnection") -> None:
    """Bring `ids` up to date: what this load says replaces what an earlier one said of the same account or visitor."""
    connection.execute(
        "CREATE TEMP TABLE told AS SELECT kind, value, user_id FROM resolved UNION ALL "
        "SELECT 'distinct', b.visitor, r.user_id FROM bound b JOIN resolved r ON r.kind = 'account' AND r.value = b.account"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE ids AS SELECT kind, value, user_id FROM told UNION ALL "
        "SELECT kind, value, user_id FROM ids ANTI JOIN told USING (kind, value)"
    )
