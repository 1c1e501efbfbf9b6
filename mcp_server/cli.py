"""The command line: the server, the same operations without MCP, loading data, the demo."""

import argparse
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from mcp_server import __version__
from mcp_server.errors import ConfigurationError, FenqunError
from mcp_server.settings import (
    GATEWAY,
    GATEWAY_KEYS,
    HTTP,
    PROCESS,
    GatewaySettings,
    HttpSettings,
    Setting,
    Settings,
    language_of,
    read_gateway_settings,
    read_http_settings,
    read_settings,
    unknown_variables,
)
from mcp_server.terminal import Bar
from mcp_server.text import Language, Text, joined_by, listed

if TYPE_CHECKING:
    from mcp_server.app import App
    from mcp_server.operations.operation import Ask
    from mcp_server.platforms.data import Replacement
    from mcp_server.sources.loading import Sources
    from mcp_server.sources.survey import Proposal


# Commands and options, each once, in both languages.


class Option(NamedTuple):
    """One option or positional argument, and how argparse reads it."""

    name: str
    text: Text
    more: Mapping[str, Any]


class Command(NamedTuple):
    """One command and its own options, besides `COMMON`."""

    text: Text
    options: tuple[Option, ...] = ()


def _value(name: str, metavar: str, en: str, zh: str, **more: Any) -> Option:
    return Option(name, Text(en, zh), {"default": "", "metavar": metavar} | more)


def _flag(name: str, en: str, zh: str) -> Option:
    return Option(name, Text(en, zh), {"action": "store_true"})


def _setting(setting: Setting) -> Option:
    """The option of a setting."""
    if not setting.metavar:
        return Option(setting.option, setting.help, {"action": "store_true", "dest": setting.key})
    text = setting.help
    more: dict[str, Any] = {"metavar": setting.metavar, "dest": setting.key, "default": ""}
    if setting.separator:
        text = joined_by("", "", [text, Text("; may be repeated", "；可重复给出")])
        more |= {"action": "append", "default": []}
    if any(setting.shown_default):
        text = _WITH_DEFAULT.format(text=text, default=setting.shown_default)
    return Option(setting.option, text, more)


_WITH_DEFAULT = Text("{text}; by default {default}", "{text}；默认为 {default}")
_OPTIONS = {s.key: _setting(s) for s in PROCESS if s.option}
COMMON = tuple(_OPTIONS[key] for key in ("workspace", "project_id", "language"))
_READ_ONLY, _ALLOW_DIR, _CONSENT = (_OPTIONS[key] for key in ("read_only", "allow_dirs", "consent"))

_FILES = _value(
    "files",
    "FILE",
    "Excel, CSV, JSON, Parquet, the vendor's SDK logs: files, patterns or folders",
    "Excel、CSV、JSON、Parquet 或 SDK 日志：文件、通配符或文件夹",
    nargs="*",
    default=[],
)
# fmt: off
_ABOUT_FILES = (
    _value("--events", "FILE", "files that hold events; may be repeated", "事件文件；可重复", action="append", default=[]),
    _value("--users", "FILE", "files that hold users; left out: the ids in the events", "用户文件；省略时取事件中的用户；可重复",
           action="append", default=[]),
    _value("--map", "NAME=COLUMN,…", "columns named otherwise: user_id=customer_id", "列名对应：user_id=customer_id"),
    _value("--event-name", "NAME", "one name for all events of a file; may be repeated, one for each file",
           "整个文件共用的事件名；可重复，每个文件一个", action="append", default=[]),
    _value("--types", "COLUMN=TYPE,…", "types: text, number, bool, time, list", "列类型：text、number、bool、time、list"),
    _value("--leave-out", "COLUMN,…", "columns that are not loaded", "不加载的列"),
    _value("--encoding", "NAME", "of text files, such as gb18030; left out: worked out", "文本文件的编码，如 gb18030；省略时自动判断"),
    _value("--sheet", "NAME", "of a workbook; left out: all that can be seen", "工作簿中的工作表；省略时取全部可见工作表"),
)

