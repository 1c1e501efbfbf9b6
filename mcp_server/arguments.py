"""What the command line takes: each command and option once, in both languages."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mcp_server import __version__
from mcp_server.text import Language, Text


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


# fmt: off
COMMON = (
    _value("--workspace", "DIR", "folder of the workspace", "工作区文件夹"),
    _value("--project", "ID", "project id, 1 by default", "项目编号，默认为 1"),
    _value("--language", "en|zh", "language of results", "结果的语言"),
)
_READ_ONLY = _flag("--read-only", "refuse every change", "拒绝一切改动")
_ALLOW_DIR = _value("--allow-dir", "DIR", "a further folder that files of ids may be read from; may be repeated",
                    "另外允许读取 ID 文件的文件夹，可重复给出", action="append", default=[])
_CONSENT = _value("--consent", "ask|token|never", "who agrees to what overwrites or removes; ask by default",
                  "由谁同意覆盖和删除，默认为 ask")

COMMANDS: Mapping[str, Command] = {
    "serve": Command(Text("Serve MCP over stdin and stdout, or over HTTP.", "通过 stdin 和 stdout，或通过 HTTP 提供 MCP 服务。"), (
        _READ_ONLY,
        _ALLOW_DIR,
        _CONSENT,
        _flag("--http", "over HTTP, at /mcp", "通过 HTTP 提供服务，路径为 /mcp"),
        _value("--host", "ADDRESS", "address to listen on, 127.0.0.1 by default", "监听的地址，默认为 127.0.0.1"),
        _value("--port", "PORT", "8000 by default", "默认为 8000"),
        _value("--allow-host", "NAME", "a name that clients may call it by; may be repeated", "允许客户端使用的主机名，可重复",
               action="append", default=[]),
        _value("--public-url", "URL", "its address as clients see it, behind a proxy", "经代理时客户端看到的地址"),
        _value("--auth", "none|token|oauth", "how callers prove who they are", "调用方的认证方式"),
        _flag("--legacy-stdio", "for clients that discover and then initialize", "用于先 discover 再 initialize 的客户端"),
    )),
    "gateway": Command(Text("Serve the local platforms in the vendors' own wire formats.", "以各厂商的接口格式提供本地平台服务。"), (
        _READ_ONLY,
        _value("--host", "ADDRESS", "address to listen on, 127.0.0.1 by default", "监听的地址，默认为 127.0.0.1"),
        _value("--port", "PORT", "8992 by default", "默认为 8992"),
        _value("--allow-host", "NAME", "a name that clients may call it by; may be repeated", "允许客户端使用的主机名，可重复",
               action="append", default=[]),
        _value("--tls-cert", "FILE", "certificate (PEM)", "证书文件（PEM）"),
        _value("--tls-key", "FILE", "its key (PEM)", "证书的私钥文件（PEM）"),
        _flag("--open-to-network", "let other machines in; needs the certificate", "允许其他机器访问，须配置证书"),
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
    "load": Command(Text("Load users and events into the workspace.", "将用户和事件数据加载到工作区。"), (
        _value("--events", "FILE", "Parquet, CSV or NDJSON, one file or a glob", "Parquet、CSV 或 NDJSON，单个文件或通配符",
               required=True),
        _value("--users", "FILE", "the same for users; left out: the ids in the events", "用户文件，格式同上；省略时取事件中的用户"),
        _value("--time-zone", "ZONE", "of the project, and of times without an offset", "项目时区，也用于不带偏移的时间"),
        _value("--as-of", "YYYY-MM-DD", "a fixed date as today", "以固定日期作为“今天”"),
        _value("--metadata", "FILE", "display names and remarks, as JSON", "显示名和备注（JSON）"),
        _value("--map", "NAME=COLUMN,…", "columns named otherwise: user_id=customer_id", "列名对应：user_id=customer_id"),
        _flag("--skip-bad-rows", "load the other rows and count these", "跳过坏行并计数，其余照常加载"),
    )),
    "doctor": Command(Text("Look at each platform: where it is, whether it can be reached, what to do.",
                           "检查各平台：在哪里、能否连接、该如何处理。"), (
        _flag("--json", "print one JSON object", "输出一个 JSON 对象"),
    )),
    "demo": Command(Text("Walk through the whole job on real data.", "用真实数据演示完整流程。")),
    "tools": Command(Text("List all tools.", "列出所有工具。")),
    "schemas": Command(Text("The generated files of a source checkout.", "源码仓库中的生成文件。"), (
        _flag("--write", "write them", "写出这些文件"),
        _flag("--check", "compare them; status 1 where they differ", "比较；不一致时退出状态为 1"),
    )),
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
