"""Numbers as exact bounds of a column's own kind (qp.md section 4).

A column with `scale` places holds only multiples of 10^-scale. A bound between two of them moves to the nearest
one that selects the same values, so engines compare values of one type and round nothing. Doubles (scale None)
compare as doubles.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from mcp_server.plan.plan import Interval, Number, Points

_EXACT = Context(prec=100)
_DIGITS = 38


def points(numbers: Sequence[Decimal], scale: int | None) -> Points:
    """Return those of the numbers that a value of the column can equal."""
    if scale is None:
        return Points(tuple(dict.fromkeys(float(n) for n in numbers)))
    return Points(tuple(dict.fromkeys(_own(n, scale) for n in numbers if _fits(n, scale) and floor(n, scale) == n)))


def above(number: Decimal, scale: int | None) -> Interval:
    """Return the values strictly greater than a number."""
    if scale is None:
        return Interval(low=float(number), low_open=True)
    return _bounded(low=floor(number, scale), high=None, scale=scale, low_open=True)


def below(number: Decimal, scale: int | None) -> Interval:
    """Return the values strictly less than a number."""
    if scale is None:
        return Interval(high=float(number), high_open=True)
    return _bounded(low=None, high=ceiling(number, scale), scale=scale, high_open=True)


def between(low: Decimal, high: Decimal, scale: int | None) -> Interval:
    """Return the values from low to high, both included."""
    if scale is None:
        return Interval(low=float(low), high=float(high))
    return _bounded(low=ceiling(low, scale), high=floor(high, scale), scale=scale)


def twice(number: Decimal) -> Decimal:
    """Return twice a number, exactly."""
    return _EXACT.add(number, number)


def floor(number: Decimal, scale: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_FLOOR, context=_EXACT)


def ceiling(number: Decimal, scale: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_CEILING, context=_EXACT)


def _fits(number: Decimal, scale: int) -> bool:
    return abs(number) < Decimal(10) ** (_DIGITS - scale)


def _own(number: Decimal, scale: int) -> Number:
    return int(number) if scale == 0 else floor(number, scale)


def _bounded(
    *, low: Decimal | None, high: Decimal | None, scale: int, low_open: bool = False, high_open: bool = False
) -> Interval:
    """Return an interval whose bounds a 38-digit column can hold: a bound beyond is dropped, or selects nothing."""
    if (low is not None and not _fits(low, scale) and low > 0) or (
        high is not None and not _fits(high, scale) and high < 0
    ):
        return Interval(low=1, high=0)
    kept_low = _own(low, scale) if low is not None and _fits(low, scale) else None
    kept_high = _own(high, scale) if high is not None and _fits(high, scale) else None
    return Interval(kept_low, kept_high, low_open, high_open)
