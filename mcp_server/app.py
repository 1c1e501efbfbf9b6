"""The composition root: the one place that knows every part and puts them together."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mcp_server.credentials import Credentials
from mcp_server.errors import ConfigurationError
from mcp_server.language.names import NameLimits
from mcp_server.operations.operation import ConsentPolicy, Deps
from mcp_server.platforms.data import DataPlatform
from mcp_server.platforms.segments import OnProgress, SegmentPlatform
from mcp_server.platforms.taobao.client import TaobaoApi
from mcp_server.platforms.taobao.crowds import TaobaoCrowds
from mcp_server.platforms.taobao.wire import SIGN_METHODS
from mcp_server.platforms.taobao.wire import TaobaoCredentials as TaobaoKeys
from mcp_server.platforms.tasks import CallPlatform, CrowdPlatform
from mcp_server.platforms.thinkingdata.segments import thinkingdata_segments
from mcp_server.platforms.transport import Policy, Transport
from mcp_server.platforms.volcengine.calls import VolcengineCalls
from mcp_server.platforms.volcengine.client import VolcengineApi
from mcp_server.platforms.volcengine.wire import VolcengineCredentials as VolcengineKeys
from mcp_server.settings import Settings, command_line
from mcp_server.store.files import LocalFiles
from mcp_server.store.ledger import Ledger
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text, listed

if TYPE_CHECKING:
    from mcp_server.front.http.access import Caller, HttpLimits, Verify
    from mcp_server.front.http.app import Gate
    from mcp_server.front.mcp.handler import Handler
    from mcp_server.front.mcp.server import FenqunServer
    from mcp_server.gateway.app import Gateway
    from mcp_server.gateway.base import GatewayKeys, GatewayLimits
    from mcp_server.platforms.local.queries import LocalQueries
    from mcp_server.settings import GatewaySettings, HttpSettings
    from mcp_server.store.catalog import Catalog
    from mcp_server.store.files import HandedFiles
    from mcp_server.store.runner import JobRunner
    from mcp_server.store.tokens import TokenRecord, Tokens


# Remote platforms: one transport to each host.

Clock = Callable[[], datetime]

_POLICY = Policy()
_SHOWN = 4
"""Characters at each end of an access key that are shown."""


def _now() -> datetime:
    return datetime.now(UTC)


_ADDRESS = Text("The address is set in {own}_URL.", "地址由 {own}_URL 设置。")
_PLAIN_SETTING = Text(
    "The address is set in {own}_URL; {own}_ALLOW_HTTP=1 allows http to a private address.",
    "地址由 {own}_URL 设置；{own}_ALLOW_HTTP=1 允许对内网地址使用 http。",
)


@dataclass(frozen=True, slots=True)
class Account:
    """What the platform of a vendor is made from."""

    given: Credentials
    transport: Transport
    clock: Clock
    files: LocalFiles
    regex_fault: Callable[[str], str]
    """Why a pattern is not valid on this machine; "" where it is."""


def _thinkingdata(account: Account) -> SegmentPlatform:
    return thinkingdata_segments(account.given, account.transport, account.files, account.regex_fault, account.clock)


def _taobao(account: Account) -> CrowdPlatform:
    given, transport, clock = account.given, account.transport, account.clock
    method = next((m for m in SIGN_METHODS if m == given["sign_method"].casefold()), None)
    if method is None:
        raise ConfigurationError(
            Text(
                "FENQUN_TAOBAO_SIGN_METHOD must be one of {methods}.", "FENQUN_TAOBAO_SIGN_METHOD 应为 {methods} 之一。"
            ).format(methods=listed(SIGN_METHODS)),
            next_step=Text("Correct it, or leave it out.", "请改正，或不设置。"),
        )
    keys = TaobaoKeys(given["app_key"], given.secret("app_secret"), given.secret("session"), method)
    return TaobaoCrowds(TaobaoApi(transport, keys, clock), f"{transport.authority} (app {given['app_key']})", clock)


def _volcengine(account: Account) -> CallPlatform:
    given, transport, clock = account.given, account.transport, account.clock
    keys = VolcengineKeys(given["access_key"], given.secret("secret_key"), given.secret("session_token"))
    api = VolcengineApi(transport, keys, given["region"], clock)
    return VolcengineCalls(api, f"{transport.authority} (access key {_partly(keys.access_key)})", clock)


def _partly(key: str) -> str:
    return f"{key[:_SHOWN]}…{key[-_SHOWN:]}" if len(key) > 3 * _SHOWN else "…"


SEGMENTS: dict[str, Callable[[Account], SegmentPlatform]] = {"thinkingdata": _thinkingdata}
CROWDS: dict[str, Callable[[Account], CrowdPlatform]] = {"taobao": _taobao}
CALLS: dict[str, Callable[[Account], CallPlatform]] = {"volcengine": _volcengine}
"""How the platform of each vendor (`credentials.VENDORS`) is made, by the system that it serves."""

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Remote:
    """The platforms that are not on this machine; None where they are."""

    segments: SegmentPlatform | None
    crowds: CrowdPlatform | None
    calls: CallPlatform | None
    transports: Mapping[str, Transport]
    """By the name of the vendor."""

    async def close(self) -> None:
        """Let go of the connections."""
        for transport in self.transports.values():
            await transport.close()


def connect(
    remote: Mapping[str, Credentials],
    files: LocalFiles,
    regex_fault: Callable[[str], str],
    clock: Clock = _now,
    policy: Policy = _POLICY,
) -> Remote:
    """The platforms of these vendors. Nothing is sent yet. ConfigurationError where an address or a word is not legal."""
    transports = {name: _transport(given, policy) for name, given in remote.items()}

    def platform(makers: Mapping[str, Callable[[Account], P]]) -> P | None:
        name = next((name for name in makers if name in remote), None)
        return makers[name](Account(remote[name], transports[name], clock, files, regex_fault)) if name else None

    return Remote(platform(SEGMENTS), platform(CROWDS), platform(CALLS), transports)


def _transport(given: Credentials, policy: Policy) -> Transport:
    """ConfigurationError, which names the variable, where the address can't be used."""
    plain = given.values.get("allow_http") == "1"
    try:
        return Transport(given["url"], policy, plain_private=plain)
    except ConfigurationError as error:
        where = _PLAIN_SETTING if "allow_http" in given.values and not plain else _ADDRESS
        raise ConfigurationError(
            error.message, next_step=error.next_step.then(where.format(own=given.vendor.pin))
        ) from error


