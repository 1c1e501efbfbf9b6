"""What is worth a second look in a file of ids: read otherwise than meant, or matching nobody."""

from collections.abc import Iterator

from mcp_server.engine.id_files import IdFile
from mcp_server.engine.id_matching import IdCounts
from mcp_server.errors import Problem
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.qp.problems import finding
from mcp_server.qp.uploaded import Uploaded
from mcp_server.text import NOTHING, Text

PATH = "/path"
_COLUMN = "/main_column_name"
_ELSEWHERE = Text(" They are values of {other}.", "这些值属于 {other}。")
_ONE = Text("one", "一")
_TWO = Text("two", "两")
_SHOWN = {"tab": Text("a tab", "制表符")}
_HEADERS = frozenset(
    {
        "id",
        "ids",
        "uid",
        "userid",
        "user",
        "account",
        "accountid",
        "distinctid",
        "openid",
        "编号",
        "用户",
        "用户id",
        "账号",
        "账号id",
    }
)
"""What first lines are called that are no ids, without case and marks."""


def import_findings(counts: IdCounts, file: IdFile, definition: Uploaded, metadata: Metadata) -> Iterator[Problem]:
    """The warnings about what was read, then those about whom it matched."""
    yield from _about_the_file(counts, file, definition)
    if counts.first and _is_header(counts.first, definition.main_column, metadata):
        yield finding("ids_header", PATH, got=counts.first)
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


def _about_the_file(counts: IdCounts, file: IdFile, definition: Uploaded) -> Iterator[Problem]:
    tag = definition.catalog == TAG
    if file.encoding == "gbk":
        yield finding("ids_encoding_gbk", PATH)
    if counts.swallowed.lines:
        yield finding("ids_swallowed", PATH, line=counts.swallowed.first, lines=f"{counts.swallowed.lines:,}")
    if counts.more_columns:
        yield finding("ids_more_columns", PATH, expected=_TWO if tag else _ONE, n=f"{counts.more_columns:,}")
    if tag and counts.no_value == counts.rows:
        yield finding("ids_value_missing", PATH)
    if counts.conflicts:
        yield finding("ids_values_differ", PATH, n=f"{counts.conflicts:,}")


def _about_the_users(counts: IdCounts, definition: Uploaded) -> Iterator[Problem]:
    column = definition.main_column
    matched_ids = counts.distinct - counts.unmatched_ids
    if not counts.matched_users:
        hint = _ELSEWHERE.format(other=counts.elsewhere) if counts.elsewhere else NOTHING
        yield finding("ids_no_match", _COLUMN, got=column, suggestion=counts.elsewhere, column=column, hint=hint)
    elif counts.matched_users > matched_ids:
        users = f"{counts.matched_users:,}"
        yield finding("ids_shared", _COLUMN, got=column, n=f"{matched_ids:,}", users=users)


def _is_header(first: str, column: str, metadata: Metadata) -> bool:
    """Whether the first id, which matches nobody, is called like a property or like people call ids."""
    plain = _plain(first)
    found = metadata.property("user", column)
    names = {p.name for p in metadata.properties_of("user")} | ({found.names.en, found.names.zh} if found else set())
    return bool(plain) and (plain in _HEADERS or plain in {_plain(name) for name in names})


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
