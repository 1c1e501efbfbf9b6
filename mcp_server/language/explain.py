"""A definition by conditions in words, for a person to approve: who is in a cluster, who gets which value of a tag.

Made from the definition alone: dates are resolved, strictness and missing values are stated, every value is shown. Two
definitions of different meaning never read the same, in either language (tested). `wording.py` has the words for names,
values, windows and filters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import assert_never

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import EventCondition, EventSelection, FirstLastEvent, Qp, QuotaEvent, TagQp, TagValue
from mcp_server.language.values import parse_numbers, plain
from mcp_server.language.vocabulary import FIRST_LAST, FIRST_LAST_EVENT, QUOTA, QUOTA_EVENT, VALUES, Test
from mcp_server.language.wording import event_name, filter_text, joined, noted, plural, property_name, quoted, window
from mcp_server.text import NOTHING, Text, clauses, same

_EXACT = Context(prec=60)
"""Holds every number that a definition may hold, with all its digits."""

_SUMMARY = Text("As of {today}, {zone}: users who {what}.", "以 {today}（{zone}）为准，{what}。")
_MEET_ONE = Text("meet this condition: {parts}", "满足以下条件的用户：{parts}")
_MEET: Mapping[words.Relation, Text] = {
    "and": Text("meet all of: {parts}", "同时满足以下条件的用户：{parts}"),
    "or": Text("meet any of: {parts}", "满足以下任一条件的用户：{parts}"),
}
_MUST_MEET = Text("users must meet {join}: {parts}", "须{join}：{parts}")
_NUMBER = Text("({n})", "（{n}）")
_NUMBERED = Text("({n}) {part}", "（{n}）{part}")

_DID = Text("did {event} {compared}", "{event}的次数{compared}")
_MEASURED = Text("{measure} over {event} is {compared}", "{event}中 {measure}{compared}")
_NEVER = Text("never did {event}", "从未触发 {event}事件")
_NEVER_ANY = Text("never did any event", "从未触发任何事件")
_ONLY = Text("counting only events where {filters}", "只统计满足【{filters}】的事件")
_ONLY_JOINED = Text("counting only events that meet {filters}", "只统计{filters}的事件")
EVERY_EVENT = Text("counting every such event", "统计所有该事件")
"""For a comparison that needs words for an event condition without filters."""
_TIMES = Text("{n} time{s}", "{n} 次")

_OR_MORE = Text("{n} or more", "即至少 {n}{unit}")
_AT_MOST = Text("at most {n}", "即至多 {n}{unit}")
_SPAN = Text("that is {low} to {high}", "即 {low} 至 {high}{unit}")
_BOTH_INCLUDED = Text("both included", "含两端")
_IMPOSSIBLE = Text("no user can meet this", "没有用户能满足")
_WITH_NEVER = Text("includes users who never did it", "含从未做过的用户")
_WITHOUT_ROWS = Text("users without such an event or without a value are not included", "不含没有该事件或没有值的用户")
_WITHOUT_VALUES = Text(
    "events without a value count as none; users without such an event are not included",
    "事件均无值时计为 0，不含没有该事件的用户",
)


@dataclass(frozen=True, slots=True)
class ExplainedPart:
    """A top-level condition in words, or how the conditions are joined."""

    path: str
    """JSON Pointer inside the definition (`/events/0`, `/filts/1`); "" where it is about the whole."""
    text: Text
    """A clause without a full stop."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A definition in words."""

    summary: Text
    """All of it as one statement, with the day and the zone that dates were resolved by."""
    parts: tuple[ExplainedPart, ...]
    """Condition (1), (2), … of the summary in that order; of several, last how they are joined."""


@dataclass(frozen=True, slots=True)
class EventWords:
    """An event condition in words, by what a person changes one at a time."""

    head: Text
    """The measure and what it is compared with."""
    when: Text
    only: Text
    """Which rows count; empty where all of them do."""
    is_range: bool = False
    """The measure lies between two numbers; in English a window "from … to …" behind it needs a comma."""

    @property
    def sentence(self) -> Text:
        only = Text(f", {self.only.en}", f"，{self.only.zh}") if self.only.en else NOTHING
        comma = "," if self.is_range and self.when.en.startswith("from ") else ""
        return Text(f"{self.head.en}{comma} {self.when.en}{only.en}", f"{self.when.zh}，{self.head.zh}{only.zh}")


