"""Rows of results: problems, warnings and repairs, clusters and tags, each with its sentence."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import anyio.to_thread
from pydantic import Field

from mcp_server.errors import InvalidArguments, Problem, Repair
from mcp_server.language.definitions import AnyReading, Definition, parse_definition
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG, Filter, Qp, leaves
from mcp_server.language.problems import finding
from mcp_server.language.uploaded import Uploaded
from mcp_server.language.vocabulary import COMPARATORS, Path
from mcp_server.operations.operation import Deps, PartialResult, Result
from mcp_server.platforms.segments import Cluster
from mcp_server.text import NOTHING, Text, listed, same

# How long words are for a model that reads them, counted without its tokenizer.


LONGEST: Final = 5000
"""Tokens that one answer may have, about: clients cut longer ones, and each stays in the conversation for good."""
MOST_FINDINGS: Final = 50
"""Problems, warnings or repairs that one answer lists; a definition of nothing but wrong keys would fill a chat. The
others are counted."""
_FINDINGS: Final = 2000
"""Tokens that the listed ones have together."""

_PIECE = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,2}|\n[ \n]*|[^\sA-Za-z0-9]")
"""What is about one token of o200k: measured on schemas, definitions, prose, ids, dates and Chinese it counts between a quarter
too many and a twelfth too few; random letters and rare characters are up to two each."""


def tokens(words: str) -> int:
    """About how many tokens the words are."""
    return sum(1 for _ in _PIECE.finditer(words))


def listable(sentences: Iterable[str]) -> int:
    """How many of the first findings one answer lists: the first one however long it is."""
    room, count = _FINDINGS, 0
    for sentence in islice(sentences, MOST_FINDINGS):
        room -= tokens(sentence)
        if room < 0 and count:
            break
        count += 1
    return count


# What is said of the rows that SQL returned and that count for nobody (qp.md section 5).


_LEFT_OUT = Text("Rows of the SQL left out: {parts}", "SQL 返回的行中未计入：{parts}")
_REASONS: Mapping[str, Text] = {
    "null_ids": Text("{n} without an id", "{n} 行没有用户 ID"),
    "null_values": Text("{n} without a value", "{n} 行没有标签值"),
    "unknown_ids": Text("{n} with an id that no user has", "{n} 行的 ID 不属于任何用户"),
    "repeated_ids": Text("{n} that repeat a user", "{n} 行为重复的用户"),
}


def left_out(dropped: Mapping[str, int]) -> Text:
    """The counts in words, a clause without a full stop; NOTHING where every row counted."""
    parts = [words.format(n=f"{dropped[name]:,}") for name, words in _REASONS.items() if dropped.get(name)]
    return _LEFT_OUT.format(parts=listed(parts)) if parts else NOTHING


# Clusters and tags: what one tool says of the one, and another of the other.


RESULT = "cluster_by_result"
"""Users worked out from existing clusters (and, or, not) and kept as a fixed list."""


@dataclass(frozen=True, slots=True)
class SegmentKind:
    """One of the two."""

    catalog: str
    noun: Text
    types: tuple[str, ...]
    root: str
    """The parameter that carries a definition."""
    create: str
    """The tools that make and change it."""
    update: str


CLUSTERS = SegmentKind(
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
TAGS = SegmentKind(
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


def kind_of(cluster: Cluster) -> SegmentKind:
    return TAGS if cluster.catalog == TAG else CLUSTERS


def not_of(other: SegmentKind) -> Callable[[object], object]:
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


def must_be(kind: SegmentKind, found: Cluster) -> None:
    """InvalidArguments where the other tool changes this."""
    own = kind_of(found)
    if own is not kind:
        said = _OTHER_TOOL.format(name=found.cluster_name, noun=own.noun, tool=own.update)
        raise InvalidArguments(said, next_step=_CALL_IT.format(tool=own.update))


def type_findings(definition: Definition | None, kind: SegmentKind, cluster_type: str, path: str) -> list[Problem]:
    """What does not fit between a definition and the type it is to have.

    `path` is that of whichever can be changed: `/cluster_type` before it is created, the definition afterwards.
    """
    if definition is None:
        return []
    if cluster_type.endswith(definition.types_end):
        return _only_clusters(definition, cluster_type)
    fitting = [name for name in kind.types if name.endswith(definition.types_end) and name != RESULT]
    moving = "_dynamic_" in cluster_type
    close = next(name for name in fitting if ("_dynamic_" in name) is moving) if path == "/cluster_type" else ""
    return [
        finding(
            "cluster_type_form",
            path,
            got=cluster_type,
            form=definition.noun,
            expected=" / ".join(fitting),
            suggestion=close,
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


# Problems, warnings and repairs as rows of a result; and reading a definition off the event loop.


class ProblemRow(Result.Row):
    """One problem or warning."""

    path: str = Field(description="JSON Pointer into the arguments")
    code: str
    message: str
    got: str = ""
    expected: str = ""
    suggestion: str = ""


class RepairRow(Result.Row):
    """One change made while reading; never a change of meaning."""

    path: str
    before: str
    after: str
    reason: str


_MORE = Text("{n} more are not listed.", "另有 {n} 条未列出。")


def problem_rows(found: Iterable[Problem], deps: Deps) -> tuple[ProblemRow, ...]:
    """The findings as rows; where there are very many, the last row says how many are left out."""
    rows = [
        ProblemRow(path=p.path, code=p.code, message=deps.say(p.message), got=p.got, expected=deps.say(p.expected), suggestion=p.suggestion)
        for p in found
    ]  # fmt: skip
    shown = _shown(rows)
    if shown < len(rows):
        rows[shown:] = [ProblemRow(path="", code="more", message=deps.say(_MORE.format(n=len(rows) - shown)))]
    return tuple(rows)


def repair_rows(made: Iterable[Repair], deps: Deps) -> tuple[RepairRow, ...]:
    """The repairs as rows, cut in the same way."""
    rows = [RepairRow(path=r.path, before=r.before, after=r.after, reason=deps.say(r.reason)) for r in made]
    shown = _shown(rows)
    if shown < len(rows):
        more = deps.say(_MORE.format(n=len(rows) - shown))
        rows[shown:] = [RepairRow(path="", before="", after="", reason=more)]
    return tuple(rows)


def _shown(rows: Sequence[Result.Row]) -> int:
    """How many rows one result lists."""
    return listable(row.model_dump_json(exclude_defaults=True) for row in rows)


async def users_of(found: Cluster, path: str, deps: Deps, hint: Text = NOTHING) -> list[Problem]:
    """A warning where other clusters and tags rest on what is about to change; `hint` says what that may mean for them."""
    names = await deps.segments.used_by(found)
    return [finding("used_by_others", path, names=listed(names), hint=hint)] if names else []


async def read_definition(
    raw: object,
    metadata: Metadata,
    deps: Deps,
    *,
    kind: SegmentKind = CLUSTERS,
    own: str = "",
    root: Path = (),
) -> AnyReading:
    """Read a definition in a worker thread: checking a pattern may start the engine. `root`: where it stood."""
    reading: AnyReading = await anyio.to_thread.run_sync(
        lambda: parse_definition(
            raw,
            metadata,
            catalog=kind.catalog,
            root=root or (kind.root,),
            regex_fault=deps.segments.regex_fault,
            sql_look=deps.segments.sql_look,
            own=own,
        )
    )
    doubts = deps.segments.doubts(reading.definition, root or (kind.root,)) if reading.definition is not None else ()
    return reading.within(doubts, ()) if doubts else reading


# How a cluster is told: as a row of a result, and in a sentence.


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


class ClusterState(PartialResult):
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
