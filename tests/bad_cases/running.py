"""What the code says of a definition that is wrong, odd, or not in the documented form.

`definition.json` is written by hand; `python -m tests.bad_cases.write` writes what the code finds, for a person to
read before it is committed: `problems.json` (warnings too), `repairs.json`, and, where the definition can be
read in the end, `normalised.json`. A case whose name begins with `tag_` is sent as a tag, others as a cluster.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from mcp_server.errors import Problem, Repair
from mcp_server.language.problems import CODES
from tests.cases.running import as_json, definition, read_sent

CASES = Path(__file__).parent
GENERATED = ("problems.json", "repairs.json", "normalised.json")


def files(name: str, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The generated files of a case; those with nothing in them are left out."""
    sent = definition(name, CASES)
    reading = read_sent(sent, connection, tag=name.startswith("tag_"))
    content: Mapping[str, Any] = {
        "problems.json": [_finding(found) for found in (*reading.problems, *reading.warnings)],
        "repairs.json": [_repair(made) for made in reading.repairs],
        "normalised.json": reading.normalised,
    }
    return {name: as_json(value) for name, value in content.items() if value}


def _finding(found: Problem) -> dict[str, str]:
    return {
        "severity": "problem" if CODES[found.code].blocks else "warning",
        "code": found.code,
        "path": found.path,
        "got": found.got,
        "suggestion": found.suggestion,
        "en": found.message.en,
        "zh": found.message.zh,
    }


def _repair(made: Repair) -> dict[str, str]:
    return {
        "path": made.path,
        "before": made.before,
        "after": made.after,
        "en": made.reason.en,
        "zh": made.reason.zh,
    }
