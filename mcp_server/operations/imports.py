"""Clusters and tags of uploaded ids (qp.md section 7)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mcp_server.errors import Problem
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.names import display_name_findings, name_findings
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest_named
from mcp_server.language.uploaded import MAIN_TYPES, Uploaded
from mcp_server.operations.arguments import CLEAR, ClusterRef, ProjectId, Remarks
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, given_file, operation
from mcp_server.operations.results import (
    CLUSTERS,
    SAME_WITHOUT_DRY_RUN,
    TAGS,
    ClusterRow,
    ProblemRow,
    SegmentKind,
    cluster_row,
    counted,
    dependents,
    kind_of,
    name_as_read,
    named,
    next_step,
    problem_rows,
    refuse,
    sentence,
)
from mcp_server.platforms.segments import IdChanges, IdDraft, IdSource, Imported
from mcp_server.text import NOTHING, Text, clauses

MOST_INLINE = 200
"""Ids that a call may hold: longer lists get cut or mixed up in a chat."""

IdPath = Annotated[str, Field(description="CSV or Excel in the server's imports folder")]
Ids = Annotated[tuple[str, ...], Field(description=f"Instead of path, at most {MOST_INLINE}; of a tag `id,value`")]
IdColumn = Annotated[str, Field(description="The file's column of ids, by its header")]
MainColumn = Annotated[str, Field(description="User property that the ids are values of, such as #account_id")]

_IMPORTED = Text("Imported {rows} as {noun} {named}", "已将 {rows}导入为{noun}{named}")
_EXISTS = Text(
    "{named} exists already as a {noun} of exactly these ids; nothing was saved",
    "{noun}{named}已存在且 ID 完全相同；未重复创建",
)
_REPLACED = Text("Replaced the ids of {noun} {named} by {rows}", "已用 {rows}替换{noun}{named}的名单")
_WOULD_IMPORT = Text("Would import {rows} as {noun} {named}", "将把 {rows}导入为{noun}{named}")
_WOULD_REPLACE = Text("Would replace the ids of {noun} {named} by {rows}", "将用 {rows}替换{noun}{named}的名单")
_LOOK = Text("Look at the warnings.", "请查看 warnings。")
_NOTHING_SAVED = Text("nothing was read or saved", "未读取或保存任何内容")
_WRITE = Text("put it into {folder}, and give its name as path", "放入 {folder}，再以文件名作为 path")
_SEND = Text(
    "send it with POST {url}, and give the path that the answer names", "用 POST {url} 发送，再使用返回的 path"
)


class ImportedIds(PartialResult):
    cluster: ClusterRow | None = None
    dry_run: bool = False
    existed: bool = False
    upload_num: int = Field(description="Rows")
    user_num: int | None = Field(None, description="Users selected")
    unmatched_num: int | None = Field(None, description="Rows whose id no user has")
    tag_value_null_num: int = Field(0, description="Tag rows without a value")
    duplicates: int = Field(0, description="Rows whose id came before")
    unmatched: tuple[str, ...] = Field((), description="Some unmatched ids")
    encoding: str
    changes: tuple[str, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()


def _plain_catalog(value: object) -> object:
    """Accept the vendor's `clusterCatalog` too: `catalog_cluster`, `catalog_tag`."""
    return {CLUSTER: "cluster", TAG: "tag"}.get(value, value) if isinstance(value, str) else value


class ImportIds(Params):
    display_name: str
    main_column_name: MainColumn
    path: IdPath = ""
    ids: Ids = ()
    column: IdColumn = ""
    catalog: Annotated[Literal["cluster", "tag"], BeforeValidator(_plain_catalog)] = "cluster"
    cluster_name: Annotated[str, Field(description="Generated if absent")] = ""
    remarks: Remarks = ""
    dry_run: bool = False
    project_id: ProjectId = ""


@operation(title=Text("Import a list of ids", "导入 ID 名单"), effect=Effect.CREATE)
async def import_ids(params: ImportIds, deps: Deps) -> ImportedIds:
    """Make a cluster, or a tag, of ids that the user has: one id a line, of a tag `id,value`, or a file with a header, such as an export. The same
    ids under the same name return the existing one."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    source = replace(_source(params.path, params.ids, project, deps), column=params.column)
    refuse(
        [
            *display_name_findings(params.display_name, deps.limits),
            *(name_findings(params.cluster_name, deps.limits) if params.cluster_name else ()),
            *_column_findings(params.main_column_name, metadata, source, deps),
            *_source_findings(source, deps),
        ],
        _NOTHING_SAVED,
    )
    draft = IdDraft(
        source,
        params.display_name,
        _spelt(params.main_column_name, metadata),
        TAG if params.catalog == "tag" else CLUSTER,
        params.cluster_name,
        params.remarks,
    )
    done = await deps.segments.import_ids(project, draft, dry_run=params.dry_run, on_progress=deps.report)
    kind = TAGS if params.catalog == "tag" else CLUSTERS
    message = _EXISTS if done.existed else _WOULD_IMPORT if params.dry_run else _IMPORTED
    return _answer(done, message, kind, params.display_name, deps, dry_run=params.dry_run, inline=bool(params.ids))


class ReplaceImportedIds(Params):
    cluster: ClusterRef
    path: str = ""
    ids: tuple[str, ...] = ()
    column: str = ""
    display_name: str = ""
    main_column_name: str = ""
    remarks: Remarks = ""
    dry_run: bool = False
    project_id: ProjectId = ""


@operation(title=Text("Replace a list of ids", "替换 ID 名单"), effect=Effect.REPLACE)
async def replace_imported_ids(params: ReplaceImportedIds, deps: Deps) -> ImportedIds:
    """Replace all ids of a cluster or tag that import_ids made, or match the same ids with today's users."""
    project = deps.project(params.project_id)
    cluster = await deps.segments.get(project, params.cluster)
    metadata = await deps.segments.metadata(project)
    source = replace(_source(params.path, params.ids, project, deps), column=params.column)
    column = params.main_column_name
    if isinstance(cluster.definition, Uploaded):  # the platform refuses any other
        refuse(
            [
                *(display_name_findings(params.display_name, deps.limits) if params.display_name else ()),
                *_column_findings(column or cluster.definition.main_column, metadata, source, deps),
                *_source_findings(source, deps),
            ],
            _NOTHING_SAVED,
        )
    changes = IdChanges(
        source,
        params.display_name or None,
        _spelt(column, metadata) if column else None,
        "" if params.remarks.strip() == CLEAR else params.remarks or None,
    )
    deps.check_unchanged(cluster.stamp)
    warnings = await dependents(cluster, "/ids" if params.ids else "/path", deps)
    done = await deps.segments.replace_ids(cluster, changes, dry_run=params.dry_run, on_progress=deps.report)
    done = replace(done, warnings=(*done.warnings, *warnings))
    message = _WOULD_REPLACE if params.dry_run else _REPLACED
    answer = _answer(
        done, message, kind_of(cluster), cluster.display_name, deps, dry_run=params.dry_run, inline=bool(params.ids)
    )
    return answer.with_basis(cluster.stamp, *answer.model_dump(exclude={"next", "cluster"}).items())


