"""From the files of a load to two understood sources, and the rows of them that cannot be loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engine.checking import find_bad_rows
from mcp_server.engine.columns import understand
from mcp_server.engine.files import Found, find
from mcp_server.engine.naming import SYSTEM, check_all_used, name_columns
from mcp_server.engine.reading_csv import stage_csv
from mcp_server.engine.reading_json import stage_json
from mcp_server.engine.reading_parquet import stage_parquet
from mcp_server.engine.report import BadRows, refuse
from mcp_server.engine.staging import Staged
from mcp_server.engine.tracking import stage_tracking
from mcp_server.engine.values import Oddities, Values
from mcp_server.qp.metadata import Table
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be written. `bad` lists the sources with bad rows; nobody has been refused yet."""

    events: Values | None
    users: Values | None
    """None: the users are the ids of the events."""
    bad: tuple[BadRows, ...]
    oddities: Oddities = field(default_factory=Oddities)


def prepare(
    connection: "DuckDBPyConnection",
    patterns: Mapping[Table, str],
    mapping: Mapping[str, str],
    zone: ZoneInfo,
    temp: Path,
) -> Prepared:
    """Read and understand the files of a load. `patterns` has the path or glob of the events, the users, or both."""
    found = {table: find(pattern) for table, pattern in patterns.items()}
    if any(files.tracking for files in found.values()):
        return _prepare_tracking(connection, found, mapping, zone, temp)
    used: set[str] = set()
    sources: dict[Table, Values] = {}
    bad: list[BadRows] = []
    for table, files in found.items():
        staged, taken = name_columns(_stage(connection, files, table, temp), table, mapping, patterns[table])
        used |= taken
        sources[table] = understand(connection, staged, SYSTEM[table], patterns[table], f"{table}_values")
        told = find_bad_rows(connection, staged, sources[table], table)
        if not told.rows:
            raise refuse(Text(f"{patterns[table]} holds no rows.", f"{patterns[table]} 没有数据行。"))
        if told.total:
            bad.append(told)
    check_all_used(mapping, used, patterns.values())
    return Prepared(sources.get("event"), sources.get("user"), tuple(bad))


def _stage(connection: "DuckDBPyConnection", found: Found, table: Table, temp: Path) -> Staged:
    if found.format == "csv":
        return stage_csv(connection, found.paths, f"{table}_staged")
    if found.format == "ndjson":
        return stage_json(connection, found.paths, f"{table}_staged", temp)
    return stage_parquet(connection, found.paths, f"{table}_staged")


def _prepare_tracking(
    connection: "DuckDBPyConnection",
    found: Mapping[Table, Found],
    mapping: Mapping[str, str],
    zone: ZoneInfo,
    temp: Path,
) -> Prepared:
    plain = [files for files in found.values() if not files.tracking]
    if plain:
        raise refuse(
            Text(
                f"{plain[0].paths[0]} is not in the tracking format, but the other file is.",
                f"{plain[0].paths[0]} 不是埋点格式，而另一个文件是。",
            ),
            Text(
                "Load tracking files alone: their user_… lines make the users.",
                "埋点文件请单独加载：其中的 user_… 行即用户数据。",
            ),
        )
    if mapping:
        raise refuse(
            Text(
                "A file in the tracking format has fixed names; --map does not apply.",
                "埋点格式的字段名是固定的，不能使用 --map。",
            ),
            Text("Load without --map.", "请去掉 --map。"),
        )
    paths = list(dict.fromkeys(path for files in found.values() for path in files.paths))
    events, users, bad, oddities = stage_tracking(connection, tuple(paths), zone, temp)
    source = str(paths[0]) if len(paths) == 1 else str(paths[0].parent)
    return Prepared(
        understand(connection, events, SYSTEM["event"], source, "event_values"),
        understand(connection, users, SYSTEM["user"], source, "user_values"),
        (bad,) if bad.total else (),
        oddities,
    )
