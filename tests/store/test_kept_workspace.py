"""A workspace of November 2026: whatever changes a format later must still open it, members and all.

`tests/fixtures/workspace_2026_11.zip` is what `fenqun demo` left on every fifth customer of its data, with the code of
that month, plus one change of a cluster and one access token; `exports/` and `locks/` were left out. It is never made
again: a file that today's code wrote would prove nothing.
"""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_server.store.catalog import Catalog
from mcp_server.store.tokens import Tokens
from tests.operations.desk import Desk, opened
from tests.store.workspace_kit import open_catalog

KEPT = Path(__file__).parents[1] / "fixtures" / "workspace_2026_11.zip"
SIZES = {"lapsed_regulars": 84, "spending_tier": 4714, "answered": 80, "still_silent": 4}
SILENT = ["20668", "22228", "22918", "23388"]
TOKEN = "fenqun_TwKGCzwte_KMhgBI156w8G7z1q1OxrnnAI2WQbcwr0A"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = tmp_path_factory.mktemp("kept") / "workspace"
    shutil.unpack_archive(KEPT, root)
    yield from opened(root)


def tables(catalog: Catalog) -> dict[str, object]:
    """What a catalogue is made of, however its statements are laid out."""
    names = [row["name"] for row in catalog.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    made: dict[str, object] = {}
    for name in names:
        for pragma in ("table_info", "foreign_key_list", "index_list"):
            made[f"{name} {pragma}"] = sorted(
                tuple(row)[1:] for row in catalog.database.rows(f"PRAGMA {pragma}({name})")
            )
    for row in catalog.database.rows("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'table'"):
        made[row["name"]] = " ".join(row["sql"].split())
    return made


def test_its_catalogue_has_the_tables_of_a_new_one(desk: Desk, tmp_path: Path) -> None:
    assert tables(desk.catalog) == tables(open_catalog(tmp_path))


def test_its_clusters_are_listed_and_up_to_date(desk: Desk) -> None:
    clusters = desk("list_clusters").clusters
    assert {row.cluster_name: row.users_num for row in clusters} == SIZES
    assert {(row.progress, row.fresh) for row in clusters} == {(100, True)}
    assert {job["state"] for job in desk.jobs()} == {"done"}
    assert len(desk.jobs()) == 4, "one of the demo was asked for by hand; none was needed now"


@pytest.mark.parametrize("name", SIZES)
def test_its_members_are_exported(desk: Desk, name: str) -> None:
    written = desk("export_users", cluster=name, properties=["total_amount"])
    with Path(written.path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == SIZES[name]
    assert all(float(row["total_amount"]) >= 0 for row in rows)
    if name == "still_silent":
        assert [row["#user_id"] for row in rows] == SILENT


def test_its_data_is_read_by_a_new_definition(desk: Desk) -> None:
    qp = {"events": [{"eventName": "purchase", "comparator": "greater", "num": "20", "taPropQuota": {"analysis": "TIMES"}}]}  # fmt: skip
    assert desk("preview_definition", qp=qp).users_num == 44


def test_its_tasks_its_log_its_consents_and_its_token_are_there(desk: Desk) -> None:
    (crowd,) = desk("list_crowd_analyses").tasks
    assert (crowd.task_id, crowd.users_num) == ("100001", 84)
    (call,) = desk("list_call_tasks").tasks
    assert (call.name, call.callees, call.start_time) == ("win_back", 4, "2026-12-07 00:00:00")
    ledger = desk.app.deps.ledger
    assert ledger is not None
    acts = [(entry.subject.tool, entry.way) for entry in ledger.entries(limit=100)]
    assert [act for act in acts if act[1]] == [("update_cluster", "asked"), ("update_call_task", "asked")]
    assert ("create_tag", "") in acts
    token = Tokens(desk.catalog).find(TOKEN)
    assert token is not None
    assert (token.name, token.scope, token.projects) == ("kim", "write", frozenset({"1"}))


def test_its_last_change_can_be_undone(desk: Desk) -> None:
    assert desk.row("answered").remarks == "Answered within a week"
    desk("restore_cluster", cluster="answered")
    assert desk.row("answered").remarks == ""
