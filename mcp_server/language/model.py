"""The strict form of a definition as types: `qp` of a cluster (qp.md section 1) and `tagQp` of a tag (section 5).

These models accept exactly what `tool_schemas/qp.json` and `tag_qp.json` accept (tested). `reading/repair.py` makes
tolerated input strict first; `reading/meaning.py` checks what needs the project's metadata. Errors carry our problem
codes as pydantic error types, so that every problem keeps the path of the key that the caller wrote.

Optional keys are absent, never null; here an absent text is "". There are no unions: a filter is one flat object
that is either a condition or, with `filterType: COMPOUND`, a group. The legal keys of an object are the aliases of its
model (`keys_of`).
"""

import hashlib
import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, assert_never, get_args

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
from mcp_server.language.values import NUMBER, parse_number, plain
from mcp_server.text import Text

RECENT_DAY = "[0-9]{1,5}-[0-9]{1,5}"
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?"
"""Shapes only, of the whole text; `window.py` knows what they mean."""

CLUSTER, TAG = "catalog_cluster", "catalog_tag"
"""The vendor's names of the two kinds of things that are defined."""
CONDITIONS = Text("conditions", "条件")


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


def _shaped(pattern: str, code: str) -> AfterValidator:
    shape = re.compile(pattern)

    def check(value: str) -> str:
        if not shape.fullmatch(value):
            raise fault(code)
        return value

    return AfterValidator(check)


Relation = Annotated[words.Relation, word_of(words.RELATIONS, "relation_unknown")]
Analysis = Annotated[words.MeasureWord, word_of(words.MEASURES, "analysis_unknown")]
Comparator = Annotated[words.ComparatorWord | Literal[""], word_of(words.COMPARATORS, "comparator_unknown")]
NumberComparator = Annotated[words.NumberComparatorWord, word_of(words.NUMBER_COMPARATORS, "comparator_unknown")]
TimeUnit = Annotated[words.TimeUnit | Literal[""], word_of(words.TIME_UNITS, "time_unit_unknown")]
FilterType = Annotated[Literal["COMPOUND", ""], word_of((words.GROUP,), "filter_type_unknown")]
TableInEvent = Annotated[Literal["event", "user"], word_of(words.TABLES_IN_EVENT, "table_unknown")]
Name = Annotated[StrictStr, StringConstraints(min_length=1, max_length=words.MAX_TEXT)]
Value = Annotated[StrictStr, StringConstraints(max_length=words.MAX_TEXT)]
"""A value as it is written: "" and blanks are values too (qp.md section 1)."""
RecentDay = Annotated[StrictStr, _shaped(RECENT_DAY, "window_invalid")]
Time = Annotated[StrictStr, _shaped(TIME, "window_invalid")]


class StrictModel(BaseModel):
    """A part of a definition: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    def wire(self) -> dict[str, Any]:
        """Return the part in the documented wire form, with the keys that were written and no others."""
        return self.model_dump(mode="json", exclude_unset=True)


# Clusters


class Measure(StrictModel):
    """`taPropQuota`: what is computed over one user's matching rows (qp.md section 3)."""

    analysis: Analysis
    quota: Name = ""

    @model_validator(mode="after")
    def _quota_fits(self) -> Self:
        _check_quota(self.analysis, self.quota)
        return self


def _check_quota(analysis: words.MeasureWord, quota: str) -> None:
    if bool(quota) != bool(words.MEASURES[analysis].quota_types):
        raise fault("quota_unexpected", "quota") if quota else fault("quota_missing")


class Filter(StrictModel):
    """One condition on a property, or a group of them (qp.md section 4)."""

    tables: ClassVar[tuple[str, ...]] = ()
    filter_type: FilterType = Field("", alias="filterType")
    relation: Relation = "and"
    filts: "tuple[Filter, ...]" = ()
    table_type: StrictStr = Field("", alias="tableType")
    column_name: Name = Field("", alias="columnName")
    comparator: Comparator = ""
    ftv: Annotated[tuple[Value, ...], Field(max_length=words.MANY)] = ()
    time_unit: TimeUnit = Field("", alias="timeUnit")
    cluster_date: Annotated[StrictStr, _shaped(DAY, "cluster_date_invalid")] = Field("", alias="specifiedClusterDate")

    @property
    def is_group(self) -> bool:
        return bool(self.filter_type)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        written = self.model_fields_set - {"filter_type"}
        of_group = {"relation", "filts"}
        for name in sorted(written - of_group if self.is_group else written & of_group):
            raise fault("group_mixed", _key(type(self), name))
        if self.is_group and not self.filts:
            raise fault("group_empty", "filts")
        return self if self.is_group else self._whole_condition(written)

    def _whole_condition(self, written: set[str]) -> Self:
        for name in ("table_type", "column_name", "comparator"):
            if name not in written:
                raise fault("key_missing", _key(type(self), name))
        if self.table_type not in self.tables:
            raise fault("table_unknown", "tableType")
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


