"""What our SQL answers over ThinkingData's tables: sizes of definitions, previews, members as a file."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mcp_server.engines.base import compile_any
from mcp_server.engines.dialect import Lacking, NoForm, Tables
from mcp_server.engines.duckdb.members import FORMULA
from mcp_server.engines.sql import counted_sql, selection_sql, tag_sql
from mcp_server.engines.trino import TRINO
from mcp_server.errors import NotOnPlatform
from mcp_server.language.definitions import Definition, value_type_any
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import TAG, Qp, TagQp
from mcp_server.language.names import names_used
from mcp_server.plan.plan import ClusterSource, Plan, TagPlan
from mcp_server.platforms.segments import Cluster, Export, LocalFiles, OnProgress, Preview, Step, TagValues
from mcp_server.platforms.thinkingdata import client
from mcp_server.platforms.thinkingdata.client import ThinkingDataApi
from mcp_server.platforms.vendor import UnreadableReply, masked, unreadable
from mcp_server.text import Text
from mcp_server.user_sql.plan import SqlPlan

# Whole statements for ThinkingData's query engine, over the tables that it shows of a project (te-api.md section 6).


MOST_VALUES = 20
"""Values of a property, or of a tag, that are counted one by one."""
_VALUE_COLUMNS = {"number": "tag_value_num", "time": "tag_value_tm"}
_RECENT = timedelta(days=7)

_name, _text = TRINO.identifier, TRINO.literal
_USER_ID = _name("#user_id")


class OfADay(Exception):
    """A plan reads a cluster as it was on a day, and how the platform keeps those is not known."""


def compile_for_vendor(definition: Definition, metadata: Metadata) -> Plan | TagPlan:
    """The plan of a definition by conditions, its times as clock readings. OfADay."""
    plan = compile_any(definition, metadata.by_clock_readings())
    if isinstance(plan, SqlPlan) or any(source.day for source in plan.clusters):
        raise OfADay
    return plan


def chosen(plan: Plan | TagPlan, metadata: Metadata) -> str:
    """The users that a plan selects (`user_id`), of a tag with their values (`user_id`, `value`). NoForm."""
    tables = _tables(plan, metadata)
    return selection_sql(plan, TRINO, tables) if isinstance(plan, Plan) else tag_sql(plan, TRINO, tables)


def counted(plan: Plan, metadata: Metadata) -> str:
    """One row: all users, alone and left of each step, the whole. NoForm."""
    return counted_sql(plan, TRINO, _tables(plan, metadata))


def spread(values: str, project_id: str, *, ordered: bool) -> str:
    """One row over `user_id`, `value`: all users, users with a value, distinct values, and the least and greatest one."""
    ends = ", min(value), max(value)" if ordered else ""
    return (
        f"SELECT (SELECT count(*) FROM {user_table(project_id)}), count(*), count(DISTINCT value){ends}"
        f"\nFROM (\n{values}\n) AS given"
    )


def most_frequent(values: str) -> str:
    """Rows of value and users over `user_id`, `value`."""
    return (
        f"SELECT value, count(*) AS n\nFROM (\n{values}\n) AS given\nGROUP BY value\nORDER BY n DESC, value"
        f"\nLIMIT {MOST_VALUES}"
    )


def sample_sql(users: str, project_id: str, columns: Sequence[str], limit: int, *, tag: bool) -> str:
    """The first users of a selection by id: columns of the user table, of a tag then the value."""
    shown = [f"u.{_name(column)}" for column in columns] + (["given.value"] if tag else [])
    return (
        f"SELECT {', '.join(shown)}\nFROM (\n{users}\n) AS given\nJOIN {user_table(project_id)} AS u"
        f" ON u.{_USER_ID} = given.user_id\nORDER BY u.{_USER_ID}\nLIMIT {int(limit)}"
    )


def members(project_id: str, cluster: str, columns: Sequence[str], *, tag: bool) -> str:
    """The members of a cluster by id: their id, of a tag the value, then columns of the user table."""
    shown = [f"r.{_USER_ID}", *(["r.tag_value"] if tag else []), *(f"u.{_name(column)}" for column in columns)]
    return (
        f"SELECT {', '.join(shown)}\nFROM user_result_cluster_{_number(project_id)} AS r\n"
        f"LEFT JOIN {user_table(project_id)} AS u ON u.{_USER_ID} = r.{_USER_ID}\nWHERE r.cluster_name = {_text(cluster)}"
        f"\nORDER BY r.{_USER_ID}"
    )


def value_counts(project_id: str, properties: Sequence[Property], today: date) -> str:
    """Rows of table, property, value and a number: first of all users (without names), then the most frequent values of
    text properties. Of events, those of the last days only: nobody wants all of them read for a look.
    """
    parts = [f"SELECT 'user' AS t, '' AS p, '' AS v, count(*) AS n FROM {user_table(project_id)}"]
    for number, found in enumerate(properties):
        column, where = _name(found.name), f"{_name(found.name)} IS NOT NULL"
        table = user_table(project_id)
        if found.table == "event":
            first, last = (_text(day.isoformat()) for day in (today - _RECENT, today))
            table, where = (
                f"v_event_{_number(project_id)}",
                f"{where} AND {_name(TRINO.day)} BETWEEN {first} AND {last}",
            )
        parts.append(
            f"SELECT * FROM (SELECT {_text(found.table)} AS t, {_text(found.name)} AS p, {column} AS v, count(*) AS n"
            f" FROM {table} WHERE {where} GROUP BY {column} ORDER BY n DESC, v LIMIT {MOST_VALUES + 1}) AS t{number}"
        )
    return "\nUNION ALL\n".join(parts)


def least(project_id: str) -> str:
    """The smallest question to a project's own tables, which shows whether they may be queried."""
    return f"SELECT 1 AS n FROM {user_table(project_id)} LIMIT 1"


