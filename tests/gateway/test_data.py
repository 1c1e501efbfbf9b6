"""Uploaded ids, events and properties, and SQL over a socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mcp_server.errors import VendorRejected
from mcp_server.gateway import thinkingdata_wire as thinkingdata
from mcp_server.platforms.thinkingdata.client import Which
from mcp_server.store.files import MOST_KEPT
from tests.gateway.kit import KEYS, LIMITS, PROJECT, Station

ADD, MODIFY = "/open/import-id-cluster-add", "/open/import-id-cluster-modify"
TEST_CSV = b"j77639\nh84497\ng119426\ne154284\nf175355"
"""The page's file: 43 bytes in its trace, with line ends of two bytes."""
NAMED = {"projectId": PROJECT, "displayName": "xxxx", "mainColumnName": "#account_id"}


def test_the_pages_file_is_uploaded_and_replaced(shared: Station) -> None:
    counts = {"tagValueNullNum": 0, "unmatchedNum": 0, "uploadNum": 5, "userNum": 5}
    made = shared.upload(ADD, TEST_CSV.replace(b"\n", b"\r\n"), **NAMED)
    number = made["data"]["clusterId"]
    assert made == {"data": {"clusterId": number} | counts, "return_code": 0, "return_message": "success"}
    again = shared.upload(MODIFY, b"j77639\nnobody\n", projectId=PROJECT, clusterId=number)
    assert again["data"] == {"clusterId": number, "tagValueNullNum": 0, "unmatchedNum": 1, "uploadNum": 2, "userNum": 1}
    row = shared.call("get_cluster", cluster=str(number), project_id=PROJECT).cluster
    assert (row.cluster_type, row.users_num, row.display_name) == ("cluster_by_import", 1, "xxxx")
    detail = shared.get("/open/user-cluster-detail", projectId=PROJECT, clusterId=number)["data"]
    assert detail["mainColumnName"] == "#account_id"


def test_our_client_uploads_and_replaces_by_name(shared: Station, tmp_path: Any) -> None:
    file = tmp_path / "ids.csv"
    file.write_bytes(b"j77639,high\nh84497,low\ne154284,\n")
    named = {key: value for key, value in NAMED.items() if key != "projectId"}

    async def use(api: Any) -> None:
        made = await api.import_add(file, PROJECT, named | {"clusterName": "tagged", "clusterCatalog": "catalog_tag"})
        assert (made.uploaded, made.users, made.unmatched, made.without_value) == (3, 2, 0, 1)
        file.write_bytes(b"j77639,high\n")
        done = await api.import_modify(Which(PROJECT, made.cluster_id, "tagged"), file, {"displayName": "新名称"})
        assert (done.cluster_id, done.uploaded) == (made.cluster_id, 1)
        with pytest.raises(VendorRejected):
            await api.import_add(file, PROJECT, named | {"clusterName": "tagged", "clusterCatalog": "catalog_tag"})

    shared.with_ta(use)
    assert shared.call("get_cluster", cluster="tagged", project_id=PROJECT).cluster.display_name == "新名称"


def test_uploads_leave_no_file_behind(shared: Station) -> None:
    root = shared.app.settings.workspace
    shared.upload(ADD, TEST_CSV, **NAMED)
    shared.upload(ADD, TEST_CSV, **NAMED | {"mainColumnName": "no_such"})
    assert list((root / "imports").iterdir()) == []
    assert shared.app.handed.room(PROJECT) == MOST_KEPT
    assert [f for f in (root / "tmp").iterdir() if f.suffix == ".upload"] == []


@pytest.mark.parametrize(
    ("content", "changes", "expected"),
    [
        (b"", {}, -1008),
        (TEST_CSV, {"displayName": ""}, -1008),
        (TEST_CSV, {"mainColumnName": "no_such"}, thinkingdata.WRONG_PARAMETER),
        (TEST_CSV, {"clusterCatalog": "cluster"}, thinkingdata.WRONG_PARAMETER),
        (TEST_CSV, {"displayName": "显" * 51}, thinkingdata.WRONG_PARAMETER),
        (TEST_CSV, {"stray": "1"}, thinkingdata.WRONG_PARAMETER),
        (TEST_CSV, {"projectId": "999"}, -1999),
    ],
)
def test_uploads_that_do_not_fit_are_refused(
    shared: Station, content: bytes, changes: dict[str, str], expected: int
) -> None:
    assert shared.upload(ADD, content, **NAMED | changes)["return_code"] == expected


def test_bodies_have_limits_however_they_are_sent(shared: Station) -> None:
    def pieces(size: int) -> Iterator[bytes]:
        yield b"j77639\n"
        yield b"x" * (size - 8) + b"\n"

    headers = {"Content-Type": "text/csv"}
    params = {"token": KEYS.token, **NAMED}
    for size, expected in ((LIMITS.upload, 0), (LIMITS.upload + 1, thinkingdata.TOO_LONG)):
        for content in (b"".join(pieces(size)), pieces(size)):
            answer = shared.client.post(shared.url + ADD, params=params, content=content, headers=headers)
            assert answer.json()["return_code"] == expected
    for size, expected in ((LIMITS.body, thinkingdata.WRONG_PARAMETER), (LIMITS.body + 1, thinkingdata.TOO_LONG)):
        assert shared.post("/open/user-cluster-add", b" " * (size - 1) + b"1")["return_code"] == expected


