"""The source of the project, read once and parsed once where a rule asks for it, for the rules of the house."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mcp_server"


@dataclass(frozen=True, eq=False)
class Module:
    """One file: its path from the root, its dotted name below `mcp_server`, its text and its tree."""

    path: str
    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


@cache
def modules(folder: str = "mcp_server") -> tuple[Module, ...]:
    found = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        name = ".".join(file.relative_to(ROOT / folder).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found.append(Module(file.relative_to(ROOT).as_posix(), name, text))
    return tuple(found)


class Import(NamedTuple):
    """One imported module (of `from a import b` the module a, or a.b where that is a file of ours)."""

    target: str
    line: int
    at_start: bool
    """True where importing the file imports it: not inside a function, not only for types."""


@cache
def imports(module: Module) -> tuple[Import, ...]:
    return tuple(_imports(module, module.tree, at_start=True))


def _imports(module: Module, node: ast.AST, *, at_start: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, at_start) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module.path}:{node.lineno}: relative import"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield Import(whole if _is_ours(whole) else str(node.module), node.lineno, at_start)
    elif not isinstance(node, ast.expr):
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types_only(node)
        for child in ast.iter_child_nodes(node):
            yield from _imports(module, child, at_start=at_start and not late)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_ours(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return name.startswith("mcp_server") and (path.with_suffix(".py").is_file() or path.is_dir())


@cache
def calls(module: Module) -> tuple[tuple[str, ast.Call], ...]:
    """Every call with the name that is called: `open`, or the last part of `path.read_text`."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.append((node.func.id, node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.append((node.func.attr, node))
    return tuple(found)
