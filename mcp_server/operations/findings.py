"""Problems, warnings and repairs as rows of a result; and reading a definition off the event loop."""

from collections.abc import Iterable, Sequence

import anyio.to_thread
from pydantic import Field

from mcp_server.errors import Problem, Repair
from mcp_server.operations.kinds import CLUSTERS, Kind
from mcp_server.operations.lengths import listable
from mcp_server.operations.operation import Deps, Result
from mcp_server.platforms.ports import Cluster
from mcp_server.qp.check import Path
from mcp_server.qp.either import read_any
from mcp_server.qp.forms import AnyReading
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.problems import finding
from mcp_server.text import NOTHING, Text, listed


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


_MORE = Text("{n} more are not listed.", "另有 {n} 条未列出。")


def problem_rows(found: Iterable[Problem], deps: Deps) -> tuple[ProblemRow, ...]:
    """The findings as rows; where there are very many, the last row says how many are left out."""
    rows = [
        ProblemRow(path=p.path, code=p.code, message=deps.say(p.message), got=p.got, expected=deps.say(p.expected), suggestion=p.suggestion)
        for p in found
    ]  # fmt: skip
    shown = _shown(rows)
    if shown < len(rows):
        rows[shown:] = [ProblemRow(path="", code="more", message=deps.say(_MORE.format(n=len(rows) - shown)))]
    return tuple(rows)


def repair_rows(made: Iterable[Repair], deps: Deps) -> tuple[RepairRow, ...]:
    """The repairs as rows, cut in the same way."""
    rows = [RepairRow(path=r.path, before=r.before, after=r.after, reason=deps.say(r.reason)) for r in made]
    shown = _shown(rows)
    if shown < len(rows):
        more = deps.say(_MORE.format(n=len(rows) - shown))
        rows[shown:] = [RepairRow(path="", before="", after="", reason=more)]
    return tuple(rows)


def _shown(rows: Sequence[Result.Row]) -> int:
    """How many rows one result lists."""
    return listable(row.model_dump_json(exclude_defaults=True) for row in rows)


async def users_of(found: Cluster, path: str, deps: Deps, hint: Text = NOTHING) -> list[Problem]:
    """A warning where other clusters and tags rest on what is about to change; `hint` says what that may mean for them."""
    names = await deps.segments.used_by(found)
    return [finding("used_by_others", path, names=listed(names), hint=hint)] if names else []


async def read_definition(
    raw: object,
    metadata: Metadata,
    deps: Deps,
    *,
    kind: Kind = CLUSTERS,
    own: str = "",
    root: Path = (),
) -> AnyReading:
    """Read a definition in a worker thread: checking a pattern may start the engine. `root`: where it stood."""
    reading: AnyReading = await anyio.to_thread.run_sync(
        lambda: read_any(
            raw,
            metadata,
            catalog=kind.catalog,
            root=root or (kind.root,),
            regex_fault=deps.segments.regex_fault,
            sql_look=deps.segments.sql_look,
            own=own,
        )
    )
    doubts = deps.segments.doubts(reading.definition, root or (kind.root,)) if reading.definition is not None else ()
    return reading.within(doubts, ()) if doubts else reading
