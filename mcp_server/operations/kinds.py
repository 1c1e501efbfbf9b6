"""Clusters and tags: what one tool says of the one, and another of the other."""

from collections.abc import Callable
from dataclasses import dataclass

from mcp_server.errors import InvalidArguments, Problem
from mcp_server.platforms.ports import Cluster
from mcp_server.qp.definition import Definition
from mcp_server.qp.forms import form_of
from mcp_server.qp.model import CLUSTER, TAG, Filter, Qp, leaves
from mcp_server.qp.problems import finding
from mcp_server.qp.uploaded import Uploaded
from mcp_server.qp.vocabulary import COMPARATORS
from mcp_server.text import Text

RESULT = "cluster_by_result"
"""Users worked out from existing clusters (and, or, not) and kept as a fixed list."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two."""

    catalog: str
    noun: Text
    types: tuple[str, ...]
    root: str
    """The parameter that carries a definition."""
    create: str
    """The tools that make and change it."""
    update: str


CLUSTERS = Kind(
    CLUSTER,
    Text("cluster", "分群"),
    (
        "cluster_by_static_condition",
        "cluster_by_dynamic_condition",
        RESULT,
        "cluster_by_static_sql",
        "cluster_by_dynamic_sql",
        "cluster_by_import",
    ),
    "qp",
    "create_cluster",
    "update_cluster",
)
TAGS = Kind(
    TAG,
    Text("tag", "标签"),
    ("tag_by_static_condition", "tag_by_dynamic_condition", "tag_by_static_sql", "tag_by_dynamic_sql", "tag_by_import"),
    "tag_qp",
    "create_tag",
    "update_tag",
)
ALL_TYPES = (*CLUSTERS.types, *TAGS.types)

_OTHER_TYPE = Text("This is the type of a {noun}: use {tool}.", "这是{noun}的类型，请改用 {tool}。")
_OTHER_TOOL = Text("{name} is a {noun}; {tool} changes those.", "{name} 是{noun}；修改请用 {tool}。")
_UPLOADED_TYPE = Text("Lists of ids are uploaded: use import_ids.", "ID 名单通过上传创建，请改用 import_ids。")
_LIST = Text(
    "{name} is an uploaded list of ids, without a definition that could be changed.",
    "{name} 是上传的 ID 名单，没有可修改的定义。",
)
_CALL_IT = Text("Call {tool}.", "请调用 {tool}。")


def kind_of(cluster: Cluster) -> Kind:
    return TAGS if cluster.catalog == TAG else CLUSTERS


def not_of(other: Kind) -> Callable[[object], object]:
    """Refuse a cluster type of the other kind, naming the tool that takes it; everything else passes on."""

    def check(sent: object) -> object:
        if isinstance(sent, str) and sent.strip().casefold().endswith("_by_import"):
            raise ValueError(_UPLOADED_TYPE)
        if isinstance(sent, str) and sent.strip().casefold() in other.types:
            raise ValueError(_OTHER_TYPE.format(noun=other.noun, tool=other.create))
        return sent

    return check


def not_uploaded(found: Cluster) -> None:
    """InvalidArguments where this is an uploaded list, which has no definition to change."""
    if isinstance(found.definition, Uploaded):
        raise InvalidArguments(
            _LIST.format(name=found.cluster_name), next_step=_CALL_IT.format(tool="replace_imported_ids")
        )


def must_be(kind: Kind, found: Cluster) -> None:
    """InvalidArguments where the other tool changes this."""
    own = kind_of(found)
    if own is not kind:
        said = _OTHER_TOOL.format(name=found.cluster_name, noun=own.noun, tool=own.update)
        raise InvalidArguments(said, next_step=_CALL_IT.format(tool=own.update))


def type_findings(definition: Definition | None, kind: Kind, cluster_type: str, path: str) -> list[Problem]:
    """What does not fit between a definition and the type it is to have.

    `path` is that of whichever can be changed: `/cluster_type` before it is created, the definition afterwards.
    """
    if definition is None:
        return []
    form = form_of(definition)
    if cluster_type.endswith(form.types_end):
        return _only_clusters(definition, cluster_type)
    fitting = [name for name in kind.types if name.endswith(form.types_end) and name != RESULT]
    moving = "_dynamic_" in cluster_type
    close = next(name for name in fitting if ("_dynamic_" in name) is moving) if path == "/cluster_type" else ""
    return [
        finding(
            "cluster_type_form", path, got=cluster_type, form=form.noun, expected=" / ".join(fitting), suggestion=close
        )
    ]


def _only_clusters(definition: Definition, cluster_type: str) -> list[Problem]:
    """What a result cluster may not hold: anything but membership of clusters."""
    if cluster_type != RESULT or not isinstance(definition, Qp):
        return []
    others = [f"/qp/events/{i}" for i in range(len(definition.events))]
    others += [
        f"/qp/filts/{i}" for i, part in enumerate(definition.filts) if not all(map(_is_membership, leaves([part])))
    ]
    return [finding("result_only_clusters", path) for path in others]


def _is_membership(part: Filter) -> bool:
    return COMPARATORS[part.comparator].of_cluster
