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

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import LoadProgress, OnLoad, connect, one
from mcp_server.errors import EngineError, Interrupted, LoadRefused, Problem, QueryFailed
from mcp_server.language.metadata import Metadata, Table
from mcp_server.language.suggest import nearest
from mcp_server.sources.files.opening import by_numbers
from mcp_server.sources.files.tracking import earlier_ids, stage_tracking
from mcp_server.sources.look import Look
from mcp_server.sources.mapping import Answers, FileMapping, Role
from mcp_server.sources.naming import DisplayNames, read_display_names, system_names
from mcp_server.sources.profile import columns_of, profile_events, profile_users
from mcp_server.sources.report import ColumnNote, LoadReport, refuse, refuse_rows
from mcp_server.sources.rows import OUT, Oddities, SourceValues, write, write_no_events, write_users_of_events
from mcp_server.sources.sections import Prepared, prepare_sections
from mcp_server.sources.survey import Proposal, Source
from mcp_server.text import Text, listed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# From the files of a load to two sources, and the rows of them that cannot be loaded

Decide = Callable[[Proposal, Answers], Answers | None]
"""Takes a proposal with open questions and the answers so far; returns answers to some of them, or None where nobody can be asked."""
_ROUNDS = 12
"""Rounds of questions: an answer can raise another one."""


def look_at(look: Look, sources: "Sources", zone: str, decide: Decide | None = None) -> Proposal:
    """Work out how the files are read, with a mapping, or with answers of a person where one can be asked."""
    if sources.mapping is not None:
        return look.read(sources.mapping, sources.sources())
    answers = sources.said()
    proposal = look.propose(sources.sources(), zone, answers)
    for _ in range(_ROUNDS):
        left = [question for question in proposal.questions if question.key not in answers]
        more = decide(proposal, answers) if decide is not None and left else None
        if not more:
            break
        answers |= dict(more)
        proposal = look.propose(sources.sources(), zone, answers)
    _check_named(sources, proposal)
    return proposal


def _check_named(sources: "Sources", proposal: Proposal) -> None:
    """LoadRefused for a name of `--map`, `--types` or `--leave-out` that no file has: a slip of the pen must not pass in silence."""
    known = {fact.name.casefold() for seen in proposal.seen for fact in seen.survey.facts}
    if all(seen.section.role == "log" for seen in proposal.seen):
        if sources.columns:
            raise refuse(
                Text(
                    "A file in the tracking format has fixed names; --map does not apply.",
                    "埋点格式的字段名是固定的，不能使用 --map。",
                ),
                Text("Load without --map.", "请去掉 --map。"),
            )
        return
    files = listed(seen.section.files for seen in proposal.seen)
    for option, names in (
        ("--map", sources.columns.values()),
        ("--types", sources.types),
        ("--leave-out", sources.leave_out),
    ):
        for name in names:
            if name.strip().casefold() not in known:
                close = nearest(name, [fact.name for seen in proposal.seen for fact in seen.survey.facts])
                hint = Text(f"Did you mean {close}?", f"是否指 {close}？") if close else Text("", "")
                raise refuse(
                    Text(
                        f"No file has the column {name!r} that {option} names.",
                        f"文件中没有 {option} 提到的列 {name!r}。",
                    ),
                    Text(f"Check {option}; the files are {files.en}.", f"请检查 {option}；文件为 {files.zh}。").then(
                        hint
                    ),
                )


def prepare(connection: "DuckDBPyConnection", proposal: Proposal, zone: ZoneInfo) -> Prepared:
    """Read the rows of all sections. LoadRefused where something is still open."""
    if proposal.undecided:
        raise refuse_open(proposal)
    logs = [seen for seen in proposal.seen if seen.section.role == "log"]
    if not logs:
        return prepare_sections(connection, proposal.seen, zone)
    plain = [seen for seen in proposal.seen if seen.section.role != "log"]
    if plain:
        raise refuse(
            Text(
                f"{plain[0].places[0].path} is not in the tracking format, but the other file is.",
                f"{plain[0].places[0].path} 不是埋点格式，而另一个文件是。",
            ),
            Text(
                "Load tracking files alone: their user_… lines make the users.",
                "埋点文件请单独加载：其中的 user_… 行即用户数据。",
            ),
        )
    places = sorted(
        dict.fromkeys(place for seen in logs for place in seen.places), key=lambda place: by_numbers(place.path)
    )
    tracked = stage_tracking(connection, places, zone)
    return Prepared(
        tracked.events,
        tracked.users,
        (tracked.bad,) if tracked.bad.total else (),
        tracked.oddities,
        tracked.notes,
    )


