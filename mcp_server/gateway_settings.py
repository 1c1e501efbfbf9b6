"""The settings of `fenqun gateway`: where it listens, and under which names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mcp_server.errors import ConfigurationError
from mcp_server.http_settings import host_name, is_loopback, port_number
from mcp_server.qp.problems import shorten
from mcp_server.text import Text

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

_OPEN = Text(
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
        raise ConfigurationError(_OPEN.format(host=shorten(host)), next_step=_SAY_IT)
    own = f"[{host}]" if ":" in host else host
    names = [*GatewaySettings().names, own, *(host_name(name.strip()) for name in given.allow_hosts)]
    return GatewaySettings(
        host=host,
        port=port_number(port, "--port / FENQUN_GATEWAY_PORT") if port else PORT,
        names=tuple(dict.fromkeys(name.lower() for name in names)),
        tls=tls,
    )
