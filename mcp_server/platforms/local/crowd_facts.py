"""What was found out about a crowd, chosen and put into words, and as plain JSON for the catalogue."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from mcp_server.engine.crowd import FEWEST, VALUES_EACH, Findings, Group
from mcp_server.platforms.crowd_port import CrowdAnalysis, Drift, Share, Stretch
from mcp_server.platforms.local.crowd_days import Calendar, data_days
from mcp_server.platforms.local.export import shown_value
from mcp_server.platforms.local.records import Facts
from mcp_server.qp.metadata import Metadata, Property
from mcp_server.qp.problems import shorten
from mcp_server.text import Text, same

MOST_SHARES = 20
"""Values that one analysis tells, of all properties."""
MOST_CHARACTERS = 40
"""Characters of a value that are told."""

_NO_VALUE = Text("(no value)", "（无值）")
_NUMBERS = (
    Text("up to {up_to}", "不超过 {up_to}"),
    Text("over {above}, up to {up_to}", "大于 {above}，不超过 {up_to}"),
    Text("over {above}", "大于 {above}"),
)
_TIMES = (
    Text("until {up_to}", "不晚于 {up_to}"),
    Text("after {above}, until {up_to}", "晚于 {above}，不晚于 {up_to}"),
    Text("after {above}", "晚于 {above}"),
)


def facts(findings: Findings, calendar: Calendar | None, metadata: Metadata) -> Facts:
    """The findings as they are kept, with the data and the day on which they rest."""
    told = _most_unlike(findings)
    data = data_days(metadata)
    return {
        "users": findings.users,
        "all_users": findings.all_users,
        "shares": [
            [found.name, *_words(found, group, metadata), group.users, group.all_users]
            for found, groups in told
            for group in groups
        ],
        "properties_left_out": len(findings.groups) - len(told),
        "unit": calendar.unit if calendar else "day",
        "activity": [[str(day), *findings.activity.get(n, (0, 0))] for n, day in enumerate(calendar.days)]
        if calendar
        else [],
        "stretches_left_out": calendar.left_out if calendar else 0,
        "whole": list(findings.activity.get(-2, (0, 0))),
        "data": [str(day) for day in data] if data else ["", ""],
    }


def analysis(kept: Any, zone: str, reload: Drift | None, since: Drift | None) -> CrowdAnalysis:
    """What is kept, as the platform tells it."""
    return CrowdAnalysis(
        users=kept["users"],
        all_users=kept["all_users"],
        shares=tuple(Share(name, Text(en, zh), users, everybody) for name, en, zh, users, everybody in kept["shares"]),
        properties_left_out=kept["properties_left_out"],
        unit=kept["unit"],
        activity=tuple(Stretch(*row) for row in kept["activity"]),
        stretches_left_out=kept["stretches_left_out"],
        events=kept["whole"][0],
        active_users=kept["whole"][1],
        data_from=kept["data"][0],
        data_to=kept["data"][1],
        zone=zone,
        fewest=FEWEST,
        most_values=VALUES_EACH,
        last_reload=reload,
        since=since,
    )


def _most_unlike(findings: Findings) -> list[tuple[Property, Sequence[Group]]]:
    """The properties in which the crowd differs most from everybody, as many as have room."""

    def distance(entry: tuple[Property, Sequence[Group]]) -> float:
        return max(abs(g.users / findings.users - g.all_users / findings.all_users) for g in entry[1])

    found = sorted((entry for entry in findings.groups if entry[1]), key=distance, reverse=True)
    return list(_fitting(found))


def _fitting(found: Sequence[tuple[Property, Sequence[Group]]]) -> Iterator[tuple[Property, Sequence[Group]]]:
    room = MOST_SHARES
    for entry in found:
        room -= len(entry[1])
        if room < 0:
            return
        yield entry


def _words(found: Property, group: Group, metadata: Metadata) -> Text:
    if group.value is not None:
        return same(_value(group.value, metadata))
    if group.above is None and group.up_to is None:
        return _NO_VALUE
    ends = {
        "above": "" if group.above is None else _value(group.above, metadata),
        "up_to": "" if group.up_to is None else _value(group.up_to, metadata),
    }
    first, middle, last = _TIMES if found.type == "time" else _NUMBERS
    words = first if group.above is None else last if group.up_to is None else middle
    return words.format(**ends)


def _value(value: object, metadata: Metadata) -> str:
    """A value as text; in quotes where nothing, or something blank, would be seen."""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    text = shown_value(value, metadata.tz)
    if isinstance(value, datetime) and text.endswith(" 00:00:00"):
        return text[:10]
    return shorten(text, MOST_CHARACTERS) if text == text.strip() and text else f'"{shorten(text, MOST_CHARACTERS)}"'
