"""The command `gateway`."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.errors import ConfigurationError
from mcp_server.gateway_settings import KEY_VARIABLES, GatewaySettings, GivenGateway, read_gateway_settings
from mcp_server.text import Text

if TYPE_CHECKING:
    from mcp_server.app import App

CONNECTIONS = 256

_SERVING = Text(
    "Serving the vendors' formats: {url}. Ctrl-C ends it. Credentials: {keys}.",
    "正以各厂商的接口格式提供服务：{url}。按 Ctrl-C 结束。凭证：{keys}。",
)
_ENVIRONMENT = Text("from the environment", "取自环境变量")
_NO_FILE = Text("There is no file {file}.", "找不到文件 {file}。")
_PEM = Text("Give certificate and key as files in PEM form.", "请以 PEM 文件形式给出证书和私钥。")


def gateway_settings(environment: Mapping[str, str], arguments: Namespace) -> GatewaySettings:
    """What the command line and the environment say. ConfigurationError where they don't fit together."""
    given = GivenGateway(
        arguments.host,
        arguments.port,
        tuple(arguments.allow_host),
        arguments.tls_cert,
        arguments.tls_key,
        arguments.open_to_network,
    )
    settings = read_gateway_settings(environment, given)
    for file in settings.tls or ():
        if not Path(file).is_file():
            raise ConfigurationError(_NO_FILE.format(file=file), next_step=_PEM)
    return settings


def serve_gateway(app: "App", settings: GatewaySettings, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it."""
    from mcp_server.gateway.keys import FILE, keys_of
    from mcp_server.web.serving import Tls, address_of, bound, serve

    keys = keys_of(os.environ, app.settings.workspace)
    gate = app.gateway(settings, keys)
    listening = bound(settings.host, settings.port)
    given = any(os.environ.get(name, "").strip() for name in KEY_VARIABLES)
    where = _ENVIRONMENT if given else app.settings.workspace / FILE
    url = address_of(listening, "https" if settings.tls else "http")
    said = _SERVING.format(url=url, keys=where).say(app.settings.language)
    serve(gate, listening, CONNECTIONS, lambda: say(said), tls=Tls(*settings.tls) if settings.tls else None)
