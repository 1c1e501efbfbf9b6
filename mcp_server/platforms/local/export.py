"""Writing the members of a cluster to a file, in the workspace's `exports/` folder."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from mcp_server.engine.duck import DataFile, Engine
from mcp_server.engine.members import members_query
from mcp_server.errors import FenqunError
from mcp_server.platforms.local.control import Control
from mcp_server.platforms.local.records import VersionRecord
from mcp_server.platforms.local.workspace import Workspace, explained
from mcp_server.platforms.ports import Export
from mcp_server.qp.metadata import Metadata, Property
from mcp_server.qp.numbers import plain
from mcp_server.qp.window import local, show_time

_OPTIONS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}
USER_ID = Property(table="user", name="#user_id", type="number", scale=0)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHUNK = 1 << 20


def exported_columns(
    metadata: Metadata, properties: Sequence[str], value: Property | None = None
) -> tuple[Property, ...]:
    """The columns of an export: `#user_id`, a tag's value, then the properties asked for (which the caller has checked).

    The value is named like the tag, or `tag_value` where a property of that name is asked for too.
    """
    found = [metadata.property("user", name) for name in properties if name != USER_ID.name]
    columns = dict.fromkeys(p for p in found if p is not None)
    if value is None:
        return (USER_ID, *columns)
    if value.name.casefold() in {p.name.casefold() for p in columns}:
        value = value.model_copy(update={"name": "tag_value"})
    return (USER_ID, value, *columns)


def export_members(
    engine: Engine,
    workspace: Workspace,
    data: DataFile,
    version: VersionRecord,
    *,
    name: str,
    columns: Sequence[Property],
    zone: str,
    file_format: Literal["csv", "parquet"],
    spreadsheet: bool,
    control: Control,
) -> Export:
    """Write a version's members with some of their properties; the file appears whole or not at all.

    CSV: UTF-8, header row, times in the project's local time, lists as JSON. For spreadsheets it begins with a
    byte-order mark, and a text that a spreadsheet would run as a formula is written with a leading apostrophe.
    """
    members = workspace.absolute(version.file)
    as_text = file_format == "csv"
    temp = control.temp_path(f".{file_format}")
    rows = engine.copy(
        data,
        lambda tables: members_query(tables, members, columns, zone, as_text=as_text, defused=spreadsheet and as_text),
        temp,
        _OPTIONS[file_format],
        control,
    )
    if spreadsheet and as_text:
        temp = _marked(temp, control.temp_path(".csv"))
    with explained(workspace.root):
        final = reserved(workspace.exports, name, file_format)
    try:
        workspace.publish(temp, final)
    except FenqunError:
        final.unlink(missing_ok=True)
        raise
    return Export(final, rows, final.stat().st_size, tuple(c.name for c in columns))


def _marked(source: Path, target: Path) -> Path:
    """A copy that begins with a byte-order mark, which spreadsheets need to read UTF-8."""
    with source.open("rb") as old, target.open("wb") as new:
        new.write(BYTE_ORDER_MARK)
        while chunk := old.read(_CHUNK):
            new.write(chunk)
    return target


def reserved(folder: Path, name: str, suffix: str) -> Path:
    """A new, empty file whose name nobody else gets, in this process or another."""
    path, count = folder / f"{name}.{suffix}", 1
    while True:
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            count += 1
            path = folder / f"{name}_{count}.{suffix}"
        else:
            return path


def shown_value(value: object, zone: ZoneInfo) -> str:
    """A value of a user as text: times in local time, lists as JSON, numbers as written."""
    if isinstance(value, datetime):
        return show_time(local(value, zone))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
