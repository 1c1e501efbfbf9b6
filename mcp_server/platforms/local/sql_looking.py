"""The look at SQL on this machine: the check, and the engine that binds it to the project's data."""

from collections.abc import Sequence

from mcp_server.engine.duck import Engine
from mcp_server.engine.sql_guard import CheckedSql
from mcp_server.engine.sql_plan import look_at
from mcp_server.errors import Problem
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.computing import data_file
from mcp_server.platforms.local.control import Control
from mcp_server.qp.check import Path
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.sql import Sql
from mcp_server.qp.sql_reading import SqlSeen

MOST_KEPT = 64


class SqlLooker:
    """Looks at SQL (`sql_reading.SqlLook`); remembers what was found good, for a definition is usually sent several times."""

    def __init__(self, catalog: Catalog, engine: Engine) -> None:
        self._catalog = catalog
        self._engine = engine
        self._good: dict[tuple[object, ...], None] = {}

    def __call__(self, definition: Sql, metadata: Metadata, at: Path) -> SqlSeen:
        return look_at(definition, metadata, at, lambda checked: self._bound(checked, metadata))

    def _bound(self, checked: CheckedSql, metadata: Metadata) -> Sequence[Problem]:
        """What the engine finds; in a process of its own, which takes about a quarter of a second."""
        from mcp_server.engine.sql_run import bind_sql

        generation = self._catalog.generation(metadata.project_id)
        key = (metadata.project_id, generation.number, checked.columns, checked.text(metadata.today))
        if key in self._good:
            return ()
        found = bind_sql(
            checked,
            data_file(self._catalog, generation),
            zone=metadata.zone,
            today=metadata.today,
            limits=self._engine.sql_limits,
            control=Control(self._catalog.workspace),
        )
        if not found:
            self._remember(key)
        return found

    def _remember(self, key: tuple[object, ...]) -> None:
        for old in list(self._good)[: max(0, len(self._good) + 1 - MOST_KEPT)]:
            self._good.pop(old, None)  # worker threads may do so at the same time
        self._good[key] = None
