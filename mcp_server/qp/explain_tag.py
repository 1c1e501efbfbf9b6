"""A tag's definition in words, for a person to approve: who gets which value, and who gets none (qp.md section 5).

As in `explain.py`, everything is said that changes the result, and two tags of different meaning never read the
same. Remarks are not meaning and are not said.
"""

from mcp_server.qp import vocabulary as words
from mcp_server.qp.explain import EventWords, Explanation, Part, number, only_rows, statement
from mcp_server.qp.keys import FIRST_LAST, FIRST_LAST_EVENT, QUOTA, QUOTA_EVENT, VALUES
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.tags import EventRows, FirstLastEvent, QuotaEvent, TagQp, TagValue
from mcp_server.qp.wording import apart, event_name, property_name, quoted, window
from mcp_server.text import Text

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
_TIMES = Text("the number of times they did {event}", "{event}的次数")
_MEASURED = Text("{measure} over {event}", "{event}中 {measure}")
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
            _FROM_EVENTS.format(said=text, rest=rest, **clock), (Part(_event_path(tag), text), Part("", rest))
        )
    texts = [value_text(value, metadata) for value in tag.values]
    parts = [Part(f"/{VALUES}/{i}", text) for i, text in enumerate(texts)]
    if len(texts) == 1:
        return Explanation(_ONE_VALUE.format(parts=texts[0], rest=_OTHERS, **clock), (*parts, Part("", _OTHERS)))
    return Explanation(
        _IN_ORDER.format(parts=apart(number(texts)), rest=_FITS_NONE, **clock), (*parts, Part("", _FIRST_FITS))
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


def _event(event: EventRows, metadata: Metadata) -> Text:
    if event.event_name == words.ANY_EVENT:
        return _OF_ANY_EVENT
    return _OF_EVENT.format(event=event_name(event.event_name, metadata))


def _measured(event: QuotaEvent, metadata: Metadata) -> Text:
    name = event_name(event.event_name, metadata)
    if event.analysis == "TIMES":
        return _TIMES.format(event=name)
    measure = words.MEASURES[event.analysis].text.format(quota=property_name("event", event.quota, metadata))
    return _MEASURED.format(event=name, measure=measure)


def _without_value(tag: TagQp) -> Text:
    """Who has no value, and which event counts where several could."""
    event = event_of(tag)
    if isinstance(event, FirstLastEvent):
        return _NOTHING_TAKEN.format(moment=_SAME_MOMENT[event.is_first])
    row = words.MEASURES[event.analysis] if event else None
    if row is None or not row.counts:
        return _NOTHING_MEASURED
    return _COUNT_OF_NONE if row.quota_types else _NOT_ZERO
