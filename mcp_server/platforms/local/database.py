"""The catalogue's SQLite file: one connection per thread, short transactions, errors in our own words."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from mcp_server.errors import ConfigurationError, WorkspaceBusy
from mcp_server.platforms.local.catalog_schema import APPLICATION_ID, STEPS
from mcp_server.platforms.local.workspace import Workspace, explained, no_space, unusable
from mcp_server.text import Text

BUSY_SECONDS = 10.0
"""How long a write waits for another process's write. Those take a few milliseconds."""

Value = str | int | float | None

_BUSY = Text(
    "Another process has been writing to the workspace for too long; nothing was changed. Try again in a moment.",
    "另一个进程长时间占用工作区，未做任何更改。请稍后重试。",
)
_NEWER = Text(
    "The workspace {path} was written by a newer version of fenqun (schema {found}; this one knows up to {known}). "
    "Upgrade fenqun, or choose another workspace with --workspace or FENQUN_WORKSPACE.",
    "工作区 {path} 由更新版本的 fenqun 写入（结构版本 {found}，当前程序最高支持 {known}）。"
    "请升级 fenqun，或用 --workspace 或 FENQUN_WORKSPACE 指定其他工作区。",
)
_NOT_OURS = Text(
    "{path} is not a fenqun catalogue, or it is damaged. Move it away, or choose another workspace with --workspace or FENQUN_WORKSPACE.",
    "{path} 不是 fenqun 的目录库，或已损坏。请将其移走，或用 --workspace 或 FENQUN_WORKSPACE 指定其他工作区。",
)


class Database:
    """The SQLite file of a workspace, made or brought up to the current schema when opened."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._path = workspace.catalog_path
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._set_up()
        except sqlite3.DatabaseError as error:
            raise self._in_our_words(error) from error

    # -- connections -----------------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the calling thread."""
        found = self._connections.get(threading.current_thread())
        return found if found is not None else self._connect()

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the catalogue is closed")
            for thread in [t for t in self._connections if not t.is_alive()]:
                self._connections.pop(thread).close()
            # Transactions are ours (isolation_level None); close() may come from any thread.
            made = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            made.row_factory = sqlite3.Row
            made.execute("PRAGMA foreign_keys = ON")
            made.execute("PRAGMA synchronous = FULL")
            self._connections[threading.current_thread()] = made
            return made

    def release(self) -> None:
        """Close the calling thread's connection; a thread that is about to end calls it."""
        with self._lock:
            made = self._connections.pop(threading.current_thread(), None)
        if made is not None:
            made.close()

    def close(self) -> None:
        """Close all connections. No thread may be using one."""
        with self._lock:
            self._closed = True
            while self._connections:
                self._connections.popitem()[1].close()

    # -- statements ------------------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """All rows of one reading statement."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._in_our_words(error) from error

    def row(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Row | None:
        """The first row of one reading statement, if there is one."""
        try:
            found: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._in_our_words(error) from error
        return found

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that may write. It holds the write lock of all processes from the start (BEGIN IMMEDIATE),
        so what it reads stays true until it commits. Does not nest."""
        try:
            with self._transaction() as db:
                yield db
        except sqlite3.DatabaseError as error:
            raise self._in_our_words(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self.connection
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back by itself; the first error is the one to show.
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def _in_our_words(self, error: sqlite3.DatabaseError) -> Exception:
        """The error for what the system did to SQLite or to its file; anything else is a bug and stays what it is."""
        if type(error) is sqlite3.DatabaseError:  # "not a database", "malformed"; subclasses are bugs of ours
            return ConfigurationError(_NOT_OURS.format(path=self._path))
        if not isinstance(error, sqlite3.OperationalError):
            return error
        kind = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else 0
        if kind == sqlite3.SQLITE_FULL:
            return no_space(self._workspace.root)
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return WorkspaceBusy(_BUSY)
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
            return unusable(self._workspace.root, str(error))
        return error

    # -- schema ----------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        """Make the file or bring it up to date; one process at a time, the usual start only reads a number."""
        if self._schema_version() == len(STEPS):
            return
        with explained(self._workspace.root):
            # Ours before SQLite makes it, for the mode; its -wal and -shm files inherit that.
            self._path.touch(mode=0o600)
            lock = FileLock(self._workspace.locks / "setup.lock", mode=0o600, timeout=30)
            try:
                lock.acquire()
            except Timeout as error:
                raise WorkspaceBusy(_BUSY) from error
        try:
            self._migrate()
        finally:
            lock.release()

    def _schema_version(self) -> int:
        """The schema version of the file, 0 where it is new. Refuses one that is newer, or not ours."""
        if not self._path.exists():
            return 0
        found = int(self.connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(self.connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if application != APPLICATION_ID and (found or tables):
            raise ConfigurationError(_NOT_OURS.format(path=self._path))
        if found > len(STEPS):
            raise ConfigurationError(_NEWER.format(path=self._workspace.root, found=found, known=len(STEPS)))
        return found

    def _migrate(self) -> None:
        """Take the steps that are missing, all in one transaction."""
        self.connection.execute("PRAGMA journal_mode = WAL")
        with self.write() as db:
            for step in STEPS[self._schema_version() :]:
                for statement in _statements(step):
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {len(STEPS)}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
