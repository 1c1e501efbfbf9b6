"""What get_crowd_analysis tells: what stands out, briefly, and never who the members are."""

import json
from typing import Any

import pytest

from mcp_server.front.mcp import rendering
from mcp_server.language.metadata import Event, Property
from mcp_server.platforms.local.crowds import MOST_SHARES
from tests.house.test_budget import tokens
from tests.operations.desk import Desk, of_user

MOST_TOKENS = 1500
WIDE = 20

COLUMNS = ", ".join(
    f"(i + {n}) % {4 + n % 8} || '-value-of-some-length-{n}' AS property_number_{n}" for n in range(WIDE)
)
USERS = f"""CREATE TABLE users AS SELECT i::BIGINT AS "#user_id", 'account' || i AS "#account_id", i::BIGINT AS score,
    CASE WHEN i <= 60 THEN 'north' WHEN i < 64 THEN 'rare' ELSE repeat('长', 300) END AS region,
    CASE WHEN i % 2 = 0 THEN '' END AS blank, {COLUMNS} FROM range(1, 121) t(i)"""
EVENTS = """CREATE TABLE events AS SELECT i AS "$row", i % 120 + 1 AS "#user_id", 'buy' AS "#event_name",
    TIMESTAMP '2025-07-01' + to_hours(i::INT) AS "#event_time", 1.0 AS price FROM range(8000) t(i)"""


def of_users(name: str, kind: str, distinct: int) -> Property:
    return Property.model_validate({"table": "user", "name": name, "type": kind, "distinct": distinct, "scale": None})


@pytest.fixture(scope="module")
def wide(shared: Desk) -> Desk:
    """120 users with 24 properties and nearly a year of events; the cluster `low` has the first 64."""
    properties = [
        of_users("#account_id", "string", 120), of_users("score", "number", 120), of_users("region", "string", 3), of_users("blank", "string", 1),
        *(of_users(f"property_number_{n}", "string", 8) for n in range(WIDE)),
    ]  # fmt: skip
    event = Event(name="buy", count=8000, users=120, first="2025-07-01 08:00:00", last="2026-05-30 15:00:00")
    shared.load(USERS, EVENTS, properties=properties, events=(event,), users=120, rows=8000)
    shared.create("low", {"filts": [of_user("score", "less", "65")]})
    return shared


def analysed(desk: Desk, start: str = "2025-07-01", end: str = "2026-06-30") -> Any:
    made = desk("create_crowd_analysis", crowd_id="low", start_time=start, end_time=end)
    return desk("get_crowd_analysis", task_id=made.result.task_id)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_analysis_of_much_is_short(wide: Desk, language: Any) -> None:
    shown = analysed(wide.speaking(language))
    data = rendering.structured(shown)
    assert len(shown.profile) <= MOST_SHARES
    assert len(shown.activity) == 14
    assert tokens(json.loads(json.dumps(data))) < MOST_TOKENS
    assert tokens(rendering.text(data, language)) < MOST_TOKENS
    left = len(wide.metadata.properties_of("user")) - 1 - len({r.property for r in shown.profile})
    assert left > 0
    assert any(note.endswith(f"only: {left}.") or f"另有 {left} 个属性" in note for note in shown.notes)


def test_what_sets_the_crowd_apart_comes_first(wide: Desk) -> None:
    rows = analysed(wide).profile
    told = [(r.property, r.value, r.users, r.share, r.all_share, r.lift) for r in rows]
    assert told[:3] == [
        ("region", "north", 60, 0.938, 0.5, 1.88),
        ("score", "up to 30", 30, 0.469, 0.25, 1.88),
        ("score", "over 30, up to 60", 30, 0.469, 0.25, 1.88),
    ]
    assert {r.value for r in rows if r.property == "region"} == {"north"}, "rare values are not told"


def test_no_id_is_told(wide: Desk) -> None:
    words = json.dumps(rendering.structured(analysed(wide)))
    assert "account" not in words


def test_the_whole_validity_is_counted_and_the_last_weeks_are_told(wide: Desk) -> None:
    """Each hour is an event; 64 of 120 users are the crowd's."""
    shown = analysed(wide)
    expected = sum(i % 120 + 1 <= 64 for i in range(8000))
    assert (shown.unit, shown.events, shown.active_users) == ("week", expected, 64)
    assert shown.activity_left_out == 34
    assert shown.activity[-1].day == "2026-05-26"
    assert sum(a.events for a in shown.activity) < expected
    assert any("totals: 34." in note for note in shown.notes)


def test_single_days_are_told_of_a_short_validity(wide: Desk) -> None:
    shown = analysed(wide, "2025-07-02", "2025-07-03")
    assert (shown.unit, [a.day for a in shown.activity]) == ("day", ["2025-07-02", "2025-07-03"])
    assert [a.events for a in shown.activity] == [
        sum(i % 120 + 1 <= 64 for i in range(first, first + 24)) for first in (16, 40)
    ]  # fmt: skip


def test_a_crowd_of_less_than_five_shows_no_values(wide: Desk) -> None:
    wide.create("few", {"filts": [of_user("score", "less", "5")]})
    for language in ("en", "zh"):
        desk = wide.speaking(language)  # type: ignore[arg-type]
        made = desk("create_crowd_analysis", crowd_id="few", start_time="2025-07-01", end_time="2025-07-02")
        shown = desk("get_crowd_analysis", task_id=made.result.task_id)
        assert (shown.profile, shown.result.users_num) == ((), 4)
        assert any(("No values are shown" if language == "en" else "未显示任何取值") in note for note in shown.notes)


def test_a_crowd_of_nobody_is_analysed(wide: Desk) -> None:
    wide.create("nobody", {"filts": [of_user("score", "less", "0")]})
    made = wide("create_crowd_analysis", crowd_id="nobody", start_time="2025-07-01", end_time="2025-07-02")
    shown = wide("get_crowd_analysis", task_id=made.result.task_id)
    assert (shown.profile, shown.events, shown.active_users) == ((), 0, 0)
    assert "0 users" in shown.message


def test_nothing_blank_or_endless_stands_for_a_value(wide: Desk) -> None:
    wide.create("high", {"filts": [of_user("score", "greater", "100")]})
    made = wide("create_crowd_analysis", crowd_id="high", start_time="2025-07-01", end_time="2025-07-02")
    for language, missing in (("en", "(no value)"), ("zh", "（无值）")):
        desk = wide.speaking(language)  # type: ignore[arg-type]
        rows = desk("get_crowd_analysis", task_id=made.result.task_id).profile
        values = {r.property: r.value for r in rows if r.property in ("region", "score")}
        assert values["region"] == "长" * 40 + "…"
        assert values["score"] == ("over 90" if language == "en" else "大于 90")
        assert {r.value for r in rows if r.property == "blank"} <= {missing, '""'}
