"""Build one generation: the immutable DuckDB file that a load makes.

The file holds three tables:

* `events`: `"#user_id"` BIGINT, `"#event_name"` VARCHAR, `"#event_time"` TIMESTAMP (instant, naive UTC), the properties
  as typed columns under their exact names, and `"$row"` BIGINT, the load number in file order. Physically ordered by
  (`"#event_name"`, `"#event_time"`, `"$row"`).
* `users`: `"#user_id"` BIGINT, unique, `"#account_id"` and `"#distinct_id"` VARCHAR where the files have them,
  properties. Ordered by `"#user_id"`.
* `ids`: `kind` ('account' or 'distinct'), `value`, `user_id`: ids that were given to accounts and visitors of the
  tracking format; every later generation carries them on.

Types: string VARCHAR; number BIGINT, DOUBLE or DECIMAL; bool BOOLEAN; time TIMESTAMP (UTC); list VARCHAR[].
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo, available_timezones

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import LoadProgress, OnLoad, connect, one
from mcp_server.errors import EngineError, Interrupted, QueryFailed
from mcp_server.language.metadata import Metadata, Table
from mcp_server.language.suggest import nearest
from mcp_server.sources.base import Staged
from mcp_server.sources.files.discovery import SourceFiles, find
from mcp_server.sources.files.readers import stage_csv, stage_json, stage_parquet
from mcp_server.sources.files.tracking import earlier_ids, stage_tracking
from mcp_server.sources.naming import (
    SYSTEM,
    DisplayNames,
    check_all_used,
    name_columns,
    read_display_names,
    system_names,
)
from mcp_server.sources.profile import columns_of, profile_events, profile_users
from mcp_server.sources.report import BadRows, ColumnNote, LoadReport, refuse, refuse_rows
from mcp_server.sources.rows import (
    OUT,
    Oddities,
    SourceValues,
    find_bad_rows,
    understand,
    write,
    write_no_events,
    write_users_of_events,
)
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# From the files of a load to two sources, and the rows of them that cannot be loaded


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be written. `bad` lists the sources with bad rows; none has been refused yet."""

    events: SourceValues | None
    users: SourceValues | None
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
    """Read the files of a load as values. `patterns` has the path or glob of the events, the users, or both."""
    files_of = {table: find(pattern) for table, pattern in patterns.items()}
    if any(files.tracking for files in files_of.values()):
        return _prepare_tracking(connection, list(files_of.values()), mapping, zone, temp)
    used: set[str] = set()
    sources: dict[Table, SourceValues] = {}
    bad: list[BadRows] = []
    for table, files in files_of.items():
        staged, taken = name_columns(_stage(connection, files, table, temp), table, mapping, patterns[table])
        used |= taken
        sources[table] = understand(connection, staged, SYSTEM[table], patterns[table], f"{table}_values")
        bad_rows = find_bad_rows(connection, staged, sources[table], table)
        if not bad_rows.rows:
            raise refuse(Text(f"{patterns[table]} holds no rows.", f"{patterns[table]} 没有数据行。"))
        if bad_rows.total:
            bad.append(bad_rows)
    check_all_used(mapping, used, patterns.values())
    return Prepared(sources.get("event"), sources.get("user"), tuple(bad))


def _stage(connection: "DuckDBPyConnection", files: SourceFiles, table: Table, temp: Path) -> Staged:
    match files.format:
        case "csv":
            return stage_csv(connection, files.paths, f"{table}_staged")
        case "ndjson":
            return stage_json(connection, files.paths, f"{table}_staged", temp)
        case "parquet":
            return stage_parquet(connection, files.paths, f"{table}_staged")
        case other:
            assert_never(other)


