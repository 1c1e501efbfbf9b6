"""What a server does with a request: the operations, with what each call works with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import (
    CallToolResult,
    CompleteRequestParams,
    Completion,
    ContentBlock,
    InputRequiredResult,
    ResourceLink,
    TextContent,
)
from opentelemetry.trace import get_current_span
from starlette.requests import Request

from mcp_server.consent.invoke import find, internal_error
from mcp_server.errors import FenqunError
from mcp_server.front.http.access import identity_of
from mcp_server.front.mcp import attaching, rendering
from mcp_server.front.mcp.elicitation import AnyContext, Elicitation, sent_back
from mcp_server.front.mcp.rendering import ToolOutput, answered
from mcp_server.front.mcp.resources import media_type
from mcp_server.language.problems import shorten
from mcp_server.operations.asking import Suspended
from mcp_server.operations.operation import Deps, Files, Identity, Operation
from mcp_server.text import Language, Text

# What a call adds to the span that the SDK opens for each message (OpenTelemetry; nothing happens without an
# exporter).
#
# The tool, its effect, the platform, how it ended. Never an argument, never a result.


def began(operation: Operation[Any, Any], deps: Deps) -> None:
    """Say what is called and where it acts."""
    get_current_span().set_attributes(
        {
            "fenqun.tool": operation.name,
            "fenqun.effect": operation.effect.value,
            "fenqun.platform": getattr(deps, operation.system).name,
        }
    )


def ended(outcome: str) -> None:
    """Say how it ended: `done`, or the code of the error."""
    get_current_span().set_attribute("fenqun.outcome", outcome)


# The only place where a result or an error becomes MCP content.


ERROR_DATA: Final = "fenqun/error"
"""Where the metadata of a failed result has the error as data: code, message, retryable, problems, next."""


def success(answer: ToolOutput) -> CallToolResult:
    """Text and structured content, each complete; a result with a `path` or a `url`, or that is kept in a file because it
    is too long, also links to that file."""
    data = answer.data
    content: list[ContentBlock] = [TextContent(type="text", text=answer.text)]
    content += [_linked(place) for place in (data.get("path"), data.get("url"), answer.file) if place]
    return CallToolResult(content=content, structured_content=data)


def failure(error: FenqunError, language: Language) -> CallToolResult:
    """An error that the model can act on, as a tool result; its data, for programs, in the result's metadata.

    Not as structured content: the official TypeScript client holds that against the tool's output schema in errors
    too, and would tell the model of nothing but the mismatch.
    """
    data = rendering.structured_error(error, language)
    block = TextContent(type="text", text=rendering.error_text(data, language))
    return CallToolResult(content=[block], is_error=True, _meta={ERROR_DATA: data})


def export_uri(name: str) -> str:
    """The address under which `resources/read` gives an exported file."""
    return f"fenqun://exports/{quote(name, safe='')}"


def _linked(place: str) -> ResourceLink:
    """A link to a file on this machine, or to one at an address."""
    path = Path(place)
    return _link(export_uri(path.name), path.name) if path.is_absolute() else _link(place, PurePosixPath(place).name)


def _link(address: str, name: str) -> ResourceLink:
    return ResourceLink(type="resource_link", uri=address, name=name, mime_type=media_type(name))


# What a server does when it is asked to: the operations, with what each call works with.
#
# `server.py` shows the tools without any of this; it is put together while the client reads the list.


@dataclass(frozen=True, slots=True)
class Handler:
    """Runs the given operations."""

    operations: Sequence[Operation[Any, Any]]
    deps: Deps
    files_of: Callable[[Request], Files] | None = None
    """Over HTTP: how files travel for whoever makes a request."""
    page_of: Callable[[Request], str] | None = None
    """Over HTTP: the address under which he finds the page where people decide what waits."""

    async def call(
        self, name: str, arguments: dict[str, Any], context: AnyContext | None
    ) -> CallToolResult | InputRequiredResult:
        """Run one operation (`FenqunServer.call_tool`)."""
        deps = self._deps_of(context)
        try:
            operation = find(self.operations, name)
            began(operation, deps)
            answer = success(await answered(operation, arguments, deps))
        except Suspended as asked:
            ended("asked")
            return sent_back(asked.question, deps.language)
        except FenqunError as error:
            ended(error.code)
            return failure(error, deps.language)
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            broken = internal_error(name)
            ended(broken.code)
            return failure(broken, deps.language)
        ended("done")
        return answer

    async def read(self, uri: str, context: AnyContext | None) -> ReadResourceContents:
        """What stands at an address."""
        return await attaching.read(uri, self._deps_of(context))

    async def complete(self, params: CompleteRequestParams, context: AnyContext) -> Completion:
        """What an argument may become. FenqunError where that cannot be looked up."""
        deps = self._deps_of(context)
        return await attaching.complete(params.ref, params.argument.name, params.argument.value, deps)

    async def disconnect(self) -> None:
        """Let go of connections to platforms."""
        await self.deps.disconnect()

    def _deps_of(self, context: AnyContext | None) -> Deps:
        """What one call works with: who makes it and with which client, its files, its own progress."""
        deps = self.deps
        if self.files_of is not None:  # over HTTP; a call without a request that has passed the gate fails here
            request = context.request_context.request if context else None
            assert isinstance(request, Request)  # noqa: S101 - see above
            page = self.page_of(request) if self.page_of else ""
            deps = replace(deps.seen_by(identity_of(request.scope)), files=self.files_of(request), page=page)
        if context is None:
            return deps
        about, who = context.session.client_params, deps.who
        if about is not None:
            who = _through(who, about.client_info.name, about.client_info.version)
        asking = Elicitation(context, deps.language)
        return replace(deps, report=_Progress(context, deps.language), who=who, ask=asking)


@lru_cache(maxsize=128)
def _through(who: Identity, client: str, version: str) -> Identity:
    """A caller with his client, as it names itself; kept, for it is the same with every call of a session."""
    return replace(who, client=shorten(client), client_version=shorten(version))


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
