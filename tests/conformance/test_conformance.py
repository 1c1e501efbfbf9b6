"""The protocol's own suites, and the Inspector's command line, against this server.

Twice each: against `fenqun serve --http` as it is, where a committed list names the scenarios that need items
which a product has not (one that passes all the same fails the run); and against the same server with those
items added, where everything passes. That second run proves that nothing of ours stands in the protocol's way.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from mcp_server.app import build
from mcp_server.front.http.app import Gate, GateSettings, application
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from tests import small
from tests.conformance.named import Events, NamedServer
from tests.conformance.node_kit import HERE, node, run
from tests.http.http_kit import served

pytestmark = [
    pytest.mark.conformance,
    # What the revision 2026-07-28 no longer has (logging, sampling) is tested for the revisions that do.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]

ROOT = HERE.parents[1]
HANDSHAKE, STATELESS = "conformance-handshake", "conformance-stateless"
INSPECTOR = ("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    node()
    return small.make(tmp_path_factory.mktemp("conformance") / "workspace")


@pytest.fixture(scope="module")
def product(workspace: Path) -> Iterator[str]:
    """The address of `fenqun serve --http`."""
    command = [sys.executable, "-m", "mcp_server", "serve", "--http", "--port", "0", "--workspace", str(workspace)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FENQUN_")}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, encoding="utf-8", env=clean | {"PYTHONPATH": str(ROOT)}
    ) as server:
        assert server.stderr
        found = re.search(r"http://\S+/mcp", server.stderr.readline())
        assert found
        yield found[0]
        server.terminate()
        server.communicate(timeout=30)


@pytest.fixture(scope="module")
def named(workspace: Path) -> Iterator[str]:
    """The address of the same server with the named items."""
    app = build(Settings(workspace=workspace))

    async def gate() -> Gate:
        return application(
            OPERATIONS, app.deps, app.handed, GateSettings(), alive=app.alive, make=NamedServer, events=Events()
        )

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(portal.call(gate))) as url:
        yield f"{url}/mcp"
    app.close()


def suite(package: str, url: str, results: Path, *arguments: str) -> str:
    """Run a suite; what it said. It fails where a scenario fails that is not listed, and where a listed one passes."""
    status, said, complaints = run(package, "dist/index.js", "server", "--url", url, "-o", str(results), *arguments)
    assert status == 0, f"{said[-6000:]}\n{complaints[-2000:]}"
    return said


def test_the_handshake_suite_on_the_product(product: str, tmp_path: Path) -> None:
    baseline = str(HERE / "baseline-handshake.yml")
    said = suite(HANDSHAKE, product, tmp_path, "--suite", "all", "--expected-failures", baseline)
    for scenario in (
        "server-initialize",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
    ):
        assert f"✓ {scenario}: " in said
    assert "✓ dns-rebinding-protection: 2 passed" in said


def test_the_handshake_suite_on_the_named_items(named: str, tmp_path: Path) -> None:
    said = suite(HANDSHAKE, named, tmp_path, "--suite", "all")
    assert "Total: 44 passed, 0 failed" in said


def test_the_stateless_suite_on_the_product(product: str, tmp_path: Path) -> None:
    baseline = str(HERE / "baseline-stateless.yml")
    said = suite(STATELESS, product, tmp_path, "--requirements", "2026-07-28", "--expected-failures", baseline)
    for scenario in ("caching", "http-header-validation", "sep-2164-resource-not-found", "dns-rebinding-protection"):
        assert f"✓ {scenario}: " in said


def test_the_stateless_suite_on_the_named_items(named: str, tmp_path: Path) -> None:
    baseline = str(HERE / "baseline-named.yml")
    said = suite(STATELESS, named, tmp_path, "--requirements", "2026-07-28", "--expected-failures", baseline)
    failed = re.findall(r"^✗ (\S+): ", said, re.MULTILINE)
    assert failed
    assert all(scenario.startswith("tasks-") for scenario in failed)


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_inspector_lists_and_calls(transport: str, era: str, product: str, workspace: Path) -> None:
    command = (sys.executable, "-m", "mcp_server", "serve", "--workspace", str(workspace))
    target = command if transport == "stdio" else (product,)

    def inspect(*arguments: str) -> tuple[int, str, str]:
        return run(*INSPECTOR, "--cli", *target, "--protocol-era", era, "-e", f"PYTHONPATH={ROOT}", *arguments)

    def inspected(*arguments: str) -> dict[str, object]:
        status, said, complaints = inspect(*arguments)
        assert status == 0, complaints
        return dict(json.loads(said))

    tools = inspected("--method", "tools/list")["tools"]
    assert isinstance(tools, list)
    assert [tool["name"] for tool in tools] == [o.name for o in OPERATIONS]
    result = inspected("--method", "tools/call", "--tool-name", "describe_data", "--tool-arg", "search=buy")
    assert "buy" in json.dumps(result["structuredContent"])
    status, said, _ = inspect("--method", "tools/call", "--tool-name", "describe_data", "--tool-arg", "serch=buy")
    assert status == 5, "a tool error"
    assert "argument_unknown" in json.loads(said)["content"][0]["text"]
