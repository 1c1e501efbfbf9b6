"""The voice service over a socket: signatures, strict types, error codes, and the vendor's own SDK."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mcp_server.errors import NotFound, VendorDenied, VendorRejected
from mcp_server.platforms.volcengine import wire
from mcp_server.platforms.volcengine.wire import VolcengineCredentials
from tests.gateway.kit import KEYS, PROJECT, Station, module

PAGE: dict[str, Any] = {
    "TaskOpenId": "123",
    "Concurrency": 1,
    "ForbidTimeList": [{"Weekdays": [1], "Times": ["10:00-11:00"]}],
    "RingAgainTimes": 1,
    "RingAgainInterval": 5,
    "EndTime": "2021-05-21 17:35:44",
    "StartTime": "2021-05-20 17:35:43",
}
"""The page's example; its id is the only thing that a test changes."""


@pytest.fixture(scope="module")
def task(shared: Station) -> str:
    """A call task."""
    made = shared.call(
        "create_call_task", task_name="外呼", ids=["+861", "+862"], start_time="2021-05-20 09:00:00",
        end_time="2021-05-22 09:00:00", concurrency=2, project_id=PROJECT,
    )  # fmt: skip
    return str(made.task.task_open_id)


def send(
    station: Station,
    body: object,
    *,
    action: str = wire.UPDATE,
    moment: datetime | None = None,
    secret: str = KEYS.secret_key,
    spoil: Mapping[str, str | None] | None = None,
    token: str = "",
) -> httpx.Response:
    """A signed request; `spoil` changes headers after signing, None takes one away."""
    host = urlsplit(station.url).netloc
    keys = VolcengineCredentials(KEYS.access_key, secret, token)
    out = wire.post(action, body, host, keys, "cn-north-1", moment or datetime.now(UTC))  # type: ignore[arg-type]
    headers = {k: v for k, v in ({**out.headers} | dict(spoil or {})).items() if v is not None}
    assert isinstance(out.body, bytes)
    return station.client.post(station.url + out.path, content=out.body, headers=headers)


def code(answer: httpx.Response) -> str:
    metadata = answer.json()["ResponseMetadata"]
    assert metadata["RequestId"]
    return str(metadata["Error"]["Code"])


def test_the_pages_example_is_answered_as_on_the_page(shared: Station, task: str) -> None:
    answer = send(shared, PAGE | {"TaskOpenId": task})
    assert answer.status_code == 200
    found = answer.json()
    request = found["ResponseMetadata"].pop("RequestId")
    assert isinstance(request, str)
    assert len(request) == len("2021052017361001022509205912000B28")
    assert found == {
        "ResponseMetadata": {"Action": "UpdateTask", "Version": "2022-01-01", "Service": "vms", "Region": "cn-north-1"}
    }
    state = shared.call("get_call_task", task_open_id=task, project_id=PROJECT)
    assert (state.task.concurrency, state.task.ring_again_times, state.task.ring_again_interval) == (1, 1, 5)
    assert state.forbid_times == ("sun 10:00-11:00",)  # 1 is Sunday (vendors.md B6)


def test_our_client_updates_and_lists(shared: Station, task: str) -> None:
    async def use(api: Any) -> None:
        assert await api.update(PAGE | {"TaskOpenId": task, "Concurrency": 7})
        found = await api.tasks("外呼", 10, 0)
        assert found["Total"] == 1
        [record] = found["Records"]
        assert (record["TaskOpenId"], record["Name"], record["ListNum"]) == (task, "外呼", 2)
        with pytest.raises(NotFound):
            await api.update(PAGE)
        with pytest.raises(VendorRejected):
            await api.update(PAGE | {"TaskOpenId": task, "RingAgainInterval": 4})

    shared.with_volc(use)
    with pytest.raises(VendorDenied):
        shared.with_volc(use, secret_key="another-secret")


