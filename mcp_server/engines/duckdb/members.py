"""SQL over lists of users: the members of a cluster, the values of a tag, the callees of a task."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from mcp_server.engines.dialect import Tables, identifier, literal
from mcp_server.engines.duckdb.connection import parquet
from mcp_server.language.metadata import Property

# Exports


FORMULA = r"^[=+\-@＝＋－＠\t\r\n]"
"""What a spreadsheet takes for a formula at the start of a cell; East Asian ones read the wide signs too."""


def members_query(
    tables: Tables, members: Path, columns: Sequence[Property], zone: str, *, as_text: bool, defused: bool
) -> str:
    """Return the members by id with some columns (of table `cluster`: the tag's value); one whom the user table lacks keeps only the id.

    `as_text`: times as local time, lists as JSON; else their own types. `defused`: texts that begin like a formula get
    an apostrophe in front, and so do names of columns.
    """
    shown = ", ".join(_column(c, zone, as_text=as_text, defused=defused) for c in columns)
    return f"SELECT {shown}\nFROM {_joined(tables, members)}\nORDER BY m.user_id"


def _column(column: Property, zone: str, *, as_text: bool, defused: bool) -> str:
    harmful = defused and re.match(FORMULA, column.name)
    name = identifier("'" + column.name if harmful else column.name)
    if column.name == "#user_id":
        return f"m.user_id AS {name}"
    value = "m.value" if column.table == "cluster" else f"u.{identifier(column.name)}"
    if column.type == "time":
        instant = f"timezone('UTC', {value})"  # TIMESTAMP WITH TIME ZONE: the column carries its zone
        return f"{f'timezone({literal(zone)}, {instant})' if as_text else instant} AS {name}"
    if as_text and column.type == "list":
        value = f"CAST(to_json({value}) AS VARCHAR)"
    if defused and column.type in ("string", "list"):
        value = f"CASE WHEN regexp_matches({value}, {literal(FORMULA)}) THEN '''' || {value} ELSE {value} END"
    return f"{value} AS {name}"


def _joined(tables: Tables, members: Path) -> str:
    return f"{parquet(members)} AS m LEFT JOIN {tables.users} AS u ON u.{identifier('#user_id')} = m.user_id"


# Callees
#
# A callee leaves the user table only as a keyed hash: a list on disk shows no telephone number. The hash is the first
# 60 bits of SHA-256 over a key of the workspace and the callee; among ten million callees two collide with a chance of
# one in twenty thousand.


_DIGITS = 15


def hashed(value: str, key: str) -> int:
    """Return the hash of one callee, as `_hash` writes it in SQL."""
    return int(hashlib.sha256((key + trimmed(value)).encode()).hexdigest()[:_DIGITS], 16)


def trimmed(value: str) -> str:
    """Return a callee without the blanks around it, as the engine trims."""
    return value.strip(" ")


def _hash(column: str, key: str) -> str:
    return f"CAST('0x' || substr(sha256({literal(key)} || trim({column})), 1, {_DIGITS}) AS BIGINT)"


def of_cluster(tables: Tables, members: Path, name: str, key: str) -> str:
    """Return the callees of a cluster's members, one row `callee` each, distinct."""
    column = f"u.{identifier(name)}"
    return f"SELECT DISTINCT {_hash(column, key)} AS callee FROM {_joined(tables, members)} WHERE trim({column}) <> ''"


def counts_of_cluster(tables: Tables, members: Path, name: str) -> str:
    """Return one row: members, those with a callee, distinct callees."""
    column = f"nullif(trim(u.{identifier(name)}), '')"
    return f"SELECT count(*), count({column}), count(DISTINCT {column}) FROM {_joined(tables, members)}"


def of_list(hashes: Sequence[int]) -> str:
    """Return given hashes as rows `callee`."""
    return f"SELECT unnest({literal(list(hashes))}) AS callee"


def of_file(path: Path) -> str:
    """Return the rows of a list that was kept in a file."""
    return f"SELECT callee FROM {parquet(path)}"


def often(
    lists: Sequence[str], days: Sequence[Sequence[int]], at_once: Sequence[Sequence[int]], limits: tuple[int, int]
) -> str:
    """Return one row: the callees of the first list that exceed the first limit on a kind of day, the most attempts of
    one; then the same of the second limit for sets of tasks. `days[k][n]`: what list n adds on days of kind k."""
    words = range(-(-len(lists) // _BITS))
    others = [
        f"SELECT callee, {', '.join(f'{1 << n % _BITS}::BIGINT AS m{w}' if n // _BITS == w else f'0 AS m{w}' for w in words)}"
        f" FROM ({one if n else 'SELECT callee FROM own'}) WHERE callee IN (SELECT callee FROM own)"
        for n, one in enumerate(lists)
    ]
    merged = ", ".join(f"bit_or(m{w}) AS m{w}" for w in words)
    crowds = ", ".join(f"m{w}" for w in words)
    columns = []
    for cases, limit in ((days, limits[0]), (at_once, limits[1])):
        most = f"greatest({', '.join(map(_sum, cases))})" if cases else "0"
        columns += [f"coalesce(sum(n) FILTER (WHERE {most} > {limit}), 0)", f"coalesce(max({most}), 0)"]
    return (
        f"WITH own AS MATERIALIZED ({lists[0]}), each AS ({' UNION ALL '.join(others)}),"
        f" callees AS (SELECT {merged} FROM each GROUP BY callee),"
        f" crowds AS (SELECT {crowds}, count(*) AS n FROM callees GROUP BY {crowds})"
        f" SELECT {', '.join(columns)} FROM crowds"
    )


_BITS = 60
"""Lists whose membership one whole number holds."""


def _sum(case: Sequence[int]) -> str:
    """Return what a callee gets in a case, from the lists that hold the callee. Callees on the same lists count at once."""
    return " + ".join(f"{w} * ((m{n // _BITS} >> {n % _BITS}) & 1)" for n, w in enumerate(case) if w)
