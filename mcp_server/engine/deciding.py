"""The type of a column of texts, from all of its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one
from mcp_server.engine.texts import Meaning, has_offset, is_not_a_number, passes
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SAMPLE = 20_000
_WORDS: Mapping[Meaning, Text] = {
    "bool": Text("true or false", "布尔值"),
    "whole": Text("whole numbers of 64 bits", " 64 位整数"),
    "double": Text("numbers that a double holds exactly enough", "双精度数可表示的数值"),
    "time": Text("times", "时间"),
    "list": Text("JSON lists of strings", "字符串列表（JSON）"),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What one column of texts is."""

    meaning: Meaning
    offsets: bool = False
    """Times: some are written with an offset."""
    words: bool = False
    """Numbers: some only say NaN or infinity."""
    note: Text | None = None
    """Where it became text although most values look like something else."""


@dataclass(frozen=True, slots=True)
class _Score:
    """How one meaning fits one column."""

    meaning: Meaning
    values: int
    misses: int
    example: str | None
    words: int
    """Values that only say NaN or infinity."""
    offsets: int

    @property
    def fits(self) -> bool:
        return self.misses == 0 and self.values > self.words

    @property
    def likely(self) -> bool:
        return self.misses * 2 <= self.values


def decide(
    connection: "DuckDBPyConnection", relation: str, wanted: Mapping[str, Sequence[Meaning]]
) -> dict[str, Decision]:
    """The meaning of each column of `relation` that `wanted` names, among the meanings it lists, else text.

    A sample only rules out what is hopeless; what is chosen holds for every value.
    """
    sample = f"(SELECT * FROM {relation} LIMIT {_SAMPLE})"
    open_: dict[str, list[Meaning]] = {
        column: [score.meaning for score in scores if score.likely]
        for column, scores in _scores(connection, sample, {c: list(m) for c, m in wanted.items()}).items()
    }
    decisions = {column: Decision("text") for column in wanted}
    nearest: dict[str, _Score] = {}
    while open_ := {column: meanings for column, meanings in open_.items() if meanings}:
        for column, scores in _scores(connection, relation, {c: [m.pop(0)] for c, m in open_.items()}).items():
            score = scores[0]
            if score.fits:
                decisions[column] = Decision(score.meaning, offsets=score.offsets > 0, words=score.words > 0)
                open_[column] = []
            elif score.misses > 0 and score.likely and (column not in nearest or score.misses < nearest[column].misses):
                nearest[column] = score
    for column, score in nearest.items():
        if decisions[column].meaning == "text":
            decisions[column] = Decision("text", note=_almost(score))
    return decisions


def _scores(
    connection: "DuckDBPyConnection", relation: str, wanted: Mapping[str, Sequence[Meaning]]
) -> dict[str, list[_Score]]:
    """One scan that tries the listed meanings on all columns at once."""
    asked = [(column, meaning) for column, meanings in wanted.items() for meaning in meanings]
    if not asked:
        return {}
    sql: list[str] = []
    for column, meaning in asked:
        misses = f"FILTER ({column} IS NOT NULL AND NOT {passes(meaning, column)})"
        words = f"count(*) FILTER ({is_not_a_number(column)})" if meaning in ("whole", "double") else "0"
        offsets = f"count(*) FILTER ({has_offset(column)})" if meaning == "time" else "0"
        sql += [
            f"count({column})",
            f"count(*) {misses}",
            f"min({column}) {misses}",
            words,
            offsets,
        ]
    row = one(connection, f"SELECT {', '.join(sql)} FROM {relation}")
    found: dict[str, list[_Score]] = {column: [] for column in wanted}
    for i, (column, meaning) in enumerate(asked):
        found[column].append(_Score(meaning, *row[5 * i : 5 * i + 5]))
    return found


def _almost(score: _Score) -> Text:
    """Why a column whose values are mostly of one kind is text."""
    words = _WORDS[score.meaning]
    example = (score.example or "")[:40]
    return Text(
        f"read as text: {score.misses:,} of {score.values:,} values are not {words.en}, for example {example!r}",
        f"按文本读取：{score.values:,} 个值中有 {score.misses:,} 个不是{words.zh}，例如 {example!r}",
    )
