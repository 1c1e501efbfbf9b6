"""`fenqun install` and `uninstall`: files of people are merged, backed up, and never damaged."""

import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_server import install
from mcp_server.cli import main
from mcp_server.errors import ConfigurationError
from mcp_server.install import BY_NAME, CLIENTS, ClientFile, Machine
from mcp_server.settings import Settings, read_settings
from mcp_server.store.workspace import Workspace

ENTRY: Mapping[str, Any] = {
    "command": r"C:\Program Files\fenqun\fenqun.exe",
    "args": ["serve", "--workspace", "C:\\Users\\王 小明\\分群"],
    "env": {"FENQUN_LANGUAGE": "zh"},
}
SYSTEMS = ("darwin", "win32", "linux")
WITH_FILES = [client for client in CLIENTS if client.form != "print"]
OTHERS = {"theme": "暗", "mcpServers": {"o": {"command": "o"}}, "servers": {"o": {"command": "o"}}}
TOML = '# mine\nmodel = "x"\n[mcp_servers.o]\ncommand = "o"\n[mcp_servers.fenqun]\ncommand = "old"\n[mcp_servers.fenqun.env]\nA = "1"\n[tui]\nx = 1\n'


def machine_of(home: Path, system: str) -> Machine:
    if system == "win32":
        (home / "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming").mkdir(parents=True, exist_ok=True)
    return Machine(home, {}, system)


