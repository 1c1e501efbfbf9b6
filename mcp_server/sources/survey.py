"""What the columns of one table hold: cleaned, typed over all rows, counted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.sources.files.opening import FilePlace
from mcp_server.sources.files.tables import FileTable, TableColumn
from mcp_server.sources.forms import (
    ANY,
    BOOL,
    CN_MOBILE,
    COMMA,
    COMMA_PERCENT,
    COMPACT,
    DAY_FIRST,
    DOUBLE,
    EPOCHS,
    ISO,
    JSON_LIST,
    MARKS,
    MONEY,
    MONTH_FIRST,
    MONTH_NAME,
    PERCENT,
    PHONE,
    PHONE_NAME,
    SERIAL,
    SHORTENED,
    TEXT_FORM,
    TIME_NAME,
    TYPED_WORDS,
    UNIT_PATTERN,
    WHOLE,
    WORDS,
    YES_NO,
    FormDecision,
    Surface,
    ValueForm,
    almost,
    clean,
    decide,
    forms_for,
    surfaces,
)
from mcp_server.sources.mapping import ColumnRule, FileMapping, FileSection, LoadQuestion, Role
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 20
_SAMPLE = 2_000
_IDENTIFIER = re.compile(r"(?i)(^|[ _.-])(id|no|nr|number|code|sn|key)s?\.?$|id$|编号|单号|号$|代码")


@dataclass(frozen=True, slots=True)
class Fact:
    """One column, looked at over all rows."""

    column: TableColumn
    rule: ColumnRule
    x: str
    """SQL of its cleaned text, or of its value where it has a type of the engine."""
    values: int = 0
    distinct: int = 0
    """Estimated."""
    surface: Surface = field(default_factory=Surface)
    phones: bool = False
    clock: bool = False
    """Times of day without a date."""
    midnight: bool = False
    """Dates without a time of day."""
    notes: tuple[Text, ...] = ()
    choices: tuple[str, ...] = ()
    """Other `read`s that fit all values: a person decides."""
    forms: tuple[ValueForm, ...] = ()
    decision: FormDecision | None = None

    @property
    def name(self) -> str:
        return self.column.name


@dataclass(frozen=True, slots=True)
class Survey:
    """All columns of a table, and what holds for the whole file."""

    facts: tuple[Fact, ...]
    missing: tuple[str, ...]
    marks: tuple[str, ...]
    decimal: Literal[".", ","] = "."
    cleaned: tuple[Text, ...] = ()

    def fact(self, name: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.name == name), None)


def survey(
    connection: "DuckDBPyConnection",
    table: FileTable,
    rules: Mapping[str, ColumnRule],
    times: Sequence[str] = (),
    section: FileSection | None = None,
) -> Survey:
    """Look at every column. `rules` are decisions of a person; `times` are columns that are times whatever their names are.

    A `section` of a mapping has decided what is taken off the values as well.
    """
    texts = [
        c for c in table.columns if (c.kind == "text" and c.forms) or _as_text(c, rules.get(c.name), c.name in times)
    ]
    there = {name: values for name, (values, _) in _counts(connection, table, {}, distinct=False).items()}
    decimal: Literal[".", ","] = section.decimal if section is not None else "."
    forms = {
        c.name: _forms(c, rules.get(c.name), c.name in times, section.decimal if section else "")
        for c in texts
        if there[c.name]
    }
    decisions = _at_once(connection, table, {c.name: (c.x, forms[c.name]) for c in texts if there[c.name]}, section)
    others = [c for c in texts if c.name not in decisions]
    outer = {c.name: Surface(there[c.name]) for c in texts} | _surfaces(connection, table, others)
    marks, words = _around(texts, outer) if section is None else (section.marks, list(section.missing))
    cleaned = {c.name: clean(c.x, outer[c.name], marks=marks, missing=words) for c in texts}
    left = {c.name: (cleaned[c.name], forms[c.name]) for c in others if there[c.name] > outer[c.name].empty}
    decisions |= decide(connection, table.relation, left)
    missing = words
    if section is None:
        decimal, decisions = _decimal(connection, table, cleaned, decisions)
        typed = [outer[name].words or {} for name, decision in decisions.items() if decision.form is not TEXT_FORM]
        missing = [word for word in words if word in WORDS or any(word in found for found in typed)]
    for c in texts:
        void = (c.name in decisions and decisions[c.name].form is not TEXT_FORM) or _void(outer[c.name])
        cleaned[c.name] = clean(c.x, outer[c.name], marks=marks, missing=missing, void=void)
    # Who the person is has to be worked out only where nobody says so: the counts of different values are for that.
    known = section is not None or table.column("#user_id") is not None
    counts = _counts(connection, table, cleaned, distinct=not known)
    facts = []
    for column in table.columns:
        name = column.name
        x, surface = cleaned.get(name, column.x), outer.get(name, Surface())
        decision = decisions.get(name, FormDecision(TEXT_FORM) if name in cleaned else None)
        facts.append(_fact(connection, table, column, x, surface, decision, counts[name], rules.get(name)))
    return Survey(_same_epochs(facts), tuple(missing), marks, decimal, _cleaned(outer, marks, missing))


_QUICK = (BOOL, WHOLE, DOUBLE, ISO, COMPACT, SERIAL, *EPOCHS)
"""Forms that leave nothing around a value: where all values have one, nothing has to be taken off."""


def _at_once(
    connection: "DuckDBPyConnection",
    table: FileTable,
    tried: Mapping[str, tuple[str, Sequence[ValueForm]]],
    section: FileSection | None,
) -> dict[str, FormDecision]:
    """The columns whose values all have a plain form as they are written."""
    if section is not None and not set(section.missing) <= {*WORDS, *TYPED_WORDS}:
        return {}
    plain = {name: (x, [form for form in forms if form in _QUICK]) for name, (x, forms) in tried.items()}
    found = decide(connection, table.relation, plain)
    return {name: decision for name, decision in found.items() if decision.form is not TEXT_FORM}


def _around(texts: Sequence[TableColumn], outer: Mapping[str, Surface]) -> tuple[tuple[str, ...], list[str]]:
    """The signs before values, and the words for missing ones, that a file has."""
    sheets = [outer[column.name] for column in texts if column.forms is ANY]
    marks = tuple(mark for mark in MARKS if any((s.marks or {}).get(mark, 0) == s.values - s.empty > 0 for s in sheets))
    words = [word for word in (*WORDS, *TYPED_WORDS) if any(word in (s.words or {}) for s in outer.values())]
    return marks, words


def _as_text(column: TableColumn, rule: ColumnRule | None, is_time: bool) -> bool:
    """Texts of the engine or of JSON that a person wants read as something else."""
    wanted = rule is not None and rule.type in ("number", "bool", "time", "list")
    return (wanted or is_time or column.name.casefold() == "#user_id") and (column.kind in ("VARCHAR", "ENUM", "text"))


def _surfaces(connection: "DuckDBPyConnection", table: FileTable, texts: Sequence[TableColumn]) -> dict[str, Surface]:
    plain = [column for column in texts if column.forms is ANY or column.strings]
    found = surfaces(connection, table.relation, [column.x for column in plain])
    known = {column.name: found[column.x] for column in plain}
    return {column.name: known.get(column.name, Surface()) for column in texts}


def _void(surface: Surface) -> bool:
    """Whether an empty text is no value: it is one only in a column that can also be missing."""
    return surface.nulls == 0 or surface.empty == surface.values


def _forms(column: TableColumn, rule: ColumnRule | None, is_time: bool, decimal: str) -> tuple[ValueForm, ...]:
    """What a column may be: what was decided of it, else what its name and kind allow."""
    if rule is not None and rule.type in ("text", "number", "bool", "time", "list") and rule.read != "?":
        if rule.type == "time" and not rule.read and not decimal:
            return (*forms_for("time", ""), *EPOCHS, MONTH_NAME)
        return () if rule.type == "text" else forms_for(rule.type, rule.read, decimal=decimal or ".")
    system = column.name.casefold()
    if system in ("#account_id", "#distinct_id", "#event_name"):
        return ()
    if system == "#user_id" and rule is None:
        return (WHOLE,)
    forms = column.forms
    last = column.name.rsplit(".", 1)[-1]
    if forms and (is_time or re.search(TIME_NAME, last)) and not re.search(r"(?i)zone|时区", last):
        numbers = not column.strings
        at = forms.index(WHOLE) if WHOLE in forms else len(forms)
        forms = (
            *forms[:at],
            *EPOCHS,
            *((COMPACT,) if numbers or is_time else ()),
            *((SERIAL,) if is_time and numbers else ()),
            *forms[at:],
        )
        if column.strings and is_time:
            forms = (*forms, COMPACT)
    if WHOLE in forms and column.forms is ANY:
        forms = (*forms, COMMA, COMMA_PERCENT)
    return tuple(dict.fromkeys(forms))


def _decimal(
    connection: "DuckDBPyConnection", table: FileTable, cleaned: Mapping[str, str], decisions: dict[str, FormDecision]
) -> tuple[Literal[".", ","], dict[str, FormDecision]]:
    """Whether the file writes decimals with a comma: some column can only be read so, and none only with a point."""
    commas = [name for name, decision in decisions.items() if decision.form is COMMA]
    percents = {name: FormDecision(TEXT_FORM) for name, decision in decisions.items() if decision.form is COMMA_PERCENT}
    if not commas:
        return ".", decisions | percents
    points = [name for name, decision in decisions.items() if decision.form in (DOUBLE, MONEY)]
    other = decide(connection, table.relation, {name: (cleaned[name], (COMMA,)) for name in points})
    if any(decision.form is TEXT_FORM for decision in other.values()):
        note = {name: FormDecision(TEXT_FORM, decisions[name].values, decisions[name].values) for name in commas}
        return ".", decisions | percents | note
    whole = [name for name, decision in decisions.items() if decision.form is PERCENT]
    return ",", decisions | other | {name: replace(decisions[name], form=COMMA_PERCENT) for name in whole}


def _counts(
    connection: "DuckDBPyConnection", table: FileTable, cleaned: Mapping[str, str], *, distinct: bool = True
) -> dict[str, tuple[int, int]]:
    """Values, and about how many different ones, of each column. Without `distinct` every value counts as different."""
    counts: dict[str, tuple[int, int]] = {}
    columns = list(table.columns)
    for start in range(0, len(columns), _BATCH):
        batch = columns[start : start + _BATCH]
        texts = [cleaned.get(column.name, column.x) for column in batch]
        sql = ", ".join(f"count({x}), {f'approx_count_distinct({x})' if distinct else f'count({x})'}" for x in texts)
        row = one(connection, f"SELECT {sql} FROM {table.relation}")
        counts |= {column.name: (int(row[2 * i]), int(row[2 * i + 1])) for i, column in enumerate(batch)}
    return counts


_ENGINE: Mapping[str, str] = {
    "VARCHAR": "text",
    "ENUM": "text",
    "OTHER": "text",
    "BOOLEAN": "bool",
    "VARCHAR[]": "list",
    "DATE": "time",
}


def _fact(
    connection: "DuckDBPyConnection",
    table: FileTable,
    column: TableColumn,
    x: str,
    surface: Surface,
    decision: FormDecision | None,
    counts: tuple[int, int],
    rule: ColumnRule | None,
) -> Fact:
    values, distinct = counts
    notes = [column.note] if column.note else []
    fact = Fact(column, ColumnRule(type="text"), x, values, distinct, surface)
    if column.kind != "text" and decision is None:
        kind = _ENGINE.get(column.kind, "time" if column.kind.startswith("TIMESTAMP") else "number")
        fact = replace(fact, rule=ColumnRule(type=kind))
    elif decision is not None and column.forms:
        fact = _decided(connection, table, fact, decision)
    elif column.forms == () and column.objects:
        fact = replace(fact, rule=ColumnRule(type="text"))
    fact = replace(fact, decision=decision)
    if column.name.casefold() in ("#account_id", "#distinct_id", "#event_name"):
        fact = replace(fact, rule=ColumnRule(type="text"), notes=())
    if rule is not None and rule.type != "?":
        fact = replace(fact, rule=rule, choices=(), notes=())
    elif not values or column.binary or column.void:
        fact = replace(fact, rule=ColumnRule(type="leave out"), choices=(), notes=())
    return replace(fact, notes=(*notes, *fact.notes))


def _decided(connection: "DuckDBPyConnection", table: FileTable, fact: Fact, decision: FormDecision) -> Fact:
    form, x = decision.form, fact.x
    if form in (WHOLE, DOUBLE, MONEY, COMMA):
        return _numbers(connection, table, fact, form)
    if form is YES_NO:
        said = {
            row[0]
            for row in rows(connection, f"SELECT DISTINCT lower({x}) FROM {table.relation} WHERE {x} IS NOT NULL")
        }
        if said in ({"t"}, {"f"}, {"n"}, {"y"}, {"m"}):
            return fact
        return replace(fact, rule=ColumnRule(type="bool"), forms=(form,))
    if form is TEXT_FORM:
        return _text(connection, table, fact, decision)
    rule = ColumnRule(
        type=form.type, read=form.read or ("json" if form is JSON_LIST and fact.column.forms is ANY else "")
    )
    choices: tuple[str, ...] = ()
    if form is DAY_FIRST and MONTH_FIRST in decision.also:
        choices, rule = ("day-month-year", "month-day-year"), ColumnRule(type="time", read="?")
    if form is SERIAL:
        choices = ("serial", "number")
    midnight = False
    if form.type == "time" and form not in EPOCHS:
        midnight = not one(connection, f"SELECT count(CASE WHEN contains({x}, ':') THEN 1 END) FROM {table.relation}")[
            0
        ]
    return replace(fact, rule=rule, choices=choices, forms=(form, *decision.also), midnight=midnight)


def _numbers(connection: "DuckDBPyConnection", table: FileTable, fact: Fact, form: ValueForm) -> Fact:
    """A column of numbers, unless they are phones."""
    last = fact.name.rsplit(".", 1)[-1]
    mobiles, long, shortened = _digits(connection, table, fact.x, _SAMPLE)
    looked_at = min(fact.values, _SAMPLE)
    if fact.values > _SAMPLE and (mobiles * 2 >= _SAMPLE or shortened):
        mobiles, long, shortened = _digits(connection, table, fact.x)
        looked_at = fact.values
    named = bool(re.search(PHONE_NAME, last)) and long * 2 >= looked_at
    if named or (mobiles * 5 >= looked_at * 4 and not _IDENTIFIER.search(last)):
        note = Text("phones: kept as text", "电话号码：按文本保留")
        return replace(fact, phones=True, rule=ColumnRule(type="text"), notes=(note,))
    odd = shortened and not re.search(r"(?i)amount|price|金额|价", last)
    return replace(fact, rule=ColumnRule(type="number"), forms=(form,), notes=(_shortened(shortened),) if odd else ())


def _shortened(count: int) -> Text:
    return Text(
        f"{count:,} values look shortened by a spreadsheet (such as 1.38E+10): their last digits are lost; export them as text",
        f"{count:,} 个值疑似被表格软件缩写（如 1.38E+10），末位数字已丢失；请以文本格式重新导出",
    )


def _text(connection: "DuckDBPyConnection", table: FileTable, fact: Fact, decision: FormDecision) -> Fact:
    x = fact.x
    clocks, phones, units, shortened = _likenesses(connection, table, x, _SAMPLE)
    if fact.values > _SAMPLE and (clocks or phones or units or shortened):
        clocks, phones, units, shortened = _likenesses(connection, table, x)
    named = bool(re.search(PHONE_NAME, fact.name.rsplit(".", 1)[-1]))
    notes: tuple[Text, ...] = ()
    if fact.values and units == fact.values:
        found = rows(
            connection,
            f"SELECT DISTINCT regexp_extract({x}, {literal(UNIT_PATTERN)}, 1) FROM {table.relation} WHERE {x} IS NOT NULL",
        )
        if len(found) == 1:
            unit = found[0][0]
            note = Text(f"numbers with the unit {unit}", f"带单位“{unit}”的数值")
            return replace(fact, rule=ColumnRule(type="number", read=f"unit {unit}"), notes=(note,))
    if shortened and (named or _IDENTIFIER.search(fact.name)):
        notes = (_shortened(int(shortened)),)
    odd = almost(decision)
    is_phone = phones * 5 >= fact.values * 4 > 0 and (named or not _IDENTIFIER.search(fact.name))
    if odd is not None and not is_phone and clocks != fact.values:
        notes = (*notes, odd)
    return replace(fact, phones=is_phone, clock=0 < clocks == fact.values, notes=notes)


def _digits(
    connection: "DuckDBPyConnection", table: FileTable, x: str, limit: int | None = None
) -> tuple[int, int, int]:
    """How many values look like mobile numbers of China, are as long as phone numbers, were shortened by a spreadsheet."""
    some = f" WHERE {x} IS NOT NULL LIMIT {limit}" if limit else ""
    mobiles, long, shortened = one(
        connection,
        f"SELECT count(CASE WHEN regexp_full_match(v, {literal(CN_MOBILE)}) THEN 1 END), "
        "count(CASE WHEN length(v) BETWEEN 7 AND 15 THEN 1 END), "
        f"count(CASE WHEN regexp_full_match(v, {literal(SHORTENED)}) THEN 1 END) FROM (SELECT {x} AS v FROM {table.relation}{some})",
    )
    return int(mobiles), int(long), int(shortened)


def _likenesses(
    connection: "DuckDBPyConnection", table: FileTable, x: str, limit: int | None = None
) -> tuple[int, int, int, int]:
    """How many values look like a time of day, a phone number, a number with its unit, digits that a spreadsheet shortened."""
    some = f" WHERE {x} IS NOT NULL LIMIT {limit}" if limit else ""
    row = one(
        connection,
        "SELECT count(CASE WHEN regexp_full_match(v, '[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?( ?[AaPp][Mm])?') THEN 1 END), "
        f"count(CASE WHEN regexp_full_match(v, {literal(PHONE)}) AND length(regexp_replace(v, '[^0-9]', '', 'g')) BETWEEN 7 AND 15 THEN 1 END), "
        f"count(CASE WHEN regexp_full_match(v, {literal(UNIT_PATTERN)}) THEN 1 END), "
        f"count(CASE WHEN regexp_full_match(v, {literal(SHORTENED)}) THEN 1 END) FROM (SELECT {x} AS v FROM {table.relation}{some})",
    )
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def _same_epochs(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Columns of zeros alone pass as any epoch; they are of the kind that the others of the table are."""
    kinds = [fact.rule.read for fact in facts if fact.rule.read in ("milliseconds", "microseconds")]
    if not kinds:
        return tuple(facts)
    return tuple(
        replace(fact, rule=ColumnRule(type="time", read=kinds[0]), forms=tuple(f for f in EPOCHS if f.read == kinds[0]))
        if fact.rule.read == "seconds" and fact.distinct <= 1
        else fact
        for fact in facts
    )


