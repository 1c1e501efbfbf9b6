"""Hostile sizes are refused by count, before anything is read."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mcp_server.language import vocabulary as words
from mcp_server.language.bodies import open_body
from mcp_server.language.model import Qp
from mcp_server.language.reading.check import Reading, read_qp, read_tag
from tests.language.projects import GAME, event, user
from tests.steps import counted

MOST_STEPS = 300_000
"""Counting to the limits takes up to 250,000; reading any of these would take millions."""
PART = user("Level", "equal", "1")


def group(*parts: Any) -> dict[str, Any]:
    return {"filterType": "COMPOUND", "relation": "and", "filts": list(parts)}


def value(tag_value: str, *parts: Any) -> dict[str, Any]:
    return {"tagValue": tag_value, "userClusterDef": {"filts": list(parts)}}


HOSTILE: dict[str, tuple[Callable[[], Any], str, str]] = {
    "events": (lambda: {"events": [event()] * 100_000}, "/qp/events", "at most 32 event conditions"),
    "filters": (lambda: {"filts": [PART] * 100_000}, "/qp/filts", "at most 200 filters"),
    "filters of an event": (lambda: {"events": [event(filts=[PART] * 100_000)]}, "/qp/events/0/filts", "at most 200 filters"),
    "groups of groups": (lambda: {"filts": [group(*[group(*[PART] * 900)] * 900)] * 900}, "/qp", "at most 1,000 conditions"),
    "values": (lambda: {"filts": [user("city", "equal", *["x"] * 1_000_000)]}, "/qp/filts/0/ftv", "at most 1000 values"),
    "a long value": (lambda: {"filts": [user("city", "equal", "x" * 10_000_000)]}, "/qp/filts/0/ftv/0", "2000 characters"),
    "a long name": (lambda: {"events": [event(eventName="登" * 5_000_000)]}, "/qp/events/0/eventName", "2000 characters"),
    "a long key": (lambda: {"x" * 10_000_000: 1}, "/qp", "2000 characters"),
    "a long number": (lambda: {"events": [event(num="1," * 5_000_000)]}, "/qp/events/0/num", "2000 characters"),
    "many keys": (lambda: {f"k{i}": 1 for i in range(10_000)}, "/qp", "100 keys in one object"),
    "long text": (lambda: "{" + " " * 10_000_000 + "}", "/qp", "4,000,000 characters in all"),
    "many long values": (
        lambda: {"filts": [user("city", "equal", *["x" * 10_000] * 900)]},
        "/qp",
        "4,000,000 characters in all",
    ),
    "wide and deep": (lambda: _deep(60, 200), "/qp", "at most 1,000 conditions"),  # 200 ** 60 ways down
}  # fmt: skip


def _deep(levels: int, wide: int) -> Any:
    node: Any = PART
    for _ in range(levels):
        node = {"filts": [node] * wide}
    return node


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_far_too_large_is_refused_unread(name: str) -> None:
    make, path, said = HOSTILE[name]
    raw = make()

    def opened_and_read() -> Reading[Qp]:
        body = open_body(raw, ("qp",))
        return read_qp(body.definition, GAME, root=body.root)

    reading, steps = counted(opened_and_read)
    assert [(p.code, p.path) for p in reading.problems] == [("definition_too_large", path)]
    assert said in reading.problems[0].message.en
    assert steps < MOST_STEPS


def test_the_largest_legal_definition_is_read() -> None:
    def nested(part: Any) -> Any:
        return group(group(group(part)))

    events = [event(num=str(i), filts=[nested(user("Level", "equal", str(i)))]) for i in range(words.MAX_EVENTS)]
    filts = [nested(user("Level", "equal", str(i))) for i in range(words.MAX_FILTERS - words.MAX_EVENTS)]
    assert read_qp({"events": events, "filts": filts}, GAME).problems == ()


def test_objects_are_counted_to_their_edge() -> None:
    def codes(objects: int) -> list[str]:
        return [p.path for p in read_qp({"filts": [PART] * (objects - 1)}, GAME).problems if "in all" in p.message.en]

    assert codes(words.MAX_OBJECTS) == []
    assert codes(words.MAX_OBJECTS + 1) == ["/qp"]


def test_a_tag_may_hold_more_and_not_without_end() -> None:
    def refused(filters: int) -> list[str]:
        values = [value(str(i), *[user("Level", "equal", str(n)) for n in range(filters)]) for i in range(30)]
        return [p.message.en for p in read_tag({"userTagValueDefs": values}, GAME).problems]

    assert refused(40) == []
    assert "at most 5,000 conditions" in refused(200)[0]
    many = {"userTagValueDefs": [value("a", PART)] * 100_000}
    assert "at most 100 values of a tag" in read_tag(many, GAME).problems[0].message.en


def test_parts_that_are_json_text_keep_to_the_limits_too() -> None:
    raw = {"filts": json.dumps([PART] * 2000)}
    reading, steps = counted(lambda: read_qp(raw, GAME))
    (problem,) = reading.problems
    assert steps < MOST_STEPS
    assert (problem.code, problem.path) == ("type_wrong", "/qp/filts")


def test_very_many_unseen_values_are_told_together() -> None:
    reading = read_qp({"filts": [user("city", "equal", *[f"x{i}" for i in range(1000)])]}, GAME)
    assert [w.path for w in reading.warnings] == [*(f"/qp/filts/0/ftv/{i}" for i in range(20)), "/qp/filts/0/ftv"]
    assert reading.warnings[-1].got == "x20, x21, x22, … (980)"
