"""The composition root: the one place that knows every part and puts them together.

Heavy libraries are imported when they are first used: `build` opens the workspace and its catalogue, which
takes milliseconds; the engine starts with the first query, the protocol with `serve`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_server.operations.operation import Deps
from mcp_server.platforms.ports import SegmentPlatform
from mcp_server.qp.names import NameLimits
from mcp_server.settings import Settings

if TYPE_CHECKING:
    from mcp_server.front.server import FenqunServer


@dataclass(frozen=True, slots=True)
class App:
    """What one process works with. Close it at the end."""

    settings: Settings
    deps: Deps
    close: Callable[[], None]
    """Stops what runs and lets go of the workspace."""

    def server(self) -> "FenqunServer":
        """The MCP server over these parts."""
        from mcp_server.front.server import FenqunServer
        from mcp_server.operations.registry import OPERATIONS

        return FenqunServer(OPERATIONS, self.deps)


def build(settings: Settings) -> App:
    """Put the parts together. Raises ConfigurationError where the workspace cannot be used."""
    segments, close = _local_segments(settings)
    deps = Deps(
        segments=segments,
        language=settings.language,
        project_id=settings.project_id,
        read_only=settings.read_only,
        limits=NameLimits(settings.cluster_name_limit, settings.display_name_limit),
    )
    return App(settings, deps, close)


def _local_segments(settings: Settings) -> tuple[SegmentPlatform, Callable[[], None]]:
    """Segments on this machine: workspace, catalogue, jobs and engine; and what closes them, the last opened first."""
    from mcp_server.engine.duck import Engine, Limits
    from mcp_server.platforms.local.catalog import Catalog
    from mcp_server.platforms.local.jobs import JobRunner
    from mcp_server.platforms.local.segments import LocalSegments, computing
    from mcp_server.platforms.local.workspace import Workspace

    workspace = Workspace.open(settings.workspace)
    try:
        catalog = Catalog(workspace)
    except BaseException:
        workspace.close()
        raise
    engine = Engine(workspace.temp_path(".spill"), Limits(settings.threads, settings.memory_limit))
    jobs = JobRunner(catalog, computing(catalog, engine))

    def close() -> None:
        jobs.close()
        engine.close()
        catalog.close()
        workspace.close()

    return LocalSegments(catalog, engine, jobs, read_only=settings.read_only), close
