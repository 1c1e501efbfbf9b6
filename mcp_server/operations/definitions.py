"""Operations that check, explain and size a definition; nothing here changes anything."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field

from mcp_server.errors import InvalidArguments, Problem
from mcp_server.language.bodies import OpenedBody, body_of, contradictions, open_body, other_project
from mcp_server.language.compare import exclusive
from mcp_server.language.definitions import AnyReading, Definition, assumptions, explain_definition, rows_to_read
from mcp_server.language.explain import Explanation
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TAG, Qp, TagQp, leaves
from mcp_server.language.names import display_name_findings, name_findings
from mcp_server.language.problems import finding, pointer
from mcp_server.language.reading.check import lookup_hint
from mcp_server.language.reading.document import says_nothing
from mcp_server.language.suggest import nearest_named
from mcp_server.language.vocabulary import COMPARATORS, Test
from mcp_server.operations.arguments import (
    DefinitionArgument,
    FullDefinition,
    FullTagDefinition,
    ProjectId,
    Properties,
    TagDefinition,
)
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, Result, operation
from mcp_server.operations.results import (
    CLUSTERS,
    TAGS,
    ProblemRow,
    RepairRow,
    SegmentKind,
    brief,
    checked,
    left_out,
    problem_rows,
    read_definition,
    repair_rows,
    share,
)
from mcp_server.platforms.segments import Preview, TagValues
from mcp_server.text import NOTHING, Text, clauses

# Check and explain


class ValidateDefinition(Params):
    qp: FullDefinition = None
    tag_qp: FullTagDefinition = None
    project_id: ProjectId = ""


class Explained(Result.Row):
    """The definition in words, for a person to approve."""

    en: str
    zh: str


class Validated(PartialResult):
    valid: bool
    problems: tuple[ProblemRow, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()
    repairs: tuple[RepairRow, ...] = ()
    definition: dict[str, Any] = Field({}, description="Normalised; use this from here on")
    explanation: Explained | None = None
    vendor_body: dict[str, Any] = Field({}, description="The request body for ThinkingData's Open API")
    rows_to_read: int = Field(0, description="Estimated event rows that a computation reads")
    event_rows: int = Field(0, description="Event rows there are")


@operation(title=Text("Check and explain a definition", "检查并解释定义"), effect=Effect.READ)
async def validate_definition(params: ValidateDefinition, deps: Deps) -> Validated:
    """Check a definition (qp of a cluster, tag_qp, or a whole vendor request body as qp) against the language and the
    project's data; changes nothing. Returns every problem with its path and a suggestion, the repairs made, the
    normalised definition, its exact meaning in English and Chinese for the user to approve, and its cost. Fix all
    problems and call again before you go on."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    raw, kind = _given(params)
    body = open_body(raw, (kind.root,))
    kind = TAGS if body.is_tag else kind
    reading = await read_definition(body.definition, metadata, deps, kind=kind, root=body.root)
    reading = reading.within(_body_problems(reading.definition, body, deps, project), body.repairs)
    if reading.definition is None:
        return Validated(
            message=deps.say(_PROBLEMS.format(n=len(reading.problems))),
            next=deps.say(_FIX.format(lookup=lookup_hint(reading.problems))),
            valid=False,
            problems=problem_rows(reading.problems, deps),
            warnings=problem_rows(reading.warnings, deps),
            repairs=repair_rows(reading.repairs, deps),
        )
    summary = explain_definition(reading.definition, metadata).summary
    return Validated(
        message=deps.say(_valid(reading)),
        next=deps.say(_SHOW),
        valid=True,
        warnings=problem_rows(reading.warnings, deps),
        repairs=repair_rows(reading.repairs, deps),
        definition=reading.normalised,
        vendor_body=body_of(reading.definition, body.fields, project),
        explanation=Explained(en=summary.en, zh=summary.zh),
        rows_to_read=rows_to_read(reading.definition, metadata),
        event_rows=metadata.rows or 0,
    )


