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
from mcp_server.store.workspace import Workspace, explained, no_space, unusable
from mcp_server.text import Text

# The tables of the catalogue, as steps from one schema version to the next.
#
# `PRAGMA user_version` holds the number of steps that a file has seen. A step, once released, is never edited; a
# change is a new step at the end. Times are ISO text in UTC with six decimals, so that text order is time order.
# Plain SQLite of 3.31 on: no STRICT, no RETURNING.


APPLICATION_ID = 0x66656E71
"""`fenq`: tells our file from any other SQLite file."""

_FIRST = """
CREATE TABLE project (
    id TEXT PRIMARY KEY,
    zone TEXT NOT NULL,
    as_of TEXT,
    generation INTEGER NOT NULL
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
"""

_ACCESS = """
-- Who may come over HTTP. digest: SHA-256 of the token. projects: JSON, a list of ids or "all".
CREATE TABLE access_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
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
"""

_CROWDS = """
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
"""

_CALL_TASKS = """
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
"""

_CONSENT_AND_LOG = """
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
"""

_APPROVERS = """
-- A third scope: approve. SQLite changes no CHECK, so the table is made anew.
CREATE TABLE access_token_wider (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write', 'approve')),
    projects TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
);
INSERT INTO access_token_wider SELECT id, name, digest, scope, projects, created_at, expires_at, revoked_at FROM access_token;
DROP TABLE access_token;
ALTER TABLE access_token_wider RENAME TO access_token;
CREATE UNIQUE INDEX access_token_name ON access_token(name) WHERE revoked_at IS NULL;
"""

_CHANGES = """
-- changes: counts what happens to the project's clusters and their versions; whoever keeps what he read of them looks here.
ALTER TABLE project ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;

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

STEPS: tuple[str, ...] = (_FIRST, _ACCESS, _CROWDS, _CALL_TASKS, _CONSENT_AND_LOG, _APPROVERS, _CHANGES)
"""STEPS[n] leads from schema version n to n + 1."""


# The catalogue's SQLite file: one connection per thread, short transactions, errors in our own words.


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


# The one random secret of a workspace, and the keys that are derived from it.


def derived_key(database: Database, purpose: str) -> bytes:
    """The key for a purpose, 32 bytes. The first who asks puts the secret into the catalogue."""
    found = database.row("SELECT value FROM secret")
    if found is None:
        with database.write() as db:
            db.execute("INSERT OR IGNORE INTO secret (id, value) VALUES (1, ?)", (secrets.token_hex(32),))
        found = database.row("SELECT value FROM secret")
    return hmac.digest(bytes.fromhex(found["value"]) if found else b"", purpose.encode(), hashlib.sha256)
