"""Look at files and load them in a server that runs: private copies of the files, one build for the dry run and the load.

A dry run builds the whole generation, so that what it reports is what a load does; the file is kept for the call that
follows, as long as files, answers and data are the same.
"""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mcp_server.engines.duckdb.connection import connect
from mcp_server.errors import InvalidArguments, LoadRefused
from mcp_server.platforms.data import (
    DataAge,
    FileLook,
    FilePart,
    FolderFile,
    Loaded,
    LoadRequest,
    LoadUndo,
    NamedFile,
    OpenQuestion,
)
from mcp_server.platforms.local.computing import Tasks
from mcp_server.platforms.local.known import local_time
from mcp_server.platforms.local.loading import BuiltLoad, prepare, publish, remembering, report_lines
from mcp_server.platforms.local.replacing import replacement, size_of
from mcp_server.platforms.segments import OnProgress
from mcp_server.sources.loading import Sources, look_at
from mcp_server.sources.look import Look
from mcp_server.sources.mapping import LoadQuestion
from mcp_server.sources.survey import Proposal, Seen
from mcp_server.store.catalog import Catalog
from mcp_server.store.files import LocalFiles
from mcp_server.store.runner import JobControl
from mcp_server.store.workspace import explained
from mcp_server.text import Text, listed

DEMO = "demo"
"""In place of files: the bundled data of the demo."""
DEMO_TODAY = "1998-07-01"
"""The day after the last purchase in it."""
_DEMO_FILES = Path(__file__).resolve().parents[2] / "demo"
MOST_WAITING = 20
"""Files of the folders that are listed."""
_MOST_COLUMNS = 60
"""Columns of one file that are named."""

_LOOKING = Text("Looking at the files", "正在查看文件")
_LOADING = Text("Loading", "正在加载")
_UNREAD = Text("A file can't be read; nothing was loaded.", "有文件无法读取；未加载任何数据。")
_FIX = Text("Fix what is listed and call again.", "请按所列问题修正后重新调用。")
_ANSWER = Text(
    "Ask the user, then call again with answers, such as {example}.",
    "请询问用户，再带上 answers 重新调用，例如 {example}。",
)
_SHOW_VALUES = Text(
    "Their values are not shown in a chat: fenqun load in a terminal shows them. Fix the rows, or call again with skip_bad_rows.",
    "对话中不显示这些值：可在终端用 fenqun load 查看。请修正这些行，或带 skip_bad_rows 重新调用。",
)


