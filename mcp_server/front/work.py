"""What a server does when it is asked to: the operations, with what each call works with.

`server.py` shows the tools without any of this; it is put together while the client reads the list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import CallToolResult, CompleteRequestParams, Completion, InputRequiredResult
from starlette.requests import Request

from mcp_server.errors import FenqunError
from mcp_server.front import attaching, completions, results, tracing
from mcp_server.front.consent import Elicitation, sent_back
from mcp_server.front.http.access import identity_of
from mcp_server.front.long_answers import answered
from mcp_server.front.server import STATE_KEY, AnyContext, Face, FenqunServer
from mcp_server.front.tools import tool_document
from mcp_server.operations.acting import takes_token
from mcp_server.operations.asking import Suspended
from mcp_server.operations.calling import find, internal_error
from mcp_server.operations.handing import Files
from mcp_server.operations.identity import Identity
from mcp_server.operations.operation import Deps, Operation
from mcp_server.qp.problems import shorten
from mcp_server.text import Language, Text


@dataclass(frozen=True, slots=True)
class Work:
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
            tracing.began(operation, deps)
            answer = results.success(await answered(operation, arguments, deps))
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

    async def read(self, uri: str, context: AnyContext | None) -> ReadResourceContents:
        """What stands at an address."""
        return await attaching.read(uri, self._deps_of(context))

    async def complete(self, params: CompleteRequestParams, context: AnyContext) -> Completion:
        """What an argument may become. FenqunError where that cannot be looked up."""
        deps = self._deps_of(context)
        return await completions.complete(params.ref, params.argument.name, params.argument.value, deps)

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


def serving(
    work: Work,
    make: Callable[[Face, Callable[[], Work]], FenqunServer] = FenqunServer,
) -> FenqunServer:
    """The server of work that is there already, with a face made of it."""
    deps = work.deps
    tools = [tool_document(o, takes_token=takes_token(o, deps)) for o in work.operations]
    key = deps.ledger.key(STATE_KEY) if deps.ledger else b""
    return make(Face(tools, deps.language, deps.read_only, key), lambda: work)


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
