"""ThinkingData's form, as it goes out and as it is read; each quirk of wire.py has its test."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from mcp_server.errors import VendorBusy, VendorDenied, VendorRejected
from mcp_server.language.model import Qp, TagQp
from mcp_server.language.schema import EXAMPLE, TAG_EXAMPLES
from mcp_server.platforms.thinkingdata import client, metadata, wire
from mcp_server.platforms.transport import Outgoing
from mcp_server.platforms.vendor import UnreadableReply

TOKEN = "bTOz+KiT/="


def body(out: Outgoing) -> Any:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def query(out: Outgoing) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(out.path).query, keep_blank_values=True, strict_parsing=True))


def test_te1_the_token_stands_in_the_query() -> None:
    out = wire.get(wire.DETAIL, TOKEN, projectId="102", clusterId="970")
    assert out.path.startswith("/open/user-cluster-detail?token=bTOz%2BKiT%2F%3D&")
    assert query(out) == {"token": TOKEN, "projectId": "102", "clusterId": "970"}


def test_te2_a_sign_in_a_property_name_is_encoded() -> None:
    assert "mainColumnName=%23account_id" in wire.path(wire.IMPORT_ADD, TOKEN, mainColumnName="#account_id")


def test_te3_the_project_is_a_number_in_a_body() -> None:
    made = wire.definition_body(Qp.model_validate(EXAMPLE), "102", cluster_type="cluster_by_static_condition", display_name="d", cluster_name="c")  # fmt: skip
    assert made["projectId"] == 102
    assert made["clusterCatalog"] == "catalog_cluster"
    assert made["qp"] == EXAMPLE


def test_te4_what_is_empty_is_not_sent() -> None:
    assert query(wire.post(wire.DELETE_BY_NAME, TOKEN, None, clusterName="a", remarks="")) == {
        "token": TOKEN,
        "clusterName": "a",
    }
    assert wire.post(wire.DELETE, TOKEN).body == b""
    assert "clusterName" not in wire.list_body("1", "catalog_tag", ("tag_by_static_condition",), "", 1, 10)
    made = wire.definition_body(Qp.model_validate(EXAMPLE), "1", cluster_type="cluster_by_static_condition", display_name="d")  # fmt: skip
    assert "clusterName" not in made


def test_te5_remarks_are_sent_only_where_they_are_given() -> None:
    qp = Qp.model_validate(EXAMPLE)
    named: dict[str, str] = {"cluster_type": "cluster_by_static_condition", "display_name": "d"}
    assert "remarks" not in wire.definition_body(qp, "1", **named)
    assert wire.definition_body(qp, "1", remarks="r", **named)["remarks"] == "r"


@pytest.mark.parametrize("number", range(len(TAG_EXAMPLES)))
def test_a_tag_says_its_kind(number: int) -> None:
    tag = TagQp.model_validate(TAG_EXAMPLES[number])
    made = wire.definition_body(tag, "2", cluster_type="tag_by_static_condition", display_name="标签_test", cluster_name="t")  # fmt: skip
    assert made["subConditionTabType"] == tag.kind
    assert made["clusterCatalog"] == "catalog_tag"
    assert set(made) == {"projectId", "clusterName", "clusterCatalog", "clusterType", "subConditionTabType", "displayName", "tagQp"}  # fmt: skip


def test_a_query_stands_in_the_body() -> None:
    out = wire.sql("SELECT 'a&b'", TOKEN, 60)
    assert isinstance(out.body, bytes)
    assert dict(parse_qsl(out.body.decode())) == {"sql": "SELECT 'a&b'", "format": "json", "timeoutSeconds": "60"}
    assert "SELECT" not in out.path


# replies


def envelope(data: object, code: object = 0, message: str = "success") -> bytes:
    return json.dumps({"data": data, "return_code": code, "return_message": message}, ensure_ascii=False).encode()


def test_only_code_0_is_success_whatever_http_says() -> None:
    assert client.data_of(envelope(970)) == 970
    assert client.data_of(envelope(970, "0")) == 970
    with pytest.raises(VendorDenied) as denied:
        client.data_of(envelope(None, -1008, "参数(token)为空"))
    assert "参数(token)为空" in denied.value.message.en
    with pytest.raises(VendorBusy):
        client.data_of(envelope(None, -1005, "too frequent"))
    with pytest.raises(VendorRejected) as rejected:
        client.data_of(envelope(None, -1999, f"bad {TOKEN}\u202e\n" + "x" * 1000), (TOKEN,))
    assert TOKEN not in rejected.value.message.en
    assert len(rejected.value.message.en) < 400
    assert client.is_busy(envelope(None, "-1005"))
    assert not client.is_busy(b"<html>")


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b"{}", b'{"data":1}', b"\xff", b'"text"'])
def test_what_is_no_envelope_is_unreadable(answer: bytes) -> None:
    with pytest.raises(UnreadableReply):
        client.data_of(answer)


DETAIL: dict[str, Any] = {
    "clusterName": "recent_7_days_consume",
    "clusterType": "cluster_by_static_condition",
    "displayName": "recent_7_days_consume",
    "id": 970,
    "progress": 1,
    "projectId": 102,
    "refreshTime": "2020-01-10 10:51:14",
    "userClusterDef": EXAMPLE,
    "userId": 13,
    "usersNum": 0,
}
"""The page's example."""


