"""Clusters as conditions: their current members, what moves on first, and what may not be (qp.md section 4)."""

from typing import Any

import pytest

from mcp_server.errors import ClusterInUse, InvalidDefinition
from tests import small
from tests.operations.desk import DYNAMIC, STATIC, Desk, of_user, times

STATIC_SQL = "cluster_by_static_sql"
PAIR = 'SELECT "#user_id" FROM v_user_1 WHERE "#user_id" < 3'


def member(name: str, word: str = "belongToCluster", **more: object) -> dict[str, Any]:
    return {"tableType": "cluster", "columnName": name, "comparator": word, "ftv": [], **more}


def ids(desk: Desk, *filts: dict[str, Any], relation: str = "and") -> list[str]:
    """The users that filters select."""
    seen = desk("preview_definition", qp={"filts": list(filts), "relation": relation}, sample=20)
    return [row["#user_id"] for row in seen.sample]


@pytest.fixture
def buyers(desk: Desk) -> Desk:
    """With a cluster `buyers` of players 1 and 2."""
    desk.create("buyers", small.BUYERS)
    return desk


def test_members_and_others(buyers: Desk) -> None:
    assert ids(buyers, member("buyers")) == ["1", "2"]
    assert ids(buyers, member("buyers", "notBelongToCluster")) == ["3", "4"]


def test_names_ignore_case_and_are_repaired(buyers: Desk) -> None:
    seen = buyers("validate_definition", qp={"filts": [{**member("BUYERS"), "tableType": "user_cluster"}]})
    assert seen.definition["filts"][0] == member("buyers")
    assert len(seen.repairs) == 2


def test_a_cluster_joins_other_conditions_also_in_groups(buyers: Desk) -> None:
    group = {"filterType": "COMPOUND", "relation": "or", "filts": [member("buyers"), of_user("city", "equal", "a|b")]}
    assert ids(buyers, group, of_user("level", "equal", "3")) == ["1", "3"]


def test_two_clusters_and_the_same_one_twice(buyers: Desk) -> None:
    buyers.create("level5", {"filts": [of_user("level", "equal", "5")]})
    assert ids(buyers, member("buyers"), member("level5", "notBelongToCluster"), member("buyers")) == ["1"]


def test_the_explanation_names_the_cluster(buyers: Desk) -> None:
    said = buyers("validate_definition", qp={"filts": [member("buyers", "notBelongToCluster")]}).explanation
    assert "does not belong to the cluster `buyers`" in said.en
    assert "不属于分群 `buyers`" in said.zh


@pytest.mark.parametrize(
    ("part", "code", "suggestion"),
    [
        (member("buyer"), "cluster_unknown", "buyers"),
        (member("buyers", "equal"), "ftv_count", ""),
        ({**member("buyers", "equal"), "ftv": ["1"]}, "comparator_not_for_type", "belongToCluster"),
        (member("buyers", "isNull"), "comparator_not_for_type", "notBelongToCluster"),
        ({**member("city"), "tableType": "user"}, "comparator_only_of_cluster", "cluster"),
        (member("buyers", specifiedClusterDate="1999-01-01"), "cluster_date_unknown", "2026-07-04"),
        (member("buyers", specifiedClusterDate="yesterday"), "cluster_date_invalid", ""),
        ({**of_user("city", "isNull"), "specifiedClusterDate": "2026-07-04"}, "cluster_date_unexpected", ""),
    ],
)
def test_a_wrong_cluster_condition_is_named(buyers: Desk, part: dict[str, Any], code: str, suggestion: str) -> None:
    problems = buyers("validate_definition", qp={"filts": [part]}).problems
    assert (code, suggestion) in [(p.code, p.suggestion) for p in problems]


def test_the_next_step_names_the_tool_that_finds_what_is_not_there(buyers: Desk) -> None:
    no_cluster, no_event = {"filts": [member("byers")]}, {"events": [times("less", 1, "bye")]}
    expected = {
        "; list_clusters finds clusters and tags.": no_cluster,
        "; describe_data finds names.": no_event,
        "; describe_data finds names; list_clusters finds clusters and tags.": {**no_cluster, **no_event},
        "；分群和标签可用 list_clusters 查找。": no_cluster,
    }
    for words, qp in expected.items():
        desk, again = buyers.speaking("en" if words.isascii() else "zh"), " again" if words.isascii() else ""
        assert desk("validate_definition", qp=qp).next.endswith(f"validate_definition{again}{words}")
        assert desk.refused("preview_definition", qp=qp).next_step.say(desk.language).endswith(again.strip() + words)


