"""Clusters are created once, changed only as asked, and a dry run leaves no trace."""

import json
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from mcp_server.errors import ChangedMeanwhile, NameTaken
from tests import small
from tests.operations.desk import DYNAMIC, STATIC, Desk, Watch, of_user, opened, times

LEVELLED = {"filts": [of_user("level", "greater", "3")]}
"""Selects player 2."""
LONGEST = "a" * 24


def arguments(**changes: object) -> dict[str, Any]:
    return {
        "cluster_name": "buyers", "display_name": "买家", "cluster_type": STATIC, "qp": small.BUYERS, **changes
    }  # fmt: skip


# create


def test_a_created_cluster_is_computed_and_told(desk: Desk) -> None:
    made = desk("create_cluster", **arguments(remarks="for the spring campaign"))
    row = made.cluster
    assert (row.cluster_id, row.cluster_name, row.display_name, row.cluster_type) == ("1", "buyers", "买家", STATIC)
    assert (row.users_num, row.progress, row.fresh, row.note) == (2, 100, True, "")
    assert row.remarks == "for the spring campaign"
    datetime.strptime(row.refresh_time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert (made.existed, made.dry_run, made.next) == (False, False, "")


WAYS: list[dict[str, Any]] = [
    {},
    {"cluster_name": "BUYERS"},
    {"cluster_name": "buyers", "display_name": "something else", "remarks": "other"},
    {"qp": json.dumps(small.BUYERS)},
    {"qp": {"events": [times("greater", 1)], "filts": [], "relation": "or", "event_relation": "or"}},
    {"qp": {"events": [times("greater", "1.0", relation="or", filts=[])]}},
    {"qp": {"events": [times("GREATER", "1e0"), times("gt", "1")]}},
    {"qp": {"events": [{"eventName": " buy ", "uceCalcuSymbol": "greater", "num": "1"}]}},
]
"""Ways to ask for the same cluster again."""


@pytest.mark.parametrize("changes", WAYS)
def test_asking_for_the_same_again_gives_the_existing_one(desk: Desk, changes: dict[str, object]) -> None:
    desk("create_cluster", **arguments())
    before = desk.everything()
    for dry_run in (False, True):
        again = desk("create_cluster", **arguments(**changes, dry_run=dry_run))
        assert (again.existed, again.cluster.cluster_id, again.cluster.display_name) == (True, "1", "买家")
        assert "exists already" in again.message
    assert desk.everything() == before


def test_what_was_repaired_is_told_of_an_existing_cluster_too(desk: Desk) -> None:
    desk("create_cluster", **arguments())
    again = desk("create_cluster", **arguments(qp={"events": [times("greater", 1, recentDay="")]}))
    assert again.existed
    assert "/qp/events/0/num" in [r.path for r in again.repairs]


SPELT = [
    {"recentDay": "1-7"},
    {"recentDay": "01-007"},
    {"recentDay": "1-7", "startTime": "2026-01-01"},
]
DATED = [
    {"startTime": "2026-07-01", "endTime": "2026-07-02"},
    {"startTime": "2026-07-01 00:00:00", "endTime": "2026-07-02 00:00:00"},
]


@pytest.mark.parametrize("windows", [SPELT, DATED])
def test_a_window_means_the_same_however_it_is_spelt(desk: Desk, windows: list[dict[str, str]]) -> None:
    for window in windows:
        made = desk("create_cluster", **arguments(qp={"events": [times("greater", "0", **window)]}))
    assert made.existed


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"qp": LEVELLED}, ["added: the user's", "removed: did `buy`"]),
        ({"qp": {"events": [times("greater", "2")]}}, ["more than 1 time", "more than 2 times"]),
        ({"qp": {"events": [times("greater", "1", recentDay="1-7")]}}, ["changed"]),
        ({"cluster_type": DYNAMIC}, [STATIC]),
        ({"cluster_type": DYNAMIC, "qp": {**small.BUYERS, **LEVELLED}}, [STATIC, "added"]),
    ],
)
def test_a_name_that_is_in_use_for_something_else_is_refused_naming_what_differs(
    desk: Desk, changes: dict[str, object], named: list[str]
) -> None:
    desk("create_cluster", **arguments())
    before = desk.everything()
    for dry_run in (False, True):
        error = desk.refused("create_cluster", **arguments(**changes, dry_run=dry_run, cluster_name="Buyers"))
        assert isinstance(error, NameTaken)
        assert all(part in error.message.en for part in named), error.message.en
        assert "id 1" in error.message.en
        assert "update_cluster" in error.next_step.en
    assert desk.everything() == before


