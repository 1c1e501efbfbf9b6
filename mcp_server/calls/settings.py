"""What a call task is set to, and the limits of it (vendors.md B6)."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from mcp_server.calls.week import NEVER, Week

BEIJING = timezone(timedelta(hours=8))
"""GMT+8 in every year: the zone of call tasks and crowd analyses, whatever the project's is. (The zone data of Shanghai
has summer times of earlier years, the vendors do not.)"""
MOST_CONCURRENCY = 1_000_000
"""Only keeps numbers within reason; the real ceiling is that of the account."""
FEWEST_MINUTES, MOST_MINUTES = 5, 1440
"""Between two attempts."""
MOST_REDIALS = 5
DEFAULT_INTERVAL = 5
"""Of the vendor, in minutes."""


@dataclass(frozen=True, slots=True)
class Redials:
    """How often a callee that did not answer is tried again, and after how many minutes."""

    times: int = 0
    interval: int = DEFAULT_INTERVAL


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Everything that an update sets. Times are naive, in Beijing time, to the second."""

    start: datetime
    end: datetime
    concurrency: int
    forbidden: Week = NEVER
    """Times of the week at which no attempt may start."""
    redials: Redials | None = Redials()
    """None: as they are, on a platform that does not show them."""
