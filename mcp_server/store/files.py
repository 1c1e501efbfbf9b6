"""Files that callers name or hand over: opened without being led elsewhere, uploads on their way in, exports out.

Arguments are often written by a model that has read something hostile. So a path that a caller names counts only inside
the folders that the operator allowed; it is walked folder by folder without following links, opened once, and what was
opened has to be a regular file that really is there. From then on only the descriptor is used, never the path.

A file that is handed over HTTP has a random id and belongs to one project; every caller who may use the project may use
the file. An upload stays for a day, and so does an answer that was too long for a chat. An export is a file in
`exports/`, which belongs to people and stays until they remove it.
"""

import csv
import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final, Literal

from mcp_server.errors import FenqunError, InvalidArguments, LoadRefused, NotFound
from mcp_server.language.problems import finding
from mcp_server.language.suggest import same_value
from mcp_server.sources.report import refuse_ids
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import quoted
from mcp_server.store.workspace import Workspace, explained
from mcp_server.text import Text, listed, same

_OUTSIDE = Text("{path} lies elsewhere.", "{path}不在允许的文件夹内。")
_MISSING = Text("There is no file {path}.", "找不到文件{path}。")
_LINK = Text(
    "{path} is, or leads through, a link or something else that is no folder.",
    "{path}是链接，或途经链接等非文件夹的路径。",
)
_NOT_REGULAR = Text("{path} is not a regular file.", "{path}不是普通文件。")
_UNREADABLE = Text("{path} can't be read: {why}.", "无法读取{path}：{why}。")

_ID = re.compile("[0-9a-f]{32}")
"""What the name of a file that came over HTTP begins with: it is the key to the file."""

_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FOLDER = os.O_RDONLY | _COMMON | getattr(os, "O_DIRECTORY", 0)
_FILE = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Without waiting: a pipe that nobody writes to would block for ever."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file to read, what a person calls it ("" of one that came over HTTP), and its size in bytes."""

    file: BinaryIO
    name: str
    size: int


class AllowedFiles:
    """The folders from which files are taken; a path that is not absolute begins in the first one."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def open(self, path: str) -> OpenedFile:
        """Open what a caller names as `path`. InvalidArguments where it may not, or cannot, be read."""
        folder, parts = self._place(path)
        try:
            return _walk(folder, parts)
        except FileNotFoundError:
            raise self._refused(_MISSING, path, _similar(folder, parts)) from None
        except _NoRegularFile:
            raise self._refused(_NOT_REGULAR, path) from None
        except _Elsewhere:
            raise self._refused(_OUTSIDE, path) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise self._refused(_LINK, path) from None
            why = same(error.strerror or type(error).__name__)
            raise self._refused(_UNREADABLE.format(path="{path}", why=why), path) from None

    def _place(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """Return the allowed folder, resolved, and the parts of the path below it. Nothing is opened."""
        full = Path(path)
        if "\0" not in path and path.strip() and ".." not in full.parts:
            with suppress(RuntimeError, UnicodeEncodeError):  # no home folder; half a character
                os.fsencode(path)
                full = self.folders[0] / full.expanduser()
                for folder in self.folders:
                    real = folder.resolve()
                    for spelling in (folder, real):
                        if full != spelling and full.is_relative_to(spelling):
                            return real, full.relative_to(spelling).parts
        raise self._refused(_OUTSIDE, path)

    def _refused(self, why: Text, path: str, similar: str = "") -> InvalidArguments:
        why, folders = why.format(path=quoted(path)), listed(self.folders)
        return refuse_ids([finding("ids_path", "/path", got=path, why=why, expected=folders, suggestion=similar)])


class _Elsewhere(Exception):
    """What was opened is not where the path says."""


class _NoRegularFile(Exception):
    """A folder, a pipe, a device."""


def _walk(folder: Path, parts: tuple[str, ...]) -> OpenedFile:
    if os.open not in os.supports_dir_fd:  # Windows, where folders can't be walked one by one
        path = folder.joinpath(*parts)
        if path.resolve(strict=True) != path:
            raise _Elsewhere
        return _opened(os.open(path, _FILE), folder, parts)
    current = os.open(folder, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = inner
        descriptor = os.open(parts[-1], _FILE, dir_fd=current)
    finally:
        os.close(current)
    return _opened(descriptor, folder, parts)


def _opened(descriptor: int, folder: Path, parts: tuple[str, ...]) -> OpenedFile:
    try:
        size = _checked_size(descriptor, folder)
    except BaseException:
        os.close(descriptor)
        raise
    return OpenedFile(os.fdopen(descriptor, "rb"), "" if _ID.match(parts[-1]) else parts[-1], size)


def _checked_size(descriptor: int, folder: Path) -> int:
    """Return the size of what was opened, if it is a regular file and the system reports it in the folder.

    Where the system does not report that (no /proc), the walk has to do.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _NoRegularFile
    try:
        real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - no file of ours
    except OSError:
        return status.st_size
    if not real.is_relative_to(folder):
        raise _Elsewhere
    return status.st_size


