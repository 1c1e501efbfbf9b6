"""Reading SQL into a tree, within bounds of depth and of work.

sqlglot reads what users write; what the engine itself makes of the same text is held against the same lists in
`sql_engine_tree.py`. Two of sqlglot's habits need bounds: it recurses by nesting, and where it tries one reading after
another, some texts of forty words take it minutes (measured: joins without a condition and types inside types double the
work each).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_server.engine.sql_words import CONSTRUCTS
from mcp_server.text import Text, same

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

MOST_LEVELS = 32
"""Brackets inside brackets; each costs the parser some thirty calls of Python's stack."""
_STEPS_PER_WORD = 100
_STEPS = 10_000
"""Steps over the words of a text that its reading may take. Ordinary statements take 5 to 15 a word."""


_OPEN = Text("a quote or a comment is left open", "引号或注释没有闭合")

_NO_WORD = Text("the name of a type or a column is written in a way that means nothing", "类型名或列名的写法无法识别")


class Unreadable(Exception):
    """The text is no SQL: why, and where (offset)."""

    def __init__(self, why: Text, offset: int | None) -> None:
        super().__init__(why.en)
        self.why = why
        self.offset = offset


class Command(Exception):
    """A word begins something that is no query, and where (offset)."""

    def __init__(self, word: str, offset: int) -> None:
        super().__init__(word)
        self.word = word
        self.offset = offset


class TooEntangled(Exception):
    """Reading the text would take too deep a stack or too much work."""


def words_of(sql: str) -> "Sequence[Token]":
    """The words of a text, comments left out. Unreadable: a quote or a comment is left open."""
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.errors import TokenError

    try:
        return DuckDB().tokenize(sql)
    except TokenError:
        raise Unreadable(_OPEN, None) from None


def levels(words: "Sequence[Token]") -> int:
    """How deep brackets stand inside brackets; an index of an index (`a[1][2]`) counts as a level as well."""
    deepest = now = chained = 0
    before = ""
    for word in words:
        now += (word.text in ("(", "[", "{")) - (word.text in (")", "]", "}"))
        chained += word.text == "[" and before == "]"
        deepest, before = max(deepest, now), word.text
    return max(deepest, chained)


def tree_of(words: "Sequence[Token]", sql: str) -> "exp.Expr":
    """The tree of one statement. Unreadable, Command, TooEntangled: there is none."""
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.errors import ErrorLevel, SqlglotError

    dialect = DuckDB()
    budget = _STEPS + _STEPS_PER_WORD * len(words)

    class Bounded(dialect.parser_class):  # type: ignore[name-defined, misc]  # known when it runs
        """The parser with a counter of its steps; it takes no statement that it does not understand for a command."""

        __slots__ = ("steps",)

        def _advance(self, times: int = 1) -> None:
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps > budget:
                raise TooEntangled
            super()._advance(times)

        def validate_expression(self, expression: "exp.Expr", args: "list[object] | None" = None) -> "exp.Expr":
            # How many arguments a function takes is for the engine to say.
            if isinstance(expression, exp.Func) and expression.key not in CONSTRUCTS:
                return expression
            validated: exp.Expr = super().validate_expression(expression, args)
            return validated

        def _parse_as_command(self, start: "Token") -> "exp.Command":
            raise Command(start.text.upper(), start.start)

        def _warn_unsupported(self) -> None:
            self.raise_error("Unsupported syntax", self._prev)

    try:
        found: list[exp.Expr | None] = Bounded(dialect=dialect, error_level=ErrorLevel.IMMEDIATE).parse(
            list(words), sql
        )
    except SqlglotError as error:  # also where it takes a part of the text apart once more
        raise Unreadable(*_described(error, sql)) from None
    except RecursionError:
        raise TooEntangled from None
    if len(found) != 1 or found[0] is None:
        raise Unreadable(same("No statement"), None)
    return found[0]


def _described(error: Exception, sql: str) -> tuple[Text, int | None]:
    """What the parser says and where it belongs; its columns count to the end of a word."""
    found = getattr(error, "errors", None)
    if not found:
        return _NO_WORD, None
    line, column, said = found[0].get("line") or 1, found[0].get("col") or 1, found[0].get("description") or ""
    before = sum(len(text) + 1 for text in sql.split("\n")[: line - 1])
    known = next((text for start, text in _SAID.items() if said.startswith(start)), None)
    return known or same(said), max(before + column - len(found[0].get("highlight") or ""), 0)


_SAID = {
    "Required keyword": Text("something is missing here", "此处缺少内容"),
    "Invalid expression": Text("this word does not fit here", "此处的词不符合语法"),
    "Unsupported syntax": Text("this is not supported", "不支持此写法"),
    "Expecting )": Text("a closing bracket is missing before this", "此处之前缺少右括号"),
}
"""The parser's own words, by how they begin."""
