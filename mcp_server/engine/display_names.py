"""Display names and remarks in both languages, from a metadata file (`--metadata`).

The file is one JSON object, each part of it optional:

    {"events":           {"purchase": {"en": "Purchase", "zh": "购买", "remark_en": "…", "remark_zh": "…"}},
     "event_properties": {"amount":   {"en": "Amount", "zh": "金额"}},
     "user_properties":  {"level":    {"en": "Level", "zh": "等级"}}}

Event names are exact, property names ignore case. Names that the data does not have are reported, not refused, so that
one file can serve several data sets; other keys are refused.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from mcp_server.engine.report import refuse
from mcp_server.qp.metadata import Event, Frozen, Names, Property
from mcp_server.qp.suggest import nearest
from mcp_server.text import NOTHING, Text

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
"""Names of the system properties, where the file gives no others."""


class DisplayNames(Frozen):
    """The content of a metadata file."""

    events: dict[str, Names] = {}  # noqa: RUF012 - pydantic copies it
    event_properties: dict[str, Names] = {}  # noqa: RUF012 - the same
    user_properties: dict[str, Names] = {}  # noqa: RUF012 - the same

    def apply(
        self, events: tuple[Event, ...], properties: tuple[Property, ...]
    ) -> tuple[tuple[Event, ...], tuple[Property, ...]]:
        """The same events and properties with their names."""
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
        """What the file names and the data does not have."""
        known = {event.name for event in events}
        found = [f"events.{name}" for name in self.events if name not in known]
        for table, named in (("event", self.event_properties), ("user", self.user_properties)):
            have = {p.name.casefold() for p in properties if p.table == table}
            found += [f"{table}_properties.{name}" for name in named if name.casefold() not in have]
        return tuple(found)


def read_display_names(path: Path | None) -> DisplayNames:
    """The content of a metadata file; LoadRefused where it is missing, no JSON, or has other keys."""
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
