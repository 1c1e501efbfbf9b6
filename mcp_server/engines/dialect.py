"""What engines write differently: one table per dialect, and the two functions through which names and values enter SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

# The two functions through which every name and every value enters a DuckDB statement.
#
# Nothing else in the project puts a name or a value between quotes, so hostile ones (quotes, comments, NUL) are
# stopped in one place.


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


# What engines write differently: one table per dialect. Names and values enter through its two quoting functions.


class NoForm(Exception):
    """A dialect has no safe way to write something; `function` is the name that its table lacks."""

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine writes names, values and the few functions that differ."""

    name: str
    identifier: Callable[[str], str]
    literal: Callable[[Value], str]
    functions: Mapping[str, str]
    event_name: str = "#event_name"
    """The column of events by whose value rows are found fastest."""
    day: str = ""
    """The column of the local day, `yyyy-MM-dd`, that every reading of events has to bound; empty where there is none."""

    def call(self, function: str, **arguments: object) -> str:
        """A function over its arguments. NoForm where the dialect has none."""
        form = self.functions.get(function)
        if form is None:
            raise NoForm(function)
        return form.format(**arguments)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that a statement reads, as they are written in SQL."""

    events: str = "events"
    users: str = "users"
    members: tuple[str, ...] = ()
    """The members of each of the plan's clusters: (user_id) or (user_id, value), each user at most once."""
    users_complete: bool = False
    """True where every event belongs to a user of the user table, so that nobody has to be left out."""


SHOWN = Tables()
"""For statements that are only shown."""

DUCKDB = Dialect(
    "duckdb",
    identifier,
    literal,
    {
        "contains": "contains({column}, {text})",
        "matches": "regexp_matches({column}, {pattern})",
        "holds": "list_has_any({column}, {items})",
        "item_at": "{column}[{position}] = {item}",
        "no_items": "len({column}) = 0",
        "seconds": "to_seconds({seconds})",
        "merge": "bit_or({mask})",
        "has_bit": "({mask} & {bit}) <> 0",
        "lacks_bit": "({mask} & {bit}) = 0",
        "TIMES": "count(*)",
        "DISTINCT": "count(DISTINCT {column})",
        "SUM": "sum({column})",
        "exact_sum": "sum({column})",
        "MAX": "max({column})",
        "MIN": "min({column})",
        "AVG": "avg({column})",
        "MEDIAN": "median({column})",
        # one number by which rows of equal times keep the order of their load; exact up to the calendar's ends
        "turn": "CAST(epoch_us({time}) AS HUGEINT) * 1000000000000 + {row}",
        "first": "arg_min_null({column}, {turn})",
        "last": "arg_max_null({column}, {turn})",
        "rounded": "round({value}, 9)",
        # twice the median, exact: the lower plus the upper of the middle two
        "twice_median": "(quantile_disc({wide}, 0.5) - quantile_disc(-{wide}, 0.5))",
        # exact as a number with places: a 128-bit whole number has no fraction to hold
        "exact": "CAST({value} AS DECIMAL(38, 0))",
        "half": "CAST({value} * 0.5 AS DECIMAL(38, {scale}))",
        "wide": "CAST({column} AS HUGEINT)",
        "steps": "CAST(sum({column}) * {steps} AS HUGEINT)",
        "count": "CAST(count({column}) AS HUGEINT)",
        "whole_part": "{value} // {parts}",
        "rest": "{value} % {parts}",
    },
)
