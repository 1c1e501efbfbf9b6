"""The two functions through which every name and every value enters a DuckDB statement.

Nothing else in the project puts a name or a value between quotes, so hostile ones (quotes, comments, NUL) are
stopped in one place.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

Value = str | int | float | Decimal | bool | date | datetime | Sequence["Value"]
"""What a literal can hold; a `datetime` is naive and in UTC."""

_HUGE = 2**127 - 1
_MOST_DIGITS = 38


def identifier(name: str) -> str:
    """A column or table name between double quotes. Names without a character and with NUL cannot be written in SQL."""
    if not name or "\0" in name:
        raise ValueError(f"not a possible name in SQL: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """A constant of exactly this value and of its own type: VARCHAR, integer, DOUBLE, DECIMAL, BOOLEAN, TIMESTAMP, DATE or a list.

    A literal without a value would compare like NULL, so there is none for None. ValueError: a number that no exact
    type of the engine can hold (more than 38 digits), a time with a zone, or a text that is not valid Unicode.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        # The shortest text that reads back as the same double; a cast, since a bare 0.1 would be a DECIMAL.
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return _timestamp(value)
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return f"[{', '.join(map(literal, value))}]"


def _text(value: str) -> str:
    value.encode(
        "utf-8"
    )  # a lone surrogate is refused here (UnicodeEncodeError is a ValueError), not inside the engine
    # DuckDB 1.5 ends a statement at NUL, so each NUL is spelled as a function call.
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def _whole(value: int) -> str:
    if abs(value) > _HUGE:
        raise ValueError("a whole number beyond 128 bits")
    return str(value) if value >= 0 else f"({value})"  # the brackets keep `-` away from an operator before it


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"not a number: {value}")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - only NaN and infinities have letters here
    scale = max(0, -exponent)
    width = max(len(digits) + max(0, exponent), scale)
    if width > _MOST_DIGITS:
        raise ValueError("a number of more than 38 digits")
    return f"CAST('{value:f}' AS DECIMAL({width}, {scale}))"


def _timestamp(value: datetime) -> str:
    if value.tzinfo is not None:
        raise ValueError("instants are naive and in UTC")
    return f"TIMESTAMP '{value.isoformat(sep=' ', timespec='microseconds')}'"
