"""SQL as an operation of the gateway's own: no tool, but read, bound to projects and logged as tools are."""

from pathlib import Path
from typing import Protocol

from mcp_server.effect import Effect
from mcp_server.operations.operation import Deps, Operation, Params, Result
from mcp_server.text import Text


class Rows(Protocol):
    """The answer to SQL: a file with one JSON array a line."""

    @property
    def headers(self) -> tuple[str, ...]: ...
    @property
    def path(self) -> Path: ...
    @property
    def count(self) -> int: ...


class Queries(Protocol):
    """SQL over a project's data (`platforms.local.querying`)."""

    async def rows(self, project_id: str, sql: str, seconds: float | None) -> Rows: ...


class QuerySql(Params):
    """Arguments of query_sql."""

    sql: str
    seconds: float | None = None
    project_id: str = ""


class Queried(Result):
    """Answer of query_sql. Whoever asked removes the file."""

    headers: tuple[str, ...]
    path: Path


_ROWS = Text("{n} row(s).", "共 {n} 行。")


def query_over(queries: Queries) -> Operation[QuerySql, Queried]:
    """The operation that asks these. It is made here and not by `@operation`, which makes tools."""

    async def query_sql(params: QuerySql, deps: Deps) -> Queried:
        found = await queries.rows(deps.project(params.project_id), params.sql, params.seconds)
        return Queried(message=deps.say(_ROWS.format(n=found.count)), headers=found.headers, path=found.path)

    return Operation(
        name="query_sql",
        title=Text("Query", "查询"),
        description="Run one SELECT.",
        effect=Effect.READ,
        params=QuerySql,
        result=Queried,
        run=query_sql,
        idempotent=True,
        hands_out=True,
    )
