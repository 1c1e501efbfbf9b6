"""The settings of `fenqun serve --http`: where it listens, under which names, and how callers prove who they are.

A combination that is not clear stops the start: a door that stands open by mistake is worse than none.
"""

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from mcp_server.errors import ConfigurationError
from mcp_server.qp.problems import shorten
from mcp_server.text import Text, listed

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
_OPEN = Text(
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
        raise _wrong("--auth / FENQUN_AUTH", auth, Text("none, token or oauth", "none、token 或 oauth"))
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
        raise ConfigurationError(_OPEN.format(host=shorten(settings.host)), next_step=_CHOOSE_AUTH)
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
        raise _wrong(where, said, legal)
    return said.rstrip("/")


def port_number(said: str, where: str = "--port / FENQUN_HTTP_PORT") -> int:
    """A port; 0 lets the system choose one. ConfigurationError names `where` it was said."""
    if not (said.isascii() and said.isdigit() and len(said) <= 5 and int(said) <= 65535):
        raise _wrong(where, said, Text("a whole number, 0 to 65535", "0 至 65535 的整数"))
    return int(said)


def host_name(said: str) -> str:
    """A host name without a port. ConfigurationError otherwise."""
    if not _HOST.fullmatch(said):
        legal = Text(
            "a host name such as fenqun.example.com, without port", "主机名，例如 fenqun.example.com，不含端口"
        )
        raise _wrong("--allow-host / FENQUN_ALLOW_HOSTS", said, legal)
    return said


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _wrong(where: str, said: str, legal: Text) -> ConfigurationError:
    return ConfigurationError(_WRONG.format(where=where, said=shorten(said), legal=legal))
