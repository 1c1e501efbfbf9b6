"""MCP over standard input and output: one JSON message a line. Everything else goes to stderr.

The SDK's own files go through a pool of threads three times for each message, which takes longer than most calls, and
which waits while calls use up the pool. Here one thread reads, and what the pipe accepts at once is written at once.
Framing, messages and sessions stay the SDK's.
"""

import logging
import os
import select
import signal
import sys
from asyncio import Queue, get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Semaphore, Thread
from typing import Any, Final, cast

import anyio
import anyio.to_thread
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import METHOD_NOT_FOUND, ErrorData, JSONRPCError, JSONRPCRequest

from mcp_server.front.mcp.server import FenqunServer

# Files of the event loop over the bare descriptors


_CHUNK: Final = 1 << 16
_AHEAD: Final = 64
"""Lines that are read before they are taken."""


class Lines:
    """The lines of a descriptor, UTF-8; invalid bytes are replaced, and the JSON parser reports them."""

    def __init__(self, descriptor: int) -> None:
        """Start to read; to be called inside the event loop that takes the lines."""
        self._loop = get_running_loop()
        self._lines: Queue[str | None] = Queue()
        self._room = Semaphore(_AHEAD)
        # A daemon on the bare descriptor: a read can't be woken, and the end of the process must not wait for it.
        Thread(target=self._read, args=(descriptor,), daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            self._room.release()
            yield line

    def _read(self, descriptor: int) -> None:
        rest = bytearray()
        try:
            while chunk := os.read(descriptor, _CHUNK):
                rest += chunk
                if b"\n" in chunk:
                    *lines, rest = rest.split(b"\n")
                    for line in lines:
                        self._put(line)
            if rest:
                self._put(rest)
        except OSError:  # the other end is gone, which is an end of the input too
            pass
        except RuntimeError:  # the event loop is closed: nobody takes lines any more
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)

    def _put(self, line: bytearray) -> None:
        self._room.acquire()
        self._loop.call_soon_threadsafe(self._lines.put_nowait, line.decode("utf-8", "replace"))


class Writer:
    """Writes text to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._text = ""

    async def write(self, text: str) -> None:
        """Keep the text for `flush`."""
        self._text += text

    async def flush(self) -> None:
        """Write what was kept. A slow reader holds up a thread, and not the event loop."""
        data, self._text = self._text.encode("utf-8"), ""
        # A pipe that is ready takes up to PIPE_BUF without waiting.
        if len(data) <= select.PIPE_BUF and self._ready.poll(0):
            data = data[os.write(self._descriptor, data) :]
        if data:
            await anyio.to_thread.run_sync(self._write, data)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]


@contextmanager
def claimed() -> Iterator[tuple[int, int]]:
    """The descriptors of standard input and output for the protocol alone: meanwhile other code that reads finds the
    end of the input, and what it prints goes to stderr, so that nothing gets between the messages."""
    own = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    try:
        yield own
    finally:
        os.dup2(own[0], 0)
        os.dup2(own[1], 1)


# Serving


Stream = Any
"""One direction of the SDK's transport; its type is private there."""


def serve(server: FenqunServer, close: Callable[[], None], *, discover: bool = True) -> None:
    """Serve until the client closes our standard input, then cancel the calls that are under way.

    SIGINT and SIGTERM end the process, after `close` (which is not called when this returns). Without `discover`
    every client is led to the handshake.
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
    except* BrokenPipeError:  # the client is gone
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
    after a discovery. Where there is no such method, every client falls back to the handshake.
    """
    relayed, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    async with anyio.create_task_group() as group:

        async def relay() -> None:
            async with relayed:
                async for item in read:
                    match item:
                        case SessionMessage(message=JSONRPCRequest(method="server/discover", id=number)):
                            error = ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
                            await write.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=error)))
                        case _:
                            await relayed.send(item)

        group.start_soon(relay)
        await _run(lowlevel, received, write)
        group.cancel_scope.cancel()
