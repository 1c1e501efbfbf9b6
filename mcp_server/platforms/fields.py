"""What a remote platform cannot tell: one table of the fields that its results lack, each with its reason.

An absent field of a result means that there is nothing to say; here it means that nobody knows, and the result says
so under `not_told`. The table is the source of `docs/platform-fields.md` (a test holds it there, another one compares
local with remote results by it). A field is named by its whole path, without the places in lists: `tasks.concurrency`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mcp_server.platforms.ports import name_of
from mcp_server.text import Text


@dataclass(frozen=True, slots=True)
class Untold:
    """Fields that are in the results of the local platform and not in those of a remote one."""

    platform: str
    tools: tuple[str, ...]
    fields: tuple[str, ...]
    reason: Text
    beside: str = ""
    """The field that a result has where these would stand too; "" for any result of the tools."""


@dataclass(frozen=True, slots=True)
class ToldOnly:
    """Fields that only a remote platform fills."""

    platform: str
    tools: tuple[str, ...]
    fields: tuple[str, ...]
    """Of findings only those with a code: `warnings (word_unverified)`."""
    reason: Text


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Fields that both fill, a remote platform with something else."""

    platform: str
    tools: tuple[str, ...]
    fields: tuple[str, ...]
    reason: Text


_SETTINGS = Text(
    "No documented call returns what a task is set to; the list of tasks has name, window, state and progress only.",
    "没有公开的接口返回任务的设置；任务列表只有名称、起止时间、状态和进度。",
)
_CROWD_FORM = Text(
    "The platform's answer has the task's ids and times at most, as far as its form is known.",
    "就已知格式而言，平台的响应最多只含任务的 id 和时间。",
)
_OF_THE_LIST = Text(
    "From the platform's list; the codes of the state are not published.", "取自平台的任务列表；状态码含义没有公开。"
)
_NOT_LOOKED_AT = Text(
    "The platform tells definitions one cluster at a time, and of an event neither what it carries nor since when it is sent.",
    "平台只能逐个分群提供定义，也不说明事件带有哪些属性、从何时开始上报。",
)
_SAME_NAMES = Text("The same display names stand in both languages.", "中英文使用相同的显示名。")


def _warnings(*codes: str) -> tuple[str, ...]:
    return tuple(f"warnings ({code})" for code in codes)


_CHANGES = ("create_crowd_analysis", "update_crowd_analysis", "reload_crowd_analysis", "delete_crowd_analysis")

