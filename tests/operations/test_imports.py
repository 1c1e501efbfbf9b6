"""Clusters and tags of uploaded ids, from the call to the condition that reads them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_server.errors import ChangedMeanwhile, InvalidArguments, NameTaken, NotAllowed, NotFound, NotRefreshable
from mcp_server.operations.imports import MOST_INLINE
from mcp_server.platforms.segments import IdChanges, IdSource
from mcp_server.store.files import HandedFiles
from tests.house.source import ROOT
from tests.operations.desk import Desk, Watch, opened, until

NOON = datetime(2026, 7, 4, 4, 0, 5, tzinfo=UTC)
PEOPLE = """CREATE TABLE users AS SELECT * FROM (VALUES
  (1::BIGINT, 'ann', 'x1', 10::BIGINT), (2, 'bob', 'x2', 20), (3, 'cat', 'x3', 30), (4, NULL, NULL, NULL)) t("#user_id", "#account_id", "#distinct_id", level)"""
ENDLESS = """CREATE VIEW users AS SELECT i AS "#user_id", 'u' || i AS "#account_id", NULL::VARCHAR AS "#distinct_id", i AS level FROM range(100000000000) t(i)"""
EVENTS = """CREATE TABLE events AS SELECT 0::BIGINT AS "$row", 1::BIGINT AS "#user_id", 'buy' AS "#event_name", TIMESTAMP '2026-07-01' AS "#event_time", 1.0 AS price"""
PROPERTIES = [
    {"table": "user", "name": "#user_id", "type": "number", "scale": 0},
    {"table": "user", "name": "#account_id", "type": "string", "names": {"zh": "账号"}},
    {"table": "user", "name": "#distinct_id", "type": "string"},
    {"table": "user", "name": "level", "type": "number", "scale": 0},
    {"table": "user", "name": "vip", "type": "bool"},
]


@pytest.fixture
def ids(root: Path) -> Iterator[Desk]:
    """A process on a project whose users have accounts, at noon."""
    for desk in opened(root):
        desk.load(PEOPLE, EVENTS, properties=PROPERTIES, users=4)
        desk.catalog.clock = Watch(NOON)
        yield desk


def sent(*given: str, **more: Any) -> dict[str, Any]:
    return {"display_name": "List", "main_column_name": "#account_id", "ids": list(given), **more}


def file(desk: Desk, name: str, content: str | bytes) -> Path:
    path = desk.catalog.workspace.imports / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def codes(result: Any) -> list[str]:
    return [row.code for row in result.warnings]


@pytest.mark.parametrize(("page", "ours"), [("catalog_cluster", "cluster"), ("catalog_tag", "tag")])
def test_the_vendors_catalogues_mean_ours(ids: Desk, page: str, ours: str) -> None:
    made = ids("import_ids", **sent("ann,x", catalog=page)).cluster
    assert made.cluster_type == f"{ours}_by_import"
    assert ids("import_ids", **sent("ann,x", catalog=ours)).existed


def left_over(desk: Desk) -> list[str]:
    workspace = desk.catalog.workspace
    named = {row["file"] for row in desk.catalog.database.rows("SELECT file FROM version")}
    members = [p.name for p in workspace.members.iterdir() if workspace.relative(p) not in named]
    return members + [p.name for p in workspace.tmp.iterdir() if not p.name.endswith(".spill")]


def test_the_vendors_example_gives_the_vendors_counters(ids: Desk) -> None:
    """Five ids, each line ended by CR LF, the last one too (te-api.md section 6b)."""
    file(ids, "test.csv", "ann\r\nbob\r\ncat\r\nj77639\r\nann\r\n")
    done = ids("import_ids", **sent(path="test.csv", ids=[]))
    assert (done.upload_num, done.user_num, done.unmatched_num, done.tag_value_null_num) == (5, 3, 1, 0)
    assert (done.duplicates, done.unmatched, done.encoding) == (1, ("j77639",), "utf-8")
    assert (done.cluster.cluster_type, done.cluster.users_num, done.cluster.progress) == ("cluster_by_import", 3, 100)
    assert done.cluster.fresh
    assert left_over(ids) == []


def test_a_name_is_made_of_the_projects_time_and_gets_a_suffix_when_taken(ids: Desk) -> None:
    names = [ids("import_ids", **sent(one)).cluster.cluster_name for one in ("ann", "bob", "cat")]
    assert names == ["cohort_20260704_120005", "cohort_20260704_120005_2", "cohort_20260704_120005_3"]


def test_a_retry_makes_no_second_one(ids: Desk) -> None:
    for name in ({}, {"cluster_name": "vip"}):
        first = ids("import_ids", **sent("ann", **name))
        again = ids("import_ids", **sent("ann", **name))
        tried = ids("import_ids", **sent("ann", dry_run=True, **name))
        assert not first.existed
        assert again.existed
        assert tried.existed
        assert again.cluster == first.cluster == tried.cluster
    assert ids("list_clusters").total == 2
    assert not ids("import_ids", **sent("ann", display_name="Another")).existed


def test_other_ids_under_the_same_name_are_refused(ids: Desk) -> None:
    ids("import_ids", **sent("ann", cluster_name="vip"))
    for other in (sent("bob"), sent("ann", main_column_name="#distinct_id"), sent("ann,1", catalog="tag")):
        error = ids.refused("import_ids", **other | {"cluster_name": "VIP"})
        assert isinstance(error, NameTaken)
        assert "replace_imported_ids" in error.next_step.en
    assert left_over(ids) == []


def test_trying_first_saves_nothing(ids: Desk) -> None:
    before = ids.everything()
    done = ids("import_ids", **sent("ann", "zz", dry_run=True))
    assert (done.user_num, done.unmatched_num, done.cluster) == (1, 1, None)
    assert done.message.startswith('Would import 2 rows as cluster "List" (cohort_20260704_120005)')
    assert ids.everything() == before
    assert left_over(ids) == []


def test_a_tag_is_read_by_its_value_and_exported(ids: Desk) -> None:
    file(ids, "levels.csv", "ann,gold\nbob,\ncat,silver\ncat,gold\nzz,gold\n")
    done = ids("import_ids", **sent(ids=[], path="levels.csv", catalog="tag", cluster_name="tier"))
    assert (done.upload_num, done.user_num, done.unmatched_num, done.tag_value_null_num) == (5, 2, 1, 1)
    assert done.cluster.cluster_type == "tag_by_import"
    assert codes(done) == ["ids_values_differ"]
    wanted = {"filts": [{"tableType": "cluster", "columnName": "tier", "comparator": "equal", "ftv": ["gold"]}]}
    assert ids("preview_definition", qp=wanted).users_num == 2
    path = Path(ids("export_users", cluster="tier").path)
    assert path.read_text(encoding="utf-8") == '"#user_id",tier\n1,gold\n3,gold\n'


def test_a_cluster_serves_as_a_condition_and_follows_a_replacement(ids: Desk) -> None:
    ids("import_ids", **sent("ann", "bob", cluster_name="vip"))
    wanted = {"filts": [{"tableType": "cluster", "columnName": "vip", "comparator": "notBelongToCluster", "ftv": []}]}
    assert ids.create("others", wanted).users_num == 2
    ids("import_ids", **sent("bob", cluster_name="unused"))
    assert codes(ids("replace_imported_ids", cluster="unused", ids=["cat"], dry_run=True)) == []
    tried = ids("replace_imported_ids", cluster="vip", ids=["cat"], dry_run=True)
    done = ids("replace_imported_ids", cluster="vip", ids=["cat"])
    for said in (tried, done):
        (warning,) = said.warnings
        assert (warning.path, warning.code) == ("/ids", "used_by_others")
        assert warning.message == "Others depend on it and change with it: others."
    assert done.changes == ("another list of ids (2 row(s) before, 1 now)",)
    assert not ids.row("others").fresh
    assert ids("refresh_cluster", cluster="others").cluster.users_num == 3
    assert ids.refused("delete_cluster", cluster="vip").code == "cluster_in_use"


def test_a_replacement_keeps_what_is_not_given(ids: Desk) -> None:
    made = ids("import_ids", **sent("ann", cluster_name="vip", remarks="spring")).cluster
    row = ids(
        "replace_imported_ids", cluster=made.cluster_id, ids=["x1", "x2"], main_column_name="#Distinct_id"
    ).cluster
    assert (row.cluster_id, row.display_name, row.remarks, row.users_num) == (made.cluster_id, "List", "spring", 2)
    row = ids("replace_imported_ids", cluster="vip", ids=["x3"], display_name="New", remarks="summer").cluster
    assert ids("replace_imported_ids", cluster="vip", ids=["x3"], remarks="-").cluster.remarks == ""
    assert (row.display_name, row.remarks, row.users_num) == ("New", "summer", 1)
    assert ids("get_cluster", cluster="vip").definition["mainColumnName"] == "#distinct_id"


def test_a_replacement_that_fails_leaves_the_old_ids(ids: Desk) -> None:
    made = ids("import_ids", **sent("ann", cluster_name="vip"))
    before = ids.everything()
    file(ids, "broken.csv", 'bob\n"cat\n')
    for arguments in ({"path": "broken.csv"}, {"path": "none.csv"}, {"ids": ["bob"], "main_column_name": "vip"}, {}):
        assert isinstance(ids.refused("replace_imported_ids", cluster="vip", **arguments), InvalidArguments)
    ids("replace_imported_ids", cluster="vip", ids=["bob"], dry_run=True)
    assert ids.everything() == before
    assert ids.row("vip") == made.cluster
    assert left_over(ids) == []


def test_a_cluster_that_changed_meanwhile_is_not_overwritten(ids: Desk) -> None:
    ids("import_ids", **sent("ann", cluster_name="vip"))
    segments = ids.app.deps.segments

    async def both() -> None:
        seen = await segments.get("1", "vip")
        await ids.asked("update_cluster", {"cluster": "vip", "remarks": "mine"})
        with pytest.raises(ChangedMeanwhile):
            await segments.replace_ids(
                seen, IdChanges(IdSource(ids=("bob",))), dry_run=False, on_progress=ids.app.deps.report
            )

    anyio.run(both)
    assert ids.row("vip").users_num == 1
    assert left_over(ids) == []


def test_the_same_ids_again_meet_the_users_of_today(ids: Desk) -> None:
    made = ids("import_ids", **sent("ann", "new", cluster_name="vip"))
    ids.load(PEOPLE.replace("'bob'", "'new'"), EVENTS, properties=PROPERTIES, users=4)
    assert ids.row("vip") == made.cluster  # an uploaded list stays, whatever the data does
    error = ids.refused("refresh_cluster", cluster="vip")
    assert isinstance(error, NotRefreshable)
    assert "replace_imported_ids" in error.next_step.en
    assert ids("replace_imported_ids", cluster="vip", ids=["ann", "new"]).cluster.users_num == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_uploaded_list_is_told_like_the_others(ids: Desk, language: Any) -> None:
    desk = ids.speaking(language)
    file(ids, "list.csv", "ann\nzz\n")
    desk("import_ids", **sent(ids=[], path="list.csv", cluster_name="vip"))
    desk("import_ids", **sent("ann,1", catalog="tag", cluster_name="tier"))
    told = desk("get_cluster", cluster="vip")
    assert (
        "`list.csv`: 2 row(s), 1" if language == "en" else "`list.csv` 中的用户：共 2 行，其中 1 行"
    ) in told.explanation
    assert told.definition["uploadFileName"] == "list.csv"
    assert "uploaded list" in desk("get_cluster", cluster="tier").explanation or language == "zh"
    found = desk("list_clusters", cluster_types=["cluster_by_import", "tag_by_import"])
    assert [c.cluster_name for c in found.clusters] == ["tier", "vip"]
    assert "replace_imported_ids" in desk.refused("update_cluster", cluster="vip", qp={"filts": []}).next_step.en
    assert desk("update_cluster", cluster="vip", remarks="x").cluster.remarks == "x"
    refused = desk.refused(
        "create_cluster", cluster_name="x", display_name="x", cluster_type="cluster_by_import", qp={}
    )
    assert "import_ids" in refused.problems[0].message.en
    desk("delete_cluster", cluster="vip")
    assert desk("list_clusters").total == 1


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        ("account_id\nann\n", {}, {"ids_header"}),
        ("账号\nann\n", {}, set()),
        ("ann;1\nbob;2\n", {}, {"ids_delimiter", "ids_no_match"}),
        ("ann，1\n", {}, {"ids_delimiter", "ids_no_match"}),
        ("x1\nx2\n", {}, {"ids_no_match"}),
        ("1.2E+15\nann\n", {}, {"ids_rounded"}),
        ("ann\0x\nbob\n", {}, {"ids_zero_bytes"}),
        ("ann,1\nbob\n", {}, {"ids_more_columns"}),
        ('"ann\nbob"\ncat\n', {}, {"ids_swallowed"}),
        ("张三\nann\n".encode("gbk"), {}, {"ids_encoding_gbk"}),
        ("ann\n", {"catalog": "tag"}, {"ids_value_missing"}),
        ("ann,1\nann,2\n", {"catalog": "tag"}, {"ids_values_differ"}),
        ("ann\nzz\n", {}, set()),
    ],
)
def test_what_looks_wrong_in_a_file_is_said_in_both_languages(
    ids: Desk, content: str | bytes, more: dict[str, Any], expected: set[str]
) -> None:
    file(ids, "list.csv", content)
    arguments = sent(ids=[], path="list.csv", dry_run=True, **more)
    done = ids("import_ids", **arguments)
    assert set(codes(done)) == expected
    assert bool(expected) == ("warnings" in done.next)
    ids.speaking("zh")("import_ids", **arguments)


def test_ids_of_another_property_are_said_to_be_that(ids: Desk) -> None:
    (warning,) = ids("import_ids", **sent("x1", "x2", dry_run=True)).warnings
    assert (warning.path, warning.suggestion) == ("/main_column_name", "#distinct_id")


def test_an_id_of_several_users_selects_them_all_and_is_said(ids: Desk) -> None:
    ids.load(PEOPLE.replace("'bob'", "'ann'"), EVENTS, properties=PROPERTIES, users=4)
    done = ids("import_ids", **sent("ann", "cat"))
    assert (done.user_num, codes(done)) == (3, ["ids_shared"])


def test_only_a_few_ids_can_stand_in_a_call(ids: Desk) -> None:
    most = [f"u{i}" for i in range(MOST_INLINE)]
    assert ids("import_ids", **sent(*most, dry_run=True)).upload_num == MOST_INLINE
    for given in ([*most, "ann"], ["\n".join([*most, "ann"])]):
        (problem,) = ids.refused("import_ids", **sent(*given)).problems
        assert (problem.path, problem.code) == ("/ids", "ids_too_many")
        assert str(ids.catalog.workspace.imports) in problem.message.en


def test_no_more_than_five_unmatched_ids_are_shown(ids: Desk) -> None:
    done = ids("import_ids", **sent(*(f"u{i}" for i in range(20)), "x" * 5000, dry_run=True))
    assert len(done.unmatched) == 5
    assert max(map(len, done.unmatched)) <= 101


def test_numbers_and_texts_with_commas_can_be_given_in_a_call(ids: Desk) -> None:
    assert ids("import_ids", **sent(main_column_name="level", ids=[10, "20.0"])).user_num == 2
    ids.load(PEOPLE.replace("'bob'", "'b,o\"b'"), EVENTS, properties=PROPERTIES, users=4)
    assert ids("import_ids", **sent('b,o"b')).user_num == 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"ids": []}, ("/path", "ids_source")),
        ({"path": "x.csv"}, ("/path", "ids_source")),
        ({"ids": ["\n", " "]}, ("/path", "ids_source")),
        ({"main_column_name": "#user_id"}, ("/main_column_name", "main_column_type")),
        ({"main_column_name": "vip"}, ("/main_column_name", "main_column_type")),
        ({"main_column_name": "acount_id"}, ("/main_column_name", "property_unknown")),
        ({"display_name": "x" * 51}, ("/display_name", "display_name_invalid")),
        ({"display_name": " "}, ("/display_name", "display_name_invalid")),
        ({"cluster_name": "x" * 25}, ("/cluster_name", "name_invalid")),
        ({"cluster_name": "1x"}, ("/cluster_name", "name_invalid")),
    ],
)
def test_a_wrong_argument_is_one_problem(ids: Desk, change: dict[str, Any], found: tuple[str, str]) -> None:
    error = ids.refused("import_ids", **sent("ann") | change)
    assert [(p.path, p.code) for p in error.problems] == [found]


def test_names_at_the_limit_pass(ids: Desk) -> None:
    row = ids("import_ids", **sent("ann", display_name="名" * 50, cluster_name="x" * 24)).cluster
    assert (len(row.display_name), len(row.cluster_name)) == (50, 24)


def test_what_was_not_uploaded_keeps_its_own_tools(ids: Desk) -> None:
    ids.create("buyers", {"filts": [{"tableType": "user", "columnName": "level", "comparator": "notNull", "ftv": []}]})
    error = ids.refused("replace_imported_ids", cluster="buyers", ids=["ann"])
    assert "update_cluster" in error.next_step.en


def test_a_further_folder_of_the_operator_serves_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "l.csv").write_text("上海\n", encoding="utf-8")
    arguments = {"display_name": "x", "main_column_name": "city", "path": str(tmp_path / "lists" / "l.csv")}
    for desk in opened(root):
        assert desk.refused("import_ids", **arguments).problems[0].code == "ids_path"
    for desk in opened(root, allow_dirs=(tmp_path / "lists",)):
        assert desk("import_ids", **arguments).user_num == 1


@dataclass(frozen=True)
class OverHttp:
    """How files come from a caller over HTTP."""

    store: HandedFiles
    upload_url: str = "https://host/imports"

    def offer(self, path: Path, project_id: str) -> str:
        return f"{project_id}/{path.name}"

    def uploaded(self, handle: str, project_id: str) -> Path:
        return self.store.uploaded(handle, project_id)


def test_over_http_only_what_was_uploaded_into_the_project_can_be_named(ids: Desk) -> None:
    file(ids, "list.csv", "ann\n")
    handed = HandedFiles(ids.catalog)
    remote = Desk(replace(ids.app, deps=replace(ids.app.deps, files=OverHttp(handed))))

    def uploaded(project: str) -> str:
        temp = handed.temp_path()
        temp.write_bytes(b"ann\n")
        return handed.take(temp, project, ".csv", "somebody").handle

    done = remote("import_ids", **sent(ids=[], path=uploaded("1"), cluster_name="sent"))
    assert done.user_num == 1
    assert "uploadFileName" not in remote("get_cluster", cluster="sent").definition
    assert isinstance(remote.refused("import_ids", **sent(ids=[], path=uploaded("2"))), NotFound)
    for path in ("list.csv", str(ids.catalog.workspace.imports / "list.csv")):
        assert isinstance(remote.refused("import_ids", **sent(ids=[], path=path)), NotAllowed)
    assert OverHttp.upload_url in remote.refused("import_ids", **sent(*["x"] * 201)).problems[0].message.en


def test_an_import_that_is_cancelled_leaves_nothing(ids: Desk) -> None:
    ids.load(ENDLESS, EVENTS, properties=PROPERTIES, users=4)
    before = ids.everything()

    async def cancelled() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ids.asked, "import_ids", sent("ann"))
            await until(lambda: any(p.suffix == ".csv" for p in ids.catalog.workspace.tmp.iterdir()))
            group.cancel_scope.cancel()
        await until(lambda: not left_over(ids))

    anyio.run(cancelled)
    assert ids.everything() == before


KILLED = """
import sys
from pathlib import Path
from mcp_server.cli import main
main(["call", "import_ids", '{"display_name": "x", "main_column_name": "#account_id", "ids": ["ann"]}', "--workspace", sys.argv[1]])
"""


def test_an_import_that_is_killed_leaves_nothing_after_the_next_start(ids: Desk, root: Path) -> None:
    ids.load(ENDLESS, EVENTS, properties=PROPERTIES, users=4)
    tmp = ids.catalog.workspace.tmp
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root)], env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    try:
        anyio.run(until, lambda: any(p.suffix == ".csv" for p in tmp.iterdir()))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert left_over(ids) != []
    ids.app.tidy()
    assert left_over(ids) == []
    assert ids("list_clusters").total == 0


def test_progress_is_told_while_ids_are_matched(ids: Desk) -> None:
    file(ids, "many.csv", "".join(f"u{i}\n" for i in range(300_000)))
    told: list[float] = []

    async def note(percent: float, message: Any) -> None:
        told.append(percent)

    anyio.run(ids.asked, "import_ids", sent(ids=[], path="many.csv"), note)
    assert told == sorted(told)
    assert told
