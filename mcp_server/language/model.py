"""The strict, normalised form of a definition as types: `qp` of a cluster (qp.md section 1) and `tagQp` of a tag (section 5)."""

import hashlib
import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, ValueType
from mcp_server.language.numbers import NUMBER, parse_number, plain

# The strict, normalised form of a definition (qp.md section 1) as types.
#
# What these models accept is exactly what `tool_schemas/qp.json` accepts (tested). Tolerated input is made strict by
# `repair.py` first; what needs the project's metadata is in `check.py`. Errors carry our problem codes as pydantic
# error types, so that every finding keeps the path of the key that the caller wrote.
#
# Optional keys are absent, never null; here an absent text is "". There are no unions: a filter is one flat object
# that is either a condition or, with `filterType: COMPOUND`, a group.


RECENT_DAY = "[0-9]{1,5}-[0-9]{1,5}"
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?"
"""Shapes only, of the whole text; what they may mean is in `window.py`."""

_NUM = re.compile(f"{NUMBER}(?:,{NUMBER})?")
_RECENT_DAY = re.compile(RECENT_DAY)
_DAY = re.compile(DAY)
_TIME = re.compile(TIME)


def fault(code: str, at: str = "") -> PydanticCustomError:
    """An error of a model that carries one of our problem codes; `at` is the key below the part that it is about."""
    return PydanticCustomError(code, "see mcp_server/language/problems.py", {"at": at})


def word_of(table: Container[str], code: str) -> BeforeValidator:
    """Refuse a text that is no word of the table with one of our codes."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "Input should be a valid string")
        if value not in table:
            raise fault(code)
        return value

    return BeforeValidator(check)


def _shaped(pattern: re.Pattern[str], code: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise fault(code)
        return value

    return AfterValidator(check)


Relation = Annotated[words.Relation, word_of(words.RELATIONS, "relation_unknown")]
Name = Annotated[StrictStr, StringConstraints(min_length=1, max_length=words.MAX_TEXT)]
Value = Annotated[StrictStr, StringConstraints(max_length=words.MAX_TEXT)]
RecentDay = Annotated[StrictStr, _shaped(_RECENT_DAY, "window_invalid")]
Time = Annotated[StrictStr, _shaped(_TIME, "window_invalid")]


CLUSTER, TAG = "catalog_cluster", "catalog_tag"
"""The vendor's names of the two kinds of things that are defined."""

P = TypeVar("P", bound="StrictModel")


class StrictModel(BaseModel):
    """A part of a definition: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    def wire(self) -> dict[str, Any]:
        """The part in the documented wire form, with the keys that were written and no others."""
        return self.model_dump(mode="json", exclude_unset=True)


class Measure(StrictModel):
    """`taPropQuota`: what is computed over one user's matching rows (qp.md section 3)."""

    analysis: Annotated[words.MeasureWord, word_of(words.MEASURES, "analysis_unknown")]
    quota: Name = ""

    @model_validator(mode="after")
    def _quota_fits(self) -> Self:
        if bool(self.quota) != bool(words.MEASURES[self.analysis].quota_types):
            raise fault("quota_unexpected", "quota") if self.quota else fault("quota_missing")
        return self


class Filter(StrictModel):
    """One condition on a property, or a group of them (qp.md section 4)."""

    tables: ClassVar[tuple[str, ...]] = ()
    filter_type: Annotated[Literal["COMPOUND", ""], word_of((words.GROUP,), "filter_type_unknown")] = Field(
        "", alias="filterType"
    )
    relation: Relation = "and"
    table_type: StrictStr = Field("", alias="tableType")
    column_name: Name = Field("", alias="columnName")
    comparator: Annotated[words.ComparatorWord | Literal[""], word_of(words.COMPARATORS, "comparator_unknown")] = ""
    ftv: Annotated[tuple[Value, ...], Field(max_length=words.MANY)] = ()
    time_unit: Annotated[words.TimeUnit | Literal[""], word_of(words.TIME_UNITS, "time_unit_unknown")] = Field(
        "", alias="timeUnit"
    )
    cluster_date: Annotated[StrictStr, _shaped(_DAY, "cluster_date_invalid")] = Field("", alias="specifiedClusterDate")

    @property
    def children(self) -> "Sequence[Filter]":
        """The parts of a group."""
        return ()

    @property
    def is_group(self) -> bool:
        return bool(self.filter_type)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        written = {name for name in self.model_fields_set if name != "filter_type"}
        if self.is_group:
            _only(written, {"relation", "filts"}, type(self))
            if not self.children:
                raise fault("group_empty", "filts")
            return self
        _only(written, {"table_type", "column_name", "comparator", "ftv", "time_unit", "cluster_date"}, type(self))
        for name in ("table_type", "column_name", "comparator"):
            if name not in written:
                raise fault("key_missing", _key(type(self), name))
        if self.table_type not in self.tables:
            raise fault("table_unknown", "tableType")
        return self._values_fit()

    def _values_fit(self) -> Self:
        row = words.COMPARATORS[self.comparator]
        if not row.values[0] <= len(self.ftv) <= row.values[1]:
            raise fault("ftv_count", "ftv")
        if row.in_event and "event" not in self.tables:
            raise fault("comparator_only_in_event", "comparator")
        if row.of_cluster and self.table_type != "cluster":
            raise fault("comparator_only_of_cluster", "comparator")
        if self.cluster_date and self.table_type != "cluster":
            raise fault("cluster_date_unexpected", "specifiedClusterDate")
        if row.in_event != bool(self.time_unit):
            raise fault("time_unit_unexpected", "timeUnit") if self.time_unit else fault("key_missing", "timeUnit")
        return self


