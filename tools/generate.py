"""The generated files of this repository: `tool_schemas/`, pages of `docs/`, and the files by which people get in
(`tools.packages`).

    python -m tools.generate --write     bring them into step
    python -m tools.generate --check     list what is out of step, sorted by what it means for callers

A server over stdio lists its tools from `tool_schemas/`; the operations themselves never read them.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from mcp_server.calls.problems import CALL_CODES
from mcp_server.errors import FenqunError
from mcp_server.front.mcp.server import FOLDER, INDEX
from mcp_server.front.mcp.tools import tool_document
from mcp_server.language.problems import CODES, Code
from mcp_server.operations.operation import Effect
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import PROCESS
from mcp_server.text import Language, Text
from tools import packages, platform_fields
from tools.bundle import first_sentence
from tools.language_schema import complete, complete_sql, complete_tag
from tools.schema_changes import SchemaChange, schema_changes, tool_changes

ERRORS: Final = "docs/errors.md"
PROBLEMS: Final = "docs/problems.md"
FIELDS: Final = "docs/platform-fields.md"
LANGUAGES: Final = {"qp": complete, "tag_qp": complete_tag, "sql": complete_sql}
"""The complete schemas of definitions, each in a file of its own."""

_EFFECTS: Final = {
    Effect.READ: Text("reads", "读取"),
    Effect.CREATE: Text("creates", "新增"),
    Effect.REPLACE: Text("changes", "修改"),
    Effect.DELETE: Text("deletes", "删除"),
    Effect.TRIGGER: Text("computes", "计算"),
}


_ERRORS_HEAD: Final = """\
# Errors

Generated from `mcp_server/errors.py` by `python -m tools.generate --write`. Every error has a stable code, a message
and a next step in both languages; problems inside it have codes of their own, listed in
[problems.md](problems.md).

