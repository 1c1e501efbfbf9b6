"""Asking the person at the client by elicitation, on both generations of the protocol.

Up to 2025-11-25 the server asks while the call waits. From 2026-07-28 on there is no way to ask: the call ends
with the question and comes again with the answer and a state that the SDK seals and binds to the same tool and
arguments; it holds the id of the consent. The client's capabilities are read first; of the answer the content counts,
not only that it was accepted.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import ValidationError

from mcp_server.operations.operation import Answer, Question, Suspended
from mcp_server.text import Language, Text

BY_RETURN: Final = "2026-07-28"
"""From this revision on, an answer comes with another call."""
KEY: Final = "consent"
YES: Final = "yes"

_FIELD = Text("Carry it out?", "是否执行？")
_YES = Text("Yes, carry it out", "是，执行")
_NO = Text("No, leave everything as it is", "否，保持不变")

AnyContext = Context[Any, Any]


@dataclass(frozen=True, slots=True)
class Elicitation:
    """Asks the person at the client of one call (`operations.operation.Ask`)."""

    context: AnyContext
    language: Language
    way: Literal["asked"] = "asked"
    answered_by: str = ""

    @property
    def possible(self) -> bool:
        """Whether the client shows forms. A bare `elicitation` means forms: there was nothing else once."""
        capabilities = self.context.client_capabilities
        can = capabilities.elicitation if capabilities else None
        shows_forms = can is not None and (can.form is not None or can.url is None)
        return shows_forms and (self._by_return or self.context.session.can_send_request)

    @property
    def earlier_consent(self) -> str:
        """The consent in the state that comes back with the answer."""
        return (self.context.request_state or "") if self._by_return else ""

    @property
    def _by_return(self) -> bool:
        version = self.context.protocol_version
        return version is not None and is_version_at_least(version, BY_RETURN)

    async def __call__(self, question: Question, /) -> Answer:
        if not self._by_return:
            return await self._now(question)
        answer = (self.context.input_responses or {}).get(KEY)
        if (
            answer is None or self.earlier_consent != question.consent
        ):  # an answer to a question that was never put is none
            raise Suspended(question)
        return _meaning(answer)

    async def _now(self, question: Question) -> Answer:
        """Ask and wait. A client that announces forms and then fails counts as one without them."""
        with anyio.move_on_after(question.seconds):
            try:
                return _meaning(
                    await self.context.session.elicit_form(
                        question.text, form(self.language), related_request_id=self.context.request_id
                    )
                )
            except MCPError:
                return Answer.IMPOSSIBLE
            except ValidationError:
                return Answer.UNCLEAR
        return Answer.CLOSED


def question_as_result(question: Question, language: Language) -> InputRequiredResult:
    """The question as the result of a call."""
    params = ElicitRequestFormParams(message=question.text, requested_schema=form(language))
    return InputRequiredResult(input_requests={KEY: ElicitRequest(params=params)}, request_state=question.consent)


def form(language: Language) -> dict[str, Any]:
    """One required field; the first choice changes nothing."""
    answer = {
        "type": "string",
        "title": _FIELD.say(language),
        "enum": ["no", YES],
        "enumNames": [_NO.say(language), _YES.say(language)],
    }
    return {"type": "object", "properties": {"answer": answer}, "required": ["answer"]}


def _meaning(answer: object) -> Answer:
    """The outcome of a form: only an accepted one with a yes in it is a yes."""
    if not isinstance(answer, ElicitResult):
        return Answer.UNCLEAR
    if answer.action != "accept":
        return Answer.NO if answer.action == "decline" else Answer.CLOSED
    choice = (answer.content or {}).get("answer")
    return Answer.YES if choice == YES else Answer.NO if choice == "no" else Answer.UNCLEAR
