"""The calls of Volcengine's voice service that the product uses.

UpdateTask states absolute values, so it may be repeated. It is not a patch: start, end and concurrency are
restated each time, and no documented call reads concurrency and forbidden times back (vendors.md B6).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mcp_server.platforms.transport import AnswerLost, Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import Unreadable, answer_of, cleaned, outcome_unknown, question_of, readable
from mcp_server.platforms.volcengine import codes, replies, wire
from mcp_server.platforms.volcengine.signing import Keys
from mcp_server.text import Text

_LOOK = Text(
    "Send it again unchanged: it states what shall be, so a second time changes nothing more. list_call_tasks shows start and end.",
    "可原样重新发送：它声明的是最终状态，重复发送不会产生更多更改。list_call_tasks 可查看起止时间。",
)


class Api:
    """The calls of one account."""

    def __init__(self, transport: Transport, keys: Keys, region: str, clock: Callable[[], datetime]) -> None:
        self._transport = transport
        self._keys = keys
        self._region = region
        self._clock = clock

    async def update(self, body: Mapping[str, Any]) -> str:
        """UpdateTask; the request id. OutcomeUnknown, the codes' errors."""
        try:
            reply = await readable(lambda: self._send(wire.UPDATE, body, Repeat.AGAIN), Repeat.AGAIN)
        except AnswerLost:
            raise outcome_unknown(codes.NAME, _LOOK) from None
        with answer_of(reply, codes.NAME, _LOOK):
            if replies.is_uncertain(reply):
                raise Unreadable
            replies.result_of(reply, self._secrets)
        return replies.request_id_of(reply, self._secrets)

    async def tasks(self, keyword: str, limit: int, offset: int) -> Mapping[str, Any]:
        """QueryTaskList: `Records` and `Total`, as they came, without secrets. The codes of `State` are not documented."""
        body = {"Limit": limit, "Offset": offset} | ({"Keyword": keyword} if keyword else {})
        reply = await self._send(wire.LIST, body, Repeat.READ)
        with question_of(reply, codes.NAME):
            return cleaned(replies.result_of(reply, self._secrets), self._secrets)

    async def _send(self, action: str, body: Mapping[str, Any], repeat: Repeat) -> Reply:
        def wait(reply: Reply) -> float | None:
            said = by_status(reply)
            return 0.0 if said is None and replies.asks_again(reply) else said

        host = self._transport.authority
        return await self._transport.send(
            lambda: wire.post(action, body, host, self._keys, self._region, self._clock()), repeat, wait
        )

    @property
    def _secrets(self) -> tuple[str, ...]:
        return self._keys.secret_key, self._keys.session_token
