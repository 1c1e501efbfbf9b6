"""The tools for call tasks on a Volcengine account, end to end over a socket."""

from datetime import datetime
from typing import Any

import pytest

from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import Week
from mcp_server.errors import InvalidArguments, NotFound, NotOnPlatform, OutcomeUnknown, VendorDenied
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import Station
from tests.operations.desk import check_chinese
from tests.remote.kit import RemoteDesk, remote_desk, variables

WINDOW = {"start_time": "2030-01-07 09:00:00", "end_time": "2030-01-31 20:00:00"}
TIMES = {"call_times": ["mon-sat 10:00-12:00"]}


@pytest.fixture(scope="module")
def task(account: Station) -> str:
    """A task with redials, as a person makes it in the console."""
    made = account.call(
        "create_call_task", task_name="spring", ids=["138000"], concurrency=2, ring_again_times=2, ring_again_interval=9, **WINDOW, **TIMES
    )  # fmt: skip
    return str(made.task.task_open_id)


def kept(account: Station, task: str) -> CallSettings:
    """What the account holds of a task."""
    found: Any = account.app.deps.calls
    settings: CallSettings = found._store.find("1", task).settings
    return settings


def test_everything_that_an_update_replaces_is_asked_for_at_once(desk: RemoteDesk, task: str) -> None:
    error = desk.refused("update_call_task", task_open_id=task, end_time="2030-02-01 20:00:00")
    assert isinstance(error, InvalidArguments)
    assert [(p.path, p.code) for p in error.problems] == [
        (f"/{name}", "call_field_missing") for name in ("start_time", "concurrency", "forbid_times")
    ]
    assert "火山引擎" in error.problems[0].message.zh


def test_a_task_is_found_by_name_shown_before_and_after_and_changed(
    desk: RemoteDesk, account: Station, task: str
) -> None:
    wanted: dict[str, Any] = {**WINDOW, "end_time": "2030-02-01 20:00:00", "forbid_times": ["tue 20:00-09:00"]}
    tried = desk("update_call_task", task_open_id="SPRING", concurrency=3, dry_run=True, **wanted)
    assert tried.changes[:2] == (
        "end: 2030-01-31 20:00:00 → 2030-02-01 20:00:00",
        "concurrency: 3 (what it is now can't be read; it is replaced)",
    )
    assert tried.changes[-1] == "redials: they stay as they are (Recall is sent as false)"
    assert kept(account, task).concurrency != 3
    done = desk("update_call_task", task_open_id="spring", concurrency=3, **wanted)
    assert (done.task.task_open_id, done.task.name, done.task.callees) == (task, "spring", 1)
    assert done.request_id
    assert done.platform == f"volcengine {account.url.removeprefix('http://')} (access key …)"
    assert done.sent["ForbidTimeList"] == [
        {"Weekdays": [3], "Times": ["20:00-23:59"]},
        {"Weekdays": [4], "Times": ["00:00-09:00"]},
    ]
    changed = kept(account, task)
    assert (changed.concurrency, changed.end) == (3, datetime(2030, 2, 1, 20))
    assert changed.redials == Redials(2, 9)
    assert changed.forbidden == Week(((2640, 3420),))


def test_redials_go_out_with_recall(desk: RemoteDesk, account: Station, task: str) -> None:
    done = desk("update_call_task", task_open_id=task, concurrency=1, forbid_times=["-"], ring_again_times=1, **WINDOW)
    assert (done.sent["Recall"], done.sent["RingAgainTimes"], done.sent["RingAgainInterval"]) == (True, 1, 5)
    assert kept(account, task).redials == Redials(1, 5)


def test_the_list_shows_what_the_platform_tells_and_nothing_else(desk: RemoteDesk, task: str) -> None:
    (row,) = desk("list_call_tasks", search="spring").tasks
    assert (row.task_open_id, row.name, row.state, row.platform_state) == (task, "spring", "waiting", "0")
    assert (row.concurrency, row.ring_again_times, row.callees, row.called) == (None, None, 1, 0)
    shown = desk.speaking_remote("zh")("get_call_task", task_open_id=task)
    assert (shown.task, shown.call_times, shown.sent) == (row, (), {})
    check_chinese(shown.next)


def test_what_is_not_there_is_said(desk: RemoteDesk) -> None:
    assert isinstance(desk.refused("get_call_task", task_open_id="nobody"), NotFound)
    error = desk.refused("update_call_task", task_open_id="nobody", concurrency=1, forbid_times=["-"], **WINDOW)
    assert isinstance(error, NotFound)
    assert "TaskNotFound, request id " in error.message.en


def test_tasks_are_made_in_the_console(desk: RemoteDesk) -> None:
    assert isinstance(desk.refused("create_call_task", task_name="x", ids=["1"], **WINDOW), NotOnPlatform)


def test_lost_answers_are_asked_for_again(desk: RemoteDesk, account: Station, task: str) -> None:
    account.faults.add(*[Fault(Kind.DROP)] * 2)
    assert desk("list_call_tasks").total
    assert not account.faults.waiting


def test_an_update_whose_answers_are_all_lost_may_have_happened(
    desk: RemoteDesk, account: Station, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Any = desk.app.deps.calls

    async def unlisted(*_: object) -> None:
        return None

    monkeypatch.setattr(type(calls), "entry", unlisted)  # so that the faults meet the update
    account.faults.add(*[Fault(Kind.DROP)] * 3)
    error = desk.refused("update_call_task", task_open_id=task, concurrency=8, forbid_times=["-"], **WINDOW)
    assert isinstance(error, OutcomeUnknown)
    assert kept(account, task).concurrency == 8
    assert not account.faults.waiting


def test_a_wrong_secret_and_a_refusal_are_told_with_the_request_id(account: Station, tmp_path: Any, task: str) -> None:
    with remote_desk(tmp_path, variables(account.url, VOLCENGINE_SECRET_KEY="another-secret")) as stranger:
        error = stranger.refused("list_call_tasks")
        assert isinstance(error, VendorDenied)
        assert "SignatureDoesNotMatch, request id" in error.message.en
        assert "another-secret" not in repr(error.message)
        update = stranger.refused("update_call_task", task_open_id=task, concurrency=1, forbid_times=["-"], **WINDOW)
        assert isinstance(update, VendorDenied)
