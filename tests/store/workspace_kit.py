"""A workspace with a project and clusters, without any engine: members are files of plain text."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import anyio

from mcp_server.errors import QueryFailed
from mcp_server.language.metadata import Metadata
from mcp_server.store.catalog import Catalog, Clock
from mcp_server.store.jobs import STANDING, JobStore, Published
from mcp_server.store.records import ClusterRecord, GenerationRecord, JobRecord
from mcp_server.store.runner import Compute, Computed, JobControl, JobRunner
from mcp_server.store.workspace import Workspace
from mcp_server.text import same

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""


def open_catalog(root: Path, clock: Clock | None = None) -> Catalog:
    workspace = Workspace.open(root)
    return Catalog(workspace, clock=clock) if clock else Catalog(workspace)


@contextmanager
def running(root: Path, compute: Compute, *, slots: int = 2) -> Iterator[JobRunner]:
    """What one server process has open; several in one test are as separate as processes are."""
    catalog = open_catalog(root)
    runner = JobRunner(catalog, compute, slots=slots)
    try:
        yield runner
    finally:
        runner.close()
        catalog.close()


def load(
    catalog: Catalog, *, project: str = "1", as_of: date | None = date(1998, 7, 1), zone: str = "Asia/Shanghai"
) -> GenerationRecord:
    """Publish a generation of data, as a load does."""
    workspace = catalog.workspace
    temp, final = workspace.temp_path(".duckdb"), workspace.result_path(workspace.data, f"project_{project}", ".duckdb")
    temp.write_bytes(b"events")
    workspace.publish(temp, final)
    metadata = Metadata(project_id=project, zone=zone, today=as_of or date(1970, 1, 1), as_of=as_of, users=3)
    return catalog.publish_generation(metadata, [workspace.relative(final)], {"unknown_user_rows": 2})


def create(
    within: Catalog,
    name: str = "buyers",
    *,
    project: str = "1",
    definition: str = '{"n":1}',
    display_name: str = "买家",
    cluster_type: str = "cluster_by_dynamic_condition",
    **more: str,
) -> ClusterRecord:
    with within.database.write() as db:
        return within.create_cluster(
            db,
            project,
            name=name,
            display_name=display_name,
            cluster_type=cluster_type,
            definition=definition,
            definition_hash=f"hash of {definition}",
            **more,
        )


def update(catalog: Catalog, cluster_id: int, revision: int, **changes: str) -> ClusterRecord:
    with catalog.database.write() as db:
        return catalog.update_cluster(db, cluster_id, revision, **changes)


def delete(catalog: Catalog, cluster_id: int, revision: int) -> None:
    with catalog.database.write() as db:
        catalog.delete_cluster(db, cluster_id, revision)


def write_members(job: JobRecord, control: JobControl, text: str = "") -> Computed:
    """A result whose file says which job made it."""
    file = control.temp_path(".txt")
    file.write_text(text or f"members of job {job.id}", encoding="utf-8")
    return Computed(users_num=job.id, file=file)


def members(catalog: Catalog, cluster_id: int) -> str:
    """The text of the current version's file."""
    current = catalog.cluster(cluster_id).current
    assert current is not None
    return catalog.workspace.absolute(current.file).read_text(encoding="utf-8")


class Watch:
    """A clock that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


def publish(catalog: Catalog, cluster_id: int, content: str = "members") -> int:
    """Give a cluster a version, as a job does; returns the job's id."""
    workspace, store = catalog.workspace, JobStore(catalog)
    job, _ = store.start_or_join(cluster_id, STANDING)
    temp, final = workspace.temp_path(".txt"), workspace.result_path(workspace.members, f"cluster_{cluster_id}", ".txt")
    temp.write_text(content, encoding="utf-8")
    workspace.publish(temp, final)
    assert store.publish(job.id, Published(workspace.relative(final), len(content), 0.5))
    return job.id


class Gate:
    """A computation that says when it has begun and goes on when it is let go, or is interrupted."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.interrupted = threading.Event()
        self._go = threading.Semaphore(0)

    def __call__(self, job: JobRecord, control: JobControl) -> Computed:
        control.on_interrupt(self._stop)
        self.begun.release()
        assert self._go.acquire(timeout=PATIENCE)
        if control.interrupted:
            raise QueryFailed(same("the engine says: query interrupted"))
        return write_members(job, control)

    def _stop(self) -> None:
        self.interrupted.set()
        self._go.release()

    def let_go(self) -> None:
        self._go.release()

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE)


def buyers(runner: JobRunner) -> int:
    return runner._catalog.find("1", "buyers").id


def redefine(runner: JobRunner, definition: str) -> None:
    catalog = runner._catalog
    cluster = catalog.find("1", "buyers")
    update(catalog, cluster.id, cluster.revision, definition=definition, definition_hash=f"hash of {definition}")


def ended(runner: JobRunner, job_id: int) -> JobRecord:
    """The job when it has ended."""
    job = anyio.run(runner.wait, job_id, PATIENCE)
    assert not job.running
    return job


async def cancelled(waiting: Callable[[], Awaitable[object]], once: Callable[[], object]) -> None:
    """Wait, and be cancelled as soon as `once` has returned (it may block: the wait lives in this thread's loop)."""
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def wait() -> None:
            with scope:
                await waiting()

        group.start_soon(wait)
        await anyio.to_thread.run_sync(once)
        scope.cancel()
