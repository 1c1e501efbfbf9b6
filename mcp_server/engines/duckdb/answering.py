"""What the engine does with a definition, whichever form it has: a plan, and its members or values in a file."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mcp_server.engines.dialect import DUCKDB
from mcp_server.engines.duckdb.connection import Control
from mcp_server.engines.duckdb.engine import DataFile, Engine
from mcp_server.engines.sql import selection_sql, tag_sql
from mcp_server.language.definitions import Definition
from mcp_server.language.metadata import Metadata, ValueType
from mcp_server.language.model import Qp, TagQp
from mcp_server.language.sql import Sql
from mcp_server.plan.compile import compile_definition, compile_tag
from mcp_server.plan.plan import ClusterSource, Plan, TagPlan
from mcp_server.user_sql.plan import SqlPlan, compile_sql

AnyPlan = Plan | TagPlan | SqlPlan

_COMPILE: Mapping[type, Callable[[Any, Metadata], AnyPlan]] = {
    Qp: compile_definition,
    TagQp: compile_tag,
    Sql: compile_sql,
}


@dataclass(frozen=True, slots=True)
class Written:
    """The members of a cluster, or the values of a tag, in a file."""

    users_num: int
    value_type: tuple[ValueType, int | None] | None = None
    """Type and scale of values that only the computation tells."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows that SQL returned and that count for nobody, by reason; the names are those of `SqlOutcome`."""


def compile_any(definition: Definition, metadata: Metadata) -> AnyPlan:
    """The plan of a definition that was read without problems."""
    return _COMPILE[type(definition)](definition, metadata)


def followed(plan: AnyPlan) -> list[ClusterSource]:
    """The clusters that a plan reads in their current version, and that are computed before it where they move."""
    return [source for source in plan.clusters if not source.day and not source.as_is]


def write(engine: Engine, data: DataFile, plan: AnyPlan, out: Path, control: Control) -> Written:
    """Write the members (`user_id`) or values (`user_id`, `value`) that a plan selects to a Parquet file."""
    if isinstance(plan, SqlPlan):
        return _run(engine, data, plan, out, control)
    if isinstance(plan, Plan):
        return Written(engine.write_members(data, plan, out, control))
    return Written(engine.write_values(data, plan, out, control))


def _run(engine: Engine, data: DataFile, plan: SqlPlan, out: Path, control: Control) -> Written:
    from mcp_server.engines.duckdb.sandbox.run import run_sql

    members = {source.name: path for source, path in zip(plan.clusters, data.members, strict=True)}
    outcome = run_sql(
        plan.checked, data, members, zone=plan.zone, today=plan.today, out=out, limits=engine.sql_limits, control=control
    )  # fmt: skip
    counts = {name: count for name, count in asdict(outcome).items() if name in DROPPED and count}
    value_type = (outcome.value_type, outcome.scale) if outcome.value_type else None
    return Written(outcome.users_num, value_type, counts)


DROPPED = ("null_ids", "null_values", "unknown_ids", "repeated_ids")


def shown_sql(plan: AnyPlan) -> str:
    """The query of a plan, to be read by people."""
    if isinstance(plan, SqlPlan):
        return plan.text
    return selection_sql(plan, DUCKDB) if isinstance(plan, Plan) else tag_sql(plan, DUCKDB)
