"""Read a definition as it was sent: repair it, and report everything that is wrong with it, all at once.

Stages (qp.md section 8): shape (the strict models, `shape.py`), then meaning with the project's metadata
(`meaning.py`); the platform that it is sent to adds its own. SQL is parsed by the caller's `SqlLook`, since neither the
parser nor the data is known here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar

from pydantic import ValidationError

from mcp_server.errors import InvalidDefinition, Problem, Repair
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import Qp, StrictModel, TagQp, keys_of
from mcp_server.language.names import dependency_findings
from mcp_server.language.problems import blocking, finding, pointer, warnings_of
from mcp_server.language.reading.document import (
    Repaired,
    elsewhere,
    from_json,
    has_any,
    is_absent,
    oversized,
    unreadable,
)
from mcp_server.language.reading.meaning import Finder, TagFinder
from mcp_server.language.reading.repair import EMPTY_KEY, repair, repair_tag
from mcp_server.language.reading.shape import shape_problems
from mcp_server.language.sql import PARAMETERS, SQL, SQL_KEYS, DayRange, Sql, SqlReads
from mcp_server.language.suggest import nearest
from mcp_server.language.vocabulary import Path
from mcp_server.text import Text, clauses, listed

RegexFault = Callable[[str], str]
"""Why a pattern is not valid RE2; "" where it is. Only an engine knows."""

_INVALID = Text("The definition has {n} problem(s); nothing was changed.", "定义有 {n} 处问题；未做任何更改。")
_FIX = Text("Fix every problem and call again; {lookup}.", "请逐条修正后重新调用；{lookup}。")
_FINDS_DATA = Text("describe_data finds names", "名称可用 describe_data 查找")
_FINDS_CLUSTERS = Text("list_clusters finds clusters and tags", "分群和标签可用 list_clusters 查找")
_OF_CLUSTERS = frozenset({"cluster_unknown", "sql_cluster_unknown"})


def lookup_hint(problems: Sequence[Problem]) -> Text:
    """The tools that find the names a definition should use: for unknown clusters those of clusters."""
    of_clusters = [p.code in _OF_CLUSTERS for p in problems]
    if not any(of_clusters):
        return _FINDS_DATA
    return _FINDS_CLUSTERS if all(of_clusters) else clauses([_FINDS_DATA, _FINDS_CLUSTERS])


D_co = TypeVar("D_co", bound=StrictModel | Sql, covariant=True)
D = TypeVar("D", bound=StrictModel)


@dataclass(frozen=True, slots=True)
class Reading(Generic[D_co]):
    """The result of reading a definition."""

    definition: D_co | None
    """None where there are problems."""
    repairs: tuple[Repair, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def normalised(self) -> dict[str, Any]:
        """The documented form; empty where there are problems."""
        return self.definition.wire() if self.definition else {}

    def within(self, findings: Sequence[Problem], repairs: Sequence[Repair]) -> Self:
        """The same, with the problems, warnings and repairs of the body around the definition."""
        problems = blocking(findings)
        return replace(
            self,
            definition=None if problems else self.definition,
            problems=(*problems, *self.problems),
            warnings=(*warnings_of(findings), *self.warnings),
            repairs=(*repairs, *self.repairs),
        )

    def must(self) -> D_co:
        """Return the definition, or raise InvalidDefinition with all its problems."""
        if self.definition is None:
            raise InvalidDefinition(
                _INVALID.format(n=len(self.problems)),
                next_step=_FIX.format(lookup=lookup_hint(self.problems)),
                problems=self.problems,
                repairs=self.repairs,
            )
        return self.definition


# Conditions


@dataclass(frozen=True, slots=True)
class _Kind(Generic[D]):
    """How conditions are read, of a cluster or of a tag."""

    model: type[D]
    repair: Callable[[object, Metadata, Path], Repaired]
    finder: type[Finder]
    other: type[StrictModel]
    """The other kind, and the code of the problem where that was sent instead."""
    other_code: str
    most_objects: int


_CLUSTER = _Kind(Qp, repair, Finder, TagQp, "tag_given", words.MAX_OBJECTS)
_TAG = _Kind(TagQp, repair_tag, TagFinder, Qp, "cluster_given", words.MAX_TAG_OBJECTS)


def read_qp(
    raw: object, metadata: Metadata, *, root: Path = ("qp",), regex_fault: RegexFault | None = None, own: str = ""
) -> Reading[Qp]:
    """Read a cluster's definition that was sent at `root` of the arguments. Never raises for bad input.

    `own` is the name of the cluster that it is for; it may not reach itself through other clusters.
    """
    return _read(raw, _CLUSTER, metadata, root, regex_fault, own)


def read_tag(
    raw: object, metadata: Metadata, *, root: Path = ("tag_qp",), regex_fault: RegexFault | None = None, own: str = ""
) -> Reading[TagQp]:
    """Read a tag's definition, as `read_qp` does a cluster's."""
    return _read(raw, _TAG, metadata, root, regex_fault, own)


def _read(
    raw: object, kind: _Kind[D], metadata: Metadata, root: Path, regex_fault: RegexFault | None, own: str
) -> Reading[D]:
    refused = _refused(raw, root, kind)
    if refused:
        return Reading(None, problems=(refused,))
    done = kind.repair(raw, metadata, root)
    definition: D | None = None
    error: ValidationError | None = None
    try:
        definition = kind.model.model_validate(done.value)
    except ValidationError as refusal:
        error = refusal
    findings = [*shape_problems(error, done, metadata, kind.model)] if error else []
    findings += kind.finder(done, metadata, regex_fault or (lambda _: ""), own).findings()
    if error and not blocking(findings):  # nothing may be refused without a word
        findings += shape_problems(error, done, metadata, kind.model, every=True)
    findings = _once(findings)
    problems = tuple(blocking(findings))
    return Reading(None if problems else definition, tuple(done.repairs), problems, tuple(warnings_of(findings)))


def _refused(raw: object, root: Path, kind: _Kind[D]) -> Problem | None:
    """Input that is not walked at all: no JSON, nested without end, not Unicode, or the other kind of definition."""
    if isinstance(raw, str) and len(raw) <= words.MAX_CHARACTERS:
        try:
            raw = from_json(raw)
        except ValueError as error:
            return finding("json_invalid", pointer(root), got=raw, detail=_json_fault(error))
    fault = oversized(raw, root, most_objects=kind.most_objects) or unreadable(raw, root)
    if fault or not isinstance(raw, Mapping):
        return fault
    keys = keys_of(kind.model)
    return None if has_any(raw, keys) else elsewhere(raw, root, keys, keys_of(kind.other), kind.other_code)


def _json_fault(error: ValueError) -> Text:
    """What is wrong with a JSON text: the parser's own words, and in Chinese the place."""
    if isinstance(error, json.JSONDecodeError):
        line, column = error.lineno, error.colno
        return Text(f"{error.msg}, line {line}, column {column}", f"第 {line} 行第 {column} 列")
    return Text(str(error)[:120], "嵌套过深，或含有 NaN 之类的非法数值")


