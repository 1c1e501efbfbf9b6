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


AT_LEAST, AT_MOST = words.AT_LEAST[0], words.AT_MOST[0]
"""Words that are no documented ones and that are read all the same (qp.md section 1)."""

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
        (AT_LEAST,),
    ),
    ("大于等于 不小于 不少于 不低于 至少 最少 ≥ ＞＝ =>", (AT_LEAST,)),
    (
        "le lessequals lessorequal lessorequals lessthanorequal lessthanorequalto notgreater notmore notmorethan maximum",
        (AT_MOST,),
    ),
    ("小于等于 不大于 不多于 不超过 不高于 至多 最多 ≤ ＜＝ =<", (AT_MOST,)),
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
EVENTS: Table = _table(
    ("any all anyevent allevents everyevent * 任意事件 任意 全部事件 所有事件", (words.ANY_EVENT,)),
)


def meant(word: str, table: Table, legal: Iterable[str]) -> str:
    """What to write in place of a word, of the legal ones; "" where that would be a guess."""
    known = tuple(legal)
    for spelling in (word.strip().casefold(), fold(word)):
        if spelling in table:
            return next((candidate for candidate in table[spelling] if candidate in known), "")
    return nearest(word, known)


def any_event_meant(name: str) -> str:
    """`anyEvent`, where a word for it was sent; "" for any other."""
    return words.ANY_EVENT if {name.strip().casefold(), fold(name)} & set(EVENTS) else ""
