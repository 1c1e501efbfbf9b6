"""Clusters and tags by SQL, through all tools (qp.md section 5)."""

from datetime import date
from typing import Any

import anyio
import pytest

from mcp_server.errors import ClusterInUse, InvalidArguments, InvalidDefinition
from tests.operations.desk import DYNAMIC, EVENTS_WITHOUT_END, PATIENCE, USERS, Desk, check_chinese, of_user, until
from tests.user_sql.sql_attacks import ATTACKS, GUARDED

STATIC_SQL, DYNAMIC_SQL, TAG_SQL = "cluster_by_static_sql", "cluster_by_dynamic_sql", "tag_by_static_sql"
LEVEL_3 = {"sql": 'SELECT "#user_id" FROM v_user_1 WHERE level = 3'}


def sql(text: str, **parameters: object) -> dict[str, Any]:
    return {"sql": text} | ({"parameters": parameters} if parameters else {})


def reads(*names: str) -> dict[str, Any]:
    """The members of clusters, by SQL."""
    listed = ", ".join(f"'{name}'" for name in names)
    return sql(f'SELECT "#user_id" FROM user_result_cluster_1 WHERE cluster_name IN ({listed})')


def test_a_cluster_by_sql_lives_like_any_other(desk: Desk) -> None:
    made = desk("create_cluster", cluster_name="three", display_name="三级", cluster_type=STATIC_SQL, qp=LEVEL_3)
    assert (made.cluster.users_num, made.cluster.cluster_type, made.warnings) == (2, STATIC_SQL, ())
    assert desk.create("three", LEVEL_3, STATIC_SQL).cluster_id == made.cluster.cluster_id
    shown = desk("get_cluster", cluster="three")
    assert shown.definition == LEVEL_3
    assert "It reads `v_user_1`, columns `level` (Level)." in shown.explanation
    member = {"tableType": "cluster", "columnName": "three", "comparator": "belongToCluster", "ftv": []}
    seen = desk("preview_definition", qp={"filts": [member, of_user("city", "equal", "a|b")]})
    assert [row["#user_id"] for row in seen.sample] == ["3"]
    assert desk("export_users", cluster="three").rows == 2
    assert desk("delete_cluster", cluster="three").message == 'Deleted cluster "三级" (three, id 1).'


def test_an_update_says_what_changes_in_the_text(desk: Desk) -> None:
    desk.create("three", LEVEL_3, STATIC_SQL)
    wider = sql(LEVEL_3["sql"].replace("=", ">="))
    tried = desk.speaking("zh")("update_cluster", cluster="three", qp=wider, dry_run=True)
    assert (tried.users_num_before, tried.users_num_after) == (2, 3)
    assert tried.changes == (f"SQL 有改动：\n- {LEVEL_3['sql']}\n+ {wider['sql']}",)
    assert desk("update_cluster", cluster="three", qp=wider).cluster.users_num == 3
    again = desk("update_cluster", cluster="three", qp=sql(f"  {wider['sql']} ;"))
    assert again.message.startswith("Nothing to change")


def test_a_tag_by_sql_has_values_by_its_type(desk: Desk) -> None:
    levels = sql('SELECT "#user_id", level * 2 AS twice FROM v_user_1')
    seen = desk("preview_definition", tag_qp=levels, include_sql=True)
    assert (seen.users_num, seen.without_value, seen.sql) == (3, 1, levels["sql"])
    assert [(row.value, row.users) for row in seen.values] == [("6", 2), ("10", 1)]
    assert "The values go from 6 to 10, median 6" in seen.message
    assert "Rows of the SQL left out: 1 without a value" in seen.notes
    desk("create_tag", cluster_name="twice", display_name="两倍", cluster_type=TAG_SQL, tag_qp=levels)
    part = {"tableType": "cluster", "columnName": "twice", "comparator": "greater", "ftv": ["6"]}
    assert desk("preview_definition", qp={"filts": [part]}).users_num == 1
    assert "second column that this SQL returns" in desk("get_cluster", cluster="twice").explanation


def test_rows_that_count_for_nobody_are_told(desk: Desk) -> None:
    odd = sql(LEVEL_3["sql"] + " UNION ALL VALUES (NULL), (1), (99)")
    told = "Rows of the SQL left out: 1 without an id, 1 with an id that no user has, 1 that repeat a user"
    assert told in desk("preview_definition", qp=odd).notes
    row = desk.create("three", odd, STATIC_SQL)
    assert (row.users_num, row.note) == (2, told)


