"""Work out one section of a mapping: who, what and when, by the names and values of its columns; ask what they leave open."""

import re
from collections.abc import Mapping as Table_
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.sources.column_names import (
    BIRTH,
    DEVICE,
    EVENT,
    EVENTISH,
    FIRST_TIME,
    LATER,
    ORDER_ID,
    SECOND_EVENT,
    SECOND_USER,
    TIME,
    USER,
    WORDS,
    plain,
)
from mcp_server.sources.files.opening import FilePlace
from mcp_server.sources.files.tables import FileTable
from mcp_server.sources.mapping import OPEN, Answers, ColumnRule, FileSection, LoadQuestion, Role
from mcp_server.sources.naming import one_for_two, two_for_one
from mcp_server.sources.report import refuse
from mcp_server.sources.survey import Fact, Seen, Source, Survey, survey
from mcp_server.text import Text, listed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Builder:
    """Works out the sections of one group of files, and its questions."""

    def __init__(
        self,
        connection: "DuckDBPyConnection",
        table: FileTable | None,
        files: str,
        places: Sequence[FilePlace],
        source: Source,
        answers: Answers,
    ) -> None:
        self.connection, self.files, self.source = connection, files, source
        self.table = table or FileTable("", (), (), 0)
        self.places = tuple(places)
        self.answers = answers
        self.questions: list[LoadQuestion] = []
        self.notes: list[Text] = []
        self.comments: dict[str, str] = {}
        self.index = 0
        self.likely_user = ""

    # Answers and questions.

    def _answer(self, key: str) -> Any:
        """What was answered, for these files or for all."""
        for where in (f"{self.files}:{key}", key):
            if where in self.answers:
                answer = self.answers[where]
                if (
                    isinstance(answer, dict)
                    and key not in ("times", "only")
                    and answer
                    and all(isinstance(k, str) for k in answer)
                ):
                    mine = [
                        value
                        for name, value in answer.items()
                        if name == self.files or any(Path(name).name == p.path.name for p in self.places)
                    ]
                    if mine:
                        return mine[0]
                    if key.startswith("columns."):
                        return answer
                    continue
                return answer
        return None

    def _ask(self, key: str, why: Text, choices: Sequence[str] = (), default: Any = None) -> Any:
        """Note a question; return what is taken until somebody answers."""
        self.questions.append(
            LoadQuestion(
                section=self.index, files=self.files, key=key, choices=tuple(choices), default=default, why=why
            )
        )
        return OPEN if default is None else default

    def build(self, index: int) -> tuple[list[Seen], list[LoadQuestion]]:
        self.index = index
        if self.places[0].tracking:
            section = FileSection(files=self.files, format="tracking log", encoding=self.places[0].encoding, role="log")
            return [Seen(section, self.table, Survey((), (), ()), self.places, {})], []
        self.survey = survey(self.connection, self.table, self._rules(), self._times_given())
        self.facts = [
            fact
            for fact in self.survey.facts
            if not (fact.rule.type == "leave out" and re.fullmatch(r"column\d+", fact.name) and self.places[0].header)
        ]
        place = self.places[0]
        section = FileSection(
            files=self.files,
            format=place.format,
            encoding=place.encoding,
            separator=place.separator if place.format == "csv" else "",
            escape=place.escape,
            sheet=place.sheet,
            header=place.header,
            names=place.names if place.format in ("csv", "spreadsheet") and not place.header else (),
            until=place.until,
            records=place.records,
            decimal=self.survey.decimal,
            missing=self.survey.missing,
            marks=self.survey.marks,
        )
        section = self._names(section)
        section = self._columns(section)
        split = self._only(section)
        if split is not None:
            return split, self.questions
        section = self._who_and_what(section)
        empty = [fact.name for fact in self.facts if fact.rule.type == "leave out" and not fact.values]
        if empty:
            shown = listed([*empty[:12], *(["…"] if len(empty) > 12 else [])])
            self.notes.append(
                Text(
                    f"columns without a value in any row are left out ({len(empty)}): {shown.en}",
                    f"没有任何值的列不加载（{len(empty)} 列）：{shown.zh}",
                )
            )
        notes = (*self.table.notes, *self.survey.cleaned, *self.notes)
        return [Seen(section, self.table, self.survey, self.places, self.comments, notes)], self.questions

    def _rules(self) -> dict[str, ColumnRule]:
        rules: dict[str, ColumnRule] = {}
        for column in self.table.columns:
            answer = self._answer(f"columns.{column.name}")
            if answer is not None:
                rules[column.name] = ColumnRule.model_validate(answer)
            kind = self._answer(f"columns.{column.name}.type")
            if kind is not None:
                rules[column.name] = ColumnRule(type=kind)
        for name in self._answer("leave_out") or ():
            rules[name] = ColumnRule(type="leave out")
        return rules

    def _times_given(self) -> list[str]:
        named = [self.source.columns.get("#event_time"), self._answer("time")]
        times = self._answer("times")
        named += list(times.values()) if isinstance(times, dict) else []
        return [name for each in named if each for name in ([each] if isinstance(each, str) else each)]

    def _fact(self, name: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.name.casefold() == name.casefold()), None)

    # Sections.

    def _names(self, section: FileSection) -> FileSection:
        if section.header or not section.names or section.format not in ("csv", "spreadsheet"):
            return section
        if self._answer("names") is None:
            self._ask(
                "names",
                Text(
                    f"The first line of {self.files} is data, so its {len(section.names)} columns have no names. Give a list of names; the documentation of the program that wrote the file has them.",
                    f"{self.files} 第一行就是数据，{len(section.names)} 列没有列名。请给出列名列表（见导出程序的文档）。",
                ),
            )
            return section.model_copy(update={"names": (OPEN,)})
        return section

    def _columns(self, section: FileSection) -> FileSection:
        columns: dict[str, ColumnRule] = {}
        for fact in self.facts:
            rule = fact.rule
            if fact.column.pairs and fact.column.pairs not in columns:
                columns[fact.column.pairs] = ColumnRule(type="pairs")
            if fact.choices:
                answer = self._answer(f"columns.{fact.name}.read")
                if answer is not None and answer not in fact.choices:
                    choices = listed(fact.choices)
                    raise refuse(
                        Text(f"{answer!r} is no way to read {fact.name}.", f"列 {fact.name} 不能按 {answer!r} 读取。"),
                        Text(f"Answer one of: {choices.en}.", f"可选：{choices.zh}。"),
                    )
                if answer is not None:
                    rule = ColumnRule(type=rule.type, read=answer) if answer != "number" else ColumnRule(type="number")
                else:
                    self._ask(
                        f"columns.{fact.name}.read",
                        Text(
                            f"All {fact.values:,} values of {fact.name} can be read in both ways.",
                            f"列 {fact.name} 的全部 {fact.values:,} 个值两种读法都成立。",
                        ),
                        fact.choices,
                    )
                    rule = ColumnRule(type=rule.type, read=OPEN)
            columns[fact.name] = rule
            comment = "; ".join(note.en for note in fact.notes)
            if rule.type == "leave out" and not comment:
                comment = "no value in any row"
            if fact.forms and fact.forms[0].name == "money":
                comment = comment or "amounts with a sign or separators"
            if comment:
                self.comments[f"columns.{fact.name}"] = comment
        return section.model_copy(update={"columns": columns})

    def _only(self, section: FileSection) -> list[Seen] | None:
        """Rows of several kinds in one file: a column tells which have an event."""
        event = next(
            (
                f
                for f in self.facts
                if EVENT.fullmatch(plain(f.name)) and 0 < f.values < self.table.count - self.table.lost
            ),
            None,
        )
        kind = next(
            (
                f
                for f in self.facts
                if plain(f.name) in ("type", "recordtype")
                and f.values == self.table.count - self.table.lost
                and f.distinct <= 30
            ),
            None,
        )
        if event is None or kind is None or self.source.role is not None or self.source.columns:
            return None
        kinds = rows(
            self.connection,
            f"SELECT {kind.x} AS kind, count(*), count({event.x}) FROM {self.table.relation} GROUP BY kind ORDER BY count(*) DESC, kind",
        )
        if not any(row[2] == row[1] for row in kinds) or any(0 < row[2] < row[1] for row in kinds):
            return None
        answer = self._answer("only")
        if answer is None:
            self._ask_only(kind.name, kinds)
        events = self._who_and_what(section, role="events")
        parts: list[FileSection] = [] if answer else [events.model_copy(update={"only": {OPEN: OPEN}})]
        for part in answer or ():
            only = {key: tuple(value) if isinstance(value, list) else value for key, value in part["only"].items()}
            own = events.model_copy(update={"only": only})
            parts.append(own if part["role"] == "events" else self._people(section, events, only))
        notes = (*self.table.notes, *self.survey.cleaned, *self.notes)
        return [Seen(part, self.table, self.survey, self.places, self.comments, notes) for part in parts]

    def _ask_only(self, name: str, kinds: Sequence[tuple[Any, ...]]) -> None:
        """Ask which rows are events and which describe people."""
        with_event = [row[0] for row in kinds if row[2] == row[1]]
        people = [row[0] for row in kinds if not row[2] and re.search(r"(?i)identify|profile|user|people", str(row[0]))]
        choices = [f"events: {name} = {each}" for each in with_event] + [f"users: {name} = {each}" for each in people]
        counts = listed(Text(f"{kind} ({n:,})", f"{kind}（{n:,}）") for kind, n, _ in kinds)
        events, persons = listed(with_event), listed(people)
        why = Text(
            f"{name} says what a row is: {counts.en}. Rows of {events.en} have an event name.",
            f"{name} 说明每行是什么：{counts.zh}。{events.zh} 有事件名。",
        )
        why = why.then(
            Text("Answer with the choices you want, separated by semicolons.", "请回答所需的选项，以分号分隔。")
        )
        if people:
            why = why.then(Text(f"{persons.en} describe people.", f"{persons.zh} 描述用户。"))
        self._ask("only", why, choices)

    def _people(self, section: FileSection, events: FileSection, only: dict[str, Any]) -> FileSection:
        """Rows that describe people: the columns that have values there and in no row of an event."""
        happened = self._fact(events.event)
        inside, outside = self.condition(only), f"{happened.x} IS NOT NULL" if happened else "FALSE"
        kept: dict[str, ColumnRule] = (
            {events.user: section.columns[events.user]} if events.user in section.columns else {}
        )
        for fact in self.facts:
            here, there = one(
                self.connection,
                f"SELECT count(CASE WHEN {inside} THEN {fact.x} END), count(CASE WHEN {outside} THEN {fact.x} END) FROM {self.table.relation}",
            )
            if here and not there and fact.name not in only:
                kept[fact.name] = fact.rule
        return section.model_copy(
            update={
                "only": only,
                "role": "users",
                "user": events.user,
                "keep": "last",
                "others": "leave out",
                "columns": kept,
            }
        )

    def condition(self, only: Table_[str, Any]) -> str:
        """SQL condition: the rows that a section is about."""
        parts = []
        for name, values in only.items():
            fact = self._fact(name)
            if fact is None:
                continue
            listed_values = [values] if isinstance(values, str) else list(values)
            parts.append(f"CAST({fact.x} AS VARCHAR) IN ({', '.join(map(literal, listed_values))})")
        return " AND ".join(parts) or "TRUE"

    # Who, what, when.

    def _who_and_what(self, section: FileSection, role: Role | None = None) -> FileSection:
        named = {system: fact.name for system, name in self.source.columns.items() if (fact := self._fact(name))}
        named |= self._own_names(named)
        decided = role or self.source.role
        answered = self._answer("role")
        if decided is None and answered is not None:
            decided = answered
        user, device = self._user(named, decided)
        if OPEN in section.names:
            return section.model_copy(update={"user": user, "role": "events", "time": OPEN, "event_name": OPEN})
        section = section.model_copy(update={"user": user, "device": device})
        if "#user_id" not in self.source.columns:
            section = self._nobody(section)
        if decided is None:
            decided = self._role(section, named)
        if decided == "users":
            return section.model_copy(update={"role": "users"})
        section = section.model_copy(update={"role": "events"})
        return self._happening(section, named)

    def _own_names(self, named: Table_[str, str]) -> dict[str, str]:
        """The system columns that the file has under their own names; LoadRefused where they and `--map` contradict each other."""
        own = {fact.name.casefold(): fact.name for fact in self.facts if fact.name.startswith("#")}
        systems = ("#user_id", "#account_id", "#distinct_id", "#event_name", "#event_time")
        found = {system: own[system] for system in systems if system in own}
        for system, name in named.items():
            if found.get(system, name) != name:
                raise two_for_one(system, name, self.files)
        all_names = {**found, **named}
        for first, name in all_names.items():
            for second, other in all_names.items():
                if first < second and name == other:
                    raise one_for_two(first, second, name, self.files)
        return found

    def _nobody(self, section: FileSection) -> FileSection:
        """Rows without a person select nobody: they are left out and counted, unless the file has the vendor's own names."""
        fact = self._fact(section.user)
        if fact is None or fact.name.startswith("#"):
            return section
        device = self._fact(section.device) if section.device else None
        both = (
            f"coalesce(CAST({fact.x} AS VARCHAR), CAST({device.x} AS VARCHAR))"
            if device
            else f"CAST({fact.x} AS VARCHAR)"
        )
        missing = int(
            one(
                self.connection,
                f"SELECT count(*) - count(nullif({both}, '')) FROM {self.table.relation} WHERE NOT \"$lost\"",
            )[0]
        )
        if not missing:
            return section
        self.comments["no_user"] = f"{missing:,} rows have no {section.user}"
        self.notes.append(
            Text(
                f"{missing:,} rows without a {section.user} are left out", f"{missing:,} 行没有 {section.user}，不加载"
            )
        )
        return section.model_copy(update={"no_user": "leave out"})

    def _possible(self) -> list[Fact]:
        """Columns that could name a person."""
        return [
            fact
            for fact in self.facts
            if fact.values
            and (fact.rule.type == "text" or (fact.rule.type == "number" and not fact.rule.read))
            and not fact.clock
        ]

    def _user(self, named: Table_[str, str], role: str | None) -> tuple[str, str]:
        answer = self._answer("user")
        if isinstance(answer, str):
            return answer, self._device(answer, named)
        if "#user_id" in named:
            return named["#user_id"], ""
        if "#account_id" in named:
            return named["#account_id"], named.get("#distinct_id", "")
        total = self.table.count - self.table.lost
        possible = [
            fact for fact in self._possible() if fact.distinct > 1 or total <= 1 or USER.fullmatch(plain(fact.name))
        ]
        if not section_has_names(self.places[0]) and self._answer("names") is None:
            return self._ask_user(possible[:6], None), ""
        first = [f for f in possible if USER.fullmatch(plain(f.name))]
        devices = [f for f in possible if DEVICE.fullmatch(plain(f.name))]
        second = [f for f in possible if f not in first and (SECOND_USER.fullmatch(plain(f.name)) or f.phones)]
        people = [f for f in first if f not in devices] or first
        people.sort(key=lambda f: not re.search(r"(?i)(id|nr|no|number)\.?$|编号|标识", f.name))
        if (role == "users" and not people) or (not people and not second):
            ids = [f for f in possible if plain(f.name) in ("id", "oid", "no", "编号") and self._unique(f)]
            people = people or ids
        if len(people) > 1:
            exact = [f for f in people if plain(f.name) in ("userid", "distinctid", "openid")]
            people = exact[:1] + [f for f in people if f not in exact[:1]]
        return self._among(people, second, possible, named)

    def _among(
        self, people: list[Fact], second: list[Fact], possible: list[Fact], named: Table_[str, str]
    ) -> tuple[str, str]:
        """The column of the person among those that are named like one, and those that may be."""
        total = self.table.count - self.table.lost
        if not people:
            ids = [f for f in possible if plain(f.name) in ("id", "oid", "pk") and self._unique(f)]
            if ids and not any(f.distinct < f.values * 0.7 for f in second if plain(f.name) != "accountid"):
                people = ids
        if people:
            best = people[0]
            device = self._device(best.name, named)
            others = [f for f in [*people[1:], *second] if f.name != device]
            rivals = [f for f in people[1:] if f.name != device and not self._one_to_one(best, f)]
            missing = best.values < total
            if (not rivals and not (missing and not device and others)) or (
                self.source.role is not None and not rivals
            ):
                self.comments["user"] = (
                    "the only column that is named like a person" if not others else "named like a person"
                )
                return best.name, device
            return self._ask_user([best, *others], None if missing and not device else best.name), device
        if not second:
            return self._ask_user(possible[:8], None), ""
        phones = [f for f in second if f.phones]
        best = next((f for f in second if re.search(r"(?i)mail|邮箱", f.name)), phones[0] if phones else second[0])
        if self._unique(best) and all(f.values < total for f in second if f is not best):
            return best.name, ""
        sure = not (best in phones and (len(phones) > 1 or re.fullmatch(r"source|src|caller|from", plain(best.name))))
        return self._ask_user([best, *[f for f in second if f is not best]], best.name if sure else None), ""

    def _ask_user(self, candidates: Sequence[Fact], default: str | None) -> str:
        self.likely_user = candidates[0].name if candidates else ""
        counts = listed(
            Text(
                f"{f.name}: {f.values:,} rows, about {f.distinct:,} different",
                f"{f.name}：{f.values:,} 行有值，约 {f.distinct:,} 种",
            )
            for f in candidates[:6]
        )
        why = Text(f"Which column names the person? {counts.en}.", f"哪一列标识用户？{counts.zh}。")
        return str(self._ask("user", why, [f.name for f in candidates], default))

    def _device(self, user: str, named: Table_[str, str]) -> str:
        """A second id, of the device: where the user's is missing in some rows and the device's is there."""
        if "#distinct_id" in named and named["#distinct_id"] != user:
            return named["#distinct_id"]
        fact = self._fact(user)
        if fact is None or fact.values == self.table.count - self.table.lost:
            return ""
        for other in self._possible():
            if other.name != user and DEVICE.fullmatch(plain(other.name)):
                gained = one(
                    self.connection,
                    f"SELECT count(*) FROM {self.table.relation} WHERE {fact.x} IS NULL AND {other.x} IS NOT NULL",
                )[0]
                if gained:
                    self.comments["device"] = f"names the device in {gained:,} rows without a {user}"
                    return other.name
        return ""

    def _unique(self, fact: Fact) -> bool:
        total = self.table.count - self.table.lost
        if fact.values < total or fact.distinct < total * 0.9:
            return False
        return bool(one(self.connection, f"SELECT count(DISTINCT {fact.x}) = count(*) FROM {self.table.relation}")[0])

    def _one_to_one(self, first: Fact, second: Fact) -> bool:
        return bool(
            one(
                self.connection,
                f"SELECT count(DISTINCT ({first.x}, {second.x})) = count(DISTINCT {first.x}) FROM {self.table.relation} WHERE {first.x} IS NOT NULL AND {second.x} IS NOT NULL",
            )[0]
        )

    def _role(self, section: FileSection, named: Table_[str, str]) -> Role:
        if "#event_name" in named or "#event_time" in named or self.source.event_name:
            return "events"
        if any(EVENT.fullmatch(plain(f.name)) for f in self.facts):
            return "events"
        times = [f for f in self.facts if f.rule.type == "time" and not BIRTH.search(f.name)]
        if not times:
            return "users"
        user = self._fact(self.likely_user or section.user)
        if user is None:
            return "events"
        names = " ".join(f.name for f in self.facts)
        if (
            self._unique(user)
            and not EVENTISH.search(self.places[0].sheet or self.files)
            and not re.search(r"(?i)订单|order[ _]?(id|no)|callid", names)
        ):
            self.notes.append(
                Text(f"{section.user} is unique: each row is a person", f"{section.user} 不重复：每行是一位用户")
            )
            return "users"
        return "events"

    def _happening(self, section: FileSection, named: Table_[str, str]) -> FileSection:
        times = [f for f in self.facts if f.rule.type == "time" and not BIRTH.search(f.name) and f.name != section.user]
        described = self._answer("user_columns")
        if described:
            section = section.model_copy(update={"user_columns": tuple(described)})
        event = self._event(section, named)
        once = self._once_per(section, event, times)
        answered_times = self._answer("times")
        if isinstance(answered_times, dict):
            named_times = {name: tuple(at) if isinstance(at, list) else at for name, at in answered_times.items()}
            return self._zone(section.model_copy(update={"times": named_times}))
        time = self._time(named, times, once=bool(once))
        if event is None and not self.source.event_name and self._answer("event_name") is None and not once:
            later = self._later(times, time)
            if later is not None:
                return self._zone(section.model_copy(update={"times": later}))
        update: dict[str, Any] = {"time": time}
        if event is not None:
            update["event"] = event
        else:
            update["event_name"] = self._constant(quiet=bool(once))
        section = section.model_copy(update=update)
        if once:
            section = section.model_copy(update={"once_per": once})
            if once != OPEN:
                each = self._answer("each_row")
                if each is None:
                    each = self._ask(
                        "each_row",
                        Text(
                            "The rows of one order differ: each can be an event of its own too (empty: none).",
                            "同一订单的各行不同：每行也可以各成为一个事件（留空则不生成）。",
                        ),
                        (),
                        f"{section.event_name or 'order'}_item",
                    )
                section = section.model_copy(update={"each_row": each})
        return self._zone(section)

    def _zone(self, section: FileSection) -> FileSection:
        columns = [name for at in section.moments().values() for name in at]
        if columns and all(re.search(r"\bUTC\b|\bGMT\b", name) for name in columns):
            self.comments["time_zone"] = "the names of the columns say so"
            return section.model_copy(update={"time_zone": "UTC"})
        return section

    def _event(self, section: FileSection, named: Table_[str, str]) -> str | None:
        answer = self._answer("event")
        if isinstance(answer, str):
            return answer
        if "#event_name" in named:
            return named["#event_name"]
        if self.source.event_name or self._answer("event_name") is not None or isinstance(self._answer("times"), dict):
            return None
        if self._answer("names") is None and not section_has_names(self.places[0]):
            return None
        total = self.table.count - self.table.lost
        few = [
            f
            for f in self.facts
            if f.rule.type == "text" and f.values and f.distinct <= max(50, total // 20) and f.name != section.user
        ]
        first = [f for f in few if EVENT.fullmatch(plain(f.name))]
        logs = self.places[0].format == "json lines"
        second = [
            f
            for f in few
            if (logs or plain(f.name) != "name")
            and SECOND_EVENT.fullmatch(plain(f.name))
            and f.values == total
            and f.distinct > 1
            and f.distinct * 2 <= total
        ]
        if first:
            full = [f for f in first if f.values == total] or first
            if len(full) > 1:
                exact = [f for f in full if plain(f.name) in ("eventname", "event")]
                if exact:
                    return exact[0].name
                return str(
                    self._ask(
                        "event",
                        Text("Several columns could name the event.", "有多列可能是事件名。"),
                        [f.name for f in full],
                        full[0].name,
                    )
                )
            return full[0].name
        if len(second) == 1 and plain(second[0].name) in ("type", "action", "activity", "动作", "行为"):
            return second[0].name
        if second:
            return str(
                self._ask(
                    "event",
                    Text(
                        f"Which column names what happened? {listed(f.name for f in second).en} could.",
                        f"哪一列说明发生了什么？可能是{listed(f.name for f in second).zh}。",
                    ),
                    [f.name for f in second],
                    second[0].name,
                )
            )
        return None

    def _constant(self, *, quiet: bool) -> str:
        """A name for all events of the file, as nothing in it names them."""
        answer = self._answer("event_name")
        if isinstance(answer, str):
            return answer
        if self.source.event_name:
            return self.source.event_name
        words = " ".join([self.files, self.places[0].sheet, *(f.name for f in self.facts)])
        guess = next(
            (word for word, pattern in WORDS if pattern.search(" ".join([self.files, self.places[0].sheet]))), None
        )
        guess = guess or next((word for word, pattern in WORDS if pattern.search(words)), "event")
        if quiet:
            self.notes.append(Text(f"each becomes an event {guess!r}", f"每个生成一个事件 {guess!r}"))
            return guess
        return str(
            self._ask(
                "event_name",
                Text(
                    "No column names what happened: all rows become events of one name.",
                    "没有列说明发生了什么：所有行将成为同名事件。",
                ),
                (),
                guess,
            )
        )

    def _time(self, named: Table_[str, str], times: Sequence[Fact], *, once: bool) -> str | tuple[str, ...]:
        answer = self._answer("time")
        if answer is not None:
            return tuple(answer) if isinstance(answer, list) else str(answer)
        if "#event_time" in named:
            return named["#event_time"]
        if not times:
            return str(
                self._ask(
                    "time",
                    Text(
                        "No column was read as a time. Which one says when it happened?",
                        "没有识别出时间列。哪一列是发生时间？",
                    ),
                    [f.name for f in self.facts[:10]],
                )
            )
        most = max(f.values for f in times)
        full = [f for f in times if f.values == most]
        clocks = [f for f in self.facts if f.clock and f.values == most]
        first = [f for f in full if FIRST_TIME.fullmatch(plain(f.name))]
        if len(full) == 1 and full[0].midnight and len(clocks) == 1:
            self.notes.append(
                Text(
                    f"{full[0].name} and {clocks[0].name} are joined to one time",
                    f"{full[0].name} 与 {clocks[0].name} 合并为一个时间",
                )
            )
            return (full[0].name, clocks[0].name)
        if len(full) == 1:
            return full[0].name
        if len(first) == 1:
            return first[0].name
        ranked = sorted(full, key=lambda f: not TIME.fullmatch(plain(f.name)))
        if once:
            ranked = sorted(times, key=lambda f: not re.search(r"(?i)creat|下单|创建|bestell", f.name))
            return ranked[0].name
        if self._later(times, ranked[0].name, quiet=True):
            return ranked[0].name
        return str(
            self._ask(
                "time",
                Text(
                    "Several times are there in every row: which one says when it happened?",
                    "每行都有多个时间：哪一个是发生时间？",
                ),
                [f.name for f in ranked],
                ranked[0].name,
            )
        )

    def _later(
        self, times: Sequence[Fact], first: str | tuple[str, ...], *, quiet: bool = False
    ) -> dict[str, Any] | None:
        """Further things that happen to a row at a time of their own: it is paid, refunded, cancelled."""
        if first == OPEN:
            return None
        start = self._fact(first if isinstance(first, str) else first[0])
        more = {
            word: fact.name
            for word, pattern in LATER.items()
            for fact in times
            if pattern.search(fact.name)
            and start is not None
            and fact.values < start.values
            and fact.name != start.name
        }
        if not more or quiet:
            return more or None
        words = " ".join([self.files, *(f.name for f in self.facts)])
        name = next((word for word, pattern in WORDS if pattern.search(self.files)), None) or next(
            (word for word, pattern in WORDS if pattern.search(words)), "event"
        )
        proposed = {name: first, **more}
        self._ask(
            "times",
            Text(
                "A row has several times: one event for each that is there.",
                "每行有多个时间：每个有值的时间各生成一个事件。",
            ),
            (),
            proposed,
        )
        return proposed

    def _once_per(self, section: FileSection, event: str | None, times: Sequence[Fact]) -> str:
        """A column whose value several rows share that are one thing: an order with a row for each of its goods."""
        answer = self._answer("once_per")
        if isinstance(answer, str):
            return answer
        user = self._fact(section.user)
        total = self.table.count - self.table.lost
        if (
            user is None
            or not times
            or isinstance(self._answer("times"), dict)
            or (self._answer("names") is None and not section_has_names(self.places[0]))
        ):
            return ""
        what = self._fact(event) if event else None
        for fact in self._possible():
            if (
                fact is user
                or not ORDER_ID.search(fact.name.rsplit(".", 1)[-1])
                or fact.values < total
                or fact.distinct * 3 < total
                or fact is what
            ):
                continue
            time = max(times, key=lambda f: (f.values, bool(TIME.fullmatch(plain(f.name)))))
            also = f", count(DISTINCT {what.x}) AS events" if what is not None else ", 1 AS events"
            groups, people, moments, events = one(
                self.connection,
                f"SELECT count(*), max(people), max(moments), max(events) FROM (SELECT count(DISTINCT {user.x}) AS people, count(DISTINCT {time.x}) AS moments{also} FROM {self.table.relation} GROUP BY {fact.x})",
            )
            if groups < total and people == 1 and moments == 1 and events == 1:
                return str(
                    self._ask(
                        "once_per",
                        Text(
                            f"{fact.name} repeats: {total:,} rows are {groups:,} different ones, with one person and one time each. Counted by rows, they and their amounts would count several times. "
                            f"Answer {fact.name} to take each once, or an empty text for an event a row.",
                            f"{fact.name} 有重复：{total:,} 行对应 {groups:,} 个不同值，各自只有一位用户和一个时间。若按行计数，数量和金额会重复。"
                            f"回答 {fact.name} 表示每个只算一次；留空表示每行一个事件。",
                        ),
                        [fact.name, ""],
                    )
                )
        return ""


def section_has_names(place: FilePlace) -> bool:
    """Whether the names of the columns are the file's own, or a person's."""
    return (
        place.format not in ("csv", "spreadsheet")
        or bool(place.header)
        or not re.fullmatch(r"column1", place.names[0] if place.names else "")
    )
