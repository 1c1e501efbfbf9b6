"""ThinkingData's envelope: HTTP 200 whatever happened, `return_code` says what.

The vendor publishes three codes that concern us (te-api.md section 8). All others below are invented; clients have to
take any unknown negative code for an error.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from mcp_server.errors import FenqunError
from mcp_server.gateway.house import told
from mcp_server.operations.operation import Deps
from mcp_server.platforms.thinkingdata.codes import EMPTY_PARAMETER, SUCCESS, TOO_FREQUENT, WRONG_ITEM

# Invented codes.
WRONG_TOKEN: Final = -1901
WRONG_PARAMETER: Final = -1902
NAME_TAKEN: Final = -1903
WRONG_DEFINITION: Final = -1904
IN_USE: Final = -1905
WRONG_STATE: Final = -1906
READ_ONLY: Final = -1907
SQL_REFUSED: Final = -1908
TOO_LONG: Final = -1909
SERVER_ERROR: Final = -1910

OF_ERRORS: Final[Mapping[str, int]] = {
    "invalid_arguments": WRONG_PARAMETER,
    "load_refused": WRONG_PARAMETER,
    "invalid_definition": WRONG_DEFINITION,
    "not_found": WRONG_ITEM,
    "no_project": WRONG_ITEM,
    "no_data": WRONG_ITEM,
    "name_taken": NAME_TAKEN,
    "cluster_in_use": IN_USE,
    "not_refreshable": WRONG_STATE,
    "not_computed": WRONG_STATE,
    "changed_meanwhile": WRONG_STATE,
    "read_only": READ_ONLY,
    "not_allowed": READ_ONLY,
    "query_failed": SQL_REFUSED,
    "workspace_busy": TOO_FREQUENT,
}
"""The code of each error of ours; SERVER_ERROR for any other."""

MEDIA: Final = "application/json;charset=utf-8"
"""As in the page's trace."""


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Nothing:
    """The envelope has no `data`."""


NOTHING: Final = Nothing()


def empty(name: str) -> Refusal:
    """The page's own error: a parameter that is needed is missing or empty."""
    return Refusal(EMPTY_PARAMETER, f"参数({name})为空")


def wrong(name: str, why: str = "") -> Refusal:
    """A parameter that is not as it has to be. (Invented words.)"""
    return Refusal(WRONG_PARAMETER, f"参数({name})错误" + (f": {why}" if why else ""))


def refusal_of(error: FenqunError, deps: Deps) -> Refusal:
    """An error of an operation in the vendor's form."""
    return Refusal(OF_ERRORS.get(error.code, SERVER_ERROR), told(error, deps))


def written(data: Any, code: int = SUCCESS, message: str = "success") -> bytes:
    """The envelope on one line."""
    fields = {} if data is NOTHING else {"data": data}
    return json.dumps(
        fields | {"return_code": code, "return_message": message}, ensure_ascii=False, separators=(",", ":")
    ).encode("utf-8", "replace")


def answered(data: Any) -> Response:
    """A success."""
    return Response(written(data), media_type=MEDIA)


def refused(refusal: Refusal) -> Response:
    """A refusal."""
    return Response(written(NOTHING, refusal.code, refusal.message), media_type=MEDIA)
