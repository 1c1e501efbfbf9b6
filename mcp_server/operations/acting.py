"""Carrying out what changes something: consent where it destroys, a row in the log before, its outcome after."""

import logging
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from mcp_server.errors import (
    ChangedMeanwhile,
    ConsentDeclined,
    ConsentInvalid,
    FenqunError,
    InvalidArguments,
    OutcomeUnknown,
)
from mcp_server.operations.consenting import Act, Agreed, agreed, digest, with_token
from mcp_server.operations.operation import Deps, Operation, Params, Result
from mcp_server.operations.redacting import redacted, told
from mcp_server.platforms.ledger_port import Outcome, Subject, Way
from mcp_server.text import Text

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
