"""What a computation and the runner that started it say to each other, across threads."""

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mcp_server.errors import Interrupted
from mcp_server.platforms.local.job_store import STOPPED
from mcp_server.platforms.local.records import JobRecord
from mcp_server.platforms.local.workspace import Workspace

logger = logging.getLogger(__name__)

ALMOST = 99
"""The most that a running computation shows: 100 is said by the commit that publishes its result."""


class Control:
    """Handed to a computation: it reports progress, learns that it should stop, and gets its temporary files here."""

    def __init__(self, workspace: Workspace, need: "Callable[[int, Control], JobRecord] | None" = None) -> None:
        self._workspace = workspace
        self._need = need
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self._temporary: list[Path] = []
        self._percent = 0
        self._reason = ""
        self.shown = 0
        """The progress that the job's row shows; the runner's own note."""

    # -- for the computation -------------------------------------------------------------------------------------

    def report(self, percent: float) -> None:
        """Say how far it is, 0 to 100; cheap, from any thread. Going back is ignored."""
        self._percent = max(self._percent, min(ALMOST, int(percent)))

    @property
    def interrupted(self) -> bool:
        """True once it should stop."""
        return bool(self._reason)

    def check(self) -> None:
        """Raise Interrupted once it should stop."""
        if self._reason:
            raise Interrupted(STOPPED[self._reason])

    def on_interrupt(self, callback: Callable[[], object]) -> None:
        """Have `callback` called, from another thread, when it should stop; at once where that is so already."""
        with self._lock:
            if not self._reason:
                self._callbacks.append(callback)
                return
        callback()

    def need(self, cluster_id: int) -> JobRecord:
        """Have another cluster computed first; its job as it ended. Only in a job."""
        if self._need is None:
            raise RuntimeError("only a job can need another cluster")
        return self._need(cluster_id, self)

    def temp_path(self, suffix: str = "") -> Path:
        """A new temporary path. Whatever still lies there when the computation has ended is removed."""
        path = self._workspace.temp_path(suffix)
        self._temporary.append(path)
        return path

    # -- for the runner --------------------------------------------------------------------------------------------

    @property
    def percent(self) -> int:
        """The last progress reported."""
        return self._percent

    @property
    def reason(self) -> str:
        """Why it should stop, a key of STOPPED; empty while it should not."""
        return self._reason

    def interrupt(self, reason: str) -> None:
        """Ask it to stop. The first reason stays."""
        with self._lock:
            if self._reason:
                return
            self._reason = reason
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # the query may have ended and closed its connection meanwhile
                logger.debug("an interrupt came too late", exc_info=True)

    def clear(self) -> None:
        """Remove the temporary files that are left."""
        for path in self._temporary:
            with suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
