"""Finding events and properties by words: in their names, display names, remarks and values, in either language."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mcp_server.qp.metadata import Event, Metadata, Names, Property
from mcp_server.qp.suggest import fold, likeness, one_sign_apart

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
    hits = [_scored(item, asked) for item in _items(metadata, event)]
    found = [h for h in hits if h.score >= LEAST] if asked else hits
    found = found or [Hit(item, LEAST) for item in _items(metadata, event) if _nearly(item, asked)]
    return sorted(found, key=lambda h: -h.score)


def _nearly(item: Event | Property, asked: list[str]) -> bool:
    """Whether a short Chinese word that was asked for is a name but for one sign; looked at where nothing else is found."""
    return any(one_sign_apart(word, name) for word in asked for name in (item.name, item.names.zh))


def _items(metadata: Metadata, event: Event | None) -> Iterator[Event | Property]:
    """Everything there is, in the order in which it is listed."""
    if event is not None:
        yield event
        found = metadata.properties_of("event")
        told = any(p.events for p in found)  # a platform may not tell which events carry what
        yield from (p for p in found if event.name in p.events or not told)
        return
    yield from sorted(metadata.events, key=lambda e: (-e.count, e.name))
    yield from metadata.properties_of("user")
    yield from metadata.properties_of("event")


def _scored(item: Event | Property, asked: list[str]) -> Hit:
    """How well an item fits: its best word counts most, each further word a little."""
    values: list[str] = []
    scores = []
    for word in asked:
        score = _in_names(word, item.name, item.names)
        if isinstance(item, Property):
            hit = _in_values(word, item)
            values += [hit] if hit else []
            score = max(score, _VALUE if hit else 0.0)
        scores.append(score)
    if not scores:
        return Hit(item, 1.0)
    good = [s for s in scores if s >= LEAST]
    return Hit(item, max(scores) + 0.05 * (len(good) - 1 if good else 0), tuple(dict.fromkeys(values)))


def _in_names(word: str, name: str, names: Names) -> float:
    best = max(likeness(word, known) for known in _spellings(name, names.en, names.zh))
    folded = fold(word)
    if best < _REMARK and len(folded) > 1 and folded in fold(f"{names.remark_en} {names.remark_zh}"):
        return _REMARK
    return best


@lru_cache(maxsize=20_000)
def _spellings(*names: str) -> frozenset[str]:
    """The names of one thing, and the words in them."""
    return frozenset(spelling for name in names if name for spelling in (name, *name.replace("_", " ").split()))


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
