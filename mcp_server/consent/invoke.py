"""The one way to invoke an operation, from MCP and from the command line alike; changes with consent and a log row."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp_server.consent.consenting import Act, Agreed, agreed, with_token
from mcp_server.consent.redacting import cleaned, digest, redacted
from mcp_server.errors import (
    ChangedMeanwhile,
    ConsentDeclined,
    ConsentInvalid,
    FenqunError,
    InternalError,
    InvalidArguments,
    NoData,
    NoProject,
    NotAllowed,
    OutcomeUnknown,
    ReadOnlyMode,
    UnknownTool,
)
from mcp_server.language.suggest import nearest
from mcp_server.operations.arguments import read_arguments, shown
from mcp_server.operations.operation import Deps, Operation, P, Params, PartialResult, R, Suspended
from mcp_server.store.ledger import Outcome, Subject, Way
from mcp_server.text import NOTHING, Text, listed

CARRIER: Final = "consent_token"
"""The argument that carries the token of a dry run; it exists only where the operator accepts tokens."""
MOST_AFTER: Final = 500
"""Characters of the outcome that the log keeps."""

_log = logging.getLogger("fenqun")

_READ_ONLY = Text(
    "{tool} changes something, and this server is read-only.", "{tool} 会改动数据，而本服务处于只读模式。"
)
_RESTART = Text(
    "Tell the user: the operator of the server can start it without --read-only (and without FENQUN_READ_ONLY).",
    "请告知用户：由服务的运行者去掉 --read-only（以及 FENQUN_READ_ONLY）后重启。",
)
_ONLY_READING = Text(
    "{tool} changes something, and this access may only read.", "{tool} 会改动数据，而当前的访问权限仅限读取。"
)
_ASK_FOR_WRITING = Text(
    "Tell the user: the operator of the server can give access that may write.",
    "请告知用户：可由服务的运行者授予写入权限。",
)
_NOT_LOADED = Text(
    "There is no such project yet. Tell the user: the operator of the server can load data into it.",
    "该项目尚不存在。请告知用户：可由服务的运行者为其加载数据。",
)
_OPERATOR_LOADS = Text(
    "Tell the user: the operator of the server can load data into it.", "请告知用户：可由服务的运行者为其加载数据。"
)
_SEND = Text(
    "Ask the user for a file of their own (Excel, CSV, JSON, Parquet): send it with POST {url}; look_at_file and load_file take the path that the answer names.",
    "请让用户提供自己的文件（Excel、CSV、JSON 或 Parquet）：用 POST {url} 发送，再以返回的 path 调用 look_at_file 和 load_file。",
)
_TOO_DEEP = Text("The arguments are nested too deeply.", "参数嵌套过深。")
_NOT_A_TOKEN = Text("consent_token is a text.", "consent_token 应为文本。")


async def invoke(operation: Operation[P, R], arguments: Mapping[str, object], deps: Deps) -> R:
    """Read the arguments, check that the operation may run, run it; with consent and a row in the log where it needs them.

    Raises `FenqunError` and nothing else: any other exception is a bug, whose traceback goes to the log under
    an incident id; the caller gets only the id. Cancellation passes through, and so does `Suspended`.
    """
    try:
        arguments, token = _without_token(operation, arguments, deps)
        params = read_arguments(operation, arguments)
        _check_may_run(operation, deps)
        tried = getattr(params, "dry_run", False)
        if operation.logged and not tried:
            result = await carry_out(operation, params, arguments, deps, token)
        else:
            result = await operation.run(params, deps)
            if tried and not result.unchanged and takes_token(operation, deps):
                result = with_token(_act(operation, params, arguments, deps), result)
        return _with_platform(result, operation, params, deps)
    except Suspended:
        raise
    except Exception as error:
        known = _own_error(error)
        if known is not None:
            raise error_for(known, deps) from known.__cause__
        raise internal_error(operation.name) from error


_CLUSTER_WORDS = dict.fromkeys(("segment", "audience", "group", "cohort"), "cluster") | {
    f"{other}s": "clusters" for other in ("segment", "audience", "group", "cohort")
}
"""What others call a cluster."""


def find(operations: Sequence[Operation[Any, Any]], name: str) -> Operation[Any, Any]:
    """The operation of this name. UnknownTool names the nearest."""
    names = [o.name for o in operations]
    if name in names:
        return operations[names.index(name)]
    words = [_CLUSTER_WORDS.get(word, word) for word in name.casefold().split("_")]
    close = nearest("_".join(words), names)
    hint = Text("Did you mean {close}?", "是否想用 {close}？").format(close=close) if close else NOTHING
    raise UnknownTool(
        Text("There is no tool {name}.", "没有工具 {name}。").format(name=shown(name)),
        next_step=hint.then(Text("The tools are: {names}.", "可用工具：{names}。").format(names=listed(names))),
    )


def _check_may_run(operation: Operation[P, R], deps: Deps) -> None:
    """Refuse a change where the server or the caller's access is read-only."""
    if not operation.effect.writes:
        return
    if deps.read_only:
        raise ReadOnlyMode(_READ_ONLY.format(tool=operation.name), next_step=_RESTART)
    if not deps.caller.may_write:
        raise NotAllowed(_ONLY_READING.format(tool=operation.name), next_step=_ASK_FOR_WRITING)


