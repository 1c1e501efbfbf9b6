"""What engines write differently: one table per dialect. Names and values enter through its two quoting functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcp_server.engine.quoting import Value, identifier, literal


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