def test_what_sql_reads_is_followed_and_kept_from_deletion_and_cycles(desk: Desk) -> None:
    desk.create("three", {"filts": [of_user("level", "equal", "3")]}, DYNAMIC)
    desk.create("part", reads("three"), DYNAMIC_SQL)
    assert isinstance(desk.refused("delete_cluster", cluster="three"), ClusterInUse)
    error = desk.refused("update_cluster", cluster="part", qp=reads("part"))
    assert [(p.path, p.code) for p in error.problems] == [("/qp/sql", "cluster_cycle")]
    part = {"tableType": "cluster", "columnName": "part", "comparator": "belongToCluster", "ftv": []}
    error = desk.refused("update_cluster", cluster="three", qp={"filts": [part]})
    assert [p.code for p in error.problems] == ["cluster_cycle"]
    desk("update_cluster", cluster="three", qp={"filts": [of_user("level", "notNull")]})
    assert desk("refresh_cluster", cluster="part").cluster.users_num == 3


def test_names_of_clusters_are_exact_and_unready_ones_are_refused(desk: Desk) -> None:
    desk.create("three", {"filts": [of_user("level", "equal", "3")]})
    found = desk("validate_definition", qp=reads("Three", "nobody")).problems
    assert {(p.code, p.got, p.suggestion) for p in found} == {
        ("sql_cluster_unknown", "Three", "three"), ("sql_cluster_unknown", "nobody", ""),
    }  # fmt: skip


def test_sql_over_all_clusters_reads_them_as_they_stand(desk: Desk) -> None:
    """Two of them would otherwise make each other out of date without end."""
    every = sql('SELECT DISTINCT "#user_id" FROM user_result_cluster_1')
    desk.create("three", {"filts": [of_user("level", "equal", "3")]})
    made = desk("create_cluster", cluster_name="all_1", display_name="a", cluster_type=DYNAMIC_SQL, qp=every)
    assert [w.code for w in made.warnings] == ["sql_all_clusters", "same_users"]
    desk.create("all_2", sql(every["sql"] + " WHERE true"), DYNAMIC_SQL)
    assert desk("refresh_cluster", cluster="all_1").cluster.users_num == 2
    assert [desk.row(name).fresh for name in ("all_1", "all_2")] == [True, True]
    assert "deleted" in desk("delete_cluster", cluster="three").message.casefold()


def test_dynamic_sql_follows_the_day_and_static_does_not(desk: Desk) -> None:
    bought = sql('SELECT "#user_id" FROM v_event_1 WHERE ${PartDate:d} AND "$part_event" = \'buy\' GROUP BY 1', d="1-1")
    assert desk.create("moving", bought, DYNAMIC_SQL).users_num == 2
    desk.create("still", bought, STATIC_SQL)
    assert "days of `d`: on 2026-07-03 (yesterday)" in desk("get_cluster", cluster="still").explanation
    desk.load_again(as_of=date(2026, 7, 3), today=date(2026, 7, 3))
    rows = [desk("refresh_cluster", cluster=name).cluster for name in ("moving", "still")]
    assert [row.users_num for row in rows] == [2, 2]
    assert "days of `d`: on 2026-07-02 (yesterday)" in desk("get_cluster", cluster="still").explanation


@pytest.mark.parametrize(
    ("sent", "code", "got", "suggestion"),
    [
        (sql('SELECT "#user_id" FROM v_user_1 WHERE levle = 3'), "sql_column_unknown", "levle", "level"),
        (sql('SELECT city AS "#user_id" FROM v_user_1'), "sql_id_type", "VARCHAR", ""),
        (sql('SELECT "#user_id" FROM v_user_1 WHERE ${PartDate:d}', d="1-7"), "sql_column_unknown", "$part_date", ""),
    ],
)  # fmt: skip
def test_what_only_the_engine_knows_is_said_before_anything_is_saved(
    shared: Desk, sent: dict[str, Any], code: str, got: str, suggestion: str
) -> None:
    error = shared.refused("create_cluster", cluster_name="a", display_name="a", cluster_type=STATIC_SQL, qp=sent)
    assert isinstance(error, InvalidDefinition)
    assert [(p.path, p.code) for p in error.problems] == [("/qp/sql", code)]
    assert error.problems[0].got == got
    assert error.problems[0].suggestion == suggestion


