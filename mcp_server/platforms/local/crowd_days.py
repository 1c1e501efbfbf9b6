"""The days or weeks of a validity in which activity is counted: as far as there is data, and not too many."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from mcp_server.calls.settings import BEIJING
from mcp_server.engine.crowd import Stretches
from mcp_server.platforms.crowd_port import Validity
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.window import after, day_start, instant, local

MOST = 14
"""Days that are told one by one, and weeks; of a longer time the last ones are told."""
_WEEK = 7
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The stretches of a validity, as days of the project and as instants."""

    unit: Literal["day", "week"]
    days: tuple[date, ...]
    """The first day of each."""
    left_out: int
    """Earlier ones, which count only for the whole."""
    instants: Stretches


def data_days(metadata: Metadata) -> tuple[date, date] | None:
    """First and last day on which there are events; None where there are no events."""
    firsts, lasts = [e.first[:10] for e in metadata.events if e.first], [e.last[:10] for e in metadata.events if e.last]
    if not firsts or not lasts:
        return None
    return date.fromisoformat(min(firsts)), date.fromisoformat(max(lasts))


def calendar(validity: Validity, metadata: Metadata) -> Calendar | None:
    """Single days up to `MOST` of them, else weeks from the first day on; None where there is no data in the validity.

    Days that have not come yet, or that the data does not reach, are no days without activity: they are left away.
    """
    data, zone = data_days(metadata), metadata.tz
    if data is None:
        return None
    start, end = instant(validity.start, BEIJING), instant(validity.end, BEIJING)
    first = max(local(start, zone).date(), data[0])
    last = min(local(end, zone).date(), data[1], metadata.today)
    if first > last:
        return None
    count = (last - first).days + 1
    unit: Literal["day", "week"] = "day" if count <= MOST else "week"
    length = 1 if unit == "day" else _WEEK
    begins = tuple(first + timedelta(days=n) for n in range(0, count, length))
    shown = begins[-MOST:]
    close = after(last, zone)
    stop = end + _SECOND if close is None else min(end + _SECOND, close)
    stretches = Stretches(start, tuple(day_start(day, zone) for day in shown), stop)
    return Calendar(unit, shown, len(begins) - len(shown), stretches)
