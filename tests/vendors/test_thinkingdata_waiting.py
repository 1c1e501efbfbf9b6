"""When a computation on ThinkingData counts as done, and how it is asked for: scripted answers over a loopback socket."""

import json
from typing import Any

import anyio
import pytest

from mcp_server.language.definitions import PlatformDefinition
from mcp_server.platforms.thinkingdata.client import ThinkingDataApi
from mcp_server.platforms.thinkingdata.listing import Listing, cluster_of
from mcp_server.platforms.thinkingdata.segments import Computations
from mcp_server.text import NOTHING, Text
from tests.vendors.test_transport import hosted

OLD, NEW = "2026-07-15 10:00:00", "2026-07-15 10:00:09"


def answer(data: object) -> bytes:
    body = json.dumps({"data": data, "return_code": 0, "return_message": "success"}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def look(progress: int, refreshed: str) -> list[bytes]:
    """The detail call and the row of the list."""
    row = {
        "id": 7, "clusterName": "c", "clusterType": "cluster_by_static_sql", "progress": progress, "refreshTime": refreshed, "usersNum": 3
    }  # fmt: skip
    return [answer(row), answer({"userClusters": [row], "pagerResult": {"totalNum": 1}})]


def glance(progress: int) -> list[bytes]:
    """The progress call."""
    return [answer({"progress": progress})]


def waited(
    *answers: list[bytes], before: str | None = OLD, seconds: float | None = 60
) -> tuple[Any, list[float], list[float]]:
    """The cluster in the end, the pauses, and the reported progress."""
    pauses: list[float] = []
    told: list[float] = []

    async def sleep(pause: float) -> None:
        pauses.append(pause)

    async def report(percent: float, _: Text) -> None:
        told.append(percent)

    async def run() -> Any:
        async with hosted(*(one for some in answers for one in some)) as (host, transport):
            api = ThinkingDataApi(transport, "token")
            computations = Computations(api, Listing(api), sleep)
            if before is not None:
                computations.started("1", "7", before)
            found = await computations.wait("1", "7", seconds, report)
            assert host.answers == []
            return cluster_of(found, "1", None, pending=computations.pending("1", found))

    return anyio.run(run), pauses, told


def test_a_refresh_is_done_once_it_ran_and_stands_at_100() -> None:
    done, pauses, told = waited(look(100, OLD), glance(40), look(70, OLD), look(100, OLD))
    assert (done.fresh, done.progress) == (True, 100)
    assert pauses == [0.5, 0.75]
    assert told == [0, 70]


def test_a_refresh_is_done_once_its_time_has_moved() -> None:
    done, pauses, _ = waited(look(100, OLD), glance(100), look(100, NEW))
    assert (done.fresh, done.refresh_time, pauses) == (True, NEW, [0.5])


def test_what_never_begins_is_not_called_fresh() -> None:
    quiet = [part for _ in range(5) for part in (look(100, OLD), glance(100))]
    done, pauses, _ = waited(*quiet, look(100, OLD), seconds=None)
    assert (done.fresh, done.progress) == (False, 100)
    assert done.stale_because != NOTHING
    assert len(pauses) == 5
    assert sum(pauses) <= 10
    assert all(later == earlier * 1.5 for earlier, later in zip(pauses, pauses[1:], strict=False))  # noqa: RUF007


def test_a_failure_ends_the_waiting_with_what_is_known_of_it() -> None:
    done, pauses, _ = waited(look(-1, OLD))
    assert (done.progress, done.fresh, pauses) == (-1, False, [])
    assert done.failure != NOTHING


@pytest.mark.parametrize(("seconds", "asked"), [(0.49, 0), (0.5, 1)])
def test_waiting_ends_when_the_time_is_over(seconds: float, asked: int) -> None:
    done, pauses, _ = waited(*[look(10, OLD)] * (asked + 1), before=None, seconds=seconds)
    assert (done.progress, len(pauses)) == (10, asked)


def test_what_cannot_be_read_is_shown_in_the_platforms_own_form() -> None:
    done, _, _ = waited(look(100, OLD), before=None)
    assert isinstance(done.definition, PlatformDefinition)
    assert done.fresh