def explain_qp(definition: Qp, metadata: Metadata) -> Explanation:
    """Explain which users a definition selects. It must have passed its checks; unknown names are shown as they are."""
    conditions = _conditions(definition, metadata)
    clock = {"today": metadata.today, "zone": metadata.zone}
    if len(conditions) == 1:
        what = _MEET_ONE.format(parts=conditions[0].text)
        return Explanation(_SUMMARY.format(what=what, **clock), tuple(conditions))
    numbers = [_NUMBER.format(n=i) for i, _ in enumerate(conditions, 1)]
    outer, sides = _sides(definition, numbered([c.text for c in conditions]))
    what = _MEET[outer].format(parts=clauses(sides))
    joins = ExplainedPart("", _MUST_MEET.format(join=words.JOINS[outer], parts=clauses(_sides(definition, numbers)[1])))
    return Explanation(_SUMMARY.format(what=what, **clock), (*conditions, joins))


def _conditions(definition: Qp, metadata: Metadata) -> list[ExplainedPart]:
    return [
        *(ExplainedPart(f"/events/{i}", event_words(e, metadata).sentence) for i, e in enumerate(definition.events)),
        *(ExplainedPart(f"/filts/{i}", filter_text(f, metadata)) for i, f in enumerate(definition.filts)),
    ]


def numbered(parts: Sequence[Text]) -> list[Text]:
    """Parts with their numbers, from (1)."""
    return [_NUMBERED.format(n=i, part=part) for i, part in enumerate(parts, 1)]


def _sides(definition: Qp, items: Sequence[Text]) -> tuple[words.Relation, Sequence[Text]]:
    """The outermost relation, and what it joins; a side that is joined in another way is in brackets."""
    events, users = items[: len(definition.events)], items[len(definition.events) :]
    if not (events and users):
        return (definition.event_relation if events else definition.relation), items
    outer = definition.event_user_relation
    sides = ((events, definition.event_relation), (users, definition.relation))
    return outer, [p for side, relation in sides for p in (side if relation == outer else [joined(side, relation)])]


# Event conditions (qp.md section 3)


def event_words(event: EventCondition, metadata: Metadata) -> EventWords:
    """An event condition in words."""
    between = words.NUMBER_COMPARATORS[event.comparator].test is Test.BETWEEN
    is_range = between and not _is_open(event) and not _only_never(event)
    return EventWords(_head(event, metadata), window(event, metadata), _only_rows(event, metadata), is_range)


def _only_rows(event: EventCondition | EventSelection, metadata: Metadata) -> Text:
    """Which rows of an event count; nothing where all of them do."""
    if not event.filts:
        return NOTHING
    filters = joined([filter_text(f, metadata) for f in event.filts], event.relation)
    several = len(event.filts) > 1 or len(event.filts[0].filts) > 1
    return (_ONLY_JOINED if several else _ONLY).format(filters=filters)


def _head(event: EventCondition, metadata: Metadata) -> Text:
    name = event_name(event.event_name, metadata)
    if _only_never(event):
        return _NEVER_ANY if event.event_name == words.ANY_EVENT else _NEVER.format(event=name)
    numbers = parse_numbers(event.num)
    compared = noted(_compared(event), _notes(event, numbers) if numbers else [])
    if event.measure.analysis == "TIMES":
        return _DID.format(event=name, compared=compared)
    quota = property_name("event", event.measure.quota, metadata)
    measure = words.MEASURES[event.measure.analysis].text.format(quota=quota)
    return _MEASURED.format(event=name, measure=measure, compared=compared)


def _only_never(event: EventCondition) -> bool:
    """True of a number of times that passes only where it is 0."""
    row, numbers = words.NUMBER_COMPARATORS[event.comparator], parse_numbers(event.num)
    if event.measure.analysis != "TIMES" or not numbers or row.negated:
        return False
    return row.passes(0, numbers) and not row.passes(1, numbers)  # whole numbers, and a comparison takes a span of them


def _compared(event: EventCondition) -> Text:
    """A comparison with its numbers as they were written, "more than 4 times"."""
    row = words.NUMBER_COMPARATORS[event.comparator]
    written = event.num.split(",")
    times = event.measure.analysis == "TIMES"
    with_unit = [_TIMES.format(n=n, s=plural(n)) if times else same(n) for n in written]
    if row.test is not Test.BETWEEN:
        text = row.times_text if times and row.times_text else row.text
        return text.format(a=with_unit[0], n=written[0])
    at_least, at_most = words.OPEN_RANGES["measure"]
    if written[1] == words.NUMBER_MAX:
        return at_least.format(a=with_unit[0])
    if written[0] == words.NUMBER_MIN:
        return at_most.format(b=with_unit[1])
    return row.text.format(a=written[0], b=with_unit[1])


