"""The forms that values are written in: how a column of texts is recognised, over all of its rows, and read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.language.metadata import ValueType
from mcp_server.sources.columns import ColumnReading, is_not_a_number, passes, read
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Type = Literal["text", "number", "bool", "time", "list"]

BLANKS = " \t\r\n\v\f\u00a0\u3000\ufeff"
"""Characters around a value that are none of it."""
WORDS = ("NULL", "null", "Null", "\\N", "(null)", "<null>", "N/A", "n/a", "#N/A", "None", "(空)", "-", "--")
"""Words for a missing value in a column of any type."""
TYPED_WORDS = (
    "NA",
    "na",
    "none",
    "无",
    "空",
    "暂无",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "0000-00-00",
    "0000-00-00 00:00:00",
)
"""Words for a missing value only where all other values of the column are numbers, times or the like."""
MARKS = ("'", "`")
"""Signs before every value of a column, by which a spreadsheet keeps digits as text."""

_CURRENCY = r"(?:¥|￥|US\$|HK\$|NT\$|\$|€|£|元|人民币|CNY|RMB|USD|EUR|GBP|HKD|JPY)"
_UNITS = r"(?:毫秒|秒|分钟|分|小时|天|次|件|个|岁|人|kg|km|cm|mm|ms|min|sec|kB|MB|GB|g|m|s|h)"
_CLOCK = r"(?:[ T]+(?:(?P<zh>上午|下午) ?)?(?P<h>[0-9]{1,2}):(?P<i>[0-9]{2})(?::(?P<s>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?)?"
_ZONE = r"(?: ?(?P<z>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
_YEAR = r"(?P<y>[12][0-9]{3})"
_MONTH = r"(?P<n>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATES: Mapping[str, str] = {
    "year first": rf"{_YEAR}(?:-|/|\.|年)(?P<m>[0-9]{{1,2}})(?:-|/|\.|月)(?P<d>[0-9]{{1,2}})日?",
    "compact": rf"{_YEAR}(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}})",
    "day-month-year": rf"(?P<d>[0-9]{{1,2}})[-/.](?P<m>[0-9]{{1,2}})[-/.]{_YEAR}",
    "month-day-year": rf"(?P<m>[0-9]{{1,2}})[-/.](?P<d>[0-9]{{1,2}})[-/.]{_YEAR}",
    "month name": rf"(?:{_MONTH} (?P<d>[0-9]{{1,2}}),? {_YEAR},?|(?P<e>[0-9]{{1,2}})[ -]{_MONTH.replace('<n>', '<o>')}[ -]{_YEAR.replace('<y>', '<x>')},?)",
}
_EPOCHS: Mapping[str, tuple[int, int, int]] = {
    # Digits, first and last value (the years 2000 to 2100), microseconds in a unit.
    "seconds": (946_684_800, 4_102_444_800, 1_000_000),
    "milliseconds": (946_684_800_000, 4_102_444_800_000, 1_000),
    "microseconds": (946_684_800_000_000, 4_102_444_800_000_000, 1),
}
_IN_BRACES = r'\{(?:[^{}"]|"[^"]*")*\}'
_SERIALS = (25_569, 73_051)
"""Days since 1899-12-30, as spreadsheets count them: 1970 to 2100."""
_MOST_DIGITS = 15
"""Digits that a double holds exactly; longer runs of digits are names of things."""
_YES, _NO = ("true", "yes", "y", "t", "是"), ("false", "no", "n", "f", "否")


@dataclass(frozen=True, slots=True)
class ValueForm:
    """One way of writing values: what passes as it, and what the values are. SQL speaks of a text `x`."""

    name: str
    type: Type
    read: str = ""
    """What a mapping says of it beside the type; empty where nothing has to be said."""

    def passes(self, x: str) -> str:
        """SQL condition: the text is written so. A missing one is neither true nor false."""
        return _passes(self, x)

    def reading(
        self, x: str, name: str, *, offsets: bool = False, words: bool = False, system: bool = False
    ) -> ColumnReading:
        """How a column of such texts is read; of a system column, what does not pass is kept as written."""
        value, east = _value(self, x, offsets=offsets)
        if system:
            value = f"CASE WHEN {self.passes(x)} THEN {value} END"
        return ColumnReading(
            name,
            _KINDS[self.type],
            value,
            0 if self.name == "whole" else None,
            east=east,
            not_a_number=is_not_a_number(x) if words else "",
            written=x if system else "",
        )


_KINDS: Mapping[Type, ValueType] = {
    "text": "string",
    "number": "number",
    "bool": "bool",
    "time": "time",
    "list": "list",
}

TEXT_FORM = ValueForm("text", "text")
BOOL, YES_NO = ValueForm("bool", "bool"), ValueForm("yes or no", "bool")
WHOLE, DOUBLE, MONEY = ValueForm("whole", "number"), ValueForm("double", "number"), ValueForm("money", "number")
COMMA, PERCENT = ValueForm("comma", "number"), ValueForm("percent", "number", "percent")
COMMA_PERCENT = ValueForm("percent comma", "number", "percent")
ISO, YEAR_FIRST, COMPACT = ValueForm("iso", "time"), ValueForm("year first", "time"), ValueForm("compact", "time")
DAY_FIRST, MONTH_FIRST = (
    ValueForm("day-month-year", "time", "day-month-year"),
    ValueForm("month-day-year", "time", "month-day-year"),
)
MONTH_NAME, SERIAL = ValueForm("month name", "time", "month name"), ValueForm("serial", "time", "serial")
EPOCHS = tuple(ValueForm(name, "time", name) for name in _EPOCHS)
JSON_LIST, BRACES = ValueForm("json", "list"), ValueForm("braces", "list", "braces")
DATES = (ISO, YEAR_FIRST, DAY_FIRST, MONTH_FIRST, MONTH_NAME)
ANY = (BOOL, YES_NO, WHOLE, DOUBLE, *DATES, MONEY, PERCENT, JSON_LIST, BRACES)
"""What a column of texts may be, in the order in which it is tried."""


def forms_for(kind: str, how: str, *, decimal: str = ".") -> tuple[ValueForm, ...]:
    """Return the forms that a mapping's `type` and `read` allow."""
    if kind == "number":
        if how == "percent":
            return (PERCENT if decimal == "." else COMMA_PERCENT,)
        if how.startswith("unit "):
            return (ValueForm("unit", "number", how),)
        return (WHOLE, DOUBLE, MONEY) if decimal == "." else (WHOLE, COMMA)
    if kind == "time":
        named = [form for form in (DAY_FIRST, MONTH_FIRST, MONTH_NAME, SERIAL, *EPOCHS) if form.read == how]
        return tuple(named) if named else (ISO, YEAR_FIRST, COMPACT)
    if kind == "bool":
        return (BOOL, YES_NO)
    if kind == "list":
        if how == "braces":
            return (BRACES,)
        return (ValueForm("split", "list", how),) if how not in ("", "json") else (JSON_LIST,)
    return (TEXT_FORM,)


