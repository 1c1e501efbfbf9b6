"""The catalogue: what was committed is read back, by every process; what is replaced goes after a while."""

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mcp_server.errors import ConfigurationError, DiskFull, FenqunError, NoData, NoProject, NotFound, QueryFailed
from mcp_server.language.metadata import Metadata
from mcp_server.store.catalog import Catalog
from mcp_server.store.database import SCHEMA_VERSION
from mcp_server.store.housekeeping import sweep
from mcp_server.store.jobs import STANDING, JobStore
from mcp_server.store.workspace import GRACE, Workspace
from tests.store.workspace_kit import Watch, create, delete, load, open_catalog, publish, update


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = open_catalog(tmp_path)
    load(made)
    return made


# -- the file ------------------------------------------------------------------------------------------------------


def test_the_file_is_private_durable_and_in_wal_mode(catalog: Catalog) -> None:
    db = catalog.database.connection
    assert catalog.workspace.catalog_path.stat().st_mode & 0o777 == 0o600
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_a_second_opening_finds_what_the_first_wrote(catalog: Catalog) -> None:
    made = create(catalog)
    assert open_catalog(catalog.workspace.root).cluster(made.id) == made


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_catalog(tmp_path).close()
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigurationError, match="newer version of fenqun") as caught:
        open_catalog(tmp_path)
    assert "更新版本" in caught.value.message.zh
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 99
    db.close()


def test_an_older_schema_is_refused_and_its_data_is_to_be_loaded_again(tmp_path: Path) -> None:
    older = open_catalog(tmp_path)
    load(older)
    older.close()
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as db:
        db.execute("PRAGMA user_version = 6")
    with pytest.raises(ConfigurationError, match=r"earlier version .* nothing was changed or deleted") as caught:
        open_catalog(tmp_path)
    assert "fenqun load" in caught.value.message.en
    assert "重新加载到新的工作区：fenqun load" in caught.value.message.zh
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 6
        assert db.execute("SELECT count(*) FROM generation").fetchone()[0] == 1