def parsed(client: ClientFile, path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    return tomllib.loads(text) if client.form == "toml" else json.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("client", WITH_FILES, ids=lambda client: client.name)
def test_an_entry_is_merged_once_and_removed_without_a_trace(client: ClientFile, system: str, tmp_path: Path) -> None:
    machine = machine_of(tmp_path, system)
    files = machine.files(client)
    assert len(files) == (2 if (client.name, system) == ("claude", "win32") else 1)
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        old = TOML.encode() if client.form == "toml" else b"\xef\xbb\xbf" + json.dumps(OTHERS).encode()
        path.write_bytes(old)
    for _ in range(2):
        list(install.install(client, ENTRY, machine))
    for path in files:
        servers = parsed(client, path)[client.key]
        assert {key: servers["fenqun"][key] for key in ENTRY} == dict(ENTRY)
        assert servers["o"] == {"command": "o"}
        assert (servers["fenqun"].get("type") == "stdio") is client.typed
        assert len(list(path.parent.glob("*.bak"))) == 1, "the second time changes nothing"
    assert {entry.path for entry in install.installed(machine)} == set(files)
    list(install.remove(client, machine))
    for path in files:
        assert "fenqun" not in path.read_text(encoding="utf-8")
        rest = parsed(client, path)
        assert rest == (
            {"model": "x", "mcp_servers": {"o": {"command": "o"}}, "tui": {"x": 1}} if client.form == "toml" else OTHERS
        )
    if client.form == "toml":
        assert files[0].read_text(encoding="utf-8").startswith("# mine\n")
    assert list(install.installed(machine)) == []


@pytest.mark.parametrize("client", WITH_FILES, ids=lambda client: client.name)
def test_a_first_file_is_made(client: ClientFile, tmp_path: Path) -> None:
    machine = machine_of(tmp_path, "linux")
    lines = list(install.install(client, ENTRY, machine))
    assert client.title in lines[-1].en
    assert "fenqun" in parsed(client, machine.files(client)[0])[client.key]
    assert list(tmp_path.rglob("*.bak")) == []


@pytest.mark.parametrize("text", ['{ // mine\n "a": 1 }', '{"a": 1,}', "[1]", '{"mcpServers": []}', "\0"])
def test_a_file_that_is_no_plain_json_is_left_alone_and_the_entry_is_shown(text: str, tmp_path: Path) -> None:
    machine = machine_of(tmp_path, "linux")
    path = machine.files(BY_NAME["gemini"])[0]
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    line = next(install.install(BY_NAME["gemini"], ENTRY, machine))
    assert path.read_text(encoding="utf-8") == text
    assert '"fenqun"' in line.en
    assert '"fenqun"' in line.zh
    assert list(path.parent.iterdir()) == [path]


def test_a_link_into_a_folder_of_dotfiles_stays_one(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, "linux")
    kept, link = tmp_path / "dotfiles.json", machine.files(BY_NAME["cursor"])[0]
    kept.write_text("{}", encoding="utf-8")
    link.parent.mkdir()
    link.symlink_to(kept)
    list(install.install(BY_NAME["cursor"], ENTRY, machine))
    assert link.is_symlink()
    assert "fenqun" in kept.read_text(encoding="utf-8")


def test_clients_without_a_documented_file_get_the_entry_shown(tmp_path: Path) -> None:
    for client in CLIENTS:
        if client.form == "print":
            (line,) = install.install(client, ENTRY, machine_of(tmp_path, "linux"))
            assert json.loads(line.en[line.en.index("{") :])["mcpServers"]["fenqun"] == dict(ENTRY)
    assert list(tmp_path.rglob("*.json")) == []


def test_the_entry_starts_a_server_that_lists_its_tools(tmp_path: Path) -> None:
    entry = install.entry_for(Settings(tmp_path / "my workspace"))
    requests = [
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]  # fmt: skip
    lines = "".join(json.dumps({"jsonrpc": "2.0"} | request) + "\n" for request in requests)
    served = subprocess.Popen(
        [entry["command"], *entry["args"]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", cwd="/",
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert served.stdin is not None
    assert served.stdout is not None
    served.stdin.write(lines)
    served.stdin.flush()
    answers = [json.loads(served.stdout.readline()) for _ in range(2)]
    served.stdin.close()
    served.stdout.close()
    assert served.wait(30) == 0
    assert len(answers[1]["result"]["tools"]) >= 26


def test_a_program_in_the_cache_of_uv_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "cache" / "uv" / "archive-v0" / "x" / "bin" / "fenqun"
    script.parent.mkdir(parents=True)
    script.touch()
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    with pytest.raises(ConfigurationError) as caught:
        install.entry_for(Settings(tmp_path))
    assert "uv tool install" in caught.value.next_step.en


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("FENQUN_") or name in (
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "CODEX_HOME",
            "CLAUDE_CONFIG_DIR",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_install_lists_clients_and_uninstall_removes_what_is_chosen(
    own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = own_home / "data"
    assert main(["install", "cursor", "--workspace", str(workspace)]) == 0
    assert main(["install", "--language", "zh"]) == 0
    said = capsys.readouterr().out
    assert "cursor         Cursor：已配置" in said
    assert "claude         Claude Desktop：未配置" in said
    Workspace.open(workspace).close()
    with closing(sqlite3.connect(workspace / "catalog.sqlite")):
        (workspace / "exports").mkdir(exist_ok=True)
    (workspace / "exports" / "a.csv").write_text("1\n", encoding="utf-8")
    assert main(["uninstall", "--workspace", str(workspace)]) == 0
    assert "Exported files" in capsys.readouterr().out
    assert main(["uninstall", "--workspace", str(workspace), "--exports"]) == 0, "without a terminal nobody agrees"
    assert (workspace / "exports").exists()
    assert main(["uninstall", "--workspace", str(workspace), "--exports", "--clients", "--yes"]) == 0
    assert not (workspace / "exports").exists()
    assert workspace.exists()
    assert "fenqun" not in (own_home / ".cursor" / "mcp.json").read_text(encoding="utf-8")
    assert main(["uninstall", "--workspace", str(workspace), "--workspace-data", "--yes"]) == 0
    assert not workspace.exists()
    own_home.joinpath("other").mkdir()
    own_home.joinpath("other", "mine.txt").touch()
    assert main(["uninstall", "--workspace", str(own_home / "other"), "--workspace-data", "--yes"]) == 0
    assert own_home.joinpath("other", "mine.txt").exists(), "no workspace, so not ours"
    assert main(["install", "notepad"]) == 1
    assert "known are claude" in capsys.readouterr().err


def test_fields_of_a_bundle_that_were_left_empty_are_unset(own_home: Path) -> None:
    environment = {
        "FENQUN_WORKSPACE": "${HOME}/my fenqun",
        "FENQUN_ALLOW_DIRS": "${user_config.allow_dir}",
        "FENQUN_LANGUAGE": "",
    }
    settings = read_settings(environment)
    assert settings == Settings(own_home / "my fenqun")
