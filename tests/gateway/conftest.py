"""The page's projects in a workspace, and a gateway on it that the tests of a file share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.gateway.kit import Station, make, station


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's workspace, made once; no test works in it."""
    return make(tmp_path_factory.mktemp("page") / "workspace")


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """A loop in a thread, for servers."""
    with start_blocking_portal() as found:
        yield found


@pytest.fixture(scope="module")
def shared(made_once: Path, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A gateway for all tests of a file."""
    root = shutil.copytree(made_once, tmp_path_factory.mktemp("gateway") / "workspace")
    with station(root, portal) as found:
        yield found


@pytest.fixture
def fresh(made_once: Path, portal: BlockingPortal, tmp_path: Path) -> Iterator[Station]:
    """A gateway on a copy of its own."""
    with station(shutil.copytree(made_once, tmp_path / "workspace"), portal) as found:
        yield found
