"""Read a definition as it was sent: repair it, and find everything that is wrong with it, all at once.

Three stages (qp.md section 8): shape (the strict models), meaning (this file, with the project's metadata),
platform (whoever it is sent to). The meaning stage walks the repaired JSON and not the models, so that a
wrong key in one condition does not hide an unknown event in the next.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mcp_server.errors import InvalidDefinition, Problem, Repair
from mcp_server.qp import vocabulary as words
from mcp_server.qp.meaning import Finder
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import Qp, normalised
from mcp_server.qp.problems import blocking, finding, pointer, warnings_of
from mcp_server.qp.repair import repair
from mcp_server.qp.sent import Repaired, from_json, too_deep
from mcp_server.qp.shape import shape_problems
from mcp_server.text import Text

Path = tuple[str | int, ...]
RegexFault = Callable[[str], str]
"""Why a pattern is not valid RE2; "" where it is. Only an engine knows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a definition."""

    definition: Qp | None
    """None where there are problems."""
    repairs: tuple[Repair, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def normalised(self) -> dict[str, Any]:
        """The documented form; empty where there are problems."""
        return normalised(self.definition) if self.definition else {}

    def must(self) -> Qp:
        """The definition, or InvalidDefinition with all its problems."""
        if self.definition is None:
            raise InvalidDefinition(
                Text(
                    "The definition has {n} problem(s); nothing was changed.", "定义有 {n} 处问题；未做任何更改。"
                ).format(n=len(self.problems)),
                next_step=Text(
                    "Mend every problem and call again; describe_data finds names.",
                    "请逐条修正后重新调用；名称可用 describe_data 查找。",
                ),
                problems=self.problems,
                repairs=self.repairs,
            )
        return self.definition


def read(
    raw: object, metadata: Metadata, *, root: Path = ("qp",), regex_fault: RegexFault | None = None, own: str = ""
) -> Reading:
    """Read a definition that was sent at `root` of the arguments. Never raises for bad input.

    `own` is the name of the cluster that it is for; it may not reach itself through other clusters.
    """
    refused = _refused(raw, root)
    if refused:
        return Reading(None, (), (refused,), ())
    done = repair(raw, metadata, root)
    shaped = _validated(done)
    found = [*shape_problems(shaped, done, metadata)] if isinstance(shaped, ValidationError) else []
    found += Finder(done, metadata, regex_fault or _unchecked, own).findings()
    found = _once(found)
    problems = tuple(blocking(found))
    definition = shaped if isinstance(shaped, Qp) and not problems else None
    return Reading(definition, tuple(done.repairs), problems, tuple(warnings_of(found)))


def _unchecked(_pattern: str) -> str:
    return ""


def _validated(done: Repaired) -> Qp | ValidationError:
    try:
        return Qp.model_validate(done.value)
    except ValidationError as error:
        return error


def _refused(raw: object, root: Path) -> Problem | None:
    """Input that is not walked at all: no JSON, nested without end, or not Unicode."""
    path = pointer(root)
    if isinstance(raw, str):
        try:
            raw = from_json(raw)
        except ValueError as error:
            return finding("json_invalid", path, got=raw, detail=_json_fault(error))
    if too_deep(raw):
        limit = Text("{n} levels of groups", "{n} 层嵌套组").format(n=words.MAX_DEPTH)
        return finding("definition_too_large", path, limit=limit)
    if not isinstance(raw, Mapping):
        return finding("type_wrong", path, got=raw, expected=Text("an object", "对象"))
    for text, at in _texts(raw, root):
        if any("\ud800" <= c <= "\udfff" for c in text):
            return finding("text_invalid", pointer(at))
    return None


def _json_fault(error: ValueError) -> Text:
    """What is wrong with a JSON text: the parser's own words, and in Chinese the place."""
    if isinstance(error, json.JSONDecodeError):
        line, column = error.lineno, error.colno
        return Text(f"{error.msg}, line {line}, column {column}", f"第 {line} 行第 {column} 列")
    return Text(str(error)[:120], "嵌套过深，或含有 NaN 之类的非法数值")


def _texts(node: object, at: Path) -> Iterator[tuple[str, Path]]:
    """Every text in the input, keys too. The depth was checked before."""
    if isinstance(node, str):
        yield node, at
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield str(key), at
            yield from _texts(value, (*at, str(key)))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _texts(value, (*at, i))


def _once(found: list[Problem]) -> list[Problem]:
    """One finding per place and code, in the order in which they stand in the definition."""
    seen: dict[tuple[str, str], Problem] = {}
    for one in found:
        seen.setdefault((one.path, one.code), one)
    return list(seen.values())
