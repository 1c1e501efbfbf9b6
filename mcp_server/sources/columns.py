"""From columns as they were written to properties with a type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import LARGE_TYPES, WHOLE_TYPES, one
from mcp_server.language.metadata import ValueType
from mcp_server.sources.base import INSTANT, JSON, TEXT, SourceColumn
from mcp_server.sources.report import refuse
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# Texts: the tests that decide a column's type, and the SQL that reads its values
#
# Numbers are written as in JSON: `007`, `+5`, `1,000` and `0x1F` are texts, so that codes keep their shape.

Meaning = Literal["bool", "whole", "double", "time", "list", "text"]

_WHOLE = r"-?(0|[1-9][0-9]*)"
_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_NOT_A_NUMBER = r"(?i)[+-]?(nan|inf|infinity)"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
_EAST = r"Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?"
_YEAR = r"([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_TIME = rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}([ T]{_CLOCK}( ?({_EAST}))?)?"

_EXACT = 2**53
"""Whole numbers below this are exact as doubles."""
_EXACT_LENGTH = 16
_DATE_LENGTH = 10
_MICROSECONDS_LENGTH = 26
"""Length of `yyyy-MM-dd HH:mm:ss.ffffff`; finer digits are cut off."""


def is_not_a_number(x: str) -> str:
    """Return a SQL condition: the text is a word for NaN or an infinity."""
    return f"regexp_full_match({x}, {literal(_NOT_A_NUMBER)})"


def passes(meaning: Meaning, x: str) -> str:
    """Return a SQL condition: the text reads as this. A missing one is neither true nor false."""
    match meaning:
        case "bool":
            return f"lower({x}) IN ('true', 'false')"
        case "whole":
            return f"(({_matches(x, _WHOLE)} AND TRY_CAST({x} AS BIGINT) IS NOT NULL) OR {is_not_a_number(x)})"
        case "double":
            exact = f"(length({x}) < {_EXACT_LENGTH} OR NOT {_matches(x, _WHOLE)} OR abs(TRY_CAST({x} AS DOUBLE)) < {_EXACT})"
            number = f"{_matches(x, _NUMBER)} AND isfinite(TRY_CAST({x} AS DOUBLE)) AND {exact}"
            return f"(({number}) OR {is_not_a_number(x)})"
        case "time":
            return f"({_matches(x, _TIME)} AND TRY_CAST(left({x}, {_DATE_LENGTH}) AS DATE) IS NOT NULL)"
        case "list":
            return f"CASE WHEN {x}[1] = '[' AND json_valid({x}) THEN {_only_texts(x)} ELSE FALSE END"
        case "text":
            return "TRUE"
        case other:
            assert_never(other)


def read(meaning: Meaning, x: str, *, offsets: bool = False) -> str:
    """Return SQL of the value of a text that passes; a time is the written clock reading. `offsets`: some times have one."""
    match meaning:
        case "bool":
            return f"lower({x}) = 'true'"
        case "whole":
            return f"TRY_CAST({x} AS BIGINT)"
        case "double":
            return f"CASE WHEN isfinite(TRY_CAST({x} AS DOUBLE)) THEN TRY_CAST({x} AS DOUBLE) END"
        case "time":
            clock = f"left({x}, length({x}) - length({_written_east(x)}))" if offsets else x
            return f"TRY_CAST(left({clock}, {_MICROSECONDS_LENGTH}) AS TIMESTAMP)"
        case "list":
            return f"CAST(json_extract_string({x}, '$[*]') AS VARCHAR[])"
        case "text":
            return x
        case other:
            assert_never(other)


def type_of(meaning: Meaning) -> tuple[ValueType, int | None]:
    """Return the type and scale of a property of texts with this meaning."""
    match meaning:
        case "whole":
            return "number", 0
        case "double":
            return "number", None
        case "text":
            return "string", None
        case "bool" | "time" | "list":
            return meaning, None
        case other:
            assert_never(other)


def _only_texts(x: str) -> str:
    """Return a SQL condition: a JSON list holds nothing but strings and nulls."""
    return f"len(list_filter(json_extract({x}, '$[*]'), lambda item: json_type(item) NOT IN ('VARCHAR', 'NULL'))) = 0"


def _matches(x: str, pattern: str) -> str:
    return f"regexp_full_match({x}, {literal(pattern)})"


def _written_east(x: str) -> str:
    # Only behind the date: the end of a bare date looks like an offset.
    return f"regexp_extract(substr({x}, {_DATE_LENGTH + 1}), {literal(f'({_EAST})$')})"


def has_offset(x: str) -> str:
    """Return a SQL condition: a time is written with an offset."""
    return f"(length({x}) > {_DATE_LENGTH} AND regexp_matches({x}, {literal(f'({_EAST})$')}))"


def east(x: str) -> str:
    """Return SQL of the offset that a time was written with, in minutes east of UTC; NULL where it has none."""
    written = _written_east(x)
    return (
        f"CASE WHEN {written} = '' THEN NULL WHEN {written} = 'Z' THEN 0 ELSE CAST({written}[1] || '1' AS INTEGER) * "
        f"(CAST({written}[2:3] AS INTEGER) * 60 + CASE WHEN length({written}) > 3 THEN CAST(right({written}, 2) AS INTEGER) ELSE 0 END) END"
    )


# The type of a column of texts, from all of its values


# Columns of JSON values: which kinds of value they hold, and as which texts they are read

# The first character shows the kind of a JSON text; NaN, Infinity and -1 are numbers.


# How one property is read from the relation of its source


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """SQL over the columns of the relation that a property is read from."""

    name: str
    type: ValueType
    value: str
    """The value; of a time, the clock reading as a TIMESTAMP, not yet an instant."""
    scale: int | None = None
    east: str | None = None
    """Of times: the offset that was written, in minutes, NULL meaning local; None where all are local."""
    written: str = ""
    """Of system columns: the cell as text. Where there is one and no value, it cannot be read."""
    not_a_number: str = ""
    """Condition: NaN or an infinity, loaded as missing; empty where there can be none."""


_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

_TIMES: Mapping[str, tuple[str, bool]] = {
    "TIMESTAMP": ("{x}", False),
    "TIMESTAMP_S": ("CAST({x} AS TIMESTAMP)", False),
    "TIMESTAMP_MS": ("CAST({x} AS TIMESTAMP)", False),
    # Cut off below the microsecond; a cast rounds in one version of the engine and cuts in another.
    "TIMESTAMP_NS": ("make_timestamp((epoch_ns({x}) - ((epoch_ns({x}) % 1000) + 1000) % 1000) // 1000)", False),
    "TIMESTAMP WITH TIME ZONE": ("{x} AT TIME ZONE 'UTC'", True),
    # A date outside the calendar would overflow as a time.
    "DATE": (
        "CASE WHEN {x} > DATE '9999-12-31' THEN TIMESTAMP 'infinity' WHEN {x} < DATE '0001-01-01' THEN TIMESTAMP '-infinity' "
        "ELSE CAST({x} AS TIMESTAMP) END",
        False,
    ),
    INSTANT: ("{x}", True),
}
"""Of the engine's types of times, the clock reading, and whether it is an instant."""
_EXPECTED: Mapping[Meaning, Text] = {
    "whole": Text("64-bit integers", "64 位整数"),
    "text": Text("text", "文本"),
    "time": Text("times", "时间"),
}


