"""Names and values come back from DuckDB exactly as they were, whatever they hold."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.engines.dialect import Value, identifier, literal
from mcp_server.engines.duckdb.connection import connect

HOSTILE = [
    "",
    "'",
    "''",
    '"',
    "\\",
    "\\'",
    "a\0b",
    "\0",
    "-- x",
    "/* */",
    "; DROP TABLE t",
    "%_",
    "'||chr(0)||'",
    "级别😀",
    "\r\n\t",
    "$1",
    "?",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    return connect(tmp_path_factory.mktemp("temp"))


def back(database: duckdb.DuckDBPyConnection, value: Value) -> tuple[object, str]:
    row = database.execute(f"SELECT x, typeof(x) FROM (SELECT {literal(value)} AS x)").fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_constants(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert back(database, text) == (text, "VARCHAR")


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_comes_back(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert back(database, text)[0] == text


def test_a_literal_holds_no_nul_byte() -> None:
    """DuckDB 1.5 ends a statement there."""
    assert "\0" not in literal("a\0b")


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False))
def test_doubles_come_back_to_the_last_bit(database: duckdb.DuckDBPyConnection, number: float) -> None:
    value, kind = back(database, number)
    assert isinstance(value, float)
    assert (value.hex(), kind) == (number.hex(), "DOUBLE")


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 2**127 - 1, -(2**127) + 1])
def test_whole_numbers_are_exact(database: duckdb.DuckDBPyConnection, number: int) -> None:
    assert back(database, number)[0] == number


@pytest.mark.parametrize("text", ["0", "0.10", "-12.5", "1E+3", "1e-38", "0E-5", "9" * 38, "-0." + "9" * 38])
def test_decimals_are_exact(database: duckdb.DuckDBPyConnection, text: str) -> None:
    value, kind = back(database, Decimal(text))
    assert value == Decimal(text)
    assert kind.startswith("DECIMAL")


def test_other_types_keep_their_type(database: duckdb.DuckDBPyConnection) -> None:
    assert back(database, True) == (True, "BOOLEAN")
    assert back(database, date(1, 1, 1)) == (date(1, 1, 1), "DATE")
    moment = datetime.fromisoformat("2024-02-29 01:02:03.000004")
    assert back(database, moment) == (moment, "TIMESTAMP")
    assert back(database, ["a'", "b\0"]) == (["a'", "b\0"], "VARCHAR[]")


def test_a_negative_number_after_an_operator_is_no_comment(database: duckdb.DuckDBPyConnection) -> None:
    assert database.execute(f"SELECT 5 -{literal(-3)}").fetchone() == (8,)


@pytest.mark.parametrize(
    "value",
    [2**127, Decimal("1" + "0" * 38), Decimal("NaN"), Decimal("Infinity"), "\ud800", datetime(2024, 1, 1, tzinfo=UTC)],
)
def test_what_cannot_be_exact_is_refused(value: Value) -> None:
    with pytest.raises(ValueError, match=r".+"):
        literal(value)


@pytest.mark.parametrize("name", ["a", 'a"b', "a b", "#vp@x", "$row", "级别", "select", "a\nb", "'", "--", "x" * 300])
def test_any_name_can_name_a_column(database: duckdb.DuckDBPyConnection, name: str) -> None:
    database.execute(f"CREATE OR REPLACE TABLE named ({identifier(name)} INTEGER)")
    assert [row[0] for row in database.execute("DESCRIBE named").fetchall()] == [name]


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a possible name"):
        identifier(name)


def test_connections_print_nothing_and_spill_where_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    database = connect(tmp_path / "spill", memory_limit="200MB", threads=1)
    database.execute("SELECT count(*) FROM (SELECT DISTINCT hash(range) FROM range(3_000_000))")
    settings_now = database.execute(
        "SELECT current_setting('temp_directory'), current_setting('enable_progress_bar_print'), current_setting('TimeZone')"
    ).fetchone()
    assert settings_now == (str(tmp_path / "spill"), False, "UTC")
    assert capfd.readouterr().out == ""


def test_a_cursor_is_as_silent_as_its_connection(tmp_path: Path) -> None:
    from mcp_server.engines.duckdb.connection import cursor

    own = cursor(connect(tmp_path))
    assert own.execute(
        "SELECT current_setting('enable_progress_bar'), current_setting('enable_progress_bar_print')"
    ).fetchone() == (True, False)
    assert own.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_half_of_the_memory_is_the_default(tmp_path: Path) -> None:
    def limit(database: duckdb.DuckDBPyConnection) -> float:
        row = database.execute("SELECT current_setting('memory_limit')").fetchone()
        assert row is not None
        number, unit = row[0].split()
        return float(number) * {"MiB": 1 / 1024, "GiB": 1, "TiB": 1024}[unit]

    assert limit(connect(tmp_path)) == pytest.approx(limit(duckdb.connect(":memory:")) * 0.625, rel=0.02)
