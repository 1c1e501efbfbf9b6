"""Problems, warnings and repairs as rows of a result; and reading a definition off the event loop."""

from collections.abc import Iterable

import anyio.to_thread
from pydantic import Field

from mcp_server.errors import Problem, Repair
from mcp_server.operations.operation import Deps, Result
from mcp_server.qp.check import Reading, read
from mcp_server.qp.metadata import Metadata


class ProblemRow(Result.Row):
    """One problem or warning."""

    path: str = Field(description="JSON Pointer into the arguments")
    code: str
    message: str
    got: str = ""
    expected: str = ""
    suggestion: str = ""


class RepairRow(Result.Row):
    """One change made while reading; never a change of meaning."""

    path: str
    before: str
    after: str
    reason: str


def problem_rows(found: Iterable[Problem], deps: Deps) -> tuple[ProblemRow, ...]:
    return tuple(
        ProblemRow(path=p.path, code=p.code, message=deps.say(p.message), got=p.got, expected=deps.say(p.expected), suggestion=p.suggestion)
        for p in found
    )  # fmt: skip


def repair_rows(made: Iterable[Repair], deps: Deps) -> tuple[RepairRow, ...]:
    return tuple(RepairRow(path=r.path, before=r.before, after=r.after, reason=deps.say(r.reason)) for r in made)


async def read_definition(raw: object, metadata: Metadata, deps: Deps, *, own: str = "") -> Reading:
    """Read a definition in a worker thread: checking a pattern may start the engine."""
    return await anyio.to_thread.run_sync(
        lambda: read(raw, metadata, root=("qp",), regex_fault=deps.segments.regex_fault, own=own)
    )