def test_inside_an_event_there_are_no_clusters(buyers: Desk) -> None:
    problems = buyers("validate_definition", qp={"events": [times("greater", "0", filts=[member("buyers")])]}).problems
    assert [p.code for p in problems] == ["cluster_in_event"]


def test_the_version_of_a_day_is_read_where_it_is_kept(buyers: Desk) -> None:
    assert ids(buyers, member("buyers", specifiedClusterDate="2026-07-04")) == ["1", "2"]


def test_a_static_part_counts_as_it_was_last_computed(buyers: Desk) -> None:
    buyers.create("rest", {"filts": [member("buyers", "notBelongToCluster")]})
    assert buyers.row("rest").users_num == 2
    changed = buyers("update_cluster", cluster="buyers", qp={"events": [times("greater", "0")]})
    (warning,) = changed.warnings
    assert (warning.path, warning.code) == ("/qp", "used_by_others")
    assert warning.message == "Others depend on it and change with it: rest."
    assert buyers.row("rest").fresh is False
    (note,) = buyers("preview_definition", qp={"filts": [member("rest")]}).notes
    assert note.startswith("rest is out of date (buyers, which it rests on, changed")
    assert "buyers" in buyers.row("rest").note
    assert buyers("refresh_cluster", cluster="rest").cluster.users_num == 1


def test_a_dynamic_part_is_computed_first(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS, DYNAMIC)
    desk.create("rest", {"filts": [member("buyers", "notBelongToCluster")]}, STATIC)
    desk.load_again()
    assert desk("refresh_cluster", cluster="rest").cluster.users_num == 2
    assert desk.row("buyers").fresh is True
    assert ids(desk, member("buyers")) == ["1", "2"]


def test_a_chain_of_dynamic_clusters_moves_as_one(desk: Desk) -> None:
    desk.create("one", small.BUYERS, DYNAMIC)
    for below, name in (("one", "two"), ("two", "three"), ("three", "four")):
        desk.create(name, {"filts": [member(below)]}, DYNAMIC)
    desk.load_again()
    done = desk("refresh_cluster", cluster="four").cluster
    assert (done.users_num, done.fresh) == (2, True)
    assert [desk.row(name).fresh for name in ("one", "two", "three")] == [True, True, True]


def test_a_cluster_cannot_reach_itself(desk: Desk) -> None:
    desk.create("one", small.BUYERS)
    desk.create("two", {"filts": [member("one")]})
    desk.create("three", {"filts": [member("two")]})
    for reaching in ("one", "two", "three"):
        error = desk.refused("update_cluster", cluster="one", qp={"filts": [member(reaching)]})
        assert isinstance(error, InvalidDefinition)
        assert [p.code for p in error.problems] == ["cluster_cycle"]
    assert desk.row("one").users_num == 2


def test_a_cluster_that_others_rest_on_is_not_deleted(desk: Desk) -> None:
    desk.create("one", small.BUYERS)
    desk.create("two", {"filts": [member("ONE")]})
    desk.create("three", {"filts": [{"filterType": "COMPOUND", "filts": [member("one", "notBelongToCluster")]}]})
    desk("create_crowd_analysis", crowd_id="one", start_time="2026-07-01", end_time="2026-07-02")
    for dry_run in (True, False):
        error = desk.refused("delete_cluster", cluster="one", dry_run=dry_run)
        assert isinstance(error, ClusterInUse)
        assert error.message.en == (
            "one can't be deleted. It is a condition of two, three. Crowd analyses hold its members: 100001."
        )
        assert error.message.zh == "无法删除 one。two、three 以它为条件。人群分析任务 100001 使用其成员。"
        assert "delete_crowd_analysis" in error.next_step.en
    desk("delete_crowd_analysis", task_id="100001")
    desk("delete_cluster", cluster="two")
    desk("update_cluster", cluster="three", qp=small.BUYERS)
    desk("delete_cluster", cluster="one")


def test_a_part_that_was_never_computed_is_named(desk: Desk) -> None:
    desk.create("one", {"filts": [of_user("city", "equal", "上海")]})
    desk.catalog.database.connection.execute("UPDATE cluster SET version = NULL")
    problems = desk("validate_definition", qp={"filts": [member("one")]}).problems
    assert [p.code for p in problems] == ["cluster_not_ready"]


def test_the_sql_shown_names_the_cluster(buyers: Desk) -> None:
    sql = buyers("preview_definition", qp={"filts": [member("buyers")]}, include_sql=True).sql
    assert 'LEFT JOIN "buyers" AS c0' in sql


