"""Print how many of our files one `create_cluster` over stdio enters.

    python -m tools.trace            the number
    python -m tools.trace --files    the files, each with the functions that ran

The server runs under `sys.setprofile` in every thread, and has made a cluster before: code that runs once (imports,
opening the workspace) is not in the figure.
"""

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks.wire import started
from tests import small

ROOT: Final = Path(__file__).resolve().parents[1]
MOST: Final = 40
"""Files that one call may enter."""


def traced() -> dict[str, list[str]]:
    """The files of ours that one `create_cluster` enters, each with its functions."""
    with tempfile.TemporaryDirectory() as folder:
        workspace, report = small.make(Path(folder) / "workspace"), Path(folder) / "report.json"
        with started(sys.executable, "-m", "tools.trace", "--serve", str(workspace), str(report)) as server:

            def create(name: str, definition: Mapping[str, object]) -> None:
                named = {"cluster_name": name, "display_name": name, "cluster_type": "cluster_by_dynamic_condition"}
                answer = server.ask("tools/call", {"name": "create_cluster", "arguments": {**named, "qp": definition}})
                if answer.get("isError"):
                    sys.exit(answer["content"][0]["text"])

            server.hello()
            create("first", small.BUYERS)
            server.signal(signal.SIGUSR1)
            level = {"columnName": "level", "tableType": "user", "comparator": "equal", "ftv": ["3"]}
            create("traced", {**small.BUYERS, "filts": [level]})
            server.signal(signal.SIGUSR2)
            found: dict[str, list[str]] = json.loads(report.read_text(encoding="utf-8"))
            return found


def serve(workspace: str, report: Path) -> None:
    """Serve like `fenqun serve`; report the functions of ours that are entered between SIGUSR1 and SIGUSR2."""
    from mcp_server import cli

    entered: dict[str, set[str]] = defaultdict(set)
    counting = threading.Event()

    def enter(frame: FrameType, event: str, _: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and counting.is_set() and file.is_relative_to(ROOT / "mcp_server"):
            entered[file.relative_to(ROOT).as_posix()].add(frame.f_code.co_qualname)

    def end(*_: object) -> None:
        counting.clear()
        report.write_text(json.dumps({name: sorted(entered[name]) for name in sorted(entered)}), encoding="utf-8")

    signal.signal(signal.SIGUSR1, lambda *_: counting.set())
    signal.signal(signal.SIGUSR2, end)
    threading.setprofile(enter)
    sys.setprofile(enter)
    cli.main(["serve", "--workspace", workspace])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true", help="the files, each with the functions that ran")
    parser.add_argument("--serve", nargs=2, metavar=("WORKSPACE", "REPORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], Path(options.serve[1]))
        return
    found = traced()
    for name, functions in found.items() if options.files else ():
        print(name, *functions, sep="\n    ")
    print(f"{len(found)} files of ours; at most {MOST} are wanted")


if __name__ == "__main__":
    main()
