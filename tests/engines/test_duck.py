"""The engine on real files: members, progress, interruption, errors."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from mcp_server.engines.base import DataFile
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import Interrupted, QueryFailed
from mcp_server.language.model import Qp
from mcp_server.plan.compile import compile_definition
from mcp_server.plan.plan import Plan
from tests.asking_duckdb import rows_of
from tests.language.projects import GAME, event, user


class Control:
    """A caller who notes what it is told."""

    def __init__(self, *, interrupted: bool = False) -> None:
        self.interrupted = interrupted
        self.reports: list[float] = []

    def report(self, percent: float) -> None:
        self.reports.append(percent)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        pass


def plan_of(**definition: object) -> Plan:
    return compile_definition(Qp.model_validate(definition), GAME)


@pytest.fixture
def engine(tmp_path: Path):
    made = Engine(tmp_path / "spill")
    yield made
    made.close()


@pytest.fixture
def data(tmp_path: Path) -> DataFile:
    path = tmp_path / "data.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute('CREATE TABLE users AS SELECT i::BIGINT AS "#user_id", i % 2 = 0 AS vip FROM range(10) t(i)')
        db.execute(
            """CREATE TABLE events AS SELECT i::BIGINT % 12 AS "#user_id", 'purchase' AS "#event_name",
               TIMESTAMP '2024-06-25' AS "#event_time" FROM range(40) t(i)"""
        )
    return DataFile(path, users_complete=False)


@pytest.fixture
def endless(tmp_path: Path) -> DataFile:
    """More events than any machine counts in a test: a view, so it takes no space."""
    path = tmp_path / "endless.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute('CREATE TABLE users AS SELECT 1::BIGINT AS "#user_id"')
        db.execute(
            """CREATE VIEW events AS SELECT i % 1000 AS "#user_id", 'purchase' AS "#event_name",
               TIMESTAMP '2024-06-25' AS "#event_time" FROM range(100000000000) t(i)"""
        )
    return DataFile(path, users_complete=False)


def test_members_go_to_a_file(engine: Engine, data: DataFile, tmp_path: Path):
    out = tmp_path / "members.parquet"
    written = engine.write(data, plan_of(events=[event(num="3")]), out, Control())
    ids = rows_of(f"SELECT user_id FROM '{out}' ORDER BY 1")
    assert ids == [(0,), (1,), (2,), (3,)]
    assert written.users_num == 4


def test_a_preview_counts_and_shows_the_first_users_by_id(engine: Engine, data: DataFile):
    plan = plan_of(filts=[user("vip", "isTrue")])
    counts, rows = engine.funnel(data, plan, sample=2, columns=["#user_id", "vip"], control=Control())
    assert counts.selected == 5
    assert counts.steps == ((5, 5),)
    assert rows == [(0, True), (2, True)]


def test_a_task_that_is_interrupted_stops(engine: Engine, endless: DataFile, tmp_path: Path):
    with pytest.raises(Interrupted):
        engine.write(endless, plan_of(events=[event()]), tmp_path / "m", Control(interrupted=True))


def test_an_interrupt_leaves_other_tasks_and_the_engine_alone(
    engine: Engine, endless: DataFile, data: DataFile, tmp_path: Path
):
    with pytest.raises(Interrupted):
        engine.write(endless, plan_of(events=[event()]), tmp_path / "m", Control(interrupted=True))
    assert engine.write(data, plan_of(events=[event(num="3")]), tmp_path / "m", Control()).users_num == 4


def test_progress_is_the_engines_own(engine: Engine, endless: DataFile, tmp_path: Path):
    control = Control()

    def stop_once_told(percent: float) -> None:
        control.reports.append(percent)
        control.interrupted = True

    control.report = stop_once_told  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        engine.write(endless, plan_of(events=[event()]), tmp_path / "m", control)
    assert 0 < control.reports[0] < 100


def test_nothing_is_printed_to_stdout(
    engine: Engine, data: DataFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    engine.write(data, plan_of(events=[event()]), tmp_path / "m", Control())
    assert capfd.readouterr().out == ""


def test_a_file_that_lacks_a_column_is_a_clear_error(engine: Engine, data: DataFile, tmp_path: Path):
    with pytest.raises(QueryFailed, match="city"):
        engine.write(data, plan_of(filts=[user("city", "isNull")]), tmp_path / "m", Control())


@pytest.mark.parametrize("pattern", ["a(?=b)", r"(a)\1", "(", "[z-a]", "a{2000}"])
def test_a_pattern_outside_re2_is_named(engine: Engine, pattern: str):
    assert engine.regex_fault(pattern)


@pytest.mark.parametrize("pattern", ["", "^a.*$", r"\d+", "上海|北京", "(?i)abc"])
def test_a_pattern_of_re2_is_fine(engine: Engine, pattern: str):
    assert engine.regex_fault(pattern) == ""


def test_data_files_stay_as_they_are(engine: Engine, data: DataFile, tmp_path: Path):
    before = data.path.read_bytes()
    engine.write(data, plan_of(events=[event()]), tmp_path / "m", Control())
    assert data.path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".wal") == []
