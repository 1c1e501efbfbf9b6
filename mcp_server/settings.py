"""The settings of one process: from the command line, else from the environment, else the defaults."""

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from mcp_server.credentials import KEYRING, SYSTEMS, Credentials, Keyring, read_credentials
from mcp_server.credentials import variables as credential_variables
from mcp_server.errors import ConfigurationError
from mcp_server.language.problems import shorten
from mcp_server.language.suggest import nearest
from mcp_server.text import Language, Text, listed

# The settings of one process: from the command line, else from the environment, else the defaults.
#
# Nothing is guessed: a value that does not fit stops the start and names the variable and its legal values; a
# variable that looks like one of ours but is not draws a warning.


T = TypeVar("T")

Consent = Literal["ask", "token", "never"]

VARIABLES: Mapping[str, Text] = {
    "FENQUN_WORKSPACE": Text("folder of the workspace", "工作区文件夹"),
    "FENQUN_PROJECT": Text("project id", "项目编号"),
    "FENQUN_PIN_PROJECT": Text("1 refuses every other project", "设为 1 时拒绝其他一切项目"),
    "FENQUN_LANGUAGE": Text("language of results: en or zh", "结果的语言：en 或 zh"),
    "FENQUN_READ_ONLY": Text("1 refuses every change", "设为 1 时拒绝一切改动"),
    "FENQUN_ALLOW_DIRS": Text("further folders that files of ids may be read from", "另外允许读取 ID 文件的文件夹"),
    "FENQUN_CONSENT": Text("who agrees to changes: ask, token or never", "改动由谁同意：ask、token 或 never"),
    "FENQUN_CONSENT_PLATFORMS": Text(
        "remote platforms on which token or never hold too", "token 或 never 同样适用的远程平台"
    ),
    "FENQUN_LOG_DAYS": Text("days that the log of acts is kept", "操作日志的保留天数"),
    "FENQUN_CLUSTER_NAME_LIMIT": Text("most characters of a cluster name", "分群名的最大字符数"),
    "FENQUN_DISPLAY_NAME_LIMIT": Text("most characters of a display name", "显示名的最大字符数"),
    "FENQUN_MEMORY_LIMIT": Text("memory that the engine may use, such as 2GB", "引擎可用的内存，例如 2GB"),
    "FENQUN_SQL_MEMORY": Text(
        "memory that one SQL definition may use, such as 4GB", "一条 SQL 定义可用的内存，例如 4GB"
    ),
    "FENQUN_SQL_SECONDS": Text("seconds that one SQL definition may run", "一条 SQL 定义可运行的秒数"),
    "FENQUN_THREADS": Text("threads that the engine may use", "引擎可用的线程数"),
}
"""Every variable that is read, and what it sets."""

MOST_NAME = 80
"""No deployment accepts longer names (qp.md section 6)."""
MOST_THREADS = 1024
MOST_SECONDS = 3600
"""Longer than an hour is no query that somebody waits for."""
LEAST_SQL_MEMORY = 64 * 1024**2
"""With less hardly any statement comes to its end."""
MOST_DAYS = 36_500

