"""The values of a definition: numbers, held exactly (qp.md section 4), days, windows and instants (section 2)."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Context, Decimal
from zoneinfo import ZoneInfo

# Numbers

NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
"""A JSON number as text."""
_NUMBER = re.compile(NUMBER)
MAX_DIGITS = 38
MAX_PLACES = 18
"""Most digits of an exact comparison, and how many of them after the point. More is refused, never rounded."""

_EXACT = Context(prec=2100)


def parse_number(text: object) -> Decimal | None:
    """Parse a JSON number; None where the text is none or goes beyond MAX_DIGITS and MAX_PLACES."""
    if not isinstance(text, str) or len(text) > 2000 or not _NUMBER.fullmatch(text):
        return None
    if len(text.lower().partition("e")[2]) > 6:
        return None  # an exponent no number here can have; Decimal would accept it and choke later
    value = Decimal(text)
    if not value:
        return Decimal(0)
    small = value.normalize(_EXACT)
    exponent = int(small.as_tuple().exponent)
    if small.adjusted() >= MAX_DIGITS or exponent < -MAX_PLACES:
        return None
    return small if exponent <= 0 else small.quantize(Decimal(1), context=_EXACT)


def parse_numbers(text: str) -> tuple[Decimal, ...] | None:
    """Parse one number, or "low,high"; None where any is no number."""
    parts = text.split(",")
    numbers = tuple(n for part in parts if (n := parse_number(part)) is not None)
    return numbers if len(numbers) == len(parts) else None


def is_too_long(text: str) -> bool:
    """Whether these are numbers, one or "low,high", of which one goes beyond MAX_DIGITS and MAX_PLACES."""
    parts = text.split(",")
    return len(text) <= 2000 and len(parts) <= 2 and all(map(_NUMBER.fullmatch, parts)) and parse_numbers(text) is None


def plain(number: Decimal) -> str:
    """Write a number without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def tidy_number(text: str) -> str:
    """Rewrite `5 000`, `5,000`, `+5`, `05` or `5.` as a number; "" where that would be a guess."""
    bare = text.replace(" ", "").replace("_", "").lstrip("+")
    if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+", bare):
        bare = bare.replace(",", "")
    stripped = re.sub(r"^(-?)0+(?=[0-9])", r"\1", bare).rstrip(".")
    return stripped if stripped != text and parse_number(stripped) is not None else ""


# Days, windows and instants
#
# All arithmetic on days happens here, in Python; engines only ever see finished instants. An instant is a naive
# `datetime` in UTC; a `Span` is half-open, [start, end), None meaning open.


MAX_DAYS_BACK = 36500

_RECENT = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}:\d{2})(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, [start, end); an end that is None is open."""

    start: datetime | None
    end: datetime | None

    @property
    def empty(self) -> bool:
        return self.start is not None and self.end is not None and self.start >= self.end


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, both included."""

    first: date
    last: date


def recent_days(text: str, today: date) -> Days | None:
    """Return the days of `recentDay` "A-B", or None where that is no window.

    A >= 1 counts both ends back from today; A = 0 means the B days that end today (qp.md section 2).
    """
    match = _RECENT.fullmatch(text)
    if not match:
        return None
    near, far = int(match[1]), int(match[2])
    if far > MAX_DAYS_BACK or far < near or far == 0:
        return None
    try:
        if near == 0:
            return Days(today - timedelta(days=far - 1), today)
        return Days(today - timedelta(days=far), today - timedelta(days=near))
    except OverflowError:
        return None


def instant(local: datetime, zone: tzinfo) -> datetime:
    """Convert a local time to an instant: in a repeated hour the first, in a skipped hour moved forward.

    An instant outside the years 1 to 9999 becomes the first or the last of them.
    """
    try:
        return local.replace(tzinfo=zone, fold=0).astimezone(UTC).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return _nearest_end(local)


def local(moment: datetime, zone: tzinfo) -> datetime:
    """Convert an instant to local time; beyond the calendar the first or the last time in it."""
    try:
        return moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return _nearest_end(moment)


def _nearest_end(moment: datetime) -> datetime:
    return datetime.max if moment.year > 5000 else datetime.min


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day: its midnight, or, where a clock change skips that, the change itself."""
    midnight = datetime.combine(day, time())
    start = instant(midnight, zone)
    if local(start, zone) == midnight or start in (datetime.min, datetime.max):
        return start
    low = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC).replace(tzinfo=None)  # still the day before
    seconds = range(int((start - low).total_seconds()) + 1)
    first = bisect_left(seconds, day, key=lambda s: local(low + timedelta(seconds=s), zone).date())
    return low + timedelta(seconds=first)


def after(day: date, zone: ZoneInfo) -> datetime | None:
    """The first instant after a local day; None after the last day of the calendar."""
    return None if day == date.max else day_start(day + timedelta(days=1), zone)


def span_of_days(days: Days, zone: ZoneInfo) -> Span:
    return Span(day_start(days.first, zone), after(days.last, zone))


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A time with how it was written: without an offset it is local to the project."""

    moment: datetime
    bare_date: bool
    offset: timedelta | None
    plain: bool
    """True where it was written in the documented form (`yyyy-MM-dd[ HH:mm:ss[.SSS]]`, no offset)."""


def parse_time(text: str) -> LocalTime | None:
    """Read `yyyy-MM-dd`, `yyyy-MM-dd HH:mm:ss` and `….SSS`, also with a `T` and an offset; None otherwise."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    day, clock, fraction, offset = match.groups()
    if offset and not clock:
        return None
    try:
        moment = datetime.fromisoformat(f"{day} {clock or '00:00:00'}{(fraction or '')[:7]}")
    except ValueError:
        return None
    plain = not offset and "T" not in text and len(fraction or "") in (0, 4)
    return LocalTime(moment, clock is None, _offset(offset), plain)


def _offset(text: str | None) -> timedelta | None:
    if text is None:
        return None
    if text == "Z":
        return timedelta(0)
    sign = -1 if text[0] == "-" else 1
    return sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))


def to_project_time(written: LocalTime, zone: tzinfo) -> datetime | None:
    """Convert a time with an offset to the project's local time; None beyond the calendar."""
    if written.offset is None:
        return written.moment
    try:
        return (written.moment - written.offset).replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return None


def show_time(moment: datetime) -> str:
    """A local time in the documented form, with milliseconds only where there are any."""
    text = moment.isoformat(sep=" ", timespec="seconds")
    return f"{text}.{moment.microsecond // 1000:03d}" if moment.microsecond else text


def span_between(start: str, end: str, zone: ZoneInfo) -> Span:
    """`startTime` to `endTime`, both included: an end at midnight takes in its day, any other its whole second.

    Both must be readable; an empty one leaves its side open.
    """
    first = parse_time(start) if start else None
    last = parse_time(end) if end else None
    low = instant(first.moment, zone) if first else None
    if last is None:
        return Span(low, None)
    if last.moment.time() == time():
        return Span(low, after(last.moment.date(), zone))
    high = instant(last.moment.replace(microsecond=0), zone)
    whole_second = timedelta(seconds=1)
    return Span(low, high + whole_second if high < datetime.max - whole_second else None)
