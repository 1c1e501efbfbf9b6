"""One call over stdio: reading metadata from our server against a trivial tool of a bare one.

Runs alternate; medians and their ratio. Aim: at most 1.3.

    python -m benchmarks.call [calls]
"""

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.wire import bare, ours, started, timed
from mcp_server.operations.registry import OPERATIONS
from tests import small

ROUNDS = 20


def main(calls: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = small.make(Path(folder) / "workspace")
        with started(*bare(len(OPERATIONS))) as floor, started(*ours(workspace)) as server:
            asked = {
                "bare": lambda: floor.ask("tools/call", {"name": "echo_0", "arguments": {"text": "city"}}),
                "read": lambda: server.ask("tools/call", {"name": "describe_data", "arguments": {"search": "city"}}),
                "list": lambda: server.ask("tools/call", {"name": "list_clusters", "arguments": {}}),
            }
            floor.hello()
            server.hello()
            found: dict[str, list[float]] = {name: [] for name in asked}
            for name, ask in asked.items():
                assert not ask()["isError"], name  # and warms the caches
            for _ in range(ROUNDS):
                for name, ask in asked.items():
                    found[name] += [timed(ask) for _ in range(calls // ROUNDS)]
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    for name, seconds in medians.items():
        print(f"{name:<8} {seconds * 1000:7.3f} ms  {seconds / medians['bare']:5.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
