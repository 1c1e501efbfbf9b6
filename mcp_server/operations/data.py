"""Operations on a project's data: look at files, load them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from mcp_server.errors import ConfigurationError, InvalidArguments, Problem
from mcp_server.language.problems import shorten
from mcp_server.operations.arguments import DryRun, ProjectId
from mcp_server.operations.operation import Deps, Effect, Params, Result, given_file, is_project, operation
from mcp_server.operations.results import SAME_WITHOUT_DRY_RUN, ProblemRow, sentence
from mcp_server.platforms.data import DataPlatform, FilePart, Loaded, LoadRequest, NamedFile, OpenQuestion, Replacement
from mcp_server.platforms.segments import name_of
from mcp_server.text import Text, listed

MOST_FILES = 20

FileNames = Annotated[
    tuple[str, ...],
    Field(max_length=MOST_FILES, description="Files in the server's imports folder; demo alone: the bundled demo data"),
]
FileAnswers = Annotated[
    tuple[str, ...],
    Field(
        max_length=200,
        description="key=value, key as in questions (FILE:key for one file); also sheet=, columns.NAME.type=text, leave_out=[…]",
    ),
]

_REMOTE = Text(
    "The data is on {platform}; this server loads none there.", "数据在{platform}平台上，本服务不向其加载数据。"
)
_LOAD_THERE = Text("Load it with that platform's own means.", "请使用该平台自身的方式加载。")
_PUT = Text(
    "Put a file into {folder}, then call look_at_file with its name.",
    "请将文件放入 {folder}，再以文件名调用 look_at_file。",
)
_SEND = Text(
    "Send the file with POST {url}, then call look_at_file with the path that the answer names.",
    "请用 POST {url} 发送文件，再以返回的 path 调用 look_at_file。",
)
_NO_ID = Text("A project id is a whole number from 1.", "项目编号为从 1 开始的整数。")
_NUMBER = Text("Leave project_id out, or give a number.", "请不带 project_id，或给出数字编号。")
_NONE_NAMED = Text("No file is named.", "没有指定文件。")
_WAITING = Text("{n} file(s) could be loaded", "有 {n} 个文件可供加载")
_EMPTY = Text("There is no file to load yet.", "尚无可加载的文件。")
_NAME_THEM = Text("Call look_at_file with those that the user means.", "请以用户所指的文件调用 look_at_file。")
_SEEN = Text("{n} kind(s) of files", "共 {n} 类文件")
_OPEN = Text("{n} question(s) must be answered", "有 {n} 个问题须先回答")
_TAKEN = Text("{n} question(s) have a default", "有 {n} 个问题有默认答案")
_ASK = Text(
    "Ask the user the questions, then call load_file with dry_run and answers.",
    "请向用户提出这些问题，再带 dry_run 与 answers 调用 load_file。",
)
_TRY = Text("Call load_file with dry_run.", "请带 dry_run 调用 load_file。")
_PAIR = Text("An answer is key=value, such as user=buyer.", "回答的格式为 key=value，例如 user=buyer。")
_BAD_ANSWERS = Text("{n} answer(s) can't be read; nothing was loaded.", "有 {n} 条回答无法读取；未加载任何数据。")
_FIX = Text("Fix them and call again.", "请修正后重新调用。")
_WOULD_LOAD = Text("Would load {rows} event rows and {users} users", "将加载 {rows} 行事件、{users} 个用户")
_WOULD_REPLACE = Text(
    "Would replace the data of project {project} by {rows} event rows and {users} users",
    "将以 {rows} 行事件、{users} 个用户替换项目 {project} 的数据",
)
_LOADED = Text("Loaded {rows} event rows and {users} users", "已加载 {rows} 行事件、{users} 个用户")
_WOULD_RESTORE = Text(
    "Would restore the data of project {project} as it was before the load at {at}",
    "将把项目 {project} 的数据恢复到 {at} 加载之前",
)
_RESTORED = Text(
    "Restored the data of project {project} as it was before the load at {at}",
    "已将项目 {project} 的数据恢复到 {at} 加载之前",
)
_DESCRIBE = Text("Call describe_data to see what is there.", "可用 describe_data 查看数据内容。")


class FileRow(Result.Row):
    """How the files of one kind are read."""

    file: str
    format: str
    role: str
    rows: int | None = None
    user: str = ""
    event: str = ""
    time: str = ""
    columns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class QuestionRow(Result.Row):
    """A question that a person decides."""

    key: str
    file: str
    question: str
    choices: tuple[str, ...] = ()
    default: str = ""
    must: bool = False


class LookedAtFile(Result):
    """Answer of look_at_file."""

    files: tuple[FileRow, ...] = ()
    questions: tuple[QuestionRow, ...] = ()
    waiting: tuple[str, ...] = Field((), description="Where no file is named: those there are")


class LookAtFile(Params):
    """Arguments of look_at_file."""

    files: FileNames = ()
    answers: FileAnswers = ()
    project_id: ProjectId = ""


@operation(title=Text("Look at a file", "查看文件"), effect=Effect.READ)
async def look_at_file(params: LookAtFile, deps: Deps) -> LookedAtFile:
    """See how files (Excel, CSV, JSON, Parquet, SDK logs) would be loaded: who, what, when, types, and what the user has to
    decide. Without files: lists those that are there."""
    project, data = deps.project(params.project_id), data_of(deps)
    if not params.files:
        return _waiting(data, deps)
    seen = await data.look(project, _request(params.files, params.answers, project, deps), on_progress=deps.report)
    must = [question for question in seen.questions if question.must]
    taken = len(seen.questions) - len(must)
    parts = [_SEEN.format(n=len(seen.parts))]
    parts += [_OPEN.format(n=len(must))] if must else []
    parts += [_TAKEN.format(n=taken)] if taken else []
    return LookedAtFile(
        message=deps.say(sentence(parts[0], listed(parts[1:]))),
        next=deps.say(_ASK if seen.questions else _TRY),
        files=tuple(_file_row(part, deps) for part in seen.parts),
        questions=tuple(_question_row(question, deps) for question in seen.questions),
    )


def _waiting(data: DataPlatform, deps: Deps) -> LookedAtFile:
    if deps.files:
        raise InvalidArguments(_NONE_NAMED, next_step=_SEND.format(url=deps.files.upload_url))
    files = data.waiting()
    put = _PUT.format(folder=data.folders[0])
    return LookedAtFile(
        message=deps.say(sentence(_WAITING.format(n=len(files))) if files else _EMPTY),
        next=deps.say(_NAME_THEM if files else put),
        waiting=tuple(f"{file.path} ({file.size_bytes:,} B)" for file in files),
    )


class LoadFile(Params):
    """Arguments of load_file."""

    files: FileNames
    answers: FileAnswers = ()
    time_zone: Annotated[str, Field(description="Of times without an offset")] = ""
    as_of: Annotated[str, Field(description="Fixed today, yyyy-MM-dd, for old data")] = ""
    skip_bad_rows: bool = False
    dry_run: DryRun = False
    project_id: ProjectId = ""


class LoadedFile(Result):
    """Answer of load_file."""

    dry_run: bool = False
    rows: int = Field(description="Event rows")
    users: int
    first_day: str = ""
    last_day: str = ""
    changes: tuple[str, ...] = Field((), description="Before → after")
    notes: tuple[str, ...] = ()
    files: tuple[FileRow, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()


@operation(title=Text("Load files", "加载文件"), effect=Effect.REPLACE)
async def load_file(params: LoadFile, deps: Deps) -> LoadedFile:
    """Load files as the project's data; it replaces all data there is, so name all files. Call look_at_file first."""
    project, data = deps.project(params.project_id), data_of(deps)
    if not is_project(project):
        raise InvalidArguments(_NO_ID, next_step=_NUMBER)
    if not params.files:
        raise InvalidArguments(_NONE_NAMED, next_step=_PUT.format(folder=data.folders[0]))
    request = replace(
        _request(params.files, params.answers, project, deps),
        time_zone=params.time_zone,
        as_of=params.as_of,
        skip_bad_rows=params.skip_bad_rows,
    )
    if not params.dry_run and deps.basis:
        tried = await data.load(project, request, dry_run=True, on_progress=deps.report)
        deps.check_unchanged(_basis(tried))
    done = await data.load(project, request, dry_run=params.dry_run, on_progress=deps.report)
    answer = _answer(done, project, deps, dry_run=params.dry_run).with_basis(_basis(done))
    return answer.as_addition() if done.replacement.before is None else answer


