"""The operation that describes a project's events and properties, and the search for them by words in either language."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from mcp_server.errors import NotFound
from mcp_server.language.metadata import Event, Metadata, Names, Property
from mcp_server.language.problems import shorten
from mcp_server.language.suggest import Spelling, alike, fold, nearest_named, one_sign_apart, spelling
from mcp_server.operations.arguments import Limit, Offset, ProjectId, Search
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, Result, operation
from mcp_server.text import NOTHING, Text

# Search: in names, display names, remarks and values, in either language


LEAST = 0.62
"""Likeness from which something counts as a match."""
_REMARK, _VALUE = 0.85, 0.9
"""A match in a remark or in a value counts a little less than one in a name."""


class Hit(NamedTuple):
    """An item that matches, how well (0 to 1), and which of its values were searched for."""

    item: Event | Property
    score: float
    values: tuple[str, ...] = ()


def search(metadata: Metadata, words: str, event: Event | None = None) -> list[Hit]:
    """Events and properties, best first. Without words all of them: events by count, user properties, event properties.

    With an event: it and what it carries.
    """
    terms = words.split()
    if len(terms) > 1:
        terms.insert(0, words.strip())  # all of it may be one name or one value
    items: tuple[Event | Property, ...] = (event, *_carried(metadata, event)) if event else metadata.in_order
    if not terms:
        return [Hit(item, 1.0) for item in items]
    hits = [hit for item in items if (hit := _scored(item, terms)).score >= LEAST]
    hits = hits or [Hit(item, LEAST) for item in items if _nearly(item, terms)]
    return sorted(hits, key=lambda h: -h.score)


def _carried(metadata: Metadata, event: Event) -> list[Property]:
    """The properties of an event; all of events where the platform does not report which events carry what."""
    properties = metadata.properties_of("event")
    reported = any(p.events for p in properties)
    return [p for p in properties if event.name in p.events] if reported else properties


def _nearly(item: Event | Property, terms: list[str]) -> bool:
    """Whether a short Chinese term is a name but for one character; looked at where nothing else matches."""
    return any(one_sign_apart(term, name) for term in terms for name in (item.name, item.names.zh))


def _scored(item: Event | Property, terms: list[str]) -> Hit:
    """How well an item matches: its best term counts most, each further one a little."""
    best, good = 0.0, 0
    values: dict[str, None] = {}
    for term in terms:
        score = _in_names(spelling(term), item.name, item.names)
        value = _in_values(term, item) if isinstance(item, Property) else ""
        if value:
            values[value] = None
            score = max(score, _VALUE)
        best = max(best, score)
        good += score >= LEAST
    return Hit(item, best + 0.05 * max(0, good - 1), tuple(values))


def _in_names(word: Spelling, name: str, names: Names) -> float:
    best = max(alike(word, known) for known in _spellings(name, names.en, names.zh))
    if best < _REMARK and len(word.folded) > 1 and word.folded in fold(f"{names.remark_en} {names.remark_zh}"):
        return _REMARK
    return best


@lru_cache(maxsize=20_000)
def _spellings(*names: str) -> tuple[Spelling, ...]:
    """The names of one thing, and the words in them."""
    known = dict.fromkeys(part for name in names if name for part in (name, *name.replace("_", " ").split()))
    return tuple(map(spelling, known))


def _in_values(word: str, item: Property) -> str:
    """The value that a word names, if any: an exact one first; a word of one letter names only itself."""
    folded = fold(word)
    if not folded:  # nothing but punctuation
        return next((value for value, _ in item.top if word in value), "")
    exact = item.value_by_spelling.get(folded, "")
    if exact or len(folded) < 2:
        return exact
    spellings = item.value_by_spelling.items()
    return next((value for own, value in spellings if len(own) > 1 and (folded in own or own in folded)), "")


# The operation


VALUES_SHOWN = 8
FEW = 3
"""Results that are few enough to show everything that the platform reports of each."""


class DescribeData(Params):
    search: Search = ""
    event: str = Field("", description="Only this event and the properties it carries")
    limit: Limit = 20
    offset: Offset = 0
    project_id: ProjectId = ""


class EventRow(Result.Row):
    """One kind of event."""

    event: str
    display_name: str = ""
    remark: str = ""
    count: int | None = None
    users: int | None = None
    first: str = ""
    last: str = ""
    more: dict[str, str] = Field({})


class PropertyRow(Result.Row):
    """One property."""

    property: str
    table: str
    type: str
    display_name: str = ""
    remark: str = ""
    values: tuple[str, ...] = ()
    """Most frequent first."""
    more_values: int = 0
    low: str = ""
    high: str = ""
    missing: str = ""
    """Share of rows without a value."""
    events: tuple[str, ...] = ()
    """Events that carry it; empty in the answer for one event."""
    more: dict[str, str] = Field({})
    """What else the platform reports of it, by its own names; only where there are few results."""


class Described(PartialResult):
    project_id: str
    today: str
    time_zone: str
    users: int | None = None
    event_rows: int | None = None
    first_day: str = ""
    last_day: str = ""
    loaded_at: str = ""
    age_days: int | None = Field(None, description="Days since the data was loaded")
    events: tuple[EventRow, ...] = ()
    properties: tuple[PropertyRow, ...] = ()
    total: int = Field(description="Events and properties that match")
    left_out: int = Field(0, description="Of them, not shown here")


@operation(title=Text("Find events and properties", "查找事件与属性"), effect=Effect.READ)
async def describe_data(params: DescribeData, deps: Deps) -> Described:
    """Find the events and properties that a definition may name, by words in English or Chinese (fuzzy; values are
    searched too). Call it before writing a definition: names must be exact. Without words it lists everything, a page
    at a time. "user" properties go into the top filts, "event" ones into an event's own filts."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    hits = search(metadata, params.search, _event(metadata, params.event))
    return _described(hits, params, project, metadata, deps)


