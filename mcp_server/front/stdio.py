"""MCP over standard input and output: one JSON message a line. Everything else that is said goes to stderr."""

import logging
import os
import signal
import sys
from collections.abc import Callable

import anyio

from mcp_server.front.server import FenqunServer


def serve(server: FenqunServer, close: Callable[[], None]) -> None:
    """Serve until the client closes our standard input, then cancel the calls that are under way.

    SIGINT and SIGTERM end the process, after `close`. (`close` is not called when this returns.)
    """
    anyio.run(_serve, server, close)


def log_to_stderr() -> None:
    """Send the log to stderr, before the SDK sets up a log of its own."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


async def _serve(server: FenqunServer, close: Callable[[], None]) -> None:
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_end_on_signal, close)
            await server.run_stdio_async()
            group.cancel_scope.cancel()
    except* BrokenPipeError:  # the client is gone; nobody is left to tell
        pass


async def _end_on_signal(close: Callable[[], None]) -> None:
    """End at once: the SDK's thread that reads standard input cannot be woken, so nothing here could unwind."""
    if os.name == "nt":  # no such receiver there; the interpreter ends by itself
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            close()
            os._exit(128 + number)
