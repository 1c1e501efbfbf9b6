"""How one property is read from the relation of its source."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one
from mcp_server.engine.texts import Meaning, east, has_offset, is_not_a_number, read, read_strictly
from mcp_server.qp.metadata import ValueType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

    from mcp_server.engine.deciding import Decision

TYPES: "Mapping[Meaning, tuple[ValueType, int | None]]" = {
    "bool": ("bool", None),
    "whole": ("number", 0),
    "double": ("number", None),
    "time": ("time", None),
    "list": ("list", None),
    "text": ("string", None),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """All SQL speaks of the columns of the relation that the property is read from."""

    name: str
    type: ValueType
    value: str
    """SQL of the value; of a time, the clock reading as a TIMESTAMP, not yet an instant."""
    scale: int | None = None
    east: str | None = None
    """Times: SQL of the offset that was written, in minutes, NULL meaning local; None where all are local."""
    written: str = ""
    """System columns: SQL of what stands there, as text. Where it is something and the value is not, it cannot be read."""
    not_a_number: str = ""
    """SQL condition: NaN or an infinity, loaded as missing; empty where there can be none."""


def of_text(x: str, name: str, decision: "Decision") -> Reading:
    """A column of texts that all pass as what was decided."""
    kind, scale = TYPES[decision.meaning]
    return Reading(
        name,
        kind,
        read(decision.meaning, x, offsets=decision.offsets),
        scale,
        east=east(x) if decision.offsets else None,
        not_a_number=is_not_a_number(x) if decision.words else "",
    )


def of_system_text(connection: "DuckDBPyConnection", relation: str, x: str, name: str, meaning: Meaning) -> Reading:
    """A system column of texts: its meaning is given, and what does not read as that is a bad row."""
    kind, scale = TYPES[meaning]
    if meaning == "text":
        return Reading(name, kind, x)
    offsets = meaning == "time" and _any(connection, relation, has_offset(x))
    value = read_strictly(meaning, x, offsets=offsets)
    return Reading(name, kind, value, scale, east=east(x) if offsets else None, written=x)


def _any(connection: "DuckDBPyConnection", relation: str, condition: str) -> bool:
    return bool(one(connection, f"SELECT count(*) FROM (SELECT 1 FROM {relation} WHERE {condition} LIMIT 1)")[0])
