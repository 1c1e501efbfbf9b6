"""SQL over a project's data, any columns: what the vendor's `/querySql` answers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mcp_server.engine.duck import Engine
from mcp_server.engine.sql_guard import CheckedSql, check_sql
from mcp_server.errors import InvalidDefinition
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.computing import data_file
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.known import KnownClusters
from mcp_server.platforms.local.tasks import Tasks
from mcp_server.qp.metadata import Metadata
from mcp_server.text import Text, listed

MOST_ROWS: Final = 1_000_000
_QUERYING: Final = Text("Querying", "正在查询")
_UNBOUNDED: Final = Text(
    "{tables}: events are read without a condition on their day. Add \"$part_date\" BETWEEN 'yyyy-MM-dd' AND 'yyyy-MM-dd' "
    "to every SELECT that reads them.",
    "{tables}：读取事件时没有限定日期。请在每个读取事件的 SELECT 中加上 \"$part_date\" BETWEEN 'yyyy-MM-dd' AND 'yyyy-MM-dd'。",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query, one JSON array a line, in a file that whoever asked removes."""

    headers: tuple[str, ...]
    path: Path
    count: int


async def _nobody(percent: float, message: Text) -> None:
    """Nobody waits for progress."""


class LocalQueries:
    """Runs queries as SQL definitions are run: checked, in a process of its own, under limits (docs/sql-clusters.md)."""

    def __init__(self, catalog: Catalog, engine: Engine, known: KnownClusters, tasks: Tasks) -> None:
        self._catalog, self._engine, self._known, self._tasks = catalog, engine, known, tasks

    async def rows(self, project_id: str, sql: str, seconds: float | None) -> Answer:
        """The answer to one SELECT. `seconds` may only shorten the engine's own limit.

        InvalidDefinition: the check or the engine finds something wrong, or events are read without `"$part_date"`.
        """
        metadata = self._known.metadata(project_id)
        out = self._catalog.workspace.temp_path(".rows")
        headers, count = await self._tasks.run(
            lambda control: self._run(sql, metadata, seconds, out, control), _nobody, _QUERYING
        )
        return Answer(headers, out, count)

    def _run(
        self, sql: str, metadata: Metadata, seconds: float | None, out: Path, control: Control
    ) -> tuple[tuple[str, ...], int]:
        from mcp_server.engine.sql_run import query_sql

        checked = check_sql(sql, metadata.project_id, columns=0)
        unbounded = [p for p in checked.warnings if p.code == "sql_no_part_date"]
        if unbounded:
            raise InvalidDefinition(_UNBOUNDED.format(tables=listed(dict.fromkeys(p.got for p in unbounded))))
        limits = replace(self._engine.sql_limits, rows=MOST_ROWS)
        if seconds is not None:
            limits = replace(limits, seconds=min(seconds, limits.seconds))
        generation = self._catalog.generation(metadata.project_id)
        clusters = self._members(checked, metadata)
        return query_sql(
            checked, data_file(self._catalog, generation), clusters, zone=metadata.zone, today=metadata.today, out=out, limits=limits, control=control
        )  # fmt: skip

    def _members(self, checked: CheckedSql, metadata: Metadata) -> dict[str, Path]:
        """The members files of the clusters that it reads, as they stand; those without any are left out of `all`."""
        known = {p.name: p.ready for p in metadata.properties_of("cluster")}
        names = (
            [n for n, ready in known.items() if ready]
            if checked.clusters is None
            else [*(checked.clusters & known.keys())]
        )
        project, workspace = metadata.project_id, self._catalog.workspace
        return {n: workspace.absolute(self._known.version(self._catalog.find(project, n), "").file) for n in names}
