"""Definitions that differ only in how a value is spelt are the same; those that differ in a value never are."""

from itertools import combinations

import pytest

from mcp_server.language.definitions import compare_definitions, meaning_hash
from mcp_server.language.reading.check import read_qp
from tests.language.projects import GAME, user


def hashed(part: object) -> str:
    return meaning_hash(read_qp({"filts": [part]}, GAME).must(), GAME)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (user("Level", "equal", "3", "4"), user("level", "equal", "4e0", "3.0")),
        (user("Level", "greater", "3"), user("Level", "greater", "3.00")),
        (user("Level", "range", "0", "30"), user("Level", "range", "-0", "3e1")),
        (user("registered", "less", "2024-01-01"), user("registered", "less", "2024-01-01 00:00:00.000")),
        (user("registered", "relativeCurrentBefore", "7"), user("registered", "relativeCurrentBefore", "07")),
    ],
)
def test_another_spelling_is_the_same_meaning(one: object, other: object) -> None:
    assert hashed(one) == hashed(other)
    assert compare_definitions(*(read_qp({"filts": [p]}, GAME).must() for p in (one, other)), GAME) == ()


def test_other_values_are_another_meaning() -> None:
    parts = [
        user("city", "equal", "3"),
        user("city", "equal", "3.0"),
        user("tags", "arrayIncludeItem", "3"),
        user("tags", "arrayIncludeItem", "3.0"),
        user("Level", "equal", "3"),
        user("Level", "equal", "3.01"),
        user("Level", "range", "3", "4"),
        user("Level", "range", "4", "4"),
        user("registered", "range", "2024-01-01", "2024-01-02"),
        user("registered", "range", "2024-01-01", "2024-01-02 00:00:00"),
    ]
    for one, other in combinations(map(hashed, parts), 2):
        assert one != other
