"""Look at files: propose the mapping they are read by, ask what they do not decide, and read files by a mapping."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_server.engines.duckdb.connection import rows
from mcp_server.sources.files.opening import FilePlace, Opener, Wanted, files_of, pattern_of
from mcp_server.sources.files.tables import FileTable, stage
from mcp_server.sources.mapping import (
    Answers,
    FileMapping,
    FileSection,
    LoadQuestion,
    plain_answer,
    refuse_unknown,
    toml_value,
)
from mcp_server.sources.proposing import Builder
from mcp_server.sources.report import refuse
from mcp_server.sources.survey import Proposal, Seen, Source, Survey, survey
from mcp_server.text import NOTHING, Text, listed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Look:
    """Opens and stages files once; proposes as often as answers come in. One for each load, on the load's connection."""

    def __init__(self, connection: "DuckDBPyConnection", temp: Path, base: Path | None = None) -> None:
        self.connection = connection
        self.opener = Opener(temp)
        self._base = base
        self._tables: dict[tuple[FilePlace, ...], FileTable] = {}
        self._places: dict[tuple[Path, Wanted], list[FilePlace]] = {}

    def propose(self, sources: Sequence[Source], time_zone: str, answers: Answers | None = None) -> Proposal:
        """Propose a mapping for all files; answers that are known already decide."""
        given = {key: plain_answer(key, value) for key, value in (answers or {}).items()}
        groups = self._groups(sources, given)
        builders = [
            Builder(self.connection, None if places[0].tracking else self.table(places), files, places, source, given)
            for files, places, source in groups
        ]
        seen: list[Seen] = []
        questions: list[LoadQuestion] = []
        for builder in builders:
            found, asked = builder.build(len(seen))
            seen += found
            questions += asked
        mapping = FileMapping(time_zone=time_zone, files=tuple(each.section for each in seen))
        return Proposal(mapping, tuple(questions), tuple(seen))

    def _one_format(self, source: Source, paths: Sequence[Path], *, many: bool) -> None:
        """LoadRefused where files that are to be one table are of different formats."""
        if source.role is None or not many:
            return
        wanted = Wanted(encoding=source.encoding, sheet=source.sheet)
        formats = sorted({place.format for path in paths for place in self.places(path, wanted)})
        if len(formats) > 1:
            kinds = listed(formats)
            raise refuse(
                Text(
                    f"The files of {source.pattern} have different formats: {kinds.en}.",
                    f"{source.pattern} 匹配到的文件格式不一：{kinds.zh}。",
                ),
                Text("Name each kind of file on its own.", "请分别给出每种格式的文件。"),
            )

    def read(self, mapping: FileMapping, sources: Sequence[Source] = ()) -> Proposal:
        """Read files by a mapping. `sources` name today's files where they are not those of the mapping's patterns."""
        seen: list[Seen] = []
        for section in mapping.files:
            paths = self._of_section(section, mapping, sources)
            header = section.header if section.format in ("csv", "spreadsheet") else None
            wanted = Wanted(
                section.encoding,
                section.separator,
                section.escape,
                section.sheet,
                header,
                section.names,
                section.until,
                section.records,
            )
            places = [place for path in paths for place in self.places(path, wanted)]
            if section.role == "log":
                seen.append(Seen(section, FileTable("", (), (), 0), Survey((), (), ()), tuple(places), {}))
                continue
            table = self.table(places)
            times = [name for names in section.moments().values() for name in names]
            found = survey(self.connection, table, section.columns, times, section)
            notes = [*table.notes, *found.cleaned]
            new = [fact.name for fact in found.facts if fact.name not in section.columns and not fact.column.pairs]
            if new and section.others != "leave out":
                names = listed(new[:20])
                notes.append(
                    Text(
                        f"columns of {section.files} that the mapping does not have: {names.en}",
                        f"{section.files} 中映射未列出的列：{names.zh}",
                    )
                )
            gone = [
                name
                for name, rule in section.columns.items()
                if rule.type not in ("leave out", "pairs") and found.fact(name) is None
            ]
            if gone and section.format in ("csv", "spreadsheet", "parquet"):
                raise refuse_unknown(gone, [fact.name for fact in found.facts], section.files)
            seen.append(Seen(section, table, found, tuple(places), {}, tuple(notes)))
        return Proposal(mapping, (), tuple(seen))

    def _of_section(self, section: FileSection, mapping: FileMapping, sources: Sequence[Source]) -> list[Path]:
        if not sources:
            return self.files(section.files)
        paths = [
            path for source in sources if source.role in (None, section.role) for path in self.files(source.pattern)
        ]
        own = [path for path in paths if fnmatch(path.name, section.files) or section.files.endswith("/")]
        if not own and len({each.files for each in mapping.files}) == 1:
            own = paths
        if not own:
            return self.files(section.files)
        return own

    def table(self, places: Sequence[FilePlace]) -> FileTable:
        """The staged rows of some places; read once."""
        key = tuple(places)
        if key not in self._tables:
            self._tables[key] = stage(self.connection, self.opener, places, f"staged_{len(self._tables)}")
        return self._tables[key]

    def places(self, path: Path, wanted: Wanted) -> list[FilePlace]:
        if (path, wanted) not in self._places:
            self._places[path, wanted] = self.opener.open(path, wanted)
        return self._places[path, wanted]

    def files(self, pattern: str) -> list[Path]:
        return files_of(pattern, self._base)

    def _groups(self, sources: Sequence[Source], answers: Answers) -> list[tuple[str, list[FilePlace], Source]]:
        """Files of one form together: those of one pattern, and those whose names differ in numbers only."""
        names = answers.get("names")
        groups: dict[tuple[Any, ...], tuple[str, list[FilePlace], Source]] = {}
        taken: set[Path] = set()
        for source in sources:
            paths = self.files(source.pattern)
            many = len(paths) > 1 or Path(source.pattern).expanduser().is_dir()
            self._one_format(source, paths, many=many)
            for path in paths:
                if path.resolve() in taken and source.role is None:
                    continue
                taken.add(path.resolve())
                wanted = Wanted(
                    encoding=source.encoding,
                    sheet=source.sheet,
                    names=tuple(names) if isinstance(names, list | tuple) else (),
                )
                for place in self.places(path, wanted):
                    form = place.names if place.format in ("csv", "spreadsheet") else ()
                    if source.role is not None and place.format != "spreadsheet":
                        form = ()
                    likeness = (
                        pattern_of(path.name) if source.role is None and place.format != "parquet" else source.pattern
                    )
                    if many and place.format == "csv" and source.role is None:
                        likeness = ""
                    key = (place.format, place.sheet, form, likeness, source.role)
                    files = source.pattern if many else pattern_of(path.name) if source.role is None else source.pattern
                    groups.setdefault(key, (files, [], source))[1].append(place)
        return list(groups.values())

    def examples(self, seen: Seen, most: int = 3) -> dict[str, tuple[str, ...]]:
        """The first different values of each column that is loaded, as they are written."""
        found: dict[str, tuple[str, ...]] = {}
        for fact in seen.survey.facts:
            if fact.rule.type != "leave out":
                values = rows(
                    self.connection,
                    f'SELECT left(CAST(v AS VARCHAR), 24) FROM (SELECT {fact.x} AS v, min("$n") AS n FROM {seen.table.relation} '
                    f"WHERE {fact.x} IS NOT NULL GROUP BY v ORDER BY n LIMIT {most})",
                )
                found[fact.name] = tuple(" ".join(str(value).split()) for (value,) in values)
        return found


