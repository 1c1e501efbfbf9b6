"""A gateway over the small workspace, shared by a file's tests, and a process that acts on it from afar."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests import small
from tests.gateway.kit import Station, station
from tests.remote.kit import RemoteDesk, remote_desk, variables


@pytest.fixture(scope="session")
def small_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("small") / "workspace")


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """A loop in a thread, for servers."""
    with start_blocking_portal() as found:
        yield found


@pytest.fixture(scope="module")
def account(small_once: Path, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """What the vendors keep: a gateway over the small workspace."""
    root = shutil.copytree(small_once, tmp_path_factory.mktemp("account") / "workspace")
    with station(root, portal, project="1") as found:
        yield found


@pytest.fixture(scope="module")
def desk(account: Station, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteDesk]:
    """A process on an empty workspace whose crowd and call tasks are the account's."""
    with remote_desk(tmp_path_factory.mktemp("here") / "workspace", variables(account.url)) as found:
        yield found
