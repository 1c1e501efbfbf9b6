"""Checking, explaining and sizing a definition: everything wrong at once, everything counted, nothing changed."""

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import duckdb
import pytest

from mcp_server.errors import Interrupted
from tests import small
from tests.operations.desk import EVENTS_WITHOUT_END, MANY_EVENTS, PATIENCE, USERS, Desk, of_user, times, until

BOTH_SIDES = {
    "events": [times("greater", 0), times("greater", 1), times("equal", 0, "login")],
    "filts": [of_user("level", "equal", "3"), of_user("city", "notNull")],
    "event_user_relation": "or",
}
"""Two event conditions on purchases, one of never having logged in; or level 3 and some city."""


def data_file(desk: Desk) -> Path:
    return desk.catalog.workspace.absolute(desk.catalog.generation("1").parts[0])


def selected_by(desk: Desk, sql: str) -> list[int]:
    """The ids that a statement selects on the data file, as anybody would run it."""
    with duckdb.connect(str(data_file(desk)), read_only=True) as db:
        return sorted(row[0] for row in db.execute(sql).fetchall())


# validate


@pytest.mark.parametrize("sent", [BOTH_SIDES, json.dumps(BOTH_SIDES), json.dumps(BOTH_SIDES, indent=2)])
def test_a_definition_is_understood_as_an_object_and_as_text(shared: Desk, sent: object) -> None:
    found = shared("validate_definition", qp=sent)
    assert found.valid
    assert found.problems == ()
    assert found.definition["events"][0]["num"] == "0"
    assert [r.path for r in found.repairs][-3:] == [f"/qp/events/{n}/num" for n in range(3)]


def test_the_normalised_definition_needs_no_repair_and_selects_the_same(shared: Desk) -> None:
    messy = {
        "events": [{"event_name": " buy ", "uceCalcuSymbol": "GREATER", "num": 1, "taPropQuota": {"analysis": "times"}}]
    }
    first = shared("validate_definition", qp={"events": [messy["events"][0] | {"eventName": " buy "}]} | {"x": 1})
    assert not first.valid
    del messy["events"][0]["event_name"]
    messy["events"][0]["eventName"] = " buy "
    first = shared("validate_definition", qp=messy)
    assert first.valid
    assert first.repairs
    assert first.definition == small.BUYERS
    again = shared("validate_definition", qp=first.definition)
    assert again.repairs == ()
    assert again.definition == first.definition


def test_all_problems_come_at_once_each_with_path_and_suggestion(shared: Desk) -> None:
    wrong = {
        "events": [times("greatr", "x", "by"), times("equal", "1", filts=[of_user("pric", "equal", "1")])],
        "filts": [of_user("levl", "equal", "a"), of_user("city", "greater", "a")],
        "relatoin": "and",
    }
    found = shared("validate_definition", qp=wrong)
    assert (found.valid, found.definition, found.explanation) == (False, {}, None)
    said = {p.path: (p.code, p.suggestion) for p in found.problems}
    assert said["/qp/events/0/comparator"] == ("comparator_unknown", "greater")
    assert said["/qp/events/0/eventName"] == ("event_unknown", "buy")
    assert said["/qp/filts/0/columnName"] == ("property_unknown", "level")
    assert said["/qp/relatoin"] == ("key_unknown", "relation")
    assert said["/qp/filts/1/comparator"][0] == "comparator_not_for_type"
    assert "/qp/events/1/filts/0/columnName" in said
    assert "validate_definition" in found.next


def test_it_is_explained_in_both_languages_whichever_is_spoken(shared: Desk) -> None:
    en, zh = (shared.speaking(language)("validate_definition", qp=BOTH_SIDES) for language in ("en", "zh"))  # type: ignore[arg-type]
    assert en.explanation == zh.explanation
    assert "never" in en.explanation.en or "0 times" in en.explanation.en
    assert "购买" in en.explanation.zh
    assert "2026-07-04" in en.explanation.en
    assert en.message != zh.message


def test_the_cost_is_estimated_from_events_and_windows(shared: Desk) -> None:
    def cost(**window: str) -> int:
        found = shared("validate_definition", qp={"events": [times("greater", "0", **window)]})
        assert found.event_rows == 6
        estimated: int = found.rows_to_read
        return estimated

    assert cost() == 5
    assert cost(recentDay="100-200") == 0
    assert 0 < cost(startTime="2026-07-02 12:00:00") < 5
    assert shared("validate_definition", qp={"events": [times("greater", "0", "anyEvent")]}).rows_to_read == 6
    assert shared("validate_definition", qp={"filts": [of_user("level", "notNull")]}).rows_to_read == 0


def test_warnings_do_not_make_a_definition_invalid(shared: Desk) -> None:
    found = shared(
        "validate_definition",
        qp={"events": [times("greater", "1.5", recentDay="0-6")], "filts": [of_user("city", "equal", "深圳")]},
    )
    assert found.valid
    assert {w.code for w in found.warnings} >= {"fraction_on_count", "recent_day_six", "value_unseen"}


