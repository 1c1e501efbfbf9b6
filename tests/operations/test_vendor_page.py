"""Every JSON example of the vendor's page on clusters and tags, as it stands there, through validate_definition.

The files of `vendor_page/` are copied from the page (用户分群和标签 API) with its mistakes: one body lacks a comma, one
reply has a comma too many.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_server.language.metadata import Event, Property
from tests.operations.desk import Desk, opened

PAGE = Path(__file__).parent / "vendor_page"
CLUSTERS = ("add_cluster", "update_cluster", "detail_reply")
TAGS = ("add_tag_of_values", "add_tag_of_first_event", "add_tag_of_measure")
OTHERS = sorted({path.stem for path in PAGE.glob("*.json")} - {*CLUSTERS, *TAGS})


@pytest.fixture(scope="module")
def game(made_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The project that the page's examples are of, as far as they name it: a player of level 3 and one of level 5."""
    for desk in opened(shutil.copytree(made_once, tmp_path_factory.mktemp("page") / "workspace")):
        desk.load(_USERS, _EVENTS, events=_EVENT_NAMES, properties=_PROPERTIES, users=2, rows=14)
        yield desk


_USERS = """CREATE TABLE users AS FROM (VALUES (1::BIGINT, 3::BIGINT), (2, 5)) t("#user_id", user_level)"""
_EVENTS = """CREATE TABLE events AS SELECT row_number() OVER () - 1 AS "$row", * FROM (
  SELECT 1::BIGINT AS "#user_id", 'consume_item' AS "#event_name", TIMESTAMP '2026-07-02 04:00:00' AS "#event_time",
    NULL AS "#os", NULL::BIGINT AS "#vp@test_num", NULL AS activity_reward FROM range(5)
  UNION ALL FROM (VALUES
    (2::BIGINT, 'player_register', TIMESTAMP '2026-06-20 04:00:00', NULL, NULL::BIGINT, NULL),
    (2, 'fight_success', TIMESTAMP '2026-06-20 05:00:00', NULL, NULL, NULL),
    (1, 'pay', TIMESTAMP '2026-07-04 03:00:00', 'ios', 6, NULL),
    (1, 'pay', TIMESTAMP '2026-07-04 04:00:00', 'android', 7, NULL),
    (1, 'pay', TIMESTAMP '2026-07-04 05:00:00', 'android', 8, NULL),
    (2, 'activity_attend', TIMESTAMP '2026-07-04 05:00:00', 'android', NULL, 'coin'),
    (2, 'activity_attend', TIMESTAMP '2026-07-04 06:00:00', 'android', NULL, 'gem'),
    (2, 'activity_attend', TIMESTAMP '2026-07-04 07:00:00', 'android', NULL, 'gem'),
    (2, 'activity_attend', TIMESTAMP '2026-07-04 08:00:00', 'ios', NULL, 'map')))"""
_FIRST, _LAST = "2026-06-20 12:00:00", "2026-07-04 16:00:00"
_EVENT_NAMES = [
    Event(name=name, count=1, users=1, first=_FIRST, last=_LAST)
    for name in ("consume_item", "player_register", "fight_success", "pay", "activity_attend")
]
_PROPERTIES = [
    Property(table="user", name="user_level", type="number", scale=0),
    Property(table="event", name="#os", type="string", events=("pay", "activity_attend")),
    Property(table="event", name="#vp@test_num", type="number", scale=0, events=("pay",)),
    Property(table="event", name="activity_reward", type="string", events=("activity_attend",)),
]


def text(name: str) -> str:
    return (PAGE / f"{name}.json").read_text(encoding="utf-8")


def checked(game: Desk, name: str) -> Any:
    """What is said of an example as text; it is the same as of the object, where the text is JSON."""
    found = game("validate_definition", qp=text(name))
    try:
        as_object = game("validate_definition", qp=json.loads(text(name)))
    except json.JSONDecodeError:
        return found
    assert as_object.model_copy(update={"repairs": ()}) == found.model_copy(update={"repairs": ()})
    return found


@pytest.mark.parametrize("name", CLUSTERS + TAGS)
def test_every_definition_of_the_page_is_accepted(game: Desk, name: str) -> None:
    found = checked(game, name)
    assert found.valid
    assert found.explanation.en
    assert found.explanation.zh
    assert {w.code for w in found.warnings} <= {"body_other_project", "window_both"}


