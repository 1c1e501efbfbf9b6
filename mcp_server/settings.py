"""Settings: one table of everything that can be set, read from the command line, else the environment, else a default.

`PROCESS`, `HTTP` and `GATEWAY` name each setting once: its variable, its option, how it is read, its default and its
help. The command line, `fenqun doctor` and docs/settings.md are made from them. Nothing is guessed: a value that does not
fit stops the start with its name and the legal values; a variable that looks like one of these but is none draws a
warning. Credentials of remote systems are in `credentials.py`.
"""

import ipaddress
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from mcp_server.credentials import KEYRING, VENDORS, Credentials, Keyring, read_credentials
from mcp_server.credentials import variables as credential_variables
from mcp_server.errors import ConfigurationError
from mcp_server.language.problems import shorten
from mcp_server.language.suggest import nearest
from mcp_server.text import NOTHING, Language, Text, joined_by, listed

Consent = Literal["ask", "token", "never"]
Auth = Literal["none", "token", "oauth"]
Given = Mapping[str, Any]
"""What the command line sets, by the key of the setting: a text, a list of texts or a flag; empty ones set nothing."""

MOST_NAME = 80
"""No deployment accepts longer names (qp.md section 6)."""
MOST_THREADS = 1024
MOST_SECONDS = 3600
LEAST_SQL_MEMORY = 64 * 1024**2
"""Hardly any statement finishes with less."""
MOST_DAYS = 36_500

