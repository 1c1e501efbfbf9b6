"""Look at every export, answer its questions, load it, check it: `python -m tests.exports [NAME…]`."""

import sys
import tempfile
from pathlib import Path

from mcp_server.errors import FenqunError
from tests.exports import plain
from tests.exports.running import run


def main() -> None:
    """Print a line for each export, and how many are right."""
    tried = [export for export in plain.exports() if not sys.argv[1:] or export.name in sys.argv[1:]]
    right = 0
    for export in tried:
        with tempfile.TemporaryDirectory() as workspace:
            try:
                wrong = run(export, Path(workspace)).wrong
            except FenqunError as error:
                wrong = [f"refused: {error.message.en}", *(problem.message.en for problem in error.problems[:3])]
        right += not wrong
        print(f"{export.name:26} {'right' if not wrong else 'wrong'}", flush=True)
        for line in wrong:
            print(f"    {line}", flush=True)
    print(f"{len(tried)} exports, {right} right.")


if __name__ == "__main__":
    main()
