"""The catalogue's SQLite file: its tables, one connection per thread, short transactions, the workspace's secret."""

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from mcp_server.errors import ConfigurationError, WorkspaceBusy
from mcp_server.store.records import Reader, T, Value
from mcp_server.store.workspace import Workspace, explained, no_space, unusable
from mcp_server.text import Text

APPLICATION_ID = 0x66656E71
"""`fenq`: tells our file from any other SQLite file."""
SCHEMA_VERSION = 7
"""`PRAGMA user_version` of a file with these tables. The first release has 7; a change adds 1 and a step from the last."""

_TABLES = """
-- Times are ISO text in UTC with six decimals, so that text order is time order. Plain SQLite of 3.31 on: no STRICT, no
-- RETURNING.

-- changes: counts what happens to the project's clusters and their versions, for readers that keep what they read.
CREATE TABLE project (
    id TEXT PRIMARY KEY,
    zone TEXT NOT NULL,
    as_of TEXT,
    generation INTEGER NOT NULL,
    changes INTEGER NOT NULL DEFAULT 0
);

-- One row per load. parts: JSON list of relative paths (today always one; daily loads will append).
CREATE TABLE generation (
    project TEXT NOT NULL REFERENCES project(id),
    number INTEGER NOT NULL,
    parts TEXT NOT NULL,
    metadata TEXT NOT NULL,
    facts TEXT NOT NULL,
    loaded_at TEXT NOT NULL,
    PRIMARY KEY (project, number)
);

-- Clusters and tags share the table, because they share the name space (qp.md section 6).
CREATE TABLE cluster (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES project(id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    catalog TEXT NOT NULL,
    cluster_type TEXT NOT NULL,
    remarks TEXT NOT NULL,
    words TEXT NOT NULL,
    definition TEXT NOT NULL,
    definition_hash TEXT NOT NULL,
    definition_changed_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT,
    revision INTEGER NOT NULL,
    version INTEGER,
    FOREIGN KEY (id, version) REFERENCES version(cluster, number)
);
CREATE UNIQUE INDEX cluster_name ON cluster(project, name_key) WHERE deleted_at IS NULL;

CREATE TABLE version (
    cluster INTEGER NOT NULL REFERENCES cluster(id),
    number INTEGER NOT NULL,
    file TEXT NOT NULL,
    users_num INTEGER NOT NULL,
    facts TEXT NOT NULL,
    computed_at TEXT NOT NULL,
    duration REAL NOT NULL,
    generation INTEGER NOT NULL,
    definition_hash TEXT NOT NULL,
    local_day TEXT NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (cluster, number)
);

-- stop: why a running job is asked to end; its owner looks for it. definition: what it computes, as it was asked for.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster INTEGER NOT NULL REFERENCES cluster(id),
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    progress INTEGER NOT NULL,
    stop TEXT,
    error_code TEXT NOT NULL DEFAULT '',
    error_en TEXT NOT NULL DEFAULT '',
    error_zh TEXT NOT NULL DEFAULT '',
    definition TEXT NOT NULL,
    definition_hash TEXT NOT NULL,
    generation INTEGER NOT NULL,
    local_day TEXT NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    version INTEGER
);
CREATE INDEX job_of_cluster ON job(cluster, id);
CREATE INDEX job_running ON job(owner) WHERE state = 'running';

-- Who waits for a job. An empty owner is the standing waiter of a detached job.
CREATE TABLE job_waiter (
    job INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (job, id)
);

-- Who may come over HTTP. digest: SHA-256 of the token. projects: JSON, a list of ids or "all".
CREATE TABLE access_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write', 'approve')),
    projects TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
);
CREATE UNIQUE INDEX access_token_name ON access_token(name) WHERE revoked_at IS NULL;

-- Files that come in or go out over HTTP. file: relative to the workspace.
CREATE TABLE handed_file (
    id TEXT PRIMARY KEY,
    direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    project TEXT NOT NULL,
    file TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    created_at TEXT NOT NULL
);

-- A crowd analysis task. Times of the validity as on the vendor's page: Beijing time, yyyy-MM-dd HH:mm:ss.
-- version: the members that were loaded; it is kept for as long as the task names it. joined, gone: what the last reload changed.
CREATE TABLE crowd_task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster INTEGER NOT NULL REFERENCES cluster(id),
    version INTEGER NOT NULL,
    start_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    analysis TEXT NOT NULL,
    loaded_at TEXT NOT NULL,
    joined INTEGER,
    gone INTEGER,
    revision INTEGER NOT NULL,
    FOREIGN KEY (cluster, version) REFERENCES version(cluster, number)
);
CREATE UNIQUE INDEX crowd_task_period ON crowd_task(cluster, start_time, end_time);
-- Ids look like those of the page (100001), and unlike those of clusters, with which they would be mistaken.
INSERT INTO sqlite_sequence (name, seq) VALUES ('crowd_task', 100000);

-- The settings of UpdateTask. Times as written, in Beijing time. forbidden: JSON list of spans in minutes of the week.
-- file: the hashes of its callees; source: which list that is. A workspace has one key for hashing.
CREATE TABLE call_task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES project(id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    start_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    forbidden TEXT NOT NULL,
    ring_again_times INTEGER NOT NULL,
    ring_again_interval INTEGER NOT NULL,
    callees INTEGER NOT NULL,
    file TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (project, name_key)
);

CREATE TABLE callee_key (key TEXT NOT NULL);

-- One row per consent. subject: digest of tool, arguments, identity, platform, account, project. arguments: in full,
-- only of a pending act, and only until it is decided. id: of a token, its hash.
CREATE TABLE consent (
    id TEXT PRIMARY KEY,
    way TEXT NOT NULL CHECK (way IN ('asked', 'approved', 'token')),
    state TEXT NOT NULL CHECK (state IN ('open', 'used', 'declined', 'changed')),
    tool TEXT NOT NULL,
    digest TEXT NOT NULL,
    version TEXT NOT NULL,
    name TEXT NOT NULL,
    known TEXT NOT NULL,
    platform TEXT NOT NULL,
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    language TEXT NOT NULL,
    question TEXT NOT NULL,
    arguments TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    decided_at TEXT,
    decided_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX consent_open ON consent(way, digest) WHERE state = 'open';
CREATE INDEX consent_age ON consent(created_at);

-- One row per act, written before it begins; without an outcome while it runs, and for ever where its process died.
CREATE TABLE act (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    began_at TEXT NOT NULL,
    ended_at TEXT,
    owner TEXT NOT NULL,
    tool TEXT NOT NULL,
    effect TEXT NOT NULL,
    arguments TEXT NOT NULL,
    name TEXT NOT NULL,
    known TEXT NOT NULL,
    client TEXT NOT NULL,
    platform TEXT NOT NULL,
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    consent TEXT NOT NULL,
    way TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    before TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    after TEXT NOT NULL DEFAULT ''
);
CREATE INDEX act_age ON act(began_at);

-- One random secret of this workspace, in hex; keys are derived from it.
CREATE TABLE secret (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value TEXT NOT NULL
);

-- A cluster as it was before an update or a deletion, which led to `revision`. version: the members it had then.
CREATE TABLE cluster_change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster INTEGER NOT NULL REFERENCES cluster(id),
    kind TEXT NOT NULL CHECK (kind IN ('update', 'delete')),
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    display_name TEXT NOT NULL,
    remarks TEXT NOT NULL,
    definition TEXT NOT NULL,
    definition_hash TEXT NOT NULL,
    definition_changed_at TEXT NOT NULL,
    version INTEGER
);
CREATE INDEX change_of_cluster ON cluster_change(cluster, revision);
CREATE INDEX change_age ON cluster_change(at);

CREATE TRIGGER cluster_inserted AFTER INSERT ON cluster BEGIN
    UPDATE project SET changes = changes + 1 WHERE id = NEW.project;
END;
CREATE TRIGGER cluster_updated AFTER UPDATE ON cluster BEGIN
    UPDATE project SET changes = changes + 1 WHERE id = NEW.project;
END;
CREATE TRIGGER cluster_removed AFTER DELETE ON cluster BEGIN
    UPDATE project SET changes = changes + 1 WHERE id = OLD.project;
END;
CREATE TRIGGER version_inserted AFTER INSERT ON version BEGIN
    UPDATE project SET changes = changes + 1 WHERE id = (SELECT project FROM cluster WHERE id = NEW.cluster);
END;
CREATE TRIGGER version_updated AFTER UPDATE ON version BEGIN
    UPDATE project SET changes = changes + 1 WHERE id = (SELECT project FROM cluster WHERE id = NEW.cluster);
END;
CREATE TRIGGER version_removed AFTER DELETE ON version BEGIN
    UPDATE project SET changes = changes + 1 WHERE id = (SELECT project FROM cluster WHERE id = OLD.cluster);
END;
"""

