"""The folder that holds everything of the local platform, shared by any number of processes.

Files are written under `tmp/`, and become visible by one rename (`publish`); after that they never change. What
counts is what the catalogue names: a file that it does not name is a leftover. Each process has an *owner*, a
random id whose lock file is held for as long as the process lives; the operating system releases it even after
kill -9, so "is the owner alive" needs no heartbeat and no clock. Owners are in the names of the files that they
write, which is how `sweep` knows a leftover from a publish in flight.
"""

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mcp_server.errors import ConfigurationError, DiskFull
from mcp_server.text import Text

FOLDERS = ("data", "members", "exports", "imports", "tmp", "locks")
GRACE = 600.0
"""Seconds that a file stays which the catalogue no longer names: a reader may just be about to open it."""
BUNDLE_MANIFEST = "manifest.json"
"""Beside the code in a bundle for Claude Desktop, and nowhere else."""
UNOWNED_TEMP_AGE = 86400.0
"""Seconds after which a file in `tmp/` that carries no owner is removed."""

_PROGRAM = Path(__file__).resolve().parents[2]
_OWNED = re.compile(r"(?:[^.]+\.)?([0-9a-f]{16})\.[0-9a-f]{12}(?:\..*)?", re.ASCII)
_LOCK = re.compile(r"owner-([0-9a-f]{16})\.lock", re.ASCII)
_FULL = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name))

_NO_SPACE = Text(
    "The disk that holds {path} is full; nothing was changed. Free some space, then try again.",
    "{path} 所在的磁盘已满，未做任何更改。请清理空间后重试。",
)
_IN_BUNDLE = Text(
    "The workspace {path} is inside the folder of the extension, which an update replaces with everything in it. Choose a folder of your own for it in the extension's settings, or with --workspace or FENQUN_WORKSPACE.",
    "工作区 {path} 位于扩展自身的文件夹内，更新扩展时会被连同内容一起替换。请在扩展设置中，或用 --workspace 或 FENQUN_WORKSPACE 另选自己的文件夹。",
)
_UNUSABLE = Text(
    "The workspace {path} can't be written to ({reason}). Correct its permissions, or choose another folder with --workspace or FENQUN_WORKSPACE.",
    "无法写入工作区 {path}（{reason}）。请修正其权限，或用 --workspace 或 FENQUN_WORKSPACE 指定其他文件夹。",
)


def no_space(path: Path) -> DiskFull:
    """Return the error for a full disk or a used-up quota."""
    return DiskFull(_NO_SPACE.format(path=path))


def unusable(path: Path, reason: str) -> ConfigurationError:
    """Return the error for a workspace that can't be written to."""
    return ConfigurationError(_UNUSABLE.format(path=path, reason=reason))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's errors of writing into DiskFull or ConfigurationError, which name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(path) from error
        raise unusable(path, error.strerror or type(error).__name__) from error


