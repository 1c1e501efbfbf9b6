"""What can be done with a definition whichever form it has (`forms.py`), of a cluster or of a tag."""

import json
from collections.abc import Iterator
from dataclasses import replace

from mcp_server.errors import Problem
from mcp_server.qp.check import Path, RegexFault
from mcp_server.qp.definition import Definition
from mcp_server.qp.explain import Explanation
from mcp_server.qp.forms import AnyReading, Sent, form_in, form_of
from mcp_server.qp.metadata import Metadata, ValueType
from mcp_server.qp.model import TAG
from mcp_server.qp.plainest import plainest
from mcp_server.qp.problems import finding, pointer
from mcp_server.qp.sql_reading import SqlLook
from mcp_server.text import Text

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
