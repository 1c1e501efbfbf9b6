"""The report of a load: what was loaded, what was left out, what was read otherwise than it looks; and refusals."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from mcp_server.errors import InvalidArguments, LoadRefused, Problem
from mcp_server.language.metadata import Frozen, Table
from mcp_server.text import NOTHING, Text, listed

FIRST_ROWS = 20
"""Bad rows that are shown one by one."""

REASONS: Mapping[str, Text] = {
    "missing_user_id": Text("`#user_id` is missing", "缺少 `#user_id`"),
    "missing_event_name": Text("`#event_name` is missing", "缺少 `#event_name`"),
    "missing_event_time": Text("`#event_time` is missing", "缺少 `#event_time`"),
    "unreadable_user_id": Text("`#user_id` is not a whole number of 64 bits", "`#user_id` 不是 64 位整数"),
    "unreadable_event_time": Text("`#event_time` cannot be read as a time", "`#event_time` 不是可识别的时间"),
    "unreadable_row": Text("the row cannot be read", "该行无法解析"),
    "too_few_fields": Text(
        "it has fewer fields than the header (an exporter dropped empty ones at the end: add the missing separators)",
        "字段数少于表头（可能省略了末尾的空字段：请补上分隔符）",
    ),
    "too_many_fields": Text(
        "it has more fields than the header (a value with a separator in it has no quotes around it)",
        "字段数多于表头（可能有值含分隔符而未加引号）",
    ),
    "open_quote": Text(
        'a quote inside a value is not doubled (write "" for each, not a backslash)',
        '值中的引号没有写成两个（请用 "" 表示一个引号，不要用反斜杠）',
    ),
    "unreadable_value": Text(
        "a value does not fit the type of its column (add it to missing, or make the column text, in the mapping or with --types COLUMN=text)",
        "值与该列类型不符（可在映射中将其列入 missing，或用 --types 列名=text 将该列改为文本）",
    ),
    "missing_event_id": Text("an update has no `#event_id`", "更新类事件缺少 `#event_id`"),
    "duplicate_user": Text("its `#user_id` has come before", "`#user_id` 与前面的用户重复"),
    "missing_id": Text(
        "it has neither `#user_id` nor `#account_id` nor `#distinct_id`",
        "`#user_id`、`#account_id`、`#distinct_id` 均缺失",
    ),
    "unknown_type": Text("its `#type` is none of the known ones", "`#type` 不在支持的类型之内"),
    "unreadable_change": Text("a value does not fit its `#type`", "属性值与 `#type` 不匹配"),
}
"""Why a row cannot be loaded. One row has one reason: the first that holds, in the order of the checks."""


class BadRow(Frozen):
    """One row that cannot be loaded."""

    file: str
    row: int
    """Number of the row in its file, from 1; a CSV header and blank lines are not counted."""
    reason: str
    """A key of `REASONS`."""
    value: str = ""
    """The value that is wrong, cut short; empty where there is none."""

    def text(self) -> Text:
        shown = Text(f": {self.value!r}", f"：{self.value!r}") if self.value else NOTHING
        where = Text(f"row {self.row} of {self.file}: ", f"{self.file} 第 {self.row} 行：")
        reason = REASONS[self.reason]
        return Text(where.en + reason.en + shown.en, where.zh + reason.zh + shown.zh)


class BadRows(Frozen):
    """The rows of one table that cannot be loaded."""

    table: Table
    rows: int
    """Rows of the source in all."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Reason to number of rows."""
    first: tuple[BadRow, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def text(self) -> Text:
        """The counts in a sentence."""
        what = Text("events", "事件数据") if self.table == "event" else Text("users", "用户数据")
        counted = [(n, REASONS[reason]) for reason, n in self.counts.items()]
        reasons = listed([Text(f"{n:,} × {reason.en}", f"{reason.zh}（{n:,} 行）") for n, reason in counted])
        return Text(
            f"{self.total:,} of {self.rows:,} rows of the {what.en} cannot be loaded: {reasons.en}.",
            f"{what.zh}共 {self.rows:,} 行，其中 {self.total:,} 行无法加载：{reasons.zh}。",
        )


class ColumnNote(Frozen):
    """A column that was read as another type than most of its values look like."""

    table: Table
    name: str
    text: Text


class LoadReport(Frozen):
    """The account of one load; goes to the user and is kept with the data."""

    rows: int
    """Event rows loaded."""
    users: int
    skipped: tuple[BadRows, ...] = ()
    """Bad rows that were left out (only with `skip_bad_rows`)."""
    not_a_number: dict[str, int] = Field(default_factory=dict)
    """`event.name` or `user.name` to how many NaN or infinite values became missing ones."""
    repeated_times: int = 0
    """Local times in an hour that a clock change repeats; read as the first of the two."""
    skipped_times: int = 0
    """Local times in an hour that a clock change skips; moved forward by the length of the gap."""
    clamped_times: int = 0
    """Times beyond the years 1 to 9999, moved to the nearest time that can be written."""
    mixed: tuple[ColumnNote, ...] = ()
    unknown_user_rows: int = 0
    """Event rows whose `#user_id` no user has; they select nobody."""
    unknown_names: tuple[str, ...] = ()
    """Names of the metadata file that the data does not have, as `events.name` and the like."""
    notes: tuple[Text, ...] = ()


_NOTHING_LOADED = Text("Nothing was loaded.", "未加载任何数据。")


def refuse(message: Text, next_step: Text = NOTHING) -> LoadRefused:
    """Return the error for files that cannot be loaded at all."""
    return LoadRefused(message.then(_NOTHING_LOADED), next_step=next_step)


def refuse_rows(refused: Sequence[BadRows]) -> LoadRefused:
    """Return the error for bad rows: counts by reason, and the first of them as problems."""
    message = NOTHING
    for bad in refused:
        message = message.then(bad.text())
    problems = [
        Problem("/events" if bad.table == "event" else "/users", row.reason, row.text(), got=row.value)
        for bad in refused
        for row in bad.first
    ]
    return LoadRefused(
        message.then(_NOTHING_LOADED),
        next_step=Text(
            "Fix these rows, or load the others with --skip-bad-rows.",
            "请修正这些行；也可以加 --skip-bad-rows 跳过它们，只加载其余的行。",
        ),
        problems=problems[:FIRST_ROWS],
    )


def refuse_ids(problems: Sequence[Problem]) -> InvalidArguments:
    """Return the error for ids that cannot be imported."""
    return InvalidArguments(
        Text("The ids can't be imported; nothing was saved.", "无法导入这些 ID；未保存任何内容。"),
        next_step=Text("Fix what is listed and call again.", "请按所列问题修正后重新调用。"),
        problems=problems,
    )
