"""Imports point down, and each library has its one place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT, Module, imports, modules

BASE = {"text", "effect", "errors"}
BELOW: dict[str, set[str]] = {
    "": set(),
    "text": set(),
    "effect": set(),
    "errors": {"text"},
    "qp": BASE,
    "calls": {"text", "errors", "qp"},
    "engine": BASE | {"qp"},
    "platforms": BASE | {"qp", "calls", "engine", "credentials"},
    "operations": BASE | {"qp", "calls", "platforms"},
    "web": BASE | {"qp"},
    "front": BASE | {"", "qp", "calls", "operations", "web"},
    "gateway": BASE | {"qp", "calls", "platforms", "operations", "web", "gateway_settings"},
    "data": {"engine"},
    "credentials": BASE,
    "settings": BASE | {"qp", "credentials"},
    "http_settings": BASE | {"qp"},
    "gateway_settings": BASE | {"qp", "http_settings"},
    "gateway_commands": BASE | {"app", "gateway", "gateway_settings", "web"},
    "http_commands": BASE | {"app", "front", "platforms", "http_settings", "web"},
    "arguments": {"", "text"},
    "terminal": {"text"},
    "doctor": BASE | {"platforms", "credentials", "settings", "remote", "app"},
    "remote": BASE | {"platforms", "credentials"},
    "app": BASE
    | {
        "remote",
        "qp",
        "engine",
        "platforms",
        "operations",
        "front",
        "gateway",
        "gateway_settings",
        "settings",
        "credentials",
        "http_settings",
    },
    "opening": BASE | {"front", "platforms", "settings", "app"},
    "demo": BASE | {"", "qp", "front", "settings", "app", "terminal", "data", "platforms"},
    "overseeing": BASE | {"front", "operations", "platforms", "terminal", "app"},
    "cli": BASE
    | {"", "front", "operations", "settings", "arguments", "terminal", "app", "demo", "platforms"}
    | {"http_settings", "http_commands", "overseeing", "gateway_settings", "gateway_commands", "doctor", "opening"},
    "__main__": {"cli"},
}
"""What each part may import besides itself. "" is the package itself, for its version; `data` has the script that makes the data."""

HOMES: dict[str, tuple[str, ...]] = {
    "anyio": ("platforms", "operations", "web", "front", "gateway", "cli", "doctor", "overseeing", "demo"),
    "duckdb": ("engine",),
    "filelock": ("platforms.local",),
    "httpx": ("platforms.transport",),
    "jwt": ("front",),
    "keyring": ("settings",),
    "mcp": ("front", "demo"),
    "mcp_types": ("front", "demo"),
    "opentelemetry": ("front",),
    "platformdirs": ("settings",),
    "pydantic": ("qp", "engine", "platforms", "operations", "front"),
    "pydantic_core": ("qp", "operations"),
    "rich": ("terminal", "cli", "demo"),
    "sqlglot": ("engine",),
    "stamina": ("platforms.transport",),
    "starlette": ("web", "front", "gateway"),
    "uvicorn": ("web",),
}
"""Where each library may be imported; a library that is not here may not be imported at all."""

LATE = {"keyring", "duckdb", "sqlglot", "httpx", "stamina", "rich", "platformdirs"}
"""Imported inside functions, so that a server starts quickly without them."""


def part(name: str) -> str:
    return name.partition(".")[0]


def broken(module: Module) -> list[str]:
    found = []
    for target, line, at_start in imports(module):
        where = f"{module.path}:{line}: {target}"
        top = part(target)
        if top == "mcp_server":
            inner = part(target.removeprefix("mcp_server").lstrip("."))
            if inner != part(module.name) and inner not in BELOW.get(part(module.name), set()):
                found.append(f"{where} points up or sideways")
        elif top in HOMES:
            if not any(
                home in (part(module.name), module.name) or module.name.startswith(f"{home}.") for home in HOMES[top]
            ):
                found.append(f"{where} has its place in {', '.join(HOMES[top])}")
            if top in LATE and at_start:
                found.append(f"{where} belongs inside the function that needs it")
        elif top not in sys.stdlib_module_names:
            found.append(f"{where} is a library without a place; add it to HOMES with a reason in docs/decisions.md")
    return found


def test_imports_point_down_and_libraries_stay_in_their_place() -> None:
    assert [line for module in modules() for line in broken(module)] == []


def test_every_part_of_the_package_has_its_layer() -> None:
    assert {part(module.name) for module in modules()} <= set(BELOW)


def test_operations_know_platforms_only_by_their_ports() -> None:
    known = {
        target
        for module in modules()
        if part(module.name) == "operations"
        for target, _, _ in imports(module)
        if target.startswith("mcp_server.platforms")
    }
    assert {target for target in known if not target.endswith("_port")} <= {"mcp_server.platforms.ports"}


def test_platforms_do_not_know_each_other() -> None:
    for module in modules():
        own = module.name.split(".")[1:2]
        for target, line, _ in imports(module):
            other = (
                target.removeprefix("mcp_server.platforms.").split(".")[0] if "mcp_server.platforms." in target else ""
            )
            if (
                part(module.name) == "platforms"
                and other not in ("", "addresses", "ports", "transport", "vendor", *own)
                and not other.endswith("_port")
            ):
                pytest.fail(f"{module.path}:{line}: {target}")


def test_a_layer_that_is_broken_is_found() -> None:
    """The rule itself: a file that breaks all three rules is caught three times."""

    text = "import duckdb\nfrom mcp_server.front import server\nimport requests\nfrom mcp_server.qp import check\n"
    found = broken(Module("x.py", "engine.x", text))
    assert [line.split(":")[1] for line in found] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("from mcp_server.app import build; from mcp_server.settings import read_settings; app = build(read_settings({'FENQUN_WORKSPACE': where}))",
         {"duckdb", "sqlglot", "httpx", "mcp", "rich"}),
        ("import mcp_server.front.server, mcp_server.front.stdio, mcp_server.operations.registry, mcp_server.platforms.local.segments",
         {"duckdb", "sqlglot", "httpx"}),
        ("from mcp_server.opening import Opening; from mcp_server.settings import read_settings; Opening(read_settings({'FENQUN_WORKSPACE': where})).server()",
         {"duckdb", "sqlglot", "httpx", "mcp_server.app", "mcp_server.operations", "mcp_server.platforms.ports", "mcp_server.qp.check"}),
        ("import mcp_server.cli", {"duckdb", "sqlglot", "httpx", "mcp", "rich", "mcp_server.app", "mcp_server.operations"}),
    ],
    ids=["build", "parts", "serve", "cli"],
)  # fmt: skip
def test_starting_imports_nothing_heavy(statement: str, absent: set[str], tmp_path: Path) -> None:
    script = f"import sys; where = {str(tmp_path)!r}; {statement}; print('\\n'.join(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", env=environment)
    assert said.returncode == 0, said.stderr
    assert absent & set(said.stdout.splitlines()) == set()
