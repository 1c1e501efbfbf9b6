"""Every word of the definition language, once: comparators, measures, relations, limits.

One row per word. The schema, the checks, the repairs, the plan, the explanations and the suggestions all read these
tables; adding a word is adding it to its `Literal` and a row here, and a `Test` where it asks something new of a value.
mypy then names every `match` that does not know it.

Marks (qp.md): D documented by the vendor, U used against the vendor's product but not on its page, P decided by this
project.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Literal, NamedTuple, assert_never

from mcp_server.language.metadata import ValueType
from mcp_server.text import Text

Path = tuple[str | int, ...]
"""Where a part of a definition is: keys and positions from its root."""
Mark = Literal["D", "U", "P"]

ComparatorWord = Literal[
    "equal", "notEqual", "greater", "less", "range",
    "include", "notInclude", "regexMatch", "notRegexMatch",
    "isTrue", "isFalse", "isNull", "notNull",
    "arrayIncludeItem", "arrayNotIncludeItem", "arrayItemPos", "arrayIsNull", "arrayNotNull",
    "relativeCurrentBetween", "relativeCurrentBefore",
    "relativeEventBefore", "relativeEventAfter", "relativeEventAbsolute",
    "belongToCluster", "notBelongToCluster",
]  # fmt: skip
NumberComparatorWord = Literal["greater", "less", "equal", "notEqual", "range"]
MeasureWord = Literal["TIMES", "SUM", "AVG", "MAX", "MIN", "MEDIAN", "DISTINCT"]
Relation = Literal["and", "or"]
TimeUnit = Literal["minute", "hour", "day"]


class Test(Enum):
    """What a comparator asks of one value. A missing value passes only `MISSING` and `EMPTY` (qp.md section 4)."""

    __test__ = False  # not a test class for pytest

    ONE_OF = "is one of the values"
    ABOVE = "is strictly greater or later"
    BELOW = "is strictly less or earlier"
    BETWEEN = "lies between two values, both included"
    CONTAINS = "contains one of the texts"
    MATCHES = "a pattern is found in it"
    TRUE = "is true"
    MISSING = "has no value"
    HOLDS = "the list holds one of the items"
    ITEM_AT = "the list has an item at a position"
    EMPTY = "the list is null or empty"
    RECENT = "falls into the days A to B before today"
    BEFORE_DAY = "is before the start of the day N days ago"
    BEFORE_EVENT = "lies within a span before the event's own time"
    AFTER_EVENT = "lies within a span after the event's own time"
    AROUND_EVENT = "lies within a span around the event's own time"
    MEMBER = "the user is a member of the cluster"


NumberTest = Literal[Test.ONE_OF, Test.ABOVE, Test.BELOW, Test.BETWEEN]
"""What a comparator asks of a measure."""

ANY_TYPE: frozenset[ValueType] = frozenset({"string", "number", "bool", "time", "list"})
MANY = 1000
"""Most values in one `ftv` (qp.md section 1)."""


@dataclass(frozen=True, slots=True)
class Comparator:
    """A word of a filter."""

    word: ComparatorWord
    types: frozenset[ValueType]
    values: tuple[int, int]
    """Fewest and most `ftv` values."""
    test: Test
    mark: Mark
    text: Text
    """The statement about the property. `{any}` lists the values, `{a}` and `{b}` are the first and the second."""
    many_text: Text | None = None
    """Other words where there are several values (in Chinese they bring their own blank)."""
    negated: bool = False
    """True where the test must fail; a missing value still matches nothing."""
    time_text: Text | None = None
    """Other words where the property is a time."""
    in_event: bool = False
    """Legal only inside an event condition; takes a `timeUnit`."""
    synonyms: tuple[str, ...] = ()
    """Other spellings with exactly this meaning; they are repaired."""

    @property
    def of_cluster(self) -> bool:
        """Legal only of a cluster."""
        return self.types == {"cluster"}

    def fits(self, tables: Container[str]) -> bool:
        """Legal in filters that may name these tables."""
        return (not self.in_event or "event" in tables) and (not self.of_cluster or "cluster" in tables)


def _types(*names: ValueType) -> frozenset[ValueType]:
    return frozenset(names)


# fmt: off
COMPARATORS: Mapping[str, Comparator] = {row.word: row for row in (
    Comparator("equal", _types("string", "number", "time"), (1, MANY), Test.ONE_OF, "D",
               Text("is {any}", "等于 {any}"), Text("is one of {any}", "等于 {any}中的任一个"), synonyms=("eq", "in", "=", "==")),
    Comparator("notEqual", _types("string", "number", "time"), (1, MANY), Test.ONE_OF, "D",
               Text("is not {any}", "不等于 {any}"), Text("is none of {any}", "不等于 {any}中的任何一个"),
               negated=True, synonyms=("ne", "notIn", "!=", "<>")),
    Comparator("greater", _types("number", "time"), (1, 1), Test.ABOVE, "D",
               Text("is above {a}", "大于 {a}"), time_text=Text("is after {a}", "晚于 {a}"), synonyms=("gt", ">")),
    Comparator("less", _types("number", "time"), (1, 1), Test.BELOW, "D",
               Text("is below {a}", "小于 {a}"), time_text=Text("is before {a}", "早于 {a}"), synonyms=("lt", "<")),
    Comparator("range", _types("number", "time"), (2, 2), Test.BETWEEN, "U",
               Text("is from {a} to {b}", "为 {a} 至 {b}"), synonyms=("between",)),
    Comparator("include", _types("string"), (1, MANY), Test.CONTAINS, "D",
               Text("contains {any}", "包含 {any}"), Text("contains any of {any}", "包含 {any}中的任一个")),
    Comparator("notInclude", _types("string"), (1, MANY), Test.CONTAINS, "D",
               Text("does not contain {any}", "不包含 {any}"),
               Text("contains none of {any}", "不包含 {any}中的任何一个"), negated=True),
    Comparator("regexMatch", _types("string"), (1, 1), Test.MATCHES, "U",
               Text("matches the pattern {a}", "匹配正则 {a}"), synonyms=("regex",)),
    Comparator("notRegexMatch", _types("string"), (1, 1), Test.MATCHES, "U",
               Text("does not match the pattern {a}", "不匹配正则 {a}"), negated=True, synonyms=("notRegex",)),
    Comparator("isTrue", _types("bool"), (0, 0), Test.TRUE, "D", Text("is true", "为真")),
    Comparator("isFalse", _types("bool"), (0, 0), Test.TRUE, "D", Text("is false", "为假"), negated=True),
    Comparator("isNull", ANY_TYPE, (0, 0), Test.MISSING, "D", Text("has no value", "无值")),
    Comparator("notNull", ANY_TYPE, (0, 0), Test.MISSING, "D",
               Text("has a value", "有值"), negated=True, synonyms=("isNotNull",)),
    Comparator("arrayIncludeItem", _types("list"), (1, MANY), Test.HOLDS, "U",
               Text("has the item {any}", "含有元素 {any}"),
               Text("has any of the items {any}", "含有元素 {any}中的任一个")),
    Comparator("arrayNotIncludeItem", _types("list"), (1, MANY), Test.HOLDS, "U",
               Text("does not have the item {any}", "不含元素 {any}"),
               Text("has none of the items {any}", "不含元素 {any}中的任何一个"), negated=True),
    Comparator("arrayItemPos", _types("list"), (2, 2), Test.ITEM_AT, "U",
               Text("has the item {b} at position {a}", "第 {a} 个元素为 {b}")),
    Comparator("arrayIsNull", _types("list"), (0, 0), Test.EMPTY, "U",
               Text("is missing or an empty list", "无值或为空列表")),
    Comparator("arrayNotNull", _types("list"), (0, 0), Test.EMPTY, "U",
               Text("is a list with items", "为非空列表"), negated=True),
    Comparator("relativeCurrentBetween", _types("time"), (2, 2), Test.RECENT, "U",
               Text("falls within {any}", "在 {any}之内")),
    Comparator("relativeCurrentBefore", _types("time"), (1, 1), Test.BEFORE_DAY, "U",
               Text("is before {any}", "早于 {any}")),
    Comparator("relativeEventBefore", _types("time"), (1, 1), Test.BEFORE_EVENT, "U",
               Text("is at most {a} before the event", "在事件发生前 {a}以内"), in_event=True),
    Comparator("relativeEventAfter", _types("time"), (1, 1), Test.AFTER_EVENT, "U",
               Text("is at most {a} after the event", "在事件发生后 {a}以内"), in_event=True),
    Comparator("relativeEventAbsolute", _types("time"), (1, 1), Test.AROUND_EVENT, "U",
               Text("is at most {a} before or after the event", "在事件发生前后 {a}以内"), in_event=True),
    Comparator("belongToCluster", _types("cluster"), (0, 0), Test.MEMBER, "U", Text("belongs to {name}", "属于{name}")),
    Comparator("notBelongToCluster", _types("cluster"), (0, 0), Test.MEMBER, "U",
               Text("does not belong to {name}", "不属于{name}"), negated=True),
)}


@dataclass(frozen=True, slots=True)
class NumberComparator:
    """A word that compares a measure with `num`."""

    word: NumberComparatorWord
    values: int
    """How many numbers `num` holds; two are written "low,high"."""
    test: NumberTest
    mark: Mark
    text: Text
    """The statement about a measure; `{a}` and `{b}` are the numbers, with their unit where they have one."""
    times_text: Text | None = None
    """Other words where the measure is a number of times; `{n}` is the first number without its unit."""
    negated: bool = False
    synonyms: tuple[str, ...] = ()

    def passes(self, value: int, numbers: Sequence[Decimal]) -> bool:
        """Whether a measure of this value passes the comparison with the numbers of `num`."""
        match self.test:
            case Test.ABOVE:
                passed = value > numbers[0]
            case Test.BELOW:
                passed = value < numbers[0]
            case Test.ONE_OF:
                passed = value == numbers[0]
            case Test.BETWEEN:
                passed = numbers[0] <= value <= numbers[1]
            case unknown:
                assert_never(unknown)
        return passed != self.negated


NUMBER_COMPARATORS: Mapping[str, NumberComparator] = {row.word: row for row in (
    NumberComparator("greater", 1, Test.ABOVE, "D", Text("more than {a}", "大于 {a}"), synonyms=("gt", ">")),
    NumberComparator("less", 1, Test.BELOW, "U", Text("less than {a}", "小于 {a}"),
                     Text("fewer than {a}", "小于 {a}"), synonyms=("lt", "<")),
    NumberComparator("equal", 1, Test.ONE_OF, "U", Text("exactly {a}", "等于 {a}"), synonyms=("eq", "=", "==")),
    NumberComparator("notEqual", 1, Test.ONE_OF, "U", Text("not {a}", "不等于 {a}"),
                     Text("a number of times other than {n}", "不等于 {a}"), negated=True, synonyms=("ne", "!=", "<>")),
    NumberComparator("range", 2, Test.BETWEEN, "U",
                     Text("from {a} to {b}", "为 {a} 至 {b}"), synonyms=("between",)),
)}

AT_LEAST = ("gte", ">=", "greaterEqual", "atLeast")
AT_MOST = ("lte", "<=", "lessEqual", "atMost")
"""The vendor has no words for these; they are repaired by the kind of value (qp.md section 1)."""

CONTAINS_BY_TYPE = ("contains",)
NOT_CONTAINS_BY_TYPE = ("notContains",)
"""Read as `include` on a string and as `arrayIncludeItem` on a list (qp.md section 1)."""

NUMBER_MIN = "-9000000000000000"
NUMBER_MAX = "9000000000000000"
TIME_MIN = "0001-01-01 00:00:00"
TIME_MAX = "9999-12-31 23:59:59"
"""Open ends of a range: the vendor's limits of a number, and of a time."""