def _is_open(event: EventCondition) -> bool:
    """True of a range with an open end."""
    low, _, high = event.num.partition(",")
    return high == words.NUMBER_MAX or (bool(high) and low == words.NUMBER_MIN)


def _notes(event: EventCondition, numbers: tuple[Decimal, ...]) -> list[Text]:
    """What a person may not think of: ends, whole numbers, and users without an event or a value."""
    measure, row = words.MEASURES[event.measure.analysis], words.NUMBER_COMPARATORS[event.comparator]
    notes = [_BOTH_INCLUDED] if row.test is Test.BETWEEN and not _is_open(event) else []
    if measure.counts:
        notes += _whole(event, numbers)
    if row.negated and not measure.counts:
        notes.append(_WITHOUT_ROWS)  # "not 0" sounds as if it held for users without any
    elif row.passes(0, numbers):
        if measure.without_rows == "zero":
            notes.append(_WITH_NEVER)
        else:
            notes.append(_WITHOUT_VALUES if measure.counts else _WITHOUT_ROWS)
    return notes


def _whole(event: EventCondition, numbers: tuple[Decimal, ...]) -> list[Text]:
    """The counts that pass, where the comparison itself does not name the least or the greatest of them."""
    row, first = words.NUMBER_COMPARATORS[event.comparator], numbers[0]
    low, high = max(first.to_integral_value(ROUND_CEILING), Decimal(0)), numbers[-1].to_integral_value(ROUND_FLOOR)
    match row.test:
        case Test.ABOVE:
            return [_counts(_EXACT.add(high, 1), None, event)]
        case Test.BELOW:
            return [_counts(Decimal(0), _EXACT.subtract(first.to_integral_value(ROUND_CEILING), 1), event)]
        case Test.ONE_OF if row.negated:
            return [_counts(Decimal(1), None, event)] if first == 0 else []
        case Test.ONE_OF:
            return [] if first == high >= 0 else [_IMPOSSIBLE]
        case Test.BETWEEN:
            return _whole_range(event, numbers, low, high)
        case unknown:
            assert_never(unknown)


def _whole_range(event: EventCondition, numbers: tuple[Decimal, ...], low: Decimal, high: Decimal) -> list[Text]:
    if low > high:
        return [_IMPOSSIBLE]
    least, greatest = event.num.split(",")
    if greatest == words.NUMBER_MAX:
        return [] if low == numbers[0] else [_counts(low, None, event)]
    if least == words.NUMBER_MIN:
        return [] if high == numbers[1] else [_counts(Decimal(0), high, event)]
    return [] if (low, high) == numbers else [_counts(low, high, event)]


def _counts(low: Decimal, high: Decimal | None, event: EventCondition) -> Text:
    """Whole numbers from `low` (from 0 where less) to `high`, in words."""
    low = max(low, Decimal(0))
    unit = Text("", " 次") if event.measure.analysis == "TIMES" else NOTHING
    if high is None:
        return _OR_MORE.format(n=plain(low), unit=unit)
    if high < low:
        return _IMPOSSIBLE
    if low == 0:
        return _AT_MOST.format(n=plain(high), unit=unit)
    return _SPAN.format(low=plain(low), high=plain(high), unit=unit)


# Tags (qp.md section 5)

_ONE_VALUE = Text(
    "As of {today}, {zone}: a tag with one value, {parts}. {rest}.",
    "以 {today}（{zone}）为准，标签只有一个值：{parts}。{rest}。",
)
_IN_ORDER = Text(
    "As of {today}, {zone}: a user gets the first value that fits, in this order: {parts}. {rest}.",
    "以 {today}（{zone}）为准，依次判断，取第一个符合的标签值：{parts}。{rest}。",
)
_VALUE = Text(
    "{value} for users who meet this condition: {statement}", "{value}，适用于满足以下条件的用户：{statement}"
)
_OTHERS = Text("All other users have no value", "其他用户没有标签值")
_FITS_NONE = Text("Users whom none of them fits have no value", "都不符合的用户没有标签值")
_FIRST_FITS = Text(
    "The first value that fits counts; users whom none of them fits have no value",
    "依次判断，以第一个符合的标签值为准；都不符合的用户没有标签值",
)

