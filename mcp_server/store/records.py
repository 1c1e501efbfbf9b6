"""The rows of the catalogue as values (times aware, in UTC), and how they are written in the file."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from mcp_server.language.metadata import Metadata
from mcp_server.text import NOTHING, Text

# The rows of the catalogue as values. Times are aware, in UTC.


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
class NewCluster:
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


# Rows of the catalogue to records and back: the only place that knows how values are written in the file.


_ANY_CLUSTER = (
    "SELECT c.*, v.number AS v_number, v.file, v.users_num, v.computed_at, v.duration, v.generation, v.job, v.facts,"
    " v.definition_hash AS v_definition_hash, v.local_day"
    " FROM cluster c LEFT JOIN version v ON v.cluster = c.id AND v.number = c.version WHERE c.deleted_at IS"
)
CLUSTER = f"{_ANY_CLUSTER} NULL"
"""Reads `cluster` rows; conditions on `c` are added with AND."""
DELETED = f"{_ANY_CLUSTER} NOT NULL"
"""The same for those that were deleted."""


def write_time(moment: datetime) -> str:
    """An aware time as text whose order is the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe_time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)


def write_facts(facts: Facts | None) -> str:
    """Plain JSON values as text."""
    return json.dumps(dict(facts or {}), ensure_ascii=False)


def search_words(*parts: str) -> str:
    """What a search looks through. A unit separator keeps a match from running over two parts."""
    return "\x1f".join(parts).casefold()


def storable(*texts: str) -> bool:
    """False where a text holds a lone surrogate: JSON can carry one, no file can."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """Words of a caller, fit to be quoted in a message: one line, not long."""
    line = "".join(c if c.isprintable() else " " for c in text[:80])
    return line + "…" if len(text) > 80 else line


def quoted(text: str) -> Text:
    """Words of a caller, cut and in the quotation marks of each language."""
    return Text(f'"{shown(text)}"', f"“{shown(text)}”")


def project(row: sqlite3.Row) -> ProjectRecord:
    as_of = date.fromisoformat(row["as_of"]) if row["as_of"] else None
    return ProjectRecord(row["id"], row["zone"], as_of, row["generation"], row["changes"])


def generation(row: sqlite3.Row) -> GenerationRecord:
    return GenerationRecord(
        project=row["project"],
        number=row["number"],
        parts=tuple(json.loads(row["parts"])),
        metadata=Metadata.model_validate_json(row["metadata"]),
        facts=json.loads(row["facts"]),
        loaded_at=read_time(row["loaded_at"]),
    )


def version(row: sqlite3.Row) -> VersionRecord:
    return _version(row, row["cluster"], row["number"], row["definition_hash"])


def _version(row: sqlite3.Row, cluster_id: int, number: int, definition_hash: str) -> VersionRecord:
    return VersionRecord(
        cluster=cluster_id,
        number=number,
        file=row["file"],
        users_num=row["users_num"],
        computed_at=read_time(row["computed_at"]),
        duration=row["duration"],
        generation=row["generation"],
        definition_hash=definition_hash,
        local_day=date.fromisoformat(row["local_day"]),
        job=row["job"],
        facts=json.loads(row["facts"]),
    )


def cluster(row: sqlite3.Row) -> ClusterRecord:
    current = None if row["v_number"] is None else _version(row, row["id"], row["v_number"], row["v_definition_hash"])
    return ClusterRecord(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        display_name=row["display_name"],
        catalog=row["catalog"],
        cluster_type=row["cluster_type"],
        remarks=row["remarks"],
        definition=row["definition"],
        definition_hash=row["definition_hash"],
        definition_changed_at=read_time(row["definition_changed_at"]),
        created_at=read_time(row["created_at"]),
        updated_at=read_time(row["updated_at"]),
        revision=row["revision"],
        current=current,
    )


def job(row: sqlite3.Row) -> JobRecord:
    return JobRecord(
        id=row["id"],
        cluster=row["cluster"],
        kind=row["kind"],
        owner=row["owner"],
        state=row["state"],
        progress=row["progress"],
        definition=row["definition"],
        definition_hash=row["definition_hash"],
        generation=row["generation"],
        local_day=date.fromisoformat(row["local_day"]),
        created_at=read_time(row["created_at"]),
        started_at=_maybe_time(row["started_at"]),
        finished_at=_maybe_time(row["finished_at"]),
        version=row["version"],
        error_code=row["error_code"],
        error=Text(row["error_en"], row["error_zh"]),
        stop=row["stop"] or "",
    )
