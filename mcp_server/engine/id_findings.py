"""What a file of ids itself shows: read otherwise than meant, wherever the ids are matched."""

from collections.abc import Iterator

from mcp_server.engine.id_rows import Swallowed
from mcp_server.errors import Problem
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.problems import finding
from mcp_server.text import Text

PATH = "/path"
_ONE = Text("one", "一")
_TWO = Text("two", "两")
_HEADERS = frozenset(
    ("id", "ids", "uid", "userid", "user", "account", "accountid", "distinctid", "openid", "编号", "用户", "用户id", "账号", "账号id")
)  # fmt: skip
"""What first lines are called that are no ids, without case and marks."""


def about_the_file(
    encoding: str, swallowed: Swallowed, more_columns: int, *, tag: bool, valueless: bool
) -> Iterator[Problem]:
    """`more_columns`: rows with something after the columns that are read; `valueless`: a tag's file without any value."""
    if encoding == "gbk":
        yield finding("ids_encoding_gbk", PATH)
    if swallowed.lines:
        yield finding("ids_swallowed", PATH, line=swallowed.first, lines=f"{swallowed.lines:,}")
    if more_columns:
        yield finding("ids_more_columns", PATH, expected=_TWO if tag else _ONE, n=f"{more_columns:,}")
    if valueless:
        yield finding("ids_value_missing", PATH)


def about_the_header(first: str, column: str, metadata: Metadata) -> Iterator[Problem]:
    """Whether the first id is called like a property or like people call ids."""
    plain, found = _plain(first), metadata.property("user", column)
    names = {p.name for p in metadata.properties_of("user")} | ({found.names.en, found.names.zh} if found else set())
    if plain and (plain in _HEADERS or plain in {_plain(name) for name in names}):
        yield finding("ids_header", PATH, got=first)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
