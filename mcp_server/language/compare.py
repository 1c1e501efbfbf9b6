"""What differs between two definitions, in words: for a person who is asked to replace one by the other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcp_server.language import vocabulary as words
from mcp_server.language.explain import EVERY_EVENT, EventWords, event_tag_words, event_words, number, value_text
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import (
    EventCondition,
    Qp,
    TagQp,
    TagValue,
    UserFilter,
    leaves,
    meaning_hash,
    tag_meaning_hash,
)
from mcp_server.language.wording import apart, event_name, filter_text, property_name, quoted
from mcp_server.text import Text, listed

_ADDED = Text("added: {part}", "新增条件：{part}")
_REMOVED = Text("removed: {part}", "删除条件：{part}")
_CHANGED = Text("changed, {name}: “{old}” becomes “{new}”", "修改条件（{name}）：由“{old}”改为“{new}”")
_GROUP = Text("a group of conditions", "条件组")
_JOINED = Text("{what} are joined by “{new}”, no longer by “{old}”", "{what}之间由“{old}”改为“{new}”")
_JOINED_NOW = Text("{what} are joined by “{new}”", "{what}之间为“{new}”")
_EVENTS = Text("the event conditions", "事件条件")
_FILTERS = Text("the user conditions", "用户条件")
_BOTH = Text("the event conditions and the user conditions", "事件条件与用户条件")
_VALUE_ADDED = Text("added value: {part}", "新增标签值：{part}")
_VALUE_REMOVED = Text("removed value: {part}", "删除标签值：{part}")
_VALUE_RENAMED = Text("the value {old} becomes {new}", "标签值 {old} 改为 {new}")
_OF_VALUE = Text("value {value}, {change}", "标签值 {value}，{change}")
_ORDER = Text("the values are tried in this order: {new}, no longer {old}", "标签值的判断顺序改为：{new}；原为：{old}")
_TAG_CHANGED = Text("{what} changes: “{old}” becomes “{new}”", "{what}由“{old}”改为“{new}”")
_KIND = Text("the whole tag", "整个标签定义")
_SOURCE = Text("what is taken", "标签取值")


@dataclass(frozen=True, slots=True)
class _Condition:
    """A top-level condition: how it is told from others, and how it reads."""

    likeness: tuple[tuple[str, ...], ...]
    """Keys to find its counterpart by, the strictest first."""
    name: Text
    text: Text
    meaning: str
    words: EventWords | None = None


def compare(old: Qp, new: Qp, metadata: Metadata) -> tuple[Text, ...]:
    """Say what changes from `old` to `new`: conditions added, removed and changed, and how they are joined.

    Empty where both mean the same, whatever the order of their conditions.
    """
    old_events, new_events = (_once([_event(e, metadata) for e in d.events]) for d in (old, new))
    old_filters, new_filters = (_once([_filter(f, metadata) for f in d.filts]) for d in (old, new))
    return (
        *_differences(old_events, new_events),
        *_differences(old_filters, new_filters),
        *_rejoined(_EVENTS, _effective(old.event_relation, old_events), _effective(new.event_relation, new_events)),
        *_rejoined(_FILTERS, _effective(old.relation, old_filters), _effective(new.relation, new_filters)),
        *_rejoined(_BOTH, _outer(old), _outer(new)),
    )


def compare_tags(old: TagQp, new: TagQp, metadata: Metadata) -> tuple[Text, ...]:
    """Say what changes from one definition of a tag to another: its values, who they are for, and their order.

    Empty where both mean the same; remarks are no meaning.
    """
    if tag_meaning_hash(old) == tag_meaning_hash(new):
        return ()
    before, after = event_tag_words(old, metadata), event_tag_words(new, metadata)
    if old.kind != new.kind:
        return (_TAG_CHANGED.format(what=_KIND, old=_whole(old, metadata), new=_whole(new, metadata)),)
    if before and after:
        return tuple(_TAG_CHANGED.format(what=_SOURCE, old=was, new=now) for was, now in _differing(before, after))
    return tuple(_value_changes(old, new, metadata))


def _whole(tag: TagQp, metadata: Metadata) -> Text:
    said = event_tag_words(tag, metadata)
    return said.sentence if said else apart(number([value_text(v, metadata) for v in tag.values]))


def _value_changes(old: TagQp, new: TagQp, metadata: Metadata) -> Iterator[Text]:
    """Values by their text: gone, renamed, changed, new; then their order, where it is not what that leaves."""
    was, now = ({v.tag_value: v for v in tag.values} for tag in (old, new))
    renamed = _renamed(was, now)
    for text, value in was.items():
        if text in now:
            changes = compare(value.definition, now[text].definition, metadata)
            yield from (_OF_VALUE.format(value=quoted(text), change=change) for change in changes)
        elif text in renamed:
            yield _VALUE_RENAMED.format(old=quoted(text), new=quoted(renamed[text]))
        else:
            yield _VALUE_REMOVED.format(part=value_text(value, metadata))
    added = [text for text in now if text not in was and text not in renamed.values()]
    yield from (_VALUE_ADDED.format(part=value_text(now[text], metadata)) for text in added)
    kept = [text if text in now else renamed[text] for text in was if text in now or text in renamed]
    if [*kept, *added] != [*now]:
        yield _ORDER.format(old=_in_order(was), new=_in_order(now))


def _renamed(was: Mapping[str, TagValue], now: Mapping[str, TagValue]) -> dict[str, str]:
    """Values that are gone, by the new one that is for exactly the same users."""
    come = {meaning_hash(v.definition): text for text, v in now.items() if text not in was}
    gone = ((text, meaning_hash(v.definition)) for text, v in was.items() if text not in now)
    return {text: come.pop(meaning) for text, meaning in gone if meaning in come}


def _in_order(values: Iterable[str]) -> Text:
    return listed(map(quoted, values))


def _event(event: EventCondition, metadata: Metadata) -> _Condition:
    said = event_words(event, metadata)
    measure, window = (event.measure.analysis, event.measure.quota), "recent" if event.recent_day else "dates"
    likeness = ((event.event_name, *measure, window), (event.event_name, *measure), (event.event_name,))
    return _Condition(
        likeness, _bare(event_name(event.event_name, metadata)), said.sentence, meaning_hash(Qp(events=(event,))), said
    )


def _filter(part: UserFilter, metadata: Metadata) -> _Condition:
    text, meaning = filter_text(part, metadata), meaning_hash(Qp(filts=(part,)))
    if part.is_group:
        columns = sorted({f"{f.table_type} {f.column_name.casefold()}" for f in leaves([part])})
        return _Condition((("group", *columns), ("group",)), _GROUP, text, meaning)
    column = (part.table_type, part.column_name.casefold())
    name = property_name(part.table_type, part.column_name, metadata)
    return _Condition(((*column, part.comparator), column), _bare(name), text, meaning)


def _bare(name: Text) -> Text:
    return Text(name.en, name.zh.rstrip())


def _once(conditions: Sequence[_Condition]) -> list[_Condition]:
    """A condition given twice counts once, as in the meaning."""
    return list({c.meaning: c for c in conditions}.values())


def _differences(old: Sequence[_Condition], new: Sequence[_Condition]) -> Iterator[Text]:
    """What is gone or changed in the order of the old definition, then what is new in that of the new one."""
    gone, come = _without(old, new), _without(new, old)
    pairs = _pairs(gone, come)
    for condition in gone:
        if condition.text in pairs:
            alone = all(sum(c.name == condition.name for c in side) == 1 for side in (old, new))
            yield from _changes(condition, pairs[condition.text], in_parts=alone)
        else:
            yield _REMOVED.format(part=condition.text)
    matched = {c.text for c in pairs.values()}
    yield from (_ADDED.format(part=c.text) for c in come if c.text not in matched)


def _without(conditions: Sequence[_Condition], others: Sequence[_Condition]) -> list[_Condition]:
    """Those that the others do not hold, neither by their meaning nor by their words."""
    meanings, texts = {c.meaning for c in others}, {c.text for c in others}
    return [c for c in conditions if c.meaning not in meanings and c.text not in texts]


def _pairs(gone: Sequence[_Condition], come: Sequence[_Condition]) -> dict[Text, _Condition]:
    """Each old condition's counterpart: of the strictest key first, and of several the first that is left."""
    found: dict[Text, _Condition] = {}
    left = list(come)
    for strictness in range(max((len(c.likeness) for c in gone), default=0)):
        for condition in gone:
            if condition.text in found or strictness >= len(condition.likeness):
                continue
            key = condition.likeness[strictness]
            match = next((c for c in left if key in c.likeness), None)
            if match:
                found[condition.text] = match
                left.remove(match)
    return found


