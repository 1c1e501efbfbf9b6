"""The router over a socket: signatures, times, both formats, the four operations, and the vendor's own kind of SDK."""

import gc
import json
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from mcp_server.calls.settings import BEIJING
from mcp_server.errors import VendorDenied, VendorRejected
from mcp_server.platforms.taobao import wire
from mcp_server.platforms.taobao.wire import SIGN_METHODS, SignMethod, sign
from tests.gateway.kit import KEYS, PROJECT, Station, module

NOW = datetime(2026, 3, 6, 12, 0, 0, tzinfo=UTC)
TASK = {"start_time": "2020-01-01 00:00:00", "end_time": "2030-01-01 00:00:00"}
ROOT = "opencrm_crowdanalysis_update_response"


@pytest.fixture(scope="module")
def crowd(shared: Station) -> int:
    """A cluster with members."""
    named = {"projectId": PROJECT, "displayName": "crowd", "mainColumnName": "#account_id", "clusterName": "crowd_1"}
    return int(shared.upload("/open/import-id-cluster-add", b"j77639\nh84497", **named)["data"]["clusterId"])


def signed(business: Mapping[str, object], how: SignMethod = "hmac-sha256", **changes: str | None) -> dict[str, str]:
    """Parameters as any client makes them; None takes one away."""
    common: dict[str, str | None] = {
        "method": wire.UPDATE,
        "app_key": KEYS.app_key,
        "session": KEYS.session,
        "timestamp": datetime.now(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "format": "json",
        "v": "2.0",
        "sign_method": how,
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in business.items()}
    found = {name: value for name, value in (common | texts | changes).items() if value is not None}
    return {"sign": sign(found, KEYS.app_secret, how)} | found


def create(crowd: int, **changes: object) -> dict[str, object]:
    return {"operation": "create", "task_dto": TASK | {"crowd_id": crowd} | changes}


def send(station: Station, parameters: Mapping[str, str], *, get: bool = False) -> dict[str, Any]:
    url = f"{station.url}/router/rest"
    answer = (
        station.client.get(url, params=dict(parameters)) if get else station.client.post(url, data=dict(parameters))
    )
    assert answer.status_code == 200
    return dict(answer.json())


def refusal(answer: Mapping[str, Any]) -> tuple[int, str]:
    error = answer["error_response"]
    return error["code"], error.get("sub_code", "")


def test_our_client_walks_through_a_tasks_life(shared: Station, crowd: int) -> None:
    async def life(api: Any) -> None:
        made = await api.update("create", TASK | {"crowd_id": crowd})
        assert made.success
        task = {**TASK, "crowd_id": crowd, "task_id": made.task["task_id"]}
        assert made.task == {**TASK, "crowd_id": str(crowd), "task_id": made.task["task_id"]}
        longer = await api.update("time", task | {"end_time": "2031-01-01 00:00:00"})
        assert (longer.success, longer.task["end_time"]) == (True, "2031-01-01 00:00:00")
        assert (await api.update("dumpData", task)).success
        tasks = (await api.query(str(crowd)))["result"]["tasks"]["crowd_analysis_task_dto"]
        assert [t["task_id"] for t in tasks] == [int(made.task["task_id"])]
        report = await api.report(made.task["task_id"], TASK["start_time"], "2031-01-01 00:00:00")
        assert report["result"]["result"]["users_num"] == 2
        with pytest.raises(VendorRejected, match="end_time"):  # a report is of the whole validity
            await api.report(made.task["task_id"], TASK["start_time"], TASK["end_time"])
        assert tasks[0]["crowd_name"] == "crowd_1"
        found = (await api.crowds("crowd", 1, 20))["result"]["crowds"]["crowd_dto"]
        assert (crowd, "crowd_1") in [(c["crowd_id"], c["crowd_name"]) for c in found]
        assert (await api.update("delete", task)).success
        gone = await api.update("delete", task)
        assert (gone.success, gone.code) == (False, "1001")

    shared.with_taobao(life)


@pytest.mark.parametrize("method", SIGN_METHODS)
@pytest.mark.parametrize("get", [False, True])
def test_every_signature_counts_wherever_the_parameters_stand(
    shared: Station, crowd: int, method: SignMethod, get: bool
) -> None:
    assert send(shared, signed(create(crowd), method), get=get)[ROOT]["result"]["success"] is True
    tampered = signed(create(crowd), method) | {"operation": "delete"}
    assert refusal(send(shared, tampered, get=get)) == (25, "")


def test_parameters_may_be_split_between_address_and_body(shared: Station, crowd: int) -> None:
    every = signed(create(crowd))
    common = {k: v for k, v in every.items() if k not in ("operation", "task_dto")}
    business = {k: v for k, v in every.items() if k in ("operation", "task_dto")}
    answer = shared.client.post(f"{shared.url}/router/rest?{urlencode(common)}", data=business)
    assert answer.json()[ROOT]["result"]["success"] is True
    twice = shared.client.post(f"{shared.url}/router/rest?{urlencode(common)}", data=every)
    assert twice.json()["error_response"]["code"] == 41


@pytest.mark.parametrize("form", ["text", "milliseconds"])
@pytest.mark.parametrize(("off", "fits"), [(-600, True), (-601, False), (600, True), (601, False)])
def test_the_time_is_within_ten_minutes(shared: Station, crowd: int, form: str, off: int, fits: bool) -> None:
    shared.clock.moment = NOW
    moment = NOW + timedelta(seconds=off)
    text = moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    stamp = text if form == "text" else str(int(moment.timestamp() * 1000))
    try:
        answer = send(shared, signed(create(crowd), timestamp=stamp))
    finally:
        shared.clock.moment = None
    assert (ROOT in answer) is fits
    assert fits or refusal(answer) == (31, "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"method": None}, 21), ({"method": "taobao.no.such"}, 22), ({"app_key": None}, 28), ({"app_key": "1"}, 29),
        ({"timestamp": None}, 30), ({"timestamp": "yesterday"}, 31), ({"v": None}, 32), ({"v": "1.0"}, 33),
        ({"session": None}, 26), ({"session": "other"}, 27), ({"stray": "x"}, 41),
        ({"sign_method": "md4"}, 25),
    ],
)  # fmt: skip
def test_what_every_call_needs_is_checked(
    shared: Station, crowd: int, changes: dict[str, str | None], code: int
) -> None:
    method = changes.pop("sign_method", None)
    sent = signed(create(crowd), **changes)
    if method:
        sent["sign_method"] = method
    assert refusal(send(shared, sent))[0] == code


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused(shared: Station, crowd: int, method: str) -> None:
    answer = shared.client.request(method, f"{shared.url}/router/rest", params=signed(create(crowd)))
    assert answer.json()["error_response"]["code"] == 9


