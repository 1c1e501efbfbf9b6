"""What is known of a project's data: the events and properties that a definition may name.

Computed once at load (or read from a vendor); pure data, so that checking a definition needs no engine.
"""

from datetime import date
from functools import cached_property
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from mcp_server.language.suggest import fold

ValueType = Literal["string", "number", "bool", "time", "list", "cluster"]
"""Type of a property. `cluster` is membership of a cluster; a tag has the type of its values."""

Table = Literal["event", "user", "cluster"]
"""What a property belongs to; clusters and tags are named like properties of a table of their own."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Names(Frozen):
    """Display name and remark in both languages; empty where there is none."""

    en: str = ""
    zh: str = ""
    remark_en: str = ""
    remark_zh: str = ""


class ValueCount(NamedTuple):
    """A value of a string, bool or list property and how many rows hold it (0: not counted)."""

    value: str
    rows: int


class Property(Frozen):
    """One property of events or of users."""

    table: Table
    name: str
    type: ValueType
    scale: int | None = None
    """Numbers only: 0 for whole numbers, n for decimals with n places, None for doubles."""
    names: Names = Names()
    null_share: float = 0.0
    """Share of rows without a value, 0 to 1. Events: among the rows of the events that carry it."""
    distinct: int = 0
    """Number of distinct values (approximate from 100,000 on)."""
    top: tuple[ValueCount, ...] = ()
    """The most frequent values, most frequent first (string, bool, list)."""
    low: str = ""
    """Smallest value of a number or time (local time of the project, `yyyy-MM-dd HH:mm:ss`)."""
    high: str = ""
    events: tuple[str, ...] = ()
    """Event properties: the events that carry it on at least one row, sorted by name."""
    more: tuple[tuple[str, str], ...] = ()
    """What else a platform reports of it, by its own names."""
    ready: bool = True
    """Clusters and tags: False while they have no good version."""
    uses: tuple[str, ...] = ()
    """Clusters and tags: the clusters and tags that their definitions reach, directly or through others."""
    meaning: str = ""
    """Clusters and tags: the meaning hash of their definitions."""
    dates: tuple[str, ...] = ()
    """Clusters and tags: the local days, `yyyy-MM-dd`, of which a version is kept."""

    @property
    def values_known(self) -> bool:
        """True where `top` lists every value."""
        return bool(self.top) and len(self.top) >= self.distinct

    @cached_property
    def value_by_spelling(self) -> dict[str, str]:
        """The most frequent value of each spelling (`suggest.fold`), most frequent first."""
        spelled: dict[str, str] = {}
        for value, _ in self.top:
            spelled.setdefault(fold(value), value)
        return spelled


class Event(Frozen):
    """One kind of event."""

    name: str
    names: Names = Names()
    count: int = 0
    """0, and all below empty, where a platform reports only names."""
    users: int = 0
    """Distinct users of the user table with at least one such event."""
    first: str = ""
    """Time of the first and of the last one, local time of the project."""
    last: str = ""
    more: tuple[tuple[str, str], ...] = ()
    """As in `Property`."""


class Metadata(Frozen):
    """Everything a definition may name in one project, and the project's clock."""

    project_id: str
    zone: str = "Asia/Shanghai"
    today: date
    """The current date in `zone`, or the fixed as-of date."""
    as_of: date | None = None
    users: int | None = 0
    rows: int | None = 0
    """Number of event rows. None, as of users, where a platform does not report it."""
    events: tuple[Event, ...] = ()
    properties: tuple[Property, ...] = ()

    @cached_property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def event_by_name(self) -> dict[str, Event]:
        return {e.name: e for e in self.events}

    @cached_property
    def in_order(self) -> tuple[Event | Property, ...]:
        """Everything in the order of lists: events by count, user properties, event properties."""
        events = sorted(self.events, key=lambda e: (-e.count, e.name))
        return (*events, *self.properties_of("user"), *self.properties_of("event"))

    @cached_property
    def _property_by_name(self) -> dict[tuple[str, str], Property]:
        return {(p.table, p.name.casefold()): p for p in self.properties}

    def property(self, table: str, name: str) -> Property | None:
        """The property of that table; names ignore case (qp.md section 4)."""
        return self._property_by_name.get((table, name.casefold()))

    def with_clusters(self, clusters: tuple[Property, ...]) -> "Metadata":
        """Return the same with these clusters and tags in place of its own."""
        kept = tuple(p for p in self.properties if p.table != "cluster")
        return self._with(properties=(*kept, *clusters))

    def by_clock_readings(self) -> "Metadata":
        """Return the same for data whose times are stored as the project's clock showed them, without a zone.

        Windows computed from it are such readings too, and no instants.
        """
        return self._with(zone="UTC")

    def _with(self, **changed: object) -> "Metadata":
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Metadata.model_construct(**fields | changed)  # a copy would keep the cached look-ups

    def properties_of(self, table: str) -> list[Property]:
        return [p for p in self.properties if p.table == table]
