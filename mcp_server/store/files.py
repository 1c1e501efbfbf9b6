"""Files that callers name or hand over: opened without being led elsewhere, uploads on their way in, exports on their way out."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final, Literal, Protocol

from mcp_server.errors import InvalidArguments, LoadRefused, NotFound
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest
from mcp_server.sources.staging import refuse_ids
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import quoted
from mcp_server.store.workspace import explained
from mcp_server.text import Text, listed, same

# Files that a caller names, opened without being led elsewhere.
#
# A caller is whoever writes the arguments, often a model that has read something hostile. So a path counts only
# inside the folders that the operator allowed; it is walked folder by folder without following links, opened once,
# and what was opened has to be a regular file that really lies there. From then on only the descriptor is used, never
# the path.


_OUTSIDE = Text("{path} lies elsewhere.", "{path}不在允许的文件夹内。")
_MISSING = Text("There is no file {path}.", "找不到文件{path}。")
_LINK = Text(
    "{path} is, or leads through, a link or something else that is no folder.",
    "{path}是链接，或途经链接等非文件夹的路径。",
)
_NOT_REGULAR = Text("{path} is not a regular file.", "{path}不是普通文件。")
_UNREADABLE = Text("{path} can't be read: {why}.", "无法读取{path}：{why}。")

_HANDED = re.compile("[0-9a-f]{32}")
"""Files that came over HTTP: their names are the keys to them."""

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
    """The folders from which files are taken; the first one is where a path that is not absolute begins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def open(self, path: str) -> OpenedFile:
        """Open what a caller names as `path`. InvalidArguments where it may not, or cannot, be read."""
        folder, parts = self._place(path)
        try:
            return _walked(folder, parts)
        except FileNotFoundError:
            raise self._refused(_MISSING, path, _close(folder, parts)) from None
        except _NoRegularFile:
            raise self._refused(_NOT_REGULAR, path) from None
        except _Elsewhere:
            raise self._refused(_OUTSIDE, path) from None
        except OSError as error:
            if error.errno in _LED_AWAY:
                raise self._refused(_LINK, path) from None
            why = same(error.strerror or type(error).__name__)
            raise self._refused(_UNREADABLE.format(path="{path}", why=why), path) from None

    def _place(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The allowed folder, as it really is, and the way from there. Nothing is opened to find that out."""
        wanted = Path(path)
        if "\0" not in path and path.strip() and ".." not in wanted.parts:
            with suppress(RuntimeError, UnicodeEncodeError):  # no home folder; half a character
                os.fsencode(path)
                wanted = self.folders[0] / wanted.expanduser()
                for folder in self.folders:
                    real = folder.resolve()
                    for spelt in (folder, real):
                        if wanted != spelt and wanted.is_relative_to(spelt):
                            return real, wanted.relative_to(spelt).parts
        raise self._refused(_OUTSIDE, path)

    def _refused(self, why: Text, path: str, close: str = "") -> InvalidArguments:
        said = why.format(path=quoted(path))
        folders = listed(self.folders)
        return refuse_ids([finding("ids_path", "/path", got=path, why=said, expected=folders, suggestion=close)])


class _Elsewhere(Exception):
    """What was opened does not lie where the path says."""


class _NoRegularFile(Exception):
    """A folder, a pipe, a device."""


_LED_AWAY = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


def _walked(folder: Path, parts: tuple[str, ...]) -> OpenedFile:
    if os.open not in os.supports_dir_fd:
        return _opened(os.open(_as_written(folder.joinpath(*parts)), _FILE), folder, parts)
    here = os.open(folder, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        descriptor = os.open(parts[-1], _FILE, dir_fd=here)
    finally:
        os.close(here)
    return _opened(descriptor, folder, parts)


def _as_written(path: Path) -> Path:
    """Where folders can't be walked one by one (Windows): the path, if no link changes it."""
    if path.resolve(strict=True) != path:
        raise _Elsewhere
    return path


def _opened(descriptor: int, folder: Path, parts: tuple[str, ...]) -> OpenedFile:
    try:
        size = _checked(descriptor, folder)
    except BaseException:
        os.close(descriptor)
        raise
    return OpenedFile(os.fdopen(descriptor, "rb"), "" if _HANDED.match(parts[-1]) else parts[-1], size)


def _checked(descriptor: int, folder: Path) -> int:
    """The size of what was opened, if it is a regular file and the system says that it lies in the folder.

    Where the system says nothing about that (no /proc), the walk stands for it.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise _NoRegularFile
    try:
        real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - no file of ours
    except OSError:
        return found.st_size
    if not real.is_relative_to(folder):
        raise _Elsewhere
    return found.st_size


def _close(folder: Path, parts: tuple[str, ...]) -> str:
    """The most similar name beside a file that is not there."""
    try:
        found = folder.joinpath(*parts[:-1]).iterdir()
        names = [entry.name for entry in found if entry.is_file() and not _HANDED.match(entry.name)]
    except OSError:
        return ""
    close = nearest(parts[-1], names)
    return str(folder.joinpath(*parts[:-1], close)) if close else ""


# Files that are handed over HTTP: uploads on their way into an import, exports on their way out.
#
# Each has a random id and belongs to one project; whoever may use the project may fetch or use it. An upload stays
# for a day, and so does an answer that was too long for a chat. An export is a file in `exports/`, which belongs to
# people and stays until they remove it.


Direction = Literal["in", "out"]

HANDLE: Final = "upload:"
"""What the handle of an upload begins with; no path of a file that a person means does."""
KEEP_UPLOADS: Final = timedelta(days=1)
KEEP_ANSWERS: Final = timedelta(days=1)
MOST_KEPT: Final = 2 << 30
"""Bytes of uploads that one project may have waiting."""

_ID = re.compile(r"[0-9a-f]{32}")
_ANSWER = re.compile(r"answer_[a-z_]+_[0-9a-f]{16}\.json")
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
    """A file that was sent to us and waits for its import."""

    handle: str
    path: Path
    size_bytes: int


class Reach(Protocol):
    """How far a caller may reach."""

    @property
    def projects(self) -> frozenset[str] | None: ...
    def may_use(self, project: str) -> bool: ...


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
        found = self._database.row(
            "SELECT coalesce(sum(size_bytes), 0) AS size FROM handed_file WHERE direction = 'in' AND project = ?",
            (project_id,),
        )
        used = int(found["size"]) if found else 0
        if used >= MOST_KEPT:
            raise LoadRefused(_TOO_MUCH.format(size=used >> 20), next_step=_USE_THEM)
        return MOST_KEPT - used

    def temp_path(self) -> Path:
        """A new name to write an upload under."""
        return self._workspace.temp_path(".upload")

    def take(self, temp: Path, project_id: str, suffix: str, by: str) -> Upload:
        """Keep a finished upload. `suffix` is kept where it is a plain one, for the import reads the format by it."""
        name = secrets.token_hex(16)
        final = self._workspace.imports / (name + (suffix if _SUFFIX.fullmatch(suffix) else ""))
        size = temp.stat().st_size
        self._workspace.publish(temp, final)
        self._note(name, "in", project_id, final, size, by)
        return Upload(HANDLE + name, final, size)

    def uploaded(self, handle: str, project_id: str) -> Path:
        """The file behind a handle. NotFound, also for one of another project."""
        path = self._found(handle.removeprefix(HANDLE), "in", lambda project: project == project_id)
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
            old = db.execute(
                "SELECT * FROM handed_file WHERE direction = 'in' AND created_at < ?", (before,)
            ).fetchall()
            db.executemany("DELETE FROM handed_file WHERE id = ?", [(row["id"],) for row in old])
        for row in old:
            with explained(self._workspace.root):
                self._workspace.absolute(row["file"]).unlink(missing_ok=True)

    # out

    def offer(self, path: Path, project_id: str, by: str) -> str:
        """The name under which an exported file can be fetched: an id, with the file's suffix for people.

        Of a file that lay there before, under the same path, nothing stays on offer: it may have been another project's.
        """
        name = secrets.token_hex(16)
        with self._database.write() as db:
            db.execute(
                "DELETE FROM handed_file WHERE direction = 'out' AND file = ?", (self._workspace.relative(path),)
            )
        self._note(name, "out", project_id, path, path.stat().st_size, by)
        return name + path.suffix

    def keep_answer(self, words: str, tool: str) -> Path:
        """Keep what is too long to be answered as a file, for a day."""
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
            named = [path for path in self._workspace.exports.iterdir() if _ANSWER.fullmatch(path.name)]
        old = [path for path in named if _written_before(before, path)]
        with self._database.write() as db:
            files = [(self._workspace.relative(path),) for path in old]
            db.executemany("DELETE FROM handed_file WHERE direction = 'out' AND file = ?", files)
        for path in old:
            with explained(self._workspace.root):
                path.unlink(missing_ok=True)

    def offered(self, name: str, may_use: Callable[[str], bool]) -> Path:
        """The file of this name. NotFound, also where its project may not be used."""
        return _there(self._offered(name, may_use))

    def exported(self, name: str, who: "Reach") -> Path:
        """The file that was offered under this name, or the export called so of a project that may be used; for who may
        use every project, any file of the exports folder."""
        return _there(self._offered(name, who.may_use) or self._called(name, who))

    def _offered(self, name: str, may_use: Callable[[str], bool]) -> Path | None:
        return self._found(name.partition(".")[0], "out", may_use)

    def _called(self, name: str, who: "Reach") -> Path | None:
        path = next((p for p in self._workspace.exports.iterdir() if p.name == name and p.is_file()), None)
        return path if path and (who.projects is None or self._belongs(path, who)) else None

    def _belongs(self, path: Path, who: "Reach") -> bool:
        row = self._database.row(
            "SELECT project FROM handed_file WHERE direction = 'out' AND file = ?", (self._workspace.relative(path),)
        )
        return row is not None and who.may_use(row["project"])

    # both

    def _note(self, name: str, direction: Direction, project_id: str, path: Path, size: int, by: str) -> None:
        with self._database.write() as db:
            db.execute(
                "INSERT INTO handed_file (id, direction, project, file, size_bytes, made_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (name, direction, project_id, self._workspace.relative(path), size, by, self._catalog.moment()),
            )

    def _found(self, name: str, direction: Direction, may_use: Callable[[str], bool]) -> Path | None:
        if not _ID.fullmatch(name):
            return None
        row = self._database.row("SELECT * FROM handed_file WHERE id = ? AND direction = ?", (name, direction))
        if row is None or not may_use(row["project"]):
            return None
        path = self._workspace.absolute(row["file"])
        return path if path.is_file() else None


def _written_before(moment: float, path: Path) -> bool:
    try:
        return path.stat().st_mtime < moment
    except OSError:  # another process was faster
        return False


def _there(path: Path | None) -> Path:
    if path is None:
        raise NotFound(_NO_EXPORT, next_step=_EXPORT_AGAIN)
    return path
