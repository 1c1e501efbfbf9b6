"""Call tasks as an assistant uses them: kept on this machine, changed with care, and nobody's number told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_server.calls.settings import CallSettings
from mcp_server.calls.volcengine import update_body
from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NotComputed, NotFound, NotOnPlatform
from mcp_server.operations.operation import Identity
from mcp_server.platforms.tasks import Updated
from mcp_server.store.housekeeping import sweep
from mcp_server.store.jobs import JobStore
from tests.operations.desk import Desk, Watch, check_chinese, of_user, opened, times

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)
"""Sunday, 12:00 in Beijing."""
WINDOW = {"start_time": "2026-11-23 09:00:00", "end_time": "2026-11-30 20:00:00"}
CALM = {"call_times": ["mon-sat 10:00-12:00"]}
NUMBERS = ["13800000001", "13800000002", "13800000003"]


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """The small workspace at noon; its project is fixed to a day in July."""
    desk.catalog.clock = Watch(NOON)
    return desk


def create(desk: Desk, task_name: str = "spring", **more: Any) -> Any:
    arguments: dict[str, Any] = {"ids": NUMBERS, **WINDOW, **CALM, **more}
    return desk("create_call_task", task_name=task_name, **arguments)


def refused(desk: Desk, tool: str, **arguments: Any) -> list[tuple[str, str, str]]:
    error = desk.refused(tool, **arguments)
    assert isinstance(error, InvalidArguments)
    return [(p.path, p.code, p.suggestion) for p in error.problems]


def codes(result: Any) -> list[str]:
    return [row.code for row in result.warnings]


# --- creating ---


def test_a_cluster_becomes_a_list_of_those_who_can_be_called(desk: Desk) -> None:
    desk.create("everybody", {"events": [times("less", 100)]})
    made = create(desk, ids=(), cluster="everybody", callee_property="CITY")
    assert (made.task.task_open_id, made.task.callees, made.task.state) == ("1", 2, "waiting")
    assert codes(made) == ["call_consent", "call_without_callee"]
    assert made.warnings[1].message == "2 of 4 users have no value in city and are not called."
    assert (made.attempts, made.finish, made.in_time) == (2, "2026-11-23 10:02:00", True)
    assert made.next == "The local platform only keeps the task; it calls nobody."


def test_the_vendors_page_can_be_handed_on_as_it_stands(desk: Desk) -> None:
    page = {"Weekdays": [1], "Times": ["10:00-11:00"]}
    window = {"start_time": "2021-05-20 17:35:43", "end_time": "2021-05-21 17:35:44", "concurrency": 1}
    create(desk, call_times=None)
    said = desk(
        "update_call_task", task_open_id="1", **window, forbid_times=[page], ring_again_times=1, ring_again_interval=5
    )
    redials = {"RingAgainTimes": 1, "RingAgainInterval": 5, "Recall": True}
    times = {"StartTime": window["start_time"], "EndTime": window["end_time"], "ForbidTimeList": [page]}
    assert said.sent == {"TaskOpenId": "1", "Concurrency": 1, **times, **redials}
    assert [(r.path, r.after) for r in said.repairs] == [("/forbid_times/0", "sun 10:00-11:00")]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_tag_is_no_list_of_callees(desk: Desk, language: Any) -> None:
    tag_qp = {"userTagValueDefs": [{"tagValue": "a", "userClusterDef": {"events": [times("less", 100)]}}]}
    arguments = {"cluster_name": "tiers", "display_name": "Tiers", "cluster_type": "tag_by_static_condition"}
    desk("create_tag", **arguments, tag_qp=tag_qp)
    error = desk.speaking(language).refused(
        "create_call_task", task_name="spring", cluster="tiers", callee_property="city", **WINDOW
    )
    assert error.code == "invalid_arguments"
    assert "(tiers, id 1) is a tag: " in error.message.en
    assert "tag's value" in error.next_step.en


def test_one_callee_is_told_in_the_singular_and_a_window_that_is_over_has_no_chart(desk: Desk) -> None:
    made = create(desk, ids=NUMBERS[:1], ring_again_times=0)
    assert "1 callee, 1 attempt at most" in made.message
    assert made.chart
    over = create(desk, "old", start_time="2021-05-20 17:35:43", end_time="2021-05-21 17:35:44")
    assert (over.chart, over.days) == ("", ())
    assert "call_no_time" in codes(over)


def test_callees_are_neither_told_nor_kept(desk: Desk) -> None:
    desk.create("everybody", {"events": [times("less", 100)]})
    said = create(desk, ids=(), cluster="everybody", callee_property="city").model_dump_json()
    said += create(desk, "winter").model_dump_json() + desk("list_call_tasks").model_dump_json()
    root = desk.catalog.workspace.root
    lists, catalogue = (b"".join(f.read_bytes() for f in root.glob(g)) for g in ("members/callees*", "catalog*"))
    assert lists
    for callee in (*NUMBERS, "上海", "a|b"):
        assert callee not in said
        assert callee.encode() not in lists
    assert not any(number.encode() in catalogue for number in NUMBERS)


def test_a_list_in_hand_is_counted_once_for_each_callee(desk: Desk) -> None:
    made = create(desk, ids=[*NUMBERS, " 13800000001 "])
    assert made.task.callees == 3
    assert "call_same_callee" in codes(made)
    assert made.repairs == ()


def test_creating_again_is_what_is_there_and_another_of_that_name_is_refused(desk: Desk) -> None:
    create(desk)
    again = create(desk, "SPRING", ids=NUMBERS[::-1])
    assert (again.existed, again.task.task_open_id) == (True, "1")
    assert desk("list_call_tasks").total == 1
    for other in ({"ids": NUMBERS[:2]}, {"concurrency": 2}):
        with pytest.raises(NameTaken):
            create(desk, **other)


def test_trying_first_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    tried = create(desk, dry_run=True)
    assert tried.dry_run
    assert tried.finish == "2026-11-23 10:03:00"
    assert desk.everything() == before


def test_a_list_has_two_hundred_ids_at_most(desk: Desk) -> None:
    many = [str(n) for n in range(201)]
    assert create(desk, ids=many[:200]).task.callees == 200
    assert refused(desk, "create_call_task", task_name="x", ids=many, **WINDOW) == [("/ids", "call_ids_too_many", "")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [("/cluster", "call_callees_one_of", "")]),
        ({"ids": ["1"], "cluster": "vip", "callee_property": "city"}, [("/cluster", "call_callees_one_of", "")]),
        ({"cluster": "vip"}, [("/callee_property", "call_callees_one_of", "")]),
        ({"ids": ["1", " "]}, [("/ids/1", "call_id_blank", "")]),
        ({"cluster": "vip", "callee_property": "level"}, [("/callee_property", "call_property_not_text", "")]),
        ({"cluster": "vip", "callee_property": "ctiy"}, [("/callee_property", "call_property_unknown", "city")]),
        ({"ids": ["1"], "task_name": " "}, [("/task_name", "call_name_invalid", "")]),
        ({"ids": ["1"], "task_name": "春" * 51}, [("/task_name", "call_name_invalid", "春" * 50)]),
        ({"ids": ["1"], "end_time": ""}, [("/end_time", "call_time_invalid", "")]),
        ({"ids": ["1"], "call_seconds": 4}, [("/call_seconds", "call_seconds", "5")]),
        ({"ids": ["1"], "answer_rate": 1.5}, [("/answer_rate", "call_answer_rate", "1")]),
    ],
)
def test_what_does_not_fit_is_a_problem(desk: Desk, arguments: dict[str, Any], expected: list[Any]) -> None:
    if "cluster" in arguments:
        desk.create("vip", {"filts": [of_user("level", "equal", "3")]})
    assert refused(desk, "create_call_task", **{"task_name": "x", **WINDOW, **arguments}) == expected


def test_all_problems_come_at_once(desk: Desk) -> None:
    found = refused(
        desk, "create_call_task", task_name="", ids=["1"], start_time="soon", end_time="2026-11-30", concurrency=0
    )
    assert [path for path, _, _ in found] == ["/task_name", "/start_time", "/end_time", "/concurrency"]


def test_nobody_to_call_is_a_problem(desk: Desk) -> None:
    desk.create("two", {"events": [times("equal", 2)], "filts": [of_user("level", "equal", "5")]})
    error = desk.refused("create_call_task", task_name="x", cluster="two", callee_property="city", **WINDOW)
    assert error.message.en == "Nobody to call: none of its 1 users has a value in city."
    desk.create("none", {"events": [times("greater", 99)]})
    error = desk.refused("create_call_task", task_name="x", cluster="none", callee_property="city", **WINDOW)
    assert error.message.zh == "没有可外呼的对象：该分群没有成员。"


# --- changing ---


def test_people_say_when_to_call_and_only_that_changes(desk: Desk) -> None:
    create(desk, call_times=None, ring_again_times=2, ring_again_interval=30, concurrency=3)
    tried = desk("update_call_task", task_open_id="spring", call_times=["mon-sat 10:00-12:00"], dry_run=True)
    assert tried.changes == ("call times: at any time → Mon–Sat 10:00-12:00",)
    assert tried.call_times == ("mon-sat 10:00-12:00",)
    assert tried.forbid_times == ("mon-sat 00:00-10:00,12:00-24:00", "sun 00:00-24:00")
    assert tried.sent == {
        "TaskOpenId": "1",
        "StartTime": "2026-11-23 09:00:00",
        "EndTime": "2026-11-30 20:00:00",
        "Concurrency": 3,
        "ForbidTimeList": [
            {"Weekdays": [2, 3, 4, 5, 6, 7], "Times": ["00:00-10:00", "12:00-23:59"]},
            {"Weekdays": [1], "Times": ["00:00-23:59"]},
        ],
        "Recall": False,
    }
    assert desk("get_call_task", task_open_id="1").call_times == ("mon-sun 00:00-24:00",)
    done = desk("update_call_task", task_open_id="1", call_times=["mon-sat 10:00-12:00"])
    assert done.message.startswith("Changed call task spring (id 1). Calls may start from 2026-11-23 09:00:00")
    now = desk("get_call_task", task_open_id="1")
    assert now.call_times == ("mon-sat 10:00-12:00",)
    assert (now.task.concurrency, now.task.ring_again_times, now.task.ring_again_interval) == (3, 2, 30)


def test_the_same_in_chinese(desk: Desk) -> None:
    chinese = desk.speaking("zh")
    create(chinese, call_times=None, concurrency=2)
    said = chinese("update_call_task", task_open_id="spring", call_times=["周一至周六 10：00-12：00"])
    assert said.changes == ("可外呼时间：不限时段 → 周一至周六 10:00-12:00",)
    assert said.message == (
        "已修改外呼任务 spring（id 1）。可外呼时间：2026-11-23 09:00:00 至 2026-11-30 20:00:00，周一至周六 10:00-12:00。"
        "被叫 3 个，最多 3 次呼叫；最晚 2026-11-23 10:02:00 呼完（按每次 60 秒、接通率 0 计）。时间均为北京时间。"
    )
    check_chinese(said.chart)
    check_chinese(chinese("list_call_tasks").message)


def test_every_setting_can_change_and_the_dry_run_shows_what_would_stand(desk: Desk) -> None:
    create(desk)
    wanted: dict[str, Any] = {
        "start_time": "2026-11-24T01:00:00Z", "end_time": "2026-12-01 12:00:00", "concurrency": 7, "forbid_times": ["sun"],
        "ring_again_times": 4, "ring_again_interval": 5,
    }  # fmt: skip
    tried = desk("update_call_task", task_open_id="1", **wanted, dry_run=True)
    done = desk("update_call_task", task_open_id="1", **wanted)
    assert tried.task == done.task == desk("get_call_task", task_open_id="1").task
    assert len(done.changes) == 5
    assert done.task.start_time == "2026-11-24 09:00:00"
    assert done.sent["Recall"] is True
    assert codes(done) == ["call_consent", "call_redials_many", "call_hours", "call_noon"]
    assert desk("update_call_task", task_open_id="1", forbid_times=["-"]).forbid_times == ()


def test_nothing_to_change_is_said(desk: Desk) -> None:
    create(desk)
    before = desk.everything()
    same = desk("update_call_task", task_open_id="1", concurrency=1)
    assert same.message.startswith("Nothing to change: call task spring (id 1) is like that already.")
    assert same.sent == {}
    assert desk.everything() == before


def test_a_change_of_someone_else_is_not_overwritten(desk: Desk) -> None:
    create(desk)
    calls = desk.app.deps.calls
    task = anyio.run(calls.get, "1", "1")
    desk("update_call_task", task_open_id="1", concurrency=2)

    async def late() -> None:
        await calls.update("1", "1", task.settings, recall=True, revision=task.revision)

    with pytest.raises(ChangedMeanwhile):
        anyio.run(late)
    assert desk("get_call_task", task_open_id="1").task.concurrency == 2


def test_the_example_of_the_page_is_answered_though_its_end_is_past(desk: Desk) -> None:
    create(desk)
    said = desk(
        "update_call_task",
        task_open_id="1",
        start_time="2021-05-20 17:35:43",
        end_time="2021-05-21 17:35:44",
        concurrency=1,
        forbid_times=["sun 10:00-11:00"],
        ring_again_times=1,
        ring_again_interval=5,
        recall=True,
    )
    assert said.task.state == "ended"
    assert [c for c in codes(said) if c != "call_consent"] == ["call_ends_in_past", "call_no_time"]
    assert said.in_time is False


# --- reading ---


def test_call_tasks_live_by_real_beijing_time(desk: Desk) -> None:
    create(desk)
    for moment, state in (
        ("2026-11-23T00:59:59+00:00", "waiting"),
        ("2026-11-23T01:00:00+00:00", "active"),
        ("2026-11-30T11:59:59+00:00", "active"),
        ("2026-11-30T12:00:00+00:00", "ended"),
    ):
        desk.catalog.clock = Watch(datetime.fromisoformat(moment))
        assert desk("list_call_tasks").tasks[0].state == state
    assert desk.metadata.today.isoformat() == "2026-07-04"


def test_lists_are_newest_first_and_can_be_searched(desk: Desk) -> None:
    for name in ("spring", "summer", "Summer sale"):
        create(desk, name)
    assert [t.name for t in desk("list_call_tasks").tasks] == ["Summer sale", "summer", "spring"]
    found = desk("list_call_tasks", search="SUMMER", limit=1)
    assert (found.total, found.left_out, [t.name for t in found.tasks]) == (2, 1, ["Summer sale"])
    error = desk.refused("get_call_task", task_open_id="sprung")
    assert isinstance(error, NotFound)
    assert "spring" in error.message.en


def test_long_calendars_are_cut_and_that_is_said(desk: Desk) -> None:
    said = create(desk, end_time="2028-11-30 20:00:00")
    assert len(said.days) == 10
    assert said.more_days == 52 * 6 + 2 - 10
    assert said.message.endswith("Worked out for the next 366 days only.")


# --- callees of several tasks ---


def test_a_callee_of_two_tasks_may_be_tried_too_often_on_a_day(desk: Desk) -> None:
    create(desk, "one", ring_again_times=5)
    assert "call_often_a_day" not in codes(create(desk, "two", ring_again_times=3, ids=[*NUMBERS[:2], "x"]))
    said = desk("update_call_task", task_open_id="two", ring_again_times=4, dry_run=True)
    (warning,) = [row for row in said.warnings if row.code == "call_often_a_day"]
    assert warning.message.startswith(
        "2 callee(s) of this list are also on other call tasks and could be tried up to 11 times"
    )
    assert "call_often_a_day" not in codes(create(desk, "strangers", ring_again_times=5, ids=["y"]))
    assert "call_often_a_day" not in codes(create(desk, "later", ring_again_times=5, call_times=["sun"]))


def test_a_callee_of_a_cluster_is_found_in_a_list(desk: Desk) -> None:
    desk.create("everybody", {"events": [times("less", 100)]})
    create(desk, "one", ids=["上海"], ring_again_times=5)
    said = create(desk, "two", ids=(), cluster="everybody", callee_property="city", ring_again_times=5, dry_run=True)
    (warning,) = [row for row in said.warnings if row.code == "call_often_a_day"]
    assert warning.message.startswith("1 callee(s)")


def test_four_tasks_at_once_are_told(desk: Desk) -> None:
    for name in ("a", "b"):
        create(desk, name)
    assert "call_often_at_once" not in codes(create(desk, "c"))
    said = create(desk, "d", ids=NUMBERS[:1])
    assert "call_often_at_once" in codes(said)


def test_who_is_held_to_a_project_learns_nothing_of_the_lists_of_others(desk: Desk) -> None:
    data = desk.catalog.generation("1")
    other = data.metadata.model_copy(update={"project_id": "7"})
    desk.catalog.publish_generation(other, data.parts, {"unknown_user_rows": 0})
    create(desk, "theirs", ring_again_times=5, project_id="7")
    unbound = desk.app.deps
    bound = [
        replace(unbound, caller=Identity("kim", "token", projects=frozenset({"1"}))),
        replace(unbound, project_id="1", pinned=True),
    ]
    both = replace(unbound, caller=Identity("kim", "token", projects=frozenset({"1", "7"})))
    told = {"ring_again_times": 5, "dry_run": True}
    for deps in bound:
        here = replace(desk, app=replace(desk.app, deps=deps))
        assert "call_often_a_day" not in codes(create(here, "mine", **told))
    for deps in (unbound, both):
        assert "call_often_a_day" in codes(create(replace(desk, app=replace(desk.app, deps=deps)), "mine", **told))
    create(desk, "mine", ring_again_times=5)
    changed = {"task_open_id": "mine", "concurrency": 2, "dry_run": True}
    for deps, known in [*((deps, False) for deps in bound), (unbound, True), (both, True)]:
        here = replace(desk, app=replace(desk.app, deps=deps))
        for said in (here("get_call_task", task_open_id="mine"), here("update_call_task", **changed)):
            assert ("call_often_a_day" in codes(said)) is known


def test_a_sweep_leaves_the_lists(desk: Desk) -> None:
    create(desk, "one", ring_again_times=5)
    desk.catalog.clock = Watch(NOON + timedelta(days=1))
    sweep(desk.catalog, JobStore(desk.catalog))
    assert "call_often_a_day" in codes(create(desk, "two", ring_again_times=5))


# --- a platform that does not tell what is set ---


class Console:
    """Stands where a vendor's platform will: it takes updates, and shows nothing."""

    name = "console"
    account = ""
    reads = False
    creates = False
    update_body = staticmethod(update_body)

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12)

    async def update(
        self, _project_id: str, task_open_id: str, settings: CallSettings, *, recall: bool, revision: int
    ) -> Updated:
        assert not revision
        self.sent.append(update_body(task_open_id, settings, recall=recall))
        return Updated(request_id="r-1")

    async def entry(self, _project_id: str, _task_open_id: str) -> None:
        return None


