"""How a cluster is told: as a row of a result, and in a sentence."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from mcp_server.errors import Problem, Repair
from mcp_server.operations.dropped import left_out
from mcp_server.operations.findings import ProblemRow, RepairRow, problem_rows, repair_rows
from mcp_server.operations.kinds import TAGS, kind_of
from mcp_server.operations.operation import Deps, PartlyTold, Result
from mcp_server.platforms.ports import Cluster
from mcp_server.text import NOTHING, Text, same


class ClusterRow(Result.Row):
    """A cluster or tag as it stands."""

    cluster_id: str
    cluster_name: str
    display_name: str
    cluster_type: str
    users_num: int | None = Field(None, description="Of the last good version; of a tag, users with a value")
    progress: int = Field(description="100 done, 0-99 running, -1 failed")
    refresh_time: str = ""
    fresh: bool = Field(description="Computed after the last change of definition, data and (dynamic) day")
    note: str = ""
    remarks: str = ""


class ClusterState(PartlyTold):
    """Answer of everything that ends with one cluster."""

    cluster: ClusterRow | None = None
    dry_run: bool = False
    existed: bool = Field(False, description="True where nothing was created because it was there already")
    changes: tuple[str, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()
    repairs: tuple[RepairRow, ...] = ()
    definition: dict[str, Any] = Field(default_factory=dict)
    explanation: str = ""
    users_num_before: int | None = None
    users_num_after: int | None = None


def cluster_row(cluster: Cluster, deps: Deps) -> ClusterRow:
    return ClusterRow(
        cluster_id=cluster.cluster_id,
        cluster_name=cluster.cluster_name,
        display_name=cluster.display_name,
        cluster_type=cluster.cluster_type,
        users_num=cluster.users_num,
        progress=cluster.progress,
        refresh_time=cluster.refresh_time,
        fresh=cluster.fresh,
        note=deps.say(standing_note(cluster)),
        remarks=cluster.remarks,
    )


def named_state(cluster: Cluster) -> Text:
    """Which one this is, to begin a sentence with."""
    if kind_of(cluster) is TAGS:
        return Text("Tag {name} (id {id})", "标签 {name}（id {id}）")
    return Text("Cluster {name} (id {id})", "分群 {name}（id {id}）")


def standing_note(cluster: Cluster) -> Text:
    """Why the last computation failed, or why the last version is out of date; else what was left out of it."""
    if any(cluster.unread):
        return cluster.unread
    if cluster.progress < 0:
        kept = Text("{why} The last good version stays readable", "{why}上一个可用版本仍可读取").format(
            why=cluster.failure
        )
        return kept if cluster.users_num is not None else cluster.failure
    return left_out(cluster.dropped) if cluster.fresh else cluster.stale_because


def cluster_state(
    cluster: Cluster,
    said: Text,
    deps: Deps,
    *,
    warnings: Sequence[Problem] = (),
    repairs: Sequence[Repair] = (),
    **more: Any,
) -> ClusterState:
    """An answer about a cluster or tag as it stands; `said` may name it by {noun}, {name} and {id}."""
    named = said.format(noun=kind_of(cluster).noun, name=cluster.cluster_name, id=cluster.cluster_id)
    return ClusterState(
        message=deps.say(sentence(named, _standing(cluster))),
        next=deps.say(next_step(cluster)),
        cluster=cluster_row(cluster, deps),
        warnings=problem_rows(warnings, deps),
        repairs=repair_rows(repairs, deps),
        **more,
    )


def counted(users: int) -> Text:
    """A number of users in words."""
    return Text("1 user" if users == 1 else f"{users:,} users", f"{users:,} 名用户")


USERS_CHANGE = Text("users {before} → {after}", "人数 {before} → {after}")
"""What a change does to the size of a cluster or tag; before and after as of `number`."""


def number(users: int | None) -> Text:
    """A number of users where the word stands before it; None: nobody knows it."""
    return Text("unknown", "未知") if users is None else same(f"{users:,}")


def members(cluster: Cluster) -> Text:
    """How many users the last good version holds, or gives a value; NOTHING where there is none."""
    if cluster.users_num is None:
        return NOTHING
    users = counted(cluster.users_num)
    if kind_of(cluster) is not TAGS:
        return users
    have = "has a value" if cluster.users_num == 1 else "have a value"
    return Text(f"{users.en} {have}", f"{users.zh}有标签值")


_UNREAD = Text("how it stands now could not be read", "未能读取其当前状态")
_DONE = Text(
    "This is done, do not repeat it; get_cluster {id} shows how it stands.",
    "操作已完成，请勿重复；可用 get_cluster {id} 查看其当前状态。",
)


def _standing(cluster: Cluster) -> Text:
    if any(cluster.unread):
        return _UNREAD
    if cluster.progress == 100:
        return members(cluster)
    if cluster.progress < 0:
        return Text("the last computation failed", "上次计算失败")
    return Text("computing, {p}%", "计算中，{p}%").format(p=cluster.progress)


def next_step(cluster: Cluster) -> Text:
    """What to do about a cluster or tag as it stands."""
    if any(cluster.unread):
        return _DONE.format(id=cluster.cluster_id)
    if cluster.progress < 0:
        return Text(
            "See the note, then refresh_cluster or {update}.", "请看 note 说明，再调用 refresh_cluster 或 {update}。"
        ).format(update=kind_of(cluster).update)
    if cluster.progress < 100:
        return Text("Call get_refresh_progress with wait_seconds.", "请带 wait_seconds 调用 get_refresh_progress。")
    if not cluster.fresh:
        return Text("Out of date: refresh_cluster computes it again.", "已过期：可用 refresh_cluster 重新计算。")
    return NOTHING


def sentence(*parts: Text) -> Text:
    """Clauses as one sentence."""
    said = [p for p in parts if any(p)]
    return Text(": ".join(p.en for p in said) + ".", "：".join(p.zh for p in said) + "。")
