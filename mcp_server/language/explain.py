"""A definition in words, for a person to approve: clusters, tags and SQL."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import (
    TAG,
    EventCondition,
    EventSelection,
    FirstLastEvent,
    Qp,
    QuotaEvent,
    TagQp,
    TagValue,
)
from mcp_server.language.numbers import parse_numbers, plain
from mcp_server.language.sql import SQL, DayRange, Sql, SqlReads, sql_meaning_hash
from mcp_server.language.vocabulary import FIRST_LAST, FIRST_LAST_EVENT, QUOTA, QUOTA_EVENT, VALUES, Test
from mcp_server.language.wording import (
    apart,
    event_name,
    filter_text,
    joined,
    named,
    noted,
    plural,
    property_name,
    quoted,
    span_of,
    visible,
    window,
)
from mcp_server.text import NOTHING, Text, listed, same

# A definition in words, for a person to approve.
#
# Made from the definition alone: dates resolved, strictness and missing values said, every value shown. Two
# definitions of different meaning never read the same, in either language (tested); the words for names, values,
# windows and filters are in `wording.py`.


_EXACT = Context(prec=60)
"""Holds every number that a definition may hold, with all its digits."""

_SUMMARY = Text("As of {today}, {zone}: users who {said}.", "以 {today}（{zone}）为准，{said}。")
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
"""Said where a comparison needs words for an event condition without filters."""
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
        apart = "," if self.is_range and self.when.en.startswith("from ") else ""
        return Text(f"{self.head.en}{apart} {self.when.en}{only.en}", f"{self.when.zh}，{self.head.zh}{only.zh}")


def explain(definition: Qp, metadata: Metadata) -> Explanation:
    """Say what a definition selects. It must have passed its checks; names that are unknown are shown as they are."""
    conditions = _conditions(definition, metadata)
    clock = {"today": metadata.today, "zone": metadata.zone}
    if len(conditions) == 1:
        return Explanation(_SUMMARY.format(said=_MEET_ONE.format(parts=conditions[0].text), **clock), tuple(conditions))
    numbered = number([c.text for c in conditions])
    numbers = [_NUMBER.format(n=i) for i, _ in enumerate(conditions, 1)]
    outer, sides = _sides(definition, numbered)
    said = _MEET[outer].format(parts=apart(sides))
    joins = ExplainedPart("", _MUST_MEET.format(join=words.JOINS[outer], parts=apart(_sides(definition, numbers)[1])))
    return Explanation(_SUMMARY.format(said=said, **clock), (*conditions, joins))


def _conditions(definition: Qp, metadata: Metadata) -> list[ExplainedPart]:
    return [
        *(ExplainedPart(f"/events/{i}", event_words(e, metadata).sentence) for i, e in enumerate(definition.events)),
        *(ExplainedPart(f"/filts/{i}", filter_text(f, metadata)) for i, f in enumerate(definition.filts)),
    ]


def statement(definition: Qp, metadata: Metadata) -> Text:
    """All conditions of a definition as one, in brackets where there are several."""
    outer, sides = _sides(definition, [c.text for c in _conditions(definition, metadata)])
    return joined(sides, outer)


def number(parts: Sequence[Text]) -> list[Text]:
    """Parts with their numbers, from (1)."""
    return [_NUMBERED.format(n=i, part=part) for i, part in enumerate(parts, 1)]


def _sides(definition: Qp, items: Sequence[Text]) -> tuple[words.Relation, Sequence[Text]]:
    """The outermost relation, and what it joins; a side that is joined in another way stands in brackets."""
    events, users = items[: len(definition.events)], items[len(definition.events) :]
    if not (events and users):
        return (definition.event_relation if events else definition.relation), items
    outer = definition.event_user_relation
    sides = ((events, definition.event_relation), (users, definition.relation))
    return outer, [p for side, relation in sides for p in (side if relation == outer else [joined(side, relation)])]


def event_words(event: EventCondition, metadata: Metadata) -> EventWords:
    """Say an event condition (qp.md section 3)."""
    is_range = words.NUMBER_COMPARATORS[event.comparator].test is Test.BETWEEN and not (
        _is_open(event) or _never(event)
    )
    return EventWords(_head(event, metadata), window(event, metadata), only_rows(event, metadata), is_range)


def only_rows(event: EventCondition | EventSelection, metadata: Metadata) -> Text:
    """Which rows of an event count; nothing where all of them do."""
    if not event.filts:
        return NOTHING
    filters = joined([filter_text(f, metadata) for f in event.filts], event.relation)
    several = len(event.filts) > 1 or len(event.filts[0].children) > 1
    return (_ONLY_JOINED if several else _ONLY).format(filters=filters)


def _head(event: EventCondition, metadata: Metadata) -> Text:
    name = event_name(event.event_name, metadata)
    numbers = parse_numbers(event.num)
    times = event.measure.analysis == "TIMES"
    if _never(event):
        return _NEVER_ANY if event.event_name == words.ANY_EVENT else _NEVER.format(event=name)
    compared = noted(_compared(event), _notes(event, numbers) if numbers else [])
    if times:
        return _DID.format(event=name, compared=compared)
    quota = property_name("event", event.measure.quota, metadata)
    measure = words.MEASURES[event.measure.analysis].text.format(quota=quota)
    return _MEASURED.format(event=name, measure=measure, compared=compared)


def _never(event: EventCondition) -> bool:
    """True of a number of times that can only be none."""
    numbers = parse_numbers(event.num)
    return event.measure.analysis == "TIMES" and bool(numbers) and _only_zero(event.comparator, numbers or ())


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
    low, _, high = event.num.partition(",")
    return high == words.NUMBER_MAX or (bool(high) and low == words.NUMBER_MIN)


# What follows from a comparison


def _holds(comparator: str, numbers: tuple[Decimal, ...], value: int) -> bool:
    """Whether a measure of this value passes."""
    row, first, last = words.NUMBER_COMPARATORS[comparator], numbers[0], numbers[-1]
    passed = {
        Test.ABOVE: value > first,
        Test.BELOW: value < first,
        Test.ONE_OF: value == first,
        Test.BETWEEN: first <= value <= last,
    }[row.test]
    return passed != row.negated


def _only_zero(comparator: str, numbers: tuple[Decimal, ...]) -> bool:
    """True where a count passes only if it is 0: of whole numbers from 0 up, all words but the negated take a span."""
    negated = words.NUMBER_COMPARATORS[comparator].negated
    return not negated and _holds(comparator, numbers, 0) and not _holds(comparator, numbers, 1)


def _notes(event: EventCondition, numbers: tuple[Decimal, ...]) -> list[Text]:
    """What a person may not think of: ends, whole numbers, and users without an event or a value."""
    row = words.MEASURES[event.measure.analysis]
    between = words.NUMBER_COMPARATORS[event.comparator].test is Test.BETWEEN
    notes = [_BOTH_INCLUDED] if between and not _is_open(event) else []
    if row.counts:
        notes += _whole(event, numbers)
    other_than = words.NUMBER_COMPARATORS[event.comparator].negated
    if other_than and not row.counts:
        notes.append(_WITHOUT_ROWS)  # "not 0" sounds as if it held for users without any
    elif _holds(event.comparator, numbers, 0):
        if row.without_rows == "zero":
            notes.append(_WITH_NEVER)
        else:
            notes.append(_WITHOUT_VALUES if row.counts else _WITHOUT_ROWS)
    return notes


def _whole(event: EventCondition, numbers: tuple[Decimal, ...]) -> list[Text]:
    """The counts that pass, where the comparison itself does not name the least or the greatest of them."""
    test, negated = words.NUMBER_COMPARATORS[event.comparator].test, words.NUMBER_COMPARATORS[event.comparator].negated
    low, high = _floor(numbers[0]), _floor(numbers[-1])
    if test is Test.ABOVE:
        return [_counts(_EXACT.add(low, 1), None, event)]
    if test is Test.BELOW:
        return [_counts(Decimal(0), _EXACT.subtract(_ceiling(numbers[0]), 1), event)]
    if test is Test.ONE_OF:
        if negated:
            return [_counts(Decimal(1), None, event)] if numbers[0] == 0 else []
        return [] if numbers[0] == low >= 0 else [_IMPOSSIBLE]
    return _whole_range(event, numbers, max(_ceiling(numbers[0]), Decimal(0)), high)


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


def _floor(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_FLOOR)


def _ceiling(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_CEILING)


# A tag's definition in words, for a person to approve: who gets which value, and who gets none (qp.md section 5).
#
# As in `explain.py`, everything is said that changes the result, and two tags of different meaning never read the
# same. Remarks are not meaning and are not said.


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
    "As of {today}, {zone}: each user's value is {said}. {rest}.",
    "以 {today}（{zone}）为准，每个用户的标签值：{said}。{rest}。",
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
    """Say who gets which value of a tag. It must have passed its checks; unknown names are shown as they are.

    The parts are the values in order and last which of them counts; of the other kinds, what is taken of the events
    and last who has no value.
    """
    clock = {"today": metadata.today, "zone": metadata.zone}
    said = event_tag_words(tag, metadata)
    if said:
        rest, text = _without_value(tag), said.sentence
        return Explanation(
            _FROM_EVENTS.format(said=text, rest=rest, **clock),
            (ExplainedPart(_event_path(tag), text), ExplainedPart("", rest)),
        )
    texts = [value_text(value, metadata) for value in tag.values]
    parts = [ExplainedPart(f"/{VALUES}/{i}", text) for i, text in enumerate(texts)]
    if len(texts) == 1:
        return Explanation(
            _ONE_VALUE.format(parts=texts[0], rest=_OTHERS, **clock), (*parts, ExplainedPart("", _OTHERS))
        )
    return Explanation(
        _IN_ORDER.format(parts=apart(number(texts)), rest=_FITS_NONE, **clock), (*parts, ExplainedPart("", _FIRST_FITS))
    )


def value_text(value: TagValue, metadata: Metadata) -> Text:
    """One value of a tag and who it is for."""
    return _VALUE.format(value=quoted(value.tag_value), statement=statement(value.definition, metadata))


def event_tag_words(tag: TagQp, metadata: Metadata) -> EventWords | None:
    """What a tag takes from each user's events; None for a tag of custom values."""
    event = event_of(tag)
    if event is None:
        return None
    head = _taken(event, metadata) if isinstance(event, FirstLastEvent) else _measured(event, metadata)
    return EventWords(head, window(event, metadata), only_rows(event, metadata))


