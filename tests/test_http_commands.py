"""`fenqun token` and `fenqun serve --http` as a person in a terminal meets them."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mcp_server.cli import main
from tests import small

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("FENQUN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FENQUN_WORKSPACE", str(tmp_path / "workspace"))


def test_a_token_is_made_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "list"]) == 0
    assert capsys.readouterr().out == "There are no tokens.\n"
    assert main(["token", "add", "kim", "--scope", "read", "--project", "12", "--project", "7", "--days", "30"]) == 0
    made = capsys.readouterr()
    assert made.out.startswith("fenqun_")
    assert made.out.count("\n") == 1, "stdout has the token alone"
    assert "kim (read, project 7, 12)" in made.err
    assert main(["token", "add", "lee", "--scope", "write", "--project", "all", "--language", "zh"]) == 0
    assert "lee 的令牌（write，项目 全部）" in capsys.readouterr().err
    assert main(["token", "revoke", "lee"]) == 0
    capsys.readouterr()
    assert main(["token", "list"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("kim: read, project 7, 12, until 20")
    assert second.startswith("lee: write, project all, revoked 20")
    assert main(["token", "revoke", "lee"]) == 1


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["add"], "NAME"),
        (["revoke"], "NAME"),
        (["add", "kim", "--project", "1"], "--scope"),
        (["add", "kim", "--scope", "admin", "--project", "1"], "--scope"),
        (["add", "kim", "--scope", "read"], "--project"),
        (["add", "kim", "--scope", "read", "--project", "all", "--project", "1"], "all"),
        (["add", "kim", "--scope", "read", "--project", "x"], "x"),
        (["add", "kim", "--scope", "read", "--project", "1", "--days", "0"], "--days"),
    ],
)
def test_a_token_is_not_made_by_halves(words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", *words]) == 2
    assert wanted in capsys.readouterr().err
    main(["token", "list"])
    assert capsys.readouterr().out == "There are no tokens.\n"


def test_a_server_does_not_start_where_tokens_exist_and_nothing_says_whether_they_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["token", "add", "ann", "--scope", "approve", "--project", "1"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--http", "--port", str(taken.getsockname()[1])]) == 2
    assert "can't be listened on" in capsys.readouterr().err, "an approval token is asked for on the page in any case"
    main(["token", "add", "kim", "--scope", "read", "--project", "1"])
    main(["token", "revoke", "kim"])
    assert main(["serve", "--http", "--port", "0"]) == 2
    assert "--auth token" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--auth", "token"], ["--port", "80"], ["--allow-host", "x"]])
def test_options_of_one_transport_do_not_go_with_the_other(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *words]) == 2
    assert "--http" in capsys.readouterr().err


def test_a_port_in_use_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--http", "--port", str(port), "--language", "zh"]) == 2
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_a_door_to_the_world_stays_shut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--http", "--host", "0.0.0.0"]) == 2  # noqa: S104
    assert "callers need not prove who they are" in capsys.readouterr().err


def test_the_real_command_serves_and_ends_gracefully(tmp_path: Path) -> None:
    workspace = small.make(tmp_path / "workspace")
    command = [sys.executable, "-m", "mcp_server", "serve", "--http", "--port", "0", "--workspace", str(workspace)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as server:
        assert server.stderr
        assert server.stdout
        line = server.stderr.readline()
        assert line.startswith("Serving MCP over HTTP: http://127.0.0.1:")
        assert "every program on this machine" in server.stderr.readline()
        url = line.split(": ")[1].partition("/mcp")[0]
        assert httpx.get(url + "/health").json() == {"status": "ok"}
        server.send_signal(signal.SIGTERM)
        out, log = server.communicate(timeout=20)
    assert (server.returncode, out) == (0, "")
    assert "GET /health 200" in log
    assert "Traceback" not in log
    assert not list((workspace / "locks").glob("owner-*"))