def _once(findings: list[Problem]) -> list[Problem]:
    """One finding per place and code, and per place and suggestion, in the order of the definition.

    A key that is missing only because it was misspelt is reported under the misspelt one.
    """
    misspelt = {(p.path.rpartition("/")[0], p.suggestion) for p in findings if p.code == "key_unknown"}
    seen: dict[tuple[str, str], Problem] = {}
    suggested: set[tuple[str, str]] = set()
    for one in findings:
        if one.code == "key_missing" and (one.path.rpartition("/")[0], one.expected.en) in misspelt:
            continue
        if one.suggestion and (one.path, one.suggestion) in suggested:
            continue
        suggested.add((one.path, one.suggestion))
        seen.setdefault((one.path, one.code), one)
    return list(seen.values())


# SQL

_STATEMENT = re.compile(r"(?:select|with)\s", re.IGNORECASE)
_BARE = Text("SQL by itself was put under its key", "已将单独的 SQL 放到相应的键下")
_KEY_CASE = Text("keys are written like this", "键名的规范写法")


@dataclass(frozen=True, slots=True)
class SqlSeen:
    """The result of a look at SQL: problems and warnings, with their paths, and what it reads."""

    findings: tuple[Problem, ...] = ()
    reads: SqlReads = field(default_factory=SqlReads)


SqlLook = Callable[[Sql, Metadata, Path], SqlSeen]
"""Parses and checks the SQL of a definition that was sent at a path. It may take a moment."""


def is_sql(raw: object) -> bool:
    """Whether SQL was sent: an object with the key `sql`, also as JSON text, or a statement by itself."""
    if isinstance(raw, str):
        if _is_statement(raw):
            return True
        if len(raw) > words.MAX_CHARACTERS:
            return False
        try:
            raw = from_json(raw)
        except ValueError:
            return False
    if not isinstance(raw, Mapping):
        return False
    given = {str(key).strip().casefold(): not is_absent(part) for key, part in raw.items()}
    return SQL in given and (given[SQL] or not given.keys() - SQL_KEYS)


def _is_statement(text: str) -> bool:
    return bool(_STATEMENT.match(text.lstrip(" \t\r\n(")))


