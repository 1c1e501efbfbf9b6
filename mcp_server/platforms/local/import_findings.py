"""What is worth a second look in a file of ids: read otherwise than meant, or matching nobody."""

from collections.abc import Iterator

from mcp_server.engine.id_files import IdFile
from mcp_server.engine.id_findings import PATH, about_the_file, about_the_header
from mcp_server.engine.id_matching import IdCounts
from mcp_server.errors import Problem
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.qp.problems import finding
from mcp_server.qp.uploaded import Uploaded
from mcp_server.text import NOTHING, Text

_COLUMN = "/main_column_name"
_ELSEWHERE = Text(" They are values of {other}.", "这些值属于 {other}。")
_SHOWN = {"tab": Text("a tab", "制表符")}


def import_findings(counts: IdCounts, file: IdFile, definition: Uploaded, metadata: Metadata) -> Iterator[Problem]:
    """The warnings about what was read, then those about whom it matched."""
    tag = definition.catalog == TAG
    yield from about_the_file(
        file.encoding, counts.swallowed, counts.more_columns, tag=tag, valueless=tag and counts.no_value == counts.rows
    )
    if counts.conflicts:
        yield finding("ids_values_differ", PATH, n=f"{counts.conflicts:,}")
    yield from about_the_header(counts.first, definition.main_column, metadata)
    for mark, n in counts.delimiters:
        yield finding(
            "ids_delimiter", PATH, got=mark, n=f"{n:,}", mark=_SHOWN.get(mark, Text(f'"{mark}"', f"“{mark}”"))
        )
    example, shortened = counts.rounded
    if shortened:
        yield finding("ids_rounded", PATH, got=example, n=f"{shortened:,}")
    if counts.zero_bytes:
        yield finding("ids_zero_bytes", PATH, n=f"{counts.zero_bytes:,}")
    yield from _about_the_users(counts, definition)


def _about_the_users(counts: IdCounts, definition: Uploaded) -> Iterator[Problem]:
    column = definition.main_column
    matched_ids = counts.distinct - counts.unmatched_ids
    if not counts.matched_users:
        hint = _ELSEWHERE.format(other=counts.elsewhere) if counts.elsewhere else NOTHING
        yield finding("ids_no_match", _COLUMN, got=column, suggestion=counts.elsewhere, column=column, hint=hint)
    elif counts.matched_users > matched_ids:
        users = f"{counts.matched_users:,}"
        yield finding("ids_shared", _COLUMN, got=column, n=f"{matched_ids:,}", users=users)
