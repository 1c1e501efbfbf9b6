"""What a text of a file means: the tests that decide a column's type, and the SQL that reads its values.

Numbers are written as in JSON: `007`, `+5`, `1,000` and `0x1F` are texts, so that codes keep their shape.
"""

from typing import Literal

from mcp_server.engine.quoting import literal

Meaning = Literal["bool", "whole", "double", "time", "list", "text"]
ORDER: tuple[Meaning, ...] = ("bool", "whole", "double", "time", "list")
"""The order in which a column's type is decided: the first that all of its values pass."""

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
    """SQL condition: the text is a word for NaN or an infinity."""
    return f"regexp_full_match({x}, {literal(_NOT_A_NUMBER)})"


def passes(meaning: Meaning, x: str) -> str:
    """SQL condition: the text reads as this. A missing one is neither true nor false."""
    if meaning == "bool":
        return f"lower({x}) IN ('true', 'false')"
    if meaning == "whole":
        return f"(({_matches(x, _WHOLE)} AND TRY_CAST({x} AS BIGINT) IS NOT NULL) OR {is_not_a_number(x)})"
    if meaning == "double":
        exact = (
            f"(length({x}) < {_EXACT_LENGTH} OR NOT {_matches(x, _WHOLE)} OR abs(TRY_CAST({x} AS DOUBLE)) < {_EXACT})"
        )
        return f"(({_matches(x, _NUMBER)} AND isfinite(TRY_CAST({x} AS DOUBLE)) AND {exact}) OR {is_not_a_number(x)})"
    if meaning == "time":
        return f"({_matches(x, _TIME)} AND TRY_CAST(left({x}, {_DATE_LENGTH}) AS DATE) IS NOT NULL)"
    if meaning == "list":
        return f"CASE WHEN {x}[1] = '[' AND json_valid({x}) THEN {only_texts(x)} ELSE FALSE END"
    return "TRUE"


def read(meaning: Meaning, x: str, *, offsets: bool = False) -> str:
    """SQL: the value of a text that passes; a time as the clock reading that was written. `offsets`: some times have one."""
    if meaning == "bool":
        return f"lower({x}) = 'true'"
    if meaning == "whole":
        return f"TRY_CAST({x} AS BIGINT)"
    if meaning == "double":
        return f"CASE WHEN isfinite(TRY_CAST({x} AS DOUBLE)) THEN TRY_CAST({x} AS DOUBLE) END"
    if meaning == "time":
        clock = f"left({x}, length({x}) - length({_written_east(x)}))" if offsets else x
        return f"TRY_CAST(left({clock}, {_MICROSECONDS_LENGTH}) AS TIMESTAMP)"
    if meaning == "list":
        return f"CAST(json_extract_string({x}, '$[*]') AS VARCHAR[])"
    return x


def read_strictly(meaning: Meaning, x: str, *, offsets: bool = False) -> str:
    """SQL: the value of a text, NULL where it does not pass."""
    pattern = {"whole": _WHOLE, "time": _TIME}.get(meaning)
    value = read(meaning, x, offsets=offsets)
    return f"CASE WHEN {_matches(x, pattern)} THEN {value} END" if pattern else value


def only_texts(x: str) -> str:
    """SQL condition: a JSON list holds nothing but strings and nulls."""
    return f"len(list_filter(json_extract({x}, '$[*]'), lambda item: json_type(item) NOT IN ('VARCHAR', 'NULL'))) = 0"


def _matches(x: str, pattern: str) -> str:
    return f"regexp_full_match({x}, {literal(pattern)})"


def _written_east(x: str) -> str:
    # Only behind the date: the end of a bare date looks like an offset.
    return f"regexp_extract(substr({x}, {_DATE_LENGTH + 1}), {literal(f'({_EAST})$')})"


def has_offset(x: str) -> str:
    """SQL condition: a time is written with an offset."""
    return f"(length({x}) > {_DATE_LENGTH} AND regexp_matches({x}, {literal(f'({_EAST})$')}))"


def east(x: str) -> str:
    """SQL: the offset that a time was written with, in minutes east of UTC; NULL where it has none."""
    written = _written_east(x)
    return (
        f"CASE WHEN {written} = '' THEN NULL WHEN {written} = 'Z' THEN 0 ELSE CAST({written}[1] || '1' AS INTEGER) * "
        f"(CAST({written}[2:3] AS INTEGER) * 60 + CASE WHEN length({written}) > 3 THEN CAST(right({written}, 2) AS INTEGER) ELSE 0 END) END"
    )