def _similar(folder: Path, parts: tuple[str, ...]) -> str:
    """The most similar name beside a file that is missing; "" where there is none."""
    try:
        beside = folder.joinpath(*parts[:-1]).iterdir()
        names = [entry.name for entry in beside if entry.is_file() and not _ID.match(entry.name)]
    except OSError:
        return ""
    near = same_value(parts[-1], names)
    return str(folder.joinpath(*parts[:-1], near)) if near else ""


class LocalFiles:
    """Files of this machine as platforms use them: ids that callers give, exports that they get."""

    def __init__(self, workspace: Workspace, folders: Sequence[Path] = ()) -> None:
        """`folders` are further ones from which files are taken, besides `imports/` of the workspace."""
        self._workspace = workspace
        self._allowed = AllowedFiles([workspace.imports, *folders])

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders from which files are taken."""
        return self._allowed.folders

    def open_file(self, path: str) -> OpenedFile:
        """Open the file of this path. InvalidArguments where it may not, or cannot, be read."""
        return self._allowed.open(path)

    def seen(self) -> tuple[Path, ...]:
        """The files that are directly in the folders, without hidden ones and uploads."""
        found = []
        for folder in self.folders:
            with suppress(OSError):
                found += [p for p in folder.iterdir() if p.is_file() and not p.is_symlink()]
        return tuple(p for p in found if p.name[0] != "." and not _ID.match(p.name))

    def open_ids(self, path: str, ids: Sequence[str], *, tag: bool) -> OpenedFile:
        """Open the file of this path; without one, make a file of ids: one to a line, of a tag up to the first comma.

        InvalidArguments where it may not, or cannot, be read.
        """
        if path:
            return self._allowed.open(path)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for one in ids:
            key, comma, value = one.partition(",") if tag else (one, "", "")
            writer.writerow([key.strip(), value] if comma else [key.strip()])
        content = text.getvalue().encode()
        return OpenedFile(io.BytesIO(content), "", len(content))

    def temp_path(self, suffix: str) -> Path:
        """Return a new name for a file of this process."""
        return self._workspace.temp_path(suffix)

    def keep_export(self, temp: Path, stem: str, suffix: str) -> Path:
        """Move a finished file to the folder of exports, under a name that no other file gets, in no process."""
        with explained(self._workspace.root):
            final = self._reserved(stem, suffix)
        try:
            self._workspace.publish(temp, final)
        except FenqunError:
            final.unlink(missing_ok=True)
            raise
        return final

    def _reserved(self, stem: str, suffix: str) -> Path:
        path, number = self._workspace.exports / f"{stem}.{suffix}", 1
        while True:
            try:
                path.touch(mode=0o600, exist_ok=False)
            except FileExistsError:
                number += 1
                path = self._workspace.exports / f"{stem}_{number}.{suffix}"
            else:
                return path


# Files that are handed over HTTP

Direction = Literal["in", "out"]

HANDLE: Final = "upload:"
"""What the handle of an upload begins with, and no path."""
KEEP_UPLOADS: Final = timedelta(days=1)
KEEP_ANSWERS: Final = timedelta(days=1)
MOST_KEPT: Final = 2 << 30
"""Bytes of uploads that one project may have waiting."""

_ANSWER = re.compile(r"answer_[a-z_]+_[0-9a-f]{16}\.json")
_OUT = "direction = 'out' AND file = ?"
_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}")
_NO_UPLOAD = Text("There is no upload {handle} in this project.", "该项目中没有上传文件 {handle}。")
_UPLOAD_FIRST = Text(
    "Uploads stay for a day. Send the file again (POST /imports), and give the path that the answer names.",
    "上传的文件保留一天。请重新发送文件（POST /imports），并使用返回的 path。",
)
_NO_EXPORT = Text("There is no such file.", "没有这个文件。")
_EXPORT_AGAIN = Text("Call export_users again.", "请重新调用 export_users。")
_TOO_MUCH = Text(
    "This project has {size} MB of uploads waiting, and no more fits.",
    "该项目已有 {size} MB 上传文件待用，无法再接收。",
)
_USE_THEM = Text("Import them, or wait: each goes after a day.", "请先导入，或等待其在一天后自动清除。")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded and waits for its import."""

    handle: str
    path: Path
    size_bytes: int