def test_a_dry_run_says_the_size_and_the_meaning_and_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    seen = desk("create_cluster", **arguments(dry_run=True, qp={"events": [times("greater", 1)]}))
    assert (seen.dry_run, seen.users_num_after, seen.cluster) == (True, 2, None)
    assert "2 users (50.0%)" in seen.message
    assert "more than 1 time" in seen.explanation
    assert seen.repairs
    assert desk.everything() == before
    assert "购买" in desk.speaking("zh")("create_cluster", **arguments(dry_run=True)).explanation


def test_legal_names_are_taken_as_they_are(desk: Desk) -> None:
    for name in ("a", LONGEST, "A_1", "z9_", "a__b"):
        assert desk("create_cluster", **arguments(cluster_name=name)).cluster.cluster_name == name


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        (LONGEST + "a", LONGEST), ("1a", ""), ("_a", "a"), ("a b", "a_b"), ("a-b", "a_b"), ("买家", ""),
        ("a\n", "a"), ("ａ", ""), ("é", ""), ("a" * 20_000, LONGEST), ("😀x", "x"),
    ],
    ids=lambda v: v[:9],
)  # fmt: skip
def test_an_illegal_name_is_refused_with_a_legal_one_near_it(shared: Desk, name: str, suggestion: str) -> None:
    (problem,) = shared.refused("create_cluster", **arguments(cluster_name=name)).problems
    assert (problem.path, problem.code, problem.suggestion) == ("/cluster_name", "name_invalid", suggestion)


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
"""One picture of five code points, two of them joiners."""


LEGAL = (
    "x", "买" * 50, "😀" * 50, FAMILY * 10, "a" * 50, "高　价值", "¡olé! <b>&amp;", "'; DROP TABLE cluster; --", "%s {name}",
)  # fmt: skip


def test_legal_display_names_are_kept_code_point_by_code_point(desk: Desk) -> None:
    for n, name in enumerate(LEGAL):
        desk("create_cluster", **arguments(cluster_name=f"c{n}", display_name=name))
        assert desk.row(f"c{n}").display_name == name
    assert [c.display_name for c in reversed(desk("list_clusters").clusters)] == list(LEGAL)


@pytest.mark.parametrize(
    "name", ["", " ", "　", "买" * 51, "😀" * 51, FAMILY * 10 + "x", "a\nb", "a\tb", "a\u2028b", "\x7f"], ids=repr
)
def test_an_illegal_display_name_is_refused(shared: Desk, name: str) -> None:
    (problem,) = shared.refused("create_cluster", **arguments(display_name=name)).problems
    assert (problem.path, problem.code) == ("/display_name", "display_name_invalid")
    assert len(problem.suggestion) <= 50


def test_problems_of_names_and_definition_come_all_at_once(desk: Desk) -> None:
    wrong = arguments(cluster_name="1", display_name=" ", qp={"events": [times("more", "x", "by")]})
    error = desk.refused("create_cluster", **wrong)
    assert {p.path for p in error.problems} == {
        "/cluster_name", "/display_name", "/qp/events/0/eventName", "/qp/events/0/comparator", "/qp/events/0/num"
    }  # fmt: skip
    assert desk("list_clusters").total == 0


def test_missing_and_unknown_arguments_come_all_at_once(shared: Desk) -> None:
    error = shared.refused("create_cluster", cluster_nam="x", cluster_type="dynamic")
    said = {p.path: (p.code, p.suggestion) for p in error.problems}
    assert said["/cluster_nam"] == ("argument_unknown", "cluster_name")
    assert said["/cluster_type"][0] == "argument_value"
    assert said["/display_name"][0] == "argument_missing"
    assert "/qp" in said


def test_two_who_create_the_same_at_once_get_the_same_cluster(desk: Desk) -> None:
    found: list[Any] = []

    async def one() -> None:
        found.append(await desk.asked("create_cluster", arguments()))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(one)

    anyio.run(main)
    assert {f.cluster.cluster_id for f in found} == {"1"}
    assert sorted(f.existed for f in found) == [False, True, True, True, True]
    assert len(desk.jobs()) == 1


def test_the_limits_of_a_deployment_are_its_settings(root: Any) -> None:
    for desk in opened(root, cluster_name_limit=3, display_name_limit=2):
        desk("create_cluster", **arguments(cluster_name="abc", display_name="买家"))
        error = desk.refused("create_cluster", **arguments(cluster_name="abcd", display_name="买家们"))
        assert [p.path for p in error.problems] == ["/cluster_name", "/display_name"]
        assert "3" in error.problems[0].message.en


# get and list


