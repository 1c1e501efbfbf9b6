"""What can be told of a definition by conditions from the metadata alone: what it costs, and what it takes for granted."""

from collections.abc import Iterator
from datetime import datetime

from mcp_server.language import vocabulary as words
from mcp_server.language.explain import event_of
from mcp_server.language.metadata import Event, Metadata
from mcp_server.language.model import EventCondition, EventSelection, Filter, Qp, TagQp, leaves
from mcp_server.language.numbers import parse_numbers
from mcp_server.language.window import instant, parse_time, recent_days, span_between, span_of_days
from mcp_server.text import Text

_NEVER_DID = Text(
    "users who never did {event} are counted in (a rule of this project; the vendor's size may differ)",
    "从未发生 {event} 的用户也计入（本项目的规则，平台上的人数可能不同）",
)
_NO_VALUE = Text(
    "users or events without a value of {name} are left out under {word} (a rule of this project; the vendor's size may differ)",
    "{word} 不含 {name} 无值的用户或事件（本项目的规则，平台上的人数可能不同）",
)


def rows_to_read(definition: Qp | TagQp, metadata: Metadata) -> int:
    """About how many event rows a computation reads: each event's rows, spread evenly over its time, inside the window."""
    return sum(_rows(part, metadata) for part in _events(definition))


def _events(definition: Qp | TagQp) -> Iterator[EventCondition | EventSelection]:
    """Everything in a definition that reads event rows."""
    event = event_of(definition) if isinstance(definition, TagQp) else None
    if event is not None:
        yield event
    for part in _clusters(definition):
        yield from part.events


def _clusters(definition: Qp | TagQp) -> tuple[Qp, ...]:
    """A cluster's definition itself, or those of the values of a tag."""
    return (definition,) if isinstance(definition, Qp) else tuple(v.definition for v in definition.values)


def _rows(condition: EventCondition | EventSelection, metadata: Metadata) -> int:
    if condition.event_name == words.ANY_EVENT:
        events = list(metadata.events)
    else:
        found = metadata.event_by_name.get(condition.event_name)
        events = [found] if found else []
    return round(sum(e.count * _share(condition, e, metadata) for e in events))


def _share(condition: EventCondition | EventSelection, event: Event, metadata: Metadata) -> float:
    """The part of an event's time that a window covers, 0 to 1."""
    days = recent_days(condition.recent_day, metadata.today) if condition.recent_day else None
    span = (
        span_of_days(days, metadata.tz) if days else span_between(condition.start_time, condition.end_time, metadata.tz)
    )
    first, last = _moment(event.first, metadata), _moment(event.last, metadata)
    if first is None or last is None or (span.start is None and span.end is None):
        return 1.0
    start = max(first, span.start) if span.start else first
    end = min(last, span.end) if span.end else last
    if end < start:
        return 0.0
    whole = (last - first).total_seconds()
    return (end - start).total_seconds() / whole if whole else 1.0


def _moment(text: str, metadata: Metadata) -> datetime | None:
    written = parse_time(text)
    return instant(written.moment, metadata.tz) if written else None


def assumptions(definition: Qp | TagQp, metadata: Metadata) -> tuple[Text, ...]:
    """Rules marked P in qp.md that the size of this definition rests on: there the vendor's size may differ."""
    found = [*_about_events(definition), *_about_values(definition, metadata)]
    return tuple(dict.fromkeys(found))


def _about_events(definition: Qp | TagQp) -> Iterator[Text]:
    for condition in (e for part in _clusters(definition) for e in part.events):
        if condition.measure.analysis == "TIMES" and _passes_zero(condition):
            yield _NEVER_DID.format(event=condition.event_name)


def _passes_zero(condition: EventCondition) -> bool:
    numbers = parse_numbers(condition.num) or ()
    passed = {
        words.Test.ABOVE: lambda: numbers[0] < 0,
        words.Test.BELOW: lambda: numbers[0] > 0,
        words.Test.ONE_OF: lambda: numbers[0] == 0,
        words.Test.BETWEEN: lambda: numbers[0] <= 0 <= numbers[1],
    }
    row = words.NUMBER_COMPARATORS[condition.comparator]
    return bool(numbers) and passed[row.test]() is not row.negated


def _about_values(definition: Qp | TagQp, metadata: Metadata) -> Iterator[Text]:
    everywhere: list[Filter] = [f for part in _clusters(definition) for f in leaves(part.filts)]
    everywhere += [f for rows in _events(definition) for f in leaves(rows.filts)]
    for part in everywhere:
        row, found = words.COMPARATORS[part.comparator], metadata.property(part.table_type, part.column_name)
        loses_missing = row.negated and row.test not in (words.Test.MISSING, words.Test.EMPTY, words.Test.TRUE)
        if found and found.null_share > 0 and loses_missing:
            yield _NO_VALUE.format(name=found.name, word=row.word)