def _full(x: str, pattern: str) -> str:
    return f"regexp_full_match({x}, {literal(pattern)})"


def _grouped(whole: str) -> str:
    return rf"(?:0|[1-9][0-9]*|[1-9][0-9]{{0,2}}(?:{whole}[0-9]{{3}})+)"


def _number(decimal: str) -> str:
    thousands = r"[,， ]" if decimal == "." else r"[.’' ]"
    mark = r"\." if decimal == "." else ","
    return rf"{_grouped(thousands)}(?:{mark}[0-9]+)?"


def _passes(form: ValueForm, x: str) -> str:  # noqa: C901 - one branch for each form
    match form.name:
        case "text":
            return "TRUE"
        case "bool" | "whole" | "double":
            return passes(form.name, x)
        case "yes or no":
            return f"lower({x}) IN ({', '.join(map(literal, (*_YES, *_NO)))})"
        case "iso":
            return passes("time", x)
        case "json":
            return f"CASE WHEN {x}[1] = '[' AND json_valid({x}) THEN len(list_filter(json_extract({x}, '$[*]'), lambda item: json_type(item) IN ('OBJECT', 'ARRAY'))) = 0 ELSE FALSE END"
        case "money" | "comma":
            number = _number("." if form.name == "money" else ",")
            digits = f"length(regexp_replace({x}, '[^0-9]', '', 'g')) <= {_MOST_DIGITS}"
            return f"({_full(x, rf'-?{_CURRENCY}? ?-?{number} ?{_CURRENCY}?')} AND {digits})"
        case "percent" | "percent comma":
            return _full(x, rf"-?{_number('.' if form.name == 'percent' else ',')} ?[%％]")
        case "unit":
            return f"(suffix({x}, {literal(form.read.removeprefix('unit '))}) AND {_full(_without_unit(form, x), '-?' + _number('.'))})"
        case "braces":
            return f"({_full(x, _IN_BRACES)} AND NOT (json_valid({x}) AND {x} <> '{{}}'))"
        case "split":
            return "TRUE"
        case "serial":
            low, high = _SERIALS
            return f"({_full(x, '[0-9]{5}(?:[.][0-9]+)?')} AND TRY_CAST({x} AS DOUBLE) BETWEEN {low} AND {high})"
        case name if name in _EPOCHS:
            low, high, _ = _EPOCHS[name]
            whole = rf"TRY_CAST({x} AS BIGINT)"
            return f"({_full(x, '[0-9]+(?:[.]0+)?')} AND ({whole} BETWEEN {low} AND {high} OR {whole} = 0))"
        case _:
            return f"({_full(x, _written(form))} AND {_moment(form, x)} IS NOT NULL)"


