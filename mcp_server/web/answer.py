"""The way back to the client, and the line that the access log gets."""

import logging
import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope, Send

_log = logging.getLogger("fenqun.access")


def log_access(who: str, scope: Scope, status: int, began: float) -> None:
    """One line: who asked, method, path, status and time. Never the query: one vendor's token stands in it."""
    path = quote(scope["path"], safe="/:@-._~")  # with no way to break the line
    spent = (time.perf_counter() - began) * 1000
    _log.info("%s %s %s %s %.0f ms", quote(who, safe="@.-_ ") or "-", scope["method"], path, status, spent)


class Answer:
    """The way back to the client, which remembers how far the answer is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self._complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
        await self._send(message)

    async def whole(self, response: Response, request: Request) -> None:
        """Send a response, if none has begun."""
        if not self.status:
            await response(request.scope, request.receive, self)

    async def finish(self) -> None:
        """End an answer that was broken off."""
        if self.status and not self._complete:
            await self({"type": "http.response.body", "body": b"", "more_body": False})