def refuse_open(proposal: Proposal) -> LoadRefused:
    """The error for files that leave something open: every question with its key and choices."""
    problems = [
        Problem(f"/{question.key}", "load_undecided", question.why, expected=listed(question.choices))
        for question in proposal.undecided
    ]
    first = proposal.undecided[0]
    example = first.choices[0] if first.choices else "…"
    line = f"{first.key.removeprefix('columns.')} = {json.dumps(example, ensure_ascii=False)}"
    return LoadRefused(
        Text(
            f"{len(problems)} thing(s) have to be decided first: {listed(q.key for q in proposal.undecided).en}. Nothing was loaded.",
            f"还有 {len(problems)} 处需先确定：{listed(q.key for q in proposal.undecided).zh}。未加载任何数据。",
        ),
        next_step=Text(
            f"Run `fenqun load` in a terminal to be asked, or write a mapping with `fenqun look FILE --mapping shop.toml`, decide the lines with a question mark (such as {line}), and load with --mapping shop.toml.",
            f"可在终端中运行 `fenqun load` 逐项回答；或用 `fenqun look FILE --mapping shop.toml` 写出映射，改好带问号的行（如 {line}），再用 --mapping shop.toml 加载。",
        ),
        problems=problems,
    )


# Building the file


_STORAGE = "v1.5.0"
"""Storage version of the file: engine 1.5 and 2.0 both open it."""

_READING = (Text("Reading the files", "读取文件"), 0.4)
_WRITING = (Text("Writing events and users", "写入事件与用户"), 0.8)
_COUNTING = (Text("Counting values", "统计属性取值"), 1.0)
"""The stages, and the share of the work that is done when each has ended."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one load, and what a person says of them."""

    events: str | Sequence[str] | None = None
    """Paths, patterns or folders (docs/loading.md)."""
    users: str | Sequence[str] | None = None
    """The same for users; left out, the users are the ids of the events."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """System column (`user_id`, `event_name`, `event_time`, `account_id`, `distinct_id`) to the files' own name for it."""
    metadata: Path | None = None
    """Display names and remarks (display_names.py)."""
    files: Sequence[str] = ()
    """Files of which it is worked out whether they hold events or users."""
    mapping: FileMapping | None = None
    base: Path | None = None
    """The folder of the mapping, beside which its files may be."""
    answers: Answers = field(default_factory=dict)
    event_names: Sequence[str] = ()
    """A constant event name: one for all files of events, or one for each."""
    encoding: str = ""
    sheet: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    leave_out: Sequence[str] = ()

    def sources(self) -> list[Source]:
        """What is named, each with what is known of it."""
        columns = system_names(self.columns)
        named: list[tuple[str, Role | None]] = [(pattern, None) for pattern in self.files]
        named += [(pattern, "events") for pattern in _several(self.events)]
        named += [(pattern, "users") for pattern in _several(self.users)]
        if not named and self.mapping is None:
            raise refuse(
                Text("No files are named.", "没有指定文件。"),
                Text("Name them: fenqun load orders.xlsx.", "请给出文件，例如：fenqun load orders.xlsx。"),
            )
        if len(self.event_names) > 1 and len(self.event_names) != len([1 for _, role in named if role != "users"]):
            raise refuse(
                Text("There are more event names than files.", "事件名与文件数量不一致。"),
                Text("Give --event-name once, or once for each file.", "请只给出一个 --event-name，或每个文件各一个。"),
            )
        names = list(self.event_names) if len(self.event_names) > 1 else list(self.event_names) * len(named)
        return [
            Source(pattern, role, columns, names.pop(0) if role != "users" and names else "", self.encoding, self.sheet)
            for pattern, role in named
        ]

    def said(self) -> dict[str, Any]:
        """Answers, with those that options give."""
        kinds = {f"columns.{name}": {"type": kind} for name, kind in self.types.items()}
        return {**kinds, **({"leave_out": list(self.leave_out)} if self.leave_out else {}), **dict(self.answers)}


