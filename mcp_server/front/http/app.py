"""The ASGI application: the gate that every request passes, the protocol at `/mcp`, files, the health check."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http import EventStore
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import AnyHttpUrl, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server.consent.invoke import internal_error
from mcp_server.errors import FenqunError
from mcp_server.front.http.access import (
    IDENTITY,
    LIMITS,
    Approvers,
    Caller,
    HttpLimits,
    InFlight,
    Kind,
    Refused,
    Verify,
    bearer,
    challenge,
    invalid_token,
    sdk_user,
)
from mcp_server.front.http.files import FileRoutes
from mcp_server.front.http.oauth import READ, WRITE
from mcp_server.front.http.page import PAGE, ApprovalPage
from mcp_server.front.mcp import rendering
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import FenqunServer, Manifest, serving
from mcp_server.operations.operation import Deps, Identity, Operation
from mcp_server.store.files import HandedFiles
from mcp_server.text import Language, Text
from mcp_server.web import TrackedSend, log_access

# The gate: checks of each request before the protocol, a file or a page gets it (host name, proof, limits), and the log
#
# It is around the whole application, so that no route can forget it. Open to everybody are only the health check and
# the public facts of an OAuth resource. The page for people asks for proof of its own, and no bearer token counts there.


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
        limits: HttpLimits,
        language: Language,
        metadata_url: str = "",
    ) -> None:
        self._app = AuthContextMiddleware(app)
        self._names = TransportSecurityMiddleware(names)
        self._verify = verify
        self._open = frozenset(open_paths)
        self._people = people
        self._in_flight = InFlight(limits)
        self._language = language
        self._metadata_url = metadata_url
        self._streams: set[anyio.CancelScope] = set()
        self.stopping = False

    def stop(self) -> None:
        """Refuse new requests, and end the streams, which would never end by themselves. Calls run on."""
        self.stopping = True
        for scope in self._streams:
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, began = TrackedSend(send), time.perf_counter()
        request = Request(scope, receive)
        try:
            await self._pass(request, answer)
        except Refused as refused:
            await self._refuse(request, answer, refused)
        except FenqunError as error:
            await self._explain(request, answer, error)
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            await self._explain(request, answer, internal_error("http"))
        finally:
            identity = scope.get(IDENTITY)
            log_access(identity.name if isinstance(identity, Identity) else "", scope, answer.status, began)

    async def _pass(self, request: Request, answer: TrackedSend) -> None:
        if request.scope["path"] in self._open:
            await self._app(request.scope, request.receive, answer)
            return
        wrong_name = await self._names.validate_request(request)
        if wrong_name is not None:
            await wrong_name(request.scope, request.receive, answer)
            return
        kind: Kind = "call"
        if self._is_for_people(request.scope["path"]):  # the page asks for a proof of its own
            credential = _PEOPLE
        else:
            caller = await self._caller(request)
            credential, kind = caller.credential, _kind(request)
            request.scope[IDENTITY] = caller.identity
            if self._verify is not None:
                request.scope["user"] = sdk_user(caller)
        if self.stopping:
            raise Refused(503, "stopping", _ENDING, _AFTER)
        with self._in_flight.admitted(kind, credential):
            await self._serve(request, answer, kind)

    def _is_for_people(self, path: str) -> bool:
        return bool(self._people) and (path == self._people or path.startswith(f"{self._people}/"))

    async def _serve(self, request: Request, answer: TrackedSend, kind: Kind) -> None:
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
            return _LOOPBACK
        caller = await self._verify(bearer(request))
        if caller is None:
            raise invalid_token()
        return caller

    async def _refuse(self, request: Request, answer: TrackedSend, refused: Refused) -> None:
        body = {"error": refused.error or "unauthorized", "message": refused.message.say(self._language)}
        headers = {"Cache-Control": "no-store"}
        if refused.status in (401, 403):
            headers["WWW-Authenticate"] = challenge(refused, self._metadata_url)
        if refused.status in (429, 503):
            headers["Retry-After"] = "1"
        body["next"] = refused.next_step.say(self._language)
        await answer.whole(JSONResponse(body, refused.status, headers), request)

    async def _explain(self, request: Request, answer: TrackedSend, error: FenqunError) -> None:
        body = rendering.structured_error(error, self._language)
        await answer.whole(JSONResponse(body, STATUS.get(error.code, 500), {"Cache-Control": "no-store"}), request)


_PEOPLE = "people"
"""All requests of the page count as those of one caller."""
_LOOPBACK = Caller(Identity("loopback", "loopback"), "loopback")
"""The caller from this machine where no proof is asked for; nothing more is known."""


def _kind(request: Request) -> Kind:
    """Whether a request is a call or a stream: a session's own channel, or a subscription."""
    if request.method == "GET":
        return "stream" if request.scope["path"] == "/mcp" else "call"
    stateless = request.headers.get("mcp-protocol-version", "2025") not in {"2025", *HANDSHAKE_PROTOCOL_VERSIONS}
    # On other revisions the header may hold anything; on the stateless one it has to agree with the body.
    return "stream" if stateless and request.headers.get("mcp-method") == "subscriptions/listen" else "call"


