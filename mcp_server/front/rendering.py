"""A result or an error as structured data and as text, each complete on its own.

Some clients show a model only the structured content, others only the text, so neither may lean on the
other: the text is made from the structured data, and every value in it appears. No MCP here; the command
line prints the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

from pydantic import BaseModel

from mcp_server.errors import FenqunError
from mcp_server.operations.acting import CARRIER
from mcp_server.operations.lengths import MOST_FINDINGS, listable
from mcp_server.operations.operation import Result
from mcp_server.text import Language, Text

Data = dict[str, Any]
Scalar = str | int | float | bool | None

_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
NEXT = Text("Next: ", "下一步：")
LONG = 300
"""Characters from which a value stands at the end, where it does not part the short ones."""
_WIDE_ITEM = 40
"""Characters from which the items of a list stand on lines of their own."""


# --- structured ---


def structured(result: BaseModel) -> Data:
    """The data of a result: required fields always, optional ones where they say something."""
    data = _sendable(result.model_dump(mode="json", exclude_defaults=True))
    token = result.consent_token if isinstance(result, Result) else ""
    return data | {CARRIER: token} if token else data


def structured_error(error: FenqunError, language: Language) -> Data:
    """`code`, `message` and `retryable` always; `problems`, `repairs` and `next` where there are any."""
    problems = [
        _filled(path=p.path, code=p.code, message=p.message.say(language), got=p.got, expected=p.expected.say(language), suggestion=p.suggestion)
        for p in error.problems[:MOST_FINDINGS]
    ]  # fmt: skip
    problems = problems[: listable(map(compact, problems))]
    repairs = [
        {"path": r.path, "before": r.before, "after": r.after, "reason": r.reason.say(language)}
        for r in error.repairs[:MOST_FINDINGS]
    ]
    repairs = repairs[: listable(map(compact, repairs))]
    data: Data = {"code": error.code, "message": error.message.say(language), "retryable": error.retryable}
    optional = {
        "problems": problems,
        "more_problems": len(error.problems) - len(problems),
        "repairs": repairs,
        "more_repairs": len(error.repairs) - len(repairs),
        "next": error.next_step.say(language),
    }
    return _sendable(data | {key: value for key, value in optional.items() if value})


def _filled(*, path: str, code: str, message: str, **optional: str) -> dict[str, str]:
    return {"path": path, "code": code, "message": message} | {key: value for key, value in optional.items() if value}


def _sendable(data: Data) -> Data:
    """The same data without lone surrogates, which have no UTF-8 form."""
    return _without_surrogates(data) if "\\ud" in repr(data) else data  # repr escapes them, and most data has none


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(part) for key, part in value.items()}
    return [_without_surrogates(part) for part in value] if isinstance(value, list) else value


# --- text of a result ---


def text(data: Data, language: Language) -> str:
    """The data of a result as text: the message, short values, tables, long values, what to do next."""
    ranked = [_field(key, value) for key, value in data.items() if key not in ("message", "next")]
    lines = [data["message"], *(said for _, said in sorted(ranked, key=lambda pair: pair[0]))]
    if data.get("next"):
        lines.append(NEXT.say(language) + data["next"])
    return "\n".join(lines)


def _field(key: str, value: Any) -> tuple[int, str]:
    """A field and where it stands: 0 a short line, 1 an object, 2 a table or list, 3 something long."""
    if isinstance(value, str) and ("\n" in value or len(value) > LONG):
        return 3, f"{key}:\n{_indented(value)}"
    if _is_scalar(value):
        return 0, f"{key}: {_said(value)}"
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
        return _said(value)
    return _inline(value) if value and _all_scalars(value) else compact(value)


def escaped(words: str) -> str:
    """Words that stand in one cell of a table: `|`, line breaks and the backslash itself are written with one."""
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n").replace("\r", "\\r")


def _inline(items: Iterable[Scalar]) -> str:
    return ", ".join(_item(item) for item in items)


def _item(item: Scalar, *, alone: bool = False) -> str:
    """One entry of a list; in quotes where it would run into its neighbours."""
    if isinstance(item, str) and (item != item.strip() or "\n" in item or (not alone and any(c in item for c in ',"'))):
        return compact(item)
    return _said(item)


def _said(value: Scalar) -> str:
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


# --- text of an error ---


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
