"""From a tag's definition to a plan (qp.md section 5)."""

from typing import cast

from mcp_server.engine.compile import Scope
from mcp_server.engine.plan import Column, MeasureTag, MeasureWord, TagPlan, TakenTag, ValuesTag, join
from mcp_server.qp import vocabulary as words
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.tags import FirstLastEvent, QuotaEvent, TagQp


def compile_tag(tag: TagQp, metadata: Metadata) -> TagPlan:
    """The plan of a tag's definition that was read without problems."""
    scope = Scope(metadata)
    if tag.first_last:
        return _taken(tag.first_last.event, scope)
    if tag.quota:
        return _measured(tag.quota.event, scope)
    values = tuple((v.tag_value, scope.conditions(v.definition)[0]) for v in tag.values)
    return ValuesTag(scope.plan(join("or", [tree for _, tree in values])), values)


def _taken(event: FirstLastEvent, scope: Scope) -> TakenTag:
    taken = event.calc_prop.property
    found = scope.property(taken.table_type, taken.column_name)
    return TakenTag(scope.rows(event), Column(found.table, found.name), event.is_first)


def _measured(event: QuotaEvent, scope: Scope) -> MeasureTag:
    word = cast("MeasureWord", event.analysis)
    found = scope.property("event", event.quota) if event.quota else None
    scale = 0 if words.MEASURES[word].counts or found is None else found.scale
    return MeasureTag(scope.rows(event), word, Column("event", found.name) if found else None, scale)