def _without_unit(form: ValueForm, x: str) -> str:
    return f"trim(left({x}, length({x}) - {len(form.read) - len('unit ')}))"


def _written(form: ValueForm) -> str:
    return f"(?i){_DATES[form.name]}{_CLOCK}{_ZONE}"


def _moment(form: ValueForm, x: str) -> str:
    """SQL: the clock reading of a date in one of the patterns."""
    names = re.findall(r"\?P<(\w+)>", _written(form))
    year, month, day = "parts.y", "parts.m", "parts.d"
    if form.name == "month name":
        year, day = "(parts.y || parts.x)", "(parts.d || parts.e)"
        month = "CAST((instr('janfebmaraprmayjunjulaugsepoctnovdec', lower(parts.n || parts.o)) + 2) // 3 AS VARCHAR)"
    hour = "TRY_CAST(nullif(parts.h, '') AS INTEGER)"
    hour = f"CASE WHEN parts.h = '' THEN 0 WHEN lower(parts.p) = 'p' OR parts.zh = '下午' THEN {hour} % 12 + 12 WHEN lower(parts.p) = 'a' OR parts.zh = '上午' THEN {hour} % 12 ELSE {hour} END"
    text = (
        f"{year} || '-' || lpad({month}, 2, '0') || '-' || lpad({day}, 2, '0') || ' ' || lpad(CAST({hour} AS VARCHAR), 2, '0') || ':' || "
        "CASE WHEN parts.i = '' THEN '00' ELSE parts.i END || ':' || CASE WHEN parts.s = '' THEN '00' ELSE parts.s END || CASE WHEN parts.f = '' THEN '' ELSE '.' || left(parts.f, 6) END"
    )
    taken = f"regexp_extract({x}, {literal('^' + _written(form) + '$')}, {[*names]!r})"
    return f"list_transform([{taken}], lambda parts: TRY_CAST({text} AS TIMESTAMP))[1]"


def has_zone(x: str) -> str:
    """SQL condition: a time is written with an offset or as UTC."""
    return rf"regexp_matches({x}, '[:0-9] ?(Z|UTC|GMT|[zutcgm]|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$') AND contains({x}, ':')"


def _east(x: str) -> str:
    written = f"regexp_extract({x}, '(?i) ?(Z|UTC|GMT|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$', 1)"
    return (
        f"CASE WHEN NOT contains({x}, ':') OR {written} = '' THEN NULL WHEN upper({written}) IN ('Z', 'UTC', 'GMT') THEN 0 "
        f"ELSE CAST({written}[1] || '1' AS INTEGER) * (CAST({written}[2:3] AS INTEGER) * 60 + "
        f"CASE WHEN length({written}) > 3 THEN CAST(right({written}, 2) AS INTEGER) ELSE 0 END) END"
    )


