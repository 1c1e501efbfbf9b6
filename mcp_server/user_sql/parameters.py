"""The parameters of SQL that users write: `${PartDate:name}`, a condition on days (qp.md section 5).

As on the vendor's platform a parameter becomes the text `"$part_date" BETWEEN 'yyyy-MM-dd' AND 'yyyy-MM-dd'` (without brackets,
so that `e.${PartDate:name}` names a table as well). Its days are computed anew each time the SQL runs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from mcp_server.errors import Problem
from mcp_server.language.problems import finding, pointer, shorten
from mcp_server.language.sql import DayRange
from mcp_server.language.suggest import nearest
from mcp_server.language.values import Days, recent_days
from mcp_server.text import Text

_PIECES = re.compile(
    r"""
    # What a parameter cannot be inside of; left open, it reaches to the end.
    '(?:[^']|'')*+(?:'|\Z) | "(?:[^"]|"")*+(?:"|\Z) | --[^\n]*+ | /\*.*?(?:\*/|\Z)
    | (?P<parameter>\$\{(?P<kind>[^{}:]*):?(?P<name>[^{}]*)\})
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED_PARAMETER = re.compile(r"\$\{[^{}]*\}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ANY_DAYS = Days(date(2000, 1, 1), date(2000, 1, 1))


@dataclass(frozen=True, slots=True)
class TextPosition:
    """A position in a text, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Template:
    """SQL split at its parameters. `parts` alternate: text, parameter name, text, …, text."""

    sql: str
    parts: tuple[str, ...]
    starts: tuple[int, ...]
    """Where each part begins in `sql`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, each once, in their order."""
        return tuple(name for name in dict.fromkeys(self.parts[1::2]) if name)

    def filled(self, days: Mapping[str, Days]) -> str:
        """Return the text with a condition for every parameter; those that are not in `days` get any."""
        return "".join(_condition(days.get(part, _ANY_DAYS)) if i % 2 else part for i, part in enumerate(self.parts))

    def place(self, offset: int) -> TextPosition:
        """Return where in `sql` an offset of the filled text is (inside a condition: where its parameter begins)."""
        done = 0
        for i, part in enumerate(self.parts):
            length = len(_condition(_ANY_DAYS)) if i % 2 else len(part)
            if offset < done + length or i == len(self.parts) - 1:
                return place_in(self.sql, self.starts[i] + (0 if i % 2 else offset - done))
            done += length
        raise AssertionError("a template has a part")

    def cut(self, end: int) -> "Template":
        """Return the template of the filled text up to an offset."""
        parts, done = [], 0
        for i, part in enumerate(self.parts):
            parts.append(part if i % 2 else part[: max(end - done, 0)])
            done += len(_condition(_ANY_DAYS)) if i % 2 else len(part)
            if done >= end and i % 2 == 0:
                break
        return Template(self.sql, tuple(parts), self.starts[: len(parts)])


def place_in(text: str, offset: int) -> TextPosition:
    """Return line and column of an offset."""
    before = text[: max(offset, 0)]
    return TextPosition(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def read_template(sql: str, path: str) -> tuple[Template, list[Problem]]:
    """Split SQL at its parameters; those of another kind, or inside quotes, are problems."""
    parts, starts, problems, end = [""], [0], [], 0
    for match in _PIECES.finditer(sql):
        place = place_in(sql, match.start())
        if match["parameter"] is None:
            if match[0][0] in "'\"" and (quoted := _QUOTED_PARAMETER.search(match[0])):
                problems.append(_refused(quoted[0], path, place))
            continue
        name = match["name"].strip() if match["kind"] == "PartDate" else ""
        if not name:
            problems.append(_refused(match[0], path, place))
        parts[-1] = sql[end : match.start()]
        parts += [name, ""]
        starts += [match.start(), match.end()]
        end = match.end()
    parts[-1] = sql[end:]
    return Template(sql, tuple(parts), tuple(starts)), problems


def parameter_problems(names: tuple[str, ...], given: Mapping[str, DayRange], path: str) -> Iterator[Problem]:
    """Yield parameters without a value, values without a parameter, and values that are no days."""
    for name in names:
        if name not in given:
            close = nearest(name, [other for other in given if other not in names])
            yield finding("sql_parameter_missing", path, got=name, suggestion=close)
    for name, value in given.items():
        if name not in names:
            yield finding("sql_parameter_unused", f"{path}{pointer([name])}", got=name, suggestion=nearest(name, names))
        elif days_of(value, date(2000, 1, 1)) is None:
            shown = value if isinstance(value, str) else " … ".join(value)
            yield finding("sql_parameter_value", f"{path}{pointer([name])}", got=shown, name=shorten(name))


def days_of(value: DayRange, today: date) -> Days | None:
    """Return the days that a value means today; None where it means none."""
    if isinstance(value, str):
        return recent_days(value, today)
    first, last = (_day(text) for text in value)
    return Days(first, last) if first and last and first <= last else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _condition(days: Days) -> str:
    return f"\"$part_date\" BETWEEN '{days.first.isoformat()}' AND '{days.last.isoformat()}'"


def _refused(written: str, path: str, place: TextPosition) -> Problem:
    return at(finding("sql_parameter_refused", path, got=written), place)


def at(problem: Problem, place: TextPosition) -> Problem:
    """Return the problem with its position in the message."""
    line, column = place.line, place.column
    words = Text(f"(Line {line}, column {column}.)", f"（第 {line} 行第 {column} 列。）")
    return replace(problem, message=problem.message.then(words))
