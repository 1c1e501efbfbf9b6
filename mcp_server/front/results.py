"""The only place where a result or an error becomes MCP content."""

from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from mcp_types import CallToolResult, ContentBlock, ResourceLink, TextContent

from mcp_server.errors import FenqunError
from mcp_server.front import rendering
from mcp_server.front.long_answers import Answer
from mcp_server.front.resources import media_type
from mcp_server.text import Language

ERROR_DATA: Final = "fenqun/error"
"""Where the metadata of a failed result has the error as data: code, message, retryable, problems, next."""


def success(answer: Answer) -> CallToolResult:
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
