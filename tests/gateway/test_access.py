"""The gateway from the outside: its credentials, who is let in under which name, read-only, the log, the command."""

import json
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mcp_server.errors import ConfigurationError
from mcp_server.gateway import thinkingdata_wire as thinkingdata
from mcp_server.gateway.base import FILE, GatewayKeys, keys_of
from mcp_server.settings import GATEWAY_KEYS, GatewaySettings, read_gateway_settings
from tests.gateway.kit import KEYS, Station, page, station
from tests.gateway.test_taobao import create, refusal, signed
from tests.gateway.test_taobao import send as to_taobao
from tests.gateway.test_volcengine import PAGE
from tests.gateway.test_volcengine import send as to_volc

NAMES = ("token", "app_key", "app_secret", "session", "access_key", "secret_key")


def test_credentials_are_made_once_and_are_the_owners_own(tmp_path: Path) -> None:
    made = keys_of({}, tmp_path)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert keys_of({}, tmp_path) == made
    assert [f.name for f in tmp_path.iterdir()] == [FILE]
    assert made.token not in repr(made)
    assert made.app_key.isdigit()


def test_a_file_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    keys_of({}, tmp_path)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(ConfigurationError, match="Others may read"):
        keys_of({}, tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"token": 5}', "\x00"])
def test_a_broken_file_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="does not hold"):
        keys_of({}, tmp_path)


def test_the_environment_gives_all_or_none(tmp_path: Path) -> None:
    given = {f"FENQUN_GATEWAY_{name.upper()}": f"{name}-value" for name in NAMES}
    assert set(given) == set(GATEWAY_KEYS)
    assert keys_of(given, tmp_path) == GatewayKeys(*(f"{name}-value" for name in NAMES))
    assert list(tmp_path.iterdir()) == []
    for name in given:
        with pytest.raises(ConfigurationError, match=name):
            keys_of({k: v for k, v in given.items() if k != name}, tmp_path)
        with pytest.raises(ConfigurationError, match="shorter"):
            keys_of(given | {name: "7 chars"}, tmp_path)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])  # noqa: S104 - refused
def test_other_machines_need_a_certificate_and_a_word(host: str) -> None:
    for given in (
        {"host": host},
        {"host": host, "open_to_network": True},
        {"host": host, "tls_cert": "c", "tls_key": "k"},
        {"host": host, "tls_cert": "c", "open_to_network": True},
    ):
        with pytest.raises(ConfigurationError):
            read_gateway_settings({}, given)
    opened = read_gateway_settings({}, {"host": host, "tls_cert": "c", "tls_key": "k", "open_to_network": True})
    assert (opened.host, opened.tls) == (host, ("c", "k"))


def test_settings_have_the_vendors_port_and_names() -> None:
    assert read_gateway_settings({}) == GatewaySettings()
    found = read_gateway_settings({"FENQUN_GATEWAY_PORT": "9000"}, {"allow_hosts": ("TA2",)})
    assert (found.port, found.names) == (9000, ("127.0.0.1", "localhost", "[::1]", "ta2"))
    for wrong in ({"FENQUN_GATEWAY_PORT": "x"}, {"FENQUN_GATEWAY_PORT": "65536"}):
        with pytest.raises(ConfigurationError):
            read_gateway_settings(wrong)
    with pytest.raises(ConfigurationError):
        read_gateway_settings({}, {"allow_hosts": ("a/b",)})


def test_a_request_for_another_host_is_refused(shared: Station) -> None:
    url = f"{shared.url}/open/list-event-meta?token={KEYS.token}&projectId=102"
    for name, status in (
        ("ta2:8992", 200),
        ("TA2", 200),
        ("localhost", 200),
        ("evil.example", 421),
        ("ta2.evil", 421),
        ("ta2:x", 421),
        ("", 421),
    ):
        assert shared.client.get(url, headers={"Host": name}).status_code == status, name


