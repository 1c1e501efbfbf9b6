"""How every DuckDB connection of the project is opened, and watched while statements run on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from mcp_server.engines.dialect import literal
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


PARQUET = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd"
"""Options of COPY for files of members."""
WHOLE_TYPES = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
"""Types of whole numbers whose values fit 64 bits."""
LARGE_TYPES = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
"""Types of whole numbers whose values may not."""

_SHARE_OF_DEFAULT = 0.625
"""DuckDB takes 80 % of the memory by default; a server on somebody's desktop takes half of the memory."""


def connect(
    temp: Path | None, *, threads: int | None = None, memory_limit: str | None = None, keep_order: bool = True
) -> "DuckDBPyConnection":
    """Open an in-memory database with safe settings; data files are attached to it.

    Three of DuckDB's defaults would hurt a server: a progress bar on stdout (which belongs to JSON-RPC), a temporary
    folder in the current directory, and extensions that are fetched from the network. `temp` is where it may spill
    (made when it is first needed; DuckDB removes its own files there); None: nowhere. `memory_limit` is a DuckDB size
    such as "2GB"; left out, it is half of the machine's memory. `threads` left out: all cores.
    """
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "temp_directory": "" if temp is None else str(temp),
            "preserve_insertion_order": str(keep_order).lower(),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            **({} if threads is None else {"threads": str(threads)}),
            **({} if memory_limit is None else {"memory_limit": memory_limit}),
        },
    )
    _silence(connection)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    if memory_limit is None:
        (default,) = one(connection, "SELECT current_setting('memory_limit')")
        number, unit = str(default).split()
        connection.execute(f"SET memory_limit = '{float(number) * _SHARE_OF_DEFAULT:.2f}{unit}'")
    return connection


def cursor(connection: "DuckDBPyConnection") -> "DuckDBPyConnection":
    """Open a second connection to the same database, for another thread. (DuckDB does not pass on the progress settings.)"""
    own = connection.cursor()
    _silence(own)
    return own


def _silence(connection: "DuckDBPyConnection") -> None:
    """Let `query_progress()` count without anything being printed to stdout. The order of the two matters."""
    connection.execute("SET enable_progress_bar_print = false")
    connection.execute("SET enable_progress_bar = true")


def rows(connection: "DuckDBPyConnection", sql: str) -> "list[tuple[Any, ...]]":
    """Return all rows of a statement. For small results only: members of a cluster are copied to files instead."""
    return connection.execute(sql).fetchall()


def one(connection: "DuckDBPyConnection", sql: str) -> "tuple[Any, ...]":
    """Return the only row of a statement that always has one (an aggregate without groups)."""
    row: tuple[Any, ...] | None = connection.execute(sql).fetchone()
    if row is None:
        raise LookupError("a statement without a row")
    return row


def parquet(path: Path) -> str:
    """Return SQL of the rows of a file of members or values."""
    return f"read_parquet({literal(str(path))})"


def columns_of(connection: "DuckDBPyConnection", relation: str) -> dict[str, str]:
    """Return names and types of a relation's columns, in their order."""
    return {str(row[0]): str(row[1]) for row in rows(connection, f"DESCRIBE FROM {relation}")}


# Progress while statements run

OnLoad = Callable[[float, Text], None]
"""Takes the share of a load that is done, 0 to 1, never falling, and what is being done. Called from another thread as well."""

_EVERY = 0.2
"""Seconds between two looks at the engine's counter."""


@contextmanager
def repeatedly(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `look` every so many seconds, in a thread of its own, until the block ends."""
    over = Event()

    def watch() -> None:
        while not over.wait(seconds):
            look()

    watcher = Thread(target=watch, name="fenqun-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class LoadProgress:
    """Reports how far the stages of a load are, also from inside a statement, where the engine counts."""

    def __init__(self, connection: "DuckDBPyConnection", on_load: OnLoad) -> None:
        self._connection = connection
        self._on_load = on_load
        self._done = 0.0

    @contextmanager
    def stage(self, text: Text, upto: float) -> Iterator[None]:
        """Count everything inside from where the last stage ended up to the share `upto`."""
        start = self._done
        self._report(start, text)

        def look() -> None:
            percent = self._connection.query_progress()
            if percent > 0:
                self._report(start + (upto - start) * min(percent, 100.0) / 100, text)

        with repeatedly(look, _EVERY):
            yield
        self._report(upto, text)

    def _report(self, share: float, text: Text) -> None:
        # Several statements of one stage start again from 0; the reported share never falls.
        self._done = max(self._done, share)
        self._on_load(self._done, text)
