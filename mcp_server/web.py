"""Serving HTTP, for the MCP server and for the gateway: sockets, uvicorn, the access log, request bodies under a limit."""

import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

import anyio
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from mcp_server.ending import signals_end_the_process
from mcp_server.errors import ConfigurationError
from mcp_server.language.problems import shorten
from mcp_server.text import Text

# Answers and the access log


_log = logging.getLogger("fenqun.access")


def log_access(caller: str, scope: Scope, status: int, began: float) -> None:
    """Write one line: caller, method, path, status and time. Never the query: one vendor's token is in it."""
    path = quote(scope["path"], safe="/:@-._~")  # with no way to break the line
    spent = (time.perf_counter() - began) * 1000
    _log.info("%s %s %s %s %.0f ms", quote(caller, safe="@.-_ ") or "-", scope["method"], path, status, spent)


class TrackedSend:
    """Sends an answer to the client, and remembers how far it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self._complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
        await self._send(message)

    async def whole(self, response: Response, request: Request) -> None:
        """Send a response, if none has begun."""
        if not self.status:
            await response(request.scope, request.receive, self)

    async def finish(self) -> None:
        """End an answer that was interrupted."""
        if self.status and not self._complete:
            await self({"type": "http.response.body", "body": b"", "more_body": False})


# Bodies of requests, read under a limit


PAUSE: Final = 60.0
"""Most seconds between two pieces of a body."""


class TooLong(Exception):
    """The body has more bytes than are accepted."""


class Stopped(Exception):
    """The body stopped arriving."""


async def pieces(request: Request, most: int, pause: float = PAUSE) -> AsyncIterator[bytes]:
    """Yield the body piece by piece. TooLong as soon as that is known, Stopped where nothing more arrives."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise TooLong
    stream, size = request.stream(), 0
    while True:
        try:
            with anyio.fail_after(pause):
                piece = await anext(stream, None)
        except (TimeoutError, ClientDisconnect) as error:
            raise Stopped from error
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise TooLong
        if piece:
            yield piece


async def whole(request: Request, most: int, pause: float = PAUSE) -> bytes:
    """Return the body, in memory."""
    return b"".join([piece async for piece in pieces(request, most, pause)])


async def into_file(request: Request, path: Path, most: int, pause: float = PAUSE) -> int:
    """Write the body to a new file that only its owner can read; return its size."""
    size = 0
    async with await anyio.open_file(path, "wb", opener=private) as file:
        async for piece in pieces(request, most, pause):
            size += len(piece)
            await file.write(piece)
    return size


def private(path: str, flags: int) -> int:
    """Open a file that only its owner can read (the `opener` of `open`)."""
    return os.open(path, flags, 0o600)


# Serving with uvicorn, from a bound socket to a graceful end


GRACE: Final = 7
"""Seconds that requests under way get to finish when the server ends; less than `ending.SECONDS`."""

_CANNOT = Text("{host}:{port} can't be listened on ({reason}).", "无法监听 {host}:{port}（{reason}）。")
_OTHER_PORT = Text("Choose another one with --host and --port.", "请用 --host 和 --port 指定其他地址或端口。")


class Served(Protocol):
    """An ASGI application that learns when the server is about to end."""

    def stop(self) -> None:
        """Let nothing new in."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form."""

    certificate: str
    key: str


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us and ends streams that do not end by themselves."""

    gate: Served

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.gate.stop()
        await super().shutdown(sockets)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. ConfigurationError where that is not possible."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.create_server((str(address[0]), int(address[1])), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        # `create_server` adds the address to the system's message; an unknown name has a negative number and its own message.
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)
        raise ConfigurationError(
            _CANNOT.format(host=shorten(host), port=port, reason=reason), next_step=_OTHER_PORT
        ) from error
    # Accepted connections inherit it; without it an answer of two pieces waits 40 ms for an acknowledgement.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    return made


def address_of(listening: socket.socket, scheme: str = "http") -> str:
    """Return the address of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def server_of(gate: Served, connections: int, *, tls: Tls | None = None, grace: int = GRACE) -> _Server:
    """Return the server, not yet started. It writes no access log: the gate does, without queries."""
    config = uvicorn.Config(
        gate,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        timeout_graceful_shutdown=grace,
    )
    server = _Server(config)
    server.gate = gate
    return server


def serve(
    gate: Served, listening: socket.socket, connections: int, ready: Callable[[], None], *, tls: Tls | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; a second one does not wait for requests under way."""
    server = server_of(gate, connections, tls=tls)

    def end(_: int) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    with signals_end_the_process(end):
        anyio.run(_serve, server, listening, ready)


async def _serve(server: _Server, listening: socket.socket, ready: Callable[[], None]) -> None:
    ready()
    await server.serve([listening])