def _prepare_tracking(
    connection: "DuckDBPyConnection",
    sources: Sequence[SourceFiles],
    mapping: Mapping[str, str],
    zone: ZoneInfo,
    temp: Path,
) -> Prepared:
    plain = [files for files in sources if not files.tracking]
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
    paths = list(dict.fromkeys(path for files in sources for path in files.paths))
    events, users, bad, oddities = stage_tracking(connection, tuple(paths), zone, temp)
    source = str(paths[0]) if len(paths) == 1 else str(paths[0].parent)
    return Prepared(
        understand(connection, events, SYSTEM["event"], source, "event_values"),
        understand(connection, users, SYSTEM["user"], source, "user_values"),
        (bad,) if bad.total else (),
        oddities,
    )


# Generations


_STORAGE = "v1.5.0"
"""Storage version of the file: engine 1.5 and 2.0 both open it."""

_READING = (Text("Reading the files", "读取文件"), 0.4)
_WRITING = (Text("Writing events and users", "写入事件与用户"), 0.8)
_COUNTING = (Text("Counting values", "统计属性取值"), 1.0)
"""The stages, and the share of the load that is done when each has ended."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one load."""

    events: str | None = None
    """Path or glob: Parquet, CSV or newline-delimited JSON (docs/loading.md)."""
    users: str | None = None
    """The same for users; left out, the users are the ids in the events."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """System column (`user_id`, `event_name`, `event_time`, `account_id`, `distinct_id`) to the files' own name for it."""
    metadata: Path | None = None
    """A file of display names and remarks (`naming.py`)."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load."""

    project_id: str
    zone: str = "Asia/Shanghai"
    """Zone of times without an offset, and of the project's days."""
    as_of: date | None = None
    """The fixed today of the project, for data that ends in the past."""
    skip_bad_rows: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """A generation that is ready to be published."""

    metadata: Metadata
    report: LoadReport


def build(
    sources: Sources,
    options: LoadOptions,
    out: Path,
    *,
    previous: Path | None,
    temp: Path,
    progress: OnLoad,
    memory_limit: str | None = None,
) -> Built:
    """Make the new file `out` from the sources; it is complete and closed on return, not yet synced.

    `previous` is the project's last generation, whose ids are carried on. `temp` is a folder for spilled data; it is made
    when needed and may be removed afterwards. LoadRefused where the files cannot be loaded, with all bad rows counted
    and the first of them as problems; EngineError where the engine gives up. On any error `out` is removed again.
    """
    import duckdb

    if out.exists():
        raise FileExistsError(out)
    zone = _zone(options.zone)
    mapping = system_names(sources.columns)
    patterns = _patterns(sources)
    names = read_display_names(sources.metadata)
    finished = False
    try:
        with closing(connect(temp, memory_limit=memory_limit)) as connection:
            stages = LoadProgress(connection, progress)
            earlier_ids(connection, previous)
            with stages.stage(*_READING):
                prepared = prepare(connection, patterns, mapping, zone, temp)
            if prepared.bad and (not options.skip_bad_rows or any(bad.total == bad.rows for bad in prepared.bad)):
                raise refuse_rows(prepared.bad)  # also where nothing would be left
            connection.execute(f"ATTACH {literal(str(out))} AS {OUT} (STORAGE_VERSION '{_STORAGE}')")
            with stages.stage(*_WRITING):
                oddities = _write(connection, prepared, zone)
            with stages.stage(*_COUNTING):
                built = _describe(connection, prepared, oddities, options, names)
            connection.execute(f"CHECKPOINT {OUT}")
            connection.execute(f"DETACH {OUT}")
        finished = True
    except duckdb.Error as error:
        raise _engine_error(error) from error
    finally:
        Path(f"{out}.wal").unlink(missing_ok=True)
        if not finished:
            out.unlink(missing_ok=True)
    return built


def _patterns(sources: Sources) -> dict[Table, str]:
    patterns: dict[Table, str] = {}
    if sources.events is not None:
        patterns["event"] = sources.events
    if sources.users is not None:
        patterns["user"] = sources.users
    if not patterns:
        raise refuse(
            Text("No files are named.", "没有指定文件。"),
            Text("Give --events, --users or both.", "请用 --events、--users 指定文件。"),
        )
    return patterns