# What was seen, in sentences.


_TYPES = {"text": "文本", "number": "数值", "bool": "布尔", "time": "时间", "list": "列表", "?": "待定"}


def describe(proposal: Proposal, examples: Sequence[dict[str, tuple[str, ...]]] = ()) -> Iterator[Text]:
    """How the files would be read, for a person: one sentence or column a line."""
    for i, seen in enumerate(proposal.seen):
        section = seen.section
        yield Text(f"{section.files}: {_where(seen).en}", f"{section.files}：{_where(seen).zh}")
        yield _who(section)
        own = examples[i] if i < len(examples) else {}
        for fact in seen.survey.facts:
            rule = section.columns.get(fact.name)
            if rule is None or rule.type == "leave out":
                continue
            how = Text(f" ({rule.read})", f"（{rule.read}）") if rule.read else NOTHING
            kind = Text(rule.type + how.en, _TYPES.get(rule.type, rule.type) + how.zh)
            shown = listed(own.get(fact.name, ()))
            notes = listed(fact.notes)
            yield Text(
                f"  {fact.name}: {kind.en}"
                + (f", such as {shown.en}" if own.get(fact.name) else "")
                + (f" [{notes.en}]" if fact.notes else ""),
                f"  {fact.name}：{kind.zh}"
                + (f"，例如 {shown.zh}" if own.get(fact.name) else "")
                + (f"【{notes.zh}】" if fact.notes else ""),
            )
        for note in seen.notes:
            yield Text(f"  * {note.en}", f"  * {note.zh}")
    for question in proposal.questions:
        yield ask(question)