def test_a_missing_or_other_format_is_told(shared: Station, crowd: int) -> None:
    without = {k: v for k, v in signed(create(crowd)).items() if k != "sign"}
    assert refusal(send(shared, without)) == (24, "")
    url = f"{shared.url}/router/rest"
    answer = shared.client.post(url, data=signed(create(crowd), format="yaml"))
    assert ET.fromstring(answer.text).findtext("code") == "23"  # noqa: S314 - our own answer


def test_xml_is_the_default(shared: Station, crowd: int) -> None:
    url = f"{shared.url}/router/rest"
    root = ET.fromstring(shared.client.post(url, data=signed(create(crowd), format=None)).text)  # noqa: S314
    assert root.tag == ROOT
    assert [child.tag for child in root.find("result/result") or []] == [
        "end_time",
        "start_time",
        "crowd_id",
        "task_id",
    ]
    assert root.findtext("result/success") == "true"
    error = ET.fromstring(shared.client.post(url, data=signed({}, format="xml", session="<&>")).text)  # noqa: S314
    assert (error.tag, error.findtext("code")) == ("error_response", "27")


def test_simplify_takes_the_root_away(shared: Station, crowd: int) -> None:
    answer = send(shared, signed({"crowd_id": str(crowd), "method": wire.QUERY}, simplify="true"))
    assert isinstance(answer["result"]["tasks"], list)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"crowd_id": None}, (40, "isv.missing-parameter:crowd_id")),
        ({"start_time": None}, (40, "isv.missing-parameter:start_time")),
        ({"start_time": "2020-01-01"}, (41, "isv.invalid-parameter:start_time")),
        ({"crowd_id": "x"}, (41, "isv.invalid-parameter:crowd_id")),
        ({"crowd_id": 1.5}, (41, "isv.invalid-parameter:crowd_id")),
        ({"stray": 1}, (41, "isv.invalid-parameter:stray")),
        ({"end_time": "2019-12-31 23:59:59"}, (50, "isv.invalid-parameter")),
    ],
)
def test_a_task_is_read_strictly(
    shared: Station, crowd: int, changes: dict[str, object], code: tuple[int, str]
) -> None:
    business = create(crowd)
    task = {k: v for k, v in {**TASK, "crowd_id": crowd, **changes}.items() if v is not None}
    assert refusal(send(shared, signed(business | {"task_dto": task}))) == code


