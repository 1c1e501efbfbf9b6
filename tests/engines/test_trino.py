"""The text that goes out to ThinkingData's query engine: run on DuckDB as it is, over the tables that the vendor shows.

Every definition of tests/cases selects the same users, or gives the same values, as by DuckDB's own text.
"""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlglot

from mcp_server.engines.base import compile_any
from mcp_server.engines.dialect import NoForm, Tables
from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest
from mcp_server.engines.duckdb.sandbox.views import open_project
from mcp_server.engines.sql import days_around, selection_sql, tag_sql
from mcp_server.engines.trino import TRINO, trino_literal
from mcp_server.language.metadata import Metadata
from mcp_server.language.values import Span, show_time
from mcp_server.plan.plan import Plan
from mcp_server.user_sql.tree import violations
from mcp_server.user_sql.words import table_names
from tests.asking_duckdb import rows_of
from tests.cases.data import METADATA, WORLD
from tests.cases.running import CASES, definition, names, project, read_sent
from tests.cases.running import is_tag as is_tag_case
from tests.reading.tables import fill

_DOCS = "https://trino.io/docs/current/functions/{}.html"
SOURCES = {
    "abs": _DOCS.format("math"),
    "arrays_overlap": _DOCS.format("array"),
    "avg": _DOCS.format("aggregate"),
    "bitwise_and": _DOCS.format("bitwise"),
    "bitwise_or_agg": _DOCS.format("aggregate"),
    "cardinality": _DOCS.format("array"),
    "chr": _DOCS.format("string"),
    "coalesce": _DOCS.format("conditional"),
    "count": _DOCS.format("aggregate"),
    "max": _DOCS.format("aggregate"),
    "max_by": _DOCS.format("aggregate"),
    "min": _DOCS.format("aggregate"),
    "min_by": _DOCS.format("aggregate"),
    "regexp_like": _DOCS.format("regexp"),
    "round": _DOCS.format("math"),
    "strpos": _DOCS.format("string"),
    "sum": _DOCS.format("aggregate"),
}
"""The functions of Trino that statements use, with the page that documents each."""
NO_FORM = {
    "average_of_whole_numbers": "average",
    "median_of_an_even_number": "median",
    "median_of_doubles": "median",
    "metric_median_of_decimals": "median",
    "metric_median_of_doubles": "median",
    "metric_median_of_whole_numbers": "median",
}
"""Cases that need what Trino has no safe form for, and what that is."""
EITHER = {"first_of_equal_times", "last_of_equal_times", "last_event_of_any_name"}
"""Rows of equal times have no order there."""

BY_THE_CLOCK: Metadata = METADATA.by_clock_readings()
_VALUES = {"tier": "tag_value", "spent": "tag_value_num", "last_seen": "tag_value_tm"}
_CASES = [name for name in names() if "sql" not in definition(name)]


@pytest.fixture(scope="module")
def checker() -> Iterator[duckdb.DuckDBPyConnection]:
    with project() as made:
        yield made


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The project of the cases under the vendor's names, as the process for SQL of users has it."""
    folder = tmp_path_factory.mktemp("vendor")
    data = folder / "data.duckdb"
    with duckdb.connect(str(data), config={"threads": 1}) as connection:
        fill(connection, WORLD, folder)
    clusters = [(crowd.name, str(folder / f"{i}_.parquet")) for i, crowd in enumerate(WORLD.crowds)]
    request = SqlRequest(
        "", 1, "1", WORLD.zone, WORLD.today.isoformat(), str(data), clusters, False, 10, 2**29, 1000, 1
    )
    connection = open_project(request)
    yield connection
    connection.close()


def written(name: str, checker: duckdb.DuckDBPyConnection) -> str:
    """A case as Trino's text."""
    tag = is_tag_case(definition(name))
    plan = compile_any(read_sent(definition(name), checker, tag=tag).must(), BY_THE_CLOCK)
    assert not any(source.day for source in plan.clusters)
    tables = Tables("v_event_1", "v_user_1", tuple(_members(source.name) for source in plan.clusters))
    return selection_sql(plan, TRINO, tables) if isinstance(plan, Plan) else tag_sql(plan, TRINO, tables)  # type: ignore[arg-type]  # no SQL here


def _members(name: str) -> str:
    value = f", {_VALUES[name]} AS value" if name in _VALUES else ""
    return f"(SELECT \"#user_id\" AS user_id{value} FROM user_result_cluster_1 WHERE cluster_name = '{name}')"


def _of_yesterday(name: str) -> bool:
    return "specifiedClusterDate" in json.dumps(definition(name))


RUNNING = [name for name in _CASES if name not in NO_FORM and name not in EITHER and not _of_yesterday(name)]


