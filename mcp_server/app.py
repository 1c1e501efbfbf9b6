"""The composition root: the one place that knows every part and puts them together.

`build` opens the workspace and its catalogue and puts everything over them; the engine starts with the first query,
the protocol with `serve`. A server over stdio is quicker (`opening.py`): it is there before most of this is loaded.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from mcp_server.operations.consenting import Consenting
from mcp_server.operations.operation import Deps
from mcp_server.platforms.call_port import CallPlatform
from mcp_server.platforms.crowd_port import CrowdPlatform
from mcp_server.platforms.ledger_port import Ledger
from mcp_server.platforms.local.workspace import Workspace
from mcp_server.platforms.ports import OnProgress, SegmentPlatform
from mcp_server.qp.names import NameLimits
from mcp_server.settings import Settings
from mcp_server.text import Text

if TYPE_CHECKING:
    from mcp_server.front.http.access import Caller, Verify
    from mcp_server.front.http.gate import Gate
    from mcp_server.front.http.limits import Limits
    from mcp_server.front.server import FenqunServer
    from mcp_server.front.work import Work
    from mcp_server.gateway.asgi import Gateway
    from mcp_server.gateway.faults import Faults
    from mcp_server.gateway.house import Limits as GatewayLimits
    from mcp_server.gateway.keys import Keys
    from mcp_server.gateway_settings import GatewaySettings
    from mcp_server.http_settings import HttpSettings
    from mcp_server.platforms.here_port import Here
    from mcp_server.platforms.local.handed import HandedFiles
    from mcp_server.platforms.local.jobs import JobRunner
    from mcp_server.platforms.local.querying import LocalQueries
    from mcp_server.platforms.local.tokens import TokenRecord, Tokens


_NOW = partial(datetime.now, UTC)


@dataclass(frozen=True, slots=True)
class App:
    """What one process works with. Close it at the end."""

    settings: Settings
    deps: Deps
    finish: Callable[[OnProgress], Awaitable[int]]
    """Waits for the computations that this process has started and that still run; how many there were."""
    tidy: Callable[[], None]
    """Removes what dead processes left in the workspace, and what was kept for a time that is over."""
    purge: Callable[[str], tuple[str, ...]]
    """Gives up what was kept to undo changes and deletions, of a project or ("") of all; the files removed."""
    tokens: "Tokens"
    """Who may come over HTTP."""
    handed: "HandedFiles"
    """Files that come and go over HTTP."""
    queries: "LocalQueries"
    """SQL with any columns, for the gateway."""
    alive: Callable[[], object]
    """Raises FenqunError where the workspace can no longer be used."""
    close: Callable[[], None]
    """Stops what runs and lets go of the workspace."""

    def server(self) -> "FenqunServer":
        """The MCP server over these parts."""
        from mcp_server.front.work import serving

        return serving(self.work())

    def work(self) -> "Work":
        """What the MCP server does over these parts."""
        from mcp_server.front.work import Work
        from mcp_server.operations.registry import OPERATIONS

        return Work(OPERATIONS, self.deps)

    def http(self, settings: "HttpSettings", limits: "Limits") -> "Gate":
        """The same server as an ASGI application, with files beside it and the gate around it."""
        from mcp_server.front.http.asgi import Door, Resource, application
        from mcp_server.operations.registry import OPERATIONS

        oauth = settings.oauth
        door = Door(
            names=settings.names,
            verify=self._verify(settings),
            approvers=_Approvers(self.tokens),
            resource=Resource(f"{settings.public_url}/mcp", oauth.issuer) if oauth else None,
            public_url=settings.public_url,
            limits=limits,
        )
        return application(OPERATIONS, self.deps, self.handed, door, alive=self.alive)

    def gateway(
        self,
        settings: "GatewaySettings",
        keys: "Keys",
        *,
        clock: Callable[[], datetime] = _NOW,
        faults: "Faults | None" = None,
        limits: "GatewayLimits | None" = None,
    ) -> "Gateway":
        """The local platforms in the vendors' wire formats, as an ASGI application. `faults` is for tests."""
        from mcp_server.gateway.asgi import Gateway
        from mcp_server.gateway.house import House, Limits
        from mcp_server.gateway.querying import query_over

        return Gateway(
            House(self.deps, keys, clock, query_over(self.queries), self.handed, limits or Limits()),
            settings.names,
            faults,
        )

    def _verify(self, settings: "HttpSettings") -> "Verify | None":
        from mcp_server.front.http.oauth import JwtVerifier, Keys

        if settings.oauth:
            oauth = settings.oauth
            return JwtVerifier(issuer=oauth.issuer, audience=oauth.audience, keys=Keys(oauth.jwks))
        return _static(self.tokens) if settings.auth == "token" else None


def build(settings: Settings, workspace: Workspace | None = None) -> App:
    """Put the parts together, over a workspace that is open or is opened now. ConfigurationError where it cannot be used."""
    from mcp_server.platforms.absent import absent_calls, absent_crowds
    from mcp_server.remote import connect

    local = _open_local(settings, workspace or Workspace.open(settings.workspace))
    try:
        remote = connect(settings.remote, here=local.here)
    except BaseException:
        local.close()
        raise
    elsewhere = remote.segments is not None
    deps = Deps(
        segments=remote.segments or local.segments,
        crowds=remote.crowds or (absent_crowds() if elsewhere else local.crowds),
        calls=remote.calls or (absent_calls() if elsewhere else local.calls),
        ledger=local.ledger,
        exports=local.handed,
        consenting=Consenting(settings.consent, frozenset({"local"}) | settings.consent_platforms),
        language=settings.language,
        project_id=settings.project_id,
        pinned=settings.pin_project,
        lacks=_lacks,
        disconnect=remote.close,
        read_only=settings.read_only,
        limits=NameLimits(settings.cluster_name_limit, settings.display_name_limit),
    )
    return App(
        settings,
        deps,
        local.finish,
        local.tidy,
        local.purge,
        local.tokens,
        local.handed,
        local.queries,
        local.catalog_answers,
        local.close,
    )


