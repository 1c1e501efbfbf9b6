"""Exact bounds: a bound moved onto a column's grid selects exactly the same values (qp.md section 4)."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.plan import compile as grid
from mcp_server.plan.plan import Interval

NUMBERS = st.decimals(min_value=-50, max_value=50, places=3, allow_nan=False)
SCALES = st.integers(0, 3)


def on_grid(steps: int, scale: int) -> Decimal:
    return Decimal(steps).scaleb(-scale)


@pytest.mark.parametrize(
    ("make", "truth"),
    [(grid.above, lambda v, n: v > n), (grid.below, lambda v, n: v < n)],
)
@given(number=NUMBERS, scale=SCALES, steps=st.integers(-60000, 60000))
def test_a_strict_bound_selects_the_same_values(
    make: Callable[[Decimal, int], Interval],
    truth: Callable[[Decimal, Decimal], bool],
    number: Decimal,
    scale: int,
    steps: int,
):
    value = on_grid(steps, scale)
    assert make(number, scale).holds(value) == truth(value, number)


@given(low=NUMBERS, high=NUMBERS, scale=SCALES, steps=st.integers(-60000, 60000))
def test_a_range_selects_the_same_values(low: Decimal, high: Decimal, scale: int, steps: int):
    value = on_grid(steps, scale)
    assert grid.between(low, high, scale).holds(value) == (low <= value <= high)


@given(number=NUMBERS, scale=SCALES, steps=st.integers(-60000, 60000))
def test_a_point_equals_the_same_values(number: Decimal, scale: int, steps: int):
    value = on_grid(steps, scale)
    assert grid.points([number], scale).holds(value) == (value == number)


def test_a_bound_that_no_column_can_reach_is_open_or_selects_nothing():
    far = Decimal(10) ** 37
    assert grid.below(far, 2) == Interval(high_open=True)
    assert not grid.above(far, 2).holds(1)
    assert not grid.below(-far, 2).holds(-1)
    assert grid.points([far], 2).values == ()


def test_whole_numbers_stay_exact_beyond_doubles():
    near = Decimal(9007199254740993)
    assert grid.points([near], 0).values == (9007199254740993,)
    assert not grid.points([near], 0).holds(9007199254740992)
    assert grid.above(Decimal("9007199254740992.5"), 0) == Interval(low=9007199254740992, low_open=True)
