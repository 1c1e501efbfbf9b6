"""The members of a cluster on ThinkingData as a file here: streamed from its query answer, whole or not at all."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mcp_server.engine import vendor_sql
from mcp_server.engine.members import FORMULA
from mcp_server.platforms.here_port import Here
from mcp_server.platforms.ports import Cluster, Export, OnProgress
from mcp_server.platforms.thinkingdata import codes, replies
from mcp_server.platforms.thinkingdata.api import Api
from mcp_server.platforms.thinkingdata.values import shown
from mcp_server.platforms.vendor import Unreadable, unreadable
from mcp_server.qp.model import TAG
from mcp_server.text import Text

EXPORTING = Text("Fetching the users", "正在获取用户")
_MARK = "\ufeff"
_REPORT_EVERY = 10_000
_FORMULA = re.compile(FORMULA)


class RemoteExport:
    """Writes members of one deployment's clusters as CSV: UTF-8, a header row, local times, lists as JSON."""

    def __init__(self, api: Api, here: Here, secrets: Sequence[str]) -> None:
        self._api = api
        self._here = here
        self._secrets = tuple(secrets)

    async def write(
        self, cluster: Cluster, properties: Sequence[str], stem: str, *, spreadsheet: bool, on_progress: OnProgress
    ) -> Export:
        """The file (`ports.SegmentPlatform.export`)."""
        tag = cluster.catalog == TAG
        own = [p for p in properties if p != "#user_id"]
        value = "tag_value" if cluster.cluster_name.casefold() in map(str.casefold, own) else cluster.cluster_name
        columns = ("#user_id", *([value] if tag else []), *own)
        statement = vendor_sql.members(cluster.project_id, cluster.cluster_name, own, tag=tag)
        temp = self._here.temp_path(".csv")
        try:
            rows = await self._fill(temp, statement, columns, cluster, spreadsheet, on_progress)
            final = await anyio.to_thread.run_sync(self._here.keep_export, temp, stem, "csv")
        finally:
            temp.unlink(missing_ok=True)
        return Export(final, rows, final.stat().st_size, columns)

    async def _fill(
        self,
        temp: Path,
        statement: str,
        columns: Sequence[str],
        cluster: Cluster,
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> int:
        rows = 0
        async with await anyio.open_file(temp, "w", encoding="utf-8", newline="") as file:
            if spreadsheet:
                await file.write(_MARK)
            await file.write(_line(columns, spreadsheet))
            async for row in self._rows(statement, len(columns)):
                await file.write(_line([shown(value) for value in row], spreadsheet))
                rows += 1
                if rows % _REPORT_EVERY == 0 and cluster.users_num:
                    await on_progress(min(99.0, 100 * rows / cluster.users_num), EXPORTING)
        return rows

    async def _rows(self, statement: str, width: int) -> AsyncIterator[list[Any]]:
        """The rows of the answer as they come; the first line is the envelope."""
        first = True
        async for line in _lines(self._api.download(statement)):
            try:
                if first:
                    replies.data_of(line, self._secrets)
                    first = False
                elif line.strip():
                    yield _row(line, width)
            except Unreadable:
                raise unreadable(codes.NAME) from None
        if first:
            raise unreadable(codes.NAME)


def _row(line: bytes, width: int) -> list[Any]:
    try:
        row = json.loads(line, parse_float=str)
    except (ValueError, RecursionError):
        raise Unreadable from None
    if not isinstance(row, list) or len(row) != width:
        raise Unreadable
    return row


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line
    if rest.strip():
        yield rest


def _line(cells: Sequence[str], spreadsheet: bool) -> str:
    """A row of CSV; for spreadsheets, what they would run as a formula gets an apostrophe in front, numbers do not."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([_defused(cell) for cell in cells] if spreadsheet else cells)
    return text.getvalue()


def _defused(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