OPEN_RANGES: Mapping[str, tuple[Text, Text]] = {
    "number": (Text("is at least {a}", "至少为 {a}"), Text("is at most {b}", "至多为 {b}")),
    "time": (Text("is at or after {a}", "不早于 {a}"), Text("is at or before {b}", "不晚于 {b}")),
    "measure": (Text("at least {a}", "至少为 {a}"), Text("at most {b}", "至多为 {b}")),
}
"""The words for a `range` with an open upper end and for one with an open lower end."""


@dataclass(frozen=True, slots=True)
class MeasureKind:
    """A word of `taPropQuota.analysis`: what is computed over one user's matching rows."""

    word: MeasureWord
    quota_types: frozenset[ValueType]
    """Types of property it takes; empty where it takes none."""
    mark: Mark
    text: Text
    """Its name in a sentence; `{quota}` is the property (in Chinese its words bring their own blank)."""
    counts: bool = False
    """True where the result is a whole number from 0 up."""
    without_rows: Literal["zero", "undefined"] = "undefined"
    """Its value for a user with no matching row."""
    synonyms: tuple[str, ...] = ()


MEASURES: Mapping[str, MeasureKind] = {row.word: row for row in (
    MeasureKind("TIMES", frozenset(), "D", Text("number of times", "次数"), counts=True, without_rows="zero",
                synonyms=("TOTAL_TIMES", "COUNT")),
    MeasureKind("SUM", _types("number"), "U", Text("the sum of {quota}", "{quota}的总和")),
    MeasureKind("AVG", _types("number"), "U", Text("the average of {quota}", "{quota}的平均值")),
    MeasureKind("MAX", _types("number"), "U", Text("the largest {quota}", "{quota}的最大值")),
    MeasureKind("MIN", _types("number"), "U", Text("the smallest {quota}", "{quota}的最小值")),
    MeasureKind("MEDIAN", _types("number"), "U", Text("the median of {quota}", "{quota}的中位数")),
    MeasureKind("DISTINCT", _types("string", "number", "bool", "time"), "D",
                Text("the number of different values of {quota}", "{quota}的去重数"), counts=True),
)}

