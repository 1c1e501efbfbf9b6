"""The rows of the catalogue as records, and the one place that knows how values are written in its columns.

Times are aware, in UTC, written so that the order of their texts is the order of time.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mcp_server.language.metadata import Metadata
from mcp_server.text import NOTHING, Text

JobState = Literal["running", "done", "failed", "interrupted"]
StopReason = Literal["unwanted", "superseded", "deleted", "restored", "closed", "owner_gone"]
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
    """When it became the current one: by its load, or by the undo of a later load."""

    @property
    def data_at(self) -> datetime:
        """When its data was loaded."""
        known = self.facts.get("loaded_at")
        return datetime.fromisoformat(known) if isinstance(known, str) else self.loaded_at


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """The members of a cluster as one computation selected them; immutable."""

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
class ClusterRecord:
    """A cluster as it is now."""

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
    """What it computes: the cluster's definition when the job was requested."""
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
    stop: StopReason | None = None
    """Why it was asked to end; it may still be running."""

    @property
    def running(self) -> bool:
        return self.state == "running"


# Rows to records and back

T = TypeVar("T")
Value = str | int | float | None
"""What a column holds."""
Reader = Callable[[sqlite3.Row], T]


def reader(record: type[T], within: str = "", **special: Reader[object]) -> Reader[T]:
    """Return a function that reads rows into a dataclass: each field from the column of its name, by the field's type.

    A field that is a dataclass is read from the columns `field.inner`; where it may be None, it is None if the first of
    them is. A `Text` has two columns, `field_en` and `field_zh`. `special` reads fields that have no such column.
    """
    columns = get_type_hints(record).items()
    readers = [special.get(name) or _reader_of(hint, within + name) for name, hint in columns]
    return lambda row: record(*[read(row) for read in readers])


def _reader_of(hint: Any, column: str) -> Reader[object]:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    kind = get_origin(hint) or hint
    if kind in (str, int, float, Literal):
        return itemgetter(column)
    if kind is Text:
        return lambda row: Text(row[f"{column}_en"], row[f"{column}_zh"])
    if hasattr(kind, "__dataclass_fields__"):
        inner, first = reader(kind, f"{column}."), f"{column}.{next(iter(kind.__dataclass_fields__))}"
        return lambda row: None if row[first] is None else inner(row)
    read = _READ[kind]
    return lambda row: None if row[column] is None else read(row[column])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


_READ: Mapping[object, Callable[[str], object]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    tuple: lambda text: _tuples(json.loads(text)),
    Mapping: json.loads,
    Metadata: Metadata.model_validate_json,
}


def written(value: object) -> Value:
    """Return a value as its column holds it; a naive time is one of Beijing, kept as the vendors' pages write it."""
    match value:
        case None | str() | int() | float():
            return value
        case datetime():
            return write_time(value) if value.tzinfo else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case Metadata():
            return value.model_dump_json()
        case Mapping():
            return json.dumps(dict(value), ensure_ascii=False)
        case list() | tuple():
            return json.dumps(value, ensure_ascii=False)
        case _:
            raise TypeError(f"no column holds a {type(value).__name__}")


def write_time(moment: datetime) -> str:
    """Return an aware time as text whose order is the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def insert(db: sqlite3.Connection, table: str, **columns: object) -> int:
    """Insert a row; return its number."""
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    return int(db.execute(statement, tuple(map(written, columns.values()))).lastrowid or 0)


def update(db: sqlite3.Connection, table: str, where: str, values: Sequence[Value], **columns: object) -> bool:
    """Change the rows that meet a condition with these values; return whether there were any."""
    statement = f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE {where}"
    return db.execute(statement, (*map(written, columns.values()), *values)).rowcount > 0


project = reader(ProjectRecord)
generation = reader(GenerationRecord)
version = reader(VersionRecord)
cluster = reader(ClusterRecord)
job = reader(JobRecord)

_CURRENT = ", ".join(f'v.{each.name} AS "current.{each.name}"' for each in fields(VersionRecord))
_ANY_CLUSTER = (
    f"SELECT c.*, {_CURRENT} FROM cluster c LEFT JOIN version v ON v.cluster = c.id AND v.number = c.version"
    " WHERE c.deleted_at IS"
)
CLUSTER = f"{_ANY_CLUSTER} NULL"
"""Reads `cluster` rows; conditions on `c` are added with AND."""
DELETED = f"{_ANY_CLUSTER} NOT NULL"
"""The same for those that were deleted."""


# Texts of callers


def search_words(*parts: str) -> str:
    """What a search looks through. A unit separator keeps a match from running over two parts."""
    return "\x1f".join(parts).casefold()


def storable(*texts: str) -> bool:
    """Return False where a text holds a lone surrogate: JSON can carry one, no file can."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def id_in(text: str) -> int:
    """The id that a text of digits names; -1, which nothing has, where it names none that SQLite can hold."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1


def shown(text: str) -> str:
    """A caller's text, fit to be quoted in a message: one line, not long."""
    line = "".join(c if c.isprintable() else " " for c in text[:80])
    return line + "…" if len(text) > 80 else line


def quoted(text: str) -> Text:
    """A caller's text, cut and in the quotation marks of each language."""
    return Text(f'"{shown(text)}"', f"“{shown(text)}”")
