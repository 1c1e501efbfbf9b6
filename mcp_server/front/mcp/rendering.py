"""A result or an error as structured data and as text, each complete on its own and short enough for a chat.

Some clients show a model only the structured content, others only the text, so neither may lean on the other: the
text is made from the structured data, and every value in it appears. No MCP here; the command line prints the same.
"""

import json
import logging
import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from pydantic import BaseModel

from mcp_server.consent.invoke import CARRIER, invoke
from mcp_server.errors import FenqunError
from mcp_server.operations.arguments import output_schema
from mcp_server.operations.operation import Deps, Effect, Operation, Result
from mcp_server.operations.results import LONGEST, MOST_FINDINGS, listable, tokens
from mcp_server.text import Language, Text, listed, same

Data = dict[str, Any]
Scalar = str | int | float | bool | None

_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
NEXT = Text("Next: ", "下一步：")
LONG = 300
"""Characters from which a value goes to the end, where it does not separate the short ones."""
_WIDE_ITEM = 40
"""Characters from which each item of a list gets a line of its own."""


# Structured data


def structured(result: BaseModel) -> Data:
    """The data of a result: required fields always, optional ones where they differ from their default."""
    data = _sendable(result.model_dump(mode="json", exclude_defaults=True))
    return data | {CARRIER: result.consent_token} if isinstance(result, Result) and result.consent_token else data


def structured_error(error: FenqunError, language: Language) -> Data:
    """`code`, `message` and `retryable` always; `problems`, `repairs` and `next` where there are any."""
    problems = []
    for p in error.problems[:MOST_FINDINGS]:
        optional = {"got": p.got, "expected": p.expected.say(language), "suggestion": p.suggestion}
        row = {"path": p.path, "code": p.code, "message": p.message.say(language)}
        problems.append(row | {key: value for key, value in optional.items() if value})
    problems = problems[: listable(map(compact, problems))]
    repairs = [
        {"path": r.path, "before": r.before, "after": r.after, "reason": r.reason.say(language)}
        for r in error.repairs[:MOST_FINDINGS]
    ]
    repairs = repairs[: listable(map(compact, repairs))]
    data: Data = {"code": error.code, "message": error.message.say(language), "retryable": error.retryable}
    more = {
        "problems": problems,
        "more_problems": len(error.problems) - len(problems),
        "repairs": repairs,
        "more_repairs": len(error.repairs) - len(repairs),
        "next": error.next_step.say(language),
    }
    return _sendable(data | {key: value for key, value in more.items() if value})


_COMMAND: Final = re.compile(
    r"(?<![\w/\\.-])fenqun (approve|doctor|install|load|log|look|pending|purge|serve|token|uninstall)\b"
)


def with_commands(data: Data, command_line: tuple[str, str] | None) -> Data:
    """The same data with commands in its sentences that run as they are: absolute, with the workspace."""
    if command_line is None:
        return data
    program, options = command_line

    def runnable(words: str) -> str:
        return _COMMAND.sub(lambda match: f"{program} {match[1]} {options}", words)

    sentences = {key: runnable(data[key]) for key in ("message", "next") if isinstance(data.get(key), str)}
    return data | sentences


def _sendable(data: Data) -> Data:
    """The same data without lone surrogates, which have no UTF-8 form."""
    return _without_surrogates(data) if "\\ud" in repr(data) else data  # repr escapes them, and most data has none


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(part) for key, part in value.items()}
    return [_without_surrogates(part) for part in value] if isinstance(value, list) else value


# The text of a result


def text(data: Data, language: Language) -> str:
    """The data of a result as text: the message, short values, tables, long values, what to do next."""
    ranked = [_field(key, value) for key, value in data.items() if key not in ("message", "next")]
    lines = [data["message"], *(line for _, line in sorted(ranked, key=lambda pair: pair[0]))]
    if data.get("next"):
        lines.append(NEXT.say(language) + data["next"])
    return "\n".join(lines)


def _field(key: str, value: Any) -> tuple[int, str]:
    """A field and its rank: 0 a short line, 1 an object, 2 a table or list, 3 something long."""
    if isinstance(value, str) and ("\n" in value or len(value) > LONG):
        return 3, f"{key}:\n{_indented(value)}"
    if _is_scalar(value):
        return 0, f"{key}: {_word(value)}"
    if _all_scalars(value):
        return _list_field(key, value)
    if _is_table(value):
        return 2, f"{key} ({len(value)}):\n{_indented(_table(value))}"
    if _is_simple(value):
        return 1, f"{key}:\n{_indented(chr(10).join(_field(name, part)[1] for name, part in value.items()))}"
    line = f"{key}: {compact(value)}"
    return (3 if len(line) > LONG else 0), line


