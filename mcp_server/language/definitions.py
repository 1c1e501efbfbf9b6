"""Definitions of any form: conditions, tags, SQL, uploaded ids; how each form is read, explained, compared and kept."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

from mcp_server.errors import Problem
from mcp_server.language import estimate
from mcp_server.language import vocabulary as words
from mcp_server.language.compare import compare, compare_tags
from mcp_server.language.explain import ExplainedPart, Explanation, compare_sql, explain, explain_sql, explain_tag
from mcp_server.language.metadata import Metadata, Property, ValueType
from mcp_server.language.model import (
    CLUSTER,
    TAG,
    EventCondition,
    EventSelection,
    Filter,
    Qp,
    QuotaEvent,
    TagQp,
    meaning_hash,
    tag_meaning_hash,
    tag_value_type,
)
from mcp_server.language.numbers import parse_number, plain
from mcp_server.language.problems import finding, pointer
from mcp_server.language.reading.check import (
    Reading,
    RegexFault,
    SqlLook,
    SqlReading,
    TagReading,
    is_sql,
    read,
    read_sql,
    read_tag,
)
from mcp_server.language.sql import Sql, restored, sql_meaning_hash
from mcp_server.language.uploaded import (
    Uploaded,
    compare_uploads,
    explain_upload,
    is_uploaded,
    restored_upload,
    upload_hash,
)
from mcp_server.language.vocabulary import Path, Test
from mcp_server.language.window import parse_time, show_time
from mcp_server.text import Text

# A definition that a platform keeps and that can't be read here: made in its own pages, with words that are no part
# of qp.md.


_SAID = Text(
    "defined on the platform itself, in a form that can't be read here; what the platform tells of it is shown as it came",
    "由平台自身定义，其形式无法在此解读；平台给出的内容原样列出",
)
_OTHER = Text("it has another definition on the platform", "平台上的定义不同")


@dataclass(frozen=True, slots=True)
class Foreign:
    """What the platform tells of such a definition; empty where that is nothing."""

    catalog: str
    told: Mapping[str, Any] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        return dict(self.told)


def foreign_hash(definition: Foreign) -> str:
    """The same words mean the same."""
    text = json.dumps(definition.told, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def explain_foreign(_: Foreign, __: Metadata) -> Explanation:
    """Say that it can't be read."""
    whole = Text("{said}.", "{said}。").format(said=_SAID)
    return Explanation(Text(whole.en[0].upper() + whole.en[1:], whole.zh), (ExplainedPart("", _SAID),))


def compare_foreign(old: Foreign, new: Foreign, _: Metadata) -> tuple[Text, ...]:
    """Whether both are the same."""
    return () if foreign_hash(old) == foreign_hash(new) else (_OTHER,)


# What a cluster or tag is defined by.


Definition = Qp | TagQp | Sql | Uploaded | Foreign
"""One of the forms that definitions come in; what can be done with each is a row of `forms.FORMS`."""


# The forms that definitions come in, one row each: how it is read, explained, compared, kept.
#
# A new form is one row here, its class in `definition.py`, and how the engine answers it (`engines/duckdb/answering.py`).


AnyReading = Reading | TagReading | SqlReading
Kept = Mapping[str, Any]
"""A definition as the catalogue keeps it: plain JSON."""
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Sent:
    """A definition as it was sent, and what it is read against."""

    raw: object
    metadata: Metadata
    catalog: str
    root: Path
    """Where it stood in the arguments."""
    regex_fault: RegexFault | None = None
    sql_look: SqlLook | None = None
    own: str = ""
    """The name of the cluster or tag that it is for."""


@dataclass(frozen=True, slots=True)
class Form(Generic[D]):
    """One form of definitions."""

    noun: Text
    kind: type[D]
    catalogs: tuple[str, ...]
    """What may be defined by it."""
    types_end: tuple[str, ...]
    """How the `clusterType` of such clusters and tags ends."""
    body_key: str
    """The key of the vendor's request body that carries it; "" where the vendor publishes no body for it."""
    is_it: Callable[[object], bool]
    """Whether this form was sent, or is kept; the first row that says so counts."""
    read: Callable[[Sent], AnyReading]
    explain: Callable[[D, Metadata], Explanation]
    compare: Callable[[D, D, Metadata], Iterable[Text]]
    """What changes from one to another; nothing where both mean the same."""
    meaning: Callable[[D], str]
    """A hash of what it means."""
    value_type: Callable[[D, Metadata], tuple[ValueType, int | None] | None]
    """Type and scale of a tag's values as far as the definition tells; None for a cluster."""
    rows: Callable[[D, Metadata], int]
    """About how many event rows a computation reads."""
    assumptions: Callable[[D, Metadata], tuple[Text, ...]]
    """Rules of this project that its size rests on."""
    keep: Callable[[D], Kept]
    restore: Callable[[Kept, str], D]
    """From what was kept, and whether a cluster's or a tag's."""