def test_left_out_redials_are_what_the_page_says(shared: Station, task: str) -> None:
    bare = {k: v for k, v in PAGE.items() if not k.startswith("Ring")} | {"TaskOpenId": task}
    send(shared, PAGE | {"TaskOpenId": task, "RingAgainTimes": 3})
    send(shared, bare | {"Recall": False})
    assert shared.call("get_call_task", task_open_id=task, project_id=PROJECT).task.ring_again_times == 3
    send(shared, bare)
    assert shared.call("get_call_task", task_open_id=task, project_id=PROJECT).task.ring_again_times == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"TaskOpenId": "none"}, "TaskNotFound"),
        ({"TaskOpenId": "外呼"}, "TaskNotFound"),
        ({"TaskOpenId": None}, "MissingParameter"),
        ({"StartTime": None}, "MissingParameter"),
        ({"Concurrency": None}, "MissingParameter"),
        ({"Concurrency": "1"}, "InvalidParameter"),
        ({"Concurrency": 1.0}, "InvalidParameter"),
        ({"Concurrency": True}, "InvalidParameter"),
        ({"Concurrency": 0}, "InvalidParameter"),
        ({"StartTime": "2021-05-20T17:35:43"}, "InvalidParameter"),
        ({"StartTime": "2021-05-22 17:35:43"}, "InvalidParameter"),
        ({"RingAgainInterval": 4}, "ErrorRingBackInterval"),
        ({"RingAgainInterval": 1441}, "ErrorRingBackInterval"),
        ({"RingAgainTimes": 6}, "ErrorRingBackTimes"),
        ({"Recall": 1}, "InvalidParameter"),
        ({"Stray": 1}, "InvalidParameter"),
        ({"ForbidTimeList": {}}, "InvalidParameter"),
        ({"ForbidTimeList": [{"Weekdays": [0], "Times": ["10:00-11:00"]}]}, "ForbidTimeParseFail"),
        ({"ForbidTimeList": [{"Weekdays": [8], "Times": ["10:00-11:00"]}]}, "ForbidTimeParseFail"),
        ({"ForbidTimeList": [{"Weekdays": [1], "Times": ["20:00-09:00"]}]}, "ForbidTimeParseFail"),
        ({"ForbidTimeList": [{"Weekdays": [1], "Times": ["10-11"]}]}, "ForbidTimeParseFail"),
        ({"ForbidTimeList": [{"Weekdays": [1], "Times": []}]}, "ForbidTimeParseFail"),
        ({"ForbidTimeList": [{"BeginTime": "10:00", "EndTime": "11:00"}]}, "InvalidParameter"),
    ],
)  # fmt: skip
def test_a_body_is_read_strictly(shared: Station, task: str, changes: dict[str, object], expected: str) -> None:
    body = {k: v for k, v in {**PAGE, "TaskOpenId": task, **changes}.items() if v is not None}
    answer = send(shared, body)
    assert (code(answer), answer.status_code) == (expected, 400)


@pytest.mark.parametrize("interval", [5, 1440])
@pytest.mark.parametrize("days", [[1], [7], [1, 2, 3, 4, 5, 6, 7]])
def test_limits_themselves_are_taken(shared: Station, task: str, interval: int, days: list[int]) -> None:
    list_ = [{"Weekdays": days, "Times": ["00:00-23:59"]}] if len(days) == 1 else [{"Times": ["10:00-11:00"]}]
    sent = PAGE | {"TaskOpenId": task, "RingAgainInterval": interval, "RingAgainTimes": 5, "ForbidTimeList": list_}
    assert send(shared, sent).status_code == 200


