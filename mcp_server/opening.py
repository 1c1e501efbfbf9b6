"""A server over stdio that starts at once: only the workspace is opened, the rest is built for the first call.

A client first asks for the list of tools, which is in `tool_schemas/`. The operations, the platforms and the engine are
loaded while it reads the answer.
"""

from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING

from mcp_server.settings import Settings
from mcp_server.store.database import Database, derived_key
from mcp_server.store.workspace import Workspace

if TYPE_CHECKING:
    from mcp_server.app import App
    from mcp_server.front.mcp.handler import Handler
    from mcp_server.front.mcp.server import FenqunServer


class Opening:
    """One server over one workspace. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        """Open the workspace. ConfigurationError where it, or an account, cannot be used."""
        self._settings = settings
        self._workspace: Workspace | None = Workspace.open(settings.workspace)
        self._lock = Lock()
        self._app: App | None = None

    def server(self) -> "FenqunServer":
        """Return the server.

        With remote accounts, or with `--consent token`, everything is built now: addresses are checked at the start,
        and tools have one argument more than the published ones.
        """
        workspace = self._workspace
        if self._settings.remote or self._settings.consent == "token" or workspace is None:
            return self._built_app().server()
        from mcp_server.front.mcp.server import STATE_KEY, FenqunServer, Manifest, published_tools

        with closing(Database(workspace)) as database:
            key = derived_key(database, STATE_KEY)
        return FenqunServer(
            Manifest(published_tools(), self._settings.language, self._settings.read_only, key), self._work
        )

    def close(self) -> None:
        """Stop what runs and let go of the workspace. May be called twice."""
        with self._lock:
            if self._app is not None:
                self._app.close()
            if self._workspace is not None:
                self._workspace.close()

    def _work(self) -> "Handler":
        return self._built_app().work()

    def _built_app(self) -> "App":
        from mcp_server.app import build

        with self._lock:
            if self._app is None:
                workspace, self._workspace = self._workspace, None  # the parts close it, also where they can't be built
                self._app = build(self._settings, workspace)
                self._app.tidy()
            return self._app