class Workspace:
    """One open workspace folder. Make it with `Workspace.open`, end it with `close`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.members = root / "members"
        self.exports = root / "exports"
        self.imports = root / "imports"
        self.tmp = root / "tmp"
        self.locks = root / "locks"
        self.catalog_path = root / "catalog.sqlite"
        self.owner = secrets.token_hex(8)
        """The id of this process in this workspace."""
        # Not thread-local: any thread of the process may close the workspace.
        self._lock = FileLock(self._lock_path(self.owner), mode=0o600, thread_local=False)
        self._dead: set[str] = set()  # ids are random and never reused, so dead stays dead

    @classmethod
    def open(cls, path: Path) -> "Workspace":
        """Make the folders where they are missing, and take the owner lock of this process.

        Raises ConfigurationError where the folder can't be made or written to, or would go with an update, DiskFull where there is no room.
        """
        workspace = cls(path.expanduser().absolute())
        if (_PROGRAM / BUNDLE_MANIFEST).is_file() and workspace.root.resolve().is_relative_to(_PROGRAM):
            raise ConfigurationError(_IN_BUNDLE.format(path=workspace.root))
        with explained(workspace.root):
            for folder in (workspace.root, *(workspace.root / name for name in FOLDERS)):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _make_private(folder)
            workspace._lock.acquire()
        return workspace

    def close(self) -> None:
        """Release the owner lock: what this process left unfinished is now a leftover. May be called twice."""
        self._dead.add(self.owner)
        if self._lock.is_locked:
            with suppress(OSError):  # Windows does not remove an open file; the sweep will
                self._lock_path(self.owner).unlink(missing_ok=True)
            self._lock.release()

    # -- paths -----------------------------------------------------------------------------------------------

    def temp_path(self, suffix: str = "") -> Path:
        """A new name under `tmp/` for a file or folder of this process; nothing is created."""
        return self.tmp / f"{self.owner}.{secrets.token_hex(6)}{suffix}"

    def result_path(self, folder: Path, stem: str, suffix: str) -> Path:
        """A new name for a file to be published into `data/` or `members/`. `stem` holds no dot."""
        return folder / f"{stem}.{self.owner}.{secrets.token_hex(6)}{suffix}"

    def relative(self, path: Path) -> str:
        """A path as the catalogue keeps it, so that the workspace can be moved."""
        return path.relative_to(self.root).as_posix()

    def absolute(self, relative: str) -> Path:
        """The present path of a file that the catalogue names."""
        return self.root / relative

    def publish(self, temp: Path, final: Path) -> None:
        """Move a finished file to its final name so that it survives a power cut. Both lie in the workspace."""
        with explained(self.root):
            temp.chmod(0o600)
            os.utime(temp)  # the age of an unnamed file counts from here
            _sync(temp, os.O_RDWR)
            temp.replace(final)
            if os.name != "nt":  # Windows can't sync a folder
                _sync(final.parent, os.O_RDONLY)

    # -- owners ----------------------------------------------------------------------------------------------

    def _lock_path(self, owner: str) -> Path:
        return self.locks / f"owner-{owner}.lock"

    def owner_alive(self, owner: str) -> bool:
        """True while the process with this owner id lives. About 0.1 ms for another process."""
        if owner in self._dead:
            return False
        if owner == self.owner:
            return True
        lock = self._taken_from_dead(owner)
        if lock is None:
            return True
        lock.release()
        return False

    def _taken_from_dead(self, owner: str) -> FileLock | None:
        """Take the lock of an owner that no longer holds it; None while the owner lives."""
        path = self._lock_path(owner)
        lock = FileLock(path, mode=0o600, thread_local=False)
        # A missing file needs no lock to be dead: it exists before an owner is named anywhere.
        if path.exists():
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return None
        self._dead.add(owner)
        return lock

    # -- sweeping --------------------------------------------------------------------------------------------

    def sweep(self, named: Collection[str], *, now: float | None = None) -> tuple[str, ...]:
        """Remove leftovers; returns what was removed, relative to the root.

        `named` are the relative paths that the catalogue names. Call it while holding the catalogue's write
        lock: then no file can become named while it is being removed. Only names that this class gave are
        touched in `data/` and `members/`; `exports/` and `imports/` belong to people.
        """
        moment = time.time() if now is None else now
        doomed = [p for p in _entries(self.tmp) if self._leftover(p, moment, UNOWNED_TEMP_AGE, unowned=True)]
        for folder in (self.data, self.members):
            unnamed = (p for p in _entries(folder) if self.relative(p) not in named)
            doomed += [p for p in unnamed if self._leftover(p, moment, GRACE, unowned=False)]
        removed = tuple(self.relative(p) for p in doomed if _remove(p))
        self._sweep_locks()
        return removed

    def _leftover(self, path: Path, now: float, age: float, *, unowned: bool) -> bool:
        """Whether an unnamed file may go: its owner is dead, or it is older than `age` seconds.

        A living owner's file in `tmp/` never goes. `unowned`: whether a file without an owner may go.
        """
        owned = _OWNED.fullmatch(path.name)
        if owned and not self.owner_alive(owned[1]):
            return True
        if owned and path.parent == self.tmp:
            return False
        if not owned and not unowned:
            return False
        try:
            return now - path.stat().st_mtime > age
        except OSError:
            return False  # another process was faster

    def _sweep_locks(self) -> None:
        for path in _entries(self.locks):
            match = _LOCK.fullmatch(path.name)
            if not match or match[1] == self.owner:
                continue
            lock = self._taken_from_dead(match[1])
            if lock is None:
                continue
            # Removed while held: a process that opened the file just now sees it unlinked and makes a new one.
            _remove(path)
            lock.release()


def _make_private(folder: Path) -> None:
    """Let only its owner read a folder. One of another user, which we may merely use, stays as it is."""
    with suppress(PermissionError):
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> bool:
    """Remove a file or folder; False where that is not possible now (an open file on Windows)."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    return True


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
