"""Try `fenqun load` on every export with nothing but its files and time zone: `python -m tests.exports [NAME…]`.

With `--map` the columns of the user, the event and the time are named too, as far as one `--map` for all files can name
them. An export loads when the command succeeds; it is right when the counts of events and users are the expected ones.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.exports import plain

FENQUN = Path(sys.executable).with_name("fenqun")


@dataclass(frozen=True)
class Attempt:
    """What one `fenqun load` said."""

    export: str
    loads: bool
    right: bool
    says: str


def attempt(export: Path, *, mapped: bool = False) -> Attempt:
    wanted = plain.expected(export)
    arguments = _map(wanted["files"]) if mapped else []
    for option, roles in (("--events", ("events", "log")), ("--users", ("users",))):
        patterns = [section["files"].rstrip("/") for section in wanted["files"] if section["role"] in roles]
        for pattern in dict.fromkeys(patterns):
            arguments += [option, pattern]
    with tempfile.TemporaryDirectory() as workspace:
        command = [FENQUN, "load", *arguments, "--time-zone", wanted["time_zone"], "--workspace", workspace]
        done = subprocess.run(command, cwd=export, capture_output=True, encoding="utf-8")
    text = done.stdout + done.stderr
    counts = re.search(r"Loaded: (\d+) events, (\d+) users", text)
    checks = wanted["checks"]
    right = counts is not None and (int(counts[1]), int(counts[2])) == (
        sum(checks.get("events", {}).values()),
        checks["users"],
    )
    lines = [line for line in text.splitlines() if line.strip()]
    says = next((line for line in lines if not line.startswith("usage:") and "load [" not in line), "")
    return Attempt(export.name, done.returncode == 0, right, says if done.returncode == 0 else _error(lines))


def _map(sections: list[plain.Row]) -> list[str]:
    named: dict[str, str] = {}
    for section in sections:
        times = list(section.get("times", {}).values())
        for name, column in (("user_id", section.get("user")), ("event_name", section.get("event"))):
            if column is not None:
                named.setdefault(name, column)
        for column in [section.get("time"), *times][:2]:
            if isinstance(column, str):
                named.setdefault("event_time", column)
    return ["--map", ",".join(f"{name}={column}" for name, column in named.items())] if named else []


def _error(lines: list[str]) -> str:
    kept = [line.strip() for line in lines if "error:" in line or "cannot" in line or "Nothing was loaded" in line]
    return (kept or lines or [""])[-1 if kept and "error:" in kept[-1] else 0]


def main() -> None:
    names = [name for name in sys.argv[1:] if name != "--map"]
    attempts = []
    for export in plain.exports():
        if names and export.name not in names:
            continue
        attempts.append(attempt(export, mapped="--map" in sys.argv[1:]))
        word = "right" if attempts[-1].right else "loads, wrong" if attempts[-1].loads else "refused"
        print(f"{export.name:26} {word:13} {attempts[-1].says[:140]}", flush=True)
    print(f"{len(attempts)} exports: {sum(a.loads for a in attempts)} load, {sum(a.right for a in attempts)} right.")


if __name__ == "__main__":
    main()
