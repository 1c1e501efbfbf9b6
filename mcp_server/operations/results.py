"""What results share: problems, warnings and repairs as rows, clusters and tags as rows and in sentences."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

import anyio.to_thread
from pydantic import Field

from mcp_server.errors import InvalidArguments, Problem, Repair
from mcp_server.language.definitions import AnyReading, Definition, parse_definition
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG, Qp, leaves
from mcp_server.language.problems import finding
from mcp_server.language.uploaded import Uploaded
from mcp_server.language.vocabulary import COMPARATORS, Path
from mcp_server.operations.operation import Deps, PartialResult, Result
from mcp_server.platforms.segments import Cluster
from mcp_server.text import NOTHING, Text, joined_by, listed, same

Row = TypeVar("Row", bound=Result.Row)

# Sizes


LONGEST: Final = 5000
"""Tokens that one answer may have, about: clients cut longer ones, and each stays in the conversation for good."""
MOST_FINDINGS: Final = 50
"""Problems, warnings or repairs that one answer lists; a definition of nothing but wrong keys would fill a chat. The
others are counted."""
_FINDINGS: Final = 2000
"""Tokens that the listed ones have together."""

_PIECE = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,2}|\n[ \n]*|[^\sA-Za-z0-9]")
"""About one token of o200k. Measured on schemas, definitions, prose, ids, dates and Chinese it counts between a quarter
too many and a twelfth too few; random letters and rare characters are up to two each."""


def tokens(words: str) -> int:
    """About how many tokens the words are, without a tokenizer."""
    return sum(1 for _ in _PIECE.finditer(words))


def listable(sentences: Iterable[str]) -> int:
    """How many of the first findings one answer lists; at least one, however long it is."""
    room, count = _FINDINGS, 0
    for sentence in islice(sentences, MOST_FINDINGS):
        room -= tokens(sentence)
        if room < 0 and count:
            break
        count += 1
    return count


def paged(count: Text, total: int, shown: int, offset: int, limit: int) -> tuple[Text, int]:
    """The message of a page of a list: the count, and where the next page begins; and how many are left after it."""
    left = max(0, total - offset - shown)
    return count.then(_MORE_PAGES.format(left=left, next=offset + limit)) if left else count, left


_MORE_PAGES = Text("{left} more: offset {next}.", "另有 {left} 个：offset {next}。")


MOST_SHOWN = 100
"""Characters of a user's value that an answer shows; values may have pages."""


def brief(value: str) -> str:
    """The value, cut where it is long."""
    return value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + "…"


# Rows that SQL returned and that count for nobody (qp.md section 5)


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


# Clusters and tags


RESULT = "cluster_by_result"
"""Users worked out from existing clusters (and, or, not) and kept as a fixed list."""


@dataclass(frozen=True, slots=True)
class SegmentKind:
    """Clusters or tags."""

    catalog: str
    noun: Text
    types: tuple[str, ...]
    root: str
    """The parameter that holds a definition."""
    create: str
    update: str
    """The tools that create and change it."""


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
_OTHER_TOOL = Text("{named} is a {noun}; {tool} changes those.", "{named}是{noun}；修改请用 {tool}。")
_UPLOADED_TYPE = Text("Lists of ids are uploaded: use import_ids.", "ID 名单通过上传创建，请改用 import_ids。")
_LIST = Text(
    "{named} is an uploaded list of ids, without a definition that could be changed.",
    "{named}是上传的 ID 名单，没有可修改的定义。",
)
_CALL_IT = Text("Call {tool}.", "请调用 {tool}。")


def kind_of(cluster: Cluster) -> SegmentKind:
    return TAGS if cluster.catalog == TAG else CLUSTERS


def not_of(other: SegmentKind) -> Callable[[object], object]:
    """Make a validator that refuses a cluster type of the other kind, naming the tool that takes it."""

    def check(value: object) -> object:
        word = value.strip().casefold() if isinstance(value, str) else ""
        if word.endswith("_by_import"):
            raise ValueError(_UPLOADED_TYPE)
        if word in other.types:
            raise ValueError(_OTHER_TYPE.format(noun=other.noun, tool=other.create))
        return value

    return check


def check_not_uploaded(cluster: Cluster) -> None:
    """Raise InvalidArguments for an uploaded list, which has no definition to change."""
    if isinstance(cluster.definition, Uploaded):
        raise InvalidArguments(
            _LIST.format(named=named(cluster)), next_step=_CALL_IT.format(tool="replace_imported_ids")
        )


