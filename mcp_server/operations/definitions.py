"""How the values of a tag are told in a preview."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from mcp_server.errors import InvalidArguments, Problem
from mcp_server.language.bodies import OpenedBody, body_of, contradictions, open_body, other_project
from mcp_server.language.definitions import AnyReading, Definition, assumptions, explain_definition, rows_to_read
from mcp_server.language.definitions import Definition as AnyDefinition
from mcp_server.language.explain import Explanation
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TagQp
from mcp_server.language.names import display_name_findings, name_findings
from mcp_server.language.problems import finding, pointer
from mcp_server.language.reading.check import lookup_hint
from mcp_server.language.suggest import nearest_named
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
    left_out,
    problem_rows,
    read_definition,
    repair_rows,
)
from mcp_server.platforms.segments import Preview, Step, TagValues
from mcp_server.text import NOTHING, Text

# How the values of a tag are told in a preview.


class ValueRow(Result.Row):
    """One value of a tag."""

    value: str
    users: int


_HAVE = Text(
    "{n} of {all} users have a value ({share}), {without} without one.{spread}",
    "{all} 名用户中有 {n} 名得到标签值（{share}），{without} 名没有。{spread}",
)
_SPREAD = Text(" The values go from {low} to {high}{median}.", "标签值从 {low} 到 {high}{median}。")
_MEDIAN = Text(", median {median}", "，中位数为 {median}")


MOST_SHOWN = 100
"""Characters of a user's value that a preview shows; values may have pages."""


def brief(value: str) -> str:
    """A value as a preview shows it."""
    return value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + "…"


def value_rows(seen: Preview) -> tuple[ValueRow, ...]:
    """The most frequent values of a tag and their users."""
    return tuple(ValueRow(value=brief(v), users=n) for v, n in seen.values.top) if seen.values else ()


def spread_sentence(seen: Preview, share: str) -> Text:
    """How many users have a value and, of numbers and times, where the values lie."""
    spread, values = NOTHING, seen.values
    if values and values.low:
        median = _MEDIAN.format(median=values.median) if values.median else NOTHING
        spread = _SPREAD.format(low=values.low, high=values.high, median=median)
    return _HAVE.format(
        n=f"{seen.users_num:,}",
        all=f"{seen.all_users:,}",
        share=share,
        without=f"{seen.all_users - seen.users_num:,}",
        spread=spread,
    )


def unreached(definition: Definition, seen: Preview) -> list[Problem]:
    """A warning for each value that nobody gets; none where not all values were counted."""
    if not isinstance(definition, TagQp) or seen.values is None or seen.values.distinct > len(seen.values.top):
        return []
    reached = {value for value, _ in seen.values.top}
    return [
        finding("value_for_nobody", f"/tag_qp/userTagValueDefs/{i}")
        for i, value in enumerate(definition.values)
        if value.tag_value not in reached
    ]


# Checking, explaining and sizing a definition; nothing here changes anything.


class ValidateDefinition(Params):
    """Arguments of validate_definition."""

    qp: FullDefinition = None
    tag_qp: FullTagDefinition = None
    project_id: ProjectId = ""


class Explained(Result.Row):
    """The definition in words, for a person to approve."""

    en: str
    zh: str