def test_checking_and_sizing_change_nothing(desk: Desk) -> None:
    before = desk.everything()
    for qp in (BOTH_SIDES, {"events": []}, "{"):
        desk("validate_definition", qp=qp)
    desk("preview_definition", qp=BOTH_SIDES)
    desk.refused("preview_definition", qp={"events": [{}]})
    assert desk.everything() == before
    assert sorted(p.name for p in desk.catalog.workspace.exports.iterdir()) == []


@pytest.mark.parametrize("tool", ["validate_definition", "preview_definition"])
def test_a_missing_definition_is_a_missing_argument(shared: Desk, tool: str) -> None:
    if tool == "validate_definition":
        problems = shared.refused(tool).problems
        assert [(p.path, p.code) for p in problems] == [("/qp", "argument_missing")]
    else:
        assert shared.refused(tool).problems[0].path == "/qp"


@pytest.mark.parametrize(
    "sent", ["{", "nope", "[1]", [], 7, {}, {"events": []}, {"events": [], "filts": []}, '{"events": [NaN]}', "null"]
)
def test_what_is_no_definition_is_a_problem_in_both_languages(shared: Desk, sent: object) -> None:
    for language in ("en", "zh"):
        found = shared.speaking(language)("validate_definition", qp=sent)  # type: ignore[arg-type]
        assert not found.valid
        assert found.problems
        assert shared.refused("preview_definition", qp=sent).code == "invalid_definition"


# preview


def test_the_funnel_has_each_condition_alone_and_what_is_left_events_first_then_both_sides(shared: Desk) -> None:
    found = shared("preview_definition", qp=BOTH_SIDES)
    assert [(row.alone, row.left) for row in found.funnel] == [(3, 3), (2, 2), (3, 2), (2, 2), (3, 2), (3, 3)]
    assert (found.users_num, found.all_users, found.share) == (3, 4, "75.0%")
    assert [row.condition[:3] for row in found.funnel[:5]] == ["(1)", "(2)", "(3)", "(4)", "(5)"]


def test_a_side_is_joined_by_its_own_relation(shared: Desk) -> None:
    either = {"events": [times("greater", "1"), times("greater", "0", "login")], "event_relation": "or"}
    assert [(r.alone, r.left) for r in shared("preview_definition", qp=either).funnel] == [(2, 2), (1, 3)]
    both = either | {"event_relation": "and"}
    assert [(r.alone, r.left) for r in shared("preview_definition", qp=both).funnel] == [(2, 2), (1, 0)]
    levels = {"filts": [of_user("level", "equal", "3"), of_user("level", "equal", "5")], "relation": "or"}
    assert [(r.alone, r.left) for r in shared("preview_definition", qp=levels).funnel] == [(2, 2), (1, 3)]


def test_one_side_alone_has_no_row_for_both(shared: Desk) -> None:
    (row,) = shared("preview_definition", qp=small.BUYERS).funnel
    assert (row.alone, row.left) == (2, 2)
    assert not row.condition.startswith("(")


@pytest.mark.parametrize(("language", "word"), [("en", "Purchase"), ("zh", "购买")])
def test_the_funnel_reads_in_the_language_of_the_server(shared: Desk, language: str, word: str) -> None:
    found = shared.speaking(language)("preview_definition", qp=BOTH_SIDES)  # type: ignore[arg-type]
    assert word in found.funnel[0].condition


def test_the_sample_shows_the_properties_that_were_asked_for_as_text(shared: Desk) -> None:
    everybody = {"filts": [of_user("level", "notNull")]}
    assert shared("preview_definition", qp=everybody, properties=["CITY", "level"]).sample == (
        {"#user_id": "1", "city": "上海", "level": "3"},
        {"#user_id": "2", "level": "5"},
        {"#user_id": "3", "city": "a|b", "level": "3"},
    )
    assert len(shared("preview_definition", qp=everybody, sample=2).sample) == 2
    assert shared("preview_definition", qp=everybody, sample=0).sample == ()


def test_an_empty_text_is_a_value_of_the_sample_and_a_missing_one_is_left_out(shared: Desk) -> None:
    nobody_levelled = {"filts": [of_user("level", "isNull")]}
    assert shared("preview_definition", qp=nobody_levelled, properties=["city", "level"]).sample == (
        {"#user_id": "4", "city": ""},
    )


@pytest.mark.parametrize("sample", [-1, 21])
def test_a_sample_is_small(shared: Desk, sample: int) -> None:
    (problem,) = shared.refused("preview_definition", qp=small.BUYERS, sample=sample).problems
    assert problem.path == "/sample"


def test_wrong_properties_are_told_together_with_the_problems_of_the_definition(shared: Desk) -> None:
    error = shared.refused("preview_definition", qp={"events": [times("more", "1")]}, properties=["level", "cty"])
    said = {p.path: p for p in error.problems}
    assert set(said) == {"/properties/1", "/qp/events/0/comparator"}
    assert said["/properties/1"].suggestion == "city"
    alone = shared.refused("preview_definition", qp=small.BUYERS, properties=["price"])
    assert [p.path for p in alone.problems] == ["/properties/0"]
    assert alone.next_step.en


