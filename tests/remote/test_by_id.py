"""Older deployments of ThinkingData know clusters by id only: `FENQUN_THINKINGDATA_BY_ID`."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from mcp_server.app import connect
from mcp_server.credentials import read_credentials
from mcp_server.errors import ConfigurationError
from mcp_server.platforms.thinkingdata import wire
from mcp_server.store.files import LocalFiles
from mcp_server.store.workspace import Workspace
from tests import small
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import KEYS, Station, station
from tests.operations.desk import DYNAMIC
from tests.remote.kit import RemoteDesk, from_afar

NOW = datetime(2026, 7, 4, 4, tzinfo=UTC)
BY_NAME = (
    wire.UPDATE_BY_NAME,
    wire.DELETE_BY_NAME,
    wire.REFRESH_BY_NAME,
    wire.PROGRESS_BY_NAME,
    wire.IMPORT_MODIFY_BY_NAME,
)


@pytest.fixture
def older(small_once: Path, portal: BlockingPortal, tmp_path: Path) -> Iterator[Station]:
    """An account whose calls by name all fail."""
    with station(shutil.copytree(small_once, tmp_path / "account"), portal, project="1") as found:
        found.faults.add(*(Fault(Kind.NOT_JSON, path=path) for path in BY_NAME for _ in range(3)))
        yield found


def test_everything_that_names_a_cluster_names_it_by_id(older: Station, tmp_path: Path) -> None:
    with from_afar(tmp_path / "afar", older.url, NOW, FENQUN_THINKINGDATA_BY_ID="1") as app:
        desk = RemoteDesk(app)
        desk.create("buyers", small.BUYERS, DYNAMIC)
        assert desk("refresh_cluster", cluster="buyers").cluster.users_num == 2
        assert desk("get_refresh_progress", cluster="buyers").cluster.progress == 100
        assert desk("update_cluster", cluster="buyers", display_name="Buyers").cluster.display_name == "Buyers"
        desk("import_ids", display_name="x", main_column_name="city", ids=["a|b"], cluster_name="ids")
        assert desk("replace_imported_ids", cluster="ids", ids=["上海", "a|b"]).user_num == 2
        for name in ("buyers", "ids"):
            desk("delete_cluster", cluster=name)
        assert desk("list_clusters").total == 0


def test_the_switch_is_1_or_0(tmp_path: Path) -> None:
    given = {"URL": "http://127.0.0.1:1", "TOKEN": KEYS.token, "BY_ID": "yes"}
    credentials = read_credentials({f"FENQUN_THINKINGDATA_{name}": value for name, value in given.items()})
    with pytest.raises(ConfigurationError, match="FENQUN_THINKINGDATA_BY_ID must be 1 or 0"):
        connect(credentials, LocalFiles(Workspace(tmp_path)), str)
