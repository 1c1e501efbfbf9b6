"""Jobs: one computation for all who ask, stopped only when nobody wants it, and never without an ending.

Two runners on one workspace stand for two processes: each has an owner, connections and threads of its own.
"""

import threading
from pathlib import Path

import anyio
import pytest

from mcp_server.errors import QueryFailed
from mcp_server.store.records import JobRecord
from mcp_server.store.runner import ALMOST, Computed, JobControl, JobRunner
from mcp_server.text import Text
from tests.store.workspace_kit import (
    PATIENCE,
    Gate,
    buyers,
    cancelled,
    ended,
    load,
    members,
    open_catalog,
    redefine,
    running,
    write_members,
)

# -- results ---------------------------------------------------------------------------------------------------------


def test_a_refresh_publishes_a_version_and_says_so(root: Path) -> None:
    with running(root, write_members) as runner:
        job = anyio.run(runner.refresh, buyers(runner), PATIENCE)
        assert (job.state, job.progress, job.version, job.error_code) == ("done", 100, 1, "")
        assert job.started_at is not None
        assert job.finished_at is not None
        current = runner._catalog.cluster(job.cluster).current
        assert current is not None
        assert (current.job, current.users_num, current.generation) == (job.id, job.id, 1)
        assert (current.definition_hash, current.local_day.isoformat()) == ('hash of {"n":1}', "1998-07-01")
        assert members(runner._catalog, job.cluster) == f"members of job {job.id}"


def test_the_job_carries_the_definition_as_it_was_asked_for(runner: JobRunner, gate: Gate) -> None:
    job = runner.start_or_join(buyers(runner))
    gate.wait_begun()
    redefine(runner, '{"n":2}')
    load(runner._catalog)
    gate.let_go()
    done = ended(runner, job.id)
    version = runner._catalog.version(job.cluster, done.version or 0)
    assert version is not None
    assert (done.definition, version.definition_hash, version.generation) == ('{"n":1}', 'hash of {"n":1}', 1)


def test_a_refusal_of_the_engine_is_the_jobs_failure_and_the_last_version_stays(root: Path) -> None:
    def compute(job: JobRecord, control: JobControl) -> Computed:
        if job.id > 1:
            control.temp_path(".half").write_bytes(b"x")
            raise QueryFailed(Text("Out of memory.", "内存不足。"), next_step=Text("Narrow it.", "请缩小范围。"))
        return write_members(job, control)

    with running(root, compute) as runner:
        first = anyio.run(runner.refresh, buyers(runner), PATIENCE)
        second = anyio.run(runner.refresh, buyers(runner), PATIENCE)
        assert (second.state, second.progress, second.error_code) == ("failed", -1, "query_failed")
        assert second.error == Text("Out of memory. Narrow it.", "内存不足。请缩小范围。")
        assert members(runner._catalog, first.cluster) == "members of job 1"
        assert list(runner._workspace.tmp.iterdir()) == []