def _lacks(platform: str, tool: str, result: Mapping[str, object]) -> Iterable[tuple[str, Text]]:
    from mcp_server.platforms.fields import not_told  # only where something is remote

    return not_told(platform, tool, result)


def _static(tokens: "Tokens") -> "Verify":
    """What a token of this workspace proves to whoever serves programs."""
    from mcp_server.front.http.access import only_approves

    async def verify(token: str) -> "Caller | None":
        found = tokens.find(token)
        if found is not None and found.scope == "approve":
            raise only_approves()
        return _holder(found) if found is not None else None

    return verify


def _holder(token: "TokenRecord") -> "Caller":
    from mcp_server.front.http.access import Caller
    from mcp_server.operations.identity import Identity

    who = Identity(token.name, "token", may_write=token.scope == "write", projects=token.projects)
    return Caller(who, f"token:{token.id}")


@dataclass(frozen=True, slots=True)
class _Approvers:
    """The holders of approval tokens (`front.http.access.Approvers`)."""

    tokens: "Tokens"

    def holder(self, token: str) -> "Caller | None":
        return self._approver(self.tokens.find(token))

    def still(self, credential: str) -> "Caller | None":
        return self._approver(self.tokens.living(int(credential.removeprefix("token:"))))

    def _approver(self, found: "TokenRecord | None") -> "Caller | None":
        return _holder(found) if found is not None and found.scope == "approve" else None


@dataclass(frozen=True, slots=True)
class _Local:
    """The platform of this machine, open."""

    segments: SegmentPlatform
    crowds: CrowdPlatform
    calls: CallPlatform
    ledger: Ledger
    here: "Here"
    finish: Callable[[OnProgress], Awaitable[int]]
    tidy: Callable[[], None]
    purge: Callable[[str], tuple[str, ...]]
    tokens: "Tokens"
    handed: "HandedFiles"
    queries: "LocalQueries"
    catalog_answers: Callable[[], object]
    close: Callable[[], None]


async def _finish(jobs: "JobRunner", on_progress: OnProgress) -> int:
    """Wait for what runs; how many there were."""
    from mcp_server.platforms.local.segments import COMPUTING

    running = jobs.active
    for job in running:
        await jobs.wait(job, None, lambda percent: on_progress(percent, COMPUTING))
    return len(running)


def _open_local(settings: Settings, workspace: Workspace) -> _Local:
    """Workspace, catalogue, engine, jobs and the segments over them; closed in the opposite order."""
    from mcp_server.engine.duck import Engine, Limits
    from mcp_server.platforms.local.allowed_files import AllowedFiles
    from mcp_server.platforms.local.calls import LocalCalls
    from mcp_server.platforms.local.catalog import Catalog
    from mcp_server.platforms.local.computing import computing
    from mcp_server.platforms.local.crowds import LocalCrowds
    from mcp_server.platforms.local.handed import HandedFiles
    from mcp_server.platforms.local.here import LocalHere
    from mcp_server.platforms.local.housekeeping import purge, sweep
    from mcp_server.platforms.local.jobs import JobRunner
    from mcp_server.platforms.local.known import KnownClusters
    from mcp_server.platforms.local.ledger import LocalLedger
    from mcp_server.platforms.local.querying import LocalQueries
    from mcp_server.platforms.local.segments import LocalSegments
    from mcp_server.platforms.local.tokens import Tokens

    with ExitStack() as opened:
        opened.callback(workspace.close)
        catalog = Catalog(workspace)
        opened.callback(catalog.close)
        engine = Engine(
            workspace.temp_path(".spill"),
            Limits(settings.threads, settings.memory_limit, settings.sql_seconds, settings.sql_memory),
        )
        opened.callback(engine.close)
        known = KnownClusters(catalog)
        jobs = JobRunner(catalog, computing(catalog, engine, known))
        opened.callback(jobs.close)
        close = opened.pop_all().close
    ledger = LocalLedger(catalog, log_days=settings.log_days)
    handed = HandedFiles(catalog)

    def tidy() -> None:
        sweep(catalog, jobs.store)
        ledger.tidy()
        handed.tidy()

    files = AllowedFiles([workspace.imports, *settings.allow_dirs])
    segments = LocalSegments(catalog, engine, jobs, known, files, read_only=settings.read_only)
    return _Local(
        segments,
        LocalCrowds(catalog, engine, segments, read_only=settings.read_only),
        LocalCalls(catalog, engine),
        ledger,
        LocalHere(workspace, engine, files),
        lambda on_progress: _finish(jobs, on_progress),
        tidy,
        lambda project: purge(catalog, jobs.store, project),
        Tokens(catalog),
        handed,
        LocalQueries(catalog, engine, known, segments.tasks),
        lambda: catalog.database.row("SELECT 1 FROM project"),
        close,
    )
