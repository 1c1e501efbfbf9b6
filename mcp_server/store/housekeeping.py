"""Remove what is no longer needed: old versions and generations, old jobs, what undid old changes, leftovers of dead processes."""

import sqlite3
from datetime import timedelta

from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.jobs import JobStore
from mcp_server.store.workspace import GRACE

KEEP_VERSIONS = 2
"""Versions of a cluster that stay in any case: the current one, and the one before it."""
KEEP_DAYS = 30
"""Local days of which a dynamic tag keeps its last version, so that definitions can name a day's values."""
KEEP_GENERATIONS = 2
"""Generations of a project's data that stay: the current one, and for `Catalog.undo_days` the one before it."""
KEEP_JOBS = timedelta(days=30)
"""Ended jobs stay this long; the newest of a cluster stays for ever."""
KEEP_CHANGES = timedelta(days=30)
"""Changes and deletions can be undone this long."""

_OLD_VERSIONS = (
    "DELETE FROM version WHERE EXISTS (SELECT 1 FROM version newer WHERE newer.cluster = version.cluster"
    " AND newer.number >= version.number + ? AND newer.computed_at < ?)"
    " AND NOT (EXISTS (SELECT 1 FROM cluster WHERE cluster.id = version.cluster AND cluster.deleted_at IS NULL"
    " AND cluster.catalog = 'catalog_tag' AND instr(cluster.cluster_type, '_dynamic_'))"
    " AND NOT EXISTS (SELECT 1 FROM version later WHERE later.cluster = version.cluster"
    " AND later.local_day = version.local_day AND later.number > version.number)"
    " AND (SELECT count(DISTINCT newer.local_day) FROM version newer WHERE newer.cluster = version.cluster"
    " AND newer.local_day > version.local_day) < ?)"
    " AND NOT EXISTS (SELECT 1 FROM crowd_task WHERE crowd_task.cluster = version.cluster"
    " AND crowd_task.version = version.number)"
    " AND NOT EXISTS (SELECT 1 FROM cluster c WHERE c.id = version.cluster AND c.version = version.number)"
    " AND NOT EXISTS (SELECT 1 FROM cluster_change h WHERE h.cluster = version.cluster AND h.version = version.number)"
)
_OLD_GENERATIONS = (
    "DELETE FROM generation WHERE EXISTS (SELECT 1 FROM generation newer WHERE newer.project = generation.project"
    " AND (newer.number >= generation.number + ? AND newer.loaded_at < ?"
    " OR newer.number > generation.number AND newer.loaded_at < ?))"
    " AND (? = '' OR generation.project = ?)"
    " AND NOT EXISTS (SELECT 1 FROM job JOIN cluster ON cluster.id = job.cluster WHERE job.state = 'running'"
    " AND cluster.project = generation.project AND job.generation = generation.number)"
)
_OLD_JOBS = "DELETE FROM job WHERE state <> 'running' AND finished_at < ? AND id NOT IN (SELECT max(id) FROM job GROUP BY cluster)"


def sweep(catalog: Catalog, jobs: JobStore) -> tuple[str, ...]:
    """Sweep the workspace; any process may, at any time. Returns the files removed, as relative paths.

    What was replaced goes only after a grace: a reader may just be about to open it. Rows go first, in a commit
    of their own; a crash after it leaves files that no row names, which the next sweep removes.
    """
    now = catalog.clock()
    replaced_before = records.write_time(now - timedelta(seconds=GRACE))
    jobs.reap()
    with catalog.database.write() as db:
        _forget_changes(db, records.write_time(now - KEEP_CHANGES))
        db.execute(_OLD_VERSIONS, (KEEP_VERSIONS, replaced_before, KEEP_DAYS))
        undone_before = records.write_time(now - timedelta(days=catalog.undo_days))
        db.execute(_OLD_GENERATIONS, (KEEP_GENERATIONS, replaced_before, undone_before, "", ""))
        db.execute(_OLD_JOBS, (records.write_time(now - KEEP_JOBS),))
    with catalog.database.write():  # nothing is written; the lock keeps a file from being named while it is removed
        return catalog.workspace.sweep(_named(catalog), now=now.timestamp())


def purge(catalog: Catalog, jobs: JobStore, project: str = "") -> tuple[str, ...]:
    """Give up at once all that was kept to undo changes, deletions and loads, in one project or in all; the files removed."""
    moment = catalog.moment()
    with catalog.database.write() as db:
        _forget_changes(db, moment, project)
        db.execute(_OLD_GENERATIONS, (1, moment, moment, project, project))
    return sweep(catalog, jobs)


def _named(catalog: Catalog) -> frozenset[str]:
    """Every file that the catalogue names, also for clusters that were deleted."""
    members = {row["file"] for row in catalog.database.rows("SELECT file FROM version")}
    parts = catalog.database.rows("SELECT part.value AS file FROM generation, json_each(generation.parts) AS part")
    lists = catalog.database.rows("SELECT file FROM call_task")
    return frozenset(members | {row["file"] for row in (*parts, *lists)})


def _forget_changes(db: sqlite3.Connection, before: str, project: str = "") -> None:
    """Give up what undoes changes and deletions before a moment, of one project or of all. Inside a transaction."""
    values = (before, project, project)
    of_project = "(? = '' OR cluster IN (SELECT id FROM cluster WHERE project = ?))"
    db.execute(f"DELETE FROM cluster_change WHERE at < ? AND {of_project}", values)
    gone = (
        "deleted_at IS NOT NULL AND deleted_at < ? AND NOT EXISTS (SELECT 1 FROM job WHERE job.cluster = cluster.id"
        " AND job.state = 'running') AND NOT EXISTS (SELECT 1 FROM crowd_task t WHERE t.cluster = cluster.id)"
        " AND (? = '' OR project = ?)"
    )
    # The row stays, so that ids in the log and in old answers never come to mean something else.
    db.execute(f"UPDATE cluster SET version = NULL, definition = '{{}}', words = '', remarks = '' WHERE {gone}", values)
    db.execute(f"DELETE FROM version WHERE cluster IN (SELECT id FROM cluster WHERE {gone})", values)
