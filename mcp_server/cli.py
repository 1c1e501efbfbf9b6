"""The command line: the server, the same operations without MCP, loading data, the demo, the generated files.

Exit status: 0 all is well, 1 an error that the text explains, 2 wrong usage or settings, 130 interrupted.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mcp_server.arguments import language_in, parser
from mcp_server.errors import ConfigurationError, FenqunError
from mcp_server.gateway_commands import gateway_settings, serve_gateway
from mcp_server.gateway_settings import GATEWAY_VARIABLES
from mcp_server.http_commands import http_settings, serve_http, token
from mcp_server.http_settings import HTTP_VARIABLES, HttpSettings
from mcp_server.settings import Given, Settings, known_variables, language_of, read_settings, unknown_variables
from mcp_server.terminal import Bar
from mcp_server.text import Language, Text

if TYPE_CHECKING:
    from mcp_server.app import App
    from mcp_server.operations.asking import Ask

Arguments = argparse.Namespace

MOST_SHOWN = 100_000
"""Entries of the log that one command shows at most."""

_INTERRUPTED = Text("Interrupted.", "已中断。")
_STARTED_IN_TERMINAL = Text(
    "Serving MCP over stdin and stdout: a client starts this command and talks to it. Ctrl-C ends it.",
    "正通过 stdin 和 stdout 提供 MCP 服务：此命令由客户端启动并与之通信。按 Ctrl-C 结束。",
)
_IN_STEP = Text("All generated files are in step.", "所有生成文件均与代码一致。")
_OUT_OF_STEP = Text(
    "Out of step; run: python -m mcp_server schemas --write",
    "与代码不一致；请运行：python -m mcp_server schemas --write",
)
_COMPUTED = Text("The computation that this call started has ended.", "本次调用启动的计算已结束。")


class UsageError(Exception):
    """The command line does not fit. Not an error of the house: argparse speaks of it too, with status 2."""

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
        from mcp_server.front import rendering

        _complain(rendering.error_text(rendering.structured_error(error, language), language))
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        _complain(_INTERRUPTED.say(language))
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complain(words: str) -> None:
    print(words, file=sys.stderr)


def _survive_odd_terminals() -> None:
    """Print what the terminal's encoding lacks as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


# --- commands ---


def _settings(arguments: Arguments) -> Settings:
    read_only, consent = getattr(arguments, "read_only", False), getattr(arguments, "consent", "")  # of serve and call
    project = arguments.project if isinstance(arguments.project, str) else ""  # token takes several
    allowed = tuple(getattr(arguments, "allow_dir", ()))
    given = Given(arguments.workspace, project, arguments.language, read_only, allowed, consent)
    settings = read_settings(os.environ, given)
    os.umask(0o077)  # what this process writes, also through libraries, is its user's own
    for warning in unknown_variables(os.environ, {**known_variables(), **HTTP_VARIABLES, **GATEWAY_VARIABLES}):
        _complain(warning.say(settings.language))
    return settings


def _serve(arguments: Arguments) -> int:
    from mcp_server.front.stdio import log_to_stderr, serve
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
        serve(server, opening.close, discover=not arguments.legacy_stdio)
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
    from mcp_server.front.stdio import log_to_stderr

    settings = replace(_settings(arguments), remote={})  # it serves what is here, whatever accounts are set
    where = gateway_settings(os.environ, arguments)
    log_to_stderr(access=True)
    with closing(build(settings)) as app:
        app.tidy()
        serve_gateway(app, where, _complain)
    return 0


def _token(arguments: Arguments) -> int:
    from mcp_server.app import build

    with closing(build(_settings(arguments))) as app:
        token(app, arguments, print)
    return 0


def _call(arguments: Arguments) -> int:
    import anyio

    from mcp_server.app import build
    from mcp_server.front import rendering
    from mcp_server.overseeing import asker

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
    """The structured answer, and whether it is an error. Computations that the call started are waited for."""
    from dataclasses import replace

    from mcp_server.front import rendering
    from mcp_server.operations.calling import call, find
    from mcp_server.operations.registry import OPERATIONS

    language = app.settings.language
    with Bar(language) as bar:
        try:
            result = await call(find(OPERATIONS, tool), values, replace(app.deps, report=bar.report, ask=ask))
        except FenqunError as error:
            return rendering.structured_error(error, language), True
        finally:
            await app.deps.disconnect()
        waited = await app.finish(bar.report)
    if waited:
        _complain(_COMPUTED.say(language))
    return rendering.structured(result), False