def test_a_cluster_is_found_by_id_and_by_name_in_any_case(desk: Desk) -> None:
    desk("create_cluster", **arguments(cluster_name="Buyers"))
    for cluster in ("1", 1, "buyers", "BUYERS", " Buyers "):
        assert desk("get_cluster", cluster=cluster).cluster.cluster_id == "1"


def test_a_cluster_is_shown_with_its_definition_in_wire_form_and_in_words(desk: Desk) -> None:
    desk("create_cluster", **arguments(qp={"events": [times("greater", 1)]}))
    en, zh = (desk.speaking(language)("get_cluster", cluster="buyers") for language in ("en", "zh"))  # type: ignore[arg-type]
    assert en.definition == zh.definition == small.BUYERS
    assert "more than 1 time" in en.explanation
    assert "次数大于 1 次" in zh.explanation


@pytest.mark.parametrize("tool", ["get_cluster", "update_cluster", "delete_cluster", "refresh_cluster", "get_refresh_progress", "export_users"])  # fmt: skip
def test_an_unknown_cluster_names_the_nearest(desk: Desk, tool: str) -> None:
    none_yet = desk.refused(tool, cluster="byers")
    assert none_yet.code == "not_found"
    desk("create_cluster", **arguments())
    for cluster, word in (
        ("byers", "buyers"),
        ("zzz", "buyers"),
        ("99", "buyers"),
        ("0" * 30, "buyers"),
    ):
        assert word in desk.refused(tool, cluster=cluster).message.en
        assert word in desk.refused(tool, cluster=cluster).message.zh


def test_lists_are_newest_first_in_pages_that_say_what_they_leave_out(desk: Desk) -> None:
    for n in range(5):
        desk("create_cluster", **arguments(cluster_name=f"c{n}"))
    pages = [desk("list_clusters", limit=2, offset=o) for o in (0, 2, 4, 6)]
    assert [[c.cluster_name for c in page.clusters] for page in pages] == [["c4", "c3"], ["c2", "c1"], ["c0"], []]
    assert [(page.total, page.left_out) for page in pages] == [(5, 3), (5, 1), (5, 0), (5, 0)]
    assert "offset 2" in pages[0].message


def test_a_list_is_searched_in_names_display_names_and_remarks_and_by_type(desk: Desk) -> None:
    desk("create_cluster", **arguments(cluster_name="one", display_name="高价值", remarks="春季 Campaign"))
    desk("create_cluster", **arguments(cluster_name="two", display_name="a%b_c", cluster_type=DYNAMIC))

    def listed(**given: object) -> list[str]:
        return [c.cluster_name for c in desk("list_clusters", **given).clusters]

    assert listed(search="价值") == listed(search="campaign") == listed(search="ONE") == ["one"]
    assert listed(search="%") == ["two"]
    assert listed(search="\\") == []
    assert listed(cluster_types=[DYNAMIC]) == listed(cluster_types=f'["{DYNAMIC}"]') == ["two"]
    assert listed(cluster_types=[STATIC, DYNAMIC]) == ["two", "one"]


def test_unknown_types_are_each_told_with_the_nearest(desk: Desk) -> None:
    error = desk.refused("list_clusters", cluster_types=["cluster_dynamic_condition", STATIC, "x"])
    assert [(p.path, p.suggestion) for p in error.problems] == [("/cluster_types/0", DYNAMIC), ("/cluster_types/2", "")]
    assert error.next_step.en


def test_an_empty_list_says_what_to_do(desk: Desk) -> None:
    found = desk("list_clusters")
    assert (found.total, found.clusters) == (0, ())
    assert "create_cluster" in found.next


# update


@pytest.fixture
def buyers(desk: Desk) -> Desk:
    desk("create_cluster", **arguments(remarks="first"))
    return desk


def test_what_is_left_out_of_an_update_stays(buyers: Desk) -> None:
    done = buyers("update_cluster", cluster="buyers", display_name="新买家")
    assert (done.cluster.display_name, done.cluster.remarks) == ("新买家", "first")
    assert done.changes == ("display name: 买家 → 新买家",)
    done = buyers("update_cluster", cluster="1", remarks="second", display_name="", qp="")
    assert (done.cluster.display_name, done.cluster.remarks) == ("新买家", "second")
    assert buyers("get_cluster", cluster="buyers").definition == small.BUYERS
    assert len(buyers.jobs()) == 1, "neither is a reason to compute"


def test_a_changed_definition_is_computed_at_once_and_the_difference_is_said(buyers: Desk) -> None:
    done = buyers("update_cluster", cluster="buyers", qp=LEVELLED)
    assert (done.cluster.users_num, done.users_num_before, done.cluster.fresh) == (1, 2, True)
    assert done.changes[0].startswith("removed: did `buy`")
    assert done.changes[1].startswith("added: the user's `level`")
    assert len(buyers.jobs()) == 2
    zh = buyers.speaking("zh")("update_cluster", cluster="buyers", qp=small.BUYERS)
    assert zh.changes[0].startswith("新增条件")


