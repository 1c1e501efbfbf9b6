"""The words for the parts of a definition: names, values, windows and filters (qp.md sections 1, 2 and 4).

Two parts of different meaning never read the same. Everything that comes from outside is quoted and escaped (names in
backticks, texts in JSON quotes), so it cannot imitate our own words; what would be invisible or look like something
else is escaped as well. Words of the language come from `vocabulary.py`.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, timedelta
from typing import assert_never

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Event, Metadata, Names, Property, ValueType
from mcp_server.language.model import EventCondition, EventSelection, Filter
from mcp_server.language.values import MAX_DAYS_BACK, NUMBER, parse_time, recent_days, show_time
from mcp_server.language.vocabulary import Test
from mcp_server.text import Text, clauses, joined_by, listed, same

ALL_SHOWN = 20
"""Most values that are all listed; of more, the first FIRST_SHOWN, the count and a hash of all of them."""
FIRST_SHOWN = 10

_NUMBER = re.compile(NUMBER)
_DAYS = re.compile("[0-9]{1,5}")
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that count as printable and show nothing."""

_MANY_SHOWN = Text("{shown}, … ({n} values in all, list {mark})", "{shown}……（共 {n} 个值，列表指纹 {mark}）")
_OWNED = {
    "event": Text("{name}", "{name}"),
    "user": Text("the user's {name}", "用户的 {name}"),
    "cluster": Text("the user's tag {name}", "用户的标签 {name}"),
}
"""How a property is named by the table it belongs to."""

_CLUSTER = Text("the cluster {name}", "分群 {name}")
_VERSION = Text("its version of {day}", "取 {day} 的版本")

_BOTH_INCLUDED = Text("both included", "含两端")
_NO_VALUE = Text("a missing value does not match", "无值不算满足")
_CASE = Text("case-sensitive", "区分大小写")
_NOTES = Text(" ({notes})", "（{notes}）")
_GROUP = Text("{join} [{parts}]", "{join}【{parts}】")
_END_OF_DAY = Text("the end of {day}", "{day} 当天结束")

_DAY_ALONE = Text("{first} ({relative})", "{first}（{relative}）")
_DAY_SPAN = Text("{first} to {last} ({relative})", "{first} 至 {last}（{relative}）")
_TODAY, _YESTERDAY, _DAY_AGO = Text("today", "今天"), Text("yesterday", "昨天"), Text("{far} days ago", "{far} 天前")
_PAST_WITH_TODAY = Text("the past {far} days, with today", "过去 {far} 天，含今天")
_PAST = Text("the past {far} days, without today", "过去 {far} 天，不含今天")
_DAYS_AGO = Text("{near} to {far} days ago", "{near} 至 {far} 天前")
_DAY_START = Text("{day} 00:00:00 (the start of {relative})", "{day} 00:00:00（{relative}零点）")
_THAT_DAY = Text("the day {far} days ago", "{far} 天前当日")
_NO_DAYS = Text("the days {raw}, which are no window", "无效的日期范围 {raw}")

_ANY_TIME = Text("at any time (future events included)", "任何时间（含未来的事件）")
_ON, _FROM = Text("on {days}", "{days}"), Text("from {days}", "{days}")
_ON_DATE = Text("on {start} (fixed date, the whole day)", "{start}（固定日期，全天）")
_DATES = Text("from {start} to {end} (fixed dates, {last})", "{start} 至 {end}（固定日期，{last}）")
_SINCE = Text(
    "from {start} on (fixed date, no end: future events included)", "{start} 起（固定日期，不限结束时间，含未来的事件）"
)
_UNTIL = Text("up to {end} (fixed date, {last}, no start)", "截至 {end}（固定日期，{last}，不限开始时间）")
_WHOLE_DAY = Text("the whole last day included", "含最后一天全天")
_WHOLE_SECOND = Text("to the second, the last second included", "精确到秒，含最后一秒")


def quoted(text: str) -> str:
    """A text value in JSON quotes."""
    return '"' + visible(text, '"') + '"'


def visible(text: str, quote: str) -> str:
    """A text with escapes for the quote, the backslash and whatever a reader could not see or tell apart."""
    composed = unicodedata.is_normalized("NFC", text)

    def shown(char: str) -> str:
        if char in (quote, "\\"):
            return "\\" + char
        hidden = not char.isprintable() or _BLANK.match(char) or not (composed or char.isascii())
        return json.dumps(char)[1:-1] if hidden else char

    return "".join(map(shown, text))