COMMANDS: Mapping[str, Command] = {
    "serve": Command(Text("Serve MCP over stdin and stdout, or over HTTP.", "通过 stdin 和 stdout，或通过 HTTP 提供 MCP 服务。"), (
        _READ_ONLY,
        _ALLOW_DIR,
        _CONSENT,
        _flag("--http", "over HTTP, at /mcp", "通过 HTTP 提供服务，路径为 /mcp"),
        *(_setting(s) for s in HTTP if s.option),
    )),
    "gateway": Command(Text("Serve the local platforms in the vendors' own wire formats.", "以各厂商的接口格式提供本地平台服务。"), (
        _READ_ONLY,
        *(_setting(s) for s in GATEWAY),
    )),
    "token": Command(Text("Access tokens for HTTP.", "HTTP 访问令牌。"), (
        Option("action", Text("add, list or revoke", "add（创建）、list（列出）或 revoke（吊销）"),
               {"choices": ("add", "list", "revoke")}),
        _value("name", "NAME", "whose token it is", "令牌属于谁", nargs="?"),
        _value("--scope", "read|write|approve", "how far it reaches", "权限范围"),
        _value("--project", "ID", "a project that it reaches, or all; may be repeated", "可访问的项目编号，或 all；可重复",
               action="append", default=[]),
        _value("--days", "N", "it ends after so many days; left out: never", "有效天数；省略则长期有效"),
    )),
    "call": Command(Text("Call one tool without MCP.", "不经 MCP 直接调用一个工具。"), (
        Option("tool", Text("name of the tool", "工具名"), {}),
        _value("arguments", "JSON|@FILE|-", "arguments as JSON: as text, from a file, or from stdin",
               "JSON 形式的参数：可直接给出、取自文件或 stdin", nargs="?", default="{}"),
        _flag("--json", "print the structured content", "输出结构化内容"),
        _flag("--yes", "agree to it beforehand, instead of being asked", "预先同意，不再询问"),
        _READ_ONLY,
        _ALLOW_DIR,
        _CONSENT,
    )),
    "pending": Command(Text("List what waits for a person's approval.", "列出等待人工批准的操作。")),
    "approve": Command(Text("Approve what waits, and carry it out.", "批准并执行一项等待中的操作。"), (
        Option("id", Text("id that `pending` shows", "`pending` 列出的编号"), {}),
    )),
    "log": Command(Text("Show who changed what.", "查看操作日志：谁改动了什么。"), (
        _value("--limit", "N", "most entries, 50 by default", "最多条数，默认 50", default="50"),
        _value("--tool", "NAME", "only this tool", "仅此工具"),
        _value("--since", "TIME", "only from this time on: 2026-07-01", "仅此时间之后：2026-07-01"),
        _flag("--json", "one JSON object a line", "每行一个 JSON 对象"),
    )),
    "purge": Command(Text("Give up what is kept to undo changes and deletions.", "清除为撤销修改和删除而保留的数据。"), (
        _flag("--yes", "agree to it beforehand, instead of being asked", "预先同意，不再询问"),
    )),
    "look": Command(Text("Show how files would be loaded, without loading them.", "查看文件将如何读取，但不加载。"), (
        _FILES,
        *_ABOUT_FILES,
        _value("--time-zone", "ZONE", "of times without an offset", "不带偏移的时间所在的时区"),
        _value("--mapping", "FILE", "write how they are read to this file, to be edited and loaded with", "将读取方式写入此文件，可编辑后用于加载"),
    )),
    "load": Command(Text("Load users and events into the workspace.", "将用户和事件数据加载到工作区。"), (
        _FILES,
        _flag("--demo", "the bundled demo data, in place of files", "改为加载自带的演示数据"),
        *_ABOUT_FILES,
        _value("--mapping", "FILE", "read the files as this file says (look writes one)", "按此映射文件读取（由 look 生成）"),
        _value("--answer", "KEY=VALUE", "the answer to a question, as JSON or text; may be repeated", "对某个问题的回答（JSON 或文本）；可重复",
               action="append", default=[]),
        _value("--time-zone", "ZONE", "of the project, and of times without an offset", "项目时区，也用于不带偏移的时间"),
        _value("--as-of", "YYYY-MM-DD", "a fixed date as today", "以固定日期作为“今天”"),
        _value("--metadata", "FILE", "display names and remarks, as JSON", "显示名和备注（JSON）"),
        _flag("--skip-bad-rows", "load the other rows and count these", "跳过坏行并计数，其余照常加载"),
        _flag("--replace", "replace data without being asked, however much of it goes", "替换数据时不再询问，无论减少多少"),
        _flag("--undo", "go back to the data before the last load", "恢复到上次加载之前的数据"),
    )),
    "doctor": Command(Text("Look at platforms, settings, clients and data; say what to do.",
                           "检查各平台、设置、客户端和数据，并说明该如何处理。"), (
        _flag("--json", "print one JSON object", "输出一个 JSON 对象"),
    )),
    "install": Command(Text("Add this server to the configuration of a client.", "将此服务添加到客户端的配置中。"), (
        _value("client", "CLIENT", "claude, cursor, vscode …; left out: all are listed", "claude、cursor、vscode 等；省略则全部列出", nargs="?"),
        _flag("--print", "only print the entry", "只输出条目，不写入"),
        _flag("--remove", "remove the entry", "移除该条目"),
    )),
    "uninstall": Command(Text("List what fenqun keeps on this machine, and remove what is chosen.", "列出 fenqun 在本机保留的内容，并移除所选部分。"), (
        _flag("--clients", "entries in clients' configurations", "客户端配置中的条目"),
        _flag("--exports", "exported files", "导出的文件"),
        _flag("--workspace-data", "the whole workspace", "整个工作区"),
        _flag("--keyring", "secrets in the system's keyring", "系统钥匙串中的凭证"),
        _flag("--yes", "agree to it beforehand, instead of being asked", "预先同意，不再询问"),
    )),
    "demo": Command(Text("Walk through the whole job on real data.", "用真实数据演示完整流程。")),
    "tools": Command(Text("List all tools.", "列出所有工具。")),
}
# fmt: on