def test_a_bug_is_reported_by_incident_and_without_its_text(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    def compute(job: JobRecord, control: JobControl) -> Computed:
        raise ZeroDivisionError("secret detail")

    with running(root, compute) as runner:
        job = anyio.run(runner.refresh, buyers(runner), PATIENCE)
    assert (job.state, job.error_code) == ("failed", "internal_error")
    assert "secret" not in job.error.en + job.error.zh
    incident = job.error.en.rsplit(" ", 1)[1].rstrip(".")
    assert incident in caplog.text
    assert "secret detail" in caplog.text


def test_progress_rises_to_100_and_never_falls(root: Path) -> None:
    seen: list[int] = []
    steps = [threading.Event() for _ in range(3)]

    def compute(job: JobRecord, control: JobControl) -> Computed:
        for percent, step in zip((30.7, 10, 250), steps, strict=True):
            control.report(percent)
            assert step.wait(PATIENCE)
        return write_members(job, control)

    async def told(percent: int) -> None:
        seen.append(percent)
        if percent == 30:
            steps[0].set()
            steps[1].set()
        if percent == ALMOST:
            steps[2].set()

    with running(root, compute) as runner:
        anyio.run(runner.refresh, buyers(runner), PATIENCE, told)
    assert seen == [0, 30, ALMOST, 100]


def test_a_report_that_goes_back_or_too_far_is_ignored(root: Path) -> None:
    control = JobControl(open_catalog(root).workspace)
    for percent, shown in ((-1, 0), (30.7, 30), (10, 30), (250, ALMOST)):
        control.report(percent)
        assert control.percent == shown


def test_the_progress_of_another_process_is_seen(root: Path) -> None:
    go = threading.Event()

    def compute(job: JobRecord, control: JobControl) -> Computed:
        control.report(42)
        assert go.wait(PATIENCE)
        return write_members(job, control)

    async def told(percent: int) -> None:
        seen.append(percent)
        if percent == 42:
            go.set()

    seen: list[int] = []
    with running(root, compute) as one, running(root, write_members) as two:
        job = one.start_background(buyers(one))
        anyio.run(two.wait, job.id, PATIENCE, told)
    assert seen[-2:] == [42, 100]


# -- joining ---------------------------------------------------------------------------------------------------------


def test_a_second_refresh_joins_the_running_job(runner: JobRunner, gate: Gate) -> None:
    first, second = runner.start_or_join(buyers(runner)), runner.start_or_join(buyers(runner))
    assert first.id == second.id
    gate.let_go()
    assert ended(runner, first.id).state == "done"


def test_a_second_refresh_joins_from_another_process(root: Path, runner: JobRunner, gate: Gate) -> None:
    with running(root, write_members) as other:
        job = runner.start_or_join(buyers(runner))
        assert other.start_or_join(buyers(other)).id == job.id
        gate.let_go()
        assert ended(other, job.id).owner == runner._workspace.owner


@pytest.mark.parametrize("change", ["definition", "data"])
def test_a_job_of_older_definition_or_data_is_not_joined(runner: JobRunner, gate: Gate, change: str) -> None:
    old = runner.start_or_join(buyers(runner))
    redefine(runner, '{"n":2}') if change == "definition" else load(runner._catalog)
    new = runner.start_or_join(buyers(runner))
    assert new.id > old.id
    assert runner.store.get(old.id).stop is None, "somebody waits for it"
    assert (new.definition, new.generation) == (('{"n":2}', 1) if change == "definition" else ('{"n":1}', 2))
    gate.let_go()
    gate.let_go()
    assert ended(runner, new.id).state == "done"
    assert ended(runner, old.id).state == "done"
    assert members(runner._catalog, new.cluster) == f"members of job {new.id}"


def test_an_older_result_never_replaces_a_newer_one(root: Path) -> None:
    gates = {1: threading.Event(), 2: threading.Event()}

    def compute(job: JobRecord, control: JobControl) -> Computed:
        assert gates[job.id].wait(PATIENCE)
        return write_members(job, control)

    with running(root, compute) as runner:
        old = runner.start_or_join(buyers(runner))
        redefine(runner, '{"n":2}')
        new = runner.start_or_join(buyers(runner))
        gates[2].set()
        assert ended(runner, new.id).version == 1
        gates[1].set()
        late = ended(runner, old.id)
        assert (late.state, late.version) == ("done", 1)
        assert members(runner._catalog, old.cluster) == "members of job 2"
        assert len(list(runner._workspace.members.iterdir())) == 1


def test_an_older_job_that_nobody_waits_for_is_superseded(runner: JobRunner, gate: Gate) -> None:
    old = runner.start_background(buyers(runner))
    gate.wait_begun()
    redefine(runner, '{"n":2}')
    new = runner.start_background(buyers(runner))
    stopped = ended(runner, old.id)
    assert (stopped.state, stopped.progress, stopped.error_code) == ("interrupted", -1, "interrupted")
    assert "newer computation" in stopped.error.en
    gate.let_go()
    assert ended(runner, new.id).state == "done"


def test_a_job_that_was_asked_to_stop_is_not_joined(runner: JobRunner, gate: Gate) -> None:
    old = runner.start_or_join(buyers(runner))
    gate.wait_begun()
    anyio.run(cancelled, lambda: runner.wait(old.id, PATIENCE), gate.interrupted.is_set)
    assert runner.start_or_join(buyers(runner)).id > old.id
