"""What differs between two definitions by conditions, in words: for a person who is asked to replace one by the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mcp_server.language import vocabulary as words
from mcp_server.language.explain import EVERY_EVENT, EventWords, event_words, numbered, selection_words, value_text
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import EventCondition, Qp, TagQp, TagValue, UserFilter, leaves, qp_hash, tag_hash
from mcp_server.language.values import parse_number
from mcp_server.language.wording import event_name, filter_text, property_name, quoted
from mcp_server.text import Text, clauses, listed

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
_TAKEN = Text("what is taken", "标签取值")


@dataclass(frozen=True, slots=True)
class _Condition:
    """A top-level condition: what it is recognised by, and its words."""

    keys: tuple[tuple[str, ...], ...]
    """Keys to match it with its counterpart, the strictest first."""
    name: Text
    text: Text
    meaning: str
    words: EventWords | None = None


def compare_qp(old: Qp, new: Qp, metadata: Metadata) -> tuple[Text, ...]:
    """What changes from `old` to `new`: conditions added, removed and changed, and how they are joined.

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
    """What changes from one definition of a tag to another: its values, who they are for, and their order.

    Empty where both mean the same; remarks are no meaning.
    """
    if tag_hash(old) == tag_hash(new):
        return ()
    if old.kind != new.kind:
        return (_TAG_CHANGED.format(what=_KIND, old=_whole(old, metadata), new=_whole(new, metadata)),)
    if old.event and new.event:
        differing = _differing(selection_words(old.event, metadata), selection_words(new.event, metadata))
        return tuple(_TAG_CHANGED.format(what=_TAKEN, old=was, new=now) for was, now in differing)
    return tuple(_value_changes(old, new, metadata))


def _whole(tag: TagQp, metadata: Metadata) -> Text:
    if tag.event:
        return selection_words(tag.event, metadata).sentence
    return clauses(numbered([value_text(v, metadata) for v in tag.values]))


def _value_changes(old: TagQp, new: TagQp, metadata: Metadata) -> Iterator[Text]:
    """Values by their text: removed, renamed, changed, added; then their order, where those do not explain it."""
    was, now = ({v.tag_value: v for v in tag.values} for tag in (old, new))
    renamed = _renamed(was, now)
    for text, value in was.items():
        if text in now:
            changes = compare_qp(value.definition, now[text].definition, metadata)
            yield from (_OF_VALUE.format(value=quoted(text), change=change) for change in changes)
        elif text in renamed:
            yield _VALUE_RENAMED.format(old=quoted(text), new=quoted(renamed[text]))
        else:
            yield _VALUE_REMOVED.format(part=value_text(value, metadata))
    added = [text for text in now if text not in was and text not in renamed.values()]
    yield from (_VALUE_ADDED.format(part=value_text(now[text], metadata)) for text in added)
    kept = [text if text in now else renamed[text] for text in was if text in now or text in renamed]
    if [*kept, *added] != [*now]:
        yield _ORDER.format(old=listed(map(quoted, was)), new=listed(map(quoted, now)))


def _renamed(was: Mapping[str, TagValue], now: Mapping[str, TagValue]) -> dict[str, str]:
    """Values that are removed, by the new one that is for exactly the same users."""
    added = {qp_hash(v.definition): text for text, v in now.items() if text not in was}
    removed = ((text, qp_hash(v.definition)) for text, v in was.items() if text not in now)
    return {text: added.pop(meaning) for text, meaning in removed if meaning in added}


def _event(event: EventCondition, metadata: Metadata) -> _Condition:
    parts = event_words(event, metadata)
    measure, window = (event.measure.analysis, event.measure.quota), "recent" if event.recent_day else "dates"
    keys = ((event.event_name, *measure, window), (event.event_name, *measure), (event.event_name,))
    name = _bare(event_name(event.event_name, metadata))
    return _Condition(keys, name, parts.sentence, qp_hash(Qp(events=(event,))), parts)


def _filter(part: UserFilter, metadata: Metadata) -> _Condition:
    text, meaning = filter_text(part, metadata), qp_hash(Qp(filts=(part,)))
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
    """What is removed or changed in the order of the old definition, then what is added in that of the new one."""
    removed, added = _without(old, new), _without(new, old)
    pairs = _pairs(removed, added)
    for condition in removed:
        if condition.text in pairs:
            alone = all(sum(c.name == condition.name for c in side) == 1 for side in (old, new))
            yield from _changes(condition, pairs[condition.text], in_parts=alone)
        else:
            yield _REMOVED.format(part=condition.text)
    matched = {c.text for c in pairs.values()}
    yield from (_ADDED.format(part=c.text) for c in added if c.text not in matched)


