"""Words that are read by what stands beside them: at least, at most, contains (qp.md section 1)."""

from collections.abc import Iterable
from typing import Literal

from mcp_server.qp import vocabulary as words


def bound_side(word: object) -> Literal["least", "most", ""]:
    """Which bound a word such as `gte` or `atMost` sets; "" for any other word."""
    if _among(word, words.AT_LEAST):
        return "least"
    return "most" if _among(word, words.AT_MOST) else ""


def contains_side(word: object) -> Literal["any", "none", ""]:
    """What `contains` and `notContains` ask for; "" for any other word."""
    if _among(word, words.CONTAINS_BY_TYPE):
        return "any"
    return "none" if _among(word, words.NOT_CONTAINS_BY_TYPE) else ""


def _among(word: object, spellings: tuple[str, ...]) -> bool:
    return isinstance(word, str) and word.strip().casefold() in {s.casefold() for s in spellings}


def synonyms_of(
    rows: Iterable[words.Comparator] | Iterable[words.NumberComparator] | Iterable[words.Measure],
) -> dict[str, str]:
    """Every synonym in a table with the word that it stands for."""
    return {synonym: row.word for row in rows for synonym in row.synonyms}
