"""Our SQL over ThinkingData's tables (te-api.md section 6): sizes of definitions, previews, members as a file."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, assert_never

import anyio
import anyio.to_thread

from mcp_server.engines.base import compile_any
from mcp_server.engines.dialect import Lacking, NoForm, Tables
from mcp_server.engines.duckdb.members import FORMULA
from mcp_server.engines.sql import counted_sql, selection_sql, tag_sql
from mcp_server.engines.trino import TRINO
from mcp_server.errors import NotOnPlatform
from mcp_server.language.definitions import Definition, value_type_of
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import TAG, Qp, TagQp
from mcp_server.language.names import names_used
from mcp_server.plan.plan import ClusterSource, Plan, TagPlan
from mcp_server.platforms.segments import Cluster, Export, OnProgress, Preview, Step, TagValues
from mcp_server.platforms.thinkingdata import client
from mcp_server.platforms.thinkingdata.client import ThinkingDataApi
from mcp_server.platforms.vendor import UnreadableReply, masked, unreadable
from mcp_server.store.files import LocalFiles
from mcp_server.text import Text
from mcp_server.user_sql.plan import SqlPlan

# Statements


MOST_VALUES = 20
"""Values of a property, or of a tag, that are counted one by one."""
_VALUE_COLUMNS = {"number": "tag_value_num", "time": "tag_value_tm"}
_RECENT = timedelta(days=7)

_name, _text = TRINO.identifier, TRINO.literal
_USER_ID = _name("#user_id")


def spread(values: str, project_id: str, *, ordered: bool) -> str:
    """Select one row over `user_id`, `value`: all users, users with a value, distinct values, the least and greatest one."""
    ends = ", min(value), max(value)" if ordered else ""
    return (
        f"SELECT (SELECT count(*) FROM {user_table(project_id)}), count(*), count(DISTINCT value){ends}"
        f"\nFROM (\n{values}\n) AS given"
    )


def most_frequent(values: str) -> str:
    """Select rows of value and users over `user_id`, `value`."""
    return (
        f"SELECT value, count(*) AS n\nFROM (\n{values}\n) AS given\nGROUP BY value\nORDER BY n DESC, value"
        f"\nLIMIT {MOST_VALUES}"
    )


def sample_sql(users: str, project_id: str, columns: Sequence[str], limit: int, *, tag: bool) -> str:
    """Select the first users of a selection by id: columns of the user table, of a tag then the value."""
    shown = [f"u.{_name(column)}" for column in columns] + (["given.value"] if tag else [])
    return (
        f"SELECT {', '.join(shown)}\nFROM (\n{users}\n) AS given\nJOIN {user_table(project_id)} AS u"
        f" ON u.{_USER_ID} = given.user_id\nORDER BY u.{_USER_ID}\nLIMIT {int(limit)}"
    )


def members(project_id: str, cluster: str, columns: Sequence[str], *, tag: bool) -> str:
    """Select the members of a cluster by id: their id, of a tag the value, then columns of the user table."""
    shown = [f"r.{_USER_ID}", *(["r.tag_value"] if tag else []), *(f"u.{_name(column)}" for column in columns)]
    return (
        f"SELECT {', '.join(shown)}\nFROM user_result_cluster_{_number(project_id)} AS r\n"
        f"LEFT JOIN {user_table(project_id)} AS u ON u.{_USER_ID} = r.{_USER_ID}\nWHERE r.cluster_name = {_text(cluster)}"
        f"\nORDER BY r.{_USER_ID}"
    )


def value_counts(project_id: str, properties: Sequence[Property], today: date) -> str:
    """Select rows of table, property, value and a number: first of all users (without names), then the most frequent
    values of text properties; of events, only those of the last days are read.
    """
    parts = [f"SELECT 'user' AS t, '' AS p, '' AS v, count(*) AS n FROM {user_table(project_id)}"]
    for number, counted in enumerate(properties):
        column, where = _name(counted.name), f"{_name(counted.name)} IS NOT NULL"
        table = user_table(project_id)
        if counted.table == "event":
            first, last = (_text(day.isoformat()) for day in (today - _RECENT, today))
            table, where = (
                f"v_event_{_number(project_id)}",
                f"{where} AND {_name(TRINO.day)} BETWEEN {first} AND {last}",
            )
        parts.append(
            f"SELECT * FROM (SELECT {_text(counted.table)} AS t, {_text(counted.name)} AS p, {column} AS v, count(*) AS n"
            f" FROM {table} WHERE {where} GROUP BY {column} ORDER BY n DESC, v LIMIT {MOST_VALUES + 1}) AS t{number}"
        )
    return "\nUNION ALL\n".join(parts)


def least(project_id: str) -> str:
    """Write the smallest query of a project's own tables, which shows whether they may be queried."""
    return f"SELECT 1 AS n FROM {user_table(project_id)} LIMIT 1"


