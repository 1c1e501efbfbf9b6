"""The names of events and properties that a definition by conditions uses."""

from collections.abc import Iterator
from typing import Any

from mcp_server.qp.model import Qp
from mcp_server.qp.tags import TagQp

_KEYS = ("eventName", "columnName", "quota")


def names_used(definition: Qp | TagQp) -> Iterator[str]:
    """Every name, as often as it stands there."""
    return _names(definition.wire())


def _names(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from _names(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in _KEYS and isinstance(value, str) and value:
                yield value
            else:
                yield from _names(value)