class LocalData:
    """`platforms.data.DataPlatform` on the workspace of this machine."""

    def __init__(self, catalog: Catalog, files: LocalFiles, tasks: Tasks, memory_limit: str | None) -> None:
        self._catalog = catalog
        self._files = files
        self._tasks = tasks
        self._memory_limit = memory_limit
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        return self._files.folders

    def waiting(self) -> tuple[FolderFile, ...]:
        found = sorted(self._files.seen(), key=lambda path: path.stat().st_mtime, reverse=True)
        return tuple(FolderFile(str(path), path.stat().st_size) for path in found[:MOST_WAITING])

    async def look(self, project_id: str, request: LoadRequest, *, on_progress: OnProgress) -> FileLook:
        return await self._tasks.run(lambda control: self._look(project_id, request, control), on_progress, _LOOKING)

    async def load(self, project_id: str, request: LoadRequest, *, dry_run: bool, on_progress: OnProgress) -> Loaded:
        return await self._tasks.run(
            lambda control: self._load(project_id, request, control, dry_run=dry_run), on_progress, _LOADING
        )

    def _look(self, project_id: str, request: LoadRequest, control: JobControl) -> FileLook:
        request = _dated(request)
        project = self._catalog.find_project(project_id)
        zone = request.time_zone or (project.zone if project else "Asia/Shanghai")
        with (
            self._copied(request.files, control) as copies,
            closing(connect(control.temp_path(".spill"), memory_limit=self._memory_limit)) as connection,
        ):
            control.on_interrupt(connection.interrupt)
            looking = Look(connection, copies.folder / "opened")
            decide = remembering(self._catalog, project_id)
            proposal = look_at(looking, _sources(copies, request), zone, decide)
            return FileLook(_parts(proposal), tuple(_open(question) for question in proposal.questions))

    def _load(self, project_id: str, request: LoadRequest, control: JobControl, *, dry_run: bool) -> Loaded:
        request = _dated(request)
        with self._lock, self._copied(request.files, control) as copies:
            kept = self._built(project_id, request, copies, control)
            prepared = kept.prepared
            if not dry_run:
                control.check()
                publish(self._catalog, prepared)
                self._kept = None
            return Loaded(
                prepared.replacement,
                f"{project_id}@{prepared.number}",
                kept.key,
                tuple(map(_no_example, report_lines(prepared.built.report))),
                kept.parts,
            )

    def _built(self, project_id: str, request: LoadRequest, copies: "_Copies", control: JobControl) -> "_Kept":
        """The generation that these files make; the one of the last call where nothing is different since."""
        project = self._catalog.find_project(project_id)
        number = project.generation if project else 0
        key = hashlib.sha256(
            repr(
                (project_id, number, copies.digests, sorted(request.answers.items(), key=str), _options(request))
            ).encode()
        ).hexdigest()
        if self._kept is not None and self._kept.key == key and self._kept.prepared.out.exists():
            return self._kept
        self.forget()
        working = threading.get_ident()

        def report(percent: float, _: Text) -> None:
            control.report(percent)
            if threading.get_ident() == working:
                control.check()

        out = self._catalog.workspace.temp_path(".duckdb")
        sources = _sources(copies, request)
        try:
            prepared = prepare(
                self._catalog,
                project_id,
                sources,
                out,
                on_progress=report,
                time_zone=request.time_zone,
                as_of=request.as_of,
                skip_bad_rows=request.skip_bad_rows,
                memory_limit=self._memory_limit,
            )
        except LoadRefused as error:
            raise _for_a_chat(error, copies) from error
        self._kept = _Kept(key, prepared, _mapped(prepared))
        return self._kept

    def age(self, project_id: str) -> DataAge:
        data = self._catalog.generation(project_id)
        size = size_of(data.metadata)
        at = local_time(data.data_at, data.metadata)
        return DataAge(at, (self._catalog.clock() - data.data_at).days, size.first, size.last)

    def undoable(self, project_id: str) -> LoadUndo:
        now, before = self._catalog.generation(project_id), self._catalog.generation_before(project_id)
        at = local_time(now.data_at, now.metadata)
        compared = replacement(self._catalog, now.metadata, before.metadata)
        return LoadUndo(at, compared, now.number, f"{project_id}@{now.number}")

    def restore(self, project_id: str, undo: LoadUndo) -> None:
        self._catalog.undo_load(project_id, undo.number)

    def forget(self) -> None:
        """Remove what was built and not loaded."""
        if self._kept is not None:
            self._kept.prepared.out.unlink(missing_ok=True)
            self._kept = None

    @contextmanager
    def _copied(self, files: Sequence[NamedFile], control: JobControl) -> Iterator["_Copies"]:
        """Private copies of the files, under their own names: a file that changes meanwhile changes nothing."""
        folder = control.temp_path(".files")
        copies, problems = _Copies(folder, [], []), []
        with explained(self._catalog.workspace.root):
            for i, file in enumerate(() if _is_demo(files) else files):
                try:
                    self._copy(file, i, copies)
                except InvalidArguments as error:
                    problems += [replace(problem, path=f"/files/{i}") for problem in error.problems]
            if problems:
                raise InvalidArguments(_UNREAD, next_step=_FIX, problems=problems)
        try:
            yield copies
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _copy(self, file: NamedFile, i: int, copies: "_Copies") -> None:
        opened = self._files.open_file(str(file.upload or file.path))
        digest = hashlib.sha256()
        with opened.file:
            target = copies.folder / str(i) / (opened.name or f"upload{(file.upload or Path()).suffix}")
            target.parent.mkdir(parents=True)
            with target.open("wb") as copy:
                while chunk := opened.file.read(1 << 20):
                    digest.update(chunk)
                    copy.write(chunk)
        copies.paths.append(target)
        copies.digests.append(f"{target.name} {digest.hexdigest()}")


