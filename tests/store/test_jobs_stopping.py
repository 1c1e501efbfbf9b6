"""Stopping jobs: only when nobody wants them, and never without an ending.

Two runners on one workspace stand for two processes: each has an owner, connections and threads of its own.
"""

import threading
from pathlib import Path

import anyio
import pytest

from mcp_server.errors import Interrupted, NotFound, QueryFailed
from mcp_server.store.records import JobRecord
from mcp_server.store.runner import Computed, JobControl, JobRunner
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text
from tests.store.workspace_kit import (
    PATIENCE,
    Gate,
    buyers,
    cancelled,
    create,
    delete,
    ended,
    open_catalog,
    running,
    write_members,
)

# -- cancelling --------------------------------------------------------------------------------------------------------


def test_cancelling_the_only_wait_interrupts_the_query(runner: JobRunner, gate: Gate) -> None:
    cluster = buyers(runner)
    anyio.run(cancelled, lambda: runner.refresh(cluster, PATIENCE), gate.wait_begun)
    assert gate.interrupted.wait(PATIENCE)
    job = runner.store.latest(cluster)
    assert job is not None
    stopped = ended(runner, job.id)
    assert (stopped.state, stopped.progress, stopped.error_code) == ("interrupted", -1, "interrupted")
    assert "nobody waited" in stopped.error.en
    assert runner._catalog.cluster(cluster).current is None


def test_cancelling_one_of_two_waits_lets_the_job_go_on(runner: JobRunner, gate: Gate) -> None:
    cluster = buyers(runner)
    other = runner.start_or_join(cluster)
    anyio.run(cancelled, lambda: runner.refresh(cluster, PATIENCE), gate.wait_begun)
    assert not gate.interrupted.is_set()
    gate.let_go()
    assert ended(runner, other.id).state == "done"


def test_cancelling_both_of_two_waits_interrupts_the_query(runner: JobRunner, gate: Gate) -> None:
    cluster = buyers(runner)
    runner.start_or_join(cluster)
    job = runner.start_or_join(cluster)
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
    assert not gate.interrupted.is_set()
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), lambda: None)
    assert gate.interrupted.wait(PATIENCE)
    assert ended(runner, job.id).state == "interrupted"


def test_a_wait_in_another_process_keeps_the_job_alive(root: Path, runner: JobRunner, gate: Gate) -> None:
    with running(root, write_members) as other:
        job = runner.start_or_join(buyers(runner))
        other.start_or_join(job.cluster)
        anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
        assert not gate.interrupted.is_set()
        gate.let_go()
        assert ended(other, job.id).state == "done"


def test_the_last_wait_is_cancelled_in_another_process(root: Path, runner: JobRunner, gate: Gate) -> None:
    with running(root, write_members) as other:
        job = runner.start_or_join(buyers(runner))
        other.start_or_join(job.cluster)
        anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
        anyio.run(cancelled, lambda: other.wait(job.id, PATIENCE), lambda: None)
        assert gate.interrupted.wait(PATIENCE)
        assert ended(other, job.id).state == "interrupted"


def test_a_wait_of_a_dead_process_does_not_count(root: Path, runner: JobRunner, gate: Gate) -> None:
    job = runner.start_or_join(buyers(runner))
    with running(root, write_members) as other:
        other.start_or_join(job.cluster)
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
    assert gate.interrupted.wait(PATIENCE)
    assert ended(runner, job.id).state == "interrupted"


def test_a_wait_that_runs_out_of_time_detaches_the_job(runner: JobRunner, gate: Gate) -> None:
    cluster = buyers(runner)
    job = anyio.run(runner.refresh, cluster, 0.01)
    assert (job.state, job.progress) == ("running", 0)
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
    assert not gate.interrupted.is_set()
    gate.let_go()
    assert ended(runner, job.id).state == "done"


