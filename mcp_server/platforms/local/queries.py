"""Questions to the engine that keep nothing: previews, and SQL over a project's data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mcp_server.engines.base import AnyPlan, DataFile, Written
from mcp_server.engines.dialect import DUCKDB, literal
from mcp_server.engines.duckdb.engine import Engine, Query, shown_sql
from mcp_server.engines.sql import tag_sql
from mcp_server.errors import InvalidDefinition
from mcp_server.language.metadata import Metadata, ValueType
from mcp_server.plan.plan import ClusterSource, Plan
from mcp_server.platforms.local.computing import Tasks, data_file, shown_value
from mcp_server.platforms.local.known import KnownClusters
from mcp_server.platforms.segments import Preview, Step, TagValues
from mcp_server.store.catalog import Catalog
from mcp_server.store.records import VersionRecord
from mcp_server.store.runner import JobControl
from mcp_server.text import Text, listed
from mcp_server.user_sql.guard import CheckedSql, check_sql
from mcp_server.user_sql.plan import SqlPlan

# Previews: sizes, a funnel or the spread of values, and a few users

_ORDERED = ("number", "time")
"""Types whose values have a least, a median and a greatest one."""


@dataclass(frozen=True, slots=True)
class Previewer:
    """One preview; it runs in a worker thread."""

    engine: Engine
    metadata: Metadata
    data: DataFile
    sample: int
    columns: Sequence[str]
    want_sql: bool
    control: JobControl

    def of(self, plan: AnyPlan, value_type: tuple[ValueType, int | None] | None) -> Preview:
        """The preview of a plan; `value_type` is that of a tag's values as far as its definition determines it."""
        if isinstance(plan, Plan):
            return self._funnel(plan)
        if isinstance(plan, SqlPlan):
            return self._of_sql(plan, tag=value_type is not None)
        spread = value_type is not None and value_type[0] in _ORDERED
        return self._values(plan, lambda tables: tag_sql(plan, DUCKDB, tables), Written(0), spread=spread)

    def _funnel(self, plan: Plan) -> Preview:
        counts, rows = self.engine.funnel(
            self.data, plan, sample=self.sample, columns=self.columns, control=self.control
        )
        steps = zip(plan.funnel, counts.steps, strict=True)
        return Preview(
            users_num=counts.selected,
            all_users=self.metadata.users or 0,
            funnel=tuple(Step(s.path, alone, left) for s, (alone, left) in steps),
            sample=self._shown(rows, self.columns),
            sql=self._sql(plan),
        )

    def _of_sql(self, plan: SqlPlan, *, tag: bool) -> Preview:
        """SQL runs once, into a file; everything shown is read from there."""
        out = self.control.temp_path(".parquet")
        written = self.engine.write(self.data, plan, out, self.control)
        if tag:
            spread = written.value_type is not None and written.value_type[0] in _ORDERED
            return self._values(plan, lambda _: _of_file(out), written, spread=spread)
        rows = self.engine.sample(
            self.data, _of_file(out), sample=self.sample, columns=self.columns, control=self.control
        )
        return Preview(
            users_num=written.users_num,
            all_users=self.metadata.users or 0,
            sample=self._shown(rows, self.columns),
            sql=self._sql(plan),
            dropped=written.dropped,
        )

    def _values(self, plan: AnyPlan, query: Query, written: Written, *, spread: bool) -> Preview:
        values, rows = self.engine.spread(
            self.data,
            query,
            ordered=spread,
            sample=self.sample,
            columns=self.columns,
            control=self.control,
        )
        zone = self.metadata.tz
        low, median, high = (shown_value(v, zone) if v is not None else "" for v in values.spread or ("",) * 3)
        top = tuple((shown_value(v, zone), n) for v, n in values.top)
        return Preview(
            users_num=values.users,
            all_users=self.metadata.users or 0,
            values=TagValues(values.distinct, top, low, median, high),
            sample=self._shown(rows, [*self.columns, "tag_value"]),
            sql=self._sql(plan),
            dropped=written.dropped,
        )

    def _sql(self, plan: AnyPlan) -> str:
        return shown_sql(plan) if self.want_sql else ""

    def _shown(self, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> tuple[dict[str, str], ...]:
        return tuple(
            {c: shown_value(v, self.metadata.tz) for c, v in zip(columns, row, strict=True) if v is not None}
            for row in rows
        )


def _of_file(path: Path) -> str:
    return f"SELECT * FROM read_parquet({literal(str(path))})"


# SQL over a project's data, any columns: what the vendor's `/querySql` answers

MOST_ROWS: Final = 1_000_000
_QUERYING: Final = Text("Querying", "正在查询")
_UNBOUNDED: Final = Text(
    "{tables}: events are read without a condition on their day. Add \"$part_date\" BETWEEN 'yyyy-MM-dd' AND 'yyyy-MM-dd' "
    "to every SELECT that reads them.",
    "{tables}：读取事件时没有限定日期。请在每个读取事件的 SELECT 中加上 \"$part_date\" BETWEEN 'yyyy-MM-dd' AND 'yyyy-MM-dd'。",
)


@dataclass(frozen=True, slots=True)
class QueryRows:
    """The rows of a query, one JSON array a line, in a file that the caller removes."""

    headers: tuple[str, ...]
    path: Path
    count: int


async def _no_progress(percent: float, message: Text) -> None:
    """Drop the progress: no caller waits for it."""


class LocalQueries:
    """Runs queries as SQL definitions are run: checked, in a process of its own, under limits (docs/sql-clusters.md)."""

    def __init__(self, catalog: Catalog, engine: Engine, known: KnownClusters, tasks: Tasks) -> None:
        self._catalog, self._engine, self._known, self._tasks = catalog, engine, known, tasks

    async def rows(self, project_id: str, sql: str, seconds: float | None) -> QueryRows:
        """The answer to one SELECT. `seconds` may only shorten the engine's own limit.

        InvalidDefinition: the check or the engine reports a problem, or events are read without `"$part_date"`.
        """
        metadata = self._known.metadata(project_id)
        out = self._catalog.workspace.temp_path(".rows")
        headers, count = await self._tasks.run(
            lambda control: self._run(sql, metadata, seconds, out, control), _no_progress, _QUERYING
        )
        return QueryRows(headers, out, count)

    def _run(
        self, sql: str, metadata: Metadata, seconds: float | None, out: Path, control: JobControl
    ) -> tuple[tuple[str, ...], int]:
        from mcp_server.engines.duckdb.sandbox.run import query_sql

        checked = check_sql(sql, metadata.project_id, columns=0)
        unbounded = [p for p in checked.warnings if p.code == "sql_no_part_date"]
        if unbounded:
            raise InvalidDefinition(_UNBOUNDED.format(tables=listed(dict.fromkeys(p.got for p in unbounded))))
        limits = replace(self._engine.sql_limits, rows=MOST_ROWS)
        if seconds is not None:
            limits = replace(limits, seconds=min(seconds, limits.seconds))
        generation = self._catalog.generation(metadata.project_id)
        plan, used = self._planned(checked, metadata)
        return query_sql(plan, data_file(self._catalog, generation, used), out, limits=limits, control=control)

    def _planned(self, checked: CheckedSql, metadata: Metadata) -> tuple[SqlPlan, list[VersionRecord]]:
        """The plan, and the current versions of the clusters that it reads; of all of them those that have one."""
        known = {p.name: p.ready for p in metadata.properties_of("cluster")}
        names = (
            [n for n, ready in known.items() if ready]
            if checked.clusters is None
            else [*(checked.clusters & known.keys())]
        )
        used = [self._known.version(self._catalog.find(metadata.project_id, name), "") for name in names]
        sources = tuple(ClusterSource(name, as_is=True) for name in names)
        return SqlPlan(checked, sources, metadata.zone, metadata.today), used
