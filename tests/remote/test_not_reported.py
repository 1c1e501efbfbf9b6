"""What ThinkingData does not report, or reports otherwise, beyond the demo's chain: small data with all kinds
of values, in both languages. Files of users are the same to the byte."""

import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from mcp_server.calls.settings import BEIJING
from mcp_server.front.mcp import rendering
from mcp_server.language.metadata import Event, Names, Property, ValueCount
from mcp_server.platforms.fields import ABSENT
from mcp_server.platforms.thinkingdata import wire
from mcp_server.text import Language
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import Station, station
from tests.operations.desk import STATIC, Desk, of_user, opened, times
from tests.operations.test_exporting import COLUMNS, PEOPLE, PROPERTIES
from tests.remote.comparing import differing, unlisted, unsaid
from tests.remote.kit import RemoteDesk, from_afar
from tools.platform_fields import DIFFERENT

NOW = datetime(2026, 7, 4, 12, tzinfo=BEIJING)
EVENTS = """CREATE TABLE events AS FROM (VALUES
  (0::BIGINT, 1::BIGINT, 'buy', TIMESTAMP '2026-07-03 04:00:00', 2.5::DOUBLE), (1, 1, 'buy', TIMESTAMP '2026-07-03 05:00:00', NULL),
  (2, 2, 'login', TIMESTAMP '2026-07-03 04:00:00', NULL))
  t("$row", "#user_id", "#event_name", "#event_time", price)"""
NAMES = Names(en="Name", zh="姓名", remark_en="As printed", remark_zh="证件姓名")
TAG = {
    "userTagConQuotaDef": {
        "userTagConQuotaEvent": {"type": "normal", "eventName": "buy", "analysis": "SUM", "quota": "price"}
    }
}
FIRST = {
    "userTagConFirstLastEventDef": {
        "userTagConFirstLastEvent": {
            "eventName": "buy",
            "isFirstEvent": True,
            "calcPropVo": {"isCalc": False, "property": {"columnName": "#event_time", "tableType": "event"}},
        }
    }
}
CHINESE = re.compile("[\u4e00-\u9fff]")
NAMED = {"events": [times("greater", "0")], "filts": [of_user("name", "notNull")]}
ODD = {
    "events": [
        times("greater", "0", "login", startTime="2001-01-01", endTime="2001-12-31", relation="and",
              filts=[{"tableType": "event", "columnName": "price", "comparator": "notNull", "ftv": []}])
    ],
    "filts": [of_user("name", "equal", "nope")],
}  # fmt: skip
"""A definition that draws nearly every finding."""
EVERYBODY = {"filts": [of_user("#user_id", "notNull")]}


def people(root: Path) -> Path:
    """The workspace with people of awkward values, as the vendor can hold them: times to the millisecond."""
    counted = {"names": NAMES, "distinct": 3, "null_share": 0.25, "top": (ValueCount("", 1), ValueCount("plain", 1))}
    of_events = (
        Property(table="event", name="price", type="number", low="2.5", high="2.5", null_share=0.5, events=("buy",)),
        Property(table="event", name="#user_id", type="number", scale=0, low="1", high="1", events=("buy",)),
        Property(
            table="event",
            name="#event_name",
            type="string",
            distinct=2,
            top=(ValueCount("buy", 2), ValueCount("login", 1)),
            events=("buy", "login"),
        ),
        Property(table="event", name="#event_time", type="time", events=("buy", "login")),
    )
    bought = {"count": 2, "users": 1, "first": "2026-07-03 12:00:00", "last": "2026-07-03 13:00:00"}
    for desk in opened(root):
        desk.load(
            PEOPLE.replace(".123456", ".120"),
            EVENTS,
            users=4,
            rows=3,
            properties=[*(p.model_copy(update=counted) if p.name == "name" else p for p in PROPERTIES), *of_events],
            events=[
                Event(
                    name="buy", names=Names(en="Purchase", zh="购买", remark_en="Paid", remark_zh="已付款"), **bought
                ),
                Event(name="login", names=Names(en="Login", zh="登录"), **bought),
            ],
        )
    return root


@pytest.fixture(scope="module")
def account(small_once: Path, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    root = people(shutil.copytree(small_once, tmp_path_factory.mktemp("account") / "workspace"))
    with station(root, portal, project="1") as found:
        found.clock.moment = NOW
        yield found


@pytest.fixture(scope="module")
def both(account: Station, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Desk]]:
    """The account's own process, and one that is far from it."""
    with from_afar(tmp_path_factory.mktemp("afar") / "workspace", account.url, NOW) as app:
        here = Desk(account.app)
        here.create("odd", ODD)
        here.create(
            "resting", {"filts": [{"tableType": "cluster", "columnName": "odd", "comparator": "belongToCluster"}]}
        )
        yield here, RemoteDesk(app)


def data(desk: Desk, tool: str, **arguments: object) -> dict[str, Any]:
    return rendering.structured(desk(tool, **arguments))


WARNINGS = {field for row in ABSENT for field in row.fields if field.startswith("warnings (ids_")}
NEW = {"cluster_name": "new", "display_name": "x", "cluster_type": STATIC, "dry_run": True}
IDS = {"main_column_name": "name", "display_name": "x", "ids": ["plain", "plain", "nobody"]}
ASKED: tuple[tuple[str, dict[str, Any], set[str]], ...] = (
    ("describe_data", {}, set()),
    ("describe_data", {"search": "Name plain"}, set()),
    ("validate_definition", {"qp": NAMED}, set()),
    ("validate_definition", {"qp": ODD}, {"message"}),
    ("preview_definition", {"tag_qp": TAG}, {"message"}),
    ("preview_definition", {"qp": ODD, "sample": 0}, set()),
    ("create_cluster", {**NEW, "qp": ODD}, set()),
    ("update_cluster", {"cluster": "odd", "qp": EVERYBODY, "dry_run": True}, set()),
    ("update_cluster", {"cluster": "resting", "qp": ODD, "dry_run": True}, set()),
    ("get_cluster", {"cluster": "odd"}, set()),
    ("import_ids", {**IDS, "dry_run": True}, {"message"}),
)
"""Tools, their arguments, and what differs because it repeats in words fields that the table names."""