def _cleaned(outer: Mapping[str, Surface], marks: Sequence[str], missing: Sequence[str]) -> tuple[Text, ...]:
    """What was taken off the values, in sentences."""
    notes: list[Text] = []
    blanks, wrapped = sum(s.blanks for s in outer.values()), sum(s.wrapped for s in outer.values())
    if blanks:
        notes.append(
            Text(
                f"blanks around values were taken off ({blanks:,} cells)", f"已去掉值两端的空白（{blanks:,} 个单元格）"
            )
        )
    if wrapped:
        notes.append(
            Text(
                f'values written as ="…" are texts ({wrapped:,} cells)',
                f'形如 ="…" 的值按文本读取（{wrapped:,} 个单元格）',
            )
        )
    for mark in marks:
        count = sum((s.marks or {}).get(mark, 0) for s in outer.values())
        notes.append(
            Text(
                f"the sign {mark} before values was taken off ({count:,} cells)",
                f"已去掉值前的符号 {mark}（{count:,} 个单元格）",
            )
        )
    for word in missing:
        count = sum((s.words or {}).get(word, 0) for s in outer.values())
        notes.append(
            Text(f"{word!r} counts as missing ({count:,} cells)", f"{word!r} 按无值处理（{count:,} 个单元格）")
        )
    return tuple(notes)


# What is named, and what was seen


@dataclass(frozen=True, slots=True)
class Source:
    """What a person names: a path, a pattern or a folder, and what the person says of it."""

    pattern: str
    role: Role | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    """System column (`#user_id`, `#event_name`, `#event_time`, …) to the file's own name (`--map`)."""
    event_name: str = ""
    encoding: str = ""
    sheet: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One section of a proposal with the rows behind it."""

    section: FileSection
    table: FileTable
    survey: Survey
    places: tuple[FilePlace, ...]
    comments: Mapping[str, str]
    notes: tuple[Text, ...] = ()
    """What a person should know of it: what was taken off, what was chosen."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """How files would be read."""

    mapping: FileMapping
    questions: tuple[LoadQuestion, ...]
    seen: tuple[Seen, ...]

    @property
    def undecided(self) -> tuple[LoadQuestion, ...]:
        """The questions without an answer that could be taken."""
        return tuple(question for question in self.questions if question.must)