BUSY_SECONDS = 10.0
"""How long a write waits for another process's write. Those take a few milliseconds."""

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
_OLDER = Text(
    "The workspace {path} was written by an earlier version of fenqun (schema {found}; this one reads {known}); nothing "
    "was changed or deleted. Load the data again into a new workspace: fenqun load --users FILE --events FILE --workspace DIR",
    "工作区 {path} 由较早版本的 fenqun 写入（结构版本 {found}，当前程序使用 {known}），未做任何更改，也未删除任何内容。"
    "请将数据重新加载到新的工作区：fenqun load --users FILE --events FILE --workspace DIR",
)
_LOST = Text(
    "{path} is missing or empty, but there are data files beside it; nothing was changed. Restore it from a backup, or choose "
    "another workspace with --workspace or FENQUN_WORKSPACE and load the data again.",
    "{path} 缺失或为空，但旁边仍有数据文件；未做任何更改。请从备份恢复，或用 --workspace 或 FENQUN_WORKSPACE 指定其他工作区并重新加载数据。",
)
_NOT_OURS = Text(
    "{path} is not a fenqun catalogue, or it is damaged. Move it away, or choose another workspace with --workspace or FENQUN_WORKSPACE.",
    "{path} 不是 fenqun 的目录库，或已损坏。请将其移走，或用 --workspace 或 FENQUN_WORKSPACE 指定其他工作区。",
)


