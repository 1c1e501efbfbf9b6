"""SQL of users in its own process: members in a file, bombs stopped at their limits, nothing left behind."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from mcp_server.engines.base import DataFile, Written
from mcp_server.engines.duckdb.sandbox import run as sandbox
from mcp_server.engines.duckdb.sandbox.pipe import Broken, frames
from mcp_server.engines.duckdb.sandbox.result import shape_of
from mcp_server.engines.duckdb.sandbox.run import SqlLimits, bind_sql, run_sql
from mcp_server.errors import DiskFull, FileDamaged, Interrupted, InvalidDefinition, Problem, QueryFailed
from mcp_server.user_sql.guard import check_sql
from tests.asking_duckdb import rows_of
from tests.user_sql.sql_kit import Control, Desk, Project, make, planned, request

CROSS = " FROM " + ", ".join(f"v_event_1 {name}" for name in "abcdefghijklmn") + " WHERE a.price < b.price"
ENDLESS = 'SELECT a."#user_id"' + CROSS
"""More rows than any machine gives in a test."""
COUNTING = 'SELECT count(*) AS "#user_id"' + CROSS
"""The same without a row before the end."""
LIMITS = SqlLimits(seconds=20, memory=300 * 1024**2, rows=1000)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("project"))


@pytest.fixture
def run(project: Project, tmp_path: Path) -> Callable[..., Written]:
    """Check and run a statement; the members are in `tmp_path / "members"`."""

    def call(sql: str, columns: int = 1, limits: SqlLimits = LIMITS, control: Control | None = None) -> Written:
        plan = planned(sql, 2 if columns == 2 else 1)
        return run_sql(plan, project.data, tmp_path / "members", limits=limits, control=control or Control())

    return call


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path, project: Project) -> Iterator[None]:
    """After every test: no file but the members, no process, the data as it was."""
    before = project.data.path.read_bytes()
    yield
    assert {path.name for path in tmp_path.iterdir()} <= {"members"}
    assert project.data.path.read_bytes() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def members(folder: Path) -> list[tuple[object, ...]]:
    return rows_of(f"SELECT * FROM read_parquet('{folder / 'members'}')")


def schema(folder: Path) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in rows_of(f"DESCRIBE FROM read_parquet('{folder / 'members'}')")]


def found_by(call: Callable[[], object]) -> Sequence[Problem]:
    with pytest.raises(InvalidDefinition) as caught:
        call()
    return caught.value.problems


# -- members --------------------------------------------------------------------------------------------------------------


def test_members_are_written_and_what_was_dropped_is_counted(run: Callable[..., Written], tmp_path: Path) -> None:
    control = Control()
    outcome = run('SELECT "#user_id" FROM v_event_1 UNION ALL SELECT NULL', control=control)
    assert outcome == Written(4, None, {"null_ids": 1, "unknown_ids": 1, "repeated_ids": 3})
    assert members(tmp_path) == [(1,), (2,), (3,), (4,)]
    assert schema(tmp_path) == [("user_id", "BIGINT")]


def test_nobody_is_an_empty_file(run: Callable[..., Written], tmp_path: Path) -> None:
    assert run('SELECT "#user_id" FROM v_user_1 WHERE level > 100').users_num == 0
    assert (members(tmp_path), schema(tmp_path)) == ([], [("user_id", "BIGINT")])


def test_values_come_back_exactly(run: Callable[..., Written], tmp_path: Path) -> None:
    nasty = ["", 'a,"b"\'\n\r\n', "级别😀", "x\0y", "\\N"]
    cases = " ".join(f"WHEN {n} THEN {_spelled(value)}" for n, value in enumerate(nasty, 1))
    outcome = run(f'SELECT "#user_id", CASE "#user_id" {cases} END FROM v_user_1', columns=2)
    assert members(tmp_path) == [*enumerate(nasty, 1)]
    assert outcome.value_type == ("string", None)


def _spelled(text: str) -> str:
    return " || ".join(f"chr({ord(character)})" for character in text) or "''"


def test_numbers_keep_every_bit_and_digit(run: Callable[..., Written], tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 1e-300, 1.7976931348623157e308, -0.0, 123456789.123456789]
    cases = " ".join(f"WHEN {n} THEN CAST('{value!r}' AS DOUBLE)" for n, value in enumerate(numbers, 1))
    outcome = run(f'SELECT "#user_id", CASE "#user_id" {cases} END FROM v_user_1', columns=2)
    assert [float(str(value)).hex() for _, value in members(tmp_path)] == [n.hex() for n in numbers]
    assert outcome.value_type == ("number", None)
    outcome = run('SELECT "#user_id", CAST(balance AS DECIMAL(10, 2)) FROM v_user_1', columns=2)
    assert (outcome.value_type, schema(tmp_path)[1][1]) == (("number", 2), "DECIMAL(10,2)")


def test_times_are_kept_as_instants(project: Project, run: Callable[..., Written], tmp_path: Path) -> None:
    assert run('SELECT "#user_id", reg FROM v_user_1', columns=2).value_type == ("time", None)
    with duckdb.connect(str(project.data.path), read_only=True) as db:
        stored = db.sql('SELECT "#user_id", reg FROM users WHERE reg IS NOT NULL ORDER BY 1').fetchall()
    assert members(tmp_path) == stored


def test_only_clusters_that_are_named_are_opened(project: Project, tmp_path: Path) -> None:
    data = replace(project.data, members=(*project.data.members, tmp_path / "nowhere.parquet"))

    def call(sql: str) -> Written:
        plan = planned(sql, clusters=[*project.clusters, "broken"])
        return run_sql(plan, data, tmp_path / "members", limits=LIMITS, control=Control())

    named = "SELECT \"#user_id\" FROM user_result_cluster_1 WHERE cluster_name = 'payers'"
    assert call(named).users_num == 2
    with pytest.raises(FileDamaged, match=r"nowhere\.parquet"):
        call('SELECT "#user_id" FROM user_result_cluster_1')


# -- what the engine finds ------------------------------------------------------------------------------------------------


def test_an_unknown_cluster_is_named_with_the_nearest(run: Callable[..., Written]) -> None:
    sql = "SELECT \"#user_id\" FROM user_result_cluster_1 WHERE cluster_name IN ('payer', 'tier')"
    [problem] = found_by(lambda: run(sql))
    assert (problem.code, problem.got, problem.suggestion) == ("sql_cluster_unknown", "payer", "payers")


def test_an_unknown_column_is_named_with_the_nearest(run: Callable[..., Written]) -> None:
    [problem] = found_by(lambda: run('SELECT "#user_id" FROM v_user_1 WHERE levle = 3'))
    assert (problem.code, problem.got, problem.suggestion) == ("sql_column_unknown", "levle", "level")


def test_a_user_with_two_values_is_an_error_with_an_example(run: Callable[..., Written]) -> None:
    [problem] = found_by(lambda: run('SELECT "#user_id", item FROM v_event_1 WHERE item IS NOT NULL', columns=2))
    assert (problem.code, problem.got) == ("sql_two_values", "1: box, gem")
    assert "several: 1," in problem.message.en


def test_an_error_while_running_is_the_sqls(run: Callable[..., Written]) -> None:
    [problem] = found_by(lambda: run('SELECT "#user_id"\nFROM v_user_1\nWHERE CAST(city AS INTEGER) = 1'))
    assert problem.code == "sql_failed"
    assert problem.message.en.endswith("(Line 3.)")


SHAPES: list[tuple[str, int, list[str]]] = [
    ("SELECT * FROM v_user_1", 1, ["sql_columns"]),
    ("SELECT * FROM (SELECT level AS x FROM v_user_1) AS t(y)", 1, ["sql_id_column"]),
    ('SELECT CAST("#user_id" AS VARCHAR) AS "#user_id", tags FROM v_user_1', 2, ["sql_id_type", "sql_value_type"]),
    ("SELECT \"#user_id\", {'a': 1} FROM v_user_1", 2, ["sql_value_type"]),
    ('SELECT "#user_id", INTERVAL 1 DAY FROM v_user_1', 2, ["sql_value_type"]),
]


@pytest.mark.parametrize(("sql", "columns", "codes"), SHAPES)
def test_a_result_that_fits_no_cluster_and_no_tag_is_found(
    project: Project, sql: str, columns: int, codes: list[str]
) -> None:
    shape = shape_of(Desk(project).connection, sql)
    assert [finding["code"] for finding in shape.findings(columns)] == codes


@pytest.mark.parametrize(
    ("sql", "codes"),
    [
        ("SELECT * FROM v_user_1", ["sql_columns"]),
        ('SELECT "#user_id" FROM v_user_1 WHERE abs(level, 1) = 2', ["sql_failed"]),
        (ENDLESS, []),
    ],
)
def test_binding_finds_it_without_running(project: Project, sql: str, codes: list[str]) -> None:
    found = bind_sql(planned(sql), project.data, limits=LIMITS, control=Control())
    assert [problem.code for problem in found] == codes


def test_a_value_too_long_to_compare_with_is_refused(project: Project) -> None:
    desk = Desk(project)
    long = " || ".join(["'" + "x" * 1000 + "'"] * 3)
    with pytest.raises(AssertionError, match="sql_value_long"):
        desk.select(f'SELECT "#user_id", {long} FROM v_user_1', columns=2)


def test_a_data_file_that_is_gone_is_named(project: Project, tmp_path: Path) -> None:
    gone = DataFile(tmp_path / "gone.duckdb", users_complete=True)
    with pytest.raises(FileDamaged, match=r"gone\.duckdb"):
        bind_sql(planned('SELECT "#user_id" FROM v_user_1'), gone, limits=LIMITS, control=Control())


# -- limits ---------------------------------------------------------------------------------------------------------------

DOUBLING = "WITH s0 AS (SELECT level || 'xxxxxxxxxxxxxxxx' AS s FROM v_user_1), " + ", ".join(
    f"s{n + 1} AS (SELECT s || s || s || s || s || s || s || s AS s FROM s{n})" for n in range(9)
) + ' SELECT length(s) AS "#user_id" FROM s9'  # fmt: skip
LISTING = 'SELECT 1 AS "#user_id" FROM (SELECT list(a.item || b.item || c.item) AS l FROM ' + ", ".join(
    f"v_event_1 {name}" for name in "abcdefghijk"
) + ") WHERE len(l) > 0"  # fmt: skip


def test_a_cross_join_is_stopped_by_the_clock(run: Callable[..., Written]) -> None:
    with pytest.raises(QueryFailed, match="longer than 1 s") as caught:
        run(COUNTING, limits=replace(LIMITS, seconds=1))
    assert "$part_date" in caught.value.next_step.zh


@pytest.mark.parametrize("sql", [DOUBLING, LISTING], ids=["doubled texts", "a list of everything"])
def test_what_fills_the_memory_is_stopped_there(run: Callable[..., Written], sql: str) -> None:
    with pytest.raises(QueryFailed, match=r"more than 0\.3 GiB of memory"):
        run(sql)


def test_more_rows_than_allowed_are_not_collected(run: Callable[..., Written]) -> None:
    with pytest.raises(QueryFailed, match="more than 1,000 rows"):
        run(ENDLESS)


def test_a_chain_deeper_than_the_engine_reads_is_said(run: Callable[..., Written]) -> None:
    [problem] = found_by(lambda: run('SELECT "#user_id" FROM v_user_1 WHERE level = ' + "1+" * 9000 + "1"))
    assert problem.code == "sql_too_deep"


def test_a_request_that_no_process_takes_is_an_error(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Written]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(QueryFailed, match="broke off"):
        run('SELECT "#user_id" FROM v_user_1')


def test_a_process_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Written]) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(QueryFailed, match="could not be started"):
        run('SELECT "#user_id" FROM v_user_1')


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_said(run: Callable[..., Written], tmp_path: Path) -> None:
    (tmp_path / "members.lines").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        run('SELECT "#user_id" FROM v_user_1')


# -- interruption ---------------------------------------------------------------------------------------------------------


class Waiting(Control):
    """Tells when its callback is registered: the process runs."""

    def __init__(self) -> None:
        super().__init__()
        self.registered = threading.Event()

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        super().on_interrupt(callback)
        self.registered.set()


def test_an_interrupt_kills_it_at_once_and_the_event_loop_stays_free(
    run: Callable[..., Written], tmp_path: Path
) -> None:
    control = Waiting()

    async def scene() -> None:
        running = asyncio.create_task(asyncio.to_thread(run, COUNTING, control=control))
        await asyncio.to_thread(control.registered.wait, 10)
        for _ in range(1000):  # the loop turns while the process runs
            await asyncio.sleep(0)
        assert not running.done()
        control.interrupt()
        with pytest.raises(Interrupted):
            await asyncio.wait_for(running, 10)

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_from_before_is_heeded(run: Callable[..., Written]) -> None:
    control = Control()
    control.interrupted = True
    with pytest.raises(Interrupted):
        run('SELECT "#user_id" FROM v_user_1', control=control)


# -- the process ----------------------------------------------------------------------------------------------------------


def test_the_process_ends_with_its_server(project: Project) -> None:
    asked = replace(request(project, check_sql(COUNTING, "1", columns=1)), seconds=60)
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "mcp_server.engines.duckdb.sandbox.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(asked.line())
    child.stdin.flush()
    next(frames(child.stdout))  # it reports progress: it runs
    child.stdin.close()
    assert child.wait(timeout=5) == 0
    child.stdout.close()


def test_the_process_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENQUN_TOKEN", "canary")
    with sandbox._started() as process:
        environment = Path(f"/proc/{process.pid}/environ")
        told = environment.read_bytes() if environment.exists() else b""
    assert b"canary" not in told


def test_the_process_confines_itself(tmp_path: Path, project: Project) -> None:
    asked = request(project, check_sql('SELECT "#user_id" FROM v_user_1', "1", columns=1))
    script = (
        "import sys, resource; from mcp_server.engines.duckdb.sandbox.child import _confine, OWN_SPACE\n"
        "from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest\n"
        f"_confine(SqlRequest.read({asked.line()!r}))\n"
        "assert resource.getrlimit(resource.RLIMIT_AS)[1] == OWN_SPACE + 512 * 1024**2\n"
        "assert resource.getrlimit(resource.RLIMIT_CPU) == (30, 30)\n"
        f"open({str(tmp_path / 'x')!r}, 'wb', 0).write(b'x')\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", env=environment)
    assert "File too large" in said.stderr
    (tmp_path / "x").unlink()


@pytest.mark.parametrize("sent", [b"x", b"zzzzzzz", b"r\0\0\0\x05ab", b"r\xff\xff\xff\xff"])
def test_what_is_no_frame_is_noticed(sent: bytes, tmp_path: Path) -> None:
    path = tmp_path / "members"
    path.write_bytes(sent)
    with path.open("rb") as source, pytest.raises(Broken):
        list(frames(source))
