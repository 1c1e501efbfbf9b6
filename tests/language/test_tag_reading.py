"""A tag's definition is read tolerantly; everything wrong with it is named, where it was sent (qp.md sections 5 and 8)."""

import json

import pytest

from mcp_server.errors import InvalidDefinition
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import TagQp, tag_hash, tag_value_type
from mcp_server.language.reading.check import read_qp, read_tag
from tests.language.projects import GAME, event, user
from tests.language.tags import FIRST_LAST, QUOTA, Json, first_tag, metric_tag, taken, value, values_tag

VIP = Property(table="cluster", name="vips", type="cluster", uses=("big_tag",))
WITH_CLUSTERS = GAME.with_clusters((VIP, Property(table="cluster", name="fresh", type="cluster", ready=False)))


def found(raw: object, metadata: Metadata = GAME, own: str = "") -> list[tuple[str, str, str]]:
    """(code, path, suggestion) of every problem."""
    reading = read_tag(raw, metadata, own=own, regex_fault=lambda pattern: "no look-ahead" if "(?=" in pattern else "")
    assert (reading.definition is None) == bool(reading.problems)
    return [(p.code, p.path.removeprefix("/tag_qp"), p.suggestion) for p in reading.problems]


def warned(raw: object) -> list[tuple[str, str]]:
    reading = read_tag(raw, GAME)
    assert reading.problems == ()
    return [(p.code, p.path.removeprefix("/tag_qp")) for p in reading.warnings]


@pytest.mark.parametrize("raw", [values_tag(), values_tag(value("", tagRemark="")), first_tag(), metric_tag()])
def test_a_tag_in_the_documented_form_is_left_alone(raw: Json) -> None:
    reading = read_tag(raw, GAME)
    assert reading.normalised == raw
    assert (reading.repairs, reading.problems) == ((), ())
    assert reading.must() is reading.definition


ITEM = {"tableType": "event", "columnName": "item", "comparator": "equal", "ftv": ["x"]}
REPAIRED: list[tuple[object, Json]] = [
    (json.dumps(metric_tag()), metric_tag()),
    ({"USERTAGCONQUOTADEF": metric_tag()["userTagConQuotaDef"]}, metric_tag()),
    ({"userTagConQuotaDef": json.dumps(metric_tag()["userTagConQuotaDef"])}, metric_tag()),
    (metric_tag() | {"userTagConFirstLastEventDef": None, "userTagValueDefs": ""}, metric_tag()),
    (metric_tag(type=None), metric_tag()),
    (metric_tag(type="Normal"), metric_tag()),
    (metric_tag(type=""), metric_tag()),
    (metric_tag(analysis="sum"), metric_tag()),
    (metric_tag(analysis="count", quota=""), metric_tag(analysis="TIMES", quota=None)),
    (metric_tag(analysis="TOTAL_TIMES", quota=None), metric_tag(analysis="TIMES", quota=None)),
    (metric_tag(quota=" AMOUNT"), metric_tag()),
    (metric_tag(quotaDesc="金额", analysisDesc="总和"), metric_tag()),
    (metric_tag(EventName="purchase", eventName=None), metric_tag()),
    (metric_tag(eventName=" purchase ", recentDay=" 1-7"), metric_tag()),
    (metric_tag(relation="AND"), metric_tag(relation="and")),
    (metric_tag(filts={**ITEM, "comparator": "eq", "ftv": "x"}), metric_tag(filts=[ITEM])),
    (metric_tag(filts=json.dumps([ITEM])), metric_tag(filts=[ITEM])),
    (metric_tag(filts=[{**ITEM, "columnName": "Item", "comparator": "contains"}]),
     metric_tag(filts=[{**ITEM, "comparator": "include"}])),
    (metric_tag(recentDay=None, startTime="2024-06-01T00:00:00Z"), metric_tag(recentDay=None, startTime="2024-06-01 08:00:00")),
    (first_tag(isFirstEvent="true"), first_tag()),
    (first_tag(isFirstEvent=" False"), first_tag(isFirstEvent=False)),
    (first_tag(isFirstEvent=1), first_tag()),
    (first_tag(isFirstEvent=0), first_tag(isFirstEvent=False)),
    (first_tag(calcPropVo={"property": {"columnName": "AMOUNT ", "tableType": "Event"}}), first_tag()),
    (first_tag(calcPropVo=json.dumps(taken("amount", isCalc="false"))), first_tag()),
    (first_tag(calcPropVo=taken("level", "user")), first_tag(calcPropVo=taken("Level", "user"))),
    (values_tag(value(3)), values_tag(value("3"))),
    (values_tag(value(True)), values_tag(value("true"))),
    (values_tag(value("a", tagRemark=7)), values_tag(value("a", tagRemark="7"))),
    (values_tag(value("a", tagValueDesc="A")), values_tag(value("a"))),
    ({"userTagValueDefs": value("a")}, values_tag(value("a"))),
    ({"userTagValueDefs": json.dumps([value("a")])}, values_tag(value("a"))),
    (values_tag(value("a", json.dumps({"events": [event()]}))), values_tag(value("a"))),
    (values_tag(value("a", {"events": event(comparator="gte", num=5)})), values_tag(value("a"))),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), REPAIRED)
