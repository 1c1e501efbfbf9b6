"""Small and nasty worlds for hypothesis: a clock, two tables, and values that like to be read wrongly.

Every column holds few different values, so that conditions that draw theirs from the data select something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.reading import slow
from tests.reading.slow import Kind

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A property: its name, its kind, its type in SQL, and the values that its rows are drawn from."""

    name: str
    kind: Kind
    sql: str
    values: tuple[Any, ...] = ()
    rough: bool = False
    """Doubles so large or so small that a sum depends on the order of its parts."""


@dataclass(frozen=True)
class Crowd:
    """A cluster, or, with a column of values, a tag."""

    name: str
    column: Column | None
    versions: Mapping[str, Mapping[int, Any]]
    """By local day, "" is now: the users that belong to it, with their values (of a cluster None)."""

    def __repr__(self) -> str:
        of = f"tag of {self.column.sql}" if self.column else "cluster"
        shown = {day: rows if self.column else sorted(rows) for day, rows in self.versions.items()}
        return f"{of} {self.name}: {shown}"


@dataclass(frozen=True)
class World:
    """What a definition can be held against."""

    zone: str
    today: date
    columns: Mapping[str, Sequence[Column]]
    """By table ("event", "user"); system columns included."""
    names: Sequence[str]
    """Event names."""
    users: Sequence[Row]
    events: Sequence[Row]
    crowds: Sequence[Crowd] = ()
    """Clusters and tags."""

    @property
    def clusters(self) -> slow.Clusters:
        """The same for the slow reading."""
        return {
            c.name: slow.Cluster(c.column.kind, c.versions)
            if c.column
            else slow.Cluster(None, {day: set(rows) for day, rows in c.versions.items()})
            for c in self.crowds
        }

    @property
    def schema(self) -> dict[str, dict[str, Kind]]:
        return {table: {c.name: c.kind for c in columns} for table, columns in self.columns.items()}

    def __repr__(self) -> str:
        """The rows without their missing values, one a line."""
        lines = [f"{self.zone}, today {self.today}"]
        for table, rows in (("user", self.users), ("event", self.events)):
            lines += [f"{table} columns: " + ", ".join(f"{c.name} {c.sql}" for c in self.columns[table])]
            lines += [f"  {table} { ({k: v for k, v in row.items() if v is not None}) }" for row in rows]
        lines += map(repr, self.crowds)
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What hypothesis prints: a failure already shows the rows."""
        printer.text(f"World({self.zone}, {self.today})")


CLOCKS = (
    ("Asia/Shanghai", date(2026, 7, 15)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Europe/London", date(2026, 3, 29)),
    ("Europe/London", date(2026, 10, 25)),
    ("America/Sao_Paulo", date(2018, 11, 4)),  # a day that begins at 01:00
    ("America/Havana", date(2026, 11, 1)),  # a midnight that comes twice
    ("America/St_Johns", date(2010, 11, 7)),  # a minute past midnight, back into the day before
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("Asia/Kathmandu", date(1986, 1, 1)),  # fifteen minutes forward at midnight
)
"""Time zones, each with a day on which its clock does something."""

NAMES = (
    "level",
    "#vp@x",
    'we"ird',
    "等级",
    "it's",
    "select",
    "a b.c",
    'x"; DROP TABLE users; --',
    "100%_\\",
    "😀",
)
EVENT_NAMES = ("pay", "Pay", "登录", "it's", '"; --')
CROWD_NAMES = ("vip", "level", "Payers_7d", "select", "it's", "大R", 'x"; DROP TABLE users; --', "user_id")
USER_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 0, -1, 9007199254740993, 2**63 - 1)
STRANGER = 77
"""An id that no user has."""

STRINGS = (
    "a", "A", "Ab", "ab", "abc", "b", "", " ", "a%c", "a_c", "%", "it's", 'a"b', "a\\b", "a\\", "a\nb", "a\n", "-- x", "/* x",
    "分群", "分", "\u00e9", "e\u0301", "😀", "3", "3.0", "null", "true", '["a"]', "{0}", "$1", "?", "a\x00b", "ſ", "a\r\nb", "\u2028", "a\x85",
)  # fmt: skip
WHOLES = (0, 1, 2, 3, 5, 10, -1, 100, 2**53, 2**53 + 1, 2**63 - 1, -(2**63))
TAME = (0.0, 0.1, 0.2, 0.3, 0.7, 1.0, 1.1, 2.5, -1.5, 19.99, 100.0, 1234.5678, 1 / 3)
WILD = (0.1, 0.30000000000000004, 1 / 3, -0.0, 0.0, 1e22, 2.0**53, 123456789.123, 7.5, 1e300, -1e300, 5e-324, 0.1 + 0.7)
DECIMALS = tuple(
    Decimal(t) for t in ("0.0000", "0.1000", "0.2000", "19.9900", "-5.5000", "100.0001", "12345678901234.5678")
)
FINE = tuple(Decimal(t) for t in ("0.000000001", "1.000000000", "-0.333333333", "12345678901234567890.123456789"))
LISTS = ([], [None], ["a"], ["a", "b"], ["b", "a"], ["b", None, "a"], [""], ["a%", "'"], ["分群", "a", "a"], ["3"])

_EVENT_KINDS: tuple[Column, ...] = (
    Column("", "string", "VARCHAR", STRINGS),
    Column("", "whole", "BIGINT", WHOLES),
    Column("", "double", "DOUBLE", TAME),
    Column("", "time", "TIMESTAMP"),
    Column("", "decimal", "DECIMAL(18,4)", DECIMALS),
    Column("", "bool", "BOOLEAN", (False, True)),
    Column("", "list", "VARCHAR[]", LISTS),
    Column("", "double", "DOUBLE", WILD, rough=True),
    Column("", "decimal", "DECIMAL(38,9)", FINE),
)
_TAG_KINDS: tuple[Column | None, ...] = (
    None,
    None,
    Column("", "string", "VARCHAR", STRINGS),
    Column("", "whole", "BIGINT", WHOLES),
    Column("", "whole", "DECIMAL(38,0)", (0, 1, 3, 2**63, -(2**70), 10**37)),
    Column("", "decimal", "DECIMAL(38,9)", FINE),
    Column("", "double", "DOUBLE", WILD),
    Column("", "time", "TIMESTAMP"),
    Column("", "bool", "BOOLEAN", (False, True)),
)
_USER_KINDS: tuple[Column, ...] = (
    Column("", "whole", "BIGINT", WHOLES),
    Column("", "string", "VARCHAR", STRINGS),
    Column("", "list", "VARCHAR[]", LISTS),
    Column("", "bool", "BOOLEAN", (False, True)),
    Column("", "time", "TIMESTAMP"),
    Column("", "decimal", "DECIMAL(38,9)", FINE),
    Column("", "double", "DOUBLE", WILD, rough=True),
)


def to_utc(local: datetime, zone: str) -> datetime:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


@lru_cache
def moments(zone: str, special: date, today: date) -> tuple[datetime, ...]:
    """Instants at and around the edges of the days near today, and around the change of the clock."""
    found = [to_utc(datetime.combine(today, time(12)), zone)]
    for back in (0, 1, 2, 3, 6, 7, 8, -1):
        midnight = to_utc(datetime.combine(today - timedelta(days=back), time()), zone)
        near = (0, -1, 1_000_000, 500_000, 43_200_000_000, 43_200_000_001)
        found += [midnight + timedelta(microseconds=after) for after in near]
    found += [found[0] + timedelta(days=days) for days in (400, -36500)]
    change = to_utc(datetime.combine(special, time()), zone)
    found += [change + timedelta(minutes=30 * half) for half in range(-6, 12)]
    return tuple(dict.fromkeys(found))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world of three to six users and up to two dozen events, a few of them twice."""
    zone, special = draw(st.sampled_from(CLOCKS))
    today = special + timedelta(days=draw(st.integers(0, 9)))
    instants = moments(zone, special, today)
    names = draw(st.lists(st.sampled_from(EVENT_NAMES), min_size=1, max_size=2, unique=True))
    ids = draw(st.lists(st.sampled_from(USER_IDS), min_size=3, max_size=6, unique=True))
    own = {
        "event": _columns(draw, _EVENT_KINDS, instants),
        "user": _columns(draw, _USER_KINDS, instants),
    }
    times = draw(st.lists(st.sampled_from(instants), min_size=1, max_size=8, unique=True))
    system = _system(ids, names, times)
    users = [{"#user_id": number} | draw(_cells(own["user"])) for number in ids]
    keys = {"#user_id": st.sampled_from((*ids, *ids, STRANGER))}
    keys |= {c.name: st.sampled_from(c.values) for c in system[1:]}
    one = st.builds(lambda a, b: a | b, st.fixed_dictionaries(keys), _cells(own["event"]))
    size = draw(st.sampled_from((0, 6, 10, 14, 18, 22, 24)))
    rows = draw(st.lists(one, min_size=size, max_size=size))
    twice = draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else []
    events = [row | {"$row": number} for number, row in enumerate([*rows, *twice])]
    crowds = [draw(_crowd(name, ids, instants, today)) for name in draw(_CROWD_LISTS)]
    return World(zone, today, _with_system(own, system), names, users, events, crowds)


