"""Definitions of any form: conditions of a cluster or a tag, SQL, uploaded ids, and what only the platform can read.

Each function does one thing with a definition of any form; its `match` names the code for each form. A new form is its
class and a branch wherever mypy then asks for one. Every class has its `catalog` (a cluster's or a tag's), a `noun` for
messages, the ends of the cluster types that it may have (`types_end`), and the key of the vendor's request body that
carries it (`body_key`, "" where the vendor publishes none).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, assert_never

from mcp_server.errors import Problem
from mcp_server.language import vocabulary as words
from mcp_server.language.compare import compare_qp, compare_tags
from mcp_server.language.explain import ExplainedPart, Explanation, explain_qp, explain_tag
from mcp_server.language.metadata import Event, Metadata, Property, ValueType
from mcp_server.language.model import (
    TAG,
    EventCondition,
    EventSelection,
    Filter,
    Qp,
    TagQp,
    digest,
    leaves,
    qp_hash,
    tag_hash,
    tag_value_type,
)
from mcp_server.language.problems import finding, pointer
from mcp_server.language.reading.check import Reading, RegexFault, SqlLook, is_sql, read_qp, read_sql, read_tag
from mcp_server.language.sql import Sql, compare_sql, explain_sql, sql_hash
from mcp_server.language.uploaded import HASH, Uploaded, compare_uploads, explain_upload, upload_hash
from mcp_server.language.values import (
    instant,
    parse_number,
    parse_numbers,
    parse_time,
    plain,
    recent_days,
    show_time,
    span_between,
    span_of_days,
)
from mcp_server.language.vocabulary import Path, Test
from mcp_server.text import Text

_ON_PLATFORM = Text(
    "defined on the platform itself, in a form that can't be read here; what the platform reports of it is shown as it came",
    "由平台自身定义，其形式无法在此解读；平台给出的内容原样列出",
)
_OTHER = Text("it has another definition on the platform", "平台上的定义不同")
_OTHER_FORM = Text("it is defined by {new}, no longer by {old}", "定义方式由“{old}”改为“{new}”")


@dataclass(frozen=True, slots=True)
class PlatformDefinition:
    """A definition made in the platform's own pages with words that are no part of qp.md, so that it can't be read here."""

    noun: ClassVar[Text] = Text("the platform's own form", "平台自有形式")
    types_end: ClassVar[tuple[str, ...]] = ()
    body_key: ClassVar[str] = ""
    catalog: str
    reported: Mapping[str, Any] = field(default_factory=dict)
    """What the platform reports of it; empty where that is nothing."""

    def wire(self) -> dict[str, Any]:
        return dict(self.reported)


Definition = Qp | TagQp | Sql | Uploaded | PlatformDefinition
"""What a cluster or a tag is defined by."""
AnyReading = Reading[Qp | TagQp | Sql]


def parse_definition(
    raw: object,
    metadata: Metadata,
    *,
    catalog: str,
    root: Path,
    regex_fault: RegexFault | None = None,
    sql_look: SqlLook | None = None,
    own: str = "",
) -> AnyReading:
    """Read a definition of a cluster or of a tag, as `read_qp` does, in whichever form it was sent.

    Lists of ids are not read here: an operation of their own makes them.
    """
    reading: AnyReading
    if is_sql(raw):
        reading = read_sql(raw, metadata, catalog=catalog, root=root, look=sql_look, own=own)
    elif catalog == TAG:
        reading = read_tag(raw, metadata, root=root, regex_fault=regex_fault, own=own)
    else:
        reading = read_qp(raw, metadata, root=root, regex_fault=regex_fault, own=own)
    return replace(reading, warnings=(*reading.warnings, *_same_meaning(reading, metadata, root, own)))


def _same_meaning(reading: AnyReading, metadata: Metadata, root: Path, own: str) -> Iterator[Problem]:
    """Clusters or tags that mean the same already."""
    if reading.definition is None:
        return
    meaning, is_tag = meaning_hash(reading.definition, metadata), reading.definition.catalog == TAG
    for known in metadata.properties_of("cluster"):
        alike = known.meaning == meaning and (known.type != "cluster") is is_tag
        if alike and known.name.casefold() != own.casefold():
            yield finding("same_meaning", pointer(root), name=known.name)


def explain_definition(definition: Definition, metadata: Metadata) -> Explanation:
    """Explain in words which users or which values a definition gives."""
    match definition:
        case Qp():
            return explain_qp(definition, metadata)
        case TagQp():
            return explain_tag(definition, metadata)
        case Sql():
            return explain_sql(definition, metadata)
        case Uploaded():
            return explain_upload(definition)
        case PlatformDefinition():
            summary = Text(f"{_ON_PLATFORM.en[0].upper()}{_ON_PLATFORM.en[1:]}.", f"{_ON_PLATFORM.zh}。")
            return Explanation(summary, (ExplainedPart("", _ON_PLATFORM),))
        case _:
            assert_never(definition)


def compare_definitions(old: Definition, new: Definition, metadata: Metadata) -> tuple[Text, ...]:
    """What changes from one definition to another of the same kind, in words. Empty where both mean the same."""
    old, new = _in_short(old, metadata), _in_short(new, metadata)
    changes: tuple[Text, ...] | None
    match old:
        case Qp():
            changes = compare_qp(old, new, metadata) if isinstance(new, Qp) else None
        case TagQp():
            changes = compare_tags(old, new, metadata) if isinstance(new, TagQp) else None
        case Sql():
            changes = compare_sql(old, new, metadata) if isinstance(new, Sql) else None
        case Uploaded():
            changes = compare_uploads(old, new) if isinstance(new, Uploaded) else None
        case PlatformDefinition():
            changes = (() if old == new else (_OTHER,)) if isinstance(new, PlatformDefinition) else None
        case _:
            assert_never(old)
    return (_OTHER_FORM.format(old=old.noun, new=new.noun),) if changes is None else changes


def meaning_hash(definition: Definition, metadata: Metadata) -> str:
    """The hash of a definition's meaning: the same for 3 and 3.0, where the property is a number."""
    definition = _in_short(definition, metadata)
    match definition:
        case Qp():
            return qp_hash(definition)
        case TagQp():
            return tag_hash(definition)
        case Sql():
            return sql_hash(definition)
        case Uploaded():
            return upload_hash(definition)
        case PlatformDefinition():
            return digest(definition.reported)
        case _:
            assert_never(definition)


