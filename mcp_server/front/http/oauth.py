"""This server as an OAuth 2.1 resource server: tokens of one authorization server, as signed JWTs.

A token counts if the issuer signed it with one of its keys, it names this server as its audience (RFC 8707),
it has not expired, and its scopes reach anything: `fenqun:read` or `fenqun:write`, and one `fenqun:project:N`
for each project, or `fenqun:project:all`. A missing scope never means "everything".
"""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_server.front.http.access import Caller, Refused, invalid_token
from mcp_server.language.problems import shorten
from mcp_server.operations.operation import Identity
from mcp_server.text import Text

if TYPE_CHECKING:
    from jwt import PyJWK

_log = logging.getLogger("fenqun")

READ: Final = "fenqun:read"
WRITE: Final = "fenqun:write"
PROJECT: Final = "fenqun:project:"
ALL: Final = "all"

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key only: with a shared secret, a server that can check a token could also make one."""
LEEWAY: Final = 30
"""Seconds by which two clocks may differ."""
KEYS_AGE: Final = 600.0
"""Seconds after which the keys are fetched anew."""
FETCH_PAUSE: Final = 30.0
"""Least seconds between two fetches: an unknown key id must not make us a source of traffic."""
FETCH_TIMEOUT: Final = 5.0

_SCOPE = re.compile(re.escape(PROJECT) + r"([1-9][0-9]{0,17}|all)")
_NO_KEYS = Text(
    "The authorization server's keys could not be fetched, so no token can be checked.",
    "无法获取授权服务器的公钥，因此无法验证令牌。",
)
_LATER = Text("Try again in a moment.", "请稍后重试。")
_NO_SCOPE = Text(
    "The token has neither the scope fenqun:read nor fenqun:write.", "令牌缺少权限范围 fenqun:read 或 fenqun:write。"
)
_ASK = Text("Ask the authorization server for a token with it.", "请向授权服务器申请包含该权限范围的令牌。")


class KeySet:
    """The public keys of the authorization server, fetched when needed."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = anyio.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    async def key(self, name: str) -> "PyJWK | None":
        """The key of this id, None where there is none. Refused (503) where no keys could ever be fetched."""
        async with self._lock:
            now = self._clock()
            wanted = name not in self._keys or now - self._fetched > KEYS_AGE
            if wanted and now - self._tried > FETCH_PAUSE:
                self._tried = now
                await self._fetch(now)
            if not self._keys:
                raise Refused(503, "keys_unavailable", _NO_KEYS, _LATER)
            return self._keys.get(name)

    async def _fetch(self, now: float) -> None:
        import jwt

        client = jwt.PyJWKClient(self._url, cache_jwk_set=False, timeout=FETCH_TIMEOUT)
        try:
            key_set = await anyio.to_thread.run_sync(client.get_jwk_set, abandon_on_cancel=True)
        # An answer that is not a key set fails in many ways.
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            _log.warning("the keys at %s could not be fetched: %s", self._url, shorten(error))
            return
        # A lone key may have no id; then tokens name none either.
        self._keys = {key.key_id or "": key for key in key_set.keys}
        self._fetched = now


class JwtVerifier:
    """Checks tokens of the authorization server."""

    def __init__(self, *, issuer: str, audience: str, keys: KeySet) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    async def __call__(self, token: str) -> Caller | None:
        """The caller; None where the token proves nothing. Refused where its scopes allow nothing."""
        claims = await self._claims(token)
        if claims is None:
            return None
        scopes = _scopes(claims)
        if not scopes & {READ, WRITE}:
            raise Refused(403, "insufficient_scope", _NO_SCOPE, _ASK, scope=READ)
        projects = {match[1] for scope in scopes if (match := _SCOPE.fullmatch(scope))}
        identity = Identity(
            name=_shown(claims["sub"]),
            known="oauth",
            may_write=WRITE in scopes,
            projects=None if ALL in projects else frozenset(projects),
        )
        client = claims.get("client_id") or claims.get("azp") or ""
        return Caller(identity, f"oauth:{client}:{claims['sub']}", self._issuer)

    async def _claims(self, token: str) -> Mapping[str, Any] | None:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        key = await self._keys.key(str(header.get("kid", "")))
        if key is None:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _log.info("a token was refused: %s", shorten(error))
            raise invalid_token() from error
        return claims


def _shown(subject: str) -> str:
    """The subject as the name of a caller. A shortened one gets a hash: two callers never share a name."""
    shown = shorten(subject)
    return shown if shown == subject else f"{shown} ({hashlib.sha256(subject.encode()).hexdigest()[:16]})"


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes, as RFC 9068 writes them (`scope`, one text) or as some servers do (`scp`, a text or a list)."""
    scope = claims.get("scope", claims.get("scp", ""))
    words = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    return frozenset(word for word in words if isinstance(word, str))
