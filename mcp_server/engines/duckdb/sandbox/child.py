"""The process that runs one SQL of a user: `python -m mcp_server.engines.duckdb.sandbox.child`, started by `run.py` only.

It confines itself before it reads anything: address space, processor time, and a file size of nothing, where the
system has such limits (POSIX; macOS does not hold the first one, Windows has none of them: there the engine's own
memory limit and the parent's timer remain). It ends when its standard input closes, so it never outlives the
server. Standard output carries frames (`pipe.py`) and nothing else.
"""

import json
import math
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_server.engines.duckdb.connection import repeatedly
from mcp_server.engines.duckdb.sandbox.pipe import Finding, Outlet, SqlRequest
from mcp_server.engines.duckdb.sandbox.result import Shape, chunks, collect, kept_type, reduce, shape_of
from mcp_server.engines.duckdb.sandbox.views import open_project
from mcp_server.user_sql.words import (
    ENGINE_EXPRESSIONS,
    ENGINE_FUNCTIONS,
    ENGINE_NODES,
    PREFIXES,
    SESSION_WORDS,
    table_names,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# The engine's own reading of a statement
#
# A parser that is not the engine's can be wrong about what the engine will do with a text. So before anything runs,
# DuckDB parses the text itself (`json_serialize_sql`) and its tree is walked: only SELECTs, only tables of the
# project or names given by WITH, only listed functions and kinds of expressions. SQL that passed the guard
# (`user_sql/guard.py`) and fails here shows a difference between the two parsers, and is refused.

Refusal = tuple[str, str]
"""Code of a problem, and what it is about."""


def refusals(connection: "DuckDBPyConnection", sql: str, tables: frozenset[str]) -> list[Refusal]:
    """Return everything in the engine's tree that is not allowed; nothing is run. duckdb.Error: the text is no SQL to the engine."""
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        return [("sql_several", "")]
    try:
        kind = statements[0].type
    except ValueError:  # a kind that the Python client has no name for
        return [("sql_not_select", "?")]
    if kind != duckdb.StatementType.SELECT:
        return [("sql_not_select", kind.name)]
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    try:
        tree = json.loads(row[0] if row else "{}")
    except RecursionError:
        return [("sql_too_deep", "")]
    if tree.get("error") is not False:
        return [("sql_not_select", str(tree.get("error_message", "?")))]
    return list(dict.fromkeys(_walk(tree["statements"], tables)))


def _walk(root: object, tables: frozenset[str]) -> Iterator[Refusal]:
    """Check every node, with the names given by WITH that it can see. No recursion: a long chain of OR is a deep tree."""
    waiting: list[tuple[object, frozenset[str]]] = [(root, frozenset())]
    while waiting:
        node, given = waiting.pop()
        if isinstance(node, list):
            waiting += [(item, given) for item in node]
        elif isinstance(node, dict):
            yield from _of_node(node, given, tables)
            waiting += _parts(node, given)


def _parts(node: dict[str, object], given: frozenset[str]) -> Iterator[tuple[object, frozenset[str]]]:
    """Yield the parts of a node. A name counts after its own definition: in the definitions that follow and in the query.

    Constants and types of DuckDB 1.5 are values, not nodes.
    """
    if node.get("class") == "CONSTANT":
        return
    definitions = node.get("cte_map")
    entries = definitions.get("map", []) if isinstance(definitions, dict) else []
    for entry in entries if isinstance(entries, list) else []:
        yield entry["value"], given
        given |= {str(entry["key"]).lower()}
    if node.get("type") == "CTE_NODE":
        yield node.get("query"), given
        given |= {str(node.get("cte_name")).lower()}
    done = {"cte_map", "cast_type", *(("query",) if node.get("type") == "CTE_NODE" else ())}
    yield from ((part, given) for key, part in node.items() if key not in done)


def _of_node(node: dict[str, object], given: frozenset[str], tables: frozenset[str]) -> Iterator[Refusal]:
    kind, expression = node.get("type"), node.get("class")
    if isinstance(expression, str):
        if expression not in ENGINE_EXPRESSIONS:
            yield "sql_construct_refused", expression
    elif isinstance(kind, str) and kind not in ENGINE_NODES:
        yield "sql_construct_refused", kind
    function = node.get("function_name")
    if isinstance(function, str) and function.lower() not in ENGINE_FUNCTIONS:
        yield "sql_function_refused", function
    names = node.get("column_names")
    if (
        expression == "COLUMN_REF"
        and isinstance(names, list)
        and len(names) == 1
        and str(names[0]).lower() in SESSION_WORDS
    ):
        yield "sql_function_refused", str(names[0])  # whether it is a column is known to the binder only
    if kind == "BASE_TABLE":
        yield from _of_table(node, given, tables)
    elif kind == "TABLE_FUNCTION":
        call = node.get("function")
        name = call.get("function_name") if isinstance(call, dict) else None
        if name != "unnest":
            yield "sql_table_function", str(name)


def _of_table(node: dict[str, object], given: frozenset[str], tables: frozenset[str]) -> Iterator[Refusal]:
    catalog, schema, name = (str(node.get(k) or "").lower() for k in ("catalog_name", "schema_name", "table_name"))
    known = (catalog, schema) in PREFIXES and name in tables
    if not (known or (not catalog and not schema and name in given)):
        yield "sql_table_unknown", ".".join(part for part in (catalog, schema, name) if part)


# Rows of a query as lines of JSON, with every digit of a number as the engine has it

_ROWS = 2_000
"""Rows of one chunk."""


def json_lines(connection: "DuckDBPyConnection", sql: str) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a statement in chunks: their number, and one JSON array a line."""
    cursor = connection.execute(sql)
    while chunk := cursor.fetchmany(_ROWS):
        yield len(chunk), "".join(f"[{','.join(map(_cell, row))}]\n" for row in chunk).encode("utf-8", "replace")


def _cell(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else json.dumps(str(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return json.dumps(value.isoformat(sep=" ", timespec="milliseconds"))
    if isinstance(value, date):
        return json.dumps(value.isoformat())
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_cell, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{json.dumps(str(k))}:{_cell(v)}' for k, v in value.items())}}}"
    return json.dumps(str(value), ensure_ascii=False)


# The process

OWN_SPACE = 1024**3
"""Address space beyond the engine's memory: Python, the engine's code, stacks, what allocators reserve and never touch."""
_SPARE_SECONDS = 10
_LOOK_EVERY = 0.1


def main() -> None:
    """Answer one request and end at once, without an orderly exit."""
    outlet = _outlet()
    with suppress(OSError, ValueError):  # ValueError: the request broke off
        request = SqlRequest.read(sys.stdin.buffer.readline())
        _confine(request)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _answer(request, outlet)
    os._exit(0)


def _outlet() -> Outlet:
    """Keep the pipe for frames; discard what anything prints."""
    pipe = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    return Outlet(pipe)


def _confine(request: SqlRequest) -> None:
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


def _answer(request: SqlRequest, outlet: Outlet) -> None:
    """Send the result, what is wrong with the SQL, or a failure (with the first line of the engine's message)."""
    import duckdb

    try:
        findings = _read(open_project(request), request, outlet)
        if findings or request.only_bind:
            outlet.send_json("findings", findings)
    except (MemoryError, duckdb.OutOfMemoryException):
        outlet.send_json("failed", {"kind": "memory"})
    except duckdb.Error as error:
        outlet.send_json("failed", {"kind": "engine", "detail": str(error).splitlines()[0][:300]})


def _read(connection: "DuckDBPyConnection", request: SqlRequest, outlet: Outlet) -> list[Finding]:
    """Check, bind and, unless only that was requested, run; return what is wrong with the SQL."""
    findings: list[Finding] = []
    with _explained(findings, lines_above=0):
        refused = refusals(connection, request.sql, table_names(request.project_id))
        findings += [{"code": code, "got": got} for code, got in refused]
    if findings:
        return findings
    with _explained(findings, lines_above=1):
        shape = shape_of(connection, request.sql)
        findings += shape.findings(request.columns)
        if not findings and not request.only_bind:
            with repeatedly(lambda: _send_progress(connection, outlet), _LOOK_EVERY):
                if not request.columns:
                    _send_all(connection, request, outlet, shape)
                else:
                    collect(connection, request, shape)
    if findings or request.only_bind or not request.columns:
        return findings
    counts, findings = reduce(connection, request, shape)
    if counts["rows"] > request.rows:
        outlet.send_json("failed", {"kind": "rows"})
    elif not findings:
        _send(connection, request, outlet, counts)
    return findings


def _send(connection: "DuckDBPyConnection", request: SqlRequest, outlet: Outlet, counts: dict[str, int]) -> None:
    for chunk in chunks(connection, request.columns):
        outlet.send("rows", chunk)
    kind = kept_type(connection) if request.columns > 1 else ""
    outlet.send_json("done", {**counts, "type": kind})


def _send_all(connection: "DuckDBPyConnection", request: SqlRequest, outlet: Outlet, shape: Shape) -> None:
    """Send the rows of a query as they come."""
    total = 0
    for count, chunk in json_lines(connection, request.sql):
        total += count
        if total > request.rows:
            outlet.send_json("failed", {"kind": "rows"})
            return
        outlet.send("rows", chunk)
    outlet.send_json("done", {"rows": total, "type": "", "names": list(shape.names)})


@contextmanager
def _explained(findings: list[Finding], *, lines_above: int) -> Iterator[None]:
    """Turn the engine's error about a statement into a finding. Lack of memory and broken files are no findings."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.InternalException):
        raise
    except duckdb.Error as error:
        findings.append(_finding(str(error), lines_above))


def _finding(text: str, lines_above: int) -> Finding:
    """Return an unknown column with its candidates, or the engine's own first line with the line of the SQL."""
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


def _send_progress(connection: "DuckDBPyConnection", outlet: Outlet) -> None:
    """Send the engine's own progress while a statement runs."""
    percent = connection.query_progress()
    if percent > 0:
        with suppress(OSError):
            outlet.send_json("progress", min(percent, 100.0))


if __name__ == "__main__":
    main()
