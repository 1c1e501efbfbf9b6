"""A definition that a platform keeps and that can't be read here: made in its own pages, with words that are no part of qp.md."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_server.qp.explain import Explanation, Part
from mcp_server.qp.metadata import Metadata
from mcp_server.text import Text

_SAID = Text(
    "defined on the platform itself, in a form that can't be read here; what the platform tells of it is shown as it came",
    "由平台自身定义，其形式无法在此解读；平台给出的内容原样列出",
)
_OTHER = Text("it has another definition on the platform", "平台上的定义不同")


@dataclass(frozen=True, slots=True)
class Foreign:
    """What the platform tells of such a definition; empty where that is nothing."""

    catalog: str
    told: Mapping[str, Any] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        return dict(self.told)


def foreign_hash(definition: Foreign) -> str:
    """The same words mean the same."""
    text = json.dumps(definition.told, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def explain_foreign(_: Foreign, __: Metadata) -> Explanation:
    """Say that it can't be read."""
    whole = Text("{said}.", "{said}。").format(said=_SAID)
    return Explanation(Text(whole.en[0].upper() + whole.en[1:], whole.zh), (Part("", _SAID),))


def compare_foreign(old: Foreign, new: Foreign, _: Metadata) -> tuple[Text, ...]:
    """Whether both are the same."""
    return () if foreign_hash(old) == foreign_hash(new) else (_OTHER,)