ELSEWHERE = {"users", *WARNINGS, "warnings (same_users)", "properties.more_values", "explanation.en"}
"""Fields that differ only without SQL, with other ids, after a computation, with more values, or in an account whose language is Chinese."""


def asked(language: Language) -> list[tuple[str, dict[str, Any], set[str]]]:
    """In English without those that take long: they say the same."""
    return [one for one in ASKED if language == "zh" or one[0] not in ("create_cluster", "update_cluster")]


@pytest.fixture(scope="module")
def answers(both: tuple[Desk, Desk]) -> dict[Language, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """By language, and in the order of `asked`: the local result and the remote one."""
    found: dict[Language, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for language in ("en", "zh"):
        here, afar = (desk.speaking(language) for desk in both)
        found[language] = [(data(here, tool, **given), data(afar, tool, **given)) for tool, given, _ in asked(language)]
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_told_otherwise_is_in_the_table_and_what_is_not_told_is_said(answers: Any, language: Language) -> None:
    for (tool, _, sentences), (one, other) in zip(asked(language), answers[language], strict=True):
        assert unlisted(tool, one, other) == sentences, tool
        assert unsaid(tool, one, other) == set(), tool
        for reason in other.get("not_told", {}).values():
            assert bool(CHINESE.search(reason)) == (language == "zh")


def test_every_row_of_thinkingdata_has_its_case(answers: Any) -> None:
    """Rows of the other two have test_fields.py."""
    seen: dict[str, set[str]] = {}
    for (tool, _, _), (one, other) in zip(asked("zh"), answers["zh"], strict=True):
        seen.setdefault(tool, set()).update(differing(one, other))
    for row in (*ABSENT, *DIFFERENT):
        if row.platform == "thinkingdata":
            lacking = set(row.fields) - set().union(*(seen.get(tool, set()) for tool in row.tools))
            assert lacking <= ELSEWHERE, row


@pytest.mark.parametrize(
    ("content", "catalog", "codes"),
    [
        (
            'name\nplain,更多\n"a\nb"\n'.encode("gbk"),
            "cluster",
            {"encoding_gbk", "swallowed", "more_columns", "header"},
        ),
        (b"account id,1\nplain,2\n,stray\n", "tag", {"header"}),
        (b"plain\nplain\n", "tag", {"value_missing"}),
        (b"plain,a,b\n,stray,\n", "tag", {"more_columns"}),
        (b"plain\n,stray\n", "cluster", {"more_columns"}),
    ],
)
def test_what_a_file_of_ids_shows_is_said_from_afar_too(
    both: tuple[Desk, Desk], content: bytes, catalog: str, codes: set[str]
) -> None:
    found = []
    for desk in both:
        file = desk.app.settings.workspace / "imports" / "ids.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        wish = {"path": "ids.csv", "catalog": catalog, "main_column_name": "name", "display_name": "x", "dry_run": True}
        found.append(data(desk, "import_ids", **wish))
    # On this machine a header is no id, and names the column (docs/uploaded-ids.md).
    named = {"warnings (ids_header)", "warnings (ids_more_columns)", "warnings (ids_swallowed)"}
    assert unlisted("import_ids", *found) <= {"message", "upload_num"} | (named if "header" in codes else set())
    assert {f"ids_{code}" for code in codes} == {row["code"] for row in found[1].get("warnings", ())}


def test_words_of_another_language_than_the_accounts_find_nothing(both: tuple[Desk, Desk]) -> None:
    here, afar = both
    assert (here("describe_data", search="姓名").total, afar("describe_data", search="姓名").total) == (1, 0)


def test_counts_that_nobody_told_are_no_zeros(account: Station, tmp_path: Path) -> None:
    with from_afar(tmp_path, account.url, NOW) as app:
        account.faults.add(Fault(Kind.NOT_JSON, path=wire.SQL))
        found = data(RemoteDesk(app), "describe_data")
    assert not {"users", "event_rows"} & found.keys()
    assert found["events"] == [
        {"event": "buy", "display_name": "Purchase", "remark": "Paid"},
        {"event": "login", "display_name": "Login"},
    ]
    assert [reason for fields, reason in found["not_told"].items() if fields == "users"]
    text = rendering.text(found, "en")
    assert "users: " not in text.replace("users: Users", "")
    assert "event_rows: " not in text


@pytest.mark.parametrize("spreadsheet", [False, True])
def test_files_of_users_are_the_same_to_the_byte(both: tuple[Desk, Desk], spreadsheet: bool) -> None:
    name = f"everybody_{spreadsheet}"
    both[0].create(name, EVERYBODY)
    wish = {"cluster": name, "properties": list(COLUMNS), "for_spreadsheet": spreadsheet}
    one, other = (Path(desk("export_users", **wish).path).read_bytes() for desk in both)
    assert one == other


def test_a_tags_file_is_the_same_too(both: tuple[Desk, Desk]) -> None:
    for number, tag in enumerate((TAG, FIRST)):
        name = f"tag_{number}"
        both[0]("create_tag", cluster_name=name, display_name=name, cluster_type="tag_by_dynamic_condition", tag_qp=tag)
        one, other = (Path(desk("export_users", cluster=name).path).read_bytes() for desk in both)
        assert one == other
