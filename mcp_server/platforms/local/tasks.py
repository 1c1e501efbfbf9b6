"""Engine work that belongs to one call: run in a thread, with progress, stopped when the call is cancelled.

(Computations that outlive a call, and that several calls share, are jobs: see `jobs.py`.)
"""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.workspace import Workspace
from mcp_server.platforms.ports import OnProgress
from mcp_server.text import Text

T = TypeVar("T")
SHOW_SECONDS = 0.1
AT_ONCE = 2
"""Calls that may use the engine at the same time; more would only share the same cores (docs/decisions.md)."""


class Tasks:
    """Runs the engine's work of calls in worker threads."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._slots: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[Control], T], on_progress: OnProgress, message: Text) -> T:
        """Run `work` in a thread; what it raises is raised here. Cancelling the call interrupts its query."""
        self._slots = self._slots or anyio.CapacityLimiter(AT_ONCE)
        control = Control(self._workspace)
        outcome: list[T] = []
        failure: list[Exception] = []

        def attempt() -> None:
            try:
                outcome.append(work(control))
            except Exception as error:  # noqa: BLE001 - carried over to the caller, outside the task group
                failure.append(error)
            finally:
                control.clear()

        async with anyio.create_task_group() as group:
            group.start_soon(self._show, control, on_progress, message)
            try:
                await anyio.to_thread.run_sync(attempt, abandon_on_cancel=True, limiter=self._slots)
            except anyio.get_cancelled_exc_class():
                control.interrupt("unwanted")
                raise
            group.cancel_scope.cancel()
        if failure:
            raise failure[0]
        return outcome[0]

    async def _show(self, control: Control, on_progress: OnProgress, message: Text) -> None:
        shown = 0
        while True:
            await anyio.sleep(SHOW_SECONDS)
            if control.percent > shown:
                shown = control.percent
                await on_progress(shown, message)
