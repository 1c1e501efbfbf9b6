"""Parameters that several operations share, each described once.

An optional parameter has an empty default (`""`, `()`, `False`), never `None` on the wire: a caller leaves it
out. Texts are read tolerantly before they arrive here (`calling.py`); a definition arrives as it was sent.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from mcp_server.text import Text

MOST_REMARKS = 500
"""Characters of remarks: lists show them, and a chat has no room for pages."""


@dataclass(frozen=True, slots=True)
class RawDefinition:
    """Marks a parameter that is a whole definition, passed on exactly as it came: an object or JSON text.

    The definition language has a tolerant reader of its own, which reports every change with its path; a
    second reader in front of it would hide some of them. The published schema is the language's own: all of
    it where `full`, else its first-level keys (qp.md sections 1 and 5).
    """

    full: bool = False
    tag: bool = False

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from mcp_server.qp import schema

        if self.tag:
            return schema.tag_outline() if self.full else schema.tag_keys()
        return schema.shown() if self.full else schema.outline()


@dataclass(frozen=True, slots=True)
class ObjectsAsText:
    """Marks a list of texts whose entries may also be objects: those are passed on as JSON text."""


Definition = Annotated[Any, RawDefinition()]
FullDefinition = Annotated[Any, RawDefinition(full=True)]
TagDefinition = Annotated[Any, RawDefinition(tag=True)]
FullTagDefinition = Annotated[Any, RawDefinition(full=True, tag=True)]


def _short_enough(remarks: str) -> str:
    if len(remarks) > MOST_REMARKS:
        raise ValueError(_LONG_REMARKS.format(most=MOST_REMARKS, count=len(remarks)))
    return remarks


_LONG_REMARKS = Text(
    "Remarks have at most {most} characters; these have {count}.", "备注最多 {most} 个字符，当前为 {count} 个。"
)
ClusterName = Annotated[str, Field(description="Letter, then letters, digits, _; at most 24")]
DisplayName = Annotated[str, Field(description="At most 50 characters, any language")]
ClusterRef = Annotated[str, Field(min_length=1, description="Id or name of a cluster or tag")]
Remarks = Annotated[str, AfterValidator(_short_enough)]
ProjectId = Annotated[str, Field(description="Only if the user names another project")]
DryRun = Annotated[bool, Field(description="Check all and say what would happen; change nothing")]
WaitSeconds = Annotated[float, Field(ge=0, le=300, description="Longest wait for the result, in seconds")]
Limit = Annotated[int, Field(ge=1, le=100, description="Most entries to return")]
Offset = Annotated[int, Field(ge=0, le=1_000_000, description="Entries to skip")]
Search = Annotated[str, Field(max_length=200, description="Words to look for, English or Chinese")]
Properties = Annotated[tuple[str, ...], Field(max_length=50, description="User properties to show")]
