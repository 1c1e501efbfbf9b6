"""The list of everything an assistant can ask for, in the order in which it is shown."""

from typing import Any

from mcp_server.operations.operation import Operation

OPERATIONS: tuple[Operation[Any, Any], ...] = ()
