"""What `fenqun doctor` reports of systems that work and of those that do not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from mcp_server import doctor
from mcp_server.credentials import Credentials
from mcp_server.errors import WorkspaceBusy
from mcp_server.platforms.thinkingdata import wire
from mcp_server.settings import Settings, read_settings
from mcp_server.text import Text
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import KEYS, Station, station
from tests.operations.desk import check_chinese
from tests.remote.kit import variables


def settings_of(root: Path, **values: str) -> Settings:
    return read_settings({"FENQUN_WORKSPACE": str(root), **values})


def looked(settings: Settings, works: Any = lambda: None) -> dict[str, doctor.Checkup]:
    """The findings by system; every message is in both languages."""
    found = anyio.run(doctor.examine, settings, works)
    for checkup in found:
        for finding in checkup.findings:
            for text in (finding.message, finding.next_step):
                if any(text):
                    check_chinese(text.zh)
    return {checkup.system: checkup for checkup in found}


def thinkingdata(url: str) -> dict[str, str]:
    return {"FENQUN_THINKINGDATA_URL": url, "FENQUN_THINKINGDATA_TOKEN": KEYS.token}


def levels(checkup: doctor.Checkup) -> list[str]:
    return [finding.level for finding in checkup.findings]


@contextmanager
def saying(date: str, body: bytes = b"{}") -> Iterator[str]:
    """A host that answers everything with this, at this date."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response_only(200)
            self.send_header("Date", date)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_everything_on_this_machine_is_well_or_says_why_not(tmp_path: Path) -> None:
    found = looked(settings_of(tmp_path))
    assert [(c.platform, c.wrong, c.reachable) for c in found.values()] == [("local", False, None)] * 3

    def broken() -> None:
        raise WorkspaceBusy(Text("Busy.", "忙。"))

    assert all(checkup.wrong for checkup in looked(settings_of(tmp_path), broken).values())


def test_an_account_that_works_is_told(account: Station, tmp_path: Path) -> None:
    found = looked(settings_of(tmp_path, **variables(account.url)))
    for name in ("taobao", "volcengine"):
        checkup = found[name]
        assert (checkup.reachable, checkup.reads, levels(checkup)) == (True, True, ["ok"] * 3)
        assert abs(checkup.clock_skew or 0) <= 2
    assert "app 12345678" in found["taobao"].where.zh


def test_whether_sql_may_be_run_is_told(account: Station, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **thinkingdata(account.url))
    found = looked(settings)["thinkingdata"]
    assert (found.reachable, found.reads, found.queries, levels(found)) == (True, True, True, ["ok"] * 3)
    account.faults.add(Fault(Kind.NOT_JSON, path=wire.SQL))
    found = looked(settings)["thinkingdata"]
    assert (found.reads, found.queries, found.wrong, levels(found)) == (True, False, False, ["ok", "ok", "warning"])
    assert "preview_definition" in found.findings[-1].message.zh
    assert doctor.as_data([found], "en")["systems"][0]["queries"] is False


def test_an_account_without_data_is_not_called_busy(portal: BlockingPortal, tmp_path: Path) -> None:
    with station(tmp_path / "empty", portal, project="1") as account:
        environment = thinkingdata(account.url) | variables(account.url)
        found = looked(settings_of(tmp_path / "here", **environment))
    for checkup in found.values():
        assert (checkup.reachable, checkup.wrong, checkup.queries) == (True, True, None)
        assert "has no data yet" in next(f for f in checkup.findings if f.level == "wrong").message.en


def test_wrong_credentials_answer_but_do_not_read(account: Station, tmp_path: Path) -> None:
    found = looked(settings_of(tmp_path, **variables(account.url, TAOBAO_SESSION="x", VOLCENGINE_SECRET_KEY="x")))
    for name, hint in (("taobao", "FENQUN_TAOBAO_SESSION"), ("volcengine", "secret key")):
        checkup = found[name]
        assert (checkup.reachable, checkup.reads, checkup.wrong) == (True, False, True)
        assert hint in checkup.findings[1].next_step.en


