"""SQL as ThinkingData's query engine takes it (Trino), in words that DuckDB runs as well.

Nothing is translated: what the tests and the gateway run on DuckDB is the text that goes out. Where DuckDB lacks a word
of Trino's there is a macro that does what Trino's documentation says of it, its answers to NULL included. It has not been
run on a Trino; `SOURCES` says where each function is documented.

What has no safe form is not in the table, so that `Dialect.call` raises NoForm: an exact median (Trino's percentile is
an estimate), and the average of exact numbers, which needs whole numbers of 128 bits.
"""

from collections.abc import Mapping
from datetime import datetime

from mcp_server.engines.dialect import Dialect, Value, identifier, literal

_LONGEST = 2**63 - 1
_DOCS = "https://trino.io/docs/current/functions/{}.html"


def trino_literal(value: Value) -> str:
    """A constant as `quoting.literal` writes it, apart from what Trino spells otherwise.

    Whole numbers beyond 64 bits are decimals, lists are arrays, and times have the places of its columns.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LONGEST:
        digits = len(str(abs(value)))
        literal(value)  # refuses what no exact type can hold
        return f"CAST('{value}' AS DECIMAL({digits}, 0))"
    if isinstance(value, datetime):
        return literal(value).removesuffix("000'") + "'" if value.microsecond % 1000 == 0 else literal(value)
    if isinstance(value, list | tuple):
        return f"ARRAY[{', '.join(map(trino_literal, value))}]"
    return literal(value)


TRINO = Dialect(
    "trino",
    identifier,
    trino_literal,
    {
        "contains": "strpos({column}, {text}) > 0",
        "matches": "regexp_like({column}, {pattern})",
        # null where the list has a null item and none that is asked for; a list that is missing stays so
        "holds": "CASE WHEN {column} IS NOT NULL THEN coalesce(arrays_overlap({column}, {items}), FALSE) END",
        # beyond the end `list[n]` fails
        "item_at": "CASE WHEN cardinality({column}) >= {position} THEN {column}[{position}] = {item} END",
        "no_items": "cardinality({column}) = 0",
        # in two parts: the number of either must fit into 32 bits
        "seconds": "(INTERVAL '{days}' DAY + INTERVAL '{rest}' SECOND)",
        "merge": "bitwise_or_agg({mask})",
        "has_bit": "bitwise_and({mask}, {bit}) <> 0",
        "lacks_bit": "bitwise_and({mask}, {bit}) = 0",
        "TIMES": "count(*)",
        "DISTINCT": "count(DISTINCT {column})",
        "SUM": "sum({column})",
        # the sum of a 64-bit column would have 64 bits, and fail beyond
        "exact_sum": "sum(CAST({column} AS DECIMAL(38, {scale})))",
        "MAX": "max({column})",
        "MIN": "min({column})",
        "AVG": "avg({column})",
        # rows have no load number there: of equal times either may be first
        "turn": "{time}",
        "first": "min_by({column}, {turn})",
        "last": "max_by({column}, {turn})",
        # neighbours lie further apart than nine places from 2^23 on, and older versions round large numbers wrongly
        "rounded": "CASE WHEN abs({value}) < 8388608 THEN round({value}, 9) ELSE {value} END",
        "exact": "CAST({value} AS DECIMAL(38, 0))",
    },
    event_name="$part_event",
    day="$part_date",
)

SOURCES: Mapping[str, str] = {
    "abs": _DOCS.format("math"),
    "arrays_overlap": _DOCS.format("array"),
    "avg": _DOCS.format("aggregate"),
    "bitwise_and": _DOCS.format("bitwise"),
    "bitwise_or_agg": _DOCS.format("aggregate"),
    "cardinality": _DOCS.format("array"),
    "chr": _DOCS.format("string"),
    "coalesce": _DOCS.format("conditional"),
    "count": _DOCS.format("aggregate"),
    "max": _DOCS.format("aggregate"),
    "max_by": _DOCS.format("aggregate"),
    "min": _DOCS.format("aggregate"),
    "min_by": _DOCS.format("aggregate"),
    "regexp_like": _DOCS.format("regexp"),
    "round": _DOCS.format("math"),
    "strpos": _DOCS.format("string"),
    "sum": _DOCS.format("aggregate"),
}
"""Every function of Trino that statements use, with the page that documents it."""

MACROS: Mapping[str, str] = {
    "arrays_overlap(a, b)": """CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN list_has_any(a, b) THEN TRUE
        WHEN len(a) > list_count(a) OR len(b) > list_count(b) THEN NULL ELSE FALSE END""",
    "bitwise_and(a, b)": "a & b",
    "bitwise_or_agg(a)": "bit_or(a)",
    "max_by(a, b)": "arg_max_null(a, b)",
    "min_by(a, b)": "arg_min_null(a, b)",
    "regexp_like(a, b)": "regexp_matches(a, b)",
}
"""DuckDB's definitions of those that it lacks, or that it has with another meaning (its `min_by` skips null values)."""


def macros_sql() -> str:
    """The statements that give a DuckDB connection these words."""
    return ";\n".join(f"CREATE MACRO {head} AS {body}" for head, body in MACROS.items())
