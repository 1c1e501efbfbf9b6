"""How alike names are, and the legal word or name nearest to one that does not exist."""

import re
import unicodedata
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


# Values: the same one in another spelling, never another one of the same kind

_NEXT_TO = {
    key: set(near)
    for key, near in {
        "q": "wa", "w": "qesa", "e": "wrds", "r": "etfd", "t": "rygf", "y": "tuhg", "u": "yijh", "i": "uokj", "o": "iplk", "p": "ol",
        "a": "qwsz", "s": "awedxz", "d": "serfcx", "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb", "j": "huikmn", "k": "jiolm",
        "l": "kop", "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
    }.items()
}  # fmt: skip
_ENGLISH_PLACES = {
    "hongkong": "香港", "macau": "澳门", "macao": "澳门", "taipei": "台北", "kaohsiung": "高雄", "peking": "北京", "canton": "广州",
    "harbin": "哈尔滨", "urumqi": "乌鲁木齐", "lhasa": "拉萨", "hohhot": "呼和浩特", "tibet": "西藏", "innermongolia": "内蒙古",
    "newyork": "纽约", "london": "伦敦", "tokyo": "东京", "paris": "巴黎", "singapore": "新加坡", "seoul": "首尔", "bangkok": "曼谷",
    "sydney": "悉尼", "melbourne": "墨尔本", "losangeles": "洛杉矶", "sanfrancisco": "旧金山", "toronto": "多伦多", "vancouver": "温哥华",
    "moscow": "莫斯科", "berlin": "柏林", "dubai": "迪拜", "osaka": "大阪", "kualalumpur": "吉隆坡", "jakarta": "雅加达",
}  # fmt: skip
"""Folded English names of places that are not their pinyin."""
_PLACE_ENDS = "市省"
_LONGEST_PLACE = 8
_SHORTEST_SLIP = 4


def same_value(asked: str, values: Iterable[str]) -> str:
    """Return the one value that `asked` can only be another spelling of; "" where there is none, or more than one.

    Another spelling is another case, width or blanks; a place by its Chinese name, its pinyin or its English name; or
    one slip of the finger. A city is never suggested for another city.
    """
    known = [value for value in values if value != asked]
    word = _unified(asked)
    for alike_in in (_same_but_for_width, _same_place, one_slip):
        same = [value for value in known if alike_in(word, _unified(value))]
        if same:
            return same[0] if len(same) == 1 else ""
    return ""


def _unified(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _same_but_for_width(one: str, other: str) -> bool:
    return one == other or (bool(fold(one)) and fold(one) == fold(other) and one.isascii() == other.isascii())


def _same_place(one: str, other: str) -> bool:
    one, other = (_without_end(name) for name in (one, other))
    if one == other:
        return True
    if not (_CHINESE.fullmatch(other) and one.isascii()):
        one, other = other, one
    if not (_CHINESE.fullmatch(other) and one.isascii() and 2 <= len(other) <= _LONGEST_PLACE):
        return False
    folded = fold(one)
    return bool(folded) and (_ENGLISH_PLACES.get(folded) == other or folded == pinyin(other))


def _without_end(name: str) -> str:
    return name.rstrip(_PLACE_ENDS) if len(name) > 2 and _CHINESE.fullmatch(name) else name


@lru_cache(maxsize=10_000)
def pinyin(text: str, between: str = "") -> str:
    """Chinese characters as pinyin without tones, everything else as it is; `between` separates what was apart."""
    if text.isascii():
        return text
    from pypinyin import lazy_pinyin

    return between.join(lazy_pinyin(text))


def one_slip(asked: str, candidate: str) -> bool:
    """Whether two words differ by one slip of the finger: a letter left out, doubled, next to the right one, or two swapped.

    Not by their first letter and not by a digit: those make other words. Chinese words differ by a sound alike at most.
    """
    a, b = fold(asked), fold(candidate)
    if a == b or not a or not b:
        return False
    if not (a.isascii() and b.isascii()):
        return len(a) == len(b) and a.translate(_SOUNDS) == b.translate(_SOUNDS)
    if min(len(a), len(b)) < _SHORTEST_SLIP or a[0] != b[0]:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    x, y = a[start:], b[start:]
    if len(x) == len(y):
        swapped = len(x) > 1 and x[0] == y[1] and x[1] == y[0] and x[2:] == y[2:]
        return (swapped and (x[:2] + y[:2]).isalpha()) or (x[1:] == y[1:] and y[0] in _NEXT_TO.get(x[0], ()))
    long, short = (x, y) if len(x) > len(y) else (y, x)
    return len(long) == len(short) + 1 and long[1:] == short and long[0].isalpha()
