"""What the operations need of platforms of crowd analysis and call tasks: their protocols and records.

Every method raises the classes of `errors.py`. Times of tasks are Beijing time, naive, in whole seconds, as on the
vendors' platforms (vendors.md A2); days of a crowd are those of its project.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, cast

from mcp_server.calls.settings import CallSettings
from mcp_server.credentials import VENDORS, System
from mcp_server.errors import ConfigurationError, InvalidArguments
from mcp_server.language.problems import finding, shorten
from mcp_server.platforms.segments import Cluster, OnProgress, Page, Platform, name_of
from mcp_server.text import NOTHING, Text, listed

# Crowd analysis tasks (vendor page taobao.opencrm.crowdanalysis.update)

State = Literal["waiting", "running", "ended"]
Raw = Mapping[str, Any]
"""An answer as a platform gave it, where its form is not documented."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a task counts, both seconds included."""

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
    """A crowd analysis task as it is now."""

    task_id: str
    crowd_id: str
    crowd_name: str
    project_id: str
    validity: Validity | None
    """None where the platform does not report it."""
    state: State | None
    users_num: int | None = None
    """Members that were loaded; they stay until the next reload, however the crowd changes."""
    loaded_at: str = ""
    """Beijing time."""
    revision: int = 0
    """Grows with every change; a change names the one it has seen."""
    request_id: str = ""
    """Of the platform's answer to a change, for its support."""

    @property
    def stamp(self) -> str:
        """A text that is another one after every change."""
        valid = f"{self.validity.start} {self.validity.end}" if self.validity else ""
        return f"{self.task_id} {self.revision} {valid}"


@dataclass(frozen=True, slots=True)
class CrowdTaskPage(Page[CrowdTask]):
    """A slice of a list, newest first."""

    raw: Raw | None = None
    note: Text = NOTHING
    """What this list is, where it is not the requested one."""


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
class ActivityPeriod:
    """What the crowd did on a day or in a week."""

    day: str
    """The (first) day, `yyyy-MM-dd`."""
    events: int
    active_users: int


@dataclass(frozen=True, slots=True)
class CrowdAnalysis:
    """What a task reports about its loaded members; never who they are."""

    users: int
    """Loaded members that the current data knows: what all shares of the crowd refer to."""
    all_users: int
    shares: tuple[Share, ...] = ()
    """By property; the property in which the crowd is most unlike everybody comes first."""
    properties_left_out: int = 0
    unit: Literal["day", "week"] = "day"
    activity: tuple[ActivityPeriod, ...] = ()
    """In the validity, as far as there is data."""
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
    """Values that fewer of the crowd have are not shown."""
    most_values: int = 0
    """Of a property at most so many values are shown, the most frequent of the crowd."""
    last_reload: Drift | None = None
    """What the last reload changed; None before the first."""
    since: Drift | None = None
    """How the crowd differs from what was loaded; None where that is not known."""
    raw: Raw | None = None
    """Instead of everything above, where the platform's form is not documented."""


_OTHER = Text("Crowd analysis task {id} is one of crowd {crowd}.", "人群分析任务 {id} 属于人群 {crowd}。")
_OTHER_NEXT = Text("Give that crowd_id, or leave it out.", "请给出该 crowd_id，或不带该参数。")


def other_crowd(task_id: str, crowd_id: str, got: str) -> InvalidArguments:
    """Return the error for a task that belongs to another crowd than the one named."""
    message = _OTHER.format(id=shorten(task_id), crowd=crowd_id)
    return InvalidArguments(
        message, next_step=_OTHER_NEXT, problems=[finding("crowd_other", "/crowd_id", got=got, suggestion=crowd_id)]
    )


class CrowdPlatform(Platform, Protocol):
    """Tasks that hold a crowd's members for a time and show what they are like."""

    def only_reading(self) -> "CrowdPlatform":
        """Return the same, but an analysis made for a reader is not kept, and nothing is brought up to date on the way."""
        ...

    def now(self, project_id: str) -> datetime:
        """The present of the project in Beijing; under an as-of date, the beginning of that day."""
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
        """Load the crowd's members and analyse them; two equal requests get the same task."""
        ...

    async def update(self, task: CrowdTask, validity: Validity, *, on_progress: OnProgress) -> CrowdTask:
        """Change the validity; the members stay. NameTaken where the crowd has a task with this validity."""
        ...

    async def drift(self, task: CrowdTask, *, on_progress: OnProgress) -> Drift | None:
        """What a reload would change now; None where the platform does not report it."""
        ...

    async def reload(self, task: CrowdTask, *, on_progress: OnProgress) -> tuple[CrowdTask, Drift | None]:
        """Load the crowd's members again; also what that changed, as far as the platform reports it."""
        ...

    async def delete(self, task: CrowdTask) -> CrowdTask:
        """The task as it was, with the platform's request id."""
        ...

    async def analysis(self, task: CrowdTask, *, on_progress: OnProgress) -> CrowdAnalysis: ...


# Call tasks. Callees are personal: they go into a platform, never out of it; what comes back are numbers.


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A call task as a list shows it; what the platform does not report is None or empty (platforms/fields.py)."""

    task_open_id: str
    name: str = ""
    start: datetime | None = None
    end: datetime | None = None
    settings: CallSettings | None = None
    callees: int | None = None
    state: str = ""
    """The platform's own code of its state, as it came."""
    called: int | None = None
    """Callees that were called so far."""
    connected: int | None = None
    """Calls that were answered."""


