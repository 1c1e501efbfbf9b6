"""What a preview shows: sizes, a funnel or the spread of values, and a few users."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_server.engine.answering import AnyPlan, Written, shown_sql, write
from mcp_server.engine.dialect import DUCKDB
from mcp_server.engine.duck import DataFile, Engine, Query
from mcp_server.engine.emit_tag import tag_sql
from mcp_server.engine.plan import Plan
from mcp_server.engine.quoting import literal
from mcp_server.engine.sql_plan import SqlPlan
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.export import shown_value
from mcp_server.platforms.ports import Preview, Step, TagValues
from mcp_server.qp.metadata import Metadata, ValueType

_ORDERED = ("number", "time")
"""Types whose values have a least, a median and a greatest one."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a preview is asked for."""

    data: DataFile
    sample: int
    columns: Sequence[str]
    want_sql: bool


@dataclass(frozen=True, slots=True)
class Previewer:
    """One preview; it runs in a worker thread."""

    engine: Engine
    metadata: Metadata
    look: Look
    control: Control

    def of(self, plan: AnyPlan, value_type: tuple[ValueType, int | None] | None) -> Preview:
        """The preview of a plan; `value_type` is that of a tag's values as far as its definition tells."""
        if isinstance(plan, Plan):
            return self._funnel(plan)
        if isinstance(plan, SqlPlan):
            return self._of_sql(plan, tag=value_type is not None)
        spread = value_type is not None and value_type[0] in _ORDERED
        return self._values(plan, lambda tables: tag_sql(plan, DUCKDB, tables), Written(0), spread=spread)

    def _funnel(self, plan: Plan) -> Preview:
        counts, rows = self.engine.preview(
            self.look.data, plan, sample=self.look.sample, columns=self.look.columns, control=self.control
        )
        steps = zip(plan.funnel, counts.steps, strict=True)
        return Preview(
            users_num=counts.selected,
            all_users=self.metadata.users or 0,
            funnel=tuple(Step(s.path, alone, left) for s, (alone, left) in steps),
            sample=self._shown(rows, self.look.columns),
            sql=self._sql(plan),
        )

    def _of_sql(self, plan: SqlPlan, *, tag: bool) -> Preview:
        """SQL runs once, into a file; everything shown is read from there."""
        out = self.control.temp_path(".parquet")
        written = write(self.engine, self.look.data, plan, out, self.control)
        if tag:
            spread = written.value_type is not None and written.value_type[0] in _ORDERED
            return self._values(plan, lambda _: _of_file(out), written, spread=spread)
        rows = self.engine.sample(
            self.look.data, _of_file(out), sample=self.look.sample, columns=self.look.columns, control=self.control
        )
        return Preview(
            users_num=written.users_num,
            all_users=self.metadata.users or 0,
            sample=self._shown(rows, self.look.columns),
            sql=self._sql(plan),
            dropped=written.dropped,
        )

    def _values(self, plan: AnyPlan, query: Query, written: Written, *, spread: bool) -> Preview:
        values, rows = self.engine.preview_values(
            self.look.data,
            query,
            spread=spread,
            sample=self.look.sample,
            columns=self.look.columns,
            control=self.control,
        )
        zone = self.metadata.tz
        low, median, high = (shown_value(v, zone) if v is not None else "" for v in values.spread or ("",) * 3)
        top = tuple((shown_value(v, zone), n) for v, n in values.top)
        return Preview(
            users_num=values.users,
            all_users=self.metadata.users or 0,
            values=TagValues(values.distinct, top, low, median, high),
            sample=self._shown(rows, [*self.look.columns, "tag_value"]),
            sql=self._sql(plan),
            dropped=written.dropped,
        )

    def _sql(self, plan: AnyPlan) -> str:
        return shown_sql(plan) if self.look.want_sql else ""

    def _shown(self, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> tuple[dict[str, str], ...]:
        return tuple(
            {c: shown_value(v, self.metadata.tz) for c, v in zip(columns, row, strict=True) if v is not None}
            for row in rows
        )


def _of_file(path: Path) -> str:
    return f"SELECT * FROM read_parquet({literal(str(path))})"