class RestoreData(Params):
    """Arguments of restore_data."""

    dry_run: DryRun = False
    project_id: ProjectId = ""


@operation(title=Text("Undo a load", "撤销加载"), effect=Effect.REPLACE, idempotent=False)
async def restore_data(params: RestoreData, deps: Deps) -> LoadedFile:
    """Undo the last load_file or load: the data of before, for 7 days. Undoing again brings the later data back."""
    project, data = deps.project(params.project_id), data_of(deps)
    undo = data.undoable(project)
    if not params.dry_run:
        deps.check_unchanged(undo.stamp)
        data.restore(project, undo)
    said = _WOULD_RESTORE if params.dry_run else _RESTORED
    return _of(undo.replacement, said.format(project=project, at=undo.at), deps, dry_run=params.dry_run).with_basis(
        undo.stamp
    )


def _basis(done: Loaded) -> str:
    """Consent holds for these files, these answers and this state of the project."""
    return f"{done.stamp} {done.digest}"


def _answer(done: Loaded, project: str, deps: Deps, *, dry_run: bool) -> LoadedFile:
    size, before = done.replacement.after, done.replacement.before
    said = (_WOULD_LOAD if before is None else _WOULD_REPLACE) if dry_run else _LOADED
    named = said.format(rows=f"{size.rows:,}", users=f"{size.users:,}", project=project)
    return _of(done.replacement, named, deps, dry_run=dry_run).model_copy(
        update={
            "notes": tuple(map(deps.say, done.sentences[1:])),
            "files": tuple(_file_row(part, deps) for part in done.parts),
        }
    )