# The application: the protocol at `/mcp`, files, the health check, and the gate around all of it


MCP: Final = "/mcp"
HEALTH: Final = "/health"
_RETRY: Final = 100
"""Milliseconds after which a client comes back for a stream that can be resumed."""

_URL: Final = TypeAdapter(AnyHttpUrl)


@dataclass(frozen=True, slots=True)
class OAuthResource:
    """What an OAuth resource server publishes about itself (RFC 9728)."""

    url: str
    """The resource identifier, which tokens name as their audience."""
    issuer: str


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How the application is reached, by which names and with which proof."""

    names: Sequence[str] = ("127.0.0.1", "localhost", "[::1]")
    """Host names that a request may be addressed to; any other is another site's trick (DNS rebinding)."""
    verify: Verify | None = None
    """Checks a token; None lets everybody in, and is only for a server that listens on this machine alone."""
    approvers: Approvers | None = None
    """Those who may decide what waits; None offers no page for it."""
    resource: OAuthResource | None = None
    public_url: str = ""
    limits: HttpLimits = LIMITS


def application(
    operations: Sequence[Operation[Any, Any]],
    deps: Deps,
    store: HandedFiles,
    settings: GateSettings,
    *,
    alive: Callable[[], object],
    make: Callable[[Manifest, Callable[[], Handler]], FenqunServer] = FenqunServer,
    events: EventStore | None = None,
) -> Gate:
    """The application over these parts. `alive` raises FenqunError where the workspace cannot be used; `make`
    makes the MCP server; `events` keeps the messages of its streams, so that a client that has lost one can go on."""
    url, approvers = settings.public_url, settings.approvers
    files = FileRoutes(store, deps, settings.limits, public_url=url)
    page = ApprovalPage(operations, deps, approvers, files.files_of, public_url=url) if approvers else None
    names = _security(settings.names)
    server = serving(Handler(operations, deps, files.files_of, page.address if page else None), make)
    manager = StreamableHTTPSessionManager(
        server.lowlevel,
        event_store=events,
        retry_interval=_RETRY if events else None,
        security_settings=names,
        max_request_body_size=settings.limits.body,
        max_sessions=settings.limits.sessions,
    )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with manager.run():
            yield
        await deps.disconnect()

    facts, metadata_url = _facts(settings.resource)
    routes = [
        Route(MCP, StreamableHTTPASGIApp(manager)),
        Route(HEALTH, _health(alive, lambda: gate.stopping)),
        Route("/imports", files.upload, methods=["POST"]),
        Route("/exports/{id}", files.download, methods=["GET"]),
        *(page.routes() if page else ()),
        *facts,
    ]
    gate = Gate(
        Router(routes, lifespan=lambda _: running()),
        names=names,
        verify=settings.verify,
        open_paths=[HEALTH, *(route.path for route in facts)],
        people=PAGE if page else "",
        limits=settings.limits,
        language=deps.language,
        metadata_url=metadata_url,
    )
    return gate


def _health(alive: Callable[[], object], stopping: Callable[[], bool]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of the health check: 200 while the workspace can be used and the server is not about to end."""

    async def health(_: Request) -> Response:
        try:
            if not stopping():
                await anyio.to_thread.run_sync(alive)
                return JSONResponse({"status": "ok"})
        except FenqunError as error:
            return JSONResponse({"status": error.code}, 503)
        return JSONResponse({"status": "stopping"}, 503)

    return health


def _security(names: Sequence[str]) -> TransportSecuritySettings:
    """Requests to and, from browsers, of pages on these hosts, on any port."""
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
        allowed_origins=[
            f"{scheme}://{form}" for name in names for form in (name, f"{name}:*") for scheme in ("http", "https")
        ],
    )


def _facts(resource: OAuthResource | None) -> tuple[list[Route], str]:
    """The routes of the resource metadata, and its address."""
    if resource is None:
        return [], ""
    url = _URL.validate_python(resource.url)
    routes: list[BaseRoute] = list(
        create_protected_resource_routes(url, [_URL.validate_python(resource.issuer)], [READ, WRITE], "fenqun · 分群")
    )
    return [route for route in routes if isinstance(route, Route)], str(build_resource_metadata_url(url))
