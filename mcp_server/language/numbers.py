"""Numbers of a definition: JSON numbers as text, held exactly (qp.md section 4)."""

import re
from decimal import Context, Decimal

NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
"""A JSON number as text."""
_NUMBER = re.compile(NUMBER)
MAX_DIGITS = 38
MAX_PLACES = 18
"""Most digits of an exact comparison, and how many of them after the point. More is refused, never rounded."""

_EXACT = Context(prec=2100)


def parse_number(text: object) -> Decimal | None:
    """Parse a JSON number; None where the text is none or goes beyond MAX_DIGITS and MAX_PLACES."""
    if not isinstance(text, str) or len(text) > 2000 or not _NUMBER.fullmatch(text):
        return None
    if len(text.lower().partition("e")[2]) > 6:
        return None  # an exponent no number here can have; Decimal would accept it and choke later
    value = Decimal(text)
    if not value:
        return Decimal(0)
    small = value.normalize(_EXACT)
    exponent = int(small.as_tuple().exponent)
    if small.adjusted() >= MAX_DIGITS or exponent < -MAX_PLACES:
        return None
    return small if exponent <= 0 else small.quantize(Decimal(1), context=_EXACT)


def parse_numbers(text: str) -> tuple[Decimal, ...] | None:
    """Parse one number, or "low,high"; None where any is no number."""
    parts = text.split(",")
    numbers = tuple(n for part in parts if (n := parse_number(part)) is not None)
    return numbers if len(numbers) == len(parts) else None


def is_too_long(text: str) -> bool:
    """Whether these are numbers, one or "low,high", of which one goes beyond MAX_DIGITS and MAX_PLACES."""
    parts = text.split(",")
    return len(text) <= 2000 and len(parts) <= 2 and all(map(_NUMBER.fullmatch, parts)) and parse_numbers(text) is None


def plain(number: Decimal) -> str:
    """Write a number without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def tidy_number(text: str) -> str:
    """Rewrite `5 000`, `5,000`, `+5`, `05` or `5.` as a number; "" where that would be a guess."""
    bare = text.replace(" ", "").replace("_", "").lstrip("+")
    if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+", bare):
        bare = bare.replace(",", "")
    stripped = re.sub(r"^(-?)0+(?=[0-9])", r"\1", bare).rstrip(".")
    return stripped if stripped != text and parse_number(stripped) is not None else ""
