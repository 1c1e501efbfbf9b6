"""`docs/problems.md`: every problem and warning that a definition or a call task can draw, with an example from `tests/bad_cases/`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from mcp_server.calls.problems import CALL_CODES
from mcp_server.qp.code import Code
from mcp_server.qp.problems import CODES

CASES: Final = "tests/bad_cases"

_HEAD: Final = """\
# Problems and warnings

Generated from `mcp_server/qp/problems.py`, `mcp_server/calls/problems.py` and `tests/bad_cases/` by `python -m mcp_server schemas --write`. A *problem* blocks: nothing is
created or changed until it is mended. A *warning* never does. All findings of a call come at once, each with its path in the
arguments as they were sent, and with a replacement for what stands there where there is a likely one. Words in
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
        return f"{_code(self.path)}{got}{after} ([{self.case}](../{CASES}/{self.case}/definition.json))"


def problems_page(root: Path) -> str:
    """The page as Markdown: problems first, then warnings, each in the order of the table."""
    found = _examples(root / CASES)
    sections = [
        f"## {title}\n\n" + "\n".join(_rows(blocks, found)) + "\n"
        for title, blocks in (("Problems", True), ("Warnings", False))
    ]
    return _HEAD + "\n".join(sections)


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