def test_tolerated_input_becomes_the_documented_form_and_every_change_is_told(sent: object, expected: Json) -> None:
    reading = read_tag(sent, GAME)
    assert reading.problems == ()
    assert reading.normalised == expected
    assert reading.repairs or isinstance(sent, str)
    assert all(r.reason.en and r.reason.zh and r.path.startswith("/tag_qp") for r in reading.repairs)


def test_blanks_of_a_value_are_kept() -> None:
    assert read_tag(values_tag(value("  "), value(" a")), GAME).normalised["userTagValueDefs"][0]["tagValue"] == "  "


def test_a_repair_points_into_what_was_sent() -> None:
    sent = {"UserTagValueDefs": value("a", {"events": event(num=4)})}
    paths = [r.path for r in read_tag(sent, GAME).repairs]
    assert paths[-1] == "/tag_qp/UserTagValueDefs/userClusterDef/events/num"


VALUES = "/userTagValueDefs"
PROBLEMS: list[tuple[object, tuple[str, str, str]]] = [
    ({}, ("tag_kind", "", "")),
    ({"userTagValueDefs": []}, ("tag_kind", "", "")),
    (first_tag() | metric_tag(), ("tag_kind", "", "")),
    ("{", ("json_invalid", "", "")),
    (4, ("type_wrong", "", "")),
    ({"userTagConQuotaDef": [1]}, ("type_wrong", "/userTagConQuotaDef", "")),
    ({"userTagValueDefs": "x"}, ("type_wrong", VALUES, "")),
    (metric_tag() | {"quota": "x"}, ("key_unknown", "/quota", "")),
    (metric_tag() | {"userTagValueDef": []}, ("key_unknown", "/userTagValueDef", "userTagValueDefs")),
    ({"userTagConQuotaDef": {}}, ("key_missing", QUOTA, "")),
    (values_tag("x"), ("type_wrong", f"{VALUES}/0", "")),
    (values_tag({"tagValue": "a"}), ("key_missing", f"{VALUES}/0/userClusterDef", "")),
    (values_tag({"userClusterDef": {"events": [event()]}}), ("key_missing", f"{VALUES}/0/tagValue", "")),
    (values_tag(value("a", tagRemrk="x")), ("key_unknown", f"{VALUES}/0/tagRemrk", "tagRemark")),
    (values_tag(value(["a"])), ("type_wrong", f"{VALUES}/0/tagValue", "")),
    (values_tag(value("x" * 2001)), ("definition_too_large", f"{VALUES}/0/tagValue", "")),
    (values_tag(*(value(i) for i in range(101))), ("definition_too_large", VALUES, "")),
    (values_tag(value("a", {"events": []})), ("definition_empty", f"{VALUES}/0/userClusterDef", "")),
    (values_tag(value("a", {"evnts": [], "events": [event()]})), ("key_unknown", f"{VALUES}/0/userClusterDef/evnts", "")),
    (values_tag(value("a", {"events": [event(eventNam="x")]})),
     ("key_unknown", f"{VALUES}/0/userClusterDef/events/0/eventNam", "")),
    (values_tag(value("a", {"events": [event(taPropQuota={"analysis": "TIMES", "quta": "x"})]})),
     ("key_unknown", f"{VALUES}/0/userClusterDef/events/0/taPropQuota/quta", "quota")),
    (values_tag(value("a", {"filts": [user("city", "equal", "上海") | {"ftw": 1}]})),
     ("key_unknown", f"{VALUES}/0/userClusterDef/filts/0/ftw", "")),
    (values_tag(value("a", {"filts": [{"tableType": "event", "columnName": "item", "comparator": "isNull"}]})),
     ("property_of_events", f"{VALUES}/0/userClusterDef/filts/0/tableType", "")),
    (values_tag(value("a", {"events": [event(eventName="purchas")]})),
     ("event_unknown", f"{VALUES}/0/userClusterDef/events/0/eventName", "purchase")),
    (values_tag(value("a"), value("a", {"events": [event(num="9")]})), ("tag_value_twice", f"{VALUES}/1/tagValue", "")),
    (first_tag(isFirstEvent=None), ("key_missing", f"{FIRST_LAST}/isFirstEvent", "")),
    (first_tag(isFirstEvent="first"), ("type_wrong", f"{FIRST_LAST}/isFirstEvent", "")),
    (first_tag(isFirstEvent=2), ("type_wrong", f"{FIRST_LAST}/isFirstEvent", "")),
    (first_tag(calcPropVo=None), ("key_missing", f"{FIRST_LAST}/calcPropVo", "")),
    (first_tag(calcPropVo=taken("amount", isCalc=True)), ("tag_calculation", f"{FIRST_LAST}/calcPropVo/isCalc", "false")),
    (first_tag(calcPropVo={"property": {"columnName": "amount"}}),
     ("key_missing", f"{FIRST_LAST}/calcPropVo/property/tableType", "event")),
    (first_tag(calcPropVo=taken("amount", "cluster")), ("table_unknown", f"{FIRST_LAST}/calcPropVo/property/tableType", "event")),
    (first_tag(calcPropVo=taken("amout")), ("property_unknown", f"{FIRST_LAST}/calcPropVo/property/columnName", "amount")),
    (first_tag(calcPropVo=taken("city")), ("property_in_other_table", f"{FIRST_LAST}/calcPropVo/property/tableType", "user")),
    (first_tag(calcPropVo=taken("tags", "user")), ("tag_property_list", f"{FIRST_LAST}/calcPropVo/property/columnName", "")),
    (first_tag(calcPropvo=1), ("key_unknown", f"{FIRST_LAST}/calcPropvo", "")),
    (first_tag(eventName="buy"), ("event_unknown", f"{FIRST_LAST}/eventName", "")),
    (first_tag(eventName=""), ("name_empty", f"{FIRST_LAST}/eventName", "")),
    (first_tag(recentDay="last 7 days"), ("window_invalid", f"{FIRST_LAST}/recentDay", "1-7")),
    (metric_tag(type="special"), ("tag_type_unknown", f"{QUOTA}/type", "normal")),
    (metric_tag(analysis=None), ("key_missing", f"{QUOTA}/analysis", "")),
    (metric_tag(analysis="SUMM"), ("analysis_unknown", f"{QUOTA}/analysis", "SUM")),
    (metric_tag(analysis="PER_CAPITA_NUM"), ("analysis_not_per_user", f"{QUOTA}/analysis", "TIMES")),
    (metric_tag(quota=None), ("quota_missing", f"{QUOTA}/quota", "")),
    (metric_tag(analysis="TIMES"), ("quota_unexpected", f"{QUOTA}/quota", "")),
    (metric_tag(quota="item"), ("quota_type", f"{QUOTA}/quota", "")),
    (metric_tag(quota="amont"), ("property_unknown", f"{QUOTA}/quota", "amount")),
    (metric_tag(num="4"), ("key_unknown", f"{QUOTA}/num", "")),
    (metric_tag(relation="xor"), ("relation_unknown", f"{QUOTA}/relation", "")),
    (metric_tag(recentDay=None, startTime="2024-03-01", endTime="2024-02-01"),
     ("window_invalid", f"{QUOTA}/startTime", "")),
    (metric_tag(filts=[ITEM | {"tableType": "cluster"}]), ("table_unknown", f"{QUOTA}/filts/0/tableType", "event")),
    (metric_tag(filts=[ITEM | {"comparator": "equals"}]), ("comparator_unknown", f"{QUOTA}/filts/0/comparator", "equal")),
    (metric_tag(filts=[ITEM | {"comparator": "regexMatch", "ftv": ["(?=a)"]}]), ("regex_invalid", f"{QUOTA}/filts/0/ftv/0", "")),
    (metric_tag(filts=[{"filterType": "COMPOUND", "filts": []}]), ("group_empty", f"{QUOTA}/filts/0/filts", "")),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "expected"), PROBLEMS)
