"""Requests to the Taobao Open Platform: one form, signed (document 101617; vendors.md A3).

Quirks, each with a test of its own (tests/vendors/test_taobao_wire.py):

* TB1 every parameter is in the body, so that session and signature never get into an access log (vendors.md A2).
* TB2 `timestamp` is `yyyy-MM-dd HH:mm:ss` in GMT+8, at most ten minutes away from the server's clock.
* TB3 a parameter without a value is not sent at all: the vendor's own SDKs disagree on how to sign one.
* TB4 `format` is sent, since the default is XML; `simplify` is not.
* TB5 a struct is JSON in one field, snake_case, without null; it is serialised once, as the text is signed.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, assert_never, get_args
from urllib.parse import urlencode

from mcp_server.calls.settings import BEIJING
from mcp_server.platforms.transport import Outgoing

# The signature


SignMethod = Literal["md5", "hmac", "hmac-sha256"]
SIGN_METHODS: tuple[SignMethod, ...] = get_args(SignMethod)


def canonical(parameters: Mapping[str, str]) -> str:
    """Return the text that is signed: names and values in a row, as they are before any encoding, sorted by the bytes of
    the names; without `sign`, and without parameters whose name or value is blank.

    (One vendor SDK drops those, another signs the bare name; sending none is right with both.)
    """
    taken = [name for name, value in parameters.items() if name != "sign" and name.strip() and value.strip()]
    return "".join(name + parameters[name] for name in sorted(taken, key=lambda name: name.encode()))


def sign(parameters: Mapping[str, str], secret: str, method: SignMethod) -> str:
    """Return the value of `sign`: 32 or 64 hexadecimal digits in upper case."""
    return signature(canonical(parameters).encode(), secret.encode(), method)


def signature(text: bytes, secret: bytes, method: SignMethod) -> str:
    match method:
        case "md5":  # the vendor's algorithm, the only one that some apps accept
            return hashlib.md5(secret + text + secret, usedforsecurity=False).hexdigest().upper()
        case "hmac":
            return hmac.new(secret, text, hashlib.md5).hexdigest().upper()
        case "hmac-sha256":
            return hmac.new(secret, text, hashlib.sha256).hexdigest().upper()
        case _:
            assert_never(method)


# Requests


PATH = "/router/rest"
FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8", "Accept": "application/json"}

UPDATE = "taobao.opencrm.crowdanalysis.update"
QUERY = "taobao.opencrm.crowdanalysis.query"
REPORT = "taobao.opencrm.crowdanalysis.getreport"
CROWDS = "taobao.opencrm.crowds.query"

TaskOperation = Literal["create", "delete", "dumpData", "time"]
"""What `UPDATE` does with a task: `dumpData` loads the crowd's members again, `time` changes the validity."""
TASK_OPERATIONS: tuple[TaskOperation, ...] = get_args(TaskOperation)


@dataclass(frozen=True, slots=True)
class TaobaoCredentials:
    """Credentials of an app and of the merchant that authorised it."""

    app_key: str
    app_secret: str = field(repr=False)
    session: str = field(repr=False)
    sign_method: SignMethod = "hmac-sha256"


def parameters(method: str, business: Mapping[str, Any], keys: TaobaoCredentials, now: datetime) -> dict[str, str]:
    """Return all parameters of a request with their signature."""
    common: dict[str, Any] = {
        "method": method,
        "app_key": keys.app_key,
        "session": keys.session,
        "timestamp": now.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "format": "json",
        "v": "2.0",
        "sign_method": keys.sign_method,
    }
    every = {name: text for name, value in (common | dict(business)).items() if (text := _text(value)).strip()}
    return every | {"sign": sign(every, keys.app_secret, keys.sign_method)}


def post(method: str, business: Mapping[str, Any], keys: TaobaoCredentials, now: datetime) -> Outgoing:
    """Return a request, ready to be sent."""
    return Outgoing("POST", PATH, FORM, urlencode(parameters(method, business, keys, now)).encode())


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        filled = {k: v for k, v in value.items() if v not in (None, "")}
        return json.dumps(filled, ensure_ascii=False, separators=(",", ":"))
    return "" if value is None else str(value)
