"""The one way in which an operation is called, from MCP and from the command line alike."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from mcp_server.errors import FenqunError, InternalError, NoProject, NotAllowed, ReadOnlyMode, UnknownTool
from mcp_server.operations.acting import carry_out, taken_token, tokened
from mcp_server.operations.asking import Suspended
from mcp_server.operations.operation import Deps, Operation, Params, PartlyTold, Result
from mcp_server.operations.reading import read_arguments, shown
from mcp_server.qp.suggest import nearest
from mcp_server.text import NOTHING, Text, listed

P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)

_log = logging.getLogger("fenqun")

_READ_ONLY = Text(
    "{tool} changes something, and this server is read-only.", "{tool} 会改动数据，而本服务处于只读模式。"
)
_RESTART = Text(
    "Tell the user: whoever runs the server can start it without --read-only (and without FENQUN_READ_ONLY).",
    "请告知用户：由服务的运行者去掉 --read-only（以及 FENQUN_READ_ONLY）后重启。",
)
_ONLY_READING = Text(
    "{tool} changes something, and this access may only read.", "{tool} 会改动数据，而当前的访问权限仅限读取。"
)
_ASK_FOR_WRITING = Text(
    "Tell the user: whoever runs the server can give access that may write.",
    "请告知用户：可由服务的运行者授予写入权限。",
)
_NOT_LOADED = Text(
    "There is no such project yet. Tell the user: whoever runs the server can load data into it.",
    "该项目尚不存在。请告知用户：可由服务的运行者为其加载数据。",
)


async def call(operation: Operation[P, R], arguments: Mapping[str, object], deps: Deps) -> R:
    """Read the arguments, check that the operation may run, run it; with consent and a row in the log where it needs them.

    Raises `FenqunError` and nothing else: what is not one is a bug, whose traceback goes to the log under
    an incident id; the caller gets only the id. Cancellation passes through, and so does `Suspended`.
    """
    try:
        sent, token = taken_token(operation, arguments, deps)
        params = read_arguments(operation, sent)
        _may_run(operation, deps)
        tried = getattr(params, "dry_run", False)
        if operation.logged and not tried:
            return _placed(await carry_out(operation, params, sent, deps, token), operation, params, deps)
        result = await operation.run(params, deps)
        answer = tokened(operation, params, sent, deps, result) if tried else result
        return _placed(answer, operation, params, deps)
    except Suspended:
        raise
    except Exception as error:
        known = _known(error)
        if known is not None:
            raise fit_for(known, deps) from known.__cause__
        raise internal_error(operation.name) from error


def _placed(result: R, operation: Operation[P, R], params: P, deps: Deps) -> R:
    """The answer with the account and project that were acted on; on this machine that goes without saying."""
    platform = getattr(deps, operation.system)
    if platform.name == "local":
        return result
    where = f"{platform.name} {platform.account}".strip()
    if operation.system == "segments":
        where += f" (project {deps.project(getattr(params, 'project_id', ''))})"
    if isinstance(result, PartlyTold):
        lacking = deps.lacks(platform.name, operation.name, result.model_dump(exclude_defaults=True))
        result = result.without((fields, deps.say(why)) for fields, why in lacking)
    return result.at(where)


def fit_for(error: FenqunError, deps: Deps) -> FenqunError:
    """The error as this caller may read it: whoever may use some projects only is not told of the others."""
    return NoProject(_NOT_LOADED) if isinstance(error, NoProject) and deps.who.projects is not None else error


def find(operations: Sequence[Operation[Any, Any]], name: str) -> Operation[Any, Any]:
    """The operation of this name. UnknownTool names the nearest."""
    names = [o.name for o in operations]
    if name in names:
        return operations[names.index(name)]
    close = nearest(name, names)
    hint = Text("Did you mean {close}?", "是否想用 {close}？").format(close=close) if close else NOTHING
    raise UnknownTool(
        Text("There is no tool {name}.", "没有工具 {name}。").format(name=shown(name)),
        next_step=hint.then(Text("The tools are: {names}.", "可用工具：{names}。").format(names=listed(names))),
    )


def internal_error(where: str) -> InternalError:
    """Log the exception that is being handled under a new incident id, and make the error that says only the id."""
    incident = secrets.token_hex(4)
    _log.exception("incident %s in %s", incident, where)
    message = Text("Something broke inside the server (incident {incident}).", "服务内部出错（事件编号 {incident}）。")
    return InternalError(
        message.format(incident=incident),
        next_step=Text(
            "The arguments are not to blame. Report the incident id; the server's log on stderr has the details under it.",
            "这不是参数的问题。请上报事件编号；服务的 stderr 日志中有对应的详细信息。",
        ),
    )


def _may_run(operation: Operation[P, R], deps: Deps) -> None:
    """What changes something needs a server that lets it and a caller who may."""
    if not operation.effect.writes:
        return
    if deps.read_only:
        raise ReadOnlyMode(_READ_ONLY.format(tool=operation.name), next_step=_RESTART)
    if not deps.who.may_write:
        raise NotAllowed(_ONLY_READING.format(tool=operation.name), next_step=_ASK_FOR_WRITING)


def _known(error: BaseException) -> FenqunError | None:
    """The error of the house that was raised, also by a single task of a task group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, FenqunError) else None
