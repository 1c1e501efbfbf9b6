"""Answers that would be too long for a chat: a shorter page, else what fits, and all of it in a file.

A client cuts what is too long wherever it likes, and what it does not cut fills the conversation. So a page is asked
for again, shorter (its message then names the next offset); of anything else parts are left out here, and the answer
says which, and where all of it is.
"""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_server.effect import Effect
from mcp_server.errors import FenqunError
from mcp_server.front import rendering
from mcp_server.front.rendering import Data
from mcp_server.operations.calling import call
from mcp_server.operations.lengths import LONGEST, tokens
from mcp_server.operations.operation import Deps, Operation, Result
from mcp_server.operations.schema import output_schema
from mcp_server.text import Language, Text, listed

_log = logging.getLogger("fenqun")

_SHORT: Final = 4000
"""Characters of text of which nothing need be counted."""
_TRIES: Final = 4
"""Shorter pages that are tried."""
_NOTE: Final = 250
"""Tokens kept for saying what is left out."""
_PAGE: Final = "limit"
_WANTED: Final = ("changes", "explanation", "problems", "warnings")
"""What is kept before all else: what a person is to approve, and what is to be mended."""

_CUT = Text("{name} ({shown} of {all})", "{name}（{all} 项中的 {shown} 项）")
_LEFT_OUT = Text(
    "Left out or cut here, because one answer would be too long: {parts}.", "内容过长，此处已省略或截短：{parts}。"
)
_WHOLE = Text("All of it is in the file {place}.", "完整内容见文件 {place}。")
_NARROW = Text("Ask for less at once.", "请缩小查询范围。")


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of a result as it is sent, and the same as text."""

    data: Data
    text: str
    file: str = ""
    """Where all of it is, where it was too long: a path, or over HTTP an address."""


async def answered(operation: Operation[Any, Any], arguments: Mapping[str, object], deps: Deps) -> Answer:
    """Call an operation; what it answers, no longer than about `LONGEST` tokens. Raises what the call raises."""
    found = as_answer(await call(operation, arguments, deps), deps.language)
    for _ in range(_TRIES):
        size, rows = _size(found), _rows(found.data)
        if size <= LONGEST:
            return found
        if operation.effect is not Effect.READ or _PAGE not in operation.params.model_fields or rows < 2:
            break
        arguments = {**arguments, _PAGE: max(1, min(rows - 1, rows * LONGEST * 9 // (size * 10)))}
        found = as_answer(await call(operation, arguments, deps), deps.language)
    if _size(found) <= LONGEST:
        return found
    return _cut(found, operation, arguments, deps)


def as_answer(result: Result, language: Language) -> Answer:
    """A result as it is sent, however long."""
    return _answer(rendering.structured(result), language)


def _answer(data: Data, language: Language, file: str = "") -> Answer:
    return Answer(data, rendering.text(data, language), file)


def _size(found: Answer) -> int:
    """Tokens of the longer one of both forms; 0 where that is certainly short."""
    if len(found.text) <= _SHORT:
        return 0
    return max(tokens(found.text), tokens(rendering.compact(found.data)))


def _rows(data: Data) -> int:
    return sum(len(value) for value in data.values() if isinstance(value, list))


def _cut(found: Answer, operation: Operation[Any, Any], arguments: Mapping[str, object], deps: Deps) -> Answer:
    """What fits of an answer, with a note of what does not; all of it in a file, where there can be one."""
    needed = {"message", "next", *output_schema(operation).get("required", ())}
    kept, parts = _shortened(found.data, needed, deps.language)
    said = _LEFT_OUT.format(parts=listed(parts))
    file = _kept(json.dumps(found.data, ensure_ascii=False, indent=1), operation.name, arguments, deps)
    said = said.then(_WHOLE.format(place=file) if file else _NARROW)
    after = kept.get("next", "")
    kept["next"] = deps.say(said.then(Text(after, after)))
    return _answer(kept, deps.language, file)


def _shortened(data: Data, needed: Collection[str], language: Language) -> tuple[Data, list[Text]]:
    """The short parts of the data, and of the long ones what fits beside them, the most wanted first; and what does not."""
    sizes = {name: len(rendering.compact(value)) for name, value in data.items() if name not in needed}
    long = sorted((name for name in sizes if sizes[name] > rendering.LONG), key=lambda n: (_rank(n), sizes[n]))
    kept = {name: value for name, value in data.items() if name not in long}
    parts = []
    for name in long:
        value = data[name]
        if _fits({**kept, name: value}, language):
            kept[name] = value
            continue
        shown = _entries_that_fit(kept, name, value, language) if isinstance(value, list) else 0
        if shown:
            kept[name] = value[:shown]
        parts.append(_CUT.format(name=name, shown=shown, all=len(value)) if shown else Text(name, name))
    return {name: kept[name] for name in data if name in kept}, parts


def _rank(name: str) -> int:
    return _WANTED.index(name) if name in _WANTED else len(_WANTED)


def _fits(data: Data, language: Language) -> bool:
    return _size(_answer(data, language)) <= LONGEST - _NOTE


def _entries_that_fit(kept: Data, name: str, value: list[Any], language: Language) -> int:
    """How many of the first entries go with the rest."""
    low, high = 0, len(value) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits({**kept, name: value[:middle]}, language) else (low, middle - 1)
    return low


def _kept(words: str, tool: str, arguments: Mapping[str, object], deps: Deps) -> str:
    """Keep the whole answer as a file of its project; where it is. What was done stays done where it can't be kept."""
    if deps.exports is None:
        return ""
    project = deps.project(str(arguments.get("project_id") or ""))
    try:
        path = deps.exports.keep_answer(words, tool)
        if deps.files is not None:
            return deps.files.offer(path, project)
        deps.exports.offer(path, project, deps.who.name)
    except (FenqunError, OSError):
        _log.warning("a long answer of %s could not be kept", tool, exc_info=True)
        return ""
    return str(path)
