"""Imports point down, and each library has its one place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT, Module, calls, imports, modules

GROUPS = {"text": "base", "errors": "base"} | dict.fromkeys(
    ("credentials", "ending", "settings", "terminal", "web"), "setup"
)
"""Single files at the top belong to a group; those that are not here, and `demo`, are `commands`."""
BASE = {"base", "language"}
BELOW: dict[str, set[str]] = {
    "": set(),
    "base": set(),
    "language": {"base"},
    "setup": BASE,
    "calls": BASE,
    "plan": BASE,
    "user_sql": BASE | {"plan"},
    "engines": BASE | {"plan", "user_sql"},
    "sources": BASE | {"engines"},
    "store": BASE | {"sources"},
    "platforms": BASE | {"setup", "calls", "plan", "user_sql", "engines", "sources", "store"},
    "operations": BASE | {"calls", "store", "platforms"},
    "consent": BASE | {"store", "operations"},
    "front": BASE | {"", "setup", "calls", "store", "operations", "consent"},
    "gateway": BASE | {"setup", "calls", "store", "platforms", "operations", "consent"},
    "commands": BASE
    | {"", "setup", "engines", "sources", "store", "platforms", "operations", "consent", "front", "gateway"},
}
"""What each floor may import besides itself. "" is the package itself, for its version."""


def floor(name: str) -> str:
    """The floor of a module below `mcp_server`."""
    top = part(name)
    return top if top in BELOW else GROUPS.get(top, "commands")


HOMES: dict[str, tuple[str, ...]] = {
    "anyio": (
        "store",
        "platforms",
        "operations",
        "consent",
        "web",
        "front",
        "gateway",
        "cli",
        "doctor",
        "oversight",
        "demo",
    ),
    "duckdb": ("engines", "sources"),
    "filelock": ("store",),
    "httpx": ("platforms.transport",),
    "jwt": ("front",),
    "keyring": ("settings", "install"),
    "mcp": ("front", "demo"),
    "mcp_types": ("front", "demo"),
    "opentelemetry": ("front",),
    "platformdirs": ("settings",),
    "pydantic": ("language", "sources", "platforms", "operations", "consent", "front"),
    "pydantic_core": ("language", "operations"),
    "pypinyin": ("language.suggest",),
    "python_calamine": ("sources",),
    "rich": ("terminal", "cli", "demo"),
    "sqlglot": ("user_sql.tree", "user_sql.guard"),
    "stamina": ("platforms.transport",),
    "starlette": ("web", "front", "gateway"),
    "uvicorn": ("web",),
}
"""Where each library may be imported; a library that is not here may not be imported at all."""

LATE = {"keyring", "duckdb", "python_calamine", "pypinyin", "sqlglot", "httpx", "stamina", "rich", "platformdirs"}
"""Imported inside functions, so that a server starts quickly without them."""

LATE_MODULES = {"user_sql.tree"}
"""Modules of ours that import such a library at their top, and are imported inside functions in its place."""


def part(name: str) -> str:
    return name.partition(".")[0]


def broken(module: Module) -> list[str]:
    found = []
    for target, line, at_start in imports(module):
        where = f"{module.path}:{line}: {target}"
        top = part(target)
        if top == "mcp_server":
            inner, own = floor(target.removeprefix("mcp_server").lstrip(".")), floor(module.name)
            if inner != own and inner not in BELOW[own]:
                found.append(f"{where} points up or sideways")
            if at_start and target.removeprefix("mcp_server.") in LATE_MODULES:
                found.append(f"{where} belongs inside the function that needs it")
        elif top in HOMES:
            if not any(
                home in (part(module.name), module.name) or module.name.startswith(f"{home}.") for home in HOMES[top]
            ):
                found.append(f"{where} has its place in {', '.join(HOMES[top])}")
            if top in LATE and at_start and module.name not in LATE_MODULES:
                found.append(f"{where} belongs inside the function that needs it")
        elif top not in sys.stdlib_module_names:
            found.append(f"{where} is a library without a place; add it to HOMES with a reason in docs/decisions.md")
    return found


def test_imports_point_down_and_libraries_stay_in_their_place() -> None:
    assert [line for module in modules() for line in broken(module)] == []


PURE: dict[str, set[str]] = {"plan": {"collections", "dataclasses", "datetime", "decimal", "typing"}}
"""Parts without input and output, and what they may import of the standard library."""


def test_pure_parts_only_compute() -> None:
    """The layers keep dialects out of them; this keeps out files, processes, time and settings."""
    impure = []
    for module in modules():
        if part(module.name) in PURE:
            allowed = {"mcp_server", *PURE[part(module.name)]}
            impure += [f"{module.path}:{i.line}: {i.target}" for i in imports(module) if part(i.target) not in allowed]
            impure += [f"{module.path}:{call.lineno}: {name}" for name, call in calls(module) if name in NOT_PURE]
    assert impure == []


NOT_PURE = {"open", "print", "input", "exec", "eval", "__import__", "now", "today", "utcnow"}


def test_every_folder_of_the_package_is_a_floor() -> None:
    assert {part(module.name) for module in modules() if "." in module.name} <= {*BELOW, "demo"}


def test_no_modules_import_each_other() -> None:
    """Neither directly nor through others; imports inside functions and imports for types count as well."""
    assert circles({module.name: targets(module) for module in modules()}) == []


def targets(module: Module) -> set[str]:
    """The modules of ours that a module imports."""
    names = {m.name for m in modules()}
    found = set()
    for target, _, _ in imports(module):
        name = target.removeprefix("mcp_server").lstrip(".")
        if target.partition(".")[0] == "mcp_server" and name in names - {"", module.name}:
            found.add(name)
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The circles of a graph, one each (depth first, by the stack that is open)."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, stack: list[str]) -> None:
        if name in stack:
            found.append(stack[stack.index(name) :])
        elif name not in done:
            for target in sorted(graph.get(name, set())):
                visit(target, [*stack, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


PROTOCOLS = {"data", "", "segments", "tasks", "transport", "vendor"}
"""Modules of `platforms/` that every platform shares."""


def platform_imports(module: Module) -> set[str]:
    """The first names below `platforms` that a module imports."""
    return {
        target.removeprefix("mcp_server.platforms").lstrip(".").partition(".")[0]
        for target, _, _ in imports(module)
        if target.startswith("mcp_server.platforms")
    }


def test_operations_know_platforms_only_by_their_protocols() -> None:
    known = {name for m in modules() if part(m.name) == "operations" for name in platform_imports(m)}
    assert known <= {"data", "segments", "tasks"}


def test_platforms_do_not_know_each_other() -> None:
    foreign = {
        m.name: others
        for m in modules()
        if part(m.name) == "platforms" and (others := platform_imports(m) - PROTOCOLS - set(m.name.split(".")[1:2]))
    }
    assert foreign == {}


def test_a_layer_that_is_broken_is_found() -> None:
    """The rule itself: a file that breaks every rule is caught for each."""

    text = "import httpx\nfrom mcp_server.front import http\nimport requests\nfrom mcp_server.language import model\n"
    found = broken(Module("x.py", "engines.x", text))
    assert [line.split(":")[1] for line in found] == ["1", "1", "2", "3"]  # httpx: not its place, and not at the start
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("from mcp_server.app import build; from mcp_server.settings import read_settings; app = build(read_settings({'FENQUN_WORKSPACE': where}))",
         {"duckdb", "sqlglot", "httpx", "mcp", "rich"}),
        ("import mcp_server.front.mcp.server, mcp_server.front.mcp.stdio, mcp_server.operations.registry, mcp_server.platforms.local.segments",
         {"duckdb", "sqlglot", "httpx"}),
        ("from mcp_server.opening import Opening; from mcp_server.settings import read_settings; Opening(read_settings({'FENQUN_WORKSPACE': where})).server()",
         {"duckdb", "sqlglot", "httpx", "mcp_server.app", "mcp_server.operations", "mcp_server.platforms.segments", "mcp_server.language.reading.check"}),
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
