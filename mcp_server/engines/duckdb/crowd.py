"""What a crowd is like: shares by the values of a property against all users, activity in stretches of time.

The result identifies nobody: a value is shown only where at least `FEWEST` of the crowd have it, and ids never are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mcp_server.engines.base import StageControl
from mcp_server.engines.dialect import Tables, identifier, literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.engines.duckdb.zones import search_tree
from mcp_server.language.metadata import Property

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


FEWEST = 5
"""Members of the crowd that must share a value before it is shown."""
VALUES_EACH = 4
"""Values or ranges of a property that are shown."""
MOST_PLAIN = 12
"""Different numbers or times up to which each is a value of its own; more are shown as quarters of all users."""
_IDS = ("#user_id", "#account_id", "#distinct_id")

_USER = identifier("#user_id")
_TIME = identifier("#event_time")


class Group(NamedTuple):
    """Some of the users: those with `value`, or above `above` up to `up_to`; with none of the three those without a value."""

    users: int
    all_users: int
    value: Any = None
    above: Any = None
    up_to: Any = None


@dataclass(frozen=True, slots=True)
class Stretches:
    """The instants (naive UTC) at which stretches of time begin, and where the last one ends.

    Events between `start` and the first of `begins` count only for the whole.
    """

    start: datetime
    begins: tuple[datetime, ...]
    end: datetime


@dataclass(frozen=True, slots=True)
class CrowdFindings:
    """The analysis. `activity` has (events, active users) of each stretch with events, and of the whole under -2."""

    users: int
    all_users: int
    groups: tuple[tuple[Property, tuple[Group, ...]], ...]
    activity: dict[int, tuple[int, int]]


def analysed_properties(properties: Sequence[Property]) -> list[Property]:
    """Return the user properties that say something about a crowd: all but ids."""
    return [p for p in properties if p.table == "user" and p.name.casefold() not in _IDS]


def analyse(
    own: "DuckDBPyConnection",
    tables: Tables,
    properties: Sequence[Property],
    stretches: Stretches | None,
    control: StageControl,
) -> CrowdFindings:
    """Analyse the members of the first cluster of `tables`, with one stage for each property, and two more."""
    stages = len(properties) + 2
    control.stage(0, 100 / stages)
    own.execute(
        f"CREATE TEMP TABLE crowd AS SELECT u.{_USER} AS user_id FROM {tables.users} AS u"
        f" SEMI JOIN {tables.members[0]} AS m ON m.user_id = u.{_USER}"
    )
    users, all_users = one(own, f"SELECT (SELECT count(*) FROM crowd), (SELECT count(*) FROM {tables.users})")
    groups = []
    for n, prop in enumerate(properties, 1):
        control.stage(100 * n / stages, 100 * (n + 1) / stages)
        groups.append((prop, _groups(own, tables, prop)))
    control.stage(100 * (stages - 1) / stages, 100)
    activity = _activity(own, tables, stretches) if stretches else {}
    control.report(100)
    return CrowdFindings(users, all_users, tuple(groups), activity)


def changes(own: "DuckDBPyConnection", tables: Tables) -> tuple[int, int]:
    """Return how many users only the second cluster of `tables` holds, and how many only the first."""
    old, new = tables.members
    only = "(SELECT count(*) FROM {one} AS a ANTI JOIN {other} AS b ON a.user_id = b.user_id)"
    joined, left = one(own, f"SELECT {only.format(one=new, other=old)}, {only.format(one=old, other=new)}")
    return joined, left


def _groups(own: "DuckDBPyConnection", tables: Tables, prop: Property) -> tuple[Group, ...]:
    column = f"u.{identifier(prop.name)}"
    if prop.type in ("number", "time") and prop.distinct > MOST_PLAIN:
        return _quarters(own, tables, column)
    value = f"unnest(list_distinct({column}))" if prop.type == "list" else column
    return tuple(Group(crowd, everyone, value) for value, crowd, everyone in _counted(own, tables, value))


def _quarters(own: "DuckDBPyConnection", tables: Tables, column: str) -> tuple[Group, ...]:
    """Return groups of about a quarter of all users each."""
    (cuts,) = one(own, f"SELECT quantile_disc({column}, [0.25, 0.5, 0.75]) FROM {tables.users} AS u")
    ends = sorted(set(cuts or ()))
    tests = " ".join(f"WHEN {column} <= {literal(end)} THEN {n}" for n, end in enumerate(ends))
    quarter = f"CASE WHEN {column} IS NULL THEN NULL {tests} ELSE {len(ends)} END"
    return tuple(
        Group(crowd, everyone)
        if n is None
        else Group(crowd, everyone, above=ends[n - 1] if n else None, up_to=ends[n] if n < len(ends) else None)
        for n, crowd, everyone in _counted(own, tables, quarter)
    )


def _counted(own: "DuckDBPyConnection", tables: Tables, value: str) -> list[tuple[Any, int, int]]:
    """Return the most frequent values of the crowd that at least `FEWEST` of it share: value, members, all users."""
    return rows(
        own,
        "SELECT value, count(*) FILTER (inside) AS members, count(*) AS everybody"
        f" FROM (SELECT {value} AS value, c.user_id IS NOT NULL AS inside FROM {tables.users} AS u"
        f" LEFT JOIN crowd AS c ON c.user_id = u.{_USER})"
        f" GROUP BY value HAVING members >= {FEWEST} ORDER BY members DESC, everybody, value LIMIT {VALUES_EACH}",
    )


def _activity(own: "DuckDBPyConnection", tables: Tables, stretches: Stretches) -> dict[int, tuple[int, int]]:
    which = search_tree(f"e.{_TIME}", stretches.begins, range(-1, len(stretches.begins)))
    counted = rows(
        own,
        f"SELECT coalesce(stretch, -2), count(*), count(DISTINCT user_id) FROM (SELECT {which} AS stretch, e.{_USER} AS user_id"
        f" FROM {tables.events} AS e SEMI JOIN crowd AS c ON c.user_id = e.{_USER}"
        f" WHERE e.{_TIME} >= {literal(stretches.start)} AND e.{_TIME} < {literal(stretches.end)})"
        " GROUP BY GROUPING SETS ((stretch), ())",
    )
    return {stretch: (events, users) for stretch, events, users in counted}
