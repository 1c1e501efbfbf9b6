"""Node 22 and what runs on it, from the folder `.node` that `make conformance` fills."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
MODULES = HERE.parents[1] / ".node" / "node_modules"
PATIENCE = 300.0

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def node() -> Path:
    """The Node program. Skips the test where it is missing, unless CONFORMANCE=required."""
    found = [*sorted(MODULES.glob("node-*/bin/node")), *_installed()]
    if not found or not (MODULES / "conformance-handshake").is_dir():
        reason = "Node 22 and the suites are not installed; run: make conformance"
        if os.environ.get("CONFORMANCE") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return found[0]


def _installed() -> list[Path]:
    """The system's own Node, where it is new enough; npm has none for every kind of machine."""
    place = shutil.which("node")
    if place is None:
        return []
    version = subprocess.run([place, "--version"], capture_output=True, encoding="utf-8").stdout
    return [Path(place)] if int(version.lstrip("v").partition(".")[0] or 0) >= 22 else []


def run(package: str, script: str, *arguments: str) -> tuple[int, str, str]:
    """Run a package's program; its exit status, and what it said, without colours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FENQUN_")}
    done = subprocess.run(
        [str(node()), str(MODULES / package / script), *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        env=environment | {"NO_COLOR": "1"},
    )
    return done.returncode, _COLOUR.sub("", done.stdout), _COLOUR.sub("", done.stderr)
