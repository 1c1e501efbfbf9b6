"""Resources: what a client can attach to a conversation by its address. They are read in `attaching.py`.

`fenqun://qp-guide` is a page; the other addresses hold a name, percent-encoded where it has characters other than
letters, digits, `_`, `-` and `.`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mcp_types import Resource, ResourceTemplate

from mcp_server.text import Text

SCHEME = "fenqun://"
GUIDE = SCHEME + "qp-guide"
JSON = "application/json"
_MEDIA_TYPES: Mapping[str, str] = {".csv": "text/csv", ".json": JSON, ".parquet": "application/vnd.apache.parquet"}


Folder = Literal["events", "properties", "clusters", "exports"]


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of resource with addresses by name: `fenqun://<folder>/{name}`."""

    folder: Folder
    title: Text
    text: Text
    place: str = "name"
    media_type: str | None = JSON

    @property
    def template(self) -> str:
        return f"{SCHEME}{self.folder}/{{{self.place}}}"


KINDS: tuple[ResourceKind, ...] = (
    ResourceKind(
        "events",
        Text("Event", "事件"),
        Text("An event: how often, since when, and the properties it carries", "事件：次数、时间范围及其携带的属性"),
    ),
    ResourceKind(
        "properties",
        Text("Property", "属性"),
        Text("A property: type, values, which events carry it", "属性：类型、取值，以及哪些事件携带它"),
    ),
    ResourceKind(
        "clusters",
        Text("Cluster or tag", "分群或标签"),
        Text("A cluster or tag: definition, explanation, size, freshness", "分群或标签：定义、解释、人数与新鲜度"),
    ),
)
"""Those whose names can be completed."""
BY_TEMPLATE: Mapping[str, ResourceKind] = {kind.template: kind for kind in KINDS}

FILES = ResourceKind(
    "exports",
    Text("An exported file", "导出的文件"),
    Text(
        "A file that export_users wrote; its address comes with the export", "export_users 写出的文件，地址见导出结果"
    ),
    place="file",
    media_type=None,
)
_GUIDE_TITLE = Text("How to write a definition", "如何编写定义")


def media_type(file: str) -> str:
    """The media type of an exported file, by its name."""
    return _MEDIA_TYPES.get(PurePosixPath(file).suffix, "application/octet-stream")


def listed_resources() -> list[Resource]:
    """The resources with a fixed address."""
    return [
        Resource(uri=GUIDE, name="qp-guide", title=f"{_GUIDE_TITLE.en} · {_GUIDE_TITLE.zh}", mime_type="text/markdown")
    ]


def listed_templates() -> list[ResourceTemplate]:
    """The kinds of resources that are addressed by name."""
    return [
        ResourceTemplate(
            uri_template=kind.template,
            name=kind.folder,
            title=f"{kind.title.en} · {kind.title.zh}",
            description=f"{kind.text.en} · {kind.text.zh}",
            mime_type=kind.media_type,
        )
        for kind in (*KINDS, FILES)
    ]