@pytest.mark.parametrize(
    ("spoil", "expected", "status"),
    [
        ({"Authorization": None}, "MissingAuthenticationToken", 401),
        ({"Authorization": "Bearer x"}, "MissingSignature", 401),
        ({"X-Date": "20200101T000000Z"}, "InvalidTimestamp", 400),
        ({"X-Date": None}, "InvalidTimestamp", 400),
        ({"X-Content-Sha256": "0" * 64}, "SignatureDoesNotMatch", 401),
        ({"X-Content-Sha256": None}, "SignatureDoesNotMatch", 401),
        ({"Content-Type": "application/json; charset=utf-8"}, "SignatureDoesNotMatch", 401),
        ({"X-Security-Token": "sts"}, "InvalidAccessKey", 401),
    ],
)
def test_what_was_changed_after_signing_is_refused(
    shared: Station, task: str, spoil: dict[str, str | None], expected: str, status: int
) -> None:
    answer = send(shared, PAGE | {"TaskOpenId": task}, spoil=spoil)
    assert (code(answer), answer.status_code) == (expected, status)


def test_a_body_or_an_address_that_was_changed_is_refused(shared: Station, task: str) -> None:
    host = urlsplit(shared.url).netloc
    out = wire.post(wire.UPDATE, PAGE | {"TaskOpenId": task}, host, VolcengineCredentials(KEYS.access_key, KEYS.secret_key), "cn-north-1", datetime.now(UTC))  # fmt: skip
    assert isinstance(out.body, bytes)
    other = shared.client.post(shared.url + out.path, content=out.body.replace(b'"Concurrency":1', b'"Concurrency":9'), headers=dict(out.headers))  # fmt: skip
    assert code(other) == "SignatureDoesNotMatch"
    elsewhere = out.path.replace("UpdateTask", "StopTask")
    assert (
        code(shared.client.post(shared.url + elsewhere, content=out.body, headers=dict(out.headers)))
        == "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize(("off", "fits"), [(-900, True), (-901, False), (900, True), (901, False)])
def test_the_time_is_within_fifteen_minutes(shared: Station, task: str, off: int, fits: bool) -> None:
    shared.clock.moment = datetime(2026, 3, 6, 12, 0, 0, tzinfo=UTC)
    try:
        answer = send(shared, PAGE | {"TaskOpenId": task}, moment=shared.clock.moment + timedelta(seconds=off))
    finally:
        shared.clock.moment = None
    assert (answer.status_code == 200) is fits
    assert fits or code(answer) == "InvalidTimestamp"


def test_unknown_actions_and_bodies_are_told(shared: Station, task: str) -> None:
    assert code(send(shared, PAGE, action="StopTask")) == "InvalidActionOrVersion"
    assert code(send(shared, [])) == "InvalidParameter"
    assert code(send(shared, {"State": [1]}, action=wire.LIST)) == "InvalidParameter"
    assert shared.client.get(shared.url).status_code == 405


def test_the_vendors_own_sdk_updates_a_task(shared: Station, task: str) -> None:
    core = module("volcenginesdkcore", "volcenginesdk-core")
    vms = module("volcenginesdkvms", "volcenginesdk-vms")
    rest = module("volcenginesdkcore.rest", "volcenginesdk-core")

    def api(secret: str) -> Any:
        settings = core.Configuration()
        settings.ak, settings.sk, settings.region = KEYS.access_key, secret, "cn-north-1"
        settings.host, settings.scheme = urlsplit(shared.url).netloc, "http"
        settings.auto_retry = False
        return vms.VMSApi(core.ApiClient(settings))

    item = vms.ForbidTimeListForUpdateTaskInput(times=["10:00-11:00"], weekdays=[7])
    request = vms.UpdateTaskRequest(
        task_open_id=task,
        start_time=PAGE["StartTime"],
        end_time=PAGE["EndTime"],
        concurrency=9,
        forbid_time_list=[item],
    )
    api(KEYS.secret_key).update_task(request)
    state = shared.call("get_call_task", task_open_id=task, project_id=PROJECT)
    assert (state.task.concurrency, state.forbid_times) == (9, ("sat 10:00-11:00",))
    with pytest.raises(rest.ApiException) as caught:
        api("another-secret").update_task(request)
    assert json.loads(caught.value.body)["ResponseMetadata"]["Error"]["Code"] == "SignatureDoesNotMatch"
