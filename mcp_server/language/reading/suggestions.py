"""Suggestions for a word, key, window, time or number that cannot be read: never a repair.

"the last 7 days" leaves open whether today counts (qp.md section 2), so a person or a model has to choose. Likeness of
letters finds typing errors; it misses the habits of other query languages, and Chinese, and sometimes misleads (`mean`
is like `MEDIAN`, `xor` like `or`), so the tables of words come first; a word in a table without a replacement gets none.
"""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from mcp_server.language import vocabulary as words
from mcp_server.language.suggest import fold, nearest
from mcp_server.language.values import MAX_DAYS_BACK, parse_number, parse_time, plain, recent_days, tidy_number
from mcp_server.text import Text

# Windows

MAX_LOOKED_AT = 100
"""Longest text, in characters, that may be a mistyped window, time or number."""


class WindowFault(NamedTuple):
    """Why something is no window, and what to write instead ("" where that would be a guess)."""

    why: Text
    suggestion: str = ""


_RECENT = Text(
    'recentDay is "A-B" in days back, such as "1-7" (the past seven days without today) or "0-7" (seven days with today)',
    "recentDay 形如 \"A-B\"，即往前数的天数，如 \"1-7\"（过去 7 天，不含今天）或 \"0-7\"（含今天的 7 天）",
)  # fmt: skip
_TWO_VALUES = Text(
    'the two values are days back, such as "1" and "7" (the past seven days without today)',
    "两个值是往前数的天数，如 \"1\" 和 \"7\"（过去 7 天，不含今天）",
)  # fmt: skip
_NEARER_FIRST = Text("the nearer day comes first", "较近的一天在前")
_NO_DAY = Text('"0-0" holds no day; today is "0-1"', "\"0-0\" 不含任何一天；今天写作 \"0-1\"")  # fmt: skip
_TOO_FAR = Text("at most {most} days back", "最多往前 {most} 天")
_DATES = Text(
    "dates go into startTime and endTime; recentDay counts days back",
    "日期应写入 startTime 和 endTime；recentDay 只写往前数的天数",
)
_CALENDAR = Text(
    'recentDay counts days back. As dates this is startTime "{first}" and endTime "{last}", which stay fixed',
    "recentDay 只写往前数的天数。若按日历，应写 startTime \"{first}\"、endTime \"{last}\"（固定日期）",
)  # fmt: skip
_TIME = Text("{key} is yyyy-MM-dd or yyyy-MM-dd HH:mm:ss", "{key} 的格式为 yyyy-MM-dd 或 yyyy-MM-dd HH:mm:ss")
_NO_SUCH_DAY = Text("there is no such day or time", "该日期或时间不存在")
_DAYS_BACK = Text("days back go into recentDay; {key} is a date", "往前数的天数应写入 recentDay；{key} 只写日期")
TURNED = Text("startTime is after endTime; swap them", "startTime 晚于 endTime，请对调")


def recent_fault(text: str, today: date, *, as_values: bool = False) -> WindowFault | None:
    """What is wrong with a window "A-B"; None where it is legal. `as_values`: it was sent as two values of a filter."""
    if recent_days(text, today) is not None:
        return None
    bare = text.strip().casefold()[:MAX_LOOKED_AT]
    period = _calendar(bare, today)
    if period:
        return WindowFault(_CALENDAR.format(first=period[0], last=period[1]))
    if _HAS_DATE.search(bare):
        return WindowFault(_DATES)
    ahead = _ahead(bare, today, as_values=as_values)
    if ahead:
        return WindowFault(ahead)
    pair = _PAIR.fullmatch(bare)
    near, far = (int(pair[1]), int(pair[2])) if pair else (1, 1)
    why = _TWO_VALUES if as_values else _RECENT
    if (near, far) == (0, 0):
        why = _NO_DAY
    elif max(near, far) > MAX_DAYS_BACK:
        why = _TOO_FAR.format(most=MAX_DAYS_BACK)
    elif near > far:
        why = _NEARER_FIRST
    return WindowFault(why, suggest_window(text))


def _ahead(bare: str, today: date, *, as_values: bool) -> Text | None:
    """Why negative days are no window, with the dates to write for days ahead; None where none is negative."""
    match = _SIGNED.fullmatch(bare)
    if not match or not any(day.startswith("-") for day in match.groups()):
        return None
    first, last = sorted(-int(day) for day in match.groups())
    if max(abs(first), abs(last)) > MAX_DAYS_BACK:
        return _TOO_FAR.format(most=MAX_DAYS_BACK)
    days = {"first": today + timedelta(days=first), "last": today + timedelta(days=last)}
    return (_AHEAD_VALUES if as_values else _AHEAD).format(**days)


