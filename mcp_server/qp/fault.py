"""One refusal of the strict models, with what stands around it, as the messages about it need it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mcp_server.qp.keys import Keys, Path
from mcp_server.qp.metadata import Metadata
from mcp_server.text import Text, listed, same


class Fault(NamedTuple):
    """One refusal of the models, with what stands around it."""

    path: Path
    key: str
    node: Any
    """The object that holds `key`, as repaired."""
    got: Any
    sent: str
    """The pointer into the arguments as they were sent."""
    metadata: Metadata
    root: Keys
    """The keys of the definition itself."""


def quoted(value: object) -> object:
    """A value to show; nothing for what is not there."""
    return "" if value is None else value


TYPE_NAMES: Mapping[str, Text] = {
    "cluster": Text("cluster", "分群"),
    "string": Text("text", "文本"),
    "number": Text("number", "数值"),
    "bool": Text("yes/no", "布尔"),
    "time": Text("time", "时间"),
    "list": Text("list", "列表"),
}


def types_named(types: frozenset[Any]) -> Text:
    """The names of types, for a message."""
    return listed([TYPE_NAMES[t] for t in TYPE_NAMES if t in types]) if types else same("")