@pytest.mark.parametrize(
    ("tool", "cluster_type", "sent", "suggestion"),
    [
        ("create_cluster", "cluster_by_dynamic_condition", {"qp": LEVEL_3}, DYNAMIC_SQL),
        ("create_cluster", STATIC_SQL, {"qp": {"filts": [of_user("city", "isNull")]}}, "cluster_by_static_condition"),
        ("create_cluster", "cluster_by_result", {"qp": LEVEL_3}, STATIC_SQL),
        ("create_tag", "tag_by_static_condition", {"tag_qp": sql('SELECT "#user_id", 1 FROM v_user_1')}, TAG_SQL),
    ],
)
def test_the_type_has_to_fit_the_form(
    shared: Desk, tool: str, cluster_type: str, sent: dict[str, Any], suggestion: str
) -> None:
    error = shared.refused(tool, cluster_name="a", display_name="a", cluster_type=cluster_type, **sent)
    assert isinstance(error, InvalidArguments)
    assert [(p.path, p.code, p.suggestion) for p in error.problems] == [
        ("/cluster_type", "cluster_type_form", suggestion)
    ]


def test_a_saved_cluster_keeps_its_form(desk: Desk) -> None:
    desk.create("three", LEVEL_3, STATIC_SQL)
    error = desk.refused("update_cluster", cluster="three", qp={"filts": [of_user("city", "isNull")]})
    assert [(p.path, p.code, p.suggestion) for p in error.problems] == [("/qp", "cluster_type_form", "")]
    error = desk.refused(
        "create_cluster", cluster_name="three", display_name="a", cluster_type="cluster_by_static_condition",
        qp={"filts": [of_user("city", "isNull")]},
    )  # fmt: skip
    assert "it is defined by conditions, no longer by SQL" in error.message.en


def test_sql_whose_values_do_not_fit_fails_with_the_reason(desk: Desk) -> None:
    prices = sql('SELECT "#user_id", price FROM v_event_1 WHERE "$part_date" > \'2026\'')
    error = desk.refused("preview_definition", tag_qp=prices)
    assert [(p.path, p.code) for p in error.problems] == [("/tag_qp/sql", "sql_two_values")]
    made = desk("create_tag", cluster_name="prices", display_name="p", cluster_type=TAG_SQL, tag_qp=prices)
    assert made.cluster.progress == -1
    assert "A tag gives a user one value" in made.cluster.note
    check_chinese(desk.speaking("zh").row("prices").note)


def test_attacks_are_refused_in_words(shared: Desk) -> None:
    """As the guard refuses it, through a tool, in Chinese: every third of its own tests' list (engine.md section 7)."""
    desk = shared.speaking("zh")
    for text, code in [*ATTACKS, *GUARDED][::3]:
        seen = desk("validate_definition", qp={"sql": text})
        assert (seen.valid, {p.path for p in seen.problems}) == (False, {"/qp/sql"}), text
        assert {code, "text_invalid"} & {p.code for p in seen.problems}, text  # half a character is found before


def test_a_check_tells_that_the_vendor_has_no_body_for_sql(shared: Desk) -> None:
    body = {"projectId": 1, "clusterName": "three", "clusterType": DYNAMIC_SQL, "displayName": "三级", **LEVEL_3}
    seen = shared("validate_definition", qp=body)
    assert (seen.valid, seen.definition, seen.vendor_body, seen.rows_to_read) == (True, LEVEL_3, {}, 0)
    assert [(w.path, w.code) for w in seen.warnings] == [("/qp", "sql_local_only")]
    said = shared("validate_definition", qp={**body, "clusterType": "cluster_by_static_condition"}).problems
    assert [(p.path, p.code, p.suggestion) for p in said] == [("/qp/clusterType", "body_contradiction", STATIC_SQL)]


def test_a_refresh_of_endless_sql_is_cancelled(desk: Desk) -> None:
    desk.create(
        "pairs", sql('SELECT DISTINCT a."#user_id" FROM v_event_1 AS a WHERE a."$part_date" > \'2\''), STATIC_SQL
    )
    desk.load(USERS, EVENTS_WITHOUT_END)

    async def cancelled() -> None:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(desk.asked, "refresh_cluster", {"cluster": "pairs", "wait_seconds": 300})
                await until(lambda: [job for job in desk.jobs("running") if job["started_at"]])
                group.cancel_scope.cancel()
            await until(lambda: desk.jobs("interrupted"))

    anyio.run(cancelled)
    row = desk.row("pairs")
    assert (row.users_num, row.progress) == (3 + 1, -1)
