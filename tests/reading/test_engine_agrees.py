"""The engine selects the users that the second reading of qp.md selects, on generated worlds and definitions."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mcp_server.language import vocabulary
from tests.reading import strategies
from tests.reading.agreement import agreed
from tests.reading.rounds import in_rounds
from tests.reading.strategies import Case, Json
from tests.reading.tables import fill
from tests.reading.worlds import World


@dataclass
class Tally:
    """What a run went through."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    """Different definitions, each with its world."""
    choices: Counter[str] = field(default_factory=Counter)
    words: set[str] = field(default_factory=set)

    @property
    def definitions(self) -> int:
        return len(self.seen)

    def add(self, world: World, definition: Json, chosen: set[int]) -> None:
        pair = (repr(world), json.dumps(definition))
        if pair in self.seen:
            return
        self.seen.add(pair)
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


def sweep(connection: duckdb.DuckDBPyConnection, folder: Path, rounds: int) -> Tally:
    tally = Tally()

    def both_select_the_same(case: Case) -> None:
        fill(connection, case.world, folder)
        for definition in case.definitions:
            tally.add(case.world, definition, agreed(connection, case.world, definition, folder))

    in_rounds(rounds, strategies.cases(), both_select_the_same)
    return tally


def test_both_readings_select_the_same_users(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    tally = sweep(connection, tmp_path, 3)
    assert tally.definitions >= 100


@pytest.mark.slow
def test_both_readings_select_the_same_users_in_the_long_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = sweep(connection, tmp_path, 50)
    with capsys.disabled():
        print(f"\n{tally.definitions} definitions: {dict(tally.choices)}")
    assert tally.definitions >= 1000
    assert tally.choices["some"] >= 0.3 * tally.definitions, "too few definitions select some users and not all"
    assert tally.words == {*vocabulary.COMPARATORS, *vocabulary.MEASURES}
