"""ThinkingData's clusters over a socket: every address by id and by name, and everything that is refused."""

import re
from typing import Any

import pytest

from mcp_server.errors import VendorDenied, VendorRejected
from mcp_server.gateway import thinkingdata_wire as thinkingdata
from mcp_server.gateway.thinkingdata import ENDPOINTS
from mcp_server.platforms.thinkingdata import client
from mcp_server.platforms.thinkingdata.client import RemoteCluster, Which
from tests.gateway.kit import EXAMPLE, KEYS, PROJECT, Station

ADD, UPDATE, LIST = "/open/user-cluster-add", "/open/user-cluster-update", "/open/user-cluster-list"
DETAIL = "/open/user-cluster-detail"


def body(name: str, **changes: object) -> dict[str, Any]:
    return EXAMPLE | {"clusterName": name} | changes


def code(answer: dict[str, Any]) -> int:
    assert set(answer) == {"return_code", "return_message"}
    return int(answer["return_code"])


@pytest.mark.parametrize("by_id", [True, False])
def test_our_client_walks_through_a_clusters_life(shared: Station, by_id: bool) -> None:
    name = "by_id" if by_id else "by_name"

    async def life(api: Any) -> None:
        made = await api.add(body(name))
        which = Which(PROJECT, made, name)
        await api.refresh(which)
        assert 0 <= await api.progress(which) <= 100
        await api.update(which, body(name, displayName="其他名称"))
        found: RemoteCluster = (
            await api.detail(PROJECT, cluster_id=made) if by_id else await api.detail(PROJECT, name=name)
        )
        assert (found.cluster_id, found.name, found.display_name) == (made, name, "其他名称")
        assert found.cluster_type == EXAMPLE["clusterType"]
        listed = await api.page(PROJECT, "catalog_cluster", (EXAMPLE["clusterType"],), name.upper(), 1)
        assert [one.cluster_id for one in listed.items] == [made]
        await api.delete(which)
        with pytest.raises(VendorRejected):
            await api.detail(PROJECT, cluster_id=made)

    shared.with_ta(life, by_id=by_id)


def test_a_definition_comes_back_with_the_days_of_its_window(shared: Station) -> None:
    made = shared.post(ADD, body("days"))["data"]
    found = shared.get(DETAIL, projectId=PROJECT, clusterId=made)["data"]
    [event] = found["userClusterDef"]["events"]
    [sent] = EXAMPLE["qp"]["events"]
    assert event == sent | {"startTime": "2020-01-03 00:00:00", "endTime": "2020-01-09 00:00:00"}
    assert found["usersNum"] == 1
    assert (found["progress"], found["projectId"], found["id"]) == (100, 102, made)


def test_what_was_read_can_be_sent_back(shared: Station) -> None:
    made = shared.post(ADD, body("again"))["data"]
    found = shared.get(DETAIL, projectId=PROJECT, clusterName="again")["data"]
    sent = body("again", qp=found["userClusterDef"])
    del sent["clusterName"]
    assert shared.post(UPDATE, sent, clusterId=made) == {"return_code": 0, "return_message": "success"}
    assert (
        shared.get(DETAIL, projectId=PROJECT, clusterName="again")["data"]["userClusterDef"] == found["userClusterDef"]
    )


def test_a_list_has_pages_and_searches_names_only(shared: Station) -> None:
    for n in range(3):
        shared.post(ADD, body(f"paged_{n}", remarks="beside", displayName=f"分页{n}"))

    def listed(words: str, number: int, size: int) -> tuple[int, list[str]]:
        header = {"pageNum": number, "pageSize": size}
        types = ["cluster_by_static_condition"]
        sent = {
            "projectId": 102,
            "clusterCatalog": "catalog_cluster",
            "clusterTypes": types,
            "clusterName": words,
            "pagerHeader": header,
        }
        found = shared.post(LIST, sent)["data"]
        assert found["pagerResult"] | {"totalNum": 0} == header | {"totalNum": 0}
        return found["pagerResult"]["totalNum"], [row["clusterName"] for row in found["userClusters"]]

    assert listed("PAGED", 1, 2) == (3, ["paged_2", "paged_1"])
    assert listed("PAGED", 2, 2) == (3, ["paged_0"])
    assert listed("PAGED", 3, 2) == (3, [])
    assert listed("分页1", 1, 10) == (1, ["paged_1"])
    assert listed("beside", 1, 10) == (0, [])


