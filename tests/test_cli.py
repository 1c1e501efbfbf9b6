"""The command line says what happened, in the chosen language, with an exit status that scripts can use."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mcp_server import __version__
from mcp_server.cli import COMMANDS, main
from mcp_server.operations.registry import OPERATIONS
from tests import small

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("FENQUN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FENQUN_WORKSPACE", str(tmp_path / "workspace"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small.make(tmp_path / "workspace")


def create(name: str, **more: object) -> str:
    return json.dumps(
        {
            "cluster_name": name,
            "display_name": "Buyers 买家",
            "cluster_type": "cluster_by_static_condition",
            "qp": small.BUYERS,
        }
        | more
    )


def test_a_call_prints_the_text_of_its_result(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "preview_definition", json.dumps({"qp": small.BUYERS})]) == 0
    said = capsys.readouterr()
    assert "users_num: 2" in said.out
    assert said.err == ""


def test_a_call_prints_structured_content_on_demand(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "preview_definition", json.dumps({"qp": small.BUYERS}), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["users_num"] == 2


def test_a_created_cluster_is_computed_when_the_call_ends(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "create_cluster", create("buyers")]) == 0
    capsys.readouterr()
    assert main(["call", "get_cluster", '{"cluster": "buyers"}', "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["cluster"]
    assert (found["users_num"], found["progress"], found["fresh"]) == (2, 100, True)


def test_arguments_come_from_a_file_or_from_stdin(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "arguments.json"
    file.write_text(json.dumps({"qp": small.BUYERS}), encoding="utf-8-sig")
    assert main(["call", "validate_definition", f"@{file}"]) == 0
    from_file = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"qp": small.BUYERS})))
    assert main(["call", "validate_definition", "-"]) == 0
    assert capsys.readouterr().out == from_file != ""


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_workspace_of_the_command_line_wins(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = small.make(tmp_path / "elsewhere")
    option, call = ["--workspace", str(elsewhere)], ["describe_data", "{}"]
    assert main(["call", *(option + call if where == "before" else call + option)]) == 0
    assert "buy" in capsys.readouterr().out


def test_an_error_says_what_to_do_next_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "describe_data"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "fenqun load" in said.err
    assert "code: no_data" in said.err


def test_an_error_speaks_chinese_where_that_is_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "describe_data", "--language", "zh"]) == 1
    assert "没有" in capsys.readouterr().err or "尚无" in capsys.readouterr().err


def test_a_structured_error_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "describe_data", '{"serch": "x"}', "--json"]) == 1
    error = json.loads(capsys.readouterr().out)
    assert error["code"] == "invalid_arguments"
    assert error["problems"][0]["suggestion"] == "search"


def test_an_unknown_tool_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "create_clusters"]) == 1
    assert "Did you mean create_cluster?" in capsys.readouterr().err


def test_read_only_refuses_a_write(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "create_cluster", create("buyers"), "--read-only"]) == 1
    assert "code: read_only" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["{", "[1]", "@/no/such/file", "[" * 5000, '{"a": ' * 3000, "null", "@"])
def test_arguments_that_are_no_object_are_wrong_usage(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "describe_data", said]) == 2
    said_instead = capsys.readouterr()
    assert said_instead.out == ""
    assert "Traceback" not in said_instead.err
    assert said_instead.err.startswith("The arguments")


@pytest.mark.parametrize("words", [[], ["nope"], ["call"], ["tools", "--nope"]])
def test_wrong_usage_ends_with_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: fenqun" in capsys.readouterr().err


def test_a_wrong_setting_ends_with_two_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FENQUN_THREADS", "many")
    assert main(["call", "list_clusters"]) == 2
    assert "FENQUN_THREADS" in capsys.readouterr().err


def test_a_misspelt_variable_is_said_on_stderr(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FENQUN_LANGUAGES", "zh")
    assert main(["call", "list_clusters"]) == 0
    said = capsys.readouterr()
    assert "did you mean FENQUN_LANGUAGE?" in said.err
    assert "LANGUAGES" not in said.out


@pytest.mark.parametrize(("language", "title"), [("en", "Create a cluster"), ("zh", "创建分群")])
def test_tools_are_listed_with_their_titles(language: str, title: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "--language", language]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [o.name for o in OPERATIONS]
    assert any(line.endswith(title) for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_command_explains_itself(command: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, f"--language={language}", "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert COMMANDS[command].text.say("zh" if language == "zh" else "en") in said
    for option in ("--workspace", "--project", "--language"):
        assert option in said


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"fenqun {__version__}\n"


ROWS = """uid,#event_name,#event_time,price
1,buy,2026-07-01 10:00:00,3
1,buy,2026-07-02,4
2,buy,2026-07-02,5
2,buy,someday,6
"""


def test_data_is_loaded_by_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "events.csv").write_text(ROWS, encoding="utf-8")
    load = ["load", "--events", str(tmp_path / "*.csv"), "--map", "user_id = uid", "--as-of", "2026-07-04"]
    assert main(load) == 1
    refused = capsys.readouterr()
    assert refused.out == ""
    assert "--skip-bad-rows" in refused.err
    assert main([*load, "--skip-bad-rows"]) == 0
    assert "Loaded: 3 events, 2 users." in capsys.readouterr().out
    assert main(["call", "preview_definition", json.dumps({"qp": small.BUYERS}), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["users_num"] == 1


@pytest.mark.parametrize("said", ["user_id", "=uid", "user_id="])
def test_a_wrong_map_is_wrong_usage(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--events", "x.csv", "--map", said]) == 2
    assert "--map" in capsys.readouterr().err


def process(*words: str, **more: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mcp_server", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **more,
    )  # fmt: skip


def test_ctrl_c_ends_a_command_without_a_traceback() -> None:
    with process("call", "describe_data", "-", stdin=subprocess.PIPE) as waiting:
        _until_reading(waiting)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out, err) == (130, "", "Interrupted.\n")


def _until_reading(running: "subprocess.Popen[str]") -> None:
    """Until it sleeps in a read of its standard input: the interpreter has started by then."""
    wait_channel = Path(f"/proc/{running.pid}/wchan")
    if not wait_channel.exists():
        pytest.skip("needs /proc")
    end = time.monotonic() + 20
    while "pipe" not in wait_channel.read_text(encoding="ascii"):
        assert time.monotonic() < end
        assert running.poll() is None


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with process("tools", env=os.environ | {"PYTHONUNBUFFERED": "1"}) as running:
        assert running.stdout
        running.stdout.close()
        assert running.stderr
        assert running.stderr.read() == ""
        assert running.wait(20) == 0


def test_demo_data_is_loaded_in_place_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--workspace", str(tmp_path / "ws"), "--project", "3"]
    for words in ([], ["--demo", "--events", "x.csv"], ["--demo", "--users", "x.csv"], ["--demo", "--map", "a=b"]):
        assert main(["load", *words, *where]) == 2
        assert "--demo" in capsys.readouterr().err
    assert main(["load", "--demo", *where]) == 0
    capsys.readouterr()
    assert main(["call", "describe_data", "{}", "--json", *where]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["users"], described["today"]) == (23_570, "1998-07-01")
