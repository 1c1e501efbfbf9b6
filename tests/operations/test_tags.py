"""Tags through the tools: made, changed, read, refreshed, exported and deleted like clusters, and conditions by their value."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcp_server.language.metadata import Property
from mcp_server.store.housekeeping import KEEP_DAYS, sweep
from mcp_server.store.jobs import JobStore
from tests import small
from tests.asking_duckdb import rows_of
from tests.operations.desk import DYNAMIC, STATIC, Desk, Watch, of_user, opened

STATIC_TAG, DYNAMIC_TAG = "tag_by_static_condition", "tag_by_dynamic_condition"

TIERS: dict[str, Any] = {
    "userTagValueDefs": [
        {"tagValue": "buyer", "userClusterDef": small.BUYERS},
        {"tagValue": "level 3", "userClusterDef": {"filts": [of_user("level", "equal", "3")]}},
    ]
}
"""Players 1 and 2 are buyers, player 3 has level 3, player 4 has no value."""


def spent(analysis: str = "SUM", quota: str = "price", **more: object) -> dict[str, Any]:
    event = {"eventName": "buy", "analysis": analysis, **({"quota": quota} if quota else {}), **more}
    return {"userTagConQuotaDef": {"userTagConQuotaEvent": event}}


def last(column: str, table: str = "event") -> dict[str, Any]:
    event = {
        "eventName": "buy",
        "isFirstEvent": False,
        "calcPropVo": {"property": {"columnName": column, "tableType": table}},
    }
    return {"userTagConFirstLastEventDef": {"userTagConFirstLastEvent": event}}


def of_tag(name: str, comparator: str, *ftv: str, **more: str) -> dict[str, Any]:
    return {"filts": [{"tableType": "cluster", "columnName": name, "comparator": comparator, "ftv": list(ftv), **more}]}


def tag(desk: Desk, name: str, definition: object, cluster_type: str = STATIC_TAG, **more: object) -> Any:
    return desk(
        "create_tag", cluster_name=name, display_name=name, cluster_type=cluster_type, tag_qp=definition, **more
    )


def know_times(desk: Desk) -> None:
    """Make the time of an event a property that definitions may name."""
    time = Property(table="event", name="#event_time", type="time", events=("buy", "login"))
    desk.load_again(properties=[*desk.metadata.properties, time])


def selected(desk: Desk, definition: object) -> set[int]:
    found = desk("preview_definition", qp=definition, sample=20)
    return {int(row["#user_id"]) for row in found.sample}


# creating


def test_a_tag_is_made_computed_and_shown(desk: Desk) -> None:
    made = tag(desk, "tiers", TIERS)
    assert (made.cluster.users_num, made.cluster.cluster_type, made.cluster.progress) == (3, STATIC_TAG, 100)
    assert "3 users have a value" in made.message
    shown = desk("get_cluster", cluster="TIERS")
    assert shown.definition["userTagValueDefs"][0]["tagValue"] == "buyer"
    assert "buyer" in shown.explanation
    assert shown.message.startswith('Tag "tiers" (id 1)')
    assert desk.speaking("zh")("get_cluster", cluster="tiers").message.startswith("标签“tiers”（id 1）")


def test_the_same_tag_again_is_the_one_that_exists(desk: Desk) -> None:
    first = tag(desk, "tiers", TIERS)
    again = tag(desk, "tiers", TIERS)
    assert (again.existed, again.cluster.cluster_id) == (True, first.cluster.cluster_id)
    turned = {"userTagValueDefs": TIERS["userTagValueDefs"][::-1]}
    error = desk.refused("create_tag", cluster_name="Tiers", display_name="x", cluster_type=STATIC_TAG, tag_qp=turned)
    assert error.code == "name_taken"
    assert "update_tag" in error.next_step.en


def test_clusters_and_tags_share_their_names(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    error = desk.refused("create_tag", cluster_name="buyers", display_name="x", cluster_type=STATIC_TAG, tag_qp=TIERS)
    assert error.code == "name_taken"
    assert "update_cluster" in error.next_step.en
    tag(desk, "tiers", TIERS)
    other = desk.refused("create_cluster", cluster_name="TIERS", display_name="x", cluster_type=STATIC, qp=small.BUYERS)
    assert "update_tag" in other.next_step.en


def test_the_type_of_the_other_kind_names_the_other_tool(desk: Desk) -> None:
    for_tag = desk.refused("create_cluster", cluster_name="a", display_name="a", cluster_type=DYNAMIC_TAG, qp=TIERS)
    assert any("create_tag" in p.message.en and "create_tag" in p.message.zh for p in for_tag.problems)
    wrong = desk.refused("create_tag", cluster_name="a", display_name="a", cluster_type=DYNAMIC, tag_qp=TIERS)
    assert any("create_cluster" in p.message.en for p in wrong.problems)


def test_a_cluster_definition_for_a_tag_names_the_other_tool(desk: Desk) -> None:
    error = desk.refused("create_tag", cluster_name="a", display_name="a", cluster_type=STATIC_TAG, tag_qp=small.BUYERS)
    assert [(p.path, p.code) for p in error.problems] == [("/tag_qp", "cluster_given")]
    assert desk.jobs() == []


def test_a_tag_tried_first_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    tried = tag(desk, "tiers", TIERS, dry_run=True)
    assert (tried.dry_run, tried.users_num_after) == (True, 3)
    assert 'tag "tiers"' in tried.message
    assert desk.everything() == before


# changing


def test_an_update_tried_first_says_what_changes_and_then_changes_it(desk: Desk) -> None:
    tag(desk, "tiers", TIERS)
    only = {"userTagValueDefs": TIERS["userTagValueDefs"][:1]}
    tried = desk("update_tag", cluster="tiers", tag_qp=only, dry_run=True)
    assert (tried.users_num_before, tried.users_num_after) == (3, 2)
    assert any("level 3" in change for change in tried.changes)
    assert desk.row("tiers").users_num == 3
    assert desk("update_tag", cluster="tiers", tag_qp=only).cluster.users_num == 2
    assert "is like that already" in desk("update_tag", cluster="tiers", tag_qp=only).message


def test_each_kind_is_changed_by_its_own_tool(desk: Desk) -> None:
    tag(desk, "tiers", TIERS)
    desk.create("buyers", small.BUYERS)
    assert "update_tag" in desk.refused("update_cluster", cluster="tiers", remarks="x").next_step.en
    assert "update_cluster" in desk.refused("update_tag", cluster="buyers", remarks="x").next_step.zh


def test_a_tag_that_is_used_is_not_deleted(desk: Desk) -> None:
    tag(desk, "tiers", TIERS)
    desk.create("vip", of_tag("tiers", "equal", "buyer"))
    error = desk.refused("delete_cluster", cluster="tiers")
    assert error.code == "cluster_in_use"
    assert "vip" in error.message.en
    desk("delete_cluster", cluster="vip")
    assert 'Deleted tag "tiers" (id 1)' in desk("delete_cluster", cluster="tiers").message


def test_a_tag_may_not_reach_itself(desk: Desk) -> None:
    tag(desk, "tiers", TIERS)
    desk.create("vip", of_tag("tiers", "equal", "buyer"))
    member = {"filts": [{"tableType": "cluster", "columnName": "vip", "comparator": "belongToCluster"}]}
    looped = {"userTagValueDefs": [{"tagValue": "x", "userClusterDef": member}]}
    error = desk.refused("update_tag", cluster="tiers", tag_qp=looped)
    assert [p.code for p in error.problems] == ["cluster_cycle"]


# a tag as a condition


@pytest.mark.parametrize(
    ("definition", "condition", "users"),
    [
        (TIERS, ("equal", "buyer"), {1, 2}),
        (TIERS, ("notEqual", "buyer"), {3}),
        (TIERS, ("include", "eve"), {3}),
        (TIERS, ("isNull",), {4}),
        (spent(), ("greater", "3.5"), {2, 3}),
        (spent(), ("range", "3.5", "4"), {1, 3}),
        (spent("TIMES", ""), ("equal", "2"), {1, 2}),
        (spent("TIMES", ""), ("notNull",), {1, 2, 3}),
        (last("price"), ("notNull",), {1, 3}),
        (last("price"), ("less", "2"), {1}),
        (last("level", "user"), ("equal", "3"), {1, 3}),
        (last("#event_time"), ("relativeCurrentBetween", "1", "1"), {2, 3}),
    ],
)
def test_a_tag_is_a_condition_by_its_value_with_the_words_of_its_type(
    desk: Desk, definition: dict[str, Any], condition: tuple[str, ...], users: set[int]
) -> None:
    know_times(desk)
    tag(desk, "mark", definition)
    assert selected(desk, of_tag("mark", *condition)) == users


def test_the_words_of_another_type_and_membership_are_problems(desk: Desk) -> None:
    tag(desk, "spent", spent())
    for comparator, *ftv in (("include", "x"), ("belongToCluster",)):
        found = desk("validate_definition", qp=of_tag("spent", comparator, *ftv))
        assert not found.valid


def test_a_cluster_follows_a_tag_whose_values_become_of_another_type(desk: Desk) -> None:
    tag(desk, "mark", TIERS)
    desk.create("marked", of_tag("mark", "equal", "buyer"))
    assert desk("update_tag", cluster="mark", remarks="x").warnings == ()
    for dry_run in (True, False):
        for language, words in (("en", "from text to number"), ("zh", "由文本变为数值")):
            speaking = desk.speaking(language)  # type: ignore[arg-type]
            said = speaking("update_tag", cluster="mark", tag_qp=spent(), dry_run=dry_run or language == "en")
            (warning,) = said.warnings
            assert (warning.path, warning.code) == ("/tag_qp", "used_by_others")
            assert "marked" in warning.message
            assert words in warning.message
    assert desk.row("mark").progress == 100
    after = desk("refresh_cluster", cluster="marked").cluster
    assert after.progress == -1
    assert "update_cluster" in after.note
    member = {"tableType": "cluster", "columnName": "marked", "comparator": "belongToCluster"}
    notes = desk("preview_definition", qp={"filts": [member]}).notes
    assert ["The last computation of marked failed" in note for note in notes] == [True]
    window = {"start_time": "2026-12-01 09:00:00", "end_time": "2026-12-02 20:00:00"}
    called = {"task_name": "t", "cluster": "marked", "callee_property": "city", **window, "dry_run": True}
    assert "call_cluster_failed" in [w.code for w in desk("create_call_task", **called).warnings]
    assert selected(desk, of_tag("mark", "greater", "5")) == {2}


# reading


def test_lists_show_tags_by_type_and_with_clusters(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS)
    tag(desk, "tiers", TIERS)
    assert [c.cluster_name for c in desk("list_clusters").clusters] == ["tiers", "buyers"]
    only = desk("list_clusters", cluster_types=[STATIC_TAG, DYNAMIC_TAG]).clusters
    assert [(c.cluster_name, c.cluster_type) for c in only] == [("tiers", STATIC_TAG)]
    assert desk.refused("list_clusters", cluster_types=["tag_static"]).problems[0].suggestion.startswith("tag_by_")


def test_a_preview_counts_the_users_per_value_and_those_without_one(desk: Desk) -> None:
    found = desk("preview_definition", tag_qp=TIERS, sample=20)
    assert [(v.value, v.users) for v in found.values] == [("buyer", 2), ("level 3", 1)]
    assert (found.users_num, found.without_value, found.distinct_values) == (3, 1, 2)
    assert [row["tag_value"] for row in found.sample] == ["buyer", "buyer", "level 3"]
    assert desk("preview_definition", tag_qp=TIERS, include_sql=True).sql.startswith("WITH")


def test_a_preview_of_numbers_says_where_they_lie(desk: Desk) -> None:
    found = desk("preview_definition", tag_qp=spent())
    assert "from 3.5 to 9.0, median 4.0" in found.message
    assert "中位数为 4.0" in desk.speaking("zh")("preview_definition", tag_qp=spent()).message


def test_a_value_that_nobody_gets_is_warned_of(desk: Desk) -> None:
    hidden = {"userTagValueDefs": [*TIERS["userTagValueDefs"], {"tagValue": "late", "userClusterDef": small.BUYERS}]}
    warnings = desk("preview_definition", tag_qp=hidden).warnings
    assert ("value_for_nobody", "/tag_qp/userTagValueDefs/2") in [(w.code, w.path) for w in warnings]


@pytest.mark.parametrize("tool", ["validate_definition", "preview_definition"])
def test_exactly_one_definition_is_taken(desk: Desk, tool: str) -> None:
    assert [p.path for p in desk.refused(tool).problems] == ["/qp"]
    assert [p.path for p in desk.refused(tool, qp=small.BUYERS, tag_qp=TIERS).problems] == ["/tag_qp"]


def test_a_tag_is_validated_with_its_words_and_its_cost(desk: Desk) -> None:
    found = desk("validate_definition", tag_qp=spent())
    assert (found.valid, found.rows_to_read) == (True, 5)
    assert "price" in found.explanation.en
    wrong = desk("validate_definition", tag_qp=spent(quota="pric"))
    assert wrong.problems[0].path.startswith("/tag_qp/userTagConQuotaDef")


# refreshing and handing on


def test_a_refresh_takes_in_new_data(desk: Desk) -> None:
    tag(desk, "spent", spent())
    desk.load_again()
    assert not desk.row("spent").fresh
    done = desk("refresh_cluster", cluster="spent")
    assert done.cluster.fresh
    assert done.message.startswith('Refreshed tag "spent" (id 1)')
    assert desk("get_refresh_progress", cluster="spent").cluster.progress == 100


def test_an_export_has_the_value_after_the_id(desk: Desk) -> None:
    tag(desk, "tiers", TIERS)
    made = desk("export_users", cluster="tiers", properties=["level"])
    assert made.columns == ("#user_id", "tiers", "level")
    with Path(made.path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["#user_id", "tiers", "level"], ["1", "buyer", "3"], ["2", "buyer", "5"], ["3", "level 3", "3"]
    ]  # fmt: skip


def test_times_are_exported_in_local_time_and_kept_as_instants_in_parquet(desk: Desk) -> None:
    know_times(desk)
    tag(desk, "seen", last("#event_time"))
    text = Path(desk("export_users", cluster="seen").path).read_text(encoding="utf-8")
    assert "1,2026-07-02 12:00:00" in text
    path = desk("export_users", cluster="seen", format="parquet").path
    assert rows_of(f"SELECT typeof(seen) FROM read_parquet('{path}')")[0][0] == "TIMESTAMP WITH TIME ZONE"


def test_a_property_named_like_the_tag_keeps_its_name(desk: Desk) -> None:
    tag(desk, "level", TIERS)
    assert desk("export_users", cluster="level", properties=["level"]).columns == ("#user_id", "tag_value", "level")


def test_a_value_that_a_spreadsheet_would_run_is_defused(desk: Desk) -> None:
    formula = {"userTagValueDefs": [{"tagValue": "=1+1", "userClusterDef": small.BUYERS}]}
    tag(desk, "sly", formula)
    path = desk("export_users", cluster="sly", for_spreadsheet=True).path
    assert "'=1+1" in Path(path).read_text(encoding="utf-8-sig")


# days


@pytest.fixture
def moving(root: Path) -> Iterator[tuple[Desk, Watch]]:
    """A project that lives by a clock which the test sets."""
    for desk in opened(root):
        watch = Watch(datetime(2026, 7, 3, 4, tzinfo=UTC))
        desk.catalog.clock = watch
        desk.load_again(as_of=None, today=watch.moment.date())
        yield desk, watch


def test_a_dynamic_tag_keeps_its_values_of_each_day(moving: tuple[Desk, Watch]) -> None:
    desk, watch = moving
    tag(desk, "recent", spent("TIMES", "", recentDay="0-1"), DYNAMIC_TAG)
    assert selected(desk, of_tag("recent", "notNull")) == {2, 3}
    for _ in range(4):
        watch.moment += timedelta(days=1)
        desk("refresh_cluster", cluster="recent")
    desk.catalog.clock = Watch(watch.moment + timedelta(hours=1))
    sweep(desk.catalog, JobStore(desk.catalog))
    assert selected(desk, of_tag("recent", "notNull")) == set()
    assert selected(desk, of_tag("recent", "notNull", specifiedClusterDate="2026-07-03")) == {2, 3}
    found = desk("validate_definition", qp=of_tag("recent", "notNull", specifiedClusterDate="2026-07-01"))
    assert [p.code for p in found.problems] == ["cluster_date_unknown"]


def test_a_day_whose_values_were_of_another_type_is_not_offered(moving: tuple[Desk, Watch]) -> None:
    desk, watch = moving
    tag(desk, "mark", TIERS, DYNAMIC_TAG)
    watch.moment += timedelta(days=1)
    desk("update_tag", cluster="mark", tag_qp=spent())
    found = desk("validate_definition", qp=of_tag("mark", "greater", "1", specifiedClusterDate="2026-07-03"))
    assert [p.code for p in found.problems] == ["cluster_date_unknown"]
    assert selected(desk, of_tag("mark", "greater", "5", specifiedClusterDate="2026-07-04")) == {2}


def test_only_the_last_version_of_a_day_and_so_many_days_are_kept(moving: tuple[Desk, Watch]) -> None:
    desk, watch = moving
    made = tag(desk, "recent", spent("TIMES", ""), DYNAMIC_TAG).cluster
    desk("refresh_cluster", cluster="recent")
    for _ in range(KEEP_DAYS + 1):
        watch.moment += timedelta(days=1)
        desk("refresh_cluster", cluster="recent")
    watch.moment += timedelta(hours=1)
    sweep(desk.catalog, JobStore(desk.catalog))
    days = [v.local_day for v in desk.catalog.versions(int(made.cluster_id))]
    assert len(days) == len(set(days)) == KEEP_DAYS


def test_a_static_tag_keeps_no_days(moving: tuple[Desk, Watch]) -> None:
    desk, watch = moving
    made = tag(desk, "spent", spent()).cluster
    for _ in range(4):
        watch.moment += timedelta(days=1)
        desk("refresh_cluster", cluster="spent")
    watch.moment += timedelta(hours=1)
    sweep(desk.catalog, JobStore(desk.catalog))
    assert len(desk.catalog.versions(int(made.cluster_id))) == 2