def test_a_name_that_is_taken_is_refused_even_for_the_same_definition(shared: Station) -> None:
    first = shared.post(ADD, body("twice"))["data"]
    assert code(shared.post(ADD, body("twice"))) == thinkingdata.NAME_TAKEN
    assert code(shared.post(ADD, body("TWICE", qp={**EXAMPLE["qp"], "filts": []}))) == thinkingdata.NAME_TAKEN
    assert shared.get(DETAIL, projectId=PROJECT, clusterName="twice")["data"]["id"] == first


@pytest.mark.parametrize("name", ["projectId", "clusterName", "clusterType", "displayName", "qp"])
@pytest.mark.parametrize("empty", [None, ""])
def test_what_is_needed_and_empty_is_told_in_the_pages_words(shared: Station, name: str, empty: object) -> None:
    expected = {"return_code": -1008, "return_message": f"参数({name})为空"}
    if empty is None:
        assert shared.post(ADD, {key: value for key, value in body("gone").items() if key != name}) == expected
    elif name != "qp":
        assert shared.post(ADD, body("gone") | {name: empty}) == expected


def test_every_address_wants_the_token(shared: Station) -> None:
    for one in ENDPOINTS:
        for query, expected in (("", -1008), ("?token=", -1008), ("?token=wrong", thinkingdata.WRONG_TOKEN)):
            answer = shared.client.request(one.method, shared.url + one.path + query)
            assert answer.status_code == 200
            assert answer.json()["return_code"] == expected
            if expected == -1008:
                assert answer.json() == {"return_code": -1008, "return_message": "参数(token)为空"}
            assert KEYS.token not in answer.text
        assert shared.client.request("DELETE", shared.url + one.path).status_code == 405


def test_our_client_tells_a_wrong_token(shared: Station) -> None:
    answer = shared.client.get(f"{shared.url}{DETAIL}?projectId=102&clusterId=1")
    with pytest.raises(VendorDenied):
        client.data_of(answer.content)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stray": 1}, thinkingdata.WRONG_PARAMETER),
        ({"projectId": 102.0}, thinkingdata.WRONG_PARAMETER),
        ({"projectId": True}, thinkingdata.WRONG_PARAMETER),
        ({"projectId": "abc"}, thinkingdata.WRONG_PARAMETER),
        ({"projectId": 999}, -1999),
        ({"clusterName": 5}, thinkingdata.WRONG_PARAMETER),
        ({"clusterName": "a" * 25}, thinkingdata.WRONG_PARAMETER),
        ({"clusterName": "1a"}, thinkingdata.WRONG_PARAMETER),
        ({"displayName": "显" * 51}, thinkingdata.WRONG_PARAMETER),
        ({"clusterType": "cluster_by_magic"}, thinkingdata.WRONG_PARAMETER),
        ({"clusterType": "cluster_by_static_sql"}, thinkingdata.WRONG_PARAMETER),
        ({"clusterType": "tag_by_static_condition"}, thinkingdata.WRONG_PARAMETER),
        ({"clusterCatalog": "catalog_tag"}, thinkingdata.WRONG_PARAMETER),
        ({"subConditionTabType": "tag_condition_default"}, thinkingdata.WRONG_PARAMETER),
        ({"qp": "text"}, thinkingdata.WRONG_PARAMETER),
        ({"qp": {"sql": "SELECT 1"}}, thinkingdata.WRONG_PARAMETER),
        ({"qp": EXAMPLE["qp"] | {"stray": 1}}, thinkingdata.WRONG_DEFINITION),
        ({"qp": EXAMPLE["qp"] | {"relation": "AND"}}, thinkingdata.WRONG_DEFINITION),
        ({"qp": {**EXAMPLE["qp"], "events": [{**EXAMPLE["qp"]["events"][0], "num": 4}]}}, thinkingdata.WRONG_DEFINITION),
        ({"qp": {**EXAMPLE["qp"], "events": [{**EXAMPLE["qp"]["events"][0], "eventName": "nothing"}]}}, thinkingdata.WRONG_DEFINITION),
    ],
)  # fmt: skip
def test_what_is_not_as_it_has_to_be_is_refused(shared: Station, changes: dict[str, Any], expected: int) -> None:
    before = shared.call("list_clusters").total
    assert code(shared.post(ADD, body("refused", **changes))) == expected
    assert shared.call("list_clusters").total == before


