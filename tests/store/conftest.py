"""Fixtures for jobs: a workspace with one project and the cluster "buyers", and a runner whose query waits at a gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_server.store.runner import JobRunner
from tests.store.workspace_kit import Gate, create, load, open_catalog, running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    catalog = open_catalog(tmp_path)
    load(catalog)
    create(catalog)
    catalog.close()
    catalog.workspace.close()
    return tmp_path


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def runner(root: Path, gate: Gate) -> Iterator[JobRunner]:
    with running(root, gate) as made:
        yield made
