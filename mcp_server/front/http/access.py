"""The caller over HTTP: the bearer token, what it proves, how a refusal is reported (RFC 6750), and how much at once."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.requests import HTTPConnection

from mcp_server.operations.operation import Identity
from mcp_server.text import Text

# Tokens


IDENTITY: Final = "fenqun.identity"
"""Where the gate leaves the caller's identity in the ASGI scope."""
MOST_TOKEN: Final = 8192
"""Characters of a token that are looked at at all."""

_NO_TOKEN = Text("This server requires an access token.", "本服务需要访问令牌。")
_BAD_TOKEN = Text(
    "The access token is not valid: it is wrong, revoked or expired, or was made for another server.",
    "访问令牌无效：令牌错误、已吊销、已过期，或并非为本服务签发。",
)
_SEND_TOKEN = Text(
    'Send it in the header "Authorization: Bearer …". The operator of the server hands tokens out.',
    "请在请求头中携带“Authorization: Bearer …”。令牌由服务的运行者发放。",
)
_ONLY_APPROVES = Text("An approval token opens the approval page only.", "审批令牌仅可用于审批页面。")
_OTHER_TOKEN = Text(
    "Use a token of the scope read or write here; no program should hold an approval token.",
    "请在此使用 read 或 write 范围的令牌；审批令牌不应交给任何程序。",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """What a token proves."""

    identity: Identity
    credential: str
    """An id of the credential: a session that one has opened is closed to every other."""
    issuer: str = ""


class Refused(Exception):
    """A request that is refused, in the words of RFC 6750."""

    def __init__(self, status: int, error: str, message: Text, next_step: Text, *, scope: str = "") -> None:
        super().__init__(message.en)
        self.status, self.error, self.message, self.next_step, self.scope = status, error, message, next_step, scope


Verify = Callable[[str], Awaitable[Caller | None]]
"""What a token proves; None where it proves nothing."""


class Approvers(Protocol):
    """The callers who may decide what waits. Looked up at each request, so that revoking works at once."""

    def by_token(self, token: str) -> Caller | None:
        """The holder of this approval token; None for any other token."""

    def by_credential(self, credential: str) -> Caller | None:
        """The holder of an approval token that was shown before; None where it holds no longer."""


def bearer(request: HTTPConnection) -> str:
    """The token of a request; Refused where there is none, or more than one."""
    headers = request.headers.getlist("authorization")
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Refused(401, "", _NO_TOKEN, _SEND_TOKEN)
    if len(token) > MOST_TOKEN or not token.isascii():
        raise invalid_token()
    return token


def invalid_token() -> Refused:
    """The refusal of a token that proves nothing. It does not say which of the reasons it was."""
    return Refused(401, "invalid_token", _BAD_TOKEN, _SEND_TOKEN)


def only_approves() -> Refused:
    """The refusal of an approval token: it is a person's, for the page, and proves nothing where programs call."""
    return Refused(403, "insufficient_scope", _ONLY_APPROVES, _OTHER_TOKEN, scope="read")


def challenge(refused: Refused, metadata_url: str) -> str:
    """The header `WWW-Authenticate`; without an error where no token was sent (RFC 6750 section 3.1)."""
    parts = {
        "error": refused.error,
        "error_description": refused.message.en if refused.error else "",
        "scope": refused.scope,
        "resource_metadata": metadata_url,
    }
    pairs = [f'{name}="{value}"' for name, value in parts.items() if value]
    return f"Bearer {', '.join(pairs)}".strip()


def sdk_user(caller: Caller) -> AuthenticatedUser:
    """The caller as the SDK binds sessions and request states to it. The token itself stays out."""
    name, claims = caller.identity.name, {"iss": caller.issuer}
    return AuthenticatedUser(AccessToken(token="", client_id=caller.credential, scopes=[], subject=name, claims=claims))


def identity_of(scope: Mapping[str, Any]) -> Identity:
    """The caller of a request that has passed the gate. A request that has not is a bug, and ends as one."""
    identity = scope[IDENTITY]
    assert isinstance(identity, Identity)  # noqa: S101 - the gate is the only writer
    return identity


# Limits: bytes, calls, open streams; of one caller and of all


Kind = Literal["call", "stream"]

_TOO_MANY = Text("You have too many requests under way.", "您同时进行的请求过多。")
_BUSY = Text("The server has too many requests under way.", "服务正在处理的请求过多。")
_LATER = Text("Try again when one of them is answered.", "请在其中某个请求返回后重试。")


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Most of each. A stream is a connection that waits for messages of the server; it does no work."""

    body: int = 4 << 20
    """Bytes of one message."""
    upload: int = 256 << 20
    """Bytes of one uploaded file."""
    upload_pause: float = 60.0
    """Seconds between two pieces of an upload."""
    calls: int = 128
    calls_each: int = 32
    streams: int = 512
    streams_each: int = 128
    sessions: int = 2000
    """Handshake sessions that are open at once."""
    connections: int = 2048


LIMITS: Final = HttpLimits()
"""The limits of a server without settings for them."""


class InFlight:
    """Counts calls and streams that are under way. Used from one event loop."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._all: Counter[Kind] = Counter()
        self._each: Counter[tuple[Kind, str]] = Counter()

    @property
    def calls(self) -> int:
        return self._all["call"]

    @contextmanager
    def admitted(self, kind: Kind, who: str) -> Iterator[None]:
        """Take one place, or raise Refused: 429 where the caller has too many, 503 where all together have."""
        limits = self._limits
        match kind:
            case "call":
                most, most_each = limits.calls, limits.calls_each
            case "stream":
                most, most_each = limits.streams, limits.streams_each
        if self._each[kind, who] >= most_each:
            raise Refused(429, "too_many_requests", _TOO_MANY, _LATER)
        if self._all[kind] >= most:
            raise Refused(503, "busy", _BUSY, _LATER)
        self._all[kind] += 1
        self._each[kind, who] += 1
        try:
            yield
        finally:
            self._all[kind] -= 1
            self._each[kind, who] -= 1
            if not self._each[kind, who]:
                del self._each[kind, who]