def test_names_as_long_as_the_page_allows_are_taken(shared: Station) -> None:
    assert shared.post(ADD, body("a" * 24, displayName="显" * 50))["return_code"] == 0


@pytest.mark.parametrize(
    "sent", ["", "{", "[]", '{"a": NaN}', '{"projectId": 1, "projectId": 2}', "[" * 100_000, "\ud800"]
)
def test_a_body_that_is_no_object_is_refused(shared: Station, sent: str) -> None:
    assert code(shared.post(ADD, sent.encode("utf-8", "surrogatepass"))) in (-1008, thinkingdata.WRONG_PARAMETER)


def test_a_query_is_read_strictly(shared: Station) -> None:
    made = shared.post(ADD, body("strict"))["data"]
    where = {"projectId": 102, "clusterId": made}
    assert code(shared.get(DETAIL, **where, stray=1)) == thinkingdata.WRONG_PARAMETER
    assert code(shared.get(DETAIL, **where, clusterName="strict")) == thinkingdata.WRONG_PARAMETER
    assert code(shared.get(DETAIL, projectId=102, clusterId="strict")) == thinkingdata.WRONG_PARAMETER
    assert code(shared.get(DETAIL, projectId=102, clusterName=made)) == thinkingdata.WRONG_PARAMETER
    assert shared.get(DETAIL, projectId=102) == {"return_code": -1008, "return_message": "参数(clusterId)为空"}
    twice = shared.client.get(f"{shared.url}{DETAIL}?token={KEYS.token}&projectId=102&projectId=2&clusterId={made}")
    assert code(twice.json()) == thinkingdata.WRONG_PARAMETER
    assert code(shared.get(DETAIL, projectId=2, clusterId=made)) == -1999


def test_an_update_keeps_type_name_and_project(shared: Station) -> None:
    made = shared.post(ADD, body("kept"))["data"]
    assert code(shared.post(UPDATE, body("other"), clusterId=made)) == thinkingdata.WRONG_PARAMETER
    dynamic = body("kept", clusterType="cluster_by_dynamic_condition")
    assert code(shared.post(UPDATE, dynamic, clusterId=made)) == thinkingdata.WRONG_PARAMETER
    elsewhere = body("kept", projectId=2)
    assert (
        code(shared.post(f"{UPDATE}-by-name", elsewhere, projectId=102, clusterName="kept"))
        == thinkingdata.WRONG_PARAMETER
    )
    assert code(shared.post(UPDATE, elsewhere, clusterId=made)) == -1999


def test_what_others_rest_on_is_not_deleted(shared: Station) -> None:
    made = shared.post(ADD, body("below"))["data"]
    leaf = {"tableType": "cluster", "columnName": "below", "comparator": "belongToCluster", "ftv": []}
    reads = {"filts": [leaf], "relation": "and"}
    above = shared.post(ADD, body("above", qp=reads))
    assert above["return_code"] == 0, above
    assert code(shared.post("/open/user-cluster-delete", projectId=102, clusterId=made)) == thinkingdata.IN_USE


def test_acts_are_in_the_log_under_the_credential(shared: Station) -> None:
    shared.post(ADD, body("logged"))
    [entry] = shared.app.deps.required_ledger().entries(limit=1)
    assert (entry.subject.name, entry.subject.known, entry.subject.tool) == (
        "thinkingdata",
        "gateway",
        "create_cluster",
    )


def test_errors_say_nothing_of_python(shared: Station) -> None:
    answer = shared.post(ADD, body("odd", qp={"events": "x"}))
    assert not re.search(r"Traceback|Error:|File \"", answer["return_message"])