def value_type_of(definition: Definition, metadata: Metadata) -> tuple[ValueType, int | None] | None:
    """Type and scale of a tag's values, as far as they are known before they are computed; None for a cluster."""
    if definition.catalog != TAG:
        return None
    return tag_value_type(definition, metadata) if isinstance(definition, TagQp) else ("string", None)


def to_json(definition: Definition) -> str:
    """Return the definition as the JSON text that is stored: the documented form, and of SQL what it reads."""
    stored = definition.stored() if isinstance(definition, Sql | Uploaded) else definition.wire()
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str, catalog: str) -> Definition:
    """Return the definition that `to_json` stored."""
    stored = json.loads(text)
    if HASH in stored:
        return Uploaded.restored(stored, catalog)
    if is_sql(stored):
        return Sql.restored(stored, catalog)
    return TagQp.model_validate(stored) if catalog == TAG else Qp.model_validate(stored)


# One spelling of each value, so that 3 and 3.0 of a number property are the same meaning; of a text property they are
# two values (qp.md section 4), so this needs the project's metadata.


def _in_short(definition: Definition, metadata: Metadata) -> Definition:
    """The same definition with each number and time of a filter in its shortest spelling."""
    if not isinstance(definition, Qp | TagQp):
        return definition
    return type(definition).model_validate(_short(definition.wire(), metadata))


def _short(node: Any, metadata: Metadata) -> Any:
    if isinstance(node, list):
        return [_short(part, metadata) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: _short(value, metadata) for key, value in node.items()}
    if "ftv" in node:
        known = metadata.property(str(node.get("tableType")), str(node.get("columnName")))
        row = words.COMPARATORS.get(str(node.get("comparator")))
        if known and row:
            node["ftv"] = [_short_value(text, i, row, known) for i, text in enumerate(node["ftv"])]
    return node


