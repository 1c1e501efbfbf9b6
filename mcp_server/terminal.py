"""Progress on a terminal: a bar on stderr while something runs, nothing where stderr is no terminal."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mcp_server.text import NOTHING, Language, Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """A progress bar that appears with the first report and is gone at the end."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._shown: tuple[Progress, TaskID] | None = None
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._shown:
            self._shown[0].stop()
            self._shown = None

    async def report(self, percent: float, message: Text) -> None:
        """Progress as operations report it."""
        self.show(percent, message)

    def show(self, percent: float, message: Text = NOTHING) -> None:
        """Percent 0 to 100, and what is going on."""
        if self._terminal:
            progress, task = self._shown or self._started()
            progress.update(task, completed=percent, description=message.say(self._language))

    def _started(self) -> "tuple[Progress, TaskID]":
        from rich.console import Console
        from rich.progress import Progress

        progress = Progress(console=Console(stderr=True), transient=True)
        progress.start()
        self._shown = (progress, progress.add_task("", total=100))
        return self._shown
