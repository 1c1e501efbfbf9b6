"""Standard input and output as the SDK's stdio transport takes them, with as little between as there can be.

The SDK's own files go through a pool of threads three times for each message, which takes longer than most calls. Here one
thread reads, and what the pipe takes at once is written at once. Framing, messages and sessions stay the SDK's.
"""

import os
import select
from asyncio import Queue, get_running_loop
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Semaphore, Thread
from typing import Final

import anyio.to_thread

_CHUNK: Final = 1 << 16
_AHEAD: Final = 64
"""Lines that are read before they are asked for."""


class Lines:
    """The lines of a descriptor, UTF-8; bytes that are none are replaced, and a JSON parser then says so."""

    def __init__(self, descriptor: int) -> None:
        """Starts to read; inside the event loop that asks for the lines."""
        self._loop = get_running_loop()
        self._lines: Queue[str | None] = Queue()
        self._room = Semaphore(_AHEAD)
        # A daemon, on the bare descriptor: a read can't be woken, and at the end of the process nobody waits for it.
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
                        self._hand_over(line)
        except OSError:  # the other end is gone, as at its end
            pass
        if rest:
            self._hand_over(rest)
        self._say(None)

    def _hand_over(self, line: bytearray) -> None:
        self._room.acquire()
        self._say(line.decode("utf-8", "replace"))

    def _say(self, line: str | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
        except RuntimeError:  # the loop is closed: nobody asks any more
            return


class Writer:
    """Writes text to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._text = ""

    async def write(self, text: str) -> None:
        """Keep it for `flush`."""
        self._text += text

    async def flush(self) -> None:
        """Write it. A reader that is behind holds up a thread, and not the event loop."""
        data, self._text = self._text.encode("utf-8"), ""
        # What a pipe says that it takes, it takes without waiting, up to PIPE_BUF.
        if len(data) <= select.PIPE_BUF and self._ready.poll(0):
            data = data[os.write(self._descriptor, data) :]
        if data:
            await anyio.to_thread.run_sync(self._write, data)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]


@contextmanager
def claimed() -> Iterator[tuple[int, int]]:
    """The descriptors of standard input and output for oneself: meanwhile whoever else reads finds the end, and whoever
    else prints does so on stderr, so that nothing gets between the messages."""
    own = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        yield own
    finally:
        os.dup2(own[0], 0)
        os.dup2(own[1], 1)
