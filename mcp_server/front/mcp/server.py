"""The MCP server: the SDK's own, with our list of tools and our one way to invoke them.

The SDK speaks every revision of the protocol on every transport. Overridden is only what it does in a way that would
hurt here: it drops unknown arguments without a word, answers wrong ones with a validator's English, and prints results
with indentation.

What a client asks for when it connects (tools, prompts, kinds of resources) is answered from here, with nothing loaded
but the protocol. What it asks to be done is in `handler.py`, which is loaded meanwhile.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
from mcp_server.front.mcp import prompts, resources
from mcp_server.text import Language

if TYPE_CHECKING:
    from mcp_server.front.mcp.elicitation import AnyContext
    from mcp_server.front.mcp.handler import Handler

# The instructions: enough to do the whole job with nothing else. Clients cut them at about 2,000 characters, and where
# they load tools late they are all that a model sees at first; so they name the tools in the order of the work.


_INSTRUCTIONS = """\
fenqun (分群) turns a sentence about users into a cluster: a named, refreshable set, defined by what they did (events) and who they are (properties).

In this order:
1. describe_data: find exact event names, properties and values, by English or Chinese words. Never guess names.
2. validate_definition: lists every problem of a definition (qp) with path and suggestion, and explains it in words. Fix until none is left; show the user the explanation.
3. preview_definition: size, and where conditions lose users.
4. create_cluster when the user agrees (dry_run: what would happen). It is computed at once.
5. refresh_cluster, get_refresh_progress: progress 100 is done, -1 failed with the reason.
6. export_users: writes a file; never paste ids into chat.
create_tag, update_tag: a tag gives a user at most one value (tag_qp); all other tools serve tags too.
Crowd analysis: create_crowd_analysis, get_crowd_analysis, list_crowd_analyses, update_crowd_analysis, reload_crowd_analysis, delete_crowd_analysis.
Outbound calls: create_call_task, list_call_tasks, get_call_task, update_call_task.
import_ids, replace_imported_ids: lists of ids.
list_clusters, get_cluster. update_cluster, delete_cluster: ask first. restore_cluster, restore_data undo.

Traps:
- greater and less are strict: "at least 5 times" is TIMES greater 4; "never did it" is TIMES less 1.
- recentDay, in days back: 1-7 the past seven without today, 0-7 seven with today, 0-1 today. No window: all time.
- Values are texts: num "4", ftv ["3"].
- A missing value matches only isNull, not notEqual.
- A dynamic cluster follows the day and the data; a static one waits for refresh_cluster. `fresh`: up to date.
- Leave out what you don't need, no null or "".
- An error lists problems with path and suggestion: fix those, call again; unchanged only if retryable.
- no_data: look_at_file, ask its questions, load_file.

Answer in the user's language."""

_READ_ONLY = "This server is read-only: it refuses every change and refresh."
_CHINESE = "Results are in Chinese."


def instructions(*, read_only: bool, language: Language) -> str:
    """At most 2,000 characters."""
    parts = [_INSTRUCTIONS, *([_CHINESE] if language == "zh" else []), *([_READ_ONLY] if read_only else [])]
    return " ".join(parts)


# The documents of the tools, as they are in `tool_schemas/`: read without loading what carries them out.
# `python -m tools.generate --check` and the tests compare the files with the operations.


FOLDER: Final = "tool_schemas"
INDEX: Final = "index.json"

_PACKAGE: Final = Path(__file__).resolve().parents[2]