@dataclass(frozen=True, slots=True)
class _Copies:
    folder: Path
    paths: list[Path]
    digests: list[str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the last dry run built."""

    key: str
    prepared: BuiltLoad
    parts: tuple[FilePart, ...]


def _options(request: LoadRequest) -> tuple[object, ...]:
    return (request.time_zone, request.as_of, request.skip_bad_rows)


def _is_demo(files: Sequence[NamedFile]) -> bool:
    return [file.path for file in files] == [DEMO]


def _dated(request: LoadRequest) -> LoadRequest:
    """The request with the demo's day as today, where its data is loaded without another one."""
    return replace(request, as_of=request.as_of or DEMO_TODAY) if _is_demo(request.files) else request


def _sources(copies: _Copies, request: LoadRequest) -> Sources:
    """`sheet` and `encoding` are answers too, though no question asks for them."""
    if _is_demo(request.files):
        events, users = (str(_DEMO_FILES / f"{name}.parquet") for name in ("events", "users"))
        return Sources(events, users, metadata=_DEMO_FILES / "metadata.json")
    answers = dict(request.answers)
    return Sources(
        files=[str(path) for path in copies.paths],
        answers={key: value for key, value in answers.items() if key not in ("sheet", "encoding")},
        sheet=str(answers.get("sheet", "")),
        encoding=str(answers.get("encoding", "")),
    )


def _open(question: LoadQuestion) -> OpenQuestion:
    default = question.default
    return OpenQuestion(
        question.key,
        question.files,
        question.why,
        tuple(choice or '""' for choice in question.choices),
        "" if default is None else default if isinstance(default, str) else str(default),
        must=question.must,
    )


def _parts(proposal: Proposal) -> tuple[FilePart, ...]:
    return tuple(_part(seen) for seen in proposal.seen)


def _part(seen: Seen) -> FilePart:
    section = seen.section
    if section.role == "log":
        return FilePart(section.files, section.format, "log", None)
    moments = section.moments()
    times = {" + ".join(columns): name for name, columns in moments.items()}
    taken = [(name, rule) for name, rule in section.columns.items() if rule.type not in ("leave out", "pairs")]
    return FilePart(
        section.files,
        section.format
        + (f" {section.encoding}" if section.encoding else "")
        + (f" [{section.sheet}]" if section.sheet else ""),
        section.role,
        seen.table.count,
        section.user,
        section.event or section.event_name if not section.times else " / ".join(section.times),
        " / ".join(times) if section.role == "events" else "",
        tuple(f"{name}: {rule.type}" for name, rule in taken[:_MOST_COLUMNS]),
        tuple(name for name, rule in section.columns.items() if rule.type == "leave out")[:_MOST_COLUMNS],
        _notes(seen),
    )


def _notes(seen: Seen) -> tuple[Text, ...]:
    """What a person should know: sentences about files and columns, none with a value of a person."""
    columns = [
        Text(f"{fact.name}: {listed(fact.notes).en}", f"{fact.name}：{listed(fact.notes).zh}")
        for fact in seen.survey.facts
        if fact.notes
    ]
    return tuple(map(_no_example, (*seen.notes, *columns)))


def _no_example(note: Text) -> Text:
    """A note about a column without the value that it gives as an example."""
    en = re.sub(r", for example (['\"]).*\1", "", note.en)
    return Text(en, re.sub(r"，例如 (['\"]).*\1", "", note.zh))


def _mapped(prepared: BuiltLoad) -> tuple[FilePart, ...]:
    return tuple(
        FilePart(
            section.files,
            section.format,
            section.role,
            None,
            section.user,
            section.event or section.event_name if not section.times else " / ".join(section.times),
        )
        for section in prepared.built.mapping.files
    )


def _for_a_chat(error: LoadRefused, copies: _Copies) -> LoadRefused:
    """The same refusal for a model to read: files by their names, no values of rows, and what to call next."""
    open_keys = [problem for problem in error.problems if problem.code == "load_undecided"]
    valued = any(problem.got for problem in error.problems)
    problems = [
        replace(problem, got="", message=_bare(_without(problem.message, problem.got), copies))
        for problem in error.problems
    ]
    step = error.next_step
    if open_keys:
        key = open_keys[0].path.removeprefix("/")
        choice = open_keys[0].expected.en.split(", ")[0] or "…"
        step = _ANSWER.format(example=f"{key}={choice}")
    elif valued or any(problem.path in ("/events", "/users") for problem in error.problems):
        step = _SHOW_VALUES
    return LoadRefused(_bare(error.message, copies), next_step=_bare(step, copies), problems=problems)


def _without(message: Text, value: str) -> Text:
    """A sentence about a row without the value that it ends with (`sources.report.BadRow.text`)."""
    if not value:
        return message
    return Text(message.en.replace(f": {value!r}", ""), message.zh.replace(f"：{value!r}", ""))


def _bare(words: Text, copies: _Copies) -> Text:
    """A sentence without the folders of the private copies."""
    pattern = re.escape(str(copies.folder)) + r"/[0-9]+/"
    return Text(*(re.sub(pattern, "", each) for each in words))
