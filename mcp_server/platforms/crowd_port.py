"""What the operations ask of a platform of crowd analysis tasks (vendor page taobao.opencrm.crowdanalysis.update).

The times of a task are Beijing time, in whole seconds, as on the vendor's platform (vendors.md A2); days are those of the
project. Every method raises the classes of `errors.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from mcp_server.errors import InvalidArguments
from mcp_server.platforms.ports import OnProgress
from mcp_server.qp.problems import finding, shorten
from mcp_server.text import NOTHING, Text

State = Literal["waiting", "running", "ended"]
Raw = Mapping[str, Any]
"""An answer as a platform gave it, where its form is not documented."""


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
    validity: Validity | None
    """None where the platform does not tell."""
    state: State | None
    users_num: int | None = None
    """Members that were loaded; they stay until the next reload, whatever becomes of the crowd."""
    loaded_at: str = ""
    """Beijing time."""
    revision: int = 0
    """Grows with every change; a change names the one it has seen."""
    request_id: str = ""
    """Of the platform's answer to a change, for its support."""

    @property
    def stamp(self) -> str:
        """One text that is another one after every change."""
        valid = f"{self.validity.start} {self.validity.end}" if self.validity else ""
        return f"{self.task_id} {self.revision} {valid}"


@dataclass(frozen=True, slots=True)
class CrowdTaskPage:
    """A slice of a list, newest first, with the number of all that match."""

    items: tuple[CrowdTask, ...]
    total: int
    raw: Raw | None = None
    note: Text = NOTHING
    """What this list is, where it is not what was asked for."""


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
    raw: Raw | None = None
    """Instead of everything above, where the platform's form is not documented."""


_OTHER = Text("Crowd analysis task {id} is one of crowd {crowd}.", "人群分析任务 {id} 属于人群 {crowd}。")
_OTHER_NEXT = Text("Give that crowd_id, or leave it out.", "请给出该 crowd_id，或不带该参数。")


def other_crowd(task_id: str, crowd_id: str, got: str) -> InvalidArguments:
    """The error for a task that belongs to another crowd than the one named."""
    said = _OTHER.format(id=shorten(task_id), crowd=crowd_id)
    return InvalidArguments(
        said, next_step=_OTHER_NEXT, problems=[finding("crowd_other", "/crowd_id", got=got, suggestion=crowd_id)]
    )


class CrowdPlatform(Protocol):
    """Tasks that hold a crowd's members for a time and tell what they are like."""

    @property
    def name(self) -> str:
        """`local` or the vendor's name."""
        ...

    @property
    def account(self) -> str:
        """Whose it is, as far as it may be shown; "" on this machine."""
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

    async def get(self, project_id: str, task_id: str, crowd_id: str = "") -> CrowdTask:
        """NotFound names the newest. InvalidArguments where `crowd_id` is missing and needed, or another one."""
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

    async def drift(self, task: CrowdTask, *, on_progress: OnProgress) -> Drift | None:
        """What a reload would change as the crowd stands now; None where the platform does not tell."""
        ...

    async def reload(self, task: CrowdTask, *, on_progress: OnProgress) -> tuple[CrowdTask, Drift | None]:
        """Load the crowd's members again, and what that changed, as far as the platform tells."""
        ...

    async def delete(self, task: CrowdTask) -> CrowdTask:
        """The task as it was, with the platform's request id."""
        ...

    async def analysis(self, task: CrowdTask, *, on_progress: OnProgress) -> CrowdAnalysis: ...
