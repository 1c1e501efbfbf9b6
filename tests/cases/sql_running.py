"""Cases that are SQL: run in this process, in the connection that the process for SQL would have."""

import tempfile
from pathlib import Path
from typing import Any

import duckdb

from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest
from mcp_server.engines.duckdb.sandbox.result import collect, reduce, shape_of
from mcp_server.engines.duckdb.sandbox.views import open_project
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.reading.check import Reading, read_sql
from mcp_server.language.sql import Sql
from mcp_server.user_sql.plan import SqlPlan, look_at
from tests.cases.data import METADATA, OWN, WORLD
from tests.reading.tables import fill


def read_sql_case(sent: Any, *, tag: bool) -> Reading[Sql]:
    """Read SQL against the project."""
    catalog, root = (TAG, "tag_qp") if tag else (CLUSTER, "qp")
    return read_sql(sent, METADATA, catalog=catalog, root=(root,), look=look_at, own=OWN)


def select(plan: SqlPlan) -> list[tuple[Any, ...]]:
    """The members, of a tag with their values, by id."""
    with tempfile.TemporaryDirectory() as folder:
        request = _request(plan, Path(folder))
        connection = open_project(request)
        try:
            shape = shape_of(connection, request.sql)
            assert list(shape.findings(request.columns)) == []
            collect(connection, request, shape)
            assert reduce(connection, request, shape)[1] == []
            shown = "user_id, value" if request.columns == 2 else "user_id"
            return connection.execute(f"SELECT {shown} FROM members ORDER BY user_id").fetchall()
        finally:
            connection.close()


def _request(plan: SqlPlan, folder: Path) -> SqlRequest:
    """The project as files, and what the process would be asked."""
    data = folder / "data.duckdb"
    with duckdb.connect(str(data), config={"threads": 1}) as connection:
        fill(connection, WORLD, folder)
    read = {source.name for source in plan.clusters}
    clusters = [(c.name, str(folder / f"{i}_.parquet")) for i, c in enumerate(WORLD.crowds) if c.name in read]
    return SqlRequest(
        sql=plan.text,
        columns=plan.checked.columns,
        project_id=METADATA.project_id,
        zone=plan.zone,
        today=plan.today.isoformat(),
        data=str(data),
        clusters=clusters,
        only_bind=False,
        seconds=10,
        memory=512 * 1024**2,
        rows=1000,
        threads=1,
    )
