"""The calls of the Taobao Open Platform that the product uses.

`crowdanalysis.update` is one call with four operations; which of them may be repeated is said here: a create
would make a second task, the others state what shall be. The answers of the three questions are not documented:
they are handed on as they came, without secrets.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mcp_server.platforms.taobao import codes, replies, wire
from mcp_server.platforms.taobao.replies import Outcome, is_number
from mcp_server.platforms.transport import AnswerLost, Repeat, Reply, Transport, by_status
from mcp_server.platforms.vendor import Unreadable, answer_of, cleaned, outcome_unknown, question_of, readable
from mcp_server.text import Text

REPEATS: Mapping[str, Repeat] = {
    "create": Repeat.ONCE,
    "delete": Repeat.ONCE,
    "dumpData": Repeat.AGAIN,
    "time": Repeat.AGAIN,
}
"""The operations of `crowdanalysis.update`."""

_LOOK = Text(
    "Look first: list_crowd_analyses with crowd_id {crowd} shows what stands. Then decide whether to repeat it.",
    "请先查看：用 list_crowd_analyses（crowd_id 设为 {crowd}）查看现状，再决定是否重试。",
)


class Api:
    """The calls of one app for one merchant."""

    def __init__(self, transport: Transport, keys: wire.Keys, clock: Callable[[], datetime]) -> None:
        self._transport = transport
        self._keys = keys
        self._clock = clock

    async def update(self, operation: str, task: Mapping[str, object]) -> Outcome:
        """Create, delete, reload (`dumpData`) or change the validity (`time`) of a task. OutcomeUnknown, the codes' errors."""
        business, repeat = {"task_dto": task, "operation": operation}, REPEATS[operation]
        settle = _LOOK.format(crowd=task["crowd_id"])
        try:
            reply = await readable(lambda: self._send(wire.UPDATE, business, repeat), repeat)
        except AnswerLost:
            raise outcome_unknown(codes.NAME, settle) from None
        with answer_of(reply, codes.NAME, settle):
            outcome = replies.outcome_of(reply.body, wire.UPDATE, self._secrets)
            unnamed = operation == "create" and not is_number(outcome.task.get("task_id", ""))
            # A refusal of a repetition tells nothing of an earlier try that got no answer.
            uncertain = unnamed if outcome.success else reply.doubtful
            if uncertain:
                raise Unreadable
        return outcome

    async def query(self, crowd_id: str) -> Mapping[str, Any]:
        """The tasks of a crowd, as they came."""
        return await self._ask(wire.QUERY, {"crowd_id": crowd_id})

    async def report(self, task_id: str, start_time: str, end_time: str) -> Mapping[str, Any]:
        """The analysis of a task, as it came."""
        return await self._ask(wire.REPORT, {"task_id": task_id, "start_time": start_time, "end_time": end_time})

    async def crowds(self, crowd_name: str, page: int, size: int) -> Mapping[str, Any]:
        """The merchant's crowds, as they came."""
        return await self._ask(wire.CROWDS, {"crowd_name": crowd_name, "page": page, "page_size": size})

    async def _ask(self, method: str, business: Mapping[str, object]) -> Mapping[str, Any]:
        reply = await self._send(method, business, Repeat.READ)
        with question_of(reply, codes.NAME):
            return cleaned(replies.content_of(reply.body, method, self._secrets), self._secrets)

    async def _send(self, method: str, business: Mapping[str, object], repeat: Repeat) -> Reply:
        uncertain: list[bool] = []  # of each answer; what it leaves open, a refusal of the next try does not settle

        def wait(reply: Reply) -> float | None:
            uncertain.append(replies.is_uncertain(reply.body))
            seconds = replies.wait_in(reply.body)
            return by_status(reply) if seconds is None else seconds

        reply = await self._transport.send(lambda: wire.post(method, business, self._keys, self._clock()), repeat, wait)
        return replace(reply, doubtful=reply.doubtful or any(uncertain[:-1]))

    @property
    def _secrets(self) -> tuple[str, ...]:
        return self._keys.app_secret, self._keys.session