@dataclass(frozen=True, slots=True)
class CallTask:
    """A call task as it is now."""

    task_open_id: str
    name: str
    settings: CallSettings
    callees: int
    """Distinct callees on its list."""
    source: str
    """Opaque: tasks made from the same list have the same."""
    created_at: str = ""
    """`yyyy-MM-dd HH:mm:ss`."""
    updated_at: str = ""
    revision: int = 0
    """Grows with every change; an update names the one it has seen."""

    @property
    def entry(self) -> CallEntry:
        """The same as a line of a list."""
        set_to = self.settings
        return CallEntry(self.task_open_id, self.name, set_to.start, set_to.end, set_to, self.callees)


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of an update."""

    task: CallTask | None = None
    """Afterwards; None where it cannot be read."""
    request_id: str = ""
    """Of the platform's answer, for its support."""


@dataclass(frozen=True, slots=True)
class Callees:
    """Who is to be called: the values of a user property in a cluster, or a list."""

    cluster: Cluster | None = None
    callee_property: str = ""
    """A text property of users, spelt as declared."""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CalleeCount:
    """How many callees there are."""

    callees: int
    """Distinct ones."""
    entries: int
    """Users of the cluster, or ids of the list."""
    without: int
    """Users without a value."""
    source: str
    """As in `CallTask`."""

    @property
    def repeated(self) -> int:
        """Entries whose callee another one has too."""
        return self.entries - self.without - self.callees


@dataclass(frozen=True, slots=True)
class CallDraft:
    """What is needed to create a task."""

    name: str
    settings: CallSettings
    callees: Callees


@dataclass(frozen=True, slots=True)
class Often:
    """Callees of a list that other tasks call too, more often than platforms allow (worst case)."""

    a_day: int = 0
    """Callees that could be tried more than 10 times on a day."""
    most_a_day: int = 0
    at_once: int = 0
    """Callees that could be tried more than 3 times in 5 minutes."""
    most_at_once: int = 0


class CallPlatform(Platform, Protocol):
    """Outbound call tasks."""

    def now(self) -> datetime:
        """The real time in Beijing, whatever day a project is fixed to."""
        ...

    @property
    def reads(self) -> bool:
        """True where a task's settings can be read. Where they can't, an update has to state all that it replaces."""
        ...

    @property
    def creates(self) -> bool:
        """True where tasks are created here, not in a console of the vendor."""
        ...

    async def get(self, project_id: str, task_open_id: str) -> CallTask:
        """By its id, or by its name in any case. NotFound names the nearest. Only where the platform `reads`."""
        ...

    async def entry(self, project_id: str, task_open_id: str) -> CallEntry | None:
        """What the platform reports of a task, by its id or name; None where it reports nothing."""
        ...

    async def find_name(self, project_id: str, name: str) -> CallTask | None: ...

    async def search(self, project_id: str, *, words: str, offset: int, limit: int) -> Page[CallEntry]:
        """Newest first."""
        ...

    async def count(self, project_id: str, callees: Callees, *, on_progress: OnProgress) -> CalleeCount: ...

    async def create(self, project_id: str, draft: CallDraft, *, on_progress: OnProgress) -> CallTask:
        """Keep a new task with its list. NameTaken where the name is in use."""
        ...

    async def update(
        self, project_id: str, task_open_id: str, settings: CallSettings, *, recall: bool, revision: int
    ) -> Updated:
        """Replace the settings, the redials only with `recall`.

        ChangedMeanwhile where the task is no longer at `revision`.
        """
        ...

    def update_body(self, task_open_id: str, settings: CallSettings, *, recall: bool) -> dict[str, Any]:
        """What an update to these settings sends, in the platform's own form."""
        ...

    async def often(
        self,
        project_id: str,
        whom: CallTask | Callees,
        settings: CallSettings,
        *,
        projects: frozenset[str] | None,
        on_progress: OnProgress,
    ) -> Often:
        """How often callees of this list could be tried from now on, counting the tasks of these projects (None: of all).

        A caller that may use some projects only must not learn from the count who is on lists of others.
        """
        ...


# Crowd and call tasks of this machine while segments are remote: they load members of local clusters, and there are none

_NEEDS = Text(
    "{what} on this machine need segments on this machine, and those are on {platform}.",
    "本机的{what}依赖本机的分群，而当前的分群在{platform}平台上。",
)
_SET = Text(
    "Tell the user: the operator of the server sets {settings}, without {pin}=local, to use the real account, or {segments}=local.",
    "请告知用户：由服务的运行者设置 {settings}（且不设 {pin}=local）以使用真实账号，或设 {segments}=local。",
)


class _Absent:
    """A platform that refuses every call."""

    name = "local"
    account = ""

    def __init__(self, what: Text, system: System, segments: str) -> None:
        self._what, self._system, self._segments = what, system, segments

    def only_reading(self) -> "_Absent":
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        step = NOTHING
        for vendor in VENDORS:
            if vendor.system == self._system:
                own = {"settings": listed(vendor.required), "pin": vendor.pin}
                step = step.then(_SET.format(**own, segments=f"FENQUN_{self._segments.upper()}"))
        raise ConfigurationError(_NEEDS.format(what=self._what, platform=name_of(self._segments)), next_step=step)


def absent_crowds(segments: str) -> CrowdPlatform:
    """A platform that refuses, and names the settings of a remote one; `segments` names the platform of segments."""
    return cast(CrowdPlatform, _Absent(Text("Crowd analysis tasks", "人群分析任务"), "crowds", segments))


def absent_calls(segments: str) -> CallPlatform:
    """A platform that refuses, and names the settings of a remote one; `segments` names the platform of segments."""
    return cast(CallPlatform, _Absent(Text("Call tasks", "外呼任务"), "calls", segments))
