"""The small typed plan between a definition and SQL.

Everything that needs thought is settled here: days are instants, numbers are exact bounds of their column's
own kind, a comparator is one of a few predicates. Nothing assumes a dialect. A predicate of a missing value
is never true, also when negated; an emitter must keep that (SQL's three-valued logic does).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from mcp_server.language.metadata import Table
from mcp_server.language.vocabulary import MeasureWord
from mcp_server.language.window import Span

Number = int | Decimal | float
"""A constant of a column's own kind: int for whole numbers, Decimal for decimals, float for doubles."""
Constant = Number | datetime
Exact = int | Decimal


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the event row, of the row of the user who did the event, or of the user's row in a cluster's members."""

    table: Table
    name: str
    """Of a cluster: `user_id`, or for a tag `value`."""
    source: int = 0
    """Of a cluster: its place in the plan's `clusters`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Values between two bounds; a bound that is None is open. `…_open` leaves the bound itself out."""

    low: Constant | None = None
    high: Constant | None = None
    low_open: bool = False
    high_open: bool = False

    def holds(self, value: Exact) -> bool:
        """True where an exact number lies inside."""
        above = self.low is None or (value > self.low if self.low_open else value >= self.low)  # type: ignore[operator]  # measures have numbers only
        below = self.high is None or (value < self.high if self.high_open else value <= self.high)  # type: ignore[operator]  # both of one kind
        return above and below


@dataclass(frozen=True, slots=True)
class Points:
    """Any of these values."""

    values: tuple[Constant | str, ...]

    def holds(self, value: Exact) -> bool:
        return value in self.values


@dataclass(frozen=True, slots=True)
class Within:
    """The value lies in an interval, or is one of some points."""

    column: Column
    where: Interval | Points
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """The text contains one of some texts."""

    column: Column
    texts: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Matches:
    """An RE2 pattern is found somewhere in the text."""

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
    """The list holds one of some items."""

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
    """The list is null or has no items; unlike all others, true of a missing value (and false when negated)."""

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
    """Predicates joined by one relation; never empty."""

    relation: Literal["and", "or"]
    parts: "tuple[Predicate, ...]"


Predicate = Within | Contains | Matches | IsTrue | Missing | Holds | ItemAt | Empty | NearEvent | Never | Joined


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of one user's rows and the test it must pass (or, negated, fail). An undefined measure does neither.

    Of an exact column, MEDIAN is tested as twice the median, which lies on the column's own steps again; AVG,
    which lies between any steps, keeps its bounds as they were written (up to 10^20, with 18 places).
    """

    word: MeasureWord
    column: Column | None
    scale: int | None
    """Places of an exact column; None for doubles. Counts are whole: 0."""
    test: Interval | Points
    negated: bool = False


@dataclass(frozen=True, slots=True)
class EventRows:
    """The event rows that a condition or a tag looks at."""

    event: str | None
    """None: rows of every name."""
    span: Span
    where: Predicate | None


@dataclass(frozen=True, slots=True)
class EventBit:
    """One event condition: the users whose rows pass it, or, as a complement, the users whose rows break it.

    A condition that is true of a user without any row is computed as its complement, so that a branch only
    ever lists users that have rows.
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
    """A leaf of the tree: the user has this bit, or, inverted, has it not."""

    bit: int
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """Parts of the tree joined by one relation; never empty."""

    relation: Literal["and", "or"]
    parts: "tuple[Tree, ...]"


Tree = Bit | Both


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One top-level condition: what it selects alone, and everything of its side up to it."""

    path: str
    """JSON Pointer inside the definition."""
    alone: Tree
    left: Tree


@dataclass(frozen=True, slots=True)
class ClusterSource:
    """A cluster or tag whose members a plan reads: its current version, or that of a local day."""

    name: str
    day: str = ""
    as_it_stands: bool = False
    """True where it is one of all there are: it is neither computed first, nor does a change of it count as one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A definition, ready to be written as SQL of any dialect."""

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
    """A value per tree over the bits of one plan, tested in order: the first that selects a user gives the value.

    The plan's own tree selects whoever any of them selects.
    """

    plan: Plan
    values: tuple[tuple[str, Tree], ...]

    @property
    def clusters(self) -> tuple[ClusterSource, ...]:
        return self.plan.clusters


@dataclass(frozen=True, slots=True)
class TakenTag:
    """A column's value in a user's first or last row; of equal times the row loaded first is first."""

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
    """As of `Measured`."""
    clusters: tuple[ClusterSource, ...] = ()


TagPlan = ValuesTag | TakenTag | MeasureTag
"""A tag, ready to be written as SQL: a user gets one value, or none."""


def join(relation: Literal["and", "or"], parts: Sequence[Tree]) -> Tree:
    """Parts joined; one part stands for itself."""
    return parts[0] if len(parts) == 1 else Both(relation, tuple(parts))


def true_of_nothing_done(tree: Tree) -> bool:
    """True where the tree selects a user who has no bit at all."""
    if isinstance(tree, Bit):
        return tree.inverted
    join_all = all if tree.relation == "and" else any
    return join_all(true_of_nothing_done(part) for part in tree.parts)


def implies(tree: Tree, bits: frozenset[int]) -> bool:
    """True where nobody is selected without one of these bits."""
    if isinstance(tree, Bit):
        return not tree.inverted and tree.bit in bits
    join_some = any if tree.relation == "and" else all
    return join_some(implies(part, bits) for part in tree.parts)