def test_a_job_detached_by_another_process_outlives_that_process(root: Path, runner: JobRunner, gate: Gate) -> None:
    job = runner.start_or_join(buyers(runner))
    with running(root, write_members) as other:
        assert anyio.run(other.wait, job.id, 0.01).running
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
    assert not gate.interrupted.is_set()
    gate.let_go()
    assert ended(runner, job.id).state == "done"


def test_a_wait_of_no_time_only_looks(runner: JobRunner, gate: Gate) -> None:
    job = runner.start_background(buyers(runner))
    assert anyio.run(runner.wait, job.id, 0).running
    gate.let_go()
    assert anyio.run(runner.wait, ended(runner, job.id).id, 0).state == "done"


def test_a_background_job_goes_on_without_anybody(runner: JobRunner, gate: Gate) -> None:
    job = runner.start_background(buyers(runner))
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
    assert not gate.interrupted.is_set()
    gate.let_go()
    assert ended(runner, job.id).state == "done"


def test_joining_in_the_background_detaches_the_job(runner: JobRunner, gate: Gate) -> None:
    job = runner.start_or_join(buyers(runner))
    assert runner.start_background(job.cluster).id == job.id
    anyio.run(cancelled, lambda: runner.wait(job.id, PATIENCE), gate.wait_begun)
    assert not gate.interrupted.is_set()
    gate.let_go()


def test_a_progress_report_that_fails_counts_as_leaving(runner: JobRunner, gate: Gate) -> None:
    async def gone(percent: int) -> None:
        raise ConnectionError("the client went away")

    with pytest.raises(ConnectionError):
        anyio.run(runner.refresh, buyers(runner), PATIENCE, gone)
    job = runner.store.latest(buyers(runner))
    assert job is not None
    assert ended(runner, job.id).state == "interrupted"


# -- deleting, queueing, ending ------------------------------------------------------------------------------------------


def test_deleting_the_cluster_interrupts_its_job(runner: JobRunner, gate: Gate) -> None:
    job = runner.start_background(buyers(runner))
    gate.wait_begun()
    delete(runner._catalog, job.cluster, 1)
    assert gate.interrupted.wait(PATIENCE)
    assert "deleted" in ended(runner, job.id).error.en


def test_a_result_for_a_deleted_cluster_is_dropped(root: Path) -> None:
    def compute(job: JobRecord, control: JobControl) -> Computed:
        delete(runner._catalog, job.cluster, 1)
        return write_members(job, control)

    with running(root, compute) as runner:
        job = anyio.run(runner.refresh, buyers(runner), PATIENCE)
        assert (job.state, job.progress, job.version) == ("interrupted", -1, None)
        assert list(runner._workspace.members.iterdir()) == []
        assert runner._catalog.versions(job.cluster) == ()


def test_further_jobs_wait_for_a_slot(root: Path, gate: Gate) -> None:
    with running(root, gate, slots=2) as runner:
        jobs = [runner.start_background(create(runner._catalog, f"c{i}").id) for i in range(3)]
        gate.wait_begun()
        gate.wait_begun()
        assert not gate.begun.acquire(blocking=False)
        queued = runner.store.get(jobs[2].id)
        assert (queued.state, queued.progress, queued.started_at) == ("running", 0, None)
        gate.let_go()
        gate.wait_begun()
        gate.let_go()
        gate.let_go()
        assert [ended(runner, job.id).state for job in jobs] == ["done"] * 3


def test_a_queued_job_that_nobody_wants_ends_without_running(root: Path, gate: Gate) -> None:
    with running(root, gate, slots=1) as runner:
        first = runner.start_background(buyers(runner))
        gate.wait_begun()
        queued = runner.start_or_join(create(runner._catalog, "second").id)
        anyio.run(cancelled, lambda: runner.wait(queued.id, PATIENCE), lambda: None)
        stopped = runner.store.get(queued.id)
        assert (stopped.state, stopped.started_at) == ("interrupted", None)
        gate.let_go()
        assert ended(runner, first.id).state == "done"
        assert not gate.begun.acquire(blocking=False)


