"""The application: the vendors' paths, and what every request passes before it reaches them."""

import logging
import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from mcp_server.gateway import taobao, thinkingdata, volcengine
from mcp_server.gateway.base import CALLER, GatewayParts
from mcp_server.web import TrackedSend, log_access

_log = logging.getLogger("fenqun")
_OTHER_HOST = "The gateway is not known by this host name; its operator adds it with --allow-host.\n"


class Gateway:
    """The ASGI application as it is served."""

    def __init__(self, parts: GatewayParts, names: Sequence[str]) -> None:
        self._router = Router([*thinkingdata.routes(parts), *taobao.routes(parts), *volcengine.routes(parts)])
        self._names = frozenset(names)
        self._stopping = False

    def stop(self) -> None:
        """Let nothing new in; what is under way runs on."""
        self._stopping = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        request, answer, began = Request(scope, receive), TrackedSend(send), time.perf_counter()
        try:
            if not self._is_ours(request.headers.getlist("host")):
                await answer.whole(PlainTextResponse(_OTHER_HOST, 421), request)
            elif self._stopping:
                await answer.whole(PlainTextResponse("The server is about to end", 503), request)
            else:
                await self._router(scope, receive, answer)
        except Exception:  # noqa: BLE001 - the handlers answer the errors they know; this is a bug
            _log.exception("a request failed")
            await answer.whole(PlainTextResponse("Internal Server Error", 500), request)
        finally:
            log_access(scope.get(CALLER, ""), scope, answer.status, began)

    def _is_ours(self, hosts: Sequence[str]) -> bool:
        """Whether a request is addressed to one of our names, on any port; any other may be DNS rebinding."""
        if len(hosts) != 1:
            return False
        host = hosts[0].strip().lower()
        name, _, port = host.rpartition(":")
        return host in self._names or (name in self._names and port.isdigit())
