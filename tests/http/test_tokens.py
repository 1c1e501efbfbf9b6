"""Static tokens: who may come, how far he gets, and what a refusal tells."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcp_server.errors import InvalidArguments, NameTaken, NotFound
from mcp_server.store.catalog import Catalog
from mcp_server.store.tokens import Tokens
from mcp_server.store.workspace import Workspace
from tests import small
from tests.http.http_kit import House, Web


def check_refused(answer: httpx.Response, error: str) -> None:
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer")
    assert "resource_metadata" not in challenge, "there is no authorization server to find"
    assert (f'error="{error}"' in challenge) if error else challenge == "Bearer"
    assert answer.json()["next"]


def test_a_call_needs_a_token_that_counts(guarded: Web, tokens: dict[str, str]) -> None:
    check_refused(guarded.as_("").asked("tools/list"), "")
    for wrong in ("nonsense", tokens["writer"][:-1], tokens["writer"] + "x", "x" * 9000):
        check_refused(guarded.as_(wrong).asked("tools/list"), "invalid_token")
    check_refused(guarded.as_("").get("/mcp", authorization="Basic d3JpdGVy"), "")
    assert guarded.asked("tools/list").status_code == 200


def test_every_route_is_behind_the_gate(guarded: Web) -> None:
    nobody = guarded.as_("")
    for answer in (nobody.get("/mcp"), nobody.post("/imports", b"x"), nobody.get("/exports/x"), nobody.get("/nope")):
        check_refused(answer, "")
    assert nobody.get("/health").json() == {"status": "ok"}


def test_a_revoked_token_ends_at_once_and_its_name_is_free(guarded: Web, house: House) -> None:
    web = guarded.as_(house.app.tokens.add("kim", "read", ["1"]))
    assert web.call("describe_data")["project_id"] == "1"
    with pytest.raises(NameTaken):
        house.app.tokens.add("kim", "read", ["1"])
    house.app.tokens.revoke("kim")
    check_refused(web.asked("tools/list"), "invalid_token")
    again = guarded.as_(house.app.tokens.add("kim", "read", ["1"]))
    assert again.asked("tools/list").status_code == 200
    house.app.tokens.revoke("kim")


def test_a_token_that_may_read_changes_nothing(guarded: Web, tokens: dict[str, str]) -> None:
    reader = guarded.as_(tokens["reader"])
    arguments = {"cluster_name": "a", "display_name": "a", "cluster_type": "cluster_by_static_condition"}
    refused = reader.call("create_cluster", **arguments, qp=small.BUYERS)
    assert refused["code"] == "not_allowed"
    assert reader.call("preview_definition", qp=small.BUYERS)["users_num"] == 2


def test_a_token_reaches_its_projects_alone(guarded: Web, tokens: dict[str, str]) -> None:
    reader, seven = guarded.as_(tokens["reader"]), guarded.as_(tokens["seven"])
    assert seven.call("describe_data")["project_id"] == "7", "its only project is meant where none is named"
    assert reader.call("describe_data")["project_id"] == "1"
    for web, other in ((reader, "7"), (seven, "1"), (seven, "99")):
        refused = web.call("describe_data", project_id=other)
        assert refused["code"] == "not_allowed"
        assert refused["message"].endswith(f"project {other}.")


def test_a_resource_and_a_completion_are_bound_to_the_project_too(guarded: Web, tokens: dict[str, str]) -> None:
    made = guarded.call(
        "create_cluster", cluster_name="only_here", display_name="x",
        cluster_type="cluster_by_static_condition", qp=small.BUYERS,
    )  # fmt: skip
    assert made["cluster"]["cluster_name"] == "only_here"
    uri = "fenqun://clusters/only_here"
    assert guarded.asked("resources/read", uri, uri=uri).status_code == 200
    elsewhere = guarded.as_(tokens["seven"]).asked("resources/read", uri, uri=uri)
    assert "result" not in elsewhere.json()
    wish = {
        "ref": {"type": "ref/resource", "uri": "fenqun://clusters/{name}"},
        "argument": {"name": "name", "value": "only"},
    }
    found = [
        web.asked("completion/complete", **wish).json()["result"]["completion"]["values"]
        for web in (guarded, guarded.as_(tokens["seven"]))
    ]
    assert found == [["only_here"], []]


def test_ids_of_another_project_are_unknown(guarded: Web, tokens: dict[str, str]) -> None:
    def made(tool: str, **arguments: Any) -> dict[str, Any]:
        answer = guarded.call(tool, **arguments)
        assert answer.get("code", 0) == 0, answer
        return answer

    wish = {"display_name": "x", "cluster_type": "cluster_by_static_condition", "qp": small.BUYERS}
    cluster = made("create_cluster", cluster_name="of_one", **wish)["cluster"]["cluster_id"]
    days = {"start_time": "2099-01-01 00:00:00", "end_time": "2099-02-01 00:00:00"}
    crowd = made("create_crowd_analysis", crowd_id=cluster, **days)["result"]["task_id"]
    call = made("create_call_task", task_name="of_one", ids=["13800138000"], **days)["task"]["task_open_id"]
    seven = guarded.as_(tokens["seven"])
    for tool, arguments in {
        **{
            key: {"cluster": cluster}
            for key in ("get_cluster", "refresh_cluster", "get_refresh_progress", "export_users")
        },
        **{key: {"cluster": "of_one"} for key in ("delete_cluster", "restore_cluster", "replace_imported_ids")},
        "update_cluster": {"cluster": cluster, "remarks": "y"},
        "update_tag": {"tag": cluster, "remarks": "y"},
        "create_crowd_analysis": {"crowd_id": cluster, **days},
        **{key: {"task_id": crowd} for key in ("get_crowd_analysis", "reload_crowd_analysis", "delete_crowd_analysis")},
        "update_crowd_analysis": {"task_id": crowd, **days},
        "list_crowd_analyses": {"crowd_id": cluster},
        "get_call_task": {"task_open_id": call},
        "update_call_task": {"task_open_id": call, "concurrency": 3},
        "create_call_task": {"task_name": "z", "cluster": cluster, "callee_property": "city", **days},
    }.items():
        answer = seven.call(tool, **arguments)
        assert answer.get("code") in ("not_found", "invalid_arguments"), (tool, answer)
        assert answer["code"] == "not_found" or "cluster" in str(answer["problems"]), (tool, answer)
    for tool in ("list_clusters", "list_call_tasks"):
        assert "of_one" in str(guarded.call(tool, search="of_one"))
        seen = seven.call(tool, search="one")
        assert "code" not in seen
        assert "of_one" not in str(seen)


def test_a_session_is_closed_to_every_other_token(guarded: Web, tokens: dict[str, str]) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    made = httpx.post(guarded.url + "/mcp", json=body, headers=guarded.headers | head)
    assert made.status_code == 200
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    head |= {"Mcp-Session-Id": made.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}

    def status(web: Web) -> int:
        return httpx.post(web.url + "/mcp", json=ping, headers=web.headers | head).status_code

    assert [status(guarded), status(guarded.as_(tokens["reader"])), status(guarded)] == [200, 404, 200]


# the store


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(Workspace.open(tmp_path / "workspace"))


def test_a_token_is_kept_as_a_hash_only(catalog: Catalog) -> None:
    tokens = Tokens(catalog)
    made = tokens.add("kim", "write", ["1", "7", "1"], days=2)
    kept = [tuple(row) for row in catalog.database.rows("SELECT * FROM access_token")]
    assert made not in str(kept)
    assert made.removeprefix("fenqun_") not in str(kept)
    assert len(made) >= 40
    (record,) = tokens.all()
    assert (record.name, record.scope, record.projects) == ("kim", "write", frozenset({"1", "7"}))
    assert tokens.find(made) == record


def test_a_token_ends_on_its_day(tmp_path: Path) -> None:
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    catalog = Catalog(Workspace.open(tmp_path / "workspace"), clock=lambda: moment)
    tokens = Tokens(catalog)
    made = tokens.add("kim", "read", None, days=1)
    moment += timedelta(days=1) - timedelta(microseconds=1)
    assert tokens.find(made) is not None
    moment += timedelta(microseconds=1)
    assert tokens.find(made) is None


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 65, "a/b", "\ud800"])
def test_a_token_has_a_plain_name(catalog: Catalog, name: str) -> None:
    with pytest.raises(InvalidArguments):
        Tokens(catalog).add(name, "read", None)


def test_revoking_what_is_not_there_names_the_nearest(catalog: Catalog) -> None:
    tokens = Tokens(catalog)
    tokens.add("kim.lee", "read", None)
    with pytest.raises(NotFound) as caught:
        tokens.revoke("kimlee")
    assert "kim.lee" in caught.value.next_step.en
    assert tokens.find("\ud800") is None


def test_callers_from_afar_learn_no_path_where_a_project_has_no_data(
    house: House, guarded: Web, tokens: dict[str, str]
) -> None:
    """Over stdio the next step is a command with this machine's workspace; over HTTP a file is sent, or it is the operator's."""
    unknown = guarded.call("describe_data", project_id="404")
    assert unknown["code"] == "no_project"
    assert f"POST {guarded.url}/imports" in unknown["next"]
    reader = guarded.as_(tokens["reader"]).call("describe_data", project_id="404")
    assert "operator" in reader["next"]
    assert "POST" not in reader["next"]
    assert str(house.app.settings.workspace) not in str((unknown, reader))
