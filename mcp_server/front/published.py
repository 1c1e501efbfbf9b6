"""The generated files of a source checkout: `tool_schemas/`, the tools table of the README, the lists of
errors and problems.

A server over stdio lists the tools from there (`listing.py`); what carries them out never reads them. A stale file
fails `fenqun schemas --check`, and the tests.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_server.effect import Effect
from mcp_server.errors import ConfigurationError, FenqunError
from mcp_server.front.changes import Change, schema_changes, tool_changes
from mcp_server.front.listing import FOLDER, INDEX
from mcp_server.front.problems_page import problems_page
from mcp_server.front.tools import tool_document, unwrapped
from mcp_server.operations.registry import OPERATIONS
from mcp_server.qp.schema import complete, complete_sql, complete_tag
from mcp_server.text import Text

START: Final = "<!-- tools:start -->"
END: Final = "<!-- tools:end -->"
README: Final = "README.md"
ERRORS: Final = "docs/errors.md"
PROBLEMS: Final = "docs/problems.md"
LANGUAGES: Final = {"qp": complete, "tag_qp": complete_tag, "sql": complete_sql}
"""The complete schemas of definitions, each in a file of its own."""

_EFFECTS: Final = {
    Effect.READ: "reads",
    Effect.CREATE: "creates",
    Effect.REPLACE: "changes",
    Effect.DELETE: "deletes",
    Effect.TRIGGER: "computes",
}


_ERRORS_HEAD: Final = """\
# Errors

Generated from `mcp_server/errors.py` by `python -m mcp_server schemas --write`. Every error has a stable code, a message
and a next step in both languages; problems inside it have codes of their own, listed in
[problems.md](problems.md).

"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A source checkout."""

    root: Path

    @classmethod
    def find(cls) -> "Checkout":
        """The checkout that this code runs from. ConfigurationError for an installed copy, which has no such files."""
        root = Path(__file__).resolve().parents[2]
        if (root / "pyproject.toml").is_file() and (root / FOLDER).is_dir():
            return cls(root)
        raise ConfigurationError(
            Text(
                "This is an installed copy; the generated files live in a source checkout.",
                "当前是已安装的副本；生成文件只存在于源码仓库中。",
            ),
            next_step=Text(
                "Run it in a clone: python -m mcp_server schemas --check",
                "请在克隆的源码目录中运行：python -m mcp_server schemas --check",
            ),
        )

    def write(self) -> list[str]:
        """Bring all files into step; the names of those that changed."""
        changed = []
        for name, content in self._wanted().items():
            if self._read(name) != content:
                (self.root / name).write_text(content, encoding="utf-8", newline="\n")
                changed.append(name)
        for name in self._orphans():
            (self.root / name).unlink()
            changed.append(name)
        return changed

    def check(self) -> list[Change]:
        """What is out of step, nothing if all is well."""
        found: list[Change] = []
        for name, content in self._wanted().items():
            before = self._read(name)
            if before != content:
                found += _changes(name, before, content)
        return found + [Change("breaking", name, "no such tool any more") for name in self._orphans()]

    def _wanted(self) -> dict[str, str]:
        files = {f"{FOLDER}/{name}": content for name, content in documents().items()}
        return files | {
            README: _with_table(self._read(README)),
            ERRORS: errors_page(),
            PROBLEMS: problems_page(self.root),
        }

    def _read(self, name: str) -> str:
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _orphans(self) -> list[str]:
        wanted = documents()
        return sorted(f"{FOLDER}/{p.name}" for p in (self.root / FOLDER).iterdir() if p.name not in wanted)


def documents() -> dict[str, str]:
    """Every file of `tool_schemas/`: one for each tool, as clients see it, the languages, and a list of all tools."""
    files = {f"{o.name}.json": _json(tool_document(o)) for o in OPERATIONS}
    index = [
        {"name": o.name, "title": o.title._asdict(), "effect": o.effect.value, "idempotent": o.idempotent}
        for o in OPERATIONS
    ]
    languages = {f"{name}.json": _json(schema()) for name, schema in LANGUAGES.items()}
    return files | languages | {INDEX: _json({"tools": index})}


def table() -> str:
    """The tools as a Markdown table: name, both titles, the first sentence of the description, effect."""
    rows = ["| Tool | 工具 | What it does | Effect |", "| --- | --- | --- | --- |"]
    for o in OPERATIONS:
        sentence = unwrapped(o.description).split("\n")[0].partition(". ")[0].rstrip(".") + "."
        rows.append(f"| `{o.name}` | {o.title.zh} | {sentence.replace('|', chr(92) + '|')} | {_EFFECTS[o.effect]} |")
    return "\n".join(rows)


def error_classes() -> list[type[FenqunError]]:
    """Every error that can be raised: the classes that have a code, in the order of their definition."""
    found: list[type[FenqunError]] = []
    groups: list[type[FenqunError]] = [FenqunError]
    while groups:
        for kind in [k for k in groups.pop(0).__subclasses__() if k.__module__ == FenqunError.__module__]:
            groups.append(kind)
            if kind.code:
                found.append(kind)
    return found


def errors_page() -> str:
    """All error codes as a Markdown page, sorted by what whoever reads them can do next."""
    rows = ["| code | what happened | kind | try again unchanged |", "| --- | --- | --- | --- |"]
    for kind in error_classes():
        group = kind.__mro__[1]
        who = " ".join((group.__doc__ or "").split()) if group is not FenqunError else "Whoever runs the server."
        what = " ".join((kind.__doc__ or "").split())
        rows.append(f"| `{kind.code}` | {what} | {who} | {'yes' if kind.retryable else 'no'} |")
    return _ERRORS_HEAD + "\n".join(rows) + "\n"


def _with_table(readme: str) -> str:
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ConfigurationError(
            Text("{readme} lacks the markers {start} and {end}.", "{readme} 缺少标记 {start} 和 {end}。").format(
                readme=README, start=START, end=END
            ),
            next_step=Text("Put both where the table of tools belongs.", "请在工具表格所在位置写上这两个标记。"),
        )
    return f"{before}{START}\n{table()}\n{END}{after}"


def _changes(name: str, before: str, after: str) -> Iterator[Change]:
    if not before:
        yield Change("added", name, "new file")
        return
    file = Path(name)
    try:
        was: Any = json.loads(before) if file.suffix == ".json" else {}
    except ValueError:
        yield Change("breaking", name, "the committed file is not JSON")
        return
    found: list[Change] = []
    if file.stem in LANGUAGES:
        found += schema_changes(file.stem, was, json.loads(after), "input")
    elif file.parent.name == FOLDER and file.name != "index.json":
        found += tool_changes(file.stem, was, json.loads(after))
    yield from found or [Change("compatible", name, "text or order changed")]


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