def test_closing_interrupts_and_marks_and_lets_go_of_the_owner(root: Path, gate: Gate) -> None:
    with running(root, gate, slots=1) as runner:
        jobs = [runner.start_background(buyers(runner)), runner.start_background(create(runner._catalog, "second").id)]
        gate.wait_begun()
        runner.close()
        assert gate.interrupted.is_set()
        assert [runner.store.get(j.id).state for j in jobs] == ["interrupted"] * 2
        assert "server was stopped" in runner.store.get(jobs[0].id).error.en
        assert not Workspace.open(root).owner_alive(runner._workspace.owner)
        with pytest.raises(Interrupted):
            runner.start_background(jobs[0].cluster)


def test_a_query_that_ignores_the_interrupt_cannot_publish_after_closing(root: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def compute(job: JobRecord, control: JobControl) -> Computed:
        begun.set()
        assert go.wait(PATIENCE)
        return write_members(job, control)

    catalog = open_catalog(root)
    runner = JobRunner(catalog, compute)
    job = runner.start_background(catalog.find("1", "buyers").id)
    assert begun.wait(PATIENCE)
    workers = set(runner._workers)
    runner.close(patience=0)
    go.set()
    for worker in workers:
        worker.join(PATIENCE)
    assert runner.store.get(job.id).state == "interrupted"
    assert list(runner._workspace.members.iterdir()) == []
    catalog.close()


def test_an_ending_that_could_not_be_written_is_written_later(root: Path) -> None:
    huge = Text("x" * 2_000_000, "很长")

    def compute(job: JobRecord, control: JobControl) -> Computed:
        db = runner._catalog.database.connection  # this worker's own; the watcher's has no such limit
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        raise QueryFailed(huge)

    with running(root, compute) as runner:
        job = anyio.run(runner.refresh, buyers(runner), PATIENCE)
        assert (job.state, job.error) == ("failed", huge)


def test_a_result_that_finds_the_disk_full_is_a_failure_and_leaves_no_file(root: Path) -> None:
    def compute(job: JobRecord, control: JobControl) -> Computed:
        db = runner._catalog.database.connection
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        result = write_members(job, control)
        return Computed(result.users_num, result.file, {"large": "x" * 1_000_000})

    with running(root, compute) as runner:
        job = anyio.run(runner.refresh, buyers(runner), PATIENCE)
        assert (job.state, job.error_code) == ("failed", "disk_full")
        assert list(runner._workspace.members.iterdir()) == []
        assert runner._catalog.cluster(job.cluster).current is None


def test_many_results_sweep_the_workspace_by_themselves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.store.runner.SWEEP_EVERY", 3)
    dead = Workspace.open(root)
    (left := dead.temp_path(".half")).write_bytes(b"x")
    dead.close()
    with running(root, write_members) as runner:
        for _ in range(3):
            anyio.run(runner.refresh, buyers(runner), PATIENCE)
        for worker in list(runner._workers):
            worker.join(PATIENCE)
        assert not left.exists()


def test_an_unknown_job_or_cluster_is_not_found(runner: JobRunner) -> None:
    with pytest.raises(NotFound):
        anyio.run(runner.wait, 99, 1)
    with pytest.raises(NotFound):
        runner.start_or_join(99)


def test_an_interrupt_that_comes_first_is_not_missed(root: Path) -> None:
    control = JobControl(open_catalog(root).workspace)
    calls: list[str] = []
    control.on_interrupt(lambda: calls.append("early"))
    control.interrupt("unwanted")
    control.interrupt("closed")
    control.on_interrupt(lambda: calls.append("late"))
    assert calls == ["early", "late"]
    assert control.reason == "unwanted"
    with pytest.raises(Interrupted, match="nobody waited"):
        control.check()


def test_a_failing_interrupt_does_not_keep_others_from_being_called(root: Path) -> None:
    control = JobControl(open_catalog(root).workspace)
    called = threading.Event()

    def broken() -> None:
        raise ValueError("connection already closed")

    control.on_interrupt(broken)
    control.on_interrupt(called.set)
    control.interrupt("unwanted")
    assert called.is_set()