def check_kind(cluster: Cluster, kind: SegmentKind) -> None:
    """Raise InvalidArguments where another tool changes this."""
    own = kind_of(cluster)
    if own is not kind:
        message = _OTHER_TOOL.format(named=named(cluster), noun=own.noun, tool=own.update)
        raise InvalidArguments(message, next_step=_CALL_IT.format(tool=own.update))


def type_findings(definition: Definition | None, kind: SegmentKind, cluster_type: str, path: str) -> list[Problem]:
    """The mismatches between a definition and its type.

    `path` is that of the argument that can be changed: `/cluster_type` before it is created, the definition afterwards.
    """
    if definition is None or not cluster_type:
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


def dynamic_type(definition: Definition, kind: SegmentKind) -> str:
    """The type of a definition whose type was left out: the one that follows each new day."""
    return next(name for name in kind.types if "_dynamic_" in name and name.endswith(definition.types_end))


def _only_clusters(definition: Definition, cluster_type: str) -> list[Problem]:
    """The parts of a result cluster that are not membership of clusters."""
    if cluster_type != RESULT or not isinstance(definition, Qp):
        return []
    others = [f"/qp/events/{i}" for i in range(len(definition.events))]
    for i, part in enumerate(definition.filts):
        if not all(COMPARATORS[leaf.comparator].of_cluster for leaf in leaves([part])):
            others.append(f"/qp/filts/{i}")
    return [finding("result_only_clusters", path) for path in others]


# Problems, warnings and repairs


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
NOTHING_CHANGED = Text("nothing was changed", "未做任何更改")
_PROBLEMS = Text("{n} problem(s); {outcome}.", "有 {n} 处问题；{outcome}。")
_FIX_ALL = Text("Fix them all and call again.", "请全部修正后重新调用。")


def problem_rows(problems: Iterable[Problem], deps: Deps) -> tuple[ProblemRow, ...]:
    """The problems as rows; where there are very many, the last row says how many are left out."""
    rows = [
        ProblemRow(path=p.path, code=p.code, message=deps.say(p.message), got=p.got, expected=deps.say(p.expected), suggestion=p.suggestion)
        for p in problems
    ]  # fmt: skip
    return _cut(rows, deps, lambda more: ProblemRow(path="", code="more", message=more))


def repair_rows(repairs: Iterable[Repair], deps: Deps) -> tuple[RepairRow, ...]:
    """The repairs as rows, cut in the same way."""
    rows = [RepairRow(path=r.path, before=r.before, after=r.after, reason=deps.say(r.reason)) for r in repairs]
    return _cut(rows, deps, lambda more: RepairRow(path="", before="", after="", reason=more))


def _cut(rows: list[Row], deps: Deps, last: Callable[[str], Row]) -> tuple[Row, ...]:
    shown = listable(row.model_dump_json(exclude_defaults=True) for row in rows)
    if shown < len(rows):
        rows[shown:] = [last(deps.say(_MORE.format(n=len(rows) - shown)))]
    return tuple(rows)


def refuse(problems: Sequence[Problem], outcome: Text = NOTHING_CHANGED, repairs: Sequence[Repair] = ()) -> None:
    """Raise InvalidArguments with all problems, where there are any."""
    if problems:
        message = _PROBLEMS.format(n=len(problems), outcome=outcome)
        raise InvalidArguments(message, next_step=_FIX_ALL, problems=problems, repairs=repairs)


def checked(reading: AnyReading, problems: Sequence[Problem]) -> Definition:
    """The definition; raises where it, or the arguments beside it, have problems, with all of them."""
    if problems:
        refuse([*problems, *reading.problems], repairs=reading.repairs)
    return reading.must()


async def dependents(cluster: Cluster, path: str, deps: Deps, hint: Text = NOTHING) -> list[Problem]:
    """A warning where other clusters and tags depend on what is about to change; `hint`: what it may mean for them."""
    names = await deps.segments.used_by(cluster)
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
    """Read a definition in a worker thread: checking a pattern may start the engine. `root`: its place, if another."""
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


# Clusters as rows and in sentences


class ClusterRow(Result.Row):
    """A cluster or tag in its present state."""

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


DESCRIBED = Text("{Noun} {named}", "{Noun}{named}")
SAME_WITHOUT_DRY_RUN = Text("If the user agrees, call again without dry_run.", "若用户同意，去掉 dry_run 再次调用。")
USERS_CHANGE = Text("users {before} → {after}", "人数 {before} → {after}")
"""How a change affects the size of a cluster or tag; before and after as of `number`."""
_UNREAD = Text("its present state could not be read", "未能读取其当前状态")
_DONE = Text(
    "This is done, do not repeat it; get_cluster {id} shows its state.",
    "操作已完成，请勿重复；可用 get_cluster {id} 查看其当前状态。",
)
_KEPT = Text("{why} The last good version stays readable", "{why}上一个可用版本仍可读取")