def test_a_certificate_makes_it_https(made_once: Path, portal: BlockingPortal, tmp_path: Path) -> None:
    files = certificate(tmp_path)
    with station(shutil.copytree(made_once, tmp_path / "workspace"), portal, tls=files) as here:
        assert here.url.startswith("https://127.0.0.1:")
        assert here.get("/open/list-event-meta", projectId=102)["return_code"] == 0


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_the_access_log_has_no_query(shared: Station, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="fenqun"):
        shared.get("/open/list-event-meta", projectId=102)
        shared.client.get(f"{shared.url}/open/list-event-meta?token=another-secret")
        shared.client.get(f"{shared.url}/router/rest?session={KEYS.session}")
        shared.client.get(shared.url)  # by then the line before is written
    lines = [record.getMessage() for record in caplog.records if record.name == "fenqun.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines][:3] == [
        "thinkingdata GET /open/list-event-meta 200", "- GET /open/list-event-meta 200", "- GET /router/rest 200",
    ]  # fmt: skip
    assert not any(secret in caplog.text for secret in (KEYS.token, KEYS.session, "another-secret"))


def test_read_only_refuses_every_change_in_every_form(made_once: Path, portal: BlockingPortal, tmp_path: Path) -> None:
    root = shutil.copytree(made_once, tmp_path / "workspace")
    with station(root, portal) as open_to_all:
        made = open_to_all.post("/open/user-cluster-add", page("add_cluster"))["data"]
        task = open_to_all.call("create_call_task", task_name="t", ids=["+861"], start_time=PAGE["StartTime"], end_time=PAGE["EndTime"], concurrency=1)  # fmt: skip
    with station(root, portal, read_only=True) as closed:
        sent: list[dict[str, Any]] = [
            closed.post("/open/user-cluster-add", page("add_cluster").replace("consume", "other")),
            closed.post("/open/user-cluster-update", page("update_cluster"), clusterId=made),
            closed.post("/open/user-cluster-delete", projectId=102, clusterId=made),
            closed.post("/open/user-cluster-refresh", projectId=102, clusterId=made),
            closed.upload(
                "/open/import-id-cluster-add", b"j77639", projectId=102, displayName="x", mainColumnName="#account_id"
            ),
        ]
        assert {answer["return_code"] for answer in sent[1:]} == {thinkingdata.READ_ONLY}
        assert sent[0]["return_code"] in (thinkingdata.READ_ONLY, thinkingdata.WRONG_DEFINITION)
        assert closed.get("/open/user-cluster-detail", projectId=102, clusterId=made)["return_code"] == 0
        answer = to_taobao(closed, signed(create(made)))
        assert answer["opencrm_crowdanalysis_update_response"]["result"]["code"] == 1006
        refused = to_volc(closed, PAGE | {"TaskOpenId": task.task.task_open_id})
        assert (refused.status_code, refused.json()["ResponseMetadata"]["Error"]["Code"]) == (403, "AccessDenied")
        assert refusal(to_taobao(closed, signed(create(made), v="9"))) == (33, "")


def test_a_pinned_project_is_the_only_one(made_once: Path, portal: BlockingPortal, tmp_path: Path) -> None:
    with station(shutil.copytree(made_once, tmp_path / "workspace"), portal, pin_project=True) as pinned:
        assert pinned.get("/open/list-event-meta", projectId=102)["return_code"] == 0
        assert pinned.get("/open/list-event-meta", projectId=2)["return_code"] == thinkingdata.READ_ONLY
        assert pinned.query("SELECT 1 FROM v_user_2").json()["return_code"] == thinkingdata.READ_ONLY
        assert (
            pinned.post("/open/user-cluster-add", page("add_tag_of_measure"))["return_code"] == thinkingdata.READ_ONLY
        )


def test_the_command_serves_until_it_is_told_to_end(made_once: Path, tmp_path: Path) -> None:
    root = shutil.copytree(made_once, tmp_path / "workspace")
    account = {"FENQUN_THINKINGDATA_URL": "https://ta.invalid", "FENQUN_THINKINGDATA_TOKEN": "not-used-here"}
    environment = {**os.environ, **account, "FENQUN_WORKSPACE": str(root), "FENQUN_LANGUAGE": "en"}
    command = [sys.executable, "-m", "mcp_server", "gateway", "--port", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "Serving" in line)
        url = re.search(r"http://[\d.:]+\d", said)
        assert url is not None
        assert str(root / FILE) in said
        keys = json.loads((root / FILE).read_text(encoding="utf-8"))
        assert not any(secret in said for secret in keys.values())
        answer = httpx.get(f"{url[0]}/open/list-event-meta?token={keys['token']}&projectId=2", trust_env=False)
        assert answer.json()["return_code"] == 0
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(10) == 0
    assert "thinkingdata GET /open/list-event-meta 200" in rest
    assert keys["token"] not in rest
