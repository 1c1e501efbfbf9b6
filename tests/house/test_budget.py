"""What the tools cost a model that reads them: counted, and kept from growing unseen.

The baseline is `budget.json`; a change that adds to the tools on purpose updates it. All tools together may take 9,500
tokens of input: 7,500 for clusters, tags, ids, crowds and calls with every object of a definition named (issue 12), 700
for looking at files and loading them (issue 13), the rest for campaigns (issue 18).
"""

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from mcp_server.front.mcp.server import instructions
from mcp_server.front.mcp.tools import tool_document
from mcp_server.operations.registry import OPERATIONS

BASELINE = Path(__file__).with_name("budget.json")
HARD_LIMIT = 9500
GROWTH = 1.05
MOST_CHARACTERS = 16_000
"""Of one tool's input schema."""


@cache
def encoding() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package reads its tables in an old way
        import bpe_openai

        return bpe_openai.get_encoding("o200k_base")


def tokens(document: Any) -> int:
    words = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return len(encoding().encode(words))


def measured() -> dict[str, int]:
    documents = [tool_document(o) for o in OPERATIONS]
    shown = [{key: d[key] for key in ("name", "description", "inputSchema")} for d in documents]
    return {
        "input": sum(map(tokens, shown)),
        "output": sum(tokens(d["outputSchema"]) for d in documents),
        "instructions": tokens(instructions(read_only=False, language="en")),
    }


def test_the_tools_stay_within_their_budget() -> None:
    now, baseline = measured(), json.loads(BASELINE.read_text(encoding="utf-8"))
    assert set(now) == set(baseline) - {"session"}  # that is counted in tests/test_session_budget.py
    grown = {side: (baseline[side], count) for side, count in now.items() if count > baseline[side] * GROWTH}
    assert grown == {}, f"more than 5 % over the baseline; if that is meant, put {now} into budget.json"
    assert now["input"] < HARD_LIMIT


def test_no_schema_is_longer_than_clients_take() -> None:
    longest = max((len(json.dumps(tool_document(o)["inputSchema"], ensure_ascii=False)), o.name) for o in OPERATIONS)
    assert longest[0] < MOST_CHARACTERS, longest