def named(name: str, known: Event | Property | None) -> Text:
    """A real name in backticks, its display name beside it; what follows in Chinese needs no blank of its own."""
    name, names = (known.name, known.names) if known else (name, Names())
    code = f"`{visible(name, '`')}`"
    english, chinese = names.en or names.zh, names.zh or names.en
    return Text(
        f"{code} ({visible(english, '`')})" if english not in ("", name) else code,
        f"{code}（{visible(chinese, '`')}）" if chinese not in ("", name) else f"{code} ",
    )


def event_name(name: str, metadata: Metadata) -> Text:
    """An event by its real name and its display name; a Chinese text without a display name ends in a blank."""
    if name == words.ANY_EVENT:
        return words.ANY_EVENT_TEXT
    return named(name, metadata.event_by_name.get(name))


def property_name(table: str, name: str, metadata: Metadata) -> Text:
    """A property in its declared spelling, with its display name; the user's properties are called the user's."""
    return _OWNED[table].format(name=named(name, metadata.property(table, name)))


def noted(text: Text, notes: Sequence[Text]) -> Text:
    """A text with remarks in one pair of parentheses."""
    if not notes:
        return text
    remarks = _NOTES.format(notes=joined_by("; ", "，", notes))
    return Text(text.en + remarks.en, text.zh.rstrip() + remarks.zh)


def joined(parts: Sequence[Text], relation: words.Relation) -> Text:
    """Conditions as one: in brackets behind their relation, one alone as it is."""
    return parts[0] if len(parts) == 1 else _GROUP.format(join=words.JOINS[relation], parts=clauses(parts))


def plural(number: str) -> str:
    """The English plural's ending after a number."""
    return "" if number == "1" else "s"


# Windows


def window(event: EventCondition | EventSelection, metadata: Metadata) -> Text:
    """The window of an event: dates, and in parentheses whether they move with today (qp.md section 2)."""
    return span_of(event.recent_day, event.start_time, event.end_time, metadata)


def span_of(recent_day: str, start_time: str, end_time: str, metadata: Metadata) -> Text:
    """A window by its parts; an empty one is not given."""
    if recent_day:
        days = recent_days(recent_day, metadata.today)
        alone = days is not None and days.first == days.last
        return (_ON if alone else _FROM).format(days=_recent(recent_day, metadata))
    if not start_time and not end_time:
        return _ANY_TIME
    start, whole_start = _bound(start_time)
    end, whole_end = _bound(end_time)
    last = _WHOLE_DAY if whole_end else _WHOLE_SECOND
    if not end:
        return _SINCE.format(start=start)
    if not start:
        return _UNTIL.format(end=end, last=last)
    if whole_start and whole_end and start == end:
        return _ON_DATE.format(start=start)
    return _DATES.format(start=start, end=end, last=last)


def _bound(text: str) -> tuple[str, bool]:
    """One end of a date window, and whether it is a midnight and so means a whole day."""
    written = parse_time(text) if text else None
    if written is None:
        return (quoted(text) if text else ""), False
    shown = show_time(written.moment)
    day, _, clock = shown.partition(" ")
    return (day, True) if clock == "00:00:00" else (shown, False)


def _recent(text: str, metadata: Metadata) -> Text:
    """The days of `recentDay` "A-B": the dates, and the relative form that moves with today."""
    days = recent_days(text, metadata.today)
    if days is None:
        return _NO_DAYS.format(raw=quoted(text))
    near, far = map(int, text.split("-"))
    relative = _relative(near, far).format(near=near, far=far)
    dates = _DAY_ALONE if days.first == days.last else _DAY_SPAN
    return dates.format(first=days.first, last=days.last, relative=relative)


def _relative(near: int, far: int) -> Text:
    if near == 0:
        return _TODAY if far == 1 else _PAST_WITH_TODAY
    if near == far:
        return _YESTERDAY if far == 1 else _DAY_AGO
    return _PAST if near == 1 else _DAYS_AGO


def _day_start(text: str, metadata: Metadata) -> Text:
    """The start of the day N days ago, as `relativeCurrentBefore` means it."""
    far = int(text) if _DAYS.fullmatch(text) else MAX_DAYS_BACK + 1
    if far > min(MAX_DAYS_BACK, (metadata.today - date.min).days):
        return _NO_DAYS.format(raw=quoted(text))
    relative = {0: _TODAY, 1: _YESTERDAY}.get(far, _THAT_DAY).format(far=far)
    return _DAY_START.format(day=metadata.today - timedelta(days=far), relative=relative)


# Filters