def _short_value(text: str, i: int, row: words.Comparator, known: Property) -> str:
    relative = row.in_event or row.test in (Test.RECENT, Test.BEFORE_DAY)
    if relative or known.type == "number":
        number = parse_number(text.lstrip("0") or "0" if relative else text)
        return text if number is None else plain(number)
    written = parse_time(text) if known.type == "time" else None
    takes_in_its_day = row.test is Test.BETWEEN and i == 1 and written is not None and written.bare_date
    return text if written is None or not written.plain or takes_in_its_day else show_time(written.moment)


# Estimates from the metadata alone: what a computation costs, and which of this project's rules its size depends on

_NEVER_DID = Text(
    "users who never did {event} are counted in (a rule of this project; the vendor's size may differ)",
    "从未发生 {event} 的用户也计入（本项目的规则，平台上的人数可能不同）",
)
_NO_VALUE = Text(
    "users or events without a value of {name} are left out under {word} (a rule of this project; the vendor's size may differ)",
    "{word} 不含 {name} 无值的用户或事件（本项目的规则，平台上的人数可能不同）",
)
_LOCAL_ONLY = Text(
    "SQL is computed on the local platform only (a rule of this project)", "SQL 只能在本地平台计算（本项目的规则）"
)


def rows_to_read(definition: Definition, metadata: Metadata) -> int:
    """About how many event rows a computation reads.

    Of conditions each event's rows, spread evenly over its time, inside the window; of SQL that reads events all of
    them: how far its conditions narrow them is not worked out.
    """
    match definition:
        case Qp() | TagQp():
            return sum(_rows(part, metadata) for part in _selections(definition))
        case Sql():
            reads_events = any(table.startswith("v_event_") for table in definition.reads.tables)
            return (metadata.rows or 0) if reads_events else 0
        case Uploaded() | PlatformDefinition():
            return 0
        case _:
            assert_never(definition)


def _selections(definition: Qp | TagQp) -> Iterator[EventCondition | EventSelection]:
    """Everything in a definition that reads event rows."""
    if isinstance(definition, TagQp) and definition.event:
        yield definition.event
    for part in _qps(definition):
        yield from part.events


def _qps(definition: Qp | TagQp) -> tuple[Qp, ...]:
    """A cluster's definition itself, or those of the values of a tag."""
    return (definition,) if isinstance(definition, Qp) else tuple(v.definition for v in definition.values)


def _rows(condition: EventCondition | EventSelection, metadata: Metadata) -> int:
    event = metadata.event_by_name.get(condition.event_name)
    events = metadata.events if condition.event_name == words.ANY_EVENT else [event] if event else []
    return round(sum(e.count * _share(condition, e, metadata) for e in events))


def _share(condition: EventCondition | EventSelection, event: Event, metadata: Metadata) -> float:
    """The part of an event's time that a window covers, 0 to 1."""
    days = recent_days(condition.recent_day, metadata.today) if condition.recent_day else None
    span = (
        span_of_days(days, metadata.tz) if days else span_between(condition.start_time, condition.end_time, metadata.tz)
    )
    first, last = _moment(event.first, metadata), _moment(event.last, metadata)
    if first is None or last is None or (span.start is None and span.end is None):
        return 1.0
    start = max(first, span.start) if span.start else first
    end = min(last, span.end) if span.end else last
    if end < start:
        return 0.0
    whole = (last - first).total_seconds()
    return (end - start).total_seconds() / whole if whole else 1.0


def _moment(text: str, metadata: Metadata) -> datetime | None:
    written = parse_time(text)
    return instant(written.moment, metadata.tz) if written else None


def assumptions(definition: Definition, metadata: Metadata) -> tuple[Text, ...]:
    """Rules marked P in qp.md that the size of this definition depends on: there the vendor's size may differ."""
    match definition:
        case Qp() | TagQp():
            return tuple(dict.fromkeys([*_about_events(definition), *_about_values(definition, metadata)]))
        case Sql():
            return (_LOCAL_ONLY,)
        case Uploaded() | PlatformDefinition():
            return ()
        case _:
            assert_never(definition)


