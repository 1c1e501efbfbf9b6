"""A definition that is SQL: the text, its parameters, what it reads (qp.md section 5), and how that is worded."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from mcp_server.language.explain import ExplainedPart, Explanation
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TAG, digest
from mcp_server.language.wording import named, quoted, span_of, visible
from mcp_server.text import NOTHING, Text, listed, same

DayRange = str | tuple[str, str]
"""`recentDay` "A-B", or the first and the last day as `yyyy-MM-dd`, both included."""

SQL, PARAMETERS = SQL_KEYS = ("sql", "parameters")
"""The keys of such a definition. No page of the vendor has them; the project decides (qp.md section 5, P)."""
LONGEST = 20_000
"""Characters of one SQL."""
MOST_LINES = 20
"""Lines that a comparison of two texts shows."""

_SUMMARY = Text(
    "As of {today}, {zone}: {what}.{reads} The SQL:\n{sql}",
    "以 {today}（{zone}）为准，{what}。{reads}SQL 如下：\n{sql}",
)
_SELECTED = Text("the users that this SQL returns", "由 SQL 查询返回的用户")
_GIVEN = Text(
    "each user's value is the second column that this SQL returns; users that it does not return have no value",
    "标签值取 SQL 查询返回的第二列，未返回的用户没有标签值",
)
_TABLES = Text(" It reads {tables}", "读取的表：{tables}")
_COLUMNS = Text(", columns {columns}", "；列：{columns}")
_CLUSTERS = Text(", clusters and tags {clusters}", "；分群和标签：{clusters}")
_ANY_CLUSTER = Text(", all clusters and tags as they are at that moment", "；分群和标签：计算时的全部")
_PARAMETERS = Text("; days of {name}: {days}", "；参数 {name} 的日期：{days}")
_STOP = Text(".", "。")

_CHANGED = Text("the SQL changes:\n{lines}", "SQL 有改动：\n{lines}")
_MORE = Text("({n} more lines)", "（另有 {n} 行）")
_DAYS_CHANGED = Text("the days of {name} change: “{old}” becomes “{new}”", "参数 {name} 的日期由“{old}”改为“{new}”")
_NO_DAYS = Text("no such parameter", "无此参数")


@dataclass(frozen=True, slots=True)
class SqlReads:
    """What the check of an SQL text reports that it reads."""

    tables: tuple[str, ...] = ()
    """The project's tables, by their short names."""
    columns: tuple[str, ...] = ()
    """Columns of theirs that it names, as they are declared."""
    clusters: tuple[str, ...] = ()
    """Clusters and tags by name, as written."""
    any_cluster: bool = False
    """True where it may read every cluster and tag; `clusters` are then those that there were."""


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL that returns the users of a cluster, or the users and values of a tag."""

    noun: ClassVar[Text] = Text("SQL", "SQL")
    types_end: ClassVar[tuple[str, ...]] = ("_sql",)
    body_key: ClassVar[str] = ""
    catalog: str
    """Whether it is a cluster's or a tag's, by the vendor's names (`model.CLUSTER`, `model.TAG`)."""
    sql: str
    """As it was written."""
    parameters: tuple[tuple[str, DayRange], ...] = ()
    """The days of each `${PartDate:name}`, by name."""
    reads: SqlReads = field(default_factory=SqlReads, compare=False)

    def wire(self) -> dict[str, Any]:
        """Return the documented form."""
        days = {name: value if isinstance(value, str) else list(value) for name, value in self.parameters}
        return {SQL: self.sql} | ({PARAMETERS: days} if days else {})

    def stored(self) -> dict[str, Any]:
        """Return the documented form with what it reads, so that nothing has to parse SQL to know that."""
        reads = {name: value for name, value in asdict(self.reads).items() if value}
        if self.reads.any_cluster:
            reads.pop("clusters", None)  # those of that moment; another computation reads others
        return self.wire() | ({"reads": reads} if reads else {})

    @classmethod
    def restored(cls, stored: Mapping[str, Any], catalog: str) -> "Sql":
        """Make a definition from what `stored` returned."""
        days = stored.get(PARAMETERS, {}).items()
        parameters = tuple((name, day if isinstance(day, str) else (day[0], day[1])) for name, day in days)
        reads = stored.get("reads", {})
        tables, columns, clusters = (tuple(reads.get(name, ())) for name in ("tables", "columns", "clusters"))
        any_cluster = bool(reads.get("any_cluster"))
        return cls(catalog, stored[SQL], parameters, SqlReads(tables, columns, clusters, any_cluster))