@pytest.mark.parametrize(
    ("definition", "users"),
    [
        (small.BUYERS, [1, 2]),
        (BOTH_SIDES, [1, 2, 3]),
        ({"events": [times("equal", "0")]}, [4]),
        ({"events": [times("less", "1", "anyEvent")]}, []),
        ({"filts": [of_user("city", "notEqual", "上海")]}, [3, 4]),
        ({"filts": [of_user("city", "equal", "a|b", "'; DROP TABLE users; --")]}, [3]),
        ({"events": [{**times("greater", "1"), "taPropQuota": {"analysis": "SUM", "quota": "price"}}]}, [1, 2, 3]),
        ({"events": [times("greater", "0", recentDay="1-1")]}, [2, 3]),
    ],
)
def test_the_sql_on_request_runs_as_it_is_and_selects_the_same_users(
    shared: Desk, definition: dict[str, Any], users: list[int]
) -> None:
    found = shared("preview_definition", qp=definition, include_sql=True, sample=20)
    assert selected_by(shared, found.sql) == users
    assert [int(row["#user_id"]) for row in found.sample] == users
    assert found.users_num == len(users)
    assert shared("preview_definition", qp=definition).sql == ""


def test_conditions_that_select_nobody_or_everybody_are_warned_of(shared: Desk) -> None:
    found = shared(
        "preview_definition",
        qp={
            "events": [times("greater", "99"), times("greater", "0", "anyEvent")],
            "filts": [of_user("level", "less", "9")],
        },
    )
    said = {(w.code, w.path) for w in found.warnings}
    assert ("selects_nobody", "/qp/events/0") in said
    assert ("selects_everybody", "/qp/events/1") in said
    assert not any(path == "/qp/filts/0" and code.startswith("selects") for code, path in said)
    assert found.users_num == 0
    assert "funnel" in found.next


def test_rules_that_are_the_projects_own_are_noted(desk: Desk) -> None:
    never = desk("preview_definition", qp={"events": [times("equal", "0")]})
    assert "never did buy" in never.notes[0]
    desk.load_again(properties=[p.model_copy(update={"null_share": 0.25}) for p in desk.metadata.properties])
    other = desk("preview_definition", qp={"filts": [of_user("city", "notEqual", "上海")]})
    assert "city" in other.notes[0]
    assert desk("preview_definition", qp=small.BUYERS).notes == ()


def test_a_share_is_never_shown_as_nothing_where_it_is_something(shared: Desk) -> None:
    from mcp_server.operations.results import share

    assert [share(*n) for n in ((0, 9), (0, 0), (1, 3), (3, 3), (1, 100_000), (1, 7_000_000))] == [
        "0%", "0%", "33.3%", "100.0%", "0.001%", "1.4e-05%"
    ]  # fmt: skip


def test_a_process_that_ends_breaks_off_what_it_sizes(desk: Desk) -> None:
    desk.load(USERS, EVENTS_WITHOUT_END)
    engine = desk.app.deps.segments._engine  # type: ignore[attr-defined]

    async def main() -> None:
        async def end() -> None:
            await until(lambda: engine._running)
            await anyio.to_thread.run_sync(desk.app.close)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(end)
                with pytest.raises(Interrupted):
                    await desk.asked("preview_definition", {"qp": small.BUYERS})

    anyio.run(main)


def test_a_preview_reports_progress_and_stops_when_the_call_is_cancelled(desk: Desk) -> None:
    desk.load(USERS, MANY_EVENTS)
    told: list[float] = []

    async def main() -> None:
        with anyio.fail_after(20), anyio.CancelScope() as scope:

            async def report(percent: float, message: object) -> None:
                told.append(percent)
                if len(told) == 2:
                    scope.cancel()

            await desk.asked("preview_definition", {"qp": small.BUYERS}, report)
        assert scope.cancelled_caught
        # The slot is free and the engine unharmed: a preview that reads no event is answered.
        with anyio.fail_after(20):
            found = await desk.asked("preview_definition", {"qp": {"filts": [of_user("level", "notNull")]}})
            assert found.users_num == 4
            await until(lambda: not list(desk.catalog.workspace.tmp.glob("*.parquet")))

    anyio.run(main)
    assert 0 < told[0] < told[1] < 100


def test_long_values_are_shown_by_their_beginning(desk: Desk) -> None:
    desk.load(USERS.replace("'x'", "repeat('上', 99 + i)"), MANY_EVENTS)
    everybody = {"tagValue": "x" * 101, "userClusterDef": {"filts": [of_user("city", "notNull")]}}
    seen = desk("preview_definition", tag_qp={"userTagValueDefs": [everybody]}, properties=["city"])
    assert [row["city"] for row in seen.sample] == ["上" * 100, *["上" * 100 + "…"] * 3]
    assert [row.value for row in seen.values] == ["x" * 100 + "…"]
