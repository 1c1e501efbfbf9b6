"""Crowd analysis tasks through the tools: made, changed, loaded again, deleted; times as on the vendor's page."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_server.errors import ChangedMeanwhile
from mcp_server.platforms.local.task_store import CrowdStore
from mcp_server.platforms.tasks import Drift
from mcp_server.store.housekeeping import KEEP_VERSIONS, sweep
from mcp_server.store.jobs import JobStore
from tests import small
from tests.operations.desk import DYNAMIC, EVENTS_WITHOUT_END, USERS, Desk, Watch, of_user, opened, times

START, END = "2026-07-01 00:00:00", "2026-07-31 23:59:59"
NOW = "2026-07-04 00:00:00"
"""The beginning of the project's fixed day, in Beijing."""


@pytest.fixture
def buyers(desk: Desk) -> Desk:
    """A desk with the cluster `buyers` (players 1 and 2)."""
    desk.create("buyers", small.BUYERS)
    return desk


@pytest.fixture
def task(buyers: Desk) -> str:
    """A running task of `buyers`."""
    return create(buyers).result.task_id


def create(desk: Desk, crowd: object = "buyers", start: str = START, end: str = END, **more: object) -> Any:
    return desk("create_crowd_analysis", crowd_id=crowd, start_time=start, end_time=end, **more)


def tasks(desk: Desk) -> list[dict[str, Any]]:
    return [dict(row) for row in desk.catalog.database.rows("SELECT * FROM crowd_task ORDER BY id")]


def load_more(desk: Desk) -> None:
    """The same data with a second purchase of player 3 and without player 1."""
    part = desk.catalog.workspace.absolute(desk.catalog.generation("1").parts[0])
    desk.load(
        f"ATTACH '{part}' AS old (READ_ONLY)",
        'CREATE TABLE users AS SELECT * FROM old.users WHERE "#user_id" <> 1',
        'CREATE TABLE events AS SELECT * FROM old.events WHERE "#user_id" <> 1',
        "INSERT INTO events VALUES (6, 3, 'buy', TIMESTAMP '2026-07-03 05:00:00', 1.0)",
        "DETACH old",
    )


# creating


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_task_holds_the_members_and_answers_with_the_fields_of_the_page(buyers: Desk, language: Any) -> None:
    made = create(buyers.speaking(language), 1)
    row = made.result
    assert (row.task_id, row.crowd_id, row.start_time, row.end_time) == ("100001", "1", START, END)
    assert (made.code, made.msg, made.success) == (0, "OK", True)
    assert (row.crowd_name, row.users_num, row.state) == ("buyers", 2, "running")
    assert "100001" in made.message
    assert ("Beijing time" if language == "en" else "北京时间") in made.message
    shown = buyers.speaking(language)("get_crowd_analysis", task_id=100001)
    assert (shown.all_users, shown.events, shown.active_users) == (4, 4, 2)
    assert [(a.day, a.events, a.active_users) for a in shown.activity] == [
        ("2026-07-01", 1, 1), ("2026-07-02", 2, 2), ("2026-07-03", 1, 1)
    ]  # fmt: skip
    assert (shown.joined, shown.left) == (0, 0)


def test_the_same_crowd_and_times_again_are_the_task_that_exists(buyers: Desk) -> None:
    first = create(buyers)
    before = buyers.everything()
    for dry_run in (False, True):
        again = create(buyers, "BUYERS", dry_run=dry_run)
        assert (again.existed, again.result) == (True, first.result)
    assert "exists already" in again.message
    assert buyers.everything() == before
    assert create(buyers, end="2026-08-01 00:00:00").result.task_id == "100002"


