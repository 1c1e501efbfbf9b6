"""How alike names are, and the legal word or name nearest to one that does not exist."""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import count
from typing import NamedTuple

_WORD_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
CLOSE = 0.6
"""Likeness from which a name is worth suggesting; below it a suggestion would be a guess.

A likeness below it is only an upper bound: the order of letters is not compared.
"""
_SOUNDS_ALIKE = 0.95
_GROUPS = (
    "录陆", "账帐", "充冲", "费废", "订定", "份分", "像象相", "作做", "座坐", "市事式是", "付副", "再在", "记纪", "刻克", "戴带",
    "销消", "员园", "元圆", "级集", "值植", "奖讲", "券卷", "享想", "购够", "册侧", "域欲", "签鉴", "版板", "连联", "制治", "形型",
)  # fmt: skip
"""Characters of the same sound that people mix up in such names: 登陆 for 登录, 帐号 for 账号, 冲值 for 充值."""
_SOUNDS = {ord(character): group[0] for group in _GROUPS for character in group}
_CHINESE = re.compile("[\u4e00-\u9fff]+")


@lru_cache(maxsize=10_000)
def fold(word: str) -> str:
    """Drop case, blanks, underscores and punctuation from a word: what people mix up when they spell a name."""
    return "".join(c for c in word.casefold() if c.isalnum())


class Spelling(NamedTuple):
    """A name in the forms in which names are compared."""

    folded: str
    sound: str
    letters: frozenset[tuple[str, int]]
    """Each letter with how often it occurs before, so that an intersection counts the shared ones."""
    parts: frozenset[str]


@lru_cache(maxsize=20_000)
def spelling(name: str) -> Spelling:
    """Prepare a name for comparisons; cached, because a search compares every word with every name."""
    folded = fold(name)
    before: dict[str, count[int]] = {}
    letters = frozenset((letter, next(before.setdefault(letter, count()))) for letter in folded)
    parts = frozenset(map(str.casefold, _WORD_PARTS.findall(name)))
    return Spelling(folded, folded.translate(_SOUNDS), letters, parts)


def likeness(asked: str, candidate: str) -> float:
    """Return how alike two names are, 0 to 1: same letters in the same order, or the same parts in another order."""
    return alike(spelling(asked), spelling(candidate))


def alike(one: Spelling, other: Spelling) -> float:
    """As `likeness`, of prepared names."""
    a, b = one.folded, other.folded
    if not a or not b:
        return 0.0
    if a == b:
        return 1.0
    if one.sound == other.sound:
        return _SOUNDS_ALIKE
    # Most pairs have few letters in common: comparing the order, which is slow, could not make them close.
    score = 2 * len(one.letters & other.letters) / (len(a) + len(b))
    if score >= CLOSE:
        score = SequenceMatcher(None, a, b, autojunk=False).ratio()
    short, long = (a, b) if len(a) < len(b) else (b, a)
    if len(short) >= 2 and short in long:
        score = max(score, 0.7 + 0.2 * len(short) / len(long))
    shared = len(one.parts & other.parts)
    return max(score, 0.95 * shared / len(one.parts | other.parts)) if shared else score


def one_sign_apart(asked: str, candidate: str) -> bool:
    """Whether two short Chinese words of the same length differ in one character: 登陆 and 登录, but 登出 and 登录 as well.

    Good enough for a search, not for a suggestion: the result may be another word.
    """
    a, b = fold(asked), fold(candidate)
    if len(a) != len(b) or not 2 <= len(a) <= 4 or not (_CHINESE.fullmatch(a) and _CHINESE.fullmatch(b)):
        return False
    return sum(x != y for x, y in zip(a, b, strict=True)) == 1


def nearest(asked: str, candidates: Iterable[str], *, least: float = CLOSE) -> str:
    """Return the most alike candidate, or "" where none is close."""
    return nearest_named(asked, dict.fromkeys(candidates, ()), least=least)


def nearest_named(asked: str, names: Mapping[str, Iterable[str]], *, least: float = CLOSE) -> str:
    """Return the key with the most alike name (its own or a display name); "" where none is close."""
    scored = (
        (max((likeness(asked[:200], n) for n in (key, *others) if n), default=0.0), key)
        for key, others in names.items()
    )
    best_score, best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
    return best if best_score >= least else ""