def user_table(project_id: str) -> str:
    return f"v_user_{_number(project_id)}"


def _cluster(source: ClusterSource, metadata: Metadata) -> str:
    """Select the current members of a cluster, of a tag with the value in the column of its type."""
    known = metadata.property("cluster", source.name)
    kind = known.type if known else "cluster"
    value = "" if kind == "cluster" else f", {_VALUE_COLUMNS.get(kind, 'tag_value')} AS value"
    table = f"user_result_cluster_{_number(metadata.project_id)}"
    return f"(SELECT {_USER_ID} AS user_id{value} FROM {table} WHERE cluster_name = {_text(source.name)})"


def _number(project_id: str) -> int:
    """The project as it is in names of tables: nothing but digits gets there."""
    return int(project_id)


# Values


_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2})(?:\.(\d+))?")


def shown(value: object) -> str:
    """Return a value as people read it: times in the documented form, lists as JSON, missing ones empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    time = _TIME.fullmatch(text)
    if time is None:
        return text
    fraction = (time[2] or "")[:3]
    return time[1].replace("T", " ") + (f".{fraction}" if fraction.strip("0") else "")


# Previews


COUNTING = Text("Counting users on ThinkingData", "正在数数平台上统计用户")

_CANT = Text("This can't be counted beforehand on ThinkingData: {why}.", "无法在数数平台上预先统计：{why}。")
_CREATE = Text(
    "It can still be created: the platform itself computes it, and get_cluster shows the size then.",
    "仍可直接创建：由平台自行计算，之后可用 get_cluster 查看人数。",
)
_OF_A_DAY = Text("how it keeps clusters of past days is not known", "平台如何保存分群的历史版本尚不清楚")
_VIRTUAL = Text("{name} is computed by the platform and is in no table", "{name} 由平台实时计算，不在数据表中")
_NOT_CONDITIONS = Text("it is not made of conditions", "它不是条件定义")
_VIRTUAL_MARKS = ("ta@", "#vp@")
_ORDERED = ("number", "time")


async def preview(
    api: ThinkingDataApi,
    definition: Definition,
    metadata: Metadata,
    *,
    sample: int,
    properties: Sequence[str],
    want_sql: bool,
    on_progress: OnProgress,
) -> Preview:
    """Return the preview (`SegmentPlatform.preview`). NotOnPlatform where SQL can't count it."""
    tag = isinstance(definition, TagQp)
    names = ["#user_id", *(p for p in properties if p != "#user_id")]
    try:
        plan = _planned(definition, metadata)
        clusters = tuple(_cluster(source, metadata) for source in plan.clusters)
        tables = Tables(f"v_event_{_number(metadata.project_id)}", user_table(metadata.project_id), clusters)
        if isinstance(plan, Plan):
            users = selection_sql(plan, TRINO, tables)
            counting = [counted_sql(plan, TRINO, tables)]
        else:
            users = tag_sql(plan, TRINO, tables)
            kind = value_type_of(definition, metadata)
            ordered = kind is not None and kind[0] in _ORDERED
            counting = [spread(users, metadata.project_id, ordered=ordered), most_frequent(users)]
    except NoForm as error:
        raise cant(_without(error.lacking)) from error
    sampling = sample_sql(users, metadata.project_id, names, sample, tag=tag) if sample > 0 else ""
    await on_progress(10, COUNTING)
    *counts, users_shown = await _together(api, [*counting, sampling])
    seen = _funnel(plan, counts[0]) if isinstance(plan, Plan) else _spread(counts[0], counts[1])
    titles = [*names, "tag_value"] if tag else names
    return replace(seen, sample=tuple(_row(titles, row) for row in users_shown), sql=users if want_sql else "")


