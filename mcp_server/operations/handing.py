"""How files reach an operation and leave it.

Over stdio and on the command line the caller shares this machine's files: a path is a path. Over HTTP he does
not, and must not reach into them: he uploads a file first and names its handle, and gets an address instead
of a path.
"""

from pathlib import Path
from typing import Protocol

from mcp_server.errors import NotAllowed
from mcp_server.operations.identity import Identity
from mcp_server.text import Text

_UPLOAD_FIRST = Text(
    "Over HTTP a path on the server's machine can't be named.", "通过 HTTP 调用时，不能使用服务所在机器上的路径。"
)
_HOW = Text(
    "Send the file with POST {url} first, and give the path that the answer names (it begins with upload:).",
    "请先用 POST {url} 上传文件，再使用返回的 path（以 upload: 开头）。",
)


class Files(Protocol):
    """How files travel for a caller who does not share this machine's files."""

    @property
    def upload_url(self) -> str:
        """Where he sends a file."""
        ...

    def offer(self, path: Path, project_id: str) -> str:
        """The address under which whoever may use the project can fetch this file."""
        ...

    def uploaded(self, handle: str, project_id: str) -> Path:
        """The file behind a handle. NotFound, also for an upload into another project."""
        ...


class Exports(Protocol):
    """The files that export_users wrote."""

    def offer(self, path: Path, project_id: str, by: str) -> str:
        """Note whose file this is; the name under which whoever may use the project can have it."""
        ...

    def keep_answer(self, words: str, tool: str) -> Path:
        """Keep what is too long to be answered as a JSON file beside the exports, for a day; `offer` notes whose it is."""
        ...

    def exported(self, name: str, who: Identity) -> Path:
        """The file of this name. NotFound, also where it belongs to a project out of the caller's reach."""
        ...


def given_file(path: str, project_id: str, files: Files | None) -> Path:
    """The file that an argument names: a path, or over HTTP the handle of an upload into the same project."""
    if files is None:
        return Path(path).expanduser()
    if not path.startswith("upload:"):
        raise NotAllowed(_UPLOAD_FIRST, next_step=_HOW.format(url=files.upload_url))
    return files.uploaded(path, project_id)
