"""How long words are for a model that reads them, counted without its tokenizer."""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

LONGEST: Final = 5000
"""Tokens that one answer may have, about: clients cut longer ones, and each stays in the conversation for good."""
MOST_FINDINGS: Final = 50
"""Problems, warnings or repairs that one answer lists; a definition of nothing but wrong keys would fill a chat. The
others are counted."""
_FINDINGS: Final = 2000
"""Tokens that the listed ones have together."""

_PIECE = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,2}|\n[ \n]*|[^\sA-Za-z0-9]")
"""What is about one token of o200k: measured on schemas, definitions, prose, ids, dates and Chinese it counts between a quarter
too many and a twelfth too few; random letters and rare characters are up to two each."""


def tokens(words: str) -> int:
    """About how many tokens the words are."""
    return sum(1 for _ in _PIECE.finditer(words))


def listable(findings: Iterable[str]) -> int:
    """How many of the first findings one answer lists: the first one however long it is."""
    room, count = _FINDINGS, 0
    for finding in islice(findings, MOST_FINDINGS):
        room -= tokens(finding)
        if room < 0 and count:
            break
        count += 1
    return count