_ABOUT = Text("Live user segments over MCP.", "通过 MCP 使用实时用户分群。")


def parser(language: Language) -> argparse.ArgumentParser:
    """The parser, with help in this language. Sets `command` to the name of the command."""
    top = argparse.ArgumentParser(prog="fenqun", description=_ABOUT.say(language))
    top.add_argument("--version", action="version", version=f"fenqun {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        words = command.text.say(language)
        sub = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        own = {option.name for option in command.options}
        for option in (*command.options, *(o for o in COMMON if o.name not in own)):
            sub.add_argument(option.name, help=option.text.say(language), **option.more)
    return top


def language_in(words: Sequence[str]) -> str:
    """The language that the command line asks for, before it is parsed: help is in that language too."""
    for n, word in enumerate(words):
        if word.startswith("--language"):
            return word.partition("=")[2] or (words[n + 1] if n + 1 < len(words) else "")
    return ""


# `serve --http` and `gateway`.

Say = Callable[[str], None]

_SERVING_HTTP = Text(
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
_ONLY_HTTP = Text("{names} goes with --http.", "{names} 需与 --http 一起使用。")


def http_settings(environment: Mapping[str, str], arguments: Namespace) -> HttpSettings | None:
    """Read the settings of `serve --http`; None for stdio. ConfigurationError where options don't fit together."""
    stray = [setting.option for setting in HTTP if setting.option and getattr(arguments, setting.key)]
    if not arguments.http and stray:
        raise ConfigurationError(_ONLY_HTTP.format(names=listed(stray)))
    if not arguments.http:
        return None
    return read_http_settings(environment, vars(arguments))


def serve_http(app: "App", settings: HttpSettings, say: Say) -> None:
    """Serve until a signal ends it."""
    from mcp_server.front.http.access import LIMITS
    from mcp_server.web import address_of, bound, serve

    made = [token for token in app.tokens.all() if token.scope != "approve"]  # those open the page in any case
    living = [token for token in made if token.revoked_at is None]
    if made and not settings.auth_given:
        raise ConfigurationError(_UNCLEAR, next_step=_SAY_AUTH)
    limits, language = LIMITS, app.settings.language
    gate = app.http(settings, limits)
    listening = bound(settings.host, settings.port)

    def ready() -> None:
        say(_SERVING_HTTP.format(url=settings.public_url or address_of(listening)).say(language))
        if settings.auth == "none":
            say(_EVERYBODY.say(language))
        if settings.auth == "token" and not living:
            say(_NOBODY_YET.say(language))

    serve(gate, listening, limits.connections, ready)


CONNECTIONS = 256

_SERVING_GATEWAY = Text(
    "Serving the vendors' formats: {url}. Ctrl-C ends it. Credentials: {keys}.",
    "正以各厂商的接口格式提供服务：{url}。按 Ctrl-C 结束。凭证：{keys}。",
)
_ENVIRONMENT = Text("from the environment", "取自环境变量")
_NO_FILE = Text("There is no file {file}.", "找不到文件 {file}。")
_PEM = Text("Give certificate and key as files in PEM form.", "请以 PEM 文件形式给出证书和私钥。")


def gateway_settings(environment: Mapping[str, str], arguments: Namespace) -> GatewaySettings:
    """Read the settings of `gateway`. ConfigurationError where they don't fit together."""
    settings = read_gateway_settings(environment, vars(arguments))
    for file in settings.tls or ():
        if not Path(file).is_file():
            raise ConfigurationError(_NO_FILE.format(file=file), next_step=_PEM)
    return settings


def serve_gateway(app: "App", settings: GatewaySettings, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it."""
    from mcp_server.gateway.base import FILE, keys_of
    from mcp_server.web import Tls, address_of, bound, serve

    keys = keys_of(os.environ, app.settings.workspace)
    gate = app.gateway(settings, keys)
    listening = bound(settings.host, settings.port)
    given = any(os.environ.get(name, "").strip() for name in GATEWAY_KEYS)
    where = _ENVIRONMENT if given else app.settings.workspace / FILE
    url = address_of(listening, "https" if settings.tls else "http")
    serving = _SERVING_GATEWAY.format(url=url, keys=where).say(app.settings.language)
    serve(gate, listening, CONNECTIONS, lambda: say(serving), tls=Tls(*settings.tls) if settings.tls else None)


# Running a command. Exit status: 0 done, 1 an error that the text explains, 2 wrong usage or settings, 130 interrupted.

Arguments = argparse.Namespace

MOST_SHOWN = 100_000
"""Entries of the log that one command shows at most."""

_INTERRUPTED = Text("Interrupted.", "已中断。")
_STARTED_IN_TERMINAL = Text(
    "Serving MCP over stdin and stdout: a client starts this command and talks to it. Ctrl-C ends it.",
    "正通过 stdin 和 stdout 提供 MCP 服务：此命令由客户端启动并与之通信。按 Ctrl-C 结束。",
)
_COMPUTED = Text("The computation that this call started has ended.", "本次调用启动的计算已结束。")


class UsageError(Exception):
    """The command line does not fit: status 2, as argparse has it."""

    def __init__(self, message: Text) -> None:
        super().__init__(message.en)
        self.message = message


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    _survive_odd_terminals()
    language = language_of(os.environ, language_in(words))
    arguments = parser(language).parse_args(words)
    try:
        return _COMMANDS[arguments.command](arguments)
    except UsageError as error:
        _complain(error.message.say(language))
        return 2
    except FenqunError as error:
        from mcp_server.front.mcp import rendering

        _complain(rendering.error_text(rendering.structured_error(error, language), language))
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        _complain(_INTERRUPTED.say(language))
        return 130
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complain(words: str) -> None:
    print(words, file=sys.stderr)


def _survive_odd_terminals() -> None:
    """Print what the terminal's encoding lacks as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


# The commands.


def _settings(arguments: Arguments) -> Settings:
    settings = read_settings(os.environ, vars(arguments))
    os.umask(0o077)  # what this process writes, also through libraries, is its user's own
    for warning in unknown_variables(os.environ):
        _complain(warning.say(settings.language))
    return settings


def _serve(arguments: Arguments) -> int:
    from mcp_server.front.mcp.stdio import log_to_stderr, serve
    from mcp_server.opening import Opening

    settings = _settings(arguments)
    http = http_settings(os.environ, arguments)
    log_to_stderr(access=arguments.http)
    if http is not None:
        return _serve_http(settings, http)
    with closing(Opening(settings)) as opening:
        server = opening.server()
        if sys.stdin.isatty():
            _complain(_STARTED_IN_TERMINAL.say(settings.language))
        serve(server, opening.close)
    return 0


def _serve_http(settings: Settings, http: HttpSettings) -> int:
    from mcp_server.app import build

    with closing(build(settings)) as app:
        app.tidy()
        serve_http(app, http, _complain)
    return 0


def _gateway(arguments: Arguments) -> int:
    from dataclasses import replace

    from mcp_server.app import build
    from mcp_server.front.mcp.stdio import log_to_stderr

    settings = replace(_settings(arguments), remote={})  # it serves the local platforms only
    where = gateway_settings(os.environ, arguments)
    log_to_stderr(access=True)
    with closing(build(settings)) as app:
        app.tidy()
        serve_gateway(app, where, _complain)
    return 0


def _token(arguments: Arguments) -> int:
    from mcp_server.app import build
    from mcp_server.oversight import token

    with closing(build(_settings(arguments))) as app:
        token(app, arguments, print)
    return 0


def _call(arguments: Arguments) -> int:
    import anyio

    from mcp_server.app import build
    from mcp_server.front.mcp import rendering
    from mcp_server.oversight import asker

    values = _arguments_of_call(arguments.arguments)
    settings = _settings(arguments)
    with closing(build(settings)) as app:
        data, failed = anyio.run(_called, app, arguments.tool, values, asker(app.settings.language, yes=arguments.yes))
    if arguments.json:
        print(json.dumps(data, ensure_ascii=False))
    elif failed:
        _complain(rendering.error_text(data, settings.language))
    else:
        print(rendering.text(data, settings.language))
    return int(failed)


async def _called(app: "App", tool: str, values: Mapping[str, object], ask: "Ask") -> tuple[dict[str, Any], bool]:
    """Return the structured result, and whether it is an error. Waits for computations that the call started."""
    from dataclasses import replace

    from mcp_server.consent.invoke import find, invoke
    from mcp_server.front.mcp import rendering
    from mcp_server.operations.registry import OPERATIONS

    language = app.settings.language
    with Bar(language) as bar:
        try:
            result = await invoke(find(OPERATIONS, tool), values, replace(app.deps, report=bar.report, ask=ask))
        except FenqunError as error:
            return rendering.with_commands(rendering.structured_error(error, language), app.deps.command_line), True
        finally:
            await app.deps.disconnect()
        waited = await app.finish(bar.report)
    if waited:
        _complain(_COMPUTED.say(language))
    return rendering.with_commands(rendering.structured(result), app.deps.command_line), False


def _pending(arguments: Arguments) -> int:
    from mcp_server.oversight import pending_lines

    return _with_app(arguments, pending_lines)


def _approve(arguments: Arguments) -> int:
    from mcp_server.oversight import approve

    return _with_app(arguments, lambda app: approve(app, arguments.id))


def _log(arguments: Arguments) -> int:
    from mcp_server.oversight import log_lines

    return _with_app(
        arguments,
        lambda app: log_lines(
            app,
            limit=_number(arguments.limit, "--limit"),
            tool=arguments.tool,
            since=arguments.since,
            as_json=arguments.json,
        ),
    )


def _purge(arguments: Arguments) -> int:
    from mcp_server.oversight import purge

    return _with_app(arguments, lambda app: purge(app, yes=arguments.yes))


def _with_app(arguments: Arguments, use: "Callable[[App], list[str]]") -> int:
    """Open a workspace, print the lines that `use` returns, and close it."""
    from mcp_server.app import build

    with closing(build(_settings(arguments))) as app:
        for line in use(app):
            print(line)
    return 0


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_SHOWN):
        _usage_error(
            Text("{name} is a whole number, 1 to {most}.", "{name} 应为 1 至 {most} 的整数。").format(
                name=name, most=MOST_SHOWN
            )
        )
    return int(text)


def _arguments_of_call(text: str) -> dict[str, object]:
    """The arguments of a call: JSON text, `@file` or `-`."""
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8-sig")
        values = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        _usage_error(Text("The arguments cannot be read: {why}", "无法读取参数：{why}").format(why=error))
    if not isinstance(values, dict):
        _usage_error(
            Text(
                "The arguments are one JSON object, such as {example}.", "参数应为一个 JSON 对象，例如 {example}。"
            ).format(example='{"cluster": "vip"}')
        )
    return values


def _usage_error(message: Text) -> NoReturn:
    raise UsageError(message)


_REPLACES = Text("This replaces the data of project {project}:", "将替换项目 {project} 的数据：")
_NO_EVENTS = Text("Name files, such as orders.xlsx, or give --demo.", "请给出文件，例如 orders.xlsx，或使用 --demo。")
_DEMO_ALONE = Text("--demo goes with no files and no columns of your own.", "--demo 不能与自己的文件或列设置同时使用。")


def _take_demo_data(arguments: Arguments) -> None:
    """Put the files of the demo in place of the user's."""
    from mcp_server.demo import DATA
    from mcp_server.demo.script import AS_OF

    if arguments.files or arguments.events or arguments.users or arguments.metadata or arguments.map:
        _usage_error(_DEMO_ALONE)
    arguments.events, arguments.users = str(DATA / "events.parquet"), str(DATA / "users.parquet")
    arguments.metadata, arguments.as_of = str(DATA / "metadata.json"), arguments.as_of or AS_OF


def _load(arguments: Arguments) -> int:
    from mcp_server.operations.operation import system_user
    from mcp_server.oversight import agree_to_load, undo_load
    from mcp_server.platforms.local.loading import load, report_lines

    if arguments.undo:
        return _with_app(arguments, lambda app: undo_load(app, yes=arguments.replace))
    if arguments.demo:
        _take_demo_data(arguments)
    if not (arguments.files or arguments.events or arguments.users or arguments.mapping):
        _usage_error(_NO_EVENTS)
    settings = _settings(arguments)
    asked = sys.stdin.isatty() and sys.stdout.isatty()

    def agree(replacement: "Replacement") -> None:
        if replacement.before is not None:
            lines = (_REPLACES.format(project=settings.project_id), *replacement.changes())
            with bar.away():
                agree_to_load(lines, replacement.warnings(), settings.language, replace_it=arguments.replace)

    with Bar(settings.language) as bar:
        report = load(
            settings.workspace,
            settings.project_id,
            sources=_sources(arguments),
            time_zone=arguments.time_zone,
            as_of=arguments.as_of,
            metadata=arguments.metadata,
            skip_bad_rows=arguments.skip_bad_rows,
            memory_limit=settings.memory_limit,
            on_progress=bar.show,
            agree=agree,
            by=system_user(),
            decide=(lambda proposal, given: _ask_person(proposal, given, bar, settings.language)) if asked else None,
        )
    for sentence in report_lines(report):
        print(sentence.say(settings.language))
    return 0


def _sources(arguments: Arguments) -> "Sources":
    from mcp_server.sources.loading import Sources
    from mcp_server.sources.mapping import read_mapping

    loads = arguments.command == "load"
    return Sources(
        arguments.events if isinstance(arguments.events, list) else [arguments.events],
        arguments.users if isinstance(arguments.users, list) else [arguments.users],
        _columns(arguments.map),
        files=arguments.files,
        mapping=read_mapping(Path(arguments.mapping)) if loads and arguments.mapping else None,
        base=Path(arguments.mapping).parent if loads and arguments.mapping else None,
        answers=_answers(arguments.answer) if loads else {},
        event_names=arguments.event_name,
        encoding=arguments.encoding,
        sheet=arguments.sheet,
        types=_types(arguments.types),
        leave_out=[name.strip() for name in arguments.leave_out.split(",") if name.strip()],
    )


def _answers(given: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as answers; a value that is JSON is what it says."""
    answers: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            _usage_error(
                Text("--answer is KEY=VALUE, such as {example}.", "--answer 形如 {example}。").format(
                    example="user=buyer"
                )
            )
        try:
            answers[key.strip()] = json.loads(value)
        except ValueError:
            answers[key.strip()] = value
    return answers


def _types(text: str) -> dict[str, str]:
    from mcp_server.sources.mapping import known_type

    pairs = [pair.rpartition("=") for pair in text.split(",") if pair.strip()]
    for name, _, kind in pairs:
        if not name.strip() or not known_type(kind.strip()):
            _usage_error(
                Text(
                    "--types is a list such as {example}; types are text, number, bool, time, list.",
                    "--types 形如 {example}；类型为 text、number、bool、time、list。",
                ).format(example="phone=text,amount=number")
            )
    return {name.strip(): kind.strip() for name, _, kind in pairs}


def _ask_person(proposal: "Proposal", given: Mapping[str, Any], bar: Bar, language: Language) -> dict[str, Any] | None:
    """Show what was seen, and ask every question that is open; an empty line takes what is proposed."""
    from mcp_server.sources.look import ask, describe

    answers: dict[str, Any] = {}
    with bar.away():
        if not any(question.key in given for question in proposal.questions):
            for sentence in describe(proposal):
                if not sentence.en.startswith("?"):
                    print(sentence.say(language))
        for question in proposal.questions:
            if question.key in given or question.key in answers:
                continue
            print(ask(question).say(language))
            try:
                text = input("> ").strip()
            except EOFError:  # nobody is there to answer
                return answers or None
            if text in ('""', "''"):
                answers[question.key] = ""
            elif text:
                answers.update(_answers([f"{question.key}={text}"]))
            elif question.default is not None:
                answers[question.key] = question.default
    return answers or None


def _look(arguments: Arguments) -> int:
    from mcp_server.platforms.local.loading import look
    from mcp_server.sources.mapping import write_mapping

    if not (arguments.files or arguments.events or arguments.users):
        _usage_error(_NO_EVENTS)
    settings = _settings(arguments)
    proposal, sentences = look(_sources(arguments), arguments.time_zone or "Asia/Shanghai", settings.memory_limit)
    for sentence in sentences:
        print(sentence.say(settings.language))
    if arguments.mapping:
        target = Path(arguments.mapping)
        comments = [seen.comments for seen in proposal.seen]
        target.write_text(write_mapping(proposal.mapping, comments, proposal.questions, target.name), encoding="utf-8")
        words = _MAPPING_OPEN if proposal.undecided else _MAPPING
        print(words.format(file=target, n=len(proposal.undecided)).say(settings.language))
    return 0


_MAPPING = Text(
    "Wrote {file}. Load with: fenqun load --mapping {file}", "已写入 {file}。加载：fenqun load --mapping {file}"
)
_MAPPING_OPEN = Text(
    "Wrote {file}. Decide the {n} lines with a question mark in it, then load with: fenqun load --mapping {file}",
    "已写入 {file}。请先改好其中带问号的 {n} 行，再加载：fenqun load --mapping {file}",
)


def _columns(text: str) -> dict[str, str]:
    """`user_id=customer_id,event_name=type` as a table of our name to the file's column."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not (name.strip() and column.strip()) for name, _, column in pairs):
        _usage_error(
            Text("--map is a list such as {example}.", "--map 形如 {example}。").format(
                example="user_id=customer_id,event_time=ts"
            )
        )
    return {name.strip(): column.strip() for name, _, column in pairs}


def _doctor(arguments: Arguments) -> int:
    from mcp_server import doctor

    return doctor.run(_settings(arguments), os.environ, print, as_json=arguments.json)


def _install(arguments: Arguments) -> int:
    from mcp_server import install

    settings = _settings(arguments)
    action: Literal["print", "remove", "write"] = (
        "print" if arguments.print else "remove" if arguments.remove else "write"
    )
    for line in install.run(arguments.client, action, settings, install.Machine.this()):
        print(line.say(settings.language))
    return 0


def _uninstall(arguments: Arguments) -> int:
    from mcp_server import install

    settings, machine = _settings(arguments), install.Machine.this()
    for line in install.uninstall(settings, machine, vars(arguments)):
        print(line.say(settings.language))
    return 0


def _demo(arguments: Arguments) -> int:
    from mcp_server.demo import run

    return run(_settings(arguments))


def _tools(arguments: Arguments) -> int:
    from mcp_server.operations.registry import OPERATIONS

    language = language_of(os.environ, arguments.language)
    width = max((len(o.name) for o in OPERATIONS), default=0)
    for o in OPERATIONS:
        print(f"{o.name:<{width}}  {o.title.say(language)}")
    return 0


_COMMANDS: Mapping[str, Callable[[Arguments], int]] = {
    "serve": _serve,
    "gateway": _gateway,
    "token": _token,
    "call": _call,
    "pending": _pending,
    "approve": _approve,
    "log": _log,
    "purge": _purge,
    "look": _look,
    "load": _load,
    "doctor": _doctor,
    "install": _install,
    "uninstall": _uninstall,
    "demo": _demo,
    "tools": _tools,
}