POPULATION_MEASURES = ("TRIG_USER_NUM", "PER_CAPITA_TIMES", "PER_CAPITA_NUM")
"""They measure a whole population and mean nothing for one user: `analysis_not_per_user`."""

RELATIONS: Mapping[Relation, Text] = {"and": Text("and", "且"), "or": Text("or", "或")}
JOINS: Mapping[Relation, Text] = {"and": Text("all of", "同时满足"), "or": Text("any of", "满足任一")}
"""A relation in front of what it joins."""
TABLES: Mapping[str, Text] = {
    "event": Text("event property", "事件属性"),
    "user": Text("user property", "用户属性"),
    "cluster": Text("cluster or tag", "分群或标签"),
}
TABLES_IN_EVENT = ("event", "user")
TABLES_AT_TOP = ("user", "cluster")
"""What filters may name inside an event condition, and at the top of a definition."""



class Unit(NamedTuple):
    """A unit of the `relativeEvent…` words."""

    seconds: int
    text: Text
    """`{s}` is the ending of the English plural."""


TIME_UNITS: Mapping[str, Unit] = {
    "minute": Unit(60, Text("{n} minute{s}", "{n} 分钟")),
    "hour": Unit(3600, Text("{n} hour{s}", "{n} 小时")),
    "day": Unit(86400, Text("{n} day{s} of 24 hours", "{n} 天（每天按 24 小时计）")),
}