def filter_text(part: Filter, metadata: Metadata) -> Text:
    """A filter, or a group of them in brackets, as a statement about its property."""
    if part.is_group:
        return joined([filter_text(p, metadata) for p in part.filts], part.relation)
    known = metadata.property(part.table_type, part.column_name)
    row = words.COMPARATORS[part.comparator]
    version = [_VERSION.format(day=part.cluster_date)] if part.cluster_date else []
    if row.test is Test.MEMBER:
        text = row.text.format(name=_CLUSTER.format(name=named(part.column_name, known)))
        return noted(Text(text.en, text.zh.rstrip()), version)
    name = property_name(part.table_type, part.column_name, metadata)
    text, notes = _predicate(part, row, known.type if known else None, metadata)
    return noted(Text(f"{name.en} {text.en}", f"{name.zh}{text.zh}"), [*version, *notes])


def _predicate(
    part: Filter, row: words.Comparator, kind: ValueType | None, metadata: Metadata
) -> tuple[Text, list[Text]]:
    """The statement of a filter about its property, and what has to be added about ends, letters or missing values."""
    match row.test:
        case Test.BETWEEN:
            return _range(part, row, kind)
        case Test.RECENT:
            return row.text.format(any=_recent("-".join(part.ftv), metadata)), []
        case Test.BEFORE_DAY:
            return row.text.format(any=_day_start(part.ftv[0], metadata)), []
        case Test.BEFORE_EVENT | Test.AFTER_EVENT | Test.AROUND_EVENT:
            amount = _value(part.ftv[0], "number")
            unit = words.TIME_UNITS[part.time_unit].text
            return row.text.format(a=unit.format(n=amount, s=plural(amount))), []
        case Test.ITEM_AT:
            return row.text.format(a=_value(part.ftv[0], "number"), b=_value(part.ftv[1], kind)), []
        case Test.MISSING | Test.EMPTY | Test.MEMBER:
            return row.text, []
        case Test.ONE_OF | Test.ABOVE | Test.BELOW | Test.CONTAINS | Test.MATCHES | Test.TRUE | Test.HOLDS:
            case_note = [_CASE] if row.test is Test.MATCHES else []
            return _of_values(row, part.ftv, kind), case_note + ([_NO_VALUE] if row.negated else [])
        case unknown:
            assert_never(unknown)


def _of_values(row: words.Comparator, values: tuple[str, ...], kind: ValueType | None) -> Text:
    distinct = tuple(dict.fromkeys(values))
    text = row.time_text if kind == "time" and row.time_text else row.text
    if row.many_text and len(distinct) > 1:
        text = row.many_text
    return text.format(any=_values(distinct, kind), a=_value(values[0], kind) if values else "")


def _value(text: str, kind: ValueType | None) -> str:
    """One value: numbers as written, times as they are evaluated, anything else in JSON quotes."""
    if kind == "number" and _NUMBER.fullmatch(text):
        return text
    written = parse_time(text) if kind == "time" else None
    return show_time(written.moment) if written and written.plain else quoted(text)


def _values(values: tuple[str, ...], kind: ValueType | None) -> Text:
    """All values, or the first of many; several bring a blank with them in Chinese, where words follow."""
    if len(values) <= ALL_SHOWN:
        text = listed(_value(v, kind) for v in values)
        return Text(text.en, text.zh + " ") if len(values) > 1 else text
    shown = listed(_value(v, kind) for v in values[:FIRST_SHOWN])
    mark = hashlib.sha256(json.dumps(sorted(values)).encode()).hexdigest()[:12]
    return _MANY_SHOWN.format(shown=shown, n=len(values), mark=mark)


def _range(part: Filter, row: words.Comparator, kind: ValueType | None) -> tuple[Text, list[Text]]:
    """A range; one that ends at the vendor's limit of a number or a time is open there (qp.md section 1)."""
    low, high = part.ftv
    lowest, highest = (words.TIME_MIN, words.TIME_MAX) if kind == "time" else (words.NUMBER_MIN, words.NUMBER_MAX)
    at_least, at_most = words.OPEN_RANGES["time" if kind == "time" else "number"]
    written = parse_time(high) if kind == "time" else None
    upper = same(_value(high, kind))
    if written and written.bare_date:  # takes in its day (qp.md section 4)
        upper = _END_OF_DAY.format(day=written.moment.date())
    ends = {"a": same(_value(low, kind)), "b": upper}
    if high == highest:
        return at_least.format(**ends), []
    if low == lowest:
        return at_most.format(**ends), []
    return row.text.format(**ends), [_BOTH_INCLUDED]