def _pending(arguments: Arguments) -> int:
    from mcp_server.overseeing import pending_lines

    return _with_app(arguments, pending_lines)


def _approve(arguments: Arguments) -> int:
    from mcp_server.overseeing import approve

    return _with_app(arguments, lambda app: approve(app, arguments.id))


def _log(arguments: Arguments) -> int:
    from mcp_server.overseeing import log_lines

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
    from mcp_server.overseeing import purge

    return _with_app(arguments, lambda app: purge(app, yes=arguments.yes))


def _with_app(arguments: Arguments, use: "Callable[[App], list[str]]") -> int:
    """Do something with a workspace, print what came of it, and let go of it."""
    from mcp_server.app import build

    with closing(build(_settings(arguments))) as app:
        for line in use(app):
            print(line)
    return 0


def _number(said: str, name: str) -> int:
    if not (said.isascii() and said.isdigit() and 0 < int(said[:9]) <= MOST_SHOWN):
        _refuse(
            Text("{name} is a whole number, 1 to {most}.", "{name} 应为 1 至 {most} 的整数。").format(
                name=name, most=MOST_SHOWN
            )
        )
    return int(said)


def _arguments_of_call(said: str) -> dict[str, object]:
    """The arguments of a call: JSON text, `@file` or `-`."""
    try:
        if said == "-":
            said = sys.stdin.read()
        elif said.startswith("@"):
            said = Path(said[1:]).read_text(encoding="utf-8-sig")
        values = json.loads(said)
    except (OSError, ValueError, RecursionError) as error:
        _refuse(Text("The arguments cannot be read: {why}", "无法读取参数：{why}").format(why=error))
    if not isinstance(values, dict):
        _refuse(
            Text(
                "The arguments are one JSON object, such as {example}.", "参数应为一个 JSON 对象，例如 {example}。"
            ).format(example='{"cluster": "vip"}')
        )
    return values


def _refuse(message: Text) -> NoReturn:
    raise UsageError(message)


def _load(arguments: Arguments) -> int:
    from mcp_server.platforms.local.loading import load
    from mcp_server.platforms.local.telling import told

    settings = _settings(arguments)
    with Bar(settings.language) as bar:
        report = load(
            settings.workspace,
            settings.project_id,
            events=arguments.events,
            users=arguments.users,
            columns=_columns(arguments.map),
            time_zone=arguments.time_zone,
            as_of=arguments.as_of,
            metadata=arguments.metadata,
            skip_bad_rows=arguments.skip_bad_rows,
            memory_limit=settings.memory_limit,
            on_progress=bar.show,
        )
    for sentence in told(report):
        print(sentence.say(settings.language))
    return 0


def _columns(said: str) -> dict[str, str]:
    """`user_id=customer_id,event_name=type` as a table of our name to the file's column."""
    pairs = [pair.partition("=") for pair in said.split(",") if pair.strip()]
    if any(not (name.strip() and column.strip()) for name, _, column in pairs):
        _refuse(
            Text("--map is a list such as {example}.", "--map 形如 {example}。").format(
                example="user_id=customer_id,event_time=ts"
            )
        )
    return {name.strip(): column.strip() for name, _, column in pairs}


def _doctor(arguments: Arguments) -> int:
    from mcp_server import doctor

    return doctor.run(_settings(arguments), print, as_json=arguments.json)


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


def _schemas(arguments: Arguments) -> int:
    from mcp_server.front.published import Checkout

    language: Language = language_of(os.environ, arguments.language)
    if arguments.write == arguments.check:
        _refuse(Text("Give either --write or --check.", "请在 --write 与 --check 中选择一个。"))
    checkout = Checkout.find()
    if arguments.write:
        for name in checkout.write():
            print(name)
        return 0
    changes = checkout.check()
    for kind in ("added", "compatible", "breaking"):
        found = [change for change in changes if change.kind == kind]
        if found:
            print(f"{kind}:")
            for change in found:
                print(f"  {change.where}: {change.what}")
    print((_OUT_OF_STEP if changes else _IN_STEP).say(language))
    return int(bool(changes))


_COMMANDS: Mapping[str, Callable[[Arguments], int]] = {
    "serve": _serve,
    "gateway": _gateway,
    "token": _token,
    "call": _call,
    "pending": _pending,
    "approve": _approve,
    "log": _log,
    "purge": _purge,
    "load": _load,
    "doctor": _doctor,
    "demo": _demo,
    "tools": _tools,
    "schemas": _schemas,
}
