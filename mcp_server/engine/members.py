"""SQL over the members of a cluster or the values of a tag: one file per version, `user_id` or `user_id`, `value`."""

import re
from collections.abc import Sequence
from pathlib import Path

from mcp_server.engine.dialect import Tables
from mcp_server.engine.quoting import identifier, literal
from mcp_server.qp.metadata import Property

FORMULA = r"^[=+\-@＝＋－＠\t\r\n]"
"""What a spreadsheet would take for a formula at the start of a cell; East Asian ones read the wide signs too."""


def members_query(
    tables: Tables, members: Path, columns: Sequence[Property], zone: str, *, as_text: bool, defused: bool
) -> str:
    """The members by id, with columns of theirs (of table `cluster`: the tag's value); a member whom the user table no longer has keeps only the id.

    `as_text`: times as local time, lists as JSON; else their own types. `defused`: texts that begin like a formula get
    an apostrophe in front, the names of columns too.
    """
    user_id = identifier("#user_id")
    shown = ", ".join(_column(c, zone, as_text=as_text, defused=defused) for c in columns)
    return (
        f"SELECT {shown}\nFROM read_parquet({literal(str(members))}) AS m\n"
        f"LEFT JOIN {tables.users} AS u ON u.{user_id} = m.user_id\nORDER BY m.user_id"
    )


def _column(column: Property, zone: str, *, as_text: bool, defused: bool) -> str:
    harmful = defused and re.match(FORMULA, column.name)
    name = identifier("'" + column.name if harmful else column.name)
    if column.name == "#user_id":
        return f"m.user_id AS {name}"
    value = "m.value" if column.table == "cluster" else f"u.{identifier(column.name)}"
    if column.type == "time":
        instant = f"timezone('UTC', {value})"  # TIMESTAMP WITH TIME ZONE: a column that says what it means
        return f"{f'timezone({literal(zone)}, {instant})' if as_text else instant} AS {name}"
    if as_text and column.type == "list":
        value = f"CAST(to_json({value}) AS VARCHAR)"
    if defused and column.type in ("string", "list"):
        value = f"CASE WHEN regexp_matches({value}, {literal(FORMULA)}) THEN '''' || {value} ELSE {value} END"
    return f"{value} AS {name}"