def _write(connection: "DuckDBPyConnection", prepared: Prepared, zone: ZoneInfo) -> Oddities:
    oddities = prepared.oddities
    if prepared.events is None:
        write_no_events(connection)
    else:
        oddities += write(connection, prepared.events, "event", zone).of("event")
    if prepared.users is None:
        write_users_of_events(connection)
    else:
        oddities += write(connection, prepared.users, "user", zone).of("user")
    connection.execute(f"CREATE TABLE {OUT}.ids AS SELECT kind, value, user_id FROM ids ORDER BY kind, value")
    return oddities


def _describe(
    connection: "DuckDBPyConnection", prepared: Prepared, oddities: Oddities, options: LoadOptions, names: DisplayNames
) -> Built:
    """Return metadata and report of the finished tables."""
    zone = ZoneInfo(options.zone)
    rows, users = (int(one(connection, f"SELECT count(*) FROM {OUT}.{table}")[0]) for table in ("events", "users"))
    unknown = int(one(connection, f'SELECT count(*) FROM {OUT}.events ANTI JOIN {OUT}.users USING ("#user_id")')[0])
    events, of_events = profile_events(connection, OUT, columns_of(prepared.events, "event"), zone, unknown)
    properties = of_events + profile_users(connection, OUT, columns_of(prepared.users, "user"), zone)
    unknown_names = names.unknown(events, properties)
    events, properties = names.apply(events, properties)
    metadata = Metadata(
        project_id=options.project_id,
        zone=options.zone,
        today=options.as_of or datetime.now(zone).date(),
        as_of=options.as_of,
        users=users,
        rows=rows,
        events=events,
        properties=properties,
    )
    tables: dict[Table, SourceValues | None] = {"event": prepared.events, "user": prepared.users}
    report = LoadReport(
        rows=rows,
        users=users,
        skipped=prepared.bad,
        not_a_number=oddities.not_a_number,
        repeated_times=oddities.repeated,
        skipped_times=oddities.skipped,
        clamped_times=oddities.beyond,
        mixed=tuple(
            ColumnNote(table=table, name=name, text=text)
            for table, values in tables.items()
            if values
            for name, text in values.notes
        ),
        unknown_user_rows=unknown,
        unknown_names=unknown_names,
        notes=_notes(prepared, users),
    )
    return Built(metadata, report)


def _notes(prepared: Prepared, users: int) -> tuple[Text, ...]:
    if prepared.users is None:
        return (
            Text(
                f"No users file: the ids found in the events are the users ({users:,}).",
                f"没有用户文件：以事件中出现的 {users:,} 个 ID 作为用户。",
            ),
        )
    if prepared.events is None:
        return (Text("No events file: only user properties can be used.", "没有事件文件：只能使用用户属性。"),)
    return ()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        close = nearest(name, available_timezones())
        raise refuse(
            Text(f"{name!r} is no time zone.", f"{name!r} 不是时区名称。"),
            Text(f"Did you mean {close}?", f"是否指 {close}？")
            if close
            else Text("Use a name such as Asia/Shanghai.", "请使用 Asia/Shanghai 这类名称。"),
        ) from None


def _engine_error(error: Exception) -> EngineError:
    """Return the error for what the engine reports after the files were read: a limit of this machine, or a stop."""
    import duckdb

    if isinstance(error, duckdb.InterruptException):
        return Interrupted(Text("Loading was stopped. Nothing was changed.", "加载已停止，数据没有变化。"))
    first = str(error).splitlines()[0].rstrip(".")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryFailed(
            Text(
                f"There is not enough memory or disk space to load this: {first}.",
                f"内存或磁盘空间不足，无法加载：{first}。",
            ),
            next_step=Text(
                "Free some, or load fewer columns or files at once.", "请释放空间，或减少一次加载的列数、文件数。"
            ),
        )
    return QueryFailed(
        Text(f"The engine could not load this: {first}.", f"引擎无法加载：{first}。"),
        next_step=Text("Check the files; if they are sound, report it.", "请检查文件；若文件无误，请反馈此问题。"),
    )
