"""What a list of users is like: shares by the values of a property against all users, activity in stretches of time.

Nobody can be told from the result: a value is shown only where at least `FEWEST` of the crowd have it, and ids never are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mcp_server.engines.dialect import Tables, identifier, literal
from mcp_server.engines.duckdb.connection import Control, one, rows
from mcp_server.errors import Interrupted
from mcp_server.language.metadata import Property
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


FEWEST = 5
"""Members of the crowd that must share a value before it is shown."""
VALUES_EACH = 4
"""Values or ranges of a property that are told."""
MOST_PLAIN = 12
"""Different numbers or times up to which each is a value of its own; more are told as quarters of all users."""
_IDS = ("#user_id", "#account_id", "#distinct_id")

_USER = identifier("#user_id")
_TIME = identifier("#event_time")
_STOPPED = Text("The computation was stopped.", "计算已被中止。")
_AGAIN = Text("Call again.", "请重新调用。")


class Group(NamedTuple):
    """Some of the users: those with `value`, or above `above` up to `up_to`; nothing set: those without a value."""

    users: int
    all_users: int
    value: Any = None
    above: Any = None
    up_to: Any = None


@dataclass(frozen=True, slots=True)
class Stretches:
    """The instants (naive UTC) at which stretches of time begin, from `start` on, and where the last one ends.

    What lies between `start` and the first of `begins` counts only for the whole.
    """

    start: datetime
    begins: tuple[datetime, ...]
    end: datetime


@dataclass(frozen=True, slots=True)
class CrowdFindings:
    """What was found out. `activity` has (events, active users) of each stretch that has any, and of the whole under -2."""

    users: int
    all_users: int
    groups: tuple[tuple[Property, tuple[Group, ...]], ...]
    activity: dict[int, tuple[int, int]]


class Stages:
    """The progress of several statements as that of one piece of work."""

    def __init__(self, control: Control, count: int) -> None:
        self._control = control
        self._count = count
        self._done = 0

    @property
    def interrupted(self) -> bool:
        return self._control.interrupted

    def report(self, percent: float) -> None:
        self._control.report((100 * self._done + percent) / self._count)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        self._control.on_interrupt(callback)

    def passed(self) -> None:
        """One stage is done. Raises Interrupted where that was the last wanted."""
        self._done += 1
        self.report(0)
        if self.interrupted:
            raise Interrupted(_STOPPED, next_step=_AGAIN)


def told_properties(properties: Sequence[Property]) -> list[Property]:
    """The user properties that say something about a crowd: all but ids."""
    return [p for p in properties if p.table == "user" and p.name.casefold() not in _IDS]


def look_at(
    own: "DuckDBPyConnection",
    tables: Tables,
    properties: Sequence[Property],
    stretches: Stretches | None,
    stages: Stages,
) -> CrowdFindings:
    """Find out all of it about the members of the first cluster of `tables`. One stage for each property, and two."""
    own.execute(
        f"CREATE TEMP TABLE crowd AS SELECT u.{_USER} AS user_id FROM {tables.users} AS u"
        f" SEMI JOIN {tables.members[0]} AS m ON m.user_id = u.{_USER}"
    )
    users, everybody = one(own, f"SELECT (SELECT count(*) FROM crowd), (SELECT count(*) FROM {tables.users})")
    stages.passed()
    groups = []
    for found in properties:
        groups.append((found, _groups(own, tables, found)))
        stages.passed()
    activity = _activity(own, tables, stretches) if stretches else {}
    stages.passed()
    return CrowdFindings(users, everybody, tuple(groups), activity)


def changes(own: "DuckDBPyConnection", tables: Tables) -> tuple[int, int]:
    """How many users only the second cluster of `tables` holds, and how many only the first."""
    old, new = tables.members
    only = "(SELECT count(*) FROM {one} AS a ANTI JOIN {other} AS b ON a.user_id = b.user_id)"
    joined, left = one(own, f"SELECT {only.format(one=new, other=old)}, {only.format(one=old, other=new)}")
    return joined, left


def _groups(own: "DuckDBPyConnection", tables: Tables, found: Property) -> tuple[Group, ...]:
    column = f"u.{identifier(found.name)}"
    if found.type in ("number", "time") and found.distinct > MOST_PLAIN:
        return _quarters(own, tables, column)
    value = f"unnest(list_distinct({column}))" if found.type == "list" else column
    return tuple(Group(crowd, everyone, value) for value, crowd, everyone in _counted(own, tables, value))


def _quarters(own: "DuckDBPyConnection", tables: Tables, column: str) -> tuple[Group, ...]:
    """Groups of about a quarter of all users each."""
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
    """The most frequent values of the crowd that enough of it share: value, members, all users."""
    return rows(
        own,
        "SELECT value, count(*) FILTER (inside) AS members, count(*) AS everybody"
        f" FROM (SELECT {value} AS value, c.user_id IS NOT NULL AS inside FROM {tables.users} AS u"
        f" LEFT JOIN crowd AS c ON c.user_id = u.{_USER})"
        f" GROUP BY value HAVING members >= {FEWEST} ORDER BY members DESC, everybody, value LIMIT {VALUES_EACH}",
    )


def _activity(own: "DuckDBPyConnection", tables: Tables, stretches: Stretches) -> dict[int, tuple[int, int]]:
    which = _stretch_of(stretches.begins, 0, len(stretches.begins))
    found = rows(
        own,
        f"SELECT coalesce(stretch, -2), count(*), count(DISTINCT user_id) FROM (SELECT {which} AS stretch, e.{_USER} AS user_id"
        f" FROM {tables.events} AS e SEMI JOIN crowd AS c ON c.user_id = e.{_USER}"
        f" WHERE e.{_TIME} >= {literal(stretches.start)} AND e.{_TIME} < {literal(stretches.end)})"
        " GROUP BY GROUPING SETS ((stretch), ())",
    )
    return {stretch: (events, users) for stretch, events, users in found}


def _stretch_of(begins: Sequence[datetime], low: int, high: int) -> str:
    """SQL: the number of the stretch in begins[low:high] that an event falls into, -1 before the first; a search tree."""
    if low == high:
        return str(low - 1)
    middle = (low + high) // 2
    before, after = _stretch_of(begins, low, middle), _stretch_of(begins, middle + 1, high)
    return f"CASE WHEN e.{_TIME} < {literal(begins[middle])} THEN {before} ELSE {after} END"