def _with_platform(result: R, operation: Operation[P, R], params: P, deps: Deps) -> R:
    """The answer with the account and project that were acted on; on this machine that goes without saying."""
    platform = getattr(deps, operation.system)
    if platform.name == "local":
        return result
    account = f"{platform.name} {platform.account}".strip()
    if operation.system == "segments":
        account += f" (project {_project(params, deps)})"
    if isinstance(result, PartialResult):
        absent = deps.absent_fields(platform.name, operation.name, result.model_dump(exclude_defaults=True))
        result = result.with_not_told((fields, deps.say(why)) for fields, why in absent)
    return result.on_platform(account)


def _project(params: Params, deps: Deps) -> str:
    """NotAllowed where the project is out of reach."""
    return deps.project(getattr(params, "project_id", ""))


# Errors


def error_for(error: FenqunError, deps: Deps) -> FenqunError:
    """The error as this caller may read it.

    Access to some projects must not reveal which others exist; callers from afar learn no path of this machine, and
    send files where they may write.
    """
    if isinstance(error, NoProject) and deps.caller.projects is not None:
        return NoProject(_NOT_LOADED)
    if isinstance(error, NoData | NoProject) and deps.files is not None:
        sends = deps.caller.may_write and not deps.read_only and deps.data is not None
        return type(error)(
            error.message, next_step=_SEND.format(url=deps.files.upload_url) if sends else _OPERATOR_LOADS
        )
    return error


def internal_error(where: str) -> InternalError:
    """Log the exception that is being handled under a new incident id, and make the error that shows only the id."""
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


def _own_error(error: BaseException) -> FenqunError | None:
    """The FenqunError that was raised, also by a single task of a task group; None for any other error."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, FenqunError) else None


# Acts: consent where they destroy, a row in the log before, the outcome after


def takes_token(operation: Operation[Any, Any], deps: Deps) -> bool:
    """Whether a call of it may bring the token of a dry run."""
    if not operation.effect.destroys or deps.consent.mode != "token":
        return False
    return deps.consent.mode_on(getattr(deps, operation.system).name) == "token"


def _without_token(
    operation: Operation[P, R], arguments: Mapping[str, object], deps: Deps
) -> tuple[Mapping[str, object], str]:
    """The arguments without the token of a dry run, and the token. Where none is taken it is an unknown argument."""
    if CARRIER not in arguments or not takes_token(operation, deps):
        return arguments, ""
    token = arguments[CARRIER]
    if not isinstance(token, str):
        raise InvalidArguments(_NOT_A_TOKEN)
    return {name: value for name, value in arguments.items() if name != CARRIER}, token


async def carry_out(
    operation: Operation[P, R], params: P, arguments: Mapping[str, object], deps: Deps, token: str = ""
) -> R:
    """Run an operation that changes something or hands out users.

    The row in the log is written before it begins, in the transaction that uses up the consent: if that fails,
    nothing is done. Its outcome is written after; if that fails, the act has still happened and is answered.
    """
    act = _act(operation, params, arguments, deps)
    try:
        given = await agreed(act, token) if operation.effect.destroys else Agreed()
        if not isinstance(given, Agreed):
            return given
        entry = deps.required_ledger().begin(
            act.subject, before=given.before, consent=given.consent, way=given.way, by=given.by
        )
    except (ConsentDeclined, ConsentInvalid, ChangedMeanwhile) as error:
        way: Way = "token" if token else deps.ask.way
        log_refusal(deps, act.subject, f"{error.code}: {deps.say(error.message)}", way=way, by=deps.ask.answered_by)
        raise
    try:
        result = await operation.run(params, deps.with_basis(given.basis))
    except FenqunError as error:
        outcome: Outcome = "unknown" if isinstance(error, OutcomeUnknown) else "failed"
        _end(deps, entry, outcome, f"{error.code}: {deps.say(error.message)}")
        raise
    except Exception as error:
        _end(deps, entry, "failed", type(error).__name__)
        raise
    except BaseException:
        _end(deps, entry, "cancelled", "")
        raise
    _end(deps, entry, "done", result.message)
    return result


def log_refusal(deps: Deps, subject: Subject, why: str, *, way: Way, by: str) -> None:
    """Write a row for what was not done, because a person declined or a consent did not hold."""
    try:
        entry = deps.required_ledger().begin(subject, before="", consent=None, way=way, by=by)
    except FenqunError:  # it is refused, whatever happens to the log
        _log.warning("a refusal of %s could not be written", subject.tool, exc_info=True)
        return
    _end(deps, entry, "refused", why)


def _end(deps: Deps, entry: int, outcome: Outcome, after: str) -> None:
    try:
        deps.required_ledger().end(entry, outcome, cleaned(after)[:MOST_AFTER])
    except Exception:  # noqa: BLE001 - the act is over, whatever happens to the log; the row stays without an outcome
        _log.warning("the outcome of act %s could not be written", entry, exc_info=True)


def _act(operation: Operation[P, R], params: P, arguments: Mapping[str, object], deps: Deps) -> Act[P, R]:
    """The call as it is bound and logged."""
    platform, caller, project = getattr(deps, operation.system), deps.caller, _project(params, deps)
    # What it is about, without the arguments that say where and whether.
    values = {n: getattr(params, n) for n in type(params).model_fields if n not in ("dry_run", "project_id")}
    try:
        fixed = digest(operation.name, values, caller.known, caller.name, platform.name, platform.account, project)
    except RecursionError:
        raise InvalidArguments(_TOO_DEEP) from None
    subject = Subject(
        tool=operation.name,
        effect=operation.effect.value,
        arguments=redacted(arguments, deps.required_ledger().key("log")),
        digest=fixed,
        name=caller.name,
        known=caller.known,
        client=f"{caller.client} {caller.client_version}".strip(),
        platform=platform.name,
        account=platform.account,
        project=project,
    )
    return Act(operation, params, arguments, deps, subject)
