"""Addresses of platforms: which of them secrets may be sent to, and which of them without encryption."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from mcp_server.errors import ConfigurationError
from mcp_server.text import Text

_ENCRYPT = Text(
    "Use https. Only this machine, and for ThinkingData a private address with its setting, may be plain.",
    "请改用 https。仅本机地址可用 http；ThinkingData 的内网地址须另行设置后方可使用。",
)
_IN_NUMBERS = Text(
    "Use https, or give a private address in numbers, such as http://192.168.1.20:8992: where a name leads, nobody knows beforehand.",
    "请改用 https，或用 IP 填写内网地址，例如 http://192.168.1.20:8992：主机名会指向哪里无法预知。",
)


def checked_base(base: str, *, plain_private: bool = False) -> str:
    """The address without a slash at its end. ConfigurationError where it is none, or http beyond what is allowed."""
    try:
        parts = urlsplit(base.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(
            Text("The address of a platform is not one.", "平台地址无效。"),
            next_step=Text(
                "Give it as https://host or https://host:port.", "请写成 https://主机 或 https://主机:端口。"
            ),
        )
    if parts.scheme == "http" and not (is_loopback(host) or (plain_private and is_private(host))):
        raise ConfigurationError(
            Text("{host} is addressed without encryption (http).", "{host} 使用了未加密的 http 地址。").format(
                host=host
            ),
            next_step=_IN_NUMBERS if plain_private else _ENCRYPT,
        )
    return base.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Whether a host is a private address; a name is not one, since who knows where it leads."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