def test_every_mistake_is_named_where_it_stands(raw: object, expected: tuple[str, str, str]) -> None:
    assert found(raw) == [expected]


def test_all_problems_of_all_values_come_at_once_with_the_place_as_sent() -> None:
    raw = {
        "UserTagValueDefs": [
            value("a", {"events": [event(eventName="x")]}),
            value("b", {"filts": [user("y", "isNull")]}),
        ]
    }
    assert [(code, path) for code, path, _ in found(raw)] == [
        ("event_unknown", "/UserTagValueDefs/0/userClusterDef/events/0/eventName"),
        ("property_unknown", "/UserTagValueDefs/1/userClusterDef/filts/0/columnName"),
    ]


def test_a_wrong_comparator_is_answered_with_those_that_fit_the_place() -> None:
    [problem] = read_tag(metric_tag(filts=[ITEM | {"comparator": "near"}]), GAME).problems
    assert "include" in problem.expected.en
    assert "belongToCluster" not in problem.expected.en


def test_a_tag_may_not_reach_itself_and_needs_clusters_that_are_ready() -> None:
    def naming(name: str) -> Json:
        return values_tag(
            value("a", {"filts": [{"tableType": "cluster", "columnName": name, "comparator": "belongToCluster"}]})
        )

    at = f"{VALUES}/0/userClusterDef/filts/0/columnName"
    assert found(naming("vips"), WITH_CLUSTERS, own="other") == []
    assert found(naming("vips"), WITH_CLUSTERS, own="Big_Tag") == [("cluster_cycle", at, "")]
    assert found(naming("fresh"), WITH_CLUSTERS) == [("cluster_not_ready", at, "")]
    assert found(naming("vipz"), WITH_CLUSTERS) == [("cluster_unknown", at, "vips")]