UNTOLD: tuple[Untold, ...] = (
    Untold(
        "thinkingdata",
        ("import_ids", "replace_imported_ids"),
        ("duplicates", "unmatched"),
        Text(
            "The platform counts what was uploaded, matched and not matched; it names no values and counts no repetitions.",
            "平台只统计上传、匹配与未匹配的数量，不列出具体的值，也不统计重复。",
        ),
    ),
    Untold(
        "thinkingdata",
        ("import_ids", "replace_imported_ids"),
        ("user_num", "unmatched_num"),
        Text(
            "Only the answer to an upload tells how many match: none was sent, or none has come.",
            "只有上传后的响应才说明匹配数量：尚未上传，或未收到响应。",
        ),
    ),
    Untold(
        "thinkingdata",
        ("import_ids", "replace_imported_ids"),
        _warnings("ids_no_match", "ids_shared", "ids_values_differ", "ids_delimiter", "ids_rounded", "ids_zero_bytes"),
        Text("Ids are not matched here; only the platform sees whom they meet.", "ID 不在本机匹配，只有平台知道其对应的用户。"),
    ),
    Untold(
        "thinkingdata",
        ("describe_data",),
        (
            *("event_rows", "events.count", "events.users", "events.first", "events.last"),
            *("properties.missing", "properties.low", "properties.high", "properties.events"),
        ),
        Text(
            "The calls for events and properties tell names and types only.",
            "事件与属性接口只给出名称和类型。",
        ),
    ),
    Untold(
        "thinkingdata",
        ("describe_data",),
        ("users",),
        Text(
            "Users, and values of texts, are counted by SQL: the account may not run it, or it took too long.",
            "用户数和文本的取值由 SQL 统计：账号无权执行 SQL，或统计超时。",
        ),
    ),
    Untold(
        "thinkingdata",
        ("preview_definition",),
        ("median",),
        Text("Its query engine has no exact median.", "其查询引擎没有精确的中位数。"),
        beside="low",
    ),
    Untold(
        "thinkingdata",
        ("validate_definition",),
        ("event_rows", "rows_to_read"),
        Text("The platform does not tell how many rows it has to read.", "平台不提供需要读取的行数。"),
        beside="explanation",
    ),
    Untold(
        "thinkingdata",
        ("validate_definition",),
        _warnings("same_meaning", "property_not_on_event", "window_outside_data"),
        _NOT_LOOKED_AT,
        beside="explanation",
    ),
    Untold(
        "thinkingdata",
        ("preview_definition",),
        _warnings("same_meaning", "property_not_on_event", "window_outside_data"),
        _NOT_LOOKED_AT,
    ),
    Untold(
        "thinkingdata",
        ("create_cluster", "create_tag"),
        _warnings("same_meaning", "same_users", "property_not_on_event", "window_outside_data"),
        _NOT_LOOKED_AT,
    ),
    Untold(
        "thinkingdata",
        ("update_cluster", "update_tag"),
        _warnings("used_by_others", "same_meaning", "property_not_on_event", "window_outside_data"),
        _NOT_LOOKED_AT,
    ),
    Untold(
        "taobao",
        (*_CHANGES, "get_crowd_analysis"),
        ("result.crowd_name", "result.users_num", "result.loaded_time"),
        _CROWD_FORM,
    ),
    Untold("taobao", ("list_crowd_analyses",), ("tasks.crowd_name", "tasks.users_num", "tasks.loaded_time"), _CROWD_FORM),
    Untold(
        "taobao",
        ("reload_crowd_analysis",),
        ("joined", "left"),
        Text("The platform does not tell who was loaded before.", "平台不提供此前加载的成员。"),
    ),
    Untold(
        "taobao",
        ("get_crowd_analysis",),
        ("all_users", "profile", "unit", "activity", "events", "active_users", "joined", "left", "notes", "activity_left_out"),
        Text("The form of the platform's report is not published.", "平台报告的格式没有公开。"),
    ),
    Untold(
        "volcengine",
        ("list_call_tasks",),
        ("tasks.concurrency", "tasks.ring_again_times", "tasks.ring_again_interval"),
        _SETTINGS,
    ),
    Untold(
        "volcengine",
        ("get_call_task",),
        (
            *("task.concurrency", "task.ring_again_times", "task.ring_again_interval"),
            *("warnings", "call_times", "forbid_times", "attempts", "finish", "in_time", "days", "more_days", "chart"),
        ),
        _SETTINGS,
    ),
)  # fmt: skip

TOLD_ONLY: tuple[ToldOnly, ...] = (
    ToldOnly(
        "thinkingdata",
        ("validate_definition", "preview_definition", "create_cluster", "update_cluster", "create_tag", "update_tag"),
        ("warnings (word_unverified)",),
        Text("One for each word that the platform does not document.", "平台文档未说明的词，每个一条提醒。"),
    ),
    ToldOnly(
        "thinkingdata",
        ("describe_data",),
        ("events.more", "properties.more"),
        Text(
            "Of few findings: what else the platform says of them, by its own names, since the form is not documented.",
            "结果较少时列出：平台返回的其余字段，保留原名（其格式没有公开）。",
        ),
    ),
    ToldOnly(
        "taobao",
        ("list_crowd_analyses", "get_crowd_analysis"),
        ("raw",),
        Text("The platform's answer as it came.", "平台的原始响应。"),
    ),
    ToldOnly("taobao", _CHANGES, ("request_id",), Text("For the platform's support.", "供平台技术支持查询。")),
    ToldOnly("volcengine", ("update_call_task",), ("request_id",), Text("For the platform's support.", "供平台技术支持查询。")),
    ToldOnly("volcengine", ("list_call_tasks",), ("tasks.platform_state", "tasks.called", "tasks.connected"), _OF_THE_LIST),
    ToldOnly(
        "volcengine",
        ("get_call_task", "update_call_task"),
        ("task.platform_state", "task.called", "task.connected"),
        _OF_THE_LIST,
    ),
)  # fmt: skip

