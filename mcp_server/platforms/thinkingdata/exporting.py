"""The members of a cluster on ThinkingData as a file here: streamed from its query answer, whole or not at all."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
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
from mcp_server.platforms.vendor import Unreadable, masked, unreadable
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.text import Text

EXPORTING = Text("Fetching the users", "正在获取用户")
_MARK = "\ufeff"
_AT_ONCE = 5_000
"""Rows that are written together: each writing goes through a thread."""
_FORMULA = re.compile(FORMULA)
_PARTS = re.compile(r"\.\d+$")
"""Of a second."""
_PLAIN = ("number", "time", "bool")
"""Values that are no texts: what looks like a formula in them is a sign of a number."""
_QUOTE = '"'
_QUOTED = re.compile(r'[\n\r"#,]')
"""What makes quotes necessary. `#` is there because DuckDB, which writes the files of local clusters, quotes it."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the file, and the type of its values ("" where nobody knows it)."""

    name: str
    kind: str

    def cell(self, value: object, *, defused: bool) -> str:
        """A value as it stands in the file: nothing where it is missing."""
        if value is None:
            return ""
        if isinstance(value, list | dict):
            said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif self.kind == "time":
            said = _PARTS.sub(lambda found: found[0].rstrip("0").rstrip("."), shown(value))
        else:
            said = value if isinstance(value, str) else shown(value)
        return _written(_defused(said) if defused and self.kind not in _PLAIN else said)


def _kind(metadata: Metadata, table: str, name: str) -> str:
    found = metadata.property(table, name)
    return found.type if found else ""


class RemoteExport:
    """Writes members of one deployment's clusters as CSV, to the byte as `local.export` does: UTF-8, a header row,
    local times, lists as JSON, by id."""

    def __init__(self, api: Api, here: Here, secrets: Sequence[str]) -> None:
        self._api = api
        self._here = here
        self._secrets = tuple(secrets)

    async def write(
        self,
        cluster: Cluster,
        properties: Sequence[str],
        stem: str,
        metadata: Metadata,
        *,
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> Export:
        """The file (`ports.SegmentPlatform.export`)."""
        tag = cluster.catalog == TAG
        own = [p for p in dict.fromkeys(properties) if p != "#user_id"]
        value = "tag_value" if cluster.cluster_name.casefold() in map(str.casefold, own) else cluster.cluster_name
        columns = [
            _Column("#user_id", "number"),
            *([_Column(value, _kind(metadata, "cluster", cluster.cluster_name))] if tag else []),
            *(_Column(name, _kind(metadata, "user", name)) for name in own),
        ]
        statement = vendor_sql.members(cluster.project_id, cluster.cluster_name, own, tag=tag)
        temp = self._here.temp_path(".csv")
        try:
            rows = await self._fill(temp, statement, columns, cluster, spreadsheet, on_progress)
            final = await anyio.to_thread.run_sync(self._here.keep_export, temp, stem, "csv")
        finally:
            temp.unlink(missing_ok=True)
        return Export(final, rows, final.stat().st_size, tuple(column.name for column in columns))

    async def _fill(
        self,
        temp: Path,
        statement: str,
        columns: Sequence[_Column],
        cluster: Cluster,
        spreadsheet: bool,
        on_progress: OnProgress,
    ) -> int:
        rows = 0
        head = _line([_written(_defused(column.name) if spreadsheet else column.name) for column in columns])
        waiting = [_MARK, head] if spreadsheet else [head]
        async with await anyio.open_file(temp, "w", encoding="utf-8", newline="") as file:
            async for row in self._rows(statement, len(columns)):
                pairs = zip(columns, row, strict=True)
                waiting.append(_line([column.cell(value, defused=spreadsheet) for column, value in pairs]))
                rows += 1
                if rows % _AT_ONCE == 0:
                    await file.write("".join(waiting))
                    waiting.clear()
                    if cluster.users_num:
                        await on_progress(min(99.0, 100 * rows / cluster.users_num), EXPORTING)
            await file.write("".join(waiting))
        return rows

    async def _rows(self, statement: str, width: int) -> AsyncIterator[list[Any]]:
        """The rows of the answer as they come; the first line is the envelope."""
        first = True
        async for told in _lines(self._api.download(statement)):
            line = masked(told, self._secrets)
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


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\n"


def _defused(said: str) -> str:
    """What a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{said}" if _FORMULA.match(said) else said


def _written(said: str) -> str:
    """With quotes where they are needed, and around the empty text, which is not nothing."""
    return f'"{said.replace(_QUOTE, _QUOTE * 2)}"' if not said or _QUOTED.search(said) else said
