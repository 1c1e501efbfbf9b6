"""The JSON Schema of the strict form and the models accept the same: examples, generated definitions, broken ones."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mcp_server.language import vocabulary as words
from mcp_server.language.model import Qp
from mcp_server.language.schema import EXAMPLE, brief_qp, full_qp
from tests.reading import strategies
from tests.reading.agreeing import both
from tests.reading.malformed import broken
from tests.reading.rounds import in_rounds
from tests.reading.worlds import still_world
from tools.language_schema import complete

VALIDATOR = Draft202012Validator(complete())


def both_say(value: Any) -> bool:
    return both(VALIDATOR, Qp, value)


def event(**changes: Any) -> dict[str, Any]:
    plain = {"eventName": "pay", "comparator": "greater", "num": "4", "taPropQuota": {"analysis": "TIMES"}}
    return {"events": [{key: value for key, value in (plain | changes).items() if value is not None}]}


def condition(**changes: Any) -> dict[str, Any]:
    plain = {"tableType": "user", "columnName": "level", "comparator": "equal", "ftv": ["3"]}
    return {"filts": [{key: value for key, value in (plain | changes).items() if value is not None}]}


def nested(depth: int, side: str = "user") -> dict[str, Any]:
    part = condition(tableType=side)["filts"][0]
    for _ in range(depth):
        part = {"filterType": "COMPOUND", "filts": [part]}
    return {"filts": [part]} if side == "user" else event(filts=[part])


ACCEPTED: list[Any] = [
    EXAMPLE,
    event(),
    event(comparator="range", num="-1.5e3,4"),
    event(num="0"),
    event(recentDay="99999-0"),  # a shape; its meaning is checked elsewhere
    event(recentDay="1-7", startTime="2020-01-03 00:00:00", endTime="2020-01-09"),
    event(filts=[], relation="or"),
    event(taPropQuota={"analysis": "SUM", "quota": "x"}),
    event(filts=condition(tableType="event", comparator="relativeEventAfter", timeUnit="hour")["filts"]),
    event() | {"filts": []},
    condition() | {"events": []},
    condition(comparator="isNull", ftv=None),
    condition(comparator="isNull", ftv=[]),
    condition(ftv=[""]),
    condition(ftv=["x"] * words.MANY),
    condition(ftv=["😀" * words.MAX_TEXT]),
    condition(columnName="等" * words.MAX_TEXT),
    nested(3),
    nested(3, "event"),
    {"events": event()["events"] * words.MAX_EVENTS},
]
REFUSED: list[Any] = [
    None,
    [],
    "{}",
    4,
    {},
    {"events": [], "filts": []},
    event(comparator="range"),
    event(num="4,5"),
    event(num="4\n"),
    event(num=4),
    event(num="1" * (words.MAX_TEXT + 1)),
    event(recentDay="1-7\n"),
    event(recentDay=""),
    event(recentDay="１-７"),
    event(startTime="2020-01-03 00:00"),
    event(endTime="2020-01-03\n"),
    event(eventName=""),
    event(taPropQuota={"analysis": "TIMES", "quota": "x"}),
    event(taPropQuota={"analysis": "SUM"}),
    event(taPropQuota={"analysis": "SUM", "quota": ""}),
    event(relation="xor"),
    event(relation=None) | {"relation": None},
    event(filts=condition(tableType="event", comparator="relativeEventAfter")["filts"]),
    event(filts=condition(timeUnit="hour")["filts"]),
    condition(tableType="event"),
    condition(comparator="relativeEventAfter", timeUnit="hour"),
    condition(ftv=[]),
    condition(ftv=None),
    condition(ftv=[None]),
    condition(ftv="3"),
    condition(comparator="greater", ftv=["1", "2"]),
    condition(comparator="range"),
    condition(comparator="isTrue"),
    condition(ftv=["x"] * (words.MANY + 1)),
    condition(ftv=["x" * (words.MAX_TEXT + 1)]),
    condition(relation="and"),
    condition(filts=[]),
    condition(filterType=""),
    condition(filterType="COMPOUND"),
    {"filts": [{"filterType": "COMPOUND", "relation": "or", "filts": []}]},
    {"filts": [{"filterType": "COMPOUND"}]},
    nested(4),
    nested(4, "event"),
    {"events": event()["events"] * (words.MAX_EVENTS + 1)},
    event() | {"cluster": "x"},
]


@pytest.mark.parametrize("value", ACCEPTED)
def test_examples_of_the_strict_form_are_accepted(value: Any) -> None:
    assert both_say(value) is True


@pytest.mark.parametrize("value", REFUSED)
def test_anything_else_is_refused(value: Any) -> None:
    assert both_say(value) is False


def test_every_comparator_takes_its_number_of_values_and_no_other() -> None:
    for row in words.COMPARATORS.values():
        unit = {"timeUnit": "day"} if row.in_event else {}
        for count in range(4):
            table = "cluster" if row.of_cluster else "event"
            part = condition(tableType=table, comparator=row.word, ftv=["1"] * count, **unit)["filts"]
            whole = {"filts": part} if row.of_cluster else event(filts=part)
            assert both_say(whole) is (row.values[0] <= count <= row.values[1]), (row.word, count)


def test_generated_definitions_are_accepted() -> None:
    def accepted(definition: Any) -> None:
        assert both_say(definition)

    in_rounds(10, strategies.definitions(still_world()), accepted)


def test_broken_definitions_are_read_alike() -> None:
    said: list[bool] = []
    in_rounds(30, broken(), lambda value: said.append(both_say(value)))
    assert min(said.count(True), said.count(False)) >= 40, "both kinds have to come up"


def test_the_schema_is_a_schema_and_its_example_is_valid() -> None:
    Draft202012Validator.check_schema(complete())
    for example in complete()["examples"]:
        assert both_say(example)


def test_every_word_stands_in_the_complete_schema() -> None:
    said = set(_said(complete()))
    assert said >= {*words.COMPARATORS, *words.MEASURES, *words.NUMBER_COMPARATORS, *words.TIME_UNITS, words.GROUP}


def _said(node: Any) -> Iterator[str]:
    """Every value of an enumeration."""
    if isinstance(node, dict):
        yield from node.get("enum", ()) if isinstance(node.get("enum"), list) else ()
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _said(part)


@pytest.mark.parametrize("schema", [full_qp(), full_qp(1), full_qp(0), brief_qp()])
def test_the_forms_for_tools_have_no_references_and_no_combinators(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert not re.findall(r'"(\$ref|\$defs|anyOf|oneOf|allOf|not|if|then|else)":', json.dumps(schema))


def test_the_forms_for_tools_accept_definitions_of_their_depth() -> None:
    validators = [Draft202012Validator(form) for form in (full_qp(3), brief_qp())]

    def accepted(definition: Any) -> None:
        assert all(validator.is_valid(definition) for validator in validators)

    in_rounds(5, strategies.definitions(still_world()), accepted)


def test_the_form_for_a_language_model_is_small() -> None:
    bpe = pytest.importorskip("bpe_openai")
    text = json.dumps(full_qp(), ensure_ascii=False, separators=(",", ":"))
    assert len(bpe.get_encoding("o200k_base").encode(text)) < 1300
