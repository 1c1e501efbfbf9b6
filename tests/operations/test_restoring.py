"""What was changed or deleted last can be had again, as it was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcp_server.errors import ApprovalNeeded, InvalidDefinition, NameTaken, NotFound
from mcp_server.operations.operation import NOBODY
from mcp_server.store.housekeeping import purge, sweep
from tests import small
from tests.operations.desk import DYNAMIC, Desk, Watch, check_chinese, of_user, times

OTHERS = {"events": [times("greater", "0")]}


def test_a_deleted_cluster_comes_back_with_its_id_and_members(desk: Desk) -> None:
    desk.create("vip", small.BUYERS, remarks="ours")
    file = desk.catalog.find("1", "vip").current.file  # type: ignore[union-attr]
    desk("delete_cluster", cluster="vip")
    tried = desk("restore_cluster", cluster="VIP", dry_run=True)
    assert tried.message.startswith('Would restore cluster "vip" (id 1), deleted at ')
    assert tried.users_num_after == 2
    desk.refused("get_cluster", cluster="vip")
    done = desk("restore_cluster", cluster="vip")
    assert done.message == 'Restored cluster "vip" (id 1): 2 users.'
    assert (done.cluster.cluster_id, done.cluster.users_num, done.cluster.fresh) == ("1", 2, True)
    assert desk.row("vip").remarks == "ours"
    assert desk.catalog.find("1", "vip").current.file == file  # type: ignore[union-attr]
    assert isinstance(desk.refused("restore_cluster", cluster="vip"), NotFound), "it is undone once"


def test_an_update_is_undone_with_the_members_of_before(desk: Desk) -> None:
    desk.create("vip", small.BUYERS)
    desk("update_cluster", cluster="vip", qp=OTHERS, display_name="all buyers")
    desk("refresh_cluster", cluster="vip")
    assert desk.row("vip").users_num == 3
    tried = desk("restore_cluster", cluster="vip", dry_run=True)
    assert "users 3 → 2" in tried.message
    assert "display name: all buyers → vip" in tried.changes
    jobs = len(desk.jobs())
    done = desk("restore_cluster", cluster="1")
    assert (done.cluster.users_num, done.cluster.fresh, done.cluster.display_name) == (2, True, "vip")
    assert len(desk.jobs()) == jobs, "nothing is computed: the members were kept"
    assert isinstance(desk.refused("restore_cluster", cluster="vip"), NotFound)
    assert desk("refresh_cluster", cluster="vip").cluster.users_num == 2


def test_remarks_come_back_without_touching_newer_members(desk: Desk) -> None:
    desk.create("vip", small.BUYERS, remarks="old")
    desk("update_cluster", cluster="vip", remarks="new")
    desk("refresh_cluster", cluster="vip")
    desk("restore_cluster", cluster="vip")
    assert desk.row("vip").remarks == "old"
    assert desk.catalog.find("1", "vip").current.number == 2  # type: ignore[union-attr]


def test_a_name_taken_since_is_refused(desk: Desk) -> None:
    desk.create("vip", small.BUYERS)
    desk("delete_cluster", cluster="vip")
    desk.create("VIP", OTHERS)
    error = desk.refused("restore_cluster", cluster="1")
    assert isinstance(error, NameTaken)
    assert "id 2" in error.message.en
    desk("delete_cluster", cluster="VIP")
    assert desk("restore_cluster", cluster="1").cluster.users_num == 2


def test_a_later_change_by_other_means_is_refused(desk: Desk) -> None:
    desk.create("vip", small.BUYERS)
    desk("update_cluster", cluster="vip", remarks="x")
    with desk.catalog.database.write() as db:
        db.execute("UPDATE cluster SET revision = revision + 1")
    assert isinstance(desk.refused("restore_cluster", cluster="vip"), NotFound)


def test_what_would_rest_on_itself_by_now_is_refused(desk: Desk) -> None:
    member = {"filts": [{"tableType": "cluster", "columnName": "one", "comparator": "belongToCluster"}]}
    desk.create("one", small.BUYERS)
    desk.create("two", member)
    desk("update_cluster", cluster="two", qp=OTHERS)
    desk("update_cluster", cluster="one", qp={"filts": [member["filts"][0] | {"columnName": "two"}]})
    error = desk.refused("restore_cluster", cluster="two")
    assert isinstance(error, InvalidDefinition)
    assert [p.code for p in error.problems] == ["cluster_cycle"]


def test_restoring_asks_too(desk: Desk) -> None:
    desk.create("vip", small.BUYERS)
    desk("delete_cluster", cluster="vip")
    error = replace(desk, ask=NOBODY).refused("restore_cluster", cluster="vip")
    assert isinstance(error, ApprovalNeeded)
    check_chinese(error.message.zh)


def test_restoring_speaks_chinese(desk: Desk) -> None:
    desk.create("vip", small.BUYERS)
    desk("update_cluster", cluster="vip", qp={"filts": [of_user("level", "equal", "3")]}, remarks="改动")
    chinese = desk.speaking("zh")
    tried = chinese("restore_cluster", cluster="vip", dry_run=True)
    assert tried.message.startswith("将把分群“vip”（id 1）恢复到 ")
    assert chinese("restore_cluster", cluster="vip").message == "已恢复分群“vip”（id 1）：2 名用户。"


@pytest.fixture
def later(desk: Desk) -> tuple[Desk, Watch]:
    desk.catalog.clock = watch = Watch(datetime.now(UTC))
    desk.create("kept", small.BUYERS, DYNAMIC)
    desk.create("vip", small.BUYERS)
    desk("update_cluster", cluster="kept", qp=OTHERS)
    for _ in range(3):
        desk("refresh_cluster", cluster="kept")
    desk("delete_cluster", cluster="vip")
    return desk, watch


def members(desk: Desk) -> list[Path]:
    return sorted(desk.catalog.workspace.members.iterdir())


def swept(desk: Desk) -> None:
    sweep(desk.catalog, desk.app.deps.segments._jobs.store)  # type: ignore[attr-defined]


def test_what_can_be_undone_is_kept_for_thirty_days_and_no_longer(later: tuple[Desk, Watch]) -> None:
    desk, watch = later
    watch.moment += timedelta(days=30)
    swept(desk)
    assert desk("restore_cluster", cluster="vip", dry_run=True).users_num_after == 2
    assert desk("restore_cluster", cluster="kept", dry_run=True).users_num_after == 2
    watch.moment += timedelta(seconds=1)
    swept(desk)
    for name in ("vip", "kept"):
        assert isinstance(desk.refused("restore_cluster", cluster=name), NotFound)
    assert desk.row("kept").users_num == 3
    assert not [path for path in members(desk) if path.name.startswith("cluster_2")]


def test_a_restored_version_stays_however_many_are_newer(later: tuple[Desk, Watch]) -> None:
    desk, watch = later
    desk("restore_cluster", cluster="kept")
    watch.moment += timedelta(days=40)
    swept(desk)
    assert desk.catalog.find("1", "kept").current.number == 1  # type: ignore[union-attr]


def test_purging_gives_it_up_at_once(later: tuple[Desk, Watch]) -> None:
    desk, watch = later
    watch.moment += timedelta(hours=1)
    purge(desk.catalog, desk.app.deps.segments._jobs.store)  # type: ignore[attr-defined]
    assert isinstance(desk.refused("restore_cluster", cluster="vip"), NotFound)
    assert not [path for path in members(desk) if path.name.startswith("cluster_2")]
    assert desk.row("kept").users_num == 3