def test_nobody_at_the_address_and_no_address_at_all(tmp_path: Path) -> None:
    with saying("") as url:
        pass
    found = looked(settings_of(tmp_path, **variables(url, VOLCENGINE_URL="vendor.example")))
    assert (found["taobao"].reachable, found["taobao"].wrong) == (False, True)
    assert "HTTPS_PROXY" in found["taobao"].findings[0].next_step.en
    assert found["volcengine"].wrong


@pytest.mark.parametrize(
    ("system", "seconds", "level"),
    [
        ("taobao", 290, "ok"),
        ("taobao", 310, "warning"),
        ("taobao", -620, "wrong"),
        ("volcengine", 880, "warning"),
        ("volcengine", 910, "wrong"),
    ],
)
def test_a_clock_that_is_off_is_told_before_it_hurts(tmp_path: Path, system: str, seconds: int, level: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    body = {
        "taobao": {"opencrm_crowds_query_response": {"result": {}}},
        "volcengine": {"ResponseMetadata": {}, "Result": {"Records": [], "Total": 0}},
    }
    with saying(date, json.dumps(body[system]).encode()) as url:
        found = looked(
            settings_of(
                tmp_path, **variables(url), **{"FENQUN_TAOBAO" if system != "taobao" else "FENQUN_VOLCENGINE": "local"}
            )
        )
    checkup = found[system]
    assert levels(checkup) == ["ok", "ok", level]
    side = "behind" if seconds > 0 else "ahead"
    assert (side in checkup.findings[-1].message.en) == (level != "ok")


def test_an_answer_that_is_no_platforms_is_told(tmp_path: Path) -> None:
    with saying("no date", b"<html>") as url:
        found = looked(settings_of(tmp_path, **variables(url)))
    assert (found["taobao"].reachable, found["taobao"].wrong, found["taobao"].clock_skew) == (True, True, None)


@pytest.mark.parametrize("url", ["https://kim:canary-2@host", "host:1", "https://[::1"])
def test_an_address_that_is_none_names_its_variable_and_shows_no_password(tmp_path: Path, url: str) -> None:
    found = looked(settings_of(tmp_path, **thinkingdata(url)))["thinkingdata"]
    assert found.wrong
    assert "FENQUN_THINKINGDATA_URL" in found.findings[0].next_step.zh
    assert "canary-2" not in json.dumps(doctor.as_data([found], "en"))


def test_plain_http_beyond_this_machine_is_warned_about() -> None:
    from mcp_server.platforms.transport import Transport

    (finding,) = doctor._plainness(Transport("http://10.0.0.5:8992", plain_private=True))
    assert finding.level == "warning"
    assert not list(doctor._plainness(Transport("https://10.0.0.5")))
    assert not list(doctor._plainness(Transport("http://127.0.0.1:1")))


def test_local_tasks_beside_remote_segments_are_warned_about(tmp_path: Path) -> None:
    from mcp_server.credentials import THINKINGDATA

    given = Credentials(THINKINGDATA, {"url": "ftp://x", "allow_http": ""})
    found = looked(Settings(workspace=tmp_path, remote={"thinkingdata": given}))
    assert levels(found["taobao"]) == levels(found["volcengine"]) == ["warning"]
    assert "FENQUN_TAOBAO_APP_KEY" in found["taobao"].findings[0].next_step.zh
    assert found["thinkingdata"].wrong


def test_the_command_prints_lines_or_json_and_its_status_says_whether_all_is_well(
    account: Station, tmp_path: Path
) -> None:
    said: list[str] = []
    good, bad = (settings_of(tmp_path, **variables(account.url, **v)) for v in ({}, {"TAOBAO_SESSION": "canary-1"}))
    assert doctor.run(good, {}, said.append, as_json=False) == 0
    assert said[2].startswith("Crowd analyses: Taobao Open Platform, 127.0.0.1:")
    said.clear()
    assert doctor.run(bad, {}, said.append, as_json=True) == 1
    data = json.loads(said[0])
    assert (data["ok"], [s["system"] for s in data["systems"]]) == (False, ["thinkingdata", "taobao", "volcengine"])
    assert "canary-1" not in said[0]