def event_of(tag: TagQp) -> FirstLastEvent | QuotaEvent | None:
    """The events that a tag takes its values from; None for a tag of custom values."""
    if tag.first_last:
        return tag.first_last.event
    return tag.quota.event if tag.quota else None


def _event_path(tag: TagQp) -> str:
    return f"/{FIRST_LAST}/{FIRST_LAST_EVENT}" if tag.first_last else f"/{QUOTA}/{QUOTA_EVENT}"


def _taken(event: FirstLastEvent, metadata: Metadata) -> Text:
    taken = event.calc_prop.property
    name = property_name(taken.table_type, taken.column_name, metadata)
    apart_from_words = Text(name.en, name.zh if taken.table_type == "user" else f" {name.zh}")
    return _TAKEN[event.is_first].format(property=apart_from_words, event=_event(event, metadata))


def _event(event: EventSelection, metadata: Metadata) -> Text:
    if event.event_name == words.ANY_EVENT:
        return _OF_ANY_EVENT
    return _OF_EVENT.format(event=event_name(event.event_name, metadata))


def _measured(event: QuotaEvent, metadata: Metadata) -> Text:
    name = event_name(event.event_name, metadata)
    if event.analysis == "TIMES":
        return _TAG_TIMES.format(event=name)
    measure = words.MEASURES[event.analysis].text.format(quota=property_name("event", event.quota, metadata))
    return _TAG_MEASURED.format(event=name, measure=measure)


