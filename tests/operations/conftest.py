"""A small workspace, and a process that works on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import small
from tests.operations.desk import Desk, opened


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small workspace, made once; no test works in it."""
    return small.make(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def root(made_once: Path, tmp_path: Path) -> Path:
    """A small workspace of this test's own."""
    return shutil.copytree(made_once, tmp_path / "workspace")


@pytest.fixture
def desk(root: Path) -> Iterator[Desk]:
    """A process on the small workspace."""
    yield from opened(root)


@pytest.fixture(scope="module")
def shared(made_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The same for tests that only ask: one process for all of a file."""
    yield from opened(shutil.copytree(made_once, tmp_path_factory.mktemp("shared") / "workspace"))
