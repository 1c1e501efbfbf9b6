"""A workspace: private folders, files that appear whole, owners that live as long as their process, leftovers that go."""

import os
import stat
import time
from pathlib import Path

import pytest

from mcp_server.errors import ConfigurationError, DiskFull
from mcp_server.store.workspace import GRACE, UNOWNED_TEMP_AGE, Workspace, explained


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def published(workspace: Workspace, folder: Path, content: bytes = b"x") -> Path:
    temp, final = workspace.temp_path(".parquet"), workspace.result_path(folder, "cluster_1", ".parquet")
    temp.write_bytes(content)
    workspace.publish(temp, final)
    return final


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_folders_are_private_and_files_too(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        workspace = Workspace.open(tmp_path / "a" / "ws")
        file = published(workspace, workspace.members)
    finally:
        os.umask(previous)
    folders = [
        workspace.root,
        workspace.data,
        workspace.members,
        workspace.exports,
        workspace.imports,
        workspace.tmp,
        workspace.locks,
    ]
    assert {mode(f) for f in folders} == {0o700}
    assert mode(file) == 0o600
    assert {mode(p) for p in workspace.locks.iterdir()} == {0o600}


def test_a_workspace_that_an_update_of_the_extension_would_remove_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "Claude Extensions" / "fenqun"
    monkeypatch.setattr("mcp_server.store.workspace._PROGRAM", bundle)
    bundle.mkdir(parents=True)
    Workspace.open(bundle / "in a checkout").close()
    (bundle / "manifest.json").touch()
    (tmp_path / "link").symlink_to(bundle)
    for folder in (bundle, bundle / "data", tmp_path / "link" / "data"):
        with pytest.raises(ConfigurationError, match="inside the folder of the extension"):
            Workspace.open(folder)
    assert not (bundle / "data").exists()
    Workspace.open(bundle.with_name("fenqun data")).close()


def test_a_published_file_has_left_tmp_and_keeps_its_content(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    file = published(workspace, workspace.members, b"members")
    assert file.read_bytes() == b"members"
    assert list(workspace.tmp.iterdir()) == []


def test_relative_paths_survive_a_move_of_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "before")
    relative = workspace.relative(published(workspace, workspace.data, b"kept"))
    workspace.close()
    moved = Workspace.open((tmp_path / "before").rename(tmp_path / "after"))
    assert moved.absolute(relative).read_bytes() == b"kept"


def test_names_never_repeat(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    names = {workspace.temp_path(".x") for _ in range(100)} | {
        workspace.result_path(workspace.tmp, "s", ".x") for _ in range(100)
    }
    assert len(names) == 200


def test_an_owner_lives_until_it_closes(tmp_path: Path) -> None:
    one, two = Workspace.open(tmp_path), Workspace.open(tmp_path)
    assert one.owner_alive(one.owner)
    assert two.owner_alive(one.owner)
    one.close()
    one.close()
    assert not two.owner_alive(one.owner)
    assert not one.owner_alive(one.owner)
    assert two.owner_alive(two.owner)


def test_an_owner_nobody_heard_of_is_dead_and_asking_leaves_no_file(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    assert not workspace.owner_alive("0" * 16)
    assert len(list(workspace.locks.iterdir())) == 1


def test_sweep_takes_temp_files_and_folders_of_the_dead_only(tmp_path: Path) -> None:
    dead, alive, sweeper = (Workspace.open(tmp_path) for _ in range(3))
    spill = dead.temp_path(".spill")
    spill.mkdir()
    (spill / "block").write_bytes(b"x")
    (dead_file := dead.temp_path(".parquet")).write_bytes(b"x")
    (alive_file := alive.temp_path(".parquet")).write_bytes(b"x")
    age(alive_file, UNOWNED_TEMP_AGE * 2)
    dead.close()
    assert set(sweeper.sweep(())) == {sweeper.relative(spill), sweeper.relative(dead_file)}
    assert alive_file.exists()
    assert not spill.exists()


def test_sweep_takes_temp_files_without_owner_when_they_are_old(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    (old := workspace.tmp / "duckdb_temp_0").write_bytes(b"x")
    (new := workspace.tmp / "duckdb_temp_1").write_bytes(b"x")
    age(old, UNOWNED_TEMP_AGE + 60)
    assert workspace.sweep(()) == (workspace.relative(old),)
    assert new.exists()


def test_sweep_keeps_named_results_and_publishes_in_flight(tmp_path: Path) -> None:
    workspace, other = Workspace.open(tmp_path), Workspace.open(tmp_path)
    named, fresh, replaced = (published(other, other.members) for _ in range(3))
    age(named, GRACE * 5)
    age(replaced, GRACE + 60)
    assert workspace.sweep({workspace.relative(named)}) == (workspace.relative(replaced),)
    assert named.exists()
    assert fresh.exists()


def test_the_age_of_a_result_counts_from_its_publishing(tmp_path: Path) -> None:
    workspace, other = Workspace.open(tmp_path), Workspace.open(tmp_path)
    temp, final = other.temp_path(".parquet"), other.result_path(other.members, "cluster_1", ".parquet")
    temp.write_bytes(b"written long before the query ended")
    age(temp, GRACE * 5)
    other.publish(temp, final)
    assert workspace.sweep(()) == ()


def test_sweep_takes_unnamed_results_of_the_dead_at_once(tmp_path: Path) -> None:
    workspace, dead = Workspace.open(tmp_path), Workspace.open(tmp_path)
    files = {published(dead, dead.members), published(dead, dead.data)}
    dead.close()
    assert set(workspace.sweep(())) == {workspace.relative(f) for f in files}


def test_sweep_leaves_what_people_put_there(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    mine = [
        workspace.members / "notes.txt",
        workspace.data / "backup.duckdb",
        workspace.exports / "a.csv",
        workspace.imports / "ids.csv",
    ]
    for path in mine:
        path.write_bytes(b"x")
        age(path, GRACE * 1000)
    assert workspace.sweep(()) == ()
    assert all(path.exists() for path in mine)


def test_sweep_takes_lock_files_of_the_dead(tmp_path: Path) -> None:
    workspace, other = Workspace.open(tmp_path), Workspace.open(tmp_path)
    (left := workspace.locks / f"owner-{'a' * 16}.lock").touch()
    workspace.sweep(())
    assert not left.exists()
    assert other.owner_alive(workspace.owner)
    assert workspace.owner_alive(other.owner)


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_file_where_the_folder_should_be_is_refused_in_both_languages(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ConfigurationError) as caught:
        Workspace.open(tmp_path / where)
    assert "--workspace" in caught.value.message.en
    assert "--workspace" in caught.value.message.zh
    assert str(tmp_path) in caught.value.message.en


def test_a_full_disk_is_said_as_such(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(DiskFull, match="full; nothing was changed"),
        explained(tmp_path),
        full.open("wb", buffering=0) as file,
    ):
        file.write(b"x")


def test_missing_permission_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Permission denied"), explained(tmp_path):
        raise PermissionError(13, "Permission denied")
