"""Each operation as the MCP tool that clients see, as plain data: the content of `tools/list` and of `tool_schemas/`."""

import re
from typing import Any, Final

from mcp_server.consent.invoke import CARRIER
from mcp_server.operations.arguments import input_schema, output_schema
from mcp_server.operations.operation import Operation

ENTRY_TOOLS: Final = ("describe_data", "validate_definition")
"""Loaded at once by clients that otherwise load tools late: the two that every job starts with."""
_TOKEN: Final = {CARRIER: {"type": "string", "description": "From the dry_run of this very call"}}


def tool_document(operation: Operation[Any, Any], *, takes_token: bool = False) -> dict[str, Any]:
    """The tool exactly as it goes over the wire; every annotation is given, because the defaults assume the worst.

    `takes_token`: the operator accepts the token of a dry run as consent; the tool then takes and returns one.
    """
    document: dict[str, Any] = {
        "name": operation.name,
        "title": f"{operation.title.en} · {operation.title.zh}",
        "description": unfolded(operation.description),
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
    for side in ("inputSchema", "outputSchema") if takes_token else ():
        document[side] = document[side] | {"properties": document[side]["properties"] | _TOKEN}
    return document


def unfolded(words: str) -> str:
    """A docstring without the line breaks that only the source needs: one line for each paragraph or list entry."""
    return re.sub(r"(?<!\n)\n(?!\n|- )", " ", words)
