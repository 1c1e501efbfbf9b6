"""Clusters and tags of uploaded ids (qp.md section 7)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mcp_server.errors import InvalidArguments, Problem
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.names import display_name_findings, name_findings
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest_named
from mcp_server.language.uploaded import MAIN_TYPES, Uploaded
from mcp_server.operations.arguments import ClusterRef, ProjectId, Remarks
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, given_file, operation
from mcp_server.operations.results import (
    ClusterRow,
    ProblemRow,
    cluster_row,
    counted,
    kind_of,
    next_step,
    problem_rows,
    sentence,
    users_of,
)
from mcp_server.operations.saving import CLEAR, SAME_WITHOUT_DRY_RUN
from mcp_server.platforms.segments import IdChanges, IdDraft, IdSource, Imported
from mcp_server.text import NOTHING, Text

MOST_INLINE = 200
"""Ids that a call may hold: longer lists get cut or mixed up in a chat."""

IdPath = Annotated[str, Field(description="CSV in the server's imports folder")]
Ids = Annotated[tuple[str, ...], Field(description=f"Instead of path, at most {MOST_INLINE}; of a tag `id,value`")]
MainColumn = Annotated[str, Field(description="User property that the ids are values of, such as #account_id")]

_IMPORTED = Text("Imported {rows} as {noun} {name} (id {id})", "已将 {rows}导入为{noun} {name}（id {id}）")
_EXISTS = Text(
    "{name} (id {id}) exists already as a {noun} of exactly these ids; nothing was saved",
    "{noun} {name}（id {id}）已存在且 ID 完全相同；未重复创建",
)
_REPLACED = Text(
    "Replaced the ids of {noun} {name} (id {id}) by {rows}", "已用 {rows}替换{noun} {name}（id {id}）的名单"
)
_WOULD_IMPORT = Text("Would import {rows} as {noun} {name}", "将把 {rows}导入为{noun} {name}")
_WOULD_REPLACE = Text("Would replace the ids of {noun} {name} by {rows}", "将用 {rows}替换{noun} {name} 的名单")
_LOOK = Text("Look at the warnings.", "请查看 warnings。")


_WRITE = Text("put it into {folder}, and give its name as path", "放入 {folder}，再以文件名作为 path")
_SEND = Text(
    "send it with POST {url}, and give the path that the answer names", "用 POST {url} 发送，再使用返回的 path"
)


class ImportedIds(PartialResult):
    """Answer of import_ids and replace_imported_ids."""

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


def _of_the_page(sent: object) -> object:
    """The vendor's `clusterCatalog` means the same: `catalog_cluster`, `catalog_tag`."""
    return {CLUSTER: "cluster", TAG: "tag"}.get(sent, sent) if isinstance(sent, str) else sent


class ImportIds(Params):
    """Arguments of import_ids."""

    display_name: str
    main_column_name: MainColumn
    path: IdPath = ""
    ids: Ids = ()
    catalog: Annotated[Literal["cluster", "tag"], BeforeValidator(_of_the_page)] = "cluster"
    cluster_name: Annotated[str, Field(description="Generated if absent")] = ""
    remarks: Remarks = ""
    dry_run: bool = False
    project_id: ProjectId = ""


@operation(title=Text("Import a list of ids", "导入 ID 名单"), effect=Effect.CREATE)
async def import_ids(params: ImportIds, deps: Deps) -> ImportedIds:
    """Make a cluster, or a tag, of ids that the user has: CSV without header, one id a line, of a tag `id,value`. The same
    ids under the same name return the existing one."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    source = _source(params.path, params.ids, project, deps)
    _all_good(
        [
            *display_name_findings(params.display_name, deps.limits),
            *(name_findings(params.cluster_name, deps.limits) if params.cluster_name else ()),
            *_column_findings(params.main_column_name, metadata),
            *_source_findings(source, deps),
        ]
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
    noun = Text("tag", "标签") if params.catalog == "tag" else Text("cluster", "分群")
    said = _EXISTS if done.existed else _WOULD_IMPORT if params.dry_run else _IMPORTED
    return _answer(done, said, noun, deps, dry_run=params.dry_run)


class ReplaceImportedIds(Params):
    """Arguments of replace_imported_ids."""

    cluster: ClusterRef
    path: str = ""
    ids: tuple[str, ...] = ()
    display_name: str = ""
    main_column_name: str = ""
    remarks: Remarks = ""
    dry_run: bool = False
    project_id: ProjectId = ""


@operation(title=Text("Replace a list of ids", "替换 ID 名单"), effect=Effect.REPLACE)
async def replace_imported_ids(params: ReplaceImportedIds, deps: Deps) -> ImportedIds:
    """Replace all ids of a cluster or tag that import_ids made, or match the same ids with today's users."""
    project = deps.project(params.project_id)
    found = await deps.segments.get(project, params.cluster)
    metadata = await deps.segments.metadata(project)
    source = _source(params.path, params.ids, project, deps)
    column = params.main_column_name
    if isinstance(found.definition, Uploaded):  # what is not gets told so by the platform
        _all_good(
            [
                *(display_name_findings(params.display_name, deps.limits) if params.display_name else ()),
                *_column_findings(column or found.definition.main_column, metadata),
                *_source_findings(source, deps),
            ]
        )
    changes = IdChanges(
        source,
        params.display_name or None,
        _spelt(column, metadata) if column else None,
        "" if params.remarks.strip() == CLEAR else params.remarks or None,
    )
    deps.check_unchanged(found.stamp)
    resting = await users_of(found, "/ids" if params.ids else "/path", deps)
    done = await deps.segments.replace_ids(found, changes, dry_run=params.dry_run, on_progress=deps.report)
    done = replace(done, warnings=(*done.warnings, *resting))
    said = _WOULD_REPLACE if params.dry_run else _REPLACED
    answer = _answer(done, said, kind_of(found).noun, deps, dry_run=params.dry_run)
    return answer.with_basis(found.stamp, *answer.model_dump(exclude={"next", "cluster"}).items())