def _value(form: ValueForm, x: str, *, offsets: bool) -> tuple[str, str | None]:  # noqa: C901 - one branch for each form
    """SQL of the value of a text that passes, and of the offset of a time."""
    match form.name:
        case "bool" | "whole" | "double":
            return read(form.name, x), None
        case "yes or no":
            return f"lower({x}) IN ({', '.join(map(literal, _YES))})", None
        case "json":
            return read("list", x), None
        case "money":
            return f"TRY_CAST(regexp_replace({x}, '[^0-9.-]', '', 'g') AS DOUBLE)", None
        case "comma":
            return f"TRY_CAST(replace(regexp_replace({x}, '[^0-9,-]', '', 'g'), ',', '.') AS DOUBLE)", None
        case "percent":
            return (
                f"TRY_CAST(CAST(TRY_CAST(regexp_replace({x}, '[^0-9.-]', '', 'g') AS DECIMAL(30, 10)) / 100 AS DOUBLE) AS DOUBLE)",
                None,
            )
        case "percent comma":
            return f"TRY_CAST(replace(regexp_replace({x}, '[^0-9,-]', '', 'g'), ',', '.') AS DOUBLE) / 100", None
        case "unit":
            return f"TRY_CAST(replace({_without_unit(form, x)}, ',', '') AS DOUBLE)", None
        case "braces":
            return _braces(x), None
        case "split":
            pieces = f"list_transform(str_split({x}, {literal(form.read)}), lambda item: trim(trim(item), '\"'))"
            return f"list_filter({pieces}, lambda item: item <> '')", None
        case "serial":
            return (
                f"TIMESTAMP '1899-12-30' + to_microseconds(CAST(round(TRY_CAST({x} AS DOUBLE) * 86400) AS BIGINT) * 1000000)",
                None,
            )
        case "iso":
            return read("time", x, offsets=offsets), _east(x) if offsets else None
        case name if name in _EPOCHS:
            unit = _EPOCHS[name][2]
            return (
                f"CASE WHEN TRY_CAST({x} AS BIGINT) <> 0 THEN make_timestamp(TRY_CAST({x} AS BIGINT) * {unit}) END",
                "0",
            )
        case "text":
            return x, None
        case _:
            return _moment(form, x), _east(x) if offsets else None


def _braces(x: str) -> str:
    items = rf"regexp_extract_all({x}, '\"[^\"]*\"|[^,{{}}]+')"
    return rf"list_filter(list_transform({items}, lambda item: trim(item, '\"')), lambda item: item <> 'NULL')"


# What is around the values.


@dataclass(frozen=True, slots=True)
class Surface:
    """What has to be taken off the texts of one column before they mean something; counts of cells over all rows."""

    values: int = 0
    empty: int = 0
    nulls: int = 0
    blanks: int = 0
    wrapped: int = 0
    marks: Mapping[str, int] | None = None
    words: Mapping[str, int] | None = None


_ODD = (
    r"^[\s\x{a0}\x{3000}\x{feff}=''`]|[\s\x{a0}\x{3000}]$|^(?:"
    + "|".join(
        w.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").replace("/", "/") for w in (*WORDS, *TYPED_WORDS)
    )
    + ")$"
)
_BATCH = 20


def surfaces(connection: "DuckDBPyConnection", relation: str, columns: Sequence[str]) -> dict[str, Surface]:
    """Look at the outside of all texts of the columns, some columns a scan."""
    seen: dict[str, Surface] = {}
    for start in range(0, len(columns), _BATCH):
        batch = columns[start : start + _BATCH]
        sql = ", ".join(
            f"count({x}), count(CASE WHEN {x} = '' THEN 1 END), count(CASE WHEN regexp_matches({x}, {literal(_ODD.replace(chr(39) * 2, chr(39)))}) THEN 1 END)"
            for x in batch
        )
        total, *counts = one(connection, f"SELECT count(*), {sql} FROM {relation}")
        for i, x in enumerate(batch):
            values, empty, odd = counts[3 * i : 3 * i + 3]
            seen[x] = Surface(int(values), int(empty), int(total - values))
            if odd:
                seen[x] = _closely(connection, relation, x, seen[x])
    return seen


