"""One row of the tables of problems and warnings (`problems.py`)."""

from typing import NamedTuple

from mcp_server.text import Text


class Code(NamedTuple):
    """Does it block, and what is said."""

    blocks: bool
    text: Text


def problem(en: str, zh: str) -> Code:
    """A row of what blocks."""
    return Code(True, Text(en, zh))


def warning(en: str, zh: str) -> Code:
    """A row of what never does."""
    return Code(False, Text(en, zh))
