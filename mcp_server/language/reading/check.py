"""Read a definition: repair it, and report everything that is wrong with it, all at once."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar

from pydantic import ValidationError

from mcp_server.errors import InvalidDefinition, Problem, Repair
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import Qp, StrictModel, TagQp
from mcp_server.language.names import rests_on
from mcp_server.language.problems import blocking, finding, pointer, warnings_of
from mcp_server.language.reading.document import Repaired, elsewhere, from_json, has_any, oversized, too_deep
from mcp_server.language.reading.meaning import Finder, TagFinder
from mcp_server.language.reading.repair import repair, repair_tag
from mcp_server.language.reading.shape import shape_problems
from mcp_server.language.sql import PARAMETERS, SQL, SQL_KEYS, DayRange, Sql, SqlReads
from mcp_server.language.suggest import nearest
from mcp_server.language.vocabulary import MAX_CHARACTERS, QP_KEYS, TAG_KEYS, Keys, Path
from mcp_server.text import Text, clauses, listed

# Read a definition as it was sent: repair it, and find everything that is wrong with it, all at once.
#
# Three stages (qp.md section 8): shape (the strict models), meaning (this file, with the project's metadata),
# platform (whoever it is sent to). The meaning stage walks the repaired JSON and not the models, so that a wrong key
# in one condition does not hide an unknown event in the next.


_MEND = Text("Mend every problem and call again; {finders}.", "请逐条修正后重新调用；{finders}。")
_FINDS_DATA = Text("describe_data finds names", "名称可用 describe_data 查找")
_FINDS_CLUSTERS = Text("list_clusters finds clusters and tags", "分群和标签可用 list_clusters 查找")
_OF_CLUSTERS = frozenset({"cluster_unknown", "sql_cluster_unknown"})
RegexFault = Callable[[str], str]
"""Why a pattern is not valid RE2; "" where it is. Only an engine knows."""


def finders(problems: Sequence[Problem]) -> Text:
    """The tools by which whoever wrote a definition finds what it should name: those of clusters for clusters."""
    of_clusters = [p.code in _OF_CLUSTERS for p in problems]
    if not any(of_clusters):
        return _FINDS_DATA
    return _FINDS_CLUSTERS if all(of_clusters) else clauses([_FINDS_DATA, _FINDS_CLUSTERS])


class Wired(Protocol):
    """A definition that has a documented form."""

    def wire(self) -> dict[str, Any]: ...


W = TypeVar("W", bound=Wired)
D = TypeVar("D", bound=StrictModel)


@dataclass(frozen=True, slots=True)
class _Read(Generic[W]):
    """What came of reading a definition."""

    definition: W | None
    """None where there are problems."""
    repairs: tuple[Repair, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def normalised(self) -> dict[str, Any]:
        """The documented form; empty where there are problems."""
        return self.definition.wire() if self.definition else {}

    def within(self, findings: Sequence[Problem], repairs: Sequence[Repair]) -> Self:
        """The same, with what was found in the body around the definition, problems and warnings."""
        problems = blocking(findings)
        return replace(
            self,
            definition=None if problems else self.definition,
            problems=(*problems, *self.problems),
            warnings=(*warnings_of(findings), *self.warnings),
            repairs=(*repairs, *self.repairs),
        )

    def must(self) -> W:
        """The definition, or InvalidDefinition with all its problems."""
        if self.definition is None:
            raise InvalidDefinition(
                Text(
                    "The definition has {n} problem(s); nothing was changed.", "定义有 {n} 处问题；未做任何更改。"
                ).format(n=len(self.problems)),
                next_step=_MEND.format(finders=finders(self.problems)),
                problems=self.problems,
                repairs=self.repairs,
            )
        return self.definition


class Reading(_Read[Qp]):
    """What came of reading the definition of a cluster, a `qp`."""


class TagReading(_Read[TagQp]):
    """What came of reading the definition of a tag, a `tagQp`."""


class SqlReading(_Read[Sql]):
    """What came of reading a definition that is SQL."""


@dataclass(frozen=True, slots=True)
class _Words(Generic[D]):
    """How a definition by conditions is read, of a cluster or of a tag."""

    keys: Keys
    model: type[D]
    repair: Callable[[object, Metadata, Path], Repaired]
    finder: type[Finder]
    other: tuple[Keys, str]
    """The keys of the other kind, and the problem where that was sent instead."""
    most_objects: int


_CLUSTER = _Words(QP_KEYS, Qp, repair, Finder, (TAG_KEYS, "tag_given"), words.MAX_OBJECTS)
_TAG = _Words(TAG_KEYS, TagQp, repair_tag, TagFinder, (QP_KEYS, "cluster_given"), words.MAX_TAG_OBJECTS)


def read(
    raw: object, metadata: Metadata, *, root: Path = ("qp",), regex_fault: RegexFault | None = None, own: str = ""
) -> Reading:
    """Read a cluster's definition that was sent at `root` of the arguments. Never raises for bad input.

    `own` is the name of the cluster that it is for; it may not reach itself through other clusters.
    """
    return Reading(*_read(raw, _CLUSTER, metadata, root, regex_fault, own))


def read_tag(
    raw: object, metadata: Metadata, *, root: Path = ("tag_qp",), regex_fault: RegexFault | None = None, own: str = ""
) -> TagReading:
    """Read a tag's definition, as `read` does a cluster's."""
    return TagReading(*_read(raw, _TAG, metadata, root, regex_fault, own))


def _read(
    raw: object, form: _Words[D], metadata: Metadata, root: Path, regex_fault: RegexFault | None, own: str
) -> tuple[D | None, tuple[Repair, ...], tuple[Problem, ...], tuple[Problem, ...]]:
    """The definition, the repairs, the problems and the warnings."""
    refused = _refused(raw, root, form)
    if refused:
        return None, (), (refused,), ()
    done = form.repair(raw, metadata, root)
    shaped = _validated(done, form.model)
    found = [*shape_problems(shaped, done, metadata, form.keys)] if isinstance(shaped, ValidationError) else []
    found += form.finder(done, metadata, regex_fault or _unchecked, own).findings()
    if isinstance(shaped, ValidationError) and not blocking(found):  # nothing may be refused without a word
        found += shape_problems(shaped, done, metadata, form.keys, all_of_them=True)
    found = _once(found)
    problems = tuple(blocking(found))
    definition = None if isinstance(shaped, ValidationError) or problems else shaped
    return definition, tuple(done.repairs), problems, tuple(warnings_of(found))


def _unchecked(_pattern: str) -> str:
    return ""


def _validated(done: Repaired, model: type[D]) -> D | ValidationError:
    try:
        return model.model_validate(done.value)
    except ValidationError as error:
        return error


def _refused(raw: object, root: Path, form: _Words[D]) -> Problem | None:
    """Input that is not walked at all: no JSON, nested without end, not Unicode, or the other kind of definition."""
    if isinstance(raw, str) and len(raw) <= words.MAX_CHARACTERS:
        try:
            raw = from_json(raw)
        except ValueError as error:
            return finding("json_invalid", pointer(root), got=raw, detail=_json_fault(error))
    fault = oversized(raw, root, most_objects=form.most_objects) or unreadable(raw, root)
    if fault or not isinstance(raw, Mapping):
        return fault
    return None if has_any(raw, form.keys) else elsewhere(raw, root, form.keys, *form.other)


def unreadable(raw: object, root: Path) -> Problem | None:
    """Why a value is not walked at all: nested without end, no object, not Unicode."""
    path = pointer(root)
    if too_deep(raw):
        limit = Text("{n} levels of groups", "{n} 层嵌套组").format(n=words.MAX_DEPTH)
        return finding("definition_too_large", path, limit=limit)
    if not isinstance(raw, Mapping):
        return finding("type_wrong", path, got=raw, expected=Text("an object", "对象"))
    for text, at in _texts(raw, root):
        if _HALF.search(text):
            return finding("text_invalid", pointer(at))
    return None


def _json_fault(error: ValueError) -> Text:
    """What is wrong with a JSON text: the parser's own words, and in Chinese the place."""
    if isinstance(error, json.JSONDecodeError):
        line, column = error.lineno, error.colno
        return Text(f"{error.msg}, line {line}, column {column}", f"第 {line} 行第 {column} 列")
    return Text(str(error)[:120], "嵌套过深，或含有 NaN 之类的非法数值")