def bound_fault(key: str, text: str) -> WindowFault | None:
    """What is wrong with `startTime` or `endTime`; None where it is legal."""
    written = parse_time(text)
    if written is not None and written.plain:
        return None
    if _PAIR.fullmatch(text.strip()) or suggest_window(text):
        return WindowFault(_DAYS_BACK.format(key=key))
    suggestion = suggest_time(text)
    if key == "endTime" and text.endswith(" 24:00:00"):  # an end at midnight takes in its day
        suggestion = text.removesuffix(" 24:00:00")
    if written is None and not suggestion and _LOOKS_RIGHT.fullmatch(text):
        return WindowFault(_NO_SUCH_DAY)
    return WindowFault(_TIME.format(key=key), suggestion)


_SIGNED = re.compile(r"(-?\d{1,5})-(-?\d{1,5})", re.ASCII)
_AHEAD = Text(
    'days back are never negative. Days ahead are dates: startTime "{first}" and endTime "{last}", without recentDay',
    '往前的天数不能为负。未来的日子请写日期：startTime "{first}"、endTime "{last}"，不写 recentDay',
)
_AHEAD_VALUES = Text(
    'days back are never negative. Days ahead are dates: comparator range with the values "{first}" and "{last}"',
    '往前的天数不能为负。未来的日子请写日期：用比较符 range，取值 "{first}" 和 "{last}"',
)
_HAS_DATE = re.compile(r"\d{4}[-/.年]\d{1,2}")
_PAIR = re.compile(r"(\d{1,9})-(\d{1,9})", re.ASCII)
_LOOKS_RIGHT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)?", re.ASCII)

_NAMED = {
    "0-0": "0-1", "today": "0-1", "今天": "0-1", "今日": "0-1", "当天": "0-1",
    "yesterday": "1-1", "昨天": "1-1", "昨日": "1-1", "前天": "2-2", "前日": "2-2", "day before yesterday": "2-2",
}  # fmt: skip
_NUMERALS = {c: n for n, c in enumerate("零一二三四五六七八九十")} | {"两": 2}
_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
_UNITS = {
    **dict.fromkeys(("", "d", "day", "days", "天", "日"), 1),
    **dict.fromkeys(("w", "week", "weeks", "周", "星期", "个星期", "礼拜", "个礼拜"), 7),
    **dict.fromkeys(("month", "months", "月", "个月"), 30),
    **dict.fromkeys(("y", "year", "years", "年"), 365),
}
_BACK = re.compile(
    r"(?P<head>(?:in |over |within )?(?:the )?(?:last|past|previous|recent)|now-|最近的?|过去的?|近|前|-|p)?\s*"
    rf"(?P<count>\d{{1,5}}|[零一二三四五六七八九十两]{{1,3}}|{'|'.join(_WORDS)})?\s*"
    r"(?P<unit>days?|d|weeks?|w|months?|years?|y|天|日|个?星期|个?礼拜|周|个?月|年)?"
    r"(?P<ago>\s*ago|之?前|以前)?(?:之内|以内|内)?"
    r"(?P<today>\s*(?:\(|（|，|,)?\s*(?:with|including|incl\.?|包?含|包括)\s*(?:today|今天|今日|当天)(?:\)|）)?)?"
)
_TWO = re.compile(
    r"[\[(]?\s*[\"']?-?(\d{1,5})[\"']?\s*(?:,|，|~|～|至|到|to|–|—|-|\.\.)\s*-?[\"']?(\d{1,5})[\"']?\s*[\])]?(?:天|日| days?)?"
)


def suggest_window(text: str) -> str:
    """The window "A-B" that a text probably means; "" where that would be a guess."""
    bare = text.strip().casefold()
    if len(bare) > MAX_LOOKED_AT or _PERIOD.fullmatch(bare):
        return ""
    if bare in _NAMED:
        return _NAMED[bare]
    two = _TWO.fullmatch(bare)
    if two:
        near, far = sorted((int(two[1]), int(two[2])))
        return _window(near, far)
    match = _BACK.fullmatch(bare)
    if not match or not (match["count"] or match["head"]):
        return ""
    count = _number(match["count"]) if match["count"] else 1
    if not count or (not match["unit"] and not (match["count"] or "").isdigit()):
        return ""
    days = count * _UNITS[match["unit"] or ""]
    if match["ago"]:
        return _window(days, days)
    return _window(0 if match["today"] else 1, days)


def _window(near: int, far: int) -> str:
    return f"{near}-{far}" if 0 < far <= MAX_DAYS_BACK else ""


