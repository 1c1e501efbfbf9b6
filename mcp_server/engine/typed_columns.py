"""Columns that have a type of the engine already: Parquet's own."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one
from mcp_server.engine.reading import Reading, of_system_text
from mcp_server.engine.report import refuse
from mcp_server.engine.staging import INSTANT
from mcp_server.engine.texts import Meaning
from mcp_server.errors import LoadRefused
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SMALL = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_HUGE = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

_TIMES: Mapping[str, tuple[str, bool]] = {
    # Clock reading, and whether it is an instant. A date outside the calendar would overflow as a time.
    "TIMESTAMP": ("{x}", False),
    "TIMESTAMP_S": ("CAST({x} AS TIMESTAMP)", False),
    "TIMESTAMP_MS": ("CAST({x} AS TIMESTAMP)", False),
    # Cut off below the microsecond; a cast rounds in one version of the engine and cuts in another.
    "TIMESTAMP_NS": ("make_timestamp((epoch_ns({x}) - ((epoch_ns({x}) % 1000) + 1000) % 1000) // 1000)", False),
    "TIMESTAMP WITH TIME ZONE": ("{x} AT TIME ZONE 'UTC'", True),
    "DATE": (
        "CASE WHEN {x} > DATE '9999-12-31' THEN TIMESTAMP 'infinity' WHEN {x} < DATE '0001-01-01' THEN TIMESTAMP '-infinity' "
        "ELSE CAST({x} AS TIMESTAMP) END",
        False,
    ),
    INSTANT: ("{x}", True),
}


def of_type(connection: "DuckDBPyConnection", relation: str, x: str, name: str, kind: str, source: str) -> Reading:
    """A property of one of the engine's types; LoadRefused, by name, for a type that properties cannot have."""
    if kind in _SMALL:
        return Reading(name, "number", f"CAST({x} AS BIGINT)", 0)
    if kind in _HUGE:
        _check_fits(connection, relation, x, name, source)
        return Reading(name, "number", f"CAST({x} AS BIGINT)", 0)
    if kind in ("DOUBLE", "FLOAT"):
        number = f"CAST({x} AS DOUBLE)"
        return Reading(
            name,
            "number",
            f"CASE WHEN isfinite({number}) THEN {number} END",
            None,
            not_a_number=f"NOT isfinite({number})",
        )
    if decimal := _DECIMAL.fullmatch(kind):
        return Reading(name, "number", x, int(decimal[2]))
    if kind == "BOOLEAN":
        return Reading(name, "bool", x)
    if kind in _TIMES:
        clock, absolute = _TIMES[kind]
        return Reading(name, "time", clock.format(x=x), east="0" if absolute else None)
    if kind == "VARCHAR[]":
        return Reading(name, "list", x)
    if kind in ("VARCHAR", "JSON", '"NULL"', "NULL") or kind.startswith("ENUM("):
        return Reading(name, "string", f"CAST({x} AS VARCHAR)")
    raise _refused(name, kind, source)


def of_system_type(
    connection: "DuckDBPyConnection", relation: str, x: str, name: str, kind: str, meaning: Meaning, source: str
) -> Reading:
    """A system column of one of the engine's types."""
    whole = kind in _SMALL or kind in _HUGE or kind.endswith(",0)")
    if kind == "VARCHAR" or kind.startswith("ENUM(") or kind in ('"NULL"', "NULL"):
        return of_system_text(connection, relation, f"CAST({x} AS VARCHAR)", name, meaning)
    if meaning == "whole" and whole:
        value = f"TRY_CAST({x} AS BIGINT)"
        return Reading(name, "number", value, 0, written=f"CAST({x} AS VARCHAR)")
    if meaning == "text" and (whole or kind == "UUID"):
        return Reading(name, "string", f"CAST({x} AS VARCHAR)")
    if meaning == "time" and kind in _TIMES:
        return of_type(connection, relation, x, name, kind, source)
    raise _wrong(name, kind, meaning, source)


def _check_fits(connection: "DuckDBPyConnection", relation: str, x: str, name: str, source: str) -> None:
    low, high = one(connection, f"SELECT min({x}), max({x}) FROM {relation}")
    if low is None or (low >= _LOWEST and high <= _HIGHEST):
        return
    raise refuse(
        Text(
            f"Column {name!r} of {source} holds {high if high > _HIGHEST else low}, which does not fit 64 bits.",
            f"{source} 的列 {name!r} 中有 {high if high > _HIGHEST else low}，超出 64 位整数范围。",
        ),
        Text("Write such ids as text.", "这类编号请按文本写出。"),
    )


def _refused(name: str, kind: str, source: str) -> LoadRefused:
    return refuse(
        Text(
            f"Column {name!r} of {source} has the type {kind}; a property is a string, number, bool, time or list of strings.",
            f"{source} 的列 {name!r} 类型为 {kind}；属性只能是字符串、数值、布尔、时间或字符串列表。",
        ),
        Text("Write it as text, or leave the column out.", "请改写为文本，或去掉该列。"),
    )


_EXPECTED: Mapping[Meaning, Text] = {
    "whole": Text("64-bit integers", "64 位整数"),
    "text": Text("text", "文本"),
    "time": Text("times", "时间"),
}


def _wrong(name: str, kind: str, meaning: Meaning, source: str) -> LoadRefused:
    words = _EXPECTED[meaning]
    message = Text(
        f"{name} of {source} has the type {kind}, but holds {words.en}.",
        f"{source} 的 {name} 类型为 {kind}，应为{words.zh}。",
    )
    if kind in ("DOUBLE", "FLOAT"):
        hint = Text(
            "Floating-point numbers lose digits of long ids; write the column as integers (in pandas: Int64).",
            "浮点数会丢失长编号的末位；请按整数写出该列（pandas 中用 Int64）。",
        )
    else:
        hint = Text("Write the column with that type.", "请按该类型写出此列。")
    return refuse(message, hint)
