"""A small project for SQL of users: five users, their events around midnight, a cluster and tags; and ways to run SQL on it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb

from mcp_server.engines.base import DataFile
from mcp_server.engines.duckdb.sandbox.child import refusals
from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest
from mcp_server.engines.duckdb.sandbox.result import collect, reduce, shape_of
from mcp_server.engines.duckdb.sandbox.views import open_project
from mcp_server.plan.plan import ClusterSource
from mcp_server.user_sql.guard import CheckedSql, check_sql
from mcp_server.user_sql.plan import SqlPlan
from mcp_server.user_sql.words import table_names

ZONE = "Asia/Shanghai"
TODAY = date(2026, 7, 4)

_TABLES = """
CREATE TABLE users AS SELECT * FROM (VALUES
  (1::BIGINT, 3::BIGINT, '上海', TRUE, TIMESTAMP '2026-05-31 16:00:00', ['a', 'b'], 10.50::DECIMAL(10, 2)),
  (2, 5, NULL, FALSE, TIMESTAMP '2026-06-10 00:00:00', [], 0),
  (3, 3, 'O''Neil', NULL, TIMESTAMP '2026-06-30 15:59:59', NULL, NULL),
  (4, NULL, '', TRUE, NULL, ['b'], 99.99),
  (5, 7, '北京', FALSE, TIMESTAMP '2026-07-03 16:00:00', ['c'], 5)
) t("#user_id", level, city, vip, reg, tags, balance);
CREATE TABLE events AS SELECT row_number() OVER () - 1 AS "$row", * FROM (VALUES
  (1::BIGINT, 'pay', TIMESTAMP '2026-06-30 16:00:00', 2.5::DOUBLE, 'gem', '{"way": "card"}'),
  (1, 'pay', TIMESTAMP '2026-07-02 04:00:00', 1.0, 'box', '{"way": "cash"}'),
  (1, 'login', TIMESTAMP '2026-07-03 15:59:59', NULL, NULL, NULL),
  (2, 'pay', TIMESTAMP '2026-07-02 04:00:00', 9.0, 'gem', '{"way": "card"}'),
  (2, 'pay', TIMESTAMP '2026-07-03 04:00:00', NULL, 'gem', NULL),
  (3, 'pay', TIMESTAMP '2026-06-30 15:59:59', 4.0, 'box', NULL),
  (4, 'login', TIMESTAMP '2026-07-03 04:00:00', NULL, NULL, NULL),
  (9, 'pay', TIMESTAMP '2026-07-02 04:00:00', 5.0, 'gem', NULL)
) t("#user_id", "#event_name", "#event_time", price, item, attrs);
"""
_FILES = {
    "payers": "SELECT unnest([1, 2]::BIGINT[]) AS user_id",
    "tier": "SELECT * FROM (VALUES (1::BIGINT, 'gold'), (3, 'iron')) t(user_id, value)",
    "spent": "SELECT * FROM (VALUES (1::BIGINT, 3.5::DOUBLE), (2, 9)) t(user_id, value)",
    "last_paid": "SELECT 2::BIGINT AS user_id, TIMESTAMP '2026-07-03 16:30:00' AS value",
}


class Control:
    """A caller who notes what it is told, and can interrupt."""

    def __init__(self) -> None:
        self.interrupted = False
        self.reports: list[float] = []
        self._callbacks: list[Callable[[], None]] = []

    def report(self, percent: float) -> None:
        self.reports.append(percent)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def interrupt(self) -> None:
        self.interrupted = True
        for callback in self._callbacks:
            callback()


@dataclass(frozen=True)
class Project:
    """Its data file and its members files."""

    data: DataFile
    clusters: Mapping[str, Path]


def make(folder: Path) -> Project:
    """The project in a folder."""
    path = folder / "data.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(_TABLES)
        for name, sql in _FILES.items():
            db.execute(f"COPY ({sql}) TO '{folder / name}.parquet' (FORMAT parquet)")
    clusters = {name: folder / f"{name}.parquet" for name in _FILES}
    return Project(DataFile(path, False, tuple(clusters.values())), clusters)


def planned(sql: str, columns: Literal[0, 1, 2] = 1, clusters: Iterable[str] = tuple(_FILES)) -> SqlPlan:
    """Checked SQL as a plan over some clusters."""
    sources = tuple(ClusterSource(name) for name in clusters)
    return SqlPlan(check_sql(sql, "1", columns=columns), sources, ZONE, TODAY)


def request(project: Project, checked: CheckedSql, zone: str = ZONE) -> SqlRequest:
    """What the process would be asked."""
    return SqlRequest(
        sql=checked.text(TODAY),
        columns=checked.columns,
        project_id=checked.project_id,
        zone=zone,
        today=TODAY.isoformat(),
        data=str(project.data.path),
        clusters=[(name, str(path)) for name, path in project.clusters.items()],
        only_bind=False,
        seconds=10,
        memory=512 * 1024**2,
        rows=1000,
        threads=2,
    )


class Desk:
    """A connection as the process has it, in this process: fast enough for many statements."""

    def __init__(self, project: Project, zone: str = ZONE) -> None:
        self.project = project
        self.zone = zone
        self.connection = open_project(
            request(project, check_sql('SELECT "#user_id" FROM v_user_1', "1", columns=1), zone)
        )

    def refusals(self, sql: str) -> list[tuple[str, str]]:
        """What the engine's own tree of a text draws."""
        return refusals(self.connection, sql, table_names("1"))

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Plain rows of a statement, checked by nobody."""
        return self.connection.execute(sql).fetchall()

    def select(
        self, sql: str, columns: int = 1, **parameters: str | tuple[str, str]
    ) -> tuple[list[tuple[object, ...]], dict[str, int]]:
        """Check, bind, run and reduce a statement; its members by id, and the counts."""
        checked = check_sql(sql, "1", columns=2 if columns == 2 else 1, parameters=parameters)
        asked = request(self.project, checked, self.zone)
        assert self.refusals(asked.sql) == []
        shape = shape_of(self.connection, asked.sql)
        assert list(shape.findings(columns)) == []
        try:
            collect(self.connection, asked, shape)
            counts, findings = reduce(self.connection, asked, shape)
            assert findings == [], findings
            shown = "user_id, value" if columns == 2 else "user_id"
            return self.rows(f"SELECT {shown} FROM members ORDER BY user_id"), counts
        finally:
            self.connection.execute("ROLLBACK")
            self.connection.execute("BEGIN TRANSACTION READ ONLY")
