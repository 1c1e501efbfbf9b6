"""Callees whom several tasks share: how much could come together, against a count of every minute."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.calls.calendar import open_time
from mcp_server.calls.dialling import Timed, loads, most_on
from mcp_server.calls.reading import Findings, read_week
from mcp_server.calls.settings import CallSettings, Redials
from mcp_server.calls.week import NEVER

MONDAY = datetime(2026, 11, 23)


def task(entry: str = "", *, start: int = 0, hours: int = 48, redials: int = 5, interval: int = 5) -> Timed:
    forbidden = read_week([entry], "", Findings()).complement() if entry else NEVER
    first = MONDAY + timedelta(hours=start)
    plan = CallSettings(first, first + timedelta(hours=hours), 1, forbidden, Redials(redials, interval))
    return Timed(plan, open_time(plan))


def test_one_task_alone_is_harmless() -> None:
    assert loads(task(), []).harmless


def test_ten_a_day_are_allowed_and_eleven_are_not() -> None:
    assert loads(task(redials=5), [task(redials=3)]).days == ()
    assert loads(task(redials=5), [task(redials=4)]).days == ((6, 5),)
    assert loads(task("mon"), [task("tue")]).harmless
    assert loads(task(hours=24), [task(start=24)]).harmless


def test_what_fits_into_a_day_is_counted_and_no_more() -> None:
    day = MONDAY.date()
    assert most_on(task("10:00-10:11"), day) == 3
    assert most_on(task("10:00-10:10"), day) == 2
    assert most_on(task("10:00-10:01 11:00-11:01", interval=5), day) == 2
    assert most_on(task("tue"), day) == 0


def test_three_tasks_at_once_are_allowed_and_four_are_not() -> None:
    one = task("10:00-10:05", redials=0)
    assert loads(one, [one, one]).at_once == ()
    assert loads(one, [one, one, one]).at_once == ((1, 1, 1, 1),)


def test_four_minutes_apart_is_at_once_and_five_are_not() -> None:
    one, soon, later = (task(f"10:{n:02}-10:{n + 1:02}", redials=0) for n in (0, 4, 5))
    assert loads(one, [one, one, soon]).at_once == ((1, 1, 1, 1),)
    assert loads(one, [one, one, later]).at_once == ((1, 1, 1, 1),)  # 10:00:59 and 10:05:00
    assert loads(one, [one, one, task("10:06-10:07", redials=0)]).at_once == ()


def test_a_second_decides() -> None:
    """The own task may call until 10:00:59; five minutes later is no longer at once."""
    one = task("10:00-10:01", hours=24, redials=0)
    for second, expected in ((58, ((1, 1, 1, 1),)), (59, ())):
        plan = replace(one.settings, start=MONDAY.replace(hour=10, minute=5, second=second), forbidden=NEVER)
        assert loads(one, [one, one, Timed(plan, open_time(plan))]).at_once == expected


RANGES = st.tuples(st.integers(0, 40), st.integers(1, 8)).map(lambda r: f"10:{r[0]:02}-10:{r[0] + r[1]:02}")


@settings(max_examples=25, derandomize=True, database=None, deadline=None)
@given(own=RANGES, others=st.lists(RANGES, min_size=3, max_size=5))
def test_tasks_at_once_are_those_that_share_five_minutes(own: str, others: list[str]) -> None:
    tasks = [task(entry, hours=24, redials=0) for entry in [own, *others]]
    seconds = [{s for a, b in t.opened.spans for s in range(a, b)} for t in tasks]
    found = loads(tasks[0], tasks[1:]).at_once
    for chosen in combinations(range(1, len(tasks)), 3):
        crowd = [seconds[n] for n in (0, *chosen)]
        first, last = min(map(min, crowd)), max(map(max, crowd))
        together = any(
            all(any(s in one for s in range(m, m + 300)) for one in crowd) for m in range(first - 300, last, 30)
        )
        covered = any(all(case[n] for n in (0, *chosen)) for case in found)
        assert covered >= together
        if covered:
            assert max(map(min, crowd)) - min(map(max, crowd)) < 300
