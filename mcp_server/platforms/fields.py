"""What a remote platform cannot tell: one table of the fields that its results lack, each with its reason.

An absent field of a result means that there is nothing to say; here it means that nobody knows. The table is the
source of `docs/platform-fields.md` (a test holds it there, another one compares local with remote results).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mcp_server.platforms.ports import name_of
from mcp_server.text import Text


@dataclass(frozen=True, slots=True)
class Untold:
    """Fields that are in the results of the local platform and not in those of a remote one."""

    platform: str
    tools: tuple[str, ...]
    fields: tuple[str, ...]
    """Members of a row stand after its name: `task.concurrency`."""
    reason: Text


@dataclass(frozen=True, slots=True)
class ToldOnly:
    """Fields that only a remote platform fills."""

    platform: str
    tools: tuple[str, ...]
    fields: tuple[str, ...]
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
        ("warnings",),
        Text("Ids are not matched here; only the platform sees whom they meet.", "ID 不在本机匹配，只有平台知道其对应的用户。"),
    ),
    Untold(
        "thinkingdata",
        ("describe_data",),
        (
            *("events.count", "events.users", "events.first", "events.last", "event_rows"),
            *("properties.missing", "properties.low", "properties.high", "properties.events"),
        ),
        Text(
            "The calls for events and properties tell names and types only; values of texts are counted by SQL where the account may run it.",
            "事件与属性接口只给出名称和类型；账号可执行 SQL 时，文本属性的取值由 SQL 统计。",
        ),
    ),
    Untold(
        "thinkingdata",
        ("preview_definition",),
        ("values.median",),
        Text("Its query engine has no exact median.", "其查询引擎没有精确的中位数。"),
    ),
    Untold(
        "thinkingdata",
        ("validate_definition",),
        ("event_rows", "rows_to_read"),
        Text("The platform does not tell how many rows it has to read.", "平台不提供需要读取的行数。"),
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
        ("warnings",),
        Text("One for each word that the platform does not document.", "平台文档未说明的词，每个一条提醒。"),
    ),
    ToldOnly(
        "taobao",
        ("list_crowd_analyses", "get_crowd_analysis"),
        ("raw",),
        Text("The platform's answer as it came.", "平台的原始响应。"),
    ),
    ToldOnly("taobao", _CHANGES, ("request_id",), Text("For the platform's support.", "供平台技术支持查询。")),
    ToldOnly("volcengine", ("update_call_task",), ("request_id",), Text("For the platform's support.", "供平台技术支持查询。")),
    ToldOnly(
        "volcengine",
        ("list_call_tasks", "get_call_task", "update_call_task"),
        ("platform_state", "called", "connected"),
        Text("From the platform's list; the codes of the state are not published.", "取自平台的任务列表；状态码含义没有公开。"),
    ),
)  # fmt: skip

OTHERWISE: tuple[Otherwise, ...] = (
    Otherwise(
        "thinkingdata",
        ("describe_data", "validate_definition"),
        ("events", "properties", "total", "left_out", "explanation.zh"),
        Text(
            "Each event and property has one display name, in the language of the account: words of the other language do not find it.",
            "每个事件和属性只有一个显示名，用的是账号的语言；用另一种语言搜索找不到它。",
        ),
    ),
    Otherwise(
        "thinkingdata",
        ("export_users",),
        ("size_bytes",),
        Text("The first line of the file is quoted only where needed.", "文件首行仅在必要时加引号。"),
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
    return frozenset(field for row in UNTOLD if row.platform == platform and tool in row.tools for field in row.fields)


def varying(platform: str, tool: str) -> frozenset[str]:
    """The fields in which results of this tool may differ from those of the local platform; rows as in `untold`."""
    rows: tuple[Untold | ToldOnly | Otherwise, ...] = (*UNTOLD, *TOLD_ONLY, *OTHERWISE)
    return frozenset(field for row in rows if row.platform == platform and tool in row.tools for field in row.fields)


_HEAD = """\
# What platforms cannot tell · 各平台无法提供的信息

From `mcp_server/platforms/fields.py`. A result of the local platform has these fields; on the remote one they are absent, for the reason given.
Every result of a remote platform also has `platform`, the account that was acted on.

本表取自 `mcp_server/platforms/fields.py`。下列字段在本机平台的结果中有，在远程平台的结果中没有。远程平台的结果另有 `platform` 字段，标明所操作的账号。

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
