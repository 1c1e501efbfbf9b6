"""Each operation as the MCP tool that clients see, as plain data: the content of `tools/list` and of `tool_schemas/`."""

import re
from typing import Any, Final

from mcp_server.consent.invoke import CARRIER
from mcp_server.operations.arguments import input_schema, output_schema
from mcp_server.operations.operation import Operation

_SIDES: Final = ("inputSchema", "outputSchema")
ENTRY_TOOLS: Final = ("describe_data", "validate_definition")
"""Loaded at once by clients that otherwise load tools late: the two that every job starts with."""


def tool_document(operation: Operation[Any, Any], *, takes_token: bool = False) -> dict[str, Any]:
    """The tool exactly as it goes over the wire; every annotation is written out, because the defaults say the worst.

    `takes_token`: the operator accepts the token of a dry run as consent; a dry run then gives one.
    """
    document: dict[str, Any] = {
        "name": operation.name,
        "title": f"{operation.title.en} · {operation.title.zh}",
        "description": unwrapped(operation.description),
        "inputSchema": input_schema(operation),
        "outputSchema": output_schema(operation),
        "annotations": {
            "title": operation.title.en,
            "readOnlyHint": not operation.effect.writes,
            "destructiveHint": operation.effect.writes,  # directories of connectors ask it of everything that writes
            "idempotentHint": operation.idempotent,
            "openWorldHint": False,
        },
    }
    if operation.name in ENTRY_TOOLS:
        document["_meta"] = {"anthropic/alwaysLoad": True}
    return _with_token(document) if takes_token else document


def _with_token(document: dict[str, Any]) -> dict[str, Any]:
    """The same tool with the token in its arguments and its answer."""
    token = {CARRIER: {"type": "string", "description": "From the dry_run of this very call"}}
    sides = {side: document[side] | {"properties": document[side]["properties"] | token} for side in _SIDES}
    return document | sides


def unwrapped(words: str) -> str:
    """A docstring without the line breaks that only the source needs: one line a paragraph or list entry."""
    return re.sub(r"(?<!\n)\n(?!\n|- )", " ", words)