def still_world() -> World:
    """One world with every kind of column and all their values, but few rows: for tests of shape alone."""
    zone, today = CLOCKS[0]
    instants = moments(zone, today, today)
    own = {
        table: [
            replace(kind, name=name, values=kind.values or instants) for kind, name in zip(kinds, NAMES, strict=False)
        ]
        for table, kinds in (("event", _EVENT_KINDS), ("user", _USER_KINDS))
    }
    user = dict.fromkeys([c.name for c in own["user"]]) | {"#user_id": 1}
    crowds = [
        Crowd(name, replace(kind, values=kind.values or instants) if kind else None, {"": {}, "2026-07-01": {}})
        for name, kind in zip(CROWD_NAMES, _TAG_KINDS[1:], strict=False)
    ]
    columns = _with_system(own, _system((1,), EVENT_NAMES, instants))
    return World(zone, today, columns, EVENT_NAMES, [user], [], crowds)


def _system(ids: Sequence[int], names: Sequence[str], times: Sequence[datetime]) -> tuple[Column, ...]:
    return (
        Column("#user_id", "whole", "BIGINT", tuple(ids)),
        Column("#event_name", "string", "VARCHAR", tuple(names)),
        Column("#event_time", "time", "TIMESTAMP", tuple(times)),
    )


