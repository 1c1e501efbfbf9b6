"""SQL of users as a plan: checked, with the clusters that it reads (docs/sql-clusters.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from mcp_server.errors import InvalidDefinition, Problem
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TAG
from mcp_server.language.problems import blocking, pointer
from mcp_server.language.reading.check import SqlSeen
from mcp_server.language.sql import PARAMETERS, SQL, Sql, SqlReads
from mcp_server.language.vocabulary import Path
from mcp_server.plan.plan import ClusterSource
from mcp_server.user_sql.guard import CheckedSql, check_sql

_DAY_COLUMNS = ("$part_date", "$part_event")
"""Columns of the table of events beside the properties."""

Bind = Callable[[CheckedSql], Sequence[Problem]]
"""Returns what only an engine with the data finds wrong: `engines.duckdb.sandbox.run.bind_sql`."""


@dataclass(frozen=True, slots=True)
class SqlPlan:
    """SQL that may run, for one day of the project."""

    checked: CheckedSql
    clusters: tuple[ClusterSource, ...]
    zone: str
    today: date

    @property
    def text(self) -> str:
        """The statement with its parameters filled in."""
        return self.checked.text(self.today)


def compile_sql(definition: Sql, metadata: Metadata) -> SqlPlan:
    """Compile a definition that was read without problems. InvalidDefinition where the check finds some now."""
    checked = _checked(definition, metadata, ("tag_qp" if definition.catalog == TAG else "qp",))
    sources = [ClusterSource(name, as_is=definition.reads.any_cluster) for name in definition.reads.clusters]
    return SqlPlan(checked, tuple(sources), metadata.zone, metadata.today)


def look_at(definition: Sql, metadata: Metadata, at: Path, bind: Bind | None = None) -> SqlSeen:
    """Return what is wrong with SQL at a path, by the check and, where that finds nothing, by the engine."""
    try:
        checked = _checked(definition, metadata, at)
    except InvalidDefinition as error:
        return SqlSeen(tuple(error.problems))
    problems = bind(checked) if bind else ()
    if blocking(problems):
        return SqlSeen((*problems, *checked.warnings))
    return SqlSeen((*checked.warnings, *problems), _reads(checked, metadata))


def _checked(definition: Sql, metadata: Metadata, at: Path) -> CheckedSql:
    columns: Literal[1, 2] = 2 if definition.catalog == TAG else 1
    return check_sql(
        definition.sql,
        metadata.project_id,
        columns=columns,
        parameters=dict(definition.parameters),
        path=pointer((*at, SQL)),
        parameters_path=pointer((*at, PARAMETERS)),
    )


def _reads(checked: CheckedSql, metadata: Metadata) -> SqlReads:
    """Return the tables, and those of the columns it names that the project has."""
    kinds = [kind for kind in ("event", "user") if f"v_{kind}_{metadata.project_id}".lower() in checked.tables]
    known = {p.name.casefold(): p.name for kind in kinds for p in metadata.properties_of(kind)}
    known |= {name: name for name in (*_DAY_COLUMNS, "*") if "event" in kinds or name == "*"}
    columns = dict.fromkeys(known[name] for name in map(str.casefold, checked.columns_read) if name in known)
    named = tuple(sorted(checked.clusters or ()))
    return SqlReads(checked.tables, tuple(columns), named, any_cluster=checked.clusters is None)
