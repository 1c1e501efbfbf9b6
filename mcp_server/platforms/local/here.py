"""This machine, as a remote platform uses it (`platforms.here_port.Here`): the workspace's folders and the engine's patterns."""

from pathlib import Path

from mcp_server.engine.duck import Engine
from mcp_server.errors import FenqunError
from mcp_server.platforms.here_port import Source
from mcp_server.platforms.local.allowed_files import AllowedFiles
from mcp_server.platforms.local.export import reserved
from mcp_server.platforms.local.imports import inline
from mcp_server.platforms.local.workspace import Workspace, explained
from mcp_server.platforms.ports import IdSource


class LocalHere:
    """The workspace, its engine (which starts with the first pattern), and the folders that files may come from."""

    def __init__(self, workspace: Workspace, engine: Engine, files: AllowedFiles) -> None:
        self._workspace = workspace
        self._engine = engine
        self._files = files

    @property
    def folders(self) -> tuple[Path, ...]:
        return self._files.folders

    def open_ids(self, source: IdSource, *, tag: bool) -> Source:
        opened = self._files.open(source.path) if source.path else inline(source.ids, tag=tag)
        return Source(opened.file, opened.name, opened.size)

    def temp_path(self, suffix: str) -> Path:
        return self._workspace.temp_path(suffix)

    def keep_export(self, temp: Path, stem: str, suffix: str) -> Path:
        with explained(self._workspace.root):
            final = reserved(self._workspace.exports, stem, suffix)
        try:
            self._workspace.publish(temp, final)
        except FenqunError:
            final.unlink(missing_ok=True)
            raise
        return final

    def regex_fault(self, pattern: str) -> str:
        return self._engine.regex_fault(pattern)
