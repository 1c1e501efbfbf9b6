"""Lists of ids as people have them: workbooks, headers, exports of our own, phones in any form; and why ids match nobody."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_server.errors import InvalidArguments
from tests.operations.desk import Desk, opened

USERS = """#account_id,phone,mail,code
00017,13800138000,Ann@Example.com,a1
00123,13900139000,bob@example.com,b2
zz9,13700137000,cat@example.com,c3
"""
EVENTS = "#account_id,#event_name,#event_time\n00017,buy,2026-11-01\n00123,buy,2026-11-02\nzz9,buy,2026-11-03\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace into which users with phones and events were loaded, made once."""
    root = tmp_path_factory.mktemp("lists") / "workspace"
    for desk in opened(root):
        put(desk, "users.csv", USERS)
        put(desk, "events.csv", EVENTS)
        assert desk("load_file", files=["users.csv", "events.csv"]).users == 3
    return root


@pytest.fixture
def lists(made: Path, tmp_path: Path) -> Iterator[Desk]:
    yield from opened(Path(shutil.copytree(made, tmp_path / "workspace")))


def put(desk: Desk, name: str, content: str | bytes) -> Path:
    path = desk.app.settings.workspace / "imports" / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def imported(desk: Desk, content: str | bytes, column: str = "#account_id", name: str = "l.csv", **more: Any) -> Any:
    put(desk, name, content)
    return desk(
        "import_ids", **{"display_name": "l", "main_column_name": column, "path": name, "dry_run": True, **more}
    )


def codes(result: Any) -> list[str]:
    return [row.code for row in result.warnings]


@pytest.mark.parametrize("properties", [["#account_id"], ["phone", "#account_id"], []])
def test_an_export_is_imported_again(lists: Desk, properties: list[str]) -> None:
    everybody = {"filts": [{"tableType": "user", "columnName": "#account_id", "comparator": "notNull", "ftv": []}]}
    lists.create("all", everybody)
    exported = Path(lists("export_users", cluster="all", properties=properties).path)
    result = imported(lists, exported.read_bytes())
    assert (result.upload_num, result.user_num, result.unmatched_num) == (3, 3, 0)
    assert codes(result) == ([] if properties else ["ids_column_taken"])


def test_an_export_without_other_ids_is_read_by_user_id(lists: Desk) -> None:
    assert imported(lists, "#user_id\n1\n3\n", "#user_id").user_num == 2
    made = lists("import_ids", display_name="l", cluster_name="kept", main_column_name="#user_id", path="l.csv")
    assert made.cluster.users_num == 2
    assert "#user_id" in lists("get_cluster", cluster="kept").explanation
    put(lists, "bare.csv", "1\n3\n")
    refused = lists.refused("import_ids", display_name="l", main_column_name="#user_id", path="bare.csv")
    assert [problem.code for problem in refused.problems] == ["main_column_type"]


def test_a_column_is_taken_by_its_name(lists: Desk) -> None:
    rows = "no,who,note\n1,00017,x\n2,zz9,y\n3,nobody,z\n"
    result = by_name(lists, rows, "Who")
    assert (result.upload_num, result.user_num, result.unmatched_num) == (3, 2, 1)
    assert result.unmatched == ("nobody",)
    refused = lists.refused("import_ids", display_name="l", main_column_name="#account_id", path="l.csv", column="whom")
    assert isinstance(refused, InvalidArguments)
    assert (refused.problems[0].path, refused.problems[0].suggestion) == ("/column", "who")


def by_name(desk: Desk, content: str | bytes, column: str, name: str = "l.csv", **more: Any) -> Any:
    put(desk, name, content)
    return desk(
        "import_ids", display_name="l", main_column_name="#account_id", path=name, column=column, dry_run=True, **more
    )


def test_a_column_named_as_the_property_is_found(lists: Desk) -> None:
    result = imported(lists, "name,phone\nAnn,13800138000\nCat,13700137000\n", "phone")
    assert (result.upload_num, result.user_num) == (2, 2)
    assert codes(result) == []


def test_a_tag_takes_its_values_from_the_column_beside(lists: Desk) -> None:
    result = by_name(lists, "no,who,tag_value\n1,00017,gold\n2,zz9,\n", "who", catalog="tag")
    assert (result.upload_num, result.user_num, result.tag_value_null_num) == (2, 1, 1)


def test_a_header_that_is_one_is_not_counted(lists: Desk) -> None:
    result = imported(lists, "openid\n00017\nnobody\n")
    assert (result.upload_num, result.unmatched_num, result.unmatched) == (2, 1, ("nobody",))
    assert codes(result) == ["ids_header"]
    assert "not counted" in result.warnings[0].message


def test_a_workbook_is_read(lists: Desk) -> None:
    book = Path(__file__).parents[1] / "exports"
    found = sorted(book.glob("excel-workbook/*.xlsx"))
    assert found, "the corpus has one"
    put(lists, "book.xlsx", found[0].read_bytes())
    refused = lists.refused(
        "import_ids", display_name="l", main_column_name="#account_id", path="book.xlsx", column="whom"
    )
    assert [problem.code for problem in refused.problems] == ["ids_column"]
    result = lists("import_ids", display_name="l", main_column_name="#account_id", path="book.xlsx", dry_run=True)
    assert result.encoding == "spreadsheet"
    assert result.upload_num > 0
    put(lists, "broken.xlsx", b"PK\x03\x04\x14\x00")
    broken = lists.refused("import_ids", display_name="l", main_column_name="#account_id", path="broken.xlsx")
    assert [problem.code for problem in broken.problems] == ["ids_not_text"]


@pytest.mark.parametrize(
    "phone", ["13800138000", "+8613800138000", "8613800138000", "0086 138-0013-8000", "(+86) 138 0013 8000"]
)
def test_a_phone_is_found_in_any_form(lists: Desk, phone: str) -> None:
    result = imported(lists, f"{phone}\n13999999999\n", "phone")
    assert (result.user_num, result.unmatched_num) == (1, 1)


@pytest.mark.parametrize(
    ("content", "column", "says"),
    [
        ("17\n123\n", "#account_id", "leading zeros"),
        ("ann@example.com\nBOB@EXAMPLE.COM\n", "mail", "letter case"),
        ("A-1\na 1\nb-2\n", "code", "blanks"),
        ("00017\na1\nb2\nc3\n", "#account_id", "as values of code"),
    ],
)
def test_why_ids_match_nobody_is_looked_for(lists: Desk, content: str, column: str, says: str) -> None:
    for desk in (lists, lists.speaking("zh")):
        result = imported(desk, content, column)
        assert "ids_nearly" in codes(result)
    words = " ".join(row.message for row in imported(lists, content, column).warnings)
    assert says in words


def test_few_unmatched_ids_are_not_explained(lists: Desk) -> None:
    rows = "".join(f"{who}\n" for who in ("00017", "00123", "zz9")) * 4 + "17\n"
    assert "ids_nearly" not in codes(imported(lists, rows))
