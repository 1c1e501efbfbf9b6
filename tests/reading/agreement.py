"""Both readings of one definition, held against each other: the slow one and the engine's, in all its forms."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from mcp_server.engines.dialect import DUCKDB, Tables
from mcp_server.engines.sql import chosen_sql, funnel_sql, masks_sql, selection_sql
from mcp_server.language.reading.check import read_qp
from mcp_server.plan.compile import compile_definition
from mcp_server.plan.plan import Plan
from tests.reading import slow
from tests.reading.strategies import Json
from tests.reading.tables import forms_of, metadata_of
from tests.reading.worlds import World


def agreed(
    connection: duckdb.DuckDBPyConnection, world: World, definition: Json, folder: Path | None = None
) -> set[int]:
    """The users that both readings select; a difference fails with all that is needed to see why.

    The connection holds the world's tables, the folder its clusters and tags, if it has some (`tables.fill`).
    """
    metadata = metadata_of(world)
    reading = read_qp(definition, metadata)
    assert not reading.problems, (definition, reading.problems)
    assert not reading.repairs, (definition, reading.repairs)
    plan = compile_definition(reading.must(), metadata)
    expected = selected(world, definition)
    forms = forms_of(world, plan.clusters, folder)
    _compare_selection(connection, world, definition, plan, forms)
    _compare_funnel(connection, world, definition, plan, forms[0])
    return expected


def selected(world: World, definition: Json) -> set[int]:
    """The users that the slow reading selects."""
    data = (world.users, world.events, world.schema, world.zone, world.today)
    return slow.select(definition, *data, world.clusters)


def _compare_selection(
    connection: duckdb.DuckDBPyConnection, world: World, definition: Json, plan: Plan, forms: Sequence[Tables]
) -> None:
    """One statement, in every form that the data allows."""
    expected = selected(world, definition)
    for tables in forms:
        sql = selection_sql(plan, DUCKDB, tables)
        try:
            chosen = sorted(number for (number,) in connection.execute(sql).fetchall())
        except duckdb.Error as error:
            pytest.fail(shown(world, definition, sql, f"the engine fails: {error}"))
        verdict = f"expected {sorted(expected)}\nengine   {chosen}"
        assert chosen == sorted(expected), shown(world, definition, sql, verdict)


def _compare_funnel(
    connection: duckdb.DuckDBPyConnection, world: World, definition: Json, plan: Plan, tables: Tables
) -> None:
    """Masks, counted: every condition alone, what is left up to it, and the whole."""
    expected = selected(world, definition)
    sql = masks_sql(plan, DUCKDB, tables)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE masks AS {sql}")
    counts = connection.execute(funnel_sql(plan, DUCKDB, "masks")).fetchone()
    wanted = [len(selected(world, part)) for part in _steps(definition)] + [len(expected)]
    assert list(counts or ()) == wanted, shown(world, definition, sql, f"funnel: expected {wanted}, engine {counts}")
    chosen = connection.execute(chosen_sql(plan, DUCKDB, "masks")).fetchall()
    assert sorted(number for (number,) in chosen) == sorted(expected), shown(world, definition, sql, "chosen of masks")


def _steps(definition: Json) -> Iterator[Json]:
    """Each condition alone, then what is left up to it: of its side, or of both where `and` joins them.

    In a funnel over both sides, a side that `or` joins is one step.
    """
    sides = [(side, relation) for side, relation in (("events", "event_relation"), ("filts", "relation"))]
    through = all(definition.get(side) for side, _ in sides) and definition.get("event_user_relation", "and") == "and"
    before: Json = {}
    for side, relation in sides:
        parts, joined = definition.get(side, []), {relation: definition.get(relation, "and")}
        as_one = through and joined[relation] == "or" and len(parts) > 1
        for place in [len(parts) - 1] if as_one else range(len(parts)):
            yield {side: parts if as_one else [parts[place]]} | joined
            yield (before if through else {}) | {side: parts[: place + 1]} | joined
        before = before | {side: parts} | joined


def shown(world: World, definition: Json, sql: str, verdict: str) -> str:
    """All that is needed to see why two readings differ."""
    return "\n".join(("", json.dumps(definition, ensure_ascii=False, indent=1), repr(world), sql, verdict))