async def _together(api: ThinkingDataApi, statements: Sequence[str]) -> list[list[list[Any]]]:
    """Return the rows of each, none of an empty one. They run at once, as a query engine takes a while to start each."""
    answers: list[list[list[Any]]] = [[] for _ in statements]

    async def run(place: int) -> None:
        answers[place] = await api.rows(statements[place])

    try:
        async with anyio.create_task_group() as group:
            for place, statement in enumerate(statements):
                if statement:
                    group.start_soon(run, place)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return answers


def _funnel(plan: Plan, rows: Sequence[Sequence[Any]]) -> Preview:
    everybody, *counts, selected = rows[0]
    pairs = zip(plan.funnel, counts[::2], counts[1::2], strict=True)
    return Preview(int(selected), int(everybody), tuple(Step(s.path, int(a), int(b)) for s, a, b in pairs))


def _spread(rows: Sequence[Sequence[Any]], top: Sequence[Sequence[Any]]) -> Preview:
    everybody, users, distinct, *ends = rows[0]
    low, high = (shown(end) for end in ends) if ends else ("", "")
    values = TagValues(int(distinct), tuple((shown(v), int(n)) for v, n in top), low=low, high=high)
    return Preview(int(users), int(everybody), values=values)


def _row(titles: Sequence[str], row: Sequence[Any]) -> dict[str, str]:
    return {title: shown(value) for title, value in zip(titles, row, strict=True) if value is not None}


def _planned(definition: Definition, metadata: Metadata) -> Plan | TagPlan:
    """Return the plan of a definition by conditions, its times as clock readings. NotOnPlatform."""
    if not isinstance(definition, Qp | TagQp):
        raise cant(_NOT_CONDITIONS)
    for name in names_used(definition):
        if name.startswith(_VIRTUAL_MARKS):
            raise cant(_VIRTUAL.format(name=name))
    plan = compile_any(definition, metadata.by_clock_readings())
    if isinstance(plan, SqlPlan) or any(source.day for source in plan.clusters):
        raise cant(_OF_A_DAY)
    return plan


def _without(lacking: Lacking) -> Text:
    match lacking:
        case "median":
            return Text("its query engine has no exact median", "其查询引擎没有精确的中位数")
        case "average":
            return Text("its query engine can't compare an exact average", "其查询引擎无法比较精确的平均值")
        case _:
            assert_never(lacking)


def cant(why: Text) -> NotOnPlatform:
    """Return the error for what can't be counted."""
    return NotOnPlatform(_CANT.format(why=why), next_step=_CREATE)


# Exports: streamed from the answer of a query into a file, whole or not at all