def sql_hash(definition: Sql) -> str:
    """As `model.qp_hash`. Only blanks around the text and the order of parameters change nothing."""
    return digest([definition.sql.strip().rstrip(";").rstrip(), definition.wire().get(PARAMETERS, {})])


def explain_sql(definition: Sql, metadata: Metadata) -> Explanation:
    """Explain what SQL is for and what it reads, and show it as it is."""
    what = _GIVEN if definition.catalog == TAG else _SELECTED
    reads, sql = _reads(definition, metadata), definition.sql.strip()
    summary = _SUMMARY.format(today=metadata.today, zone=metadata.zone, what=what, reads=reads, sql=sql)
    return Explanation(summary, (ExplainedPart(f"/{SQL}", summary), ExplainedPart("", what)))


def _reads(definition: Sql, metadata: Metadata) -> Text:
    reads, parts = definition.reads, []
    if reads.tables:
        parts.append(_TABLES.format(tables=listed(map(_name, reads.tables))))
    if reads.columns:
        parts.append(_COLUMNS.format(columns=listed([_column(name, reads, metadata) for name in reads.columns])))
    if reads.any_cluster:
        parts.append(_ANY_CLUSTER)
    elif reads.clusters:
        parts.append(_CLUSTERS.format(clusters=listed(map(_name, reads.clusters))))
    parts += [_PARAMETERS.format(name=_name(name), days=_days(days, metadata)) for name, days in definition.parameters]
    return Text("".join(p.en for p in (*parts, _STOP)), "".join(p.zh for p in (*parts, _STOP))) if parts else NOTHING


def _column(name: str, reads: SqlReads, metadata: Metadata) -> Text:
    """A column with its display name; bare where two of the tables that are read have it."""
    kinds = [kind for kind in ("event", "user") if any(table.startswith(f"v_{kind}_") for table in reads.tables)]
    known = [column for kind in kinds if (column := metadata.property(kind, name))]
    text = named(name, known[0] if len(known) == 1 else None)
    return Text(text.en, text.zh.rstrip())


def _name(name: str) -> Text:
    return same(f"`{visible(name, '`')}`")


def _days(days: DayRange, metadata: Metadata) -> Text:
    return span_of(days, "", "", metadata) if isinstance(days, str) else span_of("", *days, metadata)


def compare_sql(old: Sql, new: Sql, metadata: Metadata) -> tuple[Text, ...]:
    """What changes from one SQL to another: its lines, and its days. Empty where both mean the same."""
    if sql_hash(old) == sql_hash(new):
        return ()
    changed = [] if old.sql.strip() == new.sql.strip() else [_CHANGED.format(lines=_lines(old.sql, new.sql))]
    return (*changed, *_days_changed(dict(old.parameters), dict(new.parameters), metadata))


def _lines(old: str, new: str) -> Text:
    """The lines that differ, as in a patch."""
    steps = difflib.ndiff(old.strip().splitlines(), new.strip().splitlines())
    differing = [step.rstrip() for step in steps if step[:2] in ("- ", "+ ")]
    shown = same("\n".join(differing[:MOST_LINES]))
    left = len(differing) - MOST_LINES
    if left <= 0:
        return shown
    more = _MORE.format(n=left)
    return Text(f"{shown.en}\n{more.en}", f"{shown.zh}\n{more.zh}")


def _days_changed(old: Mapping[str, DayRange], new: Mapping[str, DayRange], metadata: Metadata) -> Iterator[Text]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            was, now = (_days(days[name], metadata) if name in days else _NO_DAYS for days in (old, new))
            yield _DAYS_CHANGED.format(name=quoted(name), old=was, new=now)
