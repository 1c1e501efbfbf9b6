"""The users of a cluster go to a file that says exactly what the data says."""

import csv
import io
import json
import stat
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pytest

from mcp_server.language.metadata import Property
from tests import small
from tests.operations.desk import DYNAMIC, STATIC, Desk, Watch, of_user

EVERYBODY = {"filts": [of_user("#user_id", "notNull")]}
PEOPLE = """CREATE TABLE users AS SELECT * FROM (VALUES
  (1::BIGINT, 'plain'::VARCHAR, 12.5000::DECIMAL(18,4), 0.1::DOUBLE, true, TIMESTAMP '2026-07-01 16:00:00', ['a','b']::VARCHAR[]),
  (9007199254740993, '', -0.0001, -1e300, false, TIMESTAMP '2026-07-01 04:00:00.123456', []),
  (9223372036854775807, NULL, NULL, NULL, NULL, NULL, NULL),
  (-5, 'say "hi", 上海
next line', 99999999999999.9999, 1e22, NULL, TIMESTAMP '0001-01-01 00:00:00', ['=x', NULL, '"']))
  t("#user_id", name, amount, score, vip, born, tags)"""
NO_EVENTS = """CREATE TABLE events ("$row" BIGINT, "#user_id" BIGINT, "#event_name" VARCHAR, "#event_time" TIMESTAMP, price DOUBLE)"""
COLUMNS = ("name", "amount", "score", "vip", "born", "tags")
PROPERTIES = [
    Property(table="user", name="#user_id", type="number", scale=0),
    *(
        Property(table="user", name=name, type=kind, scale=scale)  # type: ignore[arg-type]
        for name, kind, scale in (
            ("name", "string", None), ("amount", "number", 4), ("score", "number", None), ("vip", "bool", None),
            ("born", "time", None), ("tags", "list", None),
        )
    ),
]  # fmt: skip


@pytest.fixture
def people(desk: Desk) -> Desk:
    """Four people with awkward values, all in the cluster `everybody`."""
    desk.load(PEOPLE, NO_EVENTS, properties=PROPERTIES, events=[], users=4, rows=0)
    desk.create("everybody", EVERYBODY)
    return desk


def content(exported: Any) -> str:
    return Path(exported.path).read_text(encoding="utf-8")


def test_a_csv_file_tells_every_value_exactly(people: Desk) -> None:
    exported = people("export_users", cluster="everybody", properties=list(COLUMNS))
    assert content(exported) == (
        '"#user_id",name,amount,score,vip,born,tags\n'
        '-5,"say ""hi"", 上海\nnext line",99999999999999.9999,1e+22,,0001-01-01 08:05:43,"[""=x"",null,""\\""""]"\n'
        '1,plain,12.5000,0.1,true,2026-07-02 00:00:00,"[""a"",""b""]"\n'
        '9007199254740993,"",-0.0001,-1e+300,false,2026-07-01 12:00:00.123456,[]\n'
        "9223372036854775807,,,,,,\n"
    )
    assert (exported.rows, exported.columns) == (4, ("#user_id", *COLUMNS))
    assert exported.size_bytes == Path(exported.path).stat().st_size


def test_a_csv_file_reads_back_with_a_common_reader(people: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(content(people("export_users", cluster="everybody", properties=["name", "tags"])), newline="")))  # fmt: skip
    assert [row["#user_id"] for row in rows] == ["-5", "1", "9007199254740993", "9223372036854775807"]
    assert rows[0]["name"] == 'say "hi", 上海\nnext line'
    assert json.loads(rows[0]["tags"]) == ["=x", None, '"']
    assert json.loads(rows[2]["tags"]) == []


def test_a_parquet_file_keeps_types_and_order(people: Desk) -> None:
    exported = people("export_users", cluster="everybody", format="parquet", properties=list(COLUMNS))
    assert exported.path.endswith(".parquet")
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        described = db.execute(f"DESCRIBE SELECT * FROM '{exported.path}'").fetchall()
        rows = db.execute(f"SELECT * REPLACE (epoch_us(born) AS born) FROM '{exported.path}'").fetchall()
    assert {name: kind for name, kind, *_ in described} == {
        "#user_id": "BIGINT", "name": "VARCHAR", "amount": "DECIMAL(18,4)", "score": "DOUBLE", "vip": "BOOLEAN",
        "born": "TIMESTAMP WITH TIME ZONE", "tags": "VARCHAR[]",
    }  # fmt: skip
    assert [row[0] for row in rows] == [-5, 1, 9007199254740993, 9223372036854775807]
    noon = int(datetime(2026, 7, 1, 16, tzinfo=UTC).timestamp() * 1_000_000)
    assert rows[1] == (1, "plain", Decimal("12.5000"), 0.1, True, noon, ["a", "b"])
    assert rows[3][1:] == (None,) * 6


FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "plain", "'=x", " =x", "1-1", ""]


@pytest.fixture
def formulas(desk: Desk) -> Desk:
    values = ", ".join(
        f"({n}, '{text.replace(chr(39), chr(39) * 2)}', -{n}::DOUBLE)" for n, text in enumerate(FORMULAS)
    )
    desk.load(
        f'CREATE TABLE users AS SELECT n::BIGINT AS "#user_id", name, debt, [name] AS "=names" FROM (VALUES {values}) t(n, name, debt)',
        NO_EVENTS,
        properties=[
            PROPERTIES[0],
            Property(table="user", name="name", type="string"),
            Property(table="user", name="debt", type="number"),
            Property(table="user", name="=names", type="list"),
        ],
        users=len(FORMULAS),
    )
    desk.create("everybody", EVERYBODY)
    return desk


