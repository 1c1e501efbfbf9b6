"""The MCP server: the SDK's own, with our list of tools and our one way of calling them.

The SDK speaks every revision of the protocol on every transport. Overridden is only what it does in a way
that would hurt here: it drops unknown arguments without a word, answers wrong ones with a validator's
English, and prints results with indentation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mcp.server import MCPServer, Server, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, RequestStateSecurity
from mcp_types import (
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    Resource,
    ResourceTemplate,
    Tool,
)
from pydantic import AnyUrl
from starlette.requests import Request

from mcp_server import __version__
from mcp_server.errors import FenqunError
from mcp_server.front import completions, prompts, resources, results, tracing
from mcp_server.front.consent import Elicitation, sent_back
from mcp_server.front.http.access import identity_of
from mcp_server.front.instructions import instructions
from mcp_server.front.tools import tool_document
from mcp_server.operations.acting import takes_token
from mcp_server.operations.asking import Suspended
from mcp_server.operations.calling import call, find, internal_error
from mcp_server.operations.handing import Files
from mcp_server.operations.operation import Deps, Operation
from mcp_server.qp.problems import shorten
from mcp_server.text import Language, Text

AnyContext = Context[Any, Any]

STATE_SECONDS = 3600.0
"""How long the sealed state of a question is read; the question itself holds for less, and says so when it is over."""


class FenqunServer(MCPServer[Any]):
    """Serves the given operations."""

    def __init__(
        self,
        operations: Sequence[Operation[Any, Any]],
        deps: Deps,
        files_of: Callable[[Request], Files] | None = None,
        page_of: Callable[[Request], str] | None = None,
    ) -> None:
        """`files_of` makes it a server for HTTP: it says how files travel for whoever makes a request.

        `page_of`: the address under which he finds the page where people decide what waits.
        """
        super().__init__(
            "fenqun",
            title="fenqun · 分群",
            version=__version__,
            instructions=instructions(read_only=deps.read_only, language=deps.language),
            log_level="WARNING",
            request_state_security=_sealing(deps),
        )
        self._operations = tuple(operations)
        self._deps = deps
        self._files_of = files_of
        self._page_of = page_of
        # The SDK's decorator for completions does not hand on who asks.
        self._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, self._complete)

    @property
    def lowlevel(self) -> Server[Any]:
        """The server below, which the transports drive."""
        return self._lowlevel_server

    @cached_property
    def _tools(self) -> dict[str, Tool]:
        documents = (tool_document(o, takes_token=takes_token(o, self._deps)) for o in self._operations)
        return {d["name"]: Tool.model_validate(d) for d in documents}

    def _tool_input_schema(self, name: str) -> dict[str, Any] | None:
        """Asked for by the SDK on each modern HTTP call; without it every call would list all tools."""
        tool = self._tools.get(name)
        return tool.input_schema if tool else None

    async def disconnect(self) -> None:
        """Let go of connections to platforms; at the end, in the same event loop."""
        await self._deps.disconnect()

    async def list_tools(self) -> list[Tool]:
        """All tools, always in the same order."""
        return list(self._tools.values())

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: AnyContext | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run one operation. Whatever goes wrong is a tool error that says what to do next.

        From protocol 2026-07-28 on, a call that needs consent ends with the question and comes again.
        """
        deps = self._deps_of(context)
        try:
            operation = find(self._operations, name)
            tracing.began(operation, deps)
            answer = results.success(await call(operation, arguments, deps), deps.language)
        except Suspended as asked:
            tracing.ended("asked")
            return sent_back(asked.question, deps.language)
        except FenqunError as error:
            tracing.ended(error.code)
            return results.failure(error, deps.language)
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            broken = internal_error(name)
            tracing.ended(broken.code)
            return results.failure(broken, deps.language)
        tracing.ended("done")
        return answer

    def _deps_of(self, context: AnyContext | None) -> Deps:
        """What one call works with: who makes it and with which client, its files, its own progress."""
        deps = self._deps
        if self._files_of is not None:  # over HTTP; a call without a request that has passed the gate fails here
            request = context.request_context.request if context else None
            assert isinstance(request, Request)  # noqa: S101
            page = self._page_of(request) if self._page_of else ""
            deps = replace(deps.seen_by(identity_of(request.scope)), files=self._files_of(request), page=page)
        if context is None:
            return deps
        about, who = context.session.client_params, deps.who
        if about is not None:
            client, version = shorten(about.client_info.name), shorten(about.client_info.version)
            who = replace(who, client=client, client_version=version)
        asking = Elicitation(context, deps.language)
        return replace(deps, report=_Progress(context, deps.language), who=who, ask=asking)

    # what a person picks from a menu, and what a client attaches

    async def list_prompts(self) -> list[Prompt]:
        """All prompts."""
        return prompts.listed_prompts()

    async def get_prompt(
        self, name: str, arguments: Mapping[str, Any] | None = None, context: AnyContext | None = None
    ) -> GetPromptResult:
        """A prompt, filled. MCPError where it or its arguments are not legal."""
        return prompts.filled_prompt(name, arguments or {}, self._deps_of(context).language)

    async def list_resources(self) -> list[Resource]:
        """Resources of a fixed address."""
        return resources.listed_resources()

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Resources that are addressed by a name."""
        return resources.listed_templates()

    async def read_resource(
        self, uri: AnyUrl | str, context: AnyContext | None = None
    ) -> Iterable[ReadResourceContents]:
        """What stands at an address."""
        return [await resources.read(str(uri), self._deps_of(context))]

    async def _complete(self, asked: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        deps = self._deps_of(Context(request_context=asked, mcp_server=self))
        try:
            found = await completions.complete(params.ref, params.argument.name, params.argument.value, deps)
        except FenqunError:  # a completion is a convenience: what cannot be looked up has none
            found = Completion(values=[])
        return CompleteResult(completion=found)


def _sealing(deps: Deps) -> RequestStateSecurity | None:
    """The key of the workspace: the answer to a question may reach another process than the one that asked."""
    return RequestStateSecurity(keys=[deps.ledger.key("request-state")], ttl=STATE_SECONDS) if deps.ledger else None


@dataclass(slots=True)
class _Progress:
    """Progress of one call, sent on only where it is news: the protocol wants it to grow with every notification."""

    context: AnyContext
    language: Language
    sent: float = -1.0

    async def __call__(self, percent: float, message: Text) -> None:
        percent = min(max(percent, 0.0), 100.0)
        if percent >= self.sent + 1 or percent == 100 > self.sent:
            self.sent = percent
            await self.context.report_progress(percent, 100, message.say(self.language))
