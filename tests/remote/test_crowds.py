"""The tools for crowd analyses on a Taobao account, end to end over a socket."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcp_server.errors import InvalidArguments, NameTaken, NotFound, OutcomeUnknown, VendorDenied, VendorRejected
from tests import small
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import Station
from tests.operations.desk import check_chinese
from tests.remote.kit import RemoteDesk, remote_desk, variables

TIMES = {"start_time": "2026-07-01 00:00:00", "end_time": "2030-07-31 23:59:59"}


@pytest.fixture(scope="module")
def crowd(account: Station) -> str:
    """A crowd of the merchant."""
    made = account.call(
        "create_cluster", cluster_name="buyers", display_name="买家", cluster_type="cluster_by_static_condition", qp=small.BUYERS
    )  # fmt: skip
    account.call("refresh_cluster", cluster="buyers", wait_seconds=20)
    return str(made.cluster.cluster_id)


@pytest.fixture
def task(desk: RemoteDesk, account: Station, crowd: str) -> Iterator[Any]:
    """A task of it, gone afterwards."""
    made = desk("create_crowd_analysis", crowd_id=crowd, **TIMES)
    yield made
    if standing(account):
        account.call("delete_crowd_analysis", task_id=made.result.task_id)


def standing(account: Station) -> list[str]:
    """The tasks that the account holds."""
    return [row.task_id for row in account.call("list_crowd_analyses").tasks]


def test_a_task_is_made_once_and_named_with_its_account(desk: RemoteDesk, account: Station, task: Any) -> None:
    row = task.result
    assert (task.success, task.existed, row.start_time, row.state) == (True, False, TIMES["start_time"], "running")
    assert task.platform == f"taobao {account.url.removeprefix('http://')} (app 12345678)"
    assert task.request_id
    again = desk("create_crowd_analysis", crowd_id=row.crowd_id, **TIMES)
    assert (again.existed, again.result.task_id) == (True, row.task_id)
    assert standing(account) == [row.task_id]


def test_a_crowd_is_found_by_its_name_and_listed(desk: RemoteDesk, crowd: str) -> None:
    tried = desk("create_crowd_analysis", crowd_id="buyers", dry_run=True, **TIMES)
    assert (tried.result.crowd_id, tried.result.crowd_name) == (crowd, "buyers")  # as on this machine
    assert isinstance(desk.refused("create_crowd_analysis", crowd_id="nobody", **TIMES), NotFound)
    listed = desk.speaking_remote("zh")("list_crowd_analyses")
    assert "buyers" in str(listed.raw)
    check_chinese(listed.message)


def test_a_task_is_found_by_its_crowd_only(desk: RemoteDesk, crowd: str, task: Any) -> None:
    task_id = task.result.task_id
    for tool in ("get_crowd_analysis", "update_crowd_analysis", "reload_crowd_analysis", "delete_crowd_analysis"):
        error = desk.refused(tool, task_id=task_id)
        assert isinstance(error, InvalidArguments)
        assert [(p.path, p.code) for p in error.problems] == [("/crowd_id", "crowd_id_needed")]
    missing = desk.refused("delete_crowd_analysis", task_id="987654", crowd_id=crowd)
    assert isinstance(missing, NotFound)
    assert task_id in missing.message.en
    assert isinstance(desk.refused("delete_crowd_analysis", task_id="first", crowd_id=crowd), InvalidArguments)


def test_the_validity_is_changed_and_the_crowd_loaded_again(
    desk: RemoteDesk, account: Station, crowd: str, task: Any
) -> None:
    which = {"task_id": task.result.task_id, "crowd_id": crowd}
    tried = desk("update_crowd_analysis", end_time="2031-01-01 00:00:00", dry_run=True, **which)
    assert tried.changes == ("end: 2030-07-31 23:59:59 → 2031-01-01 00:00:00",)
    done = desk("update_crowd_analysis", end_time="2031-01-01 00:00:00", **which)
    assert (done.result.end_time, done.result.start_time) == ("2031-01-01 00:00:00", TIMES["start_time"])
    (kept,) = account.call("list_crowd_analyses").tasks
    assert kept.end_time == "2031-01-01 00:00:00"
    loaded = desk.speaking_remote("zh")("reload_crowd_analysis", **which)
    assert (loaded.joined, loaded.left, loaded.success) == (None, None, True)
    assert desk("reload_crowd_analysis", dry_run=True, **which).message.endswith("does not report what that changes.")


def test_two_tasks_of_a_crowd_have_different_times(desk: RemoteDesk, account: Station, crowd: str, task: Any) -> None:
    other = desk("create_crowd_analysis", crowd_id=crowd, start_time="2026-07-02", end_time="2030-07-31").result.task_id
    error = desk.refused("update_crowd_analysis", task_id=other, crowd_id=crowd, **TIMES)
    assert isinstance(error, NameTaken)
    page = desk("list_crowd_analyses", crowd_id=crowd, limit=1)
    assert ([t.task_id for t in page.tasks], page.total, page.left_out) == ([other], 2, 1)
    deleted = desk("delete_crowd_analysis", task_id=other, crowd_id=crowd)
    assert deleted.request_id
    assert standing(account) == [task.result.task_id]


def test_the_report_is_handed_on_as_it_came(desk: RemoteDesk, crowd: str, task: Any) -> None:
    found = desk("get_crowd_analysis", task_id=task.result.task_id, crowd_id=crowd)
    assert found.raw["result"]["all_users"] == 4
    assert (found.all_users, found.events, found.profile) == (None, None, ())
    assert found.result.task_id == task.result.task_id


def test_what_the_service_does_not_do_is_quoted(desk: RemoteDesk) -> None:
    error = desk.refused("create_crowd_analysis", crowd_id="424242", **TIMES)
    assert isinstance(error, VendorRejected)
    assert "(code 1001, request_id " in error.message.en
    assert error.next_step.en.startswith("Nothing was changed.")


def test_a_create_whose_answer_was_lost_is_never_sent_twice(desk: RemoteDesk, account: Station, crowd: str) -> None:
    times = {"start_time": "2027-01-01", "end_time": "2027-02-01"}
    for kind in (Kind.DROP, Kind.NOT_JSON, Kind.TRUNCATED):
        before = len(standing(account))
        seen = len(account.faults.seen)
        error = _created_with(desk, account, Fault(kind), crowd, times)
        assert isinstance(error, OutcomeUnknown)
        assert "list_crowd_analyses" in error.next_step.zh
        assert len(account.faults.seen) == seen + 2  # one look, one create
        assert len(standing(account)) == before + 1
        account.call("delete_crowd_analysis", task_id=standing(account)[0])


def _created_with(desk: RemoteDesk, account: Station, fault: Fault, crowd: str, times: dict[str, str]) -> Exception:
    """The error of a create that meets this fault; the look before it does not."""
    real: Any = account.faults.take
    calls = iter([None])

    def second(path: str) -> Fault | None:
        account.faults.seen.append(path)
        return next(calls, fault)

    account.faults.take = second  # type: ignore[method-assign]
    try:
        return desk.refused("create_crowd_analysis", crowd_id=crowd, **times)
    finally:
        account.faults.take = real  # type: ignore[method-assign]


def test_a_wrong_session_and_a_wrong_clock_are_named(account: Station, tmp_path: Path, crowd: str) -> None:
    with remote_desk(tmp_path / "a", variables(account.url, TAOBAO_SESSION="another-session")) as stranger:
        error = stranger.refused("list_crowd_analyses", crowd_id=crowd)
        assert isinstance(error, VendorDenied)
        assert "FENQUN_TAOBAO_SESSION" in error.next_step.zh
    account.clock.moment = datetime.now(UTC) + timedelta(minutes=11)
    try:
        with remote_desk(tmp_path / "b", variables(account.url)) as late:
            error = late.refused("list_crowd_analyses", crowd_id=crowd)
        assert isinstance(error, VendorDenied)
        assert "clock" in error.next_step.en
    finally:
        account.clock.moment = None


@pytest.mark.parametrize("method", ["md5", "hmac", "hmac-sha256"])
def test_each_way_of_signing_is_accepted(account: Station, tmp_path: Path, crowd: str, method: str) -> None:
    with remote_desk(tmp_path, variables(account.url, TAOBAO_SIGN_METHOD=method)) as found:
        assert found("list_crowd_analyses", crowd_id=crowd).total == 0
