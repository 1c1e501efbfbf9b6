"""Signature V4 of Volcengine (document 6358/166389; exact rules in vendors.md B2).

A request is signed over its method, path, query, some headers and the hash of its body. The query that is
signed is the query that has to be sent: build the address from `canonical_query`.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

ALGORITHM = "HMAC-SHA256"
SIGNED = ("content-type", "host", "x-content-sha256", "x-date", "x-security-token")
"""Headers that are signed where they are sent; host and x-date always are."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials of an account."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be signed. Header names in any case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def named(self) -> dict[str, str]:
        """Headers by lower-case name, values trimmed, the host without a default port."""
        found = {name.lower(): value.strip() for name, value in self.headers.items()}
        if "host" in found:
            found["host"] = found["host"].removesuffix(":443").removesuffix(":80")
        return found


@dataclass(frozen=True, slots=True)
class Scope:
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
    """Pairs sorted by name, equal names in their order; everything but letters, digits and `-_.~` percent-encoded."""
    coded = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query]
    return "&".join(f"{name}={value}" for name, value in sorted(coded, key=lambda pair: pair[0]))


def canonical_request(request: Request, signed: Iterable[str]) -> str:
    """The request as the signature sees it. `signed` are lower-case header names, sorted."""
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


def signature(request: Request, signed: Iterable[str], secret_key: str, scope: Scope) -> str:
    """The signature in lower-case hexadecimal digits; `x-date` has to be among the headers."""
    x_date = request.named["x-date"]
    hashed = hashlib.sha256(canonical_request(request, signed).encode()).hexdigest()
    text = "\n".join([ALGORITHM, x_date, scope.text(x_date), hashed])
    key = secret_key.encode()
    for part in scope.text(x_date).split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def authorization(request: Request, keys: Keys, scope: Scope, signed: Iterable[str] = ()) -> str:
    """The value of the Authorization header. What is signed by default: `SIGNED`, as far as it is sent."""
    names = sorted(signed) or [name for name in SIGNED if name in request.named]
    made = signature(request, names, keys.secret_key, scope)
    credential = f"{keys.access_key}/{scope.text(request.named['x-date'])}"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={made}"