def test_the_example_of_the_page_is_allowed_with_a_warning(buyers: Desk) -> None:
    moment = "2018-09-19 00:00:01"
    for language in ("en", "zh"):
        made = create(buyers.speaking(language), 1, moment, moment)  # type: ignore[arg-type]
        assert [w.code for w in made.warnings] == ["crowd_validity_over"]
        assert NOW in made.warnings[0].message
        assert (made.result.start_time, made.result.end_time, made.result.state) == (moment, moment, "ended")
        shown = buyers.speaking(language)("get_crowd_analysis", task_id=made.result.task_id)  # type: ignore[arg-type]
        assert (shown.activity, shown.events) == ((), 0)
        assert "2026-07-01" in shown.message


def test_an_end_a_second_before_the_start_is_refused(buyers: Desk) -> None:
    error = buyers.refused(
        "create_crowd_analysis", crowd_id="buyers", start_time="2026-07-01 00:00:01", end_time="2026-07-01 00:00:00"
    )
    assert [(p.path, p.code) for p in error.problems] == [("/end_time", "crowd_end_before_start")]
    assert tasks(buyers) == []


@pytest.mark.parametrize(
    ("end", "state", "warned"),
    [
        ("2026-07-04 00:00:00", "ended", True),
        ("2026-07-04 00:00:01", "running", False),
    ],
)
def test_a_validity_is_over_with_its_last_second(buyers: Desk, end: str, state: str, warned: bool) -> None:
    made = create(buyers, end=end)
    assert (made.result.state, bool(made.warnings)) == (state, warned)


def test_a_validity_begins_with_its_first_second(buyers: Desk) -> None:
    assert create(buyers, start=NOW).result.state == "running"
    for n, language in enumerate(("en", "zh"), 1):
        desk = buyers.speaking(language)  # type: ignore[arg-type]
        for dry_run in (True, False):
            made = create(desk, start="2026-07-04 00:00:01", end=f"2026-08-0{n}", dry_run=dry_run)
            assert [NOW in note for note in made.notes] == [True]
    assert made.result.state == "waiting"


@pytest.mark.parametrize(
    ("sent", "start", "end"),
    [
        ("2026-07-10", "2026-07-10 00:00:00", "2026-07-10 23:59:59"),
        ("2026-07-10T12:00:00", "2026-07-10 12:00:00", "2026-07-10 12:00:00"),
        ("2026-07-10 04:00:00Z", "2026-07-10 12:00:00", "2026-07-10 12:00:00"),
        ("2026-07-10T04:00:00-05:00", "2026-07-10 17:00:00", "2026-07-10 17:00:00"),
        ("2026-07-10 12:00:00.500", "2026-07-10 12:00:00", "2026-07-10 12:00:00"),
    ],
)
def test_other_ways_to_write_a_time_are_read_and_reported(buyers: Desk, sent: str, start: str, end: str) -> None:
    made = create(buyers, start=sent, end=sent, dry_run=True)
    assert (made.result.start_time, made.result.end_time) == (start, end)
    assert [(r.path, r.before, r.after) for r in made.repairs] == [
        ("/start_time", sent, start),
        ("/end_time", sent, end),
    ]


def test_a_time_as_on_the_page_is_not_reported(buyers: Desk) -> None:
    assert create(buyers, dry_run=True).repairs == ()


@pytest.mark.parametrize(
    "sent", ["tomorrow", "2026-13-01 00:00:00", "2026-07-01 24:00:00", "10:00-12:00", "0001-01-01T00:00:00+14:00", " "]
)
def test_what_is_no_time_is_a_problem_at_its_place(buyers: Desk, sent: str) -> None:
    error = buyers.refused("create_crowd_analysis", crowd_id="buyers", start_time=sent, end_time=sent)
    assert [(p.path, p.code) for p in error.problems] == [
        ("/start_time", "crowd_time_invalid"), ("/end_time", "crowd_time_invalid")
    ]  # fmt: skip


def test_the_first_and_the_last_time_of_the_calendar_can_be_used(buyers: Desk) -> None:
    made = create(buyers, start="0001-01-01 00:00:00", end="9999-12-31 23:59:59")
    assert buyers("get_crowd_analysis", task_id=made.result.task_id).events == 4


