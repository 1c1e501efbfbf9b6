"""Reading what a caller asks a call task to be set to: its window, times of the week, concurrency, redials."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from mcp_server.calls.problems import finding
from mcp_server.calls.settings import (
    BEIJING,
    FEWEST_MINUTES,
    MOST_CONCURRENCY,
    MOST_MINUTES,
    MOST_REDIALS,
    CallSettings,
    Redials,
)
from mcp_server.calls.volcengine import as_entry
from mcp_server.calls.week import DAY, NEVER, RANGE, WEEKDAYS, Span, Week, on_days, read_range
from mcp_server.errors import Problem, Repair
from mcp_server.language.suggest import nearest
from mcp_server.text import NOTHING, Text, listed, same


@dataclass
class Findings:
    """What was met while reading."""

    problems: list[Problem] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)


# Settings


CLEAR = "-"
"""As the only entry: nothing is forbidden any more. An empty list is absent, as everywhere (qp.md section 1)."""
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2})(:\d{2})?(\.\d{1,9})?\s?(Z|[+-]\d{2}:?[0-5]\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_DAY_BEGINS, _DAY_ENDS = "00:00:00", "23:59:59"
_FIRST, _LAST = Text("beginning", "零点"), Text("end", "结束时")
_CONVERTED = Text("converted to Beijing time", "已换算为北京时间")
_COMPLETED = Text("written as yyyy-MM-dd HH:mm:ss", "改写为 yyyy-MM-dd HH:mm:ss")


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """What a caller gives; what is empty or None was left out."""

    start_time: str = ""
    end_time: str = ""
    concurrency: int | None = None
    ring_again_times: int | None = None
    ring_again_interval: int | None = None
    forbid_times: Sequence[str] | None = None
    call_times: Sequence[str] | None = None
    recall: bool | None = None

    @property
    def redials(self) -> bool:
        """True where a redial setting is given."""
        return self.ring_again_times is not None or self.ring_again_interval is not None


@dataclass(frozen=True, slots=True)
class SettingsReading:
    """The complete settings; None where there are problems."""

    settings: CallSettings | None
    recall: bool
    """Whether the redials are sent (vendors.md B6)."""
    problems: tuple[Problem, ...] = ()
    repairs: tuple[Repair, ...] = ()


def read_settings(
    request: SettingsRequest, before: CallSettings | None = None, *, opaque: Text = NOTHING
) -> SettingsReading:
    """Return the complete settings: what is given, else what was set before, else the vendor's defaults.

    `opaque` names a platform that does not show what is set: everything that an update replaces has to be given.
    """
    hidden, findings = any(opaque), Findings()
    if hidden:
        findings.problems += _missing(request, opaque)
    start, end = _window(request, before, findings, needed=before is None and not hidden)
    concurrency = request.concurrency if request.concurrency is not None else before.concurrency if before else None
    if concurrency is not None:
        _check_number("concurrency", concurrency, 1, MOST_CONCURRENCY, "call_concurrency", findings)
    forbidden = _forbidden(request, before.forbidden if before else NEVER, findings)
    redials = _redials(request, before.redials if before else None, findings, hidden=hidden)
    settings = None
    if start is not None and end is not None and concurrency is not None and not findings.problems:
        settings = CallSettings(start, end, concurrency, forbidden, redials)
    recall = request.redials or bool(request.recall)
    return SettingsReading(settings, recall, tuple(findings.problems), tuple(findings.repairs))


def _missing(request: SettingsRequest, platform: Text) -> Iterator[Problem]:
    given = {
        "start_time": bool(request.start_time),
        "end_time": bool(request.end_time),
        "concurrency": request.concurrency is not None,
        "forbid_times": request.forbid_times is not None or request.call_times is not None,
        "ring_again_times": request.ring_again_interval is None or request.ring_again_times is not None,
    }
    for name, is_given in given.items():
        if not is_given:
            yield finding("call_field_missing", f"/{name}", platform=platform, expected=name)


def _window(
    request: SettingsRequest, before: CallSettings | None, findings: Findings, *, needed: bool
) -> tuple[datetime | None, datetime | None]:
    """Start and end; None where one is missing or cannot be read."""
    start = _moment(request.start_time, "/start_time", _DAY_BEGINS, findings, needed=needed)
    end = _moment(request.end_time, "/end_time", _DAY_ENDS, findings, needed=needed)
    if before:
        start = start if request.start_time else before.start
        end = end if request.end_time else before.end
    if start and end and end <= start:
        path = "/end_time" if request.end_time else "/start_time"
        got = request.end_time or request.start_time
        findings.problems.append(finding("call_end_not_after_start", path, got=got, expected=same(start)))
    return start, end


def _moment(text: str, path: str, clock: str, findings: Findings, *, needed: bool) -> datetime | None:
    """A time in Beijing; None where none was given or it cannot be read."""
    if not text and not needed:
        return None
    match = _TIME.fullmatch(text.strip())
    day, minutes, seconds, _, offset = match.groups() if match else ("",) * 5
    if day and not minutes:
        findings.problems.append(_day_alone(text, day, path, clock))
        return None
    try:
        written = f"{day} {minutes}{seconds or ':00'}{(offset or '').upper()}"
        moment = datetime.fromisoformat(written) if minutes else None
        if moment and offset:
            moment = moment.astimezone(BEIJING).replace(tzinfo=None)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        findings.problems.append(finding("call_time_invalid", path, got=text))
    elif str(moment) != text:
        findings.repairs.append(Repair(path, text, str(moment), _CONVERTED if offset else _COMPLETED))
    return moment


def _day_alone(text: str, day: str, path: str, clock: str) -> Problem:
    """The vendor's page has full times only, and a call too early or too late reaches people: so nothing is filled in."""
    try:
        date.fromisoformat(day)
    except ValueError:
        return finding("call_time_invalid", path, got=text)
    end = _LAST if clock == _DAY_ENDS else _FIRST
    return finding("call_time_no_clock", path, got=text, suggestion=f"{day} {clock}", end=end)


