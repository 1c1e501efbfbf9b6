"""How engines write names, values and the functions that differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

# Names and values
#
# Every name and every value enters a statement through `identifier` and `literal` (or a dialect's own), so hostile
# ones (quotes, comments, NUL) are stopped in one place.

Value = str | int | float | Decimal | bool | date | datetime | Sequence["Value"]
"""What a literal can hold; a `datetime` is naive and in UTC."""

ROW = "$row"
"""The column with an event's load number, in file order: it decides which of two events at one time was first."""

_HUGE = 2**127 - 1
_MOST_DIGITS = 38


def identifier(name: str) -> str:
    """Quote a column or table name. ValueError: SQL can write neither an empty name nor one with NUL."""
    if not name or "\0" in name:
        raise ValueError(f"not a possible name in SQL: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """Write a constant of this value and of its own type: VARCHAR, integer, DOUBLE, DECIMAL, BOOLEAN, TIMESTAMP, DATE or a list.

    There is none for None: it would compare like NULL. ValueError: a number that no exact type of the engine can
    hold (more than 38 digits), a time with a zone, or a text that is not valid Unicode.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        if abs(value) > _HUGE:
            raise ValueError("a whole number beyond 128 bits")
        return str(value) if value >= 0 else f"({value})"  # the brackets keep `-` away from an operator before it
    if isinstance(value, float):
        # The shortest text that reads back as the same double; a cast, since a bare 0.1 would be a DECIMAL.
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise ValueError("instants are naive and in UTC")
        return f"TIMESTAMP '{value.isoformat(sep=' ', timespec='microseconds')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return f"[{', '.join(map(literal, value))}]"


def _text(value: str) -> str:
    value.encode("utf-8")  # refuses a lone surrogate here (UnicodeEncodeError is a ValueError), not inside the engine
    # DuckDB 1.5 ends a statement at NUL, so each NUL is spelled as a function call.
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


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


# Dialects


Lacking = Literal["median", "average"]
"""What a dialect may be unable to compute exactly."""
Form = Callable[..., str]
"""Writes a function over its arguments, which are passed by name."""


class NoForm(Exception):
    """A dialect has no safe way to write something."""

    def __init__(self, lacking: Lacking) -> None:
        super().__init__(lacking)
        self.lacking = lacking


def without(lacking: Lacking) -> Form:
    """Return the form of a function that a dialect lacks: it raises NoForm."""

    def refuse(**_: object) -> str:
        raise NoForm(lacking)

    return refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one engine writes names, values and the few functions that differ."""

    name: str
    identifier: Callable[[str], str]
    literal: Callable[[Value], str]
    event_name: str = "#event_name"
    """The column of events by whose value rows are found fastest."""
    day: str = ""
    """The column of the local day, `yyyy-MM-dd`, that every reading of events has to bound; empty where there is none."""
    # Tests of values
    contains: Form
    matches: Form
    holds: Form
    item_at: Form
    no_items: Form
    seconds: Form
    """A span; takes `seconds`, and the same as `days` and `rest`."""
    # Masks of bits
    merge: Form
    has_bit: Form
    lacks_bit: Form
    # Measures
    rows: Form
    distinct: Form
    sum: Form
    """Of doubles; may be rounded."""
    exact_sum: Form
    largest: Form
    smallest: Form
    average: Form
    """Of doubles."""
    median: Form
    """Of doubles."""
    twice_median: Form
    """Of exact numbers: the lower plus the upper of the middle two."""
    # Values of tags
    turn: Form
    """A value by which the rows of a user are ordered: by time, then by load number."""
    first: Form
    last: Form
    rounded: Form
    exact: Form
    """A whole number as a decimal."""
    half: Form
    # Averages of exact numbers, compared as whole numbers
    wide: Form
    """A whole number with room for sums."""
    steps: Form
    """A sum in steps of the column."""
    count: Form
    whole_part: Form
    rest: Form


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that a statement reads, as SQL writes them."""

    events: str = "events"
    users: str = "users"
    members: tuple[str, ...] = ()
    """The members of each of the plan's clusters: (user_id) or (user_id, value), each user at most once."""
    users_complete: bool = False
    """True where every event belongs to a user of the user table."""


SHOWN = Tables()
"""For statements that are shown, not run."""

DUCKDB = Dialect(
    name="duckdb",
    identifier=identifier,
    literal=literal,
    contains="contains({column}, {text})".format,
    matches="regexp_matches({column}, {pattern})".format,
    holds="list_has_any({column}, {items})".format,
    item_at="{column}[{position}] = {item}".format,
    no_items="len({column}) = 0".format,
    seconds="to_seconds({seconds})".format,
    merge="bit_or({mask})".format,
    has_bit="({mask} & {bit}) <> 0".format,
    lacks_bit="({mask} & {bit}) = 0".format,
    rows="count(*)".format,
    distinct="count(DISTINCT {column})".format,
    sum="sum({column})".format,
    exact_sum="sum({column})".format,
    largest="max({column})".format,
    smallest="min({column})".format,
    average="avg({column})".format,
    median="median({column})".format,
    twice_median="(quantile_disc({wide}, 0.5) - quantile_disc(-{wide}, 0.5))".format,
    # exact up to the calendar's ends
    turn="CAST(epoch_us({time}) AS HUGEINT) * 1000000000000 + {row}".format,
    first="arg_min_null({column}, {turn})".format,
    last="arg_max_null({column}, {turn})".format,
    rounded="round({value}, 9)".format,
    # a 128-bit whole number has no fraction to hold
    exact="CAST({value} AS DECIMAL(38, 0))".format,
    half="CAST({value} * 0.5 AS DECIMAL(38, {scale}))".format,
    wide="CAST({column} AS HUGEINT)".format,
    steps="CAST(sum({column}) * {steps} AS HUGEINT)".format,
    count="CAST(count({column}) AS HUGEINT)".format,
    whole_part="{value} // {parts}".format,
    rest="{value} % {parts}".format,
)