def user_table(project_id: str) -> str:
    return f"v_user_{_number(project_id)}"


def _tables(plan: Plan | TagPlan, metadata: Metadata) -> Tables:
    project = metadata.project_id
    clusters = tuple(_cluster(source, metadata) for source in plan.clusters)
    return Tables(f"v_event_{_number(project)}", user_table(project), clusters)


def _cluster(source: ClusterSource, metadata: Metadata) -> str:
    """The current members of a cluster, of a tag with the value in the column of its type."""
    found = metadata.property("cluster", source.name)
    kind = found.type if found else "cluster"
    value = "" if kind == "cluster" else f", {_VALUE_COLUMNS.get(kind, 'tag_value')} AS value"
    table = f"user_result_cluster_{_number(metadata.project_id)}"
    return f"(SELECT {_USER_ID} AS user_id{value} FROM {table} WHERE cluster_name = {_text(source.name)})"


def _number(project_id: str) -> int:
    """The project as it stands in names of tables: nothing but digits gets there."""
    return int(project_id)


# Values of a query's answer as text: times in the documented form, lists as JSON, missing ones empty.


_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2})(?:\.(\d+))?")


def shown(value: object) -> str:
    """A value as people read it."""
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


# The size of a definition on ThinkingData, counted by SQL of ours over its tables.


COUNTING = Text("Counting users on ThinkingData", "正在数数平台上统计用户")

_CANT = Text("This can't be counted beforehand on ThinkingData: {why}.", "无法在数数平台上预先统计：{why}。")
_CREATE = Text(
    "It can still be created: the platform itself computes it, and get_cluster tells the size then.",
    "仍可直接创建：由平台自行计算，之后可用 get_cluster 查看人数。",
)
_MEDIAN = Text("its query engine has no exact median", "其查询引擎没有精确的中位数")
_AVERAGE = Text("its query engine can't compare an exact average", "其查询引擎无法比较精确的平均值")
_WHY: Mapping[Lacking, Text] = {"median": _MEDIAN, "average": _AVERAGE}
_OF_A_DAY = Text("how it keeps clusters of past days is not known", "平台如何保存分群的历史版本尚不清楚")
_VIRTUAL = Text("{name} is computed by the platform and stands in no table", "{name} 由平台实时计算，不在数据表中")
_NOT_CONDITIONS = Text("it is not made of conditions", "它不是条件定义")
_VIRTUAL_MARKS = ("ta@", "#vp@")
_ORDERED = ("number", "time")


