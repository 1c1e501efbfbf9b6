"""The content of resources, the guide to writing definitions (`fenqun://qp-guide`), and completions."""

import json
from collections.abc import Iterable, Sequence
from typing import Final, assert_never, get_args
from urllib.parse import unquote

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Completion, PromptReference, ResourceTemplateReference

from mcp_server.consent.invoke import invoke
from mcp_server.errors import FenqunError, InvalidArguments, NotFound
from mcp_server.front.mcp import rendering
from mcp_server.front.mcp.prompts import LANGUAGE
from mcp_server.front.mcp.rendering import answered
from mcp_server.front.mcp.resources import BY_TEMPLATE, FILES, GUIDE, JSON, KINDS, SCHEME, Folder, media_type
from mcp_server.language.metadata import Event, Property, ValueType
from mcp_server.language.schema import EXAMPLE, TAG_EXAMPLES
from mcp_server.language.vocabulary import ANY_TYPE, COMPARATORS, MEASURES, NUMBER_COMPARATORS
from mcp_server.operations.clusters import get_cluster, list_clusters
from mcp_server.operations.metadata import describe_data, describe_property, search
from mcp_server.operations.operation import Deps
from mcp_server.text import Language, Text, joined_by, listed

# The guide: one page for a model that has read nothing else. Words come from the vocabulary and the examples are those
# that the schemas publish, so the page cannot differ from the check. What they mean: qp.md.


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

    def as_json(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    return _PAGE.format(
        cluster=as_json(EXAMPLE),
        tags="\n".join(map(as_json, TAG_EXAMPLES)),
        measures=listed(MEASURES),
        numbers=listed(NUMBER_COMPARATORS),
        filters=_filters(),
    ).say(language)


def _filters() -> Text:
    """One line for each type: the words that only some types take, then those of every type."""
    lines = []
    for kind in get_args(ValueType):
        words = [row.word for row in COMPARATORS.values() if kind in row.types and row.types != ANY_TYPE]
        lines.append(Text("- {kind}: {words}", "- {kind}：{words}").format(kind=_type_name(kind), words=listed(words)))
    every = [row.word for row in COMPARATORS.values() if row.types == ANY_TYPE]
    lines.append(Text("- any type: {words}", "- 任意类型：{words}").format(words=listed(every)))
    return joined_by("\n", "\n", lines)


def _type_name(kind: ValueType) -> Text:
    match kind:
        case "string":
            return Text("text", "文本")
        case "number":
            return Text("number", "数值")
        case "bool":
            return Text("true or false", "布尔")
        case "time":
            return Text("time", "时间")
        case "list":
            return Text("list", "列表")
        case "cluster":
            return Text("cluster", "分群")


# Reading resources. Everything but the guide and files is read through the operations, so that the caller's projects
# and scope bind it as they bind a tool.


MOST_BYTES = 4 * 1024 * 1024
"""Of a file that is read as a resource; a longer one has to be fetched as a file."""

_TEXTS: Final = (".csv", ".json")
_NO_FILES = Text("There are no exported files here.", "这里没有导出的文件。")
_TOO_LONG = Text(
    "{path} is longer than {most} MB: fetch it as a file, by the path or address that export_users gave.",
    "{path} 超过 {most} MB：请按 export_users 给出的路径或地址直接获取文件。",
)
_NONE = Text(
    "There is nothing at {uri}. Addresses are {guide} and {templates}.",
    "{uri} 不存在。可用地址：{guide}、{templates}。",
)


async def read(uri: str, deps: Deps) -> ReadResourceContents:
    """The content at an address, in the language of the call.

    Raises ResourceNotFoundError where nothing is there (naming the nearest), ResourceError where it can't be read.
    """
    if uri == GUIDE:
        return ReadResourceContents(content=guide(deps.language), mime_type="text/markdown")
    folder, _, name = uri.removeprefix(SCHEME).partition("/")
    kind = next((k for k in (*KINDS, FILES) if k.folder == folder and uri.startswith(SCHEME)), None)
    if kind is None or not name or "/" in name:
        raise _nothing_at(uri, deps)
    try:
        return await _content(kind.folder, unquote(name), deps)
    except NotFound as error:
        raise ResourceNotFoundError(_words(error, deps)) from error
    except InvalidArguments as error:  # no name at all: too long, or not a text
        raise _nothing_at(uri, deps) from error
    except FenqunError as error:
        raise ResourceError(_words(error, deps)) from error


async def _content(folder: Folder, name: str, deps: Deps) -> ReadResourceContents:
    match folder:
        case "exports":
            return _exported(name, deps)
        case "events":
            data = (await answered(describe_data, {"event": name, "limit": 100}, deps)).data
        case "properties":
            data = rendering.structured(await describe_property(name, deps))
        case "clusters":
            data = (await answered(get_cluster, {"cluster": name}, deps)).data
        case _:
            assert_never(folder)
    return ReadResourceContents(content=rendering.compact(data), mime_type=JSON)


def _exported(name: str, deps: Deps) -> ReadResourceContents:
    """A file that export_users wrote, or an answer that was too long: text, or bytes of a Parquet file."""
    if deps.exports is None:
        raise ResourceNotFoundError(deps.say(_NO_FILES))
    path = deps.exports.exported(name, deps.pinned_caller().projects)
    if path.stat().st_size > MOST_BYTES:
        raise ResourceError(deps.say(_TOO_LONG.format(most=MOST_BYTES >> 20, path=path.name)))
    content = path.read_text(encoding="utf-8") if path.suffix in _TEXTS else path.read_bytes()
    return ReadResourceContents(content=content, mime_type=media_type(path.name))


def _nothing_at(uri: str, deps: Deps) -> ResourceNotFoundError:
    return ResourceNotFoundError(deps.say(_NONE.format(uri=uri[:200], guide=GUIDE, templates=listed(BY_TEMPLATE))))


def _words(error: FenqunError, deps: Deps) -> str:
    return deps.say(error.message.then(error.next_step))


# Completions: existing names, for what a person is typing into a prompt or an address


MOST = 100
"""The protocol's limit of one answer."""

Reference = PromptReference | ResourceTemplateReference


async def complete(reference: Reference, argument: str, typed: str, deps: Deps) -> Completion:
    """What the argument may become: names that begin with the typed text, then others that match it."""
    kind = BY_TEMPLATE.get(reference.uri) if isinstance(reference, ResourceTemplateReference) else None
    if kind is not None and argument == "name":
        return _answer(await _names(kind.folder, typed, deps))
    if isinstance(reference, PromptReference) and argument == "cluster":
        return _answer(await _names("clusters", typed, deps))
    if isinstance(reference, PromptReference) and argument == LANGUAGE:
        return _answer([one for one in ("en", "zh") if one.startswith(typed.strip())])
    return _answer(())


async def _names(folder: str, typed: str, deps: Deps) -> Sequence[str]:
    """Names of one kind that match, in either language, best first."""
    if folder == "clusters":
        page = await invoke(list_clusters, {"search": typed[:200], "limit": MOST}, deps)
        return [cluster.cluster_name for cluster in page.clusters]
    metadata = await deps.segments.metadata(deps.project(""))
    kind = Event if folder == "events" else Property
    start = typed.strip().casefold()
    # A search needs a word; the typed text may be its first letter.
    begin = [hit for hit in search(metadata, "") if hit.item.name.casefold().startswith(start)]
    return [hit.item.name for hit in (*begin, *search(metadata, typed[:200])) if isinstance(hit.item, kind)]


def _answer(names: Iterable[str]) -> Completion:
    unique = list(dict.fromkeys(names))
    return Completion(values=unique[:MOST], total=len(unique), has_more=len(unique) > MOST)
