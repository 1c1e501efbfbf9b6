"""The commands of the HTTP server: `serve --http`, and `token` for those who may come."""

import re
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

from mcp_server.errors import ConfigurationError
from mcp_server.http_settings import GivenHttp, HttpSettings, read_http_settings
from mcp_server.text import NOTHING, Text, listed

if TYPE_CHECKING:
    from mcp_server.app import App
    from mcp_server.platforms.local.tokens import Scope, TokenRecord

Say = Callable[[str], None]

_SCOPES: Final[Mapping[str, "Scope"]] = {"read": "read", "write": "write", "approve": "approve"}
_PROJECT = re.compile(r"[1-9][0-9]{0,17}")
_DAYS = re.compile(r"[1-9][0-9]{0,4}")

_SERVING = Text(
    "Serving MCP over HTTP: {url}/mcp. Ctrl-C ends it.", "正通过 HTTP 提供 MCP 服务：{url}/mcp。按 Ctrl-C 结束。"
)
_EVERYBODY = Text(
    "Nobody is asked for a token: every program on this machine may use it.",
    "未启用认证：这台机器上的任何程序都可以使用。",
)
_NOBODY_YET = Text(
    "Nobody has a token yet. Make one with: fenqun token add NAME --scope read --project 1",
    "尚无任何令牌。可用此命令创建：fenqun token add NAME --scope read --project 1",
)
_UNCLEAR = Text(
    "This workspace has access tokens, but --auth does not say whether they are asked for.",
    "该工作区已有访问令牌，但未通过 --auth 说明是否需要它们。",
)
_SAY_AUTH = Text(
    "Start with --auth token, or with --auth none to let every program on this machine in.",
    "请使用 --auth token 启动；如允许本机所有程序访问，请使用 --auth none。",
)
_NEEDS_NAME = Text("token {action} needs a NAME.", "token {action} 需要 NAME。")
_NEEDS_SCOPE = Text(
    "token add needs --scope read, write or approve.", "token add 需要 --scope read、write 或 approve。"
)
_NEEDS_PROJECT = Text(
    "token add needs --project ID, as often as there are projects, or --project all.",
    "token add 需要 --project ID（可重复），或 --project all。",
)
_BAD_PROJECT = Text(
    "--project {got} is neither a project id nor all, or all stands beside others.",
    "--project {got} 既不是项目编号也不是 all，或 all 与其他项目同时出现。",
)
_ONLY_HTTP = Text("{names} goes with --http.", "{names} 需与 --http 一起使用。")
_ONLY_STDIO = Text(
    "--legacy-stdio is for stdio, and does not go with --http.", "--legacy-stdio 仅用于 stdio，不能与 --http 一起使用。"
)
_BAD_DAYS = Text("--days is a whole number from 1.", "--days 应为从 1 开始的整数。")
_MADE = Text(
    "The token of {name} ({reach}) is shown this once; only its hash is kept:",
    "{name} 的令牌（{reach}）仅显示这一次，系统只保存其哈希值：",
)
_REVOKED = Text("The token of {name} no longer opens anything.", "{name} 的令牌已失效。")
_NONE = Text("There are no tokens.", "没有令牌。")
_REACH = Text("{scope}, project {projects}", "{scope}，项目 {projects}")
_UNTIL = Text("until {day}", "有效至 {day}")
_SINCE = Text("revoked {day}", "{day} 吊销")
_ALL = Text("all", "全部")


def http_settings(environment: Mapping[str, str], arguments: Namespace) -> HttpSettings | None:
    """What the command line and the environment say; None for stdio. ConfigurationError where they don't fit together."""
    options = {
        "--host": arguments.host,
        "--port": arguments.port,
        "--allow-host": arguments.allow_host,
        "--public-url": arguments.public_url,
        "--auth": arguments.auth,
    }
    stray = [name for name, said in options.items() if said]
    if not arguments.http and stray:
        _refuse(_ONLY_HTTP.format(names=listed(stray)))
    if not arguments.http:
        return None
    if arguments.legacy_stdio:
        _refuse(_ONLY_STDIO)
    given = GivenHttp(arguments.host, arguments.port, tuple(arguments.allow_host), arguments.public_url, arguments.auth)
    return read_http_settings(environment, given)


def serve_http(app: "App", settings: HttpSettings, say: Say) -> None:
    """Serve until a signal ends it."""
    from mcp_server.front.http.limits import LIMITS
    from mcp_server.web.serving import address_of, bound, serve

    made = [token for token in app.tokens.all() if token.scope != "approve"]  # those open the page in any case
    living = [token for token in made if token.revoked_at is None]
    if made and not settings.auth_is_said:
        raise ConfigurationError(_UNCLEAR, next_step=_SAY_AUTH)
    limits, language = LIMITS, app.settings.language
    gate = app.http(settings, limits)
    listening = bound(settings.host, settings.port)

    def ready() -> None:
        say(_SERVING.format(url=settings.public_url or address_of(listening)).say(language))
        if settings.auth == "none":
            say(_EVERYBODY.say(language))
        if settings.auth == "token" and not living:
            say(_NOBODY_YET.say(language))

    serve(gate, listening, limits.connections, ready)


def token(app: "App", arguments: Namespace, say: Say) -> None:
    """Make, list or revoke tokens. The token itself goes to stdout alone, so that it can be piped on."""
    language = app.settings.language
    if arguments.action == "list":
        found = app.tokens.all()
        for line in map(_line, found) if found else [_NONE]:
            say(line.say(language))
        return
    if not arguments.name:
        _refuse(_NEEDS_NAME.format(action=arguments.action))
    if arguments.action == "revoke":
        app.tokens.revoke(arguments.name)
        say(_REVOKED.format(name=arguments.name).say(language))
        return
    scope, projects, days = _wish(arguments)
    made = app.tokens.add(arguments.name, scope, projects, days=days)
    reach = _reach(scope, frozenset(projects) if projects is not None else None)
    sys.stderr.write(_MADE.format(name=arguments.name, reach=reach).say(language) + "\n")
    say(made)


def _wish(arguments: Namespace) -> "tuple[Scope, tuple[str, ...] | None, int | None]":
    if arguments.scope not in _SCOPES:
        _refuse(_NEEDS_SCOPE)
    named = tuple(arguments.project)
    if not named:
        _refuse(_NEEDS_PROJECT)
    wrong = [p for p in named if not _PROJECT.fullmatch(p)]
    if wrong and named != ("all",):
        _refuse(_BAD_PROJECT.format(got=wrong[0]))
    if arguments.days and not _DAYS.fullmatch(arguments.days):
        _refuse(_BAD_DAYS)
    days = int(arguments.days) if arguments.days else None
    return _SCOPES[arguments.scope], None if wrong else named, days


def _refuse(message: Text) -> NoReturn:
    raise ConfigurationError(message)


def _reach(scope: str, projects: frozenset[str] | None) -> Text:
    if projects is None:
        return _REACH.format(scope=scope, projects=_ALL)
    in_order = sorted(projects, key=lambda p: (len(p), p))
    return _REACH.format(scope=scope, projects=listed(in_order))


def _line(token: "TokenRecord") -> Text:
    """A token as `token list` shows it."""
    end = NOTHING
    if token.revoked_at is not None:
        end = _SINCE.format(day=token.revoked_at.date())
    elif token.expires_at is not None:
        end = _UNTIL.format(day=token.expires_at.date())
    reach = _reach(token.scope, token.projects)
    line = Text(f"{token.name}: {reach.en}", f"{token.name}：{reach.zh}")
    return Text(f"{line.en}, {end.en}", f"{line.zh}，{end.zh}") if any(end) else line
