"""What a person at a terminal sees of acts: what waits, approving, the log; a real terminal, a real process."""

import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest

from mcp_server.app import build
from mcp_server.cli import main
from mcp_server.consent.approving import approve
from mcp_server.errors import ConsentDeclined
from mcp_server.operations.operation import Answer, KnownAnswer
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from mcp_server.store.catalog import Catalog
from mcp_server.store.ledger import Ledger
from mcp_server.store.workspace import Workspace
from tests import small

ROOT = Path(__file__).resolve().parents[1]
CREATE = {"cluster_name": "vip", "display_name": "VIP", "cluster_type": "cluster_by_static_condition", "qp": small.BUYERS}  # fmt: skip


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small.make(tmp_path_factory.mktemp("workspace"))
    assert main(["call", "create_cluster", json.dumps(CREATE), "--workspace", str(root)]) == 0
    return root


@pytest.fixture
def workspace(made_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_once, tmp_path / "workspace"))


def run(workspace: Path, *words: str) -> int:
    return main([*words, "--workspace", str(workspace)])


def waiting(workspace: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Have a deletion wait; its id."""
    assert run(workspace, "call", "delete_cluster", '{"cluster": "vip"}', "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["code"] == "approval_needed"
    return str(said["message"].partition("id ")[2][:6])


def at_a_terminal(typed: str, *words: str) -> tuple[int, str]:
    """The exit status of a command whose standard streams are a terminal, where this is typed; and what it showed."""
    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_server", *words], stdin=far, stdout=far, stderr=far, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
    )  # fmt: skip
    os.close(far)
    os.write(near, typed.encode())
    shown, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([near], [], [], 0.05)
        try:
            shown += os.read(near, 65536) if ready else b""
        except OSError:
            break
        if not ready and process.poll() is not None:
            break
    os.close(near)
    return process.wait(timeout=10), shown.decode()


def logged(workspace: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(workspace, "log", "--json", *words) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_waits_is_listed_and_approved_by_typing_yes(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    consent = waiting(workspace, capsys)
    assert run(workspace, "pending") == 0
    listed = capsys.readouterr().out
    assert consent in listed
    assert 'Would delete cluster "VIP" (vip, id 1): 2 users.' in listed
    status, shown = at_a_terminal("yes\n", "approve", consent, "--workspace", str(workspace))
    assert status == 0, shown
    assert 'Would delete cluster "VIP" (vip, id 1)' in shown
    assert 'Deleted cluster "VIP" (vip, id 1).' in shown
    entry = logged(workspace, capsys, "--limit", "1")[0]
    assert (entry["tool"], entry["outcome"]) == ("delete_cluster", "done")
    assert entry["consent"].startswith("approved ")
    assert run(workspace, "pending") == 0
    assert "Nothing waits" in capsys.readouterr().out
    assert run(workspace, "call", "get_cluster", '{"cluster": "vip"}') == 1


def test_anything_but_yes_declines_for_good(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    consent = waiting(workspace, capsys)
    status, shown = at_a_terminal("no\n", "approve", consent, "--workspace", str(workspace), "--language", "zh")
    assert status == 1
    assert "用户拒绝了 delete_cluster，未做任何更改。" in shown
    assert at_a_terminal("yes\n", "approve", consent, "--workspace", str(workspace))[0] == 1
    assert run(workspace, "call", "get_cluster", '{"cluster": "vip"}') == 0


def test_a_pinned_terminal_sees_only_its_project(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = waiting(workspace, capsys)
    monkeypatch.setenv("FENQUN_PIN_PROJECT", "1")
    assert len(logged(workspace, capsys)) == 1
    monkeypatch.setenv("FENQUN_PROJECT", "2")
    assert logged(workspace, capsys) == []
    assert run(workspace, "pending") == 0
    assert consent not in capsys.readouterr().out


def test_approving_asks_and_uses_up_whatever_the_setting_says(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consent = waiting(workspace, capsys)
    app = build(Settings(workspace, threads=1, consent="never"))
    with pytest.raises(ConsentDeclined):
        anyio.run(approve, consent, OPERATIONS, app.deps, KnownAnswer(Answer.NO))
    assert not app.deps.required_ledger().pending()
    app.close()


def test_the_log_moves_no_cursor(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = {"cluster": "vip", "remarks": "a\x9b2Jb\u202ec"}
    assert run(workspace, "call", "update_cluster", json.dumps(sent), "--yes") == 0
    capsys.readouterr()
    assert run(workspace, "log") == 0
    shown = capsys.readouterr().out
    assert "remarks" in shown
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_approving_needs_a_terminal(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    consent = waiting(workspace, capsys)
    assert run(workspace, "approve", consent) == 1
    assert "terminal" in capsys.readouterr().err


def test_what_changed_since_is_not_approved(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    consent = waiting(workspace, capsys)
    assert run(workspace, "call", "update_cluster", '{"cluster": "vip", "remarks": "x"}', "--yes") == 0
    status, shown = at_a_terminal("yes\n", "approve", consent, "--workspace", str(workspace))
    assert status == 1
    assert "has changed since it was shown" in shown
    assert "Type yes" not in shown, "nobody is asked about what is no more"


def test_yes_on_the_command_line_and_the_log_that_tells_of_it(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(workspace, "call", "delete_cluster", '{"cluster": "vip"}', "--yes") == 0
    done, made = logged(workspace, capsys)
    assert (done["tool"], done["effect"], done["outcome"], done["consent"]) == (
        "delete_cluster",
        "delete",
        "done",
        "asked",
    )
    assert (made["tool"], made["arguments"]["qp"]) == ("create_cluster", small.BUYERS)
    assert logged(workspace, capsys, "--tool", "create_cluster") == [made]
    assert logged(workspace, capsys, "--since", "2999-01-01") == []
    assert run(workspace, "log", "--since", "yesterday") == 1
    assert run(workspace, "log") == 0
    assert "delete_cluster" in capsys.readouterr().out
    assert run(workspace, "call", "restore_cluster", '{"cluster": "vip"}', "--yes") == 0
    assert run(workspace, "purge") == 0
    assert "Nothing was removed" in capsys.readouterr().out


def test_times_that_people_read_are_the_projects(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The project is in Shanghai; what is logged is an instant."""
    consent = waiting(workspace, capsys)
    (made,) = logged(workspace, capsys)
    began = datetime.fromisoformat(made["began_at"]).astimezone(ZoneInfo("Asia/Shanghai"))
    assert run(workspace, "log") == 0
    assert capsys.readouterr().out.startswith(began.isoformat(" ", "seconds"))
    assert run(workspace, "pending") == 0
    assert re.search(rf"{consent}: delete_cluster, .* at \d{{4}}-\S+ \S+\+08:00, until", capsys.readouterr().out)
    second = timedelta(seconds=1)
    for since, entries in ((began - second, [made]), (began + second, [])):
        assert logged(workspace, capsys, "--since", since.replace(tzinfo=None).isoformat()) == entries


def test_purging_is_logged_keeps_to_the_pinned_project_and_is_no_reading(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(workspace, "call", "delete_cluster", '{"cluster": "vip"}', "--yes") == 0
    monkeypatch.setenv("FENQUN_READ_ONLY", "1")
    assert run(workspace, "purge", "--yes") == 1
    monkeypatch.delenv("FENQUN_READ_ONLY")
    monkeypatch.setenv("FENQUN_PIN_PROJECT", "1")
    monkeypatch.setenv("FENQUN_PROJECT", "2")
    assert run(workspace, "purge", "--yes") == 0
    assert run(workspace, "call", "restore_cluster", '{"cluster": "vip"}', "--yes", "--project", "1") == 0
    assert run(workspace, "call", "delete_cluster", '{"cluster": "vip"}', "--yes", "--project", "1") == 0
    assert run(workspace, "purge", "--yes", "--project", "1") == 0
    assert run(workspace, "call", "restore_cluster", '{"cluster": "vip"}', "--yes", "--project", "1") == 1
    monkeypatch.delenv("FENQUN_PIN_PROJECT")
    acts = logged(workspace, capsys, "--tool", "purge")
    assert [(act["project"], act["effect"], act["outcome"]) for act in acts] == [("1", "delete", "done"), ("2", "delete", "done")]  # fmt: skip


_KILLED = """
import anyio, os, signal, sys
from dataclasses import replace
from mcp_server.app import build
from mcp_server.operations.operation import KnownAnswer
from mcp_server.consent.invoke import find, invoke
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from pathlib import Path
app = build(Settings(Path(sys.argv[1])))
class Dying:
    def __getattr__(self, name): return getattr(app.deps.segments, name)
    async def delete(self, cluster): os.kill(os.getpid(), signal.SIGKILL)
deps = replace(app.deps, ask=KnownAnswer(), segments=Dying())
anyio.run(invoke, find(OPERATIONS, "delete_cluster"), {"cluster": "vip"}, deps)
"""


def test_an_act_whose_process_was_killed_reads_unknown(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(workspace)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    entry = logged(workspace, capsys, "--limit", "1")[0]
    assert (entry["tool"], entry["outcome"], entry["ended_at"], entry["after"]) == ("delete_cluster", "unknown", "", "")
    assert "Would delete" in entry["before"]


def test_the_log_is_kept_for_as_long_as_is_set(workspace: Path) -> None:
    opened = Workspace.open(workspace)
    catalog = Catalog(opened)
    ledger = Ledger(catalog, log_days=2)
    ledger.tidy()
    assert len(ledger.entries(limit=9)) == 1
    with catalog.database.write() as db:
        db.execute("UPDATE act SET began_at = '2026-01-01T00:00:00.000000+00:00'")
    ledger.tidy()
    assert ledger.entries(limit=9) == ()
    catalog.close()
    opened.close()


def test_folders_and_files_of_a_workspace_are_its_users_own(workspace: Path) -> None:
    (workspace / "exports").chmod(0o755)
    assert run(workspace, "call", "export_users", '{"cluster": "vip"}') == 0
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [workspace, *workspace.rglob("*")]}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_all_that_destroys_can_be_tried_first() -> None:
    destroying = [o for o in OPERATIONS if o.effect.destroys]
    assert {"replace_imported_ids", "update_call_task", "delete_crowd_analysis"} <= {o.name for o in destroying}
    assert all(o.params.model_fields["dry_run"].default is False for o in destroying)
