"""A server over stdio, there at once: only the workspace is opened, the rest is put together for the first call.

The client's first question is which tools there are. That stands in `tool_schemas/`; the operations, the platforms and
the engine are loaded while it reads the answer.
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
        """Opens the workspace. ConfigurationError where it, or an account, cannot be used."""
        self._settings = settings
        self._workspace: Workspace | None = Workspace.open(settings.workspace)
        self._lock = Lock()
        self._app: App | None = None

    def server(self) -> "FenqunServer":
        """The server.

        With accounts, or with an operator who takes tokens, all of it is made at once: addresses are checked at the
        start, and the tools have an argument more than they are published with.
        """
        workspace = self._workspace
        if self._settings.remote or self._settings.consent == "token" or workspace is None:
            return self._whole().server()
        from mcp_server.front.mcp.listing import published
        from mcp_server.front.mcp.server import STATE_KEY, FenqunServer, Manifest

        with closing(Database(workspace)) as database:
            key = derived_key(database, STATE_KEY)
        return FenqunServer(Manifest(published(), self._settings.language, self._settings.read_only, key), self._work)

    def close(self) -> None:
        """Stop what runs and let go of the workspace. May be called twice."""
        with self._lock:
            if self._app is not None:
                self._app.close()
            if self._workspace is not None:
                self._workspace.close()

    def _work(self) -> "Handler":
        return self._whole().work()

    def _whole(self) -> "App":
        from mcp_server.app import build

        with self._lock:
            if self._app is None:
                workspace, self._workspace = self._workspace, None  # the parts close it, also where they can't be built
                self._app = build(self._settings, workspace)
                self._app.tidy()
            return self._app
