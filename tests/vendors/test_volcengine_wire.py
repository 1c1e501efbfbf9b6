"""Volcengine's form, as it is sent and as it is read; each quirk that wire.py names has its test."""

import hashlib
import json
from datetime import datetime, timedelta, timezone

import pytest

from mcp_server.errors import FenqunError, NotFound, VendorBusy, VendorDenied, VendorRejected
from mcp_server.platforms.transport import Reply
from mcp_server.platforms.vendor import UnreadableReply
from mcp_server.platforms.volcengine import client, wire
from mcp_server.platforms.volcengine.wire import CredentialScope, RequestToSign, VolcengineCredentials, authorization

NOW = datetime(2026, 1, 1, 7, 59, 59, tzinfo=timezone(timedelta(hours=8)))
KEYS = VolcengineCredentials("AK", "SK", "token-value")


def test_ve1_action_and_version_stand_in_the_query() -> None:
    out = wire.post(wire.UPDATE, {"TaskOpenId": "1"}, "h", KEYS, "cn-north-1", NOW)
    assert out.path == "/?Action=UpdateTask&Version=2022-01-01"
    assert isinstance(out.body, bytes)
    assert json.loads(out.body) == {"TaskOpenId": "1"}


def test_ve2_what_is_signed_is_what_is_sent() -> None:
    out = wire.post(wire.UPDATE, {"Name": "外呼 🎯"}, "host:8080", KEYS, "cn-beijing", NOW)
    assert isinstance(out.body, bytes)
    assert out.headers["X-Content-Sha256"] == hashlib.sha256(out.body).hexdigest()
    assert out.headers["X-Date"] == "20251231T235959Z"
    assert out.headers["X-Security-Token"] == "token-value"
    unsigned = {k: v for k, v in out.headers.items() if k != "Authorization"}
    query = (("Action", "UpdateTask"), ("Version", "2022-01-01"))
    request = RequestToSign("POST", "/", query, unsigned, out.body)
    assert out.headers["Authorization"] == authorization(request, KEYS, CredentialScope("cn-beijing", "vms"))
    assert "x-security-token" in out.headers["Authorization"]


def test_without_a_session_token_none_is_sent() -> None:
    out = wire.post(wire.LIST, {}, "h", VolcengineCredentials("AK", "SK"), "cn-north-1", NOW)
    assert "X-Security-Token" not in out.headers


# replies


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def failed(code: str, status: int = 400) -> Reply:
    error = {"CodeN": 1, "Code": code, "Message": "token-value: no\n."}
    return reply({"ResponseMetadata": {"RequestId": "req-7", "Error": error}}, status)


def test_the_pages_answer_is_read() -> None:
    answer = reply({"ResponseMetadata": {"RequestId": "2021052017361001022509205912000B28", "Action": "UpdateTask"}})
    assert client.result_of(answer) == {}
    assert client.request_id_of(answer) == "2021052017361001022509205912000B28"
    assert client.request_id_of(reply(b"no", **{"x-tt-logid": "log-1"})) == "log-1"
    assert client.result_of(reply({"ResponseMetadata": {}, "Result": {"Total": 1}})) == {"Total": 1}


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("TaskNotFound", NotFound, "list_call_tasks"),
        ("FlowLimitExceeded", VendorBusy, "Wait a little"),
        ("InternalServiceTimeout", VendorBusy, "may not be opened"),
        ("SignatureDoesNotMatch", VendorDenied, "secret key"),
        ("ErrorRingBackInterval", VendorRejected, "5 to 1440"),
        ("QuotaExceeded", VendorRejected, "quotes"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_error_is_found_under_any_status_and_says_what_to_do(
    code: str, kind: type[FenqunError], said: str, status: int
) -> None:
    with pytest.raises(FenqunError) as caught:
        client.result_of(failed(code, status), ("token-value",))
    assert type(caught.value) is kind
    whole = f"{caught.value.message.en} {caught.value.next_step.en}"
    assert said in whole
    assert "req-7" in whole
    assert "token-value" not in whole
    assert "\n" not in whole


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"{}", b'{"ResponseMetadata":[]}'])
def test_what_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableReply):
        client.result_of(reply(body, 502))
    with pytest.raises(UnreadableReply):
        client.result_of(reply({"ResponseMetadata": {}}, 500))


def test_some_codes_may_be_tried_again_and_some_leave_the_outcome_open() -> None:
    assert client.asks_again(failed("ServiceUnavailable", 503))
    assert not client.asks_again(failed("TaskWrongState"))
    assert not client.asks_again(reply(b"<html>"))
    assert client.is_uncertain(failed("InternalError", 500))
    assert not client.is_uncertain(failed("FlowLimitExceeded"))