def cells(exported: Any, encoding: str) -> list[list[str]]:
    text = Path(exported.path).read_bytes().decode(encoding)
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_file_for_spreadsheets_has_a_byte_order_mark_and_no_formula(formulas: Desk) -> None:
    exported = formulas(
        "export_users", cluster="everybody", properties=["name", "debt", "=names"], for_spreadsheet=True
    )
    assert Path(exported.path).read_bytes().startswith(b'\xef\xbb\xbf"#user_id"')
    header, *rows = cells(exported, "utf-8-sig")
    assert header == ["#user_id", "name", "debt", "'=names"]
    said = {int(row[0]): row for row in rows}
    defused = {n: "'" + text for n, text in enumerate(FORMULAS[:7])}
    assert [said[n][1] for n in range(len(FORMULAS))] == [defused.get(n, text) for n, text in enumerate(FORMULAS)]
    assert [said[n][2] for n in range(3)] == ["-0.0", "-1.0", "-2.0"], "numbers stay numbers"
    assert all(row[3].startswith("[") for row in rows)


def test_a_plain_csv_file_says_what_the_data_says(formulas: Desk) -> None:
    exported = formulas("export_users", cluster="everybody", properties=["name"])
    assert [row[1] for row in cells(exported, "utf-8")[1:]] == FORMULAS


def test_a_parquet_file_for_spreadsheets_is_refused_with_all_else_that_is_wrong(people: Desk) -> None:
    error = people.refused(
        "export_users", cluster="everybody", format="parquet", for_spreadsheet=True, properties=["nam", "amount"]
    )
    assert [(p.path, p.suggestion) for p in error.problems] == [
        ("/properties/0", "name"),
        ("/for_spreadsheet", "false"),
    ]
    assert error.next_step.en
    assert list(people.catalog.workspace.exports.iterdir()) == []


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_file_is_private_and_lies_in_the_exports_folder(people: Desk, file_format: str) -> None:
    exported = people("export_users", cluster="everybody", format=file_format)
    path = Path(exported.path)
    assert path.is_absolute()
    assert path.parent == people.catalog.workspace.root / "exports"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.startswith("everybody_")
    assert (
        list(people.catalog.workspace.tmp.glob("*.parquet")) == list(people.catalog.workspace.tmp.glob("*.csv")) == []
    )


def test_properties_are_in_the_order_asked_for_each_once_in_their_declared_spelling(people: Desk) -> None:
    exported = people("export_users", cluster="everybody", properties=["VIP", "#USER_ID", "name", "vip"])
    assert exported.columns == ("#user_id", "vip", "name")
    assert content(exported).splitlines()[0] == '"#user_id",vip,name'


@pytest.mark.parametrize("asked", [["price"], ["nope"], [""]])
def test_an_unknown_property_is_refused_and_nothing_is_written(desk: Desk, asked: list[str]) -> None:
    desk.create("buyers", small.BUYERS)
    error = desk.refused("export_users", cluster="buyers", properties=asked)
    assert [p.path for p in error.problems] == ["/properties/0"]
    assert list(desk.catalog.workspace.exports.iterdir()) == []


def test_two_exports_in_one_second_are_two_files(desk: Desk) -> None:
    desk.catalog.clock = Watch(datetime(2026, 7, 4, tzinfo=UTC))
    desk.create("buyers", small.BUYERS)
    paths: list[str] = []

    async def one() -> None:
        paths.append((await desk.asked("export_users", {"cluster": "buyers"})).path)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(one)

    anyio.run(main)
    assert len(set(paths)) == 8
    assert {Path(p).read_text(encoding="utf-8") for p in paths} == {'"#user_id"\n1\n2\n'}
    assert min(paths, key=len).endswith("buyers_20260704_080000.csv")


def test_a_stale_dynamic_cluster_is_computed_before_it_is_exported_and_a_static_one_is_not(desk: Desk) -> None:
    for name, kind in (("moving", DYNAMIC), ("still", STATIC)):
        desk.create(name, {"filts": [of_user("level", "equal", "3")]}, kind)
    desk.load(
        "CREATE TABLE users AS SELECT i::BIGINT AS \"#user_id\", 3 AS level, 'x' AS city FROM range(3, 9) t(i)",
        NO_EVENTS,
    )
    moving = desk("export_users", cluster="moving")
    assert (moving.rows, moving.fresh, moving.next) == (6, True, "")
    still = desk("export_users", cluster="still", properties=["city"])
    assert (still.rows, still.fresh) == (2, False)
    assert content(still) == '"#user_id",city\n1,\n3,x\n', "who is gone from the data keeps the id"
    assert "loaded again" in still.next
    assert len(desk.jobs()) == 3


def test_an_export_of_nobody_is_a_file_with_a_header(desk: Desk) -> None:
    desk.create("nobody", {"filts": [of_user("level", "greater", "99")]})
    exported = desk("export_users", cluster="nobody", properties=["city"])
    assert (exported.rows, content(exported)) == (0, '"#user_id",city\n')
    assert "0 users" in exported.message


def test_an_export_is_told_in_chinese_too(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    exported = desk.speaking("zh")("export_users", cluster="buyers")
    assert "2 名用户" in exported.message
    assert exported.path in exported.message


def test_members_are_those_of_the_version_and_not_of_the_day_of_the_export(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    desk.load_again(as_of=date(2027, 1, 1))
    exported = desk("export_users", cluster="buyers", properties=["level"])
    assert content(exported) == '"#user_id",level\n1,3\n2,5\n'
    assert exported.refresh_time == desk.row("buyers").refresh_time