def _read(sent: Sent) -> Reading:
    return read(sent.raw, sent.metadata, root=sent.root, regex_fault=sent.regex_fault, own=sent.own)


def _read_tag(sent: Sent) -> TagReading:
    return read_tag(sent.raw, sent.metadata, root=sent.root, regex_fault=sent.regex_fault, own=sent.own)


def _read_sql(sent: Sent) -> SqlReading:
    return read_sql(
        sent.raw, sent.metadata, catalog=sent.catalog, root=sent.root, look=sent.sql_look, own=sent.own
    )  # fmt: skip


def _read_conditions(sent: Sent) -> Reading | TagReading:
    """Uploaded lists are made by an operation of their own; whoever sends one gets told which keys there are."""
    return _read_tag(sent) if sent.catalog == TAG else _read(sent)


def _sql_rows(definition: Sql, metadata: Metadata) -> int:
    """All events, where it reads events: how far its conditions narrow them is not worked out."""
    reads_events = any(table.startswith("v_event_") for table in definition.reads.tables)
    return (metadata.rows or 0) if reads_events else 0


_CONDITIONS = Text("conditions", "条件")
_LOCAL_ONLY = Text(
    "SQL is computed on the local platform only (a rule of this project)", "SQL 只能在本地平台计算（本项目的规则）"
)

FORMS: tuple[Form[Any], ...] = (
    Form(
        noun=Text("the platform's own form", "平台自有形式"),
        kind=Foreign,
        catalogs=(CLUSTER, TAG),
        types_end=(),
        body_key="",
        is_it=lambda _: False,
        read=_read_conditions,
        explain=explain_foreign,
        compare=compare_foreign,
        meaning=foreign_hash,
        value_type=lambda definition, _: ("string", None) if definition.catalog == TAG else None,
        rows=lambda *_: 0,
        assumptions=lambda *_: (),
        keep=Foreign.wire,
        restore=lambda kept, catalog: Foreign(catalog, kept),
    ),
    Form(
        noun=Text("an uploaded list", "上传的 ID 名单"),
        kind=Uploaded,
        catalogs=(CLUSTER, TAG),
        types_end=("_import",),
        body_key="",
        is_it=is_uploaded,
        read=_read_conditions,
        explain=explain_upload,
        compare=compare_uploads,
        meaning=upload_hash,
        value_type=lambda definition, _: ("string", None) if definition.catalog == TAG else None,
        rows=lambda *_: 0,
        assumptions=lambda *_: (),
        keep=Uploaded.kept,
        restore=restored_upload,
    ),
    Form(
        noun=Text("SQL", "SQL"),
        kind=Sql,
        catalogs=(CLUSTER, TAG),
        types_end=("_sql",),
        body_key="",
        is_it=is_sql,
        read=_read_sql,
        explain=explain_sql,
        compare=compare_sql,
        meaning=sql_meaning_hash,
        value_type=lambda definition, _: ("string", None) if definition.catalog == TAG else None,
        rows=_sql_rows,
        assumptions=lambda *_: (_LOCAL_ONLY,),
        keep=Sql.kept,
        restore=restored,
    ),
    Form(
        noun=_CONDITIONS,
        kind=Qp,
        catalogs=(CLUSTER,),
        types_end=("_condition", "_result"),
        body_key="qp",
        is_it=lambda _: True,
        read=_read,
        explain=explain,
        compare=compare,
        meaning=meaning_hash,
        value_type=lambda *_: None,
        rows=estimate.rows_to_read,
        assumptions=estimate.assumptions,
        keep=Qp.wire,
        restore=lambda kept, _: Qp.model_validate(kept),
    ),
    Form(
        noun=_CONDITIONS,
        kind=TagQp,
        catalogs=(TAG,),
        types_end=("_condition",),
        body_key="tagQp",
        is_it=lambda _: True,
        read=_read_tag,
        explain=explain_tag,
        compare=compare_tags,
        meaning=tag_meaning_hash,
        value_type=tag_value_type,
        rows=estimate.rows_to_read,
        assumptions=estimate.assumptions,
        keep=TagQp.wire,
        restore=lambda kept, _: TagQp.model_validate(kept),
    ),
)