ANY_EVENT = "anyEvent"
ANY_EVENT_TEXT = Text("any event", "任意事件")
"""As `eventName`: rows of every name."""

GROUP: Literal["COMPOUND"] = "COMPOUND"
"""As `filterType`: a nested group."""

VALUES, FIRST_LAST, QUOTA = "userTagValueDefs", "userTagConFirstLastEventDef", "userTagConQuotaDef"
FIRST_LAST_EVENT, QUOTA_EVENT = "userTagConFirstLastEvent", "userTagConQuotaEvent"
"""The keys of the three kinds of tags, and of the one part of two of them."""

PLAIN_MEASURE: Literal["normal"] = "normal"
"""As `type` of a metric: a measure of the rows as they are; the vendor documents no other."""

OLD_KEYS: Mapping[str, str] = {"uceCalcuSymbol": "comparator"}
"""Keys of the vendor page's older spelling."""

DISPLAY_KEYS = frozenset({
    "columnDesc", "columnType", "analysisDesc", "analysisParams", "eventDesc", "eventType", "quotaDesc",
    "subTableType", "selectType", "tagValueDesc",
})
"""Keys of the vendor's pages without meaning; they are dropped and reported."""

MAX_EVENTS = 32
MAX_FILTERS = 200
MAX_DEPTH = 3
MAX_VALUES = 100
MAX_TEXT = 2000
"""Limits of one definition (qp.md section 1)."""

MAX_OBJECTS = 1000
"""Objects in a cluster's definition; a larger one is refused unread. 32 events with their measures and 200 filters, each in
three groups of its own, are 865."""
MAX_TAG_OBJECTS = 5000
"""The same for a tag, whose values share them: more would take seconds to read (P)."""
MAX_CHARACTERS = 4_000_000
"""Characters of one definition in all (P): two thousand texts of the longest kind."""


# Words whose meaning depends on what is beside them: at least, at most, contains (qp.md section 1)


def bound_side(word: object) -> Literal["least", "most", ""]:
    """Which bound a word such as `gte` or `atMost` sets; "" for any other word."""
    return "least" if _among(word, AT_LEAST) else "most" if _among(word, AT_MOST) else ""


def contains_side(word: object) -> Literal["any", "none", ""]:
    """What `contains` and `notContains` ask for; "" for any other word."""
    return "any" if _among(word, CONTAINS_BY_TYPE) else "none" if _among(word, NOT_CONTAINS_BY_TYPE) else ""


def _among(word: object, spellings: tuple[str, ...]) -> bool:
    return isinstance(word, str) and word.strip().casefold() in {s.casefold() for s in spellings}


def synonyms_of(rows: Iterable[Comparator | NumberComparator | MeasureKind]) -> dict[str, str]:
    """Every synonym in a table with the word that it stands for."""
    return {synonym: row.word for row in rows for synonym in row.synonyms}
