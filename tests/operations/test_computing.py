"""A cluster says how far it is and whether it is fresh; whoever waits for it gets it, and nobody stops another's wait."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from mcp_server.errors import NotFound
from tests import small
from tests.operations.desk import (
    DYNAMIC,
    EVENTS_WITHOUT_END,
    MANY_EVENTS,
    PATIENCE,
    STATIC,
    USERS,
    Desk,
    Watch,
    of_user,
    opened,
    times,
    until,
)

IN_A_CITY = {"filts": [of_user("city", "notNull")]}
"""Selects players 1, 3 and 4."""
LATER = "INSERT INTO events VALUES (6, 3, 'buy', TIMESTAMP '2026-07-03 05:00:00', 1.0)"
"""A second purchase of player 3."""


def load_more(desk: Desk) -> None:
    """The same data with one purchase more: three buyers instead of two."""
    desk.load_again()
    part = desk.catalog.workspace.absolute(desk.catalog.generation("1").parts[0])
    old = [f"CREATE TABLE {t} AS SELECT * FROM old.{t}" for t in ("users", "events")]
    desk.load(f"ATTACH '{part}' AS old (READ_ONLY)", *old, LATER, "DETACH old")


def without_city(desk: Desk) -> None:
    """The same data without the column `city`."""
    part = desk.catalog.workspace.absolute(desk.catalog.generation("1").parts[0])
    desk.load(
        f"ATTACH '{part}' AS old (READ_ONLY)",
        "CREATE TABLE users AS SELECT * EXCLUDE (city) FROM old.users",
        "CREATE TABLE events AS SELECT * FROM old.events",
        "DETACH old",
        properties=[p for p in desk.metadata.properties if p.name != "city"],
    )


def settled(desk: Desk, name: str) -> Any:
    """The row of a cluster once nothing runs any more."""
    return desk("get_refresh_progress", cluster=name, wait_seconds=PATIENCE).cluster


def run(main: Callable[[], Awaitable[object]]) -> None:
    async def limited() -> None:
        with anyio.fail_after(PATIENCE):
            await main()

    anyio.run(limited)


# freshness


def test_a_static_cluster_goes_stale_with_the_data_and_waits_to_be_asked(desk: Desk) -> None:
    assert desk.create("buyers", small.BUYERS).fresh
    load_more(desk)
    for language in ("en", "zh"):
        found = desk.speaking(language)("get_cluster", cluster="buyers")  # type: ignore[arg-type]
        assert (found.cluster.fresh, found.cluster.users_num, found.cluster.progress) == (False, 2, 100)
        assert found.cluster.note
        assert "refresh_cluster" in found.next
    assert "loaded again" in desk.row("buyers").note
    assert len(desk.jobs()) == 1
    row = desk("refresh_cluster", cluster="buyers").cluster
    assert (row.fresh, row.users_num, row.note) == (True, 3, "")


def test_a_dynamic_cluster_follows_the_data_by_one_job_however_often_it_is_looked_at(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS, DYNAMIC)
    load_more(desk)
    first = desk.row("buyers")
    assert (first.fresh, first.users_num) == (False, 2)
    for _ in range(3):
        desk.row("buyers")
        desk("list_clusters")
    assert len(desk.jobs()) == 2
    row = settled(desk, "buyers")
    assert (row.fresh, row.users_num, row.progress) == (True, 3, 100)
    desk("list_clusters")
    assert len(desk.jobs()) == 2


def test_a_list_brings_each_stale_dynamic_cluster_up_to_date_and_no_other(desk: Desk) -> None:
    for n in range(3):
        desk.create(f"moving{n}", small.BUYERS, DYNAMIC)
    desk.create("still", small.BUYERS, STATIC)
    load_more(desk)
    rows = desk("list_clusters").clusters
    assert [r.fresh for r in rows] == [False] * 4
    assert len(desk.jobs()) == 7
    for n in range(3):
        assert settled(desk, f"moving{n}").users_num == 3
    assert desk.row("still").users_num == 2


def test_a_read_only_process_computes_nothing_by_itself(root: Any) -> None:
    for desk in opened(root):
        desk.create("buyers", small.BUYERS, DYNAMIC)
        load_more(desk)
    for locked in opened(root, read_only=True):
        before = locked.everything()
        assert not locked.row("buyers").fresh
        assert not locked("list_clusters").clusters[0].fresh
        exported = locked("export_users", cluster="buyers")
        assert (exported.rows, exported.fresh) == (2, False)
        assert "loaded again" in exported.next
        assert locked.everything() == before


def test_a_new_day_makes_a_dynamic_cluster_stale_and_a_static_one_not(desk: Desk) -> None:
    desk.catalog.clock = watch = Watch(datetime(2026, 7, 4, 2, tzinfo=UTC))
    desk.load_again(as_of=None)
    yesterday = {"events": [times("greater", "0", recentDay="1-1")]}
    assert desk.create("moving", yesterday, DYNAMIC).users_num == 2
    assert desk.create("still", yesterday, STATIC).users_num == 2
    watch.moment = datetime(2026, 7, 4, 15, 59, 59, tzinfo=UTC)  # the last second of the day in Shanghai
    assert desk.row("moving").fresh
    watch.moment = datetime(2026, 7, 4, 16, tzinfo=UTC)
    stale = desk.row("moving")
    assert not stale.fresh
    assert "new day" in stale.note
    assert desk.row("still").fresh
    row = settled(desk, "moving")
    assert (row.fresh, row.users_num) == (True, 0)
    assert desk.row("still").users_num == 2
    assert desk("refresh_cluster", cluster="still").cluster.users_num == 0


def test_under_a_fixed_date_the_day_stands_still(desk: Desk) -> None:
    desk.catalog.clock = watch = Watch(datetime(2026, 7, 4, tzinfo=UTC))
    desk.create("moving", small.BUYERS, DYNAMIC)
    watch.moment = datetime(2036, 7, 4, tzinfo=UTC)
    assert desk.row("moving").fresh
    assert desk("describe_data").today == "2026-07-04"


def test_a_changed_definition_is_stale_until_it_is_computed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.operations.clusters.SHORT_WAIT", 0.0)
    monkeypatch.setattr("mcp_server.consent.consenting.COUNTING_SECONDS", 0.05)
    desk.create("buyers", IN_A_CITY)
    settled(desk, "buyers")
    desk.load(USERS, EVENTS_WITHOUT_END)
    changed = desk("update_cluster", cluster="buyers", qp=small.BUYERS)
    assert (changed.cluster.fresh, changed.cluster.users_num) == (False, 3)
    assert changed.cluster.progress < 100
    assert "definition changed" in desk.row("buyers").note
    assert "get_refresh_progress" in changed.next
    desk.speaking("zh")("get_cluster", cluster="buyers")
    back = desk("update_cluster", cluster="buyers", qp=IN_A_CITY)
    assert settled(desk, "buyers").fresh, back


# failing


@pytest.mark.parametrize("cluster_type", [STATIC, DYNAMIC])
def test_a_definition_that_fits_no_more_fails_with_the_reason_and_keeps_the_last_good_version(
    desk: Desk, cluster_type: str
) -> None:
    desk.create("located", IN_A_CITY, cluster_type)
    without_city(desk)
    for language in ("en", "zh"):
        found = desk.speaking(language)("refresh_cluster", cluster="located")  # type: ignore[arg-type]
        assert (found.cluster.progress, found.cluster.users_num, found.cluster.fresh) == (-1, 3, False)
        assert "/filts/0/columnName: city" in found.cluster.note or "/filts/0/columnName：city" in found.cluster.note
        assert "update_cluster" in found.cluster.note
        assert "update_cluster" in found.next
        shown = desk.speaking(language)("get_cluster", cluster="located")  # type: ignore[arg-type]
        assert "city" in shown.explanation
        exported = desk.speaking(language)("export_users", cluster="located", properties=["level"])  # type: ignore[arg-type]
        assert (exported.rows, exported.fresh) == (3, False)
        assert exported.next
    mended = desk("update_cluster", cluster="located", qp=small.BUYERS)
    assert (mended.cluster.progress, mended.cluster.users_num, mended.cluster.note) == (100, 2, "")


def test_a_failed_computation_is_not_tried_again_until_something_has_changed(desk: Desk) -> None:
    desk.create("located", IN_A_CITY, DYNAMIC)
    without_city(desk)
    assert settled(desk, "located").progress == -1
    count = len(desk.jobs())
    for _ in range(3):
        assert desk.row("located").progress == -1
        desk("list_clusters")
    assert len(desk.jobs()) == count == 2
    desk("refresh_cluster", cluster="located")
    assert len(desk.jobs()) == 3, "who asks for it gets it"
    desk.load_again()
    assert settled(desk, "located").progress == -1
    desk.row("located")
    assert len(desk.jobs()) == 4


def test_what_was_never_computed_has_no_members_to_export(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.operations.clusters.SHORT_WAIT", 0.0)
    desk.load(USERS, EVENTS_WITHOUT_END)
    made = desk("create_cluster", cluster_name="endless", display_name="x", cluster_type=STATIC, qp=small.BUYERS)
    assert (made.cluster.users_num, made.cluster.refresh_time, made.cluster.fresh) == (None, "", False)
    assert 0 <= made.cluster.progress < 100
    error = desk.refused("export_users", cluster="endless")
    assert error.code == "not_computed"
    assert "refresh_cluster" in error.next_step.en
    assert list(desk.catalog.workspace.exports.iterdir()) == []
    assert "finished yet" in desk.row("endless").note


# waiting


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """A process with a cluster whose computation takes longer than any test."""
    desk.create("buyers", small.BUYERS)
    desk.load(USERS, EVENTS_WITHOUT_END)
    return desk


def test_a_refresh_that_takes_too_long_goes_on_and_can_be_waited_for(busy: Desk) -> None:
    found = busy("refresh_cluster", cluster="buyers", wait_seconds=0.05)
    assert 0 <= found.cluster.progress < 100
    assert (found.cluster.users_num, found.cluster.fresh) == (2, False)
    assert "get_refresh_progress" in found.next
    again = busy("get_refresh_progress", cluster="buyers", wait_seconds=0.05)
    assert 0 <= again.cluster.progress < 100
    assert busy("refresh_cluster", cluster="buyers", wait_seconds=0).cluster.progress >= again.cluster.progress
    assert [job["state"] for job in busy.jobs()] == ["done", "running"], "the second refresh has joined the first"


def test_progress_is_reported_as_it_grows(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    desk.load(USERS, MANY_EVENTS)
    told: list[float] = []
    sentences: set[str] = set()

    async def main() -> None:
        with anyio.CancelScope() as scope:

            async def report(percent: float, message: Any) -> None:
                told.append(percent)
                sentences.add(message.zh)
                if len([t for t in told if t]) == 3:
                    scope.cancel()

            await desk.asked("refresh_cluster", {"cluster": "buyers", "wait_seconds": 300}, report)
        assert scope.cancelled_caught
        await until(lambda: desk.jobs()[-1]["state"] == "interrupted")

    run(main)
    assert told == sorted(set(told))
    assert 0 < told[-1] < 100
    assert sentences == {"正在计算分群"}
    row = desk.row("buyers")
    assert (row.progress, row.users_num) == (-1, 2)
    assert "nobody waited" in row.note
    assert list(desk.catalog.workspace.tmp.glob("*.parquet")) == []


def test_a_finished_refresh_ends_at_a_hundred(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    told: list[float] = []

    async def report(percent: float, message: object) -> None:
        told.append(percent)

    run(lambda: desk.asked("refresh_cluster", {"cluster": "buyers"}, report))
    assert told[-1] == 100
    assert told == sorted(set(told))


def test_a_cancelled_call_stops_the_query_only_when_nobody_else_waits(busy: Desk) -> None:
    async def main() -> None:
        scopes = {tool: anyio.CancelScope() for tool in ("refresh_cluster", "get_refresh_progress")}

        async def wait(tool: str) -> None:
            with scopes[tool]:
                await busy.asked(tool, {"cluster": "buyers", "wait_seconds": 300})

        async with anyio.create_task_group() as group:
            group.start_soon(wait, "refresh_cluster")
            await until(lambda: busy.jobs("running"))
            group.start_soon(wait, "get_refresh_progress")
            await until(lambda: len(busy.everything()["job_waiter"]) == 2)
            scopes["refresh_cluster"].cancel()
            await until(lambda: len(busy.everything()["job_waiter"]) == 1)
            (job,) = busy.jobs("running")
            assert job["stop"] is None
            scopes["get_refresh_progress"].cancel()
            await until(lambda: not busy.jobs("running"))
        assert all(scope.cancelled_caught for scope in scopes.values())

    run(main)
    assert [job["state"] for job in busy.jobs()] == ["done", "interrupted"]
    assert busy.row("buyers").users_num == 2


def test_who_let_a_refresh_go_on_does_not_lose_it_to_the_cancelling_of_another(busy: Desk) -> None:
    busy("refresh_cluster", cluster="buyers", wait_seconds=0)

    async def main() -> None:
        with anyio.move_on_after(0.1):
            await busy.asked("refresh_cluster", {"cluster": "buyers", "wait_seconds": 300})

    run(main)
    (job,) = busy.jobs("running")
    assert job["stop"] is None


def test_deleting_a_cluster_stops_its_computation(busy: Desk) -> None:
    async def main() -> None:
        await busy.asked("refresh_cluster", {"cluster": "buyers", "wait_seconds": 0})
        await busy.asked("delete_cluster", {"cluster": "buyers"})
        await until(lambda: not busy.jobs("running"))

    run(main)
    assert busy.jobs()[-1]["state"] == "interrupted"


def test_a_refresh_of_a_deleted_cluster_that_is_waited_for_ends_in_a_clear_error(busy: Desk) -> None:
    async def main() -> None:
        async def remove() -> None:
            await until(lambda: busy.jobs("running"))
            await busy.asked("delete_cluster", {"cluster": "buyers"})

        async with anyio.create_task_group() as group:
            group.start_soon(remove)
            with pytest.raises(NotFound):
                await busy.asked("refresh_cluster", {"cluster": "buyers", "wait_seconds": 300})

    run(main)


def test_a_dry_run_of_a_refresh_says_what_it_would_read(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    before = desk.everything()
    for language in ("en", "zh"):
        seen = desk.speaking(language)("refresh_cluster", cluster="buyers", dry_run=True)  # type: ignore[arg-type]
        assert (seen.dry_run, seen.cluster.users_num) == (True, 2)
        assert "5" in seen.message
        assert seen.next
    assert desk.everything() == before


@pytest.mark.parametrize("seconds", [-1, 301, "long", "NaN"])
@pytest.mark.parametrize("tool", ["refresh_cluster", "get_refresh_progress"])
def test_a_wait_has_bounds(desk: Desk, tool: str, seconds: object) -> None:
    (problem,) = desk.refused(tool, cluster="buyers", wait_seconds=seconds).problems
    assert problem.path == "/wait_seconds"


def test_progress_of_what_does_not_run_is_answered_at_once(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    found = desk("get_refresh_progress", cluster="buyers", wait_seconds=300)
    assert (found.cluster.progress, found.cluster.users_num, found.next) == (100, 2, "")


def test_a_cluster_that_rests_on_a_failed_one_names_it_and_is_not_computed_at_each_look(desk: Desk) -> None:
    """It was "computing, 0%" for ever before, and every look computed both anew."""
    desk.create("located", IN_A_CITY, DYNAMIC)
    for below, name in (("located", "two"), ("two", "three")):
        desk.create(
            name,
            {"filts": [{"tableType": "cluster", "columnName": below, "comparator": "belongToCluster", "ftv": []}]},
            DYNAMIC,
        )
    without_city(desk)
    for name in ("two", "three"):
        failed = settled(desk, name)
        assert failed.progress == -1
        assert "Fix located first" in failed.note
    count = len(desk.jobs())
    for _ in range(3):
        assert settled(desk, "three").progress == -1
        desk("list_clusters")
    assert len(desk.jobs()) == count
    desk("update_cluster", cluster="located", qp=small.BUYERS)
    for name in ("two", "three"):
        assert (settled(desk, name).progress, desk.row(name).users_num) == (100, 2)