def _described(hits: list[Hit], params: DescribeData, project: str, metadata: Metadata, deps: Deps) -> Described:
    page = hits[params.offset : params.offset + params.limit]
    left = max(0, len(hits) - params.offset - len(page))
    few = len(hits) <= FEW
    age = deps.data.age(project) if deps.data is not None else None
    return Described(
        message=deps.say(_message(hits, left, params)),
        next=deps.say(_next(hits, left, params, deps)),
        project_id=project,
        today=metadata.today.isoformat(),
        time_zone=metadata.zone,
        users=metadata.users,
        event_rows=metadata.rows,
        first_day=age.first if age else "",
        last_day=age.last if age else "",
        loaded_at=age.loaded_at if age else "",
        age_days=age.days if age else None,
        events=tuple(_event_row(h.item, deps, few=few) for h in page if isinstance(h.item, Event)),
        properties=tuple(
            _property_row(h.item, h.values, deps, params.event, few=few) for h in page if isinstance(h.item, Property)
        ),
        total=len(hits),
        left_out=left,
    )


async def describe_property(name: str, deps: Deps) -> Described:
    """The property of this name: the user's, the events', or both. NotFound names the nearest."""
    project = deps.project("")
    metadata = await deps.segments.metadata(project)
    hits = [Hit(p, 1.0) for table in ("user", "event") if (p := metadata.property(table, name))]
    if not hits:
        known = {p.name: (p.names.en, p.names.zh) for p in metadata.properties if p.table != "cluster"}
        raise _no_such(Text('There is no property "{name}".{hint}', "没有属性“{name}”。{hint}"), name, known)
    return _described(hits, DescribeData(), project, metadata, deps)


def _event(metadata: Metadata, name: str) -> Event | None:
    event = metadata.event_by_name.get(name)
    if name and event is None:
        known = {e.name: (e.names.en, e.names.zh) for e in metadata.events}
        raise _no_such(Text('There is no event "{name}".{hint}', "没有事件“{name}”。{hint}"), name, known)
    return event


def _no_such(text: Text, name: str, known: Mapping[str, tuple[str, str]]) -> NotFound:
    near = nearest_named(name, dict(known))
    hint = Text(" Did you mean {near}?", "是否指 {near}？").format(near=near) if near else NOTHING
    return NotFound(
        text.format(name=shorten(name, 80), hint=hint),
        next_step=Text("Call describe_data with search instead.", "请改用 search 参数查找。"),
    )


def _message(hits: list[Hit], left: int, params: DescribeData) -> Text:
    if not hits:
        return Text('Nothing matches "{words}".', "没有找到与“{words}”相符的内容。").format(
            words=shorten(params.search)
        )
    rest = Text("; {left} more not shown", "；另有 {left} 项未显示").format(left=left) if left else NOTHING
    return Text("{n} found{rest}.", "找到 {n} 项{rest}。").format(n=len(hits), rest=rest)


def _next(hits: list[Hit], left: int, params: DescribeData, deps: Deps) -> Text:
    if not hits and deps.segments.name != "local":
        return Text(
            "Try other words (the account has its names in one language only), or none to list everything.",
            "请换其他词（账号中的名称只有一种语言），或不带 search 列出全部。",
        )
    if not hits:
        return Text("Try other words, or none to list everything.", "请换其他词，或不带 search 列出全部。")
    if left:
        more = params.offset + params.limit
        return Text(
            "More: offset {more}, or narrow with search or event.", "更多：offset {more}，或用 search、event 缩小范围。"
        ).format(more=more)
    return Text("Write the definition and call validate_definition.", "据此写出定义，再调用 validate_definition。")


def _event_row(event: Event, deps: Deps, *, few: bool) -> EventRow:
    return EventRow(
        event=event.name,
        display_name=deps.say(Text(event.names.en, event.names.zh)),
        remark=deps.say(Text(event.names.remark_en, event.names.remark_zh)),
        count=event.count or None,  # an event that was counted has rows
        users=event.users if event.count else None,
        first=event.first,
        last=event.last,
        more=dict(event.more) if few else {},
    )


def _property_row(item: Property, searched: tuple[str, ...], deps: Deps, event: str, *, few: bool) -> PropertyRow:
    # A value that was searched for is shown first, however rare it is.
    values = [*searched, *(v.value for v in item.top if v.value not in searched)]
    return PropertyRow(
        property=item.name,
        table=item.table,
        type=item.type,
        display_name=deps.say(Text(item.names.en, item.names.zh)),
        remark=deps.say(Text(item.names.remark_en, item.names.remark_zh)),
        values=tuple(values[:VALUES_SHOWN]),
        more_values=max(0, item.distinct - VALUES_SHOWN) if item.top else 0,
        low=item.low,
        high=item.high,
        missing=f"{item.null_share:.1%}" if item.null_share else "",
        events=() if event else item.events[:VALUES_SHOWN],
        more=dict(item.more) if few else {},
    )
