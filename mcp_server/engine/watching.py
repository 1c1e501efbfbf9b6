"""Progress of statements while they run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Tell = Callable[[float, Text], None]
"""Takes the share that is done, 0 to 1, never falling, and what is being done. Called from another thread as well."""

_EVERY = 0.2
"""Seconds between two looks at the engine's counter."""


class Watch:
    """Tells how far a list of stages is, from inside each statement where the engine counts."""

    def __init__(self, connection: "DuckDBPyConnection", tell: Tell) -> None:
        self._connection = connection
        self._tell = tell
        self._done = 0.0

    @contextmanager
    def stage(self, text: Text, upto: float) -> Iterator[None]:
        """Everything inside counts from where the last stage ended up to the share `upto`."""
        start = self._done
        self._report(start, text)
        over = Event()

        def look() -> None:
            while not over.wait(_EVERY):
                percent = self._connection.query_progress()
                if percent > 0:
                    self._report(start + (upto - start) * min(percent, 100.0) / 100, text)

        watcher = Thread(target=look, name="load-progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        self._report(upto, text)

    def _report(self, share: float, text: Text) -> None:
        # Several statements of one stage start again from 0; what is told never falls.
        self._done = max(self._done, share)
        self._tell(self._done, text)
