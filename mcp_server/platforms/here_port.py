"""What the remote platform needs of this machine: files of ids in, exported files out, and a check of patterns."""

from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from mcp_server.platforms.ports import IdSource


class Source(NamedTuple):
    """Ids to read: an opened file, what it is called ("" where they stood in the call), its size in bytes."""

    file: BinaryIO
    name: str
    size: int


class Here(Protocol):
    """This machine."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where files of ids may lie."""
        ...

    def open_ids(self, source: IdSource, *, tag: bool) -> Source:
        """InvalidArguments where it may not, or cannot, be read."""
        ...

    def temp_path(self, suffix: str) -> Path:
        """A new name for a file of this process."""
        ...

    def keep_export(self, temp: Path, stem: str, suffix: str) -> Path:
        """Move a finished file to the folder of exports, under a name that nobody else gets."""
        ...

    def regex_fault(self, pattern: str) -> str:
        """As `ports.SegmentPlatform.regex_fault`."""
        ...


class Nowhere:
    """No machine: for who only asks a platform."""

    folders: tuple[Path, ...] = ()

    def open_ids(self, source: IdSource, *, tag: bool) -> Source:
        raise RuntimeError(_ONLY_ASKED)

    def temp_path(self, suffix: str) -> Path:
        raise RuntimeError(_ONLY_ASKED)

    def keep_export(self, temp: Path, stem: str, suffix: str) -> Path:
        raise RuntimeError(_ONLY_ASKED)

    def regex_fault(self, pattern: str) -> str:
        raise RuntimeError(_ONLY_ASKED)


_ONLY_ASKED = "this platform was connected without a machine"
