"""Faults of a server, as our clients report them; no change happens twice, none that happened is denied."""

import logging
from typing import Any

import anyio
import httpx
import pytest

from mcp_server.errors import OutcomeUnknown, VendorBusy, VendorUnreachable, VendorUnreadable
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import EXAMPLE, PROJECT, Station
from tests.gateway.test_volcengine import PAGE

ADD = "/open/user-cluster-add"
LOST = [
    Fault(Kind.DROP),
    Fault(Kind.DROP, acts=False),
    Fault(Kind.STATUS),
    Fault(Kind.TRUNCATED),
    Fault(Kind.NOT_JSON),
]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The server complains of its own broken answers."""
    caplog.set_level(logging.CRITICAL, logger="uvicorn.error")


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind.name}-{fault.acts}")
def test_a_create_whose_answer_is_lost_is_sent_once_and_told_as_unknown(shared: Station, fault: Fault) -> None:
    name = f"lost_{LOST.index(fault)}"
    shared.faults.add(fault)
    shared.faults.seen.clear()

    async def add(api: Any) -> None:
        with pytest.raises(OutcomeUnknown):
            await api.add(EXAMPLE | {"clusterName": name})

    shared.with_ta(add)
    assert shared.faults.seen == [ADD]
    found = shared.get("/open/user-cluster-detail", projectId=PROJECT, clusterName=name)
    assert (found["return_code"] == 0) is fault.acts


@pytest.mark.parametrize(
    "fault", [Fault(Kind.DROP), Fault(Kind.STATUS), Fault(Kind.THROTTLED)], ids=lambda fault: fault.kind.name
)
def test_a_question_is_asked_again(shared: Station, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.platforms.thinkingdata.client.BUSY_WAIT", 0.001)
    shared.faults.add(fault)
    shared.faults.seen.clear()
    assert shared.with_ta(lambda api: api.events(PROJECT))
    assert shared.faults.seen == ["/open/list-event-meta"] * 2


@pytest.mark.parametrize("fault", [Fault(Kind.TRUNCATED), Fault(Kind.NOT_JSON)], ids=lambda fault: fault.kind.name)
def test_an_unreadable_answer_to_a_question_is_told(shared: Station, fault: Fault) -> None:
    shared.faults.add(fault)
    with pytest.raises(VendorUnreadable):
        shared.with_ta(lambda api: api.events(PROJECT))


def test_throttling_of_a_create_is_told_and_nothing_happened(shared: Station) -> None:
    shared.faults.add(Fault(Kind.THROTTLED))
    with pytest.raises(VendorBusy):
        shared.with_ta(lambda api: api.add(EXAMPLE | {"clusterName": "busy"}))
    assert shared.get("/open/user-cluster-detail", projectId=PROJECT, clusterName="busy")["return_code"] == -1999


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind.name}-{fault.acts}")
def test_a_task_whose_answer_is_lost_is_created_once(shared: Station, fault: Fault) -> None:
    """A status without a body is no answer of the router either."""
    shared.faults.add(fault)
    shared.faults.seen.clear()
    with pytest.raises(OutcomeUnknown):
        shared.with_taobao(lambda api: api.update("create", {"crowd_id": 1, "start_time": "2020-01-01 00:00:00", "end_time": "2030-01-01 00:00:00"}))  # fmt: skip
    assert shared.faults.seen == ["/router/rest"]


def test_an_update_of_absolute_values_is_sent_again(shared: Station) -> None:
    made = shared.call("create_call_task", task_name="again", ids=["+861"], start_time=PAGE["StartTime"], end_time=PAGE["EndTime"], concurrency=1)  # fmt: skip
    task = made.task.task_open_id
    shared.faults.add(Fault(Kind.DROP), Fault(Kind.THROTTLED))
    shared.faults.seen.clear()
    assert shared.with_volc(lambda api: api.update(PAGE | {"TaskOpenId": task, "Concurrency": 8}))
    assert shared.faults.seen == ["/"] * 3
    assert shared.call("get_call_task", task_open_id=task).task.concurrency == 8


def test_a_server_that_stays_away_is_told(shared: Station) -> None:
    shared.faults.add(*[Fault(Kind.DROP, acts=False)] * 3)
    with pytest.raises(VendorUnreachable):
        shared.with_ta(lambda api: api.events(PROJECT))


def test_a_late_answer_comes(shared: Station) -> None:
    """The delay ends when the test ends it: nothing is timed."""
    gate = anyio.Event()
    shared.faults.add(Fault(Kind.DELAY, until=gate.wait, path="/open/list-event-meta"))
    answers: list[httpx.Response] = []

    async def use(api: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, api)
            while not shared.faults.seen:  # noqa: ASYNC110 - the server's thread sets it
                await anyio.sleep(0.001)
            assert answers == []
            shared.portal.start_task_soon(gate.set)

    async def ask(api: Any) -> None:
        answers.append(await api.events(PROJECT))

    shared.faults.seen.clear()
    shared.with_ta(use)
    assert len(answers) == 1
