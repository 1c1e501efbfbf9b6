"""How long words are for a model that reads them, counted without its tokenizer."""

import re
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 5000
"""Tokens that one answer may have, about: clients cut longer ones, and each stays in the conversation for good."""

_PIECE = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,2}|\n[ \n]*|[^\sA-Za-z0-9]")
"""What is about one token of o200k: measured on schemas, definitions, prose, ids, dates and Chinese it counts between a quarter
too many and a twelfth too few; random letters and rare characters are up to two each."""


def tokens(words: str) -> int:
    """About how many tokens the words are."""
    return sum(1 for _ in _PIECE.finditer(words))


def fitting(parts: Iterable[str], most: int) -> int:
    """How many of the first parts have no more tokens than `most` together; at least one."""
    room, count = most, 0
    for part in parts:
        room -= tokens(part)
        if room < 0:
            break
        count += 1
    return max(count, 1)
