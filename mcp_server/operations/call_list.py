"""Who a call task calls: reading that from the arguments, and what is worth saying about it."""

from collections.abc import Sequence

from mcp_server.calls.problems import finding
from mcp_server.errors import InvalidArguments, Problem
from mcp_server.operations.operation import Deps
from mcp_server.platforms.call_port import CalleeCount, Callees
from mcp_server.platforms.ports import Cluster
from mcp_server.qp.fault import TYPE_NAMES
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.qp.suggest import nearest_named
from mcp_server.text import Text

MOST_IDS = 200
"""Ids in an argument; longer lists get cut in a chat."""
WAIT_SECONDS = 60.0
"""How long a computation of the cluster that runs just now is waited for."""

_IS_TAG = Text(
    "{name} is a tag: everybody with any value of it would be called.", "{name} 是标签，会呼叫所有有标签值的用户。"
)
_MAKE_CLUSTER = Text(
    "Create a cluster with the tag's value as its condition, and call that.",
    "请以该标签的取值为条件创建分群，再外呼该分群。",
)
_EMPTY = Text("the cluster has no members", "该分群没有成员")
_NO_VALUES = Text("none of its {users} users has a value in {name}", "{users} 名用户的 {name} 都没有值")


async def list_of(
    cluster: str, callee_property: str, ids: Sequence[str], project: str, deps: Deps
) -> tuple[Callees, list[Problem]]:
    """The list that the arguments name, and what is wrong with it."""
    if bool(cluster) == bool(ids) or bool(cluster) != bool(callee_property):
        path = "/callee_property" if bool(cluster) != bool(ids) else "/cluster"
        return Callees(), [finding("call_callees_one_of", path)]
    if ids:
        return Callees(ids=tuple(ids)), _id_problems(ids)
    metadata = await deps.segments.metadata(project)
    name, problems = _property(callee_property, metadata)
    found = await deps.segments.get(project, cluster)
    if found.catalog == TAG:
        raise InvalidArguments(_IS_TAG.format(name=found.cluster_name), next_step=_MAKE_CLUSTER)
    if 0 <= found.progress < 100:
        found = await deps.segments.wait(found, seconds=WAIT_SECONDS, on_progress=deps.report)
    return Callees(found, name), problems


def _id_problems(ids: Sequence[str]) -> list[Problem]:
    if len(ids) > MOST_IDS:
        return [finding("call_ids_too_many", "/ids", got=len(ids), limit=MOST_IDS)]
    return [finding("call_id_blank", f"/ids/{n}") for n, one in enumerate(ids) if not one.strip()]


def _property(name: str, metadata: Metadata) -> tuple[str, list[Problem]]:
    """The property as it is declared."""
    found = metadata.property("user", name)
    texts = {p.name: (p.names.en, p.names.zh) for p in metadata.properties_of("user") if p.type == "string"}
    close = nearest_named(name, texts)
    if found is None:
        return name, [finding("call_property_unknown", "/callee_property", got=name, suggestion=close)]
    if found.type != "string":
        kind = TYPE_NAMES[found.type]
        wrong = finding(
            "call_property_not_text", "/callee_property", got=name, suggestion=close, name=found.name, type=kind
        )
        return name, [wrong]
    return found.name, []


def callee_warnings(callees: Callees, counted: CalleeCount) -> list[Problem]:
    """What to know about the list. InvalidArguments where there is nobody on it."""
    name = callees.callee_property
    if not counted.callees:
        why = _NO_VALUES.format(users=f"{counted.entries:,}", name=name) if counted.entries else _EMPTY
        path = "/callee_property" if counted.entries else "/cluster"
        problem = finding("call_nobody", path, why=why)
        raise InvalidArguments(
            problem.message,
            next_step=Text("Choose another property or cluster.", "请换一个属性或分群。"),
            problems=[problem],
        )
    found = [finding("call_consent", "")]
    if counted.without:
        users = f"{counted.entries:,}"
        found.append(
            finding("call_without_callee", "/callee_property", count=f"{counted.without:,}", users=users, name=name)
        )
    if counted.repeated:
        path = "/ids" if callees.ids else "/callee_property"
        found.append(finding("call_same_callee", path, count=f"{counted.repeated:,}"))
    return found + (_stale(callees.cluster) if callees.cluster else [])


def _stale(cluster: Cluster) -> list[Problem]:
    if cluster.progress < 0:
        return [finding("call_cluster_failed", "/cluster", why=cluster.failure)]
    return [] if cluster.fresh else [finding("call_cluster_old", "/cluster", why=cluster.stale_because)]
