"""Progress shows on a terminal and nowhere else."""

import io

import anyio
import pytest

from mcp_server.terminal import Bar
from mcp_server.text import Text

COUNTING = Text("Counting users", "正在统计用户")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_in_the_chosen_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with Bar("zh") as bar:
        anyio.run(bar.report, 40.0, COUNTING)
    assert "正在统计用户" in screen.getvalue()
    assert "40%" in screen.getvalue()


def test_nothing_is_drawn_elsewhere_or_before_there_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    for screen in (io.StringIO(), Terminal()):
        monkeypatch.setattr("sys.stderr", screen)
        with Bar("en") as bar:
            if not screen.isatty():
                bar.show(40.0, COUNTING)
        assert screen.getvalue() == ""
