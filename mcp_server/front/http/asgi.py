"""The ASGI application: the protocol at `/mcp`, files, the health check, and the gate around all of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http import EventStore
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router

from mcp_server.errors import FenqunError
from mcp_server.front.http.access import Approvers, Verify
from mcp_server.front.http.files import FileDesk, Store
from mcp_server.front.http.gate import Gate
from mcp_server.front.http.limits import LIMITS, Limits
from mcp_server.front.http.oauth import READ, WRITE
from mcp_server.front.http.page import PAGE, Page
from mcp_server.front.server import Face, FenqunServer
from mcp_server.front.work import Work, serving
from mcp_server.operations.operation import Deps, Operation

MCP: Final = "/mcp"
HEALTH: Final = "/health"
_RETRY: Final = 100
"""Milliseconds after which a client comes back for a stream that can be resumed."""

_URL: Final = TypeAdapter(AnyHttpUrl)


@dataclass(frozen=True, slots=True)
class Resource:
    """What an OAuth resource server tells everybody about itself (RFC 9728)."""

    url: str
    """The resource identifier: what tokens name as their audience."""
    issuer: str


@dataclass(frozen=True, slots=True)
class Door:
    """How the application meets the world."""

    names: Sequence[str] = ("127.0.0.1", "localhost", "[::1]")
    """Host names that a request may be addressed to; any other is another site's trick (DNS rebinding)."""
    verify: Verify | None = None
    """What a token proves; None lets everybody in, and is only for a server that listens on this machine alone."""
    approvers: Approvers | None = None
    """Who may decide what waits; None offers no page for it."""
    resource: Resource | None = None
    public_url: str = ""
    limits: Limits = LIMITS


def application(
    operations: Sequence[Operation[Any, Any]],
    deps: Deps,
    store: Store,
    door: Door,
    *,
    alive: Callable[[], object],
    make: Callable[[Face, Callable[[], Work]], FenqunServer] = FenqunServer,
    events: EventStore | None = None,
) -> Gate:
    """The application over these parts. `alive` raises FenqunError where the workspace cannot be used; `make`
    makes the MCP server; `events` keeps what its streams say, so that a client that has lost one can go on."""
    desk = FileDesk(store, deps, door.limits, public_url=door.public_url)
    page = Page(operations, deps, door.approvers, desk.files_of, public_url=door.public_url) if door.approvers else None
    names = _security(door.names)
    manager = StreamableHTTPSessionManager(
        serving(Work(operations, deps, desk.files_of, page.address if page else None), make).lowlevel,
        event_store=events,
        retry_interval=_RETRY if events else None,
        security_settings=names,
        max_request_body_size=door.limits.body,
        max_sessions=door.limits.sessions,
    )

    async def health(_: Request) -> Response:
        try:
            if not gate.stopping:
                await anyio.to_thread.run_sync(alive)
                return JSONResponse({"status": "ok"})
        except FenqunError as error:
            return JSONResponse({"status": error.code}, 503)
        return JSONResponse({"status": "stopping"}, 503)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with manager.run():
            yield
        await deps.disconnect()

    facts, metadata_url = _facts(door.resource)
    routes = [
        Route(MCP, StreamableHTTPASGIApp(manager)),
        Route(HEALTH, health),
        Route("/imports", desk.take, methods=["POST"]),
        Route("/exports/{id}", desk.give, methods=["GET"]),
        *(page.routes() if page else ()),
        *facts,
    ]
    gate = Gate(
        Router(routes, lifespan=lambda _: running()),
        names=names,
        verify=door.verify,
        open_paths=[HEALTH, *(route.path for route in facts)],
        people=PAGE if page else "",
        limits=door.limits,
        language=deps.language,
        metadata_url=metadata_url,
    )
    return gate


def _security(names: Sequence[str]) -> TransportSecuritySettings:
    """Requests to and, from browsers, of pages on these hosts, on any port."""
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
        allowed_origins=[
            f"{scheme}://{form}" for name in names for form in (name, f"{name}:*") for scheme in ("http", "https")
        ],
    )


def _facts(resource: Resource | None) -> tuple[list[Route], str]:
    """The routes of the resource metadata, and its address."""
    if resource is None:
        return [], ""
    url = _URL.validate_python(resource.url)
    routes: list[BaseRoute] = list(
        create_protected_resource_routes(url, [_URL.validate_python(resource.issuer)], [READ, WRITE], "fenqun · 分群")
    )
    return [route for route in routes if isinstance(route, Route)], str(build_resource_metadata_url(url))
