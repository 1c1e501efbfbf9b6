"""Each operation as the MCP tool that clients see, as plain data: the content of `tools/list` and of `tool_schemas/`."""

import re
from typing import Any, Final

from mcp_server.operations.operation import Operation
from mcp_server.operations.schema import input_schema, output_schema

ENTRY_TOOLS: Final = ("describe_data", "validate_definition")
"""Loaded at once by clients that otherwise load tools late: the two that every job starts with."""


def tool_document(operation: Operation[Any, Any]) -> dict[str, Any]:
    """The tool exactly as it goes over the wire; every annotation is written out, because the defaults say the worst."""
    document: dict[str, Any] = {
        "name": operation.name,
        "title": f"{operation.title.en} · {operation.title.zh}",
        "description": unwrapped(operation.description),
        "inputSchema": input_schema(operation),
        "outputSchema": output_schema(operation),
        "annotations": {
            "readOnlyHint": not operation.effect.writes,
            "destructiveHint": operation.effect.destroys,
            "idempotentHint": operation.idempotent,
            "openWorldHint": False,
        },
    }
    if operation.name in ENTRY_TOOLS:
        document["_meta"] = {"anthropic/alwaysLoad": True}
    return document


def unwrapped(words: str) -> str:
    """A docstring without the line breaks that only the source needs: one line a paragraph or list entry."""
    return re.sub(r"(?<!\n)\n(?!\n|- )", " ", words)
