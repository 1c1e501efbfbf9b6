"""A server on a loopback port in a thread of its own, and a client that speaks raw HTTP to it."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
from anyio.from_thread import BlockingPortal

from mcp_server.app import App
from mcp_server.front.http.access import LIMITS, HttpLimits
from mcp_server.front.http.app import Gate
from mcp_server.front.mcp.handler import ERROR_DATA
from mcp_server.settings import HttpSettings
from mcp_server.web import address_of, bound, server_of

STATELESS = "2026-07-28"
PATIENCE = 20.0


@asynccontextmanager
async def served(gate: Gate, limits: HttpLimits = LIMITS) -> AsyncIterator[str]:
    """A server inside a running event loop; its address."""
    with bound("127.0.0.1", 0) as listening:
        server = server_of(gate, limits.connections)
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            try:
                yield address_of(listening)
            finally:
                server.should_exit = True


@dataclass
class Web:
    """One caller of one server."""

    url: str
    client: httpx.Client
    token: str = ""

    def as_(self, token: str) -> "Web":
        """The same server, another caller."""
        return Web(self.url, self.client, token)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(self.url + path, headers=self.headers | headers)

    def post(self, path: str, content: Any, **headers: str) -> httpx.Response:
        return self.client.post(self.url + path, content=content, headers=self.headers | headers)

    def asked(self, method: str, name: str = "", /, **params: Any) -> httpx.Response:
        """A request of the stateless revision."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        headers = {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": STATELESS, "Mcp-Method": method,
        }  # fmt: skip
        return self.post("/mcp", json.dumps(body), **headers, **({"Mcp-Name": name} if name else {}))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of a call's result, of an error too."""
        answer = self.asked("tools/call", tool, name=tool, arguments=arguments)
        assert answer.status_code == 200, answer.text
        result = message_of(answer)["result"]
        return dict(result["_meta"][ERROR_DATA] if result.get("isError") else result["structuredContent"])


def message_of(answer: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC answer in a response, which may be a stream of events."""
    if answer.headers["content-type"].startswith("application/json"):
        return dict(answer.json())
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return dict(json.loads(lines[-1]))


@dataclass
class House:
    """One process on one workspace, with a loop for its servers."""

    app: App
    portal: BlockingPortal

    @contextmanager
    def serving(self, limits: HttpLimits = LIMITS, **settings: Any) -> Iterator[Web]:
        """A server with these settings."""
        with ExitStack() as stack:
            gate = self.portal.call(self._gate, HttpSettings(**settings), limits)
            url = stack.enter_context(self.portal.wrap_async_context_manager(served(gate, limits)))
            yield Web(url, stack.enter_context(httpx.Client(timeout=PATIENCE)))

    async def _gate(self, settings: HttpSettings, limits: HttpLimits) -> Gate:
        return self.app.http(settings, limits)
