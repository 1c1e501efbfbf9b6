"""What the three wire formats share: the operations behind them, credentials, strict JSON, SQL queries, the wording of errors."""

import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from mcp_server.consent.invoke import call
from mcp_server.effect import Effect
from mcp_server.errors import ConfigurationError, FenqunError
from mcp_server.operations.asking import Consenting
from mcp_server.operations.operation import Deps, Identity, Operation, Params, Result
from mcp_server.settings import GATEWAY_PREFIX
from mcp_server.text import Text, listed

# JSON as a strict server takes it: objects without repeated keys, numbers that are numbers.


class NotJson(Exception):
    """The text is no JSON object; says why."""


def read_object(body: bytes) -> dict[str, Any]:
    """The object. NotJson where it is none, names a key twice, holds NaN, or nests too deep."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise NotJson("nested too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None
    if not isinstance(value, dict):
        raise NotJson("not an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("a key stands twice")
    return found


def _no_constant(name: str) -> object:
    raise NotJson(f"{name} is no number")


def is_whole(value: object) -> bool:
    """A JSON number without a fraction; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def unknown(given: Mapping[str, object], *names: str) -> str:
    """The first key that is not among these names; "" where there is none."""
    return next((key for key in given if key not in names), "")


# The gateway's own credentials: made at the first start, or from the environment; always asked for.


FILE: Final = "gateway.json"
"""In the workspace, readable only by its owner."""

_SHORT: Final = 8
"""Characters that a credential has at least."""

_SOME = Text("The gateway's credentials are incomplete; missing: {missing}.", "网关凭证缺少 {missing}。")
_ALL = Text(
    "Set all FENQUN_GATEWAY_ credentials, or none: then they stand in the file {file} of the workspace.",
    "请设置全部 FENQUN_GATEWAY_ 凭证，或一个都不设：此时凭证保存在工作区的 {file} 文件中。",
)
_WEAK = Text("{name} is shorter than {n} characters.", "{name} 不足 {n} 个字符。")
_LONGER = Text("Choose longer ones.", "请使用更长的凭证。")
_OPEN = Text(
    "Others may read {file}, which holds the gateway's credentials.", "其他用户可以读取保存网关凭证的 {file}。"
)
_CLOSE = Text("Run: chmod 600 {file}", "请运行：chmod 600 {file}")
_BROKEN = Text("{file} does not hold the gateway's credentials.", "{file} 中没有完整的网关凭证。")
_REMOVE = Text("Mend it, or remove it: then new ones are made.", "请修正该文件，或将其删除以重新生成。")


@dataclass(frozen=True, slots=True, repr=False)
class GatewayKeys:
    """The credentials. Not shown by accident: there is no repr."""

    token: str
    app_key: str
    app_secret: str
    session: str
    access_key: str
    secret_key: str


_NAMES = tuple(field.name for field in fields(GatewayKeys))


def keys_of(environment: Mapping[str, str], workspace: Path) -> GatewayKeys:
    """The credentials of the environment, else of the workspace's file, which is made where there is none.

    ConfigurationError: only some are set, one is too short, the file is open to others or unreadable.
    """
    given = {name: environment.get(f"{GATEWAY_PREFIX}{name.upper()}", "").strip() for name in _NAMES}
    if any(given.values()):
        return _checked(given)
    path = workspace / FILE
    try:
        return _from_file(path)
    except FileNotFoundError:
        return _made(path)


def _checked(given: Mapping[str, str]) -> GatewayKeys:
    missing = [f"{GATEWAY_PREFIX}{name.upper()}" for name in _NAMES if not given[name]]
    if missing:
        raise _incomplete(missing)
    for name in _NAMES:
        if len(given[name]) < _SHORT:
            raise ConfigurationError(_WEAK.format(name=f"{GATEWAY_PREFIX}{name.upper()}", n=_SHORT), next_step=_LONGER)
    return GatewayKeys(**given)


def _incomplete(missing: list[str]) -> ConfigurationError:
    return ConfigurationError(_SOME.format(missing=listed(missing)), next_step=_ALL.format(file=FILE))


def _from_file(path: Path) -> GatewayKeys:
    with path.open("rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ConfigurationError(_OPEN.format(file=path), next_step=_CLOSE.format(file=path))
        said = file.read(64 * 1024)
    try:
        found = json.loads(said)
        return GatewayKeys(**{name: _text(found[name]) for name in _NAMES})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(_BROKEN.format(file=path), next_step=_REMOVE) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) < _SHORT:
        raise ValueError
    return value