def test_an_unknown_crowd_is_answered_with_the_nearest_name(buyers: Desk) -> None:
    error = buyers.refused("create_crowd_analysis", crowd_id="byers", start_time=START, end_time=END)
    assert error.code == "not_found"
    assert '"buyers"' in error.message.en


def test_a_tag_is_no_crowd(buyers: Desk) -> None:
    definition = {"userTagValueDefs": [{"tagValue": "b", "userClusterDef": small.BUYERS}]}
    buyers(
        "create_tag", cluster_name="mark", display_name="x", cluster_type="tag_by_static_condition", tag_qp=definition
    )
    error = buyers.refused("create_crowd_analysis", crowd_id="mark", start_time=START, end_time=END)
    assert "tag" in error.message.en


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_crowd_that_was_never_computed_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch, dry_run: bool) -> None:
    monkeypatch.setattr("mcp_server.operations.clusters.SHORT_WAIT", 0.0)
    desk.load(USERS, EVENTS_WITHOUT_END)
    desk.create("endless", small.BUYERS)
    error = desk.refused("create_crowd_analysis", crowd_id="endless", start_time=START, end_time=END, dry_run=dry_run)
    assert error.code == "not_computed"
    assert "refresh_cluster" in error.next_step.en


def test_a_cancelled_creation_leaves_no_task(buyers: Desk) -> None:
    buyers.load(USERS, EVENTS_WITHOUT_END)
    told: list[float] = []
    said: set[str] = set()

    async def main() -> None:
        with anyio.CancelScope() as scope:

            async def report(percent: float, message: Any) -> None:
                told.append(percent)
                said.add(message.zh)
                scope.cancel()

            arguments = {"crowd_id": "buyers", "start_time": START, "end_time": END}
            await buyers.asked("create_crowd_analysis", arguments, report)
        assert scope.cancelled_caught

    anyio.run(main)
    assert told
    assert said == {"正在分析人群"}
    assert tasks(buyers) == []


# changing


def test_an_ended_task_is_extended_only_by_an_end_later_than_now(buyers: Desk) -> None:
    made = create(buyers, end="2026-07-02 00:00:00").result.task_id
    for language in ("en", "zh"):
        error = buyers.speaking(language).refused("update_crowd_analysis", task_id=made, end_time=NOW)  # type: ignore[arg-type]
        assert [(p.path, p.code) for p in error.problems] == [("/end_time", "crowd_end_not_later")]
        assert NOW in error.problems[0].message.en
    changed = buyers("update_crowd_analysis", task_id=made, end_time="2026-07-04 00:00:01")
    assert (changed.result.state, changed.result.end_time) == ("running", "2026-07-04 00:00:01")
    assert changed.result.start_time == START
    assert changed.changes == ("end: 2026-07-02 00:00:00 → 2026-07-04 00:00:01",)


def test_a_changed_validity_counts_other_days_and_keeps_the_members(buyers: Desk, task: str) -> None:
    before = tasks(buyers)[0]
    buyers("update_crowd_analysis", task_id=task, start_time="2026-07-02 12:00:00", end_time="2026-07-02 12:00:00")
    shown = buyers("get_crowd_analysis", task_id=task)
    assert (shown.events, shown.active_users, shown.result.users_num) == (2, 2, 2)
    buyers("update_crowd_analysis", task_id=task, start_time="2026-07-02 12:00:01", end_time="2026-08-01")
    assert buyers("get_crowd_analysis", task_id=task).events == 1
    after = tasks(buyers)[0]
    assert (after["version"], after["loaded_at"]) == (before["version"], before["loaded_at"])


def test_a_running_task_may_be_ended(buyers: Desk, task: str) -> None:
    changed = buyers("update_crowd_analysis", task_id=task, end_time="2026-07-03")
    assert changed.result.state == "ended"
    assert [w.code for w in changed.warnings] == ["crowd_validity_over"]