def test_warnings_of_tags() -> None:
    assert warned(metric_tag(recentDay="0-6")) == [("recent_day_six", f"{QUOTA}/recentDay")]
    assert warned(metric_tag(startTime="2024-06-01")) == [("window_both", f"{QUOTA}/recentDay")]
    assert warned(metric_tag(eventName="login")) == [("property_not_on_event", f"{QUOTA}/quota")]
    assert warned(metric_tag(filts=[ITEM, ITEM])) == [("condition_twice", f"{QUOTA}/filts/1")]
    assert warned(first_tag(eventName="login")) == [
        ("property_not_on_event", f"{FIRST_LAST}/calcPropVo/property/columnName")
    ]
    assert warned(values_tag(value("a"), value("b"))) == [("condition_twice", f"{VALUES}/1")]
    assert warned(values_tag(value("a", {"filts": [user("city", "equal", "Shanghai")]}))) == [
        ("value_unseen", f"{VALUES}/0/userClusterDef/filts/0/ftv/0")
    ]


def test_too_many_filters_are_counted_for_each_value_on_its_own() -> None:
    many = {"filts": [user("Level", "equal", str(i)) for i in range(150)]}
    assert found(values_tag(value("a", many), value("b", many | {"relation": "or"}))) == []
    more = {"filts": [user("Level", "equal", str(i)) for i in range(201)]}
    assert found(values_tag(value("a", more))) == [("definition_too_large", f"{VALUES}/0/userClusterDef", "")]