def _list_field(key: str, items: Sequence[Scalar]) -> tuple[int, str]:
    if not items:
        return 0, f"{key}: []"
    if all(len(_item(item)) <= _WIDE_ITEM for item in items):
        return 0, f"{key}: {_inline(items)}"
    return 2, f"{key} ({len(items)}):\n" + _indented("\n".join(f"- {_item(item, alone=True)}" for item in items))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One header line, one line for each row; a cell is empty where the row has no such key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, *([_cell(row[key]) if key in row else "" for key in columns] for row in rows)]
    return "\n".join(_row(line) for line in lines)


def _row(cells: Sequence[str]) -> str:
    line = " | ".join(map(escaped, cells))
    return line if cells[-1] else line.removesuffix(" ")


def _cell(value: Any) -> str:
    if _is_scalar(value):
        return _word(value)
    return _inline(value) if value and _all_scalars(value) else compact(value)


def escaped(words: str) -> str:
    """Words for one cell of a table: `|`, line breaks and the backslash itself are written with a backslash."""
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n").replace("\r", "\\r")


def _inline(items: Iterable[Scalar]) -> str:
    return ", ".join(_item(item) for item in items)


def _item(item: Scalar, *, alone: bool = False) -> str:
    """One entry of a list; in quotes where it would run into its neighbours."""
    if isinstance(item, str) and (item != item.strip() or "\n" in item or (not alone and any(c in item for c in ',"'))):
        return compact(item)
    return _word(item)


def _word(value: Scalar) -> str:
    return value if isinstance(value, str) and value else compact(value)


def compact(value: Any) -> str:
    """The data as JSON without blanks, letters of any language as they are."""
    return _COMPACT.encode(value)


def _indented(words: str) -> str:
    """Two blanks before every line: a value with line breaks cannot pass for a line of ours."""
    return "\n".join("  " + line for line in words.split("\n"))


def _is_scalar(value: Any) -> TypeGuard[Scalar]:
    return not isinstance(value, dict | list)


def _all_scalars(value: Any) -> TypeGuard[list[Scalar]]:
    return isinstance(value, list) and all(map(_is_scalar, value))


def _is_table(value: Any) -> TypeGuard[list[Data]]:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and row for row in value)