EXPORTING = Text("Fetching the users", "正在获取用户")
_MARK = "\ufeff"
_AT_ONCE = 5_000
"""Rows that are written together, as each write goes through a thread."""
_FORMULA = re.compile(FORMULA)
_FRACTION = re.compile(r"\.\d+$")
"""Of a second."""
_PLAIN = ("number", "time", "bool")
"""Types of values that hold no text: what looks like a formula in them is the sign of a number."""
_QUOTE = '"'
_QUOTED = re.compile(r'[\n\r"#,]')
"""Characters that need quotes. `#` does not, but DuckDB, which writes the files of local clusters, quotes it."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the file, and the type of its values ("" where it is not known)."""

    name: str
    kind: str

    def cell(self, value: object, *, defused: bool) -> str:
        """Return a value as it is written: nothing where it is missing."""
        if value is None:
            return ""
        if isinstance(value, list | dict):
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif self.kind == "time":
            text = _FRACTION.sub(lambda match: match[0].rstrip("0").rstrip("."), shown(value))
        else:
            text = value if isinstance(value, str) else shown(value)
        return _written(_defused(text) if defused and self.kind not in _PLAIN else text)


def _column(metadata: Metadata, table: str, name: str, title: str) -> _Column:
    known = metadata.property(table, name)
    return _Column(title, known.type if known else "")


class RemoteExport:
    """Writes members of one deployment's clusters as CSV, to the byte as the local platform does: UTF-8, a header row,
    local times, lists as JSON, by id."""

    def __init__(self, api: ThinkingDataApi, files: LocalFiles, secrets: Sequence[str]) -> None:
        self._api = api
        self._files = files
        self._secrets = tuple(secrets)

    async def write(
        self,
        cluster: Cluster,
        properties: Sequence[str],
        stem: str,
        metadata: Metadata,
        *,
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> Export:
        """Write the file (`SegmentPlatform.export`)."""
        tag = cluster.catalog == TAG
        own = [p for p in dict.fromkeys(properties) if p != "#user_id"]
        value = "tag_value" if cluster.cluster_name.casefold() in map(str.casefold, own) else cluster.cluster_name
        columns = [
            _Column("#user_id", "number"),
            *([_column(metadata, "cluster", cluster.cluster_name, value)] if tag else []),
            *(_column(metadata, "user", name, name) for name in own),
        ]
        statement = members(cluster.project_id, cluster.cluster_name, own, tag=tag)
        head = _line(_written(_defused(column.name) if spreadsheet else column.name) for column in columns)
        rows, waiting = 0, [_MARK, head] if spreadsheet else [head]
        temp = self._files.temp_path(".csv")
        try:
            async with await anyio.open_file(temp, "w", encoding="utf-8", newline="") as file:
                async for row in self._rows(statement, len(columns)):
                    pairs = zip(columns, row, strict=True)
                    waiting.append(_line(column.cell(value, defused=spreadsheet) for column, value in pairs))
                    rows += 1
                    if rows % _AT_ONCE == 0:
                        await file.write("".join(waiting))
                        waiting.clear()
                        if cluster.users_num:
                            await on_progress(min(99.0, 100 * rows / cluster.users_num), EXPORTING)
                await file.write("".join(waiting))
            final = await anyio.to_thread.run_sync(self._files.keep_export, temp, stem, "csv")
        finally:
            temp.unlink(missing_ok=True)
        return Export(final, rows, final.stat().st_size, tuple(column.name for column in columns))

    async def _rows(self, statement: str, width: int) -> AsyncIterator[list[Any]]:
        """Yield the rows of the answer as they come; the first line is the envelope."""
        first = True
        async for raw in _lines(self._api.download(statement)):
            line = masked(raw, self._secrets)
            try:
                if first:
                    client.data_of(line, self._secrets)
                    first = False
                elif line.strip():
                    yield client.row_in(line, width)
            except UnreadableReply:
                raise unreadable(client.NAME) from None
        if first:
            raise unreadable(client.NAME)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line
    if rest.strip():
        yield rest


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\n"


def _defused(text: str) -> str:
    """Put an apostrophe in front of what a spreadsheet would run as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _written(text: str) -> str:
    """Put quotes where they are needed, and around the empty text, which is not a missing one."""
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if not text or _QUOTED.search(text) else text
