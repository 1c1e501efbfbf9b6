"""Arguments and sentences as the log keeps them: no secrets, ids and phones only as a count and a hash; digests of calls.

The hash is keyed with a secret of the workspace: with the list at hand one can check whether it was this one; from the
log alone nobody can find out who was in it (there are few enough phone numbers to try them all).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

MOST_TEXT: Final = 200
"""Characters of a text that are kept."""
MOST_CLEANED: Final = 2000
"""Characters of a sentence that are looked through; the log keeps fewer."""
MOST_ITEMS: Final = 20
"""A longer list of plain values is a list of somebody or something: count and hash."""
MOST_LOGGED: Final = 8_000
"""Characters of all arguments of one call; larger ones are kept as their size and hash."""
HUGE: Final = 10**20
"""Python refuses to write integers of thousands of digits; and these are no ids."""

_SECRET: Final = re.compile(
    r"secret|token|passw|credential|authori[sz]ation|api_?key|access_?key|session", re.IGNORECASE
)
_PEOPLE: Final = re.compile(
    r"(?:^|_)(?:ids|phones?|mobiles?|emails?|numbers?|members|users)(?:$|_)|phone|mobile|email|openid|distinct_id|account_id|user_id",
    re.IGNORECASE,
)
_CONTACT: Final = re.compile(
    r"(?<![0-9-])(?![0-9]{4}-[0-9]{2}-[0-9]{2})\+?[0-9][0-9 ()-]{8,18}[0-9]|[^@\s\"]+@[^@\s\"]+\.[^@\s\"]+"
)
_OF_COLUMN: Final = re.compile(r"`([^`]{1,200})`([^`]*)")
"""A column as explanations name it, and what follows up to the next one."""
_VALUE: Final = re.compile(r'"[^"]*"?|[0-9]+')
_VALUES: Final = ("ftv", "value", "values", "num")
"""Keys of a definition that hold the values of the column next to them."""


def redacted(arguments: Mapping[str, object], key: bytes) -> str:
    """The arguments of a call as JSON text, fit for the log. `key` is that of the workspace."""
    try:
        words = _json(_part(dict(arguments), key))
    except RecursionError:
        words = _json({"nested": "too deeply"})
    return words if len(words) <= MOST_LOGGED else _json({"size": len(words), "hash": _hash(words, key)})


def cleaned(words: str) -> str:
    """A sentence of ours as the log keeps it: no phones and addresses, and of columns that name people no values."""

    def without_values(match: re.Match[str]) -> str:
        column, rest = match.groups()
        return f"`{column}`{_VALUE.sub('***', rest)}" if _PEOPLE.search(column) else match[0]

    return _OF_COLUMN.sub(without_values, _CONTACT.sub("***", words[:MOST_CLEANED]))


def digest(tool: str, arguments: object, *bound: str) -> str:
    """A digest of a call: other arguments, another person or another project give another one."""
    words = json.dumps([tool, _plain(arguments), *bound], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(words.encode()).hexdigest()


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _part(value: object, key: bytes) -> Any:
    if isinstance(value, Mapping):
        return {str(name)[:MOST_TEXT]: _entry(str(name), part, key) for name, part in _with_column(value)}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        plain = all(not isinstance(item, Mapping | list | tuple) for item in value)
        people = any(_is_contact(item) for item in value)
        if plain and (people or len(value) > MOST_ITEMS):
            return _counted(value, key)
        return [_part(item, key) for item in value]
    if isinstance(value, int) and abs(value) >= HUGE:
        return f"a number of {value.bit_length()} bits"
    return _text(value, key) if isinstance(value, str) else value


def _with_column(value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The entries of an object; values that belong to a column of people are marked."""
    column = value.get("columnName", value.get("column"))
    people = isinstance(column, str) and _PEOPLE.search(column)
    for name, part in value.items():
        yield name, _People(part) if people and name in _VALUES else part


class _People:
    """Marks a value as naming people, whatever it looks like."""

    def __init__(self, value: object) -> None:
        self.value = value


def _entry(name: str, part: object, key: bytes) -> Any:
    """One entry of an object, redacted by what its name says."""
    if isinstance(part, _People):
        return _counted(part.value, key)
    if _SECRET.search(name):
        return "***"
    if _PEOPLE.search(name) and isinstance(part, str | int | list | tuple) and not isinstance(part, bool):
        return _counted(part, key)
    return _part(part, key)


def _text(value: str, key: bytes) -> Any:
    """A text, cut; one that holds JSON is looked into, as the operations do."""
    if value.lstrip()[:1] in ("{", "["):
        try:
            return _part(json.loads(value), key)
        except (ValueError, RecursionError):
            pass
    if _is_contact(value):
        return _counted(value, key)
    cleaned = _CONTACT.sub("***", value[: MOST_TEXT * 2])  # cut first: looking through a long text takes long
    return cleaned if len(value) <= MOST_TEXT else f"{cleaned[:MOST_TEXT]}… ({len(value)})"


def _is_contact(value: object) -> bool:
    """Whether this looks like a phone number or an address."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < HUGE else ""
    return isinstance(value, str) and len(value) < MOST_TEXT and bool(_CONTACT.fullmatch(value.strip()))


def _counted(value: object, key: bytes) -> dict[str, object]:
    """Values as their number and a hash that does not depend on their order."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    return {"count": len(items), "hash": _hash("\n".join(sorted(_json(_plain(item)) for item in items)), key)}


def _hash(words: str, key: bytes) -> str:
    return hmac.new(key, words.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]


def _plain(value: object) -> Any:
    """The same value so that it can be written as JSON, whatever its size."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return hex(value) if isinstance(value, int) and abs(value) >= HUGE else value


def _json(value: object) -> str:
    """Compact; Chinese stays readable, half characters become escapes."""
    words = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    try:
        words.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=str)
    return words