def _forbidden(request: SettingsRequest, before: Week, findings: Findings) -> Week:
    if request.forbid_times is not None and request.call_times is not None:
        findings.problems.append(finding("call_both_times", "/call_times"))
    if request.call_times is not None:
        if not request.call_times:
            findings.problems.append(finding("call_never", "/call_times", got="[]"))
        return read_week(request.call_times, "/call_times", findings).complement()
    if request.forbid_times is not None and [entry.strip() for entry in request.forbid_times] == [CLEAR]:
        return NEVER
    if request.forbid_times is not None:
        return read_week(request.forbid_times, "/forbid_times", findings)
    return before


def _redials(request: SettingsRequest, before: Redials | None, findings: Findings, *, hidden: bool) -> Redials | None:
    times, interval, recall = request.ring_again_times, request.ring_again_interval, request.recall
    if not times and interval == 0 and (times == 0 or (before and not before.times)):
        interval = None  # without redials there is no time between them
    if (recall is False and request.redials) or (recall and hidden and not request.redials):
        findings.problems.append(
            finding("call_recall_contradicts", "/recall", got=recall, suggestion=str(not recall).lower())
        )
    if times is not None:
        _check_number("ring_again_times", times, 0, MOST_REDIALS, "call_redial_times", findings)
    if interval is not None:
        _check_number("ring_again_interval", interval, FEWEST_MINUTES, MOST_MINUTES, "call_redial_interval", findings)
    if hidden and not request.redials:
        return None
    known = before or Redials()
    return Redials(known.times if times is None else times, known.interval if interval is None else interval)


def _check_number(name: str, value: int, least: int, most: int, code: str, findings: Findings) -> None:
    if not least <= value <= most:
        nearest_legal = str(min(max(value, least), most))
        findings.problems.append(finding(code, f"/{name}", got=value, suggestion=nearest_legal, most=most))


# Times of the week, as people write them: `mon-sat 10:00-12:00`, `sun`, `12:00-14:00,20:00-09:00`
#
# An entry is any weekdays and ranges of times, in any order, separated by blanks or commas. Weekdays alone are whole
# days, times alone are every day.


MOST_RANGES = 100
"""Ranges of times in one argument."""

_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES: Mapping[str, str] = {
    **{name: name for name in WEEKDAYS},
    **dict(zip(_FULL, WEEKDAYS, strict=True)),
    **{name + "s": day for name, day in zip(_FULL, WEEKDAYS, strict=True)},
    **{
        before + c: day
        for before in ("周", "星期", "礼拜")
        for row in ("一二三四五六日", "一二三四五六天")
        for c, day in zip(row, WEEKDAYS, strict=True)
    },
}
"""Every name of a weekday that can mean only one day."""

_AMBIGUOUS: Mapping[str, str] = {
    **dict(zip("1234567", ("sun", "mon", "tue", "wed", "thu", "fri", "sat"), strict=True)),
    **dict.fromkeys(("weekend", "weekends", "周末"), "sat-sun"),
    **dict.fromkeys(("weekday", "weekdays", "workday", "workdays", "工作日"), "mon-fri"),
    **dict.fromkeys(("daily", "everyday", "每天", "每日"), "mon-sun"),
}
"""Words that are not taken, because they are read in more than one way, and what they may mean."""

_DASH = re.compile(r"\s*[-–—－~～至到]\s*")
_SEPARATOR = re.compile(r"[\s,，、;；]+")
_DIGIT = re.compile(r"\d", re.ASCII)
_HOURS = re.compile(r"(\d{1,2})(:\d{2})?(?:点|时|h)?(am|pm)?-(\d{1,2})(:\d{2})?(?:点|时|h)?(am|pm)?", re.ASCII)
"""Ranges that are not taken, but clear enough for a suggestion."""
_NUMBERED_DAYS = re.compile(r"[0-7]-[0-7]", re.ASCII)
"""Beside a range of times these are weekdays, which systems number differently."""
_REWRITTEN = Text("read so", "按此理解")
_VENDORS = Text("the vendor's form, in which 1 is Sunday", "服务商的写法，其中 1 表示周日")