class RemotePreview:
    """Sizes definitions on one deployment."""

    def __init__(self, api: ThinkingDataApi) -> None:
        self._api = api

    async def of(
        self,
        definition: Definition,
        metadata: Metadata,
        *,
        size: int,
        columns: Sequence[str],
        want_sql: bool,
        on_progress: OnProgress,
    ) -> Preview:
        """The preview (`ports.SegmentPlatform.preview`). NotOnPlatform where SQL can't tell it."""
        tag = isinstance(definition, TagQp)
        names = ["#user_id", *(c for c in columns if c != "#user_id")]
        try:
            plan = _planned(definition, metadata)
            users = chosen(plan, metadata)
            counting = _counting(plan, users, definition, metadata)
        except NoForm as error:
            raise cant(_WHY[error.lacking]) from error
        sampling = sample_sql(users, metadata.project_id, names, size, tag=tag) if size > 0 else ""
        await on_progress(10, COUNTING)
        *counted, sample = await self._together([*counting, sampling])
        seen = _funnel(plan, counted[0]) if isinstance(plan, Plan) else _spread(counted[0], counted[1])
        titles = [*names, "tag_value"] if tag else names
        return replace(seen, sample=tuple(_row(titles, row) for row in sample), sql=users if want_sql else "")

    async def _together(self, statements: Sequence[str]) -> list[list[list[Any]]]:
        """The rows of each, none of an empty one. They are asked at once: each takes a query engine its time to begin."""
        found: list[list[list[Any]]] = [[] for _ in statements]

        async def ask(place: int) -> None:
            found[place] = await self._api.rows(statements[place])

        try:
            async with anyio.create_task_group() as group:
                for place, statement in enumerate(statements):
                    if statement:
                        group.start_soon(ask, place)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return found


def _counting(plan: Plan | TagPlan, users: str, definition: Definition, metadata: Metadata) -> list[str]:
    """What is asked for the size: of a cluster one statement, of a tag two. NoForm."""
    if isinstance(plan, Plan):
        return [counted(plan, metadata)]
    kind = value_type_any(definition, metadata)
    ordered = kind is not None and kind[0] in _ORDERED
    return [spread(users, metadata.project_id, ordered=ordered), most_frequent(users)]


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
    if not isinstance(definition, Qp | TagQp):
        raise cant(_NOT_CONDITIONS)
    for name in names_used(definition):
        if name.startswith(_VIRTUAL_MARKS):
            raise cant(_VIRTUAL.format(name=name))
    try:
        return compile_for_vendor(definition, metadata)
    except OfADay:
        raise cant(_OF_A_DAY) from None


def cant(why: Text) -> NotOnPlatform:
    """The error for what can't be counted."""
    return NotOnPlatform(_CANT.format(why=why), next_step=_CREATE)


# The members of a cluster on ThinkingData as a file here: streamed from its query answer, whole or not at all.


EXPORTING = Text("Fetching the users", "正在获取用户")
_MARK = "\ufeff"
_AT_ONCE = 5_000
"""Rows that are written together: each writing goes through a thread."""
_FORMULA = re.compile(FORMULA)
_PARTS = re.compile(r"\.\d+$")
"""Of a second."""
_PLAIN = ("number", "time", "bool")
"""Values that are no texts: what looks like a formula in them is a sign of a number."""
_QUOTE = '"'
_QUOTED = re.compile(r'[\n\r"#,]')
"""What makes quotes necessary. `#` is there because DuckDB, which writes the files of local clusters, quotes it."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the file, and the type of its values ("" where nobody knows it)."""

    name: str
    kind: str

    def cell(self, value: object, *, defused: bool) -> str:
        """A value as it stands in the file: nothing where it is missing."""
        if value is None:
            return ""
        if isinstance(value, list | dict):
            said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif self.kind == "time":
            said = _PARTS.sub(lambda found: found[0].rstrip("0").rstrip("."), shown(value))
        else:
            said = value if isinstance(value, str) else shown(value)
        return _written(_defused(said) if defused and self.kind not in _PLAIN else said)


