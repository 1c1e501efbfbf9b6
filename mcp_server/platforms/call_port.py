"""What the operations ask of a platform that makes outbound calls.

A platform may not be able to tell what a task is set to (`reads` is False): an update then has to state everything
that it replaces. Callees are personal: they go into a platform, never out of it; what comes back are numbers.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mcp_server.calls.settings import CallSettings
from mcp_server.platforms.ports import Cluster, OnProgress


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A call task as a list tells it; what the platform does not tell is None or empty (platforms/fields.py)."""

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
    """A call task as it stands."""

    task_open_id: str
    name: str
    settings: CallSettings
    callees: int
    """Distinct callees on its list."""
    source: str
    """Opaque: tasks made from the same list have the same."""
    created_at: str = ""
    """Beijing time, `yyyy-MM-dd HH:mm:ss`."""
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
class CallPage:
    """A slice of a list, with the number of all that match."""

    items: tuple[CallEntry, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Callees:
    """Who is to be called: the values of a user property in a cluster, or a list."""

    cluster: Cluster | None = None
    callee_property: str = ""
    """A text property of users, spelt as declared."""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CalleeCount:
    """How many there are."""

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
    """Callees of a list whom other tasks call too, more often than platforms allow (worst case)."""

    a_day: int = 0
    """Callees who could be tried more than 10 times on a day."""
    most_a_day: int = 0
    at_once: int = 0
    """Callees who could be tried more than 3 times in 5 minutes."""
    most_at_once: int = 0


class CallPlatform(Protocol):
    """Outbound call tasks."""

    @property
    def name(self) -> str:
        """`local` or the vendor's name."""
        ...

    @property
    def account(self) -> str:
        """Whose it is, as far as it may be shown; "" on this machine."""
        ...

    def now(self) -> datetime:
        """The time in Beijing, naive. Call tasks live by real time, whatever day a project is fixed to."""
        ...

    @property
    def reads(self) -> bool:
        """True where a task's settings can be read."""
        ...

    @property
    def creates(self) -> bool:
        """True where tasks are created here, not in a console of the vendor."""
        ...

    async def get(self, project_id: str, task_open_id: str) -> CallTask:
        """By its id, or by its name in any case. NotFound names the nearest. Only where the platform `reads`."""
        ...

    async def entry(self, project_id: str, task_open_id: str) -> CallEntry | None:
        """What the platform tells of a task, by its id or name; None where it tells nothing of it."""
        ...

    async def find_name(self, project_id: str, name: str) -> CallTask | None: ...

    async def search(self, project_id: str, *, words: str, offset: int, limit: int) -> CallPage:
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

        Who may use some projects only must not learn from the count who is on lists of others.
        """
        ...