def _without(conditions: Sequence[_Condition], others: Sequence[_Condition]) -> list[_Condition]:
    """Those that are not among the others, neither by their meaning nor by their words."""
    meanings, texts = {c.meaning for c in others}, {c.text for c in others}
    return [c for c in conditions if c.meaning not in meanings and c.text not in texts]


def _pairs(removed: Sequence[_Condition], added: Sequence[_Condition]) -> dict[Text, _Condition]:
    """The counterpart of each old condition: by the strictest key first, and of several the first that is left."""
    pairs: dict[Text, _Condition] = {}
    left = list(added)
    for strictness in range(max((len(c.keys) for c in removed), default=0)):
        for condition in removed:
            if condition.text in pairs or strictness >= len(condition.keys):
                continue
            key = condition.keys[strictness]
            match = next((c for c in left if key in c.keys), None)
            if match:
                pairs[condition.text] = match
                left.remove(match)
    return pairs


def _changes(old: _Condition, new: _Condition, *, in_parts: bool) -> Iterator[Text]:
    """A changed condition: only the parts that differ, where its name alone identifies the condition."""
    if old.words is None or new.words is None or not in_parts:
        yield _CHANGED.format(name=new.name, old=old.text, new=new.text)
        return
    for was, now in _differing(old.words, new.words):
        yield _CHANGED.format(name=new.name, old=was, new=now)


def _differing(before: EventWords, after: EventWords) -> Iterator[tuple[Text, Text]]:
    """The parts of an event's words that differ, old and new."""
    for was, now in ((before.head, after.head), (before.when, after.when), (before.only, after.only)):
        if was != now:
            yield (was if was.en else EVERY_EVENT), (now if now.en else EVERY_EVENT)


def _effective(relation: words.Relation, conditions: Sequence[_Condition]) -> words.Relation | None:
    """A relation, or None where it joins fewer than two."""
    return relation if len(conditions) > 1 else None


def _outer(definition: Qp) -> words.Relation | None:
    return definition.event_user_relation if definition.events and definition.filts else None


def _rejoined(what: Text, old: words.Relation | None, new: words.Relation | None) -> Iterator[Text]:
    """How conditions are joined, where that changes and there is something to join."""
    if not new or new == old:
        return
    if old:
        yield _JOINED.format(what=what, old=words.RELATIONS[old], new=words.RELATIONS[new])
    else:
        yield _JOINED_NOW.format(what=what, new=words.RELATIONS[new])


# Conditions that exclude each other


def exclusive(definition: Qp) -> tuple[str, str] | None:
    """The paths of two conditions, joined by `and`, that no user can meet both; None where none is seen.

    Seen are filters of one property and event conditions that differ by their number alone.
    """
    filters = [(f"/filts/{i}", part) for i, part in enumerate(definition.filts) if not part.is_group]
    events = [(f"/events/{i}", part) for i, part in enumerate(definition.events)]
    if definition.relation == "and":
        for (one, a), (other, b) in combinations(filters, 2):
            same = (a.table_type, a.column_name, a.cluster_date) == (b.table_type, b.column_name, b.cluster_date)
            if same and _apart((a.comparator, a.ftv), (b.comparator, b.ftv), step=0):
                return one, other
    if definition.event_relation == "and":
        for (one, x), (other, y) in combinations(events, 2):
            numbers = {"comparator": y.comparator, "num": y.num}
            if x.model_copy(update=numbers) != y:
                continue
            step = 1 if words.MEASURES[x.measure.analysis].counts else 0
            if _apart((x.comparator, x.num.split(",")), (y.comparator, y.num.split(",")), step=step):
                return one, other
    return None


def _apart(one: tuple[str, Sequence[str]], other: tuple[str, Sequence[str]], *, step: int) -> bool:
    """Whether two comparisons of one thing can never hold both; `step` is 1 for whole numbers."""
    by_word = {one[0]: one[1], other[0]: other[1]}
    if one[0] == other[0] == "equal":
        return not {parse_number(v) or v for v in one[1]} & {parse_number(v) or v for v in other[1]}
    if "isNull" in by_word:  # a missing value passes no other word but arrayIsNull
        return len(by_word) == 2 and "arrayIsNull" not in by_word
    numbers = {word: [parse_number(v) for v in values] for word, values in by_word.items()}
    low, high = numbers.get("greater", [None])[0], numbers.get("less", [None])[0]
    if low is not None and high is not None:
        return low + step >= high
    equal = numbers.get("equal", [])
    known = [n for n in equal if n is not None]
    if len(known) != len(equal) or not known:
        return False
    return (low is not None and all(n <= low for n in known)) or (high is not None and all(n >= high for n in known))
