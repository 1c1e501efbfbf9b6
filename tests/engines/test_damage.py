"""Files of the workspace that were damaged: each tool names the file and what to do, and nothing is a bug."""

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcp_server.errors import ConfigurationError, FileDamaged
from mcp_server.store.catalog import Catalog
from mcp_server.store.workspace import Workspace
from tests import small
from tests.operations.desk import STATIC, opened

DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "torn": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}
"""Each was `internal_error` before, and "ok" in the check-up."""


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_data_is_named(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    root = small.make(tmp_path / "workspace")
    (part,) = (root / "data").glob("*.duckdb")
    harm(part)
    with contextmanager(opened)(root) as desk:
        sql = {"sql": 'SELECT "#user_id" FROM v_user_1'}
        for qp in (small.BUYERS, sql):
            with pytest.raises(FileDamaged) as caught:
                desk("preview_definition", qp=qp)
            assert part.name in caught.value.message.en
            assert "backup" in caught.value.next_step.en
        with pytest.raises(FileDamaged):
            desk.app.alive()


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_members_are_named(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    root = small.make(tmp_path / "workspace")
    with contextmanager(opened)(root) as desk:
        desk.create("buyers", small.BUYERS, STATIC)
        (members,) = (root / "members").glob("*.parquet")
        harm(members)
        for tool, more in (
            ("export_users", {"cluster": "buyers"}),
            ("preview_definition", {"qp": {"filts": [_member("buyers")]}}),
        ):
            with pytest.raises(FileDamaged) as caught:
                desk(tool, **more)
            assert members.name in caught.value.message.en
        assert desk("refresh_cluster", cluster="buyers").cluster.users_num == 2


@pytest.mark.parametrize("harm", [DAMAGE["missing"], DAMAGE["empty"]], ids=["missing", "empty"])
def test_a_catalogue_that_is_gone_is_no_new_workspace(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    """Data and clusters were out of sight before, and housekeeping removed them as files without a name."""
    root = small.make(tmp_path / "workspace")
    harm(root / "catalog.sqlite")
    with pytest.raises(ConfigurationError) as caught:
        Catalog(Workspace.open(root))
    assert "backup" in caught.value.message.en


def test_a_catalogue_with_tables_and_no_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    root = small.make(tmp_path / "workspace")
    for version in (0, -5, 2**31 - 1):
        with sqlite3.connect(root / "catalog.sqlite") as db:
            db.execute(f"PRAGMA user_version = {version}")
        db.close()
        with pytest.raises(ConfigurationError):
            Catalog(Workspace.open(root))


def _member(name: str) -> dict[str, object]:
    return {"tableType": "cluster", "columnName": name, "comparator": "belongToCluster", "ftv": []}