def _where(seen: Seen) -> Text:
    section = seen.section
    separator = {"\t": Text("tabs", "制表符"), ",": Text("commas", "逗号")}.get(
        section.separator, Text(section.separator, section.separator)
    )
    facts = [Text(section.format, section.format)]
    facts += [Text(section.encoding, section.encoding)] if section.encoding else []
    facts += [Text(f"separated by {separator.en}", f"分隔符为{separator.zh}")] if section.separator else []
    facts += [Text(f"sheet {section.sheet}", f"工作表 {section.sheet}")] if section.sheet else []
    if section.format in ("csv", "spreadsheet"):
        facts.append(
            Text(f"names in line {section.header}", f"第 {section.header} 行为列名")
            if section.header
            else Text("no names", "没有列名")
        )
    if section.role != "log":
        facts.append(
            Text(
                f"{seen.table.count:,} rows, {len(seen.table.columns)} columns",
                f"{seen.table.count:,} 行，{len(seen.table.columns)} 列",
            )
        )
    return listed(facts)


def _who(section: FileSection) -> Text:
    if section.role == "log":
        return Text("  The vendor's tracking format: events and users.", "  埋点格式：包含事件和用户。")
    role = Text("events", "事件") if section.role == "events" else Text("users", "用户")
    if section.times:
        times = listed(f"{name} = {' + '.join(columns)}" for name, columns in section.moments().items())
        what = Text(f"; events at their times {times.en}", f"；事件及其时间 {times.zh}")
    else:
        columns = listed(name for names in section.moments().values() for name in names)
        event = section.event or section.event_name
        what = Text(f"; event {event}; time {columns.en}", f"；事件 {event}；时间 {columns.zh}")
    whose = Text(f"  {role.en}; user {section.user}", f"  {role.zh}；用户 {section.user}")
    return Text(whose.en + what.en, whose.zh + what.zh) if section.role == "events" else whose


def ask(question: LoadQuestion) -> Text:
    """A question with its choices, and what is taken where nobody answers."""
    choices = listed([choice or '""' for choice in question.choices])
    more = Text(f" One of: {choices.en}.", f"可选：{choices.zh}。") if question.choices else Text("", "")
    default = question.default if isinstance(question.default, str) else toml_value(question.default)
    taken = Text(f" By default {default}.", f"默认 {default}。") if question.default is not None else Text("", "")
    return Text(
        f"? {question.key}: {question.why.en}{more.en}{taken.en}",
        f"? {question.key}：{question.why.zh}{more.zh}{taken.zh}",
    )


def remembered(mapping: FileMapping, question: LoadQuestion) -> Any:
    """What a mapping of before says to a question about files of the same kind; None where it says nothing."""
    own = [section for section in mapping.files if section.files == question.files]
    if not own:
        return None
    first, key = own[0], question.key
    if key == "only":
        return [{"role": section.role, "only": dict(section.only)} for section in own if section.only] or None
    if key.startswith("columns."):
        name = key.removeprefix("columns.").removesuffix(".read")
        rule = first.columns.get(name)
        return None if rule is None else rule.read if key.endswith(".read") else rule
    value = getattr(first, key, None)
    return list(value) if key == "names" and value else value if value not in ((), {}) else None