@pytest.mark.parametrize("changes", [way for way in WAYS if "qp" in way])
def test_an_unchanged_definition_is_not_computed(buyers: Desk, changes: dict[str, object]) -> None:
    before = buyers.everything()
    done = buyers("update_cluster", cluster="buyers", qp=changes["qp"])
    assert done.changes == ()
    assert "Nothing to change" in done.message
    assert buyers.everything() == before
    done = buyers("update_cluster", cluster="buyers", qp=changes["qp"], remarks="second")
    assert (done.cluster.remarks, done.cluster.fresh) == ("second", True)
    assert len(buyers.jobs()) == 1


def test_the_same_values_again_are_nothing_to_change(buyers: Desk) -> None:
    before = buyers.everything()
    done = buyers("update_cluster", cluster="buyers", display_name="买家", remarks="first", qp=small.BUYERS)
    assert (done.changes, done.dry_run) == ((), False)
    assert buyers.everything() == before


def test_a_dry_run_of_an_update_says_the_difference_in_words_and_sizes(buyers: Desk) -> None:
    before = buyers.everything()
    seen = buyers(
        "update_cluster", cluster="buyers", qp={"filts": [of_user("level", "gt", 3)]}, remarks="x", dry_run=True
    )
    assert (seen.users_num_before, seen.users_num_after, seen.dry_run) == (2, 1, True)
    assert "2 → 1" in seen.message
    assert len(seen.changes) == 3
    assert len(seen.repairs) == 2
    assert "without dry_run" in seen.next
    renamed = buyers("update_cluster", cluster="buyers", display_name="x", dry_run=True)
    assert (renamed.users_num_before, renamed.changes) == (None, ("display name: 买家 → x",))
    assert buyers.everything() == before


def test_a_dry_run_says_the_new_size_even_where_the_old_definition_fits_no_more(buyers: Desk) -> None:
    buyers("update_cluster", cluster="buyers", qp={"filts": [of_user("city", "notNull")]})
    buyers.load_again(properties=[p for p in buyers.metadata.properties if p.name != "city"])
    for language in ("en", "zh"):
        seen = buyers.speaking(language)("update_cluster", cluster="buyers", qp=small.BUYERS, dry_run=True)  # type: ignore[arg-type]
        assert (seen.users_num_before, seen.users_num_after) == (None, 2)
        assert len(seen.changes) == 2
    assert "unknown" in buyers("update_cluster", cluster="buyers", qp=LEVELLED, dry_run=True).message


@pytest.mark.parametrize(("name", "near"), [("cluster_name", ""), ("cluster_type", ""), ("display_nam", "display_name"), ("remark", "remarks")])  # fmt: skip
def test_name_and_kind_cannot_change(buyers: Desk, name: str, near: str) -> None:
    before = buyers.everything()
    (problem,) = buyers.refused("update_cluster", cluster="buyers", **{name: "x"}).problems
    assert (problem.path, problem.code, problem.suggestion) == (f"/{name}", "argument_unknown", near)
    assert "display_name" in problem.message.en
    assert buyers.everything() == before


def test_a_wrong_update_changes_nothing_and_tells_all(buyers: Desk) -> None:
    before = buyers.everything()
    error = buyers.refused(
        "update_cluster", cluster="buyers", qp={"events": [times("more", "1")]}, display_name="a" * 51
    )
    assert {p.path for p in error.problems} == {"/display_name", "/qp/events/0/comparator"}
    assert buyers.refused("update_cluster", cluster="buyers", display_name="\n").next_step.en
    assert buyers.refused("update_cluster", cluster="buyers", qp={}).code == "invalid_definition"
    assert buyers.everything() == before


def test_an_update_that_changes_nothing_at_all_says_so(buyers: Desk) -> None:
    assert "Nothing to change" in buyers("update_cluster", cluster="buyers").message


# delete


def test_a_dry_run_of_a_delete_says_what_would_go_and_changes_nothing(buyers: Desk) -> None:
    before = buyers.everything()
    for language in ("en", "zh"):
        seen = buyers.speaking(language)("delete_cluster", cluster="BUYERS", dry_run=True)  # type: ignore[arg-type]
        assert (seen.dry_run, seen.cluster.users_num) == (True, 2)
        assert "dry_run" in seen.next
    assert buyers.everything() == before


