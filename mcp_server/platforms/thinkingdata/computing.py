"""Waiting for computations on ThinkingData, by asking with growing pauses.

A computation is done where progress is 100 and the time of the last refresh has moved since it was asked for, or where it was
seen running (te-api.md section 10). Where neither happens for a while, what stands is taken as it is, and not called fresh.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcp_server.platforms.ports import OnProgress
from mcp_server.platforms.thinkingdata.api import Api, Which
from mcp_server.platforms.thinkingdata.listing import Listing
from mcp_server.platforms.thinkingdata.replies import RemoteCluster
from mcp_server.text import Text

COMPUTING = Text("ThinkingData is computing", "数数平台正在计算")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two questions; each pause is half as long again as the one before."""
START_SECONDS = 10.0
"""How long a computation may take to begin."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Asked:
    """A computation that was asked for."""

    before: str
    """The time of the last refresh, then."""
    ran: bool = False


class Computations:
    """What this process knows of the computations that it has asked for."""

    def __init__(self, api: Api, listing: Listing, sleep: Sleep) -> None:
        self._api = api
        self._listing = listing
        self._sleep = sleep
        self._asked: dict[tuple[str, str], _Asked] = {}

    def asked(self, project_id: str, cluster_id: str, before: str) -> None:
        """One was asked for; `before` is the time of the last refresh."""
        self._asked[project_id, cluster_id] = _Asked(before)

    def pending(self, project_id: str, found: RemoteCluster) -> bool:
        """Whether one that was asked for has not been seen to end."""
        asked = self._asked.get((project_id, found.cluster_id))
        if asked is None:
            return False
        if 0 <= found.progress < 100:
            asked.ran = True
            return True
        if found.progress < 0 or asked.ran or found.refresh_time != asked.before:
            del self._asked[project_id, found.cluster_id]
            return False
        return True

    async def wait(
        self, project_id: str, cluster_id: str, seconds: float | None, on_progress: OnProgress
    ) -> RemoteCluster:
        """The cluster once its computation has ended, or the time is over."""
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            found = await self._listing.detail(project_id, cluster_id)
            pending = self.pending(project_id, found)
            if not pending and not 0 <= found.progress < 100:
                return found
            await on_progress(max(0, found.progress) if found.progress < 100 else 0, COMPUTING)
            asked = self._asked.get((project_id, cluster_id))
            begun = asked is None or asked.ran or found.progress < 100
            patience = seconds if begun else min(START_SECONDS, START_SECONDS if seconds is None else seconds)
            if patience is not None and waited + pause > patience:
                return found
            await self._until(Which(project_id, cluster_id, found.name), pause)
            waited, pause = waited + pause, min(pause * 1.5, LONGEST_PAUSE)

    async def _until(self, which: Which, pause: float) -> None:
        """Pause, and note where it is then: a short computation must not be overlooked between two long looks."""
        await self._sleep(pause)
        asked = self._asked.get((which.project_id, which.cluster_id))
        if asked is not None and not asked.ran:
            asked.ran = 0 <= await self._api.progress(which) < 100