def name_as_read(display_name: str, cluster_name: str, cluster_id: str = "") -> Text:
    """A cluster or tag as a person reads it: `"付费玩家" (paying_players, id 7)`."""
    also = [cluster_name] if cluster_name != display_name else []
    also += [f"id {cluster_id}"] if cluster_id else []
    beside = Text(" ({also})", "（{also}）").format(also=joined_by(", ", "，", also)) if also else NOTHING
    return Text('"{name}"{beside}', "“{name}”{beside}").format(name=display_name, beside=beside)


def named(cluster: Cluster) -> Text:
    return name_as_read(cluster.display_name or cluster.cluster_name, cluster.cluster_name, cluster.cluster_id)


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
        note=deps.say(state_note(cluster)),
        remarks=cluster.remarks,
    )


def state_note(cluster: Cluster) -> Text:
    """Why the last computation failed, or why the last version is out of date; else what was left out of it."""
    if any(cluster.unread):
        return cluster.unread
    if cluster.progress < 0:
        return cluster.failure if cluster.users_num is None else _KEPT.format(why=cluster.failure)
    return left_out(cluster.dropped) if cluster.fresh else cluster.stale_because


def cluster_state(
    cluster: Cluster,
    message: Text,
    deps: Deps,
    *,
    warnings: Sequence[Problem] = (),
    repairs: Sequence[Repair] = (),
    **more: Any,
) -> ClusterState:
    """An answer about a cluster or tag; `message` may have the places {noun}, {Noun} (as a first word) and {named}."""
    return ClusterState(
        message=deps.say(sentence(filled(message, cluster), _state(cluster))),
        next=deps.say(next_step(cluster)),
        cluster=cluster_row(cluster, deps),
        warnings=problem_rows(warnings, deps),
        repairs=repair_rows(repairs, deps),
        **more,
    )


def dry_run_state(
    message: Text,
    size: Text,
    deps: Deps,
    *,
    cluster: Cluster | None = None,
    warnings: Sequence[Problem] = (),
    repairs: Sequence[Repair] = (),
    **more: Any,
) -> ClusterState:
    """The answer of a dry run: what would happen, and to how many users; `cluster` is what is there now."""
    return ClusterState(
        message=deps.say(sentence(message, size)),
        next=deps.say(SAME_WITHOUT_DRY_RUN),
        cluster=cluster_row(cluster, deps) if cluster else None,
        dry_run=True,
        warnings=problem_rows(warnings, deps),
        repairs=repair_rows(repairs, deps),
        **more,
    )


def filled(message: Text, cluster: Cluster, **more: object) -> Text:
    """The message with {noun}, {Noun} and {named} of the cluster."""
    noun = kind_of(cluster).noun
    return message.format(noun=noun, Noun=Text(noun.en.capitalize(), noun.zh), named=named(cluster), **more)


def counted(users: int) -> Text:
    """A number of users in words."""
    return Text("1 user" if users == 1 else f"{users:,} users", f"{users:,} 名用户")


def number(users: int | None) -> Text:
    """A number of users after the word; None where it is unknown."""
    return Text("unknown", "未知") if users is None else same(f"{users:,}")


def share(part: int, whole: int) -> str:
    """A part of all users as a percentage, with enough places that something is never shown as nothing."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if percent >= 0.1 else f"{percent:.2g}%"


def members(cluster: Cluster) -> Text:
    """How many users the last good version holds, or gives a value; NOTHING where there is none."""
    if cluster.users_num is None:
        return NOTHING
    users = counted(cluster.users_num)
    if kind_of(cluster) is not TAGS:
        return users
    have = "has a value" if cluster.users_num == 1 else "have a value"
    return Text(f"{users.en} {have}", f"{users.zh}有标签值")


def _state(cluster: Cluster) -> Text:
    if any(cluster.unread):
        return _UNREAD
    if cluster.progress == 100:
        return members(cluster)
    if cluster.progress < 0:
        return Text("the last computation failed", "上次计算失败")
    return Text("computing, {p}%", "计算中，{p}%").format(p=cluster.progress)


def next_step(cluster: Cluster) -> Text:
    """What to do about a cluster or tag in its present state."""
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
    clauses = [p for p in parts if any(p)]
    return Text(": ".join(p.en for p in clauses) + ".", "：".join(p.zh for p in clauses) + "。")
