"""Request bodies as they are on the vendor's page, in scripts, and read back from the server."""

import json
from typing import Any

import pytest

from mcp_server.language.bodies import body_of, contradictions, open_body
from mcp_server.language.reading.check import read_qp, read_tag
from tests.language.projects import GAME, event, user

QP = {"events": [event()], "filts": [user("Level", "equal", "3")], "event_user_relation": "and"}
TAG = {"userTagValueDefs": [{"tagRemark": "", "tagValue": "a", "userClusterDef": QP}]}
BODY: dict[str, Any] = {
    "projectId": 102,
    "clusterName": "recent_7_days",
    "clusterCatalog": "catalog_cluster",
    "clusterType": "cluster_by_static_condition",
    "displayName": "近 7 天消费",
    "qp": QP,
}
TAG_BODY: dict[str, Any] = {
    "projectId": 102,
    "clusterName": "tag_1",
    "clusterCatalog": "catalog_tag",
    "clusterType": "tag_by_static_condition",
    "subConditionTabType": "tag_condition_default",
    "displayName": "标签",
    "tagQp": TAG,
}


@pytest.mark.parametrize("raw", [QP, TAG, json.dumps(QP), 5, None, [], "no json"])
def test_a_bare_definition_is_given_back_as_it_came(raw: object):
    found = open_body(raw, ("qp",))
    assert found.definition == raw
    assert (found.root, found.repairs, found.fields) == (("qp",), (), {})


@pytest.mark.parametrize(("body", "key", "is_tag"), [(BODY, "qp", False), (TAG_BODY, "tagQp", True)])
def test_a_body_is_opened(body: dict[str, Any], key: str, is_tag: bool):
    for raw in (body, json.dumps(body)):
        found = open_body(raw, ("qp",))
        assert (found.definition, found.root, found.is_tag) == (body[key], ("qp", key), is_tag)
        assert found.fields["projectId"] == "102"
        assert found.problems == ()


@pytest.mark.parametrize("body", [BODY, TAG_BODY])
def test_the_body_that_would_be_sent_is_the_body_that_was_given(body: dict[str, Any]):
    found = open_body(body, ())
    reading = (read_tag if found.is_tag else read_qp)(found.definition, GAME, root=found.root)
    definition = reading.must()
    assert list(contradictions(found, definition)) == []
    assert body_of(definition, found.fields, "102") == body


def test_what_the_server_reads_back_is_opened_too():
    back = {
        "clusterName": "a",
        "id": 970,
        "progress": 1,
        "usersNum": 0,
        "userId": 13,
        "refreshTime": "2020-01-10 10:51:14",
        "userClusterDef": QP,
    }
    found = open_body(back, ("qp",))
    assert (found.definition, found.root, found.problems) == (QP, ("qp", "userClusterDef"), ())


def test_a_missing_comma_is_mended_and_reported():
    text = '{"tagQp": {"userTagValueDefs": [{"tagValue": "a",\n "userClusterDef": {"taPropQuota": {"analysis": "TIMES"}\n"uceCalcuSymbol": "greater"}}]}}'
    found = open_body(text, ("qp",))
    assert found.is_tag
    (repair,) = found.repairs
    assert (repair.path, repair.before, repair.after) == ("/qp", "", ",")
    assert repair.reason.en == "a comma was missing in line 2"


@pytest.mark.parametrize(
    "text", ['{"qp": {"events": [1, 2,]}}', '{"qp": {"events": [1, 2]},}', '{"qp": {"events": [1 \n , \n ]}  }']
)
def test_a_spare_comma_is_mended_and_reported(text: str):
    found = open_body(text, ("qp",))
    assert found.root == ("qp", "qp")
    assert "too many" in found.repairs[0].reason.en


@pytest.mark.parametrize(
    "text", ['{"qp" {"a": 1}}', '{"qp": {"a": 1}', "{'qp': 1}", '{"qp": [1 2 3}', '{"a"' + ' "b"' * 20 + "}"]
)
def test_other_faults_of_json_are_left_to_the_reader(text: str):
    found = open_body(text, ("qp",))
    assert found.definition == text
    assert found.repairs == ()


def test_unknown_and_double_keys_are_problems():
    found = open_body({**BODY, "dispalyName": "x", "tagQp": TAG}, ("qp",))
    assert sorted((p.code, p.path, p.suggestion) for p in found.problems) == [
        ("body_two_definitions", "/qp/tagQp", ""),
        ("key_unknown", "/qp/dispalyName", "displayName"),
    ]


def test_a_body_that_contradicts_its_definition_is_a_problem():
    found = open_body(
        {**TAG_BODY, "subConditionTabType": "tag_condition_by_quotation", "clusterType": "cluster_by_static_condition"},
        (),
    )
    problems = list(contradictions(found, read_tag(found.definition, GAME, root=found.root).must()))
    assert [(p.path, p.suggestion) for p in problems] == [
        ("/subConditionTabType", "tag_condition_default"),
        ("/clusterType", "tag_by_static_condition"),
    ]
