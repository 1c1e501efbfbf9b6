"""SQL over lists of callees. A callee leaves the user table only as a keyed hash: a list on disk tells nobody's number.

The hash is the first 60 bits of SHA-256 over a key of the workspace and the callee; among ten million callees two
collide with a chance of one in twenty thousand.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mcp_server.engine.dialect import Tables
from mcp_server.engine.quoting import identifier, literal

_DIGITS = 15


def hashed(value: str, key: str) -> int:
    """The same as `_hash`, of one callee in hand."""
    return int(hashlib.sha256((key + trimmed(value)).encode()).hexdigest()[:_DIGITS], 16)


def trimmed(value: str) -> str:
    """A callee without the blanks around it, as the engine trims."""
    return value.strip(" ")


def _hash(column: str, key: str) -> str:
    return f"CAST('0x' || substr(sha256({literal(key)} || trim({column})), 1, {_DIGITS}) AS BIGINT)"


def of_cluster(tables: Tables, members: Path, name: str, key: str) -> str:
    """The callees of a cluster's members, one row `callee` each, distinct."""
    column = f"u.{identifier(name)}"
    return f"SELECT DISTINCT {_hash(column, key)} AS callee FROM {_joined(tables, members)} WHERE trim({column}) <> ''"


def counts_of_cluster(tables: Tables, members: Path, name: str) -> str:
    """One row: members, those with a callee, distinct callees."""
    column = f"nullif(trim(u.{identifier(name)}), '')"
    return f"SELECT count(*), count({column}), count(DISTINCT {column}) FROM {_joined(tables, members)}"


def _joined(tables: Tables, members: Path) -> str:
    user_id = identifier("#user_id")
    return f"read_parquet({literal(str(members))}) AS m LEFT JOIN {tables.users} AS u ON u.{user_id} = m.user_id"


def of_list(hashes: Sequence[int]) -> str:
    """A list in hand as rows `callee`."""
    return f"SELECT unnest({literal(list(hashes))}) AS callee"


def of_file(path: Path) -> str:
    """A list that was kept."""
    return f"SELECT callee FROM read_parquet({literal(str(path))})"


def often(
    lists: Sequence[str], days: Sequence[Sequence[int]], at_once: Sequence[Sequence[int]], limits: tuple[int, int]
) -> str:
    """One row: how many callees of the first list pass the first limit on a kind of day, the most attempts of one; then
    the same of the second limit for sets of tasks. `days[k][n]`: what list n adds on days of kind k."""
    words = range(-(-len(lists) // _BITS))
    others = [
        f"SELECT callee, {', '.join(f'{_bit(n) if n // _BITS == w else 0} AS m{w}' for w in words)}"
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


def _bit(n: int) -> str:
    return f"{1 << n % _BITS}::BIGINT"


def _sum(case: Sequence[int]) -> str:
    """What a callee gets in a case, from the lists that he is on. Callees on the same lists are looked at once."""
    return " + ".join(f"{w} * ((m{n // _BITS} >> {n % _BITS}) & 1)" for n, w in enumerate(case) if w)