class UserFilter(Filter):
    """A filter at the top of a definition."""

    tables = words.TABLES_AT_TOP
    filts: "tuple[UserFilter, ...]" = ()


class EventCondition(StrictModel):
    """One entry of `events`: a measure of one user's matching rows compared with `num` (qp.md section 3)."""

    event_name: Name = Field(alias="eventName")
    comparator: NumberComparator
    num: Annotated[Value, _shaped(f"{NUMBER}(?:,{NUMBER})?", "num_invalid")]
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
        _limit_depth(self.filts)
        return self


class Qp(StrictModel):
    """A whole definition of a cluster."""

    noun: ClassVar[Text] = CONDITIONS
    types_end: ClassVar[tuple[str, ...]] = ("_condition", "_result")
    body_key: ClassVar[str] = "qp"
    catalog: ClassVar[str] = CLUSTER
    events: Annotated[tuple[EventCondition, ...], Field(max_length=words.MAX_EVENTS)] = ()
    event_relation: Relation = "and"
    filts: tuple[UserFilter, ...] = ()
    relation: Relation = "and"
    event_user_relation: Relation = "and"

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.events and not self.filts:
            raise fault("definition_empty")
        _limit_depth(self.filts)
        return self


def _key(part: type[StrictModel], name: str) -> str:
    return part.model_fields[name].alias or name


def _limit_depth(filts: Sequence[Filter]) -> None:
    if _depth(filts) > words.MAX_DEPTH:
        raise fault("definition_too_large", "filts")


def _depth(filts: Sequence[Filter]) -> int:
    """How deep groups are nested: 0 for a flat list."""
    return max((1 + _depth(f.filts) for f in filts if f.is_group), default=0)


def leaves(filts: Sequence[Filter]) -> Iterator[Filter]:
    """Every condition, groups opened, in order."""
    for f in filts:
        if f.is_group:
            yield from leaves(f.filts)
        else:
            yield f


# Tags

TagKind = Literal["tag_condition_default", "tag_condition_by_firstlast_event", "tag_condition_by_quotation"]


class TagValue(StrictModel):
    """One value of a tag and who gets it: the first value whose definition selects a user wins."""

    tag_value: Value = Field(alias="tagValue")
    tag_remark: Value = Field("", alias="tagRemark")
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
        _limit_depth(self.filts)
        return self


class TakenProperty(StrictModel):
    """`calcPropVo.property`: whose value becomes the tag's value."""

    tables: ClassVar[tuple[str, ...]] = words.TABLES_IN_EVENT
    column_name: Name = Field(alias="columnName")
    table_type: TableInEvent = Field(alias="tableType")


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

    event: FirstLastEvent = Field(alias=words.FIRST_LAST_EVENT)


class QuotaEvent(EventSelection):
    """The measure of every user with at least one matching row."""

    type: Annotated[Literal["normal"], word_of((words.PLAIN_MEASURE,), "tag_type_unknown")] = words.PLAIN_MEASURE
    analysis: Analysis
    quota: Name = ""

    @property
    def measure(self) -> Measure:
        return Measure.model_construct(analysis=self.analysis, quota=self.quota)

    @model_validator(mode="after")
    def _quota_fits(self) -> Self:
        _check_quota(self.analysis, self.quota)
        return self


class Quota(StrictModel):
    """`userTagConQuotaDef`."""

    event: QuotaEvent = Field(alias=words.QUOTA_EVENT)


class TagQp(StrictModel):
    """A whole definition of a tag: exactly one of the three."""

    noun: ClassVar[Text] = CONDITIONS
    types_end: ClassVar[tuple[str, ...]] = ("_condition",)
    body_key: ClassVar[str] = "tagQp"
    catalog: ClassVar[str] = TAG
    values: Annotated[tuple[TagValue, ...], Field(max_length=words.MAX_VALUES)] = Field((), alias=words.VALUES)
    first_last: FirstLast | None = Field(None, alias=words.FIRST_LAST)
    quota: Quota | None = Field(None, alias=words.QUOTA)

    @property
    def event(self) -> FirstLastEvent | QuotaEvent | None:
        """The events that the values are taken from; None of custom values."""
        if self.first_last:
            return self.first_last.event
        return self.quota.event if self.quota else None

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
                raise fault("type_wrong", _key(type(self), name))
        if sum(map(bool, (self.values, self.first_last, self.quota))) != 1:
            raise fault("tag_kind")
        return self


# Keys

Keys = tuple[str, ...]


@cache
def keys_of(part: type[StrictModel]) -> Keys:
    """The legal keys of an object of a definition, in the documented spelling."""
    return tuple(_key(part, name) for name in part.model_fields)


def part_at(root: type[StrictModel], path: words.Path) -> type[StrictModel]:
    """The part of a definition that is at a path, or that holds the value there."""
    part = root
    for step in path:
        part = _parts_of(part).get(step, part)
    return part


