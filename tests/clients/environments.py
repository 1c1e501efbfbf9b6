"""Make the environments of the clients below `.clients`, one after another: python -m tests.clients.environments [--lock]

What is installed is pinned: python/NAME.txt for Python, node/NAME/package-lock.json for Node, neither of which names
a package index. An environment is left alone until its lock changes. `--lock` resolves the versions anew, from
python/NAME.in and node/NAME/package.json. CLIENTS chooses clients as for the tests.
"""

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

from tests.clients.running import ENVIRONMENTS, HERE, clients

UV = ENVIRONMENTS / "uv" / "bin" / "uv"
NPM = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def main() -> int:
    relock = "--lock" in sys.argv[1:]
    wanted = {(client.kind, client.environment) for client in clients()}
    if any(kind == "node" for kind, _ in wanted):
        wanted.add(("node", "node"))
    if any(kind == "python" for kind, _ in wanted):
        _make_uv()
    for kind, name in sorted(wanted):
        if relock:
            (_lock_python if kind == "python" else _lock_node)(name)
        if (_make_python if kind == "python" else _make_node)(name):
            print(f"{kind}/{name}: installed", flush=True)
    return 0


def _run(*command: str | Path, cwd: Path = HERE) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def _make_uv() -> None:
    if not UV.is_file():
        _run(sys.executable, "-m", "venv", UV.parents[1])
        _run(UV.with_name("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv")


def _lock_python(name: str) -> None:
    folder = HERE / "python"
    options = ("--universal", "--python-version", "3.11", "--no-emit-index-url", "--no-header", "--no-annotate")
    _run(UV, "pip", "compile", *options, "--upgrade", "--quiet", f"{name}.in", "-o", f"{name}.txt", cwd=folder)


def _make_python(name: str) -> bool:
    lock, folder = HERE / "python" / f"{name}.txt", ENVIRONMENTS / "python" / name
    if _up_to_date(lock, folder):
        return False
    _run(UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    _run(UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "-r", lock)
    shutil.copyfile(lock, folder / ".installed")
    return True


def _lock_node(name: str) -> None:
    folder = HERE / "node" / name
    (folder / "package-lock.json").unlink(missing_ok=True)
    _run("npm", "install", "--package-lock-only", "--omit-lockfile-registry-resolved", *NPM, cwd=folder)


def _make_node(name: str) -> bool:
    source, folder = HERE / "node" / name, ENVIRONMENTS / "node" / name
    lock = source / "package-lock.json"
    if _up_to_date(lock, folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("package.json", "package-lock.json"):
        shutil.copyfile(source / part, folder / part)
    _run("npm", "ci", *NPM, cwd=folder)
    shutil.copyfile(lock, folder / ".installed")
    return True


def _up_to_date(lock: Path, folder: Path) -> bool:
    mark = folder / ".installed"
    return mark.is_file() and filecmp.cmp(lock, mark, shallow=False)


if __name__ == "__main__":
    sys.exit(main())
