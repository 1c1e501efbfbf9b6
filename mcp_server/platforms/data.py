"""What the operations need to look at files and load them: a protocol and its records.

Data is loaded on this machine only; where clusters are on a remote platform, their data is that platform's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mcp_server.errors import Problem
from mcp_server.platforms.segments import OnProgress
from mcp_server.text import Text, listed


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a caller names: the path to open, or the private file of an upload."""

    path: str
    upload: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Files, and what is decided of how they are read."""

    files: tuple[NamedFile, ...]
    answers: Mapping[str, Any] = field(default_factory=dict)
    """Answers to questions: key of the question (or `file:key`) to value."""
    time_zone: str = ""
    """Of the project, and of times without an offset; empty: as before."""
    as_of: str = ""
    skip_bad_rows: bool = False


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """Something that the files do not decide."""

    key: str
    file: str
    why: Text
    choices: tuple[str, ...] = ()
    default: str = ""
    """What is taken where nobody answers."""
    must: bool = False
    """Nothing is taken: it has to be answered."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """How the files of one kind would be read. No values of people."""

    file: str
    format: str
    role: str
    """`events`, `users` or `log`."""
    rows: int | None
    user: str = ""
    event: str = ""
    """The column that names the event, or its constant name."""
    time: str = ""
    columns: tuple[str, ...] = ()
    """`name: type` each, without those that are left out."""
    left_out: tuple[str, ...] = ()
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class FileLook:
    """What files hold, and what a person has to decide."""

    parts: tuple[FilePart, ...]
    questions: tuple[OpenQuestion, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """How much data a project has."""

    rows: int
    users: int
    first: str = ""
    """First and last day with events, `yyyy-MM-dd`; empty where there are none."""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What one generation of data puts in the place of another."""

    before: Size | None
    """None where the project had no data."""
    after: Size
    events_gone: tuple[str, ...] = ()
    properties_gone: tuple[str, ...] = ()
    clusters_hit: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Events that go and that clusters name, each with those clusters."""
    shrinks: bool = False
    """More than a tenth of the event rows or of the users goes."""
    apart: bool = False
    """The new days do not overlap the old ones."""

    def changes(self) -> tuple[Text, ...]:
        """What would be different, one sentence each; empty for a first load."""
        before, after = self.before, self.after
        if before is None:
            return ()
        said = [
            Text("event rows {a} → {b}", "事件行数 {a} → {b}").format(a=f"{before.rows:,}", b=f"{after.rows:,}"),
            Text("users {a} → {b}", "用户数 {a} → {b}").format(a=f"{before.users:,}", b=f"{after.users:,}"),
            Text("days {a} → {b}", "日期 {a} → {b}").format(a=_days(before), b=_days(after)),
        ]
        if self.events_gone:
            said.append(Text("events that go: {names}", "将消失的事件：{names}").format(names=_some(self.events_gone)))
        if self.properties_gone:
            names = _some(self.properties_gone)
            said.append(Text("properties that go: {names}", "将消失的属性：{names}").format(names=names))
        return tuple(said)

    def warnings(self) -> tuple[Text, ...]:
        """Why a person should think twice, one sentence each."""
        said = []
        if self.shrinks:
            said.append(Text("More than a tenth of the data goes.", "超过十分之一的数据将消失。"))
        for event, clusters in self.clusters_hit:
            said.append(
                Text(
                    "{clusters} name the event {event}, which goes.", "{clusters} 用到事件 {event}，而它将消失。"
                ).format(clusters=_some(clusters), event=event)
            )
        if self.apart:
            said.append(
                Text(
                    "The new days do not overlap the old ones. A load replaces everything: to add days, load the old files and the new ones together.",
                    "新旧日期没有重叠。加载会替换全部数据：如需追加日期，请将旧文件与新文件一起加载。",
                )
            )
        return tuple(said)


def _days(size: Size) -> Text:
    if not size.first:
        return Text("none", "无")
    return Text(f"{size.first} to {size.last}", f"{size.first} 至 {size.last}")


_MOST_NAMED = 12


def _some(names: Sequence[str]) -> Text:
    shown, more = listed(names[:_MOST_NAMED]), len(names) - _MOST_NAMED
    if more > 0:
        return Text(f"{shown.en} and {more} more", f"{shown.zh} 等 {len(names)} 个")
    return shown


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, or would do."""

    replacement: Replacement
    stamp: str
    """Another text once the project has other data."""
    digest: str
    """Another text for other files or other answers."""
    sentences: tuple[Text, ...] = ()
    """What was loaded, left out, or read otherwise than it looks."""
    parts: tuple[FilePart, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file that could be loaded."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LoadUndo:
    """The last load of a project, that can be undone."""

    at: str
    """When it was loaded, in the project's time."""
    replacement: Replacement
    """From the data of now to that of before."""
    number: int
    """Of the generation that would be undone."""
    stamp: str


@dataclass(frozen=True, slots=True)
class DataAge:
    """When a project's data was loaded, and which days it has."""

    loaded_at: str
    """In the project's time."""
    days: int
    """Whole days since."""
    first: str = ""
    last: str = ""


class DataPlatform(Protocol):
    """The files of this machine, and the data made of them."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders from which files are taken."""
        ...

    def waiting(self) -> tuple[FolderFile, ...]:
        """The files in those folders, newest first."""
        ...

    async def look(self, project_id: str, request: LoadRequest, *, on_progress: OnProgress) -> FileLook:
        """LoadRefused where a file cannot be read, InvalidArguments where it may not be."""
        ...

    async def load(self, project_id: str, request: LoadRequest, *, dry_run: bool, on_progress: OnProgress) -> Loaded:
        """Replace the project's data. LoadRefused where something is undecided or rows are bad; then nothing changed."""
        ...

    def age(self, project_id: str) -> DataAge:
        """How old the data of a project is."""
        ...

    def undoable(self, project_id: str) -> LoadUndo:
        """What `restore` would undo. NotFound where nothing is kept to go back to."""
        ...

    def restore(self, project_id: str, undo: LoadUndo) -> None:
        """Make the data of before the last load current again. ChangedMeanwhile where other data was loaded since."""
        ...