OTHERWISE: tuple[Otherwise, ...] = (
    Otherwise(
        "thinkingdata",
        ("describe_data",),
        ("events.display_name", "events.remark", "properties.display_name", "properties.remark"),
        Text(
            "Each event and property has one display name, in the language of the account: words of the other language do not find it.",
            "每个事件和属性只有一个显示名，用的是账号的语言；用另一种语言的词搜不到它。",
        ),
    ),
    Otherwise(
        "thinkingdata",
        ("validate_definition",),
        ("explanation.en", "explanation.zh"),
        _SAME_NAMES,
    ),
    Otherwise("thinkingdata", ("preview_definition",), ("funnel.condition",), _SAME_NAMES),
    Otherwise(
        "thinkingdata",
        ("create_cluster", "update_cluster", "create_tag", "update_tag", "get_cluster"),
        ("explanation", "changes"),
        _SAME_NAMES,
    ),
    Otherwise(
        "thinkingdata",
        ("describe_data",),
        ("properties.values", "properties.more_values"),
        Text(
            "Counted by SQL where the account may run it: of at most 20 texts of a table, of events those of the last seven days.",
            "由 SQL 统计（账号须有执行 SQL 的权限）：每张表至多 20 个文本属性，事件只看最近七天。",
        ),
    ),
    Otherwise(
        "thinkingdata",
        ("validate_definition", "preview_definition", "create_cluster", "update_cluster", "create_tag", "update_tag"),
        _warnings("value_unseen"),
        Text("Only where all values of a property were counted, as above.", "仅在某属性的取值已全部统计时才有，统计范围同上。"),
    ),
    Otherwise(
        "volcengine",
        ("update_call_task",),
        ("changes",),
        Text("What is set is said, not what it was: that can't be read.", "只说明新设置；原设置无法读取。"),
    ),
)  # fmt: skip


def untold(platform: str, tool: str) -> frozenset[str]:
    """The fields that results of this tool lack on this platform."""
    return frozenset(field for row in _of(UNTOLD, platform, tool) for field in row.fields)


def varying(platform: str, tool: str) -> frozenset[str]:
    """The fields in which results of this tool may differ from those of the local platform."""
    rows: tuple[Untold | ToldOnly | Otherwise, ...] = (*UNTOLD, *TOLD_ONLY, *OTHERWISE)
    return frozenset(field for row in _of(rows, platform, tool) for field in row.fields)


def not_told(platform: str, tool: str, result: Mapping[str, object]) -> Iterator[tuple[str, Text]]:
    """What a result of this tool lacks on this platform, and why: fields of what it has, parted by commas."""
    for row in _of(UNTOLD, platform, tool):
        lacking = tuple(f for f in row.fields if _has(result, f.rpartition(".")[0]) and not _has(result, f))
        if lacking and _has(result, row.beside):
            yield ", ".join(lacking), row.reason


def _has(part: object, path: str) -> bool:
    """Whether something stands at a path, in any row of a list."""
    if isinstance(part, list | tuple):
        return any(_has(row, path) for row in part)
    if not path:
        return True
    name, _, rest = path.partition(".")
    return isinstance(part, Mapping) and name in part and _has(part[name], rest)


_Row = TypeVar("_Row", bound=Untold | ToldOnly | Otherwise)


def _of(rows: Iterable[_Row], platform: str, tool: str) -> Iterator[_Row]:
    return (row for row in rows if row.platform == platform and tool in row.tools)


_HEAD = """\
# What platforms cannot tell · 各平台无法提供的信息

From `mcp_server/platforms/fields.py`. A result of the local platform has these fields; on the remote one they are absent, and the result says so
under `not_told`, with the reason. Every result of a remote platform also has `platform`, the account that was acted on.

本表取自 `mcp_server/platforms/fields.py`。下列字段在本机平台的结果中有，在远程平台的结果中没有；结果的 `not_told` 会列出这些字段及原因。远程平台的结果另有
`platform` 字段，标明所操作的账号。

"""


def page() -> str:
    """`docs/platform-fields.md`."""
    sections = (
        ("## Absent · 缺少的字段\n", UNTOLD),
        ("\n## Only there · 仅远程平台提供的字段\n", TOLD_ONLY),
        ("\n## Other content · 内容不同的字段\n", OTHERWISE),
    )
    return _HEAD + "\n".join(line for title, rows in sections for line in (title, *_table(rows))) + "\n"


def _table(rows: tuple[Untold, ...] | tuple[ToldOnly, ...] | tuple[Otherwise, ...]) -> Iterator[str]:
    yield "| platform · 平台 | tools · 工具 | fields · 字段 | reason · 原因 |"
    yield "|---|---|---|---|"
    for row in rows:
        name = name_of(row.platform)
        tools, fields = (", ".join(f"`{one}`" for one in many) for many in (row.tools, row.fields))
        yield f"| {name.en} · {name.zh} | {tools} | {fields} | {row.reason.en} {row.reason.zh} |"