def test_a_deleted_cluster_is_gone_and_its_name_is_free(buyers: Desk) -> None:
    assert '"买家" (buyers, id 1)' in buyers("delete_cluster", cluster="buyers").message
    assert buyers.refused("get_cluster", cluster="buyers").code == "not_found"
    assert buyers.refused("get_cluster", cluster="1").code == "not_found"
    assert buyers("list_clusters").total == 0
    assert buyers.refused("delete_cluster", cluster="buyers").code == "not_found"
    again = buyers("create_cluster", **arguments(qp=LEVELLED))
    assert (again.existed, again.cluster.cluster_id, again.cluster.users_num) == (False, "2", 1)


# every write


def test_every_write_is_refused_by_a_read_only_server_and_every_read_works(root: Any) -> None:
    for desk in opened(root):
        desk("create_cluster", **arguments())
    for locked in opened(root, read_only=True):
        before = locked.everything()
        writes: dict[str, dict[str, object]] = {
            "create_cluster": arguments(cluster_name="other"),
            "update_cluster": {"cluster": "buyers", "remarks": "x"},
            "delete_cluster": {"cluster": "buyers"},
            "refresh_cluster": {"cluster": "buyers"},
        }
        for tool, given in writes.items():
            assert locked.refused(tool, **given).code == "read_only"
        for tool in ("get_cluster", "get_refresh_progress", "export_users"):
            locked(tool, cluster="buyers")
        locked("list_clusters")
        locked("describe_data")
        locked("preview_definition", qp=small.BUYERS)
        assert locked.everything() == before


@pytest.mark.parametrize("cluster_type", [STATIC, DYNAMIC])
def test_no_dry_run_leaves_a_trace(desk: Desk, cluster_type: str) -> None:
    desk("create_cluster", **arguments(cluster_type=cluster_type))
    before = desk.everything()
    desk("create_cluster", **arguments(cluster_name="other"), dry_run=True)
    for tool in ("update_cluster", "delete_cluster", "refresh_cluster"):
        more = {"qp": LEVELLED} if tool == "update_cluster" else {}
        desk(tool, cluster="buyers", dry_run=True, **more)
        desk(tool, cluster="buyers", dry_run="true", **more)
    assert desk.everything() == before
    assert list(desk.catalog.workspace.tmp.glob("*.parquet")) == []


def test_an_update_of_what_has_changed_meanwhile_is_refused(desk: Desk, root: Any) -> None:
    desk.create("buyers", small.BUYERS)
    segments = desk.app.deps.segments

    async def main() -> None:
        seen = await segments.get("1", "buyers")
        await desk.asked("update_cluster", {"cluster": "buyers", "remarks": "theirs"})
        with pytest.raises(ChangedMeanwhile):
            await segments.delete(seen)

    anyio.run(main)
    assert desk.row("buyers").remarks == "theirs"


def test_times_are_local_to_the_project(desk: Desk) -> None:
    desk.catalog.clock = Watch(datetime(2026, 7, 3, 18, 30, tzinfo=UTC))
    assert desk.create("buyers", small.BUYERS).refresh_time == "2026-07-04 02:30:00"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_remarks_are_removed_by_a_dash_and_kept_by_an_empty_text(desk: Desk, language: Any) -> None:
    desk("create_cluster", **arguments(remarks="春季活动"))
    desk("update_cluster", cluster="buyers", remarks="", display_name="Other")
    assert desk.row("buyers").remarks == "春季活动"
    done = desk.speaking(language)("update_cluster", cluster="buyers", remarks="-")
    assert done.changes == ({"en": "remarks: 春季活动 → –", "zh": "备注：春季活动 → –"}[language],)
    assert desk.row("buyers").remarks == ""
    assert desk("update_cluster", cluster="buyers", remarks="-").changes == ()


def test_remarks_have_a_limit_and_lists_show_their_beginning(desk: Desk) -> None:
    assert len(desk.create("one", small.BUYERS, remarks="注" * 500).remarks) == 500
    assert desk("list_clusters").clusters[0].remarks == "注" * 100 + "…"
    calls: list[tuple[str, dict[str, Any]]] = [
        ("update_cluster", {"cluster": "one"}),
        ("import_ids", {"display_name": "x", "main_column_name": "city", "ids": ["上海"]}),
        ("replace_imported_ids", {"cluster": "one", "ids": ["上海"]}),
        ("update_tag", {"cluster": "one"}),
    ]
    for tool, arguments in calls:
        error = desk.refused(tool, **arguments, remarks="注" * 501)
        assert [(p.path, p.code) for p in error.problems] == [("/remarks", "argument_value")]
        assert "500" in error.problems[0].message.zh
