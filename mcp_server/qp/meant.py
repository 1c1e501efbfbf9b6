"""What was probably meant by a word or key that does not exist here: a suggestion, never a repair.

Likeness of letters finds typing errors; it misses the habits of other query languages, and Chinese, and
sometimes misleads (`mean` is like `MEDIAN`, `xor` like `or`). These tables come first; a word that stands here
without a replacement gets none.
"""

from collections.abc import Iterable, Mapping

from mcp_server.qp import vocabulary as words
from mcp_server.qp.suggest import fold, nearest

Table = Mapping[str, tuple[str, ...]]
"""Folded word to what it may mean, the likeliest first; the first that is legal there is suggested."""


def _table(*rows: tuple[str, tuple[str, ...]]) -> Table:
    return {word: meant for spellings, meant in rows for word in spellings.split()}


COMPARATORS: Table = _table(
    ("exists exist isset hasvalue 有值 不为空 非空", ("notNull",)),
    ("notempty isnotempty", ("arrayNotNull", "notNull")),
    ("notexists notexist isnotset missing none 无值 为空", ("isNull",)),
    ("empty isempty", ("arrayIsNull", "isNull")),
    ("is equals 等于", ("equal",)),
    ("isnot notequals 不等于", ("notEqual",)),
    ("after laterthan greaterthan morethan 大于 晚于", ("greater",)),
    ("before earlierthan lessthan fewerthan 小于 早于", ("less",)),
    ("介于 之间 区间", ("range",)),
    ("like containsany 包含", ("include", "arrayIncludeItem")),
    ("notlike doesnotcontain 不包含", ("notInclude", "arrayNotIncludeItem")),
    ("startswith beginswith endswith match matches rlike regexp 匹配", ("regexMatch",)),
    ("within withinlast inlast inthelast lastdays recentday", ("relativeCurrentBetween",)),
    ("true 为真", ("isTrue",)),
    ("false 为假", ("isFalse",)),
    ("incluster memberof 属于", ("belongToCluster",)),
    ("notincluster notmemberof 不属于", ("notBelongToCluster",)),
    (" ".join((*words.AT_LEAST, *words.AT_MOST)).casefold(), ()),
    ("大于等于 小于等于 至少 至多", ()),
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
RELATIONS: Table = _table(
    ("&& & all 且 并且 与 和", ("and",)),
    ("|| | any 或 或者", ("or",)),
    ("xor nor nand not", ()),
)
KEYS: Table = _table(
    ("value values val", ("ftv", "num")),
    ("count threshold times number", ("num",)),
    ("property propertyname field column attribute", ("columnName",)),
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


def meant(word: str, table: Table, legal: Iterable[str]) -> str:
    """What to write in place of a word, of the legal ones; "" where that would be a guess."""
    known = tuple(legal)
    for spelling in (word.strip().casefold(), fold(word)):
        if spelling in table:
            return next((candidate for candidate in table[spelling] if candidate in known), "")
    return nearest(word, known)
