"""The engine gives users the values that the second reading of qp.md gives them, and reads them back as conditions."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mcp_server.engines.dialect import DUCKDB, Tables
from mcp_server.engines.sql import selection_sql
from mcp_server.language import vocabulary
from mcp_server.language.model import tag_value_type
from mcp_server.language.reading.check import read_qp
from mcp_server.plan.compile import compile_definition
from tests.reading import slow
from tests.reading.agreement import selected, shown
from tests.reading.strategies import Json, crowd_conditions
from tests.reading.tables import fill, metadata_of
from tests.reading.tag_agreement import agreed_values, parquet, read_strictly
from tests.reading.tag_strategies import TagCase, tag_cases
from tests.reading.worlds import Column, Crowd, World


@dataclass
class Tally:
    """What a run went through."""

    tags: int = 0
    conditions: int = 0
    given: Counter[str] = field(default_factory=Counter)
    """Tags that gave some user a value, by kind or measure."""

    def add(self, tag: Json, values: dict[int, Any]) -> None:
        self.tags += 1
        if values:
            (content,) = tag.values()
            inner = next(iter(content.values())) if isinstance(content, dict) else {}
            first = {None: "values", True: "first", False: "last"}[inner.get("isFirstEvent")]
            self.given[inner.get("analysis", first)] += 1


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as made:
        yield made


def agreed_condition(
    connection: duckdb.DuckDBPyConnection, folder: Path, world: World, crowd: Crowd, draw: st.DataObject
) -> None:
    """Both readings of a condition on the values that the engine has just written."""
    tagged = replace(world, crowds=[crowd])
    definition = {"filts": [draw.draw(crowd_conditions(tagged))]}
    metadata = metadata_of(tagged)
    reading = read_qp(definition, metadata)
    assert not reading.problems, (definition, reading.problems)
    sql = selection_sql(compile_definition(reading.must(), metadata), DUCKDB, Tables(members=(parquet(folder),)))
    expected = selected(tagged, definition)
    chosen = sorted(user for (user,) in connection.execute(sql).fetchall())
    assert chosen == sorted(expected), shown(tagged, definition, sql, f"expected {expected}\nengine   {chosen}")


def _crowd(tag: Json, world: World, values: dict[int, Any]) -> Crowd:
    """The tag as a later definition knows it."""
    metadata = metadata_of(world)
    kind, scale = tag_value_type(read_strictly(tag, metadata), metadata)
    held = tuple(dict.fromkeys(values.values()))
    if kind != "number":
        return Crowd("tag", Column("tag", KINDS[kind], "", held), {"": values})
    assert all(isinstance(v, float) == (scale is None) for v in held), (tag, scale, values)
    assert all(v * 10**scale % 1 == 0 for v in held if isinstance(v, Fraction) and scale is not None), (tag, values)
    exact_kind: slow.Kind = "decimal" if scale else "whole"
    return Crowd("tag", Column("tag", "double" if scale is None else exact_kind, f"(38,{scale})", held), {"": values})


KINDS: dict[str, slow.Kind] = {"string": "string", "bool": "bool", "time": "time"}


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
    @given(tag_cases(), st.data())
    def both_give_the_same(case: TagCase, draw: st.DataObject) -> None:
        fill(connection, case.world, folder)
        for tag in case.tags:
            values = agreed_values(connection, folder, case.world, tag)
            tally.add(tag, values)
            if values:
                agreed_condition(connection, folder, case.world, _crowd(tag, case.world, values), draw)
                tally.conditions += 1

    both_give_the_same()
    return tally


def test_both_readings_give_users_the_same_values(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    tally = sweep(connection, tmp_path, 30)
    assert tally.tags >= 100
    assert tally.conditions >= 30


@pytest.mark.slow
def test_both_readings_give_users_the_same_values_in_the_long_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = sweep(connection, tmp_path, 600)
    with capsys.disabled():
        print(f"\n{tally.tags} tags, {tally.conditions} conditions on them: {dict(tally.given)}")
    assert tally.tags >= 1000
    assert set(tally.given) == {"values", "first", "last", *vocabulary.MEASURES}
