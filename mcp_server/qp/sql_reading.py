"""Read a definition that is SQL as it was sent: its keys here, its text by whoever has a parser.

The parser and the data are not known here. Who has them passes a look (`SqlLook`): it finds what is wrong with
the text, and what it reads.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_server.errors import Problem, Repair
from mcp_server.qp.check import Path, SqlReading, unreadable
from mcp_server.qp.keys import QP_KEYS, TAG_KEYS
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.problems import blocking, finding, pointer, warnings_of
from mcp_server.qp.references import rests_on
from mcp_server.qp.sent import from_json
from mcp_server.qp.sql import PARAMETERS, SQL, SQL_KEYS, DayRange, Sql, SqlReads
from mcp_server.qp.suggest import nearest
from mcp_server.qp.vocabulary import MAX_CHARACTERS
from mcp_server.text import Text, listed

_STATEMENT = re.compile(r"(?:select|with)\s", re.IGNORECASE)
_BARE = Text("SQL by itself was put under its key", "已将单独的 SQL 放到相应的键下")
_KEY_CASE = Text("keys are written like this", "键名的规范写法")


@dataclass(frozen=True, slots=True)
class SqlSeen:
    """What a look at SQL found: problems and warnings, with their paths, and what it reads."""

    findings: tuple[Problem, ...] = ()
    reads: SqlReads = field(default_factory=SqlReads)


SqlLook = Callable[[Sql, Metadata, Path], SqlSeen]
"""Looks at the SQL of a definition that was sent at a path. It may take a moment."""


def is_sql(raw: object) -> bool:
    """Whether SQL was sent: an object with the key `sql`, also as JSON text, or a statement by itself."""
    if isinstance(raw, str):
        if _by_itself(raw):
            return True
        if len(raw) > MAX_CHARACTERS:
            return False
        try:
            raw = from_json(raw)
        except ValueError:
            return False
    return isinstance(raw, Mapping) and any(str(key).strip().casefold() == SQL for key in raw)


def _by_itself(text: str) -> bool:
    return bool(_STATEMENT.match(text.lstrip(" \t\r\n(")))


def read_sql(
    raw: object, metadata: Metadata, *, catalog: str, root: Path, look: SqlLook | None = None, own: str = ""
) -> SqlReading:
    """Read SQL that was sent at `root` of the arguments, for the cluster or tag `own`. Never raises for bad input.

    Without a look only the keys are checked.
    """
    sent, repairs = _opened(raw, root)
    refused = unreadable(sent, root)
    if refused or not isinstance(sent, Mapping):
        return SqlReading(None, (), (refused,) if refused else (), ())
    found, repaired = _keys(sent, root)
    repairs += repaired
    values = {str(key).strip().casefold(): value for key, value in sent.items()}
    found += _shape(values, root)
    if found:
        return SqlReading(None, tuple(repairs), tuple(found), ())
    definition = Sql(catalog, values[SQL], tuple(_days(values)))
    seen = look(definition, metadata, root) if look else SqlSeen()
    found += seen.findings
    found += _clusters(seen.reads, metadata, own, pointer((*root, SQL)))
    known = replace(definition, reads=_resolved(seen.reads, metadata, own))
    problems = tuple(blocking(found))
    return SqlReading(None if problems else known, tuple(repairs), problems, tuple(warnings_of(found)))


def _opened(raw: object, root: Path) -> tuple[object, list[Repair]]:
    """JSON text as its value, and a statement by itself under its key."""
    if not isinstance(raw, str):
        return raw, []
    if _by_itself(raw):
        return {SQL: raw}, [Repair(pointer(root), "", json.dumps({SQL: "…"}, ensure_ascii=False), _BARE)]
    return from_json(raw), []


def _keys(sent: Mapping[Any, object], root: Path) -> tuple[list[Problem], list[Repair]]:
    """Keys that do not belong here, and those in another spelling."""
    found, repairs = [], []
    for key in map(str, sent):
        plain, at = key.strip().casefold(), pointer((*root, key))
        if plain in SQL_KEYS and plain != key:
            repairs.append(Repair(at, key, plain, _KEY_CASE))
        elif key in (*QP_KEYS, *TAG_KEYS):
            found.append(finding("definition_two_forms", at, got=key))
        elif plain not in SQL_KEYS:
            close = nearest(key, SQL_KEYS)
            found.append(finding("key_unknown", at, got=key, expected=listed(SQL_KEYS), suggestion=close))
    return found, repairs


def _shape(values: Mapping[str, object], root: Path) -> Iterator[Problem]:
    if not isinstance(values[SQL], str):
        yield finding("type_wrong", pointer((*root, SQL)), got=values[SQL], expected=Text("text", "文本"))
    parameters = values.get(PARAMETERS) or {}
    if not isinstance(parameters, Mapping):
        wanted = Text('an object such as {"days": "1-7"}', '对象，如 {"days": "1-7"}')
        yield finding("type_wrong", pointer((*root, PARAMETERS)), got=parameters, expected=wanted)
        return
    for name, value in parameters.items():
        if _day_range(value) is None:
            yield finding("sql_parameter_value", pointer((*root, PARAMETERS, str(name))), got=value, name=name)


def _days(values: Mapping[str, Any]) -> Iterator[tuple[str, DayRange]]:
    for name, value in (values.get(PARAMETERS) or {}).items():
        days = _day_range(value)
        if days is not None:
            yield str(name).strip(), days


def _day_range(value: object) -> DayRange | None:
    """A value as text, or as two; what the texts mean is checked with the SQL."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(day, str) for day in value):
        return value[0].strip(), value[1].strip()
    return None


def _clusters(reads: SqlReads, metadata: Metadata, own: str, at: str) -> Iterator[Problem]:
    """Clusters and tags that are named: there are such, spelt like this, with members, and not resting on the own one."""
    known = [p.name for p in metadata.properties_of("cluster")]
    for name in reads.clusters:
        found = metadata.property("cluster", name)
        if found is None or found.name != name:
            yield finding("sql_cluster_unknown", at, got=name, suggestion=nearest(name, known))
        else:
            yield from rests_on(found, own, at)


def _resolved(reads: SqlReads, metadata: Metadata, own: str) -> SqlReads:
    """Of SQL that may read every cluster: those that there are and that do not rest on the own one."""
    if not reads.any_cluster:
        return reads
    others = [p for p in metadata.properties_of("cluster") if not any(rests_on(p, own, ""))]
    return replace(reads, clusters=tuple(p.name for p in others))
