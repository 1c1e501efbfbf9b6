"""Nothing on a real account is overwritten or removed without a person, and every change has its row in the log."""

from dataclasses import replace
from typing import Any

import pytest

from mcp_server.errors import ApprovalNeeded, ConsentDeclined
from mcp_server.operations.operation import NOBODY, Answer, ConsentPolicy, KnownAnswer
from tests import small
from tests.gateway.kit import Station
from tests.remote.kit import RemoteDesk

TIMES = {"start_time": "2026-07-01 00:00:00", "end_time": "2030-07-31 23:59:59"}
WINDOW = {"start_time": "2030-01-07 09:00:00", "end_time": "2030-01-31 20:00:00"}


@pytest.fixture(scope="module")
def acts(account: Station) -> dict[str, dict[str, Any]]:
    """By tool, a call that would overwrite or remove something of the account."""
    account.call(
        "create_cluster",
        cluster_name="buyers",
        display_name="买家",
        cluster_type="cluster_by_static_condition",
        qp=small.BUYERS,
    )
    crowd = account.call("refresh_cluster", cluster="buyers", wait_seconds=20).cluster.cluster_id
    task = account.call("create_crowd_analysis", crowd_id=crowd, **TIMES).result.task_id
    call = account.call("create_call_task", task_name="spring", ids=["138000"], **WINDOW).task.task_open_id
    which = {"task_id": task, "crowd_id": crowd}
    return {
        "update_crowd_analysis": {**which, "end_time": "2031-01-01 00:00:00"},
        "reload_crowd_analysis": which,
        "update_call_task": {"task_open_id": call, "concurrency": 9, "forbid_times": ["-"], **WINDOW},
        "delete_crowd_analysis": which,
    }  # fmt: skip


def state(account: Station) -> str:
    """Everything that the account holds of both kinds."""
    found: Any = account.app.deps.calls
    tasks = account.call("list_crowd_analyses").tasks
    return f"{tasks} {found._store.find('1', '1').settings}"


@pytest.mark.parametrize(
    ("tool", "mode"),
    [
        ("update_crowd_analysis", "never"),
        ("reload_crowd_analysis", "never"),
        ("update_call_task", "never"),
        ("update_call_task", "token"),
        ("delete_crowd_analysis", "never"),
    ],
)
def test_a_person_is_asked_whatever_holds_on_this_machine(
    desk: RemoteDesk, account: Station, acts: dict[str, dict[str, Any]], tool: str, mode: Any
) -> None:
    before = state(account)
    app = replace(desk.app, deps=replace(desk.app.deps, consent=ConsentPolicy(mode)))
    refusing = RemoteDesk(app, "en", KnownAnswer(Answer.NO))
    assert isinstance(refusing.refused(tool, **acts[tool]), ConsentDeclined)
    assert isinstance(RemoteDesk(app, "en", NOBODY).refused(tool, **acts[tool]), ApprovalNeeded)
    assert state(account) == before


def test_each_change_has_its_row_with_the_account(
    desk: RemoteDesk, account: Station, acts: dict[str, dict[str, Any]]
) -> None:
    known = len(desk.app.deps.required_ledger().entries(limit=100))
    for tool, arguments in acts.items():
        desk(tool, **arguments)
    entries = desk.app.deps.required_ledger().entries(limit=100)
    new = entries[: len(entries) - known]
    assert [(e.subject.tool, e.outcome) for e in reversed(new)] == [(tool, "done") for tool in acts]
    authority = account.url.removeprefix("http://")
    assert {e.subject.account for e in new} == {f"{authority} (app 12345678)", f"{authority} (access key …)"}
    assert {e.subject.platform for e in new} == {"taobao", "volcengine"}
