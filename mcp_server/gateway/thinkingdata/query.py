"""`/querySql`: one SELECT over the project's tables, its rows as lines."""

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qsl

import anyio
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from mcp_server.errors import FenqunError
from mcp_server.gateway.house import told
from mcp_server.gateway.querying import Queried
from mcp_server.gateway.strict import unknown
from mcp_server.gateway.thinkingdata.answers import (
    MEDIA,
    OF_ERRORS,
    SERVER_ERROR,
    SQL_REFUSED,
    Refusal,
    empty,
    written,
    wrong,
)
from mcp_server.gateway.thinkingdata.asked import Asked, number

FORM: Final = "application/x-www-form-urlencoded"
_TABLE: Final = re.compile(r"(?:v_event|v_user|user_result_cluster)_([1-9][0-9]{0,17})\b", re.IGNORECASE)
_PIECE: Final = 64 * 1024


async def sql(asked: Asked) -> Response:
    """Form fields `sql`, `format` (only json is served) and `timeoutSeconds`."""
    form = await _form(asked)
    statement = form["sql"]
    if form.get("format", "json") != "json":
        raise wrong("format", "仅支持 json")
    seconds = float(number(form["timeoutSeconds"], "timeoutSeconds")) if form.get("timeoutSeconds") else None
    named = _TABLE.search(statement)
    project = named[1] if named else ""
    try:
        rows = await asked.ask(asked.house.query, sql=statement, seconds=seconds, project_id=project)
    except FenqunError as error:
        code = OF_ERRORS.get(error.code, SERVER_ERROR)
        known = error.code in ("invalid_definition", "query_failed")
        raise Refusal(SQL_REFUSED if known else code, told(error, asked.house.deps)) from error
    return StreamingResponse(
        _lines(rows), media_type=MEDIA, background=BackgroundTask(rows.path.unlink, missing_ok=True)
    )


async def _form(asked: Asked) -> dict[str, str]:
    if asked.request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise wrong("Content-Type", FORM)
    try:
        pairs = parse_qsl((await asked.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise wrong("body") from None
    form = dict(pairs)
    stray = unknown(form, "sql", "format", "timeoutSeconds")
    if stray:
        raise wrong(stray[:50], "未知参数")
    if len(form) != len(pairs):
        raise wrong("sql", "重复")
    if not form.get("sql", "").strip():
        raise empty("sql")
    return form


async def _lines(rows: Queried) -> AsyncIterator[bytes]:
    yield written({"headers": list(rows.headers)}) + b"\n"
    async with await anyio.open_file(rows.path, "rb") as file:
        while piece := await file.read(_PIECE):
            yield piece
