"""The forms that definitions come in, one row each: how it is read, explained, compared, kept.

A new form is one row here, its class in `definition.py`, and how the engine answers it (`engine/answering.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mcp_server.qp import estimate
from mcp_server.qp.check import Path, Reading, RegexFault, SqlReading, TagReading, read, read_tag
from mcp_server.qp.compare import compare, compare_tags
from mcp_server.qp.definition import Definition
from mcp_server.qp.explain import Explanation, explain
from mcp_server.qp.explain_sql import compare_sql, explain_sql
from mcp_server.qp.explain_tag import explain_tag
from mcp_server.qp.foreign import Foreign, compare_foreign, explain_foreign, foreign_hash
from mcp_server.qp.metadata import Metadata, ValueType
from mcp_server.qp.model import CLUSTER, TAG, Qp, meaning_hash
from mcp_server.qp.sql import Sql, restored, sql_meaning_hash
from mcp_server.qp.sql_reading import SqlLook, is_sql, read_sql
from mcp_server.qp.tags import TagQp, tag_meaning_hash, tag_value_type
from mcp_server.qp.uploaded import (
    Uploaded,
    compare_uploads,
    explain_upload,
    is_uploaded,
    restored_upload,
    upload_hash,
)
from mcp_server.text import Text

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
