"""The size of a definition on ThinkingData, counted by SQL of ours over its tables."""

from collections.abc import Mapping, Sequence
from typing import Any

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
SAMPLING = Text("Looking at a few users", "正在查看少量用户")

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
        try:
            plan = _planned(definition, metadata)
            users = vendor_sql.chosen(plan, metadata)
            await on_progress(10, COUNTING)
            counted = await self._counted(plan, users, definition, metadata)
        except NoForm as error:
            raise cant(_WHY[error.function]) from error
        await on_progress(80, SAMPLING)
        tag = isinstance(definition, TagQp)
        rows = await self._sample(users, metadata.project_id, columns, size, tag=tag)
        return Preview(
            users_num=counted.users_num,
            all_users=counted.all_users,
            funnel=counted.funnel,
            values=counted.values,
            sample=rows,
            sql=users if want_sql else "",
        )

    async def _counted(self, plan: Plan | TagPlan, users: str, definition: Definition, metadata: Metadata) -> Preview:
        if isinstance(plan, Plan):
            everybody, *counts, selected = (await self._api.rows(vendor_sql.counted(plan, metadata)))[0]
            pairs = zip(plan.funnel, counts[::2], counts[1::2], strict=True)
            return Preview(int(selected), int(everybody), tuple(Step(s.path, int(a), int(b)) for s, a, b in pairs))
        kind = value_type_any(definition, metadata)
        ordered = kind is not None and kind[0] in _ORDERED
        row = (await self._api.rows(vendor_sql.spread(users, metadata.project_id, ordered=ordered)))[0]
        top = await self._api.rows(vendor_sql.most_frequent(users))
        low, high = (shown(row[3]), shown(row[4])) if ordered else ("", "")
        values = TagValues(int(row[2]), tuple((shown(v), int(n)) for v, n in top), low=low, high=high)
        return Preview(int(row[1]), int(row[0]), values=values)

    async def _sample(
        self, users: str, project_id: str, columns: Sequence[str], size: int, *, tag: bool
    ) -> tuple[dict[str, str], ...]:
        if size <= 0:
            return ()
        names = ["#user_id", *(c for c in columns if c != "#user_id")]
        rows = await self._api.rows(vendor_sql.sample(users, project_id, names, size, tag=tag))
        titles = [*names, "tag_value"] if tag else names
        return tuple(_row(titles, row) for row in rows)


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