_PROJECT = re.compile(r"[1-9][0-9]{0,17}")
_MEMORY = re.compile(r"[0-9]+(?:\.[0-9]+)? ?(?:[KMGT]i?B)", re.IGNORECASE)
_HOST = re.compile(r"[\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_HOME = re.compile(r"^\$\{HOME\}(?=[/\\]|$)")
_UNFILLED = re.compile(r"\$\{[^{}]*\}")
"""A placeholder that a bundle's host left as it was: the field is empty (mcpb's own code does so)."""
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class _Illegal(Exception):
    """A value that does not fit, with what would."""

    def __init__(self, legal: Text, value: str) -> None:
        super().__init__(legal.en)
        self.legal = legal
        self.value = value


# Readers: from a text to a value. Each raises `_Illegal`.


def _path(text: str) -> Path:
    if "\0" in text:
        raise _Illegal(Text("the path of a folder", "文件夹的路径"), text)
    return Path(_HOME.sub(lambda _: str(Path.home()), text)).expanduser().absolute()


def _folders(text: str) -> tuple[Path, ...]:
    """Folders, separated as in PATH: each exists and holds less than a whole home folder or disk."""
    folders = []
    for part in filter(None, (p.strip() for p in text.split(os.pathsep))):
        path = _path(part)
        if not path.is_dir():
            raise _Illegal(Text("a folder that exists", "已存在的文件夹"), part)
        real, home = path.resolve(), Path.home().resolve()
        if home.is_relative_to(real) or real == Path(real.anchor):
            wide = "a folder other than the root, the home folder and those above it"
            raise _Illegal(Text(wide, "根目录、主目录及其上级以外的文件夹"), part)
        folders.append(path)
    return tuple(folders)


def _project(text: str) -> str:
    if not _PROJECT.fullmatch(text):
        raise _Illegal(Text("a whole number from 1", "从 1 开始的整数"), text)
    return text


def _flag(text: str) -> bool:
    if text.casefold() not in _FLAGS:
        raise _Illegal(Text("1 or 0", "1 或 0"), text)
    return _FLAGS[text.casefold()]


def _one_of(*words: str, legal: Text) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.casefold() not in words:
            raise _Illegal(legal, text)
        return text.casefold()

    return read


def _platforms(text: str) -> frozenset[str]:
    """Names of remote platforms, each written out, so that a platform added later is not covered by today's setting."""
    names = frozenset(word.strip().casefold() for word in text.split(","))
    if not names <= {vendor.name for vendor in VENDORS}:
        legal = Text("names of remote platforms, separated by commas: {names}", "以逗号分隔的远程平台名：{names}")
        raise _Illegal(legal.format(names=listed(vendor.name for vendor in VENDORS)), text)
    return names


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise _Illegal(Text(f"a whole number, {least} to {most}", f"{least} 至 {most} 的整数"), text)
        return int(text)

    return read


def _memory(text: str) -> str:
    if not _MEMORY.fullmatch(text):
        raise _Illegal(Text("a size such as 512MB or 2GB", "大小，例如 512MB 或 2GB"), text)
    return text


def _sql_memory(text: str) -> int:
    """A size in bytes; as for the engine, MB is a million and MiB is 2^20."""
    number, unit = re.fullmatch(r"([0-9.]+) ?([A-Z]+)", _memory(text).upper()).groups()  # type: ignore[union-attr]  # _memory has checked it
    size = int(float(number) * (1024 if "I" in unit else 1000) ** ("KMGT".index(unit[0]) + 1))
    if size < LEAST_SQL_MEMORY:
        raise _Illegal(Text("a size from 64MiB", "不小于 64MiB 的大小"), text)
    return size


def _host_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not _HOST.fullmatch(name):
            port = "a host name such as fenqun.example.com, without port"
            raise _Illegal(Text(port, "主机名，例如 fenqun.example.com，不含端口"), name)
    return names


def _url(text: str) -> str:
    """An address without a slash at the end: https, or http on this machine."""
    try:
        parts = urlsplit(text)
        fits = bool(parts.hostname) and parts.port != 0 and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        fits, parts = False, urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not (fits and secure and text.isascii() and text.isprintable() and " " not in text):
        raise _Illegal(Text("an https address (http only on this machine)", "https 地址（仅本机可用 http）"), text)
    return text.rstrip("/")


def _issuer(text: str) -> str:
    """An address kept as it is: `iss` is compared letter by letter."""
    _url(text)
    return text


def _default_workspace() -> Path:
    from platformdirs import user_data_path

    return user_data_path("fenqun", appauthor=False)


# The table.


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    key: str
    """The field of the settings that it fills, and its name among parsed arguments."""
    variable: str
    """"" where only the command line sets it."""
    help: Text
    read: Callable[[str], Any] = str
    default: Any = ""
    """The value when nothing is set; a function is called then."""
    default_text: Text = NOTHING
    """The default in words, where the value does not say it."""
    option: str = ""
    metavar: str = ""
    """"" for an option that is a flag."""
    separator: str = ""
    """Joins several values of an option that may be repeated; "" where it may not."""

    @property
    def where(self) -> str:
        """How the setting is named to a person: option and variable."""
        return " / ".join(filter(None, (self.option, self.variable)))

    @property
    def shown_default(self) -> Text:
        if any(self.default_text):
            return self.default_text
        return Text("off", "关闭") if self.default is False else Text(str(self.default), str(self.default))


# fmt: off
PROCESS: Final = (
    Setting("workspace", "FENQUN_WORKSPACE", Text("folder of the workspace", "工作区文件夹"), _path,
            _default_workspace, Text("the system's data folder for `fenqun`", "系统数据目录下的 `fenqun`"),
            option="--workspace", metavar="DIR"),
    Setting("project_id", "FENQUN_PROJECT", Text("project id", "项目编号"), _project, "1", option="--project", metavar="ID"),
    Setting("pin_project", "FENQUN_PIN_PROJECT", Text("1 refuses every other project", "设为 1 时拒绝其他一切项目"), _flag, False),
    Setting("language", "FENQUN_LANGUAGE", Text("language of results: en or zh", "结果的语言：en 或 zh"),
            _one_of("en", "zh", legal=Text("en or zh", "en 或 zh")), "en", option="--language", metavar="en|zh"),
    Setting("read_only", "FENQUN_READ_ONLY", Text("1 refuses every change", "设为 1 时拒绝一切改动"), _flag, False, option="--read-only"),
    Setting("allow_dirs", "FENQUN_ALLOW_DIRS",
            Text("further folders that files of ids may be read from, separated as in PATH", "另外允许读取 ID 文件的文件夹，分隔符同 PATH"),
            _folders, (), Text("only the workspace's `imports/`", "仅工作区的 `imports/`"),
            option="--allow-dir", metavar="DIR", separator=os.pathsep),
    Setting("consent", "FENQUN_CONSENT", Text("who agrees to what overwrites or removes: ask, token or never", "由谁同意覆盖和删除：ask、token 或 never"),
            _one_of("ask", "token", "never", legal=Text("ask, token or never", "ask、token 或 never")), "ask",
            option="--consent", metavar="ask|token|never"),
    Setting("consent_platforms", "FENQUN_CONSENT_PLATFORMS",
            Text("remote platforms on which token or never hold too", "token 或 never 同样适用的远程平台"),
            _platforms, frozenset(), Text("none", "无")),
    Setting("log_days", "FENQUN_LOG_DAYS", Text("days that the log of acts is kept", "操作日志的保留天数"), _whole(1, MOST_DAYS), 180),
    Setting("undo_days", "FENQUN_UNDO_DAYS", Text("days that the data before a load is kept", "加载前的数据的保留天数"), _whole(1, MOST_DAYS), 7),
    Setting("cluster_name_limit", "FENQUN_CLUSTER_NAME_LIMIT", Text("most characters of a cluster name", "分群名的最大字符数"),
            _whole(1, MOST_NAME), 24),
    Setting("display_name_limit", "FENQUN_DISPLAY_NAME_LIMIT", Text("most characters of a display name", "显示名的最大字符数"),
            _whole(1, MOST_NAME), 50),
    Setting("memory_limit", "FENQUN_MEMORY_LIMIT", Text("memory that the engine may use, such as 2GB", "引擎可用的内存，例如 2GB"),
            _memory, None, Text("half of the memory", "内存的一半")),
    Setting("sql_memory", "FENQUN_SQL_MEMORY", Text("memory that one SQL definition may use, such as 4GB", "一条 SQL 定义可用的内存，例如 4GB"),
            _sql_memory, None, Text("2 GiB", "2 GiB")),
    Setting("sql_seconds", "FENQUN_SQL_SECONDS", Text("seconds that one SQL definition may run", "一条 SQL 定义可运行的秒数"),
            _whole(1, MOST_SECONDS), None, Text("60", "60")),
    Setting("threads", "FENQUN_THREADS", Text("threads that the engine may use", "引擎可用的线程数"),
            _whole(1, MOST_THREADS), None, Text("all cores", "全部核心")),
)
"""Settings of every command: the fields of `Settings`."""

_LISTEN = Text("address to listen on", "监听的地址")
_NAMES = Text("names that clients may call it by, separated by commas", "允许客户端使用的主机名，以逗号分隔")
_LOOPBACK = Text("this machine only", "仅本机")

HTTP: Final = (
    Setting("host", "FENQUN_HTTP_HOST", _LISTEN, default="127.0.0.1", option="--host", metavar="ADDRESS"),
    Setting("port", "FENQUN_HTTP_PORT", Text("port to listen on", "监听的端口"), _whole(0, 65535), 8000, option="--port", metavar="PORT"),
    Setting("allow_hosts", "FENQUN_ALLOW_HOSTS", _NAMES, _host_names, (), _LOOPBACK, "--allow-host", "NAME", ","),
    Setting("public_url", "FENQUN_PUBLIC_URL",
            Text("address as clients see it, such as https://fenqun.example.com", "客户端看到的服务地址，例如 https://fenqun.example.com"),
            _url, default_text=Text("the address that is listened on", "监听的地址"), option="--public-url", metavar="URL"),
    Setting("auth", "FENQUN_AUTH", Text("how callers prove who they are: none, token or oauth", "调用方的认证方式：none、token 或 oauth"),
            _one_of("none", "token", "oauth", legal=Text("none, token or oauth", "none、token 或 oauth")),
            default_text=Text("none, on this machine only", "none，仅限本机"), option="--auth", metavar="none|token|oauth"),
    Setting("issuer", "FENQUN_OAUTH_ISSUER", Text("issuer of the authorization server", "授权服务器的 issuer"), _issuer),
    Setting("jwks", "FENQUN_OAUTH_JWKS", Text("address of its keys", "授权服务器的公钥地址（JWKS）"), _url),
    Setting("audience", "FENQUN_OAUTH_AUDIENCE", Text("audience that its tokens name", "令牌的 audience"),
            default_text=Text("the public URL with /mcp", "公开地址加 /mcp")),
)
"""Settings of `serve --http`: the fields of `HttpSettings` and `OAuthSettings`."""

GATEWAY: Final = (
    Setting("host", "FENQUN_GATEWAY_HOST", _LISTEN, default="127.0.0.1", option="--host", metavar="ADDRESS"),
    Setting("port", "FENQUN_GATEWAY_PORT", Text("port to listen on", "监听的端口"), _whole(0, 65535), 8992,
            option="--port", metavar="PORT"),  # by default the vendor's own, in the page's examples
    Setting("allow_hosts", "", _NAMES, _host_names, (), _LOOPBACK, "--allow-host", "NAME", ","),
    Setting("tls_cert", "", Text("certificate (PEM)", "证书文件（PEM）"), option="--tls-cert", metavar="FILE"),
    Setting("tls_key", "", Text("key of the certificate (PEM)", "证书的私钥文件（PEM）"), option="--tls-key", metavar="FILE"),
    Setting("open_to_network", "", Text("let other machines in; needs the certificate", "允许其他机器访问，须配置证书"), _flag, False,
            option="--open-to-network"),
)
"""Settings of `gateway`: what `GatewaySettings` is made from."""

GATEWAY_PREFIX: Final = "FENQUN_GATEWAY_"
GATEWAY_KEYS: Final[Mapping[str, Text]] = {
    "FENQUN_GATEWAY_TOKEN": Text("gateway: token in ThinkingData's form", "网关：数数形式的 token"),
    "FENQUN_GATEWAY_APP_KEY": Text("gateway: app key in Taobao's form", "网关：淘宝形式的 App Key"),
    "FENQUN_GATEWAY_APP_SECRET": Text("gateway: app secret in Taobao's form", "网关：淘宝形式的 App Secret"),
    "FENQUN_GATEWAY_SESSION": Text("gateway: session in Taobao's form", "网关：淘宝形式的 session"),
    "FENQUN_GATEWAY_ACCESS_KEY": Text("gateway: access key in Volcengine's form", "网关：火山引擎形式的 Access Key"),
    "FENQUN_GATEWAY_SECRET_KEY": Text("gateway: secret key in Volcengine's form", "网关：火山引擎形式的 Secret Key"),
}
"""The gateway's own credentials: all of them are set, or none; with none they are in a file of the workspace."""
# fmt: on


def known_variables() -> Mapping[str, Text]:
    """Every variable of the product, and what it sets."""
    table = {s.variable: s.help for s in (*PROCESS, *HTTP, *GATEWAY) if s.variable}
    return {**table, **GATEWAY_KEYS, **dict(credential_variables())}


def unknown_variables(environment: Mapping[str, str], known: Collection[str] | None = None) -> list[Text]:
    """One warning for each variable that is named like ours and is not among those known."""
    known = known_variables() if known is None else known
    warnings = []
    for name in sorted(environment):
        if name.startswith("FENQUN_") and name not in known:
            close = nearest(name.removeprefix("FENQUN_"), [word.removeprefix("FENQUN_") for word in known])
            hint = Text("; did you mean FENQUN_{close}?", "；是否想用 FENQUN_{close}？") if close else Text(".", "。")
            unread = Text("Nothing reads the variable {name}", "没有名为 {name} 的环境变量设置")
            warnings.append(joined_by("", "", [unread.format(name=shorten(name)), hint.format(close=close)]))
    return warnings


def _values(settings: Sequence[Setting], environment: Mapping[str, str], given: Given) -> dict[str, Any]:
    """The value of each setting, by its key. ConfigurationError at the first that does not fit."""
    values = {}
    for setting in settings:
        text = _text(setting, environment, given)
        try:
            values[setting.key] = setting.read(text) if text else _default(setting)
        except _Illegal as wrong:
            raise _wrong(setting, wrong) from None
    return values


def _text(setting: Setting, environment: Mapping[str, str], given: Given) -> str:
    """What the command line, else the environment says; "" where neither does."""
    argument = given.get(setting.key) or ""
    if argument is True:
        return "1"
    if not isinstance(argument, str):
        argument = setting.separator.join(argument)
    text = argument.strip() or environment.get(setting.variable, "").strip()
    return "" if _UNFILLED.fullmatch(text) else text


def _default(setting: Setting) -> Any:
    return setting.default() if callable(setting.default) else setting.default


def _wrong(setting: Setting, wrong: _Illegal) -> ConfigurationError:
    message = Text('{where} is "{value}"; it must be {legal}.', "{where} 的值为“{value}”，应为{legal}。")
    step = Text("Set {name} to {legal}, or leave it out.", "请将 {name} 设为{legal}，或不设置。")
    return ConfigurationError(
        message.format(where=setting.where, value=shorten(wrong.value), legal=wrong.legal),
        next_step=step.format(name=setting.variable or setting.option, legal=wrong.legal),
    )


# Settings of every command.


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that are known to be legal."""

    workspace: Path
    project_id: str = "1"
    pin_project: bool = False
    """Whether calls that name another project are refused."""
    language: Language = "en"
    read_only: bool = False
    consent: Consent = "ask"
    """`ask` a person; accept the `token` of a dry run; `never` ask. What is not `ask` holds on local platforms, and on these:"""
    consent_platforms: frozenset[str] = frozenset()
    log_days: int = 180
    undo_days: int = 7
    cluster_name_limit: int = 24
    display_name_limit: int = 50
    memory_limit: str | None = None
    sql_memory: int | None = None
    """Bytes; None here and below: the defaults of docs/sql-clusters.md."""
    sql_seconds: int | None = None
    threads: int | None = None
    """None: the engine decides."""
    allow_dirs: tuple[Path, ...] = ()
    """Folders, besides the workspace's own for imports, that files of ids may be read from."""
    remote: Mapping[str, Credentials] = field(default_factory=dict)
    """The systems that are not on this machine, by name."""


def read_settings(environment: Mapping[str, str], given: Given | None = None) -> Settings:
    """The settings of every command. ConfigurationError at the first value that does not fit."""
    values = _values(PROCESS, environment, given or {})
    keyring = _keyring() if _values([_KEYRING], environment, {})["keyring"] else None
    return Settings(**values, remote=read_credentials(environment, keyring))


_KEYRING = Setting("keyring", KEYRING, Text("1 looks for secrets in the system's keyring", "设为 1 时从系统钥匙串读取凭证"), _flag, False)  # fmt: skip


def language_of(environment: Mapping[str, str], given: str = "") -> Language:
    """The language before the settings are known to be legal: English where it is not clearly Chinese."""
    return "zh" if (given or environment.get("FENQUN_LANGUAGE", "")).strip().casefold() == "zh" else "en"


class _SystemKeyring:
    """The system's keyring; an error of it is a ConfigurationError."""

    def get_password(self, service_name: str, username: str) -> str | None:
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(service_name, username)
        except KeyringError:
            step = "Unlock it, or unset FENQUN_KEYRING and give the secrets as variables or files."
            raise ConfigurationError(
                Text("The system's keyring can't be read.", "无法读取系统钥匙串。"),
                next_step=Text(step, "请解锁，或取消 FENQUN_KEYRING 并改用环境变量或文件提供凭证。"),
            ) from None


def _keyring() -> Keyring:
    from importlib.util import find_spec

    if find_spec("keyring") is None:
        missing = "FENQUN_KEYRING is set, but the package keyring is missing."
        raise ConfigurationError(
            Text(missing, "设置了 FENQUN_KEYRING，但未安装 keyring 包。"),
            next_step=Text('Install it: pip install "fenqun[keyring]".', '请安装：pip install "fenqun[keyring]"。'),
        )
    return _SystemKeyring()


# Settings of `serve --http`. A combination that is not clear stops the start.

_OPEN_HTTP = Text(
    "Listening on {host} would let everybody in who can reach this machine, because callers need not prove who they are.",
    "监听 {host} 会让所有能访问这台机器的人使用本服务，因为没有启用认证。",
)
_CHOOSE_AUTH = Text(
    "Start with --auth token (and make tokens with: fenqun token add NAME), with --auth oauth, or listen on 127.0.0.1.",
    "请使用 --auth token 启动（令牌用命令 token add 创建），或使用 --auth oauth，或只监听 127.0.0.1。",
)
_STRAY = Text("{names} is set, but the authentication is {auth}.", "已设置 {names}，但认证方式为 {auth}。")
_STRAY_NEXT = Text(
    "Start with --auth oauth, or take the FENQUN_OAUTH variables away.",
    "请使用 --auth oauth 启动，或移除 FENQUN_OAUTH 开头的变量。",
)
_MISSING = Text("--auth oauth needs {names}.", "--auth oauth 需要设置 {names}。")
_NO_NAME = Text(
    "{host} is no name that clients call a server by, and no other name is given.",
    "{host} 不是客户端可用的主机名，且未指定其他主机名。",
)
_NO_NAME_NEXT = Text(
    "Say by which name clients reach it: --allow-host NAME, or --public-url URL.",
    "请指定客户端使用的主机名：--allow-host NAME 或 --public-url URL。",
)


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """The authorization server whose tokens are accepted."""

    issuer: str
    jwks: str
    audience: str
    """What the `aud` of a token must be: this server's resource identifier (RFC 8707)."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Settings that are known to be legal and to fit together."""

    host: str = "127.0.0.1"
    port: int = 8000
    allow_hosts: tuple[str, ...] = ()
    public_url: str = ""
    """Without a slash at the end; empty where it follows from the address that is listened on."""
    auth: Auth = "none"
    auth_given: bool = False
    """False where `none` is only the default."""
    oauth: OAuthSettings | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that a request may be addressed to."""
        public = urlsplit(self.public_url).hostname or ""
        own = () if _is_wildcard(self.host) else (_in_url(self.host),)
        return _names(*own, *self.allow_hosts, *([_in_url(public)] if public else ()))


def read_http_settings(environment: Mapping[str, str], given: Given | None = None) -> HttpSettings:
    """The settings. ConfigurationError at the first value or combination that does not fit."""
    values = _values(HTTP, environment, given or {})
    auth: Auth = values["auth"] or "none"
    oauth = {s.variable: values[s.key] for s in HTTP if s.variable.startswith("FENQUN_OAUTH_")}
    settings = HttpSettings(
        host=values["host"].strip("[]"),
        port=values["port"],
        allow_hosts=values["allow_hosts"],
        public_url=values["public_url"],
        auth=auth,
        auth_given=bool(values["auth"]),
        oauth=_oauth(oauth, auth, values["public_url"]),
    )
    if auth == "none" and not settings.loopback:
        raise ConfigurationError(_OPEN_HTTP.format(host=shorten(settings.host)), next_step=_CHOOSE_AUTH)
    if _is_wildcard(settings.host) and not (settings.allow_hosts or settings.public_url):
        raise ConfigurationError(_NO_NAME.format(host=settings.host), next_step=_NO_NAME_NEXT)
    return settings


def _oauth(given: Mapping[str, str], auth: Auth, public_url: str) -> OAuthSettings | None:
    if auth != "oauth":
        stray = [name for name, value in given.items() if value]
        if stray:
            raise ConfigurationError(_STRAY.format(names=listed(stray), auth=auth), next_step=_STRAY_NEXT)
        return None
    issuer, jwks, audience = given.values()
    needed = dict(zip(given, (issuer, jwks), strict=False)) | {"FENQUN_PUBLIC_URL": public_url}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(_MISSING.format(names=listed(missing)))
    return OAuthSettings(issuer, jwks, audience or f"{public_url}/mcp")


def is_loopback(host: str) -> bool:
    """Whether every address of this name is one of this machine alone."""
    try:
        addresses = {ipaddress.ip_address(host)}
    except ValueError:
        try:
            addresses = {ipaddress.ip_address(str(a[4][0]).partition("%")[0]) for a in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            return False
    return bool(addresses) and all(address.is_loopback for address in addresses)


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _names(*names: str) -> tuple[str, ...]:
    """Host names that a request may be addressed to: those of this machine, and these."""
    return tuple(dict.fromkeys(name.lower() for name in ("127.0.0.1", "localhost", "[::1]", *names)))


# Settings of `gateway`.

_OPEN_GATEWAY = Text(
    "Listening on {host} would send the gateway's credentials and your data over the network.",
    "监听 {host} 会让网关凭证和数据经网络传输。",
)
_SAY_IT = Text(
    "Listen on 127.0.0.1; or give --tls-cert and --tls-key, and say --open-to-network.",
    "请监听 127.0.0.1；或同时给出 --tls-cert、--tls-key 与 --open-to-network。",
)
_HALF = Text("--tls-cert and --tls-key belong together.", "--tls-cert 与 --tls-key 须同时给出。")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Settings that are known to be legal and to fit together."""

    host: str = "127.0.0.1"
    port: int = 8992
    names: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """The host names that a request may be addressed to."""
    tls: tuple[str, str] | None = None
    """Files of the certificate and of its key."""


def read_gateway_settings(environment: Mapping[str, str], given: Given | None = None) -> GatewaySettings:
    """The settings. ConfigurationError at the first value or combination that does not fit."""
    values = _values(GATEWAY, environment, given or {})
    host, cert, key = values["host"].strip("[]"), values["tls_cert"], values["tls_key"]
    if bool(cert) != bool(key):
        raise ConfigurationError(_HALF)
    tls = (cert, key) if cert else None
    if not is_loopback(host) and not (tls and values["open_to_network"]):
        raise ConfigurationError(_OPEN_GATEWAY.format(host=shorten(host)), next_step=_SAY_IT)
    return GatewaySettings(host, values["port"], _names(_in_url(host), *values["allow_hosts"]), tls)


# This installation's own command, as people and clients run it.


def program() -> list[str]:
    """Return this installation's own command, absolute: clients on a desktop lack the shell's PATH."""
    script = Path(sys.executable).with_name("fenqun.exe" if sys.platform == "win32" else "fenqun")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "mcp_server"]


def in_cache(command: str) -> bool:
    """Return whether a program is in uv's cache, which may be cleared."""
    return re.search(r"[/\\]uv[/\\](?:archive|environments|builds)-v\d", command) is not None


def command_line(settings: Settings) -> tuple[str, str]:
    """Return what stands before and after the name of a command to run it as this process was: program, workspace."""
    own = program()
    words = ["uvx", "fenqun"] if in_cache(own[0]) else own
    join = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    return join(words), join(["--workspace", str(settings.workspace)])
