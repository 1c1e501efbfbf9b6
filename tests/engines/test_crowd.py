"""What a crowd is like, counted by hand on a small table: values, quarters, missing ones, and what is never told."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from mcp_server.engines.base import DataFile, StageControl
from mcp_server.engines.duckdb.crowd import (
    FEWEST,
    CrowdFindings,
    Group,
    Stretches,
    analyse,
    analysed_properties,
    changes,
)
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import Interrupted
from mcp_server.language.metadata import Property


class Control:
    """A caller who notes what it is told, and may want no more from some point on."""

    def __init__(self, *, until: float = 101) -> None:
        self.reports: list[float] = []
        self._until = until

    @property
    def interrupted(self) -> bool:
        return bool(self.reports) and self.reports[-1] >= self._until

    def report(self, percent: float) -> None:
        self.reports.append(percent)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        pass


def of_user(name: str, kind: str, distinct: int = 2, scale: int | None = None) -> Property:
    return Property.model_validate({"table": "user", "name": name, "type": kind, "distinct": distinct, "scale": scale})


ALL = [
    of_user("#account_id", "string", 40),
    of_user("city", "string", 3),
    of_user("vip", "bool"),
    of_user("level", "number", 3, 0),
    of_user("score", "number", 40, 0),
    of_user("spent", "number", 40, 2),
    of_user('odd " name', "string"),
    of_user("tags", "list", 2),
    of_user("since", "time", 40),
    of_user("none", "string", 0),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("crowd") / "spill")
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 users, and a file of members for each number of them that a test asks for."""
    folder = tmp_path_factory.mktemp("crowd")
    with duckdb.connect(str(folder / "data.duckdb")) as db:
        db.execute(
            """CREATE TABLE users AS SELECT i::BIGINT AS "#user_id", 'a' || i AS "#account_id",
               CASE WHEN i <= 20 THEN '上海' WHEN i <= 36 THEN 'b' WHEN i < 40 THEN '' END AS city, i % 2 = 0 AS vip,
               (i % 3)::BIGINT AS level, i::BIGINT AS score, (i / 4)::DECIMAL(9, 2) AS spent, 'x' AS "odd "" name",
               CASE WHEN i % 2 = 0 THEN ['u', 'v', 'u'] WHEN i < 20 THEN [] END AS tags,
               TIMESTAMP '2026-01-01' + to_days(i::INT) AS since, NULL::VARCHAR AS none FROM range(1, 41) t(i)"""
        )
        db.execute(
            """CREATE TABLE events AS SELECT (i % 50)::BIGINT AS "#user_id", 'e' AS "#event_name",
               TIMESTAMP '2026-01-01' + to_hours(i::INT) AS "#event_time" FROM range(240) t(i)"""
        )
        for count in (0, 24, 25, 40):
            db.execute(f"COPY (SELECT i AS user_id FROM range(1, {count + 1}) t(i)) TO '{folder}/{count}.parquet'")
        db.execute(f"COPY (SELECT i AS user_id FROM range(21, 61) t(i)) TO '{folder}/beyond.parquet'")
    return folder


def data(folder: Path, *members: object) -> DataFile:
    return DataFile(folder / "data.duckdb", False, tuple(folder / f"{name}.parquet" for name in members))


def found(engine: Engine, folder: Path, members: object, stretches: Stretches | None = None) -> CrowdFindings:
    properties = analysed_properties(ALL)
    stages = StageControl(Control())
    return engine.look(
        data(folder, members), lambda own, tables: analyse(own, tables, properties, stretches, stages), stages
    )


def groups(findings: CrowdFindings, name: str) -> tuple[Group, ...]:
    return next(found for p, found in findings.groups if p.name == name)


def test_values_come_with_their_members_and_all_who_have_them(engine: Engine, folder: Path) -> None:
    all_of_it = found(engine, folder, 40)
    assert (all_of_it.users, all_of_it.all_users) == (40, 40)
    assert groups(all_of_it, "city") == (Group(20, 20, "上海"), Group(16, 16, "b"))
    some = found(engine, folder, 25)
    assert groups(some, "vip") == (Group(13, 20, False), Group(12, 20, True))
    assert groups(some, "level") == (Group(9, 14, 1), Group(8, 13, 0), Group(8, 13, 2))
    assert groups(some, 'odd " name') == (Group(25, 40, "x"),)


