"""Both readings of one tag, held against each other: the slow one and the engine's, through a members file."""

import math
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mcp_server.engines.dialect import DUCKDB, literal
from mcp_server.engines.sql import tag_sql
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TagQp
from mcp_server.language.reading.check import read_tag
from mcp_server.plan.compile import compile_tag
from mcp_server.plan.plan import ValuesTag
from tests.reading.agreement import shown
from tests.reading.slow_tags import exact, tag_values
from tests.reading.strategies import Json
from tests.reading.tables import forms_of, metadata_of
from tests.reading.worlds import World


def agreed_values(connection: duckdb.DuckDBPyConnection, folder: Path, world: World, tag: Json) -> dict[int, Any]:
    """The values that both readings give; the engine's stay in `values.parquet` of the folder."""
    metadata = metadata_of(world)
    plan = compile_tag(read_strictly(tag, metadata), metadata)
    data = (world.users, world.events, world.schema, world.zone, world.today)
    expected = tag_values(tag, *data, world.clusters)
    clusters = plan.plan.clusters if isinstance(plan, ValuesTag) else ()
    for tables in forms_of(world, clusters, folder):
        sql = tag_sql(plan, DUCKDB, tables)
        try:
            connection.execute(f"COPY ({sql}) TO {literal(str(folder / 'values.parquet'))} (FORMAT parquet)")
        except duckdb.Error as error:
            pytest.fail(shown(world, tag, sql, f"the engine fails: {error}"))
        rows = connection.execute(f"FROM {parquet(folder)}").fetchall()
        values = {user: exact(value) for user, value in rows}
        assert len(values) == len(rows), shown(world, tag, sql, f"a user twice: {rows}")
        verdict = f"expected {expected}\nengine   {dict(rows)}"
        assert values.keys() == expected.keys(), shown(world, tag, sql, verdict)
        same = _close if _is_average_of_exact(tag, world) else _same
        assert all(same(values[user], expected[user]) for user in expected), shown(world, tag, sql, verdict)
    return values


def read_strictly(tag: Json, metadata: Metadata) -> TagQp:
    """A tag that needs no repair and has no problem."""
    reading = read_tag(tag, metadata)
    assert not reading.problems, (tag, reading.problems)
    assert not reading.repairs, (tag, reading.repairs)
    return reading.must()


def parquet(folder: Path) -> str:
    """Where the values of a tag were written, in SQL."""
    return f"read_parquet({literal(str(folder / 'values.parquet'))})"


def _same(value: Any, other: Any) -> bool:
    """An exact number is not a float, and a yes is not a 1."""
    return type(value) is type(other) and value == other


def _close(value: Any, other: Any) -> bool:
    """The same but for the last bit of a double, and for the side to which half a step of the ninth place goes."""
    return type(value) is type(other) is float and math.isclose(value, other, rel_tol=4e-16, abs_tol=1.001e-9)


def _is_average_of_exact(tag: Json, world: World) -> bool:
    """Of doubles, sums that both have rounded are the same; averages of exact numbers are doubles made in two ways."""
    metric = tag.get("userTagConQuotaDef", {}).get("userTagConQuotaEvent", {})
    return metric.get("analysis") == "AVG" and world.schema["event"][metric["quota"]] != "double"