def test_another_programs_sqlite_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    with pytest.raises(ConfigurationError, match="not a fenqun catalogue"):
        open_catalog(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(ConfigurationError, match="not a fenqun catalogue"):
        open_catalog(tmp_path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").mkdir()
    with pytest.raises(ConfigurationError, match="can't be written to"):
        open_catalog(tmp_path)


def test_many_first_openings_at_once_all_work(tmp_path: Path) -> None:
    workspaces = [Workspace.open(tmp_path) for _ in range(8)]
    opened: list[Catalog | FenqunError] = []
    start = threading.Barrier(len(workspaces))

    def open_one(workspace: Workspace) -> None:
        start.wait()
        try:
            opened.append(Catalog(workspace))
        except FenqunError as error:
            opened.append(error)

    threads = [threading.Thread(target=open_one, args=(w,)) for w in workspaces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(o) for o in opened] == [Catalog] * len(workspaces)


def test_a_full_disk_leaves_the_old_state(catalog: Catalog) -> None:
    made = create(catalog)
    db = catalog.database.connection
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(DiskFull):
        update(catalog, made.id, made.revision, remarks="x" * 1_000_000)
    assert catalog.cluster(made.id) == made


def test_a_failed_write_leaves_no_transaction_behind(catalog: Catalog) -> None:
    with pytest.raises(sqlite3.IntegrityError), catalog.database.write() as db:
        db.execute("UPDATE project SET zone = 'UTC'") and db.execute("UPDATE project SET zone = NULL")
    assert catalog.project("1").zone == "Asia/Shanghai"
    create(catalog)


# -- data ----------------------------------------------------------------------------------------------------------


def test_a_generation_is_read_back_with_its_facts(catalog: Catalog) -> None:
    found = catalog.generation("1")
    assert (found.number, found.facts, found.metadata.users) == (1, {"unknown_user_rows": 2}, 3)
    assert [catalog.workspace.absolute(p).read_bytes() for p in found.parts] == [b"events"]


def test_loading_again_counts_up_and_changes_zone_and_as_of(catalog: Catalog) -> None:
    assert load(catalog, zone="UTC", as_of=None).number == 2
    project = catalog.project("1")
    assert (project.generation, project.zone, project.as_of) == (2, "UTC", None)
    assert catalog.generation("1").metadata.zone == "UTC"


def test_a_load_of_another_process_is_seen_at_once(catalog: Catalog) -> None:
    assert catalog.metadata("1").users == 3
    other = open_catalog(catalog.workspace.root)
    load(other, as_of=date(1999, 1, 1))
    assert catalog.metadata("1").today == date(1999, 1, 1)


def test_today_is_the_day_in_the_projects_zone_unless_as_of_stands(tmp_path: Path) -> None:
    watch = Watch(datetime(2026, 3, 1, 15, 59, tzinfo=UTC))
    catalog = open_catalog(tmp_path, watch)
    load(catalog, as_of=None)
    load(catalog, project="2", as_of=date(1998, 7, 1))
    assert catalog.metadata("1").today == date(2026, 3, 1)
    watch.moment += timedelta(minutes=1)
    assert catalog.metadata("1").today == date(2026, 3, 2)
    assert catalog.metadata("2").today == date(1998, 7, 1)


def test_metadata_is_the_same_object_until_data_or_day_change(catalog: Catalog) -> None:
    first = catalog.metadata("1")
    assert catalog.metadata("1") is first
    load(catalog)
    assert catalog.metadata("1") is not first


def test_an_older_generation_can_be_read_from_a_given_day(catalog: Catalog) -> None:
    load(catalog)
    found = catalog.generation_numbered("1", 1, date(2000, 2, 29))
    assert found is not None
    assert (found.number, found.metadata.today) == (1, date(2000, 2, 29))
    assert catalog.generation_numbered("1", 7) is None


def test_a_generation_whose_file_is_missing_is_not_published(catalog: Catalog) -> None:
    with pytest.raises(QueryFailed, match="gone"):
        catalog.publish_generation(Metadata(project_id="1", today=date(2026, 1, 1)), ["data/nowhere.duckdb"])
    assert catalog.project("1").generation == 1


def test_no_data_at_all_says_how_to_load(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="Project 1 has no data yet") as caught:
        open_catalog(tmp_path / "my data").metadata("1")
    for step in caught.value.next_step:
        assert "load_file" in step
        assert '["demo"]' in step


def test_an_unknown_project_names_those_there_are(catalog: Catalog) -> None:
    with pytest.raises(NoProject, match=r"no project 7.*There are: 1\.") as caught:
        catalog.metadata("7")
    assert "load_file" in caught.value.next_step.en
    assert "load_file" in caught.value.next_step.zh


# -- versions and sweeping ---------------------------------------------------------------------------------------------


def test_versions_count_up_and_older_ones_stay_readable(catalog: Catalog) -> None:
    made = create(catalog)
    for content in ("a", "bb", "ccc"):
        publish(catalog, made.id, content)
    assert [(v.number, v.users_num) for v in catalog.versions(made.id)] == [(3, 3), (2, 2), (1, 1)]
    assert catalog.cluster(made.id).current == catalog.version(made.id, 3)
    assert catalog.version(made.id, 4) is None


def test_sweep_keeps_two_versions_and_two_generations_after_a_grace(tmp_path: Path) -> None:
    watch = Watch(datetime.now(UTC))
    catalog = open_catalog(tmp_path, watch)
    store = JobStore(catalog)
    for _ in range(4):
        load(catalog)
    made = create(catalog)
    for content in ("a", "bb", "ccc", "dddd"):
        publish(catalog, made.id, content)
    assert sweep(catalog, store) == ()
    watch.moment += timedelta(seconds=GRACE + 1)
    assert len(sweep(catalog, store)) == 4
    assert [v.number for v in catalog.versions(made.id)] == [4, 3]
    assert [catalog.generation_numbered("1", n) is not None for n in (1, 2, 3, 4)] == [False, False, True, True]
    files = {p.read_text(encoding="utf-8") for p in catalog.workspace.members.iterdir()}
    assert files == {"ccc", "dddd"}
    assert len(list(catalog.workspace.data.iterdir())) == 2


def test_sweep_keeps_a_generation_that_a_running_job_reads(tmp_path: Path) -> None:
    watch = Watch(datetime.now(UTC))
    catalog = open_catalog(tmp_path, watch)
    store = JobStore(catalog)
    load(catalog)
    job, _ = store.start_or_join(create(catalog).id, STANDING)
    for _ in range(3):
        load(catalog)
    watch.moment += timedelta(seconds=GRACE + 1)
    sweep(catalog, store)
    assert catalog.generation_numbered("1", job.generation) is not None
    assert catalog.generation_numbered("1", 2) is None


def test_sweep_does_not_wait_for_the_job_of_a_dead_process(tmp_path: Path) -> None:
    watch = Watch(datetime.now(UTC))
    catalog, dead = open_catalog(tmp_path, watch), open_catalog(tmp_path, watch)
    load(catalog)
    job, _ = JobStore(dead).start_or_join(create(catalog).id, STANDING)
    dead.workspace.close()
    for _ in range(2):
        load(catalog)
    watch.moment += timedelta(seconds=GRACE + 1)
    sweep(catalog, JobStore(catalog))
    assert catalog.generation_numbered("1", job.generation) is None


def test_sweep_keeps_the_members_of_deleted_clusters(tmp_path: Path) -> None:
    watch = Watch(datetime.now(UTC))
    catalog = open_catalog(tmp_path, watch)
    load(catalog)
    made = create(catalog)
    publish(catalog, made.id, "kept")
    delete(catalog, made.id, 1)
    watch.moment += timedelta(days=1)
    assert sweep(catalog, JobStore(catalog)) == ()


def test_sweep_forgets_old_jobs_but_not_the_newest(tmp_path: Path) -> None:
    watch = Watch(datetime.now(UTC))
    catalog = open_catalog(tmp_path, watch)
    load(catalog)
    made = create(catalog)
    old, newest = publish(catalog, made.id), publish(catalog, made.id)
    watch.moment += timedelta(days=31)
    store = JobStore(catalog)
    sweep(catalog, store)
    assert store.get(newest).state == "done"
    with pytest.raises(NotFound):
        store.get(old)


def test_connections_of_ended_threads_are_closed(catalog: Catalog) -> None:
    for _ in range(5):
        thread = threading.Thread(target=catalog.projects)
        thread.start()
        thread.join()
    catalog.database.release()
    assert catalog.projects()
    assert len(catalog.database._connections) == 1