def _source(path: str, ids: Sequence[str], project: str, deps: Deps) -> IdSource:
    """The ids as given: several lines in one text are several ids; over HTTP a path is the handle of an upload."""
    lines = tuple(line for one in ids for line in one.splitlines() if line.strip())
    return IdSource(str(given_file(path, project, deps.files)) if path and deps.files else path, lines)


def _source_findings(source: IdSource, deps: Deps) -> Iterator[Problem]:
    if bool(source.path) == bool(source.ids):
        yield finding("ids_source", "/path", most=MOST_INLINE)
    if len(source.ids) > MOST_INLINE:
        url = deps.files.upload_url if deps.files else ""
        way = _SEND.format(url=url) if url else _WRITE.format(folder=deps.segments.import_folders[0])
        yield finding("ids_too_many", "/ids", count=len(source.ids), most=MOST_INLINE, way=way)


def _column_findings(name: str, metadata: Metadata, source: IdSource, deps: Deps) -> Iterator[Problem]:
    if deps.data is None and source.column:
        yield finding("ids_column_elsewhere", "/column", got=source.column)
    if deps.data is not None and source.path and name.casefold() == "#user_id":
        return  # an export of this project; the platform looks for its header
    column = metadata.property("user", name)
    possible = {p.name: [p.names.en, p.names.zh] for p in metadata.properties_of("user") if _possible(p.name, p.type)}
    if column is None and name.casefold() != "#user_id":
        close = nearest_named(name, possible)
        table = Text("user property", "用户属性")
        yield finding("property_unknown", "/main_column_name", got=name, suggestion=close, table=table)
    elif column is None or not _possible(column.name, column.type):
        suggestion = next((p for p in ("#account_id", "#distinct_id") if p in possible), next(iter(possible), ""))
        yield finding("main_column_type", "/main_column_name", got=name, suggestion=suggestion, name=name)


def _possible(name: str, kind: str) -> bool:
    return kind in MAIN_TYPES and name != "#user_id"


def _spelt(name: str, metadata: Metadata) -> str:
    """The property as it is declared."""
    column = metadata.property("user", name)
    return column.name if column else name


_HIDDEN = Text("{n} more of them are not shown", "其中另有 {n} 个未列出")


def _answer(
    done: Imported, message: Text, kind: SegmentKind, display_name: str, deps: Deps, *, dry_run: bool, inline: bool
) -> ImportedIds:
    rows = Text("1 row" if done.upload_num == 1 else f"{done.upload_num:,} rows", f"{done.upload_num:,} 行")
    name = named(done.cluster) if done.cluster else name_as_read(display_name, done.cluster_name)
    size = NOTHING if done.user_num is None else counted(done.user_num)
    if done.unmatched_num:
        n = done.unmatched_num
        missed = Text("1 row matches nobody" if n == 1 else f"{n:,} rows match nobody", f"{n:,} 行未匹配到用户")
        size = clauses([size, missed])
    headers = {warning.got for warning in done.warnings if warning.code == "ids_header"}
    unmatched = tuple(one for one in done.unmatched if one not in headers)  # a header has its own warning
    hidden = (done.unmatched_num or 0) - len(done.unmatched)
    if unmatched and hidden > 0:
        size = clauses([size, _HIDDEN.format(n=f"{hidden:,}")])
    warnings = [replace(w, path="/ids") if inline and w.path == "/path" else w for w in done.warnings]
    unread = done.cluster is not None and any(done.cluster.unread)
    look = _LOOK if done.warnings else next_step(done.cluster) if done.cluster and unread else NOTHING
    again = SAME_WITHOUT_DRY_RUN if dry_run and not done.existed else NOTHING
    return ImportedIds(
        message=deps.say(sentence(message.format(rows=rows, noun=kind.noun, named=name), size)),
        next=deps.say(look.then(again)),
        cluster=cluster_row(done.cluster, deps) if done.cluster else None,
        dry_run=dry_run,
        existed=done.existed,
        upload_num=done.upload_num,
        user_num=done.user_num,
        unmatched_num=done.unmatched_num,
        tag_value_null_num=done.tag_value_null_num,
        duplicates=done.duplicates,
        unmatched=unmatched,
        encoding=done.encoding,
        changes=tuple(deps.say(one) for one in done.changes),
        warnings=problem_rows(warnings, deps),
    )
