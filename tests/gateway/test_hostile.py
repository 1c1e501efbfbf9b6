"""Hostile values at every place of every format: always an answer in the vendor's form, never an incident."""

import json
from typing import Any

import pytest

from mcp_server.gateway import thinkingdata_wire as thinkingdata
from mcp_server.gateway.thinkingdata import ENDPOINTS, Endpoint
from mcp_server.platforms.taobao import wire as taobao
from mcp_server.platforms.volcengine import wire as volcengine
from tests.gateway.kit import EXAMPLE, KEYS, Station
from tests.gateway.test_taobao import refusal, signed
from tests.gateway.test_taobao import send as to_taobao
from tests.gateway.test_volcengine import PAGE
from tests.gateway.test_volcengine import send as to_volcengine

pytestmark = pytest.mark.slow

TEXTS = (
    "\x00",
    "\ud800",
    "%",
    "'; DROP TABLE x; --",
    "0",
    "-1",
    "9" * 40,
    "１０２",
    "中" * 300,
    "../../x",
    "a\r\nb",
    " ",
    "null",
    "{}",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    1e308,
    10**400,
    "",
    *TEXTS,
    [],
    {},
    [[]],
    [None],
    {"": 1},
    {"a": {"b": []}},
    [{}] * 1001,
)
LIST = {
    "projectId": 102, "clusterCatalog": "catalog_cluster", "clusterTypes": ["cluster_by_static_condition"],
    "clusterName": "x", "pagerHeader": {"pageNum": 1, "pageSize": 10},
}  # fmt: skip
USUAL = {
    "projectId": "102", "clusterId": "1", "clusterName": "none", "displayName": "x", "mainColumnName": "#account_id",
    "tableType": "user",
}  # fmt: skip


def spoiled(good: dict[str, Any]) -> list[dict[str, Any]]:
    """The object with one field replaced by each hostile value; and each of them under another name."""
    return [good | {name: value} for name in good for value in VALUES] + [good | {text: 1} for text in TEXTS]


def written(body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("one", ENDPOINTS, ids=lambda one: one.path)
def test_every_query_is_answered(shared: Station, one: Endpoint) -> None:
    for name in (*one.needed, *one.optional, "stray"):
        for text in TEXTS:
            query = {key: USUAL.get(key, "x") for key in one.needed} | {name: text.encode("utf-8", "replace").decode()}
            headers = {"Content-Type": "text/csv"} if "import" in one.path else {}
            answer = shared.client.request(
                one.method, shared.url + one.path, params={"token": KEYS.token, **query}, headers=headers
            )
            assert answer.status_code == 200
            assert answer.json()["return_code"] != thinkingdata.SERVER_ERROR, (name, text)


@pytest.mark.parametrize(
    ("path", "good"), [("/open/user-cluster-add", EXAMPLE), ("/open/user-cluster-list", LIST)], ids=["add", "list"]
)
def test_every_body_is_answered(shared: Station, path: str, good: dict[str, Any]) -> None:
    inner = "qp" if "qp" in good else "pagerHeader"
    bodies = [*spoiled(good), *(good | {inner: part} for part in spoiled(good[inner]))]
    for n, body in enumerate(bodies):
        new = {"clusterName": f"h{n}"} if body.get("clusterName") == EXAMPLE["clusterName"] else {}
        assert shared.post(path, written(body | new))["return_code"] != thinkingdata.SERVER_ERROR, body


def test_every_task_and_operation_is_answered(shared: Station) -> None:
    good = {"crowd_id": 1, "task_id": 1, "start_time": "2020-01-01 00:00:00", "end_time": "2030-01-01 00:00:00"}
    sent: list[dict[str, Any]] = [{"operation": "time", "task_dto": task} for task in spoiled(good)]
    sent += [{"operation": text.encode("utf-8", "replace").decode(), "task_dto": good} for text in TEXTS]
    for method, name in (
        (taobao.QUERY, "crowd_id"),
        (taobao.REPORT, "task_id"),
        (taobao.CROWDS, "page"),
        (taobao.CROWDS, "crowd_name"),
    ):
        sent += [{"method": method, name: text.encode("utf-8", "replace").decode()} for text in TEXTS]
    for business in sent:
        answer = to_taobao(shared, signed(business))
        if "error_response" in answer:
            assert refusal(answer)[1] != "isp.unknown-error", business


@pytest.mark.parametrize("action", [volcengine.UPDATE, volcengine.LIST])
def test_every_update_is_answered(shared: Station, action: str) -> None:
    good = PAGE if action == volcengine.UPDATE else {"Keyword": "x", "Limit": 1, "Offset": 0}
    bodies: list[Any] = [*spoiled(good), *VALUES]
    if action == volcengine.UPDATE:
        bodies += [PAGE | {"ForbidTimeList": [item]} for item in spoiled({"Weekdays": [1], "Times": ["10:00-11:00"]})]
    for body in (one for one in bodies if "\\ud800" not in json.dumps(one)):  # which no client can send
        answer = to_volcengine(shared, body, action=action)
        assert answer.status_code in (200, 400), (body, answer.text)