_HALF = re.compile("[\ud800-\udfff]")


def _texts(node: object, at: Path) -> Iterator[tuple[str, Path]]:
    """Every text in the input, keys too. The depth was checked before."""
    if isinstance(node, str):
        yield node, at
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield str(key), at
            yield from _texts(value, (*at, str(key)))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _texts(value, (*at, i))


def _once(found: list[Problem]) -> list[Problem]:
    """One finding per place and code, and per place and cure, in the order in which they stand in the definition.

    A key that is missing only because it was misspelt is told by the misspelt one.
    """
    misspelt = {(_above(p.path), p.suggestion) for p in found if p.code == "key_unknown" and p.suggestion}
    seen: dict[tuple[str, str], Problem] = {}
    cured: set[tuple[str, str]] = set()
    for one in found:
        if one.code == "key_missing" and (_above(one.path), str(one.expected.en)) in misspelt:
            continue
        if one.suggestion and (one.path, one.suggestion) in cured:
            continue
        cured.add((one.path, one.suggestion))
        seen.setdefault((one.path, one.code), one)
    return list(seen.values())


def _above(path: str) -> str:
    return path.rpartition("/")[0]


# Read a definition that is SQL as it was sent: its keys here, its text by whoever has a parser.
#
# The parser and the data are not known here. Who has them passes a look (`SqlLook`): it finds what is wrong with the
# text, and what it reads.


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
