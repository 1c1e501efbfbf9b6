"""What stands in for crowd and call tasks where they can't work: on this machine, with segments elsewhere.

Local tasks load the members of local clusters. With segments on a remote platform there are none.
"""

from typing import Any, cast

from mcp_server.credentials import TAOBAO, VOLCENGINE, System
from mcp_server.errors import ConfigurationError
from mcp_server.platforms.call_port import CallPlatform
from mcp_server.platforms.crowd_port import CrowdPlatform
from mcp_server.text import Text, listed

_NEEDS = Text(
    "{what} on this machine need segments on this machine, and those are on ThinkingData.",
    "本机的{what}依赖本机的分群，而当前的分群在数数平台上。",
)
_SET = Text(
    "Tell the user: whoever runs the server sets {settings}, without {pin}=local, to use the real account, or FENQUN_THINKINGDATA=local.",
    "请告知用户：由服务的运行者设置 {settings}（且不设 {pin}=local）以使用真实账号，或设 FENQUN_THINKINGDATA=local。",
)


class _Absent:
    """Refuses whatever is asked of it."""

    name = "local"
    account = ""

    def __init__(self, what: Text, system: System) -> None:
        self._what = what
        self._system = system

    def only_reading(self) -> "_Absent":
        return self

    def __getattr__(self, asked: str) -> Any:
        if asked.startswith("__"):
            raise AttributeError(asked)
        system = self._system
        step = _SET.format(settings=listed(system.required), pin=system.pin)
        raise ConfigurationError(_NEEDS.format(what=self._what), next_step=step)


def absent_crowds() -> CrowdPlatform:
    """Refuses, and names the settings of the remote platform."""
    return cast(CrowdPlatform, _Absent(Text("Crowd analysis tasks", "人群分析任务"), TAOBAO))


def absent_calls() -> CallPlatform:
    """Refuses, and names the settings of the remote platform."""
    return cast(CallPlatform, _Absent(Text("Call tasks", "外呼任务"), VOLCENGINE))