def _about_events(definition: Qp | TagQp) -> Iterator[Text]:
    for event in (e for part in _qps(definition) for e in part.events):
        row, numbers = words.NUMBER_COMPARATORS[event.comparator], parse_numbers(event.num)
        if event.measure.analysis == "TIMES" and numbers and row.passes(0, numbers):
            yield _NEVER_DID.format(event=event.event_name)


def _about_values(definition: Qp | TagQp, metadata: Metadata) -> Iterator[Text]:
    filters: list[Filter] = [f for part in _qps(definition) for f in leaves(part.filts)]
    filters += [f for rows in _selections(definition) for f in leaves(rows.filts)]
    for part in filters:
        row, known = words.COMPARATORS[part.comparator], metadata.property(part.table_type, part.column_name)
        loses_missing = row.negated and row.test not in (Test.MISSING, Test.EMPTY, Test.TRUE)
        if known and known.null_share > 0 and loses_missing:
            yield _NO_VALUE.format(name=known.name, word=row.word)


# Words that the vendor does not document (marked U or P in qp.md). The local engine runs all of them; on ThinkingData
# the setting `unverified_words` decides.


class Word(NamedTuple):
    """One word, and its path in the definition."""

    path: Path
    word: str
    mark: words.Mark


def unverified(definition: Definition) -> list[Word]:
    """Every word marked U or P, in the order of the definition; other forms than conditions have none."""
    if isinstance(definition, Qp):
        return [*_of_cluster(definition, ())]
    return [*_of_tag(definition)] if isinstance(definition, TagQp) else []


def _of_cluster(definition: Qp, at: Path) -> Iterator[Word]:
    for i, event in enumerate(definition.events):
        here = (*at, "events", i)
        yield from _marked(words.NUMBER_COMPARATORS[event.comparator], (*here, "comparator"))
        yield from _marked(words.MEASURES[event.measure.analysis], (*here, "taPropQuota", "analysis"))
        yield from _of_rows(event, here)
    yield from _of_filters(definition.filts, (*at, "filts"))


def _of_tag(tag: TagQp) -> Iterator[Word]:
    for i, value in enumerate(tag.values):
        yield from _of_cluster(value.definition, (words.VALUES, i, "userClusterDef"))
    if tag.first_last:
        yield from _of_rows(tag.first_last.event, (words.FIRST_LAST, words.FIRST_LAST_EVENT))
    if tag.quota:
        at = (words.QUOTA, words.QUOTA_EVENT)
        yield from _marked(words.MEASURES[tag.quota.event.analysis], (*at, "analysis"))
        yield from _of_rows(tag.quota.event, at)


def _marked(row: words.Comparator | words.NumberComparator | words.MeasureKind, at: Path) -> Iterator[Word]:
    if row.mark != "D":
        yield Word(at, row.word, row.mark)


def _of_rows(event: EventCondition | EventSelection, at: Path) -> Iterator[Word]:
    if event.event_name == words.ANY_EVENT:
        yield Word((*at, "eventName"), words.ANY_EVENT, "U")
    if event.recent_day and int(event.recent_day.partition("-")[0]) == 0 and event.recent_day != "0-1":
        yield Word((*at, "recentDay"), event.recent_day, "U")  # 0-1 is in the page's examples of tags
    if not event.recent_day and bool(event.start_time) != bool(event.end_time):
        given = "startTime" if event.start_time else "endTime"
        yield Word((*at, given), given, "P")  # one end alone
    yield from _of_filters(event.filts, (*at, "filts"))


def _of_filters(filts: Sequence[Filter], at: Path) -> Iterator[Word]:
    for i, part in enumerate(filts):
        here = (*at, i)
        if part.is_group:
            yield Word((*here, "filterType"), words.GROUP, "U")
            yield from _of_filters(part.filts, (*here, "filts"))
            continue
        if part.table_type == "cluster":
            yield Word((*here, "tableType"), "cluster", "U")
        yield from _marked(words.COMPARATORS[part.comparator], (*here, "comparator"))
        if part.cluster_date:
            yield Word((*here, "specifiedClusterDate"), "specifiedClusterDate", "U")
