"""A small server for the tests of the wire: run as a script, it serves four operations over stdio."""

import sys
import threading

import anyio
import anyio.lowlevel

from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import serving
from mcp_server.front.mcp.stdio import log_to_stderr, serve
from mcp_server.operations.operation import Deps, Effect, Params, Result, operation
from mcp_server.text import Text
from tests.ledgers import bare


class Said(Params):
    words: str


class Heard(Result):
    words: str


@operation(title=Text("Echo", "回声"), effect=Effect.READ)
async def echo(params: Said, deps: Deps) -> Heard:
    """Say it again; what is printed along the way must not reach the client."""
    sys.stdout.write("stray output\n")
    sys.stdout.flush()
    return Heard(message="好", words=params.words)


@operation(title=Text("Work", "工作"), effect=Effect.TRIGGER)
async def work(params: Params, deps: Deps) -> Result:
    """Report progress."""
    for percent in (0, 40, 40, 100):
        await deps.report(percent, Text("working", "进行中"))
    return Result(message="done")


@operation(title=Text("Wait", "等待"), effect=Effect.READ)
async def wait(params: Params, deps: Deps) -> Result:
    """Wait until it is cancelled."""
    await deps.report(1, Text("waiting", "等待中"))
    try:
        await anyio.sleep_forever()
    finally:
        sys.stderr.write("the operation was cancelled\n")
        sys.stderr.flush()
    return Result(message="never")


@operation(title=Text("Hold", "占住"), effect=Effect.READ)
async def hold(params: Params, deps: Deps) -> Result:
    """Hold the event loop for good."""
    await deps.report(1, Text("holding", "占住中"))
    await anyio.lowlevel.checkpoint()
    threading.Event().wait()
    return Result(message="never")


if __name__ == "__main__":
    log_to_stderr()
    stuck = "stuck" in sys.argv
    close = threading.Event().wait if stuck else (lambda: None)
    serve(serving(Handler((echo, work, wait, hold), bare())), lambda: close() and None, seconds=0.5 if stuck else 10)
