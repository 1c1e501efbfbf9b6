"""How results of remote platforms differ from local ones: the tables that make `docs/platform-fields.md`.

`mcp_server/platforms/fields.py` has the one that results need themselves (`ABSENT`). A test compares local with remote
results by all of them.
"""

from collections.abc import Iterable, Iterator

from mcp_server.platforms.fields import ABSENT, CROWD_CHANGES, FieldRow, warnings_of
from mcp_server.platforms.segments import name_of
from mcp_server.text import Text

_SAME_NAMES = Text("Display names are the same in both languages.", "中英文使用相同的显示名。")


_OF_THE_LIST = Text(
    "From the platform's list; the codes of the state are not published.", "取自平台的任务列表；状态码含义没有公开。"
)

REMOTE_ONLY: tuple[FieldRow, ...] = (
    FieldRow(
        "thinkingdata",
        ("validate_definition", "preview_definition", "create_cluster", "update_cluster", "create_tag", "update_tag"),
        ("warnings (word_unverified)",),
        Text("One for each word that the platform does not document.", "平台文档未说明的词，每个一条提醒。"),
    ),
    FieldRow(
        "thinkingdata",
        ("describe_data",),
        ("events.more", "properties.more"),
        Text(
            "Of few results: what else the platform reports of them, by its own names, since the form is not documented.",
            "结果较少时列出：平台返回的其余字段，保留原名（其格式没有公开）。",
        ),
    ),
    FieldRow(
        "taobao",
        ("list_crowd_analyses", "get_crowd_analysis"),
        ("raw",),
        Text("The platform's answer as it came.", "平台的原始响应。"),
    ),
    FieldRow("taobao", CROWD_CHANGES, ("request_id",), Text("For the platform's support.", "供平台技术支持查询。")),
    FieldRow("volcengine", ("update_call_task",), ("request_id",), Text("For the platform's support.", "供平台技术支持查询。")),
    FieldRow("volcengine", ("list_call_tasks",), ("tasks.platform_state", "tasks.called", "tasks.connected"), _OF_THE_LIST),
    FieldRow(
        "volcengine",
        ("get_call_task", "update_call_task"),
        ("task.platform_state", "task.called", "task.connected"),
        _OF_THE_LIST,
    ),
)  # fmt: skip

DIFFERENT: tuple[FieldRow, ...] = (
    FieldRow(
        "thinkingdata",
        ("describe_data",),
        ("events.display_name", "events.remark", "properties.display_name", "properties.remark"),
        Text(
            "Each event and property has one display name, in the language of the account: words in the other language do not match it.",
            "每个事件和属性只有一个显示名，用的是账号的语言；用另一种语言的词搜不到它。",
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("validate_definition",),
        ("explanation.en", "explanation.zh"),
        _SAME_NAMES,
    ),
    FieldRow("thinkingdata", ("preview_definition",), ("funnel.condition",), _SAME_NAMES),
    FieldRow(
        "thinkingdata",
        ("create_cluster", "update_cluster", "create_tag", "update_tag", "get_cluster"),
        ("explanation", "changes"),
        _SAME_NAMES,
    ),
    FieldRow(
        "thinkingdata",
        ("describe_data",),
        ("properties.values", "properties.more_values"),
        Text(
            "Counted by SQL where the account may run it: of at most 20 texts of a table, of events those of the last seven days.",
            "由 SQL 统计（账号须有执行 SQL 的权限）：每张表至多 20 个文本属性，事件只看最近七天。",
        ),
    ),
    FieldRow(
        "thinkingdata",
        ("validate_definition", "preview_definition", "create_cluster", "update_cluster", "create_tag", "update_tag"),
        warnings_of("value_unseen"),
        Text("Only where all values of a property were counted, as above.", "仅在某属性的取值已全部统计时才有，统计范围同上。"),
    ),
    FieldRow(
        "volcengine",
        ("update_call_task",),
        ("changes",),
        Text("The new settings are shown, not the old ones, which can't be read.", "只说明新设置；原设置无法读取。"),
    ),
)  # fmt: skip


def absent(platform: str, tool: str) -> frozenset[str]:
    """The fields that results of this tool lack on this platform."""
    return frozenset(field for row in _of(ABSENT, platform, tool) for field in row.fields)


def varying(platform: str, tool: str) -> frozenset[str]:
    """The fields in which results of this tool may differ from those of the local platform."""
    rows = (*ABSENT, *REMOTE_ONLY, *DIFFERENT)
    return frozenset(field for row in _of(rows, platform, tool) for field in row.fields)


def _of(rows: Iterable[FieldRow], platform: str, tool: str) -> Iterator[FieldRow]:
    return (row for row in rows if row.platform == platform and tool in row.tools)


_HEAD = """\
# What platforms do not provide · 各平台无法提供的信息

From `mcp_server/platforms/fields.py`. A result of the local platform has these fields; on the remote one they are absent, and the result lists them
under `not_told`, with the reason. Every result of a remote platform also has `platform`, the account that was acted on.

本表取自 `mcp_server/platforms/fields.py`。下列字段在本机平台的结果中有，在远程平台的结果中没有；结果的 `not_told` 会列出这些字段及原因。远程平台的结果另有
`platform` 字段，标明所操作的账号。

"""


def page() -> str:
    """`docs/platform-fields.md`."""
    sections = (
        ("## Absent · 缺少的字段\n", ABSENT),
        ("\n## Only there · 仅远程平台提供的字段\n", REMOTE_ONLY),
        ("\n## Other content · 内容不同的字段\n", DIFFERENT),
    )
    return _HEAD + "\n".join(line for title, rows in sections for line in (title, *_table(rows))) + "\n"


def _table(rows: Iterable[FieldRow]) -> Iterator[str]:
    yield "| platform · 平台 | tools · 工具 | fields · 字段 | reason · 原因 |"
    yield "|---|---|---|---|"
    for row in rows:
        name = name_of(row.platform)
        tools, fields = (", ".join(f"`{one}`" for one in many) for many in (row.tools, row.fields))
        yield f"| {name.en} · {name.zh} | {tools} | {fields} | {row.reason.en} {row.reason.zh} |"
