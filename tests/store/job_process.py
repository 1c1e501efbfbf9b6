"""A server process for the crash tests: `python job_process.py ROLE WORKSPACE [ARGUMENT…]`.

It talks by lines: what it prints has been acknowledged, and it goes on when a line comes in.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import anyio

from mcp_server.store.records import JobRecord
from mcp_server.store.runner import Computed, JobControl, JobRunner
from tests.store.workspace_kit import PATIENCE, open_catalog, write_members


def say(*words: object) -> None:
    print(*words, flush=True)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def race(root: Path, clusters: list[str]) -> None:
    """Start or join a job for each cluster, one per line that comes in; a job ends when the next line comes."""
    finish = threading.Semaphore(0)

    def compute(job: JobRecord, control: JobControl) -> Computed:
        assert finish.acquire(timeout=PATIENCE)
        return write_members(job, control)

    runner = JobRunner(open_catalog(root), compute)
    say("ready")
    for cluster in clusters:
        sys.stdin.readline()
        job = runner.start_or_join(int(cluster))
        say(job.id)
        sys.stdin.readline()
        finish.release()
        say(anyio.run(runner.wait, job.id, PATIENCE).state)
        finish.acquire(blocking=False)
    runner.close()


def block(root: Path, cluster: str) -> None:
    """Run a job that has half a file and then waits for ever."""

    def compute(job: JobRecord, control: JobControl) -> Computed:
        control.temp_path(".half").write_text("half", encoding="utf-8")
        control.report(40)
        say("computing", job.id)
        sys.stdin.readline()
        return write_members(job, control)

    runner = JobRunner(open_catalog(root), compute)
    anyio.run(runner.refresh, int(cluster), PATIENCE)


def loop(root: Path, *clusters: str) -> None:
    """Refresh the clusters round and round, and acknowledge every version that was published."""
    catalog = open_catalog(root)
    runner = JobRunner(catalog, write_members)
    while True:
        for cluster in clusters:
            job = anyio.run(runner.refresh, int(cluster), PATIENCE)
            if job.state == "done":
                say(cluster, job.version)


def loops(root: Path, *clusters: str) -> None:
    """At each line that comes in a process that loops until it is killed: it says its id first, and `gone` comes last."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            say(os.getpid())
            loop(root, *clusters)
        os.waitpid(child, 0)
        say("gone")


def die_at_statement(root: Path, cluster: str, count: str) -> None:
    """Publish a result and die just before the given SQL statement of the publishing commit (0: before the first)."""
    catalog = open_catalog(root)
    left = int(count)

    def trace(statement: str) -> None:
        nonlocal left
        if left == 0:
            die()
        left -= 1

    def compute(job: JobRecord, control: JobControl) -> Computed:
        result = write_members(job, control)
        catalog.database.connection.set_trace_callback(trace)
        return result

    runner = JobRunner(catalog, compute)
    job = anyio.run(runner.refresh, int(cluster), PATIENCE)
    say(cluster, job.state)


def die_everywhere(root: Path, *clusters: str) -> None:
    """One process for each cluster, which dies one statement later than the one before; says whose job was finished."""
    children = []
    for point, cluster in enumerate(clusters):
        child = os.fork()
        if child == 0:
            die_at_statement(root, cluster, str(point))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    role, workspace, *arguments = sys.argv[1:]
    if role == "race":
        race(Path(workspace), arguments)
    elif role == "block":
        block(Path(workspace), *arguments)
    elif role == "loops":
        loops(Path(workspace), *arguments)
    elif role == "die":
        die_everywhere(Path(workspace), *arguments)
