"""What a trace of a call holds, and what it never holds."""

from collections.abc import Iterator

import anyio
import pytest
from mcp import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mcp_server.app import build
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import serving
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from tests import small

CANARY = "canary-5f1e"


@pytest.fixture(scope="module")
def exporter() -> Iterator[InMemorySpanExporter]:
    """Everything that is traced. A provider can be set once in a process, so the file sets it for itself and keeps it."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    yield kept
    provider.shutdown()


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_span_says_tool_effect_platform_and_outcome_and_no_argument(
    mode: str, exporter: InMemorySpanExporter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    app = build(Settings(workspace=small.make(tmp_path_factory.mktemp("traced")), threads=1))

    async def talk() -> None:
        async with Client(serving(Handler(OPERATIONS, app.deps)), mode=mode) as client:
            await client.call_tool("describe_data", {"search": CANARY})
            await client.call_tool("get_cluster", {"cluster": CANARY})

    exporter.clear()
    anyio.run(talk)
    app.close()
    spans = [span for span in exporter.get_finished_spans() if "fenqun.tool" in (span.attributes or {})]
    assert [_ours(span) for span in spans] == [
        ("describe_data", "read", "local", "done"),
        ("get_cluster", "read", "local", "not_found"),
    ]
    assert CANARY not in "".join(str(span.to_json()) for span in exporter.get_finished_spans())


def _ours(span: ReadableSpan) -> tuple[object, ...]:
    attributes = span.attributes or {}
    return tuple(attributes[f"fenqun.{name}"] for name in ("tool", "effect", "platform", "outcome"))
