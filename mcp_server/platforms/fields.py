"""The fields that results of remote platforms lack, each with its reason.

A field is usually absent because there is nothing to report; these are absent because nobody knows, and a result lists
them under `not_told`. The table is the source of `docs/platform-fields.md`, and a test compares local with remote
results by it. A field is named by its whole path, without the places in lists: `tasks.concurrency`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mcp_server.text import Text


@dataclass(frozen=True, slots=True)
class FieldRow:
    """Fields in which the results of a remote platform differ from those of the local one."""

    platform: str
    tools: tuple[str, ...]
    fields: tuple[str, ...]
    """Of problems only those with a code: `warnings (word_unverified)`."""
    reason: Text
    beside: str = ""
    """A field that every result has which could have these too; "" for any result of the tools."""


_SETTINGS = Text(
    "No documented call returns what a task is set to; the list of tasks has name, window, state and progress only.",
    "没有公开的接口返回任务的设置；任务列表只有名称、起止时间、状态和进度。",
)
_CROWD_FORM = Text(
    "The platform's answer has the task's ids and times at most, as far as its form is known.",
    "就已知格式而言，平台的响应最多只含任务的 id 和时间。",
)
_NOT_CHECKED = Text(
    "The platform gives definitions one cluster at a time, and of an event neither its properties nor since when it is sent.",
    "平台只能逐个分群提供定义，也不说明事件带有哪些属性、从何时开始上报。",
)


def warnings_of(*codes: str) -> tuple[str, ...]:
    return tuple(f"warnings ({code})" for code in codes)


CROWD_CHANGES = ("create_crowd_analysis", "update_crowd_analysis", "reload_crowd_analysis", "delete_crowd_analysis")

ABSENT: tuple[FieldRow, ...] = (
    FieldRow(
        "thinkingdata",
        ("import_ids", "replace_imported_ids"),
        ("duplicates", "unmatched"),
        Text(
            "The platform counts what was uploaded, matched and not matched; it names no values and counts no repetitions.",
            "平台只统计上传、匹配与未匹配的数量，不列出具体的值，也不统计重复。",
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("import_ids", "replace_imported_ids"),
        ("user_num", "unmatched_num"),
        Text(
            "Only the answer to an upload shows how many match: nothing was uploaded, or no answer has come.",
            "只有上传后的响应才说明匹配数量：尚未上传，或未收到响应。",
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("import_ids", "replace_imported_ids"),
        warnings_of("ids_no_match", "ids_shared", "ids_values_differ", "ids_delimiter", "ids_rounded", "ids_zero_bytes", "ids_nearly"),
        Text("Ids are not matched on this machine; only the platform knows which users they match.", "ID 不在本机匹配，只有平台知道其对应的用户。"),
    ),
    FieldRow(
        "thinkingdata",
        ("describe_data",),
        (
            *("event_rows", "events.count", "events.users", "events.first", "events.last"),
            *("properties.missing", "properties.low", "properties.high", "properties.events"),
        ),
        Text(
            "The calls for events and properties give names and types only.",
            "事件与属性接口只给出名称和类型。",
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("describe_data",),
        ("first_day", "last_day", "loaded_at", "age_days"),
        Text(
            "The platform collects its data itself; no call says when it came.", "数据由平台自行采集；没有接口说明其时间。"
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("describe_data",),
        ("users",),
        Text(
            "Users, and values of texts, are counted by SQL: the account may not run it, or it took too long.",
            "用户数和文本的取值由 SQL 统计：账号无权执行 SQL，或统计超时。",
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("preview_definition",),
        ("median",),
        Text("Its query engine has no exact median.", "其查询引擎没有精确的中位数。"),
        beside="low",
    ),
    FieldRow(
        "thinkingdata",
        ("validate_definition",),
        ("event_rows", "rows_to_read"),
        Text("The platform does not report how many rows it has to read.", "平台不提供需要读取的行数。"),
        beside="explanation",
    ),
    FieldRow(
        "thinkingdata",
        ("validate_definition",),
        warnings_of("same_meaning", "property_not_on_event", "window_outside_data"),
        _NOT_CHECKED,
        beside="explanation",
    ),
    FieldRow(
        "thinkingdata",
        ("preview_definition",),
        warnings_of("same_meaning", "property_not_on_event", "window_outside_data"),
        _NOT_CHECKED,
    ),
    FieldRow(
        "thinkingdata",
        ("create_cluster", "create_tag"),
        warnings_of("same_meaning", "same_users", "property_not_on_event", "window_outside_data"),
        _NOT_CHECKED,
    ),
    FieldRow(
        "thinkingdata",
        ("update_cluster", "update_tag"),
        warnings_of("used_by_others", "same_meaning", "property_not_on_event", "window_outside_data"),
        _NOT_CHECKED,
    ),
    FieldRow(
        "taobao",
        (*CROWD_CHANGES, "get_crowd_analysis"),
        ("result.crowd_name", "result.users_num", "result.loaded_time"),
        _CROWD_FORM,
    ),
    FieldRow("taobao", ("list_crowd_analyses",), ("tasks.crowd_name", "tasks.users_num", "tasks.loaded_time"), _CROWD_FORM),
    FieldRow(
        "taobao",
        ("reload_crowd_analysis",),
        ("joined", "left"),
        Text("The platform does not report who was loaded before.", "平台不提供此前加载的成员。"),
    ),
    FieldRow(
        "taobao",
        ("get_crowd_analysis",),
        ("all_users", "profile", "unit", "activity", "events", "active_users", "joined", "left", "notes", "activity_left_out"),
        Text("The form of the platform's report is not published.", "平台报告的格式没有公开。"),
    ),
    FieldRow(
        "volcengine",
        ("list_call_tasks",),
        ("tasks.concurrency", "tasks.ring_again_times", "tasks.ring_again_interval"),
        _SETTINGS,
    ),
    FieldRow(
        "volcengine",
        ("get_call_task",),
        (
            *("task.concurrency", "task.ring_again_times", "task.ring_again_interval"),
            *("warnings", "call_times", "forbid_times", "attempts", "finish", "in_time", "days", "more_days", "chart"),
        ),
        _SETTINGS,
    ),
)  # fmt: skip


def absent_fields(platform: str, tool: str, result: Mapping[str, object]) -> Iterator[tuple[str, Text]]:
    """Yield what a result of this tool lacks on this platform, and why: fields separated by commas."""
    for row in ABSENT:
        if row.platform == platform and tool in row.tools:
            lacking = [f for f in row.fields if _has(result, f.rpartition(".")[0]) and not _has(result, f)]
            if lacking and _has(result, row.beside):
                yield ", ".join(lacking), row.reason


def _has(part: object, path: str) -> bool:
    """Whether there is a field at a path, in any row of a list."""
    if isinstance(part, list | tuple):
        return any(_has(row, path) for row in part)
    if not path:
        return True
    name, _, rest = path.partition(".")
    return isinstance(part, Mapping) and name in part and _has(part[name], rest)
