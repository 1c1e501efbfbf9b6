"""A server without a workspace still keeps a log: what these tests need of one to call what writes."""

import tempfile
from functools import cache
from pathlib import Path
from typing import cast

from mcp_server.operations.operation import Deps
from mcp_server.platforms.segments import SegmentPlatform
from mcp_server.platforms.tasks import CallPlatform, CrowdPlatform
from mcp_server.store.catalog import Catalog
from mcp_server.store.ledger import Ledger
from mcp_server.store.workspace import Workspace


class Unused:
    """The platform of operations that use none; it has a name to be logged by."""

    name = "local"
    account = ""


@cache
def ledger() -> Ledger:
    """One ledger in a folder of its own, for as long as the process lives."""
    return Ledger(Catalog(Workspace.open(Path(tempfile.mkdtemp(prefix="fenqun-test-")))))


def bare() -> Deps:
    """What operations get that use no platform."""
    unused = Unused()
    return Deps(
        segments=cast(SegmentPlatform, unused),
        crowds=cast(CrowdPlatform, unused),
        calls=cast(CallPlatform, unused),
        ledger=ledger(),
    )
