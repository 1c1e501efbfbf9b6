"""The list is called through exactly as a simulation that looks at every callee and every tick does it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.calls.dialling import AttemptBlock, Cursor, Dialling, OpenTime, dialled
from mcp_server.calls.week import ALWAYS, WEEK, Week
from tests.calls.slow import slowly

MONDAY = datetime(2026, 11, 23)
STEADY = settings(max_examples=150, derandomize=True, database=None, deadline=None)


def starts(stretches: Sequence[AttemptBlock]) -> list[int]:
    """The second of each attempt."""
    cursor = Cursor(stretches)
    return [second for second, count in cursor.rest() for _ in range(count)]


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    """Open for stretches of minutes to hours on Monday and Tuesday, also over midnight, or always."""
    edges = sorted(draw(st.sets(st.integers(0, 2 * 1440), max_size=8)))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    return ALWAYS if draw(st.integers(0, 5)) == 5 else Week.of(spans)


@st.composite
def histories(draw: st.DrawFn) -> list[AttemptBlock]:
    """Stretches one after the other, of several blocks and periods."""
    found: list[AttemptBlock] = []
    now = 0
    for _ in range(draw(st.integers(0, 4))):
        step = draw(st.integers(3, 9))
        offsets = sorted(draw(st.sets(st.integers(0, step - 1), min_size=1, max_size=3)))
        now += draw(st.integers(1, 9))
        counts = tuple(draw(st.integers(1, 5)) for _ in offsets)
        found.append(AttemptBlock(tuple(now + o - offsets[0] for o in offsets), counts, draw(st.integers(1, 4)), step))
        now = found[-1].last
    return found


@STEADY
@given(stretches=histories(), moments=st.lists(st.integers(-2, 160), max_size=8))
def test_a_cursor_counts_what_has_started(stretches: list[AttemptBlock], moments: list[int]) -> None:
    every = [
        (time + n * s.step, count)
        for s in stretches
        for n in range(s.periods)
        for time, count in zip(s.times, s.counts, strict=True)
    ]
    cursor = Cursor(stretches)
    for moment in sorted(moments):
        assert cursor.advance(moment) == sum(count for time, count in every if time <= moment)
        rest = [block for block in every if block[0] > moment]
        assert cursor.next == (rest[0][0] if rest else None)
        assert list(cursor.rest()) == rest


@st.composite
def plans(draw: st.DrawFn) -> Dialling:
    return Dialling(
        callees=draw(st.integers(0, 60)),
        lines=draw(st.integers(1, 20)),
        redials=draw(st.integers(0, 5)),
        wait=draw(st.sampled_from([5, 6, 17, 60, 300])) * 60,
        seconds=draw(st.sampled_from([60, 120, 180, 420, 3600])),
        answered=draw(st.sampled_from([0.0, 0.1, 0.3333, 0.5, 1.0])),
    )


@STEADY
@given(plan=plans(), week=weeks(), first=st.integers(0, 600), minutes=st.integers(1, 2000))
def test_it_agrees_minute_by_minute_with_a_simulation_of_every_callee(
    plan: Dialling, week: Week, first: int, minutes: int
) -> None:
    window = OpenTime(week, MONDAY + timedelta(minutes=first), MONDAY + timedelta(minutes=first + minutes))
    open_minutes = {m % WEEK for a, b in week.spans for m in range(a, b)}
    expected = slowly(
        callees=plan.callees,
        lines=plan.lines,
        redials=plan.redials,
        wait=plan.wait // 60,
        length=plan.seconds // 60,
        answered=round(plan.answered * 10_000),
        is_open=lambda tick: (first + tick) % WEEK in open_minutes,
        ticks=minutes,
    )
    assert starts(dialled(plan, window)) == [(first + tick) * 60 for tick in expected]


@STEADY
@given(
    plan=plans(),
    seconds=st.integers(1, 400),
    first=st.integers(0, 119),
    edges=st.lists(st.integers(0, 20), max_size=6),
)
def test_it_agrees_second_by_second_where_nothing_fits_into_minutes(
    plan: Dialling, seconds: int, first: int, edges: list[int]
) -> None:
    edges.sort()
    week = Week.of(zip(edges[::2], edges[1::2], strict=False))
    window = OpenTime(week, MONDAY + timedelta(seconds=first), MONDAY + timedelta(minutes=20))
    odd = Dialling(plan.callees, plan.lines, plan.redials, plan.wait % 301, seconds, plan.answered)
    expected = slowly(
        callees=odd.callees,
        lines=odd.lines,
        redials=odd.redials,
        wait=odd.wait,
        length=odd.seconds,
        answered=round(odd.answered * 10_000),
        is_open=lambda tick: any(a <= (first + tick) // 60 < b for a, b in week.spans),
        ticks=1200 - first,
    )
    assert starts(dialled(odd, window)) == [first + tick for tick in expected]
