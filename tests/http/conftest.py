"""One workspace with two projects, and servers on it that all tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from mcp_server.app import build
from mcp_server.settings import Settings
from mcp_server.store.catalog import Catalog
from mcp_server.store.workspace import Workspace
from tests import small
from tests.http.http_kit import House, Web


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A process on a workspace where the projects 1 and 7 hold the same data."""
    root = small.make(tmp_path_factory.mktemp("http") / "workspace")
    workspace = Workspace.open(root)
    catalog = Catalog(workspace)
    first = catalog.generation("1")
    catalog.publish_generation(
        first.metadata.model_copy(update={"project_id": "7"}), first.parts, {"unknown_user_rows": 0}
    )
    catalog.close()
    workspace.close()
    app = build(Settings(workspace=Path(root), threads=2))
    with start_blocking_portal() as portal:
        yield House(app, portal)
    app.close()


@pytest.fixture(scope="session")
def tokens(house: House) -> dict[str, str]:
    """Tokens by name."""
    add = house.app.tokens.add
    return {
        "writer": add("writer", "write", None),
        "reader": add("reader", "read", ["1"]),
        "seven": add("seven", "write", ["7"]),
    }


@pytest.fixture(scope="session")
def guarded(house: House, tokens: dict[str, str]) -> Iterator[Web]:
    """A server that asks for a token; the caller has one that may do everything."""
    with house.serving(auth="token") as web:
        yield web.as_(tokens["writer"])


@pytest.fixture(scope="session")
def opened(house: House) -> Iterator[Web]:
    """A server that lets every program of this machine in."""
    with house.serving() as web:
        yield web