def _without_value(tag: TagQp) -> Text:
    """Who has no value, and which event counts where several could."""
    event = event_of(tag)
    if isinstance(event, FirstLastEvent):
        return _NOTHING_TAKEN.format(moment=_SAME_MOMENT[event.is_first])
    row = words.MEASURES[event.analysis] if event else None
    if row is None or not row.counts:
        return _NOTHING_MEASURED
    return _COUNT_OF_NONE if row.quota_types else _NOT_ZERO


# SQL in words: what it is for, what it reads, and the text as it stands; and what differs between two.


MOST_LINES = 20
"""Lines that a comparison of two texts shows."""

_SQL_SUMMARY = Text(
    "As of {today}, {zone}: {said}.{reads} The SQL:\n{sql}",
    "以 {today}（{zone}）为准，{said}。{reads}SQL 如下：\n{sql}",
)
_SELECTED = Text("the users that this SQL returns", "由 SQL 查询返回的用户")
_GIVEN = Text(
    "each user's value is the second column that this SQL returns; users that it does not return have no value",
    "标签值取 SQL 查询返回的第二列，未返回的用户没有标签值",
)
_TABLES = Text(" It reads {tables}", "读取的表：{tables}")
_COLUMNS = Text(", columns {columns}", "；列：{columns}")
_CLUSTERS = Text(", clusters and tags {clusters}", "；分群和标签：{clusters}")
_ANY_CLUSTER = Text(", all clusters and tags as they stand at that moment", "；分群和标签：计算时的全部")
_PARAMETERS = Text("; days of {name}: {days}", "；参数 {name} 的日期：{days}")
_STOP = Text(".", "。")

