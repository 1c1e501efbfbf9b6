"""How to write a definition, on one page, for a model that has read nothing else (`fenqun://qp-guide`).

The words come from the vocabulary and the example is the one that the schemas publish, so the page cannot
say what the check does not know. What they mean: qp.md.
"""

import json

from mcp_server.qp.examples import EXAMPLE, TAG_EXAMPLES
from mcp_server.qp.metadata import ValueType
from mcp_server.qp.vocabulary import ANY_TYPE, COMPARATORS, MEASURES, NUMBER_COMPARATORS
from mcp_server.text import Language, Text, listed

_TYPES: dict[ValueType, Text] = {
    "string": Text("text", "文本"),
    "number": Text("number", "数值"),
    "bool": Text("true or false", "布尔"),
    "time": Text("time", "时间"),
    "list": Text("list", "列表"),
    "cluster": Text("cluster", "分群"),
}

_PAGE = Text(
    """\
# How to write a definition

A cluster is `qp`: event conditions (`events`: what users did) and filters (`filts`: who they are). `event_relation` joins the events, `relation` the filters, `event_user_relation` the two; each is `and` where left out.

```json
{cluster}
```

An event condition computes one measure per user (`taPropQuota.analysis`: {measures}; all but TIMES take `quota`, a property) over the events of that name, in the window, that pass its own `filts`, and compares it with `num` ({numbers}).

Filters by type of property:
{filters}
A group: {{"filterType": "COMPOUND", "relation": "or", "filts": […]}}. Membership: tableType "cluster", columnName its name, belongToCluster; a tag is compared by its value.

A tag is `tag_qp`, one of three: values tested in order, a property of the first or last event, or a measure.

```json
{tags}
```

## Ten traps

1. `greater` and `less` are strict: "at least 5 times" is TIMES greater 4.
2. "Never did it" is TIMES less 1. Every other measure of a user without such events is undefined and matches nothing.
3. `recentDay` counts back from today: 1-7 is the past seven days without today, 0-7 seven days with today, 0-1 today, 1-1 yesterday. Left out: all time.
4. `startTime` and `endTime` are both included; an end without a time of day takes in that whole day.
5. Values are texts: num "4", ftv ["3"]; for `range`, num is "1,5" and ftv ["1", "5"].
6. A missing value matches only isNull, not notEqual or notInclude: add an isNull filter beside it with "or" if those users belong in.
7. Inside an event, `filts` name event or user properties; at the top, only user properties and clusters.
8. Several values of `equal` mean any of them; `notEqual` means none of them. Two filters on one property joined with "and" exclude each other.
9. Text compares exactly, letter case included; `include` looks for a part of it, and % or * are plain characters.
10. Names are never guessed: describe_data has them, and the values that exist.""",
    """\
# 如何编写定义

分群的定义是 `qp`：事件条件（`events`，用户做过什么）与筛选条件（`filts`，用户是谁）。`event_relation` 连接各事件条件，`relation` 连接各筛选条件，`event_user_relation` 连接这两部分；省略时均为 `and`。

```json
{cluster}
```

一个事件条件针对每个用户计算一个指标（`taPropQuota.analysis`：{measures}；除 TIMES 外都要用 `quota` 指定属性），范围是窗口内该名称且满足其自身 `filts` 的事件，再与 `num` 比较（{numbers}）。

各类型属性可用的比较：
{filters}
条件组：{{"filterType": "COMPOUND", "relation": "or", "filts": […]}}。属于某分群：tableType 为 "cluster"，columnName 为其名称，用 belongToCluster；标签则按标签值比较。

标签的定义是 `tag_qp`，三选一：按顺序匹配的自定义值、首次或末次事件的属性、指标值。

```json
{tags}
```

## 十个易错点

1. `greater` 和 `less` 不含等于：“至少 5 次”写作 TIMES greater 4。
2. “从未做过”写作 TIMES less 1。没有相应事件的用户，其他指标均无定义，不会被选中。
3. `recentDay` 从今天往回数：1-7 是不含今天的过去 7 天，0-7 是含今天的 7 天，0-1 是今天，1-1 是昨天；不写则不限时间。
4. `startTime` 与 `endTime` 首尾均包含；结束时间只写日期时包含当天全天。
5. 值都是文本：num "4"，ftv ["3"]；`range` 的 num 写作 "1,5"，ftv 写作 ["1", "5"]。
6. 缺失值只有 isNull 能选中，notEqual、notInclude 都不会；若要包括这些用户，请用 "or" 并列一个 isNull 条件。
7. 事件内的 `filts` 可用事件属性或用户属性；最外层只能用用户属性与分群。
8. `equal` 多个值表示任意一个，`notEqual` 多个值表示全都不是。同一属性的两个 equal 用 "and" 连接会相互排斥。
9. 文本按原样比较，区分大小写；`include` 查找其中一部分，% 与 * 只是普通字符。
10. 名称绝不猜测：先用 describe_data 查到名称和实际存在的值。""",
)


def guide(language: Language) -> str:
    """The page in one language."""
    return _PAGE.format(
        cluster=_json(EXAMPLE),
        tags="\n".join(_json(tag) for tag in TAG_EXAMPLES),
        measures=listed(MEASURES),
        numbers=listed(NUMBER_COMPARATORS),
        filters=_filters(),
    ).say(language)


def _filters() -> Text:
    """One line for each type: the words that only some types take, then those of every type."""
    lines = []
    for kind, named in _TYPES.items():
        words = [row.word for row in COMPARATORS.values() if kind in row.types and row.types != ANY_TYPE]
        lines.append(Text("- {kind}: {words}", "- {kind}：{words}").format(kind=named, words=listed(words)))
    every = [row.word for row in COMPARATORS.values() if row.types == ANY_TYPE]
    lines.append(Text("- any type: {words}", "- 任意类型：{words}").format(words=listed(every)))
    return Text("\n".join(line.en for line in lines), "\n".join(line.zh for line in lines))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
