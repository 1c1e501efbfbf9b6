"""The same list called through by looking at every tick, every line and every callee: slow, and independent."""

import heapq
from collections.abc import Callable


def slowly(
    *,
    callees: int,
    lines: int,
    redials: int,
    wait: int,
    length: int,
    answered: int,
    is_open: Callable[[int], bool],
    ticks: int,
) -> list[int]:
    """The tick of each attempt, in order; everything is counted in ticks. `answered` is per ten thousand."""
    sizes = [callees]
    for _ in range(redials):
        sizes.append((sizes[-1] * (10_000 - answered) + 9_999) // 10_000)
    queue = [(0, 0, n) for n in range(callees)]  # due at, round, callee
    heapq.heapify(queue)
    ends: list[int] = []
    tried = [0] * (redials + 2)
    started = []
    for tick in range(ticks):
        ends = [end for end in ends if end > tick]
        while is_open(tick) and queue and queue[0][0] <= tick and len(ends) < lines:
            _, rank, callee = heapq.heappop(queue)
            ends.append(tick + length)
            started.append(tick)
            tried[rank] += 1
            if rank < redials:
                size, following = sizes[rank], sizes[rank + 1]
                if tried[rank] * following // size > (tried[rank] - 1) * following // size:
                    heapq.heappush(queue, (tick + length + wait, rank + 1, callee))
    return started
