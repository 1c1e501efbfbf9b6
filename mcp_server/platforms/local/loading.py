"""Loading data into a workspace: build a new generation beside the old one, then make it current in one commit.

Nothing is ever half-loaded: until the commit every reader sees the old data, after it the new. Clusters keep
their definitions and show as out of date.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from mcp_server.engine.loading import LoadOptions, Sources, build
from mcp_server.engine.report import LoadReport
from mcp_server.errors import InvalidArguments
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.workspace import Workspace
from mcp_server.text import Text

_BAD_DATE = Text("--as-of is a date such as 1998-07-01, not {got}.", "--as-of 应为日期，如 1998-07-01，而不是 {got}。")


def load(
    workspace: Path,
    project_id: str,
    *,
    events: str,
    users: str = "",
    columns: Mapping[str, str],
    time_zone: str = "",
    as_of: str = "",
    metadata: str = "",
    skip_bad_rows: bool = False,
    memory_limit: str | None = None,
    on_progress: Callable[[float, Text], None],
) -> LoadReport:
    """Load event and user files as the data of a project; it replaces what was there.

    `events` and `users` are paths or globs; `on_progress` takes percent, 0 to 100. Raises LoadRefused where a file
    cannot be loaded; then nothing changed.
    """
    sources = Sources(events, users or None, columns, Path(metadata) if metadata else None)
    with ExitStack() as opened:
        home = Workspace.open(workspace)
        opened.callback(home.close)
        catalog = Catalog(home)
        opened.callback(catalog.close)
        options = LoadOptions(project_id, _zone(catalog, project_id, time_zone), _date(as_of), skip_bad_rows)
        out, spill = home.temp_path(".duckdb"), home.temp_path(".spill")
        opened.callback(out.unlink, missing_ok=True)
        built = build(
            sources,
            options,
            out,
            previous=_previous(catalog, project_id),
            temp=spill,
            progress=lambda done, doing: on_progress(100 * done, doing),
            memory_limit=memory_limit,
        )
        final = home.result_path(home.data, f"project_{project_id}", ".duckdb")
        home.publish(out, final)
        facts = {"unknown_user_rows": built.report.unknown_user_rows, "report": built.report.model_dump(mode="json")}
        catalog.publish_generation(built.metadata, [home.relative(final)], facts)
        return built.report


def _zone(catalog: Catalog, project_id: str, said: str) -> str:
    """The zone that is asked for; else the one the project has; else the vendor's default (qp.md section 2)."""
    known = catalog.find_project(project_id)
    return said or (known.zone if known else "Asia/Shanghai")


def _date(said: str) -> date | None:
    if not said:
        return None
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise InvalidArguments(_BAD_DATE.format(got=repr(said))) from None


def _previous(catalog: Catalog, project_id: str) -> Path | None:
    """The file of the current generation: ids that were assigned there are kept."""
    known = catalog.find_project(project_id)
    if known is None:
        return None
    return catalog.workspace.absolute(catalog.generation(project_id).parts[0])