@dataclass(frozen=True, slots=True)
class ColumnReader:
    """Decides how the columns `x` of a relation are read: texts, or of one of the engine's types (as those of Parquet)."""

    connection: "DuckDBPyConnection"
    relation: str
    source: str
    """Names the files in errors."""

    def column(self, x: str, column: SourceColumn, meaning: Meaning | None = None) -> ColumnReading:
        """Read a column; `meaning` is that of a system column."""
        if meaning is not None and column.kind in (TEXT, JSON):
            return self.system_text(x, column.name, meaning)
        if meaning is not None:
            return self._system_type(x, column, meaning)
        return self._type(x, column)

    def system_text(self, x: str, name: str, meaning: Meaning) -> ColumnReading:
        """Read a system column of texts: its meaning is given, and a text that does not read as that is a bad row."""
        kind, scale = type_of(meaning)
        if meaning == "text":
            return ColumnReading(name, kind, x)
        offsets = False
        if meaning == "time":
            with_offset = f"SELECT 1 FROM {self.relation} WHERE {has_offset(x)} LIMIT 1"
            offsets = bool(one(self.connection, f"SELECT count(*) FROM ({with_offset})")[0])
        value = read(meaning, x, offsets=offsets)
        if pattern := {"whole": _WHOLE, "time": _TIME}.get(meaning):
            value = f"CASE WHEN {_matches(x, pattern)} THEN {value} END"
        return ColumnReading(name, kind, value, scale, east=east(x) if offsets else None, written=x)

    def _type(self, x: str, column: SourceColumn) -> ColumnReading:
        """Read a column of one of the engine's types; LoadRefused for a type that properties cannot have."""
        name, kind = column.name, column.kind
        if kind in LARGE_TYPES:
            self._check_fits(x, name)
        if kind in WHOLE_TYPES | LARGE_TYPES:
            return ColumnReading(name, "number", f"CAST({x} AS BIGINT)", 0)
        if kind in ("DOUBLE", "FLOAT"):
            number = f"CAST({x} AS DOUBLE)"
            value = f"CASE WHEN isfinite({number}) THEN {number} END"
            return ColumnReading(name, "number", value, None, not_a_number=f"NOT isfinite({number})")
        if decimal := _DECIMAL.fullmatch(kind):
            return ColumnReading(name, "number", x, int(decimal[2]))
        if kind == "BOOLEAN":
            return ColumnReading(name, "bool", x)
        if kind in _TIMES:
            clock, absolute = _TIMES[kind]
            return ColumnReading(name, "time", clock.format(x=x), east="0" if absolute else None)
        if kind == "VARCHAR[]":
            return ColumnReading(name, "list", x)
        if kind in ("VARCHAR", "JSON", '"NULL"', "NULL") or kind.startswith("ENUM("):
            return ColumnReading(name, "string", f"CAST({x} AS VARCHAR)")
        raise refuse(
            Text(
                f"Column {name!r} of {self.source} has the type {kind}; a property is a string, number, bool, time or list of strings.",
                f"{self.source} 的列 {name!r} 类型为 {kind}；属性只能是字符串、数值、布尔、时间或字符串列表。",
            ),
            Text("Write it as text, or leave the column out.", "请改写为文本，或去掉该列。"),
        )

    def _system_type(self, x: str, column: SourceColumn, meaning: Meaning) -> ColumnReading:
        """Read a system column of one of the engine's types; LoadRefused for a type that does not fit its meaning."""
        name, kind = column.name, column.kind
        whole = kind in WHOLE_TYPES | LARGE_TYPES or kind.endswith(",0)")
        if kind == "VARCHAR" or kind.startswith("ENUM(") or kind in ('"NULL"', "NULL"):
            return self.system_text(f"CAST({x} AS VARCHAR)", name, meaning)
        if meaning == "whole" and whole:
            return ColumnReading(name, "number", f"TRY_CAST({x} AS BIGINT)", 0, written=f"CAST({x} AS VARCHAR)")
        if meaning == "text" and (whole or kind == "UUID"):
            return ColumnReading(name, "string", f"CAST({x} AS VARCHAR)")
        if meaning == "time" and kind in _TIMES:
            return self._type(x, column)
        hint = Text("Write the column with that type.", "请按该类型写出此列。")
        if kind in ("DOUBLE", "FLOAT"):
            hint = Text(
                "Floating-point numbers lose digits of long ids; write the column as integers (in pandas: Int64).",
                "浮点数会丢失长编号的末位；请按整数写出该列（pandas 中用 Int64）。",
            )
        raise refuse(
            Text(
                f"{name} of {self.source} has the type {kind}, but holds {_EXPECTED[meaning].en}.",
                f"{self.source} 的 {name} 类型为 {kind}，应为{_EXPECTED[meaning].zh}。",
            ),
            hint,
        )

    def _check_fits(self, x: str, name: str) -> None:
        low, high = one(self.connection, f"SELECT min({x}), max({x}) FROM {self.relation}")
        if low is None or (low >= _LOWEST and high <= _HIGHEST):
            return
        beyond = high if high > _HIGHEST else low
        raise refuse(
            Text(
                f"Column {name!r} of {self.source} holds {beyond}, which does not fit 64 bits.",
                f"{self.source} 的列 {name!r} 中有 {beyond}，超出 64 位整数范围。",
            ),
            Text("Write such ids as text.", "这类编号请按文本写出。"),
        )
