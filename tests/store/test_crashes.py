"""Real processes on one workspace, killed with -9 at bad moments: the old state or the new one, nothing between."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from mcp_server.store.catalog import Catalog
from mcp_server.store.housekeeping import sweep
from mcp_server.store.jobs import JobStore
from tests.store.workspace_kit import create, load, members, open_catalog, publish

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent

Process = subprocess.Popen[str]


@contextmanager
def server(role: str, root: Path, *arguments: object) -> Iterator[Process]:
    """A process of `job_process.py`; killed at the end, whatever happened."""
    command = [sys.executable, str(HERE / "job_process.py"), role, str(root), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment, cwd=REPOSITORY
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: Process) -> list[str]:
    """The next line, in words; empty when the process is gone."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def project(root: Path, clusters: int) -> tuple[Catalog, list[int]]:
    catalog = open_catalog(root)
    load(catalog)
    return catalog, [create(catalog, f"cluster_{i}").id for i in range(clusters)]


def inconsistencies(catalog: Catalog) -> list[object]:
    """What contradicts itself in the catalogue, or between the catalogue and the files."""
    found: list[object] = []
    db = catalog.database
    found += [r[0] for r in db.rows("PRAGMA integrity_check") if r[0] != "ok"]
    found += [tuple(r) for r in db.rows("PRAGMA foreign_key_check")]
    for cluster in catalog.list_clusters("1", limit=1000)[0]:
        versions = catalog.versions(cluster.id)
        if cluster.current != (versions[0] if versions else None):
            found.append(("current", cluster))
        for version in versions:
            file = catalog.workspace.absolute(version.file)
            if not file.is_file() or file.read_text(encoding="utf-8") != f"members of job {version.users_num}":
                found.append(("file", version))
    for row in db.rows("SELECT * FROM job WHERE (state = 'done') <> (version IS NOT NULL)"):
        found.append(("job", tuple(row)))
    for row in db.rows("SELECT j.id FROM job_waiter w JOIN job j ON j.id = w.job WHERE j.state <> 'running'"):
        found.append(("waiter", row["id"]))
    return found


def test_two_processes_that_start_at_the_same_moment_share_one_job(tmp_path: Path) -> None:
    catalog, clusters = project(tmp_path, 8)
    with server("race", tmp_path, *clusters) as one, server("race", tmp_path, *clusters) as two:
        assert [hear(p) for p in (one, two)] == [["ready"], ["ready"]]
        for _ in clusters:
            tell(one)
            tell(two)
            first, second = hear(one), hear(two)
            assert first == second != []
            tell(one)
            tell(two)
            assert [hear(p) for p in (one, two)] == [["done"], ["done"]]
    jobs = catalog.database.rows("SELECT cluster, count(*) AS n FROM job GROUP BY cluster")
    assert {r["cluster"]: r["n"] for r in jobs} == dict.fromkeys(clusters, 1)
    assert inconsistencies(catalog) == []


def test_a_job_whose_process_is_killed_reads_as_interrupted_and_the_last_version_stays(tmp_path: Path) -> None:
    catalog, (cluster,) = project(tmp_path, 1)
    store, workspace = JobStore(catalog), catalog.workspace
    publish(catalog, cluster, "the last good version")
    with server("block", tmp_path, cluster) as process:
        word, job_id = hear(process)
        job = store.get(int(job_id))
        assert (word, job.state) == ("computing", "running")
        assert workspace.owner_alive(job.owner)
        process.kill()
        process.wait()
    read = store.get(job.id)
    assert (read.state, read.progress, read.error_code, read.version) == ("interrupted", -1, "interrupted", None)
    assert "进程" in read.error.zh
    assert store.latest(cluster) == read
    assert members(catalog, cluster) == "the last good version"
    assert [workspace.absolute(f).suffix for f in sweep(catalog, store)] == [".half"]
    assert list(workspace.tmp.iterdir()) == []
    assert [p.name for p in workspace.locks.glob("owner-*")] == [f"owner-{workspace.owner}.lock"]


def test_after_a_kill_the_next_refresh_starts_anew(tmp_path: Path) -> None:
    catalog, (cluster,) = project(tmp_path, 1)
    with server("block", tmp_path, cluster) as process:
        killed = int(hear(process)[1])
        process.kill()
        process.wait()
    publish(catalog, cluster)
    assert [(v.number, v.job) for v in catalog.versions(cluster)] == [(1, killed + 1)]


def test_a_kill_at_any_statement_of_publishing_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    points = 16
    catalog, clusters = project(tmp_path, points)
    store = JobStore(catalog)
    for cluster in clusters:
        publish(catalog, cluster, f"members of job {cluster}")
        catalog.database.connection.execute("UPDATE version SET users_num = ? WHERE cluster = ?", (cluster, cluster))
    with server("die", tmp_path, *clusters) as nursery:  # all at once, so that they also get in each other's way
        assert nursery.stdout is not None
        finished = [int(line.split()[0]) for line in nursery.stdout]
        assert nursery.wait() == 0
    died = [cluster for cluster in clusters if cluster not in finished]
    for cluster in clusters:
        job = store.latest(cluster)
        assert job is not None
        published = len(catalog.versions(cluster)) == 2
        assert job.state == ("done" if published else "interrupted")
        assert published or cluster in died
    assert finished, "the last points lie behind the commit; raise `points`"
    assert died == clusters[: len(died)] != []
    assert inconsistencies(catalog) == []
    sweep(catalog, store)
    named = {v.file for c in clusters for v in catalog.versions(c)}
    assert {catalog.workspace.relative(p) for p in catalog.workspace.members.iterdir()} == named


def test_twenty_kills_during_publishing_lose_nothing_acknowledged(tmp_path: Path) -> None:
    catalog, clusters = project(tmp_path, 3)
    store, chance = JobStore(catalog), random.Random(20)
    newest = dict.fromkeys(clusters, 0)
    acknowledged = 0
    with ExitStack() as stack:
        orders = (clusters, clusters, clusters[::-1], clusters[:1])
        nurseries = [stack.enter_context(server("loops", tmp_path, *order)) for order in orders]
        for _ in range(5):
            for nursery in nurseries:
                tell(nursery)
            for nursery in nurseries:
                (process,) = hear(nursery)
                heard = [hear(nursery) for _ in range(chance.randrange(1, 6))]
                os.kill(int(process), signal.SIGKILL)
                heard += iter(partial(hear, nursery), ["gone"])
                acknowledged += len(heard)
                for cluster, number in heard:
                    newest[int(cluster)] = max(newest[int(cluster)], int(number))
            store.reap()
            assert inconsistencies(catalog) == []
    assert acknowledged > 60
    for cluster, number in newest.items():
        current = catalog.cluster(cluster).current
        assert current is not None
        assert current.number >= number > 0
        assert [v.number for v in catalog.versions(cluster)][-1] == 1
    sweep(catalog, store)
    assert list(catalog.workspace.tmp.iterdir()) == []
    named = {v.file for c in clusters for v in catalog.versions(c)}
    assert {catalog.workspace.relative(p) for p in catalog.workspace.members.iterdir()} == named
