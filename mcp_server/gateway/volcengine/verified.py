"""Signature V4, verified (vendors.md B2)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from mcp_server.gateway.house import WHO, House, same
from mcp_server.gateway.volcengine.answers import SERVICE, Refusal
from mcp_server.platforms.volcengine import signing

SYSTEM: Final = "volcengine"
VALID: Final = timedelta(minutes=15)
_AUTHORIZATION: Final = re.compile(
    r"HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9_-]+)/request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the Authorization header says."""

    access_key: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str


def claim_of(request: Request) -> Claim:
    """The claim of a request. Refusal where there is none."""
    said = request.headers.getlist("authorization")
    if not said:
        raise Refusal("MissingAuthenticationToken", "The request has no Authorization header.")
    found = _AUTHORIZATION.fullmatch(said[0].strip()) if len(said) == 1 else None
    if found is None:
        raise Refusal("MissingSignature", "The Authorization header holds no signature.")
    key, day, region, service, signed, signature = found.groups()
    return Claim(key, day, region, service, tuple(signed.split(";")), signature)


def verify(request: Request, claim: Claim, body: bytes, house: House) -> None:
    """Refusal unless the request is of these credentials, of now, and unchanged."""
    if claim.service != SERVICE:
        raise Refusal("ServiceNotFound", f"The service {claim.service} does not exist.")
    if not same(claim.access_key, house.keys.access_key):
        raise Refusal("InvalidAccessKey", "The access key is invalid.")
    _of_now(request, claim, house)
    sent = request.headers.get("x-content-sha256")
    if sent is not None and not same(sent, signing.body_hash(body)):
        raise _mismatch()
    if not {"host", "x-date"} <= set(claim.signed) or any(name not in request.headers for name in claim.signed):
        raise _mismatch()
    if request.headers.get("x-security-token"):  # credentials of the gateway are not temporary
        raise Refusal("InvalidAccessKey", "The security token is invalid.")
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    seen = signing.Request(request.method, request.url.path, tuple(query), dict(request.headers), body)
    made = signing.signature(seen, claim.signed, house.keys.secret_key, signing.Scope(claim.region, claim.service))
    if not same(claim.signature, made):
        raise _mismatch()
    request.scope[WHO] = SYSTEM


def _of_now(request: Request, claim: Claim, house: House) -> None:
    said = request.headers.get("x-date", "")
    try:
        moment = datetime.strptime(said, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal("InvalidTimestamp", "X-Date is missing or not YYYYMMDDTHHMMSSZ.") from None
    if abs(house.clock() - moment) > VALID or said[:8] != claim.day:
        raise Refusal("InvalidTimestamp", "The request has expired.")


def _mismatch() -> Refusal:
    return Refusal("SignatureDoesNotMatch", "The signature does not match.")
