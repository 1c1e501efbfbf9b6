"""Which column of a file is which system column: by its own name, or as the caller maps it (`--map`)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mcp_server.engine.report import refuse
from mcp_server.engine.staging import Staged
from mcp_server.engine.texts import Meaning
from mcp_server.errors import LoadRefused
from mcp_server.qp.metadata import Table
from mcp_server.qp.suggest import nearest
from mcp_server.text import Text, listed

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
"""System columns and what they hold, whatever a file's values look like."""
REQUIRED: Mapping[Table, tuple[str, ...]] = {"event": ("#user_id", "#event_name", "#event_time"), "user": ("#user_id",)}
ROW = "$row"
"""Load number of an event, in file order; settles which of two events at the same time was first."""


def system_names(columns: Mapping[str, str]) -> dict[str, str]:
    """The caller's mapping with system names as keys (`user_id` and `#user_id` are the same); LoadRefused for other keys."""
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
                    Text(f"Did you mean {close}?", f"是否指 {close}？") if close else Text("", "")
                ),
            )
        result[system] = name.strip()
    return result


def name_columns(staged: Staged, table: Table, mapping: Mapping[str, str], source: str) -> tuple[Staged, set[str]]:
    """The source with its system columns under their own names, and the keys of `mapping` that it used.

    LoadRefused where a required column is missing, or one column would be two, or two would be one.
    """
    names = {column.name.casefold(): i for i, column in enumerate(staged.columns)}
    columns = list(staged.columns)
    used: dict[int, str] = {}
    for system in SYSTEM[table]:
        own = names.get(system.casefold())
        mapped = names.get(mapping[system].casefold()) if system in mapping else None
        position = own if mapped is None else mapped
        if mapped is not None and own is not None and mapped != own:
            raise _two_for_one(system, mapping[system], source)
        if position is None:
            if system in REQUIRED[table]:
                raise _missing(system, mapping.get(system), [column.name for column in staged.columns], source)
            continue
        if position in used:
            raise _one_for_two(used[position], system, columns[position].name, source)
        used[position] = system
    for position, system in used.items():
        columns[position] = replace(columns[position], name=system)
    if table == "event" and ROW in names:
        raise refuse(
            Text(
                f"A column of {source} is called {ROW}; that name is taken.",
                f"{source} 有一列名为 {ROW}，该名称已被占用。",
            ),
            Text("Rename it.", "请重命名该列。"),
        )
    taken = {s for s in used.values() if s in mapping and mapping[s].casefold() in names}
    return replace(staged, columns=tuple(columns)), taken


def check_all_used(mapping: Mapping[str, str], used: set[str], sources: Iterable[str]) -> None:
    """LoadRefused for a mapped name that no file has: a slip of the pen must not pass in silence."""
    files = listed(sources)
    for system, name in mapping.items():
        if system not in used:
            raise refuse(
                Text(
                    f"No file has the column {name!r} that {system} is mapped to.",
                    f"{system} 映射到的列 {name!r} 在文件中不存在。",
                ),
                Text(f"Check --map; the files are {files.en}.", f"请检查 --map；文件为 {files.zh}。"),
            )


def _missing(system: str, mapped: str | None, names: list[str], source: str) -> LoadRefused:
    shown = listed([*(name[:60] for name in names[:30]), *(["…"] if len(names) > 30 else [])])
    if mapped is not None:
        close = nearest(mapped, names)
        message = Text(
            f"{source} has no column {mapped!r}, which {system} is mapped to.",
            f"{source} 没有列 {mapped!r}（{system} 的映射）。",
        )
    else:
        others = [name for name in names if name.casefold() not in SYSTEM["event"]]
        close = nearest(system, others) or next((n for n in others if nearest(n, _ALIASES[system])), "")
        message = Text(f"{source} has no column {system}.", f"{source} 缺少列 {system}。")
    key = system.removeprefix("#")
    name = close or "NAME"
    return refuse(
        message,
        Text(
            f"If it is called otherwise there, say so: --map {key}={name}. The columns are: {shown.en}.",
            f"若该列另有其名，请用 --map {key}={name} 指明。现有列：{shown.zh}。",
        ),
    )


_ALIASES: Mapping[str, tuple[str, ...]] = {
    "#user_id": ("uid", "user", "customer_id", "member_id", "player_id", "id"),
    "#event_name": ("event", "event_type", "type", "action"),
    "#event_time": ("time", "timestamp", "ts", "created_at", "date", "datetime"),
}
"""What these columns are often called elsewhere; for suggestions only."""


def _two_for_one(system: str, mapped: str, source: str) -> LoadRefused:
    return refuse(
        Text(
            f"{source} has both {system} and {mapped!r}, which is mapped to it.",
            f"{source} 既有 {system}，又有映射到它的列 {mapped!r}。",
        ),
        Text("Leave out the mapping, or rename one of the columns.", "请去掉该映射，或重命名其中一列。"),
    )


def _one_for_two(first: str, second: str, name: str, source: str) -> LoadRefused:
    return refuse(
        Text(
            f"Column {name!r} of {source} cannot be both {first} and {second}.",
            f"{source} 的列 {name!r} 不能同时是 {first} 和 {second}。",
        ),
        Text("Map each system column to a column of its own.", "请为每个系统列指定不同的列。"),
    )