def test_events_and_properties_are_listed(shared: Station) -> None:
    events = shared.get("/open/list-event-meta", projectId=PROJECT)["data"]
    assert {e["eventName"] for e in events} == {
        "consume_item",
        "player_register",
        "fight_success",
        "pay",
        "activity_attend",
    }
    users = shared.get("/open/list-props", projectId=PROJECT, tableType="user")["data"]
    assert {
        "columnName": "user_level",
        "columnDesc": "",
        "selectType": "number",
        "tableType": "user",
        "remark": "",
    } in users
    paid = shared.get("/open/list-props", projectId=PROJECT, tableType="event", eventName="pay")["data"]
    assert {p["columnName"] for p in paid} == {"#os", "#vp@test_num"}
    assert (
        shared.get("/open/list-props", projectId=PROJECT, tableType="cluster")["return_code"]
        == thinkingdata.WRONG_PARAMETER
    )


SQL = """SELECT "#user_id", "#event_name", count(*) AS n, sum("#vp@test_num") / 2 AS half, NULL AS nothing
FROM ta.v_event_102 WHERE "$part_date" >= '2020-01-01' GROUP BY 1, 2 ORDER BY 1, 2"""


def test_sql_answers_headers_and_one_row_a_line(shared: Station) -> None:
    answer = shared.query(SQL, format="json", timeoutSeconds="30")
    first, *rows = answer.text.splitlines()
    assert json.loads(first) == {
        "data": {"headers": ["#user_id", "#event_name", "n", "half", "nothing"]},
        "return_code": 0,
        "return_message": "success",
    }
    assert [json.loads(row)[:3] for row in rows] == [
        [1, "consume_item", 5], [1, "pay", 1], [2, "activity_attend", 1], [2, "fight_success", 1], [2, "player_register", 1],
    ]  # fmt: skip
    assert json.loads(rows[1])[3:] == [3.5, None]
    [entry] = shared.app.deps.required_ledger().entries(limit=1)
    assert (entry.subject.name, entry.subject.known, entry.subject.tool) == ("thinkingdata", "gateway", "query_sql")
    assert (entry.outcome, entry.after) == ("done", "5 row(s).")


def test_our_client_reads_rows_of_many_types(shared: Station) -> None:
    sql = """SELECT u."#account_id", u.user_level = 3 AS three, CAST(1.50 AS DECIMAL(9, 2)) AS d, 'a"b,中' AS t,
      TIMESTAMP '2020-01-02 03:04:05' AS at, DATE '2020-01-02' AS day, [1, 2] AS list, CAST('NaN' AS DOUBLE) AS nan
      FROM v_user_102 AS u WHERE u."#user_id" = 1"""

    async def use(api: Any) -> None:
        assert await api.rows(sql) == [
            ["j77639", True, "1.50", 'a"b,中', "2020-01-02 03:04:05.000", "2020-01-02", [1, 2], "nan"]
        ]

    shared.with_ta(use)


def test_members_of_a_cluster_are_read_by_sql(shared: Station) -> None:
    shared.upload(ADD, TEST_CSV, **NAMED | {"clusterName": "for_sql"})
    answer = shared.query("""SELECT count(*) FROM user_result_cluster_102 WHERE cluster_name = 'for_sql'""")
    assert answer.text.splitlines()[1] == "[5]"


def test_no_rows_are_an_answer(shared: Station) -> None:
    answer = shared.query('SELECT "#user_id" FROM v_user_102 WHERE user_level > 100')
    assert answer.text.splitlines() == ['{"data":{"headers":["#user_id"]},"return_code":0,"return_message":"success"}']


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM v_event_102",
        "SELECT * FROM (SELECT * FROM v_event_102 WHERE \"$part_date\" = '2020-01-05') a JOIN v_event_102 b ON TRUE",
        "SELECT * FROM v_user_2, v_user_102",
        "DELETE FROM v_user_102",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY v_user_102 TO '/tmp/x'",
        "SELECT no_such FROM v_user_102",
    ],
)
def test_sql_that_may_not_run_is_refused(shared: Station, sql: str) -> None:
    answer = shared.query(sql)
    assert answer.status_code == 200
    assert answer.json()["return_code"] == thinkingdata.SQL_REFUSED


def test_the_form_is_read_strictly(shared: Station) -> None:
    assert shared.query(" ").json() == {"return_code": -1008, "return_message": "参数(sql)为空"}
    assert shared.query("SELECT 1", format="csv").json()["return_code"] == thinkingdata.WRONG_PARAMETER
    assert shared.query("SELECT 1", stray="1").json()["return_code"] == thinkingdata.WRONG_PARAMETER
    assert shared.query("SELECT 1", timeoutSeconds="x").json()["return_code"] == thinkingdata.WRONG_PARAMETER
    assert shared.query("SELECT 1 FROM v_user_999").json()["return_code"] == -1999