def test_the_other_kind_of_definition_is_named_with_the_tool_that_takes_it() -> None:
    for raw in ({"events": [event()]}, json.dumps({"Filts": []}), {"event_relation": "and"}):
        [problem] = read_tag(raw, GAME).problems
        assert (problem.code, problem.path) == ("cluster_given", "/tag_qp")
        assert all("create_cluster" in said for said in problem.message)
    for raw in (metric_tag(), json.dumps(values_tag()), {"usertagvaluedefs": []}):
        [problem] = read_qp(raw, GAME).problems
        assert (problem.code, problem.path) == ("tag_given", "/qp")
        assert all("create_tag" in said for said in problem.message)


def test_a_definition_of_both_kinds_is_read_as_what_was_asked_for() -> None:
    assert found(metric_tag() | {"events": []}) == [("key_unknown", "/events", "")]
    assert [p.code for p in read_qp(metric_tag() | {"events": [event()]}, GAME).problems] == ["key_unknown"]


def test_a_tag_with_problems_cannot_be_used() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        read_tag({}, GAME).must()
    assert [p.code for p in caught.value.problems] == ["tag_kind"]
    assert read_tag({}, GAME).normalised == {}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (values_tag(), ("string", None)),
        (first_tag(), ("number", 2)),
        (first_tag(calcPropVo=taken("registered", "user")), ("time", None)),
        (first_tag(calcPropVo=taken("vip", "user")), ("bool", None)),
        (metric_tag(analysis="TIMES", quota=None), ("number", 0)),
        (metric_tag(analysis="DISTINCT", quota="item"), ("number", 0)),
        (metric_tag(), ("number", 2)),
        (metric_tag(analysis="MAX"), ("number", 2)),
        (metric_tag(analysis="MIN"), ("number", 2)),
        (metric_tag(analysis="MEDIAN"), ("number", 3)),
        (metric_tag(analysis="AVG"), ("number", None)),
    ],
)
def test_the_type_of_a_tags_values(raw: Json, expected: tuple[str, int | None]) -> None:
    assert tag_value_type(read_tag(raw, GAME).must(), GAME) == expected


def test_the_type_of_values_whose_property_is_gone_is_still_one() -> None:
    bare = Metadata(project_id="1", today=GAME.today)
    assert tag_value_type(TagQp.model_validate(first_tag()), bare) == ("string", None)
    assert tag_value_type(TagQp.model_validate(metric_tag()), bare) == ("number", None)


def test_what_is_read_means_what_was_sent_however_it_was_written() -> None:
    for sent, expected in REPAIRED:
        assert tag_hash(read_tag(sent, GAME).must()) == tag_hash(TagQp.model_validate(expected))


def test_null_is_absent_without_a_word() -> None:
    reading = read_tag(values_tag(value("a", tagRemark=None)) | {"userTagConQuotaDef": None, "sql": None}, GAME)
    assert reading.normalised == values_tag(value("a"))
    assert (reading.problems, reading.repairs) == ((), ())
