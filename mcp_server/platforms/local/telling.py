"""The report of a load in sentences, for the person who gave the command."""

from collections.abc import Iterator

from mcp_server.engine.report import LoadReport
from mcp_server.text import Text, listed

_LOADED = Text("Loaded: {rows} events, {users} users.", "加载完成：{rows} 条事件，{users} 个用户。")
_LEFT_OUT = Text("They were left out.", "这些行已跳过。")
_NOT_A_NUMBER = Text(
    "NaN or infinite values of {name} that count as missing: {n}.", "{name} 中的 NaN 或无穷值按无值处理：{n} 个。"
)
_REPEATED = Text(
    "Times in an hour that the clock change repeats, read as the first of the two: {n}.",
    "落在时钟回拨重复时段内、按前一次取值的时间：{n} 个。",
)
_SKIPPED = Text(
    "Times in an hour that the clock change skips, moved forward: {n}.",
    "落在时钟拨快所跳过时段内、已顺延的时间：{n} 个。",
)
_CLAMPED = Text(
    "Times beyond the years 1 to 9999, moved to the nearest one: {n}.",
    "超出公元 1 至 9999 年、取最近边界的时间：{n} 个。",
)
_MIXED = Text("Column {name}: {note}", "列 {name}：{note}")
_STRANGERS = Text(
    "Events whose #user_id no user has, which select nobody: {n}.",
    "#user_id 不属于任何用户、不会选中任何人的事件：{n} 条。",
)
_UNKNOWN = Text(
    "Names of the metadata file that the data does not have: {names}.", "元数据文件中有、而数据中没有的名称：{names}。"
)


def told(report: LoadReport) -> Iterator[Text]:
    """What was loaded, and everything that was left out or read otherwise than it looks; one sentence a line."""
    yield _LOADED.format(rows=f"{report.rows:,}", users=f"{report.users:,}")
    for bad in report.skipped:
        yield bad.text().then(_LEFT_OUT)
    for name, count in report.not_a_number.items():
        yield _NOT_A_NUMBER.format(name=name, n=f"{count:,}")
    counted = (
        (_REPEATED, report.repeated_times),
        (_SKIPPED, report.skipped_times),
        (_CLAMPED, report.clamped_times),
        (_STRANGERS, report.unknown_user_rows),
    )
    for sentence, count in counted:
        if count:
            yield sentence.format(n=f"{count:,}")
    for column in report.mixed:
        yield _MIXED.format(name=column.name, note=column.text)
    if report.unknown_names:
        yield _UNKNOWN.format(names=listed(report.unknown_names))
    yield from report.notes
