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
from typing import Any, Final, TypeVar

from starlette.requests import Request

from mcp_server.consent.invoke import invoke
from mcp_server.errors import ConfigurationError, FenqunError
from mcp_server.operations.operation import ConsentPolicy, Deps, Effect, Identity, Operation, Params, Result
from mcp_server.platforms.local.queries import LocalQueries
from mcp_server.settings import GATEWAY_PREFIX
from mcp_server.store.files import HandedFiles
from mcp_server.text import Text, listed
from mcp_server.web import private

# Requests, read strictly


FORM: Final = "application/x-www-form-urlencoded"


class NotJson(Exception):
    """The text is no JSON object; the message says why."""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object. NotJson where it is none, repeats a key, holds NaN, or nests too deep."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except RecursionError:
        raise NotJson("nested too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None
    if not isinstance(value, dict):
        raise NotJson("not an object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotJson("a repeated key")
    return result


def _no_constant(name: str) -> object:
    raise NotJson(f"{name} is no number")


def is_whole(value: object) -> bool:
    """Whether this is a JSON number without a fraction; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def unknown_key(given: Mapping[str, object], *names: str) -> str | None:
    """The first key that is not among these names, at most 50 characters of it; None where there is none."""
    return next((key[:50] for key in given if key not in names), None)


def read_time(text: str) -> datetime | None:
    """A time of the vendors' form `yyyy-MM-dd HH:mm:ss`, naive; None where it is none."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the vendors' zone, which they do not write
    except ValueError:
        return None
    return moment if str(moment) == text else None


def media_type(request: Request) -> str:
    """The media type of the body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def compact(value: Mapping[str, Any]) -> bytes:
    """Write JSON on one line, without blanks; half a character becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


# Credentials


FILE: Final = "gateway.json"
"""In the workspace, readable only by its owner."""

_SHORTEST: Final = 8
"""Characters of a credential."""

_INCOMPLETE = Text("The gateway's credentials are incomplete; missing: {missing}.", "网关凭证缺少 {missing}。")
_ALL_OR_NONE = Text(
    "Set all FENQUN_GATEWAY_ credentials, or none: then they are kept in the file {file} of the workspace.",
    "请设置全部 FENQUN_GATEWAY_ 凭证，或一个都不设：此时凭证保存在工作区的 {file} 文件中。",
)
_TOO_SHORT = Text("{name} is shorter than {n} characters.", "{name} 不足 {n} 个字符。")
_LONGER = Text("Choose longer ones.", "请使用更长的凭证。")
_OPEN = Text(
    "Others may read {file}, which holds the gateway's credentials.", "其他用户可以读取保存网关凭证的 {file}。"
)
_CLOSE = Text("Run: chmod 600 {file}", "请运行：chmod 600 {file}")
_BROKEN = Text("{file} does not hold the gateway's credentials.", "{file} 中没有完整的网关凭证。")
_FIX = Text("Fix it, or remove it: then new ones are made.", "请修正该文件，或将其删除以重新生成。")


@dataclass(frozen=True, slots=True, repr=False)
class GatewayKeys:
    """The credentials that callers prove. There is no repr, so that none is shown by accident."""

    token: str
    app_key: str
    app_secret: str
    session: str
    access_key: str
    secret_key: str


_NAMES = tuple(field.name for field in fields(GatewayKeys))


def keys_of(environment: Mapping[str, str], workspace: Path) -> GatewayKeys:
    """Return the credentials of the environment, else of the workspace's file, which is made where there is none.

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
        raise ConfigurationError(_INCOMPLETE.format(missing=listed(missing)), next_step=_ALL_OR_NONE.format(file=FILE))
    for name in _NAMES:
        if len(given[name]) < _SHORTEST:
            raise ConfigurationError(
                _TOO_SHORT.format(name=f"{GATEWAY_PREFIX}{name.upper()}", n=_SHORTEST), next_step=_LONGER
            )
    return GatewayKeys(**given)


def _from_file(path: Path) -> GatewayKeys:
    with path.open("rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ConfigurationError(_OPEN.format(file=path), next_step=_CLOSE.format(file=path))
        content = file.read(64 * 1024)
    try:
        values = json.loads(content)
        keys = {name: values[name] for name in _NAMES}
    except (ValueError, KeyError, TypeError, RecursionError):
        keys = {}
    if not keys or not all(isinstance(key, str) and len(key) >= _SHORTEST for key in keys.values()):
        raise ConfigurationError(_BROKEN.format(file=path), next_step=_FIX)
    return GatewayKeys(**keys)


def _made(path: Path) -> GatewayKeys:
    """Make credentials in a new file; of two processes that make one at once, the first wins."""
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
        with open(temp, "x", encoding="utf-8", opener=private) as file:
            file.write(text)
        os.link(temp, path)
    except FileExistsError:
        return _from_file(path)
    finally:
        temp.unlink(missing_ok=True)
    return keys


def same_secret(given: str, secret: str) -> bool:
    """Whether two texts are the same, compared in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


# SQL as an operation: no tool, but read, bound to projects and logged as tools are


class QuerySql(Params):
    """Arguments of query_sql."""

    sql: str
    seconds: float | None = None
    project_id: str = ""


class Queried(Result):
    """Answer of query_sql: a file with one JSON array a line, which the caller removes."""

    headers: tuple[str, ...]
    path: Path


_ROWS = Text("{n} row(s).", "共 {n} 行。")


def query_over(queries: LocalQueries) -> Operation[QuerySql, Queried]:
    """Return the operation that runs these. It is not made by `@operation`, which makes tools."""

    async def query_sql(params: QuerySql, deps: Deps) -> Queried:
        rows = await queries.rows(deps.project(params.project_id), params.sql, params.seconds)
        return Queried(message=deps.say(_ROWS.format(n=rows.count)), headers=rows.headers, path=rows.path)

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


# What the handlers work with


R = TypeVar("R", bound=Result)

CALLER: Final = "fenqun.gateway.caller"
"""Key of a verified caller's name in the ASGI scope, for the access log."""
MOST_PROBLEMS: Final = 3
"""Problems of an error that an answer quotes."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bytes."""

    body: int = 4 << 20
    upload: int = 256 << 20


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """The operations, credentials and files behind the three formats."""

    deps: Deps
    keys: GatewayKeys
    clock: Callable[[], datetime]
    query: Operation[QuerySql, Queried]
    store: HandedFiles
    limits: GatewayLimits = field(default_factory=GatewayLimits)

    def deps_of(self, system: str) -> Deps:
        """The parts for a caller that has proved this system's credentials. It is a program with credentials of its
        own, so no person is asked (docs/decisions.md)."""
        deps = replace(self.deps, consent=ConsentPolicy("never"))
        return deps.for_caller(Identity(system, "gateway"))

    async def invoke(self, system: str, operation: Operation[Any, R], arguments: Mapping[str, object]) -> R:
        """Invoke an operation as this system's caller. FenqunError."""
        return await invoke(operation, arguments, self.deps_of(system))

    def line(self, error: FenqunError) -> str:
        """An error as one line: its message, and its first problems with their places."""
        parts = [self.deps.say(error.message)]
        for problem in error.problems[:MOST_PROBLEMS]:
            got = f" ({problem.got})" if problem.got else ""
            parts.append(f"{problem.path}{got}: {self.deps.say(problem.message)}")
        return " ".join(parts)
