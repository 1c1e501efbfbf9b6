"""The process that runs one SQL of a user: `python -m mcp_server.engine.sql_child`, started by `sql_run.py` only.

It confines itself before it reads anything: address space, processor time, and a file size of nothing, where the system has
such limits (POSIX; macOS does not hold the first one, Windows has none of them: there the engine's own memory limit and the
parent's timer remain). It ends when its standard input closes, so it never outlives the server. Standard output carries
frames (`sql_pipe.py`) and nothing else.
"""

import math
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mcp_server.engine.sql_engine_tree import refusals
from mcp_server.engine.sql_lines import json_lines
from mcp_server.engine.sql_pipe import Outlet, Request
from mcp_server.engine.sql_result import Finding, Shape, chunks, collect, kept_type, reduce, shape_of
from mcp_server.engine.sql_views import open_project
from mcp_server.engine.sql_words import table_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OWN_SPACE = 1024**3
"""Address space beyond the engine's memory: Python, the engine's code, stacks, what allocators reserve and never touch."""
_SPARE_SECONDS = 10
_LOOK_EVERY = 0.1


def main() -> None:
    """Answer one request, and end at once: nothing is worth an orderly exit."""
    outlet = _outlet()
    with suppress(OSError, ValueError):  # ValueError: the request broke off
        request = Request.read(sys.stdin.buffer.readline())
        _confine(request)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _guarded(outlet, lambda: _answer(request, outlet))
    os._exit(0)


def _outlet() -> Outlet:
    """Keep the pipe for frames; what anything prints goes nowhere."""
    pipe = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return Outlet(pipe)


def _confine(request: Request) -> None:
    """Take the limits of the request, as far as the system has them."""
    try:
        import resource
    except ImportError:
        return
    processor = math.ceil(request.seconds * request.threads) + _SPARE_SECONDS
    limits = {
        resource.RLIMIT_AS: request.memory + OWN_SPACE,
        resource.RLIMIT_CPU: processor,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def _end_with_parent() -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(0)


def _guarded(outlet: Outlet, work: Callable[[], None]) -> None:
    """Tell what broke the work off; only the first line of the engine's own words."""
    import duckdb

    try:
        work()
    except (MemoryError, duckdb.OutOfMemoryException):
        outlet.tell("failed", {"kind": "memory"})
    except duckdb.Error as error:
        outlet.tell("failed", {"kind": "engine", "detail": str(error).splitlines()[0][:300]})


def _answer(request: Request, outlet: Outlet) -> None:
    connection = open_project(request)
    findings = _read(connection, request, outlet)
    if findings or request.only_bind:
        outlet.tell("findings", findings)


def _read(connection: "DuckDBPyConnection", request: Request, outlet: Outlet) -> list[Finding]:
    """Check, bind and, unless only that was asked, run; what is wrong with the SQL, or nothing."""
    with _Explained(lines_above=0) as explained:
        refused = refusals(connection, request.sql, table_names(request.project_id))
        explained.findings += [{"code": code, "got": got} for code, got in refused]
    if explained.findings:
        return explained.findings
    with _Explained(lines_above=1) as explained:
        shape = shape_of(connection, request.sql)
        explained.findings += shape.findings(request.columns)
        if not explained.findings and not request.only_bind:
            with _Progress(connection, outlet):
                if not request.columns:
                    _send_all(connection, request, outlet, shape)
                else:
                    collect(connection, request, shape)
    if explained.findings or request.only_bind or not request.columns:
        return explained.findings
    counts, findings = reduce(connection, request, shape)
    if counts["rows"] > request.rows:
        outlet.tell("failed", {"kind": "rows"})
    elif not findings:
        _send(connection, request, outlet, counts)
    return findings


def _send(connection: "DuckDBPyConnection", request: Request, outlet: Outlet, counts: dict[str, int]) -> None:
    for chunk in chunks(connection, request.columns):
        outlet.send("rows", chunk)
    kind = kept_type(connection) if request.columns > 1 else ""
    outlet.tell("done", {**counts, "type": kind})


def _send_all(connection: "DuckDBPyConnection", request: Request, outlet: Outlet, shape: Shape) -> None:
    """The rows of a query as they come."""
    total = 0
    for count, chunk in json_lines(connection, request.sql):
        total += count
        if total > request.rows:
            outlet.tell("failed", {"kind": "rows"})
            return
        outlet.send("rows", chunk)
    outlet.tell("done", {"rows": total, "type": "", "names": list(shape.names)})


class _Explained:
    """Turns what the engine says against a statement into a finding. Lack of memory and broken files are no findings."""

    def __init__(self, *, lines_above: int) -> None:
        self.findings: list[Finding] = []
        self._lines_above = lines_above

    def __enter__(self) -> "_Explained":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        import duckdb

        ours = (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.InternalException)
        if not isinstance(error, duckdb.Error) or isinstance(error, ours):
            return False
        self.findings.append(_finding(str(error), self._lines_above))
        return True


def _finding(text: str, lines_above: int) -> Finding:
    """An unknown column with its candidates, or the engine's own first line with the line of the SQL."""
    column = re.search(r'Referenced column "(.+?)" (?:was )?not found', text)
    if column:
        candidates = re.search(r"Candidate bindings: (.+)", text)
        names = re.findall(r'"((?:[^"]|"")+)"', candidates[1]) if candidates else []
        return {"code": "sql_column_unknown", "got": column[1], "candidates": names}
    if "Max expression depth" in text:
        return {"code": "sql_too_deep"}
    first = text.splitlines()[0]
    line = re.search(r"^LINE (\d+): ", text, re.MULTILINE)
    return {
        "code": "sql_failed",
        "detail": (first.partition(": ")[2] or first)[:300],
        "line": max(int(line[1]) - lines_above, 1) if line else 0,
    }


class _Progress:
    """Tells the engine's own progress while a statement runs."""

    def __init__(self, connection: "DuckDBPyConnection", outlet: Outlet) -> None:
        self._connection = connection
        self._outlet = outlet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            percent = self._connection.query_progress()
            if percent > 0:
                with suppress(OSError):
                    self._outlet.tell("progress", min(percent, 100.0))


if __name__ == "__main__":
    main()
