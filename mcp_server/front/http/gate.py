"""What every request passes before it reaches the protocol or a file: the name it calls us by, proof, room, the log.

The gate stands around the whole application, so that no route can forget it. Open to everybody are only the
paths that it is told: the health check, and the public facts of an OAuth resource. The page for people asks for
proof of its own, and no bearer token counts there.
"""

import time
from collections.abc import Collection

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server.errors import FenqunError
from mcp_server.front import rendering
from mcp_server.front.http.access import IDENTITY, Caller, Refused, Verify, bearer, challenge, invalid_token, sdk_user
from mcp_server.front.http.limits import Doorman, Kind, Limits
from mcp_server.operations.calling import internal_error
from mcp_server.operations.identity import Identity
from mcp_server.text import Language, Text
from mcp_server.web.answer import Answer, log_access

STATUS = {
    "invalid_arguments": 400,
    "not_allowed": 403,
    "read_only": 403,
    "not_found": 404,
    "no_project": 404,
    "no_data": 404,
    "load_refused": 413,
    "disk_full": 507,
    "workspace_busy": 503,
}
"""HTTP status of each error that can arise outside of MCP; 500 for any other."""

_ENDING = Text("The server is about to end.", "服务正在停止。")
_AFTER = Text("Try again in a moment.", "请稍后重试。")


class Gate:
    """The ASGI application as it is served."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: TransportSecuritySettings,
        verify: Verify | None,
        open_paths: Collection[str],
        people: str = "",
        limits: Limits,
        language: Language,
        metadata_url: str = "",
    ) -> None:
        self._app = AuthContextMiddleware(app)
        self._names = TransportSecurityMiddleware(names)
        self._verify = verify
        self._open = frozenset(open_paths)
        self._people = people
        self._doorman = Doorman(limits)
        self._language = language
        self._metadata_url = metadata_url
        self._streams: set[anyio.CancelScope] = set()
        self.stopping = False

    def stop(self) -> None:
        """Let nothing new in, and end the streams, which would never end by themselves. Calls run on."""
        self.stopping = True
        for scope in self._streams:
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, began = Answer(send), time.perf_counter()
        request = Request(scope, receive)
        try:
            await self._passed(request, answer)
        except Refused as refused:
            await self._refuse(request, answer, refused)
        except FenqunError as error:
            await self._explain(request, answer, error)
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            await self._explain(request, answer, internal_error("http"))
        finally:
            who = scope.get(IDENTITY)
            log_access(who.name if isinstance(who, Identity) else "", scope, answer.status, began)

    async def _passed(self, request: Request, answer: Answer) -> None:
        if request.scope["path"] in self._open:
            await self._app(request.scope, request.receive, answer)
            return
        wrong_name = await self._names.validate_request(request)
        if wrong_name is not None:
            await wrong_name(request.scope, request.receive, answer)
            return
        if self._is_for_people(request):
            await self._shown(request, answer)
            return
        caller = await self._caller(request)
        self._still_open()
        request.scope[IDENTITY] = caller.who
        if self._verify is not None:
            request.scope["user"] = sdk_user(caller)
        kind = _kind(request)
        with self._doorman.admitted(kind, caller.credential):
            await self._served(request, answer, kind)

    def _is_for_people(self, request: Request) -> bool:
        path = request.scope["path"]
        return bool(self._people) and (path == self._people or path.startswith(f"{self._people}/"))

    async def _shown(self, request: Request, answer: Answer) -> None:
        """The page finds out by itself who a person is; nothing that a program sends proves one."""
        self._still_open()
        with self._doorman.admitted("call", _PEOPLE):
            await self._app(request.scope, request.receive, answer)

    def _still_open(self) -> None:
        if self.stopping:
            raise Refused(503, "stopping", _ENDING, _AFTER)

    async def _served(self, request: Request, answer: Answer, kind: Kind) -> None:
        with anyio.CancelScope() as scope:
            if kind == "stream":
                self._streams.add(scope)
            try:
                await self._app(request.scope, request.receive, answer)
            finally:
                self._streams.discard(scope)
        if scope.cancelled_caught:
            await answer.finish()

    async def _caller(self, request: Request) -> Caller:
        if self._verify is None:
            return _NEIGHBOUR
        caller = await self._verify(bearer(request))
        if caller is None:
            raise invalid_token()
        return caller

    async def _refuse(self, request: Request, answer: Answer, refused: Refused) -> None:
        body = {"error": refused.error or "unauthorized", "message": refused.message.say(self._language)}
        headers = {"Cache-Control": "no-store"}
        if refused.status in (401, 403):
            headers["WWW-Authenticate"] = challenge(refused, self._metadata_url)
        if refused.status in (429, 503):
            headers["Retry-After"] = "1"
        body["next"] = refused.next_step.say(self._language)
        await answer.whole(JSONResponse(body, refused.status, headers), request)

    async def _explain(self, request: Request, answer: Answer, error: FenqunError) -> None:
        body = rendering.structured_error(error, self._language)
        await answer.whole(JSONResponse(body, STATUS.get(error.code, 500), {"Cache-Control": "no-store"}), request)


_PEOPLE = "people"
"""All requests of the page count as those of one caller."""
_NEIGHBOUR = Caller(Identity("loopback", "loopback"), "loopback")
"""Whoever calls from this machine where no proof is asked for; nothing more is known."""


def _kind(request: Request) -> Kind:
    """A stream waits for what the server may say: a session's own channel, or a subscription."""
    if request.method == "GET":
        return "stream" if request.scope["path"] == "/mcp" else "call"
    stateless = request.headers.get("mcp-protocol-version", "2025") not in {"2025", *HANDSHAKE_PROTOCOL_VERSIONS}
    # Elsewhere the header may say anything; on the stateless revision it has to agree with the body.
    return "stream" if stateless and request.headers.get("mcp-method") == "subscriptions/listen" else "call"