def test_operations_are_the_pages_four(shared: Station, crowd: int) -> None:
    assert refusal(send(shared, signed(create(crowd) | {"operation": "dumpdata"})))[0] == 41
    assert refusal(send(shared, signed(create(crowd) | {"operation": "delete"}))) == (
        40,
        "isv.missing-parameter:task_id",
    )
    assert refusal(send(shared, signed({"operation": "create"}))) == (40, "isv.missing-parameter:task_dto")
    unknown = send(shared, signed(create(999_999)))[ROOT]["result"]
    assert (unknown["success"], unknown["code"]) == (False, 1001)


def test_our_client_tells_wrong_credentials(shared: Station, crowd: int) -> None:
    async def asked(api: Any) -> None:
        await api.query(str(crowd))

    for keys in ({"app_secret": "other-secret"}, {"session": "other"}, {"app_key": "87654321"}):
        with pytest.raises(VendorDenied):
            shared.with_taobao(asked, **keys)

    async def wrong(api: Any) -> None:
        await api.update("create", {"crowd_id": crowd})

    with pytest.raises(VendorRejected):
        shared.with_taobao(wrong)


def test_an_sdk_of_the_package_index_creates_a_task(shared: Station, crowd: int) -> None:
    """Its base class signs and sends; the request class is ours, as the published ones lack this interface."""
    sdk = module("taobao_open", "py-taobao-open")
    base = module("taobao_open.api.base", "py-taobao-open")

    class Update(base.RestApi):  # type: ignore[misc, name-defined]
        def __init__(self, domain: str, port: int) -> None:
            super().__init__(domain, port)
            self.task_dto = json.dumps(TASK | {"crowd_id": crowd, "end_time": "2032-01-01 00:00:00"})
            self.operation = "create"

        def getapiname(self) -> str:
            return wire.UPDATE

    place = urlsplit(shared.url)
    request = Update(place.hostname or "", place.port or 0)
    request.set_app_info(sdk.appinfo(KEYS.app_key, KEYS.app_secret))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves its sockets open
        made = request.getResponse(KEYS.session)[ROOT]["result"]
        request.set_app_info(sdk.appinfo(KEYS.app_key, "another-secret"))
        refused = 0
        try:
            request.getResponse(KEYS.session)
        except base.TopException as error:
            refused = error.errorcode
        gc.collect()
    assert (made["success"], made["result"]["crowd_id"], refused) == (True, crowd, 25)
