"""From starting the process to the answer of tools/list: our server against a bare one with as many trivial tools.

The second pair of figures goes on to the answer of a call that is made at once, which no person and no model is quick
enough for: it has to wait for the parts that are otherwise loaded while the list is read.

Runs alternate; medians and their ratio. Aim for the list: at most 1.3.

    python -m benchmarks.start [runs]
"""

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.wire import bare, ours, started, timed
from mcp_server.operations.registry import OPERATIONS

LIST, CALL = "tools listed", "called at once"


def seconds(command: tuple[str, ...], tool: str) -> dict[str, float]:
    """Until the tools are there, and until a first call is answered."""
    with started(*command) as server:
        listed = timed(lambda: (server.hello(), server.ask("tools/list", {})))
        called = timed(lambda: server.ask("tools/call", {"name": tool, "arguments": {}}))
    return {LIST: listed, CALL: listed + called}


def main(runs: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        servers = {
            "bare": (bare(len(OPERATIONS)), "echo_0"),
            "fenqun": (ours(Path(folder) / "workspace"), "list_clusters"),
        }
        for server in servers.values():
            seconds(*server)  # warms the caches
        found: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for _ in range(runs):
            for name, server in servers.items():
                found[name].append(seconds(*server))
    for what in (LIST, CALL):
        medians = {name: statistics.median(run[what] for run in runs_of) for name, runs_of in found.items()}
        best = {name: min(run[what] for run in runs_of) for name, runs_of in found.items()}
        said = "  ".join(f"{name} {medians[name] * 1000:5.0f} ms ({best[name] * 1000:.0f} at best)" for name in servers)
        print(f"{what:<15} {said}  ratio {medians['fenqun'] / medians['bare']:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