def test_the_pages_detail_is_read() -> None:
    found = client.cluster_in(DETAIL)
    assert (found.cluster_id, found.name, found.progress, found.users_num) == ("970", "recent_7_days_consume", 1, 0)
    assert found.definition == EXAMPLE
    assert found.catalog == "catalog_cluster"


def test_a_detail_is_read_leniently() -> None:
    loose = {"id": "9223372036854775807", "clusterName": "t", "clusterType": "tag_by_static_condition", "progress": "-1", "usersNum": None, "userTagDef": json.dumps(TAG_EXAMPLES[0]), "more": [1]}  # fmt: skip
    found = client.cluster_in(loose)
    assert (found.cluster_id, found.catalog, found.progress, found.users_num) == ("9223372036854775807", "catalog_tag", -1, None)  # fmt: skip
    assert found.definition == TAG_EXAMPLES[0]
    assert client.cluster_in(DETAIL | {"userClusterDef": "{no json"}).definition == {}
    for broken in (None, [], {}, DETAIL | {"id": None}, DETAIL | {"clusterName": ""}):
        with pytest.raises(UnreadableReply):
            client.cluster_in(broken)


def test_a_page_is_read_with_its_total() -> None:
    page = client.page_in({"pagerResult": {"totalNum": "12"}, "userClusters": [DETAIL]})
    assert (len(page.items), page.total) == (1, 12)
    assert client.page_in({"userClusters": None}).total == 0
    for broken in (None, [], {"userClusters": "x"}, {"userClusters": [{}]}):
        with pytest.raises(UnreadableReply):
            client.page_in(broken)


def test_the_counters_of_an_import_may_be_missing() -> None:
    counts = client.counts_in({"clusterId": 1889, "tagValueNullNum": 0, "unmatchedNum": 1, "uploadNum": "5", "userNum": 4})  # fmt: skip
    assert counts == client.ImportCounts("1889", 5, 4, 1, 0)
    assert client.counts_in("") is None


def test_ids_and_progress_are_numbers() -> None:
    assert client.new_id_in(970) == client.new_id_in(" 970 ") == "970"
    for broken in (None, True, "x", -1, 1.5, {}):
        with pytest.raises(UnreadableReply):
            client.new_id_in(broken)
    assert client.progress_in({"progress": "80"}) == 80
    for nothing in (None, {}, 80):
        with pytest.raises(UnreadableReply):
            client.progress_in(nothing)


def test_a_querys_answer_is_an_envelope_and_rows_whose_digits_stay() -> None:
    head = envelope({"headers": ["#user_id", "n"]})
    rows = client.rows_in(head + b'\n[9223372036854775807, 0.10000000000000000001]\r\n\n["a", null]\n')
    assert rows == [[9223372036854775807, "0.10000000000000000001"], ["a", None]]
    for broken in (envelope({}), b"", envelope({"headers": "x"})):
        with pytest.raises(UnreadableReply):
            client.rows_in(broken)
    for broken in (b'{"a":1}', b"[1]", b"[1, 2"):
        with pytest.raises(UnreadableReply):
            client.rows_in(head + b"\n" + broken)
    with pytest.raises(VendorRejected):
        client.rows_in(envelope(None, -1, "bad sql"))


@pytest.mark.parametrize(
    "wrap", [lambda rows: rows, lambda rows: {"list": rows, "total": 1}, lambda rows: {"eventMetas": rows}]
)
def test_events_and_properties_are_read_in_any_form_and_unknown_fields_are_kept(wrap: Any) -> None:
    row = {
        "event_name": "pay",
        "displayName": "付费",
        "comment": "每笔",
        "category": {"id": 7},
        "hidden": False,
        "none": None,
    }
    (event,) = metadata._events(metadata._rows(wrap([row, row, "odd", {"event_name": ""}])))
    assert (event.name, event.names.en, event.names.zh, event.names.remark_zh) == ("pay", "付费", "付费", "每笔")
    assert dict(event.more) == {"category": '{"id": 7}', "hidden": "false"}
    row = {"propName": "level", "propType": "INT", "unit": "x" * 300, "tableType": "user"}
    (found,) = metadata._properties(metadata._rows(wrap([row, {"propName": "object", "propType": "row"}])), "user")
    assert (found.name, found.type, dict(found.more)) == ("level", "number", {"unit": "x" * metadata.MOST_MORE})
