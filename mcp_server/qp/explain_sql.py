"""SQL in words: what it is for, what it reads, and the text as it stands; and what differs between two."""

import difflib
from collections.abc import Iterator, Mapping

from mcp_server.qp.explain import Explanation, Part
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.qp.sql import SQL, DayRange, Sql, SqlReads, sql_meaning_hash
from mcp_server.qp.wording import named, quoted, span_of, visible
from mcp_server.text import NOTHING, Text, listed, same

MOST_LINES = 20
"""Lines that a comparison of two texts shows."""

_SUMMARY = Text(
    "As of {today}, {zone}: {said}.{reads} The SQL:\n{sql}",
    "以 {today}（{zone}）为准，{said}。{reads}SQL 如下：\n{sql}",
)
_SELECTED = Text("the users that this SQL returns", "由 SQL 查询返回的用户")
_GIVEN = Text(
    "each user's value is the second column that this SQL returns; users that it does not return have no value",
    "标签值取 SQL 查询返回的第二列，未返回的用户没有标签值",
)
_TABLES = Text(" It reads {tables}", "读取的表：{tables}")
_COLUMNS = Text(", columns {columns}", "；列：{columns}")
_CLUSTERS = Text(", clusters and tags {clusters}", "；分群和标签：{clusters}")
_ANY_CLUSTER = Text(", all clusters and tags as they stand at that moment", "；分群和标签：计算时的全部")
_PARAMETERS = Text("; days of {name}: {days}", "；参数 {name} 的日期：{days}")
_STOP = Text(".", "。")

_CHANGED = Text("the SQL changes:\n{lines}", "SQL 有改动：\n{lines}")
_MORE = Text("({n} more lines)", "（另有 {n} 行）")
_DAYS_CHANGED = Text("the days of {name} change: “{old}” becomes “{new}”", "参数 {name} 的日期由“{old}”改为“{new}”")
_NO_DAYS = Text("no such parameter", "无此参数")


def explain_sql(definition: Sql, metadata: Metadata) -> Explanation:
    """Say what SQL is for and what it reads, and show it as it stands."""
    said = _GIVEN if definition.catalog == TAG else _SELECTED
    summary = _SUMMARY.format(
        today=metadata.today,
        zone=metadata.zone,
        said=said,
        reads=_reads(definition, metadata),
        sql=definition.sql.strip(),
    )
    return Explanation(summary, (Part(f"/{SQL}", summary), Part("", said)))


def _reads(definition: Sql, metadata: Metadata) -> Text:
    reads, parts = definition.reads, []
    if reads.tables:
        parts.append(_TABLES.format(tables=_names(reads.tables)))
    if reads.columns:
        parts.append(_COLUMNS.format(columns=listed([_column(name, reads, metadata) for name in reads.columns])))
    if reads.any_cluster:
        parts.append(_ANY_CLUSTER)
    elif reads.clusters:
        parts.append(_CLUSTERS.format(clusters=_names(reads.clusters)))
    parts += [_PARAMETERS.format(name=_name(name), days=_days(days, metadata)) for name, days in definition.parameters]
    return Text("".join(p.en for p in (*parts, _STOP)), "".join(p.zh for p in (*parts, _STOP))) if parts else NOTHING


def _column(name: str, reads: SqlReads, metadata: Metadata) -> Text:
    """A column with its display name; bare where two of the tables that are read have it."""
    kinds = [kind for kind in ("event", "user") if any(table.startswith(f"v_{kind}_") for table in reads.tables)]
    found = [known for kind in kinds if (known := metadata.property(kind, name))]
    said = named(name, found[0].names if len(found) == 1 else None)
    return Text(said.en, said.zh.rstrip())


def _names(names: tuple[str, ...]) -> Text:
    return listed([_name(name) for name in names])


def _name(name: str) -> Text:
    return same(f"`{visible(name, '`')}`")


def _days(days: DayRange, metadata: Metadata) -> Text:
    return span_of(days if isinstance(days, str) else "", *("", "") if isinstance(days, str) else days, metadata)


def compare_sql(old: Sql, new: Sql, metadata: Metadata) -> tuple[Text, ...]:
    """Say what changes from one SQL to another: its lines, and its days. Empty where both mean the same."""
    if sql_meaning_hash(old) == sql_meaning_hash(new):
        return ()
    changed = [] if old.sql.strip() == new.sql.strip() else [_CHANGED.format(lines=_lines(old.sql, new.sql))]
    return (*changed, *_days_changed(dict(old.parameters), dict(new.parameters), metadata))


def _lines(old: str, new: str) -> Text:
    """The lines that differ, as in a patch."""
    steps = difflib.ndiff(old.strip().splitlines(), new.strip().splitlines())
    found = [step.rstrip() for step in steps if step[:2] in ("- ", "+ ")]
    shown = same("\n".join(found[:MOST_LINES]))
    left = len(found) - MOST_LINES
    if left <= 0:
        return shown
    more = _MORE.format(n=left)
    return Text(f"{shown.en}\n{more.en}", f"{shown.zh}\n{more.zh}")


def _days_changed(old: Mapping[str, DayRange], new: Mapping[str, DayRange], metadata: Metadata) -> Iterator[Text]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            was, now = (_days(days[name], metadata) if name in days else _NO_DAYS for days in (old, new))
            yield _DAYS_CHANGED.format(name=quoted(name), old=was, new=now)
