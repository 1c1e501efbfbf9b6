"""Every JSON example of the vendor's page, each in a fresh copy of a workspace that holds what it names; and the
page's curl lines. Answers are compared by type where the page's values (ids, counts, times) are of its own system."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from tests.gateway.kit import KEYS, Station, needed, page, station

CURL = shutil.which("curl")
TEST_CSV = b"j77639\r\nh84497\r\ng119426\r\ne154284\r\nf175355\r\n"
"""The page's file: 43 bytes, whose pieces begin at 0, 8, 10, 19 and 22 (hexadecimal) in its trace."""


def shape(value: Any) -> Any:
    """What a value is like: the same keys and types."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def reply(name: str) -> Any:
    """An answer of the page; one of them has a comma too many."""
    return json.loads(page(name).replace("80,\n", "80\n"))


@pytest.mark.parametrize("name", ["add_cluster", "add_tag_of_values", "add_tag_of_first_event", "add_tag_of_measure"])
def test_what_the_page_adds_is_added(fresh: Station, name: str) -> None:
    answer = fresh.post("/open/user-cluster-add", page(name))
    assert shape(answer) == shape(reply("add_reply"))
    assert answer == reply("add_reply") | {"data": answer["data"]}
    project = 2 if '"projectId": 2' in page(name) else 102
    found = fresh.get("/open/user-cluster-detail", projectId=project, clusterId=answer["data"])["data"]
    assert found["clusterName"] in page(name)


def test_the_pages_cluster_is_read_back_as_on_the_page(fresh: Station) -> None:
    made = fresh.post("/open/user-cluster-add", page("add_cluster"))["data"]
    for named in ({"clusterId": made}, {"clusterName": "recent_7_days_consume"}):
        answer = fresh.get("/open/user-cluster-detail", projectId=102, **named)
        expected = reply("detail_reply")
        assert shape(answer) == shape(expected)
        its_own = ("id", "progress", "refreshTime", "userId", "usersNum")
        assert answer["data"] == expected["data"] | {name: answer["data"][name] for name in its_own}


def test_the_pages_update_works_by_id_and_by_name(fresh: Station) -> None:
    made = fresh.post("/open/user-cluster-add", page("add_cluster"))["data"]
    assert fresh.post("/open/user-cluster-update", page("update_cluster"), clusterId=made) == reply("update_reply")
    named = {"projectId": 102, "clusterName": " recent_7_days_consume"}  # the page's blank
    assert fresh.post("/open/user-cluster-update-by-name", page("update_cluster"), **named) == reply("update_reply")


@pytest.mark.parametrize("by_name", [False, True])
def test_refresh_progress_and_delete_answer_as_on_the_page(fresh: Station, by_name: bool) -> None:
    made = fresh.post("/open/user-cluster-add", page("add_cluster"))["data"]
    end = "-by-name" if by_name else ""
    where = {"projectId": 102} | ({"clusterName": "recent_7_days_consume"} if by_name else {"clusterId": made})
    assert fresh.post(f"/open/user-cluster-refresh{end}", **where) == reply("update_reply")
    progress = fresh.get(f"/open/user-cluster-refresh-progress{end}", **where)
    assert shape(progress) == shape(reply("progress_reply"))
    delete = "/open/delete-user-cluster-by-name" if by_name else "/open/user-cluster-delete"
    assert fresh.post(delete, **where) == reply("update_reply")
    assert fresh.get("/open/user-cluster-detail", **where)["return_code"] == -1999


def test_the_pages_list_is_answered_as_on_the_page(fresh: Station) -> None:
    for name, shown in (("test", "test001"), ("xuzz_ces", "用户数 test001")):
        body = json.loads(page("add_cluster")) | {"clusterName": name, "displayName": shown, "remarks": "2134"}
        assert fresh.post("/open/user-cluster-add", body)["return_code"] == 0
    answer, expected = fresh.post("/open/user-cluster-list", page("list_request")), reply("list_reply")
    assert shape(answer) == shape(expected)
    assert answer["data"]["pagerResult"] == expected["data"]["pagerResult"]
    for row, named in zip(answer["data"]["userClusters"], expected["data"]["userClusters"], strict=True):
        same = ("clusterCatalog", "clusterName", "clusterType", "historyDataStatus", "mainColumnName", "progress",
                "projectId", "refreshDelay", "selectType", "status", "uploadFileName")  # fmt: skip
        assert {key: row[key] for key in same} == {key: named[key] for key in same}


def test_an_empty_token_is_answered_as_on_the_page(fresh: Station) -> None:
    answer = fresh.client.post(f"{fresh.url}/open/user-cluster-add?token=", content=page("add_cluster"))
    assert answer.json() == reply("error_reply")


def curl(station: Station, folder: Path, line: str, *more: str) -> dict[str, Any]:
    """One of the page's lines, with a test token and its host led to the gateway."""
    assert CURL is not None
    address = station.url.removeprefix("http://")
    trace = ["--trace-ascii", "trace.txt", "--header", "Content-Type: text/csv", "--data-binary", "@test.csv"]
    words = [CURL, "--silent", "--noproxy", "*", "--connect-to", f"ta2:8992:{address}", *(more or trace), line]
    said = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", check=True)
    return dict(json.loads(said.stdout))


def test_the_pages_curl_lines_run_as_they_are(made_once: Path, portal: BlockingPortal, tmp_path: Path) -> None:
    needed(CURL, "curl")
    (tmp_path / "test.csv").write_bytes(TEST_CSV)
    assert len(TEST_CSV) == 43
    base, token = "http://ta2:8992/open/", f"token={KEYS.token}"
    with station(shutil.copytree(made_once, tmp_path / "workspace"), portal) as here:
        made = curl(here, tmp_path, f"{base}import-id-cluster-add?{token}&projectId=102&displayName=xxxx&mainColumnName=%23account_id")  # fmt: skip
        number = made["data"]["clusterId"]
        assert made == reply("import_reply") | {"data": reply("import_reply")["data"] | {"clusterId": number}}
        again = curl(here, tmp_path, f"{base}import-id-cluster-modify?{token}&projectId=102&clusterId={number}&displayName=xxxx&mainColumnName=%23account_id")  # fmt: skip
        assert again == made
        assert "Content-Length: 43" in (tmp_path / "trace.txt").read_text(encoding="utf-8")
        (tmp_path / "body.json").write_text(page("add_cluster"), encoding="utf-8")
        json_body = ("--header", "Content-Type: application/json", "--data-binary", "@body.json")
        added = curl(here, tmp_path, f"{base}user-cluster-add?{token}", *json_body)
        (tmp_path / "body.json").write_text(page("update_cluster"), encoding="utf-8")
        assert curl(here, tmp_path, f"{base}user-cluster-update?{token}&clusterId={added['data']}", *json_body) == reply("update_reply")  # fmt: skip
        (tmp_path / "body.json").write_text(page("list_request").replace("test001", "consume"), encoding="utf-8")
        listed = curl(here, tmp_path, f"{base}user-cluster-list?{token}", *json_body)
        assert [row["id"] for row in listed["data"]["userClusters"]] == [added["data"]]
        get = curl(
            here, tmp_path, f"{base}user-cluster-detail?{token}&projectId=102&clusterId={added['data']}", "--get"
        )
        assert get["data"]["displayName"] == "recent_7_days_consume"
        gone = curl(here, tmp_path, f"{base}user-cluster-delete?{token}&projectId=102&clusterId={added['data']}", "--request", "POST")  # fmt: skip
        assert gone == reply("update_reply")
