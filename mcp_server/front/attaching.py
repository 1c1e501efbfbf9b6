"""Reading resources: the content at an address.

Everything but the guide and files is read through the operations, so that whatever binds a tool call (project,
scope) binds it too.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import unquote

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from mcp_server.errors import FenqunError, InvalidArguments, NotFound
from mcp_server.front import rendering
from mcp_server.front.guide import guide
from mcp_server.front.long_answers import answered
from mcp_server.front.rendering import Data
from mcp_server.front.resources import BY_TEMPLATE, EXPORTS, GUIDE, JSON, SCHEME, media_type
from mcp_server.operations.clusters import get_cluster
from mcp_server.operations.metadata import describe_data, describe_property
from mcp_server.operations.operation import Deps
from mcp_server.text import Text, listed

MOST_BYTES = 4 * 1024 * 1024
"""Of a file that is read as a resource; a longer one has to be fetched as a file."""

_TEXTS: Final = (".csv", ".json")
_NO_FILES = Text("There are no exported files here.", "这里没有导出的文件。")
_TOO_LONG = Text(
    "{path} is longer than {most} MB: fetch it as a file, by the path or address that export_users gave.",
    "{path} 超过 {most} MB：请按 export_users 给出的路径或地址直接获取文件。",
)
_NONE = Text(
    "There is nothing at {uri}. Addresses are {guide} and {templates}.",
    "{uri} 不存在。可用地址：{guide}、{templates}。",
)


async def _event(name: str, deps: Deps) -> Data:
    return (await answered(describe_data, {"event": name, "limit": 100}, deps)).data


async def _property(name: str, deps: Deps) -> Data:
    return rendering.structured(await describe_property(name, deps))


async def _cluster(name: str, deps: Deps) -> Data:
    return (await answered(get_cluster, {"cluster": name}, deps)).data


_READERS: Final[Mapping[str, Callable[[str, Deps], Awaitable[Data]]]] = {
    "events": _event,
    "properties": _property,
    "clusters": _cluster,
}
"""How each kind of `resources.KINDS` is read, by its folder."""


async def read(uri: str, deps: Deps) -> ReadResourceContents:
    """The content at an address, in the language of the call.

    Raises ResourceNotFoundError where nothing is there (naming the nearest), ResourceError where it can't be read.
    """
    if uri == GUIDE:
        return ReadResourceContents(content=guide(deps.language), mime_type="text/markdown")
    folder, _, name = uri.removeprefix(SCHEME).partition("/")
    if folder == EXPORTS and name and uri.startswith(SCHEME):
        return _exported(unquote(name), deps)
    reader = _READERS.get(folder) if uri.startswith(SCHEME) else None
    if reader is None or not name or "/" in name:
        raise _nothing_at(uri, deps)
    try:
        found = await reader(unquote(name), deps)
    except NotFound as error:
        raise ResourceNotFoundError(_said(error, deps)) from error
    except InvalidArguments as error:  # no name at all: too long, or not a text
        raise _nothing_at(uri, deps) from error
    except FenqunError as error:
        raise ResourceError(_said(error, deps)) from error
    return ReadResourceContents(content=rendering.compact(found), mime_type=JSON)


def _exported(name: str, deps: Deps) -> ReadResourceContents:
    """A file that export_users wrote, or an answer that was too long: text, or bytes of a Parquet file."""
    if deps.exports is None:
        raise ResourceNotFoundError(deps.say(_NO_FILES))
    try:
        path = deps.exports.exported(name, deps.within())
    except NotFound as error:
        raise ResourceNotFoundError(_said(error, deps)) from error
    if path.stat().st_size > MOST_BYTES:
        raise ResourceError(deps.say(_TOO_LONG.format(most=MOST_BYTES >> 20, path=path.name)))
    content = path.read_text(encoding="utf-8") if path.suffix in _TEXTS else path.read_bytes()
    return ReadResourceContents(content=content, mime_type=media_type(path.name))


def _nothing_at(uri: str, deps: Deps) -> ResourceNotFoundError:
    return ResourceNotFoundError(deps.say(_NONE.format(uri=uri[:200], guide=GUIDE, templates=listed(BY_TEMPLATE))))


def _said(error: FenqunError, deps: Deps) -> str:
    return deps.say(error.message.then(error.next_step))
