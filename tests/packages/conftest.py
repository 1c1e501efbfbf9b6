"""At the end of a run: how long each way in takes."""

import pytest

from tests.packages.newcomer import TIMES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TIMES:
        terminalreporter.section("a newcomer waits")
        for way, seconds in TIMES.items():
            terminalreporter.write_line(f"{seconds:6.1f} s  {way}")
