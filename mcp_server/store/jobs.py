"""The rows of jobs, and every decision about them that processes must agree on.

Each decision is one IMMEDIATE transaction, so of two processes that ask at the same moment one comes second
and sees what the first did. A running job is *wanted* while it has a standing waiter (it is detached) or a
waiter whose process lives. To stop a job of another process its row is marked (`stop`); the owner looks for that.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mcp_server.errors import Interrupted, NotFound
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import ClusterRecord, Facts, JobRecord, JobState, StopReason
from mcp_server.text import NOTHING, Text

STANDING = ""
"""The waiter id, and the owner, of a detached job's standing waiter."""

STOPPED: Mapping[StopReason, Text] = {
    "unwanted": Text("It was stopped, because nobody waited for it any more.", "计算已停止：不再有人等待其结果。"),
    "superseded": Text(
        "It was stopped, because the definition or the data changed; a newer computation took its place.",
        "计算已停止：定义或数据已变化，由新的计算取代。",
    ),
    "deleted": Text("It was stopped, because the cluster was deleted.", "计算已停止：该分群已被删除。"),
    "restored": Text(
        "It was stopped, because an earlier state of the cluster was restored.",
        "计算已停止：该分群已恢复为先前的状态。",
    ),
    "closed": Text(
        "It was interrupted, because the server was stopped. Refresh again.", "服务已停止，计算中断。请重新刷新。"
    ),
    "owner_gone": Text(
        "It was interrupted, because the process that computed it ended. Refresh again.",
        "负责计算的进程已退出，计算中断。请重新刷新。",
    ),
}
"""Why a job was interrupted."""

_MAY_GO_ON = "state = 'running' AND stop IS NULL"
_NO_JOB = Text("There is no job with the id {id}.", "没有 id 为 {id} 的任务。")


@dataclass(frozen=True, slots=True)
class Published:
    """A members file that lies at its final place, ready to be named."""

    file: str
    """Relative path."""
    users_num: int
    duration: float
    facts: Facts = field(default_factory=dict)