def _kind(metadata: Metadata, table: str, name: str) -> str:
    found = metadata.property(table, name)
    return found.type if found else ""


class RemoteExport:
    """Writes members of one deployment's clusters as CSV, to the byte as `local.export` does: UTF-8, a header row,
    local times, lists as JSON, by id."""

    def __init__(self, api: ThinkingDataApi, here: LocalFiles, secrets: Sequence[str]) -> None:
        self._api = api
        self._here = here
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
        """The file (`ports.SegmentPlatform.export`)."""
        tag = cluster.catalog == TAG
        own = [p for p in dict.fromkeys(properties) if p != "#user_id"]
        value = "tag_value" if cluster.cluster_name.casefold() in map(str.casefold, own) else cluster.cluster_name
        columns = [
            _Column("#user_id", "number"),
            *([_Column(value, _kind(metadata, "cluster", cluster.cluster_name))] if tag else []),
            *(_Column(name, _kind(metadata, "user", name)) for name in own),
        ]
        statement = members(cluster.project_id, cluster.cluster_name, own, tag=tag)
        temp = self._here.temp_path(".csv")
        try:
            rows = await self._fill(temp, statement, columns, cluster, spreadsheet, on_progress)
            final = await anyio.to_thread.run_sync(self._here.keep_export, temp, stem, "csv")
        finally:
            temp.unlink(missing_ok=True)
        return Export(final, rows, final.stat().st_size, tuple(column.name for column in columns))

    async def _fill(
        self,
        temp: Path,
        statement: str,
        columns: Sequence[_Column],
        cluster: Cluster,
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> int:
        rows = 0
        head = _line([_written(_defused(column.name) if spreadsheet else column.name) for column in columns])
        waiting = [_MARK, head] if spreadsheet else [head]
        async with await anyio.open_file(temp, "w", encoding="utf-8", newline="") as file:
            async for row in self._rows(statement, len(columns)):
                pairs = zip(columns, row, strict=True)
                waiting.append(_line([column.cell(value, defused=spreadsheet) for column, value in pairs]))
                rows += 1
                if rows % _AT_ONCE == 0:
                    await file.write("".join(waiting))
                    waiting.clear()
                    if cluster.users_num:
                        await on_progress(min(99.0, 100 * rows / cluster.users_num), EXPORTING)
            await file.write("".join(waiting))
        return rows

    async def _rows(self, statement: str, width: int) -> AsyncIterator[list[Any]]:
        """The rows of the answer as they come; the first line is the envelope."""
        first = True
        async for told in _lines(self._api.download(statement)):
            line = masked(told, self._secrets)
            try:
                if first:
                    client.data_of(line, self._secrets)
                    first = False
                elif line.strip():
                    yield _parsed_row(line, width)
            except UnreadableReply:
                raise unreadable(client.NAME) from None
        if first:
            raise unreadable(client.NAME)


def _parsed_row(line: bytes, width: int) -> list[Any]:
    try:
        row = json.loads(line, parse_float=str)
    except (ValueError, RecursionError):
        raise UnreadableReply from None
    if not isinstance(row, list) or len(row) != width:
        raise UnreadableReply
    return row


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


def _defused(said: str) -> str:
    """What a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{said}" if _FORMULA.match(said) else said


def _written(said: str) -> str:
    """With quotes where they are needed, and around the empty text, which is not nothing."""
    return f'"{said.replace(_QUOTE, _QUOTE * 2)}"' if not said or _QUOTED.search(said) else said
