"""The strict, normalised form of a definition (qp.md section 1) as types.

What these models accept is exactly what `tool_schemas/qp.json` accepts (tested). Tolerated input is made
strict by `repair.py` first; what needs the project's metadata is in `check.py`. Errors carry our problem
codes as pydantic error types, so that every finding keeps the path of the key that the caller wrote.

Optional keys are absent, never null; here an absent text is "". There are no unions: a filter is one flat
object that is either a condition or, with `filterType: COMPOUND`, a group.
"""

import hashlib
import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mcp_server.qp import vocabulary as words
from mcp_server.qp.numbers import NUMBER, parse_number, plain

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
    return PydanticCustomError(code, "see mcp_server/qp/problems.py", {"at": at})


def word_of(table: Container[str], code: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in table:
            raise fault(code)
        return value

    return AfterValidator(check)


def _shaped(pattern: re.Pattern[str], code: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise fault(code)
        return value

    return AfterValidator(check)


Relation = Annotated[StrictStr, word_of(words.RELATIONS, "relation_unknown")]
Name = Annotated[StrictStr, StringConstraints(min_length=1, max_length=words.MAX_TEXT)]
Value = Annotated[StrictStr, StringConstraints(max_length=words.MAX_TEXT)]
RecentDay = Annotated[StrictStr, _shaped(_RECENT_DAY, "window_invalid")]
Time = Annotated[StrictStr, _shaped(_TIME, "window_invalid")]


CLUSTER, TAG = "catalog_cluster", "catalog_tag"
"""The vendor's names of the two kinds of things that are defined."""

P = TypeVar("P", bound="Part")


class Part(BaseModel):
    """A part of a definition: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    def wire(self) -> dict[str, Any]:
        """The part in the documented wire form, with the keys that were written and no others."""
        return self.model_dump(mode="json", exclude_unset=True)


class Measure(Part):
    """`taPropQuota`: what is computed over one user's matching rows (qp.md section 3)."""

    analysis: Annotated[StrictStr, word_of(words.MEASURES, "analysis_unknown")]
    quota: Name = ""

    @model_validator(mode="after")
    def _quota_fits(self) -> Self:
        if bool(self.quota) != bool(words.MEASURES[self.analysis].quota_types):
            raise fault("quota_unexpected", "quota") if self.quota else fault("quota_missing")
        return self


class Filter(Part):
    """One condition on a property, or a group of them (qp.md section 4)."""

    tables: ClassVar[tuple[str, ...]] = ()
    filter_type: Annotated[StrictStr, word_of((words.GROUP,), "filter_type_unknown")] = Field("", alias="filterType")
    relation: Relation = "and"
    table_type: StrictStr = Field("", alias="tableType")
    column_name: Name = Field("", alias="columnName")
    comparator: Annotated[StrictStr, word_of(words.COMPARATORS, "comparator_unknown")] = ""
    ftv: Annotated[tuple[Value, ...], Field(max_length=words.MANY)] = ()
    time_unit: Annotated[StrictStr, word_of(words.TIME_UNITS, "time_unit_unknown")] = Field("", alias="timeUnit")
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


class EventCondition(Part):
    """One entry of `events`: a measure of one user's matching rows compared with `num` (qp.md section 3)."""

    event_name: Name = Field(alias="eventName")
    comparator: Annotated[StrictStr, word_of(words.NUMBER_COMPARATORS, "comparator_unknown")]
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


class Qp(Part):
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


def _key(part: type[Part], name: str) -> str:
    return part.model_fields[name].alias or name


def _only(written: set[str], allowed: set[str], part: type[Part]) -> None:
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