def read_week(entries: Sequence[str], path: str, findings: Findings) -> Week:
    """Return the minutes that the entries name. A range over midnight is split there, its second half on the next day.

    What cannot be read becomes a problem, and what was written otherwise a repair.
    """
    if sum(1 + entry.count(":") for entry in entries) > 2 * MOST_RANGES:
        findings.problems.append(finding("call_too_many_times", path, limit=MOST_RANGES))
        return NEVER
    return Week.of(span for n, entry in enumerate(entries) for span in _entry(entry, f"{path}/{n}", findings))


def _entry(text: str, path: str, findings: Findings) -> Iterator[Span]:
    vendors = as_entry(text) if text.lstrip().startswith("{") else ""
    if vendors:
        findings.repairs.append(Repair(path, text, vendors, _VENDORS))
        text = vendors
    words = [word for word in _SEPARATOR.split(_DASH.sub("-", text)) if word]
    days: list[int] = []
    ranges: list[Span] = []
    rewritten: list[str] = []
    for word in words:
        timed = _DIGIT.match(word) is not None and word not in _AMBIGUOUS
        named = "" if timed else _named(word)
        span = read_range(word) if timed else None
        if not named and span is None:
            findings.problems.append(_unreadable(text, word, path, timed=timed))
            return
        if span:
            ranges.append(span)
        days += _days(named)
        rewritten.append(named or _two_digits(word))
    if not words:
        findings.problems.append(finding("call_entry_empty", path, got=text))
    elif rewritten != words and not vendors:
        findings.repairs.append(Repair(path, text, " ".join(rewritten), _REWRITTEN))
    for start, end in (ranges or [(0, DAY)]) if words else ():
        yield from on_days(sorted(set(days)) if days else range(7), start, end)


def _named(word: str) -> str:
    """A weekday or a run of them in our words, such as `mon-sat`; "" where it is none."""
    parts = [_NAMES.get(part.casefold().rstrip("."), "") for part in word.split("-")]
    return "-".join(parts) if all(parts) and len(parts) <= 2 else ""


def _days(named: str) -> list[int]:
    """The days of a run; after Sunday comes Monday."""
    if not named:
        return []
    first, _, last = named.partition("-")
    start = WEEKDAYS.index(first)
    length = (WEEKDAYS.index(last) - start) % 7 if last else 0
    return [(start + n) % 7 for n in range(length + 1)]


def _two_digits(word: str) -> str:
    """A range with two digits for each number."""
    match = RANGE.fullmatch(word)
    return "{:0>2}:{}-{:0>2}:{}".format(*match.groups()) if match else word


def _unreadable(text: str, word: str, path: str, *, timed: bool) -> Problem:
    """The problem with a word; it suggests the entry with a word that can be read."""
    numbered = timed and _NUMBERED_DAYS.fullmatch(word) and any(map(read_range, _SEPARATOR.split(text)))
    if numbered:
        near, code = "", "call_weekday_unknown"
    elif timed:
        match = RANGE.fullmatch(word)
        empty = match is not None and match[1].zfill(2) + match[2] == match[3].zfill(2) + match[4]
        near, code = ("00:00-23:59", "call_range_empty") if empty else (_near_range(word), "call_range_invalid")
    else:
        parts = [_near_day(part) for part in word.casefold().split("-")]
        runs = len(parts) > 2 or any("-" in part for part in parts)
        near, code = ("," if runs else "-").join(parts) if all(parts) else "", "call_weekday_unknown"
    suggestion = (
        _DASH.sub("-", text).replace(word, near, 1).strip() if near and not text.lstrip().startswith("{") else ""
    )
    return finding(code, path, got=text, suggestion=suggestion, expected=listed(WEEKDAYS), word=word)


def _near_range(word: str) -> str:
    """`10-12`, `10点-12点` or `10am-2pm` as a range; "" where that is none."""
    match = _HOURS.fullmatch(word.casefold().replace("：", ":"))
    if not match:
        return ""
    ends = []
    for hour, minutes, half in (match.groups()[:3], match.groups()[3:]):
        full = int(hour) if not half else int(hour) % 12 + 12 * (half == "pm")
        ends.append(f"{full:02}{minutes or ':00'}")
    near = "-".join(ends)
    return near if near != word and read_range(near) else ""


def _near_day(word: str) -> str:
    known = _NAMES.get(word) or _AMBIGUOUS.get(word)
    return known or nearest(word, WEEKDAYS) or _NAMES.get(nearest(word, _NAMES), "")
