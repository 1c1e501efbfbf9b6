"""Files over HTTP: an upload becomes a handle, an export an address; both stay within scope and project."""

import dataclasses

import anyio
import pytest

from mcp_server.errors import NotFound
from mcp_server.front.http.access import HttpLimits
from tests import small
from tests.http.http_kit import House, Web

IDS = b"user_id\n1\n2\n"


def test_an_upload_becomes_a_path_that_an_import_takes(guarded: Web, house: House) -> None:
    answer = guarded.post("/imports?name=Members.CSV&project_id=7", IDS)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["size_bytes"], made["project_id"]) == (len(IDS), "7")
    handed = house.app.handed
    path = handed.uploaded(made["path"], "7")
    assert path.read_bytes() == IDS
    assert path.suffix == ".csv"
    assert path.stat().st_mode & 0o777 == 0o600
    for handle, project in ((made["path"], "1"), ("upload:" + "0" * 32, "7"), ("upload:../../catalog.sqlite", "7")):
        with pytest.raises(NotFound):
            handed.uploaded(handle, project)


def test_over_http_no_path_of_the_server_can_be_named(guarded: Web, house: House) -> None:
    inside = house.app.settings.workspace / "imports" / "own.csv"
    inside.write_text("1\n", encoding="utf-8")
    wish = {"display_name": "x", "main_column_name": "level"}
    for path in ("/etc/passwd", "own.csv", str(inside), "UPLOAD:x"):
        refused = guarded.call("import_ids", path=path, **wish)
        assert refused["code"] == "not_allowed"
        assert f"{guarded.url}/imports" in refused["next"]
        assert str(house.app.settings.workspace) not in str(refused).replace(path, "")
    many = guarded.call("import_ids", ids=[str(n) for n in range(2000)], **wish)
    assert f"{guarded.url}/imports" in str(many)
    assert str(house.app.settings.workspace) not in str(many)


def test_an_uploaded_file_is_imported_into_its_project_alone(guarded: Web, tokens: dict[str, str]) -> None:
    path = guarded.post("/imports?name=levels.csv", b"3\n5\n99\n").json()["path"]
    wish = {"path": path, "display_name": "Levels", "main_column_name": "level"}
    made = guarded.call("import_ids", **wish)
    assert made["cluster"]["users_num"] == 3
    assert guarded.call("import_ids", **wish, project_id="7")["code"] == "not_found"
    assert guarded.as_(tokens["seven"]).call("import_ids", **wish)["code"] == "not_found"
    assert guarded.as_(tokens["reader"]).call("import_ids", **wish)["code"] == "not_allowed"


@pytest.mark.parametrize(
    ("who", "query", "status"),
    [("reader", "", 403), ("seven", "?project_id=1", 403), ("writer", "?project_id=%2e%2e", 404), ("seven", "", 201)],
)
def test_an_upload_needs_writing_and_its_project(
    guarded: Web, tokens: dict[str, str], who: str, query: str, status: int
) -> None:
    assert guarded.as_(tokens[who]).post(f"/imports{query}", IDS).status_code == status


def test_an_upload_is_refused_by_its_head_or_on_the_way(house: House, tokens: dict[str, str]) -> None:
    workspace = house.app.settings.workspace
    with house.serving(HttpLimits(upload=10, upload_pause=0.05), auth="token") as opened:
        web = opened.as_(tokens["writer"])
        assert web.post("/imports", b"x" * 10).status_code == 201
        assert web.post("/imports", b"x" * 11).status_code == 413
        assert web.post("/imports", iter([b"x" * 6, b"x" * 6])).status_code == 413, "its length is not announced"
        assert web.post("/imports", b"").status_code == 400
        assert web.post("/imports", b"x", **{"Content-Encoding": "gzip"}).status_code == 400
        assert anyio.run(stalled, web).startswith(b"HTTP/1.1 408 ")
    assert not list((workspace / "tmp").glob("*.upload"))


async def stalled(web: Web) -> bytes:
    """What a client is told that stops in the middle of its file."""
    host, _, port = web.url.removeprefix("http://").partition(":")
    head = f"POST /imports HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {web.token}\r\nContent-Length: 5\r\n\r\nab"
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(head.encode())
        with anyio.fail_after(10):
            return await stream.receive()


