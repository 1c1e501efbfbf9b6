"""Callees on several lists are counted like sets, on however many lists they are."""

import random

from mcp_server.engines.duckdb import members
from tests.asking_duckdb import rows_of


def test_what_comes_together_is_counted_for_each_callee_of_the_first_list() -> None:
    draw = random.Random(1)
    lists = [sorted(draw.sample(range(40), 15)) for _ in range(130)]
    days = [[draw.randrange(3) for _ in lists] for _ in range(3)]
    crowds = [[draw.randrange(2) for _ in lists] for _ in range(2)]
    columns: list[int] = []
    for cases, limit in ((days, 45), (crowds, 25)):
        most = [
            max(sum(w for w, one in zip(case, lists, strict=True) if callee in one) for case in cases)
            for callee in lists[0]
        ]
        columns += [sum(m > limit for m in most), max(most)]
        assert 0 < columns[-2] < len(lists[0])
    query = members.often([members.of_list(one) for one in lists], days, crowds, (45, 25))
    assert rows_of(query)[0] == tuple(columns)
    none = members.often([members.of_list(lists[0])], [[11]], [], (10, 3))
    assert rows_of(none)[0] == (15, 11, 0, 0)


def test_the_hash_in_hand_is_that_of_the_engine() -> None:
    for value in ("13800000001", " 138 ", "上海", "a'b"):
        made = rows_of(f"SELECT {members._hash('$1', 'k')}", [value])[0]
        assert made == (members.hashed(value, "k"),)