@pytest.mark.parametrize(
    ("name", "key"), [("add_cluster", "qp"), ("update_cluster", "qp"), *((tag, "tagQp") for tag in TAGS)]
)
def test_the_body_that_would_be_sent_is_the_pages_own(game: Desk, name: str, key: str) -> None:
    page = json.loads(text(name).replace('}\n              "uceCalcuSymbol"', '},\n              "comparator"'))
    found = checked(game, name)
    assert found.vendor_body == page | {"projectId": 1}
    assert found.definition == page[key]


def test_the_body_that_lacks_a_comma_is_mended_and_that_is_said(game: Desk) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text("add_tag_of_values"))
    comma, key = checked(game, "add_tag_of_values").repairs
    assert (comma.path, comma.after, comma.reason) == ("/qp", ",", "a comma was missing in line 46")
    assert text("add_tag_of_values").splitlines()[45].strip() == "}"
    assert (key.before, key.after) == ('"uceCalcuSymbol"', '"comparator"')


def test_a_cluster_as_the_server_reads_it_back_is_opened(game: Desk) -> None:
    found = checked(game, "detail_reply")
    assert found.definition == checked(game, "update_cluster").definition
    assert [w.path for w in found.warnings] == [
        "/qp/data/projectId", "/qp/data/userClusterDef/events/0/recentDay"
    ]  # fmt: skip


def test_another_project_in_the_body_is_said(game: Desk) -> None:
    [warning] = checked(game, "add_cluster").warnings
    assert (warning.code, warning.path, warning.got, warning.expected) == (
        "body_other_project",
        "/qp/projectId",
        "102",
        "1",
    )
    assert game("validate_definition", qp=json.loads(text("add_cluster")) | {"projectId": "1"}).warnings == ()


@pytest.mark.parametrize(
    ("name", "users", "values"),
    [
        ("add_cluster", 1, {}),
        ("add_tag_of_values", 1, {"标签值2": 1}),
        ("add_tag_of_first_event", 1, {"7": 1}),
        ("add_tag_of_measure", 1, {"2": 1}),
    ],
)
def test_every_definition_of_the_page_selects_whom_it_says(
    game: Desk, name: str, users: int, values: dict[str, int]
) -> None:
    """Player 1 bought five items last week and is of level 3; the first of the payments on android is worth 7;
    player 2 took part on android for two different rewards."""
    definition = checked(game, name).definition
    argument = {"tag_qp" if name in TAGS else "qp": definition}
    found = game("preview_definition", **argument)
    assert found.users_num == users
    assert {row.value: row.users for row in found.values if row.users} == values


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_example_is_answered_with_problems(game: Desk, name: str) -> None:
    for language in ("en", "zh"):
        found = game.speaking(language)("validate_definition", qp=text(name))  # type: ignore[arg-type]
        assert not found.valid
        assert {p.code for p in found.problems} == {"key_unknown"}


def test_the_spare_comma_of_a_reply_is_said(game: Desk) -> None:
    [repair] = checked(game, "progress_reply").repairs
    assert repair.reason == "a comma was too many in line 3"


SQL = """SELECT "#user_id" FROM ta.v_event_1
WHERE ${PartDate:week} AND "$part_event" = 'consume_item' GROUP BY "#user_id" HAVING count(*) > 4"""


def test_days_as_the_vendor_writes_them_in_sql_are_checked_explained_and_counted(game: Desk) -> None:
    definition = {"sql": SQL, "parameters": {"week": "1-7"}}
    found = game("validate_definition", qp=definition)
    assert found.valid
    assert found.definition == definition
    assert "from 2026-06-27 to 2026-07-03 (the past 7 days, without today)" in found.explanation.en
    assert "2026-06-27 至 2026-07-03（过去 7 天，不含今天）" in found.explanation.zh
    assert (
        game("preview_definition", qp=definition).users_num == game("preview_definition", qp=_page_qp()).users_num == 1
    )


def _page_qp() -> Any:
    """The same question as the page asks it, without the level."""
    return {"events": json.loads(text("add_cluster"))["qp"]["events"]}


@pytest.mark.parametrize("parameter", ["${base_date}", "${PartDate}", "${Date:week}"])
def test_other_parameters_in_sql_are_refused(game: Desk, parameter: str) -> None:
    found = game("validate_definition", qp={"sql": SQL.replace("${PartDate:week}", parameter)})
    assert not found.valid
    assert "sql_parameter_refused" in {p.code for p in found.problems}