def _shown(value: object) -> object:
    """As the file of values has it; what is local there is local here already."""
    if isinstance(value, datetime):
        return show_time(value)
    return str(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("name", RUNNING)
def test_a_case_gives_the_same_as_by_duckdbs_own_text(
    name: str, checker: duckdb.DuckDBPyConnection, vendor: duckdb.DuckDBPyConnection
) -> None:
    text = written(name, checker)
    rows = sorted(vendor.execute(text).fetchall())
    folder = CASES / name
    if (folder / "users.json").is_file():
        assert [user for (user,) in rows] == json.loads((folder / "users.json").read_text(encoding="utf-8"))
    else:
        expected: dict[str, Any] = json.loads((folder / "values.json").read_text(encoding="utf-8"))
        assert {str(user): _shown(value) for user, value in rows} == expected
    _is_trino_and_allowed(text)


def _is_trino_and_allowed(text: str) -> None:
    """It parses as Trino, uses functions that are documented, and passes the lists of the gateway's guard."""
    sqlglot.parse_one(text, read="trino")
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", text)
    assert set(re.findall(r"\b([a-z_0-9]+)\(", bare)) <= set(SOURCES)
    assert list(violations(sqlglot.parse_one(text, read="duckdb"), text, table_names("1"))) == []
    readings = len(re.findall(r"v_event_1", text))
    assert len(re.findall(r"\"\$part_date\" BETWEEN '\d{4}-\d\d-\d\d' AND '\d{4}-\d\d-\d\d'", text)) == readings


def test_every_function_is_used_by_a_case(checker: duckdb.DuckDBPyConnection) -> None:
    used = {word for name in RUNNING for word in re.findall(r"\b([a-z_0-9]+)\(", written(name, checker))}
    assert used >= set(SOURCES) - {"chr"}
    assert "chr(0)" in trino_literal("a\0b")


@pytest.mark.parametrize("name", NO_FORM)
def test_what_has_no_safe_form_is_refused(name: str, checker: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NoForm) as caught:
        written(name, checker)
    assert caught.value.lacking == NO_FORM[name]


def test_nearly_all_cases_run() -> None:
    assert len(RUNNING) >= 0.9 * len(_CASES)


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        (Span(datetime(2026, 7, 8), datetime(2026, 7, 15)), "2026-07-07", "2026-07-15"),
        (Span(datetime(2026, 7, 8), datetime(2026, 7, 15, 0, 0, 1)), "2026-07-07", "2026-07-16"),
        (Span(None, datetime(2026, 7, 15)), "0001-01-01", "2026-07-15"),
        (Span(datetime(2026, 7, 8, 12), None), "2026-07-07", "9999-12-31"),
        (Span(None, None), "0001-01-01", "9999-12-31"),
        (Span(datetime.min, datetime.min), "0001-01-01", "9999-12-31"),
        (Span(datetime.max, datetime.max), "9999-12-30", "9999-12-31"),
    ],
)
def test_events_are_read_from_a_day_before_to_a_day_after(span: Span, first: str, last: str) -> None:
    assert days_around(span) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**63 - 1, "9223372036854775807"),
        (2**63, "CAST('9223372036854775808' AS DECIMAL(19, 0))"),
        (-(2**63), "CAST('-9223372036854775808' AS DECIMAL(19, 0))"),
        (True, "TRUE"),
        (["it's", "b"], "ARRAY['it''s', 'b']"),
        (datetime(2026, 7, 15), "TIMESTAMP '2026-07-15 00:00:00.000'"),
        (datetime(2026, 7, 15, 1, 2, 3, 4005), "TIMESTAMP '2026-07-15 01:02:03.004005'"),
    ],
)
def test_constants_are_written_as_trino_spells_them(value: Any, text: str) -> None:
    assert trino_literal(value) == text
    assert rows_of(f"SELECT {text}") == [(value,)]


def test_a_null_item_is_neither_one_that_is_asked_for_nor_a_missing_list(vendor: duckdb.DuckDBPyConnection) -> None:
    """Trino's arrays_overlap answers null there; the statement must not."""
    overlap = "SELECT arrays_overlap({}, ARRAY['a'])"
    for items, answer in (
        ("ARRAY['a', NULL]", True),
        ("ARRAY['b', NULL]", None),
        ("ARRAY['b']", False),
        ("NULL", None),
    ):
        assert vendor.execute(overlap.format(items)).fetchone() == (answer,)
    held = TRINO.holds(column="l", items="ARRAY['a']")
    found = vendor.execute(f"SELECT {held} FROM (VALUES (ARRAY['b', NULL]), (NULL)) t(l)").fetchall()
    assert found == [(False,), (None,)]
