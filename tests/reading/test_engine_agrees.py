"""The engine selects the users that the second reading of qp.md selects, on generated worlds and definitions."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mcp_server.engine.compile import compile_definition
from mcp_server.engine.dialect import DUCKDB
from mcp_server.engine.emit import selection_sql
from mcp_server.qp import vocabulary
from mcp_server.qp.check import read
from tests.reading import slow, strategies
from tests.reading.strategies import Case, Json
from tests.reading.tables import fill, metadata_of, tables_of
from tests.reading.worlds import World


@dataclass
class Tally:
    """What a run went through."""

    definitions: int = 0
    choices: Counter[str] = field(default_factory=Counter)
    words: set[str] = field(default_factory=set)

    def add(self, world: World, definition: Json, chosen: set[int]) -> None:
        self.definitions += 1
        share = "nobody" if not chosen else "everybody" if len(chosen) == len(world.users) else "some"
        self.choices[share] += 1
        self.words |= set(_words(definition))


def _words(node: Any) -> Iterator[str]:
    """Every comparator and analysis in a definition."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("comparator", "analysis") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _words(part)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as made:
        yield made


def compare(connection: duckdb.DuckDBPyConnection, folder: Path, case: Case, tally: Tally) -> None:
    """Both readings of every definition of a case; a difference fails with all that is needed to see why."""
    world, metadata = case.world, metadata_of(case.world)
    fill(connection, world, folder)
    for definition in case.definitions:
        reading = read(definition, metadata)
        assert not reading.problems, (definition, reading.problems)
        assert not reading.repairs, (definition, reading.repairs)
        plan = compile_definition(reading.must(), metadata)
        sql = selection_sql(plan, DUCKDB, tables_of(world, plan.clusters, folder))
        data = (world.users, world.events, world.schema, world.zone, world.today, world.clusters)
        expected = slow.select(definition, *data)
        try:
            rows = connection.execute(sql).fetchall()
        except duckdb.Error as error:
            pytest.fail(_shown(world, definition, sql, f"the engine fails: {error}"))
        chosen = [number for (number,) in rows]
        verdict = f"expected {sorted(expected)}\nengine   {sorted(chosen)}"
        assert sorted(chosen) == sorted(expected), _shown(world, definition, sql, verdict)
        tally.add(world, definition, expected)


def _shown(world: World, definition: Json, sql: str, verdict: str) -> str:
    return "\n".join(("", json.dumps(definition, ensure_ascii=False, indent=1), repr(world), sql, verdict))


def sweep(connection: duckdb.DuckDBPyConnection, folder: Path, examples: int) -> Tally:
    tally = Tally()
    calm = settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )

    @calm
    @given(strategies.cases())
    def both_select_the_same(case: Case) -> None:
        compare(connection, folder, case, tally)

    both_select_the_same()
    return tally


def test_both_readings_select_the_same_users(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    tally = sweep(connection, tmp_path, 40)
    assert tally.definitions >= 100


@pytest.mark.slow
def test_both_readings_select_the_same_users_in_the_long_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = sweep(connection, tmp_path, 600)
    with capsys.disabled():
        print(f"\n{tally.definitions} definitions: {dict(tally.choices)}")
    assert tally.definitions >= 1000
    assert tally.choices["some"] >= tally.definitions / 3, "too few definitions select some users and not all"
    assert tally.words == {*vocabulary.COMPARATORS, *vocabulary.MEASURES}
