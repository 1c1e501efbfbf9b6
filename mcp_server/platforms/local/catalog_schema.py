"""The tables of the catalogue, as steps from one schema version to the next.

`PRAGMA user_version` holds the number of steps that a file has seen. A step, once released, is never edited; a
change is a new step at the end. Times are ISO text in UTC with six decimals, so that text order is time order.
Plain SQLite of 3.31 on: no STRICT, no RETURNING.
"""

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