def _made(path: Path) -> GatewayKeys:
    """New credentials in a new file; of two processes that make one at once, the first wins."""
    keys = GatewayKeys(
        token=secrets.token_urlsafe(32),
        app_key=str(10_000_000 + secrets.randbelow(90_000_000)),
        app_secret=secrets.token_hex(16),
        session=secrets.token_hex(28),
        access_key="FQAK" + secrets.token_hex(16),
        secret_key=secrets.token_urlsafe(32),
    )
    text = json.dumps({name: getattr(keys, name) for name in _NAMES}, indent=2) + "\n"
    temp = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temp, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
        os.link(temp, path)
    except FileExistsError:
        return _from_file(path)
    finally:
        temp.unlink(missing_ok=True)
    return keys


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# SQL as an operation of the gateway's own: no tool, but read, bound to projects and logged as tools are.


class Rows(Protocol):
    """The answer to SQL: a file with one JSON array a line."""

    @property
    def headers(self) -> tuple[str, ...]: ...
    @property
    def path(self) -> Path: ...
    @property
    def count(self) -> int: ...


class Queries(Protocol):
    """SQL over a project's data (`platforms.local.querying`)."""

    async def rows(self, project_id: str, sql: str, seconds: float | None) -> Rows: ...


class QuerySql(Params):
    """Arguments of query_sql."""

    sql: str
    seconds: float | None = None
    project_id: str = ""


class Queried(Result):
    """Answer of query_sql. Whoever asked removes the file."""

    headers: tuple[str, ...]
    path: Path


_ROWS = Text("{n} row(s).", "共 {n} 行。")


def query_over(queries: Queries) -> Operation[QuerySql, Queried]:
    """The operation that asks these. It is made here and not by `@operation`, which makes tools."""

    async def query_sql(params: QuerySql, deps: Deps) -> Queried:
        found = await queries.rows(deps.project(params.project_id), params.sql, params.seconds)
        return Queried(message=deps.say(_ROWS.format(n=found.count)), headers=found.headers, path=found.path)

    return Operation(
        name="query_sql",
        title=Text("Query", "查询"),
        description="Run one SELECT.",
        effect=Effect.READ,
        params=QuerySql,
        result=Queried,
        run=query_sql,
        idempotent=True,
        hands_out=True,
    )


# What the three formats share: the operations behind them, the credentials, the clock, and how faults are told.


R = TypeVar("R", bound=Result)

WHO: Final = "fenqun.gateway.who"
"""Where a verified caller's name stands in the ASGI scope, for the access log."""
MOST_FAULTS: Final = 3
"""Problems of an error that an answer quotes."""


class StoredUpload(Protocol):
    """A file that was taken."""

    @property
    def handle(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def size_bytes(self) -> int: ...


U = TypeVar("U", bound=StoredUpload)


class UploadStore(Protocol[U]):
    """Where uploads lie while they are read; the local platform's `HandedFiles`."""

    def room(self, project_id: str) -> int: ...
    def temp_path(self) -> Path: ...
    def take(self, temp: Path, project_id: str, suffix: str, by: str) -> U: ...
    def drop(self, upload: U) -> None: ...


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bytes."""

    body: int = 4 << 20
    upload: int = 256 << 20


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What the handlers work with."""

    deps: Deps
    keys: GatewayKeys
    clock: Callable[[], datetime]
    query: Operation[QuerySql, Queried]
    store: UploadStore[Any]
    limits: GatewayLimits = field(default_factory=GatewayLimits)

    def known(self, system: str) -> Deps:
        """The parts for a caller that has proved this system's credentials. He is a program with credentials of his
        own, so nobody is asked (docs/decisions.md)."""
        deps = replace(self.deps, consenting=Consenting("never"))
        return deps.seen_by(Identity(system, "gateway"))

    async def ask(self, system: str, operation: Operation[Any, R], arguments: Mapping[str, object]) -> R:
        """Call an operation as this system's caller. FenqunError."""
        return await call(operation, arguments, self.known(system))


def same(said: str, secret: str) -> bool:
    """Whether two texts are the same, in a time that does not tell how far they are."""
    return hmac.compare_digest(said.encode("utf-8", "surrogatepass"), secret.encode())


def told(error: FenqunError, deps: Deps) -> str:
    """An error as one line: its message, and its first problems with their places."""
    parts = [deps.say(error.message)]
    for problem in error.problems[:MOST_FAULTS]:
        got = f" ({problem.got})" if problem.got else ""
        parts.append(f"{problem.path}{got}: {deps.say(problem.message)}")
    return " ".join(parts)