def _closely(connection: "DuckDBPyConnection", relation: str, x: str, seen: Surface) -> Surface:
    trimmed = f"trim({x}, {literal(BLANKS)})"
    marks = ", ".join(f"count(CASE WHEN prefix({trimmed}, {literal(mark)}) THEN 1 END)" for mark in MARKS)
    blanks, wrapped, void, *marked = one(
        connection,
        f"SELECT count(CASE WHEN {x} <> {trimmed} THEN 1 END), count(CASE WHEN prefix({trimmed}, '=\"') THEN 1 END), "
        f"count(CASE WHEN {trimmed} = '' THEN 1 END), {marks} FROM {relation}",
    )
    bare = f"ltrim({trimmed}, {literal(''.join(MARKS))})"
    words = dict(
        rows(
            connection,
            f"SELECT {bare} AS word, count(*) FROM {relation} WHERE {bare} IN "
            f"({', '.join(map(literal, (*WORDS, *TYPED_WORDS)))}) GROUP BY word ORDER BY word",
        )
    )
    counted = {mark: int(n) for mark, n in zip(MARKS, marked, strict=True) if n}
    return replace(seen, empty=int(void), blanks=int(blanks), wrapped=int(wrapped), marks=counted, words=words)


def clean(
    x: str, surface: Surface, *, marks: Sequence[str] = (), missing: Sequence[str] = (), void: bool = True
) -> str:
    """SQL: the text without what is around it. `void`: an empty text is no value."""
    written = x
    if surface.blanks:
        x = f"trim({x}, {literal(BLANKS)})"
    if surface.wrapped:
        x = f'CASE WHEN regexp_full_match({x}, \'="[^"]*"\') THEN {x}[3:-2] ELSE {x} END'
    taken = [mark for mark in marks if (surface.marks or {}).get(mark)]
    for mark in taken:
        x = f"CASE WHEN prefix({x}, {literal(mark)}) THEN trim({x}[2:], {literal(BLANKS)}) ELSE {x} END"
    words = [word for word in missing if word in (surface.words or {}) or word not in (*WORDS, *TYPED_WORDS)]
    if surface.empty or taken or surface.wrapped:
        words += [""] if void else []
    if surface.blanks and not void:
        x = f"CASE WHEN {written} = '' THEN '' ELSE nullif({x}, '') END"
    if not words:
        return x
    if len(words) == 1:
        return f"nullif({x}, {literal(words[0])})"
    return f"CASE WHEN {x} IN ({', '.join(map(literal, words))}) THEN NULL ELSE {x} END"


# The form of a column, from all of its values.


_SAMPLE = 2_000


@dataclass(frozen=True, slots=True)
class FormDecision:
    """What one column of texts is."""

    form: ValueForm
    values: int = 0
    misses: int = 0
    """Values that are not written so (only where nothing fitted all of them)."""
    example: str = ""
    offsets: bool = False
    words: bool = False
    also: tuple[ValueForm, ...] = ()
    """Other forms that all values have too: day and month may be the other way round."""
    nearest: ValueForm | None = None
    """The form that most values have, where the column became text."""


@dataclass(frozen=True, slots=True)
class _Score:
    form: ValueForm
    values: int
    misses: int
    example: str | None
    words: int
    offsets: int

    @property
    def fits(self) -> bool:
        return self.misses == 0 and self.values > self.words


def decide(
    connection: "DuckDBPyConnection", relation: str, wanted: Mapping[str, tuple[str, Sequence[ValueForm]]]
) -> dict[str, FormDecision]:
    """Return the form of each column: the first of those it may have that all of its values have, else text.

    `wanted` gives for each key the SQL of its cleaned text and its forms. A sample only rules out what is hopeless.
    """
    left = _hopeful(connection, relation, wanted)
    decisions = {key: FormDecision(TEXT_FORM) for key in wanted}
    nearest: dict[str, _Score] = {}
    while left := {key: forms for key, forms in left.items() if forms}:
        asked = [(key, wanted[key][0], forms.pop(0)) for key, forms in left.items()]
        for key, score in _scores(connection, relation, asked).items():
            if score.fits:
                decisions[key] = FormDecision(
                    score.form, score.values, offsets=score.offsets > 0, words=score.words > 0
                )
                if score.form is DAY_FIRST and MONTH_FIRST in left[key]:
                    other = _scores(connection, relation, [(key, wanted[key][0], MONTH_FIRST)])[key]
                    if other.fits:
                        decisions[key] = replace(decisions[key], also=(MONTH_FIRST,))
                left[key] = []
            elif score.values and (key not in nearest or score.misses < nearest[key].misses):
                nearest[key] = score
    for key, score in nearest.items():
        if decisions[key].form is TEXT_FORM and score.values:
            decisions[key] = FormDecision(
                TEXT_FORM, score.values, score.misses, score.example or "", nearest=score.form
            )
    return decisions


