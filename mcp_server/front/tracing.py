"""What a call adds to the span that the SDK opens for each message (OpenTelemetry; nothing happens without an exporter).

The tool, its effect, the platform, how it ended. Never an argument, never a result.
"""

from typing import Any

from opentelemetry.trace import get_current_span

from mcp_server.operations.operation import Deps, Operation


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