def test_a_value_is_told_from_five_members_on(engine: Engine, folder: Path) -> None:
    assert FEWEST == 5
    assert groups(found(engine, folder, 24), "city") == (Group(20, 20, "上海"),)
    assert groups(found(engine, folder, 25), "city") == (Group(20, 20, "上海"), Group(5, 16, "b"))


def test_many_numbers_and_times_are_told_as_quarters_of_all_users(engine: Engine, folder: Path) -> None:
    some = found(engine, folder, 25)
    assert groups(some, "score") == (
        Group(10, 10, None, None, 10), Group(10, 10, None, 10, 20), Group(5, 10, None, 20, 30)
    )  # fmt: skip
    assert groups(some, "spent")[1] == Group(10, 10, None, Decimal("2.50"), Decimal("5.00"))
    assert groups(some, "since")[0] == Group(10, 10, None, None, datetime(2026, 1, 11))
    assert groups(found(engine, folder, 40), "score")[-1] == Group(10, 10, None, 30, None)


def test_an_item_of_a_list_counts_once_a_user_and_a_missing_value_is_a_value(engine: Engine, folder: Path) -> None:
    some = found(engine, folder, 25)
    assert groups(some, "tags") == (Group(12, 20, "u"), Group(12, 20, "v"))
    assert groups(some, "none") == (Group(25, 40),)


def test_ids_are_never_looked_at(engine: Engine, folder: Path) -> None:
    assert "#account_id" not in [p.name for p, _ in found(engine, folder, 40).groups]
    assert [
        p.name for p in analysed_properties([of_user("#User_Id", "number"), of_user("#distinct_id", "string")])
    ] == []


def test_members_whom_the_data_does_not_know_are_not_counted(engine: Engine, folder: Path) -> None:
    stretches = Stretches(datetime(2025, 1, 1), (datetime(2026, 1, 1),), datetime(2027, 1, 1))
    beyond = found(engine, folder, "beyond", stretches)
    assert (beyond.users, groups(beyond, "vip")) == (20, (Group(10, 20, False), Group(10, 20, True)))
    assert beyond.activity[-2] == (sum(21 <= i % 50 <= 40 for i in range(240)), 20)


def test_nobody_has_no_values(engine: Engine, folder: Path) -> None:
    stretches = Stretches(datetime(2025, 1, 1), (datetime(2026, 1, 1),), datetime(2027, 1, 1))
    nobody = found(engine, folder, 0, stretches)
    assert (nobody.users, nobody.all_users) == (0, 40)
    assert {found for _, found in nobody.groups} == {()}
    assert nobody.activity.get(-2, (0, 0)) == (0, 0)


def test_events_fall_into_the_stretch_that_began_last(engine: Engine, folder: Path) -> None:
    """Hour i of the data is an event of user i % 50, of whom 1 to 40 are there."""
    begins = tuple(datetime(2026, 1, day) for day in (3, 4, 6))
    stretches = Stretches(datetime(2026, 1, 2), begins, datetime(2026, 1, 8))
    hours = {-1: range(24, 48), 0: range(48, 72), 1: range(72, 120), 2: range(120, 168), -2: range(24, 168)}
    users = {stretch: [i % 50 for i in span if 1 <= i % 50 <= 40] for stretch, span in hours.items()}
    assert found(engine, folder, 40, stretches).activity == {s: (len(u), len(set(u))) for s, u in users.items()}


def test_progress_grows_over_all_stages(engine: Engine, folder: Path) -> None:
    control = Control()
    properties = analysed_properties(ALL)
    stages = StageControl(control)
    engine.look(data(folder, 40), lambda own, tables: analyse(own, tables, properties, None, stages), stages)
    count = len(properties) + 2
    assert {100 * n / count for n in range(1, count + 1)} <= set(control.reports)
    assert max(control.reports) == 100


def test_an_interrupt_between_two_statements_stops_the_rest(engine: Engine, folder: Path) -> None:
    properties = analysed_properties(ALL)
    stages = StageControl(Control(until=30))
    with pytest.raises(Interrupted):
        engine.look(data(folder, 40), lambda own, tables: analyse(own, tables, properties, None, stages), stages)


def test_who_joined_and_who_left(engine: Engine, folder: Path) -> None:
    assert engine.look(data(folder, 25, "beyond"), changes, Control()) == (35, 20)
    assert engine.look(data(folder, 25, 25), changes, Control()) == (0, 0)
