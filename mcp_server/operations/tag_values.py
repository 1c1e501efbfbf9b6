"""How the values of a tag are told in a preview."""

from mcp_server.errors import Problem
from mcp_server.operations.operation import Result
from mcp_server.platforms.ports import Preview
from mcp_server.qp.definition import Definition
from mcp_server.qp.problems import finding
from mcp_server.qp.tags import TagQp
from mcp_server.text import NOTHING, Text


class ValueRow(Result.Row):
    """One value of a tag."""

    value: str
    users: int


_HAVE = Text(
    "{n} of {all} users have a value ({share}), {without} without one.{spread}",
    "{all} 名用户中有 {n} 名得到标签值（{share}），{without} 名没有。{spread}",
)
_SPREAD = Text(" The values go from {low} to {high}{median}.", "标签值从 {low} 到 {high}{median}。")
_MEDIAN = Text(", median {median}", "，中位数为 {median}")


MOST_SHOWN = 100
"""Characters of a user's value that a preview shows; values may have pages."""


def brief(value: str) -> str:
    """A value as a preview shows it."""
    return value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + "…"


def value_rows(seen: Preview) -> tuple[ValueRow, ...]:
    """The most frequent values of a tag and their users."""
    return tuple(ValueRow(value=brief(v), users=n) for v, n in seen.values.top) if seen.values else ()


def spread_sentence(seen: Preview, share: str) -> Text:
    """How many users have a value and, of numbers and times, where the values lie."""
    spread, values = NOTHING, seen.values
    if values and values.low:
        median = _MEDIAN.format(median=values.median) if values.median else NOTHING
        spread = _SPREAD.format(low=values.low, high=values.high, median=median)
    return _HAVE.format(
        n=f"{seen.users_num:,}",
        all=f"{seen.all_users:,}",
        share=share,
        without=f"{seen.all_users - seen.users_num:,}",
        spread=spread,
    )


def unreached(definition: Definition, seen: Preview) -> list[Problem]:
    """A warning for each value that nobody gets; none where not all values were counted."""
    if not isinstance(definition, TagQp) or seen.values is None or seen.values.distinct > len(seen.values.top):
        return []
    reached = {value for value, _ in seen.values.top}
    return [
        finding("value_for_nobody", f"/tag_qp/userTagValueDefs/{i}")
        for i, value in enumerate(definition.values)
        if value.tag_value not in reached
    ]
