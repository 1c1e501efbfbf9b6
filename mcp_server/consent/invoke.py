"""The one way in which an operation is invoked, from MCP and from the command line alike; changes with consent and a log row."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from mcp_server.consent.consenting import Act, Agreed, agreed, digest, with_token
from mcp_server.consent.redacting import redacted, told
from mcp_server.errors import (
    ChangedMeanwhile,
    ConsentDeclined,
    ConsentInvalid,
    FenqunError,
    InternalError,
    InvalidArguments,
    NoProject,
    NotAllowed,
    OutcomeUnknown,
    ReadOnlyMode,
    UnknownTool,
)
from mcp_server.language.suggest import nearest
from mcp_server.operations.arguments import read_arguments, shown
from mcp_server.operations.asking import Suspended
from mcp_server.operations.operation import Deps, Operation, Params, PartlyTold, Result
from mcp_server.store.ledger import Outcome, Subject, Way
from mcp_server.text import NOTHING, Text, listed

# Carrying out what changes something: consent where it destroys, a row in the log before, its outcome after.


P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)

CARRIER: Final = "consent_token"
"""The argument that carries the token of a dry run; it exists only where the operator accepts tokens."""
MOST_AFTER: Final = 500
"""Characters of the outcome that the log keeps."""

_log = logging.getLogger("fenqun")

_TOO_DEEP = Text("The arguments are nested too deeply.", "参数嵌套过深。")
_NOT_A_TOKEN = Text("consent_token is a text.", "consent_token 应为文本。")


def takes_token(operation: Operation[Any, Any], deps: Deps) -> bool:
    """Whether a call of it may bring the token of a dry run."""
    may = operation.effect.destroys and deps.consenting.mode == "token"
    return may and deps.consenting.on(_platform(operation, deps)) == "token"


def taken_token(
    operation: Operation[P, R], arguments: Mapping[str, object], deps: Deps
) -> tuple[Mapping[str, object], str]:
    """The arguments without the token of a dry run, and the token. Where none is taken it is an unknown argument."""
    if CARRIER not in arguments or not takes_token(operation, deps):
        return arguments, ""
    token = arguments[CARRIER]
    if not isinstance(token, str):
        raise InvalidArguments(_NOT_A_TOKEN)
    return {name: value for name, value in arguments.items() if name != CARRIER}, token


def tokened(operation: Operation[P, R], params: P, sent: Mapping[str, object], deps: Deps, tried: R) -> R:
    """The answer of a dry run; with a token, where that is consent here."""
    if tried.idle or not takes_token(operation, deps):
        return tried
    return with_token(_act(operation, params, sent, deps), tried)


async def carry_out(
    operation: Operation[P, R], params: P, sent: Mapping[str, object], deps: Deps, token: str = ""
) -> R:
    """Run an operation that changes something or hands out users.

    The row in the log is written before it begins, in the transaction that uses up the consent: if that fails,
    nothing is done. Its outcome is written after; if that fails, the act has still happened and is answered.
    """
    act = _act(operation, params, sent, deps)
    try:
        given = await agreed(act, token) if operation.effect.destroys else Agreed()
        if not isinstance(given, Agreed):
            return given
        entry = deps.books().begin(act.subject, before=given.before, consent=given.consent, way=given.way, by=given.by)
    except (ConsentDeclined, ConsentInvalid, ChangedMeanwhile) as error:
        way: Way = "token" if token else deps.ask.way
        note_refusal(deps, act.subject, f"{error.code}: {deps.say(error.message)}", way=way, by=deps.ask.by)
        raise
    try:
        result = await operation.run(params, deps.after(given.basis))
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


def note_refusal(deps: Deps, subject: Subject, why: str, *, way: Way, by: str) -> None:
    """A row for what was not done, because a person said no or a consent did not hold: it tells what was wanted."""
    try:
        entry = deps.books().begin(subject, before="", consent=None, way=way, by=by)
    except FenqunError:  # it is refused, whatever the log says
        _log.warning("a refusal of %s could not be written", subject.tool, exc_info=True)
        return
    _end(deps, entry, "refused", why)


def _end(deps: Deps, entry: int, outcome: Outcome, after: str) -> None:
    try:
        deps.books().end(entry, outcome, told(after)[:MOST_AFTER])
    except Exception:  # noqa: BLE001 - the act is over, whatever the log says; the row stays without an outcome
        _log.warning("the outcome of act %s could not be written", entry, exc_info=True)


def _act(operation: Operation[P, R], params: P, sent: Mapping[str, object], deps: Deps) -> Act[P, R]:
    """The call as it is bound and logged. NotAllowed where the project is out of reach."""
    platform, who = getattr(deps, operation.system), deps.who
    project = deps.project(getattr(params, "project_id", ""))
    account = platform.account
    try:
        fixed = digest(operation.name, _values(params), who.known, who.name, platform.name, account, project)
    except RecursionError:
        raise InvalidArguments(_TOO_DEEP) from None
    subject = Subject(
        tool=operation.name,
        effect=operation.effect.value,
        arguments=redacted(sent, deps.books().key("log")),
        digest=fixed,
        name=who.name,
        known=who.known,
        client=f"{who.client} {who.client_version}".strip(),
        platform=platform.name,
        account=account,
        project=project,
    )
    return Act(operation, params, sent, deps, subject)


def _values(params: Params) -> dict[str, object]:
    """The arguments as they were read, without those that say where and whether."""
    return {n: getattr(params, n) for n in type(params).model_fields if n not in ("dry_run", "project_id")}


def _platform(operation: Operation[Any, Any], deps: Deps) -> str:
    name: str = getattr(deps, operation.system).name
    return name


# The one way in which an operation is called, from MCP and from the command line alike.


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
