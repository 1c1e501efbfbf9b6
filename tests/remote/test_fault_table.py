"""Each change on a remote platform × each fault of its answer: what the tool says, and what state results.

Whatever happens: success means done, an error other than OutcomeUnknown means not done, nothing happens twice, and no
sentence holds a secret. Faults of reading are in `tests/gateway/test_faults.py` and `tests/vendors/test_transport.py`.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import pytest

from mcp_server.app import build
from mcp_server.credentials import read_credentials
from mcp_server.errors import FenqunError, OutcomeUnknown
from mcp_server.gateway.faults import Fault, Kind
from mcp_server.platforms.thinkingdata import wire
from mcp_server.remote import connect
from mcp_server.settings import Settings
from tests import small
from tests.gateway.kit import KEYS, Station
from tests.remote.kit import QUICK, RemoteDesk, variables

FAULTS = {
    "dropped": Fault(Kind.DROP),
    "dropped before": Fault(Kind.DROP, acts=False),
    "status": Fault(Kind.STATUS),
    "cut": Fault(Kind.TRUNCATED),
    "page": Fault(Kind.NOT_JSON),
    "throttled": Fault(Kind.THROTTLED),
}
SECRETS = (KEYS.token, KEYS.app_secret, KEYS.session, KEYS.secret_key)
NUMBERS = count(1)
STATIC = "cluster_by_static_condition"
FEW = {"filts": [{"tableType": "user", "columnName": "level", "comparator": "equal", "ftv": ["3"]}]}
VALID = {"start_time": "2026-07-01 00:00:00", "end_time": "2030-07-31 23:59:59"}
WINDOW = {"start_time": "2030-01-07 09:00:00", "end_time": "2030-01-31 20:00:00"}

Arguments = dict[str, Any]


class Act(NamedTuple):
    """A change: what stands before it, its arguments, what to look at, and how each fault ends."""

    tool: str
    prepared: Callable[[Station, str], Arguments]
    looked: Callable[[Station, str], object]
    ends: str
    """In the order of FAULTS. D: done. U: told as unknown. N: told as failed, not done."""


def cluster(account: Station, name: str) -> str:
    made = account.call("create_cluster", cluster_name=name, display_name=name, cluster_type=STATIC, qp=small.BUYERS)
    return str(account.call("refresh_cluster", cluster=made.cluster.cluster_id, wait_seconds=20).cluster.cluster_id)


def uploaded(account: Station, name: str) -> None:
    account.call("import_ids", display_name=name, cluster_name=name, main_column_name="city", ids=["上海"])


def new(account: Station, name: str) -> Arguments:
    return {"cluster_name": name, "display_name": name, "cluster_type": STATIC, "qp": small.BUYERS}


def ids_of(account: Station, name: str) -> Arguments:
    return {"display_name": name, "cluster_name": name, "main_column_name": "city", "ids": ["上海"]}


def other_ids(account: Station, name: str) -> Arguments:
    uploaded(account, name)
    return {"cluster": name, "ids": ["a|b"]}


def standing(account: Station, name: str, **more: object) -> Arguments:
    cluster(account, name)
    return {"cluster": name, **more}


def crowd(account: Station, name: str) -> Arguments:
    return {"crowd_id": cluster(account, name), **VALID}


def crowd_task(account: Station, name: str, **more: object) -> Arguments:
    made = account.call("create_crowd_analysis", **crowd(account, name)).result
    return {"task_id": made.task_id, "crowd_id": made.crowd_id, **more}


def call_task(account: Station, name: str) -> Arguments:
    task = account.call("create_call_task", task_name=name, ids=["138000"], concurrency=1, **WINDOW).task
    return {"task_open_id": task.task_open_id, "concurrency": 3, "forbid_times": [], **WINDOW}


def clusters(account: Station, name: str) -> object:
    rows = account.call("list_clusters", search=name).clusters
    return [(r.display_name, r.users_num) for r in rows if r.cluster_name == name]


def crowd_tasks(account: Station, name: str) -> object:
    return [(t.start_time, t.end_time) for t in account.call("list_crowd_analyses").tasks if t.crowd_name == name]


def call_tasks(account: Station, name: str) -> object:
    return [t.concurrency for t in account.call("list_call_tasks", search=name).tasks if t.name == name]


ACTS = (
    Act("create_cluster", new, clusters, "DDDDDN"),
    Act("update_cluster", partial(standing, qp=FEW), clusters, "DDDDDD"),
    Act("delete_cluster", standing, clusters, "DUDDDN"),
    Act("refresh_cluster", standing, clusters, "DDDDDD"),
    Act("import_ids", ids_of, clusters, "DDDDDN"),
    Act("replace_imported_ids", other_ids, clusters, "DDDUUD"),
    Act("create_crowd_analysis", crowd, crowd_tasks, "UUUUUN"),
    Act("update_crowd_analysis", partial(crowd_task, end_time="2031-01-01 00:00:00"), crowd_tasks, "DDDUUD"),
    Act("reload_crowd_analysis", crowd_task, crowd_tasks, "DDDUUD"),
    Act("delete_crowd_analysis", crowd_task, crowd_tasks, "UUUUUN"),
    Act("update_call_task", call_task, call_tasks, "DDDUUD"),
)
CHANGES = {wire.ADD, wire.UPDATE, wire.DELETE, wire.REFRESH, wire.UPDATE_BY_NAME, wire.DELETE_BY_NAME, wire.REFRESH_BY_NAME, wire.IMPORT_ADD, wire.IMPORT_MODIFY_BY_NAME, "/router/rest", "/"}  # fmt: skip


@pytest.fixture(scope="module")
def afar(account: Station, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteDesk]:
    """A process whose three systems are the account's; it waits for nothing."""
    given = variables(account.url) | {"FENQUN_THINKINGDATA_URL": account.url, "FENQUN_THINKINGDATA_TOKEN": KEYS.token}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcp_server.platforms.thinkingdata.computing.FIRST_PAUSE", 0.02)
        patch.setattr("mcp_server.platforms.thinkingdata.computing.START_SECONDS", 0.1)
        patch.setattr("mcp_server.platforms.thinkingdata.api.BUSY_WAIT", 0.001)
        patch.setattr("mcp_server.remote.connect", partial(connect, policy=QUICK))
        root = tmp_path_factory.mktemp("afar")
        made = build(Settings(workspace=root, threads=1, remote=read_credentials(given)))
        yield RemoteDesk(made)
        made.close()


