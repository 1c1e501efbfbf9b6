"""A server in a process of its own, spoken to in raw JSON-RPC lines."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


class Wire:
    """Both ends of a server's standard streams; every wait has an end."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._buffer = b""
        self._number = 100

    def send(self, message: dict[str, Any] | bytes) -> None:
        line = message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message; whatever is not one JSON object a line fails here."""
        assert self.process.stdout
        end = time.monotonic() + PATIENCE
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the server said nothing"
            chunk = os.read(self.process.stdout.fileno(), 65536)
            assert chunk, "the server closed its standard output"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return dict(message)

    def answer(self, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The answer to a request, and the notifications that came before it."""
        before = []
        while (message := self.receive()).get("id") != number:
            before.append(message)
        return message, before

    def request(self, number: int, method: str, **params: Any) -> None:
        self.send({"id": number, "method": method, "params": params})

    def asked(self, method: str, **params: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Ask and wait for the answer, with a number of its own."""
        self._number += 1
        self.request(self._number, method, **params)
        return self.answer(self._number)

    def shake_hands(self) -> dict[str, Any]:
        about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        self.request(0, "initialize", **about)
        message, _ = self.answer(0)
        self.send({"method": "notifications/initialized"})
        return dict(message["result"])

    def end(self) -> tuple[int, str]:
        """Close the server's standard input; its exit status, and all that it said on stderr."""
        rest, said = self.process.communicate(timeout=PATIENCE)
        for line in (self._buffer + rest).splitlines():
            assert "error" in json.loads(line), "only calls that were broken off are still answered"
        return self.process.returncode, said.decode()


@contextmanager
def started(*command: str, **environment: str) -> Iterator[Wire]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FENQUN_")}
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
    )
    try:
        yield Wire(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]
