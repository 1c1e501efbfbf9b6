"""MCP over standard input and output: one JSON message a line. Everything else goes to stderr.

The SDK's own files go through a pool of threads three times for each message, which takes longer than most calls, and
which waits while calls use up the pool. Here one thread reads, and what the pipe accepts at once is written at once.
Framing, messages and sessions stay the SDK's.
"""

import codecs
import json
import logging
import os
import re
import select
import sys
from asyncio import Queue, get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from threading import Semaphore, Thread
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCRequest, jsonrpc_message_adapter
from pydantic import ValidationError

from mcp_server.ending import SECONDS, signals_end_the_process
from mcp_server.front.mcp.server import FenqunServer

# Files of the event loop over the bare descriptors


_log = logging.getLogger("fenqun")

_CHUNK: Final = 1 << 16
_AHEAD: Final = 64
"""Lines that are read before they are taken."""


class Lines:
    """The lines of a descriptor, UTF-8; invalid bytes are replaced, and the JSON parser reports them.

    A byte-order mark before the first line is passed over.
    """

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
        begun = False
        try:
            while chunk := os.read(descriptor, _CHUNK):
                rest += chunk
                if not begun and len(rest) >= len(codecs.BOM_UTF8):
                    begun, rest = True, rest.removeprefix(codecs.BOM_UTF8)
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


def serve(server: FenqunServer, close: Callable[[], None], *, seconds: float = SECONDS) -> None:
    """Serve until the client closes our standard input, then cancel the calls that are under way.

    SIGINT and SIGTERM end the process, after `close` (which is not called when this returns), at the latest after
    `seconds`. They end it at once: a thread that reads standard input cannot be woken, so nothing here could unwind.
    """

    def end(number: int) -> None:
        close()
        os._exit(128 + number)

    with signals_end_the_process(end, seconds):
        anyio.run(_serve, server)


def log_to_stderr(*, access: bool = False) -> None:
    """Send the log to stderr, before the SDK sets up a log of its own; with `access` each HTTP request too."""
    if access:
        logging.getLogger("fenqun.access").setLevel(logging.INFO)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


async def _serve(server: FenqunServer) -> None:
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(server.warm)
            async with _transport() as (messages, write):
                await _Connection(server.lowlevel, write).run(messages)
            group.cancel_scope.cancel()
    except* BrokenPipeError:  # the client is gone
        pass
    finally:
        with anyio.CancelScope(shield=True):
            await server.disconnect()


@asynccontextmanager
async def _transport() -> AsyncIterator[tuple["AsyncIterator[SessionMessage | _Unreadable]", Stream]]:
    """The messages of the client, and where ours go: the SDK's transport only where pipes cannot be asked whether they
    are ready."""
    if os.name == "nt":
        async with stdio_server() as (read, write):
            yield (m if isinstance(m, SessionMessage) else _Unreadable.of("", m) async for m in read), write
        return
    with claimed() as (source, sink):
        into, messages = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as group:
            group.start_soon(_write_all, messages, Writer(sink))
            yield _messages(Lines(source)), into


async def _messages(lines: Lines) -> "AsyncIterator[SessionMessage | _Unreadable]":
    async for line in lines:
        try:
            yield SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValidationError as error:
            if line.strip():
                yield _Unreadable.of(line, error)


async def _write_all(messages: MemoryObjectReceiveStream[SessionMessage], writer: Writer) -> None:
    async with messages:
        async for item in messages:
            await writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True) + "\n")
            await writer.flush()


class _Connection:
    """One client, served by the SDK, which leaves two things to us.

    It takes the first request to decide the revision of the protocol for the whole connection. A client that only asked
    `server/discover` may still shake hands (the AI SDK of Vercel does so where the answer takes a second), so the two
    revisions have a run of the SDK each, and `initialize` opens the second one. And it passes over what it cannot read.
    """

    def __init__(self, lowlevel: Server[Any], write: Stream) -> None:
        self._lowlevel = lowlevel
        self._write = write

    async def run(self, messages: "AsyncIterator[SessionMessage | _Unreadable]") -> None:
        """Serve until the input ends."""
        async with self._write, anyio.create_task_group() as group:
            only_discovered = True
            earlier: list[_Run] = []
            target = self._opened(group)
            async for item in messages:
                if isinstance(item, SessionMessage):
                    message: Any = item.message
                    if isinstance(message, JSONRPCRequest):
                        if message.method == "initialize" and only_discovered and target.used:
                            earlier.append(target)
                            target = self._opened(group)
                        only_discovered = only_discovered and message.method == "server/discover"
                    await target.send(item)
                else:
                    _log.warning("a message that cannot be read: %s", item)
                    error = SessionMessage(item.error())
                    await (target.send(error) if item.answers else self._write.send(error))
            for run in (*earlier, target):
                await run.into.aclose()

    def _opened(self, group: TaskGroup) -> "_Run":
        into, received = anyio.create_memory_object_stream[SessionMessage](0)
        options = self._lowlevel.create_initialization_options()
        group.start_soon(self._lowlevel.run, received, self._write.clone(), options)
        return _Run(into)


@dataclass
class _Run:
    """One run of the SDK: where its messages go, and whether it got any."""

    into: MemoryObjectSendStream[SessionMessage]
    used: bool = False

    async def send(self, item: SessionMessage) -> None:
        self.used = True
        await self.into.send(item)


# Messages that cannot be read

_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_LONGEST_ID: Final = 200


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """What a line shows that is no message: JSON that does not parse, or parses to something else."""

    code: int
    id: str | int | None
    answers: bool
    """It is the answer to a question of ours, which must not wait for another."""

    @classmethod
    def of(cls, line: str, error: Exception) -> "_Unreadable":
        """Look at the keys of the outermost object only, without recursion, in time proportional to the line."""
        syntax = isinstance(error, ValidationError) and error.errors(include_url=False)[0]["type"] == "json_invalid"
        fields = dict(_fields(line))
        number: str | int | None = None
        with suppress(ValueError):
            written = json.loads(fields.get("id", ""))
            if isinstance(written, str | int) and not isinstance(written, bool) and len(str(written)) <= _LONGEST_ID:
                str(written).encode()  # UnicodeEncodeError: half of a surrogate pair, which no answer can hold
                number = written
        answers = number is not None and "method" not in fields and ("result" in fields or "error" in fields)
        return cls(PARSE_ERROR if syntax else INVALID_REQUEST, number, answers)

    def error(self) -> JSONRPCError:
        """Return the answer."""
        text = "Parse error: this is no JSON that can be read" if self.code == PARSE_ERROR else "Invalid request"
        if self.code == PARSE_ERROR:
            text += " (at most 200 levels, no half of a surrogate pair)"
        return JSONRPCError(jsonrpc="2.0", id=self.id, error=ErrorData(code=self.code, message=text))

    def __str__(self) -> str:
        return f"id {self.id!r}, error {self.code}"


def _fields(line: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of the outermost object, as they are written; of a list or an object only its bracket."""
    depth, key, last = 0, "", ""
    for part in (match[0] for match in _TOKENS.finditer(line)):
        if depth == 1 and part == ":":
            key = last.strip('"')
        elif depth == 1 and key:
            yield key, part
            key = ""
        depth += (part in "{[") - (part in "}]")
        last = part