def _changes(old: _Condition, new: _Condition, *, in_parts: bool) -> Iterator[Text]:
    """A changed condition: only the parts that differ, where its name tells which condition is meant."""
    if old.words is None or new.words is None or not in_parts:
        yield _CHANGED.format(name=new.name, old=old.text, new=new.text)
        return
    for was, now in _differing(old.words, new.words):
        yield _CHANGED.format(name=new.name, old=was, new=now)


def _differing(before: EventWords, after: EventWords) -> Iterator[tuple[Text, Text]]:
    """The parts of an event's words that differ, old and new."""
    for was, now in ((before.head, after.head), (before.when, after.when), (before.only, after.only)):
        if was != now:
            yield _or_every(was), _or_every(now)


def _or_every(words_said: Text) -> Text:
    return words_said if words_said.en else EVERY_EVENT


def _effective(relation: words.Relation, conditions: Sequence[_Condition]) -> words.Relation | None:
    """A relation, or None where it joins fewer than two."""
    return relation if len(conditions) > 1 else None


def _outer(definition: Qp) -> words.Relation | None:
    return definition.event_user_relation if definition.events and definition.filts else None


def _rejoined(what: Text, old: words.Relation | None, new: words.Relation | None) -> Iterator[Text]:
    """Say how conditions are joined where that is new; where nothing is left to join, there is nothing to say."""
    if not new or new == old:
        return
    if old:
        yield _JOINED.format(what=what, old=words.RELATIONS[old], new=words.RELATIONS[new])
    else:
        yield _JOINED_NOW.format(what=what, new=words.RELATIONS[new])
