"""Resources: what a client can attach to a conversation by its address.

`fenqun://qp-guide` is a page; the others are read through the operations, so that whatever binds a tool call
(project, scope) binds them too. A name in an address is percent-encoded where it holds other than letters,
digits, `_`, `-` and `.`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Resource, ResourceTemplate

from mcp_server.errors import FenqunError, InvalidArguments, NotFound
from mcp_server.front import rendering
from mcp_server.front.guide import guide
from mcp_server.operations.calling import call
from mcp_server.operations.clusters import get_cluster
from mcp_server.operations.metadata import describe_data, describe_property
from mcp_server.operations.operation import Deps, Result
from mcp_server.text import Text, listed

SCHEME = "fenqun://"
GUIDE = SCHEME + "qp-guide"
JSON = "application/json"


async def _event(name: str, deps: Deps) -> Result:
    return await call(describe_data, {"event": name, "limit": 100}, deps)


async def _cluster(name: str, deps: Deps) -> Result:
    return await call(get_cluster, {"cluster": name}, deps)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that has addresses: `fenqun://<folder>/{name}`."""

    folder: str
    title: Text
    text: Text
    read: Callable[[str, Deps], Awaitable[Result]]

    @property
    def template(self) -> str:
        return f"{SCHEME}{self.folder}/{{name}}"

    def uri(self, name: str) -> str:
        """The address of one of them."""
        return f"{SCHEME}{self.folder}/{quote(name, safe='')}"


KINDS: tuple[Kind, ...] = (
    Kind(
        "events",
        Text("Event", "事件"),
        Text("An event: how often, since when, and the properties it carries", "事件：次数、时间范围及其携带的属性"),
        _event,
    ),
    Kind(
        "properties",
        Text("Property", "属性"),
        Text("A property: type, values, which events carry it", "属性：类型、取值，以及哪些事件携带它"),
        describe_property,
    ),
    Kind(
        "clusters",
        Text("Cluster or tag", "分群或标签"),
        Text("A cluster or tag: definition, explanation, size, freshness", "分群或标签：定义、解释、人数与新鲜度"),
        _cluster,
    ),
)
BY_FOLDER: Mapping[str, Kind] = {kind.folder: kind for kind in KINDS}
BY_TEMPLATE: Mapping[str, Kind] = {kind.template: kind for kind in KINDS}

EXPORTS = "exports"
MOST_BYTES = 4 * 1024 * 1024
"""Of a file that is read as a resource; a longer one has to be fetched as a file."""

_FILE = Text("An exported file", "导出的文件")
_FILE_TEXT = Text(
    "A file that export_users wrote; its address comes with the export", "export_users 写出的文件，地址见导出结果"
)
_NO_FILES = Text("There are no exported files here.", "这里没有导出的文件。")
_TOO_LONG = Text(
    "{path} is longer than {most} MB: fetch it as a file, by the path or address that export_users gave.",
    "{path} 超过 {most} MB：请按 export_users 给出的路径或地址直接获取文件。",
)
_GUIDE_TITLE = Text("How to write a definition", "如何编写定义")
_NONE = Text(
    "There is nothing at {uri}. Addresses are {guide} and {templates}.",
    "{uri} 不存在。可用地址：{guide}、{templates}。",
)


def listed_resources() -> list[Resource]:
    """What has a fixed address."""
    return [
        Resource(uri=GUIDE, name="qp-guide", title=f"{_GUIDE_TITLE.en} · {_GUIDE_TITLE.zh}", mime_type="text/markdown")
    ]


def listed_templates() -> list[ResourceTemplate]:
    """What is addressed by name."""
    return [
        ResourceTemplate(
            uri_template=kind.template,
            name=kind.folder,
            title=f"{kind.title.en} · {kind.title.zh}",
            description=f"{kind.text.en} · {kind.text.zh}",
            mime_type=JSON,
        )
        for kind in KINDS
    ] + [
        ResourceTemplate(
            uri_template=f"{SCHEME}{EXPORTS}/{{file}}",
            name=EXPORTS,
            title=f"{_FILE.en} · {_FILE.zh}",
            description=f"{_FILE_TEXT.en} · {_FILE_TEXT.zh}",
        )
    ]


async def read(uri: str, deps: Deps) -> ReadResourceContents:
    """The content at an address, in the language of the call.

    Raises ResourceNotFoundError where nothing is there (naming the nearest), ResourceError where it can't be read.
    """
    if uri == GUIDE:
        return ReadResourceContents(content=guide(deps.language), mime_type="text/markdown")
    folder, _, name = uri.removeprefix(SCHEME).partition("/")
    if folder == EXPORTS and name and uri.startswith(SCHEME):
        return _exported(unquote(name), deps)
    kind = BY_FOLDER.get(folder) if uri.startswith(SCHEME) else None
    if kind is None or not name or "/" in name:
        raise _nothing_at(uri, deps)
    try:
        found = await kind.read(unquote(name), deps)
    except NotFound as error:
        raise ResourceNotFoundError(_said(error, deps)) from error
    except InvalidArguments as error:  # no name at all: too long, or not a text
        raise _nothing_at(uri, deps) from error
    except FenqunError as error:
        raise ResourceError(_said(error, deps)) from error
    content = json.dumps(rendering.structured(found), ensure_ascii=False, separators=(",", ":"))
    return ReadResourceContents(content=content, mime_type=JSON)


def _exported(name: str, deps: Deps) -> ReadResourceContents:
    """A file that export_users wrote: text, or bytes of a Parquet file."""
    if deps.exports is None:
        raise ResourceNotFoundError(deps.say(_NO_FILES))
    try:
        path = deps.exports.exported(name, deps.within())
    except NotFound as error:
        raise ResourceNotFoundError(_said(error, deps)) from error
    if path.stat().st_size > MOST_BYTES:
        raise ResourceError(deps.say(_TOO_LONG.format(most=MOST_BYTES >> 20, path=path.name)))
    if path.suffix == ".csv":
        return ReadResourceContents(content=path.read_text(encoding="utf-8"), mime_type="text/csv")
    return ReadResourceContents(content=path.read_bytes(), mime_type="application/vnd.apache.parquet")


def _nothing_at(uri: str, deps: Deps) -> ResourceNotFoundError:
    return ResourceNotFoundError(deps.say(_NONE.format(uri=uri[:200], guide=GUIDE, templates=listed(BY_TEMPLATE))))


def _said(error: FenqunError, deps: Deps) -> str:
    return deps.say(error.message.then(error.next_step))
