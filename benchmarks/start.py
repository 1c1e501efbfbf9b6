"""From starting the process to the answer of tools/list: our server against a bare one with as many trivial tools.

Runs alternate; medians and their ratio. Aim: at most 1.3.

    python -m benchmarks.start [runs]
"""

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.wire import bare, ours, started, timed
from mcp_server.operations.registry import OPERATIONS


def listed(command: tuple[str, ...]) -> float:
    """Seconds until the tools are there."""
    with started(*command) as server:
        return timed(lambda: (server.hello(), server.ask("tools/list", {})))


def main(runs: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {"bare": bare(len(OPERATIONS)), "fenqun": ours(Path(folder) / "workspace")}
        found: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            listed(command)  # warms the caches
        for _ in range(runs):
            for name, command in commands.items():
                found[name].append(listed(command))
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    for name, seconds in medians.items():
        print(f"{name:<8} {seconds * 1000:7.0f} ms  ({min(found[name]) * 1000:.0f} at best)")
    print(
        f"ratio    {medians['fenqun'] / medians['bare']:7.2f}  ({min(found['fenqun']) / min(found['bare']):.2f} at best)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
