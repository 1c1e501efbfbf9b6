"""Names of columns: which one is which system column (`--map`), and display names from a metadata file."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from mcp_server.errors import LoadRefused
from mcp_server.language.metadata import Event, Frozen, Names, Property, Table
from mcp_server.language.suggest import nearest
from mcp_server.sources.columns import Meaning
from mcp_server.sources.report import refuse
from mcp_server.text import NOTHING, Text, listed

# Which column of a file is which system column: by its own name, or by `--map`

SYSTEM: Mapping[Table, Mapping[str, Meaning]] = {
    "event": {
        "#user_id": "whole",
        "#event_name": "text",
        "#event_time": "time",
        "#account_id": "text",
        "#distinct_id": "text",
    },
    "user": {"#user_id": "whole", "#account_id": "text", "#distinct_id": "text"},
}
"""System columns and what they hold, regardless of a file's values."""
REQUIRED: Mapping[Table, tuple[str, ...]] = {"event": ("#user_id", "#event_name", "#event_time"), "user": ("#user_id",)}


def system_names(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the mapping with system names as keys (`user_id` and `#user_id` are the same); LoadRefused for other keys."""
    known = tuple(SYSTEM["event"])
    legal = listed(known)
    result: dict[str, str] = {}
    for key, name in columns.items():
        system = "#" + key.strip().removeprefix("#")
        if system not in known:
            close = nearest(key, known)
            raise refuse(
                Text(f"{key!r} is no system column that can be mapped.", f"{key!r} 不是可映射的系统列。"),
                Text(f"Use one of {legal.en}.", f"可用：{legal.zh}。").then(
                    Text(f"Did you mean {close}?", f"是否指 {close}？") if close else NOTHING
                ),
            )
        result[system] = name.strip()
    return result


def two_for_one(system: str, mapped: str, source: str) -> LoadRefused:
    """The error for a system column that the file has itself and that a name is mapped to as well."""
    return refuse(
        Text(
            f"{source} has both {system} and {mapped!r}, which is mapped to it.",
            f"{source} 既有 {system}，又有映射到它的列 {mapped!r}。",
        ),
        Text("Leave out the mapping, or rename one of the columns.", "请去掉该映射，或重命名其中一列。"),
    )


def one_for_two(first: str, second: str, name: str, source: str) -> LoadRefused:
    """The error for one column that is mapped to two system columns."""
    return refuse(
        Text(
            f"Column {name!r} of {source} cannot be both {first} and {second}.",
            f"{source} 的列 {name!r} 不能同时是 {first} 和 {second}。",
        ),
        Text("Map each system column to a column of its own.", "请为每个系统列指定不同的列。"),
    )


# Display names and remarks in both languages, from a metadata file (`--metadata`)

BUILT_IN: Mapping[str, Names] = {
    "#user_id": Names(
        en="User ID",
        zh="用户 ID",
        remark_en="The system's number of the user.",
        remark_zh="系统为每位用户分配的唯一编号。",
    ),
    "#account_id": Names(
        en="Account ID", zh="账号 ID", remark_en="What the user logs in with.", remark_zh="用户登录使用的账号。"
    ),
    "#distinct_id": Names(
        en="Visitor ID",
        zh="访客 ID",
        remark_en="The device or visitor before login.",
        remark_zh="用户登录前的设备或访客标识。",
    ),
    "#event_name": Names(en="Event name", zh="事件名"),
    "#event_time": Names(en="Event time", zh="事件时间"),
}
"""Names of the system properties where the file gives no others."""


class DisplayNames(Frozen):
    """The content of a metadata file: one JSON object with up to three parts, each by names of the data.

    Event names are exact, property names ignore case. Names that the data does not have are reported, not refused, so
    that one file can serve several data sets; other keys are refused.
    """

    events: dict[str, Names] = {}  # noqa: RUF012 - pydantic copies it
    event_properties: dict[str, Names] = {}  # noqa: RUF012 - the same
    user_properties: dict[str, Names] = {}  # noqa: RUF012 - the same

    def apply(
        self, events: tuple[Event, ...], properties: tuple[Property, ...]
    ) -> tuple[tuple[Event, ...], tuple[Property, ...]]:
        """Return the events and properties with their names."""
        own = {
            "event": {name.casefold(): names for name, names in self.event_properties.items()},
            "user": {name.casefold(): names for name, names in self.user_properties.items()},
        }
        return (
            tuple(event.model_copy(update={"names": self.events.get(event.name, event.names)}) for event in events),
            tuple(
                p.model_copy(update={"names": own[p.table].get(p.name.casefold()) or BUILT_IN.get(p.name, p.names)})
                for p in properties
            ),
        )

    def unknown(self, events: tuple[Event, ...], properties: tuple[Property, ...]) -> tuple[str, ...]:
        """Return the names of the file that the data does not have."""
        known = {event.name for event in events}
        unknown = [f"events.{name}" for name in self.events if name not in known]
        for table, named in (("event", self.event_properties), ("user", self.user_properties)):
            have = {p.name.casefold() for p in properties if p.table == table}
            unknown += [f"{table}_properties.{name}" for name in named if name.casefold() not in have]
        return tuple(unknown)


def read_display_names(path: Path | None) -> DisplayNames:
    """Read a metadata file; LoadRefused where it is missing, no JSON, or has other keys."""
    if path is None:
        return DisplayNames()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise refuse(
            Text(f"The metadata file {path} cannot be read: {reason}.", f"无法读取元数据文件 {path}：{reason}。")
        ) from None
    except UnicodeDecodeError:
        raise refuse(
            Text(f"The metadata file {path} is not UTF-8.", f"元数据文件 {path} 不是 UTF-8 编码。"), _SHAPE
        ) from None
    try:
        return DisplayNames.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        close = nearest(str(first["loc"][-1]), _KEYS) if first["type"] == "extra_forbidden" else ""
        hint = Text(f"Did you mean {close!r}?", f"是否指 {close!r}？") if close else NOTHING
        raise refuse(
            Text(
                f"The metadata file {path} is not as expected: {where}: {first['msg']}.",
                f"元数据文件 {path} 格式有误：{where}：{first['msg']}。",
            ),
            hint.then(_SHAPE),
        ) from None


_KEYS = (*DisplayNames.model_fields, *Names.model_fields)
_SHAPE = Text(
    'It is one JSON object: {"events": {"name": {"en": "…", "zh": "…", "remark_en": "…", "remark_zh": "…"}}, '
    '"event_properties": {…}, "user_properties": {…}}.',
    '应为一个 JSON 对象：{"events": {"名称": {"en": "…", "zh": "…", "remark_en": "…", "remark_zh": "…"}}, '
    '"event_properties": {…}, "user_properties": {…}}。',
)
