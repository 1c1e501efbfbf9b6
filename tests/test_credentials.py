"""A system is remote with all its credentials, local with none, and nothing in between; secrets stay masked."""

from dataclasses import replace
from pathlib import Path

import pytest

from mcp_server.credentials import (
    SERVICE,
    THINKINGDATA,
    VENDORS,
    VOLCENGINE,
    Secret,
    Vendor,
    read_credentials,
    variables,
)
from mcp_server.errors import ConfigurationError
from mcp_server.text import NOTHING, Text

CANARY = "canary-77aa"


def complete(name: str) -> dict[str, str]:
    """The needed variables of a vendor."""
    vendor = next(each for each in VENDORS if each.name == name)
    return needed(vendor)


def needed(vendor: Vendor) -> dict[str, str]:
    return {vendor.variable(f): CANARY if f.secret else "https://x.example" for f in vendor.fields if f.needed}


@pytest.mark.parametrize("name", [vendor.name for vendor in VENDORS])
def test_a_complete_system_is_remote_and_the_others_stay_local(name: str) -> None:
    remote = read_credentials(complete(name))
    assert set(remote) == {name}
    assert all(secret.reveal() == CANARY for secret in remote[name].secrets.values())
    assert CANARY not in repr(remote)
    assert read_credentials({}) == {}


@pytest.mark.parametrize("name", [vendor.name for vendor in VENDORS])
def test_some_but_not_all_credentials_stop_the_start(name: str) -> None:
    whole = complete(name)
    for left_out in whole:
        with pytest.raises(ConfigurationError) as caught:
            read_credentials({k: v for k, v in whole.items() if k != left_out})
        assert left_out in caught.value.message.en
        assert f"FENQUN_{name.upper()}=local" in caught.value.next_step.zh
        assert CANARY not in f"{caught.value.message}{caught.value.next_step}"


def test_a_pin_decides() -> None:
    whole = complete("taobao")
    assert read_credentials(whole | {"FENQUN_TAOBAO": "local"}) == {}
    assert set(read_credentials(whole | {"FENQUN_TAOBAO": " Remote "})) == {"taobao"}
    with pytest.raises(ConfigurationError, match="TAOBAO_APP_KEY"):
        read_credentials({"FENQUN_TAOBAO": "remote"})
    with pytest.raises(ConfigurationError, match="must be local or remote"):
        read_credentials(whole | {"FENQUN_TAOBAO": "cloud"})


def test_of_two_vendors_of_one_system_only_one_is_used() -> None:
    other = replace(VOLCENGINE, name="acme", text=Text("Acme", "某厂"), service=NOTHING)
    vendors, both = (*VENDORS, other), complete("volcengine") | needed(other)
    assert set(read_credentials(needed(other), vendors=vendors)) == {"acme"}
    with pytest.raises(ConfigurationError, match="Volcengine voice service and Acme are both set up") as caught:
        read_credentials(both, vendors=vendors)
    assert (
        caught.value.next_step.zh
        == "如使用某厂，请设 FENQUN_VOLCENGINE=local；如使用火山引擎语音服务，请设 FENQUN_ACME=local。"
    )
    assert set(read_credentials(both | {"FENQUN_VOLCENGINE": "local"}, vendors=vendors)) == {"acme"}
    assert set(read_credentials(both | {"FENQUN_ACME": "local"}, vendors=vendors)) == {"volcengine"}


def test_what_is_optional_has_its_default_and_does_not_make_a_system_remote() -> None:
    remote = read_credentials(complete("volcengine"))["volcengine"]
    assert (remote["region"], remote["url"]) == ("cn-north-1", "https://cloud-vms.volcengineapi.com")
    assert remote.secret("session_token") == ""
    assert read_credentials({"FENQUN_VOLCENGINE_REGION": "cn-beijing"}) == {}


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"\ufeff{CANARY}\n", encoding="utf-8")
    environment = complete("thinkingdata")
    del environment["FENQUN_THINKINGDATA_TOKEN"]
    remote = read_credentials(environment | {"FENQUN_THINKINGDATA_TOKEN_FILE": str(file)})
    assert remote["thinkingdata"].secret("token") == CANARY
    with pytest.raises(ConfigurationError, match="both set"):
        read_credentials(complete("thinkingdata") | {"FENQUN_THINKINGDATA_TOKEN_FILE": str(file)})


@pytest.mark.parametrize("content", [None, b"x" * (16 * 1024 + 1), b"\xff\xfe\xff"])
def test_a_file_that_is_no_secret_is_refused_by_its_variable(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="FENQUN_THINKINGDATA_TOKEN_FILE"):
        read_credentials({"FENQUN_THINKINGDATA_TOKEN_FILE": str(file)})


class Kept:
    """A keyring."""

    def __init__(self, kept: dict[str, str]) -> None:
        self.kept = kept

    def get_password(self, service_name: str, username: str) -> str | None:
        return self.kept.get(username) if service_name == SERVICE else None


def test_the_keyring_is_asked_last() -> None:
    url = {"FENQUN_THINKINGDATA_URL": "https://x.example"}
    ring = Kept({"FENQUN_THINKINGDATA_TOKEN": "kept"})
    assert read_credentials(url, ring)["thinkingdata"].secret("token") == "kept"
    given = url | {"FENQUN_THINKINGDATA_TOKEN": "given"}
    assert read_credentials(given, ring)["thinkingdata"].secret("token") == "given"


def test_every_variable_is_listed_in_both_languages() -> None:
    named = dict(variables())
    assert {THINKINGDATA.pin, "FENQUN_TAOBAO_SESSION_FILE", "FENQUN_VOLCENGINE_REGION", "FENQUN_KEYRING"} <= set(named)
    assert all(text.en and text.zh and text.en != text.zh for text in named.values())


def test_a_secret_is_masked_and_compares_by_value() -> None:
    assert f"{Secret(CANARY)} {Secret(CANARY)!r}" == "Secret(***) Secret(***)"
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
