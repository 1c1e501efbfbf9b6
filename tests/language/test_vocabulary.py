"""Every word of the language has its row: mypy checks that rows and branches are words, this that no word lacks a row."""

from typing import get_args

import pytest

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Table, ValueType
from mcp_server.language.reading.shape import TYPE_NAMES


@pytest.mark.parametrize(
    ("closed", "table"),
    [
        (words.ComparatorWord, words.COMPARATORS),
        (words.NumberComparatorWord, words.NUMBER_COMPARATORS),
        (words.MeasureWord, words.MEASURES),
        (words.Relation, words.RELATIONS),
        (words.Relation, words.JOINS),
        (words.TimeUnit, words.TIME_UNITS),
        (Table, words.TABLES),
        (ValueType, TYPE_NAMES),
    ],
)
def test_every_word_has_a_row(closed: object, table: dict[str, object]) -> None:
    assert sorted(get_args(closed)) == sorted(table)


def test_every_test_is_asked_by_a_comparator() -> None:
    assert {row.test for row in words.COMPARATORS.values()} == set(words.Test)
    assert {row.test for row in words.NUMBER_COMPARATORS.values()} == set(get_args(words.NumberTest))