def _number(word: str) -> int:
    """Digits, an English word up to ten, or Chinese numerals up to 99; 0 for anything else."""
    if word.isascii():
        return int(word) if word.isdigit() else _WORDS.get(word, 0)
    tens, ten, ones = word.rpartition("十")
    if not ten:
        return _NUMERALS.get(word, 0)
    return (_NUMERALS.get(tens, 0) if tens else 1) * 10 + (_NUMERALS.get(ones, 0) if ones else 0)


_PERIOD = re.compile(r"(last|previous|this|current|上一?个?|本|这个?|当|去|今)\s*(week|month|year|周|星期|礼拜|月|年)")
_BEFORE = ("last", "previous", "上", "上个", "上一", "上一个", "去")


def _calendar(bare: str, today: date) -> tuple[date, date] | None:
    """First and last day of a calendar week, month or year by its name; None for anything else."""
    match = _PERIOD.fullmatch(bare)
    if not match:
        return None
    before, unit = match[1] in _BEFORE, match[2]
    try:
        if unit in ("week", "周", "星期", "礼拜"):
            first = today - timedelta(days=today.weekday() + 7 * before)
            return first, first + timedelta(days=6)
        if unit in ("month", "月"):
            first = today.replace(day=1)
            first = (first - timedelta(days=1)).replace(day=1) if before else first
            return first, first.replace(day=monthrange(first.year, first.month)[1])
        return date(today.year - before, 1, 1), date(today.year - before, 12, 31)
    except (OverflowError, ValueError):  # beyond the calendar
        return None


# Numbers and times

_AMOUNT = re.compile(
    r"(\D?\d[\d,._]*|[零一二三四五六七八九十两]{1,3}|[a-z]+)\s*(万|亿|千|k|m)?\s*(?:times?|days?|years?|yuan|rmb|次|个|元|块|级|岁|天|人|件|笔|分)?"
)
_SCALES = {None: 1, "千": 1000, "k": 1000, "万": 10_000, "m": 1_000_000, "亿": 100_000_000}


def suggest_number(text: str) -> str:
    """A number in the documented form for `5,000`, `５`, `five`, `五次`, `1万` or `10k`; "" where that would be a guess."""
    if len(text) > MAX_LOOKED_AT:
        return ""
    bare = unicodedata.normalize("NFKC", text).strip().casefold()
    match = _AMOUNT.fullmatch(bare)
    if not match or match[1] in ("a", "an"):
        return tidy_number(text)
    word = match[1] if match[1][-1].isdigit() else ""
    number = parse_number(tidy_number(word) or word) if word else Decimal(_number(match[1]))
    if number is None or (not word and not number):
        return tidy_number(text)
    suggestion = plain(number * _SCALES[match[2]])
    return suggestion if suggestion != text else ""


_SEPARATORS = (re.compile(r"\s*(?:,|，|、|~|～|至|到|–|—|\.\.| to | - )\s*"), re.compile(r"(?<=\w)-(?=\w)"))


def split_pair(text: str, one: Callable[[str], str]) -> list[str]:
    """The two values of a range that was written as one, `1~3` or `1,3`; `one` reads each. Empty where there are no two."""
    for separator in _SEPARATORS:
        pair = [one(part) for part in separator.split(text[:MAX_LOOKED_AT].strip())]
        if len(pair) == 2 and all(pair):
            return pair
    return []


def number_or_suggestion(text: str) -> str:
    """A number as it is, or the suggested one."""
    return text if parse_number(text) is not None else suggest_number(text)


def time_or_suggestion(text: str) -> str:
    """A time as it is, or the suggested one."""
    written = parse_time(text)
    return text if written and written.plain else suggest_time(text)


_DATE = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]?(\d{1,2})[:：时点](\d{2})(?:[:：分](\d{2}))?分?秒?)?", re.ASCII
)
_DATE_ONLY_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


def suggest_time(text: str) -> str:
    """A time in the documented form for one that leaves no doubt, `2026/7/8` or `2026-07-08 12:30`; "" for others."""
    if len(text) > MAX_LOOKED_AT:
        return ""
    match = _DATE_ONLY_DIGITS.fullmatch(text.strip()) or _DATE.fullmatch(text.strip())
    if not match:
        return ""
    year, month, day, hour, minute, second = (*match.groups(), None, None, None)[:6]
    written = f"{year}-{month:0>2}-{day:0>2}" + (f" {hour:0>2}:{minute}:{second or '00'}" if hour else "")
    return written if written != text and parse_time(written) else ""


# Words and keys

Table = Mapping[str, tuple[str, ...]]
"""Folded word to what it may mean, the likeliest first; the first that is legal there is suggested."""


def _table(*rows: tuple[str, tuple[str, ...]]) -> Table:
    return {word: candidates for spellings, candidates in rows for word in spellings.split()}


