"""What is said of the rows that SQL returned and that count for nobody (qp.md section 5)."""

from collections.abc import Mapping

from mcp_server.text import NOTHING, Text, listed

_LEFT_OUT = Text("Rows of the SQL left out: {parts}", "SQL 返回的行中未计入：{parts}")
_REASONS: Mapping[str, Text] = {
    "null_ids": Text("{n} without an id", "{n} 行没有用户 ID"),
    "null_values": Text("{n} without a value", "{n} 行没有标签值"),
    "unknown_ids": Text("{n} with an id that no user has", "{n} 行的 ID 不属于任何用户"),
    "repeated_ids": Text("{n} that repeat a user", "{n} 行为重复的用户"),
}


def left_out(dropped: Mapping[str, int]) -> Text:
    """The counts in words, a clause without a full stop; NOTHING where every row counted."""
    parts = [words.format(n=f"{dropped[name]:,}") for name, words in _REASONS.items() if dropped.get(name)]
    return _LEFT_OUT.format(parts=listed(parts)) if parts else NOTHING