class EventFilter(Filter):
    """A filter inside an event condition: on the event's own properties or on the user's."""

    tables = words.TABLES_IN_EVENT
    filts: "tuple[EventFilter, ...]" = ()

    @property
    def children(self) -> Sequence[Filter]:
        return self.filts


class UserFilter(Filter):
    """A filter at the top of a definition."""

    tables = words.TABLES_AT_TOP
    filts: "tuple[UserFilter, ...]" = ()

    @property
    def children(self) -> Sequence[Filter]:
        return self.filts


class EventCondition(StrictModel):
    """One entry of `events`: a measure of one user's matching rows compared with `num` (qp.md section 3)."""

    event_name: Name = Field(alias="eventName")
    comparator: Annotated[words.NumberComparatorWord, word_of(words.NUMBER_COMPARATORS, "comparator_unknown")]
    num: Annotated[StrictStr, StringConstraints(max_length=words.MAX_TEXT), _shaped(_NUM, "num_invalid")]
    measure: Measure = Field(alias="taPropQuota")
    recent_day: RecentDay = Field("", alias="recentDay")
    start_time: Time = Field("", alias="startTime")
    end_time: Time = Field("", alias="endTime")
    relation: Relation = "and"
    filts: tuple[EventFilter, ...] = ()

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if len(self.num.split(",")) != words.NUMBER_COMPARATORS[self.comparator].values:
            raise fault("num_count", "num")
        limit_depth(self.filts)
        return self


class Qp(StrictModel):
    """A whole definition of a cluster."""

    catalog: ClassVar[str] = CLUSTER
    events: Annotated[tuple[EventCondition, ...], Field(max_length=words.MAX_EVENTS)] = ()
    event_relation: Relation = "and"
    filts: tuple[UserFilter, ...] = ()
    relation: Relation = "and"
    event_user_relation: Relation = "and"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.events and not self.filts:
            raise fault("definition_empty")
        limit_depth(self.filts)
        return self


def _key(part: type[StrictModel], name: str) -> str:
    return part.model_fields[name].alias or name


def _only(written: set[str], allowed: set[str], part: type[StrictModel]) -> None:
    for name in sorted(written - allowed):
        raise fault("group_mixed", _key(part, name))


def limit_depth(filts: Sequence[Filter]) -> None:
    if depth(filts) > words.MAX_DEPTH:
        raise fault("definition_too_large", "filts")


def depth(filts: Sequence[Filter]) -> int:
    """How deep groups are nested: 0 for a flat list."""
    return max((1 + depth(f.children) for f in filts if f.is_group), default=0)


def leaves(filts: Sequence[Filter]) -> Iterator[Filter]:
    """Every condition, groups opened, in order."""
    for f in filts:
        if f.is_group:
            yield from leaves(f.children)
        else:
            yield f