COMPARATORS: Table = _table(
    ("exists exist isset hasvalue 有值 不为空 非空", ("notNull",)),
    ("notempty isnotempty", ("arrayNotNull", "notNull")),
    ("notexists notexist isnotset missing none 无值 为空", ("isNull",)),
    ("empty isempty", ("arrayIsNull", "isNull")),
    ("is equals equalto exactly anyof oneof isoneof isin 等于 为 是 属于其中 === ＝", ("equal",)),
    ("isnot notequals notequalto notin isnotin noneof 不等于 不为 不是 !== ≠", ("notEqual",)),
    ("after laterthan greaterthan morethan over 大于 多于 超过 高于 晚于 ＞", ("greater",)),
    ("before earlierthan lessthan fewerthan under 小于 少于 低于 早于 ＜", ("less",)),
    ("介于 之间 区间", ("range",)),
    ("like containsany 包含", ("include", "arrayIncludeItem")),
    ("notlike doesnotcontain 不包含", ("notInclude", "arrayNotIncludeItem")),
    ("startswith beginswith endswith match matches rlike regexp 匹配", ("regexMatch",)),
    ("within withinlast inlast inthelast lastdays recentday", ("relativeCurrentBetween",)),
    ("true 为真", ("isTrue",)),
    ("false 为假", ("isFalse",)),
    ("incluster memberof 属于", ("belongToCluster",)),
    ("notincluster notmemberof 不属于", ("notBelongToCluster",)),
    (
        "ge greaterequals greaterorequal greaterorequals greaterthanorequal greaterthanorequalto notless notlessthan minimum",
        (words.AT_LEAST[0],),
    ),
    ("大于等于 不小于 不少于 不低于 至少 最少 ≥ ＞＝ =>", (words.AT_LEAST[0],)),
    (
        "le lessequals lessorequal lessorequals lessthanorequal lessthanorequalto notgreater notmore notmorethan maximum",
        (words.AT_MOST[0],),
    ),
    ("小于等于 不大于 不多于 不超过 不高于 至多 最多 ≤ ＜＝ =<", (words.AT_MOST[0],)),
)
ANALYSES: Table = _table(
    ("mean average 平均值 均值", ("AVG",)),
    ("total 总和 求和", ("SUM",)),
    ("unique uniquecount countdistinct distinctcount 去重数", ("DISTINCT",)),
    ("times frequency 次数", ("TIMES",)),
    ("最大值", ("MAX",)),
    ("最小值", ("MIN",)),
    ("中位数", ("MEDIAN",)),
)
RELATIONS: Table = _table(("&& & all 且 并且 与 和", ("and",)), ("|| | any 或 或者", ("or",)), ("xor nor nand not", ()))
KEYS: Table = _table(
    ("value values val", ("ftv", "num")),
    ("count threshold times number", ("num",)),
    ("property propertyname field column attribute", ("columnName", "quota")),
    ("analysis quota", ("taPropQuota",)),
    ("event", ("eventName",)),
    ("operator op", ("comparator",)),
    ("logic join combinator conjunction", ("relation",)),
    ("conditions rules where filter userfilters", ("filts",)),
    ("daterange timerange timewindow window days period lastdays recentdays", ("recentDay",)),
    ("start from startdate", ("startTime",)),
    ("end to enddate", ("endTime",)),
    ("aggregation aggregate measure metric", ("taPropQuota", "analysis")),
    ("unit", ("timeUnit",)),
    ("table", ("tableType",)),
)
UNITS: Table = _table(
    ("min mins m 分 分钟", ("minute",)),
    ("hr hrs h 时 小时 钟头", ("hour",)),
    ("d 天 日", ("day",)),
    ("second seconds week weeks month months year years 秒 周 月 年", ()),
)
TABLES: Table = _table(
    ("events eventproperty eventproperties 事件 事件属性", ("event",)),
    ("users userproperty userproperties profile 用户 用户属性", ("user",)),
    ("tag tags clusters segment segments audience crowd 标签 分群 人群", ("cluster",)),
)
EVENTS: Table = _table(("any all anyevent allevents everyevent * 任意事件 任意 全部事件 所有事件", (words.ANY_EVENT,)))


def suggest_word(word: str, table: Table, legal: Iterable[str]) -> str:
    """The legal word to write in place of another one; "" where that would be a guess."""
    known = tuple(legal)
    for spelling in (word.strip().casefold(), fold(word)):
        if spelling in table:
            return next((candidate for candidate in table[spelling] if candidate in known), "")
    return nearest(word, known)


def suggest_any_event(name: str) -> str:
    """`anyEvent` for a word that means it; "" for any other."""
    return words.ANY_EVENT if {name.strip().casefold(), fold(name)} & set(EVENTS) else ""
