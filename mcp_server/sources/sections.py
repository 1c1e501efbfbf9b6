"""From the sections of a mapping to the rows of one load: values, bad rows, shapes of orders, ids that are texts."""

from collections.abc import Mapping as Table_
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import ROW, literal
from mcp_server.engines.duckdb.connection import one
from mcp_server.sources.base import Staged
from mcp_server.sources.columns import ColumnReading
from mcp_server.sources.files.tracking import assign
from mcp_server.sources.forms import DOUBLE, WHOLE
from mcp_server.sources.mapping import FileSection, refuse_unknown, unknown_columns
from mcp_server.sources.readings import property_reading, text_of, time_reading, whole_ids
from mcp_server.sources.report import BadRows, refuse
from mcp_server.sources.rows import (
    Check,
    Oddities,
    SourceValues,
    account,
    add_bad_rows,
    first_that_holds,
    good_rows,
    instant_of,
    no_bad_rows,
    read_values,
    set_clock,
)
from mcp_server.sources.survey import Fact, Seen
from mcp_server.text import Text, listed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mcp_server.language.metadata import Table as Kind


@dataclass(frozen=True, slots=True)
class Read:
    """A section whose cells have been read once."""

    seen: Seen
    values: SourceValues
    user: int
    device: int | None
    name: int | None
    """Of the event column."""
    moments: tuple[tuple[str, int], ...]
    """Name of an event (empty: the event column has it) and the reading of its time."""
    properties: tuple[int, ...]
    bad: BadRows
    zone: ZoneInfo

    @property
    def section(self) -> FileSection:
        return self.seen.section


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be written. `bad` lists the sources with bad rows; nobody has been refused yet."""

    events: SourceValues | None
    users: SourceValues | None
    """None: the users are the ids of the events."""
    bad: tuple[BadRows, ...]
    oddities: Oddities = field(default_factory=Oddities)
    notes: tuple[Text, ...] = ()
    allowed: frozenset[tuple[int, str]] = frozenset()
    """Position in `bad` and reason: rows that a mapping leaves out."""
    zone: ZoneInfo | None = None


def prepare_sections(connection: "DuckDBPyConnection", sections: Sequence[Seen], zone: ZoneInfo) -> Prepared:
    """Read all sections and bring their rows into the shape of one table of events and one of users."""
    texts = any(_is_text(seen) for seen in sections)
    events = [seen for seen in sections if seen.section.role == "events"]
    users = [seen for seen in sections if seen.section.role == "users"]
    if len(events) <= 1 and len(users) <= 1 and not texts and not any(_shaped(seen.section) for seen in sections):
        return _directly(connection, events, users, zone)
    return _Shapes(connection, zone, texts=texts).of(events, users)


def _directly(
    connection: "DuckDBPyConnection", events: Sequence[Seen], users: Sequence[Seen], zone: ZoneInfo
) -> Prepared:
    """One file of events, one of users, ids that are numbers: the rows are written as they are."""
    reads = [
        _read(connection, seen, zone, texts=False, name=f"{kind}_values")
        for seen, kind in [*((s, "event") for s in events), *((s, "user") for s in users)]
    ]
    by = {read.section.role: read.values for read in reads}
    bad = [read.bad for read in reads if read.bad.total]
    allowed = frozenset(
        (i, "missing_user_id") for i, read in enumerate(r for r in reads if r.bad.total) if read.section.no_user
    )
    notes = tuple(note for read in reads for note in _notes_of(read))
    own = {read.section.time_zone for read in reads if read.section.time_zone}
    return Prepared(
        by.get("events"),
        by.get("users"),
        tuple(bad),
        notes=notes,
        allowed=allowed,
        zone=ZoneInfo(own.pop()) if len(own) == 1 else None,
    )


def _notes_of(read: Read) -> list[Text]:
    return list(read.seen.notes)


def _shaped(section: FileSection) -> bool:
    return bool(
        section.device
        or section.once_per
        or section.times
        or section.user_columns
        or section.only
        or section.keep == "last"
        or section.time_zone
    )


def _is_text(seen: Seen) -> bool:
    """Whether the ids of a section are texts."""
    if seen.section.device:
        return True
    fact = seen.survey.fact(seen.section.user)
    return fact is not None and not _whole(fact)


def _whole(fact: Fact) -> bool:
    if fact.column.kind not in ("text", "VARCHAR", "ENUM", "OTHER"):
        return not fact.column.kind.endswith("[]")
    decision = fact.decision
    if fact.name.casefold() == "#user_id" and decision is not None and decision.form is WHOLE:
        return True
    if fact.rule.type == "number" and (decision is None or decision.form in (WHOLE, DOUBLE)):
        return True
    near = decision is not None and decision.nearest in (WHOLE, DOUBLE) and decision.misses * 2 <= decision.values
    return fact.column.name.casefold() == "#user_id" and (near or not fact.values)


# One section.


def _read(connection: "DuckDBPyConnection", seen: Seen, zone: ZoneInfo, *, texts: bool, name: str) -> Read:
    """Read every cell of a section, and count the rows that cannot be loaded."""
    return _Reader(connection, seen, texts=texts).read(name, zone)


class _Reader:
    """Works out how each column of one section is read, and what is against its rows."""

    def __init__(self, connection: "DuckDBPyConnection", seen: Seen, *, texts: bool) -> None:
        section = seen.section
        self.connection, self.seen, self.section, self.texts = connection, seen, section, texts
        self.is_events = section.role == "events"
        self.kind: Kind = "event" if self.is_events else "user"
        self.facts = {f.name: replace(f, rule=section.columns.get(f.name, f.rule)) for f in seen.survey.facts}
        self.source = str(seen.places[0].path) if len(seen.places) == 1 else section.files
        self.readings: list[ColumnReading] = []
        self.checks: list[Check] = [Check("unreadable_row", '"$lost"')]
        self.used: set[str] = set()

    def _fact(self, name: str) -> Fact:
        """A column by its name, which may be written in other letters."""
        return next(fact for key, fact in self.facts.items() if key.casefold() == name.casefold())

    def _add(self, reading: ColumnReading) -> int:
        self.readings.append(reading)
        return len(self.readings) - 1

    def read(self, name: str, zone: ZoneInfo) -> Read:
        section, table = self.section, self.seen.table
        if missing := unknown_columns(section, list(self.facts)):
            raise refuse_unknown(missing, list(self.facts), self.source)
        if not table.count and not table.unread:
            raise refuse(Text(f"{self.source} holds no rows.", f"{self.source} 没有数据行。"))
        user, device = self._who()
        event, moments = self._what() if self.is_events else (None, ())
        properties, unread = self._properties()
        relation = table.relation
        if section.only:
            relation = f"(SELECT * FROM {relation} WHERE {_only(section, self.facts)})"
        keep = [f"{text_of(self._fact(section.once_per))} AS once"] if section.once_per else []
        copy = any(c.kind == "text" for c in table.columns) or any(
            r.written and r.type == "time" for r in self.readings
        )
        notes = [(fact.name, note) for fact in self.facts.values() for note in fact.notes]
        values = read_values(self.connection, relation, self.readings, name, copy=copy, keep=keep, notes=notes)
        no_bad_rows(self.connection, self.kind)
        add_bad_rows(self.connection, self.kind, first_that_holds([*self.checks, *unread], values.relation))
        if not self.is_events and section.keep != "last":
            _twice(self.connection, values, user)
        staged = Staged(values.relation, (), table.parts, table.unread, table.first_unread)
        bad = account(self.connection, staged, self.kind, values.relation)
        if not bad.rows:
            raise refuse(Text(f"{self.source} holds no rows.", f"{self.source} 没有数据行。"))
        own = ZoneInfo(section.time_zone) if section.time_zone else zone
        return Read(self.seen, values, user, device, event, moments, properties, bad, own)

    def _who(self) -> tuple[int, int | None]:
        section = self.section
        if not section.user:
            raise refuse(
                Text(f"Nothing says which column of {self.source} is the user.", f"未指明 {self.source} 的用户列。"),
                Text(
                    'Write user = "COLUMN" in the mapping, or give --map user_id=COLUMN.',
                    '请在映射中写 user = "列名"，或用 --map user_id=列名。',
                ),
            )
        fact = self._fact(section.user)
        self.used.add(fact.name)
        if self.texts:
            user = self._add(ColumnReading("#account_id", "string", f"nullif({text_of(fact)}, '')"))
        else:
            user = self._add(whole_ids(self.connection, self.seen.table, fact, self.source))
            self.checks.append(Check("unreadable_user_id", f"w{user} IS NOT NULL", f"w{user}"))
        device = None
        if section.device:
            second = self._fact(section.device)
            self.used.add(second.name)
            device = self._add(ColumnReading("#distinct_id", "string", f"nullif({text_of(second)}, '')"))
        nobody = f"v{user} IS NULL" + (f" AND v{device} IS NULL" if device is not None else "")
        self.checks.append(Check("missing_user_id", nobody))
        return user, device

    def _what(self) -> tuple[int | None, tuple[tuple[str, int], ...]]:
        section = self.section
        event = None
        if section.event:
            fact = self._fact(section.event)
            self.used.add(fact.name)
            event = self._add(ColumnReading("#event_name", "string", text_of(fact)))
            self.checks.append(Check("missing_event_name", f"coalesce(v{event}, '') = ''"))
        elif not section.times:
            event = self._add(ColumnReading("#event_name", "string", literal(section.event_name or "event")))
        moments: list[tuple[str, int]] = []
        for label, columns in section.moments().items():
            facts = [self._fact(column) for column in columns]
            i = self._add(time_reading(self.connection, self.seen.table, facts, self.source))
            moments.append((label, i))
            if self.readings[i].written:
                self.checks.append(Check("unreadable_event_time", f"w{i} IS NOT NULL", f"w{i}"))
        if not section.once_per:
            self.checks.append(Check("missing_event_time", " AND ".join(f"v{i} IS NULL" for _, i in moments) or "TRUE"))
        if not section.times and isinstance(section.time, str) and section.time:
            self.used.add(self._fact(section.time).name)
        return event, tuple(moments)

    def _properties(self) -> tuple[tuple[int, ...], list[Check]]:
        section = self.section
        found: list[int] = []
        unread: list[Check] = []
        taken = {reading.name.casefold() for reading in self.readings if reading.name.startswith("#")} | {"#user_id"}
        for fact in self.facts.values():
            rule = section.columns.get(fact.name)
            if fact.name in self.used or (rule is None and section.others == "leave out"):
                continue
            if (rule or fact.rule).type in ("leave out", "pairs"):
                continue
            label = rule.name if rule is not None and rule.name else fact.name
            if label.casefold() in taken or (label.casefold() == ROW and self.is_events):
                raise refuse(
                    Text(
                        f"A column of {self.source} is called {label}; that name is taken.",
                        f"{self.source} 有一列名为 {label}，该名称已被占用。",
                    ),
                    Text(
                        f"Leave it out (--leave-out '{label}') or rename it.",
                        f"请不加载该列（--leave-out '{label}'）或重命名。",
                    ),
                )
            reading = property_reading(self.connection, self.seen.table, fact, label, self.source)
            i = self._add(reading)
            found.append(i)
            taken.add(label.casefold())
            if reading.written:
                shown = f"{literal(fact.name + ' = ')} || w{i}"
                unread.append(Check("unreadable_value", f"w{i} IS NOT NULL", shown))
        return tuple(found), unread


def _only(section: FileSection, facts: Table_[str, Fact]) -> str:
    parts = []
    for name, values in section.only.items():
        wanted = [values] if isinstance(values, str) else list(values)
        parts.append(f"{text_of(facts[name])} IN ({', '.join(map(literal, wanted))})")
    return " AND ".join(parts)


def _twice(connection: "DuckDBPyConnection", values: SourceValues, user: int) -> None:
    """Of the rows with one user the first is kept, the others are bad."""
    good = f'(SELECT "$n" AS n, v{user} AS who FROM {good_rows(connection, values.relation, "user")} WHERE v{user} IS NOT NULL)'
    total, distinct = one(connection, f"SELECT count(*), count(DISTINCT who) FROM {good}")
    if total != distinct:
        turns = f"SELECT n, who, row_number() OVER (PARTITION BY who ORDER BY n) AS turn FROM {good}"
        add_bad_rows(
            connection, "user", f"SELECT n, 'duplicate_user', CAST(who AS VARCHAR) FROM ({turns}) WHERE turn > 1"
        )


# Several sections, ids that are texts, rows that are more or less than one event.


@dataclass(slots=True)
class _Shape:
    """A table of rows in their final shape: `n`, `who`, `device`, `name`, `moment`, and the properties p0, p1, …"""

    table: str
    properties: list[ColumnReading]
    is_events: bool
    user_columns: tuple[str, ...] = ()


class _Shapes:
    def __init__(self, connection: "DuckDBPyConnection", zone: ZoneInfo, *, texts: bool) -> None:
        self.connection, self.zone, self.texts = connection, zone, texts
        self.who = "VARCHAR" if texts else "BIGINT"
        self.oddities = Oddities()
        self.bad: list[BadRows] = []
        self.allowed: set[tuple[int, str]] = set()
        self.notes: list[Text] = []
        self.column_notes: dict[str, dict[tuple[str, Text], None]] = {"event": {}, "user": {}}

    def of(self, events: Sequence[Seen], users: Sequence[Seen]) -> Prepared:
        shapes = [self._shape(i, seen) for i, seen in enumerate([*events, *users])]
        for kind in ("event", "user"):
            no_bad_rows(self.connection, kind)
        if self.texts:
            self._assign(shapes)
        self.notes += self._say_ids(events, users)
        happened = [shape for shape in shapes if shape.is_events]
        people = [shape for shape in shapes if not shape.is_events]
        all_events = self._together(happened, "event") if happened else None
        described = people or [shape for shape in happened if shape.user_columns]
        all_users = self._people(people, happened) if described or self.texts else None
        return Prepared(
            all_events, all_users, tuple(self.bad), self.oddities, tuple(self.notes), frozenset(self.allowed)
        )

    def _say_ids(self, events: Sequence[Seen], users: Sequence[Seen]) -> list[Text]:
        if not self.texts:
            return []
        names = listed(dict.fromkeys(seen.section.user for seen in [*events, *users]))
        said = Text(
            f"The ids of people are texts ({names.en}): they are #account_id, and every account has a number as #user_id that later loads keep.",
            f"用户标识为文本（{names.zh}）：存为 #account_id，并为每个账号分配编号 #user_id，之后的加载沿用。",
        )
        devices = [seen.section.device for seen in events if seen.section.device]
        if not devices:
            return [said]
        return [
            said,
            Text(
                f"A device ({listed(devices).en}) belongs to the first person it is seen with; devices without one are users of their own.",
                f"设备（{listed(devices).zh}）归属首个与其同时出现的用户；没有对应用户的设备各自成为一位用户。",
            ),
        ]

    # One section.

    def _shape(self, number: int, seen: Seen) -> _Shape:
        is_events = seen.section.role == "events"
        kind: Kind = "event" if is_events else "user"
        read = _read(self.connection, seen, self.zone, texts=self.texts, name=f"values_{number}")
        self.notes += _notes_of(read)
        self.column_notes[kind] |= dict.fromkeys(read.values.notes)
        if read.bad.total:
            if read.section.no_user:
                self.allowed.add((len(self.bad), "missing_user_id"))
            self.bad.append(read.bad)
        good = good_rows(self.connection, read.values.relation, kind)
        asked, odd = set_clock(self.connection, good, read.values.readings, read.zone)
        self.oddities += odd.of(kind)
        readings = read.values.readings
        properties = [readings[i] for i in read.properties]
        columns = [f"{instant_of(i, readings[i], asked)} AS p{k}" for k, i in enumerate(read.properties)]
        moments = [f"{instant_of(i, readings[i], asked)} AS m{k}" for k, (_, i) in enumerate(read.moments)]
        device = f"v{read.device}" if read.device is not None else "NULL"
        name = f"v{read.name}" if read.name is not None else "NULL"
        once = ["once"] if read.section.once_per else []
        base = f"base_{number}"
        parts = [
            '"$n" AS n',
            f"CAST(v{read.user} AS {self.who}) AS who",
            f"CAST({device} AS VARCHAR) AS device",
            f"CAST({name} AS VARCHAR) AS name",
            *moments,
            *once,
            *columns,
        ]
        self.connection.execute(f"CREATE TEMP TABLE {base} AS SELECT {', '.join(parts)} FROM {good}")
        self.connection.execute(f"DROP TABLE bad_{kind}")
        self._drop(read.values.relation)
        table = f"shape_{number}"
        if is_events:
            self._happenings(read, base, table, len(properties))
        else:
            self._descriptions(read, base, table, len(properties))
        self._drop(base)
        wanted = tuple(read.section.user_columns)
        return _Shape(table, properties, is_events, wanted)

    def _drop(self, name: str) -> None:
        found = one(
            self.connection, f"SELECT count(*) FROM duckdb_views() WHERE view_name = {literal(name)} AND temporary"
        )[0]
        self.connection.execute(f"DROP {'VIEW' if found else 'TABLE'} IF EXISTS {name}")

    def _happenings(self, read: Read, base: str, table: str, width: int) -> None:
        ps = "".join(f", p{k}" for k in range(width))
        section = read.section
        if not section.once_per:
            parts = [
                f"SELECT n, {k} AS turn, who, device, {literal(label) if label and read.name is None else 'name'} AS name, m{k} AS moment{ps} FROM {base} WHERE m{k} IS NOT NULL"
                for k, (label, _) in enumerate(read.moments)
            ]
        else:
            firsts = "".join(f", arg_min(p{k}, n) AS p{k}" for k in range(width))
            order = (
                f"SELECT min(n) AS n, 0 AS turn, arg_min(who, n) AS who, arg_min(device, n) AS device, arg_min(name, n) AS name, arg_min(m0, n) AS moment, once{firsts} "
                f"FROM {base} WHERE once IS NOT NULL GROUP BY once"
            )
            self.connection.execute(f"CREATE TEMP TABLE {table}_once AS {order}")
            parts = [
                f"SELECT n, turn, who, device, name, moment{ps} FROM {table}_once WHERE moment IS NOT NULL",
                f"SELECT n, 0 AS turn, who, device, name, m0 AS moment{ps} FROM {base} WHERE once IS NULL AND m0 IS NOT NULL",
            ]
            if section.each_row:
                own = "".join(f", b.p{k}" for k in range(width))
                parts.append(
                    f"SELECT b.n, 1 AS turn, b.who, b.device, {literal(section.each_row)} AS name, o.moment{own} FROM {base} b JOIN {table}_once o USING (once) WHERE o.moment IS NOT NULL"
                )
            lost = one(self.connection, f"SELECT count(*) FROM {table}_once WHERE moment IS NULL")[0]
            if lost:
                self.notes.append(
                    Text(
                        f"{lost:,} values of {section.once_per} have no time in any row; they were left out",
                        f"{section.once_per} 中有 {lost:,} 个值在所有行都没有时间，已跳过",
                    )
                )
        self.connection.execute(f"CREATE TEMP TABLE {table} AS {' UNION ALL BY NAME '.join(parts)}")
        if section.once_per:
            self._drop(f"{table}_once")

    def _descriptions(self, read: Read, base: str, table: str, width: int) -> None:
        ps = "".join(f", p{k}" for k in range(width))
        if read.section.keep == "last":
            lasts = "".join(f", arg_max(p{k}, n) AS p{k}" for k in range(width))
            self.connection.execute(
                f"CREATE TEMP TABLE {table} AS SELECT min(n) AS n, who, CAST(NULL AS VARCHAR) AS device{lasts} FROM {base} GROUP BY who"
            )
        else:
            self.connection.execute(f"CREATE TEMP TABLE {table} AS SELECT n, who, device{ps} FROM {base}")

    # Ids.

    def _assign(self, shapes: Sequence[_Shape]) -> None:
        """The table `people(who, device, user_id)`: the number of every account and device, also of earlier loads."""
        parts = []
        for i, shape in enumerate(shapes):
            moment = "min(moment)" if shape.is_events else "NULL"
            parts.append(
                f"SELECT who, device, CAST({moment} AS TIMESTAMP) AS moment, {i} AS section, min(n) AS n FROM {shape.table} GROUP BY who, device"
            )
        self.connection.execute(
            "CREATE TEMP TABLE pairs AS SELECT who, device, row_number() OVER (ORDER BY moment NULLS LAST, section, n) AS n FROM ("
            f"SELECT who, device, min(moment) AS moment, min(section) AS section, min(n) AS n FROM ({' UNION ALL '.join(parts)}) GROUP BY who, device)"
        )
        self.connection.execute(
            "CREATE TEMP TABLE named AS SELECT n, n AS seq, CAST(NULL AS BIGINT) AS given, who AS account, device AS visitor FROM pairs"
        )
        assign(self.connection, "named")
        self.connection.execute(
            "CREATE TEMP TABLE people AS SELECT p.who, p.device, o.user_id, k.account, k.visitor, p.n FROM pairs p JOIN owners o USING (n) JOIN keyed k USING (n)"
        )

    # All sections.

    def _columns(self, shapes: Sequence[_Shape]) -> list[tuple[ColumnReading, list[str]]]:
        """The properties of all shapes by name, with the SQL of each in each shape; of different types they are texts."""
        names: dict[str, str] = {}
        for shape in shapes:
            for reading in shape.properties:
                names.setdefault(reading.name.casefold(), reading.name)
        columns: list[tuple[ColumnReading, list[str]]] = []
        for key, name in names.items():
            own = [
                next(((k, r) for k, r in enumerate(shape.properties) if r.name.casefold() == key), None)
                for shape in shapes
            ]
            kinds = {(found[1].type, found[1].scale) for found in own if found}
            types = {kind for kind, _ in kinds}
            if len(types) > 1:
                words = " / ".join(sorted(types))
                self.notes.append(
                    Text(
                        f"{name} has different types in the files ({words}); it is read as text",
                        f"{name} 在各文件中的类型不同（{words}），按文本读取",
                    )
                )
                columns.append(
                    (ColumnReading(name, "string", ""), [f"CAST(p{f[0]} AS VARCHAR)" if f else "NULL" for f in own])
                )
                continue
            kind = types.pop()
            scale = next(iter(kinds))[1] if len(kinds) == 1 else None
            cast = "CAST({} AS DOUBLE)" if kind == "number" and len(kinds) > 1 else "{}"
            columns.append(
                (
                    ColumnReading(name, kind, "", scale, east="0" if kind == "time" else None),
                    [cast.format(f"p{f[0]}") if f else "NULL" for f in own],
                )
            )
        return columns

    def _ids(self) -> str:
        return (
            "JOIN people i ON s.who IS NOT DISTINCT FROM i.who AND s.device IS NOT DISTINCT FROM i.device"
            if self.texts
            else ""
        )

    def _together(self, shapes: Sequence[_Shape], kind: str) -> SourceValues:
        columns = self._columns(shapes)
        system = [
            ColumnReading("#user_id", "number", "", 0),
            ColumnReading("#event_name", "string", ""),
            ColumnReading("#event_time", "time", "", east="0"),
        ]
        if self.texts:
            system.append(ColumnReading("#account_id", "string", ""))
            if any(self._has_device(shape) for shape in shapes):
                system.append(ColumnReading("#distinct_id", "string", ""))
        readings = [*system, *(reading for reading, _ in columns)]
        parts = []
        for i, shape in enumerate(shapes):
            sql = [
                "i.user_id" if self.texts else "s.who",
                "s.name",
                "s.moment",
                *(["i.account", "s.device"][: len(system) - 3] if self.texts else []),
            ]
            sql += [f"s.{each[i]}" if each[i].startswith("p") else each[i].replace("(p", "(s.p") for _, each in columns]
            listed = "".join(f", {value} AS v{k}" for k, value in enumerate(sql))
            parts.append(f"SELECT {i} AS section, s.n, s.turn{listed} FROM {shape.table} s {self._ids()}")
        return self._values(f"all_{kind}s", parts, "section, n, turn", readings)

    def _has_device(self, shape: _Shape) -> bool:
        return bool(
            one(
                self.connection, f"SELECT count(*) FROM (SELECT 1 FROM {shape.table} WHERE device IS NOT NULL LIMIT 1)"
            )[0]
        )

    def _values(self, name: str, parts: Sequence[str], order: str, readings: Sequence[ColumnReading]) -> SourceValues:
        clocks = "".join(
            f", CAST(0 AS BIGINT) AS o{i}, FALSE AS x{i}"
            for i, reading in enumerate(readings)
            if reading.type == "time"
        )
        values = ", ".join(f"v{i}" for i in range(len(readings)))
        self.connection.execute(
            f'CREATE TEMP TABLE {name} AS SELECT row_number() OVER (ORDER BY {order}) - 1 AS "$n", FALSE AS "$lost", {values}{clocks} FROM ({" UNION ALL ".join(parts)})'
        )
        kind = "event" if name == "all_events" else "user"
        return SourceValues(name, tuple(readings), tuple(self.column_notes[kind]))

    def _people(self, people: Sequence[_Shape], happened: Sequence[_Shape]) -> SourceValues:
        """The users: those of the files of users, else everybody in the events; with what events say of them."""
        devices = self.texts and any(self._has_device(shape) for shape in happened)
        system = [ColumnReading("#user_id", "number", "", 0)]
        if self.texts:
            system.append(ColumnReading("#account_id", "string", ""))
            system += [ColumnReading("#distinct_id", "string", "")] if devices else []
        described = self._columns(people)
        own = {reading.name.casefold() for reading, _ in described}
        told = [
            (reading, f"t{k}") for k, reading in enumerate(self._told(happened)) if reading.name.casefold() not in own
        ]
        readings = [*system, *(reading for reading, _ in described), *(reading for reading, _ in told)]
        parts = []
        for i, shape in enumerate(people):
            who = "i.user_id" if self.texts else "s.who"
            listed = "".join(
                f", {each[i].replace('p', 's.p', 1) if each[i].startswith('p') else each[i].replace('(p', '(s.p')} AS q{k}"
                for k, (_, each) in enumerate(described)
            )
            parts.append(f"SELECT {who} AS id, {i} AS section, s.n{listed} FROM {shape.table} s {self._ids()}")
        if not people:
            source = (
                "SELECT DISTINCT user_id AS id FROM people"
                if self.texts
                else " UNION ".join(f"SELECT who AS id FROM {shape.table}" for shape in happened)
            )
            users = f"(SELECT id FROM ({source}))"
        elif len(people) == 1 and not self.texts:
            users = f"({parts[0]})"
        else:
            firsts = "".join(f", arg_min(q{k}, section * 1000000000000 + n) AS q{k}" for k in range(len(described)))
            users = f"(SELECT id{firsts} FROM ({' UNION ALL '.join(parts)}) GROUP BY id)"
        sql = ["u.id"]
        joins = ""
        if self.texts:
            joins = " LEFT JOIN (SELECT user_id, arg_min(account, n) AS account, arg_min(visitor, n) AS visitor FROM people GROUP BY user_id) a ON a.user_id = u.id"
            sql += ["a.account", *(["a.visitor"] if devices else [])]
        sql += [f"u.q{k}" for k in range(len(described))]
        if told:
            joins += " LEFT JOIN told_of_users w ON w.id = u.id"
            sql += [f"w.{column}" for _, column in told]
        listed = "".join(f", {value} AS v{k}" for k, value in enumerate(sql))
        return self._values("all_users", [f"SELECT u.id AS n{listed} FROM {users} u{joins}"], "n", readings)

    def _told(self, happened: Sequence[_Shape]) -> list[ColumnReading]:
        """The table `told_of_users(id, t0, t1, …)`: the latest value of columns that describe the person."""
        shapes = [shape for shape in happened if shape.user_columns]
        if not shapes:
            return []
        wanted = {name.casefold() for shape in shapes for name in shape.user_columns}
        columns = [(reading, each) for reading, each in self._columns(shapes) if reading.name.casefold() in wanted]
        who = "i.user_id" if self.texts else "s.who"
        parts = []
        for i, shape in enumerate(shapes):
            listed = "".join(
                f", {each[i].replace('p', 's.p', 1) if each[i].startswith('p') else each[i].replace('(p', '(s.p')} AS t{k}"
                for k, (_, each) in enumerate(columns)
            )
            parts.append(f"SELECT {who} AS id, s.moment{listed} FROM {shape.table} s {self._ids()}")
        lasts = "".join(f", arg_max(t{k}, moment) AS t{k}" for k in range(len(columns)))
        self.connection.execute(
            f"CREATE TEMP TABLE told_of_users AS SELECT id{lasts} FROM ({' UNION ALL '.join(parts)}) GROUP BY id"
        )
        return [reading for reading, _ in columns]