# what was sent


def _source(path: str, ids: Sequence[str], project: str, deps: Deps) -> IdSource:
    """Several lines in one text are several ids. Over HTTP a path is the handle of an upload."""
    lines = tuple(line for one in ids for line in one.splitlines() if line.strip())
    return IdSource(str(given_file(path, project, deps.files)) if path and deps.files else path, lines)


def _source_findings(source: IdSource, deps: Deps) -> Iterator[Problem]:
    if bool(source.path) == bool(source.ids):
        yield finding("ids_source", "/path", most=MOST_INLINE)
    if len(source.ids) > MOST_INLINE:
        url = deps.files.upload_url if deps.files else ""
        way = _SEND.format(url=url) if url else _WRITE.format(folder=deps.segments.import_folders[0])
        yield finding("ids_too_many", "/ids", count=len(source.ids), most=MOST_INLINE, way=way)


def _column_findings(name: str, metadata: Metadata) -> Iterator[Problem]:
    found = metadata.property("user", name)
    possible = {p.name: [p.names.en, p.names.zh] for p in metadata.properties_of("user") if _possible(p.name, p.type)}
    if found is None and name.casefold() != "#user_id":
        close = nearest_named(name, possible)
        table = Text("user property", "用户属性")
        yield finding("property_unknown", "/main_column_name", got=name, suggestion=close, table=table)
    elif found is None or not _possible(found.name, found.type):
        suggestion = next((p for p in ("#account_id", "#distinct_id") if p in possible), next(iter(possible), ""))
        yield finding("main_column_type", "/main_column_name", got=name, suggestion=suggestion, name=name)


def _possible(name: str, kind: str) -> bool:
    return kind in MAIN_TYPES and name != "#user_id"


def _spelt(name: str, metadata: Metadata) -> str:
    found = metadata.property("user", name)
    return found.name if found else name


def _all_good(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidArguments(
            Text("{n} problem(s); nothing was read or saved.", "有 {n} 处问题；未读取或保存任何内容。").format(
                n=len(problems)
            ),
            next_step=Text("Mend them all and call again.", "请全部修正后重新调用。"),
            problems=problems,
        )


# what came of it


def _answer(done: Imported, said: Text, noun: Text, deps: Deps, *, dry_run: bool) -> ImportedIds:
    rows = Text("1 row" if done.upload_num == 1 else f"{done.upload_num:,} rows", f"{done.upload_num:,} 行")
    named = said.format(
        rows=rows, noun=noun, name=done.cluster_name, id=done.cluster.cluster_id if done.cluster else ""
    )
    size = NOTHING if done.user_num is None else counted(done.user_num)
    if done.unmatched_num:
        n = done.unmatched_num
        missed = Text("1 row matches nobody" if n == 1 else f"{n:,} rows match nobody", f"{n:,} 行未匹配到用户")
        size = Text(f"{size.en}; {missed.en}", f"{size.zh}；{missed.zh}")
    unread = done.cluster is not None and any(done.cluster.unread)
    look = _LOOK if done.warnings else next_step(done.cluster) if done.cluster and unread else NOTHING
    again = SAME_WITHOUT_DRY_RUN if dry_run and not done.existed else NOTHING
    return ImportedIds(
        message=deps.say(sentence(named, size)),
        next=deps.say(look.then(again) if any(look) and any(again) else again if any(again) else look),
        cluster=cluster_row(done.cluster, deps) if done.cluster else None,
        dry_run=dry_run,
        existed=done.existed,
        upload_num=done.upload_num,
        user_num=done.user_num,
        unmatched_num=done.unmatched_num,
        tag_value_null_num=done.tag_value_null_num,
        duplicates=done.duplicates,
        unmatched=done.unmatched,
        encoding=done.encoding,
        changes=tuple(deps.say(one) for one in done.changes),
        warnings=problem_rows(done.warnings, deps),
    )
