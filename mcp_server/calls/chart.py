"""The times of the week at which calls may happen, drawn with characters: a row a day, a column an hour."""

from mcp_server.calls.week import DAY_NAMES, Week
from mcp_server.text import Text

FULL, PART, CLOSED = "█", "▒", "·"
_LEGEND = Text(
    f"{FULL} calls may start  {PART} part of the hour  {CLOSED} none (Beijing time)",
    f"{FULL} 可外呼  {PART} 部分可外呼  {CLOSED} 不外呼（北京时间）",
)
_HOURS = "".join(f"{hour:<3}" for hour in range(0, 24, 3))


def chart(week: Week) -> Text:
    """Eight lines and a legend, in a fixed-width font."""
    rows = [_row(week, day) for day in range(7)]
    return Text(
        "\n".join(["    " + _HOURS.rstrip(), *(f"{DAY_NAMES[d].en} {row}" for d, row in enumerate(rows)), _LEGEND.en]),
        "\n".join(["     " + _HOURS.rstrip(), *(f"{DAY_NAMES[d].zh} {row}" for d, row in enumerate(rows)), _LEGEND.zh]),
    )


def _row(week: Week, day: int) -> str:
    return "".join(_cell(week, day, hour * 60) for hour in range(24))


def _cell(week: Week, day: int, start: int) -> str:
    minutes = sum(max(0, min(b, start + 60) - max(a, start)) for a, b in week.of_day(day))
    return FULL if minutes == 60 else PART if minutes else CLOSED
