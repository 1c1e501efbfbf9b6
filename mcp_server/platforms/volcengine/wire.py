"""Requests to Volcengine's voice service: JSON, action and version in the query, signature V4 (document 6358/166389;
vendors.md B2).

Quirks, each with a test of its own (tests/vendors/test_volcengine_wire.py):

* VE1 Action and Version are in the query, never in the body (vendors.md B1).
* VE2 the bytes that are hashed are the bytes that are sent, and the query that is signed is the query that is sent.
* VE3 weekdays are 1 = Sunday to 7 = Saturday (B6); our names become numbers in calls/volcengine.py, which makes the body.
* VE4 `Recall` is sent with the redial settings, and false without them: left out it may switch redialling off (B6).
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from mcp_server.platforms.transport import Outgoing

# The signature: over method, path, query, some headers and the hash of the body


ALGORITHM = "HMAC-SHA256"
SIGNED = ("content-type", "host", "x-content-sha256", "x-date", "x-security-token")
"""Headers that are signed where they are sent; host and x-date always are sent."""


@dataclass(frozen=True, slots=True)
class VolcengineCredentials:
    """Credentials of an account."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RequestToSign:
    """A request to be signed. Header names in any case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def named(self) -> dict[str, str]:
        """Headers by lower-case name, values trimmed, the host without a default port."""
        headers = {name.lower(): value.strip() for name, value in self.headers.items()}
        if "host" in headers:
            headers["host"] = headers["host"].removesuffix(":443").removesuffix(":80")
        return headers


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """Where and when a signature holds."""

    region: str
    service: str

    def text(self, x_date: str) -> str:
        """The scope of a moment `YYYYMMDDTHHMMSSZ` (its UTC date)."""
        return f"{x_date[:8]}/{self.region}/{self.service}/request"


def body_hash(body: bytes) -> str:
    """The value of X-Content-Sha256."""
    return hashlib.sha256(body).hexdigest()


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """Return the query to sign and to send: pairs sorted by name, equal names in their order; everything but letters, digits
    and `-_.~` percent-encoded."""
    coded = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query]
    return "&".join(f"{name}={value}" for name, value in sorted(coded, key=lambda pair: pair[0]))


def canonical_request(request: RequestToSign, signed: Iterable[str]) -> str:
    """Return the text of the request that is signed. `signed` are lower-case header names, sorted."""
    headers = request.named
    names = list(signed)
    return "\n".join(
        [
            request.method,
            request.path,
            canonical_query(request.query),
            *(f"{name}:{headers[name]}" for name in names),
            "",
            ";".join(names),
            body_hash(request.body),
        ]
    )


def signature(request: RequestToSign, signed: Iterable[str], secret_key: str, scope: CredentialScope) -> str:
    """Return the signature in lower-case hexadecimal digits; `x-date` has to be among the headers."""
    x_date = request.named["x-date"]
    hashed = hashlib.sha256(canonical_request(request, signed).encode()).hexdigest()
    text = "\n".join([ALGORITHM, x_date, scope.text(x_date), hashed])
    key = secret_key.encode()
    for part in scope.text(x_date).split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def authorization(
    request: RequestToSign, keys: VolcengineCredentials, scope: CredentialScope, signed: Iterable[str] = ()
) -> str:
    """Return the value of the Authorization header. By default the headers of `SIGNED` are signed, as far as they are sent."""
    names = sorted(signed) or [name for name in SIGNED if name in request.named]
    made = signature(request, names, keys.secret_key, scope)
    credential = f"{keys.access_key}/{scope.text(request.named['x-date'])}"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={made}"


# Requests


SERVICE = "vms"
VERSION = "2022-01-01"
UPDATE = "UpdateTask"
LIST = "QueryTaskList"


def post(
    action: str, body: Mapping[str, Any], host: str, keys: VolcengineCredentials, region: str, now: datetime
) -> Outgoing:
    """Return a request, ready to be sent (VE1, VE2)."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    query = (("Action", action), ("Version", VERSION))
    headers = {
        "Content-Type": "application/json",
        "Host": host,
        "X-Content-Sha256": body_hash(content),
        "X-Date": now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
    }
    if keys.session_token:
        headers["X-Security-Token"] = keys.session_token
    request = RequestToSign("POST", "/", query, headers, content)
    headers["Authorization"] = authorization(request, keys, CredentialScope(region, SERVICE))
    return Outgoing("POST", f"/?{canonical_query(query)}", headers, content)