def _with_system(own: Mapping[str, Sequence[Column]], system: Sequence[Column]) -> dict[str, list[Column]]:
    return {"event": [*system, *own["event"]], "user": [system[0], *own["user"]]}


def _columns(draw: st.DrawFn, kinds: Sequence[Column], instants: Sequence[datetime]) -> list[Column]:
    """The columns of a table: names in turn from the list, a few values each."""
    first = draw(st.integers(0, len(NAMES) - 1))
    columns = []
    for place, kind in enumerate(kinds):
        pool = kind.values or instants
        few = draw(_some_of(len(pool)))
        name = NAMES[(first + place) % len(NAMES)]
        columns.append(Column(name, kind.kind, kind.sql, tuple(pool[i] for i in few), kind.rough))
    return columns


def _some_of(size: int) -> st.SearchStrategy[list[int]]:
    """A few places in a pool: any, or neighbours, which are the ones that are easily confused."""
    anywhere = st.lists(st.integers(0, size - 1), min_size=1, max_size=4, unique=True)
    together = st.integers(0, size - 1).map(lambda first: list(range(first, min(first + 4, size))))
    return st.one_of(anywhere, together)


def _cells(columns: Sequence[Column]) -> st.SearchStrategy[Row]:
    """Values of one row; a third or so is missing."""
    return st.fixed_dictionaries({c.name: st.sampled_from((None, *c.values, *c.values)) for c in columns})


_CROWD_LISTS = st.lists(st.sampled_from(CROWD_NAMES), max_size=3, unique=True)


@st.composite
def _crowd(draw: st.DrawFn, name: str, ids: Sequence[int], instants: Sequence[datetime], today: date) -> Crowd:
    """A cluster or tag with up to two earlier versions; a member may be gone from the user table."""
    kind = draw(st.sampled_from(_TAG_KINDS))
    column = _columns(draw, [kind], instants)[0] if kind else None
    values = st.sampled_from(column.values) if column else st.none()
    some = st.dictionaries(st.sampled_from((*ids, *ids, STRANGER)), values, max_size=len(ids))
    days = draw(st.lists(st.integers(0, 3), max_size=2, unique=True))
    return Crowd(name, column, {day: draw(some) for day in ("", *(str(today - timedelta(days=d)) for d in days))})
