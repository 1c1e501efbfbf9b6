"""The words of a definition that the vendor does not document (marked U or P in qp.md), with their places.

The local engine runs all of them; on ThinkingData the deployment's setting `unverified_words` decides.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mcp_server.qp import vocabulary as words
from mcp_server.qp.definition import Definition
from mcp_server.qp.model import EventCondition, Filter, Qp
from mcp_server.qp.tags import EventRows, QuotaEvent, TagQp

Path = tuple[str | int, ...]


class Word(NamedTuple):
    """One word, and where it stands in the definition."""

    path: Path
    word: str
    mark: words.Mark


def unverified(definition: Definition) -> list[Word]:
    """Every word marked U or P, in the order of the definition; lists of ids and foreign definitions have none."""
    found: Iterator[Word] = iter(())
    if isinstance(definition, Qp):
        found = _of_cluster(definition, ())
    elif isinstance(definition, TagQp):
        found = _of_tag(definition)
    return list(found)


def _of_cluster(definition: Qp, at: Path) -> Iterator[Word]:
    for i, event in enumerate(definition.events):
        yield from _of_event(event, (*at, "events", i))
    yield from _of_filters(definition.filts, (*at, "filts"))


def _of_tag(tag: TagQp) -> Iterator[Word]:
    for i, value in enumerate(tag.values):
        yield from _of_cluster(value.definition, ("userTagValueDefs", i, "userClusterDef"))
    if tag.first_last:
        yield from _of_rows(tag.first_last.event, ("userTagConFirstLastEventDef", "userTagConFirstLastEvent"))
    if tag.quota:
        at = ("userTagConQuotaDef", "userTagConQuotaEvent")
        yield from _of_measure(tag.quota.event, (*at, "analysis"))
        yield from _of_rows(tag.quota.event, at)


def _of_event(event: EventCondition, at: Path) -> Iterator[Word]:
    row = words.NUMBER_COMPARATORS[event.comparator]
    if row.mark != "D":
        yield Word((*at, "comparator"), row.word, row.mark)
    yield from _of_measure(event, (*at, "taPropQuota", "analysis"))
    yield from _of_rows(event, at)


def _of_measure(event: EventCondition | QuotaEvent, at: Path) -> Iterator[Word]:
    row = words.MEASURES[event.measure.analysis]
    if row.mark != "D":
        yield Word(at, row.word, row.mark)


def _of_rows(event: EventCondition | EventRows, at: Path) -> Iterator[Word]:
    if event.event_name == words.ANY_EVENT:
        yield Word((*at, "eventName"), words.ANY_EVENT, "U")
    if event.recent_day and int(event.recent_day.partition("-")[0]) == 0 and event.recent_day != "0-1":
        yield Word((*at, "recentDay"), event.recent_day, "U")  # 0-1 stands in the page's examples of tags
    if not event.recent_day and bool(event.start_time) != bool(event.end_time):
        given = "startTime" if event.start_time else "endTime"
        yield Word((*at, given), given, "P")  # one end alone
    yield from _of_filters(event.filts, (*at, "filts"))


def _of_filters(filts: Sequence[Filter], at: Path) -> Iterator[Word]:
    for i, part in enumerate(filts):
        here = (*at, i)
        if part.is_group:
            yield Word((*here, "filterType"), words.GROUP, "U")
            yield from _of_filters(part.children, (*here, "filts"))
            continue
        if part.table_type == "cluster":
            yield Word((*here, "tableType"), "cluster", "U")
        row = words.COMPARATORS[part.comparator]
        if row.mark != "D":
            yield Word((*here, "comparator"), row.word, row.mark)
        if part.cluster_date:
            yield Word((*here, "specifiedClusterDate"), "specifiedClusterDate", "U")