# The parts of one process. The engine starts with the first query; a server over stdio opens only the workspace first
# (`opening.py`).

_NOW = partial(datetime.now, UTC)


@dataclass(frozen=True, slots=True)
class App:
    """The parts of one process. Close it at the end."""

    settings: Settings
    deps: Deps
    finish: Callable[[OnProgress], Awaitable[int]]
    """Waits for the computations of this process that still run; returns their number."""
    tidy: Callable[[], None]
    """Removes what dead processes left in the workspace, and what has expired."""
    purge: Callable[[str], tuple[str, ...]]
    """Removes what is kept to undo changes and deletions, of a project or ("") of all; returns the files removed."""
    tokens: "Tokens"
    """Access tokens for HTTP."""
    handed: "HandedFiles"
    """Files that come and go over HTTP."""
    queries: "LocalQueries"
    """SQL with any columns, for the gateway."""
    alive: Callable[[], object]
    """Raises FenqunError where the workspace can no longer be used."""
    close: Callable[[], None]
    """Stops what runs and lets go of the workspace."""

    def server(self) -> "FenqunServer":
        """Return the MCP server over these parts."""
        from mcp_server.front.mcp.server import serving

        return serving(self.work())

    def work(self) -> "Handler":
        """Return the handler of requests over these parts."""
        from mcp_server.front.mcp.handler import Handler
        from mcp_server.operations.registry import OPERATIONS

        return Handler(OPERATIONS, self.deps)

    def http(self, settings: "HttpSettings", limits: "HttpLimits") -> "Gate":
        """Return the same server as an ASGI application, with files beside it and the gate around it."""
        from mcp_server.front.http.app import GateSettings, OAuthResource, application
        from mcp_server.operations.registry import OPERATIONS

        oauth = settings.oauth
        gate = GateSettings(
            names=settings.names,
            verify=self._verify(settings),
            approvers=_Approvers(self.tokens),
            resource=OAuthResource(f"{settings.public_url}/mcp", oauth.issuer) if oauth else None,
            public_url=settings.public_url,
            limits=limits,
        )
        return application(OPERATIONS, self.deps, self.handed, gate, alive=self.alive)

    def gateway(
        self,
        settings: "GatewaySettings",
        keys: "GatewayKeys",
        *,
        clock: Callable[[], datetime] = _NOW,
        limits: "GatewayLimits | None" = None,
    ) -> "Gateway":
        """Return the local platforms in the vendors' wire formats, as an ASGI application."""
        from mcp_server.gateway.app import Gateway
        from mcp_server.gateway.base import GatewayLimits, GatewayParts, query_over

        return Gateway(
            GatewayParts(self.deps, keys, clock, query_over(self.queries), self.handed, limits or GatewayLimits()),
            settings.names,
        )

    def _verify(self, settings: "HttpSettings") -> "Verify | None":
        from mcp_server.front.http.oauth import JwtVerifier, KeySet

        if settings.oauth:
            oauth = settings.oauth
            return JwtVerifier(issuer=oauth.issuer, audience=oauth.audience, keys=KeySet(oauth.jwks))
        return _static(self.tokens) if settings.auth == "token" else None