def test_a_start_after_the_end_that_stays_is_refused_at_its_place(buyers: Desk, task: str) -> None:
    error = buyers.refused("update_crowd_analysis", task_id=task, start_time="2026-08-01 00:00:00")
    assert [(p.path, p.code) for p in error.problems] == [("/start_time", "crowd_end_before_start")]


def test_a_change_that_changes_nothing_says_so(buyers: Desk, task: str) -> None:
    before = buyers.everything()
    for arguments in ({}, {"start_time": START}, {"start_time": START, "end_time": END}):
        assert "Nothing to change" in buyers("update_crowd_analysis", task_id=task, **arguments).message
    assert buyers.everything() == before


def test_the_times_of_another_task_of_the_crowd_are_taken(buyers: Desk, task: str) -> None:
    other = create(buyers, end="2026-08-31").result.task_id
    error = buyers.refused("update_crowd_analysis", task_id=other, end_time=END)
    assert error.code == "name_taken"
    assert task in error.message.en


# loading again


def test_a_reload_takes_in_who_joined_and_lets_go_of_who_left(buyers: Desk, task: str) -> None:
    load_more(buyers)
    buyers("refresh_cluster", cluster="buyers")
    for language in ("en", "zh"):
        desk = buyers.speaking(language)  # type: ignore[arg-type]
        shown = desk("get_crowd_analysis", task_id=task)
        assert (shown.joined, shown.left, shown.result.users_num) == (1, 1, 2)
        assert any(("not in the current data" if language == "en" else "不在当前数据中") in n for n in shown.notes)
        assert "reload_crowd_analysis" in shown.next
        before = buyers.everything()
        tried = desk("reload_crowd_analysis", task_id=task, dry_run=True)
        assert (tried.dry_run, tried.joined, tried.left, tried.code) == (True, 1, 1, None)
        assert buyers.everything() == before
    done = buyers("reload_crowd_analysis", task_id=task)
    assert (done.joined, done.left, done.result.users_num, done.success) == (1, 1, 2, True)
    assert "1 user joined, 1 user left" in done.message
    shown = buyers("get_crowd_analysis", task_id=task)
    assert (shown.joined, shown.left, shown.events) == (0, 0, 4)
    assert "The last reload added 1 user and removed 1 user." in shown.notes
    again = buyers.speaking("zh")("reload_crowd_analysis", task_id=task)
    assert (again.joined, again.left) == (0, 0)


def test_a_static_crowd_that_is_out_of_date_is_loaded_as_it_is_and_that_is_said(buyers: Desk, task: str) -> None:
    load_more(buyers)
    for language in ("en", "zh"):
        done = buyers.speaking(language)("reload_crowd_analysis", task_id=task)  # type: ignore[arg-type]
        assert (done.joined, done.left) == (0, 0)
        assert ["refresh_cluster" in note for note in done.notes] == [True]


def test_a_dynamic_crowd_is_computed_first(desk: Desk) -> None:
    desk.create("moving", small.BUYERS, DYNAMIC)
    made = create(desk, "moving").result.task_id
    load_more(desk)
    assert any("loaded again" in note for note in desk("get_crowd_analysis", task_id=made).notes)
    tried = desk("reload_crowd_analysis", task_id=made, dry_run=True)
    assert ["brought up to date" in note for note in tried.notes] == [True]
    done = desk("reload_crowd_analysis", task_id=made)
    assert (done.joined, done.left, done.notes) == (1, 1, ())


def test_an_ended_task_is_not_loaded_again(buyers: Desk) -> None:
    made = create(buyers, end=NOW).result.task_id
    for dry_run in (False, True):
        error = buyers.refused("reload_crowd_analysis", task_id=made, dry_run=dry_run)
        assert error.code == "task_ended"
        assert "update_crowd_analysis" in error.next_step.en
    buyers("update_crowd_analysis", task_id=made, end_time="2026-07-04 00:00:01")
    assert buyers("reload_crowd_analysis", task_id=made).success


# deleting