def _hopeful(
    connection: "DuckDBPyConnection", relation: str, wanted: Mapping[str, tuple[str, Sequence[ValueForm]]]
) -> dict[str, list[ValueForm]]:
    """The forms that at least half of the values of a sample have; all forms of a column without values there."""
    result: dict[str, list[ValueForm]] = {}
    keys = list(wanted)
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        forms = list(dict.fromkeys(form for key in batch for form in wanted[key][1]))
        if not forms:
            result |= {key: [] for key in batch}
            continue
        texts = ", ".join(f"CAST({wanted[key][0]} AS VARCHAR) AS k{i}" for i, key in enumerate(batch))
        misses = ", ".join(f"count(CASE WHEN NOT {form.passes('v')} THEN 1 END)" for form in forms)
        counted = rows(
            connection,
            f"SELECT k, count(v), {misses} FROM (UNPIVOT (SELECT {texts} FROM (SELECT * FROM {relation} LIMIT {_SAMPLE})) "
            f"ON {', '.join(f'k{i}' for i in range(len(batch)))} INTO NAME k VALUE v) GROUP BY k",
        )
        seen = {batch[int(row[0][1:])]: row[1:] for row in counted}
        for key in batch:
            if key not in seen:
                result[key] = list(wanted[key][1])
                continue
            values, *missed = seen[key]
            result[key] = [form for form in wanted[key][1] if missed[forms.index(form)] * 2 <= values]
    return result


def _scores(
    connection: "DuckDBPyConnection", relation: str, asked: Sequence[tuple[str, str, ValueForm]]
) -> dict[str, _Score]:
    """Try one form on each of the columns, over all rows. CASE, since FILTER keeps a buffer for every pair of aggregates."""
    result: dict[str, _Score] = {}
    for start in range(0, len(asked), _BATCH):
        batch = asked[start : start + _BATCH]
        sql: list[str] = []
        inner = ", ".join(f"{text} AS k{i}" for i, (_, text, _) in enumerate(batch))
        for i, (_, _, form) in enumerate(batch):
            x = f"k{i}"
            miss = f"({x} IS NOT NULL AND NOT {form.passes(x)})"
            words = f"count(CASE WHEN {is_not_a_number(x)} THEN 1 END)" if form in (WHOLE, DOUBLE) else "0"
            offsets = f"count(CASE WHEN {has_zone(x)} THEN 1 END)" if form.type == "time" else "0"
            sql += [
                f"count({x})",
                f"count(CASE WHEN {miss} THEN 1 END)",
                f"min(CASE WHEN {miss} THEN {x} END)",
                words,
                offsets,
            ]
        row = one(connection, f"SELECT {', '.join(sql)} FROM (SELECT {inner} FROM {relation})")
        for i, (key, _, form) in enumerate(batch):
            result[key] = _Score(form, *row[5 * i : 5 * i + 5])
    return result


UNIT_PATTERN = rf"-?{_number('.')} ?({_UNITS})"
PHONE_NAME = r"(?i)phone|mobile|msisdn|^tel|_tel|手机|电话|充值号码|callee|caller|whatsapp|联系方式"
TIME_NAME = r"(?i)time|date|(_|[a-z])at$|_on$|^ts$|_ts$|^dt$|^day$|^at$|时间|日期|生日|created|updated|registered|birth"
CN_MOBILE = r"(?:\+?86)?1[3-9][0-9]{9}"
PHONE = r"\+?[0-9][0-9 ()-]{5,18}[0-9]"
SHORTENED = r"[0-9](?:\.[0-9]+)?[eE]\+[0-9]{2}"


def almost(decision: FormDecision) -> Text | None:
    """Why a column whose values mostly have one form is text."""
    if decision.nearest is None or decision.misses * 2 > decision.values:
        return None
    words = _NAMES[decision.nearest.type]
    return Text(
        f"read as text: {decision.misses:,} of {decision.values:,} values are not {words.en}, for example {decision.example[:40]!r}",
        f"按文本读取：{decision.values:,} 个值中有 {decision.misses:,} 个不是{words.zh}，例如 {decision.example[:40]!r}",
    )


_NAMES: Mapping[Type, Text] = {
    "bool": Text("true or false", "布尔值"),
    "number": Text("numbers", "数值"),
    "time": Text("times", "时间"),
    "list": Text("lists", "列表"),
    "text": Text("texts", "文本"),
}