def ended(
    afar: RemoteDesk, account: Station, act: Act, name: str, fault: Fault | None, number: int
) -> tuple[str, int, object]:
    """How it ended, how many requests went to paths that change something, and what stands then."""
    arguments = act.prepared(account, name)
    before = act.looked(account, name)
    seen: list[str] = []

    def take(path: str) -> Fault | None:
        seen.append(path)
        return fault if path in CHANGES and sum(one in CHANGES for one in seen) == number else None

    end = "D"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account.faults, "take", take)
        try:
            afar(act.tool, **arguments)
        except FenqunError as error:
            end = "U" if isinstance(error, OutcomeUnknown) else "N"
            said = " ".join(text for words in (error.message, error.next_step) for text in (words.en, words.zh))
            assert not [key for key in SECRETS if key in said]
    after = act.looked(account, name)
    if end == "N":
        assert after == before, (act.tool, fault)
    return end, sum(one in CHANGES for one in seen), after if end == "D" else (before, after)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.tool)
def test_each_fault_of_a_change_is_told_as_it_is(
    act: Act, afar: RemoteDesk, account: Station, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, logger="uvicorn.error")  # the server complains of its own broken answers
    name = f"n{next(NUMBERS)}x"
    end, number, clean = ended(afar, account, act, name, None, 0)
    assert (end, number > 0) == ("D", True)
    wanted = repr(clean).replace(name, "")
    ends = ""
    for fault in FAULTS.values():
        name = f"n{next(NUMBERS)}x"
        end, _, found = ended(afar, account, act, name, fault, number)
        ends += end
        if end == "D":
            assert repr(found).replace(name, "") == wanted
        elif end == "U":
            assert isinstance(found, tuple)
            before, after = found
            assert repr(after).replace(name, "") in (wanted, repr(before).replace(name, ""))
    assert ends == act.ends
