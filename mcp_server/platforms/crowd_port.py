"""What the operations ask of a platform of crowd analysis tasks (vendor page taobao.opencrm.crowdanalysis.update).

The times of a task are Beijing time, in whole seconds, as on the vendor's platform (vendors.md A2); days are those of the
project. Every method raises the classes of `errors.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, Protocol

from mcp_server.platforms.ports import OnProgress
from mcp_server.text import NOTHING, Text

BEIJING = timezone(timedelta(hours=8))
"""GMT+8 in every year; the zone data of Shanghai knows summer times, the vendor does not."""

State = Literal["waiting", "running", "ended"]


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a task counts: naive Beijing time, both seconds included."""

    start: datetime
    end: datetime

    def state(self, now: datetime) -> State:
        """`ended` from its last second on, `waiting` before its first."""
        if self.end <= now:
            return "ended"
        return "waiting" if now < self.start else "running"


@dataclass(frozen=True, slots=True)
class Crowd:
    """What can be analysed; on the local platform a cluster."""

    crowd_id: str
    name: str
    project_id: str
    users_num: int | None = None
    note: Text = NOTHING
    """A sentence where its members are not up to date."""


@dataclass(frozen=True, slots=True)
class CrowdTask:
    """A crowd analysis task as it stands."""

    task_id: str
    crowd_id: str
    crowd_name: str
    project_id: str
    validity: Validity
    state: State
    users_num: int | None = None
    """Members that were loaded; they stay until the next reload, whatever becomes of the crowd."""
    loaded_at: str = ""
    """Beijing time."""
    revision: int = 0
    """Grows with every change; a change names the one it has seen."""


@dataclass(frozen=True, slots=True)
class CrowdTaskPage:
    """A slice of a list, newest first, with the number of all that match."""

    items: tuple[CrowdTask, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Drift:
    """How two lists of members differ."""

    joined: int
    left: int


@dataclass(frozen=True, slots=True)
class Share:
    """A value of a property, or a range of values: how many of the crowd have it, and how many of all users."""

    property: str
    value: Text
    users: int
    all_users: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the crowd did on a day or in a week."""

    day: str
    """The (first) day, `yyyy-MM-dd`."""
    events: int
    active_users: int


@dataclass(frozen=True, slots=True)
class CrowdAnalysis:
    """What a task found out about its loaded members; never who they are."""

    users: int
    """Loaded members that the current data knows: what all shares of the crowd refer to."""
    all_users: int
    shares: tuple[Share, ...] = ()
    """By property; the property in which the crowd is most unlike everybody comes first."""
    properties_left_out: int = 0
    unit: Literal["day", "week"] = "day"
    activity: tuple[Stretch, ...] = ()
    """In the validity, as far as there is data; empty where there is none."""
    stretches_left_out: int = 0
    """Earlier days or weeks that are not listed."""
    events: int = 0
    active_users: int = 0
    """In all of the validity."""
    data_from: str = ""
    data_to: str = ""
    """First and last day of the data."""
    zone: str = ""
    """Time zone of the days."""
    fewest: int = 0
    """Values that fewer of the crowd have are not told."""
    most_values: int = 0
    """Of a property at most so many values are told, the most frequent of the crowd."""
    last_reload: Drift | None = None
    """What the last reload changed; None before the first."""
    since: Drift | None = None
    """How the crowd differs from what was loaded; None where that is not known."""


class CrowdPlatform(Protocol):
    """Tasks that hold a crowd's members for a time and tell what they are like."""

    @property
    def name(self) -> str:
        """`local` or the vendor's name."""
        ...

    def only_reading(self) -> "CrowdPlatform":
        """The same, but what was worked out for a reader is not kept, and nothing is brought up to date on the way."""
        ...

    def now(self, project_id: str) -> datetime:
        """The present of the project as naive Beijing time; under an as-of date, the beginning of that day."""
        ...

    async def crowd(self, project_id: str, crowd: str) -> Crowd:
        """By id or name. NotFound names the nearest; NotComputed where there are no members to load."""
        ...

    async def get(self, project_id: str, task_id: str) -> CrowdTask:
        """NotFound names the newest."""
        ...

    async def find(self, crowd: Crowd, validity: Validity) -> CrowdTask | None:
        """The task of this crowd with exactly this validity."""
        ...

    async def search(self, project_id: str, *, crowd_id: str, offset: int, limit: int) -> CrowdTaskPage:
        """Tasks, newest first; of one crowd where `crowd_id` is given."""
        ...

    async def create(self, crowd: Crowd, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        """Load the crowd's members and analyse them; of two that ask for the same, both get the one task."""
        ...

    async def update(self, task: CrowdTask, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        """Change the validity; the members stay. NameTaken where the crowd has a task with this validity."""
        ...

    async def drift(self, task: CrowdTask, *, on_progress: OnProgress) -> Drift:
        """What a reload would change as the crowd stands now."""
        ...

    async def reload(self, task: CrowdTask, *, on_progress: OnProgress) -> tuple[CrowdTask, Drift]:
        """Load the crowd's members again, and what that changed."""
        ...

    async def delete(self, task: CrowdTask) -> None: ...

    async def analysis(self, task: CrowdTask, *, on_progress: OnProgress) -> CrowdAnalysis: ...
