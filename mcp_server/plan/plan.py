"""The plan between a definition and SQL.

Days are instants, numbers are exact bounds of their column's own kind, a comparator is one of a few predicates.
Nothing assumes a dialect. A predicate of a missing value is never true, not even when negated; engines must keep
that (SQL's three-valued logic does).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from mcp_server.language.metadata import Table
from mcp_server.language.values import Span
from mcp_server.language.vocabulary import MeasureWord, Relation

Number = int | Decimal | float
"""A constant of a column's own kind: int for whole numbers, Decimal for decimals, float for doubles."""
Constant = Number | datetime
Exact = int | Decimal


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the event's row, of its user's row, or of the user's row among a cluster's members."""

    table: Table
    name: str
    """Of a cluster `user_id`, of a tag `value`."""
    source: int = 0
    """Of a cluster or tag: its index in the plan's `clusters`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Values between two bounds, without the bound itself where it is `…_open`; None is no bound."""

    low: Constant | None = None
    high: Constant | None = None
    low_open: bool = False
    high_open: bool = False

    def holds(self, value: Exact) -> bool:
        """Whether an exact number lies inside."""
        above = self.low is None or (value > self.low if self.low_open else value >= self.low)  # type: ignore[operator]  # measures have numbers only
        below = self.high is None or (value < self.high if self.high_open else value <= self.high)  # type: ignore[operator]  # both of one kind
        return above and below


@dataclass(frozen=True, slots=True)
class Points:
    """One of these values."""

    values: tuple[Constant | str, ...]

    def holds(self, value: Exact) -> bool:
        return value in self.values


@dataclass(frozen=True, slots=True)
class Within:
    """The value lies in an interval, or is one of several."""

    column: Column
    where: Interval | Points
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """The text contains one of several texts."""

    column: Column
    texts: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Matches:
    """An RE2 pattern matches somewhere in the text."""

    column: Column
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsTrue:
    column: Column
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    column: Column
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Holds:
    """The list holds one of several items."""

    column: Column
    items: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ItemAt:
    """The list has this item at this position, counted from 1."""

    column: Column
    position: int
    item: str


@dataclass(frozen=True, slots=True)
class Empty:
    """The list is missing or has no items; unlike all others, true of a missing value (and false when negated)."""

    column: Column
    negated: bool = False


@dataclass(frozen=True, slots=True)
class NearEvent:
    """The time lies at most so many seconds before or after the event's own time, both included."""

    column: Column
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Never:
    """True of nothing."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Predicates joined by one relation; at least one."""

    relation: Relation
    parts: "tuple[Predicate, ...]"


Predicate = Within | Contains | Matches | IsTrue | Missing | Holds | ItemAt | Empty | NearEvent | Never | Joined


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of one user's rows and the test it must pass (or, negated, fail). An undefined measure does neither.

    Of an exact column, MEDIAN is tested as twice the median, a multiple of the column's step again; AVG, which
    lies between any steps, keeps its bounds as they were written (up to 10^20, with 18 places).
    """

    word: MeasureWord
    column: Column | None
    scale: int | None
    """Places of an exact column; None for doubles. Counts are whole: 0."""
    test: Interval | Points
    negated: bool = False


@dataclass(frozen=True, slots=True)
class EventRows:
    """The event rows that a condition or a tag reads."""

    event: str | None
    """The event's name; None for all events."""
    span: Span
    where: Predicate | None


@dataclass(frozen=True, slots=True)
class EventBit:
    """One event condition: the users whose rows pass it or, as a complement, the users whose rows fail it.

    A condition that is true of a user without any row is computed as its complement: a branch lists only users
    that have rows.
    """

    bit: int
    rows: EventRows
    measured: Measured
    complement: bool


@dataclass(frozen=True, slots=True)
class UserBit:
    """One condition on the user's own row."""

    bit: int
    where: Predicate


@dataclass(frozen=True, slots=True)
class Bit:
    """A leaf of the tree: the user has this bit or, inverted, lacks it."""

    bit: int
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """Parts of the tree joined by one relation; at least one."""

    relation: Relation
    parts: "tuple[Tree, ...]"


Tree = Bit | Both


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One top-level condition: what it selects alone, and what it leaves of the conditions before it on its side."""

    path: str
    """JSON Pointer inside the definition."""
    alone: Tree
    left: Tree


@dataclass(frozen=True, slots=True)
class ClusterSource:
    """A cluster or tag whose members a plan reads: its current version, or that of a local day."""

    name: str
    day: str = ""
    as_is: bool = False
    """True where SQL may read any cluster: this one is not computed first, and its changes make nothing stale."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster's definition, ready to be written as SQL of any dialect."""

    events: tuple[EventBit, ...]
    users: tuple[UserBit, ...]
    tree: Tree
    funnel: tuple[FunnelStep, ...]
    clusters: tuple[ClusterSource, ...] = ()

    @property
    def bits(self) -> int:
        return len(self.events) + len(self.users)


@dataclass(frozen=True, slots=True)
class ValuesTag:
    """A value for each tree over the bits of one plan: a user gets that of the first tree that selects the user.

    The plan's own tree selects the users that any of them selects.
    """

    plan: Plan
    values: tuple[tuple[str, Tree], ...]

    @property
    def clusters(self) -> tuple[ClusterSource, ...]:
        return self.plan.clusters


@dataclass(frozen=True, slots=True)
class TakenTag:
    """A column's value in a user's first or last row; of equal times the row that was loaded first is first."""

    rows: EventRows
    column: Column
    first: bool
    clusters: tuple[ClusterSource, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasureTag:
    """A measure of every user who has a row."""

    rows: EventRows
    word: MeasureWord
    column: Column | None
    scale: int | None
    """As in `Measured`."""
    clusters: tuple[ClusterSource, ...] = ()


TagPlan = ValuesTag | TakenTag | MeasureTag
"""A tag, ready to be written as SQL: a user gets one value, or none."""


def join(relation: Relation, parts: Sequence[Tree]) -> Tree:
    """Join parts; a single part stays as it is."""
    return parts[0] if len(parts) == 1 else Both(relation, tuple(parts))


def holds_without_bits(tree: Tree) -> bool:
    """Whether the tree selects a user who has none of the bits."""
    if isinstance(tree, Bit):
        return tree.inverted
    parts = map(holds_without_bits, tree.parts)
    match tree.relation:
        case "and":
            return all(parts)
        case "or":
            return any(parts)
        case other:
            assert_never(other)


def needs(tree: Tree, bits: frozenset[int]) -> bool:
    """Whether the tree selects only users who have one of these bits."""
    if isinstance(tree, Bit):
        return not tree.inverted and tree.bit in bits
    parts = (needs(part, bits) for part in tree.parts)
    match tree.relation:
        case "and":
            return any(parts)
        case "or":
            return all(parts)
        case other:
            assert_never(other)