# result clusters


RESULT = "cluster_by_result"


def test_a_result_cluster_is_a_fixed_list(buyers: Desk) -> None:
    buyers.create("level3", {"filts": [of_user("level", "equal", "3")]})
    made = buyers.create("both", {"filts": [member("buyers"), member("level3", "notBelongToCluster")]}, RESULT)
    assert (made.users_num, made.fresh) == (1, True)
    buyers("update_cluster", cluster="buyers", qp={"events": [times("greater", "2")]})
    buyers.load_again()
    assert (buyers.row("both").users_num, buyers.row("both").fresh) == (1, True)
    tried = buyers("update_cluster", cluster="both", qp={"filts": [member("buyers")]}, dry_run=True)
    assert (tried.users_num_before, tried.users_num_after) == (1, 0)
    assert buyers.refused("refresh_cluster", cluster="both").code == "not_refreshable"


@pytest.mark.parametrize(
    ("definition", "paths"),
    [
        (small.BUYERS, ["/qp/events/0"]),
        ({"filts": [member("buyers"), of_user("level", "equal", "3")]}, ["/qp/filts/1"]),
        (
            {"filts": [{"filterType": "COMPOUND", "filts": [member("buyers"), of_user("level", "isNull")]}]},
            ["/qp/filts/0"],
        ),
    ],
)
def test_a_result_cluster_holds_only_clusters(buyers: Desk, definition: dict[str, Any], paths: list[str]) -> None:
    error = buyers.refused("create_cluster", cluster_name="r", display_name="r", cluster_type=RESULT, qp=definition)
    assert [(p.code, p.path) for p in error.problems] == [("result_only_clusters", path) for path in paths]


# the same meaning, and whole bodies


def test_another_cluster_of_the_same_meaning_draws_a_warning(buyers: Desk) -> None:
    said = buyers("validate_definition", qp=small.BUYERS)
    assert [(w.code, "buyers" in w.message) for w in said.warnings] == [("same_meaning", True)]
    made = buyers("create_cluster", cluster_name="again", display_name="x", cluster_type=STATIC, qp=small.BUYERS)
    assert [w.code for w in made.warnings] == ["same_meaning"]
    changed = buyers("update_cluster", cluster="again", qp={"events": [times("greater", "0")]})
    assert changed.warnings == ()


def test_another_cluster_of_the_same_users_draws_a_warning(buyers: Desk) -> None:
    spent = {"events": [{**times("greater", "2.5"), "taPropQuota": {"analysis": "SUM", "quota": "price"}}]}
    many = {"events": [times("range", "2,9")]}
    for word, (definition, alike) in {"spent": (spent, []), "many": (many, ["buyers"])}.items():
        made = buyers("create_cluster", cluster_name=word, display_name="x", cluster_type=STATIC, qp=definition)
        found = [w for w in made.warnings if w.code == "same_users"]
        assert [(w.path, w.message.split()[0]) for w in found] == [("/qp", name) for name in alike]
    as_many = {"filts": [member("buyers", "notBelongToCluster")]}
    assert buyers.create("others", as_many).users_num == 2
    made = buyers("create_cluster", cluster_name="same", display_name="x", cluster_type=STATIC_SQL, qp={"sql": PAIR})
    assert [w.message.split()[0] for w in made.warnings] == ["many", "buyers"]


def test_clusters_of_nobody_are_not_called_the_same(buyers: Desk) -> None:
    for name, city in (("none", "x"), ("no_one", "y")):
        made = buyers("create_cluster", cluster_name=name, display_name="x", cluster_type=STATIC,
                      qp={"filts": [of_user("city", "equal", city)]})  # fmt: skip
        assert [w.code for w in made.warnings] == ["value_unseen", "selects_nobody"]


def test_a_whole_body_is_checked_and_given_back_as_it_would_be_sent(desk: Desk) -> None:
    body = {
        "projectId": 1,
        "clusterName": "buyers",
        "clusterCatalog": "catalog_cluster",
        "clusterType": STATIC,
        "displayName": "买家",
        "qp": small.BUYERS,
    }
    assert desk("validate_definition", qp=body).vendor_body == body
    wrong = desk("validate_definition", qp={**body, "clusterName": "1 buyers", "colour": "red", "qp": {"events": []}})
    assert [(p.path, p.code) for p in wrong.problems] == [
        ("/qp/colour", "key_unknown"),
        ("/qp/clusterName", "name_invalid"),
        ("/qp/qp", "definition_empty"),
    ]
