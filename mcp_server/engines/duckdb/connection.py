"""How every DuckDB connection of the project is opened, and the progress of statements that run on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol

from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# How every DuckDB connection of the project is opened.
#
# Three of DuckDB's defaults would hurt a server: a progress bar on stdout (which belongs to JSON-RPC), a temporary
# folder in the current directory, and extensions fetched from the network.


_SHARE_OF_DEFAULT = 0.625
"""DuckDB takes 80 % of the memory by default; a server on somebody's desktop takes half of the memory."""


def connect(temp: Path, *, threads: int | None = None, memory_limit: str | None = None) -> "DuckDBPyConnection":
    """An in-memory database with safe settings; data files are attached to it.

    `temp` is where it may spill (made when it is first needed; DuckDB removes its own files there). `memory_limit` is
    a DuckDB size such as "2GB"; left out, it is half of the machine's memory. `threads` left out: all cores.
    """
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "temp_directory": str(temp),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            **({} if threads is None else {"threads": str(threads)}),
            **({} if memory_limit is None else {"memory_limit": memory_limit}),
        },
    )
    silence(connection)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    if memory_limit is None:
        connection.execute(f"SET memory_limit = '{_half_of_memory(connection)}'")
    return connection


def cursor(connection: "DuckDBPyConnection") -> "DuckDBPyConnection":
    """A second connection to the same database, for another thread. (The progress settings are not passed on by DuckDB.)"""
    own = connection.cursor()
    silence(own)
    return own


def silence(connection: "DuckDBPyConnection") -> None:
    """Let `query_progress()` count without anything being printed to stdout. The order of the two matters."""
    connection.execute("SET enable_progress_bar_print = false")
    connection.execute("SET enable_progress_bar = true")


def _half_of_memory(connection: "DuckDBPyConnection") -> str:
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    number, unit = str(row[0] if row else "2 GiB").split()
    return f"{float(number) * _SHARE_OF_DEFAULT:.2f}{unit}"


def rows(connection: "DuckDBPyConnection", sql: str) -> "list[tuple[Any, ...]]":
    """All rows of a statement. For small results only: members of a cluster are copied to files instead."""
    return connection.execute(sql).fetchall()


def one(connection: "DuckDBPyConnection", sql: str) -> "tuple[Any, ...]":
    """The only row of a statement that always has one (an aggregate without groups)."""
    row: tuple[Any, ...] | None = connection.execute(sql).fetchone()
    if row is None:
        raise LookupError("a statement without a row")
    return row


# Progress of statements while they run.


Tell = Callable[[float, Text], None]
"""Takes the share that is done, 0 to 1, never falling, and what is being done. Called from another thread as well."""

_EVERY = 0.2
"""Seconds between two looks at the engine's counter."""


class Control(Protocol):
    """Whoever started a task: receives progress (0 to 100) and may interrupt."""

    @property
    def interrupted(self) -> bool: ...

    def report(self, percent: float) -> None: ...

    def on_interrupt(self, callback: Callable[[], None]) -> None: ...


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