def _of(replacement: Replacement, said: Text, deps: Deps, *, dry_run: bool) -> LoadedFile:
    """The answer about one generation of data in the place of another."""
    size = replacement.after
    return LoadedFile(
        message=deps.say(sentence(said)),
        next=deps.say(SAME_WITHOUT_DRY_RUN if dry_run else _DESCRIBE),
        dry_run=dry_run,
        rows=size.rows,
        users=size.users,
        first_day=size.first,
        last_day=size.last,
        changes=tuple(map(deps.say, replacement.changes())),
        warnings=tuple(
            ProblemRow(path="/files", code="load_replaces", message=deps.say(words)) for words in replacement.warnings()
        ),
    )


def data_of(deps: Deps) -> DataPlatform:
    """The files of this machine. ConfigurationError where the data is on a remote platform."""
    if deps.data is None:
        platform = name_of(deps.segments.name)
        raise ConfigurationError(_REMOTE.format(platform=platform), next_step=_LOAD_THERE)
    return deps.data


def _request(files: Sequence[str], answers: Sequence[str], project: str, deps: Deps) -> LoadRequest:
    """The files by their handles over HTTP; the answers as what their values say."""
    named = tuple(
        NamedFile(path, given_file(path, project, deps.files)) if deps.files and path != "demo" else NamedFile(path)
        for path in files
    )
    return LoadRequest(named, _answers(answers))


def _answers(given: Sequence[str]) -> Mapping[str, Any]:
    answers: dict[str, Any] = {}
    problems = []
    for i, text in enumerate(given):
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            problems.append(Problem(f"/answers/{i}", "argument_value", _PAIR, shorten(text)))
            continue
        answers[key.strip()] = _value(value.strip())
    if problems:
        raise InvalidArguments(_BAD_ANSWERS.format(n=len(problems)), next_step=_FIX, problems=problems)
    return answers


def _value(text: str) -> Any:
    """A list, an object or a text in quotes is JSON; a number or a word stays the text that it is."""
    if text[:1] in ("[", "{", '"'):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _file_row(part: FilePart, deps: Deps) -> FileRow:
    return FileRow(
        file=part.file,
        format=part.format,
        role=part.role,
        rows=part.rows,
        user=part.user,
        event=part.event,
        time=part.time,
        columns=part.columns,
        left_out=part.left_out,
        notes=tuple(map(deps.say, part.notes)),
    )


def _question_row(question: OpenQuestion, deps: Deps) -> QuestionRow:
    return QuestionRow(
        key=question.key,
        file=question.file,
        question=deps.say(question.why),
        choices=question.choices,
        default=question.default,
        must=question.must,
    )