_CHANGED = Text("the SQL changes:\n{lines}", "SQL 有改动：\n{lines}")
_MORE = Text("({n} more lines)", "（另有 {n} 行）")
_DAYS_CHANGED = Text("the days of {name} change: “{old}” becomes “{new}”", "参数 {name} 的日期由“{old}”改为“{new}”")
_NO_DAYS = Text("no such parameter", "无此参数")


def explain_sql(definition: Sql, metadata: Metadata) -> Explanation:
    """Say what SQL is for and what it reads, and show it as it stands."""
    said = _GIVEN if definition.catalog == TAG else _SELECTED
    summary = _SQL_SUMMARY.format(
        today=metadata.today,
        zone=metadata.zone,
        said=said,
        reads=_reads(definition, metadata),
        sql=definition.sql.strip(),
    )
    return Explanation(summary, (ExplainedPart(f"/{SQL}", summary), ExplainedPart("", said)))


def _reads(definition: Sql, metadata: Metadata) -> Text:
    reads, parts = definition.reads, []
    if reads.tables:
        parts.append(_TABLES.format(tables=_names(reads.tables)))
    if reads.columns:
        parts.append(_COLUMNS.format(columns=listed([_column(name, reads, metadata) for name in reads.columns])))
    if reads.any_cluster:
        parts.append(_ANY_CLUSTER)
    elif reads.clusters:
        parts.append(_CLUSTERS.format(clusters=_names(reads.clusters)))
    parts += [_PARAMETERS.format(name=_name(name), days=_days(days, metadata)) for name, days in definition.parameters]
    return Text("".join(p.en for p in (*parts, _STOP)), "".join(p.zh for p in (*parts, _STOP))) if parts else NOTHING


def _column(name: str, reads: SqlReads, metadata: Metadata) -> Text:
    """A column with its display name; bare where two of the tables that are read have it."""
    kinds = [kind for kind in ("event", "user") if any(table.startswith(f"v_{kind}_") for table in reads.tables)]
    found = [known for kind in kinds if (known := metadata.property(kind, name))]
    said = named(name, found[0].names if len(found) == 1 else None)
    return Text(said.en, said.zh.rstrip())


def _names(names: tuple[str, ...]) -> Text:
    return listed([_name(name) for name in names])


def _name(name: str) -> Text:
    return same(f"`{visible(name, '`')}`")


def _days(days: DayRange, metadata: Metadata) -> Text:
    return span_of(days if isinstance(days, str) else "", *("", "") if isinstance(days, str) else days, metadata)


def compare_sql(old: Sql, new: Sql, metadata: Metadata) -> tuple[Text, ...]:
    """Say what changes from one SQL to another: its lines, and its days. Empty where both mean the same."""
    if sql_meaning_hash(old) == sql_meaning_hash(new):
        return ()
    changed = [] if old.sql.strip() == new.sql.strip() else [_CHANGED.format(lines=_lines(old.sql, new.sql))]
    return (*changed, *_days_changed(dict(old.parameters), dict(new.parameters), metadata))


def _lines(old: str, new: str) -> Text:
    """The lines that differ, as in a patch."""
    steps = difflib.ndiff(old.strip().splitlines(), new.strip().splitlines())
    found = [step.rstrip() for step in steps if step[:2] in ("- ", "+ ")]
    shown = same("\n".join(found[:MOST_LINES]))
    left = len(found) - MOST_LINES
    if left <= 0:
        return shown
    more = _MORE.format(n=left)
    return Text(f"{shown.en}\n{more.en}", f"{shown.zh}\n{more.zh}")


def _days_changed(old: Mapping[str, DayRange], new: Mapping[str, DayRange], metadata: Metadata) -> Iterator[Text]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            was, now = (_days(days[name], metadata) if name in days else _NO_DAYS for days in (old, new))
            yield _DAYS_CHANGED.format(name=quoted(name), old=was, new=now)