_FROM_EVENTS = Text(
    "As of {today}, {zone}: each user's value is {what}. {rest}.",
    "以 {today}（{zone}）为准，每个用户的标签值：{what}。{rest}。",
)
_TAKEN = {
    True: Text("{property} in their first {event}", "首次{event}中{property}的值"),
    False: Text("{property} in their last {event}", "末次{event}中{property}的值"),
}
_OF_EVENT = Text("event {event}", " {event}事件")
_OF_ANY_EVENT = Text("event of any name", "任意事件")
_SAME_MOMENT = {
    True: Text("Of events at the same moment the one loaded first counts", "同一时刻有多个事件时，以最先载入的为准"),
    False: Text("Of events at the same moment the one loaded last counts", "同一时刻有多个事件时，以最后载入的为准"),
}
_NOTHING_TAKEN = Text(
    "{moment}; users without such an event, or without a value in it, have no value",
    "{moment}；没有该事件或该事件中无值的用户没有标签值",
)
_TAG_TIMES = Text("the number of times they did {event}", "{event}的次数")
_TAG_MEASURED = Text("{measure} over {event}", "{event}中 {measure}")
_NOT_ZERO = Text("Users without such an event have no value (not 0)", "没有该事件的用户没有标签值（不是 0）")
_COUNT_OF_NONE = Text(
    "Events without a value count as none; users without such an event have no value (not 0)",
    "事件均无值时计为 0；没有该事件的用户没有标签值（不是 0）",
)
_NOTHING_MEASURED = Text(
    "Users without such an event, or without a value in any of them, have no value",
    "没有该事件或事件均无值的用户没有标签值",
)


def explain_tag(tag: TagQp, metadata: Metadata) -> Explanation:
    """Explain who gets which value of a tag. It must have passed its checks; unknown names are shown as they are.

    The parts are the values in order and last which of them counts; of the other kinds, what is taken of the events
    and last who has no value. Remarks are not meaning and are left out.
    """
    clock = {"today": metadata.today, "zone": metadata.zone}
    if tag.event:
        rest, what = _without_value(tag.event), selection_words(tag.event, metadata).sentence
        path = f"/{FIRST_LAST}/{FIRST_LAST_EVENT}" if tag.first_last else f"/{QUOTA}/{QUOTA_EVENT}"
        summary = _FROM_EVENTS.format(what=what, rest=rest, **clock)
        return Explanation(summary, (ExplainedPart(path, what), ExplainedPart("", rest)))
    texts = [value_text(value, metadata) for value in tag.values]
    parts = [ExplainedPart(f"/{VALUES}/{i}", text) for i, text in enumerate(texts)]
    if len(texts) == 1:
        summary, rest = _ONE_VALUE.format(parts=texts[0], rest=_OTHERS, **clock), _OTHERS
    else:
        summary = _IN_ORDER.format(parts=clauses(numbered(texts)), rest=_FITS_NONE, **clock)
        rest = _FIRST_FITS
    return Explanation(summary, (*parts, ExplainedPart("", rest)))


def value_text(value: TagValue, metadata: Metadata) -> Text:
    """One value of a tag and who it is for: all conditions as one, in brackets where there are several."""
    outer, sides = _sides(value.definition, [c.text for c in _conditions(value.definition, metadata)])
    return _VALUE.format(value=quoted(value.tag_value), statement=joined(sides, outer))


def selection_words(event: FirstLastEvent | QuotaEvent, metadata: Metadata) -> EventWords:
    """What a tag takes from each user's events, in words."""
    head = _taken(event, metadata) if isinstance(event, FirstLastEvent) else _measured(event, metadata)
    return EventWords(head, window(event, metadata), _only_rows(event, metadata))


def _taken(event: FirstLastEvent, metadata: Metadata) -> Text:
    taken = event.calc_prop.property
    name = property_name(taken.table_type, taken.column_name, metadata)
    blank = "" if taken.table_type == "user" else " "
    of_event = _OF_EVENT.format(event=event_name(event.event_name, metadata))
    if event.event_name == words.ANY_EVENT:
        of_event = _OF_ANY_EVENT
    return _TAKEN[event.is_first].format(property=Text(name.en, blank + name.zh), event=of_event)


def _measured(event: QuotaEvent, metadata: Metadata) -> Text:
    name = event_name(event.event_name, metadata)
    if event.analysis == "TIMES":
        return _TAG_TIMES.format(event=name)
    measure = words.MEASURES[event.analysis].text.format(quota=property_name("event", event.quota, metadata))
    return _TAG_MEASURED.format(event=name, measure=measure)


def _without_value(event: FirstLastEvent | QuotaEvent) -> Text:
    """Who has no value, and which event counts where several could."""
    if isinstance(event, FirstLastEvent):
        return _NOTHING_TAKEN.format(moment=_SAME_MOMENT[event.is_first])
    row = words.MEASURES[event.analysis]
    if not row.counts:
        return _NOTHING_MEASURED
    return _COUNT_OF_NONE if row.quota_types else _NOT_ZERO