def _several(given: str | Sequence[str] | None) -> list[str]:
    if given is None or given == "":
        return []
    return [given] if isinstance(given, str) else list(given)


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
    mapping: FileMapping
    """How the files were read, to be repeated."""


def build(
    sources: Sources,
    options: LoadOptions,
    out: Path,
    *,
    previous: Path | None,
    temp: Path,
    progress: OnLoad,
    memory_limit: str | None = None,
    decide: Decide | None = None,
) -> Built:
    """Make the file `out`, which must not exist yet, from the sources; it is complete and closed on return, not yet synced.

    `previous` is the project's last generation, whose ids are carried on. `temp` is a folder for spilled data; it is made
    when needed and may be removed afterwards. LoadRefused where the files cannot be loaded, with all bad rows counted
    and the first of them as problems; EngineError where the engine gives up. On any error `out` is removed again.
    """
    import duckdb

    if out.exists():
        raise FileExistsError(out)  # it would be somebody's data; the caller names a new file
    zone = _zone(options.zone)
    names = read_display_names(sources.metadata)
    finished = False
    try:
        with closing(connect(temp, memory_limit=memory_limit)) as connection:
            watch = LoadProgress(connection, progress)
            earlier_ids(connection, previous)
            look = Look(connection, temp, sources.base)
            with watch.stage(*_READING):
                proposal = look_at(look, sources, options.zone, decide)
                prepared = prepare(connection, proposal, zone)
            _check(prepared, options)
            connection.execute(f"ATTACH {literal(str(out))} AS {OUT} (STORAGE_VERSION '{_STORAGE}')")
            with watch.stage(*_WRITING):
                oddities = _write(connection, prepared, prepared.zone or zone)
            with watch.stage(*_COUNTING):
                built = _describe(connection, prepared, oddities, options, names, proposal)
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


def _check(prepared: Prepared, options: LoadOptions) -> None:
    """Refuse bad rows, unless they may be skipped and something is left."""
    refused = []
    for i, bad in enumerate(prepared.bad):
        left = {reason for reason in bad.counts if (i, reason) not in prepared.allowed}
        if (left and not options.skip_bad_rows) or bad.total == bad.rows:
            refused.append(bad)
    if refused:
        raise refuse_rows(refused)


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
    connection: "DuckDBPyConnection",
    prepared: Prepared,
    oddities: Oddities,
    options: LoadOptions,
    names: DisplayNames,
    proposal: Proposal,
) -> Built:
    """Metadata and report of the finished tables."""
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
    report = LoadReport(
        rows=rows,
        users=users,
        skipped=prepared.bad,
        not_a_number=oddities.not_a_number,
        repeated_times=oddities.repeated,
        skipped_times=oddities.skipped,
        clamped_times=oddities.beyond,
        mixed=_column_notes(prepared),
        unknown_user_rows=unknown,
        unknown_names=unknown_names,
        notes=(*_notes(prepared, users), *prepared.notes),
    )
    return Built(metadata, report, proposal.mapping)


def _column_notes(prepared: Prepared) -> tuple[ColumnNote, ...]:
    sources: tuple[tuple[Table, SourceValues | None], ...] = (("event", prepared.events), ("user", prepared.users))
    return tuple(
        ColumnNote(table=table, name=name, text=text)
        for table, values in sources
        if values
        for name, text in values.notes
    )


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
    """What the engine says while it works on files that were read already: a limit of this machine, or a stop."""
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
