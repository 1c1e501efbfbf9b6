"""The clock of the second reading (qp.md section 2): texts, local times and days as whole microseconds.

An instant counts from 1970 UTC; "local" below is what a clock on the wall shows, counted from its own 1970.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND = 1_000_000
DAY = 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR = 250_000 * DAY
"""Offsets are asked for within about 680 years of 1970; beyond, the clock's rules are taken to go on."""


def micros(utc: datetime) -> int:
    return (utc.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def days_ago(days: int, today: date) -> int:
    """Local midnight that many days before today."""
    return (today.toordinal() - EPOCH.toordinal() - days) * DAY


def read_time(text: str) -> tuple[int, int, bool]:
    """Local midnight of the day, time of day, and whether it is a bare date."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{3}))?)?", text, re.ASCII)
    assert match, text
    day = (date.fromisoformat(match[1]).toordinal() - EPOCH.toordinal()) * DAY
    if match[2] is None:
        return day, 0, True
    clock = (int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4])) * SECOND + int(match[5] or "0") * 1000
    return day, clock, False


def _offset(moment: int, zone: str) -> int:
    """How far the local clock is ahead at an instant."""
    near = max(-FAR, min(FAR, moment))
    offset = (EPOCH + timedelta(microseconds=near)).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


@lru_cache(maxsize=10_000)
def _changes(middle: int, zone: str) -> tuple[tuple[int, int, int], ...]:
    """The changes of the clock within two days of an instant: when, offset before, offset after."""
    found = []
    step = DAY // 24
    for begin in range(middle - 2 * DAY, middle + 2 * DAY, step):
        before, after = _offset(begin, zone), _offset(begin + step, zone)
        if before != after:
            low, high = begin, begin + step
            while high - low > 1:
                centre = (low + high) // 2
                low, high = (centre, high) if _offset(centre, zone) == before else (low, centre)
            found.append((high, before, after))
    return tuple(found)


@lru_cache(maxsize=10_000)
def instant(local: int, zone: str) -> int:
    """When a clock shows this: in a repeated hour the first time; in a skipped one, moved forward."""
    around = _changes(local, zone)
    offsets = {_offset(local - 2 * DAY, zone), *(after for _, _, after in around)}
    shown = [local - offset for offset in offsets if _offset(local - offset, zone) == offset]
    if shown:
        return min(shown)
    skipped = [before for when, before, after in around if when + before <= local < when + after]
    return local - skipped[0]


@lru_cache(maxsize=10_000)
def day_start(midnight: int, zone: str) -> int:
    """The first instant of the day whose local midnight is given; where the whole day is skipped, of the next."""
    around = _changes(midnight, zone)
    offsets = {_offset(midnight - 2 * DAY, zone), *(after for _, _, after in around)}
    shown = [midnight - offset for offset in offsets if _offset(midnight - offset, zone) == offset]
    jumps = [when for when, before, after in around if when + before <= midnight <= when + after]
    return min(shown + jumps)
