"""Parquet keeps its own types; what a property cannot be is refused by name."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from mcp_server.sources.loading import LoadOptions, Sources
from tests.sources.loads import load, parquet, refused, write

SYSTEM = '1::BIGINT AS "#user_id", \'a\' AS "#event_name", TIMESTAMP \'2024-05-01 10:00\' AS "#event_time"'


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


COLUMNS: dict[str, tuple[str, str, object]] = {
    "tiny": ("5::TINYINT", "BIGINT", 5),
    "unsigned": ("4294967295::UINTEGER", "BIGINT", 2**32 - 1),
    "fits": ("9223372036854775807::UBIGINT", "BIGINT", 2**63 - 1),
    "float": ("1.5::FLOAT", "DOUBLE", 1.5),
    "nan": ("'nan'::DOUBLE", "DOUBLE", None),
    "infinite": ("'-inf'::FLOAT", "DOUBLE", None),
    "decimal": ("12.50::DECIMAL(10, 2)", "DECIMAL(10,2)", Decimal("12.50")),
    "wide": ("1::DECIMAL(38, 0)", "DECIMAL(38,0)", Decimal(1)),
    "bool": ("TRUE", "BOOLEAN", True),
    "text": ("'007'", "VARCHAR", "007"),
    "time as text": ("'2024-05-01'", "VARCHAR", "2024-05-01"),
    "local": ("TIMESTAMP '2024-05-01 10:00:00.123456'", "TIMESTAMP", at("2024-05-01 02:00:00.123456")),
    "instant": ("TIMESTAMPTZ '2024-05-01 10:00:00+00'", "TIMESTAMP", at("2024-05-01 10:00:00")),
    "nano": ("TIMESTAMP_NS '2024-05-01 10:00:00.123456999'", "TIMESTAMP", at("2024-05-01 02:00:00.123456")),
    "before 1970": ("TIMESTAMP_NS '1969-12-31 23:59:59.999999999'", "TIMESTAMP", at("1969-12-31 15:59:59.999999")),
    "milli": ("TIMESTAMP_MS '2024-05-01 10:00:00.123'", "TIMESTAMP", at("2024-05-01 02:00:00.123")),
    "date": ("DATE '2024-05-01'", "TIMESTAMP", at("2024-04-30 16:00:00")),
    "list": ("['a', NULL]", "VARCHAR[]", ["a", None]),
    "json": ("'7'::JSON", "VARCHAR", "7"),
}


def test_columns_keep_their_types(tmp_path: Path) -> None:
    listed = ", ".join(f'{sql} AS "{name}"' for name, (sql, _, _) in COLUMNS.items())
    loaded = load(tmp_path, Sources(parquet(tmp_path / "e.parquet", f"SELECT {SYSTEM}, {listed}")))
    for name, (_, kind, value) in COLUMNS.items():
        assert loaded.values(name) == [value], name
        assert kind in ("", loaded.kind(name)), name
    assert loaded.built.report.not_a_number == {"event.nan": 1, "event.infinite": 1}
    assert {name: loaded.property(name).scale for name in ("tiny", "float", "decimal", "wide")} == {
        "tiny": 0,
        "float": None,
        "decimal": 2,
        "wide": 0,
    }


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("TIME '10:00'", "10:00:00"),
        ("INTERVAL 1 DAY", "1 day"),
        ("MAP {'a': 1}", '{"a":1}'),
        ("[1, 2]", ["1", "2"]),
        ("[['a']]", '[["a"]]'),
        ("'5ddcd5d4-0000-4000-8000-000000000000'::UUID", "5ddcd5d4-0000-4000-8000-000000000000"),
    ],
)
def test_types_without_a_form_of_their_own_become_texts(tmp_path: Path, sql: str, value: object) -> None:
    loaded = load(tmp_path, Sources(parquet(tmp_path / "e.parquet", f"SELECT {SYSTEM}, {sql} AS strange")))
    assert loaded.values("strange") == [value]


def test_structs_are_flattened_and_binary_is_left_out(tmp_path: Path) -> None:
    sql = f"SELECT {SYSTEM}, {{'a': 1, 'b': {{'c': 'x'}}}} AS s, 'a'::BLOB AS raw"
    loaded = load(tmp_path, Sources(parquet(tmp_path / "e.parquet", sql)))
    assert (loaded.values("s.a"), loaded.values("s.b.c")) == ([1], ["x"])
    assert loaded.built.mapping.files[0].columns["raw"].type == "leave out"


@pytest.mark.parametrize("sql", ["9223372036854775808::UBIGINT"])
def test_numbers_beyond_64_bits_are_refused_by_name(tmp_path: Path, sql: str) -> None:
    message = refused(tmp_path, Sources(parquet(tmp_path / "e.parquet", f"SELECT {SYSTEM}, {sql} AS n"))).message.en
    assert "'n'" in message
    assert "9223372036854775808" in message


@pytest.mark.parametrize(
    ("user", "name", "time", "values"),
    [
        ("7::UBIGINT", "'a'", "DATE '2024-05-01'", (7, "a", at("2024-04-30 16:00:00"))),
        ("'9007199254740993'", "5", "'2024-05-01T00:00:00Z'", (9007199254740993, "5", at("2024-05-01"))),
        ("7::DECIMAL(18, 0)", "'a'", "TIMESTAMPTZ '2024-05-01 00:00:00+00'", (7, "a", at("2024-05-01"))),
    ],
)
def test_system_columns_of_other_types_are_read_where_nothing_is_lost(
    tmp_path: Path, user: str, name: str, time: str, values: tuple[object, ...]
) -> None:
    path = parquet(
        tmp_path / "e.parquet", f'SELECT {user} AS "#user_id", {name} AS "#event_name", {time} AS "#event_time"'
    )
    assert load(tmp_path, Sources(path)).rows('SELECT "#user_id", "#event_name", "#event_time" FROM events') == [values]


@pytest.mark.parametrize(
    ("user", "time", "word"),
    [
        ("7.0::DOUBLE", "DATE '2024-05-01'", "#user_id"),
        ("7", "1714528800::BIGINT", "#event_time"),
        ("TRUE", "DATE '2024-05-01'", "#user_id"),
    ],
)
def test_system_columns_that_may_have_lost_something_are_refused(
    tmp_path: Path, user: str, time: str, word: str
) -> None:
    path = parquet(
        tmp_path / "e.parquet", f'SELECT {user} AS "#user_id", \'a\' AS "#event_name", {time} AS "#event_time"'
    )
    assert word in refused(tmp_path, Sources(path)).message.en


def test_ids_that_do_not_fit_are_bad_rows(tmp_path: Path) -> None:
    select = 'SELECT unnest([1, 9223372036854775808])::UBIGINT AS "#user_id", \'a\' AS "#event_name", DATE \'2024-05-01\' AS "#event_time"'
    problem = refused(tmp_path, Sources(parquet(tmp_path / "e.parquet", select))).problems[0]
    assert (problem.code, problem.got) == ("unreadable_user_id", "9223372036854775808")


def test_account_ids_are_text(tmp_path: Path) -> None:
    users = parquet(
        tmp_path / "u.parquet",
        'SELECT 1 AS "#user_id", 42 AS "#account_id", \'5ddcd5d4-0000-4000-8000-000000000000\'::UUID AS "#distinct_id"',
    )
    loaded = load(tmp_path, Sources(users=users))
    assert loaded.rows("FROM users") == [(1, "42", "5ddcd5d4-0000-4000-8000-000000000000")]


def test_rows_of_several_files_are_counted_on_and_placed(tmp_path: Path) -> None:
    parquet(tmp_path / "b.parquet", f"SELECT {SYSTEM}, 'text' AS x FROM range(3)")
    parquet(tmp_path / "a.parquet", f"SELECT {SYSTEM}, i AS x, 5 AS y FROM range(2) r(i)")
    parquet(
        tmp_path / "c.parquet",
        'SELECT unnest([1, NULL])::BIGINT AS "#user_id", \'a\' AS "#event_name", DATE \'2024-05-01\' AS "#event_time"',
    )
    pattern = str(tmp_path / "*.parquet")
    problem = refused(tmp_path, Sources(pattern)).problems[0]
    assert problem.message.en.startswith(f"row 2 of {tmp_path / 'c.parquet'}")
    loaded = load(tmp_path, Sources(pattern), LoadOptions("1", skip_bad_rows=True))
    assert loaded.rows('SELECT "$row", x, y FROM events ORDER BY 1') == [
        (0, "0", 5), (1, "1", 5), (2, "text", None), (3, "text", None), (4, "text", None), (5, None, None),
    ]  # fmt: skip
    assert [(note.name, note.text.en) for note in loaded.built.report.mixed] == [
        ("#event_time", "its type differs between the files (date / timestamp); read as TIMESTAMP"),
        ("x", "its type differs between the files (integer / varchar); read as VARCHAR"),
    ]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = Path(parquet(tmp_path / "e.parquet", f"SELECT {SYSTEM}")).read_bytes()
    assert (
        "cannot be read as Parquet"
        in refused(tmp_path, Sources(write(tmp_path / "cut.parquet", whole[:-20]))).message.en
    )
    assert (
        "cannot be read as Parquet"
        in refused(tmp_path, Sources(write(tmp_path / "text.parquet", "a,b\n1,2\n"))).message.en
    )


def test_a_parquet_file_with_another_ending_is_known_by_its_content(tmp_path: Path) -> None:
    whole = Path(parquet(tmp_path / "e.parquet", f"SELECT {SYSTEM}")).read_bytes()
    assert load(tmp_path, Sources(write(tmp_path / "events.bin", whole))).built.report.rows == 1


def test_names_that_the_engine_needs_are_refused(tmp_path: Path) -> None:
    assert (
        "file_row_number"
        in refused(
            tmp_path, Sources(parquet(tmp_path / "r.parquet", f"SELECT {SYSTEM}, 1 AS file_row_number"))
        ).message.en
    )


def test_the_file_opens_in_the_older_engine(tmp_path: Path) -> None:
    """Version 1.5 reads storage up to its own number, which stands in the header of the file."""
    loaded = load(tmp_path, Sources(parquet(tmp_path / "e.parquet", f"SELECT {SYSTEM}")))
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{loaded.path}' AS g (READ_ONLY)")
        tags = database.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'g'").fetchone()
    assert tags is not None
    assert "v1.5" in str(tags[0])
