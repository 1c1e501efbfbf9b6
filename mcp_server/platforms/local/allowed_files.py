"""Files that a caller names, opened without being led elsewhere.

A caller is whoever writes the arguments, often a model that has read something hostile. So a path counts only inside the
folders that the operator allowed; it is walked folder by folder without following links, opened once, and what was
opened has to be a regular file that really lies there. From then on only the descriptor is used, never the path.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcp_server.engine.report import refuse_ids
from mcp_server.errors import InvalidArguments
from mcp_server.platforms.local.rows import quoted
from mcp_server.qp.problems import finding
from mcp_server.qp.suggest import nearest
from mcp_server.text import Text, listed, same

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
class Opened:
    """A file to read, what a person calls it ("" of one that came over HTTP), and its size in bytes."""

    file: BinaryIO
    name: str
    size: int


class AllowedFiles:
    """The folders from which files are taken; the first one is where a path that is not absolute begins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def open(self, path: str) -> Opened:
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


def _walked(folder: Path, parts: tuple[str, ...]) -> Opened:
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


def _opened(descriptor: int, folder: Path, parts: tuple[str, ...]) -> Opened:
    try:
        size = _checked(descriptor, folder)
    except BaseException:
        os.close(descriptor)
        raise
    return Opened(os.fdopen(descriptor, "rb"), "" if _HANDED.match(parts[-1]) else parts[-1], size)


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
