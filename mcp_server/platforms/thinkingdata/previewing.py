"""The size of a definition on ThinkingData, counted by SQL of ours over its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio

from mcp_server.engine import vendor_sql
from mcp_server.engine.dialect import NoForm
from mcp_server.engine.plan import Plan, TagPlan
from mcp_server.errors import NotOnPlatform
from mcp_server.platforms.ports import OnProgress, Preview, Step, TagValues
from mcp_server.platforms.thinkingdata.api import Api
from mcp_server.platforms.thinkingdata.values import shown
from mcp_server.qp.definition import Definition
from mcp_server.qp.either import value_type_any
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import Qp
from mcp_server.qp.names_used import names_used
from mcp_server.qp.tags import TagQp
from mcp_server.text import Text

COUNTING = Text("Counting users on ThinkingData", "正在数数平台上统计用户")

_CANT = Text("This can't be counted beforehand on ThinkingData: {why}.", "无法在数数平台上预先统计：{why}。")
_CREATE = Text(
    "It can still be created: the platform itself computes it, and get_cluster tells the size then.",
    "仍可直接创建：由平台自行计算，之后可用 get_cluster 查看人数。",
)
_MEDIAN = Text("its query engine has no exact median", "其查询引擎没有精确的中位数")
_AVERAGE = Text("its query engine can't compare an exact average", "其查询引擎无法比较精确的平均值")
_WHY: Mapping[str, Text] = {
    **dict.fromkeys(("MEDIAN", "twice_median", "wide", "half"), _MEDIAN),
    **dict.fromkeys(("count", "steps", "whole_part", "rest"), _AVERAGE),
}
_OF_A_DAY = Text("how it keeps clusters of past days is not known", "平台如何保存分群的历史版本尚不清楚")
_VIRTUAL = Text("{name} is computed by the platform and stands in no table", "{name} 由平台实时计算，不在数据表中")
_NOT_CONDITIONS = Text("it is not made of conditions", "它不是条件定义")
_VIRTUAL_MARKS = ("ta@", "#vp@")
_ORDERED = ("number", "time")


class RemotePreview:
    """Sizes definitions on one deployment."""

    def __init__(self, api: Api) -> None:
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
            users = vendor_sql.chosen(plan, metadata)
            counting = _counting(plan, users, definition, metadata)
        except NoForm as error:
            raise cant(_WHY[error.function]) from error
        sampling = vendor_sql.sample(users, metadata.project_id, names, size, tag=tag) if size > 0 else ""
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
        return [vendor_sql.counted(plan, metadata)]
    kind = value_type_any(definition, metadata)
    ordered = kind is not None and kind[0] in _ORDERED
    return [vendor_sql.spread(users, metadata.project_id, ordered=ordered), vendor_sql.most_frequent(users)]


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
        return vendor_sql.compile_for_vendor(definition, metadata)
    except vendor_sql.OfADay:
        raise cant(_OF_A_DAY) from None


def cant(why: Text) -> NotOnPlatform:
    """The error for what can't be counted."""
    return NotOnPlatform(_CANT.format(why=why), next_step=_CREATE)
