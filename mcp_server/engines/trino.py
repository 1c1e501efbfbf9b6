"""SQL as ThinkingData's query engine takes it (Trino), in functions that DuckDB runs as well.

Nothing is translated: the tests and the gateway run on DuckDB the text that is sent. Where DuckDB lacks a function of
Trino there is a macro that does what Trino's documentation describes, including its answers to NULL. The statements
have not been run on a Trino; tests/engines/test_trino.py lists where each function is documented.

An exact median has no safe form (Trino's percentile is an estimate), nor has the average of exact numbers, which needs
whole numbers of 128 bits.
"""

from collections.abc import Mapping
from datetime import datetime

from mcp_server.engines.dialect import Dialect, Value, identifier, literal, without

_LONGEST = 2**63 - 1


def trino_literal(value: Value) -> str:
    """Write a constant as `literal` does, apart from what Trino spells otherwise.

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
    name="trino",
    identifier=identifier,
    literal=trino_literal,
    event_name="$part_event",
    day="$part_date",
    contains="strpos({column}, {text}) > 0".format,
    matches="regexp_like({column}, {pattern})".format,
    # NULL where the list has a NULL item and none of these; a list that is missing stays so
    holds="CASE WHEN {column} IS NOT NULL THEN coalesce(arrays_overlap({column}, {items}), FALSE) END".format,
    # `list[n]` fails beyond the end
    item_at="CASE WHEN cardinality({column}) >= {position} THEN {column}[{position}] = {item} END".format,
    no_items="cardinality({column}) = 0".format,
    # in two parts: each number must fit into 32 bits
    seconds="(INTERVAL '{days}' DAY + INTERVAL '{rest}' SECOND)".format,
    merge="bitwise_or_agg({mask})".format,
    has_bit="bitwise_and({mask}, {bit}) <> 0".format,
    lacks_bit="bitwise_and({mask}, {bit}) = 0".format,
    rows="count(*)".format,
    distinct="count(DISTINCT {column})".format,
    sum="sum({column})".format,
    # the sum of a 64-bit column would have 64 bits, and fail beyond
    exact_sum="sum(CAST({column} AS DECIMAL(38, {scale})))".format,
    largest="max({column})".format,
    smallest="min({column})".format,
    average="avg({column})".format,
    median=without("median"),
    twice_median=without("median"),
    # rows have no load number there: of equal times any may be first
    turn="{time}".format,
    first="min_by({column}, {turn})".format,
    last="max_by({column}, {turn})".format,
    # neighbours lie further apart than nine places from 2^23 on, and older versions round large numbers wrongly
    rounded="CASE WHEN abs({value}) < 8388608 THEN round({value}, 9) ELSE {value} END".format,
    exact="CAST({value} AS DECIMAL(38, 0))".format,
    half=without("median"),
    wide=without("median"),
    steps=without("average"),
    count=without("average"),
    whole_part=without("average"),
    rest=without("average"),
)

MACROS: Mapping[str, str] = {
    "arrays_overlap(a, b)": """CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN list_has_any(a, b) THEN TRUE
        WHEN len(a) > list_count(a) OR len(b) > list_count(b) THEN NULL ELSE FALSE END""",
    "bitwise_and(a, b)": "a & b",
    "bitwise_or_agg(a)": "bit_or(a)",
    "max_by(a, b)": "arg_max_null(a, b)",
    "min_by(a, b)": "arg_min_null(a, b)",
    "regexp_like(a, b)": "regexp_matches(a, b)",
}
"""DuckDB's definitions of functions that it lacks, or has with another meaning (its `min_by` skips NULL)."""


def macros_sql() -> str:
    """Return the statements that give a DuckDB connection these functions."""
    return ";\n".join(f"CREATE MACRO {head} AS {body}" for head, body in MACROS.items())