def published_tools() -> list[dict[str, Any]]:
    """The document of each tool (`tools.tool_document`), in the order in which they are shown."""
    installed = _PACKAGE / FOLDER
    folder = installed if installed.is_dir() else _PACKAGE.parent / FOLDER  # at the top of a source checkout

    def read(name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
        return document

    return [read(f"{tool['name']}.json") for tool in read(INDEX)["tools"]]


# The server


STATE_KEY = "request-state"
"""The purpose for which the key that seals the state of questions is derived."""
STATE_SECONDS = 3600.0
"""How long the sealed state of a question is read; the question itself holds for less, and says so when it is over."""
_BEFORE_LOADING = 0.1
"""Seconds between the list of tools and the loading of what they need, so that the list goes out first."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a client sees of a server before anything is done."""

    tools: Sequence[Mapping[str, Any]]
    """The document of each tool (`tools.tool_document`), in order."""
    language: Language = "en"
    read_only: bool = False
    key: bytes = b""
    """Seals the state of a question: its answer may reach another process of the workspace than the one that asked."""


class FenqunServer(MCPServer[Any]):
    """Shows a manifest, and passes on to a handler what is to be done."""

    def __init__(self, manifest: Manifest, make_handler: "Callable[[], Handler]") -> None:
        """`make_handler` is called once, in a thread; it raises FenqunError where it can't make one."""
        super().__init__(
            "fenqun",
            title="fenqun · 分群",
            version=__version__,
            instructions=instructions(read_only=manifest.read_only, language=manifest.language),
            log_level="WARNING",
            request_state_security=RequestStateSecurity(keys=[manifest.key], ttl=STATE_SECONDS)
            if manifest.key
            else None,
        )
        self._manifest = manifest
        self._make_handler = make_handler
        self._making = anyio.Lock()
        self._handler: Handler | None = None
        self._listed = anyio.Event()
        # The SDK's decorator for completions does not hand on the context.
        self._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, self._complete)

    @property
    def lowlevel(self) -> Server[Any]:
        """The server below, which the transports drive."""
        return self._lowlevel_server

    async def warm(self) -> None:
        """Once the tools have been listed, load what they need: the client's model thinks for longer than that takes."""
        await self._listed.wait()
        await anyio.sleep(_BEFORE_LOADING)
        with suppress(FenqunError):  # the first call reports it
            await self._made_handler()

    async def disconnect(self) -> None:
        """Close connections to platforms; at the end, in the same event loop."""
        if self._handler is not None:
            await self._handler.disconnect()

    async def _made_handler(self) -> "Handler":
        """The handler, made now where there is none yet. Raises FenqunError and nothing else."""
        if self._handler is None:
            async with self._making:
                if self._handler is None:
                    self._handler = await anyio.to_thread.run_sync(self._make)
        return self._handler

    def _make(self) -> "Handler":
        try:
            return self._make_handler()
        except FenqunError:
            raise
        except Exception as error:
            from mcp_server.consent.invoke import internal_error

            raise internal_error("opening") from error

    # tools

    @cached_property
    def _tools(self) -> dict[str, Tool]:
        return {document["name"]: Tool.model_validate(document) for document in self._manifest.tools}

    def _tool_input_schema(self, name: str) -> dict[str, Any] | None:
        """Asked for by the SDK on each modern HTTP call; without it every call would list all tools."""
        tool = self._tools.get(name)
        return tool.input_schema if tool else None

    async def list_tools(self) -> list[Tool]:
        """All tools, always in the same order."""
        self._listed.set()
        return list(self._tools.values())

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: "AnyContext | None" = None
    ) -> CallToolResult | InputRequiredResult:
        """Run one operation. Any failure is a tool error that says what to do next.

        From protocol 2026-07-28 on, a call that needs consent ends with the question and comes again.
        """
        try:
            handler = await self._made_handler()
        except FenqunError as error:
            from mcp_server.front.mcp.handler import failure

            return failure(error, self._manifest.language)
        return await handler.call(name, arguments, context)

    # prompts, resources, completions

    async def list_prompts(self) -> list[Prompt]:
        return prompts.listed_prompts()

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        context: "AnyContext | None" = None,  # noqa: ARG002 - the SDK's signature
    ) -> GetPromptResult:
        """A prompt, filled. MCPError where it or its arguments are not legal."""
        return prompts.filled_prompt(name, arguments or {}, self._manifest.language)

    async def list_resources(self) -> list[Resource]:
        return resources.listed_resources()

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        return resources.listed_templates()

    async def read_resource(
        self, uri: AnyUrl | str, context: "AnyContext | None" = None
    ) -> Iterable[ReadResourceContents]:
        """The content at an address."""
        try:
            handler = await self._made_handler()
        except FenqunError as error:
            raise ResourceError(error.message.then(error.next_step).say(self._manifest.language)) from error
        return [await handler.read(str(uri), context)]

    async def _complete(self, request: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        context = Context(request_context=request, mcp_server=self)
        try:
            completion = await (await self._made_handler()).complete(params, context)
        except FenqunError:  # a completion is a convenience: what cannot be looked up has none
            completion = Completion(values=[])
        return CompleteResult(completion=completion)


def serving(
    handler: "Handler",
    make: "Callable[[Manifest, Callable[[], Handler]], FenqunServer]" = FenqunServer,
) -> FenqunServer:
    """The server of a handler that is there already, with a manifest made of it."""
    from mcp_server.consent.invoke import takes_token
    from mcp_server.front.mcp.tools import tool_document

    deps = handler.deps
    tools = [tool_document(o, takes_token=takes_token(o, deps)) for o in handler.operations]
    key = deps.ledger.key(STATE_KEY) if deps.ledger else b""
    return make(Manifest(tools, deps.language, deps.read_only, key), lambda: handler)