class Validated(PartialResult):
    """Answer of validate_definition."""

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
    normalised definition, its exact meaning in English and Chinese for the user to approve, and its cost. Mend all
    problems and call again before you go on."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    raw, kind = _given(params)
    body = open_body(raw, (kind.root,))
    kind = TAGS if body.is_tag else kind
    reading = await read_definition(body.definition, metadata, deps, kind=kind, root=body.root)
    reading = _with_body(reading, body, deps, project)
    if reading.definition is None:
        return Validated(
            message=deps.say(_PROBLEMS.format(n=len(reading.problems))),
            next=deps.say(_MEND.format(finders=lookup_hint(reading.problems))),
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


def _with_body(reading: AnyReading, body: OpenedBody, deps: Deps, project: str) -> AnyReading:
    """A reading with what was found in the body around the definition."""
    found = [*body.problems, *other_project(body, project)]
    if reading.definition is not None:
        found += contradictions(body, reading.definition)
        found += [] if reading.definition.body_key else [finding("sql_local_only", pointer(body.root))]
    if "clusterName" in body.fields:
        found += name_findings(body.fields["clusterName"], deps.limits, pointer((*body.around, "clusterName")))
    if "displayName" in body.fields:
        found += display_name_findings(body.fields["displayName"], deps.limits, pointer((*body.around, "displayName")))
    return reading.within(found, body.repairs)


_PROBLEMS = Text("The definition has {n} problem(s).", "定义有 {n} 处问题。")
_MEND = Text(
    "Mend every problem (a suggestion replaces what stands at its path) and call validate_definition again; {finders}.",
    "请逐条修正（suggestion 可直接替换 path 处的内容）后重新调用 validate_definition；{finders}。",
)
_SHOW = Text(
    "Show the user the explanation; then preview_definition for its size.",
    "请把解释给用户确认，再用 preview_definition 查看人数。",
)


def _valid(reading: AnyReading) -> Text:
    said = Text("The definition is valid", "定义有效")
    if reading.repairs:
        said = Text("{said}, after {n} repair(s)", "{said}，已作 {n} 处修正").format(said=said, n=len(reading.repairs))
    if reading.warnings:
        said = Text("{said}; {n} warning(s)", "{said}；{n} 条提醒").format(said=said, n=len(reading.warnings))
    return Text("{said}.", "{said}。").format(said=said)


class PreviewDefinition(Params):
    """Arguments of preview_definition."""

    qp: DefinitionArgument = None
    tag_qp: TagDefinition = None
    sample: Annotated[int, Field(ge=0, le=20, description="Users to show")] = 5
    properties: Properties = ()
    include_sql: bool = False
    project_id: ProjectId = ""


class StepRow(Result.Row):
    """One condition of the funnel."""

    condition: str
    alone: int = Field(description="Users it selects by itself")
    left: int = Field(description="Users left after it and those of its side before it")


class Previewed(PartialResult):
    """Answer of preview_definition."""

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
    definition = all_good(reading, property_problems(params.properties, metadata))
    properties = user_properties(params.properties, metadata)
    seen = await deps.segments.preview(
        project,
        definition,
        sample=params.sample,
        properties=properties or _identity(metadata),
        want_sql=params.include_sql,
        on_progress=deps.report,
    )
    values = seen.values or _NO_VALUES
    return Previewed(
        message=deps.say(_size(seen)),
        next=deps.say(_next(seen, kind)),
        users_num=seen.users_num,
        all_users=seen.all_users,
        share=share(seen.users_num, seen.all_users),
        funnel=tuple(_funnel(seen, explain_definition(definition, metadata), deps)),
        values=value_rows(seen),
        without_value=seen.all_users - seen.users_num if seen.values else 0,
        low=values.low,
        median=values.median,
        high=values.high,
        distinct_values=values.distinct,
        sample=tuple({name: brief(value) for name, value in row.items()} for row in seen.sample),
        warnings=problem_rows([*reading.warnings, *_sized(seen), *unreached(definition, seen)], deps),
        repairs=repair_rows(reading.repairs, deps),
        notes=tuple(
            deps.say(note)
            for note in (*seen.outdated, *assumptions(definition, metadata), left_out(seen.dropped))
            if any(note)
        ),
        sql=seen.sql,
    )


_ONE_OF = Text(
    "Give exactly one of qp (a cluster) and tag_qp (a tag).", "qp（分群）与 tag_qp（标签）须且只能给出一个。"
)


def _given(params: "ValidateDefinition | PreviewDefinition") -> tuple[object, SegmentKind]:
    """The definition that was sent, and of what; InvalidArguments unless it is exactly one."""
    if (params.qp is None) is (params.tag_qp is None):
        path, code = ("/qp", "argument_missing") if params.qp is None else ("/tag_qp", "argument_unknown")
        raise InvalidArguments(_ONE_OF, problems=[Problem(path, code, _ONE_OF)])
    return (params.qp, CLUSTERS) if params.tag_qp is None else (params.tag_qp, TAGS)


def all_good(reading: AnyReading, found: Sequence[Problem]) -> AnyDefinition:
    """The definition, or every problem of the arguments (`found`) and of the definition at once."""
    if not found:
        return reading.must()
    raise InvalidArguments(
        Text("{n} problem(s); nothing was changed.", "有 {n} 处问题；未做任何更改。").format(
            n=len(found) + len(reading.problems)
        ),
        next_step=Text("Mend them all and call again.", "请全部修正后重新调用。"),
        problems=[*found, *reading.problems],
        repairs=reading.repairs,
    )


def property_problems(names: Sequence[str], metadata: Metadata) -> list[Problem]:
    """Names that no user property has, each with the nearest one."""
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
    """User properties in their declared spelling, each once; what is unknown has been refused before."""
    found = (metadata.property("user", name) for name in names)
    return tuple(dict.fromkeys(p.name for p in found if p is not None))


def _identity(metadata: Metadata) -> tuple[str, ...]:
    return tuple(n for n in ("#account_id", "#distinct_id") if metadata.property("user", n))


_NO_VALUES = TagValues(0, ())


def share(part: int, whole: int) -> str:
    """A part of all users as a percentage, with enough places that something is never shown as nothing."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if percent >= 0.1 else f"{percent:.2g}%"


def _size(seen: Preview) -> Text:
    if seen.values:
        return spread_sentence(seen, share(seen.users_num, seen.all_users))
    return Text("{n} of {all} users ({share}).", "{all} 名用户中选中 {n} 名（{share}）。").format(
        n=f"{seen.users_num:,}", all=f"{seen.all_users:,}", share=share(seen.users_num, seen.all_users)
    )


def _next(seen: Preview, kind: SegmentKind) -> Text:
    if not seen.users_num and kind is TAGS:
        return Text("Nobody gets a value: loosen the definition.", "没有用户得到标签值：请放宽定义。")
    if not seen.users_num and not seen.funnel:
        return Text("Nobody is selected: loosen the SQL.", "没有选中任何用户：请放宽 SQL 的条件。")
    if not seen.users_num:
        return Text(
            "Nobody is selected: see in the funnel where users are lost, and loosen that condition.",
            "没有选中任何用户：请看漏斗在哪一步归零，再放宽该条件。",
        )
    return Text(
        "If the user agrees with the size, {create} with the same definition.",
        "若用户认可该人数，用同一定义调用 {create}。",
    ).format(create=kind.create)


def _funnel(seen: Preview, explained: Explanation, deps: Deps) -> list[StepRow]:
    """The conditions in order, numbered as in the explanation; last both sides together, where there are two."""
    words = {part.path: deps.say(part.text) for part in explained.parts}
    numbered = len(seen.funnel) > 1
    rows = [
        StepRow(condition=f"({i}) {words[s.path]}" if numbered else words[s.path], alone=s.alone, left=s.left)
        for i, s in enumerate(seen.funnel, 1)
    ]
    if _two_sides(seen):
        rows.append(StepRow(condition=words[""], alone=seen.users_num, left=seen.users_num))
    return rows


def _two_sides(seen: Preview) -> bool:
    return len({step.path.split("/")[1] for step in seen.funnel}) > 1


def _sized(seen: Preview) -> list[Problem]:
    """Warnings that only the sizes tell."""
    return [found for step in seen.funnel for found in _extreme(step, seen.all_users)]


def _extreme(step: Step, everybody: int) -> list[Problem]:
    if step.alone == 0:
        return [finding("selects_nobody", f"/qp{step.path}")]
    return [finding("selects_everybody", f"/qp{step.path}")] if step.alone == everybody else []