class HandedFiles:
    """The handed files of a workspace."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._workspace = catalog.workspace

    def tidy(self) -> None:
        """Remove uploads and answers that are older than they are kept: they may name people."""
        self._drop_old_uploads()
        self._drop_old_answers()

    # in

    def room(self, project_id: str) -> int:
        """Bytes that may still be uploaded into this project. LoadRefused where there is none."""
        self._drop_old_uploads()
        (row,) = self._database.rows(
            "SELECT coalesce(sum(size_bytes), 0) AS size FROM handed_file WHERE direction = 'in' AND project = ?",
            (project_id,),
        )
        used = int(row["size"])
        if used >= MOST_KEPT:
            raise LoadRefused(_TOO_MUCH.format(size=used >> 20), next_step=_USE_THEM)
        return MOST_KEPT - used

    def temp_path(self) -> Path:
        """A new name to write an upload under."""
        return self._workspace.temp_path(".upload")

    def take(self, temp: Path, project_id: str, suffix: str, by: str) -> Upload:
        """Keep a finished upload, with its suffix where that is a plain one: the import reads the format by it."""
        name = secrets.token_hex(16)
        final = self._workspace.imports / (name + (suffix if _SUFFIX.fullmatch(suffix) else ""))
        size = temp.stat().st_size
        self._workspace.publish(temp, final)
        self._note(name, "in", project_id, final, size, by)
        return Upload(HANDLE + name, final, size)

    def uploaded(self, handle: str, project_id: str) -> Path:
        """The file behind a handle. NotFound, also for one of another project."""
        path = self._file(handle.removeprefix(HANDLE), "in", frozenset({project_id}))
        if path is None:
            raise NotFound(_NO_UPLOAD.format(handle=records.shown(handle)), next_step=_UPLOAD_FIRST)
        return path

    def drop(self, upload: Upload) -> None:
        """Remove an upload whose import is over; it no longer takes room."""
        with self._database.write() as db:
            db.execute("DELETE FROM handed_file WHERE id = ?", (upload.handle.removeprefix(HANDLE),))
        with explained(self._workspace.root):
            upload.path.unlink(missing_ok=True)

    def _drop_old_uploads(self) -> None:
        before = records.write_time(self._catalog.clock() - KEEP_UPLOADS)
        with self._database.write() as db:
            over = "SELECT * FROM handed_file WHERE direction = 'in' AND created_at < ?"
            old = self._database.rows(over, (before,))
            db.executemany("DELETE FROM handed_file WHERE id = ?", [(row["id"],) for row in old])
        for row in old:
            with explained(self._workspace.root):
                self._workspace.absolute(row["file"]).unlink(missing_ok=True)

    # out

    def offer(self, path: Path, project_id: str, by: str) -> str:
        """Return the name under which an exported file can be fetched: an id, with the file's suffix for people.

        An earlier file of the same path is no longer on offer: it may have been another project's.
        """
        name = secrets.token_hex(16)
        with self._database.write() as db:
            db.execute(f"DELETE FROM handed_file WHERE {_OUT}", (self._workspace.relative(path),))
        self._note(name, "out", project_id, path, path.stat().st_size, by)
        return name + path.suffix

    def keep_answer(self, words: str, tool: str) -> Path:
        """Keep an answer that is too long as a file, for a day."""
        self._drop_old_answers()
        temp = self._workspace.temp_path(".json")
        with explained(self._workspace.root):
            temp.write_text(words, encoding="utf-8")
        final = self._workspace.exports / f"answer_{tool}_{secrets.token_hex(8)}.json"
        self._workspace.publish(temp, final)
        return final

    def _drop_old_answers(self) -> None:
        before = (self._catalog.clock() - KEEP_ANSWERS).timestamp()
        with explained(self._workspace.root):
            answers = [path for path in self._workspace.exports.iterdir() if _ANSWER.fullmatch(path.name)]
        old = [path for path in answers if _written_before(before, path)]
        with self._database.write() as db:
            files = [(self._workspace.relative(path),) for path in old]
            db.executemany(f"DELETE FROM handed_file WHERE {_OUT}", files)
        for path in old:
            with explained(self._workspace.root):
                path.unlink(missing_ok=True)

    def offered(self, name: str, projects: frozenset[str] | None) -> Path:
        """The file of this name. NotFound, also where its project is not among these (None: all)."""
        return _present(self._file(name.partition(".")[0], "out", projects))

    def exported(self, name: str, projects: frozenset[str] | None) -> Path:
        """The file that was offered under this name, or the export of this file name of one of these projects.

        Callers that may use every project (None) can have any file of the exports folder. NotFound.
        """
        offered = self._file(name.partition(".")[0], "out", projects)
        exports = (p for p in self._workspace.exports.iterdir() if p.name == name and p.is_file())
        return _present(offered or next((p for p in exports if self._may_have(p, projects)), None))

    def _may_have(self, path: Path, projects: frozenset[str] | None) -> bool:
        if projects is None:
            return True
        row = self._database.row(f"SELECT project FROM handed_file WHERE {_OUT}", (self._workspace.relative(path),))
        return row is not None and row["project"] in projects

    # both

    def _note(self, name: str, direction: Direction, project_id: str, path: Path, size: int, by: str) -> None:
        with self._database.write() as db:
            records.insert(
                db,
                "handed_file",
                id=name,
                direction=direction,
                project=project_id,
                file=self._workspace.relative(path),
                size_bytes=size,
                made_by=by,
                created_at=self._catalog.moment(),
            )

    def _file(self, name: str, direction: Direction, projects: frozenset[str] | None) -> Path | None:
        if not _ID.fullmatch(name):
            return None
        row = self._database.row("SELECT * FROM handed_file WHERE id = ? AND direction = ?", (name, direction))
        if row is None or not (projects is None or row["project"] in projects):
            return None
        path = self._workspace.absolute(row["file"])
        return path if path.is_file() else None


def _written_before(moment: float, path: Path) -> bool:
    try:
        return path.stat().st_mtime < moment
    except OSError:  # another process was faster
        return False


def _present(path: Path | None) -> Path:
    if path is None:
        raise NotFound(_NO_EXPORT, next_step=_EXPORT_AGAIN)
    return path