class Database:
    """The SQLite file of a workspace, made where it is missing."""

    def __init__(self, workspace: Workspace) -> None:
        """Open the file. ConfigurationError where it is not ours, or of another schema version."""
        self._workspace = workspace
        self._path = workspace.catalog_path
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._set_up()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    # -- connections -----------------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the current thread."""
        known = self._connections.get(threading.current_thread())
        return known if known is not None else self._connect()

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
        """Close the connection of the current thread, which is about to end."""
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
        """Return all rows of a reading statement."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def row(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Row | None:
        """Return the first row of a reading statement, if there is one."""
        return next(iter(self.rows(sql, values)), None)

    def records(self, read: Reader[T], sql: str, values: Sequence[Value] = ()) -> tuple[T, ...]:
        """Return all rows of a reading statement as records."""
        return tuple(map(read, self.rows(sql, values)))

    def record(self, read: Reader[T], sql: str, values: Sequence[Value] = ()) -> T | None:
        """Return the first row of a reading statement as a record, if there is one."""
        row = self.row(sql, values)
        return None if row is None else read(row)

    def count(self, of: str, values: Sequence[Value] = ()) -> int:
        """Return the number of rows of what follows FROM in a statement."""
        return int(self.rows(f"SELECT count(*) AS n FROM {of}", values)[0]["n"])

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction that may write. It does not nest.

        It holds the write lock of all processes from its start (BEGIN IMMEDIATE), so what it reads stays true until it
        commits.
        """
        try:
            db = self.connection
            db.execute("BEGIN IMMEDIATE")
            with self._rolled_back():
                yield db
                db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        """Roll the transaction back where the block raises."""
        try:
            yield
        except BaseException:
            # SQLite may have rolled back by itself; the first error is the one to show.
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        """Return our error for what the system did to SQLite or to its file; any other one is a bug and stays."""
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
        """Make the file where it is missing, one process at a time; the usual start only reads its version."""
        if self._has_tables():
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
            self._make_tables()
        finally:
            lock.release()

    def _has_tables(self) -> bool:
        """Return False of a new file. ConfigurationError for one that is not ours, or of another schema version."""
        if not self._path.exists() or not self._path.stat().st_size:
            kept = (*self._workspace.data.glob("*.duckdb"), *self._workspace.members.glob("*.parquet"))
            if kept:
                raise ConfigurationError(_LOST.format(path=self._path))
            return False
        version = int(self.connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(self.connection.execute("PRAGMA application_id").fetchone()[0])
        if application != APPLICATION_ID and (version or self.count("sqlite_master")):
            raise ConfigurationError(_NOT_OURS.format(path=self._path))
        if version == 0 and self.count("sqlite_master"):
            raise ConfigurationError(_NOT_OURS.format(path=self._path))
        if version in (0, SCHEMA_VERSION):
            return version != 0
        words = _NEWER if version > SCHEMA_VERSION else _OLDER
        raise ConfigurationError(words.format(path=self._workspace.root, found=version, known=SCHEMA_VERSION))

    def _make_tables(self) -> None:
        """Make all tables in one transaction, unless another process was faster."""
        db = self.connection
        db.execute("PRAGMA journal_mode = WAL")
        if not self._has_tables():
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            with self._rolled_back():
                db.executescript(f"BEGIN IMMEDIATE;\n{_TABLES}\n{marks}\nCOMMIT;")


def derived_key(database: Database, purpose: str) -> bytes:
    """Return the key of the workspace for a purpose, 32 bytes; the first call makes the secret that all come from."""
    secret = database.row("SELECT value FROM secret")
    if secret is None:
        with database.write() as db:
            db.execute("INSERT OR IGNORE INTO secret (id, value) VALUES (1, ?)", (secrets.token_hex(32),))
        (secret,) = database.rows("SELECT value FROM secret")
    return hmac.digest(bytes.fromhex(secret["value"]), purpose.encode(), hashlib.sha256)
