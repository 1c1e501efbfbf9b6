"""Rows of a query as lines of JSON, with every digit of a number as the engine has it."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS = 2_000
"""Rows of one chunk."""


def json_lines(connection: "DuckDBPyConnection", sql: str) -> Iterator[tuple[int, bytes]]:
    """The rows of a statement, so many at a time: their number, and one JSON array a line."""
    cursor = connection.execute(sql)
    while found := cursor.fetchmany(_ROWS):
        yield len(found), "".join(f"[{','.join(map(_cell, row))}]\n" for row in found).encode("utf-8", "replace")


def _cell(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else json.dumps(str(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return json.dumps(value.isoformat(sep=" ", timespec="milliseconds"))
    if isinstance(value, date):
        return json.dumps(value.isoformat())
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_cell, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{json.dumps(str(k))}:{_cell(v)}' for k, v in value.items())}}}"
    return json.dumps(str(value), ensure_ascii=False)