def meaning_hash(definition: Qp) -> str:
    """A hash that is the same for definitions that differ only in what changes nothing.

    Left out: relations that join fewer than two parts, a date window beside `recentDay`, absent against
    default, the order of conditions that are joined, an empty list against an absent one, how `num` and a window
    are spelt.
    """
    text = json.dumps(meaning_of(definition), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def meaning_of(definition: Qp) -> dict[str, Any]:
    """What a definition says, without what changes nothing, as plain JSON."""
    events = _joined(definition.events, definition.event_relation, _event_meaning)
    users = _joined(definition.filts, definition.relation, _filter_meaning)
    both = definition.event_user_relation if definition.events and definition.filts else ""
    return {"events": events, "users": users, "join": both}


def _joined(parts: Sequence[P], relation: str, meaning: Callable[[P], Any]) -> dict[str, Any]:
    texts = sorted({json.dumps(meaning(p), sort_keys=True, ensure_ascii=False) for p in parts})
    return {"of": texts, "by": relation if len(texts) > 1 else ""}


def filters_meaning(filts: Sequence[Filter], relation: str) -> dict[str, Any]:
    """What a list of filters says, without what changes nothing."""
    return _joined(filts, relation, _filter_meaning)


def _event_meaning(event: EventCondition) -> dict[str, Any]:
    return {
        "event": event.event_name,
        "measure": [event.measure.analysis, event.measure.quota],
        "compare": [event.comparator, ",".join(map(_same_number, event.num.split(",")))],
        "window": window_meaning(event.recent_day, event.start_time, event.end_time),
        "filts": filters_meaning(event.filts, event.relation),
    }


def window_meaning(recent_day: str, start: str, end: str) -> list[str]:
    """What a window says; dates beside `recentDay` count for nothing."""
    days = [f"{int(day)}" for day in recent_day.split("-")] if recent_day else []
    return ["-".join(days)] if days else [_same_time(start), _same_time(end)]


def _same_number(text: str) -> str:
    """One spelling of a number: 1 for 1.0 and 1e0."""
    number = parse_number(text)
    return text if number is None else plain(number)


def _same_time(text: str) -> str:
    """One spelling of a time: a date is its midnight, as the start and as the end of a window (qp.md section 2)."""
    return text.removesuffix(" 00:00:00")


def _filter_meaning(part: Filter) -> Any:
    if part.is_group:
        return _joined(part.children, part.relation, _filter_meaning)
    ordered = words.COMPARATORS[part.comparator].values[1] < words.MANY
    values = list(part.ftv) if ordered else sorted(set(part.ftv))
    return [part.table_type, part.column_name.casefold(), part.comparator, values, part.time_unit, part.cluster_date]


# The strict form of a tag's definition (qp.md section 5): `tagQp`, one of three kinds.
#
# As in `model.py`, what these models accept is what the published schema accepts, and errors carry our codes.


TagKind = Literal["tag_condition_default", "tag_condition_by_firstlast_event", "tag_condition_by_quotation"]
MAX_VALUES = 100
"""Most values of one tag."""
PLAIN_MEASURE: Literal["normal"] = "normal"
"""As `type` of a metric: a measure of the rows as they are; the vendor documents no other."""

TagText = Annotated[StrictStr, StringConstraints(max_length=words.MAX_TEXT)]
"""A value as it stands: "" and blanks are values too (qp.md section 1)."""


class TagValue(StrictModel):
    """One value of a tag and who gets it: the first value whose definition selects a user wins."""

    tag_value: TagText = Field(alias="tagValue")
    tag_remark: TagText = Field("", alias="tagRemark")
    definition: Qp = Field(alias="userClusterDef")


class EventSelection(StrictModel):
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


class TakenProperty(StrictModel):
    """`calcPropVo.property`: whose value becomes the tag's value."""

    column_name: Name = Field(alias="columnName")
    table_type: Annotated[Literal["event", "user"], word_of(words.TABLES_IN_EVENT, "table_unknown")] = Field(
        alias="tableType"
    )


class CalcProp(StrictModel):
    """`calcPropVo`: a property as it is; calculations are refused (qp.md section 5)."""

    is_calc: StrictBool = Field(False, alias="isCalc")
    property: TakenProperty

    @model_validator(mode="after")
    def _no_calculation(self) -> Self:
        if self.is_calc:
            raise fault("tag_calculation", "isCalc")
        return self


class FirstLastEvent(EventSelection):
    """A property's value in the user's first or last matching event."""

    is_first: StrictBool = Field(alias="isFirstEvent")
    calc_prop: CalcProp = Field(alias="calcPropVo")


class FirstLast(StrictModel):
    """`userTagConFirstLastEventDef`."""

    event: FirstLastEvent = Field(alias="userTagConFirstLastEvent")


class QuotaEvent(EventSelection):
    """The measure of every user with at least one matching row."""

    type: Annotated[Literal["normal"], word_of((PLAIN_MEASURE,), "tag_type_unknown")] = PLAIN_MEASURE
    analysis: Annotated[words.MeasureWord, word_of(words.MEASURES, "analysis_unknown")]
    quota: Name = ""

    @property
    def measure(self) -> Measure:
        return Measure.model_construct(analysis=self.analysis, quota=self.quota)

    @model_validator(mode="after")
    def _quota_fits(self) -> Self:
        if bool(self.quota) != bool(words.MEASURES[self.analysis].quota_types):
            raise fault("quota_unexpected", "quota") if self.quota else fault("quota_missing")
        return self


class Quota(StrictModel):
    """`userTagConQuotaDef`."""

    event: QuotaEvent = Field(alias="userTagConQuotaEvent")


class TagQp(StrictModel):
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


def _rows(event: EventSelection) -> Any:
    window = window_meaning(event.recent_day, event.start_time, event.end_time)
    return [event.event_name, window, filters_meaning(event.filts, event.relation)]