def form_of(definition: Definition) -> Form[Any]:
    """The form of a definition."""
    return next(form for form in FORMS if isinstance(definition, form.kind))


def form_in(raw: object, catalog: str) -> Form[Any]:
    """The form of what was sent, or is kept, for a cluster or a tag; conditions where nothing says otherwise."""
    return next(form for form in FORMS if catalog in form.catalogs and form.is_it(raw))


# One spelling of the values of a definition, so that 3 and 3.0 of a number property are the same meaning.
#
# Only with the project's metadata: of a text property they are two values (qp.md section 4).


def plainest(definition: Definition, metadata: Metadata) -> Definition:
    """The same definition with each number and time of a filter in its shortest spelling."""
    if not isinstance(definition, Qp | TagQp):
        return definition
    return type(definition).model_validate(_plain(definition.wire(), metadata))


def _plain(node: Any, metadata: Metadata) -> Any:
    if isinstance(node, list):
        return [_plain(part, metadata) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: _plain(value, metadata) for key, value in node.items()}
    if "ftv" in node:
        found = metadata.property(str(node.get("tableType")), str(node.get("columnName")))
        row = words.COMPARATORS.get(str(node.get("comparator")))
        if found and row:
            node["ftv"] = [_value(text, i, row, found) for i, text in enumerate(node["ftv"])]
    return node


def _value(text: str, i: int, row: words.Comparator, found: Property) -> str:
    relative = row.test in (Test.RECENT, Test.BEFORE_DAY, Test.NEAR_EVENT)
    if relative or found.type == "number":
        number = parse_number(text.lstrip("0") or "0" if relative else text)
        return text if number is None else plain(number)
    written = parse_time(text) if found.type == "time" else None
    takes_in_its_day = row.test is Test.BETWEEN and i == 1 and written is not None and written.bare_date
    return text if written is None or not written.plain or takes_in_its_day else show_time(written.moment)


# What can be done with a definition whichever form it has (`forms.py`), of a cluster or of a tag.


_OTHER_FORM = Text("it is defined by {new}, no longer by {old}", "定义方式由“{old}”改为“{new}”")


def read_any(
    raw: object,
    metadata: Metadata,
    *,
    catalog: str,
    root: Path,
    regex_fault: RegexFault | None = None,
    sql_look: SqlLook | None = None,
    own: str = "",
) -> AnyReading:
    """Read a definition of a cluster or of a tag, as `check.read` does, whichever form was sent."""
    reading = form_in(raw, catalog).read(Sent(raw, metadata, catalog, root, regex_fault, sql_look, own))
    return replace(reading, warnings=(*reading.warnings, *_same_meaning(reading, metadata, root, own)))


def _same_meaning(reading: AnyReading, metadata: Metadata, root: Path, own: str) -> Iterator[Problem]:
    """Clusters or tags that mean the same already; another one is hardly ever wanted."""
    if reading.definition is None:
        return
    meaning, is_tag = hash_any(reading.definition, metadata), reading.definition.catalog == TAG
    for known in metadata.properties_of("cluster"):
        alike = known.meaning == meaning and (known.type != "cluster") is is_tag
        if alike and known.name.casefold() != own.casefold():
            yield finding("same_meaning", pointer(root), name=known.name)


def explain_any(definition: Definition, metadata: Metadata) -> Explanation:
    return form_of(definition).explain(definition, metadata)


def compare_any(old: Definition, new: Definition, metadata: Metadata) -> tuple[Text, ...]:
    """What changes from one definition to another of the same kind, in words."""
    old, new = plainest(old, metadata), plainest(new, metadata)
    form, after = form_of(old), form_of(new)
    if form is not after:
        return (_OTHER_FORM.format(old=form.noun, new=after.noun),)
    return tuple(form.compare(old, new, metadata))


def hash_any(definition: Definition, metadata: Metadata) -> str:
    """The hash of a definition's meaning: the same for 3 and 3.0, where the property is a number."""
    return form_of(definition).meaning(plainest(definition, metadata))


