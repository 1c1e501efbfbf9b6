"""The strict form of a tag's definition (qp.md section 5): `tagQp`, one of three kinds.

As in `model.py`, what these models accept is what the published schema accepts, and errors carry our codes.
"""

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StrictBool, StrictStr, StringConstraints, model_validator

from mcp_server.qp import vocabulary as words
from mcp_server.qp.metadata import Metadata, ValueType
from mcp_server.qp.model import (
    TAG,
    EventFilter,
    Measure,
    Name,
    Part,
    Qp,
    RecentDay,
    Relation,
    Time,
    fault,
    filters_meaning,
    limit_depth,
    meaning_of,
    window_meaning,
    word_of,
)

TagKind = Literal["tag_condition_default", "tag_condition_by_firstlast_event", "tag_condition_by_quotation"]
MAX_VALUES = 100
"""Most values of one tag."""
PLAIN_MEASURE = "normal"
"""As `type` of a metric: a measure of the rows as they are; the vendor documents no other."""

TagText = Annotated[StrictStr, StringConstraints(max_length=words.MAX_TEXT)]
"""A value as it stands: "" and blanks are values too (qp.md section 1)."""


class TagValue(Part):
    """One value of a tag and who gets it: the first value whose definition selects a user wins."""

    tag_value: TagText = Field(alias="tagValue")
    tag_remark: TagText = Field("", alias="tagRemark")
    definition: Qp = Field(alias="userClusterDef")


class EventRows(Part):
    """The rows of one kind of event in a window that pass filters."""

    event_name: Name = Field(alias="eventName")
    recent_day: RecentDay = Field("", alias="recentDay")
    start_time: Time = Field("", alias="startTime")
    end_time: Time = Field("", alias="endTime")
    relation: Relation = "and"
    filts: tuple[EventFilter, ...] = ()

    @model_validator(mode="after")
    def _not_too_deep(self) -> Self:
        limit_depth(self.filts)
        return self


class TakenProperty(Part):
    """`calcPropVo.property`: whose value becomes the tag's value."""

    column_name: Name = Field(alias="columnName")
    table_type: Annotated[StrictStr, word_of(words.TABLES_IN_EVENT, "table_unknown")] = Field(alias="tableType")


class CalcProp(Part):
    """`calcPropVo`: a property as it is; calculations are refused (qp.md section 5)."""

    is_calc: StrictBool = Field(False, alias="isCalc")
    property: TakenProperty

    @model_validator(mode="after")
    def _no_calculation(self) -> Self:
        if self.is_calc:
            raise fault("tag_calculation", "isCalc")
        return self


class FirstLastEvent(EventRows):
    """A property's value in the user's first or last matching event."""

    is_first: StrictBool = Field(alias="isFirstEvent")
    calc_prop: CalcProp = Field(alias="calcPropVo")


class FirstLast(Part):
    """`userTagConFirstLastEventDef`."""

    event: FirstLastEvent = Field(alias="userTagConFirstLastEvent")


class QuotaEvent(EventRows):
    """The measure of every user with at least one matching row."""

    type: Annotated[StrictStr, word_of((PLAIN_MEASURE,), "tag_type_unknown")] = PLAIN_MEASURE
    analysis: Annotated[StrictStr, word_of(words.MEASURES, "analysis_unknown")]
    quota: Name = ""

    @property
    def measure(self) -> Measure:
        return Measure.model_construct(analysis=self.analysis, quota=self.quota)

    @model_validator(mode="after")
    def _quota_fits(self) -> Self:
        if bool(self.quota) != bool(words.MEASURES[self.analysis].quota_types):
            raise fault("quota_unexpected", "quota") if self.quota else fault("quota_missing")
        return self


class Quota(Part):
    """`userTagConQuotaDef`."""

    event: QuotaEvent = Field(alias="userTagConQuotaEvent")


class TagQp(Part):
    """A whole definition of a tag: exactly one of the three."""

    catalog: ClassVar[str] = TAG
    values: Annotated[tuple[TagValue, ...], Field(max_length=MAX_VALUES)] = Field((), alias="userTagValueDefs")
    first_last: FirstLast | None = Field(None, alias="userTagConFirstLastEventDef")
    quota: Quota | None = Field(None, alias="userTagConQuotaDef")

    @property
    def kind(self) -> TagKind:
        """The vendor's `subConditionTabType`."""
        if self.first_last:
            return "tag_condition_by_firstlast_event"
        return "tag_condition_by_quotation" if self.quota else "tag_condition_default"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        for name in ("first_last", "quota"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise fault("type_wrong", type(self).model_fields[name].alias or name)
        if sum(map(bool, (self.values, self.first_last, self.quota))) != 1:
            raise fault("tag_kind")
        return self


def tag_value_type(tag: TagQp, metadata: Metadata) -> tuple[ValueType, int | None]:
    """The type of a tag's values, and of numbers the scale as in `Property.scale` (qp.md section 5).

    Text for custom values, a number for a measure, the property's own type for a first or last event. A sum, a
    largest and a smallest keep the scale of what they are made from, a median of exact numbers has one place more,
    an average is a double. A property that is unknown gives text, or a double where it was measured.
    """
    if tag.first_last:
        taken = tag.first_last.event.calc_prop.property
        found = metadata.property(taken.table_type, taken.column_name)
        return (found.type, found.scale) if found else ("string", None)
    if tag.quota is None:
        return "string", None
    event = tag.quota.event
    if words.MEASURES[event.analysis].counts:
        return "number", 0
    measured = metadata.property("event", event.quota)
    scale = measured.scale if measured else None
    if scale is None or event.analysis == "AVG":
        return "number", None
    return "number", scale + 1 if event.analysis == "MEDIAN" else scale


def tag_meaning_hash(definition: TagQp) -> str:
    """As `model.meaning_hash`; remarks are not meaning, the order of values is."""
    text = json.dumps(_meaning(definition), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _meaning(definition: TagQp) -> Any:
    if definition.first_last:
        event = definition.first_last.event
        taken = event.calc_prop.property
        return ["first" if event.is_first else "last", _rows(event), taken.table_type, taken.column_name.casefold()]
    if definition.quota:
        event_of = definition.quota.event
        return ["measure", _rows(event_of), event_of.analysis, event_of.quota.casefold()]
    return [[v.tag_value, meaning_of(v.definition)] for v in definition.values]


def _rows(event: EventRows) -> Any:
    window = window_meaning(event.recent_day, event.start_time, event.end_time)
    return [event.event_name, window, filters_meaning(event.filts, event.relation)]
