"""An item of the vendor's `ForbidTimeList`, where somebody hands it on as it stands on the vendor's page."""

import json
from typing import Final

from mcp_server.calls.week import WEEKDAYS

NUMBERS: Final = {0: 2, 1: 3, 2: 4, 3: 5, 4: 6, 5: 7, 6: 1}
"""Weekdays (0 = Monday) by the vendor's numbers: 1 = Sunday … 7 = Saturday. (ISO and other vendors number otherwise.)"""
DAYS: Final = {number: day for day, number in NUMBERS.items()}


def in_our_words(text: str) -> str:
    """`{"Weekdays":[3],"Times":["10:00-11:00"]}` as `tue 10:00-11:00`; "" where it is no such item.

    Its keys say whose numbers these are, so that they have one reading. Days left out are every day.
    """
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(item, dict) or not item.get("Times") or item.keys() - {"Weekdays", "Times"}:
        return ""
    numbers, times = item.get("Weekdays") or [], item["Times"]
    if not isinstance(numbers, list) or not isinstance(times, list) or not all(isinstance(t, str) for t in times):
        return ""
    if not all(type(number) is int and number in DAYS for number in numbers):
        return ""
    days = ",".join(WEEKDAYS[day] for day in sorted(DAYS[number] for number in numbers))
    return f"{days} {','.join(times)}".strip()
