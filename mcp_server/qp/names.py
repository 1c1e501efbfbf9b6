"""Names of clusters and tags (qp.md section 6)."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_server.errors import Problem
from mcp_server.qp.problems import finding

_NOT_ON_A_LINE = ("Cc", "Cs", "Zl", "Zp")
"""Categories of control characters, halves of characters, line and paragraph breaks."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class NameLimits:
    """Longest names, in Unicode code points. The vendor page says 24 and 50; newer deployments allow 80."""

    cluster_name: int = 24
    display_name: int = 50


def name_findings(name: str, limits: NameLimits, path: str = "/cluster_name") -> Iterator[Problem]:
    """What is wrong with a cluster name; the suggestion is a legal name near it, if there is one."""
    if not _NAME.fullmatch(name) or len(name) > limits.cluster_name:
        yield finding(
            "name_invalid", path, got=name, suggestion=_legal(name, limits.cluster_name), most=limits.cluster_name
        )


def display_name_findings(name: str, limits: NameLimits, path: str = "/display_name") -> Iterator[Problem]:
    """What is wrong with a display name: its length in code points, nothing but blanks, or line breaks and the like."""
    one_line = not any(unicodedata.category(c) in _NOT_ON_A_LINE for c in name)
    if not name.strip() or len(name) > limits.display_name or not one_line:
        suggestion = name[: limits.display_name].strip() if one_line else ""
        yield finding("display_name_invalid", path, got=name, suggestion=suggestion, most=limits.display_name)


def _legal(name: str, most: int) -> str:
    parts = re.findall(r"[A-Za-z0-9]+", name)
    cut = "_".join(parts)[:most].strip("_")
    return cut if _NAME.fullmatch(cut) else ""
