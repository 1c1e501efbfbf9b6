"""What `fenqun doctor` says of this machine: settings, clients, data. Platforms: tests/remote/test_doctor.py."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcp_server import doctor, install
from mcp_server.cli import main
from mcp_server.install import BY_NAME, Machine
from mcp_server.settings import Settings
from mcp_server.store.catalog import Catalog
from mcp_server.store.workspace import Workspace
from tests import small
from tests.operations.desk import check_chinese


def sections(settings: Settings, home: Path, **environment: str) -> dict[str, doctor.Section]:
    """The sections by key; every message is in both languages."""
    found = doctor.examine_machine(settings, environment, Machine(home, {}, "linux"))
    for section in found:
        for finding in section.findings:
            check_chinese(finding.message.zh)
    return {section.key: section for section in found}


def test_settings_are_named_and_their_values_are_not(tmp_path: Path) -> None:
    given = {"FENQUN_READ_ONLY": "1", "FENQUN_TAOBAO_SESSION": "s3cret", "FENQUN_THREADS": " ", "HOME": "/root"}
    found = sections(Settings(tmp_path / "none"), tmp_path, **given)["settings"]
    assert [row["variable"] for row in found.rows] == ["FENQUN_READ_ONLY", "FENQUN_TAOBAO_SESSION"]
    assert "refuses every change" in found.findings[0].message.en
    assert "s3cret" not in repr(found)
    assert sections(Settings(tmp_path / "none"), tmp_path)["settings"].rows == ()


def test_a_client_whose_program_is_gone_is_wrong(tmp_path: Path) -> None:
    machine, settings = Machine(tmp_path, {}, "linux"), Settings(tmp_path / "none")
    assert not sections(settings, tmp_path)["clients"].wrong
    program = tmp_path / "fenqun"
    program.touch()
    list(install.install(BY_NAME["cursor"], {"command": str(program), "args": [], "env": {}}, machine))
    clients = sections(settings, tmp_path)["clients"]
    assert [(row["client"], row["works"]) for row in clients.rows] == [("cursor", True)]
    assert not clients.wrong
    program.unlink()
    clients = sections(settings, tmp_path)["clients"]
    assert clients.wrong
    assert clients.findings[0].next_step.en.endswith("fenqun install cursor")


def test_data_has_its_days_and_its_age(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "workspace")
    assert sections(settings, tmp_path)["data"].findings[0].level == "warning"
    assert not settings.workspace.exists(), "looking makes nothing"
    small.make(settings.workspace)
    workspace = Workspace.open(settings.workspace)
    loaded = datetime.now(UTC) - timedelta(days=3, hours=1)
    catalog = Catalog(workspace)
    with catalog.database.write() as db:
        db.execute("UPDATE generation SET loaded_at = ?", (loaded.isoformat(),))
    catalog.close()
    workspace.close()
    (row,) = sections(settings, tmp_path)["data"].rows
    assert (row["rows"], row["users"], row["days_old"]) == (6, 4, 3)
    assert (row["first_day"], row["last_day"]) == ("2026-07-01", "2026-07-03")
    assert row["loaded_at"].endswith("+08:00")
    assert datetime.fromisoformat(row["loaded_at"]) == loaded.replace(microsecond=0)
    (finding,) = sections(settings, tmp_path)["data"].findings
    assert "6 events of 4 users, 2026-07-01 to 2026-07-03" in finding.message.en
    assert finding.message.zh.endswith("3 天前。")


def test_the_command_says_it_in_words_and_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith(("FENQUN_", "XDG_", "CODEX_", "CLAUDE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    where = ["--workspace", str(small.make(tmp_path / "workspace"))]
    assert main(["install", "codex", *where]) == 0
    capsys.readouterr()
    assert main(["doctor", "--json", *where]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], [c["client"] for c in said["clients"]], said["data"][0]["project"]) == (True, ["codex"], "1")
    file = tmp_path / ".codex" / "config.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('fenqun"', 'gone"', 1), encoding="utf-8")
    assert main(["doctor", "--language", "zh", *where]) == 1
    assert "x  Codex 要启动的" in capsys.readouterr().out
