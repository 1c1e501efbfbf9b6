"""What exists is found by words in either language, told with its types and values, a page at a time."""

import pytest

from mcp_server.language.metadata import Event, Names, Property, ValueCount
from tests.operations.desk import Desk


def names(found: object) -> list[str]:
    return [row.event for row in found.events] + [row.property for row in found.properties]  # type: ignore[attr-defined]


def test_without_words_everything_is_listed_events_by_count_first(shared: Desk) -> None:
    found = shared("describe_data")
    assert names(found) == ["buy", "login", "level", "city", "price"]
    assert (found.project_id, found.today, found.time_zone) == ("1", "2026-07-04", "Asia/Shanghai")
    assert (found.users, found.event_rows, found.total, found.left_out) == (4, 6, 5, 0)


def test_types_values_ranges_and_missing_values_are_told(shared: Desk) -> None:
    found = shared("describe_data")
    level, city, price = found.properties
    assert (level.table, level.type, level.low, level.high) == ("user", "number", "3", "5")
    assert (city.type, city.values, city.more_values) == ("string", ("上海", "a|b", ""), 0)
    assert (price.table, price.events, price.missing) == ("event", ("buy",), "20.0%")
    buy = found.events[0]
    assert (buy.count, buy.users, buy.first, buy.last) == (5, 3, "2026-07-01 12:00:00", "2026-07-03 12:00:00")


@pytest.mark.parametrize(("language", "name"), [("en", "Purchase"), ("zh", "购买")])
def test_display_names_are_in_the_language_of_the_server(shared: Desk, language: str, name: str) -> None:
    assert shared.speaking(language)("describe_data", search="buy").events[0].display_name == name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("buy", "buy"), ("BUY", "buy"), ("purchase", "buy"), ("purchse", "buy"), ("购买", "buy"), ("購買 购买", "buy"),
        ("登录", "login"), ("logn", "login"), ("levle", "level"), ("等级", "level"), ("prize", "price"),
        ("上海", "city"), ("user level", "level"), ("A|B", "city"),
        ("登陆", "login"), ("登入", "login"), ("购卖", "buy"),
    ],
)  # fmt: skip
def test_words_of_either_language_find_with_typos_and_by_value(shared: Desk, words: str, first: str) -> None:
    assert names(shared("describe_data", search=words))[0] == first


@pytest.mark.parametrize("words", ["zzzzqqq", "天气预报", "😀"])
def test_what_is_not_there_is_said_to_be_so(shared: Desk, words: str) -> None:
    for language in ("en", "zh"):
        found = shared.speaking(language)("describe_data", search=words)  # type: ignore[arg-type]
        assert (found.total, found.left_out, names(found)) == (0, 0, names(shared("describe_data")))
        assert words in found.message
        assert found.next


def test_pages_cover_everything_once_and_say_what_they_leave_out(shared: Desk) -> None:
    pages = [shared("describe_data", limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [name for page in pages for name in names(page)] == names(shared("describe_data"))
    assert [(page.total, page.left_out) for page in pages] == [(5, 3), (5, 1), (5, 0), (5, 0)]
    assert "offset 2" in pages[0].next
    assert "3 more" in pages[0].message


def test_an_event_is_shown_with_what_it_carries_and_nothing_else(shared: Desk) -> None:
    found = shared("describe_data", event="buy")
    assert names(found) == ["buy", "price"]
    assert found.properties[0].events == ()
    assert names(shared("describe_data", event="login")) == ["login"]
    assert names(shared("describe_data", event="buy", search="price")) == ["price"]


@pytest.mark.parametrize(
    ("asked", "near"), [("by", "buy"), ("Purchase", "buy"), ("logins", "login"), ("登录了", "login")]
)
def test_an_unknown_event_names_the_nearest(shared: Desk, asked: str, near: str) -> None:
    error = shared.refused("describe_data", event=asked)
    assert error.code == "not_found"
    assert near in error.message.en
    assert near in error.message.zh


def test_an_event_name_is_quoted_briefly_and_cleaned(shared: Desk) -> None:
    error = shared.refused("describe_data", event="x\u202e\n" * 5000)
    assert len(error.message.en) < 300
    assert error.message.en.isprintable()


def test_a_search_is_short_and_a_long_one_is_refused_at_once(shared: Desk) -> None:
    shared("describe_data", search="购" * 200)
    (problem,) = shared.refused("describe_data", search="ab " * 67).problems
    assert (problem.path, problem.code) == ("/search", "argument_value")
    assert "200" in problem.expected.en


def test_a_rare_value_that_was_searched_for_is_shown_first_and_the_rest_are_counted(desk: Desk) -> None:
    shops = tuple(ValueCount(f"shop {n}", 100 - n) for n in range(20))
    extra = Property(table="user", name="shop", type="string", distinct=500, top=shops)
    desk.load_again(properties=[*desk.metadata.properties, extra])
    (found,) = desk("describe_data", search="shop 17").properties
    assert found.values[0] == "shop 17"
    assert len(found.values) == 8
    assert found.more_values == 492


def test_remarks_are_searched_and_told(desk: Desk) -> None:
    event = Event(
        name="ev_17", names=Names(remark_en="gift sent to a friend", remark_zh="送礼给好友"), count=1, users=1
    )
    desk.load_again(events=[*desk.metadata.events, event])
    for words in ("gift", "送礼"):
        assert desk("describe_data", search=words).events[0].event == "ev_17"
    assert desk.speaking("zh")("describe_data", search="gift").events[0].remark == "送礼给好友"


def test_a_workspace_without_data_says_how_to_load_some(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.operations.desk import opened

    for desk in opened(tmp_path_factory.mktemp("empty")):
        error = desk.refused("describe_data")
        assert error.code == "no_data"
        assert "load_file" in error.next_step.en


def test_an_unknown_project_names_those_there_are(shared: Desk) -> None:
    error = shared.refused("describe_data", project_id="7")
    assert error.code == "no_project"
    assert "There are: 1" in error.message.en


def test_what_else_a_platform_says_is_shown_of_a_few_findings_only(desk: Desk) -> None:
    said = {"category": "shop", "isPreset": "false"}
    found = [event.model_copy(update={"more": tuple(said.items())}) for event in desk.metadata.events]
    kept = [p.model_copy(update={"more": tuple(said.items())}) for p in desk.metadata.properties]
    desk.load_again(events=found, properties=kept)
    few, many = desk("describe_data", search="level"), desk("describe_data")
    assert [row.more for row in few.properties] == [said]
    assert many.total > 3
    assert not any(row.more for row in (*many.events, *many.properties))
