"""The remote platforms of a process, made of what it was given: one talk (`transport.py`) with each host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mcp_server.credentials import Credentials
from mcp_server.errors import ConfigurationError
from mcp_server.platforms.call_port import CallPlatform
from mcp_server.platforms.crowd_port import CrowdPlatform
from mcp_server.platforms.here_port import Here, Nowhere
from mcp_server.platforms.taobao.api import Api as TaobaoApi
from mcp_server.platforms.taobao.crowds import TaobaoCrowds
from mcp_server.platforms.taobao.signing import SIGN_METHODS
from mcp_server.platforms.taobao.wire import Keys as TaobaoKeys
from mcp_server.platforms.thinkingdata.segments import ThinkingDataSegments, thinkingdata_segments
from mcp_server.platforms.transport import Policy, Transport
from mcp_server.platforms.volcengine.api import Api as VolcengineApi
from mcp_server.platforms.volcengine.calls import VolcengineCalls
from mcp_server.platforms.volcengine.signing import Keys as VolcengineKeys
from mcp_server.text import Text, listed

Clock = Callable[[], datetime]

_POLICY = Policy()
_SHOWN = 4
"""Characters at each end of an access key that are shown."""


def _now() -> datetime:
    return datetime.now(UTC)


_ADDRESS = Text("The address is set in {own}_URL.", "地址由 {own}_URL 设置。")
_PLAIN_SETTING = Text(
    "The address is set in {own}_URL; {own}_ALLOW_HTTP=1 allows http to a private address.",
    "地址由 {own}_URL 设置；{own}_ALLOW_HTTP=1 允许对内网地址使用 http。",
)


@dataclass(frozen=True, slots=True)
class Remote:
    """The platforms that are not on this machine; None where they are."""

    segments: ThinkingDataSegments | None = None
    crowds: CrowdPlatform | None = None
    calls: CallPlatform | None = None
    transports: Mapping[str, Transport] = field(default_factory=dict)
    """By the name of the system."""

    async def close(self) -> None:
        """Let go of the connections."""
        for transport in self.transports.values():
            await transport.close()


def connect(
    remote: Mapping[str, Credentials], clock: Clock = _now, policy: Policy = _POLICY, here: Here | None = None
) -> Remote:
    """The platforms of these systems. Nothing is sent yet. ConfigurationError where an address or a word is not legal.

    Without `here` segments can only be asked: files and patterns need this machine.
    """
    transports = {name: _transport(given, policy) for name, given in remote.items()}
    machine = here or Nowhere()
    return Remote(
        segments=thinkingdata_segments(remote["thinkingdata"], transports["thinkingdata"], machine, clock)
        if "thinkingdata" in remote
        else None,
        crowds=_crowds(remote["taobao"], transports["taobao"], clock) if "taobao" in remote else None,
        calls=_calls(remote["volcengine"], transports["volcengine"], clock) if "volcengine" in remote else None,
        transports=transports,
    )


def _transport(given: Credentials, policy: Policy) -> Transport:
    """ConfigurationError, which names the variable, where the address can't be used."""
    plain = given.values.get("allow_http") == "1"
    try:
        return Transport(given["url"], policy, plain_private=plain)
    except ConfigurationError as error:
        where = _PLAIN_SETTING if "allow_http" in given.values and not plain else _ADDRESS
        raise ConfigurationError(
            error.message, next_step=error.next_step.then(where.format(own=given.system.pin))
        ) from error


def _crowds(given: Credentials, transport: Transport, clock: Clock) -> TaobaoCrowds:
    method = next((m for m in SIGN_METHODS if m == given["sign_method"].casefold()), None)
    if method is None:
        raise ConfigurationError(
            Text(
                "FENQUN_TAOBAO_SIGN_METHOD must be one of {methods}.", "FENQUN_TAOBAO_SIGN_METHOD 应为 {methods} 之一。"
            ).format(methods=listed(SIGN_METHODS)),
            next_step=Text("Correct it, or leave it out.", "请改正，或不设置。"),
        )
    keys = TaobaoKeys(given["app_key"], given.secret("app_secret"), given.secret("session"), method)
    return TaobaoCrowds(TaobaoApi(transport, keys, clock), f"{transport.authority} (app {given['app_key']})", clock)


def _calls(given: Credentials, transport: Transport, clock: Clock) -> VolcengineCalls:
    keys = VolcengineKeys(given["access_key"], given.secret("secret_key"), given.secret("session_token"))
    api = VolcengineApi(transport, keys, given["region"], clock)
    return VolcengineCalls(api, f"{transport.authority} (access key {_partly(keys.access_key)})", clock)


def _partly(key: str) -> str:
    return f"{key[:_SHOWN]}…{key[-_SHOWN:]}" if len(key) > 3 * _SHOWN else "…"