def value_type_any(definition: Definition, metadata: Metadata) -> tuple[ValueType, int | None] | None:
    """Type and scale of a tag's values, as far as they are known before they are computed; None for a cluster."""
    return form_of(definition).value_type(definition, metadata)


def rows_any(definition: Definition, metadata: Metadata) -> int:
    """About how many event rows a computation reads."""
    return form_of(definition).rows(definition, metadata)


def assumptions_any(definition: Definition, metadata: Metadata) -> tuple[Text, ...]:
    """Rules marked P in qp.md that the size of a definition rests on."""
    return form_of(definition).assumptions(definition, metadata)


def written(definition: Definition) -> str:
    """The definition as JSON text, as it is kept: the documented form, and of SQL what it reads."""
    return json.dumps(form_of(definition).keep(definition), ensure_ascii=False, separators=(",", ":"))


def from_written(text: str, catalog: str) -> Definition:
    """A definition that was kept by `written`."""
    kept = json.loads(text)
    found: Definition = form_in(kept, catalog).restore(kept, catalog)
    return found


# The words of a definition that the vendor does not document (marked U or P in qp.md), with their places.
#
# The local engine runs all of them; on ThinkingData the deployment's setting `unverified_words` decides.


class Word(NamedTuple):
    """One word, and where it stands in the definition."""

    path: Path
    word: str
    mark: words.Mark


def unverified(definition: Definition) -> list[Word]:
    """Every word marked U or P, in the order of the definition; lists of ids and foreign definitions have none."""
    found: Iterator[Word] = iter(())
    if isinstance(definition, Qp):
        found = _of_cluster(definition, ())
    elif isinstance(definition, TagQp):
        found = _of_tag(definition)
    return list(found)


def _of_cluster(definition: Qp, at: Path) -> Iterator[Word]:
    for i, event in enumerate(definition.events):
        yield from _of_event(event, (*at, "events", i))
    yield from _of_filters(definition.filts, (*at, "filts"))


def _of_tag(tag: TagQp) -> Iterator[Word]:
    for i, value in enumerate(tag.values):
        yield from _of_cluster(value.definition, ("userTagValueDefs", i, "userClusterDef"))
    if tag.first_last:
        yield from _of_rows(tag.first_last.event, ("userTagConFirstLastEventDef", "userTagConFirstLastEvent"))
    if tag.quota:
        at = ("userTagConQuotaDef", "userTagConQuotaEvent")
        yield from _of_measure(tag.quota.event, (*at, "analysis"))
        yield from _of_rows(tag.quota.event, at)


def _of_event(event: EventCondition, at: Path) -> Iterator[Word]:
    row = words.NUMBER_COMPARATORS[event.comparator]
    if row.mark != "D":
        yield Word((*at, "comparator"), row.word, row.mark)
    yield from _of_measure(event, (*at, "taPropQuota", "analysis"))
    yield from _of_rows(event, at)


def _of_measure(event: EventCondition | QuotaEvent, at: Path) -> Iterator[Word]:
    row = words.MEASURES[event.measure.analysis]
    if row.mark != "D":
        yield Word(at, row.word, row.mark)


def _of_rows(event: EventCondition | EventSelection, at: Path) -> Iterator[Word]:
    if event.event_name == words.ANY_EVENT:
        yield Word((*at, "eventName"), words.ANY_EVENT, "U")
    if event.recent_day and int(event.recent_day.partition("-")[0]) == 0 and event.recent_day != "0-1":
        yield Word((*at, "recentDay"), event.recent_day, "U")  # 0-1 stands in the page's examples of tags
    if not event.recent_day and bool(event.start_time) != bool(event.end_time):
        given = "startTime" if event.start_time else "endTime"
        yield Word((*at, given), given, "P")  # one end alone
    yield from _of_filters(event.filts, (*at, "filts"))


def _of_filters(filts: Sequence[Filter], at: Path) -> Iterator[Word]:
    for i, part in enumerate(filts):
        here = (*at, i)
        if part.is_group:
            yield Word((*here, "filterType"), words.GROUP, "U")
            yield from _of_filters(part.children, (*here, "filts"))
            continue
        if part.table_type == "cluster":
            yield Word((*here, "tableType"), "cluster", "U")
        row = words.COMPARATORS[part.comparator]
        if row.mark != "D":
            yield Word((*here, "comparator"), row.word, row.mark)
        if part.cluster_date:
            yield Word((*here, "specifiedClusterDate"), "specifiedClusterDate", "U")
