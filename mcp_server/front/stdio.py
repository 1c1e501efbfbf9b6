"""MCP over standard input and output: one JSON message a line. Everything else that is said goes to stderr."""

import logging
import sys

import anyio

from mcp_server.front.server import FenqunServer


def serve(server: FenqunServer) -> None:
    """Serve until the client closes our standard input. Calls that are under way then are cancelled."""
    anyio.run(server.run_stdio_async)


def log_to_stderr() -> None:
    """Send the log to stderr, before the SDK sets up a log of its own."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