def _body_problems(definition: Definition | None, body: OpenedBody, deps: Deps, project: str) -> list[Problem]:
    """The problems of a vendor's request body around the definition."""
    problems = [*body.problems, *other_project(body, project)]
    if definition is not None:
        problems += contradictions(body, definition)
        problems += [] if definition.body_key else [finding("sql_local_only", pointer(body.root))]
    for key, findings in (("clusterName", name_findings), ("displayName", display_name_findings)):
        if key in body.fields:
            problems += findings(body.fields[key], deps.limits, pointer((*body.around, key)))
    return problems


_PROBLEMS = Text("The definition has {n} problem(s).", "定义有 {n} 处问题。")
_FIX = Text(
    "Fix every problem (a suggestion replaces what is at its path) and call validate_definition again; {lookup}.",
    "请逐条修正（suggestion 可直接替换 path 处的内容）后重新调用 validate_definition；{lookup}。",
)
_SHOW = Text(
    "Show the user the explanation; then preview_definition for its size.",
    "请把解释给用户确认，再用 preview_definition 查看人数。",
)


def _valid(reading: AnyReading) -> Text:
    repairs = Text(", after {n} repair(s)", "，已作 {n} 处修正").format(n=len(reading.repairs))
    warnings = Text("; {n} warning(s)", "；{n} 条提醒").format(n=len(reading.warnings))
    return Text("The definition is valid{repairs}{warnings}.", "定义有效{repairs}{warnings}。").format(
        repairs=repairs if reading.repairs else NOTHING, warnings=warnings if reading.warnings else NOTHING
    )


# Preview


class PreviewDefinition(Params):
    qp: DefinitionArgument = None
    tag_qp: TagDefinition = None
    sample: Annotated[int, Field(ge=0, le=20, description="Users to show")] = 5
    properties: Properties = ()
    include_sql: bool = False
    project_id: ProjectId = ""


class ValueRow(Result.Row):
    """One value of a tag."""

    value: str
    users: int


class StepRow(Result.Row):
    """One condition of the funnel."""

    condition: str
    alone: int = Field(description="Users it selects by itself")
    left: int = Field(description="Users left after it and those before it")


class Previewed(PartialResult):
    users_num: int
    all_users: int
    share: str
    funnel: tuple[StepRow, ...] = ()
    values: tuple[ValueRow, ...] = Field((), description="Of a tag, most frequent first")
    low: str = Field("", description="Of a tag of numbers or times: least value")
    median: str = ""
    high: str = ""
    without_value: int = 0
    distinct_values: int = 0
    sample: tuple[dict[str, str], ...] = ()
    warnings: tuple[ProblemRow, ...] = ()
    repairs: tuple[RepairRow, ...] = ()
    notes: tuple[str, ...] = ()
    sql: str = ""


