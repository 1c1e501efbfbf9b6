"""What a tool answered, as tests look at it."""

from typing import Any

from mcp_types import CallToolResult

from mcp_server.front.mcp.handler import ERROR_DATA


def error_data(result: CallToolResult) -> dict[str, Any]:
    """The error of a failed call as data."""
    assert result.is_error, result
    assert result.structured_content is None, "the TypeScript client would hold it against the output schema"
    return dict((result.meta or {})[ERROR_DATA])
