"""What is put together of which settings, and what a process refuses to be."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mcp_server.app import CALLS, Remote, build, connect
from mcp_server.credentials import VOLCENGINE, Credentials
from mcp_server.errors import ConfigurationError, NotAllowed
from mcp_server.platforms.tasks import absent_calls, absent_crowds
from mcp_server.platforms.volcengine.calls import VolcengineCalls
from mcp_server.settings import Settings, read_settings
from mcp_server.store.files import LocalFiles
from mcp_server.store.workspace import Workspace
from tests.operations.desk import Desk
from tests.remote.kit import plain_environment, variables

URL = "https://vendor.example"


def test_each_system_is_remote_or_local_by_itself(tmp_path: Path) -> None:
    given = variables(URL)
    for pin, crowds in (("remote", "taobao"), ("local", "local")):
        settings = read_settings({**given, "FENQUN_TAOBAO": pin})
        app = build(replace(settings, workspace=tmp_path))
        try:
            assert app.deps.segments.name == "local"
            assert (app.deps.crowds.name, app.deps.calls.name) == (crowds, "volcengine")
            anyio.run(app.deps.disconnect)
        finally:
            app.close()


def connected(root: Path, remote: Mapping[str, Credentials]) -> Remote:
    return connect(remote, LocalFiles(Workspace(root)), str)


def test_a_second_vendor_of_call_tasks_needs_its_rows_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = read_settings(variables(URL)).remote
    acme = Credentials(replace(VOLCENGINE, name="acme"), given["volcengine"].values, given["volcengine"].secrets)
    monkeypatch.setitem(CALLS, "acme", CALLS["volcengine"])
    remote = connected(tmp_path, {"taobao": given["taobao"], "acme": acme})
    assert isinstance(remote.calls, VolcengineCalls)
    assert remote.segments is None
    assert set(remote.transports) == {"taobao", "acme"}


def test_accounts_are_told_without_secrets(tmp_path: Path) -> None:
    given = variables(URL, VOLCENGINE_ACCESS_KEY="AKLT0123456789abcd")
    remote = connected(tmp_path, read_settings(given).remote)
    assert remote.crowds is not None
    assert remote.calls is not None
    assert remote.crowds.account == "vendor.example (app 12345678)"
    assert remote.calls.account == "vendor.example (access key AKLT…abcd)"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAOBAO_URL", "http://vendor.example", "without encryption"),
        ("TAOBAO_URL", "vendor.example", "not one"),
        ("TAOBAO_SIGN_METHOD", "sha1", "hmac-sha256"),
        ("VOLCENGINE_URL", "http://10.1.2.3", "without encryption"),
    ],
)
def test_what_is_not_legal_stops_the_start(tmp_path: Path, name: str, value: str, said: str) -> None:
    settings = read_settings(variables(URL, **{name: value}))
    with pytest.raises(ConfigurationError, match=said):
        build(replace(settings, workspace=tmp_path))


def test_local_tasks_without_local_segments_refuse_and_name_the_settings(tmp_path: Path) -> None:
    app = build(Settings(workspace=tmp_path, threads=1))
    try:
        absent = {"crowds": absent_crowds("thinkingdata"), "calls": absent_calls("thinkingdata")}
        desk = Desk(replace(app, deps=replace(app.deps, **absent)))
        for tool, arguments, variable in (
            ("list_crowd_analyses", {}, "FENQUN_TAOBAO_APP_KEY"),
            ("delete_crowd_analysis", {"task_id": "1"}, "FENQUN_TAOBAO_APP_KEY"),
            ("list_call_tasks", {}, "FENQUN_VOLCENGINE_ACCESS_KEY"),
        ):
            error = desk.refused(tool, **arguments)
            assert isinstance(error, ConfigurationError)
            assert variable in error.next_step.zh
            assert "KEY, " in error.next_step.en
            assert ", " not in error.next_step.zh
            assert "FENQUN_THINKINGDATA=local" in error.next_step.en
            assert "且不设 FENQUN_" in error.next_step.zh  # its own pin may be what keeps it here
        assert absent_crowds("thinkingdata").only_reading().name == "local"
    finally:
        app.close()


def test_a_pinned_project_is_the_only_one(tmp_path: Path) -> None:
    settings = read_settings({"FENQUN_PROJECT": "7", "FENQUN_PIN_PROJECT": "1"})
    app = build(replace(settings, workspace=tmp_path, threads=1))
    try:
        desk = Desk(app)
        error = desk.refused("list_call_tasks", project_id="8")
        assert isinstance(error, NotAllowed)
        assert "project 7 only" in error.message.en
        for same in ({}, {"project_id": "7"}):
            assert not isinstance(desk.refused("list_call_tasks", **same), NotAllowed)  # it was never loaded
        other = replace(app.deps, caller=replace(app.deps.caller, projects=frozenset({"8"})))
        with pytest.raises(NotAllowed):
            other.project("")
        assert replace(app.deps, pinned=False).project("8") == "8"
    finally:
        app.close()


def test_nothing_heavy_is_loaded_before_the_first_call(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from dataclasses import replace
from mcp_server.app import build
from mcp_server.settings import read_settings
import os
app = build(replace(read_settings(os.environ), workspace=Path({str(tmp_path)!r})))
assert app.deps.crowds.name == "taobao" and app.deps.calls.name == "volcengine"
print(sorted({{"httpx", "stamina", "duckdb", "keyring", "mcp"}} & set(sys.modules)))
app.close()
"""
    environment = {**plain_environment(), **variables(URL)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
