"""Changes whose answer was lost: unknown until a read tells, so no failure of these reads may say that nothing was changed."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from mcp_server.errors import NotFound, OutcomeUnknown, VendorError, VendorRejected

T = TypeVar("T")


@contextmanager
def settling(doubt: OutcomeUnknown) -> Iterator[None]:
    """Around the reads that are to tell what became of a change whose answer was lost: where they fail, the doubt stays."""
    try:
        yield
    except (VendorError, NotFound):
        raise doubt from None


async def made_once(send: Callable[[], Awaitable[T]], look: Callable[[], Awaitable[T | None]]) -> T:
    """Create what has a unique name. Where the answer is lost, look for it, and send once more only what is not there.

    Names are unique, so a first request that arrives late makes the second one fail instead of doubling it.
    """
    try:
        return await send()
    except OutcomeUnknown as lost:
        doubt = lost
    with settling(doubt):
        found = await look()
    if found is not None:
        return found
    try:
        return await send()
    except VendorError as error:
        with settling(doubt):
            found = await look()
        if found is not None:
            return found
        if isinstance(error, VendorRejected):
            raise
        raise doubt from None  # the first request may still arrive
