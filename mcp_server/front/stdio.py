"""MCP over standard input and output: one JSON message a line. Everything else that is said goes to stderr."""

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import METHOD_NOT_FOUND, ErrorData, JSONRPCError, JSONRPCRequest

from mcp_server.front.pipes import Lines, Writer, claimed
from mcp_server.front.server import FenqunServer

Stream = Any
"""One direction of the SDK's transport; its type is private there."""


def serve(server: FenqunServer, close: Callable[[], None], *, discover: bool = True) -> None:
    """Serve until the client closes our standard input, then cancel the calls that are under way.

    SIGINT and SIGTERM end the process, after `close`. (`close` is not called when this returns.) Without
    `discover` every client is led to the handshake.
    """
    anyio.run(_serve, server, close, discover)


def log_to_stderr(*, access: bool = False) -> None:
    """Send the log to stderr, before the SDK sets up a log of its own; with `access` each HTTP request too."""
    if access:
        logging.getLogger("fenqun.access").setLevel(logging.INFO)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


async def _serve(server: FenqunServer, close: Callable[[], None], discover: bool) -> None:
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_end_on_signal, close)
            group.start_soon(server.warm)
            async with _transport() as (read, write):
                run = _run if discover else _run_without_discover
                await run(server.lowlevel, read, write)
            group.cancel_scope.cancel()
    except* BrokenPipeError:  # the client is gone; nobody is left to tell
        pass
    finally:
        with anyio.CancelScope(shield=True):
            await server.disconnect()


async def _end_on_signal(close: Callable[[], None]) -> None:
    """End at once: a thread that reads standard input cannot be woken, so nothing here could unwind."""
    if os.name == "nt":  # no such receiver there; the interpreter ends by itself
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            close()
            os._exit(128 + number)


@asynccontextmanager
async def _transport() -> AsyncIterator[tuple[Stream, Stream]]:
    """The SDK's transport; over files of our own where pipes can be asked whether they are ready."""
    if os.name == "nt":
        async with stdio_server() as streams:
            yield streams
        return
    with claimed() as (source, sink):
        files = cast("tuple[anyio.AsyncFile[str], anyio.AsyncFile[str]]", (Lines(source), Writer(sink)))
        async with stdio_server(*files) as streams:
            yield streams


async def _run(lowlevel: Server[Any], read: Stream, write: Stream) -> None:
    await lowlevel.run(read, write, lowlevel.create_initialization_options())


async def _run_without_discover(lowlevel: Server[Any], read: Stream, write: Stream) -> None:
    """Serve clients that ask `server/discover` and then shake hands all the same.

    The SDK takes the first request to decide the protocol of the whole connection, and refuses the handshake
    after a discovery. Told that there is no such method, every client falls back to the handshake.
    """
    ours, theirs = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    async with anyio.create_task_group() as group:

        async def relay() -> None:
            async with ours:
                async for message in read:
                    refusal = _refusal(message)
                    if refusal is None:
                        await ours.send(message)
                    else:
                        await write.send(refusal)

        group.start_soon(relay)
        await _run(lowlevel, theirs, write)
        group.cancel_scope.cancel()


def _refusal(message: SessionMessage | Exception) -> SessionMessage | None:
    if isinstance(message, Exception):
        return None
    asked = message.message
    if not isinstance(asked, JSONRPCRequest) or asked.method != "server/discover":
        return None
    error = ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=asked.id, error=error))