@pytest.fixture
def console(root: Path) -> Iterator[Desk]:
    for made in opened(root):
        yield Desk(replace(made.app, deps=replace(made.app.deps, calls=Console())))  # type: ignore[arg-type]


def test_a_platform_that_shows_nothing_is_told_everything(console: Desk) -> None:
    found = refused(console, "update_call_task", task_open_id="abcdef", concurrency=5)
    assert found == [(f"/{name}", "call_field_missing", "") for name in ("start_time", "end_time", "forbid_times")]
    said = console("update_call_task", task_open_id="abcdef", concurrency=5, **WINDOW, **CALM)
    (sent,) = console.app.deps.calls.sent  # type: ignore[attr-defined]
    assert said.sent == json.loads(json.dumps(sent))
    assert (sent["TaskOpenId"], sent["Recall"], said.request_id) == ("abcdef", False, "r-1")
    assert (said.task.ring_again_times, said.attempts, said.days[0].possible) == (None, None, 600)


def test_a_platform_with_a_console_refuses_to_create(console: Desk) -> None:
    error = console.refused("create_call_task", task_name="x", ids=["1"], **WINDOW)
    assert isinstance(error, NotOnPlatform)
    assert "TaskOpenId" in error.next_step.en


def test_a_cluster_without_members_yet_is_said(desk: Desk) -> None:
    desk.create("everybody", {"events": [times("less", 100)]})
    with desk.catalog.database.write() as db:
        db.execute("UPDATE cluster SET version = NULL")
    error = desk.refused("create_call_task", task_name="x", cluster="everybody", callee_property="city", **WINDOW)
    assert isinstance(error, NotComputed)
