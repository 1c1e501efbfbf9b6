"""The user lines of the tracking format, added up to one set of properties for each user.

Changes count in the order of `#time`, ties in file order:

* `user_set` sets, `user_unset` removes, `user_setOnce` sets where there is no value yet.
* `user_add` adds a number to what is there (to nothing: the number itself).
* `user_append` puts items at the end of a list, `user_uniq_append` only those that it does not hold yet.
* `user_del` removes the user with all that came before; a later line of the same user makes it anew.

A null is no value and changes nothing (to remove a value there is `user_unset`). A change that does not fit what is there,
such as adding to a text, is a bad row.

All of it is set-based: for each user and property only what follows the last `user_set` or `user_unset` matters, and of
that only the first value, the sum of what was added, or the items in order. No row passes through Python.
"""

from typing import TYPE_CHECKING

from mcp_server.engine.checking import add_bad_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHANGES = ("user_set", "user_setOnce", "user_add", "user_unset", "user_append", "user_uniq_append", "user_del")
_NOT_PROPERTIES = "('#user_id', '#account_id', '#distinct_id', '#zone_offset')"
_APPENDS = "('user_append', 'user_uniq_append')"
_NUMBER = r"'-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?'"
_WHOLE = "'-?[0-9]{1,18}'"
"""Whole numbers whose sums cannot overflow 128 bits."""


def apply_changes(connection: "DuckDBPyConnection") -> None:
    """Make `tracked_users(user_id, account, visitor)` and `user_objects(user_id, object)`, and note the bad changes.

    Needs the tables `lines`, `keyed` and `owners` of `tracking.py` and `identities.py`. Of a line with several properties
    only the change that does not fit is left out.
    """
    _take_apart(connection)
    _refuse(
        connection,
        f"type = 'user_add' AND NOT regexp_full_match(value, {_NUMBER}) OR type IN {_APPENDS} AND value[1] <> '['",
    )
    # With what a property begins: what was set last, or the first change that gave it a value.
    connection.execute(
        "CREATE TEMP TABLE begun AS SELECT user_id, key, min(seq) AS seq, arg_min(value, seq) AS value FROM changes "
        "WHERE type <> 'user_unset' GROUP BY user_id, key"
    )
    fit = f"CASE WHEN c.type = 'user_add' THEN regexp_full_match(b.value, {_NUMBER}) WHEN c.type IN {_APPENDS} THEN b.value[1] = '[' END"
    _refuse(
        connection,
        f"(n, key) IN (SELECT (c.n, c.key) FROM changes c JOIN begun b USING (user_id, key) WHERE NOT {fit})",
    )
    connection.execute("CREATE TEMP TABLE summed (user_id BIGINT, key VARCHAR, seq BIGINT, value JSON)")
    _add_up(connection)
    _collect(connection)
    connection.execute(
        "INSERT INTO summed SELECT user_id, key, seq, value FROM begun ANTI JOIN summed USING (user_id, key)"
    )
    connection.execute(
        "CREATE TEMP TABLE user_objects AS SELECT user_id, json_group_object(key, value) AS object FROM summed GROUP BY user_id"
    )
    connection.execute(
        "CREATE TEMP TABLE tracked_users AS SELECT o.user_id, arg_min(k.account, k.seq) AS account, arg_min(k.visitor, k.seq) AS visitor "
        "FROM keyed k JOIN owners o USING (n) LEFT JOIN deleted d ON d.user_id = o.user_id "
        "GROUP BY o.user_id HAVING max(k.seq) > coalesce(max(d.seq), 0)"
    )


def _take_apart(connection: "DuckDBPyConnection") -> None:
    """The table `changes(n, seq, user_id, type, key, value)`: single changes that nothing later has made void."""
    connection.execute(
        "CREATE TEMP TABLE deleted AS SELECT user_id, max(seq) AS seq FROM lines JOIN owners USING (n) WHERE type = 'user_del' GROUP BY user_id"
    )
    connection.execute(
        "CREATE TEMP TABLE changes AS WITH apart AS ("
        "  SELECT l.n, l.seq, o.user_id, l.type, e.key, CAST(e.value AS VARCHAR) AS value"
        "  FROM lines l JOIN owners o USING (n) LEFT JOIN deleted d ON d.user_id = o.user_id, json_each(l.changes) e"
        "  WHERE l.type NOT IN ('track', 'user_del') AND l.seq > coalesce(d.seq, 0)"
        f"  AND e.key NOT IN {_NOT_PROPERTIES} AND (l.type = 'user_unset' OR CAST(e.value AS VARCHAR) <> 'null')"
        "), last AS ("
        "  SELECT user_id, key, max(seq) AS seq FROM apart WHERE type IN ('user_set', 'user_unset') GROUP BY user_id, key"
        ") SELECT a.* FROM apart a LEFT JOIN last USING (user_id, key) WHERE a.seq >= coalesce(last.seq, 0)"
    )


def _refuse(connection: "DuckDBPyConnection", condition: str) -> None:
    """Note the changes for which the condition holds as bad, and drop them."""
    shown = "first(key || ': ' || value ORDER BY key)"
    add_bad_rows(
        connection, "event", f"SELECT n, 'unreadable_change', {shown} FROM changes WHERE {condition} GROUP BY n"
    )
    connection.execute(f"DELETE FROM changes WHERE {condition}")


def _add_up(connection: "DuckDBPyConnection") -> None:
    """Values that something was added to. Whole numbers stay exact; others are added as doubles, with compensation."""
    connection.execute(
        "INSERT INTO summed SELECT user_id, key, any_value(b.seq), "
        f"CASE WHEN bool_and(regexp_full_match(c.value, {_WHOLE})) THEN CAST(sum(TRY_CAST(c.value AS HUGEINT)) AS VARCHAR) "
        "ELSE CAST(fsum(TRY_CAST(c.value AS DOUBLE)) AS VARCHAR) END "
        "FROM changes c JOIN begun b USING (user_id, key) WHERE c.type = 'user_add' OR c.seq = b.seq "
        "GROUP BY user_id, key HAVING bool_or(c.type = 'user_add')"
    )


def _collect(connection: "DuckDBPyConnection") -> None:
    """Lists that something was appended to: all items in order, of a `user_uniq_append` those that had not come before."""
    connection.execute(
        "INSERT INTO summed WITH items AS ("
        "  SELECT c.user_id, c.key, c.seq, c.type, e.value AS item, CAST(e.key AS BIGINT) AS place,"
        "  row_number() OVER (PARTITION BY c.user_id, c.key, CAST(e.value AS VARCHAR) ORDER BY c.seq, CAST(e.key AS BIGINT)) AS turn"
        f"  FROM changes c JOIN begun b ON b.user_id = c.user_id AND b.key = c.key, json_each(c.value) e"
        f"  WHERE c.value[1] = '[' AND (c.type IN {_APPENDS} OR c.seq = b.seq)"
        "), lists AS ("
        "  SELECT user_id, key, '[' || string_agg(CAST(item AS VARCHAR), ',' ORDER BY seq, place) || ']' AS value"
        "  FROM items WHERE type <> 'user_uniq_append' OR turn = 1 GROUP BY user_id, key"
        ") SELECT b.user_id, b.key, b.seq, coalesce(l.value, '[]') FROM begun b LEFT JOIN lists l USING (user_id, key) "
        f"WHERE (b.user_id, b.key) IN (SELECT (user_id, key) FROM changes WHERE type IN {_APPENDS})"
    )
