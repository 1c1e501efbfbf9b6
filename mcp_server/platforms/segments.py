"""What the operations need of a platform of clusters and tags: its protocol and records.

Every method takes the project first, or a record that names it, and raises the classes of `errors.py`. Records are plain
data, the same for every platform; what a platform does not report is left at its empty default. Times are local to the
project, `yyyy-MM-dd HH:mm:ss`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from mcp_server.credentials import VENDORS
from mcp_server.errors import FenqunError, Problem
from mcp_server.language.definitions import Definition
from mcp_server.language.metadata import Metadata
from mcp_server.language.reading.check import SqlLook
from mcp_server.text import NOTHING, Text, same

OnProgress = Callable[[float, Text], Awaitable[None]]
"""Takes percent, and what is being done."""
T = TypeVar("T")


def name_of(platform: str) -> Text:
    """The name of a platform as people read it."""
    if platform == "local":
        return Text("this machine", "本机")
    return next((vendor.text for vendor in VENDORS if vendor.name == platform), same(platform))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster or tag as it is now."""

    cluster_id: str
    cluster_name: str
    display_name: str
    cluster_type: str
    project_id: str
    definition: Definition
    catalog: str = "catalog_cluster"
    """`catalog_tag` for a tag."""
    remarks: str = ""
    users_num: int | None = None
    """Members of the last good version, of a tag the users that have a value; None where there is none yet."""
    progress: int = 0
    """100 done, 0 to 99 running, -1 the last computation failed."""
    failure: Text = NOTHING
    """Why the last computation failed."""
    refresh_time: str = ""
    fresh: bool = False
    """True where the last version was computed after the last change of definition, data and (dynamic) day."""
    stale_because: Text = NOTHING
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Of the last version by SQL, as in `Preview.dropped`."""
    created_at: str = ""
    unread: Text = NOTHING
    """Why it could not be read after a change; then the rest is as requested."""
    revision: int = 0
    """Grows with every change; an update names the one it has seen."""

    @property
    def stamp(self) -> str:
        """A text that is another one after any change of the cluster."""
        return f"{self.cluster_id}@{self.revision}"


async def read_after_change(known: Cluster, read: Awaitable[Cluster]) -> Cluster:
    """Return the cluster as it is after an accepted change; where reading it fails, what is known, and why (`unread`)."""
    try:
        return await read
    except FenqunError as error:
        return replace(known, users_num=None, refresh_time="", fresh=False, unread=error.message)


@dataclass(frozen=True, slots=True)
class ClusterDraft:
    """What is needed to create a cluster or tag; its definition says which."""

    cluster_name: str
    display_name: str
    cluster_type: str
    definition: Definition
    remarks: str = ""


@dataclass(frozen=True, slots=True)
class ClusterChanges:
    """What an update changes; None stays as it is."""

    display_name: str | None = None
    definition: Definition | None = None
    remarks: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """The last update or deletion of a cluster or tag, that can be undone."""

    kind: Literal["update", "delete"]
    at: str
    now: Cluster
    """As it is, or was when it was deleted."""
    before: Cluster
    """As it will be again."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of a list, with the number of all that match."""

    items: tuple[T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Step:
    """One condition of a funnel, joined to those before it."""

    path: str
    alone: int
    """Users that the condition selects by itself."""
    left: int
    """Users selected by everything up to here."""


@dataclass(frozen=True, slots=True)
class TagValues:
    """How the values of a tag are spread. Values are texts; times in local time."""

    distinct: int
    top: tuple[tuple[str, int], ...]
    """The most frequent values and their users, most frequent first."""
    low: str = ""
    """Least, median and greatest value, of numbers and times."""
    median: str = ""
    high: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """The size of a definition, computed without saving anything."""

    users_num: int
    """Of a tag: users that have a value."""
    all_users: int
    funnel: tuple[Step, ...] = ()
    """Of a cluster."""
    values: TagValues | None = None
    """Of a tag."""
    sample: tuple[dict[str, str], ...] = ()
    sql: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Of SQL: rows that it returned and that count for nobody, by reason (null_ids, null_values, unknown_ids, repeated_ids)."""
    outdated: tuple[Text, ...] = ()
    """Sentences about clusters and tags that it uses whose members are not up to date."""


@dataclass(frozen=True, slots=True)
class Export:
    """A file with the members of a cluster."""

    path: Path
    rows: int
    size_bytes: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdSource:
    """Ids from a caller: in a file, or a few of them in the call."""

    path: str = ""
    ids: tuple[str, ...] = ()
    """One line of the file each: an id, of a tag `id,value`."""
    column: str = ""
    """The column of the file that has the ids, by its name in the header; empty: it is worked out."""


@dataclass(frozen=True, slots=True)
class IdDraft:
    """What is needed to make a cluster or tag of ids."""

    source: IdSource
    display_name: str
    main_column: str
    """The user property that the ids are values of, as it is declared."""
    catalog: str
    cluster_name: str = ""
    """Empty: a name is made."""
    remarks: str = ""


@dataclass(frozen=True, slots=True)
class IdChanges:
    """What replaces the ids of a cluster or tag; None stays as it is."""

    source: IdSource
    display_name: str | None = None
    main_column: str | None = None
    remarks: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of ids (qp.md section 7)."""

    cluster: Cluster | None
    """As it is now; None where nothing was saved, because it was only tried."""
    cluster_name: str
    existed: bool
    """True where the same ids had this name already, so that nothing was saved."""
    upload_num: int
    user_num: int | None
    """None where the platform does not report it, or not before it has the ids; so is `unmatched_num`."""
    unmatched_num: int | None
    tag_value_null_num: int
    duplicates: int
    """Rows whose id is in an earlier row too."""
    unmatched: tuple[str, ...]
    """A few of the ids that no user has."""
    encoding: str
    warnings: tuple[Problem, ...] = ()
    changes: tuple[Text, ...] = ()
    """Of a replacement: what is different now, besides the users."""


class Platform(Protocol):
    """What all platforms have."""

    @property
    def name(self) -> str:
        """`local` or the vendor's name."""
        ...

    @property
    def account(self) -> str:
        """Whose it is, as far as it may be shown; "" on this machine."""
        ...


class SegmentPlatform(Platform, Protocol):
    """Clusters and the data behind them."""

    def only_reading(self) -> "SegmentPlatform":
        """Return the same, but what is out of date is not brought up to date on the way."""
        ...

    async def metadata(self, project_id: str) -> Metadata: ...

    async def preview(
        self,
        project_id: str,
        definition: Definition,
        *,
        sample: int,
        properties: Sequence[str],
        want_sql: bool,
        on_progress: OnProgress,
    ) -> Preview: ...

    def regex_fault(self, pattern: str) -> str:
        """Why a pattern is not valid here; "" where it is. May take a moment: call it in a worker thread."""
        ...

    @property
    def sql_look(self) -> SqlLook:
        """Finds the problems of SQL, and what it reads. Takes a moment, as `regex_fault` does."""
        ...

    def doubts(self, definition: Definition, root: tuple[str | int, ...]) -> tuple[Problem, ...]:
        """Problems and warnings about words of a definition that this platform may not take; `root`: its place."""
        ...

    async def get(self, project_id: str, cluster: str) -> Cluster:
        """By id or by name (any case). NotFound names the nearest."""
        ...

    async def find_name(self, project_id: str, cluster_name: str) -> Cluster | None: ...

    async def search(
        self, project_id: str, *, words: str, cluster_types: Sequence[str], offset: int, limit: int
    ) -> Page[Cluster]: ...

    async def create(self, project_id: str, draft: ClusterDraft) -> Cluster:
        """Save it and start its first computation; what is known of it then. NameTaken where the name is in use."""
        ...

    async def update(self, cluster: Cluster, changes: ClusterChanges) -> Cluster:
        """Save what changes; what is known of it then. A changed definition starts a computation."""
        ...

    async def used_by(self, cluster: Cluster) -> tuple[str, ...]:
        """The names of the clusters and tags whose definitions name this one."""
        ...

    async def check_delete(self, cluster: Cluster) -> None:
        """Raise what `delete` would raise: ClusterInUse where others use it."""
        ...

    async def delete(self, cluster: Cluster) -> None: ...

    async def undoable(self, project_id: str, cluster: str) -> Undo:
        """What `restore` would undo: of a deleted one, by its id or last name. NotFound, NameTaken."""
        ...

    async def restore(self, undo: Undo) -> Cluster:
        """Undo it, under the same id. ChangedMeanwhile where something else was changed since."""
        ...

    @property
    def import_folders(self) -> tuple[Path, ...]:
        """Folders that files of ids are taken from; a path that is not absolute begins in the first one."""
        ...

    async def import_ids(self, project_id: str, draft: IdDraft, *, dry_run: bool, on_progress: OnProgress) -> Imported:
        """Make a cluster or tag of ids. NameTaken where the name is in use for something else."""
        ...

    async def replace_ids(
        self, cluster: Cluster, changes: IdChanges, *, dry_run: bool, on_progress: OnProgress
    ) -> Imported:
        """Put other ids in place of those of an uploaded cluster or tag; where that fails the old ones stay."""
        ...

    async def refresh(self, cluster: Cluster, *, seconds: float | None, on_progress: OnProgress) -> Cluster:
        """Start a computation, or join the one that runs, and wait for it; the cluster as it is then."""
        ...

    async def wait(self, cluster: Cluster, *, seconds: float, on_progress: OnProgress) -> Cluster:
        """Wait until the running computation, if any, ends or the time is over; the cluster as it is then."""
        ...

    async def same_users(self, cluster: Cluster, *, on_progress: OnProgress) -> tuple[str, ...]:
        """Other clusters of another meaning whose last good versions hold exactly the same users, newest first."""
        ...

    async def export(
        self,
        cluster: Cluster,
        *,
        file_format: Literal["csv", "parquet"],
        properties: Sequence[str],
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> Export: ...
