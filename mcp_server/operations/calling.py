"""The one way in which an operation is called, from MCP and from the command line alike."""

import logging
import secrets
from collections.abc import Mapping
from typing import TypeVar

from mcp_server.errors import FenqunError, InternalError, ReadOnlyMode
from mcp_server.operations.operation import Deps, Operation, Params, Result
from mcp_server.operations.reading import read_arguments
from mcp_server.text import Text

P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)

_log = logging.getLogger("fenqun")


async def call(operation: Operation[P, R], arguments: Mapping[str, object], deps: Deps) -> R:
    """Read the arguments, check that the operation may run, run it.

    Raises `FenqunError` and nothing else: what is not one is a bug, whose traceback goes to the log under
    an incident id; the caller gets only the id. Cancellation passes through.
    """
    try:
        params = read_arguments(operation, arguments)
        _may_run(operation, deps)
        return await operation.run(params, deps)
    except Exception as error:
        known = _known(error)
        if known is not None:
            raise known from known.__cause__
        incident = secrets.token_hex(4)
        _log.exception("incident %s in %s", incident, operation.name)
        raise _internal(incident) from error


def _may_run(operation: Operation[P, R], deps: Deps) -> None:
    if deps.read_only and operation.effect.writes:
        raise ReadOnlyMode(
            Text(
                "{tool} changes something, and this server is read-only.", "{tool} 会改动数据,而本服务处于只读模式。"
            ).format(tool=operation.name),
            next_step=Text(
                "Tell the user: whoever runs the server can start it without --read-only (and without FENQUN_READ_ONLY).",
                "请告知用户:由服务的运行者去掉 --read-only(以及 FENQUN_READ_ONLY)后重启。",
            ),
        )


def _known(error: BaseException) -> FenqunError | None:
    """The error of the house that was raised, also by a single task of a task group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, FenqunError) else None


def _internal(incident: str) -> InternalError:
    return InternalError(
        Text("Something broke inside the server (incident {incident}).", "服务内部出错(事件编号 {incident})。").format(
            incident=incident
        ),
        next_step=Text(
            "Nothing is wrong with the arguments. Report the incident id; the server's log on stderr has the details under it.",
            "参数没有问题。请上报事件编号;服务的 stderr 日志中有对应的详细信息。",
        ),
    )
