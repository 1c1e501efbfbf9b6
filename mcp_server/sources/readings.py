"""How a column that has been looked at is read: as an id, a time, a property."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_server.sources.base import SourceColumn
from mcp_server.sources.columns import ColumnReader, ColumnReading
from mcp_server.sources.files.tables import FileTable, engine_reading
from mcp_server.sources.forms import ISO, TEXT_FORM, WHOLE, YEAR_FIRST, ValueForm, forms_for
from mcp_server.sources.survey import Fact

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def text_of(fact: Fact) -> str:
    return fact.x if fact.column.kind == "text" else f"CAST({fact.x} AS VARCHAR)"


def whole_ids(connection: "DuckDBPyConnection", table: FileTable, fact: Fact, source: str) -> ColumnReading:
    if fact.column.kind not in ("text", "VARCHAR", "ENUM", "OTHER"):
        return ColumnReader(connection, table.relation, source).column(
            fact.x, SourceColumn("#user_id", fact.column.kind), "whole"
        )
    return WHOLE.reading(text_of(fact), "#user_id", system=True)


def time_reading(
    connection: "DuckDBPyConnection", table: FileTable, facts: Sequence[Fact], source: str
) -> ColumnReading:
    fact = facts[0]
    if fact.column.kind not in ("text", "VARCHAR", "ENUM", "OTHER"):
        return ColumnReader(connection, table.relation, source).column(
            fact.x, SourceColumn("#event_time", fact.column.kind), "time"
        )
    form = fact.decision.form if fact.decision is not None else TEXT_FORM
    offsets = fact.decision.offsets if fact.decision is not None else False
    if form.type != "time":
        form, offsets = (
            (
                fact.decision.nearest
                if fact.decision and fact.decision.nearest and fact.decision.nearest.type == "time"
                else ISO
            ),
            True,
        )
    form = _chosen(fact, form)
    if len(facts) > 1:
        joined = f"({text_of(fact)} || ' ' || {text_of(facts[1])})"
        return (YEAR_FIRST if form is ISO else form).reading(joined, "#event_time", offsets=True, system=True)
    return form.reading(text_of(fact), "#event_time", offsets=offsets, system=True)


def _chosen(fact: Fact, form: ValueForm) -> ValueForm:
    """The form that a rule names, where values allow several."""
    wanted = forms_for(fact.rule.type, fact.rule.read) if fact.rule.read else ()
    return wanted[0] if wanted and form not in wanted else form


def property_reading(
    connection: "DuckDBPyConnection", table: FileTable, fact: Fact, label: str, source: str
) -> ColumnReading:
    kind, rule = fact.column.kind, fact.rule
    if kind != "text" and (fact.decision is None or rule.type == "text"):
        if rule.type == "text" and kind not in ("VARCHAR", "ENUM", "OTHER"):
            return ColumnReading(label, "string", f"CAST({fact.x} AS VARCHAR)")
        return replace(engine_reading(connection, table, fact.column, source), name=label)
    if rule.type == "text" or fact.decision is None:
        return ColumnReading(label, "string", text_of(fact))
    form = fact.decision.form
    if rule.read.startswith("unit ") or (rule.type == "list" and rule.read not in ("", "json", "braces")):
        form = forms_for(rule.type, rule.read)[0]
    if form is TEXT_FORM:  # some values do not fit what the mapping says
        near = (
            fact.decision.nearest
            if fact.decision.nearest and fact.decision.nearest.type == rule.type
            else forms_for(rule.type, rule.read)[0]
        )
        return near.reading(text_of(fact), label, offsets=True, system=True)
    return _chosen(fact, form).reading(text_of(fact), label, offsets=fact.decision.offsets, words=fact.decision.words)
