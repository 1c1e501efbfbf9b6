"""The engine selects the users that the second reading of qp.md selects, on generated worlds and definitions."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mcp_server.qp import vocabulary
from tests.reading import strategies
from tests.reading.agreement import agreed
from tests.reading.strategies import Case, Json
from tests.reading.tables import fill
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
        fill(connection, case.world, folder)
        for definition in case.definitions:
            tally.add(case.world, definition, agreed(connection, case.world, definition, folder))

    both_select_the_same()
    return tally


def test_both_readings_select_the_same_users(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    tally = sweep(connection, tmp_path, 50)
    assert tally.definitions >= 100


@pytest.mark.slow
def test_both_readings_select_the_same_users_in_the_long_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = sweep(connection, tmp_path, 500)
    with capsys.disabled():
        print(f"\n{tally.definitions} definitions: {dict(tally.choices)}")
    assert tally.definitions >= 1000
    assert tally.choices["some"] >= 0.3 * tally.definitions, "too few definitions select some users and not all"
    assert tally.words == {*vocabulary.COMPARATORS, *vocabulary.MEASURES}
