"""Faults of a server: a gateway that lets chosen requests go wrong."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.gateway.app import Gateway


class Kind(Enum):
    """What goes wrong."""

    DELAY = "the answer's body waits until `until` returns; where it does not act before, act and answer wait"
    DROP = "the connection ends inside the answer's head"
    STATUS = "a status without a body of the vendor's"
    TRUNCATED = "half of the body, as if it were all"
    NOT_JSON = "a page for people"
    THROTTLED = "the vendor's own words for: too many calls"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for one request. `acts`: whether the request is carried out before it goes wrong."""

    kind: Kind
    acts: bool = True
    status: int = 503
    until: Callable[[], Awaitable[None]] | None = None
    acted: Callable[[], None] | None = None
    """Called when a delayed request was carried out, before anything is answered."""
    path: str = ""
    """Only a request to this path; empty: any."""


@dataclass
class Faults:
    """Faults that wait for their request, first come first."""

    waiting: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """Paths of all requests, faulty or not."""

    def add(self, *faults: Fault) -> None:
        """Let the next requests go wrong."""
        self.waiting += faults

    def take(self, path: str) -> Fault | None:
        """The fault for a request to this path."""
        self.seen.append(path)
        found = next((fault for fault in self.waiting if fault.path in ("", path)), None)
        if found is not None:
            self.waiting.remove(found)
        return found


class FaultyGateway:
    """A gateway whose requests meet the faults that wait for them."""

    def __init__(self, gateway: Gateway, faults: Faults) -> None:
        self._gateway = gateway
        self._faults = faults

    def stop(self) -> None:
        self._gateway.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._faults.take(scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self._gateway(scope, receive, send)
        else:
            await spoiled(fault, self._gateway, scope, receive, send)


_PAGE: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass
class _Kept:
    """An answer that is held back."""

    head: Message | None = None
    body: bytes = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.head = message
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def begun(self, send: Send, body: bytes) -> None:
        head = self.head or {"type": "http.response.start", "status": 500, "headers": []}
        headers = [(name, value) for name, value in head["headers"] if name.lower() != b"content-length"]
        await send({**head, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": b"", "more_body": True})

    async def sent(self, send: Send, body: bytes) -> None:
        await self.begun(send, body)
        await send({"type": "http.response.body", "body": body})


async def spoiled(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with a fault."""
    kept = _Kept()
    if fault.kind is Kind.DELAY:
        await _delayed(fault, app, scope, receive, send, kept)
        return
    if fault.acts and fault.kind is not Kind.THROTTLED:
        await app(scope, receive, kept)
    if fault.kind is Kind.TRUNCATED:
        await kept.sent(send, kept.body[: len(kept.body) // 2])
    elif fault.kind is Kind.DROP:
        length = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
    elif fault.kind is Kind.THROTTLED:
        await _throttled(scope["path"])(scope, receive, send)
    else:
        status = fault.status if fault.kind is Kind.STATUS else 200
        await Response(_PAGE, status, media_type="text/html")(scope, receive, send)


async def _delayed(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send, kept: _Kept) -> None:
    """Answer late; a request that is carried out late is taken whole before, as its sender may be gone by then."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    left = iter(messages)

    async def again() -> Message:
        return next(left, {"type": "http.disconnect"})

    if not fault.acts and fault.until is not None:
        await fault.until()
    await app(scope, again, kept)
    if fault.acted is not None:
        fault.acted()
    await kept.begun(send, kept.body)
    if fault.acts and fault.until is not None:
        await fault.until()
    await send({"type": "http.response.body", "body": kept.body})


def _throttled(path: str) -> Response:
    """Too many calls, in the words of the vendor to whom the path belongs."""
    if path == "/":
        error = {"CodeN": 100018, "Code": "FlowLimitExceeded", "Message": "Flow limit exceeded"}
        body: dict[str, object] = {"ResponseMetadata": {"RequestId": "0", "Error": error}}
        return Response(json.dumps(body), 429, media_type="application/json")
    if path == "/router/rest":
        error = {
            "code": 7,
            "msg": "App Call Limited",
            "sub_code": "accesscontrol.limited-by-api-access-count",
            "sub_msg": "This ban will last for 1 more seconds",
        }
        return Response(json.dumps({"error_response": error}), media_type="application/json")
    said = {"return_code": -1005, "return_message": "请求过于频繁"}
    return Response(json.dumps(said, ensure_ascii=False), media_type="application/json;charset=utf-8")
