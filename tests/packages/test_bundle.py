"""The bundle for Claude Desktop: packed, unpacked, and started as its host starts it, in an empty home."""

import json
import struct
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_server.credentials import VENDORS
from mcp_server.operations.registry import OPERATIONS
from tests.packages.newcomer import ROOT, UV, Session, environment, needed, run
from tools import bundle

MCPB = ROOT / ".mcpb" / "node_modules" / "@anthropic-ai" / "mcpb" / "dist"


# What is in it, without packing.


def test_every_field_is_optional_and_reaches_the_server_by_a_variable_that_it_reads() -> None:
    from mcp_server.settings import known_variables

    manifest = bundle.manifest()
    fields, config = manifest["user_config"], manifest["server"]["mcp_config"]
    assert set(config["env"].values()) == {f"${{user_config.{key}}}" for key in fields}
    assert set(config["env"]) - set(known_variables()) == {"UV_DEFAULT_INDEX", "UV_PYTHON_INSTALL_MIRROR"}
    assert not any("user_config" in word for word in config["args"]), "a whole argument would stay literal"
    assert all(field["required"] is False and "default" in field for field in fields.values())
    secrets = {f"{s.name}_{f.key}" for s in VENDORS for f in s.fields if f.secret and f.needed}
    assert {key for key, field in fields.items() if field.get("sensitive")} == secrets
    assert all(" · " in field["title"] and " · " in field["description"] for field in fields.values())


def test_tools_prompts_and_privacy_are_listed() -> None:
    manifest = bundle.manifest()
    assert [tool["name"] for tool in manifest["tools"]] == [o.name for o in OPERATIONS]
    assert all(10 < len(tool["description"]) < 300 for tool in manifest["tools"])
    segment = next(prompt for prompt in manifest["prompts"] if prompt["name"] == "build_segment")
    assert segment["arguments"] == ["sentence"]
    assert "Make a cluster of these users: ${arguments.sentence}" in segment["text"]
    (policy,) = manifest["privacy_policies"]
    assert (ROOT / policy.partition("/blob/main/")[2]).is_file()
    assert (ROOT / manifest["documentation"].partition("/blob/main/")[2]).is_file()


def test_versions_are_those_that_are_tested_and_no_index_is_named() -> None:
    project = tomllib.loads(bundle.project())
    pins = project["tool"]["uv"]["constraint-dependencies"]
    assert "duckdb" in {pin.partition("==")[0] for pin in pins}
    assert len(pins) == sum(
        "==" in line for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    )
    assert "index" not in project["tool"]["uv"]
    for name in ("package.json", "package-lock.json"):
        assert '"resolved"' not in (ROOT / "packaging" / "mcpb" / name).read_text(encoding="utf-8")


def test_the_icon_is_a_square_of_512_pixels() -> None:
    head = (ROOT / "packaging" / "icon.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (512, 512)


# Packed and started.


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, unpacked into a folder of extensions as its host does."""
    folder = tmp_path_factory.mktemp("bundle")
    packer, uv = needed(MCPB / "cli" / "cli.js"), needed(UV / "uv")
    (folder / "staged").mkdir()
    bundle.stage(folder / "staged", uv)
    bundle.pack(folder / "staged", folder / "fenqun.mcpb", packer)
    unpacked = folder / "Claude Extensions" / "local.fenqun"
    subprocess.run(
        ["node", str(packer), "unpack", str(folder / "fenqun.mcpb"), str(unpacked)], check=True, capture_output=True
    )
    return unpacked  # fmt: skip


def started(extension: Path, home: Path, **given: Any) -> Session:
    """The server as a host starts it, with these fields filled in."""
    program = ["node", str(ROOT / "tests" / "packages" / "host.mjs"), str(MCPB / "index.js")]
    host = subprocess.run(
        [*program, str(extension), str(home), json.dumps(given)], check=True, capture_output=True, encoding="utf-8"
    )
    config: Mapping[str, Any] = json.loads(host.stdout)
    return Session([config["command"], *config["args"]], environment(home, UV) | config["env"])


@pytest.mark.packages
def test_a_first_start_with_nothing_filled_in_offers_data(extension: Path, tmp_path: Path) -> None:
    home = tmp_path / "somebody new"
    with started(extension, home) as session:
        assert session.tools() == [o.name for o in OPERATIONS]
        answer = session.call("describe_data", search="purchase")
        assert answer["isError"] is True
        assert '["demo"]' in answer["content"][0]["text"], "no terminal is needed"
        session.call("load_file", files=["demo"])
        assert session.call("describe_data")["structuredContent"]["event_rows"] == 69_659
    assert session.end()[0] == 0
    assert (home / "fenqun" / "catalog.sqlite").is_file()
    assert not list(extension.rglob("catalog.sqlite")), "an update replaces that folder"
    with started(extension, home, language="zh", workspace=str(home / "分群"), read_only=True) as again:
        assert "Results are in Chinese. This server is read-only" in again.hello["instructions"]
    assert again.end() == (0, "")
    assert (home / "分群" / "catalog.sqlite").is_file()


@pytest.mark.packages
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workspace": "{extension}/data"}, "inside the folder of the extension"),
        ({"workspace": "data"}, "inside the folder of the extension"),
        ({"allow_dirs": "/no/such/folder"}, "FENQUN_ALLOW_DIRS"),
        ({"thinkingdata_url": "https://ta.example.com"}, "missing: FENQUN_THINKINGDATA_TOKEN"),
    ],
)
def test_what_can_not_be_used_is_refused_in_the_hosts_log(
    given: dict[str, str], message: str, extension: Path, tmp_path: Path
) -> None:
    filled = {key: value.format(extension=extension) for key, value in given.items()}
    with pytest.raises(AssertionError) as refused:
        started(extension, tmp_path / "home", **filled)
    assert message in str(refused.value)
    assert not (extension / "data").exists()


@pytest.mark.packages
def test_an_index_of_ones_own_is_used(extension: Path, tmp_path: Path) -> None:
    """A mirror that is not there: the start ends with its address, so that it was asked for packages."""
    with pytest.raises(AssertionError) as refused:
        started(extension, tmp_path / "home", uv_default_index="http://127.0.0.1:9/mirror")
    assert "127.0.0.1:9/mirror" in str(refused.value)
    assert run([str(UV / "uv"), "--version"], environment(tmp_path / "home", UV))