def test_a_cluster_that_a_task_uses_is_not_deleted(buyers: Desk, task: str) -> None:
    for language in ("en", "zh"):
        error = buyers.speaking(language).refused("delete_cluster", cluster="buyers")  # type: ignore[arg-type]
        assert "update_cluster" not in error.next_step.en
        assert error.code == "cluster_in_use"
        assert task in error.message.en
    tried = buyers("delete_crowd_analysis", task_id=task, dry_run=True)
    assert (tried.dry_run, tried.result.task_id) == (True, task)
    gone = buyers("delete_crowd_analysis", task_id=task)
    assert (gone.success, gone.result.task_id) == (True, task)
    assert buyers.refused("get_crowd_analysis", task_id=task).code == "not_found"
    buyers("delete_cluster", cluster="buyers")


def test_members_that_were_swept_away_meanwhile_are_not_named(buyers: Desk, task: str) -> None:
    store = CrowdStore(buyers.catalog)
    found = store.task("1", task)
    with pytest.raises(ChangedMeanwhile):
        store.reload(found, 99, Drift(0, 0), {})
    with pytest.raises(ChangedMeanwhile):
        store.add("1", found.cluster, 99, replace(found.validity, start=found.validity.end), {})
    assert store.task("1", task) == found


def test_an_id_is_never_given_twice(buyers: Desk, task: str) -> None:
    buyers("delete_crowd_analysis", task_id=task)
    assert create(buyers).result.task_id != task


def test_a_task_that_was_changed_meanwhile_is_not_changed(buyers: Desk, task: str) -> None:
    crowds = buyers.app.deps.crowds

    async def main() -> None:
        seen = await crowds.get("1", task)
        await buyers.asked("update_crowd_analysis", {"task_id": task, "end_time": "2026-09-01"})
        with pytest.raises(ChangedMeanwhile):
            await crowds.delete(seen)
        with pytest.raises(ChangedMeanwhile):
            await crowds.reload(seen, on_progress=buyers.app.deps.report)
        later = replace(seen.validity, end=seen.validity.end + timedelta(days=1))
        with pytest.raises(ChangedMeanwhile):
            await crowds.update(seen, later, on_progress=buyers.app.deps.report)

    anyio.run(main)
    assert tasks(buyers)[0]["end_time"] == "2026-09-01 23:59:59"


@pytest.mark.parametrize(
    "tool", ["get_crowd_analysis", "update_crowd_analysis", "reload_crowd_analysis", "delete_crowd_analysis"]
)
def test_an_unknown_task_is_answered_with_the_newest(buyers: Desk, tool: str) -> None:
    assert "none yet" in buyers.refused(tool, task_id="7").message.en
    create(buyers)
    for unknown in ("1", "x", "9" * 30):
        error = buyers.refused(tool, task_id=unknown)
        assert error.code == "not_found"
        assert "100001" in error.message.en
    assert buyers.refused(tool, task_id="100001", project_id="2").code == "no_project"


# reading


def test_lists_are_newest_first_and_by_crowd(buyers: Desk) -> None:
    assert "create_crowd_analysis" in buyers.speaking("zh")("list_crowd_analyses").next
    buyers.create("others", {"filts": [of_user("level", "isNull")]})
    made = [
        create(buyers, crowd, end=end).result.task_id for end in ("2026-07-02", END) for crowd in ("buyers", "others")
    ]
    page = buyers("list_crowd_analyses", limit=3)
    assert [t.task_id for t in page.tasks] == made[:0:-1]
    assert (page.total, page.left_out) == (4, 1)
    assert "offset 3" in page.message
    own = buyers("list_crowd_analyses", crowd_id="buyers", offset=1).tasks
    assert [(t.task_id, t.state) for t in own] == [(made[0], "ended")]
    assert buyers.refused("list_crowd_analyses", crowd_id="byers").code == "not_found"


