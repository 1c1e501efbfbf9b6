"""Finding events and properties by words: in their names, display names, remarks and values, in either language."""

from functools import lru_cache
from typing import NamedTuple

from mcp_server.qp.metadata import Event, Metadata, Names, Property
from mcp_server.qp.suggest import Spelling, alike, fold, one_sign_apart, spelling

LEAST = 0.62
"""Likeness from which something counts as found."""
_REMARK, _VALUE = 0.85, 0.9
"""A hit in a remark or in a value counts a little less than one in a name."""


class Hit(NamedTuple):
    """Something found, how well it fits (0 to 1), and which of its values were searched for."""

    found: Event | Property
    score: float
    values: tuple[str, ...] = ()


def search(metadata: Metadata, words: str, event: Event | None = None) -> list[Hit]:
    """Events and properties, best first. Without words all of them: events by count, user properties, event properties.

    With an event: it and what it carries.
    """
    asked = words.split()
    if len(asked) > 1:
        asked.insert(0, words.strip())  # all of it may be one name or one value
    items: tuple[Event | Property, ...] = (event, *_carried(metadata, event)) if event else metadata.in_order
    if not asked:
        return [Hit(item, 1.0) for item in items]
    found = [hit for item in items if (hit := _scored(item, asked)).score >= LEAST]
    found = found or [Hit(item, LEAST) for item in items if _nearly(item, asked)]
    return sorted(found, key=lambda h: -h.score)


def _carried(metadata: Metadata, event: Event) -> list[Property]:
    """The properties of an event; all of events where the platform does not tell which events carry what."""
    properties = metadata.properties_of("event")
    told = any(p.events for p in properties)
    return [p for p in properties if event.name in p.events] if told else properties


def _nearly(item: Event | Property, asked: list[str]) -> bool:
    """Whether a short Chinese word that was asked for is a name but for one sign; looked at where nothing else is found."""
    return any(one_sign_apart(word, name) for word in asked for name in (item.name, item.names.zh))


def _scored(item: Event | Property, asked: list[str]) -> Hit:
    """How well an item fits: its best word counts most, each further word a little."""
    best, good = 0.0, 0
    values: dict[str, None] = {}
    for word in asked:
        score = _in_names(spelling(word), item.name, item.names)
        value = _in_values(word, item) if isinstance(item, Property) else ""
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


def _in_values(word: str, found: Property) -> str:
    """The value that a word names, if there is one: the very value first; a word of one letter names only itself."""
    folded = fold(word)
    if not folded:  # nothing but signs
        return next((value for value, _ in found.top if word in value), "")
    exact = found.value_by_spelling.get(folded, "")
    if exact or len(folded) < 2:
        return exact
    spellings = found.value_by_spelling.items()
    return next((value for own, value in spellings if len(own) > 1 and (folded in own or own in folded)), "")
