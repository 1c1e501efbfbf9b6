"""A machine of somebody new: an empty home, and a client that starts a command and talks MCP to it over stdio."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv" / "uv" / "bin"
PATIENCE = 300.0


def needed(path: Path) -> Path:
    """This file. Where it is missing the test is skipped, unless PACKAGES=required."""
    if not path.exists():
        reason = f"{path.name} is not there; run: make packages"
        if os.environ.get("PACKAGES") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def environment(home: Path, *programs: Path) -> dict[str, str]:
    """An environment with an empty home: only programs, and how this machine reaches its package index."""
    home.mkdir(parents=True, exist_ok=True)
    ways = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(ways)}
    kept = {name: value for name, value in kept.items() if not name.endswith(("_CACHE_DIR", "_REQUIRE_VIRTUALENV"))}
    path = os.pathsep.join([*map(str, programs), str(Path(sys.base_prefix) / "bin"), os.defpath])
    return kept | {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8"}


class Session:
    """A server that was started, and what it answers."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=env, cwd="/"
        )  # fmt: skip
        self._errors = ""
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "newcomer", "version": "0"},
        }
        self.hello = self.request("initialize", hello)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The result of a request. AssertionError with what the server printed where there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        with suppress(BrokenPipeError):  # it has ended; what it printed is shown below
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.end()[1]
        answer: dict[str, Any] = json.loads(line)
        assert "result" in answer, answer
        if method == "initialize":
            self._process.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
            self._process.stdin.flush()
        result: dict[str, Any] = answer["result"]
        return result

    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.request("tools/list")["tools"]]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def end(self) -> tuple[int, str]:
        """Close its input; its exit status and what it printed on stderr."""
        if self._process.returncode is None:
            _, self._errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, self._errors


def run(command: Sequence[str], env: Mapping[str, str], *, status: int = 0) -> str:
    """Run a command to its end; what it printed on both streams."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", env=env, cwd="/", timeout=PATIENCE
    )
    assert done.returncode == status, done.stdout
    return done.stdout
