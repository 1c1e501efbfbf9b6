"""The handler of a server: runs the operations, with what each call works with, and makes MCP content of the outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import CallToolResult, CompleteRequestParams, Completion, InputRequiredResult, TextContent
from opentelemetry.trace import get_current_span
from starlette.requests import Request

from mcp_server.consent.invoke import find, internal_error
from mcp_server.errors import ApprovalNeeded, FenqunError
from mcp_server.front.http.access import identity_of
from mcp_server.front.mcp import attaching, rendering
from mcp_server.front.mcp.elicitation import AnyContext, Elicitation, question_as_result
from mcp_server.front.mcp.rendering import ToolOutput, answered
from mcp_server.language.problems import shorten
from mcp_server.operations.arguments import WAITING
from mcp_server.operations.operation import Deps, Files, Identity, Operation, Suspended
from mcp_server.text import Language, Text

ERROR_DATA: Final = "fenqun/error"
"""Where the metadata of a failed result has the error as data: code, message, retryable, problems, next."""


def success(answer: ToolOutput) -> CallToolResult:
    """Text and structured content, each complete.

    A file is named in both by its path or address, never by a `resource_link`: some clients follow links by themselves
    and put the ids of an export into the model's context, others report the call as failed.
    """
    return CallToolResult(content=[TextContent(type="text", text=answer.text)], structured_content=answer.data)


def failure(error: FenqunError, language: Language, command_line: tuple[str, str] | None = None) -> CallToolResult:
    """An error that the model can act on, as a tool result; its data, for programs, in the result's metadata.

    Not as structured content: the official TypeScript client validates that against the tool's output schema in
    errors too, and would show the model nothing but the mismatch.
    """
    data = rendering.with_commands(rendering.structured_error(error, language), command_line)
    block = TextContent(type="text", text=rendering.error_text(data, language))
    return CallToolResult(content=[block], is_error=True, _meta={ERROR_DATA: data})


def waiting(error: ApprovalNeeded, deps: Deps) -> CallToolResult:
    """An act that waits for a person's approval, as a result.

    It is no failure of the call, and clients that raise on errors would end the run of an agent that has only to tell
    its user where to approve.
    """
    words = {"message": error.message.say(deps.language), "next": error.next_step.say(deps.language)}
    data = rendering.with_commands(words | {"status": WAITING}, deps.command_line)
    return success(ToolOutput(data, rendering.text(data, deps.language)))


@dataclass(frozen=True, slots=True)
class Handler:
    """Runs the given operations."""

    operations: Sequence[Operation[Any, Any]]
    deps: Deps
    files_of: Callable[[Request], Files] | None = None
    """Over HTTP: how files travel for the caller of a request."""
    page_of: Callable[[Request], str] | None = None
    """Over HTTP: the address, as that caller reaches it, of the page where people decide what waits."""

    async def call(
        self, name: str, arguments: dict[str, Any], context: AnyContext | None
    ) -> CallToolResult | InputRequiredResult:
        """Run one operation (`FenqunServer.call_tool`).

        The span that the SDK opens for each message (OpenTelemetry) gets the tool, its effect, the platform and the
        outcome (`done`, or the code of the error); never an argument, never a result.
        """
        deps, span = self._deps_of(context), get_current_span()
        try:
            operation = find(self.operations, name)
            platform = getattr(deps, operation.system).name
            span.set_attributes(
                {
                    "fenqun.tool": operation.name,
                    "fenqun.effect": operation.effect.value,
                    "fenqun.platform": platform,
                }
            )
            answer = success(await answered(operation, arguments, deps))
        except Suspended as suspended:
            span.set_attribute("fenqun.outcome", "asked")
            return question_as_result(suspended.question, deps.language)
        except Exception as error:  # noqa: BLE001 - the boundary; internal_error logs it
            known = error if isinstance(error, FenqunError) else internal_error(name)
            span.set_attribute("fenqun.outcome", known.code)
            if isinstance(known, ApprovalNeeded):
                return waiting(known, deps)
            return failure(known, deps.language, deps.command_line)
        span.set_attribute("fenqun.outcome", "done")
        return answer

    async def read(self, uri: str, context: AnyContext | None) -> ReadResourceContents:
        """The content at an address."""
        return await attaching.read(uri, self._deps_of(context))

    async def complete(self, params: CompleteRequestParams, context: AnyContext) -> Completion:
        """Completions of an argument. FenqunError where they cannot be looked up."""
        deps = self._deps_of(context)
        return await attaching.complete(params.ref, params.argument.name, params.argument.value, deps)

    async def disconnect(self) -> None:
        """Close connections to platforms."""
        await self.deps.disconnect()

    def _deps_of(self, context: AnyContext | None) -> Deps:
        """What one call works with: its caller and client, its files, its own progress."""
        deps = self.deps
        if self.files_of is not None:  # over HTTP; a call without a request that has passed the gate fails here
            request = context.request_context.request if context else None
            assert isinstance(request, Request)  # noqa: S101 - see above
            page = self.page_of(request) if self.page_of else ""
            deps = replace(
                deps.for_caller(identity_of(request.scope)), files=self.files_of(request), page=page, command_line=None
            )
        if context is None:
            return deps
        client, caller = context.session.client_params, deps.caller
        if client is not None:
            caller = _with_client(caller, client.client_info.name, client.client_info.version)
        ask = Elicitation(context, deps.language)
        return replace(deps, report=_Progress(context, deps.language), caller=caller, ask=ask)


@lru_cache(maxsize=128)
def _with_client(caller: Identity, client: str, version: str) -> Identity:
    """A caller with its client, as it names itself; cached, since it is the same in every call of a session."""
    return replace(caller, client=shorten(client), client_version=shorten(version))


@dataclass(slots=True)
class _Progress:
    """Progress of one call, sent only when it has grown: the protocol wants that of every notification."""

    context: AnyContext
    language: Language
    reported: float = -1.0

    async def __call__(self, percent: float, message: Text) -> None:
        percent = min(max(percent, 0.0), 100.0)
        if percent >= self.reported + 1 or percent == 100 > self.reported:
            self.reported = percent
            await self.context.report_progress(percent, 100, message.say(self.language))
