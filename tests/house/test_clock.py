"""No test asserts on seconds: on a busy machine it would fail, on a quick one it would prove nothing."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
MEASURED = re.compile(r"(perf_counter|thread_time|process_time|monotonic)\(\) - ")
"""Time that has passed. A moment until which something is waited for is none of it."""


def test_no_test_measures_seconds() -> None:
    found = [path.name for path in sorted(TESTS.rglob("*.py")) if MEASURED.search(path.read_text(encoding="utf-8"))]
    assert found == [], "count steps instead (tests/steps.py)"