def build(settings: Settings, workspace: Workspace | None = None) -> App:
    """Put the parts together, over a workspace that is open or is opened now. ConfigurationError where it cannot be used."""
    from mcp_server.platforms.tasks import absent_calls, absent_crowds

    local = _open_local(settings, workspace or Workspace.open(settings.workspace))
    try:
        remote = connect(settings.remote, local.files, local.regex_fault)
    except BaseException:
        local.close()
        raise
    elsewhere = remote.segments.name if remote.segments else ""
    deps = Deps(
        segments=remote.segments or local.segments,
        crowds=remote.crowds or (absent_crowds(elsewhere) if elsewhere else local.crowds),
        calls=remote.calls or (absent_calls(elsewhere) if elsewhere else local.calls),
        ledger=local.ledger,
        data=None if remote.segments else local.data,
        exports=local.handed,
        consent=ConsentPolicy(settings.consent, frozenset({"local"}) | settings.consent_platforms),
        language=settings.language,
        project_id=settings.project_id,
        pinned=settings.pin_project,
        absent_fields=_absent_fields,
        disconnect=remote.close,
        read_only=settings.read_only,
        command_line=command_line(settings),
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


def _absent_fields(platform: str, tool: str, result: Mapping[str, object]) -> Iterable[tuple[str, Text]]:
    from mcp_server.platforms.fields import absent_fields  # only where something is remote

    return absent_fields(platform, tool, result)


def _static(tokens: "Tokens") -> "Verify":
    """Return the check of this workspace's tokens; one that only approves opens nothing else."""
    from mcp_server.front.http.access import only_approves

    async def verify(token: str) -> "Caller | None":
        record = tokens.find(token)
        if record is not None and record.scope == "approve":
            raise only_approves()
        return _holder(record) if record is not None else None

    return verify


def _holder(token: "TokenRecord") -> "Caller":
    from mcp_server.front.http.access import Caller
    from mcp_server.operations.operation import Identity

    who = Identity(token.name, "token", may_write=token.scope == "write", projects=token.projects)
    return Caller(who, f"token:{token.id}")


@dataclass(frozen=True, slots=True)
class _Approvers:
    """The holders of approval tokens (`front.http.access.Approvers`)."""

    tokens: "Tokens"

    def by_token(self, token: str) -> "Caller | None":
        return self._approver(self.tokens.find(token))

    def by_credential(self, credential: str) -> "Caller | None":
        return self._approver(self.tokens.living(int(credential.removeprefix("token:"))))

    def _approver(self, record: "TokenRecord | None") -> "Caller | None":
        return _holder(record) if record is not None and record.scope == "approve" else None


@dataclass(frozen=True, slots=True)
class _Local:
    """The platform of this machine, open."""

    segments: SegmentPlatform
    crowds: CrowdPlatform
    calls: CallPlatform
    data: DataPlatform
    ledger: Ledger
    files: LocalFiles
    regex_fault: Callable[[str], str]
    finish: Callable[[OnProgress], Awaitable[int]]
    tidy: Callable[[], None]
    purge: Callable[[str], tuple[str, ...]]
    tokens: "Tokens"
    handed: "HandedFiles"
    queries: "LocalQueries"
    catalog_answers: Callable[[], object]
    close: Callable[[], None]


def _check_files(catalog: "Catalog") -> None:
    """Raise FenqunError where the catalogue does not answer, or a data file that it names is damaged."""
    from mcp_server.engines.duckdb.damage import check_whole

    for project in catalog.projects():
        for part in catalog.generation_of(project).parts:
            check_whole(catalog.workspace.absolute(part))


async def _finish(jobs: "JobRunner", on_progress: OnProgress) -> int:
    """Wait for running computations; return their number."""
    from mcp_server.platforms.local.segments import COMPUTING

    running = jobs.active
    for job in running:
        await jobs.wait(job, None, lambda percent: on_progress(percent, COMPUTING))
    return len(running)


def _open_local(settings: Settings, workspace: Workspace) -> _Local:
    """Open workspace, catalogue, engine and jobs, closed in the opposite order, with the platforms over them."""
    from mcp_server.engines.duckdb.engine import Engine, EngineLimits
    from mcp_server.platforms.local.calls import LocalCalls
    from mcp_server.platforms.local.computing import computing
    from mcp_server.platforms.local.crowds import LocalCrowds
    from mcp_server.platforms.local.data import LocalData
    from mcp_server.platforms.local.known import KnownClusters
    from mcp_server.platforms.local.queries import LocalQueries
    from mcp_server.platforms.local.segments import LocalSegments
    from mcp_server.store.catalog import Catalog
    from mcp_server.store.files import HandedFiles
    from mcp_server.store.housekeeping import purge, sweep
    from mcp_server.store.runner import JobRunner
    from mcp_server.store.tokens import Tokens

    with ExitStack() as stack:
        stack.callback(workspace.close)
        catalog = Catalog(workspace, undo_days=settings.undo_days)
        stack.callback(catalog.close)
        engine = Engine(
            workspace.temp_path(".spill"),
            EngineLimits(settings.threads, settings.memory_limit, settings.sql_seconds, settings.sql_memory),
        )
        stack.callback(engine.close)
        known = KnownClusters(catalog)
        jobs = JobRunner(catalog, computing(catalog, engine, known))
        stack.callback(jobs.close)
        files = LocalFiles(workspace, settings.allow_dirs)
        segments = LocalSegments(catalog, engine, jobs, known, files, read_only=settings.read_only)
        data = LocalData(catalog, files, segments.tasks, settings.memory_limit)
        stack.callback(data.forget)
        close = stack.pop_all().close
    ledger = Ledger(catalog, log_days=settings.log_days)
    handed = HandedFiles(catalog)

    def tidy() -> None:
        sweep(catalog, jobs.store)
        ledger.tidy()
        handed.tidy()

    return _Local(
        segments,
        LocalCrowds(catalog, engine, segments, read_only=settings.read_only),
        LocalCalls(catalog, engine),
        data,
        ledger,
        files,
        engine.regex_fault,
        lambda on_progress: _finish(jobs, on_progress),
        tidy,
        lambda project: purge(catalog, jobs.store, project),
        Tokens(catalog),
        handed,
        LocalQueries(catalog, engine, known, segments.tasks),
        lambda: _check_files(catalog),
        close,
    )