def read_sql(
    raw: object, metadata: Metadata, *, catalog: str, root: Path, look: SqlLook | None = None, own: str = ""
) -> Reading[Sql]:
    """Read SQL that was sent at `root` of the arguments, for the cluster or tag `own`. Never raises for bad input.

    Without a look only the keys are checked.
    """
    value, repairs = _opened(raw, root)
    refused = unreadable(value, root)
    if refused or not isinstance(value, Mapping):
        return Reading(None, problems=(refused,) if refused else ())
    findings, repaired = _checked_keys(value, root)
    repairs += repaired
    parts = {str(key).strip().casefold(): part for key, part in value.items()}
    findings += _wrong_shapes(parts, root)
    if findings:
        return Reading(None, tuple(repairs), tuple(findings))
    days = ((str(name).strip(), _day_range(part)) for name, part in (parts.get(PARAMETERS) or {}).items())
    definition = Sql(catalog, parts[SQL], tuple((name, value) for name, value in days if value is not None))
    seen = look(definition, metadata, root) if look else SqlSeen()
    findings += seen.findings
    findings += _wrong_clusters(seen.reads, metadata, own, pointer((*root, SQL)))
    problems = tuple(blocking(findings))
    known = None if problems else replace(definition, reads=_resolved(seen.reads, metadata, own))
    return Reading(known, tuple(repairs), problems, tuple(warnings_of(findings)))


def _opened(raw: object, root: Path) -> tuple[object, list[Repair]]:
    """JSON text as its value, and a statement by itself under its key."""
    if not isinstance(raw, str):
        return raw, []
    if _is_statement(raw):
        return {SQL: raw}, [Repair(pointer(root), "", json.dumps({SQL: "…"}, ensure_ascii=False), _BARE)]
    return from_json(raw), []


def _checked_keys(value: Mapping[Any, object], root: Path) -> tuple[list[Problem], list[Repair]]:
    """Problems of keys that do not belong here, and repairs of those in another spelling."""
    problems, repairs = [], []
    for key, part in ((str(key), part) for key, part in value.items()):
        plain, at = key.strip().casefold(), pointer((*root, key))
        if plain in SQL_KEYS and plain != key:
            repairs.append(Repair(at, key, plain, _KEY_CASE))
        elif part is None and plain != SQL:
            continue
        elif key in (*keys_of(Qp), *keys_of(TagQp)) and is_absent(part):
            repairs.append(Repair(at, json.dumps(part), "", EMPTY_KEY))
        elif key in (*keys_of(Qp), *keys_of(TagQp)):
            problems.append(finding("definition_two_forms", at, got=key))
        elif plain not in SQL_KEYS:
            close = nearest(key, SQL_KEYS)
            problems.append(finding("key_unknown", at, got=key, expected=listed(SQL_KEYS), suggestion=close))
    return problems, repairs


def _wrong_shapes(parts: Mapping[str, object], root: Path) -> Iterator[Problem]:
    if not isinstance(parts[SQL], str):
        yield finding("type_wrong", pointer((*root, SQL)), got=parts[SQL], expected=Text("text", "文本"))
    parameters = parts.get(PARAMETERS) or {}
    if not isinstance(parameters, Mapping):
        expected = Text('an object such as {"days": "1-7"}', '对象，如 {"days": "1-7"}')
        yield finding("type_wrong", pointer((*root, PARAMETERS)), got=parameters, expected=expected)
        return
    for name, value in parameters.items():
        if _day_range(value) is None:
            yield finding("sql_parameter_value", pointer((*root, PARAMETERS, str(name))), got=value, name=name)


def _day_range(value: object) -> DayRange | None:
    """A value as text, or as two; what the texts mean is checked with the SQL."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(day, str) for day in value):
        return value[0].strip(), value[1].strip()
    return None


def _wrong_clusters(reads: SqlReads, metadata: Metadata, own: str, at: str) -> Iterator[Problem]:
    """Clusters and tags by name that do not exist, are spelt otherwise, have no members, or depend on the own one."""
    names = [p.name for p in metadata.properties_of("cluster")]
    for name in reads.clusters:
        known = metadata.property("cluster", name)
        if known is None or known.name != name:
            yield finding("sql_cluster_unknown", at, got=name, suggestion=nearest(name, names))
        else:
            yield from dependency_findings(known, own, at)


def _resolved(reads: SqlReads, metadata: Metadata, own: str) -> SqlReads:
    """Of SQL that may read every cluster: those that exist and do not depend on the own one."""
    if not reads.any_cluster:
        return reads
    others = [p for p in metadata.properties_of("cluster") if not any(dependency_findings(p, own, ""))]
    return replace(reads, clusters=tuple(p.name for p in others))