def test_trying_changes_nothing(buyers: Desk, task: str) -> None:
    before = buyers.everything()
    for language in ("en", "zh"):
        desk = buyers.speaking(language)  # type: ignore[arg-type]
        made = create(desk, end="2026-09-01", dry_run=True)
        assert (made.dry_run, made.success, made.result.task_id, made.result.users_num) == (True, None, "", 2)
        changed = desk("update_crowd_analysis", task_id=task, end_time="2026-09-01", dry_run=True)
        assert (changed.dry_run, len(changed.changes), changed.result.end_time) == (True, 1, END)
    assert buyers.everything() == before


def test_a_reading_process_sees_new_data_and_writes_nothing(root: Path) -> None:
    for desk in opened(root):
        desk.create("buyers", small.BUYERS)
        task = create(desk).result.task_id
        load_more(desk)
    for locked in opened(root, read_only=True):
        before = locked.everything()
        shown = locked("get_crowd_analysis", task_id=task)
        assert (shown.all_users, shown.events) == (3, 2)
        assert locked.everything() == before
        assert locked.refused("reload_crowd_analysis", task_id=task).code == "read_only"


# what stays


def test_the_members_of_a_task_outlive_the_versions_of_its_cluster(buyers: Desk, task: str) -> None:
    for _ in range(KEEP_VERSIONS + 1):
        buyers("refresh_cluster", cluster="buyers")
    buyers.catalog.clock = Watch(datetime.now(UTC) + timedelta(hours=1))
    sweep(buyers.catalog, JobStore(buyers.catalog))
    kept = [v.number for v in buyers.catalog.versions(1)]
    assert kept == [KEEP_VERSIONS + 2, KEEP_VERSIONS + 1, tasks(buyers)[0]["version"]]
    load_more(buyers)
    assert buyers("get_crowd_analysis", task_id=task).events == 2
    buyers("delete_crowd_analysis", task_id=task)
    sweep(buyers.catalog, JobStore(buyers.catalog))
    assert len(buyers.catalog.versions(1)) == KEEP_VERSIONS


@pytest.fixture
def moving(root: Path) -> Iterator[tuple[Desk, Watch]]:
    """A project in New York that lives by a clock which the test sets."""
    for desk in opened(root):
        watch = Watch(datetime(2026, 7, 3, 4, tzinfo=UTC))
        desk.catalog.clock = watch
        desk.load_again(as_of=None, today=watch.moment.date(), zone="America/New_York")
        yield desk, watch


def test_without_a_fixed_day_the_clock_says_now_in_beijing(moving: tuple[Desk, Watch]) -> None:
    desk, watch = moving
    desk.create("buyers", small.BUYERS)
    made = create(desk, start="2026-07-03 12:00:00", end="2026-07-03 12:00:01").result
    assert made.state == "running"
    assert made.loaded_time == "2026-07-03 12:00:00"
    watch.moment += timedelta(seconds=1)
    assert desk("list_crowd_analyses").tasks[0].state == "ended"


def test_days_are_those_of_the_project_and_a_new_one_is_counted(moving: tuple[Desk, Watch]) -> None:
    desk, _ = moving
    desk.create("buyers", {"events": [times("greater", "0")]})
    made = create(desk, end="2026-07-03 11:59:59").result.task_id
    shown = desk("get_crowd_analysis", task_id=made)
    assert [(a.day, a.events) for a in shown.activity] == [("2026-07-01", 1), ("2026-07-02", 2)]
    assert any("America/New_York" in note for note in shown.notes)
    desk("update_crowd_analysis", task_id=made, end_time=END)
    assert [(a.day, a.events) for a in desk("get_crowd_analysis", task_id=made).activity] == [
        ("2026-07-01", 1), ("2026-07-02", 2), ("2026-07-03", 2)
    ]  # fmt: skip


def test_two_who_ask_for_the_same_at_once_get_the_same_task(buyers: Desk) -> None:
    got: list[str] = []

    async def ask() -> None:
        made = await buyers.asked("create_crowd_analysis", {"crowd_id": "buyers", "start_time": START, "end_time": END})
        got.append(made.result.task_id)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)

    anyio.run(main)
    assert got == ["100001", "100001"]
    assert len(tasks(buyers)) == 1
