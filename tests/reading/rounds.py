"""Generated values that are really different ones.

After ten examples hypothesis spends five of six on copies of what it has, with a part doubled: of a thousand
generated definitions a third is distinct. So a sweep is many short runs, each from its own seed; a failure is
still found again and, unless what is checked keeps a state, shrunk by the run that it happened in.
"""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

Value = TypeVar("Value")

_CALM = settings(
    deadline=None,
    database=None,
    max_examples=10,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def in_rounds(
    count: int, strategy: SearchStrategy[Value], check: Callable[[Value], object], *, shrink: bool = True
) -> None:
    """Check the simplest value and nine others, `count` times; the same ones at every run."""
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    for number in range(count):

        @seed(number)
        @settings(_CALM, phases=phases)
        @given(strategy)
        def one_round(value: Value) -> None:
            check(value)

        one_round()