"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A source checkout."""

    root: Path

    def write(self) -> list[str]:
        """Bring all files into step; the names of those that changed."""
        changed = []
        for name, content in self._wanted().items():
            if self._read(name) != content:
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                (self.root / name).write_text(content, encoding="utf-8", newline="\n")
                changed.append(name)
        for name in self._orphans():
            (self.root / name).unlink()
            changed.append(name)
        return changed

    def check(self) -> list[SchemaChange]:
        """What is out of step, nothing if all is well."""
        found: list[SchemaChange] = []
        for name, content in self._wanted().items():
            before = self._read(name)
            if before != content:
                found += _changes(name, before, content)
        return found + [SchemaChange("breaking", name, "no such tool any more") for name in self._orphans()]

    def _wanted(self) -> dict[str, str]:
        files = {f"{FOLDER}/{name}": content for name, content in documents().items()}
        return files | {
            **tables(),
            **packages.files(),
            **{page: _between(self._read(page), *_LINKS, packages.links(page), page) for page in packages.LINKED},
            ERRORS: errors_page(),
            PROBLEMS: problems_page(self.root),
            FIELDS: platform_fields.page(),
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


def tables() -> dict[str, str]:
    """The pages of tools and settings, each in both languages."""
    return {
        "docs/tools.md": f"# Tools\n\n[中文](tools.zh.md)\n\nGenerated from the operations by `python -m tools.generate --write`. Everything that a client reads of a tool: `tool_schemas/`.\nEvery tool that changes something takes `dry_run`. Results and errors come in English or Chinese.\n\n{tools_table('en')}\n",
        "docs/tools.zh.md": f"# 工具\n\n[English](tools.md)\n\n由 `python -m tools.generate --write` 从各操作生成。客户端读到的完整内容在 `tool_schemas/` 中。凡是改动数据的工具都支持 `dry_run`；结果与错误有中英文。\n\n{tools_table('zh')}\n",
        "docs/settings.md": f"# Settings\n\n[中文](settings.zh.md)\n\nGenerated from `mcp_server/settings.py` by `python -m tools.generate --write`. The command line comes first, then the environment, then the default.\nSettings of HTTP: [http.md](http.md); of accounts: [platforms.md](platforms.md); of the gateway: [gateway.md](gateway.md).\n\n{settings_table('en')}\n",
        "docs/settings.zh.md": f"# 设置\n\n[English](settings.md)\n\n由 `python -m tools.generate --write` 从 `mcp_server/settings.py` 生成。优先级：命令行、环境变量、默认值。HTTP 的设置见 [http.zh.md](http.zh.md)，账号见 [platforms.md](platforms.md)，\n网关见 [gateway.md](gateway.md)。\n\n{settings_table('zh')}\n",
    }


def tools_table(language: Language) -> str:
    """The tools as a Markdown table; in English with the first sentence of what models read."""
    head = {"en": ("Tool", "工具", "What it does", "Effect"), "zh": ("工具", "名称", "作用")}[language]
    rows = [_cells(*head), _cells(*("---" for _ in head))]
    for o in OPERATIONS:
        effect = _EFFECTS[o.effect].say(language)
        title = f"`{o.name}`", o.title.zh
        rows.append(_cells(*title, *([_plain(first_sentence(o.description))] if language == "en" else []), effect))
    return "\n".join(rows)


def settings_table(language: Language) -> str:
    """The settings of every command as a Markdown table."""
    head = {"en": ("Variable", "Option", "What it sets", "Default"), "zh": ("环境变量", "选项", "作用", "默认值")}[
        language
    ]
    rows = [_cells(*head), _cells(*("---" for _ in head))]
    for s in PROCESS:
        shown = s.shown_default.say(language)
        default = shown if any(s.default_text) or s.default is False else f"`{shown}`"
        rows.append(_cells(f"`{s.variable}`", f"`{s.option}`" if s.option else "", s.help.say(language), default))
    return "\n".join(rows)


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


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


_LINKS: Final = ("<!-- links:start -->", "<!-- links:end -->")


def _between(page: str, start: str, end: str, content: str, name: str) -> str:
    before, found_start, rest = page.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        raise ValueError(f"{name} lacks the markers {start} and {end}: put both where the table belongs")
    return f"{before}{start}\n{content}\n{end}{after}"


def _changes(name: str, before: str, after: str) -> Iterator[SchemaChange]:
    if not before:
        yield SchemaChange("added", name, "new file")
        return
    file = Path(name)
    try:
        was: Any = json.loads(before) if file.suffix == ".json" else {}
    except ValueError:
        yield SchemaChange("breaking", name, "the committed file is not JSON")
        return
    found: list[SchemaChange] = []
    if file.stem in LANGUAGES:
        found += schema_changes(file.stem, was, json.loads(after), "input")
    elif file.parent.name == FOLDER and file.name != "index.json":
        found += tool_changes(file.stem, was, json.loads(after))
    yield from found or [SchemaChange("compatible", name, "text or order changed")]


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


# docs/problems.md: every problem and warning, with an example from tests/bad_cases.

BAD_CASES: Final = "tests/bad_cases"

_PROBLEMS_HEAD: Final = """\
# Problems and warnings

Generated from `mcp_server/language/problems.py`, `mcp_server/calls/problems.py` and `tests/bad_cases/` by `python -m tools.generate --write`. A *problem* blocks: nothing is
created or changed until it is fixed. A *warning* never does. All findings of a call come at once, each with its path in the
arguments as they were sent, and with a replacement where there is a likely one. Words in
braces are filled in. An example shows the path, what stood there, and the replacement; it links to the definition.

"""


class Example(NamedTuple):
    """A finding of a bad case."""

    case: str
    path: str
    got: str
    suggestion: str

    @property
    def shown(self) -> str:
        after = f" → {_code(self.suggestion)}" if self.suggestion else ""
        got = f": {_code(self.got)}" if self.got else ":" if after else ""
        return f"{_code(self.path)}{got}{after} ([{self.case}](../{BAD_CASES}/{self.case}/definition.json))"


def problems_page(root: Path) -> str:
    """The page as Markdown: problems first, then warnings, each in the order of the table."""
    found = _examples(root / BAD_CASES)
    sections = [
        f"## {title}\n\n" + "\n".join(_rows(blocks, found)) + "\n"
        for title, blocks in (("Problems", True), ("Warnings", False))
    ]
    return _PROBLEMS_HEAD + "\n".join(sections)


def _rows(blocks: bool, found: dict[str, Example]) -> Iterator[str]:
    yield "| code | English | 中文 | example |"
    yield "| --- | --- | --- | --- |"
    for code, row in {**CODES, **CALL_CODES}.items():
        if row.blocks == blocks:
            yield _row(code, row, found.get(code))


def _row(code: str, row: Code, example: Example | None) -> str:
    return f"| `{code}` | {_plain(row.text.en)} | {_plain(row.text.zh)} | {example.shown if example else '–'} |"


def _examples(folder: Path) -> dict[str, Example]:
    """For each code the case with the fewest findings; of those, the one that shows most; of those, the first by name."""
    best: dict[str, tuple[tuple[int, int], Example]] = {}
    for path in sorted(folder.glob("*/problems.json")):
        findings = json.loads(path.read_text(encoding="utf-8"))
        for one in findings:
            example = Example(path.parent.name, one["path"], one["got"], one["suggestion"])
            rank = len(findings), -bool(one["got"]) - bool(one["suggestion"])
            if one["code"] not in best or rank < best[one["code"]][0]:
                best[one["code"]] = (rank, example)
    return {code: example for code, (_, example) in best.items()}


_MOST: Final = 60


def _code(text: str) -> str:
    """A text as code in a cell of a table, cut short."""
    cut = text if len(text) <= _MOST else text[:_MOST] + "…"
    fence = "``" if "`" in cut else "`"
    return f"{fence}{cut}{fence}".replace("|", r"\|")


def _plain(text: str) -> str:
    """A sentence in a cell of a table."""
    return text.replace("|", r"\|").replace("<", r"\<")


def main() -> int:
    """Write the files, or compare them; 1 where they are out of step."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write what is out of step")
    mode.add_argument("--check", action="store_true", help="list what is out of step")
    checkout = Checkout(Path(__file__).resolve().parents[1])
    if parser.parse_args().write:
        print("\n".join(checkout.write()) or "in step")
        return 0
    changes = checkout.check()
    for change in sorted(changes, key=lambda c: ("added", "compatible", "breaking").index(c.kind)):
        print(f"{change.kind}: {change.where}: {change.what}")
    print("out of step; run: python -m tools.generate --write" if changes else "in step")
    return int(bool(changes))


if __name__ == "__main__":
    sys.exit(main())
