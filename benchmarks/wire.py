"""A server of ours or a bare one as a child process, spoken to in raw JSON lines: what both benchmarks of the front share.

The bare server is the SDK's own with the same number of trivial tools: what no server on this SDK can be faster than.
Run as a program, this file is that server.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


class Server:
    """A child process and its answers."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._id = 0

    def ask(self, method: str, params: Mapping[str, object]) -> Any:
        """The result of one request."""
        self._id += 1
        self._say({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            answer = json.loads(self._process.stdout.readline())
            if answer.get("id") == self._id:
                return answer["result"]

    def hello(self) -> None:
        """The handshake."""
        self.ask("initialize", HELLO)
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def signal(self, number: int) -> None:
        """Send a signal, and wait until the server has answered a ping after it."""
        self._process.send_signal(number)
        self.ask("ping", {})

    def _say(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@contextmanager
def started(*command: str) -> Iterator[Server]:
    """A server, ended at the end. Bytecode is cached, as for any user; the rest of the environment stays."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment, cwd=ROOT
    )
    try:
        yield Server(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        process.wait()


def ours(workspace: Path) -> tuple[str, ...]:
    """The command of our server."""
    return sys.executable, "-m", "mcp_server", "serve", "--workspace", str(workspace)


def bare(tools: int) -> tuple[str, ...]:
    """The command of the bare server."""
    return sys.executable, str(Path(__file__)), str(tools)


def timed(work: Any) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _serve_bare(tools: int) -> None:
    from mcp.server import MCPServer
    from pydantic import BaseModel

    class Reply(BaseModel):
        message: str

    async def echo(text: str = "", limit: int = 20) -> Reply:
        return Reply(message=text or str(limit))

    server: MCPServer[Any] = MCPServer("bare", version="1")
    for number in range(tools):
        server.add_tool(echo, name=f"echo_{number}", description="Say it back.")
    server.run()


if __name__ == "__main__":
    _serve_bare(int(sys.argv[1]))
