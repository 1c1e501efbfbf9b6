"""The MCP server: the SDK's own, with our list of tools and our one way of calling them.

The SDK speaks every revision of the protocol on every transport. Overridden is only what it does in a way
that would hurt here: it drops unknown arguments without a word, answers wrong ones with a validator's
English, and prints results with indentation.

What a client asks for when it connects (tools, prompts, kinds of resources) is told from here, with nothing
loaded but the protocol. What it asks to be done is `work.py`, which is put together meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp.server import MCPServer, Server, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, RequestStateSecurity
from mcp.server.mcpserver.exceptions import ResourceError
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

from mcp_server import __version__
from mcp_server.errors import FenqunError
from mcp_server.front import prompts, resources
from mcp_server.front.instructions import instructions
from mcp_server.text import Language

if TYPE_CHECKING:
    from mcp_server.front.work import Work

AnyContext = Context[Any, Any]

STATE_KEY = "request-state"
"""What the key that seals the state of questions is derived for."""
STATE_SECONDS = 3600.0
"""How long the sealed state of a question is read; the question itself holds for less, and says so when it is over."""
_BEFORE_LOADING = 0.1
"""Seconds between the list of tools and the loading of what they need, so that the list goes out first."""


@dataclass(frozen=True, slots=True)
class Face:
    """What a client sees of a server before anything is done."""

    tools: Sequence[Mapping[str, Any]]
    """The document of each tool (`tools.tool_document`), in order."""
    language: Language = "en"
    read_only: bool = False
    key: bytes = b""
    """Seals the state of a question: its answer may reach another process of the workspace than the one that asked."""


class FenqunServer(MCPServer[Any]):
    """Shows a face, and does the work behind it."""

    def __init__(self, face: Face, opens: "Callable[[], Work]") -> None:
        """`opens` puts together what does the work; called once, in a thread. FenqunError where it can't."""
        super().__init__(
            "fenqun",
            title="fenqun · 分群",
            version=__version__,
            instructions=instructions(read_only=face.read_only, language=face.language),
            log_level="WARNING",
            request_state_security=RequestStateSecurity(keys=[face.key], ttl=STATE_SECONDS) if face.key else None,
        )
        self._face = face
        self._opens = opens
        self._opening = anyio.Lock()
        self._open: Work | None = None
        self._listed = anyio.Event()
        # The SDK's decorator for completions does not hand on who asks.
        self._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, self._complete)

    @property
    def lowlevel(self) -> Server[Any]:
        """The server below, which the transports drive."""
        return self._lowlevel_server

    async def warm(self) -> None:
        """Once the tools have been listed, load what they need: the model at the client thinks for longer than that takes."""
        await self._listed.wait()
        await anyio.sleep(_BEFORE_LOADING)
        with suppress(FenqunError):  # the first call says what is wrong
            await self._work()

    async def disconnect(self) -> None:
        """Let go of connections to platforms; at the end, in the same event loop."""
        if self._open is not None:
            await self._open.disconnect()

    async def _work(self) -> "Work":
        """What does the work, put together now where it is not there yet. Raises FenqunError and nothing else."""
        if self._open is None:
            async with self._opening:
                if self._open is None:
                    self._open = await anyio.to_thread.run_sync(self._opened)
        return self._open

    def _opened(self) -> "Work":
        try:
            return self._opens()
        except FenqunError:
            raise
        except Exception as error:
            from mcp_server.operations.calling import internal_error

            raise internal_error("opening") from error

    # tools

    @cached_property
    def _tools(self) -> dict[str, Tool]:
        return {document["name"]: Tool.model_validate(document) for document in self._face.tools}

    def _tool_input_schema(self, name: str) -> dict[str, Any] | None:
        """Asked for by the SDK on each modern HTTP call; without it every call would list all tools."""
        tool = self._tools.get(name)
        return tool.input_schema if tool else None

    async def list_tools(self) -> list[Tool]:
        """All tools, always in the same order."""
        self._listed.set()
        return list(self._tools.values())

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: AnyContext | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run one operation. Whatever goes wrong is a tool error that says what to do next.

        From protocol 2026-07-28 on, a call that needs consent ends with the question and comes again.
        """
        try:
            work = await self._work()
        except FenqunError as error:
            from mcp_server.front import results

            return results.failure(error, self._face.language)
        return await work.call(name, arguments, context)

    # what a person picks from a menu, and what a client attaches

    async def list_prompts(self) -> list[Prompt]:
        """All prompts."""
        return prompts.listed_prompts()

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        context: AnyContext | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> GetPromptResult:
        """A prompt, filled. MCPError where it or its arguments are not legal."""
        return prompts.filled_prompt(name, arguments or {}, self._face.language)

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
        try:
            work = await self._work()
        except FenqunError as error:
            raise ResourceError(error.message.then(error.next_step).say(self._face.language)) from error
        return [await work.read(str(uri), context)]

    async def _complete(self, asked: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        context = Context(request_context=asked, mcp_server=self)
        try:
            found = await (await self._work()).complete(params, context)
        except FenqunError:  # a completion is a convenience: what cannot be looked up has none
            found = Completion(values=[])
        return CompleteResult(completion=found)