@operation(title=Text("Size a definition", "预估定义人数"), effect=Effect.READ)
async def preview_definition(params: PreviewDefinition, deps: Deps) -> Previewed:
    """Count the users that a definition selects, without saving anything: the size, a funnel (what each condition
    selects alone, and what is left condition by condition) and a few sample users. Use it to find the condition that
    loses everybody before you create a cluster. Of a tag (tag_qp): the users per value, and those without one."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    raw, kind = _given(params)
    reading = await read_definition(raw, metadata, deps, kind=kind)
    definition = checked(reading, property_problems(params.properties, metadata))
    identity = [name for name in ("#account_id", "#distinct_id") if metadata.property("user", name)]
    preview = await deps.segments.preview(
        project,
        definition,
        sample=params.sample,
        properties=user_properties(params.properties, metadata) or identity,
        want_sql=params.include_sql,
        on_progress=deps.report,
    )
    values = preview.values or TagValues(0, ())
    return Previewed(
        message=deps.say(_size(preview)),
        next=deps.say(_next(preview, kind)),
        users_num=preview.users_num,
        all_users=preview.all_users,
        share=share(preview.users_num, preview.all_users),
        funnel=tuple(_funnel(definition, preview, explain_definition(definition, metadata), deps)),
        values=tuple(ValueRow(value=brief(value), users=users) for value, users in values.top),
        without_value=preview.all_users - preview.users_num if preview.values else 0,
        low=values.low,
        median=values.median,
        high=values.high,
        distinct_values=values.distinct,
        sample=tuple({name: brief(value) for name, value in row.items()} for row in preview.sample),
        warnings=problem_rows([*reading.warnings, *_size_warnings(definition, preview, metadata)], deps),
        repairs=repair_rows(reading.repairs, deps),
        notes=tuple(
            deps.say(note)
            for note in (
                *preview.outdated,
                *_without_values(definition, metadata),
                *assumptions(definition, metadata),
                left_out(preview.dropped),
            )
            if any(note)
        ),
        sql=preview.sql,
    )


_LEFT_OUT = Text(
    "{name}: {n} user(s) have no value and are left out by {word}; to take them in, add isNull joined by or",
    "{name}：{n} 名用户没有值，被 {word} 排除；若要包含，请以 or 连接 isNull",
)


def _without_values(definition: Definition, metadata: Metadata) -> Iterator[Text]:
    """How many users a negative word leaves out because they have no value, for each property once."""
    seen = set()
    for leaf in leaves(definition.filts) if isinstance(definition, Qp) and metadata.users else ():
        row, known = COMPARATORS[leaf.comparator], metadata.property(leaf.table_type, leaf.column_name)
        if known is None or leaf.table_type != "user" or not row.negated or row.test not in _OF_VALUES:
            continue
        missing = round(known.null_share * (metadata.users or 0))
        if missing and known.name not in seen:
            seen.add(known.name)
            yield _LEFT_OUT.format(name=known.name, n=f"{missing:,}", word=row.word)


_OF_VALUES = (Test.ONE_OF, Test.CONTAINS, Test.MATCHES, Test.HOLDS)


_ONE_OF = Text(
    "Give exactly one of qp (a cluster) and tag_qp (a tag).", "qp（分群）与 tag_qp（标签）须且只能给出一个。"
)


def _given(params: "ValidateDefinition | PreviewDefinition") -> tuple[object, SegmentKind]:
    """The definition in the arguments, and its kind; InvalidArguments unless there is exactly one."""
    if not says_nothing(params.qp) and says_nothing(params.tag_qp):
        return params.qp, CLUSTERS
    if not says_nothing(params.tag_qp) and says_nothing(params.qp):
        return params.tag_qp, TAGS
    if (params.qp is None) is (params.tag_qp is None):
        path, code = ("/qp", "argument_missing") if params.qp is None else ("/tag_qp", "argument_unknown")
        raise InvalidArguments(_ONE_OF, problems=[Problem(path, code, _ONE_OF)])
    return (params.qp, CLUSTERS) if params.tag_qp is None else (params.tag_qp, TAGS)


def property_problems(names: Sequence[str], metadata: Metadata) -> list[Problem]:
    """A problem for each name that no user property has, with the nearest one."""
    known = {p.name: (p.names.en, p.names.zh) for p in metadata.properties_of("user")}
    return [
        finding(
            "property_unknown",
            f"/properties/{i}",
            got=name,
            table=Text("user property", "用户属性"),
            suggestion=nearest_named(name, known),
        )
        for i, name in enumerate(names)
        if metadata.property("user", name) is None
    ]


def user_properties(names: Sequence[str], metadata: Metadata) -> tuple[str, ...]:
    """User properties in their declared spelling, each once; unknown ones have been refused before."""
    properties = (metadata.property("user", name) for name in names)
    return tuple(dict.fromkeys(p.name for p in properties if p is not None))


_SIZE = Text("{n} of {all} users ({share}).", "{all} 名用户中选中 {n} 名（{share}）。")
_WITH_VALUE = Text(
    "{n} of {all} users have a value ({share}), {without} without one.{spread}",
    "{all} 名用户中有 {n} 名得到标签值（{share}），{without} 名没有。{spread}",
)
_SPREAD = Text(" The values go from {low} to {high}{median}.", "标签值从 {low} 到 {high}{median}。")
_MEDIAN = Text(", median {median}", "，中位数为 {median}")


def _size(preview: Preview) -> Text:
    """How many users; of a tag also, for numbers and times, the range of the values."""
    sizes = {
        "n": f"{preview.users_num:,}",
        "all": f"{preview.all_users:,}",
        "share": share(preview.users_num, preview.all_users),
    }
    values = preview.values
    if values is None:
        return _SIZE.format(**sizes)
    median = _MEDIAN.format(median=values.median) if values.median else NOTHING
    spread = _SPREAD.format(low=values.low, high=values.high, median=median) if values.low else NOTHING
    return _WITH_VALUE.format(**sizes, without=f"{preview.all_users - preview.users_num:,}", spread=spread)


def _next(preview: Preview, kind: SegmentKind) -> Text:
    if preview.users_num:
        return Text(
            "If the user agrees with the size, {create} with the same definition.",
            "若用户认可该人数，用同一定义调用 {create}。",
        ).format(create=kind.create)
    if kind is TAGS:
        return Text("Nobody gets a value: loosen the definition.", "没有用户得到标签值：请放宽定义。")
    if not preview.funnel:
        return Text("Nobody is selected: loosen the SQL.", "没有选中任何用户：请放宽 SQL 的条件。")
    return Text(
        "Nobody is selected: see in the funnel where users are lost, and loosen that condition.",
        "没有选中任何用户：请看漏斗在哪一步归零，再放宽该条件。",
    )


_ANY_OF = Text("any of: {parts}", "以下任一：{parts}")


def _funnel(definition: Definition, preview: Preview, explained: Explanation, deps: Deps) -> list[StepRow]:
    """The conditions in order, numbered as in the explanation; a side that is one step as one.

    Two sides that are joined by `or` are counted apart, and at the end together.
    """
    words = {part.path: part.text for part in explained.parts}
    paths = [path for path in words if path]
    if len(paths) > 1:
        words |= {path: Text(f"({i}) {words[path].en}", f"({i}) {words[path].zh}") for i, path in enumerate(paths, 1)}
    for side in ("/events", "/filts"):
        inside = [words[path] for path in paths if path.startswith(f"{side}/")]
        words[side] = _ANY_OF.format(parts=clauses(inside))
    rows = [StepRow(condition=deps.say(words[s.path]), alone=s.alone, left=s.left) for s in preview.funnel]
    sides = {step.path.split("/")[1] for step in preview.funnel}
    if len(sides) > 1 and isinstance(definition, Qp) and definition.event_user_relation == "or":
        rows.append(StepRow(condition=deps.say(words[""]), alone=preview.users_num, left=preview.users_num))
    return rows


_EXCLUDE = Text(" These conditions exclude each other: {parts}.", "以下条件互相排斥：{parts}。")


def selects_nobody(definition: Definition, metadata: Metadata) -> Problem:
    """A warning that a definition selects nobody, with two conditions that exclude each other where there are two."""
    pair = exclusive(definition) if isinstance(definition, Qp) else None
    parts = {part.path: part.text for part in explain_definition(definition, metadata).parts} if pair else {}
    why = _EXCLUDE.format(parts=clauses(parts[path] for path in pair)) if pair else NOTHING
    return finding("selects_nobody", "/tag_qp" if definition.catalog == TAG else "/qp", why=why)


def _size_warnings(definition: Definition, preview: Preview, metadata: Metadata) -> Iterator[Problem]:
    """Warnings about conditions that select nobody or everybody, and values that nobody gets (where all were counted)."""
    for step in preview.funnel:
        if step.alone == 0:
            yield finding("selects_nobody", f"/qp{step.path}", why=NOTHING)
        elif step.alone == preview.all_users:
            yield finding("selects_everybody", f"/qp{step.path}")
    if not preview.users_num and not isinstance(definition, TagQp) and all(step.alone for step in preview.funnel):
        yield selects_nobody(definition, metadata)
    if isinstance(definition, TagQp) and preview.values and preview.values.distinct <= len(preview.values.top):
        reached = {value for value, _ in preview.values.top}
        for i, value in enumerate(definition.values):
            if value.tag_value not in reached:
                yield finding("value_for_nobody", f"/tag_qp/userTagValueDefs/{i}")