def _is_simple(value: Any) -> TypeGuard[Data]:
    """An object whose members are scalars and lists of them. A definition is not one: it stays JSON, ready to be sent."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_is_scalar(part) or _all_scalars(part) for part in value.values())
    )


# The text of an error


def error_text(data: Data, language: Language) -> str:
    """The data of an error as text: the message, one line for each problem and repair, what to do next, the code."""
    lines = [data["message"], *map(_problem_line, data.get("problems", ()))]
    if "more_problems" in data:
        lines.append(f"more_problems: {data['more_problems']}")
    if "repairs" in data:
        lines += ["repairs:", *map(_repair_line, data["repairs"])]
    if "more_repairs" in data:
        lines.append(f"more_repairs: {data['more_repairs']}")
    if "next" in data:
        lines.append(NEXT.say(language) + data["next"])
    return "\n".join([*lines, f"code: {data['code']}; retryable: {compact(data['retryable'])}"])


def _problem_line(problem: Mapping[str, str]) -> str:
    message = problem["message"]
    about = [problem["code"]]
    if "got" in problem:
        about.append(f'got "{problem["got"]}"')
    if problem.get("expected", message) not in message:
        about.append(f"expected {problem['expected']}")
    if "suggestion" in problem:
        about.append(f"suggestion {problem['suggestion']}")
    return f"{_where(problem['path'])}: {message} ({'; '.join(about)})"


def _repair_line(repair: Mapping[str, str]) -> str:
    return f"{_where(repair['path'])}: {repair['before']} → {repair['after']} ({repair['reason']})"


def _where(path: str) -> str:
    return path or "(arguments)"


# Answers that would be too long for a chat
#
# A client cuts what is too long anywhere, and what it does not cut fills the conversation. So a shorter page is
# requested (its message then names the next offset); of anything else parts are left out here, and the answer says
# which, and in which file all of it is.


_log = logging.getLogger("fenqun")

_SHORT: Final = 4000
"""Characters of text whose tokens need not be counted."""
_TRIES: Final = 4
"""Shorter pages that are tried."""
_NOTE: Final = 250
"""Tokens kept for saying what is left out."""
_PAGE: Final = "limit"
_WANTED: Final = ("changes", "explanation", "problems", "warnings")
"""What is kept before all else: what a person is to approve, and what is to be fixed."""

_CUT = Text("{name} ({shown} of {all})", "{name}（{all} 项中的 {shown} 项）")
_LEFT_OUT = Text(
    "Left out or cut here, because one answer would be too long: {parts}.", "内容过长，此处已省略或截短：{parts}。"
)
_WHOLE = Text("All of it is in the file {place}.", "完整内容见文件 {place}。")
_NARROW = Text("Ask for less at once.", "请缩小查询范围。")


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """The data of a result as it is sent, and the same as text."""

    data: Data
    text: str


async def answered(operation: Operation[Any, Any], arguments: Mapping[str, object], deps: Deps) -> ToolOutput:
    """Invoke an operation; its answer, no longer than about `LONGEST` tokens. Raises what `invoke` raises."""
    output = as_answer(await invoke(operation, arguments, deps), deps.language, deps.command_line)
    for _ in range(_TRIES):
        size, rows = _size(output), _rows(output.data)
        if size <= LONGEST:
            return output
        if operation.effect is not Effect.READ or _PAGE not in operation.params.model_fields or rows < 2:
            break
        arguments = {**arguments, _PAGE: max(1, min(rows - 1, rows * LONGEST * 9 // (size * 10)))}
        output = as_answer(await invoke(operation, arguments, deps), deps.language, deps.command_line)
    if _size(output) <= LONGEST:
        return output
    return _cut(output, operation, arguments, deps)


def as_answer(result: Result, language: Language, command_line: tuple[str, str] | None = None) -> ToolOutput:
    """A result as it is sent, however long."""
    data = with_commands(structured(result), command_line)
    return ToolOutput(data, text(data, language))


def _size(output: ToolOutput) -> int:
    """Tokens of the longer one of both forms; 0 where that is certainly short."""
    if len(output.text) <= _SHORT:
        return 0
    return max(tokens(output.text), tokens(compact(output.data)))


def _rows(data: Data) -> int:
    return sum(len(value) for value in data.values() if isinstance(value, list))


def _cut(output: ToolOutput, operation: Operation[Any, Any], arguments: Mapping[str, object], deps: Deps) -> ToolOutput:
    """What fits of an answer, with a note of what does not; all of it in a file, where there can be one."""
    needed = {"message", "next", *output_schema(operation).get("required", ())}
    kept, parts = _shortened(output.data, needed, deps.language)
    note = _LEFT_OUT.format(parts=listed(parts))
    file = _kept(json.dumps(output.data, ensure_ascii=False, indent=1), operation.name, arguments, deps)
    note = note.then(_WHOLE.format(place=file) if file else _NARROW)
    kept["next"] = deps.say(note.then(same(kept.get("next", ""))))
    return ToolOutput(kept, text(kept, deps.language))


def _shortened(data: Data, needed: Collection[str], language: Language) -> tuple[Data, list[Text]]:
    """The short parts of the data, and of the long ones what fits beside them, `_WANTED` first; and what does not."""
    sizes = {name: len(compact(value)) for name, value in data.items() if name not in needed}
    wanted = {name: rank for rank, name in enumerate(_WANTED)}
    long = sorted((n for n in sizes if sizes[n] > LONG), key=lambda n: (wanted.get(n, len(wanted)), sizes[n]))
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
        parts.append(_CUT.format(name=name, shown=shown, all=len(value)) if shown else same(name))
    return {name: kept[name] for name in data if name in kept}, parts


def _fits(data: Data, language: Language) -> bool:
    return _size(ToolOutput(data, text(data, language))) <= LONGEST - _NOTE


def _entries_that_fit(kept: Data, name: str, value: list[Any], language: Language) -> int:
    """How many of the first entries fit beside the rest; not all of them do."""
    return bisect(range(1, len(value)), False, key=lambda n: not _fits({**kept, name: value[:n]}, language))


def _kept(words: str, tool: str, arguments: Mapping[str, object], deps: Deps) -> str:
    """Keep the whole answer as a file of its project; its place, "" where it can't be kept."""
    if deps.exports is None:
        return ""
    project = deps.project(str(arguments.get("project_id") or ""))
    try:
        path = deps.exports.keep_answer(words, tool)
        if deps.files is not None:
            return deps.files.offer(path, project)
        deps.exports.offer(path, project, deps.caller.name)
    except (FenqunError, OSError):
        _log.warning("a long answer of %s could not be kept", tool, exc_info=True)
        return ""
    return str(path)