_PROJECT = re.compile(r"[1-9][0-9]{0,17}")
_MEMORY = re.compile(r"[0-9]+(?:\.[0-9]+)? ?(?:[KMGT]i?B)", re.IGNORECASE)
_OPTIONS = {
    "FENQUN_WORKSPACE": "--workspace",
    "FENQUN_PROJECT": "--project",
    "FENQUN_CONSENT": "--consent",
    "FENQUN_LANGUAGE": "--language",
    "FENQUN_ALLOW_DIRS": "--allow-dir",
}
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_CONSENTS: Mapping[str, Consent] = {"ask": "ask", "token": "token", "never": "never"}
_LANGUAGES: Mapping[str, Language] = {"en": "en", "zh": "zh"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; an empty text says nothing."""

    workspace: str = ""
    project: str = ""
    language: str = ""
    read_only: bool = False
    allow_dirs: tuple[str, ...] = ()
    consent: str = ""


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
    cluster_name_limit: int = 24
    display_name_limit: int = 50
    memory_limit: str | None = None
    sql_memory: int | None = None
    """Bytes; None and None below: the defaults of docs/sql-clusters.md."""
    sql_seconds: int | None = None
    threads: int | None = None
    """None: what the engine takes by itself."""
    allow_dirs: tuple[Path, ...] = ()
    """Folders, besides the workspace's own for imports, that files of ids may be read from."""
    remote: Mapping[str, Credentials] = field(default_factory=dict)
    """The systems that are not on this machine, by name."""


def read_settings(environment: Mapping[str, str], given: Given = Given()) -> Settings:
    """The settings. Raises ConfigurationError at the first value that does not fit."""

    def variable(name: str, read: Callable[[str, str], T], default: T, argument: str = "") -> T:
        said = argument or environment.get(name, "").strip()
        return read(said, name) if said else default

    return Settings(
        workspace=variable("FENQUN_WORKSPACE", _path, _default_workspace(), given.workspace),
        project_id=variable("FENQUN_PROJECT", _project, "1", given.project),
        pin_project=variable("FENQUN_PIN_PROJECT", _flag, default=False),
        language=variable("FENQUN_LANGUAGE", _language, "en", given.language),
        read_only=given.read_only or variable("FENQUN_READ_ONLY", _flag, default=False),
        consent=variable("FENQUN_CONSENT", _consent, "ask", given.consent),
        consent_platforms=variable("FENQUN_CONSENT_PLATFORMS", _platforms, frozenset()),
        log_days=variable("FENQUN_LOG_DAYS", _whole(MOST_DAYS), 180),
        cluster_name_limit=variable("FENQUN_CLUSTER_NAME_LIMIT", _whole(MOST_NAME), 24),
        display_name_limit=variable("FENQUN_DISPLAY_NAME_LIMIT", _whole(MOST_NAME), 50),
        memory_limit=variable("FENQUN_MEMORY_LIMIT", _memory, None),
        sql_memory=variable("FENQUN_SQL_MEMORY", _sql_memory, None),
        sql_seconds=variable("FENQUN_SQL_SECONDS", _whole(MOST_SECONDS), None),
        threads=variable("FENQUN_THREADS", _whole(MOST_THREADS), None),
        allow_dirs=variable("FENQUN_ALLOW_DIRS", _folders, (), os.pathsep.join(given.allow_dirs)),
        remote=read_credentials(environment, _keyring() if variable(KEYRING, _flag, default=False) else None),
    )


def known_variables() -> Mapping[str, Text]:
    """Every variable of the product but those of HTTP, and what it sets."""
    return {**VARIABLES, **dict(credential_variables())}


def unknown_variables(environment: Mapping[str, str], known: Collection[str] = VARIABLES) -> list[Text]:
    """One warning for each variable that is named like ours and is not among those known."""
    warnings = []
    for name in sorted(environment):
        if name.startswith("FENQUN_") and name not in known:
            close = nearest(name.removeprefix("FENQUN_"), [word.removeprefix("FENQUN_") for word in known])
            hint = Text("; did you mean FENQUN_{close}?", "；是否想用 FENQUN_{close}？") if close else Text(".", "。")
            said = Text("Nothing reads the variable {name}", "没有名为 {name} 的环境变量设置")
            filled = said.format(name=shorten(name)), hint.format(close=close)
            warnings.append(Text(filled[0].en + filled[1].en, filled[0].zh + filled[1].zh))
    return warnings


def language_of(environment: Mapping[str, str], given: str = "") -> Language:
    """The language to speak in before the settings are known to be legal: English where it is not clearly Chinese."""
    return _LANGUAGES.get((given or environment.get("FENQUN_LANGUAGE", "")).strip().casefold(), "en")


class _SystemKeyring:
    """The system's keyring; what goes wrong with it is a matter of the settings."""

    def get_password(self, service_name: str, username: str) -> str | None:
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(service_name, username)
        except KeyringError:
            raise ConfigurationError(_LOCKED, next_step=_NO_KEYRING) from None


_LOCKED = Text("The system's keyring can't be read.", "无法读取系统钥匙串。")
_NO_KEYRING = Text(
    "Unlock it, or unset FENQUN_KEYRING and give the secrets as variables or files.",
    "请解锁，或取消 FENQUN_KEYRING 并改用环境变量或文件提供凭证。",
)


def _keyring() -> Keyring:
    from importlib.util import find_spec

    if find_spec("keyring") is None:
        raise ConfigurationError(
            Text(
                "FENQUN_KEYRING is set, but the package keyring is missing.",
                "设置了 FENQUN_KEYRING，但未安装 keyring 包。",
            ),
            next_step=Text('Install it: pip install "fenqun[keyring]".', '请安装：pip install "fenqun[keyring]"。'),
        )
    return _SystemKeyring()


def _default_workspace() -> Path:
    from platformdirs import user_data_path

    return user_data_path("fenqun", appauthor=False)


def _path(said: str, name: str) -> Path:
    if "\0" in said:
        raise _wrong(name, said, Text("the path of a folder", "文件夹的路径"))
    return Path(said).expanduser().absolute()


_NARROWER = Text(
    "a folder other than the root, the home folder and those above it", "根目录、主目录及其上级以外的文件夹"
)


def _folders(said: str, name: str) -> tuple[Path, ...]:
    """Folders, separated as in PATH: each one exists and holds less than a whole home folder or disk."""
    found = []
    for part in filter(None, (p.strip() for p in said.split(os.pathsep))):
        path = _path(part, name)
        if not path.is_dir():
            raise _wrong(name, part, Text("a folder that exists", "已存在的文件夹"))
        real, home = path.resolve(), Path.home().resolve()
        if home.is_relative_to(real) or real == Path(real.anchor):
            raise _wrong(name, part, _NARROWER)
        found.append(path)
    return tuple(found)


def _project(said: str, name: str) -> str:
    if not _PROJECT.fullmatch(said):
        raise _wrong(name, said, Text("a whole number from 1", "从 1 开始的整数"))
    return said


def _language(said: str, name: str) -> Language:
    if said.casefold() not in _LANGUAGES:
        raise _wrong(name, said, Text("en or zh", "en 或 zh"))
    return _LANGUAGES[said.casefold()]


def _flag(said: str, name: str) -> bool:
    if said.casefold() not in _FLAGS:
        raise _wrong(name, said, Text("1 or 0", "1 或 0"))
    return _FLAGS[said.casefold()]


def _consent(said: str, name: str) -> Consent:
    if said.casefold() not in _CONSENTS:
        raise _wrong(name, said, Text("ask, token or never", "ask、token 或 never"))
    return _CONSENTS[said.casefold()]


def _platforms(said: str, name: str) -> frozenset[str]:
    """Names of remote platforms, each written out: what is added later is not meant by what is said today."""
    found = frozenset(word.strip().casefold() for word in said.split(","))
    if not found <= {system.name for system in SYSTEMS}:
        names = listed(system.name for system in SYSTEMS)
        legal = Text("names of remote platforms, separated by commas: {names}", "以逗号分隔的远程平台名：{names}")
        raise _wrong(name, said, legal.format(names=names))
    return found


def _whole(most: int) -> Callable[[str, str], int]:
    def read(said: str, name: str) -> int:
        if not (said.isascii() and said.isdigit() and len(said) < 10 and 1 <= int(said) <= most):
            raise _wrong(name, said, Text(f"a whole number, 1 to {most}", f"1 至 {most} 的整数"))
        return int(said)

    return read


def _memory(said: str, name: str) -> str:
    if not _MEMORY.fullmatch(said):
        raise _wrong(name, said, Text("a size such as 512MB or 2GB", "大小，例如 512MB 或 2GB"))
    return said


def _sql_memory(said: str, name: str) -> int:
    """A size in bytes; as for the engine, MB is a million and MiB is 2^20."""
    number, unit = re.fullmatch(r"([0-9.]+) ?([A-Z]+)", _memory(said, name).upper()).groups()  # type: ignore[union-attr]  # _memory has looked
    size = int(float(number) * (1024 if "I" in unit else 1000) ** ("KMGT".index(unit[0]) + 1))
    if size < LEAST_SQL_MEMORY:
        raise _wrong(name, said, Text("a size from 64MiB", "不小于 64MiB 的大小"))
    return size


def _wrong(name: str, said: str, legal: Text) -> ConfigurationError:
    option = _OPTIONS.get(name)
    where = f"{option} / {name}" if option else name
    return ConfigurationError(
        Text('{where} is "{said}"; it must be {legal}.', "{where} 的值为“{said}”，应为{legal}。").format(
            where=where, said=shorten(said), legal=legal
        ),
        next_step=Text("Set {name} to {legal}, or leave it out.", "请将 {name} 设为{legal}，或不设置。").format(
            name=name, legal=legal
        ),
    )


# The settings of `fenqun serve --http`: where it listens, under which names, and how callers prove who they are.
#
# A combination that is not clear stops the start: a door that stands open by mistake is worse than none.


Auth = Literal["none", "token", "oauth"]

HTTP_VARIABLES: Final[Mapping[str, Text]] = {
    "FENQUN_HTTP_HOST": Text("address that serve --http listens on", "serve --http 监听的地址"),
    "FENQUN_HTTP_PORT": Text("its port", "监听的端口"),
    "FENQUN_ALLOW_HOSTS": Text("names that clients may call it by, separated by commas", "允许客户端使用的主机名，以逗号分隔"),
    "FENQUN_PUBLIC_URL": Text("its address as clients see it, such as https://fenqun.example.com", "客户端看到的服务地址，例如 https://fenqun.example.com"),
    "FENQUN_AUTH": Text("how callers prove who they are: none, token or oauth", "调用方的认证方式：none、token 或 oauth"),
    "FENQUN_OAUTH_ISSUER": Text("issuer of the authorization server", "授权服务器的 issuer"),
    "FENQUN_OAUTH_JWKS": Text("address of its keys", "授权服务器的公钥地址（JWKS）"),
    "FENQUN_OAUTH_AUDIENCE": Text("audience that its tokens name; by default the public URL with /mcp", "令牌的 audience，默认为公开地址加 /mcp"),
}  # fmt: skip
"""Every variable that is read here, and what it sets."""

_AUTHS: Final[Mapping[str, Auth]] = {"none": "none", "token": "token", "oauth": "oauth"}
_OAUTH: Final = ("FENQUN_OAUTH_ISSUER", "FENQUN_OAUTH_JWKS", "FENQUN_OAUTH_AUDIENCE")
_HOST = re.compile(r"[\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")

_WRONG = Text('{where} is "{said}"; it must be {legal}.', "{where} 的值为“{said}”，应为{legal}。")
_OPEN_HTTP = Text(
    "Listening on {host} would let everybody in who can reach this machine, because nobody has to prove who he is.",
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
class GivenHttp:
    """What the command line says; an empty text says nothing."""

    host: str = ""
    port: str = ""
    allow_hosts: Sequence[str] = ()
    public_url: str = ""
    auth: str = ""


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """The authorization server whose tokens are taken."""

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
    auth_is_said: bool = False
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
        found = ("127.0.0.1", "localhost", "[::1]", *own, *self.allow_hosts, *([_in_url(public)] if public else ()))
        return tuple(dict.fromkeys(name.lower() for name in found))


def read_http_settings(environment: Mapping[str, str], given: GivenHttp = GivenHttp()) -> HttpSettings:
    """The settings. Raises ConfigurationError at the first value or combination that does not fit."""

    def said(name: str, argument: str = "") -> str:
        return argument.strip() or environment.get(name, "").strip()

    auth = said("FENQUN_AUTH", given.auth)
    if auth and auth not in _AUTHS:
        raise _wrong_value("--auth / FENQUN_AUTH", auth, Text("none, token or oauth", "none、token 或 oauth"))
    hosts = given.allow_hosts or [name for name in said("FENQUN_ALLOW_HOSTS").split(",") if name.strip()]
    public = _url("--public-url / FENQUN_PUBLIC_URL", said("FENQUN_PUBLIC_URL", given.public_url))
    settings = HttpSettings(
        host=said("FENQUN_HTTP_HOST", given.host).strip("[]") or "127.0.0.1",
        port=port_number(said("FENQUN_HTTP_PORT", given.port) or "8000"),
        allow_hosts=tuple(host_name(name.strip()) for name in hosts),
        public_url=public,
        auth=_AUTHS.get(auth, "none"),
        auth_is_said=bool(auth),
        oauth=_oauth({name: said(name) for name in _OAUTH}, auth, public),
    )
    _check_reach(settings)
    return settings


def is_loopback(host: str) -> bool:
    """Whether every address of this name is one of this machine alone."""
    try:
        found = {ipaddress.ip_address(host)}
    except ValueError:
        try:
            found = {ipaddress.ip_address(str(a[4][0]).partition("%")[0]) for a in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            return False
    return bool(found) and all(address.is_loopback for address in found)


def _check_reach(settings: HttpSettings) -> None:
    if settings.auth == "none" and not settings.loopback:
        raise ConfigurationError(_OPEN_HTTP.format(host=shorten(settings.host)), next_step=_CHOOSE_AUTH)
    if _is_wildcard(settings.host) and not (settings.allow_hosts or settings.public_url):
        raise ConfigurationError(_NO_NAME.format(host=settings.host), next_step=_NO_NAME_NEXT)


def _oauth(said: Mapping[str, str], auth: str, public_url: str) -> OAuthSettings | None:
    given = [name for name in _OAUTH if said[name]]
    if auth != "oauth":
        if given:
            raise ConfigurationError(_STRAY.format(names=listed(given), auth=auth or "none"), next_step=_STRAY_NEXT)
        return None
    needed = [name for name in _OAUTH[:2] if not said[name]] + ([] if public_url else ["FENQUN_PUBLIC_URL"])
    if needed:
        raise ConfigurationError(_MISSING.format(names=listed(needed)))
    issuer = said["FENQUN_OAUTH_ISSUER"]
    _url("FENQUN_OAUTH_ISSUER", issuer)  # checked, and kept as it is: `iss` is compared letter by letter
    jwks = _url("FENQUN_OAUTH_JWKS", said["FENQUN_OAUTH_JWKS"])
    return OAuthSettings(issuer, jwks, said["FENQUN_OAUTH_AUDIENCE"] or f"{public_url}/mcp")


def _url(where: str, said: str) -> str:
    """An address without a slash at the end: https, or http on this machine."""
    if not said:
        return ""
    try:
        parts = urlsplit(said)
        fits = bool(parts.hostname) and parts.port != 0 and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        fits, parts = False, urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not (fits and secure and said.isascii() and said.isprintable() and " " not in said):
        legal = Text("an https address (http only on this machine)", "https 地址（仅本机可用 http）")
        raise _wrong_value(where, said, legal)
    return said.rstrip("/")


def port_number(said: str, where: str = "--port / FENQUN_HTTP_PORT") -> int:
    """A port; 0 lets the system choose one. ConfigurationError names `where` it was said."""
    if not (said.isascii() and said.isdigit() and len(said) <= 5 and int(said) <= 65535):
        raise _wrong_value(where, said, Text("a whole number, 0 to 65535", "0 至 65535 的整数"))
    return int(said)


def host_name(said: str) -> str:
    """A host name without a port. ConfigurationError otherwise."""
    if not _HOST.fullmatch(said):
        legal = Text(
            "a host name such as fenqun.example.com, without port", "主机名，例如 fenqun.example.com，不含端口"
        )
        raise _wrong_value("--allow-host / FENQUN_ALLOW_HOSTS", said, legal)
    return said


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _wrong_value(where: str, said: str, legal: Text) -> ConfigurationError:
    return ConfigurationError(_WRONG.format(where=where, said=shorten(said), legal=legal))


# The settings of `fenqun gateway`: where it listens, and under which names.


PORT: Final = 8992
"""The vendor's own, in the page's examples."""

PREFIX: Final = "FENQUN_GATEWAY_"

KEY_VARIABLES: Final[Mapping[str, Text]] = {
    "FENQUN_GATEWAY_TOKEN": Text("gateway: token in ThinkingData's form", "网关：数数形式的 token"),
    "FENQUN_GATEWAY_APP_KEY": Text("gateway: app key in Taobao's form", "网关：淘宝形式的 App Key"),
    "FENQUN_GATEWAY_APP_SECRET": Text("gateway: app secret in Taobao's form", "网关：淘宝形式的 App Secret"),
    "FENQUN_GATEWAY_SESSION": Text("gateway: session in Taobao's form", "网关：淘宝形式的 session"),
    "FENQUN_GATEWAY_ACCESS_KEY": Text("gateway: access key in Volcengine's form", "网关：火山引擎形式的 Access Key"),
    "FENQUN_GATEWAY_SECRET_KEY": Text("gateway: secret key in Volcengine's form", "网关：火山引擎形式的 Secret Key"),
}
"""The credentials: all of them or none; none: the file in the workspace."""

GATEWAY_VARIABLES: Final[Mapping[str, Text]] = {
    "FENQUN_GATEWAY_HOST": Text("address that gateway listens on", "gateway 监听的地址"),
    "FENQUN_GATEWAY_PORT": Text("its port", "监听的端口"),
    **KEY_VARIABLES,
}
"""Every variable that the gateway reads, and what it sets."""

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
class GivenGateway:
    """What the command line says; an empty text says nothing."""

    host: str = ""
    port: str = ""
    allow_hosts: Sequence[str] = ()
    tls_cert: str = ""
    tls_key: str = ""
    open_to_network: bool = False


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Settings that are known to be legal and to fit together."""

    host: str = "127.0.0.1"
    port: int = PORT
    names: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """The host names that a request may be addressed to."""
    tls: tuple[str, str] | None = None
    """Files of the certificate and of its key."""


def read_gateway_settings(environment: Mapping[str, str], given: GivenGateway = GivenGateway()) -> GatewaySettings:
    """The settings. ConfigurationError at the first value or combination that does not fit."""
    host = (given.host or environment.get("FENQUN_GATEWAY_HOST", "")).strip().strip("[]") or "127.0.0.1"
    port = (given.port or environment.get("FENQUN_GATEWAY_PORT", "")).strip()
    if bool(given.tls_cert) != bool(given.tls_key):
        raise ConfigurationError(_HALF)
    tls = (given.tls_cert, given.tls_key) if given.tls_cert else None
    if not is_loopback(host) and not (tls and given.open_to_network):
        raise ConfigurationError(_OPEN_GATEWAY.format(host=shorten(host)), next_step=_SAY_IT)
    own = f"[{host}]" if ":" in host else host
    names = [*GatewaySettings().names, own, *(host_name(name.strip()) for name in given.allow_hosts)]
    return GatewaySettings(
        host=host,
        port=port_number(port, "--port / FENQUN_GATEWAY_PORT") if port else PORT,
        names=tuple(dict.fromkeys(name.lower() for name in names)),
        tls=tls,
    )
