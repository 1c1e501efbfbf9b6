"""What is said of a cluster whose members are not what a computation would find now."""

from mcp_server.platforms.local.known import moves
from mcp_server.platforms.ports import Cluster
from mcp_server.text import NOTHING, Text

_FOLLOWS = Text(
    "{name} is out of date ({why}) and is being brought up to date.", "{name} 已过期（{why}），正在自动更新。"
)
_STALE = Text(
    "{name} is out of date ({why}); refresh_cluster computes it again.",
    "{name} 已过期（{why}）；可用 refresh_cluster 重新计算。",
)
_FAILED = Text(
    "The last computation of {name} failed; its last good members are used. {why}",
    "{name} 上次计算失败，使用的是上一个可用版本的成员。{why}",
)


def not_up_to_date(cluster: Cluster, *, read_only: bool) -> Text:
    """Why the members are not up to date, and what becomes of that; NOTHING where they are."""
    if cluster.progress < 0:
        return _FAILED.format(name=cluster.cluster_name, why=cluster.failure)
    if cluster.fresh:
        return NOTHING
    words = _FOLLOWS if moves(cluster.cluster_type) and not read_only else _STALE
    return words.format(name=cluster.cluster_name, why=cluster.stale_because)
