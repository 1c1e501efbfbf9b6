"""The rows of the catalogue as values. Times are aware, in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from mcp_server.qp.metadata import Metadata
from mcp_server.text import NOTHING, Text

JobState = Literal["running", "done", "failed", "interrupted"]
Facts = Mapping[str, object]
"""Plain JSON values that the catalogue keeps without looking inside."""


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project: a data set with its clock."""

    id: str
    zone: str
    as_of: date | None
    generation: int
    """Number of the current generation."""
    changes: int
    """Grows with whatever happens to its clusters and their versions."""


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """The data of a project as one load left it."""

    project: str
    number: int
    parts: tuple[str, ...]
    """Relative paths of its files. Today always one; daily loads will append."""
    metadata: Metadata
    """`today` is that of the moment of reading."""
    facts: Facts
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """The members of a cluster as one computation found them; immutable."""

    cluster: int
    number: int
    file: str
    """Relative path."""
    users_num: int
    computed_at: datetime
    duration: float
    """Seconds of computing."""
    generation: int
    definition_hash: str
    local_day: date
    """The project's day that its windows were resolved against."""
    job: int
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterDraft:
    """What is needed to create a cluster. The definition is normalised JSON text."""

    name: str
    display_name: str
    cluster_type: str
    definition: str
    definition_hash: str
    remarks: str = ""
    catalog: str = "catalog_cluster"


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """What an update changes; None stays as it is. A definition always comes with its hash."""

    display_name: str | None = None
    remarks: str | None = None
    definition: str | None = None
    definition_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A cluster as it stands."""

    id: int
    project: str
    name: str
    display_name: str
    catalog: str
    cluster_type: str
    remarks: str
    definition: str
    definition_hash: str
    definition_changed_at: datetime
    created_at: datetime
    updated_at: datetime
    revision: int
    """Grows with every change of the cluster, not with its refreshes."""
    current: VersionRecord | None
    """The last good version; None where nothing was computed yet."""


@dataclass(frozen=True, slots=True)
class ClusterPage:
    """A slice of a list, newest first, with the number of all that match."""

    clusters: tuple[ClusterRecord, ...]
    total: int


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One computation of a cluster, running or ended."""

    id: int
    cluster: int
    kind: str
    owner: str
    """The process that runs it."""
    state: JobState
    progress: int
    """0 to 100; -1 when it failed or was interrupted."""
    definition: str
    """What it computes: the cluster's definition as it was when the job was asked for."""
    definition_hash: str
    generation: int
    local_day: date
    created_at: datetime
    started_at: datetime | None
    """None while it waits for its turn."""
    finished_at: datetime | None
    version: int | None = None
    """The version that it made, once done."""
    error_code: str = ""
    error: Text = NOTHING
    stop: str = ""
    """Why it was asked to end; it may still be running."""

    @property
    def running(self) -> bool:
        return self.state == "running"
