"""Our signatures against those of the vendors' own SDKs (tests/vectors)."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_server.platforms.taobao import wire as taobao
from mcp_server.platforms.volcengine import wire as volcengine

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(name: str) -> list[Any]:
    found = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return [pytest.param(vector, id=vector["name"]) for vector in found]


@pytest.mark.parametrize("vector", vectors("taobao-top.json"))
def test_a_taobao_signature_is_the_vendors(vector: dict[str, Any]) -> None:
    given = vector["inputs"]
    assert taobao.canonical(given["params"]) == vector["canonical"]
    assert taobao.sign(given["params"], given["app_secret"], given["sign_method"]) == vector["expected"]["sign"]
    signed = given["params"] | {"sign": "anything"}
    assert taobao.canonical(signed) == vector["canonical"]


@pytest.mark.parametrize("vector", vectors("volcengine-v4.json"))
def test_a_volcengine_signature_is_the_vendors(vector: dict[str, Any]) -> None:
    given, expected = vector["inputs"], vector["expected"]
    request = volcengine.RequestToSign(
        given["method"],
        given["path"],
        tuple(given["query"].items()),
        given["signed_request_headers"],
        given["body"].encode(),
    )
    keys = volcengine.VolcengineCredentials(given["access_key"], given["secret_key"], given["session_token"] or "")
    scope = volcengine.CredentialScope(given["region"], given["service"])
    names = expected["signed_headers"].split(";")
    assert volcengine.body_hash(request.body) == expected["payload_sha256"]
    assert volcengine.canonical_query(request.query) == expected["canonical_query"]
    assert volcengine.canonical_request(request, names) == vector["canonical"]
    assert scope.text(given["x_date"]) == expected["credential_scope"]
    assert volcengine.authorization(request, keys, scope, names) == expected["authorization"]


def test_what_is_sent_is_signed_unless_said_otherwise() -> None:
    headers = {"Host": "h:443", "X-Date": "20260305T022030Z", "Accept": "*/*", "X-Security-Token": " t "}
    request = volcengine.RequestToSign("POST", "/", (), headers, b"")
    made = volcengine.authorization(
        request, volcengine.VolcengineCredentials("a", "s", "t"), volcengine.CredentialScope("r", "vms")
    )
    assert "SignedHeaders=host;x-date;x-security-token," in made
    assert request.named["host"] == "h"


@pytest.mark.parametrize("method", taobao.SIGN_METHODS)
def test_a_changed_value_changes_the_signature(method: taobao.SignMethod) -> None:
    first = taobao.sign({"a": "1", "b": "2"}, "secret", method)
    assert first != taobao.sign({"a": "1", "b": "3"}, "secret", method)
    assert first != taobao.sign({"a": "1", "b": "2"}, "secreT", method)
    assert len(first) == (64 if method == "hmac-sha256" else 32)