@cache
def _parts_of(part: type[StrictModel]) -> dict[str | int, type[StrictModel]]:
    """The keys of an object that hold objects or lists of them, and what they hold."""
    held = {_key(part, name): _part_in(field.annotation) for name, field in part.model_fields.items()}
    return {key: inner for key, inner in held.items() if inner}


def _part_in(annotation: object) -> type[StrictModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, StrictModel):
        return annotation
    return next((part for part in map(_part_in, get_args(annotation)) if part), None)


# Meaning

P = TypeVar("P", bound=StrictModel)


def digest(meaning: object) -> str:
    """The hash of a meaning that is plain JSON."""
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def qp_hash(definition: Qp) -> str:
    """A hash that is the same for definitions that differ only in what changes nothing.

    Left out: relations that join fewer than two parts, a date window beside `recentDay`, absent against
    default, the order of conditions that are joined, an empty list against an absent one, how `num` and a window
    are spelt.
    """
    return digest(_qp_meaning(definition))


def tag_hash(definition: TagQp) -> str:
    """As `qp_hash`; remarks are not meaning, the order of values is."""
    if definition.first_last:
        event = definition.first_last.event
        taken = event.calc_prop.property
        kind = "first" if event.is_first else "last"
        return digest([kind, _rows_meaning(event), taken.table_type, taken.column_name.casefold()])
    if definition.quota:
        measured = definition.quota.event
        return digest(["measure", _rows_meaning(measured), measured.analysis, measured.quota.casefold()])
    return digest([[v.tag_value, _qp_meaning(v.definition)] for v in definition.values])


def _qp_meaning(definition: Qp) -> dict[str, Any]:
    events = _joined(definition.events, definition.event_relation, _event_meaning)
    users = _joined(definition.filts, definition.relation, _filter_meaning)
    both = definition.event_user_relation if definition.events and definition.filts else ""
    return {"events": events, "users": users, "join": both}


def _joined(parts: Sequence[P], relation: str, meaning: Callable[[P], Any]) -> dict[str, Any]:
    texts = sorted({json.dumps(meaning(p), sort_keys=True, ensure_ascii=False) for p in parts})
    return {"of": texts, "by": relation if len(texts) > 1 else ""}


def _event_meaning(event: EventCondition) -> dict[str, Any]:
    name, window, filts = _rows_meaning(event)
    return {
        "event": name,
        "measure": [event.measure.analysis, event.measure.quota],
        "compare": [event.comparator, ",".join(map(_same_number, event.num.split(",")))],
        "window": window,
        "filts": filts,
    }


def _rows_meaning(event: EventCondition | EventSelection) -> list[Any]:
    """The event, its window (dates beside `recentDay` count for nothing) and its filters."""
    if event.recent_day:
        window = ["-".join(f"{int(day)}" for day in event.recent_day.split("-"))]
    else:  # a date is its midnight, as the start and as the end of a window (qp.md section 2)
        window = [text.removesuffix(" 00:00:00") for text in (event.start_time, event.end_time)]
    return [event.event_name, window, _joined(event.filts, event.relation, _filter_meaning)]


def _same_number(text: str) -> str:
    """One spelling of a number: 1 for 1.0 and 1e0."""
    number = parse_number(text)
    return text if number is None else plain(number)


def _filter_meaning(part: Filter) -> Any:
    if part.is_group:
        return _joined(part.filts, part.relation, _filter_meaning)
    ordered = words.COMPARATORS[part.comparator].values[1] < words.MANY
    values = list(part.ftv) if ordered else sorted(set(part.ftv))
    return [part.table_type, part.column_name.casefold(), part.comparator, values, part.time_unit, part.cluster_date]


def tag_value_type(tag: TagQp, metadata: Metadata) -> tuple[ValueType, int | None]:
    """The type of a tag's values, and of numbers the scale as in `Property.scale` (qp.md section 5).

    Text for custom values, a number for a measure, the property's own type for a first or last event. A sum, a
    largest and a smallest keep the scale of what they are made from, a median of exact numbers has one place more,
    an average is a double. A property that is unknown gives text, or a double where it was measured.
    """
    if tag.first_last:
        taken = tag.first_last.event.calc_prop.property
        known = metadata.property(taken.table_type, taken.column_name)
        return (known.type, known.scale) if known else ("string", None)
    if tag.quota is None:
        return "string", None
    measured = metadata.property("event", tag.quota.event.quota)
    scale = measured.scale if measured else None
    match tag.quota.event.analysis:
        case "TIMES" | "DISTINCT":
            return "number", 0
        case "AVG":
            return "number", None
        case "MEDIAN":
            return "number", None if scale is None else scale + 1
        case "SUM" | "MAX" | "MIN":
            return "number", scale
        case unknown:
            assert_never(unknown)