def test_an_export_is_an_address_behind_the_same_gate(guarded: Web, tokens: dict[str, str], house: House) -> None:
    guarded.call(
        "create_cluster", cluster_name="to_export", display_name="x",
        cluster_type="cluster_by_static_condition", qp=small.BUYERS,
    )  # fmt: skip
    assert guarded.call("refresh_cluster", cluster="to_export")["cluster"]["progress"] == 100
    answer = guarded.asked("tools/call", "export_users", name="export_users", arguments={"cluster": "to_export"})
    assert str(house.app.settings.workspace) not in answer.text, "the server's folders are nobody's business"
    reader = guarded.as_(tokens["reader"])
    made = reader.call("export_users", cluster="to_export")
    assert "path" not in made
    assert made["url"].startswith(f"{guarded.url}/exports/")
    place = made["url"].removeprefix(guarded.url)
    file = reader.get(place)
    assert file.text.splitlines() == ['"#user_id"', "1", "2"]
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in file.headers["content-disposition"]
    assert "no-store" in file.headers["cache-control"]
    assert guarded.as_("").get(place).status_code == 401
    assert guarded.as_(tokens["seven"]).get(place).status_code == 404
    for wrong in ("/exports/" + "0" * 32, "/exports/to_export.csv", "/exports/..%2fcatalog.sqlite", "/exports/"):
        assert reader.get(wrong).status_code == 404


def test_addresses_are_those_by_which_clients_know_the_server(house: House) -> None:
    with house.serving(public_url="https://fenqun.example.com") as web:
        made = web.call("export_users", cluster="to_export")
    assert made["url"].startswith("https://fenqun.example.com/exports/")


def test_a_read_only_server_takes_no_files(house: House) -> None:

    locked = dataclasses.replace(house.app, deps=dataclasses.replace(house.app.deps, read_only=True))
    with House(locked, house.portal).serving() as web:
        answer = web.post("/imports", IDS)
    assert (answer.status_code, answer.json()["code"]) == (403, "read_only")


def test_a_pinned_server_gives_only_files_of_its_project(house: House) -> None:
    path = house.app.settings.workspace / "exports" / "of_seven.csv"
    path.write_text("1\n", encoding="utf-8")
    place = f"/exports/{house.app.handed.offer(path, '7', 'anna')}"
    pinned = dataclasses.replace(house.app, deps=dataclasses.replace(house.app.deps, pinned=True))
    for app, status in ((house.app, 200), (pinned, 404)):
        with House(app, house.portal).serving() as web:
            assert web.get(place).status_code == status


def test_an_answer_that_is_too_long_is_fetched_like_an_export(guarded: Web, tokens: dict[str, str]) -> None:
    many = [f"value_{n:06x}" for n in range(900)]
    wide = {"filts": [{"tableType": "user", "columnName": "city", "comparator": "equal", "ftv": many}]}
    wish = {"cluster_name": "many", "display_name": "Many", "cluster_type": "cluster_by_static_condition", "qp": wide}
    guarded.call("create_cluster", **wish)
    told = guarded.call("get_cluster", cluster="many")["next"]
    url = told.split()[-1].rstrip(".")
    assert url.startswith(f"{guarded.url}/exports/")
    path = url.removeprefix(guarded.url)
    assert guarded.as_(tokens["reader"]).get(path).json()["definition"]["filts"][0]["ftv"] == many
    assert guarded.get(path).headers["cache-control"] == "private, no-store"
    assert guarded.as_(tokens["seven"]).get(path).status_code == 404


def test_a_file_that_was_sent_is_looked_at_and_loaded(guarded: Web, tokens: dict[str, str]) -> None:
    orders = b"buyer,paid_at,amount\nu_001,2026-11-03 09:05:00,12.5\nu_001,2026-11-04 10:00:00,8\n"
    sent = guarded.post("/imports?name=orders.csv&project_id=9", orders)
    assert sent.status_code == 201, "a project that has no data yet"
    wish = {"files": [sent.json()["path"]], "answers": ["user=buyer", "event_name=order"], "project_id": "9"}
    seen = guarded.call("look_at_file", **wish)
    assert [(row["role"], row["rows"], row["user"]) for row in seen["files"]] == [("events", 2, "buyer")]
    assert guarded.call("look_at_file", files=["orders.csv"], project_id="9")["code"] == "not_allowed"
    assert f"{guarded.url}/imports" in guarded.call("look_at_file")["next"]
    assert guarded.as_(tokens["seven"]).call("load_file", **wish)["code"] == "not_allowed"
    assert guarded.as_(tokens["reader"]).call("load_file", **wish)["code"] == "not_allowed"
    assert guarded.call("load_file", **wish)["rows"] == 2
    assert guarded.call("describe_data", project_id="9")["event_rows"] == 2
    again = guarded.call("load_file", **wish | {"answers": ["user=buyer", "event_name=pay"]})
    assert again["status"] == "waiting_for_approval"
