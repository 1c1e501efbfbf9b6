"""From columns as they were written to properties with a type."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_server.engine.deciding import Decision, decide
from mcp_server.engine.json_columns import Form, forms
from mcp_server.engine.reading import Reading, of_system_text, of_text
from mcp_server.engine.staging import JSON, TEXT, Column, Staged
from mcp_server.engine.texts import ORDER, Meaning
from mcp_server.engine.typed_columns import of_system_type, of_type
from mcp_server.engine.values import Values, read_values

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def understand(
    connection: "DuckDBPyConnection", staged: Staged, fixed: Mapping[str, Meaning], source: str, name: str
) -> Values:
    """Decide how every column is read, and read it.

    `fixed` gives system columns their meaning, whatever their values look like. `source` names the files in errors;
    `name` is the relation that is made.
    """
    view = f"{name}_written"
    json = forms(connection, staged, frozenset(fixed), source)
    columns = "".join(f", {json[i].text if i in json else f'c{i}'} AS c{i}" for i in range(len(staged.columns)))
    connection.execute(f'CREATE TEMP VIEW {view} AS SELECT "$n", "$lost"{columns} FROM {staged.relation}')
    decisions = decide(connection, view, _votes(staged.columns, json, fixed))
    decisions |= {f"c{i}": Decision(form.meanings[0]) for i, form in json.items() if form.sure}
    readings = [
        _reading(connection, view, f"c{i}", column, fixed.get(column.name), decisions, source)
        for i, column in enumerate(staged.columns)
    ]
    notes = [*staged.notes]
    for i, column in enumerate(staged.columns):
        told = (json[i].note if i in json else None, decisions[f"c{i}"].note if f"c{i}" in decisions else None)
        notes += [(column.name, note) for note in told if note is not None and column.name not in fixed]
    # Texts are read once and then dropped; a Parquet file with proper types is only looked at.
    copy = any(column.kind in (TEXT, JSON) for column in staged.columns) or any(
        r.written and r.type == "time" for r in readings
    )
    values = read_values(connection, view, readings, name, copy=copy, notes=notes)
    if copy:
        connection.execute(f"DROP VIEW {view}")
        if staged.table:
            connection.execute(f"DROP TABLE {staged.table}")
    return values


def _votes(
    columns: Sequence[Column], json: Mapping[int, Form], fixed: Mapping[str, Meaning]
) -> dict[str, Sequence[Meaning]]:
    """The columns of texts whose type their values decide, with what they may be."""
    return {
        f"c{i}": json[i].meanings if column.kind == JSON else ORDER
        for i, column in enumerate(columns)
        if column.kind in (TEXT, JSON) and column.name not in fixed and not (i in json and json[i].sure)
    }


def _reading(
    connection: "DuckDBPyConnection",
    view: str,
    x: str,
    column: Column,
    meaning: Meaning | None,
    decisions: Mapping[str, Decision],
    source: str,
) -> Reading:
    if meaning is None:
        return (
            of_text(x, column.name, decisions[x])
            if x in decisions
            else of_type(connection, view, x, column.name, column.kind, source)
        )
    if column.kind in (TEXT, JSON):
        return of_system_text(connection, view, x, column.name, meaning)
    return of_system_type(connection, view, x, column.name, column.kind, meaning, source)