class JobStore:
    """Jobs of all processes of a workspace, as seen and changed by this one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._workspace = catalog.workspace

    # -- reading: a read of a running job of a dead process marks it as interrupted ----------------------------------

    def get(self, job_id: int) -> JobRecord:
        """The job as it is. NotFound."""
        job = self._read("id = ?", job_id)
        if job is None:
            raise NotFound(_NO_JOB.format(id=job_id))
        return self._living(job)

    def latest(self, cluster_id: int) -> JobRecord | None:
        """The newest job of a cluster, running or ended."""
        job = self._read("cluster = ? ORDER BY id DESC LIMIT 1", cluster_id)
        return job and self._living(job)

    def reap(self) -> None:
        """Mark all running jobs of dead processes."""
        for job in self._database.records(records.job, "SELECT * FROM job WHERE state = 'running'"):
            self._living(job)

    def _read(self, where: str, value: int) -> JobRecord | None:
        return self._database.record(records.job, f"SELECT * FROM job WHERE {where}", (value,))

    def _living(self, job: JobRecord) -> JobRecord:
        if not job.running or self._workspace.owner_alive(job.owner):
            return job
        self.end(job.id, "interrupted", Interrupted.code, STOPPED["owner_gone"])
        return self._read("id = ?", job.id) or job

    # -- starting and waiting ------------------------------------------------------------------------------------

    def start_or_join(self, cluster_id: int, waiter: str) -> tuple[JobRecord, bool]:
        """The job that computes the cluster as it is now, and whether it is new; `waiter` waits for it.

        A running job is joined only if it computes the same definition on the same generation and day. An older
        one that only a standing waiter wants is asked to stop; one that somebody waits for goes on beside.
        """
        with self._database.write() as db:
            cluster = self._catalog.cluster(cluster_id)
            project = self._catalog.project(cluster.project)
            target = (cluster.definition_hash, project.generation, self._catalog.today(project))
            same = None
            for job in self._running_of(db, cluster_id):
                if (job.definition_hash, job.generation, job.local_day) == target:
                    same = job
                elif not self._awaited(db, job.id):
                    db.execute("UPDATE job SET stop = 'superseded' WHERE id = ?", (job.id,))
            job_id = same.id if same else self._insert(db, cluster, *target[1:])
            self._add_waiter(db, job_id, waiter)
            (joined,) = self._database.records(records.job, "SELECT * FROM job WHERE id = ?", (job_id,))
            return joined, same is None

    def _running_of(self, db: sqlite3.Connection, cluster_id: int) -> list[JobRecord]:
        """The running jobs of a cluster that nobody asked to stop; those of dead processes are ended."""
        running = self._database.records(
            records.job, "SELECT * FROM job WHERE cluster = ? AND state = 'running' AND stop IS NULL", (cluster_id,)
        )
        alive = [job for job in running if self._workspace.owner_alive(job.owner)]
        for job in running:
            if job not in alive:
                self._end(db, job.id, "interrupted", Interrupted.code, STOPPED["owner_gone"])
        return alive

    def _insert(self, db: sqlite3.Connection, cluster: ClusterRecord, generation: int, local_day: date) -> int:
        return records.insert(
            db,
            "job",
            cluster=cluster.id,
            kind="refresh",
            owner=self._workspace.owner,
            state="running",
            progress=0,
            definition=cluster.definition,
            definition_hash=cluster.definition_hash,
            generation=generation,
            local_day=local_day,
            created_at=self._catalog.moment(),
        )

    def join(self, job_id: int, waiter: str) -> None:
        """Wait for a job; without effect where it has ended."""
        with self._database.write() as db:
            self._add_waiter(db, job_id, waiter)

    def detach(self, job_id: int, waiter: str) -> None:
        """Stop waiting, and let the job go on for itself."""
        with self._database.write() as db:
            self._add_waiter(db, job_id, STANDING)
            db.execute("DELETE FROM job_waiter WHERE job = ? AND id = ?", (job_id, waiter))

    def leave(self, job_id: int, waiter: str) -> bool:
        """Stop waiting; True where nobody else wants the job and it was therefore asked to stop."""
        with self._database.write() as db:
            db.execute("DELETE FROM job_waiter WHERE job = ? AND id = ?", (job_id, waiter))
            standing = db.execute("SELECT 1 FROM job_waiter WHERE job = ? AND owner = ?", (job_id, STANDING)).fetchone()
            if standing or self._awaited(db, job_id):
                return False
            return records.update(db, "job", f"id = ? AND {_MAY_GO_ON}", (job_id,), stop="unwanted")

    def _add_waiter(self, db: sqlite3.Connection, job_id: int, waiter: str) -> None:
        owner = STANDING if waiter == STANDING else self._workspace.owner
        db.execute(
            "INSERT OR IGNORE INTO job_waiter (job, id, owner) SELECT id, ?, ? FROM job WHERE id = ? AND state = 'running'",
            (waiter, owner, job_id),
        )

    def _awaited(self, db: sqlite3.Connection, job_id: int) -> bool:
        """True where a living process waits for the job."""
        owners = db.execute("SELECT DISTINCT owner FROM job_waiter WHERE job = ? AND owner <> ?", (job_id, STANDING))
        return any(self._workspace.owner_alive(row["owner"]) for row in owners.fetchall())

    # -- for the process that runs the job -------------------------------------------------------------------------

    def begin(self, job_id: int) -> bool:
        """Note that its turn has come; False where it was asked to stop before."""
        with self._database.write() as db:
            return records.update(db, "job", f"id = ? AND {_MAY_GO_ON}", (job_id,), started_at=self._catalog.moment())

    def save_progress(self, job_id: int, percent: int) -> None:
        """Show how far it is; never backwards."""
        with self._database.write() as db:
            records.update(
                db, "job", "id = ? AND state = 'running' AND progress < ?", (job_id, percent), progress=percent
            )

    def stops(self) -> dict[int, StopReason]:
        """The running jobs of this process that were asked to stop, with the reason."""
        asked = self._database.rows(
            "SELECT id, stop FROM job WHERE owner = ? AND state = 'running' AND stop IS NOT NULL",
            (self._workspace.owner,),
        )
        return {row["id"]: row["stop"] for row in asked}

    def publish(self, job_id: int, result: Published) -> bool:
        """Name the members file and finish the job, in one commit; False where the file is not wanted after all.

        That is so where the job was ended meanwhile, where the cluster was deleted, and where a job that was
        asked for later has published first: then this one is done too, with that newer version.
        """
        with self._database.write() as db:
            job = self._read("id = ? AND state = 'running'", job_id)
            if job is None:
                return False
            (cluster,) = self._database.rows(
                "SELECT c.deleted_at, c.version, v.job FROM cluster c LEFT JOIN version v ON v.cluster = c.id"
                " AND v.number = c.version WHERE c.id = ?",
                (job.cluster,),
            )
            if cluster["deleted_at"] is not None or job.stop == "restored":
                why = STOPPED["restored" if cluster["deleted_at"] is None else "deleted"]
                self._end(db, job_id, "interrupted", Interrupted.code, why)
                return False
            if cluster["job"] is not None and cluster["job"] > job_id:
                self._end(db, job_id, "done", version=cluster["version"])
                return False
            made = (job.generation, job.definition_hash, job.local_day)
            number = add_version(self._catalog, db, job.cluster, result, *made, job=job_id)
            self._end(db, job_id, "done", version=number)
            return True

    def end(self, job_id: int, state: JobState, error_code: str, error: Text) -> None:
        """End a running job without a version; one that has ended stays as it is."""
        with self._database.write() as db:
            self._end(db, job_id, state, error_code, error)

    def end_all(self) -> None:
        """End every job that this process still runs, at shutdown."""
        with self._database.write() as db:
            own = "SELECT id FROM job WHERE owner = ? AND state = 'running'"
            for row in self._database.rows(own, (self._workspace.owner,)):
                self._end(db, row["id"], "interrupted", Interrupted.code, STOPPED["closed"])

    def _end(
        self,
        db: sqlite3.Connection,
        job_id: int,
        state: JobState,
        error_code: str = "",
        error: Text = NOTHING,
        version: int | None = None,
    ) -> None:
        ended = records.update(
            db,
            "job",
            "id = ? AND state = 'running'",
            (job_id,),
            state=state,
            progress=100 if state == "done" else -1,
            error_code=error_code,
            error_en=error.en,
            error_zh=error.zh,
            version=version,
            finished_at=self._catalog.moment(),
        )
        if ended:
            db.execute("DELETE FROM job_waiter WHERE job = ?", (job_id,))


def add_version(
    catalog: Catalog,
    db: sqlite3.Connection,
    cluster: int,
    result: Published,
    generation: int,
    definition_hash: str,
    local_day: date,
    *,
    job: int = 0,
) -> int:
    """Make a members file the current version of a cluster; its number. Job 0: none made it, the ids were uploaded."""
    catalog.check_files([result.file])
    last = db.execute("SELECT max(number) AS n FROM version WHERE cluster = ?", (cluster,)).fetchone()["n"]
    number: int = (last or 0) + 1
    records.insert(
        db,
        "version",
        cluster=cluster,
        number=number,
        file=result.file,
        users_num=result.users_num,
        facts=result.facts,
        computed_at=catalog.moment(),
        duration=result.duration,
        generation=generation,
        definition_hash=definition_hash,
        local_day=local_day,
        job=job,
    )
    db.execute("UPDATE cluster SET version = ? WHERE id = ?", (number, cluster))
    return number
