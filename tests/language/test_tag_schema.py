"""The JSON Schema of a tag and the model accept the same: the vendor's examples, generated tags, broken ones."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from mcp_server.language import vocabulary
from mcp_server.language import vocabulary as words
from mcp_server.language.model import (
    CalcProp,
    EventCondition,
    FirstLastEvent,
    Qp,
    QuotaEvent,
    TagQp,
    TagValue,
    TakenProperty,
    keys_of,
)
from mcp_server.language.reading.check import read_tag
from mcp_server.language.schema import TAG_EXAMPLES, full_tag
from mcp_server.language.vocabulary import MAX_VALUES
from tests.language.projects import GAME, event
from tests.language.tags import first_tag, metric_tag, taken, value, values_tag
from tests.reading.agreeing import CALM, both
from tests.reading.malformed import broken
from tests.reading.tag_strategies import tags
from tests.reading.worlds import still_world
from tools.generate import documents
from tools.language_schema import complete_tag

VALIDATOR = Draft202012Validator(complete_tag())
ON_ANDROID = {"columnName": "#os", "comparator": "equal", "ftv": ["android"], "tableType": "event"}


def both_say(value: Any) -> bool:
    return both(VALIDATOR, TagQp, value)


def vendor_value(text: str, event_name: str, num: str, compare_key: str) -> dict[str, Any]:
    did = {"eventName": event_name, "num": num, "recentDay": "1-30", "relation": "and",
           "taPropQuota": {"analysis": "TIMES"}, compare_key: "greater"}  # fmt: skip
    joins = {"event_relation": "and", "event_user_relation": "and", "relation": "and"}
    return {"tagRemark": "", "tagValue": text, "userClusterDef": joins | {"events": [did], "filts": []}}


VENDOR_VALUES = {vocabulary.VALUES: [vendor_value("标签值1", "player_register", "4", "comparator"),
                               vendor_value("标签值2", "fight_success", "0", "comparator")]}  # fmt: skip
VENDOR_FIRST = {
    vocabulary.FIRST_LAST: {
        vocabulary.FIRST_LAST_EVENT: {
            "calcPropVo": {"isCalc": False, "property": {"columnName": "#vp@test_num", "tableType": "event"}},
            "eventName": "pay",
            "isFirstEvent": True,
            "recentDay": "0-1",
            "filts": [ON_ANDROID],
            "relation": "and",
        }
    }
}
VENDOR_METRIC = {
    vocabulary.QUOTA: {
        vocabulary.QUOTA_EVENT: {
            "type": "normal",
            "quota": "activity_reward",
            "analysis": "DISTINCT",
            "eventName": "activity_attend",
            "recentDay": "0-1",
            "filts": [ON_ANDROID],
            "relation": "and",
        }
    }
}
"""The vendor page's own examples; in the first one, the second value has the page's older key `uceCalcuSymbol`."""

DEEP: Any = ON_ANDROID
for _ in range(words.MAX_DEPTH):
    DEEP = {"filterType": "COMPOUND", "filts": [DEEP]}

ACCEPTED: list[Any] = [
    VENDOR_VALUES,
    VENDOR_FIRST,
    VENDOR_METRIC,
    values_tag(),
    values_tag(value("")),
    values_tag(value("  ", tagRemark="x" * words.MAX_TEXT)),
    values_tag(value("a"), value("a")),  # a shape; that values differ is checked with the meaning
    {vocabulary.VALUES: [value("a")] * MAX_VALUES},
    first_tag() | {vocabulary.VALUES: []},
    first_tag(recentDay=None),
    first_tag(isFirstEvent=False, calcPropVo={"property": {"columnName": "x", "tableType": "user"}}),
    first_tag(filts=[DEEP]),
    metric_tag(type=None, startTime="2024-01-01", endTime="2024-01-02 00:00:00"),
    metric_tag(analysis="TIMES", quota=None),
    metric_tag(filts=[], relation="or"),
]
REFUSED: list[Any] = [
    None,
    [],
    "{}",
    {},
    {vocabulary.VALUES: []},
    {vocabulary.VALUES: None},
    {"events": [event()]},
    first_tag() | metric_tag(),
    values_tag() | metric_tag(),
    metric_tag() | {vocabulary.FIRST_LAST: None},
    metric_tag() | {"projectId": 2},
    {vocabulary.QUOTA: {}},
    {vocabulary.QUOTA: None},
    {vocabulary.QUOTA: [metric_tag()]},
    {vocabulary.VALUES: [value("a")] * (MAX_VALUES + 1)},
    {vocabulary.VALUES: value("a")},
    values_tag(value(1)),
    values_tag(value("x" * (words.MAX_TEXT + 1))),
    values_tag(value("a", tagRemark=None)),
    values_tag(value("a", tagRemark="x" * (words.MAX_TEXT + 1))),
    values_tag(value("a", {"events": []})),
    values_tag({"tagValue": "a"}),
    values_tag({"userClusterDef": {"events": [event()]}}),
    values_tag(value("a", more=1)),
    first_tag(isFirstEvent="true"),
    first_tag(isFirstEvent=1),
    first_tag(isFirstEvent=None),
    first_tag(calcPropVo=None),
    first_tag(calcPropVo={}),
    first_tag(calcPropVo=taken("x", isCalc=True)),
    first_tag(calcPropVo=taken("x", isCalc=0)),
    first_tag(calcPropVo=taken("x", "cluster")),
    first_tag(calcPropVo=taken("")),
    first_tag(calcPropVo={"property": {"columnName": "x"}}),
    first_tag(filts=[{"filterType": "COMPOUND", "filts": [DEEP]}]),
    first_tag(filts=[ON_ANDROID | {"tableType": "cluster"}]),
    first_tag(type="normal"),
    metric_tag(type="special"),
    metric_tag(analysis=None),
    metric_tag(analysis="TIMES"),
    metric_tag(quota=None),
    metric_tag(quota=""),
    metric_tag(eventName=None),
    metric_tag(recentDay=""),
    metric_tag(recentDay="1-7\n"),
    metric_tag(relation="xor"),
    metric_tag(num="4"),
]


@pytest.mark.parametrize("raw", ACCEPTED)
def test_examples_of_the_strict_form_are_accepted(raw: Any) -> None:
    assert both_say(raw) is True


@pytest.mark.parametrize("raw", REFUSED)
def test_anything_else_is_refused(raw: Any) -> None:
    assert both_say(raw) is False


@settings(CALM, max_examples=40)
@given(tags(still_world()))
def test_generated_tags_are_accepted(raw: Any) -> None:
    assert both_say(raw)
    assert Draft202012Validator(full_tag()).is_valid(raw)


def test_broken_tags_are_read_alike() -> None:
    said = []

    @settings(CALM, max_examples=150)
    @given(broken(tags(still_world())))
    def read_alike(raw: Any) -> None:
        said.append(both_say(raw))

    read_alike()
    assert min(said.count(True), said.count(False)) >= 15, "both kinds have to come up"


@settings(CALM, max_examples=60)
@given(broken(tags(still_world())))
def test_anything_is_read_without_an_error_and_strictly_written(raw: Any) -> None:
    reading = read_tag(raw, GAME)
    assert (reading.definition is None) == bool(reading.problems)
    assert not reading.normalised or both_say(reading.normalised)


def test_the_vendors_older_key_in_a_value_is_read() -> None:
    older = {vocabulary.VALUES: [vendor_value("标签值2", "purchase", "0", "uceCalcuSymbol")]}
    reading = read_tag(older, GAME)
    assert reading.normalised == {vocabulary.VALUES: [vendor_value("标签值2", "purchase", "0", "comparator")]}
    assert [r.path for r in reading.repairs] == ["/tag_qp/userTagValueDefs/0/userClusterDef/events/0/uceCalcuSymbol"]


def test_the_schema_is_a_schema_and_its_examples_are_valid() -> None:
    Draft202012Validator.check_schema(complete_tag())
    assert complete_tag()["examples"] == list(TAG_EXAMPLES)
    assert {TagQp.model_validate(example).kind for example in TAG_EXAMPLES} == {
        "tag_condition_default",
        "tag_condition_by_firstlast_event",
        "tag_condition_by_quotation",
    }


def test_every_legal_key_is_in_the_schema() -> None:
    parts = complete_tag()["$defs"]
    calc = parts["firstLastEvent"]["properties"]["calcPropVo"]
    for part, model in (
        (complete_tag(), TagQp),
        (parts["value"], TagValue),
        (parts["firstLastEvent"], FirstLastEvent),
        (parts["quotaEvent"], QuotaEvent),
        (calc, CalcProp),
        (calc["properties"]["property"], TakenProperty),
        (parts["qp"], Qp),
        (parts["event"], EventCondition),
    ):
        assert set(part["properties"]) == set(keys_of(model))


def test_the_form_for_tools_has_no_references_and_no_combinators() -> None:
    Draft202012Validator.check_schema(full_tag())
    assert not re.findall(r'"(\$ref|\$defs|anyOf|oneOf|allOf|not|if|then|else)":', json.dumps(full_tag()))


def test_the_complete_schema_is_published() -> None:
    assert json.loads(documents()["tag_qp.json"]) == complete_tag()
