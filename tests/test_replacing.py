"""`fenqun load` over data that is there: what it says, when it asks, what it logs, and the way back."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_server.cli import main
from tests.test_overseeing import at_a_terminal

OLD = "#user_id,#event_name,#event_time,price\n" + "".join(f"{n % 4},buy,2026-11-{n + 1:02},1\n" for n in range(20))
FEWER = "#user_id,#event_name,#event_time,price\n1,buy,2026-11-05,1\n2,buy,2026-11-06,1\n"
LATER = OLD.replace("2026-11-", "2026-12-")
OTHER = OLD.replace(",buy,", ",pay,").replace("price", "amount")
MORE = OLD + "1,buy,2026-11-21,1\n"
BUYERS = {"events": [{"eventName": "buy", "comparator": "greater", "num": "0", "taPropQuota": {"analysis": "TIMES"}}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a workspace that holds 20 events of four users, and a cluster of those who buy."""
    monkeypatch.setenv("FENQUN_WORKSPACE", str(tmp_path / "workspace"))
    assert load(tmp_path, OLD) == 0
    wish = {"cluster_name": "buyers", "display_name": "x", "cluster_type": "cluster_by_static_condition", "qp": BUYERS}
    assert main(["call", "create_cluster", json.dumps(wish)]) == 0
    return tmp_path


def load(folder: Path, content: str, *options: str) -> int:
    (folder / "data.csv").write_text(content, encoding="utf-8")
    return main(["load", str(folder / "data.csv"), *options])


def data(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["call", "describe_data", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def log(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    capsys.readouterr()
    assert main(["log", "--json", "--tool", "load"]) == 0
    return [(entry["outcome"], entry["before"]) for entry in map(json.loads, capsys.readouterr().out.splitlines())]


def test_more_of_the_same_replaces_without_a_word_of_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert load(folder, MORE) == 0
    said = capsys.readouterr()
    assert "20 → 21" in said.err
    assert "2026-11-01 to 2026-11-21" in said.err
    assert data(capsys)["event_rows"] == 21
    assert [outcome for outcome, _ in log(capsys)] == ["done", "done"]
    assert "20 → 21" in log(capsys)[0][1]


@pytest.mark.parametrize(
    ("content", "why"),
    [(FEWER, "More than a tenth"), (LATER, "do not overlap"), (OTHER, "buyers name the event buy")],
    ids=["shrinks", "other days", "an event that a cluster names"],
)
def test_what_may_be_a_mistake_needs_the_option(
    folder: Path, content: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert load(folder, content) == 1
    said = capsys.readouterr()
    assert why in said.err
    assert "--replace" in said.err
    assert said.out == ""
    assert data(capsys)["event_rows"] == 20
    assert [outcome for outcome, _ in log(capsys)] == ["refused", "done"]
    assert load(folder, content, "--replace", "--language", "zh") == 0
    assert "事件行数" in capsys.readouterr().err
    assert data(capsys)["event_rows"] == content.count("2026-")


def test_properties_and_events_that_go_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert load(folder, OTHER, "--replace") == 0
    said = capsys.readouterr().err
    assert "events that go: buy" in said
    assert "properties that go: event price" in said


def test_a_load_is_undone_by_its_option(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(folder, FEWER, "--replace") == 0
    assert main(["load", "--undo"]) == 1
    assert data(capsys)["event_rows"] == 2
    assert main(["load", "--undo", "--replace"]) == 0
    assert "Restored" in capsys.readouterr().out
    assert data(capsys)["event_rows"] == 20


@pytest.mark.parametrize(("typed", "rows"), [("yes\n", 21), ("no\n", 20)])
def test_a_person_in_a_terminal_is_asked(
    folder: Path, typed: str, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "data.csv").write_text(MORE, encoding="utf-8")
    status, shown = at_a_terminal(typed, "load", str(folder / "data.csv"))
    assert "20 → 21" in shown
    assert status == (0 if typed == "yes\n" else 1)
    assert data(capsys)["event_rows"] == rows
    assert log(capsys)[0][0] == ("done" if typed == "yes\n" else "refused")
