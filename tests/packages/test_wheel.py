"""The built wheel, as somebody new installs it: by uvx, by uv tool, by pipx; and what `fenqun install` writes then."""

import json
import tomllib
from pathlib import Path

import pytest

from mcp_server.install import CLIENTS, ClientFile, Machine
from mcp_server.operations.registry import OPERATIONS
from tests.packages.newcomer import ROOT, UV, Session, environment, needed, run

pytestmark = pytest.mark.packages

BUYERS = {"events": [{"eventName": "purchase", "comparator": "greater", "num": "2", "taPropQuota": {"analysis": "TIMES"}}]}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv = needed(UV / "uv")
    run([str(uv), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], environment(folder / "home"))
    (built,) = folder.glob("*.whl")
    return built


def test_uvx_starts_it_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", UV)
    command = ["uvx", "--from", str(wheel), "fenqun"]
    with Session([*command, "serve"], env) as session:
        assert session.tools() == [o.name for o in OPERATIONS]
    said = run([*command, "install", "cursor"], env, status=2)
    assert "uv tool install" in said, "a client could no longer start it from a cache that was cleared"


def test_pipx_runs_it_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", UV)
    with Session(["uvx", "pipx", "run", "--spec", str(wheel), "fenqun", "serve"], env) as session:
        assert session.tools() == [o.name for o in OPERATIONS]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A home into which `uv tool install` has put the program; its environment has no uv."""
    home = tmp_path_factory.mktemp("home of somebody")
    run(["uv", "tool", "install", "--quiet", str(wheel)], environment(home, UV))
    program = home / ".local" / "bin" / "fenqun"
    return program, environment(home)


def test_from_the_wheel_to_a_cluster_in_two_commands(installed: tuple[Path, dict[str, str]]) -> None:
    program, env = installed
    assert "23,570 users" in run([str(program), "load", "--demo"], env)
    sized = run([str(program), "call", "preview_definition", json.dumps({"qp": BUYERS}), "--json"], env)
    assert json.loads(sized)["users_num"] > 1000


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.form != "print"], ids=lambda client: client.name)
def test_a_client_starts_the_entry_that_install_has_written(
    client: ClientFile, installed: tuple[Path, dict[str, str]]
) -> None:
    program, env = installed
    run([str(program), "install", client.name, "--language", "zh"], env)
    (path,) = Machine(Path(env["HOME"]), {}, "linux").files(client)
    text = path.read_text(encoding="utf-8")
    entry = (tomllib.loads(text) if client.form == "toml" else json.loads(text))[client.key]["fenqun"]
    with Session(
        [entry["command"], *entry["args"]], {"PATH": "/nowhere", "HOME": "/nowhere", **entry.get("env", {})}
    ) as session:
        assert session.tools() == [o.name for o in OPERATIONS]
        answer = session.call("describe_data", search="purchase")
        assert not answer.get("isError"), "it is the workspace into which the demo data went"
    assert f"{client.title}：已配置" in run([str(program), "install", "--language", "zh"], env)


def test_uninstall_lists_all_that_was_left_and_removes_it(installed: tuple[Path, dict[str, str]]) -> None:
    program, env = installed
    listed = run([str(program), "uninstall"], env)
    assert listed.count("Entry of") == len([c for c in CLIENTS if c.form != "print"])
    run([str(program), "uninstall", "--clients", "--workspace-data", "--yes"], env)
    assert "Nothing of fenqun is on this machine." in run([str(program), "uninstall"], env)
