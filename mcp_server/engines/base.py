"""What every engine takes and gives: plans of definitions, a data file, the control of a task, counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mcp_server.errors import Interrupted
from mcp_server.language.definitions import Definition
from mcp_server.language.metadata import Metadata, ValueType
from mcp_server.language.model import Qp, TagQp
from mcp_server.language.sql import Sql
from mcp_server.plan.compile import compile_definition, compile_tag
from mcp_server.plan.plan import ClusterSource, Plan, TagPlan
from mcp_server.text import Text
from mcp_server.user_sql.plan import SqlPlan, compile_sql

# Plans

AnyPlan = Plan | TagPlan | SqlPlan


def compile_any(definition: Definition, metadata: Metadata) -> AnyPlan:
    """Compile a definition that was read without problems. LookupError: it is not made of conditions or SQL."""
    match definition:
        case Qp():
            return compile_definition(definition, metadata)
        case TagQp():
            return compile_tag(definition, metadata)
        case Sql():
            return compile_sql(definition, metadata)
        case _:
            raise LookupError(f"no plan for {type(definition).__name__}")


def followed(plan: AnyPlan) -> list[ClusterSource]:
    """Return the clusters that a plan reads in their current version; those that move are computed before it."""
    return [source for source in plan.clusters if not source.day and not source.as_is]


# Data and results


@dataclass(frozen=True, slots=True)
class DataFile:
    """What a plan runs on: one immutable data file, and the members of clusters."""

    path: Path
    users_complete: bool
    """True where every event belongs to a user of the user table."""
    members: tuple[Path, ...] = ()
    """The members files of the plan's clusters, in its order."""


@dataclass(frozen=True, slots=True)
class Written:
    """The members of a cluster, or the values of a tag, in a file."""

    users_num: int
    value_type: tuple[ValueType, int | None] | None = None
    """Type and scale of a tag's values where only running its SQL shows them."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows that SQL returned and that count for no user, by reason (`sandbox.run.DROPPED`)."""


class FunnelCounts(NamedTuple):
    """Sizes of a funnel: (alone, left) of each step, and of the whole."""

    steps: tuple[tuple[int, int], ...]
    selected: int


class ValueCounts(NamedTuple):
    """The values of a tag: users with one, distinct values, the most frequent ones, and of ordered ones the spread."""

    users: int
    distinct: int
    top: tuple[tuple[Any, int], ...]
    spread: tuple[Any, ...] | None
    """Least, median, greatest; None where values have no order."""


# The control of a task


class Progress(Protocol):
    """Takes the progress of some work (0 to 100), and shows whether the work is to stop."""

    @property
    def interrupted(self) -> bool: ...

    def report(self, percent: float) -> None: ...


class Control(Progress, Protocol):
    """The side that started a task, which it may also interrupt in the middle of a statement."""

    def on_interrupt(self, callback: Callable[[], None]) -> None: ...


class StageControl:
    """A control whose reports count within one stage of the task, from one percentage of the whole to another."""

    def __init__(self, control: Control, low: float = 0.0, high: float = 100.0) -> None:
        self._control = control
        self._low, self._high = low, high

    def stage(self, low: float, high: float) -> None:
        """Begin a stage. Interrupted where the task was stopped in the one before."""
        self._low, self._high = low, high
        self.report(0)
        if self.interrupted:
            raise stopped()

    @property
    def interrupted(self) -> bool:
        return self._control.interrupted

    def report(self, percent: float) -> None:
        self._control.report(self._low + (self._high - self._low) * percent / 100)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        self._control.on_interrupt(callback)


def stopped() -> Interrupted:
    """Return the error of a task that was interrupted."""
    return Interrupted(
        Text("The computation was stopped.", "计算已被中止。"), next_step=Text("Call again.", "请重新调用。")
    )
